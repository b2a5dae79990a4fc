//! Environment variables that the file names, and those that override it for a site.

use super::secret::trimmed;

/// Looks up an environment variable; tests pass their own.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The environment of the process.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The values of a site that variables override.
pub(super) const OVERRIDES: [&str; 4] = ["HOST", "PORT", "USER", "PASSWORD"];

/// The first part of the names of the variables that override a site.
pub(super) fn override_prefix(key: &str) -> String {
    format!("MIKROTIK_{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// The variable that overrides the file for a site, and its value.
pub(super) fn site_override(environment: Environment, key: &str, what: &str) -> Option<(String, String)> {
    let name = format!("{}_{what}", override_prefix(key));
    let value = trimmed(&environment(&name)?).to_string();
    // Compose files set a variable to the empty text if it is not set on the host.
    if value.is_empty() {
        return None;
    }
    // In each pod next to a Service `mikrotik-awka`, Kubernetes sets MIKROTIK_AWKA_PORT to its URL.
    if what == "PORT" && value.contains("://") {
        log::info!(
            "site={key} msg=\"{name} is ignored: its value is a URL, as Kubernetes sets it for a Service\""
        );
        return None;
    }
    Some((name, value))
}

pub(super) fn is_variable_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
