//! What goes over a site's connection when somebody wants it: ending a session, listing users.
//!
//! Errands run one by one beside the refreshes: their commands have tags of their own.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;

use crate::action::{Answer, Errand, Kick, Kicked, Page, Refusal, Users};
use crate::clock::Moment;
use crate::config;
use crate::plugin::hotspot::command as hotspot;
use crate::plugin::{Context, Session, User};
use crate::routeros::client::{Client, Command};
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;
use crate::state::{Link, Store};

/// Most cookies of one device that a kick removes. A device has one for each user that it logged in as.
const MAX_COOKIES: usize = 32;

/// Most users asked for in one command: a query has two words for each, and how many a router takes is nowhere told.
const MAX_NAMED: usize = 100;

/// Whom to ask, while the router answers.
pub(super) type Line = Arc<Mutex<Option<Client>>>;

/// Runs a site's errands.
pub(super) struct Errands {
    pub(super) config: Arc<config::Site>,
    pub(super) store: Arc<Store>,
    pub(super) line: Line,
    /// Where a refresh is asked for.
    pub(super) refreshes: Sender<Answer<()>>,
}

impl Errands {
    /// Runs them as they come, for ever.
    pub(super) async fn run(self, errands: Receiver<Errand>) {
        while let Ok(errand) = errands.recv().await {
            // A mistake in this program costs who asked, and not the site.
            if AssertUnwindSafe(self.one(errand)).catch_unwind().await.is_err() {
                log::error!("{}: the agent failed over an errand; please report it", self.config.key);
            }
        }
    }

    async fn one(&self, errand: Errand) {
        // Who has gone meanwhile is told nothing.
        match errand {
            Errand::Kick(kick, asked, answer) => drop(answer.try_send(self.kick(&kick, asked).await)),
            Errand::Users(page, answer) => drop(answer.try_send(self.users(&page).await)),
        }
    }

    /// Ends a session, if it is still the one that was meant.
    async fn kick(&self, kick: &Kick, asked: Moment) -> Result<Kicked, Refusal> {
        let client = self.client()?;
        // What is known from before: names as the bytes that they are, and who else has this user.
        let known = self.sessions();
        let meant = known.iter().find(|known| *known.id == *kick.id && *known.user == *kick.user);
        let id = meant.map_or(kick.id.as_bytes(), |known| known.id.bytes());
        let user = meant.map_or(kick.user.as_bytes(), |known| known.user.bytes());

        let mut prints = vec![hotspot::session_at(id), hotspot::sessions_of(user)];
        prints.extend(kick.forget.then(|| hotspot::cookies_of(user)));
        let mut rows = self.ask(&client, prints).await.into_iter();
        let mut next = || rows.next().unwrap_or_else(|| Ok(Vec::new()));
        let (at_id, of_user, cookies) = (next()?, next()?, next());
        // By the user, too, for a router that does not look rows up by their id.
        let row = at_id.iter().chain(&of_user).find(|row| row.get(".id") == Some(id)).ok_or(Refusal::Gone)?;
        let session = Session::read(row, &Context::new(Moment::now(), self.config.codepage));
        let mac = session.mac.as_deref().unwrap_or_default();
        let is_meant = *session.user == *kick.user && mac.eq_ignore_ascii_case(&kick.mac);
        // Through a cookie the same device may have logged in anew, after another kick that came before this.
        if !is_meant || session.login.is_some_and(|login| login > asked) {
            return Err(Refusal::Another);
        }

        let cookies = if kick.forget { cookies? } else { Vec::new() };
        let of_device = |row: &&Sentence| {
            row.get("mac-address").is_some_and(|mac| {
                session.mac.as_ref().is_some_and(|own| mac.eq_ignore_ascii_case(own.bytes()))
            })
        };
        let cookies = cookies.iter().filter(of_device).filter_map(|row| row.get(".id")).take(MAX_COOKIES);
        let removals = cookies.map(hotspot::remove_cookie).collect();
        let mut gone = 0;
        for removed in self.ask(&client, removals).await {
            match removed {
                Ok(_) => gone += 1,
                Err(error) if error.is_missing_item() => {}
                Err(error) => return Err(error.into()),
            }
        }
        // After the cookies: with one left the device logs straight back in.
        match client.call(hotspot::remove_session(id), self.config.query_timeout).await {
            Ok(_) => {}
            Err(error) if error.is_missing_item() => return Err(Refusal::Gone),
            Err(error) => return Err(error.into()),
        }
        let still = client.call(hotspot::sessions_of(user), self.config.query_timeout).await?;
        let there: HashSet<&[u8]> = still.rows.iter().filter_map(|row| row.get(".id")).collect();
        let others = known.iter().filter(|known| known.user == session.user && known.id != session.id);
        // One may have ended all sessions of that user.
        let others = others.filter(|other| !there.contains(other.id.bytes())).cloned();
        let removed: Vec<Arc<Session>> = std::iter::once(Arc::new(session.clone())).chain(others).collect();
        let is_back = there.contains(id);
        self.took_out(&removed[usize::from(is_back)..], removed.len());
        Ok(Kicked { removed, cookies: gone, is_back })
    }

