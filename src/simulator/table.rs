//! A menu's rows and the `listen` commands that follow them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender, bounded};

use super::clock::Now;
use super::menus::Rules;
use super::print::{Follow, Print};
use super::reply::{CommandReply, RowChange, TrapReply, sentence};
use super::row::Row;
use super::value::Value;
use crate::routeros::wire::Sentence;

/// Upper bound of the rows in one menu, so that a client can't fill the memory. The largest hotspots
/// have a few thousand users.
pub const MAX_ROWS: usize = 20_000;

/// Upper bound of the changes that wait for one `listen`. A `listen` whose client does not read is
/// interrupted when it exceeds this.
const MAX_CHANGES: usize = 1024;

/// Attributes that a row lacks where they are set to the empty text.
const ABSENT_WHEN_EMPTY: [&str; 3] = ["comment", "mac-address", "address"];

/// Whether setting an attribute to this value removes it.
pub(super) fn clears(key: &str, value: &Value) -> bool {
    ABSENT_WHEN_EMPTY.contains(&key) && matches!(value, Value::Text(bytes) if bytes.is_empty())
}

#[derive(Debug)]
pub(super) struct MenuTable {
    rules: Rules,
    /// The rows by their position, in the order of insertion.
    rows: BTreeMap<u64, Row>,
    /// The position of each `.id`.
    positions: HashMap<String, u64>,
    /// The positions of each value of the attribute `rules.index`, in ascending order.
    index: HashMap<Vec<u8>, Vec<u64>>,
    last_position: u64,
    last_id: u32,
    subscribers: Vec<ListenSubscriber>,
}

#[derive(Debug)]
struct ListenSubscriber {
    print: Print,
    changes: Sender<RowChange>,
}

