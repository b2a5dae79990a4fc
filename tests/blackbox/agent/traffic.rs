//! Traffic rates, and totals since midnight, which never decrease.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use phsweb_agent::simulator::Settings;
use serde_json::Value;

use super::agent::{AgentBuilder, until};
use super::router;
use crate::support::reloading_agent::ReloadingAgent;

const TOKEN: &str = "admin-token-01234";

fn given(at: SocketAddr, defaults: &str) -> AgentBuilder {
    AgentBuilder::default()
        .http(&format!("admin: Token(Plain(\"{TOKEN}\")),"))
        .defaults(&format!("refresh: \"1s\", {defaults}"))
        .site("awka", at, "name: \"Awka\"")
}

/// A site's figures at each look. The totals must not decrease from one to the next.
struct Watched<'a> {
    agent: &'a ReloadingAgent,
    last: RefCell<Value>,
}

impl Watched<'_> {
    fn look(&self) -> Value {
        let stats = self.agent.stats("awka");
        let mut last = self.last.borrow_mut();
        for field in ["uploadBytes", "downloadBytes", "logins", "peakUsers"] {
            let (before, now) = (&last["today"][field], &stats["today"][field]);
            assert!(before.as_u64() <= now.as_u64(), "{field} fell from {before} to {now}: {last} {stats}");
        }
        let (upload, download) = (&stats["uploadRate"], &stats["downloadRate"]);
        assert_eq!(upload.is_null(), download.is_null(), "{stats}");
        assert!(stats["state"] == "online" || upload.is_null(), "expected no old rates: {stats}");
        *last = stats.clone();
        stats
    }

    #[track_caller]
    fn until(&self, what: &str, is_true: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.look()).filter(&is_true))
    }
}

/// A rate needs five seconds, so this takes longer than most tests.
#[test]
fn totals_of_today_never_decrease_and_rates_span_two_reads() {
    let router =
        router(Settings { active: 20, users: 100, churn: Duration::from_millis(50), ..Settings::default() });
    let mut agent = ReloadingAgent::start(&given(router.addr(), ""));
    agent.agent = agent.agent.with_token(TOKEN);
    let first = agent.wait_until_active("awka");
    assert!(first["uploadRate"].is_null(), "expected no rate after one read: {first}");
    assert!(first["today"]["peakUsers"].as_u64() >= Some(1), "{first}");
    let watched = Watched { agent: &agent, last: RefCell::new(first) };

    let busy = watched.until("sessions end", |stats| stats["logouts"].as_u64() >= Some(5));
    assert!(busy["today"]["logins"].as_u64() >= Some(1), "{busy}");
    let uptime = busy["routerStatus"]["uptimeSeconds"].as_u64();
    router.reboot();
    watched.until("the router is back", |stats| {
        stats["status"] == "active" && stats["routerStatus"]["uptimeSeconds"].as_u64() < uptime
    });
    agent.save(&given(router.addr(), "collect: [\"resource\"],"));
    watched.until("the hotspot is not collected", |stats| stats["fetchedAt"].is_null());
    agent.save(&given(router.addr(), ""));
    let before = watched.until("it is collected again", |stats| !stats["fetchedAt"].is_null());
    assert!(before["logins"].as_u64() < busy["logins"].as_u64(), "expected new counts: {before}");

    let stats = watched.until("the rates are known", |stats| !stats["uploadRate"].is_null());
    assert!(stats["today"]["downloadBytes"].as_u64() > before["today"]["downloadBytes"].as_u64(), "{stats}");
    assert!(stats["downloadRate"].as_u64() > Some(0), "{stats}");
    let page = agent.page("/");
    for shown in ["<dt>Traffic today</dt><dd>↓ ", "bit/s</dd>", " today at "] {
        assert!(page.contains(shown), "expected {shown:?} in {page}");
    }
    let active = until("a session has rates", || {
        let active = agent.json("/api/sessions");
        active["sessions"].as_array()?.iter().find(|session| !session["uploadRate"].is_null()).cloned()
    });
    // The simulated users download between 9 and 400 kB/s.
    let rate = active["downloadRate"].as_u64().unwrap();
    assert!((50_000..4_000_000).contains(&rate), "{active}");
}
