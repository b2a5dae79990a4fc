//! `phsweb-agent test`: the connection test of each router, one line per step, with a hint for the step that fails.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Login, Policies, Router, Settings};
use serde_json::{Value, json};

use super::agent::{AgentBuilder, ProgramOutput, run_to_end};
use super::router;
use crate::support::address::unused_address;

/// A secret that no output may contain.
const SECRET: &str = "paSSw0rd-of-the-r0uter";

/// The steps to a working router, in order.
const ALL: [&str; 7] = ["resolve", "connect", "login", "hotspot", "listen", "kick", "resource"];

/// The steps if the hotspot can't be read, so without a listen.
const UNREAD: [&str; 5] = ["resolve", "connect", "login", "hotspot", "resource"];

fn given() -> AgentBuilder {
    let times = "query_timeout: \"3s\", connect_timeout: \"2s\", collect: [\"hotspot\", \"resource\"],";
    AgentBuilder::default().argument("test").defaults(times)
}

/// A router whose password is the secret.
fn secret_router() -> Router {
    router(Settings { logins: vec![Login::new("api-user", SECRET)], ..Settings::default() })
}

fn site(given: AgentBuilder, key: &str, hosts: &[SocketAddr]) -> AgentBuilder {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    given.raw_site(key, &format!("hosts: [{}], password: Plain(\"{SECRET}\")", hosts.join(", ")))
}

/// Runs the program, whose output must contain no secret.
#[track_caller]
fn tested(given: &AgentBuilder) -> ProgramOutput {
    let (command, _folder) = given.command();
    let ended = run_to_end(command);
    assert!(!ended.out.contains(SECRET) && !ended.err.contains(SECRET), "{}{}", ended.out, ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    ended
}

/// The steps of `--json`, and the exit code.
#[track_caller]
fn steps(given: AgentBuilder) -> (Vec<Value>, Option<i32>) {
    let ended = tested(&given.argument("--json"));
    let steps: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| {
        panic!("{error}: {}{}", ended.out, ended.err);
    });
    (steps.as_array().unwrap().clone(), ended.code)
}

/// The field of each step.
fn each<'s>(steps: &'s [Value], field: &str) -> Vec<&'s str> {
    steps.iter().map(|step| step[field].as_str().unwrap()).collect()
}

/// Checks that the step of this name failed. Returns its error.
#[track_caller]
fn failed<'s>(steps: &'s [Value], name: &str, cause: &str) -> &'s Value {
    let step = steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("{name}: {steps:?}"));
    assert_eq!((&step["ok"], &step["error"]["cause"]), (&json!(false), &json!(cause)), "{step}");
    &step["error"]
}

#[test]
fn each_step_to_a_working_router_has_a_line() {
    let router = secret_router();
    let ended = tested(&site(given(), "awka", &[router.addr()]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    let address = router.addr().to_string();
    // The count of the configured users is an answer without rows.
    let found = [
        "127.0.0.1",
        &address,
        "as api-user",
        "23 rows",
        "changes are reported as they happen",
        "sessions can be ended",
        "1 row",
    ];
    let summary = "awka  all 7 steps ok, may end sessions: yes";
    assert_eq!(ended.out.lines().skip(ALL.len()).collect::<Vec<_>>(), [summary], "{}", ended.out);
    for ((line, step), found) in ended.out.lines().zip(ALL).zip(found) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..4], ["awka", &address, step, "ok"], "{line}");
        assert!(words[4].parse::<f64>().unwrap() >= 0.0 && words[5] == "ms", "{line}");
        assert_eq!(words[6..].join(" "), found, "{line}");
    }
    let counters = router.counters();
    assert_eq!((counters.connections, counters.logins), (1, 1), "{counters:?}");
}

