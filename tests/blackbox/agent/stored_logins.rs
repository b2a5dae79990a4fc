//! Page logins that survive a restart.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::agent::{Agent, AgentBuilder, until};
use super::browser::ask_from;
use super::storage::given;

pub(super) const ADMIN: &str = "admin-token-01234";
const OTHER: &str = "other-token-01234";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
// Without a port, because the name of the cookie has that of the agent.
const HOST: (&str, &str) = ("Host", "localhost");

/// Logs the admin in and returns the cookie.
#[track_caller]
pub(super) fn log_in(agent: &Agent) -> String {
    let fields = [HOST, FORM, ("Origin", "http://localhost")];
    let body = format!("token={ADMIN}");
    let answer = ask_from(Ipv4Addr::LOCALHOST, agent.address, ("POST", "/login"), &fields, &body);
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.field("Set-Cookie").split(';').next().unwrap().to_string()
}

/// The status of a response for the admin with this cookie.
#[track_caller]
pub(super) fn status_with(agent: &Agent, cookie: &str) -> u16 {
    let fields = [HOST, ("Cookie", cookie)];
    ask_from(Ipv4Addr::LOCALHOST, agent.address, ("GET", "/api/hotspot/none/active"), &fields, "").status
}

/// The status for an admin: there is no such site.
pub(super) const OPEN: u16 = 404;

/// The status for everybody else.
const CLOSED: u16 = 401;

fn log_out(agent: &Agent, cookie: &str) {
    let fields = [HOST, ("Cookie", cookie), FORM, ("Origin", "http://localhost")];
    let answer = ask_from(Ipv4Addr::LOCALHOST, agent.address, ("POST", "/logout"), &fields, "");
    assert_eq!(answer.status, 303, "{answer:?}");
}

fn end(mut agent: Agent, signal: &str) {
    agent.running.signal(signal);
    agent.running.wait_for_exit(Duration::from_secs(2));
}

/// An agent that writes at urgent changes and at its end only.
fn rarely(directory: &Path) -> AgentBuilder {
    given(directory).timing("state_write", "1h")
}

#[test]
fn a_login_survives_restarts_until_its_logout_or_another_token() {
    let folder = tempfile::tempdir().unwrap();
    let agent = rarely(folder.path()).start();
    let [stays, leaves] = [(); 2].map(|()| log_in(&agent));
    end(agent, "KILL");
    let agent = rarely(folder.path()).start();
    assert_eq!([&stays, &leaves].map(|cookie| status_with(&agent, cookie)), [OPEN, OPEN]);
    log_out(&agent, &leaves);
    end(agent, "KILL");
    let agent = rarely(folder.path()).start();
    assert_eq!([&stays, &leaves].map(|cookie| status_with(&agent, cookie)), [OPEN, CLOSED]);
    end(agent, "TERM");
    // Neither the cookie nor the token is on disk.
    let file = std::fs::read(folder.path().join("logins")).unwrap();
    let id = stays.split_once('=').unwrap().1.as_bytes();
    for secret in [id, ADMIN.as_bytes()] {
        assert!(!file.windows(secret.len()).any(|part| part == secret));
    }
    let agent = rarely(folder.path()).http(&format!("view: Token(Plain(\"{OTHER}\")),")).start();
    assert_eq!(status_with(&agent, &stays), OPEN, "the admin's token is the same");
    end(agent, "TERM");
    let config = format!("state: \"{}\",", folder.path().display());
    let changed =
        || AgentBuilder::default().file(&config).http(&format!("admin: Token(Plain(\"{OTHER}\")),"));
    let agent = changed().start();
    let stored = || std::fs::read(folder.path().join("logins")).unwrap();
    let before = stored();
    assert_eq!(status_with(&agent, &stays), CLOSED);
    until("the end of the login is on disk", || (stored() != before).then_some(()));
    end(agent, "KILL");
    // It stays closed, although the old token is valid again.
    assert_eq!(status_with(&rarely(folder.path()).start(), &stays), CLOSED);
}

#[test]
fn each_login_that_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..5 {
        let agent = given(folder.path()).timing("state_write", "1ms").start();
        for cookie in &cookies {
            assert_eq!(status_with(&agent, cookie), OPEN);
        }
        cookies.push(log_in(&agent));
        end(agent, "KILL");
    }
}
