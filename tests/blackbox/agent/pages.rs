//! The pages without a browser: content, forms and errors.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Login, Policies, Router, Row, Settings};

use super::agent::{Agent, AgentBuilder, Answer, from_root, until};
use super::router;

/// The header field of a browser's navigation.
const BROWSER: [(&str, &str); 1] = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

fn agent(router: &Router) -> Agent {
    let given = AgentBuilder::default().http("admin: Token(Plain(\"admin-token-01234\")),").site(
        "awka",
        router.addr(),
        "name: \"Awka\"",
    );
    let agent = given.start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent
}

/// Asserts that the answer is a page with this status and text.
#[track_caller]
fn is_page(answer: &Answer, status: u16, says: &str) {
    let seen = (answer.status, answer.field("Content-Type"));
    assert_eq!(seen, (status, "text/html; charset=utf-8"), "{}", answer.body);
    assert!(answer.body.contains(says), "expected {says:?} in {}", answer.body);
}

/// Asserts that the answer redirects to this path.
#[track_caller]
fn redirects_to(answer: &Answer, path: &str) {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.location(), path);
}

/// The location after a session was disconnected, without the id that names it.
#[track_caller]
fn after_kick(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.location();
    let (before, id) = location.split_once("&on=awka&kicked=*").expect("expected the session's id");
    before.to_string() + id.trim_start_matches(|c: char| c.is_ascii_hexdigit())
}

/// The target of the first link of a page that disconnects a session.
#[track_caller]
fn disconnect_link(page: &str) -> String {
    let (_, link) =
        page.split_once("class=\"disconnect\" href=\"").expect("expected a link that disconnects a session");
    from_root(&link.split_once('"').unwrap().0.replace("&#38;", "&"))
}

/// The target and the body of the confirmation's form.
#[track_caller]
fn form(page: &str) -> (String, String) {
    let (_, form) =
        page.split_once("<form class=\"confirm\" method=\"post\" action=\"").expect("expected a form");
    let (_, session) = form.split_once("name=\"session\" value=\"").unwrap();
    let session = session.split_once('"').unwrap().0.replace("&#38;", "&");
    let body = form_urlencoded(&[("session", &session)]);
    (from_root(form.split_once('"').unwrap().0), body)
}

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let encoded = |text: &str| text.bytes().map(byte).collect::<String>();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

#[test]
fn a_hotspot_with_ten_thousand_sessions_has_a_small_page_and_a_search() {
    let router = router(Settings { active: 10_000, users: 10, ..Settings::default() });
    let agent = agent(&router);
    let began = Instant::now();
    let page = agent.page("/sites/awka?sort=download&order=desc");
    let took = began.elapsed();
    eprintln!("{} bytes after {took:?}", page.len());
    assert!(page.len() < 132_000, "{} bytes", page.len());
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(page.contains("10000 sessions, showing 1 to 100."), "{page}");
    let person = &router.sessions()[7_000];
    let found = agent.page(&format!("/sites/awka?q={}", person.mac.to_lowercase().replace(':', "%3A")));
    assert!(found.contains("1 of 10000 sessions match"), "{found}");
    assert!(found.contains(&person.user));
    let last = agent.page("/sites/awka?from=9999");
    assert!(last.contains("showing 9901 to 10000."), "{last}");
    // Each session is on exactly one page.
    let links = |page: &str| page.matches("class=\"disconnect\"").count();
    assert_eq!(links(&last) + links(&agent.page("/sites/awka?from=100")), 200);
}

