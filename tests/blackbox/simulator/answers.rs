//! Commands and their replies, by version where they differ.

use super::client::{Client, V6_49, V7_11, V7_20, V7_21, start, text, version, with_crates};
use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{HealthMenu, Settings, demo};

#[test]
fn missing_menus_and_commands_are_reported_as_in_each_version() {
    let missing = "!trap | =category=0 | =message=no such command";
    let prefix = format!("{missing} prefix");
    let absent = |part: &str| format!("{missing} or directory ({part})");
    let done = || "!done".to_string();
    // The replies of 6.49, of 7.11, and of 7.18 and later.
    let unknown_menu = |part: &str| {
        let v7 = vec![absent(part), prefix.clone(), done()];
        [vec![prefix.clone(), done()], v7.clone(), v7]
    };
    let unknown_command = |command: &str| {
        let v7 = vec![absent(command), done()];
        [vec![missing.to_string(), done()], v7.clone(), v7]
    };
    let table = [
        (
            &["/test/crate/print", "?name=rice"][..],
            [vec![done()], vec![done()], vec!["!empty".into(), done()]],
        ),
        (&["/ip/shop/print"], unknown_menu("shop")),
        (&["/shop/aisle/print"], unknown_menu("shop")),
        (&["/test/crate/open"], unknown_command("open")),
        // A menu of one row has no `listen`.
        (&["/system/resource/listen"], unknown_command("listen")),
    ];
    for (versions, column) in [(&[V6_49][..], 0), (&[V7_11], 1), (&[V7_20, V7_21, "7.18rc1"], 2)] {
        for version_text in versions {
            let router = with_crates(version(version_text));
            let mut client = Client::logged_in(&router);
            for (words, expected) in &table {
                assert_eq!(client.ask(words), expected[column], "{version_text}: {words:?}");
            }
            let resource = client.rows(&["/system/resource/print"]).remove(0);
            assert_eq!(text(&resource, "version"), *version_text);
        }
    }
}

#[test]
fn print_applies_query_proplist_and_ids() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let table: &[(&[&str], &[&str])] = &[
        (&["?name=yam"], &["!re | =.id=*1 | =name=yam | =weight=900", "!done"]),
        (&["?name=cassava", "=.proplist=comment"], &["!re | =comment=a=b", "!done"]),
        // A row without the requested attributes is bare. An absent attribute is omitted.
        (&["=.proplist=comment", "?name=yam"], &["!re", "!done"]),
        (&["=.proplist=.id,name,comment", "?-comment"], &["!re | =.id=*1 | =name=yam", "!done"]),
        (&["=count-only="], &["!done | =ret=3"]),
        (&["=count-only=", "?comment"], &["!done | =ret=2"]),
        (&["=count-only=", "?name=rice"], &["!done | =ret=0"]),
        (&["=count-only=", "?>weight=500"], &["!done | =ret=2"]),
        (&["=count-only=", "?<weight=1000"], &["!done | =ret=2"]),
        (&["=count-only=", "?name=yam", "?name=palm", "?#|"], &["!done | =ret=2"]),
        (&["=count-only=", "?name=yam", "?name=palm", "?#|!"], &["!done | =ret=1"]),
        (&["=count-only=", "?name=yam", "?name=palm"], &["!done | =ret=0"]),
        (&["=.proplist=name", "=.id=*3,*1"], &["!re | =name=yam", "!re | =name=palm", "!done"]),
        (&["=.id=*9"], &["!trap | =message=no such item", "!done"]),
        (&["=colour=red"], &["!trap | =category=1 | =message=unknown parameter", "!done"]),
        (&["?#x"], &["!trap | =message=bad query operation", "!done"]),
    ];
    for (words, expected) in table {
        let words = [&["/test/crate/print"], *words].concat();
        assert_eq!(client.ask(&words), *expected, "{words:?}");
    }
    let row = client.rows(&["/test/crate/print", "?name=palm"]).remove(0);
    assert_eq!(row.get("comment"), Some(&b"\xC3\xEE\x00\r\n"[..]), "expected every byte unchanged");
}

#[test]
fn tag_is_the_second_word_of_every_sentence() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let no_item = "!trap | .tag=a-1 | =message=no such item";
    let refused = "!trap | .tag=a-1 | =message=invalid user name or password (6)";
    let table: &[(&[&str], &[&str])] = &[
        (
            &["/test/crate/print", "=.proplist=name", "?name=yam"],
            &["!re | .tag=a-1 | =name=yam", "!done | .tag=a-1"],
        ),
        (&["/test/crate/print", "?name=rice"], &["!empty | .tag=a-1", "!done | .tag=a-1"]),
        (&["/test/crate/print", "=count-only="], &["!done | .tag=a-1 | =ret=3"]),
        (&["/test/crate/print", "=.id=*9"], &[no_item, "!done | .tag=a-1"]),
        (&["/login", "=name=x", "=password=y"], &[refused, "!done | .tag=a-1"]),
    ];
    for (words, expected) in table {
        // A client may send it at any position.
        for position in 1..=words.len() {
            let mut words = words.to_vec();
            words.insert(position, ".tag=a-1");
            if words[0] != "/login" || position == 1 {
                assert_eq!(client.ask(&words), *expected, "{words:?}");
            }
        }
    }
}

