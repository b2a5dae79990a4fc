//! What all of the API has in common: the page about it, slashes, the order of sites, and typed rows of plugins.

use phsweb_agent::http::ROUTES;
use phsweb_agent::simulator::{Router, Row};

use super::agent::{Agent, AgentBuilder, until};
use super::journal::router_with_people;

/// Two sites whose order in the file is not that of the alphabet.
fn agent(router: &Router) -> Agent {
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .site("lagos", router.addr(), "collect: [\"resource\", \"interfaces\", \"hotspot\", \"leases\"],")
        .site("awka", router.addr(), "collect: [\"hotspot\"],")
        .start()
        .with_token("admin-token-01234");
    until("both sites are read", || (agent.json("/api/sessions")["total"] == 8).then_some(()));
    agent
}

#[test]
fn objects_by_site_and_by_plugin_are_in_the_order_of_the_file() {
    let router = router_with_people();
    let agent = agent(&router);
    for path in ["/api/sites", "/api/routers", "/api/hotspot/stats"] {
        let body = agent.get(path).body;
        let places = ["lagos", "awka"].map(|key| body.find(&format!("\"{key}\":{{")).unwrap());
        assert!(places.is_sorted(), "{path}: {body}");
    }
    let body = agent.get("/api/sites/lagos").body;
    let places = ["resource", "interfaces", "hotspot", "leases"]
        .map(|key| body.find(&format!("\"{key}\":{{")).unwrap());
    assert!(places.is_sorted(), "{body}");
}

#[test]
fn sessions_of_one_site_are_those_of_all_sites_with_its_key() {
    let router = router_with_people();
    let agent = agent(&router);
    for query in ["sort=-uploadBytes&limit=3", "q=ada", "format=csv"] {
        let one = agent.get(&format!("/api/sites/lagos/sessions?{query}")).body;
        let all = agent.get(&format!("/api/sessions?site=lagos&{query}")).body;
        assert_eq!(one, all, "{query}");
        assert!(one.contains("ada"), "{one}");
    }
    assert_eq!(agent.get("/api/sites/abuja/sessions").status, 404);
    assert_eq!(agent.ask("GET", "/api/sites/lagos/sessions", &[("Authorization", "")]).status, 401);
}

#[test]
fn rows_of_the_catalogue_are_objects_with_types_and_a_table_with_units() {
    let router = router_with_people();
    let port = Row::new().id("*1").with("name", "ether1").with("type", "ether").with("running", "true");
    let port =
        port.with("rx-byte", "45678912").with("tx-byte", "18446744073709551615").with("link-downs", "1312");
    router.set_rows("/interface", vec![port]);
    let agent = agent(&router);
    let path = "/api/sites/lagos/plugins/interfaces";
    let read = until("the interfaces are read", || {
        let read = agent.json(&format!("{path}?form=objects"));
        (read["state"] == "ok").then_some(read)
    });
    assert_eq!(
        read["objects"].to_string(),
        r#"[{"linkDowns":1312,"name":"ether1","running":true,"rxByte":45678912,"txByte":18446744073709551615,"type":"ether"}]"#
    );
    assert_eq!(
        read["fields"][3].to_string(),
        r#"{"name":"rxByte","property":"rx-byte","title":"Received","unit":"Bytes"}"#
    );
    let resource = agent.json("/api/sites/lagos/plugins/resource?form=objects");
    assert!(
        resource["objects"][0]["uptimeSeconds"].is_u64() && resource["objects"][0]["cpuLoad"].is_u64(),
        "{resource}"
    );
    assert_eq!(agent.json(path)["rows"][0][3], "45678912");
    assert_eq!(agent.get(&format!("{path}?form=xml")).status, 400);
    let page = agent.get("/sites/lagos").body;
    for cell in [
        "<th scope=\"col\" class=\"number\">Received</th>",
        "<td class=\"number\"><bdi>45.7 MB</bdi></td>",
        "<td class=\"number\"><bdi>1,312</bdi></td>",
        "<td><bdi>Yes</bdi></td>",
    ] {
        assert!(page.contains(cell), "expected {cell} in {page}");
    }
}

#[test]
fn the_page_about_the_api_has_every_path_and_links_that_work() {
    let router = router_with_people();
    let agent = agent(&router);
    let page = agent.get("/api").body;
    for route in ROUTES {
        assert!(page.contains(&format!("<code>{}</code>", route.path())), "expected {}", route.path());
    }
    assert!(page.contains("<code>sort</code>: A field of a session"), "{page}");
    let links: Vec<&str> =
        page.split("<a href=\"./").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for route in ROUTES.iter().filter(|route| route.methods() != "POST") {
        let link = route.path()[1..].replace("{site}", "lagos").replace("{plugin}", "resource");
        assert!(links.contains(&link.as_str()), "expected a link to {link:?} in {links:?}");
    }
    for link in links.iter().filter(|link| **link != "api/events") {
        let status = agent.get(&format!("/{}", link.replace("&amp;", "&"))).status;
        assert!([200, 303].contains(&status), "{link}: {status}");
    }
    for path in ["/", "/sites/lagos"] {
        assert!(agent.get(path).body.contains("api\">API</a>"), "expected a link on {path}");
    }
}

#[test]
fn a_slash_at_the_end_is_redirected_and_browsers_get_an_icon() {
    let router = router_with_people();
    let agent = agent(&router);
    for (method, path, to) in [
        ("GET", "/api/sites/", "../../api/sites"),
        ("GET", "/api/sessions/?limit=1", "../../api/sessions?limit=1"),
        ("GET", "/sites/awka/", "../../sites/awka"),
        ("GET", "/api/", "../api"),
        ("POST", "/api/refresh/", "../../api/refresh"),
    ] {
        let answer = agent.ask(method, path, &[]);
        assert_eq!((answer.status, answer.field("Location")), (308, to), "{path}");
    }
    for path in ["//", "/nothing/", "/api/sites//", "//example.com/"] {
        assert_eq!(agent.get(path).status, 404, "{path}");
    }
    let icon = agent.ask("HEAD", "/favicon.ico", &[("Authorization", "")]);
    assert_eq!((icon.status, icon.field("Content-Type")), (200, "image/png"));
}
