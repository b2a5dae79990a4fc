//! The overview as a console: problems first, cards, table and wall display, filters and sorting, and the search.

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, AgentBuilder, until};
use super::router;
use crate::support::address::unused_address;

const ADMIN: &str = "admin-token-01234";

/// Eight sites in two groups and without one, of which two are offline.
fn agent(busy: &Router, quiet: &Router) -> Agent {
    let (east, west) = ("group: \"East\"", "group: \"West\"");
    let given = AgentBuilder::default()
        .http(&format!("admin: Token(Plain(\"{ADMIN}\")),"))
        .site("alone", quiet.addr(), "")
        .site("west-a", quiet.addr(), west)
        .site("enugu", unused_address(), &format!("name: \"Enugu\", {west}"))
        .site("east-a", busy.addr(), east)
        .site("east-b", quiet.addr(), east)
        .site("jos", unused_address(), "name: \"Jos\"")
        .site("west-b", quiet.addr(), west)
        .site("west-c", quiet.addr(), west);
    let agent = given.start();
    for site in ["alone", "west-a", "east-a", "east-b", "west-b", "west-c"] {
        agent.wait_until_active(site);
    }
    for site in ["enugu", "jos"] {
        agent.wait_for_error(site, "refused");
    }
    agent
}

fn routers() -> (Router, Router) {
    let of = |active| router(Settings { active, users: 20, seed: active as u64, ..Settings::default() });
    (of(9), of(4))
}

/// The keys of the sites and the headings of the groups, in the order of the page.
fn order(page: &str) -> Vec<&str> {
    let starts = page.match_indices("id=\"site-").map(|(at, start)| (at + start.len(), '"'));
    let headings = ["scope=\"rowgroup\" colspan=\"9\">", "<h2 class=\"group\">"]
        .into_iter()
        .flat_map(|heading| page.match_indices(heading).map(|(at, start)| (at + start.len(), '<')));
    let mut found: Vec<_> = starts.chain(headings).collect();
    found.sort_unstable();
    found.into_iter().map(|(at, end)| page[at..].split(end).next().unwrap()).collect()
}

#[test]
fn problems_are_first_and_named_in_totals_title_and_icon() {
    let (busy, quiet) = routers();
    let agent = agent(&busy, &quiet);
    let expected = [
        "Needs attention",
        "enugu",
        "jos",
        "West",
        "west-a",
        "west-b",
        "west-c",
        "East",
        "east-a",
        "east-b",
        "Other sites",
        "alone",
    ];
    for view in ["/", "/?view=cards", "/?view=table"] {
        let page = agent.page(view);
        assert_eq!(order(&page), expected, "{view}");
        assert!(page.contains("2 offline: Enugu, Jos"), "{page}");
        assert!(page.contains("<title>(2) "), "{page}");
        assert_eq!(page.contains("<table class=\"sites\""), view != "/?view=cards", "{view}");
    }
    let page = agent.page("/sites/alone");
    assert!(page.contains("icon.svg?") && page.contains("&amp;offline=2\""), "{page}");
    let icon = |query: &str| agent.get(&format!("/icon.svg?{query}")).body;
    assert!(icon("offline=2").contains(">2</text></svg>") && icon("offline=40").contains(">9+</text>"));
    for plain in ["", "offline=%3Cb%3E"] {
        assert!(!icon(plain).contains("<text"), "{plain}");
        assert!(icon(plain).trim_end().ends_with("</svg>"), "{plain}");
    }
}

#[test]
fn filter_and_sort_order_are_in_the_address() {
    let (busy, quiet) = routers();
    let agent = agent(&busy, &quiet);
    let page = agent.page("/?show=offline");
    assert_eq!(order(&page), ["Needs attention", "enugu", "jos"]);
    assert!(
        page.contains("<form class=\"refresh\" method=\"post\" action=\"./refresh?show=offline\">"),
        "{page}"
    );
    assert!(agent.page("/?show=busy").contains("No site matches."));
    for (sort, aria, first, link) in [
        ("-users", "descending", "east-a", "sort=users"),
        ("site", "ascending", "alone", "sort=-site"),
        ("-site", "descending", "west-c", ""),
    ] {
        let page = agent.page(&format!("/?sort={sort}"));
        assert_eq!(
            order(&page)[..5],
            ["Needs attention", order(&page)[1], order(&page)[2], "Other sites", first]
        );
        let (_, heading) =
            page.split_once(&format!("aria-sort=\"{aria}\"><a href=\"./?")).expect("a sorted heading");
        assert!(heading.starts_with(&format!("{link}\"")), "{sort}: {}", &heading[..40]);
    }
}

