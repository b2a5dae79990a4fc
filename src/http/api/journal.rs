//! `/api/journal`: ended sessions.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Serialize, Serializer};

use super::parameters;
use crate::clock::{self, Clock};
use crate::http::context::Context;
use crate::http::csv::csv_of;
use crate::http::message::{Response, json_within};
use crate::journal::{FoundEntries, JournalEntry, JournalQuery, Reason};
use crate::state::{Snapshot, device_names};

/// The columns of the CSV.
const COLUMNS: [&str; 10] =
    ["site", "user", "mac", "address", "server", "start", "end", "uploadBytes", "downloadBytes", "reason"];

#[derive(Serialize)]
struct JournalJson<'j> {
    entries: Entries<'j>,
    total: usize,
    /// The value of `after` for the next page; null on the last page.
    next: Option<String>,
    /// Whether the configuration allows a journal.
    enabled: bool,
    /// The end of the oldest entry that is kept.
    oldest: Option<String>,
    /// Entries that were dropped because there were too many.
    dropped: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson<'e> {
    site: Cow<'e, str>,
    user: Cow<'e, str>,
    mac: Option<Cow<'e, str>>,
    address: Option<Cow<'e, str>>,
    server: Option<Cow<'e, str>>,
    start: Option<String>,
    end: String,
    upload_bytes: u64,
    download_bytes: u64,
    reason: Option<&'static str>,
}

/// Each entry is decoded when it is serialized, because there may be thousands.
struct Entries<'j> {
    found: &'j FoundEntries,
    clock: Clock,
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let decoded = self.found.entries.iter().filter_map(|bytes| JournalEntry::decode(bytes));
        serializer.collect_seq(decoded.map(|entry| entry_json(entry, self.clock)))
    }
}

/// The entries that the query selects, newest first.
pub(in crate::http) fn list(context: &Context) -> Result<Response, Response> {
    let query = query(context)?;
    let (journal, clock) = (&context.services.journal, context.snapshot.clock);
    let mut unknown_site = None;
    let response = context.large(|most| {
        let found = journal.search(&query, context.now, clock);
        let enabled = found.is_some();
        let found = found.unwrap_or_default();
        // A site that was removed may have entries.
        unknown_site =
            query.site.as_ref().filter(|site| found.total == 0 && context.snapshot.site(site).is_none());
        if context.wants_csv() {
            let decoded = found.entries.iter().filter_map(|bytes| JournalEntry::decode(bytes));
            return csv_of(&COLUMNS, decoded.map(|entry| entry_json(entry, clock)), most);
        }
        let json = JournalJson {
            entries: Entries { found: &found, clock },
            total: found.total,
            next: found.next.map(|position| position.to_string()),
            enabled,
            oldest: found.oldest.map(clock::rfc3339),
            dropped: journal.stats().map_or(0, |stats| stats.dropped),
        };
        json_within(&json, most)
    });
    match unknown_site {
        Some(site) => Err(parameters::unexpected("site", site, &parameters::expected_site(context))),
        None => Ok(response),
    }
}

fn query(context: &Context) -> Result<JournalQuery, Response> {
    parameters::check_format(context)?;
    let expected = "the value of next in the answer before";
    let search = parameters::search(context);
    Ok(JournalQuery {
        devices: devices(context.snapshot, &search),
        search,
        site: context.request.parameter("site"),
        from: parameters::time(context, "from")?,
        to: parameters::time(context, "to")?,
        limit: parameters::limit(context)?,
        after: parameters::value(context, "after", expected, |text| text.parse().ok())?,
    })
}

/// The sites and MAC addresses of devices whose name contains this text.
fn devices(snapshot: &Snapshot, search: &str) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    for site in snapshot.sites.iter().filter(|_| !search.is_empty()) {
        let names = device_names(site).into_iter();
        let matching = names.filter(|(_, name)| name.to_lowercase().contains(search));
        found.extend(matching.map(|(mac, _)| (site.key.clone(), mac)));
    }
    found
}

fn entry_json(entry: JournalEntry, clock: Clock) -> EntryJson {
    let (start, end) = entry.times(clock);
    EntryJson {
        site: entry.site,
        user: entry.user,
        mac: entry.mac,
        address: entry.address,
        server: entry.server,
        start: start.map(clock::rfc3339),
        end: clock::rfc3339(end),
        upload_bytes: entry.upload_bytes,
        download_bytes: entry.download_bytes,
        reason: entry.reason.map(Reason::name),
    }
}
