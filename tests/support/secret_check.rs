//! Secrets that must not be in any response or output of the agent.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The password of simulated routers, a word that any page may contain.
const DEFAULT_PASSWORD: &str = "password";

/// The minimum length in bytes: a shorter secret may be part of another word by chance.
const MIN_LENGTH: usize = 8;

/// The secrets of an agent.
#[derive(Clone, Default)]
pub(crate) struct SecretCheck(Arc<Mutex<BTreeSet<String>>>);

impl SecretCheck {
    /// The secrets of a command: in its environment, and in the `sites.ron` of its folder.
    pub(crate) fn of(command: &Command) -> Self {
        let secrets = Self::default();
        for (name, value) in command.get_envs() {
            let name = name.to_string_lossy();
            let is_secret = ["PASSWORD", "TOKEN"].iter().any(|end| name.ends_with(end));
            if let Some(value) = value.filter(|_| is_secret) {
                secrets.add(&value.to_string_lossy());
            }
        }
        let file = command.get_current_dir().map(|folder| std::fs::read(folder.join("sites.ron")));
        if let Some(Ok(text)) = file {
            secrets.add_secrets_of(&String::from_utf8_lossy(&text));
        }
        secrets
    }

    /// Adds a secret that the agent gets in another way.
    pub(crate) fn add(&self, secret: &str) {
        let secret = secret.trim_end();
        if secret.len() >= MIN_LENGTH && secret != DEFAULT_PASSWORD {
            self.0.lock().unwrap().insert(secret.into());
        }
    }

    /// Adds the secrets of a `sites.ron`.
    pub(crate) fn add_secrets_of(&self, text: &str) {
        for rest in text.split("Plain(\"").skip(1) {
            self.add(rest.split('"').next().unwrap());
        }
    }

    /// Fails if a text contains a secret. `source` names the text.
    #[track_caller]
    pub(crate) fn check(&self, source: &str, text: &str) {
        for secret in self.0.lock().unwrap().iter() {
            assert!(!text.contains(secret), "expected no secret in {source}, found {secret:?}: {text}");
        }
    }
}
