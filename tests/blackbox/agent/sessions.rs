//! `/api/sessions`: active sessions of all sites.

use phsweb_agent::simulator::Row;
use serde_json::{Value, json};

use super::agent::{Agent, until};
use super::journal::{given, router_with_people};
use crate::support::router_on_unique_host;

const LEASE: &str = "/ip/dhcp-server/lease";

/// The names of the sessions that a query finds.
fn users(agent: &Agent, query: &str) -> Vec<String> {
    let answer = agent.json(&format!("/api/sessions?{query}"));
    let sessions = answer["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["user"].as_str().unwrap().to_string()).collect()
}

#[test]
fn sessions_are_searched_sorted_and_paged() {
    let router = router_with_people();
    let lease = |n: u8, name: &str| {
        let row = Row::new().id(&format!("*{n}")).with("mac-address", format!("8C:F5:A3:00:00:0{n}"));
        row.with("host-name", name.to_string())
    };
    router.set_rows(LEASE, vec![lease(1, "Galaxy"), lease(2, "iPhone")]);
    let agent = given(&router)
        .plugin("leases", &format!("menu: \"{LEASE}\", columns: [\"mac-address\", \"host-name\"]"))
        .site("lagos", router.addr(), "collect: [\"hotspot\", \"leases\"],")
        .start()
        .with_token("admin-token-01234");
    until("both sites are read", || {
        let sessions = agent.json("/api/sessions?site=lagos&q=galaxy");
        let all = agent.json("/api/sessions");
        (all["total"] == 8 && sessions["total"] == 1).then_some(())
    });
    for (query, expected) in [
        ("site=awka&sort=user", "=1+1 ada bola chidi"),
        ("site=awka&sort=-user", "chidi bola ada =1+1"),
        ("site=awka&sort=-uploadBytes", "chidi ada bola =1+1"),
        ("site=awka&sort=downloadBytes", "bola =1+1 chidi ada"),
        ("site=awka&sort=address&limit=2", "ada bola"),
        ("site=lagos&sort=device", "ada bola chidi =1+1"),
        // Unknown values are last in either order.
        ("site=lagos&sort=-device&limit=3", "bola ada chidi"),
        ("sort=user&q=IPHONE", "bola"),
        ("q=10.5.70.3", "chidi chidi"),
        ("q=hotspot1", ""),
    ] {
        assert_eq!(users(&agent, query).join(" "), expected, "{query}");
    }
    for sort in ["site", "-downloadBytes", "device", "-loginTime", "downloadRate", "-address"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = agent.json(&format!("/api/sessions?sort={sort}&limit=3{after}"));
            let of = |session: &Value| format!("{} {}", session["site"], session["id"]);
            seen.extend(page["sessions"].as_array().unwrap().iter().map(of));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((count, seen.len()), (8, 8), "{sort}");
    }
    for query in ["sort=name", "sort=-", "site=abuja", "after=zz", "limit=-1", "format=html"] {
        assert_eq!(agent.get(&format!("/api/sessions?{query}")).status, 400, "{query}");
    }
    let csv = agent.get("/api/sessions?site=lagos&q=galaxy&format=csv");
    let mut lines = csv.body.lines();
    let header = "site,id,user,mac,address,device,server,loginTime,uptimeSeconds,uploadBytes,downloadBytes,uploadRate,downloadRate";
    assert_eq!(lines.next(), Some(header));
    let row = lines.next().unwrap();
    let start = "lagos,*A054601,ada,8C:F5:A3:00:00:01,10.5.70.1,Galaxy,hotspot1,2";
    assert!(row.starts_with(start) && row.contains("Z,3600,1000,20000,"), "{row}");
}

#[test]
fn a_site_that_is_offline_is_left_out() {
    let router = router_with_people();
    let other = router_on_unique_host(phsweb_agent::simulator::Settings::default());
    let agent = given(&router).site("lagos", other.addr(), "").start().with_token("admin-token-01234");
    let of_lagos = |answer: &Value| {
        let sessions = answer["sessions"].as_array().unwrap();
        sessions.iter().filter(|session| session["site"] == "lagos").count()
    };
    until("both sites are read", || {
        let answer = agent.json("/api/sessions?limit=1000");
        (answer["unavailable"] == json!([]) && of_lagos(&answer) > 0).then_some(())
    });
    drop(other);
    until("its sessions are left out", || {
        let answer = agent.json("/api/sessions?limit=1000");
        (answer["unavailable"] == json!(["lagos"]) && of_lagos(&answer) == 0 && answer["total"] == 4)
            .then_some(())
    });
}
