//! A site with several hosts: failover to a later host, and failback to an earlier one after its recovery.

use std::net::TcpStream;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, program, run_to_end, throughout, until, until_within};
use super::router;

/// Three probes of an earlier host, 600 ms apart, twice over, and a slow machine.
const RETURN: Duration = Duration::from_secs(40);

/// Longer than the three probes that the first return takes, and shorter than the six of the second.
const AFTER_RETURN: Duration = Duration::from_millis(2400);

fn given() -> AgentBuilder {
    AgentBuilder::default().defaults("refresh: \"1s\", query_timeout: \"500ms\", connect_timeout: \"2s\",")
}

/// A site with these hosts, in their order.
fn site(given: AgentBuilder, key: &str, hosts: [&Router; 2]) -> AgentBuilder {
    let [first, second] = hosts.map(Router::addr);
    given.raw_site(key, &format!("hosts: [\"{first}\", \"{second}\"], password: Plain(\"password\")"))
}

/// A router whose port is closed.
fn gone() -> Router {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::NoService));
    // The router closes its port soon, and until then it accepts a connection.
    until("the port is closed", || TcpStream::connect(router.addr()).is_err().then_some(()));
    router
}

/// The site, which must be online without an error.
#[track_caller]
fn healthy_site(agent: &Agent, key: &str) -> Value {
    let stats = agent.stats(key);
    assert_eq!((&stats["status"], &stats["error"]), (&json!("active"), &Value::Null), "{stats:#}");
    assert_eq!(stats["routerStatus"]["isOnline"], true, "{stats:#}");
    let site = agent.json(&format!("/api/sites/{key}"));
    assert_eq!((&site["state"], &site["error"]), (&json!("online"), &Value::Null), "{site:#}");
    site
}

/// Waits until the site uses this router; it must be online all the time.
#[track_caller]
fn wait_until_used(agent: &Agent, key: &str, router: &Router) -> Value {
    let address = json!(router.addr().to_string());
    until_within(RETURN, &format!("{key} uses {address}"), || {
        let site = healthy_site(agent, key);
        (site["address"] == address).then_some(site)
    })
}

/// The address, whether it is in use, and why it failed.
fn hosts(site: &Value) -> Vec<(&str, bool, Option<&str>)> {
    let hosts = site["hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| {
            let address = host["address"].as_str().unwrap();
            (address, host["inUse"].as_bool().unwrap(), host["error"]["cause"].as_str())
        })
        .collect()
}

#[test]
fn second_host_is_used_until_the_first_recovers() {
    let (first, second) = (gone(), router(Settings::default()));
    let addresses = [&first, &second].map(|router| router.addr().to_string());
    let agent = site(given(), "awka", [&first, &second]).start();
    agent.wait_until_active("awka");
    let site = healthy_site(&agent, "awka");
    assert_eq!(hosts(&site), [(&*addresses[0], false, Some("refused")), (&addresses[1], true, None)]);
    assert!(site["hosts"][0]["error"]["hint"].as_str().unwrap().contains("/ip service"), "{site:#}");
    let detour = format!("Connected to {}, because {} fails: ", addresses[1], addresses[0]);
    for path in ["/", "/sites/awka"] {
        let page = agent.page(path);
        assert!(page.contains(&detour), "{path}: expected {detour:?} in {page}");
    }

    let before = first.counters().connections;
    first.set_fault(None);
    let again = format!("{} responds again", addresses[0]);
    let mut seen = [false; 2];
    until_within(RETURN, "the first host is in use", || {
        for (seen, path) in seen.iter_mut().zip(["/", "/sites/awka"]) {
            *seen |= agent.page(path).contains(&again);
        }
        (healthy_site(&agent, "awka")["address"] == addresses[0]).then_some(())
    });
    assert_eq!(seen, [true; 2], "expected the recovery to show before the failback");
    let counters = first.counters();
    assert!(counters.connections >= before + 4, "expected three probes and the failback: {counters:?}");
    throughout(Duration::from_millis(1500), || {
        let site = healthy_site(&agent, "awka");
        assert_eq!(hosts(&site), [(&*addresses[0], true, None), (&addresses[1], false, None)]);
        assert_eq!(
            (first.counters().logins, second.counters().logins),
            (1, 1),
            "expected one login at each host"
        );
    });
    assert_eq!(second.counters().open, 0, "expected no connection to the second host");
    for path in ["/", "/sites/awka"] {
        assert!(!agent.page(path).contains("Connected to"), "{path}");
    }
    let site = agent.json("/api/sites/awka");
    let events = site["connections"].as_array().unwrap();
    let connects: Vec<_> = events.iter().map(|event| (&event["event"], &event["address"])).collect();
    let connected = json!("connected");
    let addresses = addresses.map(|address| json!(address));
    assert_eq!(connects, [(&connected, &addresses[1]), (&connected, &addresses[0])], "{site:#}");
    assert!(!agent.running.err().contains("offline"), "{}", agent.running.err());
}

#[test]
fn failback_needs_three_successful_probes_in_a_row() {
    let (first, second) = (gone(), router(Settings::default()));
    let agent = site(given(), "awka", [&first, &second]).start();
    agent.wait_until_active("awka");
    first.set_fault(None);
    until_within(RETURN, "the first host was tried twice", || {
        healthy_site(&agent, "awka");
        (first.counters().connections == 2).then_some(())
    });
    first.set_fault(Some(Fault::NoService));
    until_within(RETURN, "the first host fails again", || {
        (hosts(&healthy_site(&agent, "awka"))[0].2 == Some("refused")).then_some(())
    });
    let before = first.counters();
    assert_eq!((before.connections, before.logins), (2, 0), "expected no failback");
    first.set_fault(None);
    wait_until_used(&agent, "awka", &first);
    let connections = first.counters().connections - before.connections;
    assert!(connections >= 4, "expected three more probes and the failback: {connections}");
    assert_eq!((first.counters().logins, second.counters().logins), (1, 1));
}