impl MenuTable {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            rows: BTreeMap::new(),
            positions: HashMap::new(),
            index: HashMap::new(),
            last_position: 0,
            last_id: 0,
            subscribers: Vec::new(),
        }
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.values()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(self.positions.get(id)?)
    }

    /// The first row with all of these texts.
    pub(super) fn find(&self, texts: &[(&str, &str)]) -> Option<&Row> {
        let matches = |row: &&Row| texts.iter().all(|(key, text)| row.bytes(key) == text.as_bytes());
        match texts.iter().find(|(key, _)| *key == self.rules.index) {
            Some((_, text)) => {
                let positions = self.index.get(text.as_bytes())?;
                positions.iter().filter_map(|position| self.rows.get(position)).find(matches)
            }
            None => self.rows().find(matches),
        }
    }

    /// Runs a print. With `sends_empty`, a reply without rows has an `!empty`.
    pub(super) fn print(&mut self, print: &Print, sends_empty: bool, now: &Now<'_>) -> CommandReply {
        let tag = print.tag.as_deref();
        let exists = |id: &Vec<u8>| std::str::from_utf8(id).is_ok_and(|id| self.positions.contains_key(id));
        if !print.ids().all(exists) {
            return CommandReply::traps(&[TrapReply::new("no such item")], tag);
        }
        let rows = || self.rows().filter(|row| print.matches(row, now));
        if print.count_only {
            let count = if now.version.count_ignores_query() { self.len() } else { rows().count() };
            return CommandReply::ret(count.to_string().as_bytes(), tag);
        }
        let mut sentences = match print.follow {
            Follow::Only => Vec::new(),
            Follow::No | Follow::After => rows().map(|row| print.re(row, now)).collect(),
        };
        if print.follow != Follow::No {
            return CommandReply {
                changes: Some(self.subscribe(print.clone())),
                ..CommandReply::of(sentences)
            };
        }
        if sentences.is_empty() && sends_empty {
            sentences.push(sentence("!empty", tag));
        }
        sentences.push(sentence("!done", tag));
        CommandReply::of(sentences)
    }

    /// Inserts a row, or replaces the one with the same `.id`. Returns the `.id`.
    pub(super) fn insert(&mut self, mut row: Row, now: &Now<'_>) -> Result<String, TrapReply> {
        if row.id.is_empty() && !self.rules.single {
            row.id = self.free_id();
        }
        let id = row.id.clone();
        if let Some(&position) = self.positions.get(&id) {
            let changed = self.take(position).map(|old| differences(&old, &row)).unwrap_or_default();
            self.publish(|print| {
                print.matches(&row, now).then(|| print.re_change(&row, &changed, now)).flatten()
            });
            self.put(position, row);
        } else if self.rows.len() < MAX_ROWS {
            self.publish(|print| print.matches(&row, now).then(|| print.re(&row, now)));
            self.last_position += 1;
            self.positions.insert(id.clone(), self.last_position);
            self.put(self.last_position, row);
        } else {
            return Err(TrapReply::new(format!("failure: the simulated menu is full at {MAX_ROWS} rows")));
        }
        Ok(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Row> {
        let position = self.positions.remove(id)?;
        let row = self.take(position)?;
        self.publish(|print| Some(print.re_dead(&row)));
        Some(row)
    }

    /// Removes all rows and drops the subscribers without a message, as a reboot does.
    pub(super) fn clear(&mut self) {
        let rules = self.rules;
        *self = Self { last_id: self.last_id, last_position: self.last_position, ..Self::new(rules) };
    }

    /// Resets all counters to zero. As counters are never pushed, nothing is published.
    pub(super) fn restart_counters(&mut self, at: Duration) {
        let attributes = self.rows.values_mut().flat_map(|row| &mut row.attributes);
        attributes.for_each(|(_, value)| value.restart(at));
    }

    /// Drops the first row without publishing it, as the log does with its oldest entry.
    pub(super) fn drop_first(&mut self) {
        if let Some(row) = self.rows.keys().next().copied().and_then(|position| self.take(position)) {
            self.positions.remove(&row.id);
        }
    }

    fn put(&mut self, position: u64, row: Row) {
        let indexed = row.bytes(self.rules.index);
        if !indexed.is_empty() {
            let positions = self.index.entry(indexed.to_vec()).or_default();
            positions.push(position);
            positions.sort_unstable();
        }
        self.rows.insert(position, row);
    }

    fn take(&mut self, position: u64) -> Option<Row> {
        let row = self.rows.remove(&position)?;
        let indexed = row.bytes(self.rules.index);
        if let Some(positions) = self.index.get_mut(indexed) {
            positions.retain(|other| *other != position);
            if positions.is_empty() {
                self.index.remove(indexed);
            }
        }
        Some(row)
    }

    /// Sets attributes of a row. Returns whether the row exists.
    pub(super) fn set(&mut self, id: &str, values: Vec<(String, Value)>, now: &Now<'_>) -> bool {
        let Some(mut row) = self.get(id).cloned() else { return false };
        for (key, value) in values {
            row.set(&key, value);
        }
        let is_set = self.insert(row, now).is_ok();
        // Removed only after the change is published: a `listen` sees the empty value.
        if let Some(row) = self.positions.get(id).and_then(|position| self.rows.get_mut(position)) {
            // An empty value is never in the index.
            row.attributes.retain(|(key, value)| !clears(key, value));
        }
        is_set
    }

    /// Replaces all rows; those beyond [`MAX_ROWS`] are dropped. A row without an `.id` keeps the one
    /// of the old row at its place, so that setting the same rows again changes nothing.
    pub(super) fn replace(&mut self, mut rows: Vec<Row>, now: &Now<'_>) {
        rows.truncate(MAX_ROWS);
        let old: Vec<String> = self.rows().map(|row| row.id.clone()).collect();
        for (row, id) in rows.iter_mut().zip(&old).filter(|(row, _)| row.id.is_empty()) {
            row.id.clone_from(id);
        }
        let kept: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        for id in old.iter().filter(|id| !kept.contains(id.as_str())) {
            self.remove(id);
        }
        for row in rows {
            // Never full: the rows that remain are among these.
            let _ = self.insert(row, now);
        }
    }

    fn subscribe(&mut self, print: Print) -> Receiver<RowChange> {
        let (changes, receiver) = bounded(MAX_CHANGES);
        self.subscribers.retain(|subscriber| !subscriber.changes.is_closed());
        self.subscribers.push(ListenSubscriber { print, changes });
        receiver
    }

    /// Sends each subscriber its sentence, if it gets one. Drops subscribers that have ended or are too slow.
    fn publish(&mut self, render: impl Fn(&Print) -> Option<Sentence>) {
        self.subscribers.retain(|subscriber| match render(&subscriber.print) {
            Some(re) => subscriber.changes.try_send((Instant::now(), re)).is_ok(),
            None => !subscriber.changes.is_closed(),
        });
    }

    fn free_id(&mut self) -> String {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = format!("*{:X}", self.last_id);
            if !self.positions.contains_key(&id) {
                return id;
            }
        }
    }
}

