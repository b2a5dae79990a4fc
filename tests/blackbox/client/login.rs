//! Both login methods, and every refusal.

use phsweb_agent::routeros::error::{Cause, Error};
use phsweb_agent::routeros::login::LoginMethod::{self, Challenge, Plain};
use phsweb_agent::simulator::{Fault, Login, Policies, Router, Settings};

use super::peer::{Peer, TIMEOUT, at, with};

const BEFORE_6_43: &str = "6.42.12 (long-term)";
const SINCE: [&str; 3] = ["6.49.10 (stable)", "7.11.2 (stable)", "7.20.7 (long-term)"];

fn router(version: &str) -> Router {
    let settings = Settings { version: version.parse().unwrap(), ..Settings::default() };
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

fn log_in(router: &Router, user: &str, password: &str, method: LoginMethod) -> Result<(), Error> {
    at(router.addr(), async |session| session.client.login(user, password, method, TIMEOUT).await)
}

#[test]
fn the_right_password_logs_in_and_a_wrong_one_does_not() {
    for (version, method) in
        SINCE.into_iter().map(|version| (version, Plain)).chain([(BEFORE_6_43, Challenge)])
    {
        let router = router(version);
        for (user, password, right) in [
            ("api-user", "password", true),
            ("api-user", "Password", false),
            ("api-user", "", false),
            ("nobody", "password", false),
        ] {
            match log_in(&router, user, password, method) {
                Ok(()) => assert!(right, "{user} with {password:?} on {version}"),
                Err(error) => {
                    assert!(!right, "{error} on {version}");
                    assert_eq!(error.cause, Cause::Auth, "{error}");
                }
            }
        }
        assert_eq!((router.counters().logins, router.counters().logins_refused), (1, 3), "{version}");
    }
}

#[test]
fn the_other_method_is_refused_and_tried_once() {
    for (version, method) in
        SINCE.into_iter().map(|version| (version, Challenge)).chain([(BEFORE_6_43, Plain)])
    {
        let router = router(version);
        let error = log_in(&router, "api-user", "password", method).unwrap_err();
        assert_eq!(error.cause, Cause::Auth, "{error} on {version}");
        let counters = router.counters();
        assert_eq!(counters.logins, 0, "{version}");
        assert!(counters.logins_refused <= 1, "{} attempts on {version}", counters.logins_refused);
    }
}

#[test]
fn the_response_to_a_challenge_has_the_documented_form() {
    let script = |peer: &mut Peer| {
        assert_eq!(peer.command().words, ["/login"]);
        peer.write(b"\x05!done\x25=ret=ebddd18303a54111e2dea05a92ab46b4\0");
        assert_eq!(
            peer.command().words,
            ["/login", "=name=admin", "=response=00f0a08bf40926bc843e7e19ac45b567a3"]
        );
        peer.write(b"\x05!done\0");
        peer.closed();
    };
    with(script, async |session| session.client.login("admin", "passTest", Challenge, TIMEOUT).await)
        .unwrap();
}

#[test]
fn a_refused_response_is_not_tried_again() {
    let script = |peer: &mut Peer| {
        peer.command();
        peer.write(b"\x05!done\x25=ret=ebddd18303a54111e2dea05a92ab46b4\0");
        peer.command();
        peer.write(b"\x05!trap\x16=message=cannot log in\0\x05!done\0");
        peer.closed();
    };
    let error =
        with(script, async |session| session.client.login("a", "b", Challenge, TIMEOUT).await).unwrap_err();
    assert_eq!(error.cause, Cause::Auth);
    assert!(error.message.contains("cannot log in"), "{error}");
}

/// The digest of a password without a challenge could be looked up, so none is sent.
#[test]
fn a_challenge_without_32_digits_is_not_answered() {
    let digits = "ebddd18303a54111e2dea05a92ab46b4";
    for ret in [
        None,
        Some(""),
        Some("word"),
        Some("abc123"),
        Some(&digits[..30]),
        Some(&format!("{digits}00")),
        Some(&digits.replace('e', "g")),
    ] {
        let ret = ret.map(|ret| format!("=ret={ret}"));
        let mut done = b"\x05!done".to_vec();
        if let Some(word) = &ret {
            done.push(u8::try_from(word.len()).unwrap());
            done.extend(word.as_bytes());
        }
        done.push(0);
        let script = move |peer: &mut Peer| {
            assert_eq!(peer.command().words, ["/login"]);
            peer.write(&done);
            // Nothing else was sent.
            peer.closed();
        };
        let error = with(script, async |session| session.client.login("a", "b", Challenge, TIMEOUT).await)
            .unwrap_err();
        assert_eq!(error.cause, Cause::Protocol, "{ret:?}: {error}");
        assert!(error.message.contains("32 hexadecimal digits"), "{ret:?}: {error}");
        assert!(error.hint.contains("sent neither the password nor a digest"), "{ret:?}: {}", error.hint);
    }
}

#[test]
fn a_plain_login_has_the_documented_form() {
    let script = |peer: &mut Peer| {
        assert_eq!(peer.command().words, ["/login", "=name=api=user", "=password=pass=word"]);
        peer.write(b"\x05!done\0");
        peer.closed();
    };
    with(script, async |session| session.client.login("api=user", "pass=word", Plain, TIMEOUT).await)
        .unwrap();
}

/// The password has been sent then, but the router has not accepted it.
#[test]
fn a_challenge_in_answer_to_a_plain_login_is_a_refusal() {
    let script = |peer: &mut Peer| {
        peer.command();
        peer.write(b"\x05!done\x25=ret=ebddd18303a54111e2dea05a92ab46b4\0");
        peer.closed();
    };
    let error =
        with(script, async |session| session.client.login("a", "b", Plain, TIMEOUT).await).unwrap_err();
    assert_eq!(error.cause, Cause::Auth);
    assert!(error.message.contains("6.43"), "{error}");
}

#[test]
fn the_fifth_refusal_ends_the_session() {
    let router = router(SINCE[2]);
    at(router.addr(), async |session| {
        for attempt in 1..=5 {
            let error = session.client.login("api-user", "wrong", Plain, TIMEOUT).await.unwrap_err();
            assert_eq!(error.cause, Cause::Auth, "{error}");
            assert_eq!(error.message.contains("too many commands before login"), attempt == 5, "{error}");
        }
        let error = session.ended().await;
        assert_eq!(error.cause, Cause::Auth, "{error}");
    });
}

#[test]
fn a_group_without_the_api_policy_is_refused_and_the_hint_names_it() {
    let policies = Policies { api: false, ..Policies::ALL };
    let login = Login { policies, ..Login::new("api-user", "password") };
    let settings = Settings { logins: vec![login], ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    let error = log_in(&router, "api-user", "password", Plain).unwrap_err();
    assert_eq!(error.cause, Cause::Auth);
    assert!(error.cause.hint().contains("api policy"), "{}", error.cause.hint());
}

#[test]
fn a_group_without_the_read_policy_logs_in_and_may_not_print() {
    let policies = Policies { read: false, ..Policies::ALL };
    let login = Login { policies, ..Login::new("api-user", "password") };
    let settings = Settings { logins: vec![login], ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    at(router.addr(), async |session| {
        session.client.login("api-user", "password", Plain, TIMEOUT).await.unwrap();
        let error = session.call("/ip/hotspot/active/print").await.unwrap_err();
        assert_eq!(error.cause, Cause::Permission, "{error}");
    });
}

#[test]
fn a_full_router_closes() {
    let settings = Settings { max_sessions: 0, ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    assert_eq!(log_in(&router, "api-user", "password", Plain).unwrap_err().cause, Cause::Closed);
}

/// The operator has to look for a wrong port, not for a wrong password.
#[test]
fn another_protocol_is_not_reported_as_a_refused_login() {
    let router = router(SINCE[2]);
    router.set_fault(Some(Fault::HugeLength));
    let error = log_in(&router, "api-user", "password", Plain).unwrap_err();
    assert_eq!(error.cause, Cause::Protocol, "{error}");
}