#[test]
fn host_without_sessions_does_not_cause_repeated_failback() {
    let faults = [Fault::Refuse, Fault::Stall, Fault::Fatal, Fault::HalfOpen, Fault::LoginRefused];
    let sites = faults.map(|fault| (fault.name(), fault, gone(), router(Settings::default())));
    let given = given().timing("failback_probe_min", "1500ms").timing("failback_probe_max", "1500ms");
    let given = sites.iter().fold(given, |given, (key, _, first, second)| site(given, key, [first, second]));
    let agent = given.start();
    for (key, fault, first, _) in &sites {
        agent.wait_until_active(key);
        first.set_fault(Some(*fault));
    }
    // A failed failback costs the second host one more login.
    until_within(RETURN, "each host was tried for a failback", || {
        for (key, ..) in &sites {
            healthy_site(&agent, key);
        }
        sites.iter().all(|(.., second)| second.counters().logins == 2).then_some(())
    });
    // The next failback takes six probes; a slow machine may need some to see the first.
    throughout(Duration::from_secs(5), || {
        for (key, _, first, second) in &sites {
            let site = healthy_site(&agent, key);
            assert_eq!(site["address"], second.addr().to_string(), "{site:#}");
            let (first, second) = (first.counters(), second.counters());
            assert!(first.logins + first.logins_refused <= 1, "{key}: {first:?}");
            assert_eq!(second.logins, 2, "{key}: {second:?}");
        }
    });
}

/// The first host accepts logins and replies, and then its connection dies.
#[test]
fn host_with_short_sessions_is_deprioritized() {
    let [first, second] = [router(Settings::default()), router(Settings::default())];
    let agent = site(given(), "awka", [&first, &second]).start();
    agent.wait_until_active("awka");
    assert_eq!(first.counters().logins, 1);
    let address = json!(second.addr().to_string());
    first.reboot();
    until_within(RETURN, "the second host is in use", || {
        (agent.json("/api/sites/awka")["address"] == address).then_some(())
    });
    assert_eq!((first.counters().logins, second.counters().logins), (1, 1));
    // The failback happens when it has accepted connections for a while.
    wait_until_used(&agent, "awka", &first);
    first.reboot();
    until_within(RETURN, "the second host is in use", || {
        (agent.json("/api/sites/awka")["address"] == address).then_some(())
    });
    throughout(AFTER_RETURN, || {
        healthy_site(&agent, "awka");
    });
    assert_eq!(
        (first.counters().logins, second.counters().logins),
        (2, 2),
        "expected twice as many probes before the next failback"
    );
}

/// The user may log in from some addresses only, and the first host is reached from another.
#[test]
fn second_host_is_used_if_the_first_refuses_the_login() {
    let [first, second] = [gone(), router(Settings::default())];
    let agent = site(given(), "awka", [&first, &second]).start();
    agent.wait_until_active("awka");
    first.set_fault(Some(Fault::LoginRefused));
    for _ in 0..2 {
        second.reboot();
        let logins = second.counters().logins;
        until_within(RETURN, "the second host is in use again", || {
            (second.counters().logins > logins).then_some(())
        });
        agent.wait_until_active("awka");
    }
    assert!(first.counters().logins_refused >= 1, "expected the first host to be tried");
}

/// The two routers of a site have different certificates.
#[test]
fn each_host_can_have_its_own_pin() {
    let [first, second] = [(); 2].map(|()| router(Settings { tls: true, ..Settings::default() }));
    second.set_fault(Some(Fault::OtherCertificate));
    let pins = [&first, &second].map(|router| router.fingerprint().unwrap());
    assert_ne!(pins[0], pins[1]);
    let [one, both, crossed] =
        [format!("{:?}", pins[0]), format!("{pins:?}"), format!("[{:?}, {:?}]", pins[1], pins[0])];
    let hosts =
        format!("hosts: [\"{}\", \"{}\"], password: Plain(\"password\")", first.addr(), second.addr());
    let given = [("one", &one), ("both", &both), ("crossed", &crossed)]
        .into_iter()
        .fold(given(), |given, (key, pins)| given.raw_site(key, &format!("{hosts}, tls: Pin({pins})")));
    let (command, folder) = given.command();
    let agent = Agent::start(command);
    agent.wait_until_active("one");
    agent.wait_until_active("both");
    wait_until_used(&agent, "one", &first);
    wait_until_used(&agent, "both", &first);
    agent.wait_for_error("crossed", "tls_pin");
    // Each step of the connection test finds the expected certificate.
    let mut test = program(["test", "both"]);
    test.current_dir(folder.path());
    let tested = run_to_end(test);
    assert_eq!(tested.code, Some(0), "{}{}", tested.out, tested.err);
    assert!(pins.iter().all(|pin| tested.out.contains(pin)), "{}", tested.out);

    first.set_fault(Some(Fault::NoService));
    let address = second.addr().to_string();
    until_within(RETURN, "the second host is in use", || {
        (agent.json("/api/sites/both")["address"] == address).then_some(())
    });
    agent.wait_for_error("one", "tls_pin");
    first.set_fault(None);
    wait_until_used(&agent, "both", &first);
}
