//! Faults of the answers: refused commands, rows that are odd or come oddly, and listens.

use std::io::Read;
use std::time::{Duration, Instant};

use super::client::{Client, V6_49, V7_11, V7_20, show, start, until, version, with_crates};
use super::faults::{PRINT, ROWS, faulty, rest};
use phsweb_agent::simulator::{Fault, Row, Settings};

#[test]
fn no_permission_lets_in_and_allows_nothing() {
    let denied = ["!trap | =message=not enough permissions (9)", "!done"];
    let (router, before) = faulty(Fault::NoPermission);
    for mut client in [before, Client::logged_in(&router)] {
        for words in [&PRINT[..], &["/test/crate/listen"], &["/test/crate/remove", "=.id=*1"]] {
            assert_eq!(client.ask(words), denied, "{words:?}");
        }
    }
    router.set_fault(None);
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ROWS, "nothing was removed");
}

#[test]
fn no_menu_is_that_of_the_version() {
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
fn fatal_is_a_bare_word_and_the_end() {
    let (router, before) = faulty(Fault::Fatal);
    for mut client in [before, Client::logged_in(&router)] {
        client.send(&[&PRINT[..], &[".tag=1"]].concat());
        assert_eq!([client.next(), client.next()], ["!fatal | session terminated by the router", "closed"]);
    }
}

#[test]
fn strays_come_to_nobody_for_as_long_as_the_fault_lasts() {
    let (router, mut client) = faulty(Fault::Stray);
    client.send(&[&PRINT[..], &[".tag=1"]].concat());
    for at in 0..3000 {
        let said = client.sentence().unwrap();
        assert!(said.tag().unwrap().starts_with(b"stray-"), "sentence {at}: {}", show(&said));
    }
    let well = with_crates(Settings::default());
    assert_eq!(Client::logged_in(&well).ask(&PRINT), ROWS, "it keeps no other from being answered");
    router.set_fault(None);
    let answer =
        ROWS.map(|row| row.replacen("!re", "!re | .tag=1", 1).replacen("!done", "!done | .tag=1", 1));
    let mut said = client.next();
    while said.contains("| .tag=stray-") {
        said = client.next();
    }
    assert_eq!([said, client.next(), client.next(), client.next()], answer);
}

#[test]
fn endless_words_are_one_sentence() {
    let (router, mut client) = faulty(Fault::EndlessWords);
    client.send_all(&[&["/test/crate/listen", ".tag=7"], &["/test/crate/print", "=count-only=", ".tag=1"]]);
    let mut bytes = vec![0; 1 << 20];
    client.stream.read_exact(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"\x03!re\x06.tag=1\x0E=more=and more\x0E=more"), "{:?}", &bytes[..40]);
    assert!(!bytes.contains(&0), "an empty word would end the sentence");
    // What a listen has to say would, too.
    router.set_rows("/test/crate", Vec::new());
    client.stream.read_exact(&mut bytes).unwrap();
    assert!(!bytes.contains(&0), "it was ended by another answer");
    router.set_fault(None);
    assert!(!rest(&mut client).contains(&0));
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ["!empty", "!done"]);
}

#[test]
fn trailing_rows_come_under_the_tag_of_before() {
    let (_router, mut client) = faulty(Fault::Trailing);
    let print = |tag: &'static str| [&PRINT[..], &["?>weight=500", tag]].concat();
    client.send_all(&[&print(".tag=1"), &["/test/crate/print", "=count-only=", ".tag=2"]]);
    let rows = ["!re | .tag=1 | =name=yam", "!re | .tag=1 | =name=cassava"];
    let mut expected = [&rows[..], &["!done | .tag=1"], &rows, &["!done | .tag=2 | =ret=3"]].concat();
    expected.sort_unstable();
    let said: Vec<_> = (0..6).map(|_| client.next()).collect();
    assert!(said.iter().position(|said| said == "!done | .tag=1") == Some(2), "{said:?}");
    let mut said = said;
    said.sort();
    assert_eq!(said, expected);
}

#[test]
fn bare_rows_come_between_the_others() {
    let (_router, mut client) = faulty(Fault::BareRe);
    let said = client.ask(&[&PRINT[..], &[".tag=1"]].concat());
    let [yam, cassava, palm] = ["yam", "cassava", "palm"].map(|name| format!("!re | .tag=1 | =name={name}"));
    let bare = "!re | .tag=1".to_string();
    assert_eq!(said, [yam, bare.clone(), cassava, bare, palm, "!done | .tag=1".into()]);
}

#[test]
fn awkward_values_are_those_of_people() {
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
        "in place of its own"
    );
}

#[test]
fn no_listen_leaves_the_rest() {
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
fn a_silent_listen_tells_nothing() {
    let router = start(Settings::default());
    router.set_rows("/test/crate", crates(&["yam"]));
    let mut client = Client::logged_in(&router);
    // One from before the fault, and one from in it.
    listening(&mut client);
    router.set_fault(Some(Fault::SilentListen));
    client.send(&["/test/crate/listen", ".tag=8"]);
    router.set_rows("/test/crate", crates(&["rice"]));
    for _ in 0..20 {
        assert_eq!(client.ask(&PRINT), ["!re | =name=rice", "!done"]);
    }
    router.set_fault(None);
    router.set_rows("/test/crate", crates(&["palm"]));
    let told = ["!re | .tag=7 | =.id=*0 | =name=palm", "!re | .tag=8 | =.id=*0 | =name=palm"];
    assert_eq!(client.next_sorted(2), told);
}

#[test]
fn a_late_listen_is_overtaken_by_a_print() {
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
    // One after the other they would take twice as long; the rest is for a machine under load.
    assert!(took >= Duration::from_millis(400), "took {took:?}");
    until(&router, "nothing is broken", |router| router.counters().broken == 0);
}
