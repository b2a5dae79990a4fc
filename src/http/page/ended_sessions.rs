//! The latest ended sessions on a site's page, for the admin.

use super::format::{Date, bytes, date, duration};
use crate::http::context::Context;
use crate::journal::{JournalEntry, JournalQuery};
use crate::state::{SiteState, device_names, device_of};

/// Number of sessions on the page; `/api/journal` has all.
const SHOWN: usize = 20;

/// An ended session.
pub(super) struct EndedSession {
    pub(super) user: String,
    /// The name of the device, or its MAC address.
    pub(super) device: String,
    pub(super) start: Option<Date>,
    pub(super) end: Date,
    pub(super) length: String,
    pub(super) upload: String,
    pub(super) download: String,
    pub(super) reason: &'static str,
}

/// The latest sessions that ended at a site, newest first; none for other readers than the admin.
pub(super) fn latest(context: &Context, site: &SiteState) -> Vec<EndedSession> {
    if !context.is_admin() {
        return Vec::new();
    }
    let query = JournalQuery { site: Some(site.key.clone()), limit: SHOWN, ..JournalQuery::default() };
    let clock = context.snapshot.clock;
    let found = context.services.journal.search(&query, context.now, clock).unwrap_or_default();
    let devices = device_names(site);
    let ended = |entry: JournalEntry| {
        let (start, end) = entry.times(clock);
        let mac = entry.mac.as_deref().unwrap_or_default();
        EndedSession {
            device: device_of(&devices, Some(mac)).unwrap_or(mac).into(),
            start: start.map(|start| date(start, site.utc_offset())),
            end: date(end, site.utc_offset()),
            length: entry.length.map(duration).unwrap_or_default(),
            upload: bytes(entry.upload_bytes),
            download: bytes(entry.download_bytes),
            reason: entry.reason.map_or("", |reason| reason.title()),
            user: entry.user.into_owned(),
        }
    };
    found.entries.iter().filter_map(|bytes| JournalEntry::decode(bytes)).map(ended).collect()
}
