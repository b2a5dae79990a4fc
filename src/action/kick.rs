//! Kick: ends a session of a hotspot user, provided that it is still the session that was shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, ActionError, JobQueue, ask, parse_object, quoted};
use crate::clock::Moment;
use crate::config;
use crate::plugin::hotspot::command as hotspot;
use crate::plugin::{ReadContext, Session};
use crate::routeros::client::Client;
use crate::routeros::error::Error;
use crate::routeros::rows::Rows;
use crate::routeros::wire::{Sentence, SentenceRef};
use crate::site::SiteContext;
use crate::state::SiteState;

/// Maximum number of cookies of one device that a kick removes. A device has one for each user that it logged in as.
const MAX_COOKIES: usize = 32;

/// The session has ended already.
pub const GONE: ActionError = ActionError::Gone("The session has already ended.");

/// The id belongs to another session.
const CHANGED: ActionError = ActionError::Conflict(
    "This id now belongs to another session: another user or device, or a new login. Reload the list.",
);

/// A session to end. The id alone does not identify it: RouterOS gives it to the next session at that address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// The session's `.id`.
    pub id: String,
    /// Its user, as it was shown.
    pub user: String,
    /// Its MAC address, as it was shown; empty if it had none.
    pub mac: String,
    /// Whether to remove the cookies of that user and device, too, so that the device can't log in again at once.
    #[serde(default)]
    pub forget: bool,
}

/// The outcome of a kick.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kicked {
    /// The session, and others of that user that ended with it.
    removed: Vec<RemovedSession>,
    cookies_removed: usize,
    /// Whether the device has logged in again, for example by a cookie. Null if the router did not report it.
    pub logged_back_in: Option<bool>,
}

#[derive(Debug, Serialize)]
struct RemovedSession {
    id: String,
    user: String,
    mac: String,
    address: String,
    server: String,
}

impl Action for Kick {
    type Outcome = Kicked;
    const NAME: &'static str = "kick";
    const QUEUE: JobQueue = JobQueue::Connection;

    fn parse(body: &[u8]) -> Result<Self, String> {
        let expected =
            r#"{"id": "*A053202", "user": "…", "mac": "…"}, and "forget": true to remove its cookies, too"#;
        parse_object(body, expected)
    }

    fn arguments(&self) -> String {
        format!(" user={} mac={} session={}", quoted(&self.user), quoted(&self.mac), quoted(&self.id))
    }

    fn result(kicked: &Kicked) -> String {
        let back = kicked.logged_back_in.map_or("unknown", |is_back| if is_back { "yes" } else { "no" });
        format!("removed sessions={} cookies={} back={back}", kicked.removed.len(), kicked.cookies_removed)
    }

    async fn job(self, site: Arc<SiteContext>, requested_at: Moment) -> Result<Kicked, ActionError> {
        let (client, config) = (site.client()?, site.config());
        // Id and name in the router's original bytes.
        let is_requested = |known: &&Session| known.id() == self.id && known.user() == self.user;
        let known = site.hotspot(|hotspot| hotspot.sessions.iter().find(is_requested).cloned()).flatten();
        let id = known.as_ref().map_or(self.id.as_bytes(), Session::id_bytes);
        let user = known.as_ref().map_or(self.user.as_bytes(), Session::user_bytes);

        let queries = vec![hotspot::session_at(id), hotspot::sessions_of(user)];
        let mut answers = ask(&client, queries, config.query_timeout).await.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(Rows::default()));
        let (at_id, of_user) = (next()?, next()?);
        // Some routers ignore a query by id, so the row is also searched among the sessions of the user.
        let row = at_id.iter().chain(of_user.iter()).find(|row| row.get(".id") == Some(id)).ok_or(GONE)?;
        let read = |row: SentenceRef| Session::read(row, &ReadContext::new(Moment::now(), config.codepage));
        let session = read(row);
        self.check(&session, requested_at)?;

