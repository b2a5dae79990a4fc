//! Access: every method of every path, with each token, under each configuration.
//!
//! The paths are those of the route table, and their roles those of `/openapi.json`, whose correctness `openapi` tests.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use phsweb_agent::http::{ROUTES, Route};
use phsweb_agent::simulator::{OnlineSession, Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, Answer, until};
use super::answers::form_of;
use super::browser::ask_from;
use super::openapi::{Api, Operation};
use super::router;
use super::world::{ALWAYS_FIRING, firing_alert};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// The admin's is last, because it disconnects the two sessions that all requests name.
const TOKENS: [&str; 4] = ["", "wrong-token", "view-token-01234", "admin-token-01234"];

/// Not requested here if allowed: events never end, and `login_page` tests logins.
const ELSEWHERE: [(&str, &str); 2] = [("GET", "/api/events"), ("POST", "/login")];

#[derive(Clone, Copy)]
struct Config {
    has_view: bool,
    has_admin: bool,
}

const CONFIGS: [Config; 4] = [
    Config { has_view: false, has_admin: true },
    Config { has_view: true, has_admin: true },
    Config { has_view: false, has_admin: false },
    Config { has_view: true, has_admin: false },
];

/// Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Anyone,
    View,
    Admin,
}

impl Role {
    /// The role with this `x-role`.
    fn named(name: &str) -> Self {
        match name {
            "anyone" => Self::Anyone,
            "view" => Self::View,
            "admin" => Self::Admin,
            other => panic!("unknown role {other}"),
        }
    }
}

impl Config {
    fn http(self) -> String {
        let token = |role: &str, is_set: bool| {
            if is_set { format!("{role}: Token(Plain(\"{role}-token-01234\")),") } else { String::new() }
        };
        token("view", self.has_view) + &token("admin", self.has_admin)
    }

    fn role(self, token: &str) -> Role {
        match token {
            "admin-token-01234" if self.has_admin => Role::Admin,
            "view-token-01234" if self.has_view => Role::View,
            _ if self.has_view => Role::Anyone,
            _ => Role::View,
        }
    }

    /// The status of the refusal if the token does not have the role `needed`.
    fn refuses(self, token: &str, needed: Role) -> Option<u16> {
        let role = self.role(token);
        (role < needed).then_some(match role {
            _ if needed == Role::Admin && !self.has_admin => 403,
            // The token is valid, but its role does not suffice.
            Role::View if self.has_view => 403,
            _ => 401,
        })
    }
}

/// A path to request, and its description.
struct Target<'d> {
    path: String,
    needs: Role,
    /// The role that its content needs.
    content_needs: Role,
    methods: BTreeSet<&'d str>,
    operations: Vec<&'d Operation<'d>>,
}

/// The targets of all routes. Their roles are those that `/openapi.json` describes.
fn targets<'d>(operations: &'d [Operation<'d>], alert: &str) -> Vec<Target<'d>> {
    let mut all = Vec::new();
    for path in ROUTES.iter().map(Route::path) {
        let own: Vec<_> = operations.iter().filter(|operation| operation.path == path).collect();
        let roles: BTreeSet<Role> = own.iter().map(|operation| Role::named(operation.role)).collect();
        assert_eq!(roles.len(), 1, "{path}: expected one role for all methods");
        let mut methods: BTreeSet<&str> = own.iter().map(|operation| operation.method.as_str()).collect();
        methods.extend(methods.contains("GET").then_some("HEAD"));
        let needs = roles.into_iter().next().unwrap();
        let mut add = |plugin, content_needs| {
            let path = path.replace("{site}", "awka").replace("{plugin}", plugin).replace("{id}", alert);
            assert!(!path.contains('{'), "{path}");
            let (methods, operations) = (methods.clone(), own.clone());
            all.push(Target { path, needs, content_needs, methods, operations });
        };
        add("resource", needs);
        if path.contains("{plugin}") {
            // Its rows have personal details.
            add("hotspot", Role::Admin);
        }
    }
    all
}

/// One agent under one configuration, and its router.
struct Setup<'s> {
    config: Config,
    agent: &'s Agent,
    router: &'s Router,
    people: Vec<OnlineSession>,
    /// Requests so far. Each comes from its own address, because wrong tokens delay further requests from an address.
    requests: u16,
}