#[test]
fn the_form_of_the_confirmation_disconnects_a_session() {
    let router = router(Settings::default());
    let agent = agent(&router);
    let list = "sort=address&q=hotspot1";
    let link = disconnect_link(&agent.page(&format!("/sites/awka?{list}")));
    let person = router.sessions().into_iter().min_by_key(|person| person.address).unwrap();
    assert!(link.starts_with("/sites/awka/kick?id=*"), "{link}");
    let confirmation = agent.page(&link);
    for shown in
        [&person.user, &person.mac, &person.address.to_string(), "Online since", "Upload", "hotspot1"]
    {
        assert!(confirmation.contains(shown), "expected {shown:?} in {confirmation}");
    }
    assert!(!confirmation.contains("http-equiv"), "expected no reload: {confirmation}");
    assert!(
        confirmation.contains(&format!("href=\"../../sites/awka?{}\"", list.replace('&', "&#38;"))),
        "expected the link back"
    );
    assert_eq!(router.sessions().len(), 23, "expected no logout by the confirmation");
    let (path, body) = form(&confirmation);
    let answer = agent.post(&path, &body);
    assert_eq!(after_kick(&answer), format!("/sites/awka?notice=ended&{list}"));
    assert!(!router.sessions().contains(&person));
    let page = agent.page(&answer.location());
    assert!(page.contains(&format!("{} was disconnected.", person.user)), "{page}");
    let other = agent.page("/sites/awka?notice=ended&on=awka&kicked=*1");
    assert!(other.contains("Session disconnected."), "expected no name for another session: {other}");
    let (active, ended) = page.split_once("<section id=\"ended\">").expect("the ended session");
    assert!(!active.contains(&person.mac), "expected the session not to be listed as active");
    assert!(ended.contains(&person.user), "expected the session to be listed as ended: {ended}");
    is_page(&agent.post(&path, &body), 404, "has already ended");

    // The next session at that address belongs to another user.
    assert!(router.log_in("next", person.address, "8C:F5:A3:00:00:01").is_some());
    is_page(&agent.post(&path, &body), 409, "now belongs to another session");
    assert_eq!(router.sessions().len(), 23);
    for nothing in ["", "session=", "session=user%3Dada", "id=*A053202&user=x&mac=", "forget=on"] {
        is_page(&agent.post(&path, nothing), 400, "Choose one from the list");
    }
    is_page(&agent.post(&path, "session=id%3D*1"), 404, "has already ended");
    is_page(&agent.get("/sites/awka/kick?id=*1"), 404, "has already ended");
    redirects_to(&agent.get("/sites/awka/kick?q=x"), "/sites/awka?q=x");
    is_page(&agent.get("/sites/awka/kick?id=*1&user=nobody&mac="), 200, "it may have ended already");
}

#[test]
fn a_device_is_forgotten_on_request() {
    let router = router(Settings { active: 0, cookies_log_back_in: true, ..Settings::default() });
    let agent = agent(&router);
    let id = router.log_in("ada", Ipv4Addr::new(10, 5, 50, 2), "8C:F5:A3:00:00:01").unwrap();
    agent.stats_when("awka", "the user is online", |stats| stats["activeUsers"] == 1);
    disconnect(&agent, "", "/sites/awka?notice=back");
    assert_eq!(router.sessions().len(), 1);
    disconnect(&agent, "&forget=on", "/sites/awka?notice=forgotten");
    assert!(router.sessions().is_empty(), "expected {id} to stay logged out");
}

/// Disconnects the only session. Routers report uptimes in whole seconds: in the first second, a login may be later
/// than the click, so the session is left alone.
#[track_caller]
fn disconnect(agent: &Agent, more: &str, to: &str) {
    until("the session is old enough", || {
        let page = agent.page("/sites/awka");
        let (_, list) = page.split_once("id=\"sessions\"").expect("expected a session list");
        let (list, _) = list.split_once("</section>").expect("expected its end");
        assert!(list.len() < 10_000, "a long name makes a row of {} bytes", list.len());
        // The device is about to be logged back in.
        let link = page.contains("class=\"disconnect\"").then(|| disconnect_link(&page))?;
        assert!(link.len() < 4096, "{} bytes do not fit a request's head", link.len());
        let (path, body) = form(&agent.page(&link));
        let answer = agent.post(&path, &(body + more));
        (answer.status != 409).then(|| assert_eq!(after_kick(&answer), to))
    });
}

/// Includes names that a form would change, and one that is too long for a link.
#[test]
fn sessions_with_unusual_user_names_can_be_disconnected() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let agent = agent(&router);
    for name in ["\0\r\n\n\r", "a&b=c;d%25+", "<script>\"'", "\u{202E}\u{FEFF}", &"ü".repeat(5 * 1024)] {
        assert!(router.log_in(name, Ipv4Addr::new(10, 5, 50, 2), "<b>mac</b>").is_some());
        agent.stats_when("awka", "the user is online", |stats| stats["activeUsers"] == 1);
        disconnect(&agent, "", "/sites/awka?notice=ended");
        assert!(router.sessions().is_empty(), "{:?}", router.sessions());
    }
}

