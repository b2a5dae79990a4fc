//! Alerts and queued messages in the state directory.
//!
//! A state is written as a whole, in records: what it is (1 byte), its generation (4 bytes, little-endian), the place of the
//! record and their number (2 bytes each), and a part of the JSON. The last state whose records are all there counts, so one
//! that was not written to its end changes nothing.
//!
//! A message leaves the alerts and joins the queues at once, under the lock that a write takes, and is on disk as soon as
//! both are. If the agent is killed before, the next process sends it again. So a message is never lost and may arrive
//! twice: if it was delivered, and the agent is killed before that is on disk.

use std::cell::LazyCell;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smol::future::FutureExt;

use crate::alert::Alerts;
use crate::notify::{Notifier, SavedMessages};
use crate::state::Snapshot;
use crate::storage::{MAX_RECORD, Persist};

/// Bytes of a record before its part of the JSON.
const HEAD: usize = 9;

/// Maximum number of records of a state: the longest one has 8 MiB.
const MAX_RECORDS: u16 = 150;

/// The alerts and the channels as they are stored.
pub(super) struct AlertStorage {
    alerts: Arc<Alerts>,
    notifier: Arc<Notifier>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// First the messages: if the write is interrupted between them, a message is sent twice and not lost.
    messages: StateRecords,
    alerts: StateRecords,
    /// The revisions at the last urgent write.
    urgent: (u64, u64),
}

/// The records of one of both states.
#[derive(Default)]
struct StateRecords {
    generation: u32,
    /// The revision that is on disk, and the one that is about to be.
    written: u64,
    offered: u64,
    /// The parts of a generation so far.
    parts: Vec<u8>,
    /// The place of its next part; `None` if one is missing.
    next: Option<u16>,
    /// The last complete state.
    complete: Option<Vec<u8>>,
    /// Whether the file has one.
    is_on_disk: bool,
}

impl AlertStorage {
    pub(super) fn new(alerts: Arc<Alerts>, notifier: Arc<Notifier>) -> Self {
        Self { alerts, notifier, progress: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates the alerts, and queues the next notification if there is one.
    pub(super) fn advance(&self, snapshot: &Snapshot) {
        let _unsaved = self.lock();
        if let Some(notification) = self.alerts.advance(snapshot) {
            log::info!("alerts={} msg={:?}", notification.alerts.len(), notification.title);
            self.notifier.send(notification);
        }
        // Most of the time no channel has an alert that fires, and none asks for an id.
        let open = LazyCell::new(|| self.alerts.open_ids());
        self.notifier.retain_firing(|id| open.contains(id));
    }

    fn revisions(&self) -> (u64, u64) {
        (self.notifier.revision(), self.alerts.revision())
    }
}

impl StateRecords {
    /// The records of a state, if it has changed or is written again with all others.
    fn records(
        &mut self,
        kind: u8,
        revision: u64,
        is_all: bool,
        state: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        self.offered = revision;
        if revision == self.written && !(is_all && self.is_on_disk) {
            return Vec::new();
        }
        let Some(state) = state() else {
            log::error!("msg=\"alerts are not stored: they are too long\"");
            return Vec::new();
        };
        self.is_on_disk = true;
        self.generation = self.generation.wrapping_add(1);
        let parts = state.chunks(MAX_RECORD - HEAD);
        let count = u16::try_from(parts.len()).unwrap_or(u16::MAX).to_le_bytes();
        let record = |(place, part): (u16, &[u8])| {
            [&[kind], &self.generation.to_le_bytes()[..], &place.to_le_bytes(), &count, part].concat()
        };
        (0..).zip(parts).map(record).collect()
    }

    /// Adopts a record.
    fn restore(&mut self, generation: u32, [place, count]: [u16; 2], part: &[u8]) {
        if place == 0 {
            self.parts.clear();
            (self.generation, self.next) = (generation, Some(0));
        }
        let is_next = self.next == Some(place) && self.generation == generation;
        if !is_next || place >= count || count > MAX_RECORDS {
            self.next = None;
            return;
        }
        self.parts.extend_from_slice(part);
        self.next = Some(place + 1);
        if place + 1 == count {
            (self.complete, self.next) = (Some(std::mem::take(&mut self.parts)), None);
            self.is_on_disk = true;
        }
    }

    /// The last complete state.
    fn restored(&mut self) -> Option<Vec<u8>> {
        self.parts = Vec::new();
        self.complete.take()
    }
}

impl Persist for AlertStorage {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let (&[kind, a, b, c, d, place_low, place_high, count_low, count_high], part) =
            record.split_first_chunk().ok_or("it is not of the alerts")?;
        let mut progress = self.lock();
        let state = match kind {
            0 => &mut progress.messages,
            1 => &mut progress.alerts,
            _ => return Err("it is not of the alerts".into()),
        };
        let place = [[place_low, place_high], [count_low, count_high]].map(u16::from_le_bytes);
        state.restore(u32::from_le_bytes([a, b, c, d]), place, part);
        Ok(())
    }

    fn restored(&self) -> Result<(), String> {
        let mut progress = self.lock();
        let messages = progress.messages.restored().map_or(Ok(()), |state| {
            self.notifier.restore(SavedMessages::decode(&state)?);
            Ok(())
        });
        let alerts = progress.alerts.restored().map_or(Ok(()), |state| self.alerts.restore(&state));
        messages.and(alerts)
    }

    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let mut progress = self.lock();
        let Progress { messages, alerts, .. } = &mut *progress;
        let (messages_revision, alerts_revision) = self.revisions();
        let mut records = messages.records(0, messages_revision, is_all, || self.notifier.saved().encode());
        records.extend(alerts.records(1, alerts_revision, is_all, || self.alerts.stored()));
        records
    }

    fn written(&self) {
        let mut progress = self.lock();
        let Progress { messages, alerts, .. } = &mut *progress;
        for state in [messages, alerts] {
            state.written = state.offered;
        }
    }

    fn urgent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                let changed = self.alerts.changed().or(self.notifier.changed());
                let revisions = self.revisions();
                // A write that fails is tried again at the next regular one.
                if std::mem::replace(&mut self.lock().urgent, revisions) != revisions {
                    return;
                }
                changed.await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
