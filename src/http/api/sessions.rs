//! `/api/sessions` and `/api/sites/{site}/sessions`: active sessions of all sites, or of one.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};

use super::parameters;
use super::view::View;
use crate::http::context::Context;
use crate::http::csv::csv_of;
use crate::http::listed_session::{ListedSession, listed_sessions};
use crate::http::message::{Response, json_within};
use crate::http::sort_key::{SortKey, SortOrder};
use crate::plugin::Data;
use crate::state::SiteState;
use crate::text;

/// The fields of a session, by each of which the list can be sorted. They are also the columns of the CSV.
const FIELDS: [&str; 13] = [
    "site",
    "id",
    "user",
    "mac",
    "address",
    "device",
    "server",
    "loginTime",
    "uptimeSeconds",
    "uploadBytes",
    "downloadBytes",
    "uploadRate",
    "downloadRate",
];

#[derive(Serialize)]
struct SessionsJson<'s> {
    sessions: Rows<'s>,
    total: usize,
    /// The value of `after` for the next page; null on the last page.
    next: Option<String>,
    /// The keys of sites whose sessions are not known now, which are left out.
    unavailable: Vec<&'s str>,
    /// The keys of sites some of whose sessions are missing.
    partial: Vec<&'s str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionJson<'s> {
    site: &'s str,
    id: &'s str,
    user: &'s str,
    mac: Option<&'s str>,
    address: Option<&'s str>,
    device: Option<&'s str>,
    server: Option<&'s str>,
    login_time: Option<String>,
    uptime_seconds: Option<u64>,
    upload_bytes: u64,
    download_bytes: u64,
    upload_rate: Option<u64>,
    download_rate: Option<u64>,
}

/// A session that matches a search.
struct FoundSession<'s> {
    site: &'s str,
    listed: ListedSession<'s>,
    /// Its place in the sorted list.
    key: Option<SortKey>,
}

/// Each session is converted when it is serialized, because there may be thousands.
struct Rows<'s> {
    view: View<'s>,
    rows: &'s [FoundSession<'s>],
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| row.json(self.view)))
    }
}

/// The key, site and id of a session, by which the list is sorted.
type Place<'s> = (Option<&'s SortKey>, &'s str, &'s str);

/// The order of the list, and where its page begins.
struct Page {
    field: &'static str,
    order: SortOrder,
    /// The last session of the page before.
    after: Option<Cursor>,
    limit: usize,
}

/// The place of a session in the sorted list, which also has a meaning after that session ended.
#[derive(Debug, PartialEq)]
struct Cursor {
    key: Option<SortKey>,
    site: String,
    id: String,
}

/// The sessions that the query selects.
pub(in crate::http) fn list(context: &Context) -> Result<Response, Response> {
    parameters::check_format(context)?;
    let is_site = |key: &str| context.snapshot.site(key).map(|site| site.key.as_str());
    let site = match context.parameters.site {
        "" => parameters::value(context, "site", &parameters::expected_site(context), is_site)?,
        _ => Some(context.site()?.key.as_str()),
    };
    let page = Page::read(context)?;
    let search = parameters::search(context);
    let view = context.view();
    let sites =
        context.snapshot.sites.iter().map(AsRef::as_ref).filter(|of| site.is_none_or(|key| of.key == key));
    let sites: Vec<&SiteState> = sites.filter(|site| site.hotspot_reading().is_some()).collect();
    Ok(context.large(|most| {
        let mut rows: Vec<FoundSession> = Vec::new();
        for site in &sites {
            let row =
                |listed| FoundSession { site: &site.key, listed, key: key(site, listed, page.field, view) };
            rows.extend(find_sessions(site, &search).map(row));
        }
        let total = rows.len();
        rows.sort_by(|a, b| page.compare(a.place(), b.place()));
        let start = rows.partition_point(|row| page.precedes(row));
        let end = rows.len().min(start.saturating_add(page.limit));
        let shown = rows.get(start..end).unwrap_or_default();
        if context.wants_csv() {
            return csv_of(&FIELDS, shown.iter().map(|row| row.json(view)), most);
        }
        let keys = |is: fn(&SiteState) -> bool| {
            sites.iter().filter(|site| is(site)).map(|site| site.key.as_str()).collect()
        };
        let json = SessionsJson {
            sessions: Rows { view, rows: shown },
            total,
            next: shown.last().filter(|_| end < rows.len()).map(FoundSession::cursor),
            unavailable: keys(|site| !site.is_hotspot_current()),
            partial: keys(is_partial),
        };
        json_within(&json, most)
    }))
}

fn is_partial(site: &SiteState) -> bool {
    site.is_hotspot_current() && site.hotspot_reading().is_some_and(|reading| reading.partial.is_some())
}

