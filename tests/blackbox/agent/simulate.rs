//! `run --simulate`, the overrides of the environment, and `simulate`.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use phsweb_agent::simulator::{Fault, Login, Router, Settings};
use serde_json::json;

use super::agent::{AgentBuilder, Running, program, run_to_end};
use super::router;

#[test]
fn simulated_routers_replace_those_of_the_file() {
    // What the file names is here, so that a connection to it would show.
    let real = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    real.set_nonblocking(true).unwrap();
    let at = real.local_addr().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "from-a-file\n").unwrap();
    let agent = AgentBuilder::default()
        .http("title: \"Ours\", view: Public, admin: Token(Env(\"PHSWEB_ADMIN_TOKEN\")), max_connections: 64,")
        .defaults("refresh: \"10s\", connect_timeout: \"10s\", query_timeout: \"5s\", live: true, collect: [\"hotspot\", \"resource\", \"health\"],")
        .variable("PHSWEB_ADMIN_TOKEN", "let-me-in-01234567")
        .variable("MIKROTIK_AWKA_PASSWORD", "from-the-environment")
        .raw_site("awka", &format!("name: \"Awka\", hosts: [\"{at}\"], password: Env(\"MIKROTIK_AWKA_PASSWORD\")"))
        .raw_site(
            "lagos",
            &format!(
                "hosts: [\"{at}\", \"192.0.2.1:8729\"], password: File(\"{}\"), refresh: \"10s\", tls: Off, \
                 login: Challenge, codepage: \"windows-1251\", user: \"somebody\", collect: [\"hotspot\", \"resource\"]",
                secret.path().display()
            ),
        )
        .raw_site("abuja-2", "hosts: [\"[2001:db8::1]\", \"router.invalid\"], password: Plain(\"p\")")
        .argument("run")
        .argument("--simulate")
        .start();
    for site in ["awka", "lagos", "abuja-2"] {
        let stats = agent.wait_until_active(site);
        assert!(stats["activeUsers"].as_u64().unwrap() > 0, "{site}: {stats}");
        let address: SocketAddr =
            agent.json(&format!("/api/sites/{site}"))["address"].as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_loopback() && address != at, "{site}: {address}");
    }
    assert_eq!(
        real.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "expected no connection to the real router"
    );
    let page = agent.page("/");
    for text in ["Ours", "Awka", "lagos", "abuja-2"] {
        assert!(page.contains(text), "expected {text:?} in {page}");
    }
    assert_eq!(agent.get("/readyz").status, 200);
    let agent = agent.with_token("let-me-in-01234567");
    assert!(!agent.json("/api/hotspot/lagos/active").as_array().unwrap().is_empty());
}

#[test]
fn environment_overrides_the_file() {
    let settings = Settings { logins: vec![Login::new("other", "better")], ..Settings::default() };
    let (one, two): (Router, Router) = (router(settings.clone()), router(settings));
    let wrong = "hosts: [\"192.0.2.1\"], user: \"nobody\", password: Plain(\"worse\")";
    let given = AgentBuilder::default().raw_site("two-b", wrong).raw_site(
        "one",
        &format!("hosts: [\"{}\"], user: \"other\", password: Plain(\"better\")", one.addr()),
    );
    let agent = given
        .variable("MIKROTIK_TWO_B_HOST", "127.0.0.1")
        .variable("MIKROTIK_TWO_B_PORT", &two.addr().port().to_string())
        .variable("MIKROTIK_TWO_B_USER", "other")
        .variable("MIKROTIK_TWO_B_PASSWORD", "better")
        .start();
    assert_eq!(agent.wait_until_active("two-b")["activeUsers"], 23);
    assert_eq!(agent.json("/api/sites/two-b")["address"], two.addr().to_string());
    agent.wait_until_active("one");
    assert_eq!(
        agent.json("/api/sites/one")["address"],
        one.addr().to_string(),
        "expected the other site to keep its values"
    );
}

#[test]
fn environment_completes_the_file() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default()
        .raw_site("awka", "name: \"Awka\"")
        .variable("MIKROTIK_AWKA_HOST", "127.0.0.1")
        .variable("MIKROTIK_AWKA_PORT", &router.addr().port().to_string())
        .variable("MIKROTIK_AWKA_PASSWORD", "password")
        .start();
    assert_eq!(agent.wait_until_active("awka")["name"], "Awka");
}

#[test]
fn invalid_override_prevents_the_start() {
    for (name, value) in [("MIKROTIK_AWKA_PORT", "api"), ("MIKROTIK_AWKA_HOST", "not a host")] {
        let given =
            AgentBuilder::default().site("awka", ([127, 0, 0, 1], 9).into(), "").variable(name, value);
        let (command, _folder) = given.command();
        let ended = run_to_end(command);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains(name) && ended.err.contains(value), "{}", ended.err);
    }
}

