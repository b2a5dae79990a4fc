//! HTTP behaviour of every response: entity tags, problems, methods.

use std::fs;
use std::path::PathBuf;

use phsweb_agent::simulator::{Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, from_root, until};
use super::router;

const TOKEN: &str = "admin-token-01234";

/// All paths with content.
const PATHS: [&str; 10] = [
    "/",
    "/sites/awka",
    "/api/hotspot/stats",
    "/api/hotspot/awka",
    "/api/hotspot/awka/active",
    "/api/routers",
    "/api/sites",
    "/api/sites/awka",
    "/api/sites/awka/plugins/resource",
    "/api/sites/awka/plugins/hotspot",
];

fn agent(router: &Router, refresh: &str) -> Agent {
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults(&format!("refresh: \"{refresh}\","))
        .site("awka", router.addr(), "")
        .start()
        .with_token(TOKEN);
    agent.wait_until_active("awka");
    agent
}

#[test]
fn unchanged_resource_is_a_304() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for path in PATHS {
        // Ages are shown to the minute: when one begins between the two, there is something new.
        let (first, again) = until(&format!("{path} is the same twice"), || {
            let first = agent.get(path);
            assert_eq!(first.status, 200, "{path}");
            let again = agent.ask("GET", path, &[("If-None-Match", first.field("ETag"))]);
            (again.status == 304).then_some((first, again))
        });
        let tag = first.field("ETag");
        assert!(tag.trim_start_matches("W/").starts_with('"') && tag.ends_with('"'), "{path}: {tag:?}");
        assert_eq!((again.field("ETag"), again.body.as_str()), (tag, ""), "{path}");
        let listed = format!("\"other\", {}", tag.trim_start_matches("W/"));
        until(&format!("{path}: the strong tag matches as one of several"), || {
            (agent.ask("GET", path, &[("If-None-Match", &listed)]).status == 304).then_some(())
        });
        assert_eq!(agent.ask("GET", path, &[("If-None-Match", "\"other\"")]).status, 200, "{path}");
    }
    // The ETag of one role is not valid for another.
    let tag = agent.get("/sites/awka").field("ETag").to_string();
    let viewer = agent.ask("GET", "/sites/awka", &[("If-None-Match", &tag), ("Authorization", "none")]);
    assert_eq!(viewer.status, 200);
}

#[test]
fn large_responses_are_compressed_for_clients_that_accept_it() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    let gzip = |method: &str, path: &str, tag: &str| {
        agent.ask(method, path, &[("Accept-Encoding", "deflate, gzip"), ("If-None-Match", tag)])
    };
    for path in PATHS.into_iter().chain(["/style.css", "/page.js", "/openapi.json", "/healthz"]) {
        let (plain, packed, head) = until(&format!("{path} has the same content"), || {
            let (plain, packed) = (agent.get(path), gzip("GET", path, "\"\""));
            let head = gzip("HEAD", path, "\"\"");
            // Ages are in seconds.
            let is_same =
                plain.body == packed.body && head.field("Content-Length") == packed.field("Content-Length");
            is_same.then_some((plain, packed, head))
        });
        let length: usize = packed.field("Content-Length").parse().unwrap();
        let is_compressed = length < plain.body.len();
        assert_eq!(is_compressed, plain.body.len() >= 1024, "{path}: {length} of {} bytes", plain.body.len());
        let coding = if is_compressed { "gzip" } else { "" };
        for (answer, coding) in [(&plain, ""), (&packed, coding), (&head, coding)] {
            assert_eq!((answer.status, answer.field("Content-Encoding")), (200, coding), "{path}");
        }
        assert!(head.body.is_empty(), "{path}");
        if !plain.field("ETag").is_empty() {
            assert!(packed.field("Vary").contains("Accept-Encoding"), "{path}: {packed:?}");
        }
    }
    let stats = agent.get("/api/hotspot/awka/active");
    until("the tag of the compressed form matches", || {
        let tag = gzip("GET", "/openapi.json", "\"\"").field("ETag").to_string();
        let unchanged = gzip("GET", "/openapi.json", &tag);
        (unchanged.status == 304 && unchanged.field("Content-Encoding").is_empty()).then_some(())
    });
    // What is shared between requests is not shared between roles.
    let user = stats.json()[0]["user"].as_str().unwrap().to_string();
    for token in ["none", TOKEN, "none", TOKEN] {
        let field = format!("Bearer {token}");
        let page = agent.ask("GET", "/sites/awka", &[("Authorization", &field), ("Accept-Encoding", "gzip")]);
        assert_eq!(page.body.contains(&user), token == TOKEN, "{token}");
        let active = agent.ask("GET", "/api/hotspot/awka/active", &[("Authorization", &field)]);
        assert_eq!(active.status, if token == TOKEN { 200 } else { 401 }, "{token}");
    }
}

#[test]
fn changed_resource_is_a_200() {
    let router = router(Settings::default());
    let agent = agent(&router, "1s");
    for path in PATHS {
        let before = agent.get(path);
        let tag = before.field("ETag").to_string();
        let after = until(&format!("{path} has changed"), || {
            let after = agent.ask("GET", path, &[("If-None-Match", &tag)]);
            (after.status == 200).then_some(after)
        });
        assert_ne!(after.field("ETag"), tag, "{path}");
        assert!(!after.body.is_empty(), "{path}");
    }
}

