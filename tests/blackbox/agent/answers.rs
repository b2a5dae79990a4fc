//! Every response matches `/openapi.json`, with routers in all states, and every described response occurs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;

use phsweb_agent::simulator::{Fault, OnlineSession, Router};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, TIMEOUT, until};
use super::browser::ask_from;
use super::openapi::{Api, Operation};
use super::world::{SITES, TOKENS, firing_alert, world};

/// More requests and tests than the queue of a site holds, so some are refused.
const CROWD: usize = 20;

/// The limit of wrong tokens per address and minute.
const GUESSES: [&str; 10] = [
    "token=a", "token=b", "token=c", "token=d", "token=e", "token=f", "token=g", "token=h", "token=i",
    "token=j",
];

const USERS: &str = "/api/hotspot/{site}/users";
const KICK: &str = "/api/hotspot/{site}/kick";
const PLUGIN: &str = "/api/sites/{site}/plugins/{plugin}";

/// The paths of people.
const USERS_PAGE: &str = "/sites/{site}/users";
const KICK_FORM: &str = "/sites/{site}/kick";

/// Sends requests, checks responses against the document, and records which occurred.
struct Witness<'w> {
    agent: &'w Agent,
    api: &'w Api,
    /// By method, documented path, and status.
    seen: BTreeSet<(String, String, u16)>,
}