#[test]
fn rows_are_added_set_and_removed() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    let no_item: &[&str] = &["!trap | =message=no such item (4)", "!done"];
    let unknown: &[&str] = &["!trap | =category=1 | =message=unknown parameter", "!done"];
    let taken: &[&str] =
        &["!trap | =message=failure: already have user with this name for this server", "!done"];
    let nameless: &[&str] = &["!trap | =message=failure: user name is missing", "!done"];
    let added = [
        "!re | =.id=*98 | =server=all | =name=new | =profile=default | =uptime=0s | =bytes-in=0 | =bytes-out=0",
        "=dynamic=false | =disabled=false | =password=p",
    ]
    .join(" | ");
    let table: &[(&[&str], &[&str])] = &[
        (&["/test/crate/add", "=name=rice"], &["!done | =ret=*4"]),
        (&["/test/crate/set", "=.id=*4", "=name=red rice"], &["!done"]),
        (&["/test/crate/print", "=.id=*4"], &["!re | =.id=*4 | =name=red rice", "!done"]),
        (&["/test/crate/remove", "=.id=*4"], &["!done"]),
        (&["/test/crate/remove", "=.id=*4"], no_item),
        (&["/test/crate/set", "=.id=*4", "=name=x"], no_item),
        (&["/test/crate/set", "=name=x"], no_item),
        (&["/test/crate/set", "=.id=*2", "=comment="], &["!done"]),
        (&["/test/crate/print", "=.id=*2"], &["!re | =.id=*2 | =name=cassava | =weight=1000", "!done"]),
        (&["/test/crate/remove", "=.id=*1,*2"], &["!done"]),
        (&["/test/crate/print", "=count-only="], &["!done | =ret=1"]),
        // 150 users and `default-trial` exist: *97 in hex.
        (
            &["/ip/hotspot/user/add", "=name=new", "=password=p", "=comment=", "=mac-address=", "=address="],
            &["!done | =ret=*98"],
        ),
        (&["/ip/hotspot/user/print", "?name=new"], &[&added, "!done"]),
        (&["/ip/hotspot/user/add", "=name=new"], taken),
        (&["/ip/hotspot/user/add", "=password=p"], nameless),
        (&["/ip/hotspot/user/add", "=name="], nameless),
        (&["/ip/hotspot/user/set", "=.id=*98", "=uptime=1h"], unknown),
        (&["/ip/hotspot/user/remove", "=.id=*98"], &["!done"]),
        (&["/ip/hotspot/user/print", "?name=new"], &["!empty", "!done"]),
        (&["/system/identity/set", "=name=awka"], &["!done"]),
        (&["/system/identity/print"], &["!re | =name=awka", "!done"]),
    ];
    for (words, expected) in table {
        assert_eq!(client.ask(words), *expected, "{words:?}");
    }
}

#[test]
fn health_rows_match_version_and_board() {
    for (version_text, health, expected) in [
        (V6_49, HealthMenu::Sensors, &["voltage temperature cpu-temperature"][..]),
        (V7_11, HealthMenu::Sensors, &[".id name value type", ".id name value type"]),
        (V6_49, HealthMenu::Empty, &[]),
        (V7_20, HealthMenu::Empty, &[]),
    ] {
        let router = start(Settings { health, ..version(version_text) });
        let rows = Client::logged_in(&router).rows(&["/system/health/print"]);
        let keys = |row: &Sentence| {
            row.attributes().map(|(key, _)| String::from_utf8_lossy(key)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(rows.iter().map(keys).collect::<Vec<_>>(), expected, "{version_text} {health:?}");
    }
    let router = start(Settings { health: HealthMenu::Missing, ..version(V6_49) });
    let reply = Client::logged_in(&router).ask(&["/system/health/print"]);
    assert_eq!(reply, ["!trap | =category=0 | =message=no such command prefix", "!done"]);
    // A state has an empty type.
    let router = start(Settings { board: "RB4011iGS+".into(), ..version(V7_20) });
    let reply =
        Client::logged_in(&router).ask(&["/system/health/print", "?type=", "=.proplist=name,value,type"]);
    assert_eq!(reply, ["!re | =name=psu1-state | =value=ok | =type=", "!done"]);
    // x86 has one row with other names, in RouterOS 7 too. Menus of one row have no `listen`.
    for version_text in [V6_49, V7_20] {
        let router = start(Settings { board: "x86".into(), ..version(version_text) });
        let mut client = Client::logged_in(&router);
        let row = client.rows(&["/system/health/print"]).remove(0);
        let has_keys =
            ["cpu-temp", "temp1", "fan1", "12v", "3.3v", "core", "state"].map(|key| row.get(key).is_some());
        assert_eq!((has_keys, row.get(".id")), ([true; 7], None), "{version_text}");
        assert!(client.ask(&["/system/health/listen"])[0].starts_with("!trap"), "{version_text}");
    }
}

#[test]
fn date_format_matches_version() {
    let old = "aaa/99/9999 99:99:99";
    for (version_text, form) in [(V6_49, old), ("7.9", old), ("7.10", "9999-99-99 99:99:99")] {
        let router = start(version(version_text));
        let session = Client::logged_in(&router).rows(&["/user/active/print"]).remove(0);
        let shape = |c: char| match c {
            '0'..='9' => '9',
            'a'..='z' => 'a',
            other => other,
        };
        assert_eq!(text(&session, "when").chars().map(shape).collect::<String>(), form, "{version_text}");
    }
}

#[test]
fn demo_has_three_routers() {
    let expected = [("awka", 23, 150), ("lagos", 45, 300), ("abuja", 12, 80)];
    for (settings, (name, active, users)) in demo().into_iter().zip(expected) {
        assert!(!settings.churn.is_zero(), "expected churn in {name}");
        let router = start(Settings { churn: std::time::Duration::ZERO, ..settings });
        let mut client = Client::logged_in(&router);
        assert_eq!(client.ask(&["/system/identity/print"]), [&format!("!re | =name={name}"), "!done"]);
        assert_eq!(router.sessions().len(), active);
        let count = client.ask(&["/ip/hotspot/user/print", "=count-only=", "?-default"]);
        assert_eq!(count, [format!("!done | =ret={users}")]);
    }
}