        // The router's own values, because the texts of a kept session may be shortened.
        let own = |key: &str| row.get(key).unwrap_or_default();
        let (user, device) = (own("user"), own("mac-address"));
        // Cookies are removed before the session: with a remaining cookie the device would log in again at once.
        let cookies_removed =
            if self.forget { remove_cookies(&client, &config, user, device).await? } else { 0 };
        if cookies_removed > 0 {
            // It may have ended meanwhile, and its id may belong to another session.
            let rows = client.call(hotspot::sessions_of(user), config.query_timeout).await?.rows;
            let row = rows.iter().find(|row| row.get(".id") == Some(id)).ok_or(GONE)?;
            self.check(&read(row), requested_at)?;
        }
        site.update(|site| site.begin_kick(&session, Moment::now()));
        if let Err(error) = client.call(hotspot::remove_session(id), config.query_timeout).await {
            site.update(SiteState::kick_failed);
            return Err(if error.is_missing_item() { GONE } else { error.into() });
        }
        // The session has ended, even if the next query fails.
        let left = client.call(hotspot::sessions_of(user), config.query_timeout).await;
        let left =
            left.ok().filter(|reply| reply.traps.is_empty() && !reply.is_truncated).map(|reply| reply.rows);
        let at = |id: &[u8]| left.iter().flat_map(Rows::iter).find(|row| row.get(".id") == Some(id));
        // The removal of one session may have ended all sessions of that user.
        let is_gone = |other: &[u8]| other != id && left.is_some() && at(other).is_none();
        let others = of_user.iter().filter(|row| row.get(".id").is_some_and(is_gone)).map(read);
        let removed: Vec<Session> = std::iter::once(session.clone()).chain(others).collect();
        let back = at(id);
        record_removal(&site, &config, &removed, back);
        Ok(Kicked {
            removed: removed.iter().map(RemovedSession::from).collect(),
            cookies_removed,
            logged_back_in: left.is_some().then_some(back.is_some()),
        })
    }
}

impl Kick {
    /// Checks that a session is the one that was shown when the kick was requested.
    fn check(&self, session: &Session, requested_at: Moment) -> Result<(), ActionError> {
        let mac = session.mac().unwrap_or_default();
        let is_shown = session.user() == self.user && mac.eq_ignore_ascii_case(&self.mac);
        // Only automatic logins after the request are refused: a cookie logs a device in again within a second. A person
        // takes longer; a login by hand only seems to be later than the request, because RouterOS reports whole seconds.
        let is_new_login =
            session.logged_in_automatically() && session.login.is_some_and(|login| login > requested_at);
        if is_shown && !is_new_login { Ok(()) } else { Err(CHANGED) }
    }
}

impl From<&Session> for RemovedSession {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id().into(),
            user: session.user().into(),
            mac: session.mac().unwrap_or_default().into(),
            address: session.address().unwrap_or_default().into(),
            server: session.server().unwrap_or_default().into(),
        }
    }
}

