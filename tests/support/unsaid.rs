//! Secrets, and that they are not in anything that the agent says.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The simulated routers' own, which any page may have in another sense.
const USUAL: &str = "password";

/// A shorter one, in bytes, is in other words by chance.
const TELLING: usize = 8;

/// What an agent must not say.
#[derive(Clone, Default)]
pub(crate) struct Unsaid(Arc<Mutex<BTreeSet<String>>>);

impl Unsaid {
    /// What this program is told in secret: by its environment, and by the file in its folder.
    pub(crate) fn of(command: &Command) -> Self {
        let unsaid = Self::default();
        for (name, value) in command.get_envs() {
            let name = name.to_string_lossy();
            let is_secret = ["PASSWORD", "TOKEN"].iter().any(|end| name.ends_with(end));
            if let Some(value) = value.filter(|_| is_secret) {
                unsaid.add(&value.to_string_lossy());
            }
        }
        let file = command.get_current_dir().map(|folder| std::fs::read(folder.join("sites.ron")));
        if let Some(Ok(text)) = file {
            unsaid.add_those_of(&String::from_utf8_lossy(&text));
        }
        unsaid
    }

    /// One more, which a test hands it in another way.
    pub(crate) fn add(&self, secret: &str) {
        let secret = secret.trim_end();
        if secret.len() >= TELLING && secret != USUAL {
            self.0.lock().unwrap().insert(secret.into());
        }
    }

    /// Those of a `sites.ron`.
    pub(crate) fn add_those_of(&self, text: &str) {
        for rest in text.split("Plain(\"").skip(1) {
            self.add(rest.split('"').next().unwrap());
        }
    }

    /// None of them is in what `who` said.
    #[track_caller]
    pub(crate) fn check(&self, who: &str, said: &str) {
        for secret in self.0.lock().unwrap().iter() {
            assert!(!said.contains(secret), "the secret {secret:?} is in {who}: {said}");
        }
    }
}