impl Witness<'_> {
    /// Sends a request with this token and checks the response.
    #[track_caller]
    fn ask(&mut self, (method, path): (&str, &str), target: &str, token: &str, body: &str) -> Answer {
        let answer = ask(self.agent.address, method, target, token, &[], body);
        self.check(method, path, &answer);
        answer
    }

    #[track_caller]
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let operations = self.api.operations();
        let operation =
            operations.iter().find(|operation| (&*operation.method, operation.path) == (method, path));
        self.api.describes(operation.unwrap_or_else(|| panic!("{method} {path} is not described")), answer);
        self.seen.insert((method.into(), path.into(), answer.status));
    }

    /// Requests a path again with its entity tag.
    #[track_caller]
    fn revalidate(&mut self, path: &str, target: &str) {
        // The routers change meanwhile.
        let answer = until(&format!("{target} is the same twice"), || {
            let tag = ask(self.agent.address, "GET", target, "admin", &[], "").field("ETag").to_string();
            let repeated = ask(self.agent.address, "GET", target, "admin", &[("If-None-Match", &tag)], "");
            (repeated.status == 304).then_some(repeated)
        });
        self.check("GET", path, &answer);
    }

    /// Reads all sites and each site, as admin, as viewer and without a token.
    fn read_sites(&mut self) {
        let api = self.api;
        let operations = api.operations();
        let gets = operations.iter().filter(|operation| operation.method == "GET");
        for operation in gets.filter(|operation| operation.path != "/api/events") {
            let path = operation.path;
            let sites =
                if path.contains("{site}") { &[&SITES[..], &["nowhere"]].concat()[..] } else { &[""] };
            let plugins: &[&str] =
                if path.contains("{plugin}") { &["hotspot", "resource", "health", "leases"] } else { &[""] };
            for (site, plugin) in
                sites.iter().flat_map(|site| plugins.iter().map(move |plugin| (site, plugin)))
            {
                let target = path.replace("{site}", site).replace("{plugin}", plugin);
                for token in ["", "view", "admin"] {
                    self.ask(("GET", path), &target, token, "");
                }
            }
            let is_kept = operation.statuses().any(|status| status == 304);
            if is_kept && path != "/readyz" {
                self.revalidate(path, &path.replace("{site}", "healthy").replace("{plugin}", "resource"));
            }
        }
    }

    fn wrong_parameters(&mut self) {
        for (path, query) in [
            ("/api/sites/{site}/history", "?range=1s"),
            ("/badge/{site}.svg", "?range=1s"),
            ("/api/events", "?data=x"),
            ("/api/sessions", "?limit=0"),
            ("/api/sites/{site}/sessions", "?limit=0"),
            (PLUGIN, "?form=x"),
            ("/api/journal", "?from=x"),
        ] {
            let target = path.replace("{site}", "healthy").replace("{plugin}", "leases") + query;
            assert_eq!(self.ask(("GET", path), &target, "admin", "").status, 400, "{target}");
        }
        for plugin in ["hotspot", "resource", "health", "leases"] {
            let target = format!("/api/sites/healthy/plugins/{plugin}?form=objects");
            assert_eq!(self.ask(("GET", PLUGIN), &target, "admin", "").status, 200, "{target}");
        }
    }

    fn alerts(&mut self) {
        const ACKNOWLEDGE: &str = "/api/alerts/{id}/acknowledge";
        let firing = firing_alert(self.agent);
        for (id, token, status) in
            [("none", "admin", 404), (&*firing, "view", 403), (&*firing, "", 401), (&*firing, "admin", 200)]
        {
            let answer = self.ask(("POST", ACKNOWLEDGE), &ACKNOWLEDGE.replace("{id}", id), token, "");
            assert_eq!(answer.status, status, "{id} by {token:?}: {answer:?}");
        }
        for (body, token, status) in [
            ("", "admin", 400),
            ("{}", "admin", 400),
            ("{\"for\":\"soon\"}", "admin", 400),
            ("{\"for\":\"32days\"}", "admin", 400),
            ("{\"site\":\"nowhere\",\"for\":\"1h\"}", "admin", 400),
            ("{\"for\":\"1h\"}", "view", 403),
            ("{\"site\":\"healthy\",\"for\":\"1h\"}", "admin", 200),
            ("{\"site\":null,\"for\":\"0s\"}", "admin", 200),
        ] {
            let answer = self.ask(("POST", "/api/alerts/mute"), "/api/alerts/mute", token, body);
            assert_eq!(answer.status, status, "{body} by {token:?}: {answer:?}");
        }
        for path in ["/alerts/acknowledge", "/alerts/mute"] {
            assert_eq!(self.ask(("POST", path), path, "admin", "for=soon&id=none").status, 303, "{path}");
        }
        self.ask(("GET", "/api/alerts"), "/api/alerts", "view", "");
    }

    fn users(&mut self) {
        let mut next = |query: &str| {
            let answer = self.ask(("GET", USERS), &format!("/api/hotspot/many/users{query}"), "admin", "");
            (answer.status, answer.body)
        };
        for query in
            ["?limit=0", "?limit=501", "?limit=-1", "?limit=1.5", "?limit=x", "?limit=99999999999999999999"]
        {
            assert_eq!(next(query).0, 400, "{query}");
        }
        for (query, count) in [("", 50), ("?limit=1", 1), ("?limit=500", 500), ("?limit=7&after=*3", 7)] {
            let (status, body) = next(query);
            let page: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, page["users"].as_array().unwrap().len()), (200, count), "{query}: {page}");
        }
    }

    fn kicks(&mut self, healthy: &Router) {
        let session = healthy.sessions().remove(0);
        let body = json!({"id": session.id, "user": session.user, "mac": session.mac});
        let with = |name: &str, value: Value| {
            let mut body = body.clone();
            body[name] = value;
            body.to_string()
        };
        let body = body.to_string();
        let malformed = [
            "",
            "x",
            "[]",
            "{}",
            "null",
            "{\"id\":\"*1\"}",
            &with("mac", json!(null)),
            &with("forget", json!(1)),
            &with("id", json!(1)),
            &with("more", json!(1)),
            &format!("{body}{body}"),
            "[\"*1\",\"ada\",\"\",true]",
            &body.replacen('{', "{\"id\":\"*1\",", 1),
        ];
        for (site, body, token, status) in
            malformed.iter().map(|malformed| ("healthy", *malformed, "admin", 400)).chain([
                ("healthy", &*body, "", 401),
                ("healthy", &*body, "view", 403),
                ("nowhere", &*body, "admin", 404),
                ("never", &*body, "admin", 502),
                ("connecting", &*body, "admin", 502),
                ("denied", &*body, "admin", 403),
                ("healthy", &*with("mac", json!("")), "admin", 409),
                ("healthy", &*body, "admin", 200),
                ("healthy", &*body, "admin", 404),
            ])
        {
            let answer = self.ask(("POST", KICK), &KICK.replace("{site}", site), token, body);
            assert_eq!(answer.status, status, "{site} {body}: {answer:?}");
        }
    }

    /// The confirmation page and its form.
    fn kicks_by_form(&mut self, healthy: &Router) {
        let body = form_of(&healthy.sessions()[0]);
        for (site, query, status) in [
            ("healthy", "?id=*1&user=ada&mac=", 200),
            ("healthy", "?q=x", 303),
            ("healthy", "?id=*1", 404),
            ("nowhere", "?id=*1", 404),
        ] {
            let target = format!("/sites/{site}/kick{query}");
            let answer = self.ask(("GET", KICK_FORM), &target, "admin", "");
            assert_eq!(answer.status, status, "{target}: {answer:?}");
        }
        for (site, body, token, status) in [
            ("healthy", "", "admin", 400),
            ("healthy", "session=", "admin", 400),
            ("healthy", "id=*1", "admin", 400),
            ("healthy", &*body, "", 401),
            ("healthy", &*body, "view", 403),
            ("nowhere", &*body, "admin", 404),
            ("never", &*body, "admin", 502),
            ("denied", &*body, "admin", 403),
            ("healthy", &*body.replace("%26mac%3D", "%26mac%3Dx"), "admin", 409),
            ("healthy", &*body, "admin", 303),
            ("healthy", &*body, "admin", 404),
        ] {
            let answer = self.ask(("POST", KICK_FORM), &KICK_FORM.replace("{site}", site), token, body);
            assert_eq!(answer.status, status, "{site} {body}: {answer:?}");
        }
    }

    /// Every action at a site that needs no body.
    fn posts(&mut self) {
        let operations = self.api.operations();
        let is_at_site = |path: &str| path.contains("{site}") && ![KICK, KICK_FORM].contains(&path);
        for operation in operations.iter().filter(|one| one.method == "POST" && is_at_site(one.path)) {
            let path = operation.path;
            for site in ["healthy", "never", "denied", "nowhere"] {
                for token in ["", "view", "admin"] {
                    let answer = self.ask(("POST", path), &path.replace("{site}", site), token, "");
                    let is_expected = match (site, token) {
                        (_, "") => answer.status == 401,
                        (_, "view") => (answer.status == 403) == (operation.role == "admin"),
                        ("nowhere", _) => answer.status == 404,
                        ("healthy", _) => answer.status < 400,
                        _ => true,
                    };
                    assert!(is_expected, "{path} of {site:?} by {token:?}: {answer:?}");
                }
            }
        }
    }

    /// Logins of browsers, and wrong tokens.
    fn logins(&mut self) {
        let to = self.agent.address;
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let html = ("Accept", "text/html");
        let wrong = ("Authorization", "Bearer wrong");
        let elsewhere = ("Origin", "http://elsewhere.example");
        let guesser = Ipv4Addr::new(127, 0, 0, 2);
        let forms = [form];
        for (from, method, path, fields, body, status) in [
            (Ipv4Addr::LOCALHOST, "POST", "/login", &[form][..], "token=view-token-01234&to=/", 303),
            (Ipv4Addr::LOCALHOST, "POST", "/login", &[], "token=view-token-01234", 415),
            (Ipv4Addr::LOCALHOST, "POST", "/login", &[form, elsewhere], "token=view-token-01234", 403),
            (Ipv4Addr::LOCALHOST, "POST", "/logout", &[], "", 303),
            (Ipv4Addr::LOCALHOST, "POST", "/logout", &[elsewhere], "", 403),
            (Ipv4Addr::LOCALHOST, "POST", "/api/refresh", &[elsewhere], "", 403),
            (Ipv4Addr::LOCALHOST, "GET", "/", &[html], "", 401),
        ]
        .into_iter()
        .chain(GUESSES.map(|guess| (guesser, "POST", "/login", &forms[..], guess, 401)))
        .chain([
            (guesser, "POST", "/login", &[form][..], "token=one-more", 429),
            (guesser, "GET", "/", &[html, wrong], "", 429),
            (guesser, "GET", "/api/routers", &[wrong], "", 429),
        ]) {
            let answer = ask_from(from, to, (method, path), fields, body);
            assert_eq!(answer.status, status, "{method} {path} {fields:?} {body}: {answer:?}");
            self.check(method, path, &answer);
        }
    }

    /// A router that stalls, and more requests than its queue holds.
    fn crowd(&mut self, slow: &Router) {
        slow.set_fault(Some(Fault::HalfOpen));
        let session = slow.sessions().remove(0);
        let body = json!({"id": session.id, "user": session.user, "mac": session.mac}).to_string();
        let form = form_of(&session);
        let operations = self.api.operations();
        // Those that ask a router.
        let asks = |one: &&Operation| one.method == "POST" || [USERS, USERS_PAGE].contains(&one.path);
        let at_site = operations.iter().filter(|one| one.role == "admin" && one.path.contains("{site}"));
        let requests: Vec<_> = at_site.filter(asks).map(|one| (one.method.as_str(), one.path)).collect();
        let send = |&(method, path)| {
            let body = match path {
                KICK => &body,
                KICK_FORM => &form,
                _ => "",
            };
            let target = path.replace("{site}", "slow");
            (method, path, ask(self.agent.address, method, &target, "admin", &[], body))
        };
        let mut answers = thread::scope(|scope| {
            let crowd = (0..CROWD).flat_map(|_| &requests);
            let crowd: Vec<_> = crowd.map(|request| scope.spawn(|| send(request))).collect();
            crowd.into_iter().map(|each| each.join().unwrap()).collect::<Vec<_>>()
        });
        // The other requests may fill the queue.
        answers.extend(requests.iter().map(send));
        for (method, path, answer) in answers {
            self.check(method, path, &answer);
            let after = if answer.status == 503 { "1" } else { "" };
            assert_eq!(answer.field("Retry-After"), after, "{method} {path}: {answer:?}");
        }
    }

    /// The first events of a stream: the state of all sites.
    fn events(&mut self) {
        let mut stream = TcpStream::connect(self.agent.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
            .write_all(
                b"GET /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer view-token-01234\r\n\r\n",
            )
            .unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        assert!(head[0].starts_with("HTTP/1.1 200 "), "{head:?}");
        assert!(head.contains(&"Content-Type: text/event-stream".to_string()), "{head:?}");
        let mut left: BTreeSet<&str> = SITES.into();
        let mut event = json!({});
        for line in lines {
            if let Some((field, value)) = line.split_once(": ").filter(|(field, _)| !field.is_empty()) {
                event[field] = value.into();
            } else if line.is_empty() && event != json!({}) {
                let schema = self.api.schema("Event");
                self.api.check(schema, &event).unwrap();
                let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
                let schema = &schema["properties"]["data"]["contentSchema"];
                self.api.check(schema, &data).unwrap_or_else(|wrong| panic!("{wrong}: {data}"));
                left.remove(data["site"].as_str().unwrap());
                event = json!({});
                if left.is_empty() {
                    break;
                }
            }
        }
        assert!(left.is_empty(), "expected an event for each of {left:?}");
        self.seen.insert(("GET".into(), "/api/events".into(), 200));
        self.ask(("GET", "/api/events"), "/api/events", "", "");
    }
}