/// Removes a user's cookies on a device and returns their number.
async fn remove_cookies(
    client: &Client,
    config: &config::Site,
    user: &[u8],
    device: &[u8],
) -> Result<usize, Error> {
    let cookies = client.call(hotspot::cookies_of(user), config.query_timeout).await?.rows;
    let of_device = |row: &SentenceRef| {
        row.get("mac-address").is_some_and(|mac| !mac.is_empty() && mac.eq_ignore_ascii_case(device))
    };
    let ids = cookies.iter().filter(of_device).filter_map(|row| row.get(".id")).take(MAX_COOKIES);
    let removals = ids.map(hotspot::remove_cookie).collect();
    let mut count = 0;
    for removed in ask(client, removals, config.query_timeout).await {
        match removed {
            Ok(_) => count += 1,
            Err(error) if error.is_missing_item() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Records in the site's state that these sessions have ended, and `back`, the new session of the first one, if it
/// exists.
fn record_removal(site: &SiteContext, config: &config::Site, removed: &[Session], back: Option<SentenceRef>) {
    let dead = |session: &Session| {
        let mut change = Sentence::from_words(["!re"]);
        change.push_attribute(b".id", session.id_bytes());
        change.push_attribute(b".dead", b"true");
        change
    };
    site.update(|site| {
        site.kicks += removed.len() as u64;
        let Some(reading) = site.hotspot_reading().cloned() else { return };
        // If `listen` is active, it reports the new session with the same id. The session that was removed is then
        // skipped, because its id is already that of the new one.
        let (first, back) = if reading.is_live { (usize::from(back.is_some()), None) } else { (0, back) };
        let known = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
        let is_known = |session: &&Session| {
            let at_id = known.iter().find(|known| known.id_bytes() == session.id_bytes());
            at_id.is_some_and(|known| known.is_same(session, config.query_timeout))
        };
        let gone = removed[first..].iter().filter(is_known).map(dead);
        let mut changes: Rows = gone.collect();
        if let Some(back) = back {
            changes.push(back);
        }
        if let Ok(reading) = reading.followed(&changes, Moment::now(), config.codepage) {
            site.put(reading);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smol::future::poll_once;

    use super::*;
    use crate::action::users::{PageRequest, list_users};
    use crate::action::{SiteHandles, run};
    use crate::config::{Changes, Config, Host};
    use crate::plugin::Following;
    use crate::routeros::client::Reply;
    use crate::simulator::{Router, Settings};
    use crate::site::Sites;
    use crate::state::{Reload, Store};

    fn store() -> Arc<Store> {
        Store::new(Reload::first(None, Vec::new())).into()
    }

    fn config(port: u16) -> Arc<config::Site> {
        let host = Host { name: "127.0.0.1".into(), port };
        Arc::new(config::Site::new("awka", vec![host], "api-user", config::Secret::new("password".into())))
    }

    #[test]
    fn an_abandoned_request_is_not_carried_out() {
        let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
        let (store, handles) = (store(), Arc::new(SiteHandles::new(Duration::from_secs(25))));
        let mut sites = Sites::new(store.clone(), handles.clone(), Arc::default());
        let none = Config::default();
        let all = Config { sites: vec![config(router.addr().port())], ..none.clone() };
        smol::block_on(sites.apply(&Changes::between(&none, &all), &all));
        let page = || PageRequest { after: None, limit: 1 };
        let session = router.sessions().remove(0);
        let kick = Kick { id: session.id, user: session.user, mac: session.mac, forget: false };
        smol::block_on(async {
            let mut events = store.subscribe();
            while !store.snapshot().sites[0].is_online() {
                events.next().await;
            }
            router.set_latency(Duration::from_millis(100));
            let mut before = Box::pin(list_users(&handles, "awka", page()));
            assert!(poll_once(&mut before).await.is_none());
            // This request waits for the previous one, and its caller is dropped meanwhile.
            assert!(poll_once(Box::pin(run(&handles, "awka", kick.clone()))).await.is_none());
            before.await.unwrap();
            list_users(&handles, "awka", page()).await.unwrap();
            assert_eq!(router.sessions().len(), 23);
            run(&handles, "awka", kick).await.unwrap();
            assert_eq!(router.sessions().len(), 22);
        });
    }

    /// `listen` reports the new session of the device before the end of the earlier one is recorded.
    #[test]
    fn only_the_session_that_was_removed_is_recorded_as_ended() {
        let (config, store) = (config(1), store());
        let state = SiteState::new("awka", "Awka", config.refresh, [], config.plugins.iter().cloned());
        store.rearrange(|_| vec![state.into()]);
        let row = |uptime: &str| {
            let uptime = format!("=uptime={uptime}");
            Sentence::from_words(["!re", "=.id=*1", "=user=ada", "=mac-address=M", &uptime])
        };
        let answers =
            [Ok(Reply { rows: [row("0s")].into_iter().collect(), ..Reply::default() }), Ok(Reply::default())];
        let now = Moment::now();
        store.update("awka", |site| {
            let reading = site.hotspot_reading().unwrap().clone();
            let changes = Rows::default();
            site.put(reading.after(&answers, now, now, config.codepage, Following::Begun(&changes)));
        });
        let read = |uptime: &str| Session::read(&row(uptime), &ReadContext::new(now, config.codepage));
        let site = SiteContext::new(config.clone(), store.clone(), Arc::default());
        let seen = || {
            let snapshot = store.snapshot();
            let hotspot = snapshot.sites[0].hotspot().unwrap();
            (hotspot.sessions.len(), hotspot.counts().logouts, snapshot.sites[0].kicks)
        };
        record_removal(&site, &config, &[read("1h")], None);
        assert_eq!(seen(), (1, 0, 1));
        record_removal(&site, &config, &[read("0s")], None);
        assert_eq!(seen(), (0, 1, 2));
    }
}
