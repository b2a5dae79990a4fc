//! Disconnecting a user: the confirmation and its form.

use askama::Template;

use super::format::{Date, bytes, date};
use super::layout::{Layout, render, see_other};
use super::notice::{self, Notice};
use super::session_query::{self, SessionQuery};
use super::{action_error, error, search, site};
use crate::action::kick::{GONE, Kick};
use crate::clock;
use crate::http::actions;
use crate::http::api::View;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::plugin::Session;
use crate::state::SiteState;

const FAILED: &str = "The session was not disconnected";

#[derive(Template)]
#[template(path = "confirmation.html")]
struct Confirmation<'p> {
    layout: Layout,
    site: &'p SiteState,
    target: &'p KickTarget,
    /// The current data of the session, if it is known.
    known: Option<Facts<'p>>,
    back: String,
}

/// The session that a query names, and the query of the list from which it was chosen.
#[derive(Debug, PartialEq, Eq)]
struct KickTarget {
    id: String,
    user: String,
    mac: String,
    origin: Origin,
}

/// The list from which the session was chosen.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// That of its site.
    Site(SessionQuery),
    /// A search at all sites.
    Search(String),
}

impl Origin {
    fn read(query: &[u8]) -> Self {
        let text = form_urlencoded::parse(query).find(|(name, _)| name == search::FIND);
        text.map_or_else(|| Self::Site(SessionQuery::read(query)), |(_, text)| Self::Search(text.into()))
    }

    /// The path back to it, relative to the root.
    fn path(&self, site: &str, notice: Option<String>) -> String {
        match self {
            Self::Site(query) => site::path(site, query, notice),
            Self::Search(text) => search::path(text, notice),
        }
    }

    /// Its part of the query of a target.
    fn query(&self) -> String {
        match self {
            Self::Site(query) => query.to_string(),
            Self::Search(text) => search::origin(text),
        }
    }
}

/// The reason why a query does not identify a session.
#[derive(Debug, PartialEq, Eq)]
enum NoTarget {
    /// It contains no id.
    Unnamed,
    /// It contains only an id, and no session has that id now.
    Gone,
}

/// `GET /sites/{site}/kick`: the confirmation.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let (site, query) = (context.site()?, context.request.query.as_bytes());
    let (layout, back) = (context.layout(), Origin::read(query).path(&site.key, None));
    match KickTarget::read(query, sessions(site)) {
        Ok(target) => {
            let known = Facts::new(context.view(), site, &target);
            Ok(render(&Confirmation { layout, site, target: &target, known, back }))
        }
        // As after a login.
        Err(NoTarget::Unnamed) => site::redirect(context),
        Err(gone) => Ok(gone.page(layout, &back)),
    }
}

/// `POST /sites/{site}/kick`. The form contains the session as the query that names it: a NUL or a line break in a user
/// name would not survive in fields of their own.
pub(in crate::http) fn submit(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, layout) = (context.site()?, context.layout());
    let field = |name: &str| form_urlencoded::parse(&context.request.body).find(|(its, _)| its == name);
    let query = field("session").map(|(_, query)| query).unwrap_or_default();
    let KickTarget { id, user, mac, origin } = match KickTarget::read(query.as_bytes(), sessions(site)) {
        Ok(target) => target,
        Err(why) => return Ok(why.page(layout, &format!("sites/{}", site.key)).into()),
    };
    let kick = Kick { id, user, mac, forget: field("forget").is_some() };
    let (key, path) = (site.key.clone(), context.request.path.clone());
    let (handles, who) = (context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let (forget, id) = (kick.forget, kick.id.clone());
        match actions::run(&handles, &key, kick, who).await {
            Ok(kicked) => {
                let notice = match (kicked.logged_back_in, forget) {
                    (Some(true), _) => Notice::Back,
                    (_, true) => Notice::Forgotten,
                    (_, false) => Notice::Ended,
                };
                see_other(&path, &origin.path(&key, Some(notice::kicked_query(notice, &key, &id))))
            }
            Err(error) => action_error::page(layout, &error, FAILED, &origin.path(&key, None)),
        }
    }))
}

fn sessions(site: &SiteState) -> &[Session] {
    site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions)
}