#[test]
fn a_site_that_is_polled_has_no_step_for_listen() {
    let router = secret_router();
    let polled = format!("hosts: [\"{}\"], password: Plain(\"{SECRET}\"), live: false", router.addr());
    let (steps, code) = steps(given().raw_site("awka", &polled));
    assert_eq!(each(&steps, "step"), ["resolve", "connect", "login", "hotspot", "kick", "resource"]);
    assert_eq!(code, Some(0));
}

#[test]
fn refused_listen_is_reported_and_no_failure() {
    let router = secret_router();
    router.set_fault(Some(Fault::NoListen));
    let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
    assert_eq!((each(&steps, "step"), code), (ALL.to_vec(), Some(0)));
    let listen = steps.iter().find(|step| step["step"] == "listen").unwrap();
    let detail = listen["detail"].as_str().unwrap();
    assert!(detail.contains("refused") && detail.contains("at each refresh"), "{listen}");
    assert!(detail.contains("no such command"), "{listen}");
}

#[test]
fn wrong_password_is_tried_once_and_has_a_hint() {
    let (first, second, other) = (router(Settings::default()), secret_router(), secret_router());
    let no_api =
        Login { policies: Policies { api: false, ..Policies::ALL }, ..Login::new("api-user", SECRET) };
    let without_policy = router(Settings { logins: vec![no_api], ..Settings::default() });
    let given = site(given(), "wrong", &[first.addr(), second.addr()]);
    let given = site(given, "policy", &[without_policy.addr()]);
    let ended = tested(&site(given, "other", &[other.addr()]));
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    let lines: Vec<&str> = ended.out.lines().collect();
    for (at, key, router) in [(0, "wrong", &first), (4 + ALL.len(), "policy", &without_policy)] {
        let counters = router.counters();
        assert_eq!((counters.connections, counters.logins_refused, counters.logins), (1, 1, 0), "{key}");
        let lines = &lines[at..at + 4];
        let words: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(words[..4], [key, &router.addr().to_string(), "login", "FAILED"], "{}", ended.out);
        assert!(lines[2].contains("auth: ") && lines[2].contains("invalid user name"), "{}", ended.out);
        assert!(lines[3].starts_with("    ") && lines[3].contains("/user"), "{}", ended.out);
        assert!(lines[3].contains("api policy"), "the group may lack it: {}", lines[3]);
    }
    assert_eq!(second.counters().logins, 1, "expected a login at the other host");
    let (lines, summaries) = lines.split_at(8 + 2 * ALL.len());
    assert!(lines[8 + ALL.len()..].iter().all(|line| line.starts_with("other  ")), "{}", ended.out);
    let expected = [
        "wrong  1 of 10 steps failed, may end sessions: yes",
        "policy  1 of 3 steps failed, may end sessions: unknown",
        "other  all 7 steps ok, may end sessions: yes",
    ];
    assert_eq!(summaries, expected, "{}", ended.out);
    assert!(ended.err.contains(&format!("2 steps of {} failed", 6 + 2 * ALL.len())), "{}", ended.err);
}

#[test]
fn closed_port_fails_the_connect_step() {
    let address = unused_address();
    let (steps, code) = steps(site(given(), "awka", &[address]));
    assert_eq!((each(&steps, "step"), code), (vec!["resolve", "connect"], Some(1)));
    let error = failed(&steps, "connect", "refused");
    assert!(
        error["hint"].as_str().unwrap().contains("/ip service enable [find name=api and !dynamic]"),
        "{error}"
    );
}

#[test]
fn unresolved_name_fails_the_resolve_step() {
    let (steps, code) =
        steps(given().raw_site("awka", "hosts: [\"router.invalid\"], password: Plain(\"x\")"));
    assert_eq!((each(&steps, "step"), code), (vec!["resolve"], Some(1)));
    failed(&steps, "resolve", "dns");
}

