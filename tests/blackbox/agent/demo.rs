//! `demo`: three sites with people who are online at once.

use std::time::Duration;

use serde_json::Value;

use super::agent::{Agent, program, run_to_end, until, until_within};
use super::browser::Browser;

/// Upper bound of the start.
const START: Duration = Duration::from_secs(2);

fn keys(stats: &Value) -> Vec<&str> {
    stats.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn people_are_online_within_two_seconds_and_counters_grow() {
    let began = std::time::Instant::now();
    let agent = Agent::demo(&[]);
    let left = START.saturating_sub(began.elapsed());
    let first = until_within(left, "every site has people", || {
        let stats = agent.json("/api/hotspot/stats");
        let all = stats.as_object().unwrap().values().all(|site| site["activeUsers"].as_u64().unwrap() > 0);
        all.then_some(stats)
    });
    assert_eq!(keys(&first), ["abuja", "awka", "lagos"]);
    for (key, site) in first.as_object().unwrap() {
        assert_eq!(site["status"], "active", "{key}");
        assert_eq!(site["routerStatus"]["isOnline"], true, "{key}");
        assert!(site["totalUsers"].as_u64() >= site["activeUsers"].as_u64(), "{key}: {site}");
        let sum = |stats: &Value| stats[key]["totalBytesOut"].as_u64().unwrap();
        until(&format!("{key}: the download grows"), || {
            (sum(&agent.json("/api/hotspot/stats")) > sum(&first)).then_some(())
        });
    }
}

#[test]
fn page_shows_each_site_with_its_figures() {
    let agent = Agent::demo(&[]);
    for key in ["awka", "lagos", "abuja"] {
        agent.wait_until_active(key);
    }
    until("page and JSON agree", || {
        // A refresh may happen between the two.
        let (page, stats) = (agent.page("/"), agent.json("/api/hotspot/stats"));
        let shown = stats.as_object().unwrap().values().all(|site| {
            let users = format!(
                "<dd>{} <small>of {} configured</small>",
                site["activeUsers"].as_u64().unwrap(),
                site["totalUsers"].as_u64().unwrap()
            );
            let version = format!("RouterOS {}", site["routerStatus"]["version"].as_str().unwrap());
            page.contains(site["name"].as_str().unwrap()) && page.contains(&users) && page.contains(&version)
        });
        shown.then_some(())
    });
    let page = agent.page("/");
    for word in ["Awka", "Lagos", "Abuja", "Upload", "Download", "Memory", "Uptime", "CPU", "Online"] {
        assert!(page.contains(word), "expected {word:?} in {page}");
    }
    assert!(agent.page("/sites/lagos").contains("<h1>Lagos</h1>"));
}

#[test]
fn demo_has_the_requested_number_of_sites() {
    let agent = Agent::demo(&["--sites", "7"]);
    let stats = agent.json("/api/hotspot/stats");
    let keys = keys(&stats);
    assert_eq!(keys.len(), 7, "{keys:?}");
    for key in keys {
        agent.wait_until_active(key);
    }
    assert_eq!(Agent::demo(&["--sites", "1"]).json("/api/sites").as_object().unwrap().len(), 1);
}

#[test]
fn admin_token_in_the_environment_enables_details() {
    let mut command = program(["demo", "--listen", "127.0.0.1:0", "--sites", "1"]);
    command.env("PHSWEB_ADMIN_TOKEN", "open-sesame-01234");
    let agent = Agent::start(command);
    let online = agent.wait_until_active("awka")["activeUsers"].as_u64().unwrap();
    assert_eq!(agent.get("/api/hotspot/awka/active").status, 401);
    let agent = agent.with_token("open-sesame-01234");
    let people = agent.json("/api/hotspot/awka/active").as_array().unwrap().len() as u64;
    assert!(people > 0 && people.abs_diff(online) < 10, "expected about {online} people, got {people}");
}

#[test]
fn the_printed_link_logs_in_the_admin() {
    let agent = Agent::demo(&["--sites", "1"]);
    agent.wait_until_active("awka");
    let link = agent.running.line("Log in as the admin: ");
    let path = link.strip_prefix(&format!("http://{}", agent.address)).unwrap().to_string();
    let token = path.strip_prefix("/login?token=").unwrap().to_string();
    assert!(token.len() >= 32, "{path}");
    assert_eq!(agent.get("/api/hotspot/awka/active").status, 401, "expected a viewer without the link");
    assert_eq!(agent.get(&path.replace(&token, "wrong-token-0123456789")).status, 401);

    let mut browser = Browser::new([127, 0, 0, 1]);
    let page = browser.get(&agent, &path);
    assert_eq!((page.status, page.field("Location")), (303, "./"), "{page:?}");
    assert!(
        page.field("Set-Cookie").contains("HttpOnly") && page.field("Cache-Control").contains("no-store")
    );
    assert_eq!(browser.get(&agent, "/api/hotspot/awka/active").status, 200);
    assert!(!agent.running.err().contains(&token), "{}", agent.running.err());
    assert_eq!(agent.with_token(&token).get("/api/hotspot/awka/active").status, 200);
}

#[test]
fn a_login_link_is_refused_without_a_demo_token() {
    let mut command = program(["demo", "--listen", "127.0.0.1:0", "--sites", "1"]);
    command.env("PHSWEB_ADMIN_TOKEN", "open-sesame-01234");
    let agent = Agent::start(command);
    let page = agent.get("/login?token=open-sesame-01234");
    assert_eq!((page.status, page.field("Set-Cookie")), (200, ""), "{page:?}");
    assert!(!agent.running.out().contains("/login?"), "{}", agent.running.out());
}

#[test]
fn a_demo_with_problems_has_a_site_for_each_problem() {
    let agent = Agent::demo(&["--sites", "1", "--trouble"]);
    let site = |key: &str| agent.json(&format!("/api/sites/{key}"));
    assert_eq!(keys(&agent.json("/api/hotspot/stats")), ["awka", "enugu", "jos", "kano"]);
    until("enugu is down", || (site("enugu")["state"] == "offline").then_some(()));
    assert!(agent.json("/api/hotspot/enugu")["lastKnown"]["activeUsers"].as_u64() > Some(0));
    until("jos reboots", || (site("jos")["error"]["cause"] == "rebooting").then_some(()));
    until("the pool of kano is exhausted", || {
        let pools = &site("kano")["capacity"]["pools"];
        pools.as_array()?.iter().any(|pool| pool["usedRatio"] == 1.0).then_some(())
    });
    let url = format!("http://{}", agent.address);
    let status = run_to_end(program(["status", "--url", &url]));
    assert_eq!(status.code, Some(1), "{}{}", status.out, status.err);
    assert!(status.out.lines().any(|line| line.starts_with("enugu  offline")), "{}", status.out);
}
