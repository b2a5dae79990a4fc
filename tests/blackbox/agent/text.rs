//! Text in any code page: decoded for display, and compared by its bytes.

use phsweb_agent::routeros::wire::Sentence;
use std::time::Duration;

use phsweb_agent::simulator::{Router, Row, Settings, Value};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, until};
use super::peer::Peer;
use super::router;

/// The bytes of a text, and its decodings in windows-1252 and windows-1251.
const TEXTS: [(&[u8], &str, &str); 9] = [
    (b"caf\xE9 \x93A\x94 \x80 5", "café “A” € 5", "cafй “A” Ђ 5"),
    (b"\xC3\xEE\xF1\xF2\xFC \xB9 3", "Ãîñòü ¹ 3", "Гость № 3"),
    // UTF-8 is decoded as UTF-8 with any code page.
    ("Ngọ́zị – Гость – 客".as_bytes(), "Ngọ́zị – Гость – 客", "Ngọ́zị – Гость – 客"),
    // Truncated UTF-8, and invalid UTF-8.
    (b"caf\xC3", "cafÃ", "cafГ"),
    (b"\xFF\xFE\xF8", "ÿþø", "яюш"),
    (
        b"plan=weekly; =.id=*0 =dead=true",
        "plan=weekly; =.id=*0 =dead=true",
        "plan=weekly; =.id=*0 =dead=true",
    ),
    (b"=", "=", "="),
    (b"a\0b", "a\0b", "a\0b"),
    (b"one\r\ntwo\n!done\r\n", "one\r\ntwo\n!done\r\n", "one\r\ntwo\n!done\r\n"),
];

/// Bytes that show as `café` in windows-1252, though they are not the same.
const ALIKE: [&[u8]; 2] = [b"caf\xE9", b"caf\xC3\xA9"];

/// Long enough that a change that shows was reported by the `listen`.
const SELDOM: &str = "refresh: \"10m\",";

/// Two sites with one router and different code pages.
fn agent_of(router: &Router, defaults: &str) -> Agent {
    let given =
        AgentBuilder::default().http("admin: Token(Plain(\"admin-token-01234\")),").defaults(defaults);
    let given = given.site("western", router.addr(), "");
    given
        .site("cyrillic", router.addr(), "codepage: \"windows-1251\"")
        .start()
        .with_token("admin-token-01234")
}

/// A row for each text: as the user's name, the MAC address, and the comment, which is the text after it.
fn rows(comments_from: usize) -> Vec<Row> {
    let text = |at: usize| TEXTS[at % TEXTS.len()].0;
    let row = |at: usize| {
        let row = Row::new().id(&format!("*{at:X}")).with("user", text(at)).with("mac-address", text(at));
        row.with("comment", text(at + comments_from)).with("uptime", "1h")
    };
    (0..TEXTS.len()).map(row).collect()
}

/// Waits until both sites show exactly these rows.
#[track_caller]
fn shows(agent: &Agent, comments_from: usize) {
    for (site, in_site) in [("western", 0), ("cyrillic", 1)] {
        let text = |at: usize| {
            let (_, western, cyrillic) = TEXTS[at % TEXTS.len()];
            [western, cyrillic][in_site]
        };
        let expected: Vec<serde_json::Value> = (0..TEXTS.len())
            .map(|at| json!([format!("*{at:X}"), text(at), text(at), text(at + comments_from)]))
            .collect();
        let mut shown = Vec::new();
        let mut look = || {
            let people = agent.json(&format!("/api/hotspot/{site}/active"));
            let row = |row: &serde_json::Value| json!([row["id"], row["user"], row["mac"], row["comment"]]);
            shown = people.as_array().unwrap().iter().map(row).collect();
            shown.sort_by_key(|row: &serde_json::Value| row[0].to_string());
            (shown.last().map(|row| &row[3]) == expected.last().map(|row| &row[3])).then_some(())
        };
        until(&format!("{site}: the last row is shown"), &mut look);
        assert_eq!(shown, expected, "{site}");
    }
}

