//! The messages that a channel has not delivered yet.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::alert::{AlertRecord, Notification};

/// Maximum number of messages. The oldest ones are dropped.
pub const MAX_QUEUED: usize = 64;

/// Maximum size of the texts in a queue, in bytes: 64 messages of 4 KiB, the longest that services show. A longer message
/// is queued alone.
const MAX_QUEUED_BYTES: usize = 256 << 10;

/// A bounded queue. Its first messages are tried first, unless the server refuses them.
///
/// A server may refuse one message, which it would do forever, or all of them, because of a wrong setting. The difference
/// shows when it accepts another one. So after a refusal the next message is tried, and the refused ones are dropped only
/// if the server still refuses them after it has accepted a later one.
#[derive(Debug, Default)]
pub(super) struct DeliveryQueue {
    messages: VecDeque<Arc<Notification>>,
    /// The index of the message to try next.
    next: usize,
    /// The number of first messages that the server refused before it accepted a later one.
    refused_alone: usize,
    dropped: u64,
}

impl DeliveryQueue {
    /// Messages that were saved.
    pub(super) fn restored(messages: Vec<Notification>, dropped: u64) -> Self {
        let mut queue = Self { dropped, ..Self::default() };
        for message in messages {
            // They are as they were saved.
            queue.push(Arc::new(message), |_| true);
        }
        queue
    }

    /// Adds a message. Returns those that are dropped because the queue is full. An alert that ends before the server got it as
    /// firing is brief for this server, which `has` those with these ids.
    pub(super) fn push(
        &mut self,
        mut message: Arc<Notification>,
        has: impl Fn(&str) -> bool,
    ) -> Vec<Arc<Notification>> {
        let queued = self.messages.iter().flat_map(|message| &message.alerts);
        let firing = queued.filter(|alert| alert.until.is_none() && !has(&alert.id));
        let waiting: HashSet<&str> = firing.map(|alert| &*alert.id).collect();
        let ends = |alert: &AlertRecord| alert.until.is_some() && waiting.contains(&*alert.id);
        if message.alerts.iter().any(ends) {
            Arc::make_mut(&mut message).alerts.iter_mut().for_each(|alert| alert.is_brief |= ends(alert));
        }
        self.messages.push_back(message);
        let mut dropped = Vec::new();
        let bytes = |queue: &Self| queue.messages.iter().map(|message| size(message)).sum::<usize>();
        while self.messages.len() > MAX_QUEUED || (self.messages.len() > 1 && bytes(self) > MAX_QUEUED_BYTES)
        {
            dropped.extend(self.drop_first());
        }
        dropped
    }

    /// The message to try next.
    pub(super) fn next(&self) -> Option<&Arc<Notification>> {
        self.messages.get(self.next)
    }

    pub(super) fn messages(&self) -> impl ExactSizeIterator<Item = &Arc<Notification>> {
        self.messages.iter()
    }

    /// The number of messages that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Removes a message that was delivered.
    pub(super) fn delivered(&mut self, message: &Arc<Notification>) {
        if let Some(at) = self.position(message) {
            self.messages.remove(at);
            self.refused_alone = at;
        }
        self.next = 0;
    }

    /// Records that the server refuses a message, and chooses another one. Returns whether it was dropped.
    pub(super) fn refused(&mut self, message: &Arc<Notification>) -> bool {
        match self.position(message) {
            Some(0) if self.refused_alone > 0 => {
                self.drop_first();
                true
            }
            Some(at) => {
                self.next = if at + 1 < self.messages.len() { at + 1 } else { 0 };
                false
            }
            None => false,
        }
    }

    fn drop_first(&mut self) -> Option<Arc<Notification>> {
        self.next = self.next.saturating_sub(1);
        self.refused_alone = self.refused_alone.saturating_sub(1);
        self.dropped += 1;
        self.messages.pop_front()
    }

    /// Where a message is, unless it was dropped meanwhile.
    fn position(&self, message: &Arc<Notification>) -> Option<usize> {
        self.messages.iter().position(|queued| Arc::ptr_eq(queued, message))
    }
}