    /// Some of the configured users. All ids are asked for, which are short, and then these users alone:
    /// a list of ten thousand is megabytes.
    async fn users(&self, page: &Page) -> Result<Users, Refusal> {
        let client = self.client()?;
        let all = client.call(hotspot::user_ids(), self.config.query_timeout).await?;
        let mut ids: Vec<&[u8]> = all.rows.iter().filter_map(|row| row.get(".id")).collect();
        let total = ids.len();
        // Numbers in hex: the longer is the greater, so that a user that is gone still has its place.
        let order = |id: &[u8]| (id.len(), id.to_ascii_uppercase());
        ids.sort_by_cached_key(|id| order(id));
        if let Some(after) = &page.after {
            let after = order(after.as_bytes());
            ids.retain(|id| order(id) > after);
        }
        let has_more = ids.len() > page.limit;
        let ids: Vec<Vec<u8>> = ids.into_iter().take(page.limit).map(<[u8]>::to_vec).collect();
        let asked = ids.chunks(MAX_NAMED).map(hotspot::users).collect();
        let mut users = Vec::new();
        for answer in client.call_all(asked, self.config.query_timeout).await {
            let rows = answer?.rows;
            let rows = rows.iter().filter(|row| row.get(".id").is_some());
            users.extend(rows.map(|row| User::read(row, self.config.codepage)));
        }
        users.sort_by_cached_key(|user| order(user.id.as_bytes()));
        Ok(Users { users, total, has_more })
    }

    /// These sessions are gone, as the router has said.
    fn took_out(&self, removed: &[Arc<Session>], kicked: usize) {
        let dead = |session: &Arc<Session>| {
            let mut change = Sentence::from_words(["!re"]);
            change.push_attribute(b".id", session.id.bytes());
            change.push_attribute(b".dead", b"true");
            change
        };
        self.store.update(&self.config.key, |site| {
            site.kicks += kicked as u64;
            let Some(reading) = site.reading("hotspot").cloned() else { return };
            let known = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
            // A `listen` may have told by now, and of the next one under that id.
            let is_known = |session: &&Arc<Session>| {
                known
                    .iter()
                    .any(|known| known.id == session.id && known.is(session, self.config.query_timeout))
            };
            let changes: Vec<Sentence> = removed.iter().filter(is_known).map(dead).collect();
            if let Ok(reading) = reading.followed(&changes, Moment::now(), self.config.codepage) {
                site.put(reading);
            }
        });
        // A refresh that was under way may have seen them still. Where more wait, one of those sees what is.
        let (answer, _) = channel::bounded(1);
        let _ = self.refreshes.try_send(answer);
    }

    /// Asks all in one write. A menu or an item that the router lacks has no rows.
    async fn ask(&self, client: &Client, commands: Vec<Command>) -> Vec<Result<Vec<Sentence>, Error>> {
        let answers = client.call_all(commands, self.config.query_timeout).await;
        let rows = answers.into_iter().map(|answer| match answer {
            Err(error) if error.is_missing_item() => Ok(Vec::new()),
            answer => answer.map(|reply| reply.rows),
        });
        rows.collect()
    }

    fn client(&self) -> Result<Client, Refusal> {
        let client = self.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.ok_or_else(|| {
            let snapshot = self.store.snapshot();
            let error = match snapshot.site(&self.config.key).map(|site| &site.link) {
                Some(Link::Offline { error, .. }) => error.clone(),
                _ => Error::new(Cause::Unreachable, "the router has not answered yet"),
            };
            Refusal::Router(error)
        })
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let snapshot = self.store.snapshot();
        let hotspot = snapshot.site(&self.config.key).and_then(|site| site.hotspot());
        hotspot.map(|hotspot| hotspot.sessions.clone()).unwrap_or_default()
    }
}
