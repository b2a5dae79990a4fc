//! Ending a session: which one a link or a form means, and what is asked before.

use std::sync::Arc;

use super::figures::bytes;
use super::session_query::List;
use crate::clock;
use crate::http::api::View;
use crate::plugin::Session;

/// Which session is meant, and the list that it was chosen from.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct KickTarget {
    pub(in crate::http) id: String,
    pub(in crate::http) user: String,
    pub(in crate::http) mac: String,
    pub(in crate::http) list: List,
}

/// Why a query means no session.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Nobody {
    /// It names none.
    Unnamed,
    /// It names one by the id alone, which nobody has any more.
    Gone,
}

impl KickTarget {
    /// The session that a query means: if it has an id and no user, the one of these that has the id.
    pub(in crate::http) fn read(query: &[u8], sessions: &[Arc<Session>]) -> Result<Self, Nobody> {
        let value = |name: &str| form_urlencoded::parse(query).find(|(its, _)| its == name);
        let value = |name: &str| value(name).map(|(_, value)| value.into_owned());
        let id = value("id").filter(|id| !id.is_empty()).ok_or(Nobody::Unnamed)?;
        let there = sessions.iter().find(|session| *session.id == *id);
        let user = value("user").or_else(|| there.map(|session| session.user.to_string()));
        let user = user.ok_or(Nobody::Gone)?;
        let mac = value("mac").or_else(|| there?.mac.as_ref().map(ToString::to_string)).unwrap_or_default();
        Ok(Self { id, user, mac, list: List::read(query) })
    }

    /// The query that means it.
    pub(super) fn query(&self) -> String {
        query(&self.id, Some((&self.user, &self.mac)), &self.list.query())
    }

    /// It as it is known, if it is.
    fn known<'s>(&self, sessions: &'s [Arc<Session>]) -> Option<&'s Session> {
        let is_meant = |session: &&Arc<Session>| {
            let mac = session.mac.as_deref().unwrap_or_default();
            (&*session.id, &*session.user) == (&self.id, &self.user) && mac.eq_ignore_ascii_case(&self.mac)
        };
        sessions.iter().find(is_meant).map(AsRef::as_ref)
    }
}

/// The query that means the session of this id, and `who` has it: a user and a MAC address.
pub(super) fn query(id: &str, who: Option<(&str, &str)>, list: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("id", id);
    if let Some((user, mac)) = who {
        query.append_pair("user", user).append_pair("mac", mac);
    }
    let query = query.finish();
    if list.is_empty() { query } else { format!("{query}&{list}") }
}

/// What is known of a session that is to end.
pub(super) struct Facts<'p> {
    pub(super) address: &'p str,
    pub(super) server: &'p str,
    /// Since when, as a date for programs and for people, and how long ago that is.
    pub(super) since: Option<Since>,
    pub(super) upload: String,
    pub(super) download: String,
}

pub(super) struct Since {
    pub(super) rfc3339: String,
    pub(super) date: String,
    pub(super) ago: String,
}

impl<'p> Facts<'p> {
    pub(super) fn new(view: View, meant: &KickTarget, sessions: &'p [Arc<Session>]) -> Option<Self> {
        let session = meant.known(sessions)?;
        let since = |login| {
            let rfc3339 = view.snapshot.clock.rfc3339(login);
            let date = rfc3339.replace('T', " ").replace('Z', " UTC");
            Since { rfc3339, date, ago: clock::ago(view.now.since(login)) }
        };
        Some(Self {
            address: session.address.as_deref().unwrap_or("–"),
            server: session.server.as_deref().unwrap_or("–"),
            since: session.login.map(since),
            upload: bytes(session.bytes_in),
            download: bytes(session.bytes_out),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::session;

    #[test]
    fn a_query_means_one_session() {
        let there = [session("id=*1 user=a\r\n\0b mac-address=AA:BB")];
        let read = |query: &str| KickTarget::read(query.as_bytes(), &there);
        assert_eq!(read(""), Err(Nobody::Unnamed));
        assert_eq!(read("id=&user=ada&mac="), Err(Nobody::Unnamed));
        assert_eq!(read("id=*2"), Err(Nobody::Gone));
        let named = read("id=*2&user=ada&mac=&q=x&from=100").unwrap();
        assert_eq!((&*named.user, &*named.mac, &*named.list.query()), ("ada", "", "q=x&from=100"));
        assert_eq!(named.known(&there), None);
        let by_id = read("id=*1").unwrap();
        assert_eq!((&*by_id.user, &*by_id.mac), ("a\r\n\0b", "AA:BB"));
        // Whatever is in a name, it comes back as it was.
        assert_eq!(read(&by_id.query()).as_ref(), Ok(&by_id));
        assert!(by_id.known(&there).is_some());
        assert!(read("id=*1&user=ada&mac=AA:BB").unwrap().known(&there).is_none());
        assert!(read("id=*1&user=a%0D%0A%00b&mac=aa:bb").unwrap().known(&there).is_some());
    }
}