#[test]
fn a_refusal_is_a_page_with_the_reason() {
    let read_only = Policies { write: false, ..Policies::ALL };
    let login = Login { policies: read_only, ..Login::new("api-user", "password") };
    let router = router(Settings { logins: vec![login], ..Settings::default() });
    let agent = agent(&router);
    let (path, body) = form(&agent.page(&disconnect_link(&agent.page("/sites/awka"))));
    let refused = agent.post(&path, &body);
    is_page(&refused, 403, "The session was not disconnected");
    assert!(refused.body.contains("write"), "expected a hint: {}", refused.body);

    router.set_fault(Some(Fault::NoService));
    agent.wait_for_error("awka", "closed");
    for (what, answer) in [
        ("The session was not disconnected", agent.post(&path, &body)),
        ("The users could not be read", agent.get("/sites/awka/users")),
    ] {
        is_page(&answer, 502, what);
        assert!(answer.body.contains("/ip service"), "expected a hint: {}", answer.body);
        assert!(answer.body.contains("href=\"../../sites/awka\""), "expected the link back: {}", answer.body);
    }
    is_page(&agent.post("/sites/awka/test", ""), 200, "steps failed");
    redirects_to(&agent.post("/sites/awka/refresh", ""), "/sites/awka?notice=failed");
    redirects_to(&agent.post("/refresh", ""), "/?notice=failed");
}