/// The sessions of a site that are known to be active now, and that contain a text, which is in lower case.
pub(in crate::http) fn find_sessions<'s>(
    site: &'s SiteState,
    search: &'s str,
) -> impl Iterator<Item = ListedSession<'s>> {
    let sessions =
        site.current(Data::hotspot).into_iter().flat_map(move |hotspot| listed_sessions(site, hotspot));
    sessions.filter(move |listed| contains(listed, search))
}

fn contains(ListedSession { session, device, .. }: &ListedSession, search: &str) -> bool {
    let texts = [Some(session.user()), session.mac(), session.address(), *device, session.comment()];
    search.is_empty() || text::any_contains(texts.into_iter().flatten(), search)
}

/// The value of a field; `None` if it is unknown.
fn key(site: &SiteState, listed: ListedSession, field: &str, view: View) -> Option<SortKey> {
    let ListedSession { session, device, rates } = listed;
    let millis = |login| u64::try_from(view.snapshot.clock.unix(login).as_millis()).ok();
    match field {
        "site" => Some(SortKey::text(&site.key)),
        "id" => Some(SortKey::text(session.id())),
        "user" => Some(SortKey::text(session.user())),
        "mac" => session.mac().map(SortKey::text),
        "address" => session.address().map(SortKey::address),
        "device" => device.map(SortKey::text),
        "server" => session.server().map(SortKey::text),
        "loginTime" => session.login.and_then(millis).map(SortKey::Number),
        "uptimeSeconds" => session.uptime().map(|uptime| SortKey::Number(uptime.as_secs())),
        "uploadBytes" => Some(SortKey::Number(session.bytes_in())),
        "downloadBytes" => Some(SortKey::Number(session.bytes_out())),
        "uploadRate" => rates.map(|rates| SortKey::Number(rates.upload)),
        _ => rates.map(|rates| SortKey::Number(rates.download)),
    }
}

impl<'s> FoundSession<'s> {
    fn json(&self, view: View) -> SessionJson<'s> {
        let ListedSession { session, device, rates } = self.listed;
        SessionJson {
            site: self.site,
            id: session.id(),
            user: session.user(),
            mac: session.mac(),
            address: session.address(),
            device,
            server: session.server(),
            login_time: session.login.map(|login| view.date(login)),
            uptime_seconds: session.uptime().map(|uptime| uptime.as_secs()),
            upload_bytes: session.bytes_in(),
            download_bytes: session.bytes_out(),
            upload_rate: rates.map(|rates| rates.upload),
            download_rate: rates.map(|rates| rates.download),
        }
    }

    fn place(&self) -> Place<'_> {
        (self.key.as_ref(), self.site, self.listed.session.id())
    }

    fn cursor(&self) -> String {
        Cursor { key: self.key.clone(), site: self.site.into(), id: self.listed.session.id().into() }.encode()
    }
}

impl Page {
    fn read(context: &Context) -> Result<Self, Response> {
        let sort = parameters::sort(context, &FIELDS)?;
        let (field, order) = sort.unwrap_or((FIELDS[0], SortOrder::Ascending));
        let expected = "the value of next in the answer before";
        let after = parameters::value(context, "after", expected, Cursor::decode)?;
        Ok(Self { field, order, after, limit: parameters::limit(context)? })
    }

    fn compare(&self, a: Place, b: Place) -> Ordering {
        self.order.compare(a.0, b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
    }

    /// Whether a session is before the page.
    fn precedes(&self, row: &FoundSession) -> bool {
        self.after.as_ref().is_some_and(|after| {
            self.compare(row.place(), (after.key.as_ref(), &after.site, &after.id)) != Ordering::Greater
        })
    }
}

impl Cursor {
    /// Hexadecimal digits, so that the text is the same in a query.
    fn encode(&self) -> String {
        let key = match &self.key {
            None => String::new(),
            Some(SortKey::Number(number)) => format!("n{number}"),
            Some(SortKey::Address(address)) => format!("a{address}"),
            Some(SortKey::Text(text)) => format!("t{text}"),
        };
        text::hex(format!("{}\n{}\n{key}", self.site, self.id).as_bytes())
    }

    fn decode(text: &str) -> Option<Self> {
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.splitn(3, '\n');
        let (site, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = match key.split_at_checked(1) {
            None if key.is_empty() => None,
            Some(("n", number)) => Some(SortKey::Number(number.parse().ok()?)),
            Some(("a", address)) => Some(SortKey::Address(address.parse().ok()?)),
            Some(("t", text)) => Some(SortKey::Text(text.into())),
            _ => return None,
        };
        Some(Self { key, site: site.into(), id: id.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let keys = [
            None,
            Some(SortKey::Number(u64::MAX)),
            SortKey::address("10.0.0.9").into(),
            SortKey::address("fe80::1").into(),
            Some(SortKey::text("Àgbè\n&=%")),
            Some(SortKey::text("")),
        ];
        for key in keys {
            let cursor = Cursor { key, site: "awka".into(), id: "*A0A0001".into() };
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        for text in ["", "6", "zz", "61", "610a62", "610a620a78", "610a620a6e78", "ff", "é"] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }
}
