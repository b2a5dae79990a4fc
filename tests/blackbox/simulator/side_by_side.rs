//! Concurrent commands on one connection: latency, interleaving, `listen` and `/cancel`.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::client::{Client, start, text, until, with_crates};
use phsweb_agent::simulator::{MAX_PENDING, Row, Settings, Value};

fn interrupted(tag: &str) -> String {
    format!("!trap | .tag={tag} | =category=2 | =message=interrupted")
}

#[test]
fn latency_of_concurrent_commands_does_not_add_up() {
    let latency = Duration::from_secs(1);
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    router.set_latency(latency);
    let began = Instant::now();
    let tags: Vec<_> = (10..30).map(|tag| format!(".tag={tag}")).collect();
    for tag in &tags {
        client.send(&["/test/crate/print", "=count-only=", tag]);
    }
    let replies = client.next_sorted(tags.len());
    let took = began.elapsed();
    assert_eq!(replies, tags.iter().map(|tag| format!("!done | {tag} | =ret=3")).collect::<Vec<_>>());
    // In sequence they would take 20 latencies. The limit is half of that, for a machine under load.
    assert!(took >= latency && took < 10 * latency, "expected between one and ten latencies, took {took:?}");
}

#[test]
fn short_reply_overtakes_a_long_one() {
    let router = start(Settings { users: 2000, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    client.send_all(&[&["/ip/hotspot/user/print", ".tag=long"], &["/system/identity/print", ".tag=short"]]);
    let mut rows = 0;
    loop {
        match client.next().as_str() {
            "!done | .tag=short" => break,
            "!done | .tag=long" => panic!("expected the short reply first, got {rows} rows of the long one"),
            _ => rows += 1,
        }
    }
    while client.next() != "!done | .tag=long" {}
}

#[test]
fn listens_beyond_the_limit_are_refused() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    for tag in 0..=MAX_PENDING {
        client.send(&["/ip/pool/listen", &format!(".tag={tag}")]);
    }
    // A `listen` never ends by itself, so waiting would take forever.
    let full = "failure: too many commands are active";
    assert_eq!(client.next(), format!("!trap | .tag={MAX_PENDING} | =message={full}"));
    assert_eq!(client.next(), format!("!done | .tag={MAX_PENDING}"));
    // `/cancel` makes room, so it is always accepted.
    client.send(&["/cancel", "=tag=0", ".tag=c"]);
    assert_eq!(
        [client.next(), client.next(), client.next()],
        [interrupted("0"), "!done | .tag=c".into(), "!done | .tag=0".into()]
    );
    assert_eq!(client.ask(&["/system/identity/print"]), ["!re | =name=MikroTik", "!done"]);
}

#[test]
fn commands_beyond_the_limit_wait() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let count = 5 * MAX_PENDING;
    router.set_latency(Duration::from_millis(5));
    let tags: Vec<String> = (0..count).map(|tag| format!(".tag={tag:03}")).collect();
    let commands: Vec<[&str; 3]> =
        tags.iter().map(|tag| ["/test/crate/print", "=count-only=", tag.as_str()]).collect();
    client.send_all(&commands.iter().map(<[_; 3]>::as_slice).collect::<Vec<_>>());
    let expected: Vec<_> = tags.iter().map(|tag| format!("!done | {tag} | =ret=3")).collect();
    assert_eq!(client.next_sorted(count), expected);
}

#[test]
fn cancel_is_accepted_at_the_command_limit() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    router.set_latency(Duration::from_secs(3600));
    for tag in 0..MAX_PENDING {
        client.send(&["/test/crate/print", &format!(".tag={tag}")]);
    }
    let accepted = 1 + u64::try_from(MAX_PENDING).unwrap();
    until(&router, "all commands are accepted", |router| router.counters().commands == accepted);
    router.set_latency(Duration::ZERO);
    client.send(&["/cancel", "=tag=5", ".tag=c"]);
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("5"), "!done | .tag=c".into(), "!done | .tag=5".into()]);
}

#[test]
fn commands_wait_when_unread_replies_reach_the_limit() {
    let router = start(Settings { active: 0, ..Settings::default() });
    let filling = "x".repeat(1 << 20);
    router.set_rows("/test/bale", vec![Row::new().with("filling", filling.as_str())]);
    let mut client = Client::logged_in(&router);
    // Nothing is written before the latency is over.
    router.set_latency(Duration::from_secs(3600));
    let before = router.counters();
    let print = &["/test/bale/print"][..];
    client.send_all(&[print; 40]);
    let all = before.received + 40 * 18;
    until(&router, "all commands are received", |router| router.counters().received == all);
    until(&router, "16 commands are accepted", |router| router.counters().commands >= before.commands + 16);
    // Two replies to another client: meanwhile the first one could have been served.
    router.set_latency(Duration::ZERO);
    Client::logged_in(&router).ask(&["/quit"]);
    assert_eq!(
        router.counters().commands,
        before.commands + 16 + 2,
        "expected 16 commands with 16 MiB of replies, and 2 of the other client"
    );
}