#[test]
fn buttons_refresh_and_test() {
    let (router, offline) = (router(Settings::default()), router(Settings::default()));
    offline.set_fault(Some(Fault::Refuse));
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\",");
    let agent = given
        .site("awka", router.addr(), "")
        .site("away", offline.addr(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent.wait_for_error("away", "closed");
    let commands = || agent.json("/api/sites/awka")["usage"]["commands"].as_u64().unwrap();
    let before = commands();
    // At most one refresh a second: the first may be shared with the one at the start.
    until("the router was queried", || {
        let answer = agent.post("/sites/awka/refresh?sort=upload&notice=back&x=y", "");
        redirects_to(&answer, "/sites/awka?notice=refreshed&sort=upload");
        (commands() > before).then_some(())
    });
    redirects_to(&agent.post("/refresh", ""), "/?notice=partly&answered=1&failed=away");
    assert!(
        agent.page("/?notice=partly&answered=1&failed=away").contains("1 of 2 sites answered. Failed: away<")
    );
    let tested = agent.post("/sites/awka/test", "");
    is_page(&tested, 200, "All steps succeeded");
    for step in ["resolve", "connect", "login", "hotspot", "listen"] {
        assert!(tested.body.contains(&format!(">{step}<details>")), "{step}: {}", tested.body);
    }
    // Text from the query is not shown.
    for code in ["nothing", "%3Cb%3E", "Ended", "Session%20disconnected."] {
        let page = agent.page(&format!("/?notice={code}"));
        assert!(page.contains("<p id=\"notice\" role=\"status\"></p>"), "{code}: {page}");
    }
    // A reload or a login requests a form's target with GET.
    for (path, page) in
        [("/refresh", "/"), ("/sites/awka/refresh", "/sites/awka"), ("/sites/awka/test", "/sites/awka")]
    {
        redirects_to(&agent.get(path), page);
        assert_eq!(agent.ask("PUT", path, &[]).status, 405);
    }
}

#[test]
fn users_are_listed_in_pages_without_passwords() {
    let router = router(Settings { active: 5, users: 0, ..Settings::default() });
    let user = |n: usize| {
        let row =
            Row::new().id(&format!("*{n:X}")).with("name", format!("user-{n}")).with("password", "s3cret");
        row.with("bytes-in", "1000000").with("disabled", n == 1)
    };
    let limited = user(0).with("limit-bytes-in", "5000000").with("limit-uptime", "1h").with("uptime", "10m");
    let all = std::iter::once(limited).chain((1..120).map(user));
    router.set_rows("/ip/hotspot/user", all.collect());
    let agent = agent(&router);
    assert!(router.log_in("user-0", Ipv4Addr::new(10, 5, 60, 1), "8C:F5:A3:00:00:01").is_some());
    agent.stats_when("awka", "the session is shown", |stats| stats["activeUsers"] == 6);
    let mut path = "/sites/awka/users".to_string();
    let mut names = Vec::new();
    for n in 0..3 {
        let page = agent.page(&path);
        assert!(!page.contains("s3cret") && page.contains("120 users"), "{page}");
        assert_eq!(page.contains("First page"), n > 0, "{page}");
        names.extend(
            page.split("data-label=\"User\"><bdi>")
                .skip(1)
                .map(|cell| cell.split(['<', ' ']).next().unwrap().to_string()),
        );
        if n == 0 {
            let rows: Vec<&str> = page.split("<tr ").skip(2).collect();
            for shown in ["1 online", "/sites/awka?q=user-0#sessions", "1.0 MB of 5.0 MB", "10m of 1h"] {
                assert!(rows[0].contains(shown), "{shown}: {}", rows[0]);
            }
            assert!(rows[1].contains("disabled") && !rows[2].contains("disabled"));
        }
        let next = page.split_once("<a href=\"?after=").map(|(_, next)| next.split_once('"').unwrap().0);
        assert_eq!(next.is_some(), n < 2);
        path = next.map(|next| format!("/sites/awka/users?after={next}")).unwrap_or_default();
    }
    let expected: Vec<String> = (0..120).map(|n| format!("user-{n}")).collect();
    assert_eq!(names, expected, "expected each user once");
    assert!(agent.page("/sites/awka/users?after=*FFFF").contains("There are no more users."));
}

#[test]
fn users_are_searched_filtered_sorted_and_exported() {
    let router = router(Settings { active: 0, users: 0, ..Settings::default() });
    let user = |n: usize| {
        let row =
            Row::new().id(&format!("*{n:X}")).with("name", format!("user-{n}")).with("password", "s3cret");
        row.with("limit-bytes-out", "100").with("bytes-out", n.to_string()).with("disabled", n == 1)
    };
    router.set_rows("/ip/hotspot/user", (0..120).map(user).collect());
    let agent = agent(&router);
    let api = |query: &str| {
        let list = agent.json(&format!("/api/hotspot/awka/users?{query}"));
        let users = list["users"].as_array().unwrap().iter();
        let names: Vec<String> = users.map(|user| user["name"].as_str().unwrap().into()).collect();
        (names, list["matching"].as_u64().unwrap(), list["next"].as_str().map(String::from))
    };
    let names = |numbers: &[usize]| numbers.iter().map(|n| format!("user-{n}")).collect::<Vec<_>>();
    assert_eq!(api("filter=disabled"), (names(&[1]), 1, None));
    assert_eq!(api("filter=never-used"), (names(&[0]), 1, None));
    assert_eq!(api("q=USER-11&sort=-usedShare&limit=2"), (names(&[119, 118]), 11, Some("*76".into())));
    assert_eq!(api("q=USER-11&sort=-usedShare&limit=2&after=*76").0, names(&[117, 116]));
    let (nearly, matching, next) = api("filter=nearly-exhausted");
    assert_eq!((&nearly[0], matching, next), (&"user-90".to_string(), 30, None));
    let csv = agent.get("/api/hotspot/awka/users?format=csv&sort=-name").body;
    assert!(csv.starts_with("id,name,") && csv.lines().nth(1).unwrap().starts_with("*63,user-99,"), "{csv}");
    assert_eq!(csv.lines().count(), 121, "{csv}");
    for (query, expected) in [("filter=x", "never-used"), ("sort=x", "usedShare"), ("format=x", "csv")] {
        let answer = agent.get(&format!("/api/hotspot/awka/users?{query}"));
        assert!(answer.status == 400 && answer.body.contains(expected), "{answer:?}");
    }
    let page = agent.page("/sites/awka/users?q=user-11&sort=-name");
    let csv = "api/hotspot/awka/users?sort=-name&#38;q=user-11&#38;format=csv";
    for shown in ["11 of 120 users", csv, "aria-sort=\"descending\"", "value=\"user-11\""] {
        assert!(page.contains(shown), "expected {shown:?} in {page}");
    }
    assert!(!page.contains("s3cret") && !page.contains("user-12<"), "{page}");
    assert!(agent.page("/sites/awka/users?q=nobody").contains("No user matches."));
}

#[test]
fn a_site_shows_quotas_failed_logins_and_the_most_traffic() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let session = |id: &str, user: &str, bytes: &str| {
        let row = Row::new().id(id).with("user", user).with("uptime", "1h").with("address", "10.5.50.2");
        row.with("bytes-in", "0").with("bytes-out", bytes)
    };
    let sessions = [
        session("*1", "ada", "1000000").with("limit-bytes-out", "3000000"),
        session("*2", "bola", "2000000").with("session-time-left", "1h"),
        session("*3", "chidi", "7000000"),
    ];
    router.set_rows("/ip/hotspot/active", sessions.into());
    let failed = |n: usize| format!("->: guest-{n} (10.5.50.9): login failed: <b>invalid</b>");
    let lines = (0..12).map(|n| Row::new().with("time", format!("14:{n:02}:00")).with("message", failed(n)));
    let other = Row::new().with("time", "15:00:00").with("message", "ada (10.5.50.2): logged in");
    router.set_rows("/log", lines.chain([other]).collect());
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .plugin("log", "menu: \"/log\", columns: [\"time\", \"message\"], private: false")
        .site("awka", router.addr(), "collect: [\"hotspot\", \"resource\", \"log\"]")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    let page = agent.page("/sites/awka?sort=quota&order=desc");
    let users: Vec<&str> =
        page.split("data-label=\"User\"><bdi>").skip(1).map(|cell| cell.split('<').next().unwrap()).collect();
    assert_eq!(users, ["bola", "ada", "chidi"], "expected the largest share of a quota first");
    let quotas = ["50 %<small>of 2h · 1h left</small>", "25 %<small>of 4.0 MB</small>"];
    let logins = ["The latest 10 of 12", "14:11:00", "<bdi>guest-11</bdi>", "&#60;b&#62;invalid"];
    let top = ["<tr><td><bdi>chidi</bdi></td><td class=\"number\">7.0 MB</td>", " 70 %"];
    for shown in quotas.into_iter().chain(logins).chain(top) {
        assert!(page.contains(shown), "expected {shown:?} in {page}");
    }
    assert!(!page.contains("<bdi>guest-1</bdi>"), "expected the latest only: {page}");
    let viewer = agent.ask("GET", "/sites/awka", &[("Authorization", "none")]).body;
    assert!(!viewer.contains("Failed logins") && !viewer.contains("<bdi>guest-11</bdi>"), "{viewer}");
}