/// The form that disconnects a session.
pub(super) fn form_of(session: &OnlineSession) -> String {
    let mac = session.mac.replace(':', "%253A");
    format!("session=id%3D{}%26user%3D{}%26mac%3D{mac}", session.id, session.user)
}

#[track_caller]
fn ask(
    to: SocketAddr,
    method: &str,
    target: &str,
    token: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Answer {
    let bearer = format!("Bearer {token}-token-01234");
    let mut all = fields.to_vec();
    if !token.is_empty() {
        all.push(("Authorization", &bearer));
    }
    ask_from(Ipv4Addr::LOCALHOST, to, (method, target), &all, body)
}

#[test]
fn every_response_matches_openapi_and_every_described_response_occurs() {
    let world = world();
    let api = Api::of(&world.agent);
    let mut witness = Witness { agent: &world.agent, api: &api, seen: BTreeSet::new() };
    witness.read_sites();
    witness.wrong_parameters();
    witness.alerts();
    witness.users();
    witness.events();
    witness.posts();
    witness.kicks(&world.healthy);
    witness.kicks_by_form(&world.healthy);
    witness.logins();
    witness.crowd(&world.slow);
    let mut seen = witness.seen;

    // In that world one site never finishes its first attempt.
    let agent = AgentBuilder::default()
        .http(TOKENS)
        .site("awka", world.healthy.addr(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_active("awka");
    let mut witness = Witness { agent: &agent, api: &api, seen: BTreeSet::new() };
    witness.ask(("GET", "/readyz"), "/readyz", "", "");
    witness.revalidate("/readyz", "/readyz");
    for token in ["", "view"] {
        for path in ["/api/refresh", "/refresh"] {
            witness.ask(("POST", path), path, token, "");
        }
    }
    witness.ask(("POST", "/setup"), "/setup", "admin", "");
    seen.append(&mut witness.seen);

    // Another agent waits for its first file.
    let arguments = ["--wait", "--config", "no-such.ron", "--listen", "127.0.0.1:0"];
    let agent = arguments.into_iter().fold(AgentBuilder::default(), AgentBuilder::argument).start();
    let mut witness = Witness { agent: &agent, api: &api, seen: BTreeSet::new() };
    witness.ask(("POST", "/setup"), "/setup", "", "");
    seen.append(&mut witness.seen);

    let described: BTreeSet<_> = api
        .operations()
        .iter()
        .flat_map(|operation| {
            let (method, path) = (operation.method.clone(), operation.path.to_string());
            operation.statuses().map(move |status| (method.clone(), path.clone(), status)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        described.difference(&seen).collect::<Vec<_>>(),
        [] as [&_; 0],
        "expected every described response to occur"
    );
}
