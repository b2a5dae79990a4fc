//! What goes over a site's connection when somebody wants it: ending a session, listing users.
//!
//! Errands run one by one beside the refreshes: their commands have tags of their own.

use std::sync::{Arc, Mutex, PoisonError};

use smol::channel::Receiver;
use smol::future::FutureExt;

use super::config_cell::ConfigCell;
use crate::action::{ActionError, Kick, Kicked, PageRequest, SiteRequest, UserPage};
use crate::clock::Moment;
use crate::config;
use crate::plugin::hotspot::command as hotspot;
use crate::plugin::{Context, Hotspot, MAX_ID, Session, User};
use crate::routeros::client::{Client, Command, MAX_ROWS, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;
use crate::state::{ConnectionState, SiteState, Store};

/// Most cookies of one device that a kick removes. A device has one for each user that it logged in as.
const MAX_COOKIES: usize = 32;

/// Most users that one command names. What a router takes of a query is not documented; each of its rows is tried
/// on all of it.
const MAX_NAMED: usize = 100;

/// Whom to ask, while the router answers.
pub(super) type ClientSlot = Arc<Mutex<Option<Client>>>;

/// Runs a site's errands.
pub(super) struct Jobs {
    /// What the errand under way goes by.
    pub(super) config: Arc<config::Site>,
    pub(super) configured: ConfigCell,
    pub(super) store: Arc<Store>,
    pub(super) client_slot: ClientSlot,
}

impl Jobs {
    /// Runs them as they come, for ever.
    pub(super) async fn run(mut self, errands: Receiver<SiteRequest>) {
        while let Ok(errand) = errands.recv().await {
            if errand.is_abandoned() {
                continue;
            }
            self.config = self.configured.now();
            // That the connection is given up for another is no fault of the router's.
            self.configured.reconnects(&self.config).or(self.one(errand)).await;
        }
    }

    async fn one(&self, errand: SiteRequest) {
        // Who has gone meanwhile is told nothing.
        match errand {
            SiteRequest::Kick(kick, asked, answer) => drop(answer.try_send(self.kick(&kick, asked).await)),
            SiteRequest::Users(page, answer) => drop(answer.try_send(self.users(&page).await)),
        }
    }

    /// Ends a session, if it is still the one that was meant.
    async fn kick(&self, kick: &Kick, asked: Moment) -> Result<Kicked, ActionError> {
        let client = self.client()?;
        // What is known from before: names as the bytes that they are.
        let known = self.hotspot().map(|hotspot| hotspot.sessions).unwrap_or_default();
        let meant = known.iter().find(|known| *known.id == *kick.id && *known.user == *kick.user);
        let id = meant.map_or(kick.id.as_bytes(), |known| known.id.bytes());
        let user = meant.map_or(kick.user.as_bytes(), |known| known.user.bytes());

        let prints = vec![hotspot::session_at(id), hotspot::sessions_of(user)];
        let mut rows = self.ask(&client, prints).await.into_iter();
        let mut next = || rows.next().unwrap_or_else(|| Ok(Vec::new()));
        let (at_id, of_user) = (next()?, next()?);
        // By the user, too, for a router that does not look rows up by their id.
        let row =
            at_id.iter().chain(&of_user).find(|row| row.get(".id") == Some(id)).ok_or(ActionError::Gone)?;
        let read = |row: &Sentence| Session::read(row, &Context::new(Moment::now(), self.config.codepage));
        let session = read(row);
        let mac = session.mac.as_deref().unwrap_or_default();
        let is_meant = *session.user == *kick.user && mac.eq_ignore_ascii_case(&kick.mac);
        // After another kick that came before this the same device may be back by itself. Who logs in by hand
        // takes longer; a login of theirs that seems later than the kick is told in whole seconds.
        let is_new_login =
            session.logged_in_automatically() && session.login.is_some_and(|login| login > asked);
        if !is_meant || is_new_login {
            return Err(ActionError::Another);
        }

        // As the router has them: what is kept of a session may be shortened.
        let own = |key: &str| row.get(key).unwrap_or_default();
        let (user, device) = (own("user"), own("mac-address"));
        let mut cookies = Vec::new();
        if kick.forget {
            cookies = client.call(hotspot::cookies_of(user), self.config.query_timeout).await?.rows;
        }
        let of_device = |row: &&Sentence| {
            row.get("mac-address").is_some_and(|mac| !mac.is_empty() && mac.eq_ignore_ascii_case(device))
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
        self.store.update(&self.config.key, |site| site.begin_kick(&session, Moment::now()));
        // After the cookies: with one left the device logs straight back in.
        if let Err(error) = client.call(hotspot::remove_session(id), self.config.query_timeout).await {
            self.store.update(&self.config.key, SiteState::kick_failed);
            return Err(if error.is_missing_item() { ActionError::Gone } else { error.into() });
        }
        // It is done, whether all that came of it is told or not.
        let still = client.call(hotspot::sessions_of(user), self.config.query_timeout).await;
        let still =
            still.ok().filter(|reply| reply.traps.is_empty() && !reply.is_truncated).map(|reply| reply.rows);
        let at = |id: &[u8]| still.iter().flatten().find(|row| row.get(".id") == Some(id));
        // One removal may have ended all sessions of that user.
        let is_gone = |other: &[u8]| other != id && still.is_some() && at(other).is_none();
        let others = of_user.iter().filter(|row| row.get(".id").is_some_and(is_gone)).map(read);
        let removed: Vec<Session> = std::iter::once(session.clone()).chain(others).collect();
        let back = at(id);
        self.took_out(&removed, back);
        Ok(Kicked { removed, cookies: gone, is_back: still.is_some().then_some(back.is_some()) })
    }

    /// Some of the users. All ids are asked for, which are short, and then these users alone:
    /// a list of ten thousand is megabytes.
    async fn users(&self, page: &PageRequest) -> Result<UserPage, ActionError> {
        let client = self.client()?;
        let known = self.hotspot().and_then(|hotspot| hotspot.configured_users);
        if let Some(count) = known.filter(|&count| count > MAX_ROWS as u64) {
            // More would end the connection.
            let message = format!("the router has {count} users; up to {MAX_ROWS} are listed");
            let hint = "On the router: /ip hotspot user print";
            return Err(Error { hint, ..Error::new(Cause::Protocol, message) }.into());
        }
        let all = client.call(hotspot::user_ids(), self.config.query_timeout).await.and_then(uncut)?;
        let mut ids: Vec<&[u8]> = all.rows.iter().filter_map(|row| row.get(".id")).collect();
        let total = ids.len();
        // One that is too long to be kept whole can't be asked for.
        ids.retain(|id| id.len() <= MAX_ID);
        // Numbers in hex: the longer is the greater, so that a user that is gone still has its place.
        let order = |id: &[u8]| (id.len(), id.to_ascii_uppercase());
        ids.sort_by_cached_key(|id| order(id));
        if let Some(after) = &page.after {
            let after = order(after.as_bytes());
            ids.retain(|id| order(id) > after);
        }
        let has_more = ids.len() > page.limit;
        ids.truncate(page.limit);
        // Of the last that was asked for: it may be gone by now, and others may not.
        let last = ids.last().map(|id| String::from_utf8_lossy(id).into_owned());
        let mut users = Vec::new();
        for rows in self.ask(&client, ids.chunks(MAX_NAMED).map(hotspot::users).collect()).await {
            let rows = rows?;
            let rows = rows.iter().filter(|row| row.get(".id").is_some_and(|id| id.len() <= MAX_ID));
            users.extend(rows.map(|row| User::read(row, self.config.codepage)));
        }
        users.sort_by_cached_key(|user| order(user.id.as_bytes()));
        Ok(UserPage { users, total, next: last.filter(|_| has_more) })
    }

    /// These sessions are gone, as the router has said, and where the first of them is `back`, so is that.
    fn took_out(&self, removed: &[Session], back: Option<&Sentence>) {
        let dead = |session: &Session| {
            let mut change = Sentence::from_words(["!re"]);
            change.push_attribute(b".id", session.id.bytes());
            change.push_attribute(b".dead", b"true");
            change
        };
        self.store.update(&self.config.key, |site| {
            site.kicks += removed.len() as u64;
            let Some(reading) = site.hotspot_reading().cloned() else { return };
            // A `listen` tells who is back, and perhaps has.
            let (first, back) = if reading.is_live { (usize::from(back.is_some()), None) } else { (0, back) };
            let known = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
            let is_known = |session: &&Session| {
                known
                    .iter()
                    .any(|known| known.id == session.id && known.is_same(session, self.config.query_timeout))
            };
            let gone = removed[first..].iter().filter(is_known).map(dead);
            let changes: Vec<Sentence> = gone.chain(back.cloned()).collect();
            if let Ok(reading) = reading.followed(&changes, Moment::now(), self.config.codepage) {
                site.put(reading);
            }
        });
    }

    /// Asks all in one write. An item that the router lacks has no rows.
    async fn ask(&self, client: &Client, commands: Vec<Command>) -> Vec<Result<Vec<Sentence>, Error>> {
        let answers = client.call_all(commands, self.config.query_timeout).await;
        let rows = answers.into_iter().map(|answer| match answer {
            Err(error) if error.is_missing_item() => Ok(Vec::new()),
            answer => answer.and_then(uncut).map(|reply| reply.rows),
        });
        rows.collect()
    }

    fn client(&self) -> Result<Client, ActionError> {
        let client = self.client_slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.ok_or_else(|| {
            let snapshot = self.store.snapshot();
            let error = match snapshot.site(&self.config.key).map(|site| &site.connection) {
                Some(ConnectionState::Offline { error, .. }) => error.clone(),
                _ => Error::new(Cause::Unreachable, "the router has not answered yet"),
            };
            ActionError::Router(error)
        })
    }

    fn hotspot(&self) -> Option<Hotspot> {
        self.store.snapshot().site(&self.config.key)?.hotspot().cloned()
    }
}

/// The reply, unless it is only the first of more: what is asked for by hand is shown whole or not at all.
fn uncut(reply: Reply) -> Result<Reply, Error> {
    let why = reply.partial().filter(|_| reply.is_truncated);
    why.map_or(Ok(reply), |why| Err(Error::new(Cause::Protocol, why.message)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smol::future::poll_once;

    use super::*;
    use crate::action::SiteHandles;
    use crate::config::Host;
    use crate::plugin::Following;
    use crate::simulator::{Router, Settings};
    use crate::site::{Site, initial_state};
    use crate::state::Reload;

    fn store(config: &config::Site) -> Arc<Store> {
        let store = Store::new(Reload::first(None, Vec::new()));
        store.rearrange(|_| vec![initial_state(config).into()]);
        store.into()
    }

    fn config(port: u16) -> Arc<config::Site> {
        let host = Host { name: "127.0.0.1".into(), port };
        Arc::new(config::Site::new("awka", vec![host], "api-user", config::Secret::new("password".into())))
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_done() {
        let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
        let config = config(router.addr().port());
        let (store, desk) = (store(&config), SiteHandles::new(Duration::from_secs(25)));
        let _site = Site::start(config, store.clone(), desk.open("awka"), Arc::default());
        let all = || PageRequest { after: None, limit: 1 };
        let session = router.sessions().remove(0);
        let kick = Kick { id: session.id, user: session.user, mac: session.mac, forget: false };
        smol::block_on(async {
            let mut events = store.subscribe();
            while !store.snapshot().sites[0].is_online() {
                events.next().await;
            }
            router.set_latency(Duration::from_millis(100));
            let mut before = Box::pin(desk.users("awka", all()));
            assert!(poll_once(&mut before).await.is_none());
            // It waits for the one before it, and then nobody waits for it.
            assert!(poll_once(Box::pin(desk.kick("awka", kick.clone()))).await.is_none());
            before.await.unwrap();
            desk.users("awka", all()).await.unwrap();
            assert_eq!(router.sessions().len(), 23);
            desk.kick("awka", kick).await.unwrap();
            assert_eq!(router.sessions().len(), 22);
        });
    }

    /// The device is back, as a `listen` told, before the end of the session before is brought in.
    #[test]
    fn an_end_is_that_of_the_session_which_was_ended() {
        let config = config(1);
        let store = store(&config);
        let row = |uptime: &str| {
            let uptime = format!("=uptime={uptime}");
            Sentence::from_words(["!re", "=.id=*1", "=user=ada", "=mac-address=M", &uptime])
        };
        let answers = [Ok(Reply { rows: vec![row("0s")], ..Reply::default() }), Ok(Reply::default())];
        let now = Moment::now();
        store.update("awka", |site| {
            let reading = site.hotspot_reading().unwrap().clone();
            let told = Following::Begun(&[]);
            site.put(reading.after(&answers, now, now, config.codepage, told));
        });
        let read = |uptime: &str| Session::read(&row(uptime), &Context::new(now, config.codepage));
        let configured = ConfigCell::new(config.clone());
        let (config, client_slot) = (config.clone(), ClientSlot::default());
        let errands = Jobs { config, configured, store: store.clone(), client_slot };
        let seen = || {
            let snapshot = store.snapshot();
            let hotspot = snapshot.sites[0].hotspot().unwrap();
            (hotspot.sessions.len(), hotspot.counts().logouts, snapshot.sites[0].kicks)
        };
        errands.took_out(&[read("1h")], None);
        assert_eq!(seen(), (1, 0, 1));
        errands.took_out(&[read("0s")], None);
        assert_eq!(seen(), (0, 1, 2));
    }
}