#[test]
fn text_in_any_code_page_is_decoded_from_a_print() {
    let router = router(Settings::default());
    router.set_rows("/ip/hotspot/active", rows(1));
    let agent = agent_of(&router, SELDOM);
    for site in ["western", "cyrillic"] {
        agent.wait_until_active(site);
    }
    shows(&agent, 1);
    for (site, texts) in [("western", ["café “A” € 5", "cafÃ"]), ("cyrillic", ["Гость № 3", "яюш"])]
    {
        let page = agent.page(&format!("/sites/{site}"));
        for text in texts {
            assert!(page.contains(text), "{site}: expected {text} in {page}");
        }
    }
    assert_eq!(router.counters().logins, 2, "expected one login per site");
}

#[test]
fn text_in_any_code_page_is_decoded_from_a_listen() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let agent = agent_of(&router, SELDOM);
    for site in ["western", "cyrillic"] {
        assert_eq!(agent.wait_until_active(site)["activeUsers"], 0);
        until("`listen` is active", || {
            (agent.json(&format!("/api/sites/{site}"))["plugins"]["hotspot"]["live"] == true).then_some(())
        });
    }
    // New rows, and then rows with a changed comment only.
    for comments_from in [1, 2] {
        router.set_rows("/ip/hotspot/active", rows(comments_from));
        shows(&agent, comments_from);
    }
    for site in ["western", "cyrillic"] {
        let stats = agent.stats(site);
        assert_eq!((&stats["logins"], &stats["logouts"]), (&json!(TEXTS.len()), &json!(0)), "{stats}");
    }
    assert_eq!(router.counters().logins, 2, "expected one login per site");
}

#[test]
fn users_and_devices_with_equal_display_text_are_distinct() {
    for (key, live) in [("user", true), ("user", false), ("mac-address", true), ("mac-address", false)] {
        let router = router(Settings { active: 0, ..Settings::default() });
        let login = router.now().checked_sub(Duration::from_secs(3600)).unwrap();
        let row = |bytes: &[u8]| {
            let row = Row::new().id("*A053202").with("user", "ada").with("mac-address", "8C:F5:A3:00:00:01");
            // The same login: no other attribute distinguishes the two.
            vec![row.with("address", "10.5.50.2").with("uptime", Value::Since(login)).with(key, bytes)]
        };
        router.set_rows("/ip/hotspot/active", row(ALIKE[0]));
        let given = AgentBuilder::default()
            .http("admin: Token(Plain(\"admin-token-01234\")),")
            .defaults("refresh: \"1s\",");
        let given = given.site("awka", router.addr(), &format!("live: {live}"));
        let agent = given.start().with_token("admin-token-01234");
        let field = if key == "user" { "user" } else { "mac" };
        let stats = agent.wait_until_active("awka");
        assert_eq!((&stats["activeUsers"], &stats["logins"]), (&json!(1), &json!(0)), "{key}: {stats}");
        assert_eq!(agent.json("/api/hotspot/awka/active")[0][field], "café");
        // The same address and id, and another user: the previous one has logged out.
        router.set_rows("/ip/hotspot/active", row(ALIKE[1]));
        let stats = agent.stats_when("awka", "another user is online", |stats| stats["logins"] == 1);
        assert_eq!((&stats["activeUsers"], &stats["logouts"]), (&json!(1), &json!(1)), "{key}: {stats}");
        assert_eq!(agent.json("/api/hotspot/awka/active")[0][field], "café");
    }
}

#[test]
fn ids_with_equal_display_text_are_distinct_sessions() {
    let peer = Peer::start(|tag| {
        let row = |id: &[u8]| {
            let mut row = Sentence::from_words(["!re", tag, "=user=ada"]);
            row.push_attribute(b".id", id);
            row
        };
        let [one, other] = ALIKE.map(row);
        vec![one, other, Sentence::from_words(["!done", tag])]
    });
    peer.set_bad();
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",");
    let given = given.site("awka", peer.address, "collect: [\"hotspot\"], live: false");
    let agent = given.start().with_token("admin-token-01234");
    assert_eq!(agent.wait_until_active("awka")["activeUsers"], 2);
    peer.wait_for_commands(9);
    let stats = agent.stats("awka");
    assert_eq!((&stats["activeUsers"], &stats["logins"]), (&json!(2), &json!(0)), "{stats}");
    let people = agent.json("/api/hotspot/awka/active");
    assert_eq!((&people[0]["id"], &people[1]["id"]), (&json!("café"), &json!("café")));
}