#[test]
fn simulate_serves_the_requested_number_of_routers() {
    let arguments =
        ["simulate", "--routers", "3", "--active", "4", "--users", "9", "--version", "7.11.2", "--port", "0"];
    let simulated = Running::start(&mut program(arguments));
    let addresses: Vec<String> =
        (0..3).map(|_| simulated.line("127.0.0.1:").split_whitespace().next().unwrap().to_string()).collect();
    simulated.line("Log in as");
    let given = addresses.iter().enumerate().fold(AgentBuilder::default(), |given, (n, port)| {
        given.site(&format!("r{n}"), SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())), "")
    });
    let agent = given.start();
    for n in 0..3 {
        let stats = agent.wait_until_active(&format!("r{n}"));
        assert_eq!(stats["totalUsers"], json!(9));
        // People come and go around four.
        assert!((1..=7).contains(&stats["activeUsers"].as_u64().unwrap()), "{stats}");
        assert_eq!(stats["routerStatus"]["version"], "7.11.2");
    }
}

#[test]
fn simulate_delays_replies_and_prints_its_counts() {
    let arguments = ["simulate", "--port", "0", "--active", "4", "--latency", "300", "--churn", "0"];
    let simulated = Running::start(&mut program(arguments));
    let port = simulated.line("127.0.0.1:").split_whitespace().next().unwrap().parse().unwrap();
    simulated.line("Log in as");
    let agent = AgentBuilder::default().site("awka", SocketAddr::from(([127, 0, 0, 1], port)), "").start();
    assert_eq!(agent.wait_until_active("awka")["activeUsers"], 4, "expected nobody to come or go");
    let usage = &agent.json("/api/sites/awka")["usage"];
    let reply_s = usage["replySeconds"].as_f64().unwrap();
    assert!(reply_s >= 0.3, "expected a late reply: {usage}");
    simulated.signal("HUP");
    let counts = simulated.line("connections=1 logins=1 commands=");
    let counts: Vec<u64> =
        counts.split(' ').map(|count| count.rsplit('=').next().unwrap().parse().unwrap()).collect();
    let [commands, received, sent] = counts[..] else { panic!("{counts:?}") };
    assert!(commands > 3 && received > 100 && sent > 500, "{counts:?}");
}

#[test]
fn simulate_injects_the_requested_fault() {
    let arguments = ["simulate", "--routers", "2", "--port", "0", "--fault", "no-permission"];
    let simulated = Running::start(&mut program(arguments));
    let given = ["one", "two"].iter().fold(AgentBuilder::default(), |given, name| {
        let port = simulated.line("127.0.0.1:").split_whitespace().next().unwrap().parse().unwrap();
        given.site(name, SocketAddr::from(([127, 0, 0, 1], port)), "")
    });
    let fault = simulated.line("Fault ");
    assert!(
        fault.starts_with("no-permission: ") && fault.contains(Fault::NoPermission.description()),
        "{fault}"
    );
    let agent = given.start();
    for site in ["one", "two"] {
        agent.wait_for_error(site, "permission");
    }
}

#[test]
fn simulate_serves_tls_and_prints_the_pin() {
    let simulated = Running::start(&mut program(["simulate", "--port", "0", "--tls", "--active", "4"]));
    let port = simulated.line("127.0.0.1:").split_whitespace().next().unwrap().parse().unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    // The line as it is printed.
    let pin = format!("tls: {},", simulated.line("tls: "));
    let other = format!("tls: Pin(\"sha256:{}\"),", "0".repeat(64));
    let agent = AgentBuilder::default()
        .site("right", at, &pin)
        .site("wrong", at, &other)
        .site("plain", at, "")
        .start();
    agent.wait_until_active("right");
    let stats = agent.wait_for_error("wrong", "tls_pin");
    let seen = pin.split('"').nth(1).unwrap();
    assert!(stats["error"]["message"].as_str().unwrap().contains(seen), "{pin}: {stats}");
    agent.stats_when("plain", "the site has an error", |stats| !stats["error"].is_null());
}

#[test]
fn help_of_simulate_lists_every_fault() {
    let help = run_to_end(program(["simulate", "--help"]));
    let lines: Vec<&str> = help.out.lines().map(str::trim).collect();
    for fault in Fault::ALL {
        let line = lines.iter().find(|line| line.split_whitespace().next() == Some(fault.name()));
        let line = line.unwrap_or_else(|| panic!("expected {fault} in {}", help.out));
        assert!(line.ends_with(fault.description()), "{line}");
    }
}

#[test]
fn unknown_fault_suggests_the_nearest() {
    let ended = run_to_end(program(["simulate", "--port", "0", "--fault", "half-opne"]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("`half-open`") && !ended.err.contains("stall"), "{}", ended.err);
}
