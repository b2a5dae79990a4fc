//! The login page: form, cookie, throttling, and protection against other sites.

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, AgentBuilder, Answer, TIMEOUT, until};
use super::browser::{Browser, ask_from};
use super::router;

const TOKENS: &str = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

fn agent(router: &Router, http: &str) -> Agent {
    let agent = AgentBuilder::default()
        .http(http)
        .defaults("refresh: \"1h\",")
        .site("awka", router.addr(), "")
        .argument("--log")
        .argument("debug")
        .start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

/// Whether a response contains the users who are online.
fn shows_people(router: &Router, answer: &Answer) -> bool {
    let shows = router.sessions().iter().filter(|person| answer.body.contains(&person.user)).count();
    assert!(
        shows == 0 || shows == router.sessions().len(),
        "expected all people or none, got {shows}: {}",
        answer.body
    );
    shows > 0
}

/// Stops an agent and returns its log.
fn log(agent: Agent) -> String {
    let mut running = agent.running;
    running.signal("TERM");
    running.wait_for_exit(TIMEOUT);
    running.err()
}

fn lines(log: &str, containing: &str) -> usize {
    log.lines().filter(|line| line.contains(containing)).count()
}

#[test]
fn admin_logs_in_sees_people_and_logs_out() {
    let router = router(Settings::default());
    let agent = agent(&router, TOKENS);
    let mut browser = Browser::new(HERE);
    browser.take("theme", "\"dark; phsweb=\" ???");
    let before = browser.cookies();

    // The requested page is the form, which keeps the target.
    let form = browser.get(&agent, "/sites/awka");
    assert_eq!((form.status, form.field("WWW-Authenticate")), (401, "Bearer"));
    assert_eq!(form.field("Content-Type"), "text/html; charset=utf-8");
    assert_eq!(form.field("Cache-Control"), "no-store");
    for part in [
        "<form class=\"login\" method=\"post\" action=\"../login\">",
        "<label for=\"token\">",
        "id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\"",
        "<input name=\"to\" type=\"hidden\" value=\"/sites/awka\">",
    ] {
        assert!(form.body.contains(part), "{part}: {}", form.body);
    }
    assert!(!form.body.contains("http-equiv"), "expected no reload of a form: {}", form.body);
    assert!(!form.body.contains("Log out") && !shows_people(&router, &form));

    let wrong = browser.post(&agent, "/login", "token=mistyped&to=%2Fsites%2Fawka");
    assert_eq!((wrong.status, wrong.field("Cache-Control")), (401, "no-store"));
    assert!(wrong.body.contains("This token is wrong") && wrong.body.contains("value=\"/sites/awka\""));
    assert!(!wrong.body.contains("mistyped"));
    assert_eq!(browser.cookies(), before);

    let right = browser.post(&agent, "/login", "token=admin-token-01234&to=%2Fsites%2Fawka");
    assert_eq!((right.status, right.field("Location")), (303, "./sites/awka"));
    assert_eq!((right.field("Cache-Control"), right.body.as_str()), ("no-store", ""));
    let set = right.field("Set-Cookie");
    assert!(set.starts_with(&format!("phsweb-{}=", agent.address.port())), "{set}");
    let attributes: Vec<&str> = set.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Max-Age=2592000", "HttpOnly", "SameSite=Strict"]);

    let page = browser.get(&agent, "/sites/awka");
    assert_eq!((page.status, page.field("Cache-Control")), (200, "no-store"));
    assert!(shows_people(&router, &page) && page.body.contains("You are the admin"), "{}", page.body);
    assert!(
        page.body.contains("<form method=\"post\" action=\"../logout\"><button>Log out"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("Log in"), "{}", page.body);
    assert!(shows_people(&router, &browser.get(&agent, "/api/hotspot/awka/active")));
    let cookies = browser.cookies();

    let out = browser.post(&agent, "/logout", "");
    assert_eq!((out.status, out.field("Location")), (303, "./"));
    assert_eq!((browser.cookies(), out.field("Cache-Control")), (before, "no-store"));
    assert_eq!(browser.get(&agent, "/").status, 401);
    // The session is closed: an old cookie is worthless.
    for path in ["/sites/awka", "/api/hotspot/awka/active"] {
        let answer = ask_from(HERE.into(), agent.address, ("GET", path), &[("Cookie", &cookies)], "");
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }

    let log = log(agent);
    assert_eq!(lines(&log, "action=login by=admin peer=127.0.0.1"), 1, "{log}");
    assert_eq!(lines(&log, "peer=127.0.0.1 msg=\"wrong token\""), 1, "{log}");
    let id = cookies.rsplit_once('=').unwrap().1;
    for secret in ["mistyped", "admin-token-01234", id] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn viewer_sees_figures_only() {
    let router = router(Settings::default());
    let agent = agent(&router, TOKENS);
    let mut browser = Browser::new(HERE);
    browser.log_in(&agent, "view-token-01234");
    for path in ["/", "/sites/awka"] {
        let page = browser.get(&agent, path);
        assert!(page.status == 200 && page.body.contains("You are a viewer"), "{}", page.body);
        assert!(!shows_people(&router, &page));
    }
    assert_eq!(browser.get(&agent, "/api/routers").status, 200);
    assert_eq!(browser.get(&agent, "/api/hotspot/awka/active").status, 403);
    // The admin's login replaces it.
    assert!(browser.get(&agent, "/sites/awka").body.contains("<a href=\"../login?to=/sites/awka\">"));
    let viewer = browser.cookies();
    browser.log_in(&agent, "admin-token-01234");
    assert!(shows_people(&router, &browser.get(&agent, "/sites/awka")));
    let answer = ask_from(HERE.into(), agent.address, ("GET", "/api/routers"), &[("Cookie", &viewer)], "");
    assert_eq!(answer.status, 401);
    assert_eq!(lines(&log(agent), "action=login by=viewer peer=127.0.0.1"), 1);
}

#[test]
fn public_page_links_to_login_and_cached_pages_are_not_shared() {
    let router = router(Settings::default());
    let agent = agent(&router, ADMIN);
    let mut browser = Browser::new(HERE);
    for (path, to) in [("/", "./login?to=%2F"), ("/sites/awka", "../login?to=%2Fsites%2Fawka")] {
        let page = browser.get(&agent, path);
        assert!(page.body.contains(&format!("<a href=\"{to}\">Log in</a>")), "{}", page.body);
        assert!(page.field("Vary").contains("Cookie") && page.field("Vary").contains("Authorization"));

        let tag = page.field("ETag").to_string();
        browser.log_in(&agent, "admin-token-01234");
        let ask_again = |browser: &mut Browser, tag: &str| {
            browser.ask(&agent, ("GET", path), &[("If-None-Match", tag)], "").status
        };
        assert_eq!(ask_again(&mut browser, &tag), 200, "{path}: expected another ETag for the admin");
        let tag = browser.get(&agent, path).field("ETag").to_string();
        browser.post(&agent, "/logout", "");
        assert_eq!(ask_again(&mut browser, &tag), 200, "{path}: expected another ETag without a token");
    }
    // A token in a header shows the same, without a logout.
    let fields = [("Authorization", "Bearer admin-token-01234")];
    let page = browser.ask(&agent, ("GET", "/sites/awka"), &fields, "");
    assert!(page.body.contains("You are the admin") && !page.body.contains("Log out"), "{}", page.body);
}

#[test]
fn without_tokens_the_form_explains_how_to_enable_login() {
    let router = router(Settings::default());
    let agent = agent(&router, "");
    let mut browser = Browser::new(HERE);
    let page = browser.get(&agent, "/");
    assert!(page.status == 200 && !page.body.contains("Log in"), "{}", page.body);
    for (answer, status) in [
        (browser.get(&agent, "/login"), 200),
        (browser.post(&agent, "/login", "token=admin-token-01234"), 403),
    ] {
        assert_eq!(answer.status, status);
        let admin = "admin: Token(Env(\"PHSWEB_ADMIN_TOKEN\"))";
        assert!(answer.body.contains(admin) && answer.body.contains("sites.ron"), "{}", answer.body);
        assert!(!answer.body.contains("type=\"password\""), "{}", answer.body);
    }
}

#[test]
fn eleventh_wrong_token_is_throttled_and_a_correct_one_is_not() {
    let router = router(Settings::default());
    let agent = agent(&router, ADMIN);
    let mut browser = Browser::new(HERE);
    browser.log_in(&agent, "admin-token-01234");
    let people = |from: [u8; 4], token: &str| {
        let bearer = format!("Bearer {token}");
        let request = ("GET", "/api/hotspot/awka/active");
        ask_from(from.into(), agent.address, request, &[("Authorization", &bearer)], "")
    };
    for number in 0..5 {
        assert_eq!(people(HERE, &format!("wrong-{number}")).status, 401);
        // The same one again counts once.
        assert_eq!(people(HERE, "wrong-0").status, 401);
        assert_eq!(browser.post(&agent, "/login", &format!("token=mistyped-{number}")).status, 401);
    }
    let bearer = people(HERE, "one-more");
    let form = Browser::new(HERE).post(&agent, "/login", "token=one-more");
    assert_eq!(bearer.field("Content-Type"), "application/problem+json");
    assert_eq!(form.field("Content-Type"), "text/html; charset=utf-8");
    for answer in [bearer, form] {
        assert_eq!(answer.status, 429, "{}", answer.body);
        let wait_s: u64 = answer.field("Retry-After").parse().unwrap();
        assert!((1..=60).contains(&wait_s), "{wait_s}");
        assert!(answer.body.contains("Too many wrong tokens") && answer.field("Set-Cookie").is_empty());
    }
    assert_eq!(people(HERE, "wrong-0").status, 401, "expected a repeated token not to count again");
    // Not throttled: a correct token, a cookie, the public page, and other addresses.
    assert!(shows_people(&router, &people(HERE, "admin-token-01234")));
    Browser::new(HERE).log_in(&agent, "admin-token-01234");
    assert!(shows_people(&router, &browser.get(&agent, "/sites/awka")));
    let page =
        |sent: &str| Browser::new(HERE).ask(&agent, ("GET", "/sites/awka"), &[("Authorization", sent)], "");
    for number in 0..12 {
        assert!(!shows_people(&router, &page(&format!("Bearer wrong-{number}"))));
    }
    assert!(shows_people(&router, &page("Bearer admin-token-01234")));
    assert_eq!(people(ELSEWHERE, "one-more").status, 401);
    assert!(shows_people(&router, &people(ELSEWHERE, "admin-token-01234")));
    Browser::new(ELSEWHERE).log_in(&agent, "admin-token-01234");

    let log = log(agent);
    assert_eq!(lines(&log, "WARN"), 1, "{log}");
    assert_eq!(lines(&log, "peer=127.0.0.1 msg=\"10 wrong tokens within a minute"), 1, "{log}");
    assert!(!log.contains("admin-token-01234") && !log.contains("mistyped"), "{log}");
}

#[test]
fn cross_origin_posts_are_refused() {
    let router = router(Settings::default());
    let agent = agent(&router, TOKENS);
    let mut browser = Browser::new(HERE);
    browser.log_in(&agent, "admin-token-01234");
    let own = format!("http://{}", agent.address);
    let other_port = format!("http://127.0.0.1:{}", agent.address.port() ^ 1);
    let forms: [&[(&str, &str)]; 7] = [
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", &other_port)],
        &[("Origin", &own), ("Host", "agent.example")],
        &[("Origin", "https://evil.example"), ("Authorization", "Bearer admin-token-01234")],
    ];
    for fields in forms {
        for (path, body) in [
            ("/login", "token=admin-token-01234"),
            ("/logout", ""),
            ("/", ""),
            ("/api/hotspot/stats", ""),
            ("/nothing", ""),
        ] {
            for who in [&mut browser, &mut Browser::new(HERE)] {
                let answer = who.ask(&agent, ("POST", path), fields, body);
                assert_eq!(answer.status, 403, "{path} {fields:?}: {}", answer.body);
                // Browsers show it to a person.
                assert_eq!(answer.field("Content-Type"), "text/html; charset=utf-8");
                assert!(answer.body.contains("another origin"), "{}", answer.body);
                assert!(answer.field("Set-Cookie").is_empty());
            }
        }
    }
    assert!(shows_people(&router, &browser.get(&agent, "/sites/awka")), "expected the login to stay valid");
    // Own pages and programs may post.
    let new: [&[(&str, &str)]; 3] = [&[("Sec-Fetch-Site", "same-origin")], &[("Origin", &own)], &[]];
    for fields in new {
        let answer = Browser::new(HERE).ask(&agent, ("POST", "/login"), fields, "token=admin-token-01234");
        assert_eq!(answer.status, 303, "{fields:?}: {}", answer.body);
    }
}

#[test]
fn login_redirects_to_own_pages_only() {
    let router = router(Settings::default());
    let agent = agent(&router, TOKENS);
    let long = format!("%2F{}", "a".repeat(60_000));
    for (to, expected) in [
        ("%2Fsites%2Fawka", "/sites/awka"),
        ("%2F%2Fevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2F%0D%0ASet-Cookie%3A%20a%3Db", "/"),
        ("%2F%22%3E%3Cb%3E", "/\"><b>"),
        (&long, "/"),
    ] {
        let mut browser = Browser::new(HERE);
        let wrong = browser.post(&agent, "/login", &format!("to={to}"));
        assert!(wrong.status == 401 && !wrong.body.contains("evil.example"), "{to}: {}", wrong.body);
        assert!(!wrong.body.contains("<b>"), "{to}: {}", wrong.body);
        let answer = browser.post(&agent, "/login", &format!("token=admin-token-01234&to={to}"));
        assert_eq!((answer.status, answer.location().as_str()), (303, expected), "{to}");
    }
}

#[test]
fn agents_on_one_host_have_separate_cookies() {
    let router = router(Settings::default());
    let agents = [agent(&router, TOKENS), agent(&router, TOKENS)];
    let mut browser = Browser::new(HERE);
    for agent in &agents {
        browser.log_in(agent, "admin-token-01234");
    }
    for agent in &agents {
        assert!(shows_people(&router, &browser.get(agent, "/sites/awka")));
    }
    browser.post(&agents[0], "/logout", "");
    assert!(!shows_people(&router, &browser.get(&agents[0], "/sites/awka")));
    assert!(shows_people(&router, &browser.get(&agents[1], "/sites/awka")));
}