#[test]
fn the_wall_has_figures_but_no_controls() {
    let (busy, quiet) = routers();
    let page = agent(&busy, &quiet).page("/?wall");
    assert_eq!(order(&page)[..3], ["enugu", "jos", "alone"]);
    for control in ["<button", "<a ", "<input", "<header"] {
        assert!(!page.contains(control), "{control}: {page}");
    }
    assert!(page.contains("<body class=\"wall\">") && page.contains("page.js"), "{page}");
}

#[test]
fn the_admin_searches_all_sites_and_returns_to_the_search() {
    let (busy, quiet) = routers();
    let agent = agent(&busy, &quiet);
    assert!(!agent.page("/").contains("action=\"./search\""), "expected no search field");
    let html = [("Accept", "text/html")];
    assert_eq!(agent.ask("GET", "/search?q=a", &html).status, 401);
    let agent = agent.with_token(ADMIN);
    assert!(agent.page("/").contains("action=\"./search\""));
    let person = busy.sessions().swap_remove(3);
    for text in [person.user.to_uppercase(), person.mac.to_lowercase(), format!("+{}", person.user)] {
        let page = agent.page(&format!("/search?q={}", text.replace(':', "%3A")));
        assert!(
            page.contains(&format!("<bdi>{}</bdi>", person.user)) && page.contains("sites/east-a\""),
            "{page}"
        );
        assert!(page.contains("Not known now: Enugu, Jos"), "{page}");
    }
    let page = agent.page(&format!("/search?q={}", person.mac.replace(':', "%3A")));
    assert!(page.contains("1 session contains"), "{page}");
    assert!(agent.page("/search?q=enu").contains("Sites: <a href=\"./sites/enugu\">Enugu</a>"));
    assert!(agent.page("/search").contains("Enter a part of"), "an empty search finds nothing");
    let page = agent.page(&format!("/search?q={}", person.user));
    let link = page.split("class=\"disconnect\" href=\"./").nth(1).and_then(|rest| rest.split('"').next());
    let confirmation = agent.page(&format!("/{}", link.expect("a link").replace("&#38;", "&")));
    let back = format!("href=\"../../search?q={}\"", person.user);
    assert!(confirmation.contains(&back), "{confirmation}");
    let query =
        confirmation.split("name=\"session\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let query = query.expect("a session").replace("&#38;", "&");
    let body: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("session", &query).finish();
    let answer = until("the session is old enough", || {
        Some(agent.post("/sites/east-a/kick", &body)).filter(|answer| answer.status != 409)
    });
    let location = answer.location();
    assert!(location.starts_with("/search?notice=ended&on=east-a&kicked="), "{location}");
    assert!(agent.page(&location).contains(&format!("{} was disconnected.", person.user)));
}

#[test]
fn phones_can_install_the_page() {
    let (busy, quiet) = routers();
    let agent = agent(&busy, &quiet);
    let manifest = agent.get("/manifest.webmanifest");
    assert_eq!(manifest.field("Content-Type"), "application/manifest+json");
    let manifest = manifest.json();
    assert_eq!((&manifest["start_url"], &manifest["display"]), (&"./".into(), &"standalone".into()));
    for icon in manifest["icons"].as_array().unwrap() {
        let answer = agent.get(&format!("/{}", icon["src"].as_str().unwrap()));
        assert_eq!((answer.status, answer.field("Content-Type")), (200, icon["type"].as_str().unwrap()));
    }
    let page = agent.page("/");
    for part in ["rel=\"manifest\"", "rel=\"apple-touch-icon\"", "name=\"theme-color\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
