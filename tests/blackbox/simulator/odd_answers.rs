//! Injected faults of replies: refused commands, odd rows, and faulty listens.

use std::io::Read;
use std::time::{Duration, Instant};

use super::client::{Client, V6_49, V7_11, V7_20, show, start, until, version, with_crates};
use super::faults::{PRINT, ROWS, faulty, rest};
use phsweb_agent::simulator::{Fault, Row, Settings};

#[test]
fn no_permission_accepts_logins_and_denies_commands() {
    let denied = ["!trap | =message=not enough permissions (9)", "!done"];
    let (router, before) = faulty(Fault::NoPermission);
    for mut client in [before, Client::logged_in(&router)] {
        for words in [&PRINT[..], &["/test/crate/listen"], &["/test/crate/remove", "=.id=*1"]] {
            assert_eq!(client.ask(words), denied, "{words:?}");
        }
    }
    router.set_fault(None);
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ROWS, "expected all rows after denied commands");
}

#[test]
fn no_menu_traps_as_the_version_does() {
    let missing = "!trap | =category=0 | =message=no such command";
    let prefix = format!("{missing} prefix");
    let crate_ = format!("{missing} or directory (crate)");
    let v7 = vec![crate_, prefix.clone(), "!done".into()];
    for (version_text, expected) in [(V6_49, vec![prefix, "!done".into()]), (V7_11, v7.clone()), (V7_20, v7)]
    {
        let router = with_crates(version(version_text));
        router.set_fault(Some(Fault::NoMenu));
        assert_eq!(Client::logged_in(&router).ask(&PRINT), expected, "{version_text}");
    }
}

#[test]
fn fatal_closes_the_connection() {
    let (router, before) = faulty(Fault::Fatal);
    for mut client in [before, Client::logged_in(&router)] {
        client.send(&[&PRINT[..], &[".tag=1"]].concat());
        assert_eq!([client.next(), client.next()], ["!fatal | session terminated by the router", "closed"]);
    }
}

#[test]
fn unknown_tags_are_sent_until_the_fault_ends() {
    let (router, mut client) = faulty(Fault::UnknownTags);
    client.send(&[&PRINT[..], &[".tag=1"]].concat());
    for at in 0..3000 {
        let replies = client.sentence().unwrap();
        assert!(replies.tag().unwrap().starts_with(b"unknown-"), "sentence {at}: {}", show(&replies));
    }
    let other = with_crates(Settings::default());
    assert_eq!(Client::logged_in(&other).ask(&PRINT), ROWS, "expected another router to answer meanwhile");
    router.set_fault(None);
    let answer =
        ROWS.map(|row| row.replacen("!re", "!re | .tag=1", 1).replacen("!done", "!done | .tag=1", 1));
    let mut replies = client.next();
    while replies.contains("| .tag=unknown-") {
        replies = client.next();
    }
    assert_eq!([replies, client.next(), client.next(), client.next()], answer);
}

#[test]
fn endless_words_never_end_their_sentence() {
    let (router, mut client) = faulty(Fault::EndlessWords);
    client.send_all(&[&["/test/crate/listen", ".tag=7"], &["/test/crate/print", "=count-only=", ".tag=1"]]);
    let mut bytes = vec![0; 1 << 20];
    client.stream.read_exact(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"\x03!re\x06.tag=1\x0E=more=and more\x0E=more"), "{:?}", &bytes[..40]);
    assert!(!bytes.contains(&0), "expected no empty word, which would end the sentence");
    // So would a change that the listen reports.
    router.set_rows("/test/crate", Vec::new());
    client.stream.read_exact(&mut bytes).unwrap();
    assert!(!bytes.contains(&0), "expected no other reply within the endless sentence");
    router.set_fault(None);
    assert!(!rest(&mut client).contains(&0));
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ["!empty", "!done"]);
}

#[test]
fn trailing_rows_have_the_tag_of_their_print() {
    let (_router, mut client) = faulty(Fault::Trailing);
    let print = |tag: &'static str| [&PRINT[..], &["?>weight=500", tag]].concat();
    client.send_all(&[&print(".tag=1"), &["/test/crate/print", "=count-only=", ".tag=2"]]);
    let rows = ["!re | .tag=1 | =name=yam", "!re | .tag=1 | =name=cassava"];
    let mut expected = [&rows[..], &["!done | .tag=1"], &rows, &["!done | .tag=2 | =ret=3"]].concat();
    expected.sort_unstable();
    let replies: Vec<_> = (0..6).map(|_| client.next()).collect();
    assert!(replies.iter().position(|replies| replies == "!done | .tag=1") == Some(2), "{replies:?}");
    let mut replies = replies;
    replies.sort();
    assert_eq!(replies, expected);
}