#[test]
fn a_viewer_gets_no_personal_details_and_no_actions() {
    let router = router(Settings::default());
    let agent = agent(&router);
    let link = disconnect_link(&agent.page("/sites/awka"));
    let people = router.sessions();
    let viewer = [("Authorization", "none")];
    let page = agent.ask("GET", "/sites/awka?q=a&sort=upload", &viewer);
    is_page(&page, 200, "Refresh now");
    for hidden in ["<td role", "kick", "/test", "/users", "type=\"search\"", &people[0].user, &people[0].mac]
    {
        assert!(!page.body.contains(hidden), "expected no {hidden:?} in {}", page.body);
    }
    for path in [&link, "/sites/awka/kick", "/sites/awka/users", "/sites/awka/test", "/sites/nowhere/users"] {
        assert_eq!(agent.ask("GET", path, &viewer).status, 401, "{path}");
    }
    for path in ["/sites/awka/kick", "/sites/awka/test"] {
        assert_eq!(agent.ask("POST", path, &viewer).status, 401, "{path}");
    }
    assert_eq!(router.sessions(), people);
    redirects_to(&agent.ask("POST", "/refresh", &viewer), "/?notice=recent");
    redirects_to(&agent.ask("POST", "/sites/awka/refresh", &viewer), "/sites/awka?notice=recent");
    assert!(agent.page("/?notice=recent").contains("the figures are recent"));
}

#[test]
fn a_browser_gets_a_page_for_a_path_that_does_not_exist() {
    let router = router(Settings::default());
    let agent = agent(&router);
    for path in
        ["/nothing", "/sites/nowhere", "/sites/nowhere/users", "/sites/nowhere/kick?id=*1", "/sites/awka/x"]
    {
        is_page(&agent.ask("GET", path, &BROWSER), 404, "Page not found");
        assert_eq!(agent.get(path).field("Content-Type"), "application/problem+json", "{path}");
    }
    assert_eq!(
        agent.ask("GET", "/api/sites/nowhere", &BROWSER).field("Content-Type"),
        "application/problem+json"
    );
}
