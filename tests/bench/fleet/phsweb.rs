//! This agent as a program that refreshes a fleet.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::agent::{Agent, process};
use crate::binary::binary;
use crate::program::Program;

/// The admin's token.
pub(crate) const TOKEN: &str = "fleet-0123456789abcdef";

/// The time within which a second refresh returns the result of the first.
const REUSE: Duration = Duration::from_millis(1050);

/// Longest wait until all sites are online: the first attempts at a thousand sites are spread.
const ONLINE_WITHIN: Duration = Duration::from_secs(120);

/// An agent, and requests to it.
pub(crate) struct Phsweb {
    pub(crate) agent: Agent,
    client: ureq::Agent,
    sessions: usize,
}

impl Phsweb {
    /// An agent that refreshes only when it is asked to.
    pub(crate) fn start(addresses: &[String], sessions: usize) -> Self {
        let mut started = Self::configured(addresses, "1h", "");
        started.sessions = sessions;
        started
    }

    /// An agent with this interval and other sections, once all of its sites are online.
    pub(crate) fn configured(addresses: &[String], refresh: &str, sections: &str) -> Self {
        let site = |(number, address): (usize, &String)| {
            format!("\"site-{number}\": (hosts: [\"{address}\"], password: Plain(\"password\")),\n")
        };
        let sites: String = addresses.iter().enumerate().map(site).collect();
        let file = format!(
            "(http: (listen: \"127.0.0.1:0\", max_connections: 4096, admin: Token(Plain(\"{TOKEN}\"))),
            defaults: (user: \"api-user\", refresh: \"{refresh}\"), sites: {{{sites}}}, {sections})"
        );
        let agent = Agent::start(Command::new(binary()).arg("run").env_clear().stderr(Stdio::null()), &file);
        let started = Self { agent, client: ureq::agent(), sessions: 0 };
        let began = Instant::now();
        while !started.is_online() {
            assert!(
                began.elapsed() < ONLINE_WITHIN,
                "expected all sites to be online within {ONLINE_WITHIN:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        started
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent.address)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let request = self.client.get(self.url(path)).header("Authorization", format!("Bearer {TOKEN}"));
        let mut response = request.call().unwrap();
        response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap()
    }

    fn stats(&self) -> Vec<Value> {
        let stats: Value = serde_json::from_str(&self.get("/api/hotspot/stats")).unwrap();
        stats.as_object().unwrap().values().cloned().collect()
    }

    fn is_online(&self) -> bool {
        self.stats().iter().all(|site| site["status"] == "active" && site["activeUsers"].is_u64())
    }
}

impl Program for Phsweb {
    fn refresh(&mut self) {
        let request =
            self.client.post(self.url("/api/refresh")).header("Authorization", format!("Bearer {TOKEN}"));
        let mut response = request.send_empty().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let outcome: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(outcome["failed"].as_array().map(Vec::len), Some(0), "{outcome}");
    }

    fn pause(&self) -> Duration {
        REUSE
    }

    fn cpu(&self) -> Duration {
        process::cpu(self.agent.id())
    }

    fn memory(&self) -> u64 {
        let seen: u64 = self.stats().iter().filter_map(|site| site["activeUsers"].as_u64()).sum();
        assert_eq!(seen, self.sessions as u64, "expected all sessions");
        self.agent.memory("VmRSS")
    }
}