/// The size of a message's texts, in bytes.
fn size(message: &Notification) -> usize {
    let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let alerts = message.alerts.iter().map(|alert| {
        size_of_val(alert) + alert.id.len() + alert.message.len() + of(&alert.name) + of(&alert.hint)
    });
    message.title.len() + message.text.len() + alerts.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message, resolved};

    fn queue(count: usize) -> DeliveryQueue {
        let messages = (0..count).map(|n| message(&n.to_string(), "", vec![])).collect();
        DeliveryQueue::restored(messages, 0)
    }

    fn titles(queue: &DeliveryQueue) -> Vec<&str> {
        queue.messages().map(|message| message.title.as_str()).collect()
    }

    /// Sends all that it can to a server that refuses some titles, for at most this many attempts.
    fn run(queue: &mut DeliveryQueue, refused: &[&str], attempts: usize) -> Vec<String> {
        let mut delivered = Vec::new();
        for _ in 0..attempts {
            let Some(message) = queue.next().cloned() else { break };
            if refused.contains(&message.title.as_str()) {
                queue.refused(&message);
            } else {
                queue.delivered(&message);
                delivered.push(message.title.clone());
            }
        }
        delivered
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut full = queue(MAX_QUEUED + 3);
        assert_eq!((full.messages().len(), full.dropped()), (MAX_QUEUED, 3));
        let first = full.next().unwrap().clone();
        assert_eq!(first.title, "3");
        // The message that is being sent is dropped meanwhile.
        full.push(Arc::new(message("new", "", vec![])), |_| false);
        full.delivered(&first);
        assert_eq!((full.messages().len(), full.next().unwrap().title.as_str()), (MAX_QUEUED, "4"));
    }

    #[test]
    fn long_messages_are_bounded_by_their_size() {
        let long = |title: &str| Arc::new(message(title, &"x".repeat(MAX_QUEUED_BYTES / 2), vec![]));
        let mut some = queue(3);
        some.push(long("a"), |_| false);
        assert_eq!((titles(&some), some.dropped()), (vec!["0", "1", "2", "a"], 0));
        some.push(long("b"), |_| false);
        assert_eq!((titles(&some), some.dropped()), (vec!["b"], 4));
    }

    #[test]
    fn messages_are_delivered_in_order() {
        assert_eq!(run(&mut queue(3), &[], 9), ["0", "1", "2"]);
    }

    #[test]
    fn a_message_that_alone_is_refused_does_not_block_the_others() {
        let mut some = queue(4);
        assert_eq!(run(&mut some, &["0"], 99), ["1", "2", "3"]);
        assert_eq!((titles(&some).len(), some.dropped()), (0, 1));
        let mut two = queue(4);
        assert_eq!(run(&mut two, &["0", "1"], 99), ["2", "3"]);
        assert_eq!(two.dropped(), 2);
        // Without another message nobody knows whether the server accepts any.
        let mut one = queue(1);
        assert_eq!(run(&mut one, &["0"], 99), [""; 0]);
        assert_eq!((titles(&one), one.dropped()), (vec!["0"], 0));
    }

    #[test]
    fn what_a_server_accepted_once_is_no_reason_to_drop_later_messages() {
        let mut all = queue(2);
        assert_eq!(run(&mut all, &["0"], 99), ["1"]);
        assert_eq!((all.messages().len(), all.dropped()), (0, 1));
        // The server refuses all from then on: a setting of the channel is wrong.
        for title in ["2", "3"] {
            all.push(Arc::new(message(title, "", vec![])), |_| false);
            assert_eq!(run(&mut all, &["2", "3"], 99), [""; 0]);
        }
        assert_eq!((titles(&all), all.dropped()), (vec!["2", "3"], 1));
    }

    #[test]
    fn an_alert_that_ends_before_the_server_got_it_is_brief() {
        for has in [false, true] {
            let mut all = queue(0);
            for alert in [firing("SiteDown", "awka"), resolved("SiteDown", "awka")] {
                all.push(Arc::new(message("t", "", vec![alert])), |_| has);
            }
            let briefs = all.messages().map(|message| message.alerts[0].is_brief).collect::<Vec<_>>();
            assert_eq!(briefs, [false, !has]);
        }
    }

    #[test]
    fn nothing_is_lost_while_a_server_refuses_all() {
        for attempts in 0..9 {
            let mut all = queue(3);
            assert_eq!(run(&mut all, &["0", "1", "2"], attempts), [""; 0]);
            let mut delivered = run(&mut all, &[], 99);
            delivered.sort();
            assert_eq!((delivered, all.dropped()), (vec!["0".into(), "1".into(), "2".into()], 0));
        }
    }
}