impl NoTarget {
    fn page(&self, layout: Layout, back: &str) -> Response {
        const UNNAMED: &str =
            "The form does not name a session. Choose one from the list of active sessions.";
        match self {
            Self::Unnamed => error::page(layout, 400, FAILED, UNNAMED, back),
            Self::Gone => action_error::page(layout, &GONE, FAILED, back),
        }
    }
}

impl KickTarget {
    /// Reads a query. If it has an id but no user, user and MAC address are those of the session with that id.
    fn read(query: &[u8], sessions: &[Session]) -> Result<Self, NoTarget> {
        let value = |name: &str| form_urlencoded::parse(query).find(|(its, _)| its == name);
        let value = |name: &str| value(name).map(|(_, value)| value.into_owned());
        let id = value("id").filter(|id| !id.is_empty()).ok_or(NoTarget::Unnamed)?;
        let current = sessions.iter().find(|session| session.id() == id);
        let user = value("user").or_else(|| current.map(|session| session.user().into()));
        let user = user.ok_or(NoTarget::Gone)?;
        let mac = value("mac").or_else(|| current?.mac().map(String::from)).unwrap_or_default();
        Ok(Self { id, user, mac, origin: Origin::read(query) })
    }

    fn query(&self) -> String {
        session_query::of_session(&self.id, Some((&self.user, &self.mac)), &self.origin.query())
    }

    /// The current session of this id, user and MAC address.
    fn find<'s>(&self, sessions: &'s [Session]) -> Option<&'s Session> {
        let is_target = |session: &&Session| {
            let mac = session.mac().unwrap_or_default();
            (session.id(), session.user()) == (&*self.id, &*self.user) && mac.eq_ignore_ascii_case(&self.mac)
        };
        sessions.iter().find(is_target)
    }
}

/// Details of the session to disconnect.
struct Facts<'p> {
    address: &'p str,
    server: &'p str,
    /// The login, and how long ago it was.
    since: Option<(Date, String)>,
    upload: String,
    download: String,
}

impl<'p> Facts<'p> {
    fn new(view: View, site: &'p SiteState, target: &KickTarget) -> Option<Self> {
        let session = target.find(sessions(site))?;
        let since = |login| {
            let at = date(view.snapshot.clock.unix(login), site.utc_offset());
            (at, clock::ago(view.now.since(login)))
        };
        Some(Self {
            address: session.address().unwrap_or("–"),
            server: session.server().unwrap_or("–"),
            since: session.login.map(since),
            upload: bytes(session.bytes_in()),
            download: bytes(session.bytes_out()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::session;

    #[test]
    fn a_query_identifies_one_session() {
        let current = [session("id=*1 user=a\r\n\0b mac-address=AA:BB")];
        let read = |query: &str| KickTarget::read(query.as_bytes(), &current);
        assert_eq!(read(""), Err(NoTarget::Unnamed));
        assert_eq!(read("id=&user=ada&mac="), Err(NoTarget::Unnamed));
        assert_eq!(read("id=*2"), Err(NoTarget::Gone));
        let named = read("id=*2&user=ada&mac=&q=x&from=100").unwrap();
        assert_eq!((&*named.user, &*named.mac, &*named.origin.query()), ("ada", "", "q=x&from=100"));
        assert_eq!(named.find(&current), None);
        let found = read("id=*2&user=ada&mac=&find=a%26b").unwrap();
        assert_eq!(found.origin.path("awka", Some("notice=ended".into())), "search?notice=ended&q=a%26b");
        assert_eq!(read(&found.query()).as_ref(), Ok(&found));
        let by_id = read("id=*1").unwrap();
        assert_eq!((&*by_id.user, &*by_id.mac), ("a\r\n\0b", "AA:BB"));
        // Any characters in a name survive.
        assert_eq!(read(&by_id.query()).as_ref(), Ok(&by_id));
        assert!(by_id.find(&current).is_some());
        assert!(read("id=*1&user=ada&mac=AA:BB").unwrap().find(&current).is_none());
        assert!(read("id=*1&user=a%0D%0A%00b&mac=aa:bb").unwrap().find(&current).is_some());
    }
}