#[test]
fn stalled_router_fails_at_the_timeout() {
    let router = secret_router();
    router.set_fault(Some(Fault::Stall));
    let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
    assert_eq!((each(&steps, "step"), code), (vec!["resolve", "connect", "login"], Some(1)));
    let error = failed(&steps, "login", "query_timeout");
    assert!(error["message"].as_str().unwrap().contains("within 3s"), "{error}");
    let seconds = steps[2]["seconds"].as_f64().unwrap();
    assert!((3.0..9.0).contains(&seconds), "{seconds} s of 3");
}

#[test]
fn router_silent_after_login_fails_each_plugin_at_the_timeout() {
    let router = secret_router();
    router.set_fault(Some(Fault::HalfOpen));
    let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
    // The router did not refuse the listen, but it did not prove that it reports changes either.
    assert_eq!((each(&steps, "step"), code), (UNREAD.to_vec(), Some(1)));
    for plugin in ["hotspot", "resource"] {
        failed(&steps, plugin, "query_timeout");
        let step = steps.iter().find(|step| step["step"] == plugin).unwrap();
        assert!((3.0..9.0).contains(&step["seconds"].as_f64().unwrap()), "{step}");
    }
}

#[test]
fn closed_connection_fails_the_current_step() {
    for (fault, step, cause) in [
        (Fault::Refuse, "login", "closed"),
        (Fault::Garbage, "login", "protocol"),
        (Fault::Fatal, "hotspot", "closed"),
        (Fault::Cut, "hotspot", "closed"),
    ] {
        let router = secret_router();
        router.set_fault(Some(fault));
        let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
        assert_eq!(code, Some(1), "{fault}: {steps:?}");
        let error = failed(&steps, step, cause);
        assert!(error["hint"].as_str().unwrap().len() > 10, "{fault}: {error}");
        let after = each(&steps, "step").into_iter().skip_while(|name| *name != step).skip(1);
        assert_eq!(after.count(), 0, "{fault}: expected no further step: {steps:?}");
    }
}

#[test]
fn missing_read_policy_fails_each_plugin() {
    let blind =
        Login { policies: Policies { read: false, ..Policies::ALL }, ..Login::new("api-user", SECRET) };
    let router = router(Settings { logins: vec![blind], ..Settings::default() });
    let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
    assert_eq!((each(&steps, "step"), code), (UNREAD.to_vec(), Some(1)));
    for plugin in ["hotspot", "resource"] {
        let error = failed(&steps, plugin, "permission");
        assert!(error["hint"].as_str().unwrap().contains("policy=api,read"), "{error}");
        assert!(error["message"].as_str().unwrap().contains("not enough permissions"), "{error}");
    }
}

#[test]
fn missing_menu_is_unsupported_and_the_next_plugin_runs() {
    let router = secret_router();
    router.remove_menu("/ip/hotspot/active");
    let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
    assert_eq!((each(&steps, "step"), code), (UNREAD.to_vec(), Some(1)));
    let error = failed(&steps, "hotspot", "unsupported");
    assert!(error["hint"].as_str().unwrap().contains("collect"), "{error}");
    assert_eq!(steps.last().unwrap()["ok"], true, "{steps:?}");
}

#[test]
fn each_host_of_a_site_is_tested_in_order() {
    let (gone, first, second) = (unused_address(), secret_router(), secret_router());
    let (steps, code) = steps(site(given(), "awka", &[gone, first.addr(), second.addr()]));
    assert_eq!(code, Some(1), "expected one failed step");
    failed(&steps, "connect", "refused");
    let hosts = each(&steps, "host");
    let expected: Vec<String> = std::iter::repeat_n(gone, 2)
        .chain(std::iter::repeat_n(first.addr(), ALL.len()))
        .chain(std::iter::repeat_n(second.addr(), ALL.len()))
        .map(|host| host.to_string())
        .collect();
    assert_eq!(hosts, expected);
    assert!(steps[2..].iter().all(|step| step["ok"] == true), "{steps:?}");
    for router in [first, second] {
        let counters = router.counters();
        assert_eq!((counters.connections, counters.logins), (1, 1), "{counters:?}");
    }
}

