//! `/openapi.json` describes exactly the routes and methods that exist, and answers match it.

use std::collections::{BTreeMap, BTreeSet};

use phsweb_agent::http::{ROUTES, Route};
use phsweb_agent::simulator::Settings;
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, Answer};
use super::router;
use super::schema::{check, resolve};

/// Maximum size of the compressed document, in bytes: the binary that contains it must fit a router's flash.
const MAX_COMPRESSED: usize = 16 * 1024;

/// The statuses that `default` describes for a route; it also covers refusals of the HTTP server.
const REFUSALS: [u16; 6] = [401, 403, 405, 415, 421, 429];

/// Header fields of an answer that affect clients.
const FIELDS: [&str; 6] = ["Allow", "ETag", "Location", "Retry-After", "Set-Cookie", "WWW-Authenticate"];

/// The agent's document.
pub(super) struct Api {
    document: Value,
}

/// One method of one path.
#[derive(Debug)]
pub(super) struct Operation<'d> {
    pub(super) method: String,
    pub(super) path: &'d str,
    /// `anyone`, `view` or `admin`.
    pub(super) role: &'d str,
    description: &'d Value,
}

impl Operation<'_> {
    /// The described statuses.
    pub(super) fn statuses(&self) -> impl Iterator<Item = u16> {
        let responses = self.description["responses"].as_object().unwrap();
        responses.keys().filter(|status| *status != "default").map(|status| status.parse().unwrap())
    }

    /// The role that its `security` requires.
    fn secured_for(&self, document: &Value) -> &'static str {
        let schemes = self.description.get("security").unwrap_or(&document["security"]).as_array().unwrap();
        let is_optional = |scheme: &Value| scheme.as_object().unwrap().is_empty();
        match (schemes.is_empty(), schemes.iter().any(is_optional)) {
            (true, _) => "anyone",
            (_, true) => "view",
            _ => "admin",
        }
    }
}

impl Api {
    /// The document of this agent.
    #[track_caller]
    pub(super) fn of(agent: &Agent) -> Self {
        Self { document: agent.json("/openapi.json") }
    }

    /// All operations, by path.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut all = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            let methods = resolve(&self.document, item).as_object().unwrap();
            for (method, description) in methods.iter().filter(|(name, _)| *name != "parameters") {
                let role = description.get("x-role").unwrap_or(&self.document["x-role"]).as_str().unwrap();
                all.push(Operation { method: method.to_uppercase(), path, role, description });
            }
        }
        all
    }

    /// A schema of its components.
    pub(super) fn schema(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }

    /// Checks a value against a schema.
    pub(super) fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        check(&self.document, schema, value)
    }

    /// Asserts that an answer matches its operation.
    #[track_caller]
    pub(super) fn describes(&self, operation: &Operation, answer: &Answer) {
        let failure = |what: &str| format!("{} {}: {what}: {answer:?}", operation.method, operation.path);
        let responses = &operation.description["responses"];
        let otherwise = responses.get("default").filter(|_| REFUSALS.contains(&answer.status));
        let response = responses.get(answer.status.to_string()).or(otherwise);
        let response = response.unwrap_or_else(|| panic!("{}", failure("the status is not described")));
        let response = resolve(&self.document, response);
        for name in FIELDS {
            self.describes_field(response["headers"].get(name), answer.field(name))
                .unwrap_or_else(|wrong| panic!("{}", failure(&format!("{name}: {wrong}"))));
        }
        let sent = answer.field("Content-Type").split(';').next().unwrap();
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            assert_eq!((sent, answer.body.as_str()), ("", ""), "{}", failure("expected no content"));
            return;
        };
        let named = content.iter().find(|(name, _)| name.split(';').next() == Some(sent));
        let (_, content) = named.unwrap_or_else(|| panic!("{}", failure("the type is not described")));
        let body = if sent.ends_with("json") { answer.json() } else { answer.body.clone().into() };
        self.check(&content["schema"], &body).unwrap_or_else(|wrong| panic!("{}", failure(&wrong)));
    }

    fn describes_field(&self, header: Option<&Value>, sent: &str) -> Result<(), String> {
        let Some(header) = header.map(|header| resolve(&self.document, header)) else {
            return if sent.is_empty() { Ok(()) } else { Err("it is not described".into()) };
        };
        if sent.is_empty() {
            return if header["required"] == true { Err("it is missing".into()) } else { Ok(()) };
        }
        let number = sent.parse().map(Value::Number);
        self.check(&header["schema"], &number.unwrap_or_else(|_| sent.into()))
    }
}

fn agent() -> Agent {
    let router = router(Settings::default());
    AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .site("awka", router.addr(), "")
        .start()
        .with_token("admin-token-01234")
}

