//! Commands side by side on one connection: latency, turns, listen and cancel.

use std::time::{Duration, Instant};

use super::client::{Client, start, text, until, with_crates};
use phsweb_agent::simulator::{MAX_PENDING, Row, Settings, Value};

fn interrupted(tag: &str) -> String {
    format!("!trap | .tag={tag} | =category=2 | =message=interrupted")
}

#[test]
fn commands_wait_together() {
    let latency = Duration::from_millis(300);
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    router.set_latency(latency);
    let began = Instant::now();
    for tag in 0..10 {
        client.send(&["/test/crate/print", "=count-only=", &format!(".tag={tag}")]);
    }
    let said = client.next_sorted(10);
    let took = began.elapsed();
    assert_eq!(said, (0..10).map(|tag| format!("!done | .tag={tag} | =ret=3")).collect::<Vec<_>>());
    assert!(took >= latency && took < 4 * latency, "took {took:?}");
}

#[test]
fn a_short_answer_does_not_wait_for_a_long_one() {
    let router = start(Settings { users: 2000, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    client.send_all(&[&["/ip/hotspot/user/print", ".tag=long"], &["/system/identity/print", ".tag=short"]]);
    let mut rows = 0;
    loop {
        match client.next().as_str() {
            "!done | .tag=short" => break,
            "!done | .tag=long" => panic!("the short answer came after {rows} rows"),
            _ => rows += 1,
        }
    }
    while client.next() != "!done | .tag=long" {}
}

#[test]
fn one_connection_has_so_many_commands_under_way() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    for tag in 0..=MAX_PENDING {
        client.send(&["/ip/pool/listen", &format!(".tag={tag}")]);
    }
    let full = format!("failure: {MAX_PENDING} commands are under way already");
    assert_eq!(client.next(), format!("!trap | .tag={MAX_PENDING} | =message={full}"));
    assert_eq!(client.next(), format!("!done | .tag={MAX_PENDING}"));
}

#[test]
fn listen_tells_what_changes_and_nothing_else() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let crates = |name: &str, eaten| {
        let eaten = Value::Count { from: eaten, per_second: 1, since: router.now() };
        vec![Row::new().id("*1").with("name", name).with("eaten", eaten).with("on", "top")]
    };
    for listen in [&["/test/crate/listen"][..], &["/test/crate/print", "=follow-only="]] {
        router.set_rows("/test/crate", crates("yam", 1));
        client.send(&[listen, &[".tag=7"]].concat());
        // Answered after the listen has begun.
        client.send(&["/system/identity/print", ".tag=1"]);
        assert_eq!([client.next(), client.next()], ["!re | .tag=1 | =name=MikroTik", "!done | .tag=1"]);

        router.set_rows("/test/crate", crates("yam", 500));
        router.set_rows("/test/crate", crates("new yam", 500));
        // No replay, no counters, only what changed.
        assert_eq!(client.next(), "!re | .tag=7 | =.id=*1 | =name=new yam");
        router.set_rows(
            "/test/crate",
            [crates("new yam", 500), vec![Row::new().id("*B").with("name", "rice")]].concat(),
        );
        assert_eq!(client.next(), "!re | .tag=7 | =.id=*B | =name=rice");
        client.send(&["/test/crate/remove", "=.id=*B", ".tag=2"]);
        assert_eq!(client.next_sorted(2), ["!done | .tag=2", "!re | .tag=7 | =.id=*B | =.dead=true"]);

        client.send(&["/cancel", "=tag=7", ".tag=9"]);
        let end = [client.next(), client.next(), client.next()];
        assert_eq!(end, [interrupted("7"), "!done | .tag=9".into(), "!done | .tag=7".into()]);
    }
}

#[test]
fn follow_begins_with_what_is_there() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    client.send(&["/test/crate/print", "=follow=", "=.proplist=name", "?name=yam", ".tag=5"]);
    assert_eq!(client.next(), "!re | .tag=5 | =name=yam");
    let row = |id: &str, name: &str| Row::new().id(id).with("name", name);
    router.set_rows(
        "/test/crate",
        vec![row("*1", "yam"), row("*2", "cassava"), row("*8", "rice"), row("*9", "yam")],
    );
    assert_eq!(client.next(), "!re | .tag=5 | =.id=*3 | =.dead=true");
    assert_eq!(client.next(), "!re | .tag=5 | =name=yam", "the query holds for what changes too");
    router.remove_menu("/test/crate");
    assert_eq!([client.next(), client.next()], [interrupted("5"), "!done | .tag=5".into()]);
}

#[test]
fn people_who_come_and_go_are_heard_of() {
    let router = start(Settings { active: 0, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    let user = text(&client.rows(&["/ip/hotspot/user/print", "=.id=*2"])[0], "name");
    client.send(&["/ip/hotspot/active/listen", "=.proplist=.id,user", ".tag=1"]);
    client.send(&["/ip/hotspot/user/listen", "=.proplist=.id,uptime,bytes-in,comment", ".tag=2"]);
    client.send(&["/system/identity/print", ".tag=3"]);
    assert_eq!([client.next(), client.next()], ["!re | .tag=3 | =name=MikroTik", "!done | .tag=3"]);
    let id = router.log_in(&user, "10.5.99.7".parse().unwrap(), "02:00:00:00:00:07").unwrap();
    assert_eq!(client.next(), format!("!re | .tag=1 | =.id={id} | =user={user}"));
    router.log_out(&id);
    assert_eq!(client.next(), format!("!re | .tag=1 | =.id={id} | =.dead=true"));
    // What was used went to the user's counters, of which a listen is not told.
    client.send(&["/ip/hotspot/user/set", "=.id=*2", "=comment=moved", ".tag=4"]);
    assert_eq!(client.next_sorted(2), ["!done | .tag=4", "!re | .tag=2 | =.id=*2 | =comment=moved"]);
}

#[test]
fn cancel_ends_what_it_names() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    assert_eq!(client.ask(&["/cancel", "=tag=none", ".tag=1"]), ["!done | .tag=1"]);
    router.set_latency(Duration::from_secs(3600));
    client.send(&["/system/identity/print", ".tag=a"]);
    client.send(&["/system/resource/print", ".tag=b"]);
    until(&router, "both are taken", |router| router.counters().commands == 4);
    router.set_latency(Duration::ZERO);
    client.send(&["/cancel", "=tag=b", ".tag=2"]);
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("b"), "!done | .tag=2".into(), "!done | .tag=b".into()]);
    // Without a tag: all that is under way.
    client.send(&["/cancel"]);
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("a"), "!done".into(), "!done | .tag=a".into()]);
}

#[test]
fn rows_still_arrive_after_a_cancel() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    client.send(&["/test/crate/listen", ".tag=7"]);
    until(&router, "the listen is taken", |router| router.counters().commands == 2);
    router.set_latency(Duration::from_millis(300));
    client.send(&["/cancel", "=tag=7", ".tag=8"]);
    until(&router, "the cancel is taken", |router| router.counters().commands == 3);
    router.set_rows("/test/crate", Vec::new());
    for id in ["*1", "*2", "*3"] {
        assert_eq!(client.next(), format!("!re | .tag=7 | =.id={id} | =.dead=true"));
    }
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("7"), "!done | .tag=8".into(), "!done | .tag=7".into()]);
}