#[test]
fn only_named_sites_are_tested() {
    let routers = ["awka", "lagos", "abuja"].map(|key| (key, secret_router()));
    let given = routers.iter().fold(given(), |given, (key, router)| site(given, key, &[router.addr()]));
    let (steps, code) = steps(given.argument("abuja").argument("awka"));
    assert_eq!(code, Some(0));
    let keys = each(&steps, "site");
    assert_eq!(
        (keys[0], keys[ALL.len()], keys.len()),
        ("abuja", "awka", 2 * ALL.len()),
        "expected the named sites: {keys:?}"
    );
    let logins = routers.map(|(_, router)| router.counters().logins);
    assert_eq!(logins, [1, 0, 1]);
}

#[test]
fn unknown_site_suggests_the_nearest_and_tests_nothing() {
    let router = secret_router();
    for json in [false, true] {
        let given = site(given(), "awka", &[router.addr()]).argument("awka").argument("awak");
        let given = if json { given.argument("--json") } else { given };
        let ended = tested(&given);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{}", ended.err);
        assert!(ended.err.contains("\"awak\"") && ended.err.contains("`awka`"), "{}", ended.err);
    }
    assert_eq!(router.counters().connections, 0);
}

#[test]
fn invalid_file_reports_its_problems_and_tests_nothing() {
    let router = secret_router();
    let given = site(given(), "awka", &[router.addr()])
        .raw_site("lagos", "hosts: [\"10.0.0.256\"], password: Plain(\"x\"), refesh: \"1s\"");
    let ended = tested(&given);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    for problem in ["10.0.0.256", "refesh"] {
        let line = ended.err.lines().find(|line| line.starts_with("sites.ron:") && line.contains(problem));
        assert!(line.is_some(), "{problem}: {}", ended.err);
    }
    assert_eq!(router.counters().connections, 0);
}

#[test]
fn json_is_one_array_of_steps_each_with_all_its_fields() {
    let (working, gone) = (secret_router(), unused_address());
    let given = site(site(given(), "awka", &[working.addr()]), "lagos", &[gone]);
    let (steps, code) = steps(given.argument("--log").argument("trace"));
    assert_eq!((steps.len(), code), (ALL.len() + 2, Some(1)));
    for step in &steps {
        let mut fields: Vec<&String> = step.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["detail", "error", "host", "mayEndSessions", "ok", "seconds", "site", "step"],
            "{step}"
        );
        let may_end_sessions = if step["step"] == "kick" { json!(true) } else { Value::Null };
        assert_eq!(step["mayEndSessions"], may_end_sessions, "{step}");
        assert!((0.0..5.0).contains(&step["seconds"].as_f64().unwrap()), "{step}");
        if step["ok"] == true {
            assert!(step["detail"].is_string() && step["error"].is_null(), "{step}");
        } else {
            let mut fields: Vec<&String> = step["error"].as_object().unwrap().keys().collect();
            fields.sort_unstable();
            assert_eq!(fields, ["cause", "hint", "message"], "{step}");
            assert!(step["detail"].is_null(), "{step}");
        }
    }
    let failed: Vec<&Value> = steps.iter().filter(|step| step["ok"] == false).collect();
    assert_eq!(failed.len(), 1, "{steps:?}");
    assert_eq!((&failed[0]["site"], &failed[0]["host"]), (&json!("lagos"), &json!(gone.to_string())));
}