impl Setup<'_> {
    fn ask(&mut self, method: &str, path: &str, token: &str) -> Answer {
        let [high, low] = self.requests.to_be_bytes();
        self.requests += 1;
        let bearer = format!("Bearer {token}");
        let fields: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("Authorization", &bearer)] };
        let session = &self.people[usize::from(path.starts_with("/api/"))];
        let body = if path == "/api/alerts/mute" {
            json!({"for": "0s"}).to_string()
        } else if path.starts_with("/api/") {
            json!({"id": session.id, "user": session.user, "mac": session.mac}).to_string()
        } else {
            form_of(session)
        };
        let from = Ipv4Addr::new(127, 1, high, low);
        ask_from(from, self.agent.address, (method, path), fields, if method == "POST" { &body } else { "" })
    }

    /// How a response violates the roles, if it does.
    fn violation(&mut self, target: &Target, method: &str, token: &str) -> Option<String> {
        let has_method = target.methods.contains(method);
        let refused = self.config.refuses(token, target.needs);
        let refused = refused.or(self.config.refuses(token, target.content_needs).filter(|_| has_method));
        let may = refused.is_none() && has_method;
        if may && ELSEWHERE.contains(&(method, target.path.as_str())) {
            return None;
        }
        let before = self.router.counters();
        let answer = self.ask(method, &target.path, token);
        let is_problem = answer.field("Content-Type") == "application/problem+json"
            && answer.field("ETag").is_empty()
            && (method == "HEAD" || answer.json()["status"] == answer.status);
        let allowed: BTreeSet<&str> = answer.field("Allow").split(", ").collect();
        let holds = match refused {
            // The methods of a path are public.
            _ if method == "OPTIONS" => {
                answer.status == 204 && answer.body.is_empty() && allowed == target.methods
            }
            Some(status) => {
                let after = self.router.counters();
                answer.status == status
                    && is_problem
                    && (status == 401) == (answer.field("WWW-Authenticate") == "Bearer")
                    && (after.commands, after.logins) == (before.commands, before.logins)
            }
            None if may => {
                let as_get = if method == "HEAD" { "GET" } else { method };
                let own = target.operations.iter().find(|operation| operation.method == as_get);
                answer.status < 400 && own.is_some_and(|own| own.statuses().any(|it| it == answer.status))
            }
            None => answer.status == 405 && is_problem && allowed == target.methods,
        };
        let is_revealed = |person: &OnlineSession| {
            [&person.id, &person.user, &person.mac, &person.address.to_string()]
                .into_iter()
                .any(|detail| answer.body.contains(detail))
        };
        if self.config.role(token) < Role::Admin && self.people.iter().any(is_revealed) {
            return Some(format!(
                "{method} {} reveals personal details to {token:?}: {}",
                target.path, answer.body
            ));
        }
        (!holds).then(|| format!("{method} {} by {token:?}: {answer:?}", target.path))
    }
}

#[test]
fn each_role_has_exactly_its_access() {
    for config in CONFIGS {
        let router = router(Settings::default());
        // No command is sent to the router but those of the requests.
        let given =
            AgentBuilder::default().file(ALWAYS_FIRING).http(&config.http()).defaults("refresh: \"24h\",");
        let agent = given.site("awka", router.addr(), "").start();
        until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
        let people = router.sessions();
        assert_eq!(people.len(), 23);
        let own_token = if config.has_view { "view-token-01234" } else { "" };
        let agent = agent.with_token(own_token);
        let api = Api::of(&agent);
        let operations = api.operations();
        let targets = targets(&operations, &firing_alert(&agent));
        let mut setup = Setup { config, agent: &agent, router: &router, people: people.clone(), requests: 0 };
        let mut violations = Vec::new();
        for token in TOKENS {
            if config.role(token) == Role::Admin {
                assert_eq!(router.sessions(), people, "expected no disconnected session by another role");
            }
            for target in &targets {
                violations.extend(METHODS.iter().filter_map(|method| setup.violation(target, method, token)));
            }
        }
        assert!(
            violations.is_empty(),
            "view: {}, admin: {}\n{}",
            config.has_view,
            config.has_admin,
            violations.join("\n")
        );
        // The same requests by the admin disconnect two.
        let left = if config.has_admin { &people[2..] } else { &people };
        assert_eq!(router.sessions(), left);
    }
}
