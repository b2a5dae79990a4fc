//! The names of all fields, and the part of the file that each belongs in.

pub(super) const ROOT: [&str; 4] = ["http", "defaults", "sites", "plugins"];
pub(super) const HTTP: [&str; 8] =
    ["listen", "title", "view", "admin", "tls", "max_connections", "trusted_proxies", "hosts"];
pub(super) const HTTPS: [&str; 2] = ["cert", "key"];
/// What may stand in `defaults` and on a site.
pub(super) const COMMON: [&str; 6] =
    ["user", "refresh", "connect_timeout", "query_timeout", "live", "collect"];
pub(super) const SITE: [&str; 6] = ["name", "hosts", "password", "login", "codepage", "tls"];
pub(super) const PLUGIN: [&str; 7] = ["title", "menu", "query", "columns", "every", "private", "metrics"];
pub(super) const METRIC: [&str; 3] = ["name", "kind", "labels"];

/// Each part with its fields; `*` stands for any key, or place in a list.
const PARTS: [(&str, &[&str]); 7] = [
    ("", &ROOT),
    ("http", &HTTP),
    ("http.tls", &HTTPS),
    ("defaults", &COMMON),
    ("sites.*", &SITE),
    ("plugins.*", &PLUGIN),
    ("plugins.*.metrics.*", &METRIC),
];

/// Words that a value may be or begin with.
const WORDS: [&str; 14] = [
    "true",
    "false",
    "Public",
    "Token",
    "Plain",
    "Env",
    "File",
    "Challenge",
    "Off",
    "Pin",
    "Ca",
    "Rows",
    "Gauge",
    "Counter",
];

/// Every field of the file, such as `http.listen` or `sites.*.hosts`. What stands in `defaults` may stand on
/// a site too.
#[must_use]
pub fn fields() -> Vec<String> {
    let of = |(part, names): (&str, &'static [&str])| {
        let begin = if part.is_empty() { String::new() } else { format!("{part}.") };
        names.iter().map(move |name| format!("{begin}{name}"))
    };
    PARTS.into_iter().flat_map(of).collect()
}

/// Whether a word is one of the file's own, which tells nothing wherever it stands.
pub(super) fn is_own(word: &str) -> bool {
    WORDS.contains(&word) || PARTS.iter().any(|(_, names)| names.contains(&word))
}

/// The parts that a field belongs in, in words.
pub(super) fn parts_of(field: &str) -> Vec<&'static str> {
    let parts = PARTS.iter().filter(|(_, names)| names.contains(&field));
    parts.map(|&(part, _)| if part.is_empty() { "the outermost brackets" } else { part }).collect()
}