/// A role as `x-role` and the documentation of tokens name it.
fn role_of(route: &Route) -> &'static str {
    if route.role_name() == "viewer" { "view" } else { route.role_name() }
}

#[test]
fn every_route_is_described_with_its_methods_and_role_and_no_other() {
    let agent = agent();
    let api = Api::of(&agent);
    let mut described: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for operation in api.operations() {
        let methods = described.entry(operation.path).or_default();
        if operation.method == "GET" {
            methods.insert("HEAD".into());
        }
        let route = ROUTES.iter().find(|route| route.path() == operation.path);
        assert_eq!(Some(operation.role), route.map(role_of), "{operation:?}");
        methods.insert(operation.method);
    }
    let paths: BTreeSet<&str> = described.keys().copied().collect();
    let routed: BTreeSet<&str> = ROUTES.iter().map(Route::path).collect();
    assert_eq!((paths, routed.len()), (routed, ROUTES.len()));
    for route in ROUTES {
        let path = route.path();
        let target = path.replace("{site}", "awka").replace("{plugin}", "resource");
        let answer = agent.ask("OPTIONS", &target, &[]);
        let allowed: BTreeSet<String> = answer.field("Allow").split(", ").map(Into::into).collect();
        assert_eq!((answer.status, answer.body.as_str(), &allowed), (204, "", &described[path]), "{path}");
        assert_eq!(answer.field("Allow"), route.methods(), "{path}");
        let other = agent.ask("DELETE", &target, &[]);
        assert_eq!((other.status, other.field("Allow")), (405, answer.field("Allow")), "{path}");
        api.check(api.schema("Problem"), &other.json()).unwrap();
    }
}

#[test]
fn the_table_in_the_documentation_has_each_endpoint_for_programs_with_its_role() {
    let document = include_str!("../../../docs/http-api.md");
    let mut documented: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for row in document.lines().filter(|line| line.starts_with("| GET ") || line.starts_with("| POST ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (method, paths) = cells[1].split_once(' ').unwrap();
        let role = cells[2].split(',').next().unwrap();
        for path in paths.split('`').skip(1).step_by(2) {
            let path = path.split('?').next().unwrap().to_string();
            assert_eq!(documented.insert(path, (method, role)), None, "{row}");
        }
    }
    for route in ROUTES {
        let row = documented.remove(route.path());
        match route.methods().split(", ").next() {
            _ if route.is_page() && row.is_none() => {}
            _ if [".css", ".js", ".svg"].iter().any(|end| route.path().ends_with(end)) => {}
            Some(method) => assert_eq!(row, Some((method, route.role_name())), "{}", route.path()),
            None => panic!("{route:?}"),
        }
    }
    assert!(documented.is_empty(), "expected a route for each of {documented:?}");
}

#[test]
fn size_version_roles_and_components_are_consistent() {
    let agent = agent();
    let api = Api::of(&agent);
    let text = agent.get("/openapi.json").body;
    let compressed = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10).len();
    assert!(compressed < MAX_COMPRESSED, "{compressed} bytes");
    assert_eq!(api.document["openapi"].as_str(), Some("3.1.0"));
    assert_eq!(api.document["info"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    let mut ids = BTreeSet::new();
    for operation in api.operations() {
        assert_eq!(operation.secured_for(&api.document), operation.role, "{operation:?}");
        let id = operation.description["operationId"].as_str().unwrap_or_default();
        let is_camel_case = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.bytes().all(|byte| byte.is_ascii_alphabetic());
        assert!(is_camel_case && ids.insert(id), "expected a unique operationId: {operation:?}");
    }
    // What the admin alone may read, and what others may do. The role of a form is that of its action.
    let operations = api.operations();
    let may_act = |path| operations.iter().any(|other| other.path == path && other.method == "POST");
    let reads = operations.iter().filter(|one| one.role == "admin" && !may_act(one.path));
    let actions = operations.iter().filter(|one| one.role != "admin" && one.method == "POST");
    assert_eq!(
        reads.map(|one| one.path).collect::<Vec<_>>(),
        [
            "/api/hotspot/{site}/active",
            "/api/hotspot/{site}/users",
            "/api/journal",
            "/api/sessions",
            "/api/sites/{site}/sessions",
            "/search",
            "/sites/{site}/users",
        ]
    );
    assert_eq!(
        actions.map(|one| one.path).collect::<Vec<_>>(),
        [
            "/api/refresh",
            "/api/sites/{site}/refresh",
            "/login",
            "/logout",
            "/refresh",
            "/setup",
            "/sites/{site}/refresh",
        ]
    );
    for (kind, parts) in api.document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let to = format!("\"#/components/{kind}/{name}\"");
            assert!(text.contains(&to), "expected a reference to {to}");
        }
    }
}