#[track_caller]
fn problem(agent: &Agent, method: &str, path: &str, status: u16) {
    let answer = agent.ask(method, path, &[]);
    assert_eq!(
        (answer.status, answer.field("Content-Type")),
        (status, "application/problem+json"),
        "{method} {path}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{method} {path}");
    for field in ["type", "title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}: {problem}");
    }
    let methods: Vec<&str> = answer.field("Allow").split(", ").filter(|method| !method.is_empty()).collect();
    let allowed: &[&str] = if status == 405 { &["GET", "HEAD"] } else { &[] };
    assert_eq!(methods, allowed, "{method} {path}");
}

#[test]
fn missing_path_is_a_404_that_lists_existing_ones() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for path in [
        "/nothing",
        "/api/hotspot",
        "/api/hotspot/nowhere",
        "/api/hotspot/nowhere/active",
        "/api/hotspot/awka/passive",
        "/api/hotspot/awka/active/1",
        "/api/sites/nowhere",
        "/api/sites/awka/plugins",
        "/api/sites/awka/plugins/leases",
        "/api/sites/nowhere/plugins/hotspot",
        "/sites/nowhere",
        "/sites/..%2f..%2fetc%2fpasswd",
        "/api/routers/awka",
        "/healthz/x",
    ] {
        problem(&agent, "GET", path, 404);
        problem(&agent, "POST", "/nothing", 404);
    }
    assert!(agent.get("/api/sites/nowhere").body.contains("awka"), "expected the list of sites");
    assert!(
        agent.get("/api/sites/awka/plugins/leases").body.contains("resource"),
        "expected the list of plugins"
    );
}

#[test]
fn other_methods_are_a_405_with_allow() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for path in PATHS.into_iter().chain(["/healthz", "/readyz"]) {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            problem(&agent, method, path, 405);
        }
        let options = agent.ask("OPTIONS", path, &[]);
        let seen = (options.status, options.field("Allow"), options.body.as_str());
        assert_eq!(seen, (204, "GET, HEAD", ""), "{path}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for path in PATHS.into_iter().chain(["/healthz", "/readyz", "/style.css", "/nothing"]) {
        until(&format!("{path} is the same for both"), || {
            let (get, head) = (agent.get(path), agent.ask("HEAD", path, &[]));
            assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
            assert_eq!(head.field("Content-Type"), get.field("Content-Type"), "{path}");
            // An age in it may have changed between the two.
            let same = |name: &str| head.field(name) == get.field(name);
            (same("ETag") && same("Content-Length") && !get.field("Content-Length").is_empty()).then_some(())
        });
    }
}

#[test]
fn query_does_not_change_the_path_and_probes_need_no_token() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    assert_eq!(agent.json("/api/hotspot/awka?now=1")["name"], json!("awka"));
    assert_eq!(agent.get("/healthz?x").status, 200);
    assert_eq!((agent.get("/healthz").status, agent.get("/readyz").status), (200, 200));
}

#[test]
fn content_security_policy_allows_own_resources_only() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for path in ["/", "/sites/awka"] {
        let answer = agent.get(path);
        assert!(answer.field("Content-Security-Policy").contains("default-src 'none'"), "{answer:?}");
        assert_eq!(answer.field("X-Content-Type-Options"), "nosniff");
        let named: Vec<&str> = answer
            .body
            .split(['"', '\''])
            .filter(|word| word.contains("./style.css") || word.contains("./page.js"))
            .collect();
        assert_eq!(named.len(), 2, "{named:?}");
        for asset in named {
            let got = agent.get(&from_root(asset));
            assert!(got.status == 200 && got.body.len() > 100, "{asset}");
        }
    }
}

#[test]
fn every_response_has_security_headers() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    for (method, path) in
        [("GET", "/"), ("GET", "/api/routers"), ("GET", "/page.js"), ("GET", "/nothing"), ("POST", "/")]
    {
        let answer = agent.ask(method, path, &[]);
        for (field, value) in [
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ] {
            assert_eq!(answer.field(field), value, "{method} {path}: {field}");
        }
    }
}

#[test]
fn no_local_socket_bypasses_the_connection_limits() {
    let router = router(Settings::default());
    let agent = agent(&router, "1h");
    assert_eq!(agent.get("/").status, 200);
    let process = format!("/proc/{}", agent.running.id());
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap();
    let open: Vec<_> = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok()).collect();
    let inode =
        |target: &PathBuf| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned);
    let sockets: Vec<String> = open.iter().filter_map(inode).collect();
    assert!(!sockets.is_empty(), "{open:?}");
    // The inode is the seventh column; a socket that others can connect to has a name in the eighth.
    let local = fs::read_to_string(format!("{process}/net/unix")).unwrap();
    let named = local.lines().filter(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.len() > 7 && sockets.iter().any(|inode| inode == columns[6])
    });
    assert_eq!(named.collect::<Vec<_>>(), Vec::<&str>::new());
}