#[test]
fn bare_rows_are_sent_between_rows() {
    let (_router, mut client) = faulty(Fault::BareRe);
    let replies = client.ask(&[&PRINT[..], &[".tag=1"]].concat());
    let [yam, cassava, palm] = ["yam", "cassava", "palm"].map(|name| format!("!re | .tag=1 | =name={name}"));
    let bare = "!re | .tag=1".to_string();
    assert_eq!(replies, [yam, bare.clone(), cassava, bare, palm, "!done | .tag=1".into()]);
}

#[test]
fn awkward_values_have_odd_bytes_and_keys() {
    let (router, mut client) = faulty(Fault::AwkwardValues);
    let keys = "=.proplist=.id,user,mac-address,address,uptime,idle-time,server";
    let rows = client.rows(&["/ip/hotspot/active/print", keys]);
    assert_eq!(rows.len(), router.sessions().len());
    for (row, session) in rows.iter().zip(router.sessions()) {
        let keys: Vec<_> = row.attributes().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        assert_eq!(keys, [".id", "user", "address", "mac-address", "uptime", "comment", "SHOUTED"]);
        assert_eq!(row.get("user"), Some(session.user.as_bytes()));
        let comment = row.get("comment").unwrap();
        assert!(std::str::from_utf8(comment).is_err());
        assert!(b"=\r\n\0\xE9\x80".iter().all(|byte| comment.contains(byte)), "{}", show(row));
    }
    let resource = client.rows(&["/system/resource/print"]).remove(0);
    assert!(resource.get("cpu-load").is_none() && resource.get("cpu-count").is_some(), "{}", show(&resource));
    let crates = client.rows(&["/test/crate/print", "?name=cassava"]);
    assert_eq!(
        crates[0].attributes().filter(|(key, _)| *key == b"comment").count(),
        1,
        "expected one comment only"
    );
}

#[test]
fn no_listen_affects_only_listen() {
    for (version_text, message) in
        [(V6_49, "no such command"), (V7_20, "no such command or directory (listen)")]
    {
        let router = with_crates(version(version_text));
        router.set_fault(Some(Fault::NoListen));
        let mut client = Client::logged_in(&router);
        let trap = format!("!trap | =category=0 | =message={message}");
        assert_eq!(client.ask(&["/test/crate/listen"]), [&trap, "!done"], "{version_text}");
        assert_eq!(client.ask(&PRINT), ROWS, "{version_text}");
    }
}

fn crates(names: &[&str]) -> Vec<Row> {
    let row = |(id, name): (usize, &&str)| Row::new().id(&format!("*{id}")).with("name", *name);
    names.iter().enumerate().map(row).collect()
}

/// A listen that has begun.
fn listening(client: &mut Client) {
    client.send(&["/test/crate/listen", ".tag=7"]);
    assert_eq!(client.ask(&["/system/identity/print", "=.proplist="]), ["!re", "!done"]);
}

#[test]
fn a_silent_listen_reports_no_changes() {
    let router = start(Settings::default());
    router.set_rows("/test/crate", crates(&["yam"]));
    let mut client = Client::logged_in(&router);
    // One listen from before the fault, and one from during it.
    listening(&mut client);
    router.set_fault(Some(Fault::SilentListen));
    client.send(&["/test/crate/listen", ".tag=8"]);
    router.set_rows("/test/crate", crates(&["rice"]));
    for _ in 0..20 {
        assert_eq!(client.ask(&PRINT), ["!re | =name=rice", "!done"]);
    }
    router.set_fault(None);
    router.set_rows("/test/crate", crates(&["palm"]));
    let expected = ["!re | .tag=7 | =.id=*0 | =name=palm", "!re | .tag=8 | =.id=*0 | =name=palm"];
    assert_eq!(client.next_sorted(2), expected);
}

#[test]
fn print_overtakes_a_late_listen() {
    let router = start(Settings::default());
    router.set_rows("/test/crate", crates(&["yam"]));
    let mut client = Client::logged_in(&router);
    listening(&mut client);
    router.set_fault(Some(Fault::LateListen));
    for name in ["rice", "palm"] {
        router.set_rows("/test/crate", crates(&[name]));
    }
    let began = Instant::now();
    assert_eq!(client.ask(&PRINT), ["!re | =name=palm", "!done"]);
    for name in ["rice", "palm"] {
        assert_eq!(client.next(), format!("!re | .tag=7 | =.id=*0 | =name={name}"));
    }
    let took = began.elapsed();
    // In sequence they would take twice as long.
    assert!(took >= Duration::from_millis(400), "expected the changes after 400 ms or more, took {took:?}");
    until(&router, "no connection counts as broken", |router| router.counters().broken == 0);
}