/// The attributes of `new` that differ from `old` and are pushed to a `listen`: counters are not.
fn differences(old: &Row, new: &Row) -> Vec<String> {
    let differs =
        |(key, value): &&(String, Value)| !value.is_counter() && old.get(key.as_bytes()) != Some(value);
    new.attributes.iter().filter(differs).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::menus::UNRESTRICTED;

    const BY_NAME: Rules = UNRESTRICTED.indexed("name");

    #[test]
    fn a_subscriber_that_does_not_read_is_dropped() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let print = Print::parse(&Sentence::from_words(["/test/listen"])).unwrap();
        let mut table = MenuTable::new(BY_NAME);
        let changes = table.print(&print, true, &now).changes.unwrap();
        for n in 0..MAX_CHANGES {
            table.insert(Row::new().with("n", n as u64), &now).unwrap();
        }
        assert!(!changes.is_closed());
        table.insert(Row::new(), &now).unwrap();
        assert!(changes.is_closed() && changes.len() == MAX_CHANGES, "{} changes wait", changes.len());
        assert!(table.subscribers.is_empty());
    }

    #[test]
    fn index_follows_changes_of_rows() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let mut table = MenuTable::new(BY_NAME);
        let row = |id: &str, name: &str, on: &str| Row::new().id(id).with("name", name).with("on", on);
        table
            .replace(vec![row("*1", "yam", "top"), row("*2", "yam", "side"), row("*3", "rice", "top")], &now);
        let found = |table: &MenuTable, texts: &[(&str, &str)]| table.find(texts).map(|row| row.id.clone());
        let named = |table: &MenuTable, name| found(table, &[("name", name)]);
        assert_eq!(named(&table, "yam").as_deref(), Some("*1"));
        assert_eq!(found(&table, &[("on", "side"), ("name", "yam")]).as_deref(), Some("*2"));
        assert_eq!(found(&table, &[("on", "top")]).as_deref(), Some("*1"));
        assert!(table.set("*1", vec![("name".to_string(), "palm".into())], &now));
        assert_eq!(named(&table, "yam").as_deref(), Some("*2"));
        assert_eq!(named(&table, "palm").as_deref(), Some("*1"));
        table.remove("*2");
        assert_eq!(named(&table, "yam"), None);
        table.drop_first();
        assert_eq!(named(&table, "palm"), None);
        table.replace(Vec::new(), &now);
        assert!(table.index.is_empty());
    }

    #[test]
    fn count_only_ignores_the_query_up_to_6_28() {
        for (version, counted, listed) in [("6.28", "2", 1), ("6.29", "1", 1), ("7.20", "1", 1)] {
            let version = version.parse().unwrap();
            let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
            let mut table = MenuTable::new(BY_NAME);
            table.replace(vec![Row::new().with("name", "yam"), Row::new().with("name", "rice")], &now);
            let mut ask = |words: &[&str]| {
                let print = Print::parse(&Sentence::from_words(words)).unwrap();
                table.print(&print, false, &now).sentences
            };
            let count = ask(&["/test/print", "=count-only=", "?name=yam"]);
            assert_eq!(count[0].get("ret"), Some(counted.as_bytes()), "{version}");
            assert_eq!(ask(&["/test/print", "?name=yam"]).len(), listed + 1, "{version}: rows and `!done`");
        }
    }

    #[test]
    fn rows_beyond_the_limit_are_refused() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let mut table = MenuTable::new(BY_NAME);
        table.replace(vec![Row::new(); MAX_ROWS + 1], &now);
        assert_eq!(table.len(), MAX_ROWS);
        assert!(table.insert(Row::new(), &now).is_err());
        assert!(table.insert(Row::new().id("*1"), &now).is_ok(), "an existing row can be changed");
    }
}