#[test]
fn commands_before_a_half_close_are_answered() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    router.set_latency(Duration::from_millis(50));
    client.send_all(&[&["/test/crate/listen", ".tag=l"], &["/test/crate/print", "=count-only="]]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!([client.next(), client.next()], ["!done | =ret=3", "closed"]);
}

#[test]
fn listen_reports_changes_only() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let crates = |name: &str, eaten| {
        let eaten = Value::Count { from: eaten, per_second: 1, since: router.now() };
        vec![Row::new().id("*1").with("name", name).with("eaten", eaten).with("on", "top")]
    };
    for listen in [&["/test/crate/listen"][..], &["/test/crate/print", "=follow-only="]] {
        router.set_rows("/test/crate", crates("yam", 1));
        client.send(&[listen, &[".tag=7"]].concat());
        // Answered after the listen has started.
        client.send(&["/system/identity/print", ".tag=1"]);
        assert_eq!([client.next(), client.next()], ["!re | .tag=1 | =name=MikroTik", "!done | .tag=1"]);

        router.set_rows("/test/crate", crates("yam", 500));
        router.set_rows("/test/crate", crates("new yam", 500));
        // No replay, no counters, only the changed attribute.
        assert_eq!(client.next(), "!re | .tag=7 | =.id=*1 | =name=new yam");
        // A removed attribute is reported as an empty value.
        client.send(&["/test/crate/set", "=.id=*1", "=comment=red", ".tag=3"]);
        assert_eq!(client.next_sorted(2), ["!done | .tag=3", "!re | .tag=7 | =.id=*1 | =comment=red"]);
        client.send(&["/test/crate/set", "=.id=*1", "=comment=", ".tag=3"]);
        assert_eq!(client.next_sorted(2), ["!done | .tag=3", "!re | .tag=7 | =.id=*1 | =comment="]);
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
fn follow_starts_with_existing_rows() {
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
    assert_eq!(client.next(), "!re | .tag=5 | =name=yam", "expected the query to apply to changes");
    router.remove_menu("/test/crate");
    assert_eq!([client.next(), client.next()], [interrupted("5"), "!done | .tag=5".into()]);
}

#[test]
fn listen_reports_logins_and_logouts() {
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
    // The usage was added to the user's counters, which a listen does not report.
    client.send(&["/ip/hotspot/user/set", "=.id=*2", "=comment=moved", ".tag=4"]);
    assert_eq!(client.next_sorted(2), ["!done | .tag=4", "!re | .tag=2 | =.id=*2 | =comment=moved"]);
}

#[test]
fn cancel_ends_the_named_commands() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    assert_eq!(client.ask(&["/cancel", "=tag=none", ".tag=1"]), ["!done | .tag=1"]);
    router.set_latency(Duration::from_secs(3600));
    client.send(&["/system/identity/print", ".tag=a"]);
    client.send(&["/system/resource/print", ".tag=b"]);
    until(&router, "both commands are accepted", |router| router.counters().commands == 4);
    router.set_latency(Duration::ZERO);
    client.send(&["/cancel", "=tag=b", ".tag=2"]);
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("b"), "!done | .tag=2".into(), "!done | .tag=b".into()]);
    // Without a tag it cancels all running commands.
    client.send(&["/cancel"]);
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("a"), "!done".into(), "!done | .tag=a".into()]);
}

#[test]
fn queued_rows_arrive_after_a_cancel() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    client.send(&["/test/crate/listen", ".tag=7"]);
    until(&router, "the listen is accepted", |router| router.counters().commands == 2);
    // The rows are removed during the latency of the cancel, which is long enough for a busy machine.
    router.set_latency(Duration::from_secs(3));
    client.send(&["/cancel", "=tag=7", ".tag=8"]);
    until(&router, "the cancel is accepted", |router| router.counters().commands == 3);
    router.set_rows("/test/crate", Vec::new());
    for id in ["*1", "*2", "*3"] {
        assert_eq!(client.next(), format!("!re | .tag=7 | =.id={id} | =.dead=true"));
    }
    let end = [client.next(), client.next(), client.next()];
    assert_eq!(end, [interrupted("7"), "!done | .tag=8".into(), "!done | .tag=7".into()]);
}

#[test]
fn cancelled_command_ends_once() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let (cancel, print) = (["/cancel", "=tag=a", ".tag=c"], ["/test/crate/print", "=count-only=", ".tag=a"]);
    for _ in 0..20 {
        for commands in [[&cancel[..], &print[..]], [&print[..], &cancel[..]]] {
            client.send_all(&commands);
            // A second `!done` of either would arrive before that of the next command.
            client.send(&["/system/identity/print", "=.proplist=", ".tag=z"]);
            let mut ends = Vec::new();
            while ends.len() < 3 || !ends.contains(&"z".to_string()) {
                let sentence = client.sentence().unwrap();
                if sentence.first() == b"!done" {
                    ends.push(String::from_utf8_lossy(sentence.tag().unwrap()).into_owned());
                }
            }
            ends.sort();
            assert_eq!(ends, ["a", "c", "z"]);
        }
    }
}