#[test]
fn sites_are_tested_in_parallel() {
    const STALL: Duration = Duration::from_secs(4);
    // In sequence they would take 39 times 750 ms.
    let slow = Settings { latency: Duration::from_millis(250), active: 1, users: 1, ..Settings::default() };
    let routers: Vec<Router> = (0..40).map(|_| router(slow.clone())).collect();
    routers[0].set_fault(Some(Fault::Stall));
    let given = routers.iter().enumerate().fold(
        AgentBuilder::default()
            .argument("test")
            .defaults("query_timeout: \"4s\", collect: [\"hotspot\", \"health\"],"),
        |given, (at, router)| given.site(&format!("site{at:02}"), router.addr(), ""),
    );
    let began = Instant::now();
    let (steps, code) = steps(given);
    let took = began.elapsed();
    assert_eq!(code, Some(1));
    failed(&steps, "login", "query_timeout");
    assert_eq!(steps.len(), 3 + 39 * ALL.len());
    assert!(steps[3..].iter().all(|step| step["ok"] == true), "{steps:?}");
    let mut keys = each(&steps, "site");
    keys.dedup();
    assert!(keys.len() == 40 && keys.is_sorted(), "expected the order of the file: {keys:?}");
    assert!((STALL..2 * STALL).contains(&took), "{took:?}");
    assert!(routers[1..].iter().all(|router| router.counters().logins == 1));
}

#[test]
fn a_link_local_address_is_resolved_in_its_zone() {
    let (steps, _) = steps(given().raw_site("awka", "hosts: [\"[fe80::1%lo]:9\"], password: Plain(\"x\")"));
    assert_eq!((&steps[0]["step"], &steps[0]["ok"]), (&json!("resolve"), &json!(true)), "{steps:?}");
    assert_eq!(steps[0]["host"], "[fe80::1%lo]:9");
}

/// A link-local address of this machine and the interface that has it, if there is any.
fn link_local() -> Option<(Ipv6Addr, u32, String)> {
    let interfaces = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    interfaces.lines().find_map(|line| {
        let [address, index, _, "20", _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let address = u128::from_str_radix(address, 16).unwrap();
        Some((address.into(), u32::from_str_radix(index, 16).unwrap(), name.to_string()))
    })
}

#[test]
#[ignore = "needs an interface with a link-local IPv6 address"]
fn a_router_answers_at_its_link_local_address() {
    let (address, index, name) = link_local().expect("expected an interface with a link-local address");
    for tls in [false, true] {
        let settings = Settings { logins: vec![Login::new("api-user", SECRET)], tls, ..Settings::default() };
        let router = Router::start(SocketAddrV6::new(address, 0, 0, index).into(), settings).unwrap();
        let tls = router.fingerprint().map(|pin| format!(", tls: Pin(\"{pin}\")")).unwrap_or_default();
        let host = format!("[{address}%{name}]:{}", router.addr().port());
        let site = format!("hosts: [\"{host}\"], password: Plain(\"{SECRET}\"){tls}");
        let (steps, code) = steps(given().raw_site("awka", &site));
        assert_eq!(code, Some(0), "{steps:?}");
        assert!(steps.iter().all(|step| step["host"] == host.as_str()), "{steps:?}");
    }
}

#[test]
fn kick_permission_is_tested_without_a_kick() {
    let looks =
        Login { policies: Policies { write: false, ..Policies::ALL }, ..Login::new("api-user", SECRET) };
    for (login, detail) in [
        (Login::new("api-user", SECRET), "sessions can be ended"),
        (looks, "sessions can't be ended: the user's group lacks the policy write"),
    ] {
        let router = router(Settings { logins: vec![login], ..Settings::default() });
        let (steps, code) = steps(site(given(), "awka", &[router.addr()]));
        assert_eq!(code, Some(0), "expected no failure for a user without the write policy: {steps:?}");
        let kick = steps.iter().find(|step| step["step"] == "kick").unwrap();
        assert_eq!((&kick["ok"], &kick["detail"]), (&json!(true), &json!(detail)));
        let (again, _) = self::steps(site(given(), "awka", &[router.addr()]));
        assert_eq!(again[3]["detail"], steps[3]["detail"], "expected the same sessions as before");
    }
}
