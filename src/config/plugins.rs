//! The `plugins` part: menus that are asked for, shown and measured with no code. And `collect`, which
//! says where.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::document::{Fields, Node, unknown};
use super::fields::{METRIC, PLUGIN};
use super::properties::{self, is_about_people, is_property, is_secret};
use super::validator::{MAX_KEY, Validator, is_name};
use crate::plugin::declared::{Measure, Metric, label_name};
use crate::plugin::{self, BUILT_IN, Declaration, Plugin};

/// Most plugins of a file. Each costs a router a command, and a page a table.
const MAX_PLUGINS: usize = 64;

/// Most columns of one; more can't be read side by side, and each is paid for with every row.
const MAX_COLUMNS: usize = 32;

/// Most words of a query, and longest one in bytes: a router tries them at each row.
const MAX_QUERY: usize = 32;
const MAX_QUERY_WORD: usize = 200;

/// Most metrics of a plugin, and labels of a metric: who stores them pays for each combination.
const MAX_METRICS: usize = 16;
const MAX_LABELS: usize = 8;

/// Longest name of a metric, in characters.
const MAX_METRIC: usize = 100;

/// Longest menu, in characters: the longest of RouterOS has half of it.
const MAX_MENU: usize = 100;

/// Range of `every`. The ends are those of `refresh`, and for the same reasons.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

#[derive(Deserialize)]
enum Kind {
    Rows,
    Gauge(String),
    Counter(String),
}

/// What has been declared so far. One with a problem is there too, so that `collect` knows its name.
#[derive(Default)]
pub(super) struct Plugins {
    declared: Vec<Plugin>,
    /// The names of their metrics.
    metrics: HashSet<String>,
}

impl Plugins {
    fn find(&self, name: &str) -> Option<Plugin> {
        BUILT_IN.iter().chain(&self.declared).find(|plugin| plugin.name() == name).cloned()
    }

    fn names(&self) -> Vec<&str> {
        BUILT_IN.iter().chain(&self.declared).map(Plugin::name).collect()
    }
}

impl<'f> Validator<'f, '_> {
    pub(super) fn plugins(&mut self, node: Node<'f>) {
        let expected = format!("letters, digits, - and _, up to {MAX_KEY} of them, in quotes");
        let mut entries = self.reader.entries("plugins", node, "{ \"leases\": (menu: …) }");
        if let Some((key, _)) = entries.get(MAX_PLUGINS) {
            let message = format!("plugins: found {}; expected up to {MAX_PLUGINS}", entries.len());
            self.reader.problem(*key, message);
        }
        entries.truncate(MAX_PLUGINS);
        for (key, node) in entries {
            let name_of = |text: &str| is_name(text).then(|| text.to_string());
            let name = self.text("plugin", key, &expected, name_of);
            let told = match &name {
                Some(name) if Plugin::built_in(name).is_some() => {
                    Some(format!("the plugin {name:?} is built in; expected another name"))
                }
                Some(name) if self.plugins.find(name).is_some() => {
                    Some(format!("the plugin {name:?} stands twice; expected each name once"))
                }
                _ => None,
            };
            if let Some(told) = told {
                self.reader.problem(key, told);
            }
            // Checked even where the name is wrong, so that all problems show at once.
            let part = format!("plugins.{}", name.as_deref().unwrap_or("…"));
            let declaration = self.scoped(&part, |check| check.plugin(name.as_deref(), node));
            if let Some(name) = name {
                let declaration = declaration.unwrap_or(Declaration { name, ..Declaration::default() });
                self.plugins.declared.push(Plugin::Declared(declaration.into()));
            }
        }
    }

    /// One plugin; its name may be wrong.
    fn plugin(&mut self, name: Option<&str>, node: Node<'f>) -> Option<Declaration> {
        let of = name.map_or("this plugin".into(), |name| format!("the plugin {name:?}"));
        let name = name.unwrap_or_default();
        let fields = self.reader.fields(&of, node, &PLUGIN)?;
        self.reader.need(&of, node, &fields, "menu", "menu: \"/ip/dhcp-server/lease\"");
        self.reader.need(&of, node, &fields, "columns", "columns: [\"address\", \"mac-address\"]");
        let title = fields.get("title").and_then(|node| {
            let fits = |text: &str| (1..=100).contains(&text.chars().count()).then(|| text.to_string());
            self.text("title", node, "a text of 1 to 100 characters", fits)
        });
        let menu = fields.get("menu").and_then(|node| self.menu(node)).unwrap_or_default();
        let private = self.private(&menu, &fields);
        Some(Declaration {
            name: name.into(),
            title: title.unwrap_or_else(|| name.into()),
            query: fields.get("query").map(|node| self.query(&menu, node)).unwrap_or_default(),
            columns: fields.get("columns").map(|node| self.columns(&menu, node)).unwrap_or_default(),
            every: self.duration("every", &fields, EVERY),
            private,
            metrics: self.metrics(&of, &fields, &menu, private),
            menu,
        })
    }

    /// Rows about people are private unless the file says otherwise.
    fn private(&mut self, menu: &str, fields: &Fields<'f>) -> bool {
        let is_about_people = is_about_people(menu);
        let Some(node) = fields.get("private") else { return is_about_people };
        let private = self.reader.value("private", node, "true or false");
        if is_about_people && private == Some(false) {
            let told =
                format!("rows of {menu} are about people, and are shown to all viewers; expected true");
            self.reader.warn(node, format!("private: {told}, or the field left out"));
        }
        private.unwrap_or(is_about_people)
    }

    fn menu(&mut self, node: Node<'f>) -> Option<String> {
        let example = "a menu's path, such as \"/ip/dhcp-server/lease\"";
        let text: String = self.reader.value("menu", node, example)?;
        if is_menu(&text) {
            return Some(text);
        }
        match menu_meant(&text) {
            Some(meant) => self.reader.unexpected("menu", node, &format!("{meant:?}")),
            None => self.reader.unexpected("menu", node, example),
        }
        None
    }

    fn query(&mut self, menu: &str, node: Node<'f>) -> Vec<String> {
        let expected = format!("a query word of 1 to {MAX_QUERY_WORD} bytes, such as \"status=bound\"");
        let mut words = Vec::new();
        for node in self.up_to(MAX_QUERY, "query", node, "query words, such as [\"status=bound\"]") {
            let Some(word) = self.reader.value::<String>("query", node, &expected) else { continue };
            let property = word
                .trim_start_matches(['?', '-', '=', '<', '>'])
                .split(['=', ' '])
                .next()
                .unwrap_or_default();
            if word.is_empty() || word.len() > MAX_QUERY_WORD {
                self.reader.unexpected("query", node, &expected);
            } else if is_secret(menu, property) {
                // What it is compared with may be the secret, and shows in the metrics' help.
                let message = format!("query: {property:?} may hold a secret; expected other properties");
                self.reader.missing(node, message);
            } else if word.starts_with('?') {
                self.reader.unexpected("query", node, "it without the question mark");
            } else {
                words.push(word);
            }
        }
        words
    }

    fn columns(&mut self, menu: &str, node: Node<'f>) -> Vec<String> {
        let problems = self.reader.count();
        let columns = self.properties(MAX_COLUMNS, "columns", menu, node);
        let columns: Vec<String> = columns.into_iter().map(|(_, column)| column).collect();
        if columns.is_empty() && self.reader.count() == problems {
            self.reader.unexpected("columns", node, "at least one property, such as [\"address\"]");
        }
        columns
    }

    fn metrics(&mut self, of_plugin: &str, fields: &Fields<'f>, menu: &str, private: bool) -> Vec<Metric> {
        let Some(node) = fields.get("metrics") else { return Vec::new() };
        let of = format!("a metric of {of_plugin}");
        let nodes = self.up_to(MAX_METRICS, "metrics", node, "metrics, such as [(name: \"…\", kind: Rows)]");
        self.scoped("metrics", |check| {
            nodes.into_iter().filter_map(|node| check.metric(&of, node, menu, private)).collect()
        })
    }

    fn metric(&mut self, of: &str, node: Node<'f>, menu: &str, private: bool) -> Option<Metric> {
        let fields = self.reader.fields(of, node, &METRIC)?;
        let kind = "kind: Rows, Gauge(\"column\") or Counter(\"column\")";
        self.reader.need(of, node, &fields, "name", "name: \"mikrotik_leases\"");
        self.reader.need(of, node, &fields, "kind", kind);
        let labels = fields.get("labels").map(|node| self.labels(menu, node, private)).unwrap_or_default();
        let name = fields.get("name").and_then(|node| self.metric_name(node));
        let measure = fields.get("kind").and_then(|node| self.measure(menu, node));
        Some(Metric { name: name?, measure: measure?, labels })
    }

    fn metric_name(&mut self, node: Node<'f>) -> Option<String> {
        let expected = format!(
            "letters, digits and _, beginning with no digit, up to {MAX_METRIC} characters in quotes"
        );
        let name = self.text("name", node, &expected, |text| is_metric(text).then(|| text.to_string()))?;
        if plugin::is_reserved(&name) {
            let message =
                format!("name: the metric {name:?} is one of the agent's own; expected another name");
            self.reader.problem(node, message);
        } else if !self.plugins.metrics.insert(name.clone()) {
            let message =
                format!("name: the metric {name:?} stands twice in the file; expected each name once");
            self.reader.problem(node, message);
        }
        Some(name)
    }

    fn measure(&mut self, menu: &str, node: Node<'f>) -> Option<Measure> {
        let expected = "Rows, Gauge(\"column\") or Counter(\"column\"), with a property such as \"bytes-in\"";
        let measure = match self.reader.value("kind", node, expected)? {
            Kind::Rows => return Some(Measure::Rows),
            Kind::Gauge(column) => Measure::Gauge(column),
            Kind::Counter(column) => Measure::Counter(column),
        };
        let column = measure.column().unwrap_or_default();
        if !is_property(column) {
            self.reader.unexpected("kind", node, expected);
        } else if is_secret(menu, column) {
            self.reader.problem(node, shows_a_secret("kind", column));
        }
        Some(measure)
    }

    fn labels(&mut self, menu: &str, node: Node<'f>, private: bool) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for (node, property) in self.properties(MAX_LABELS, "labels", menu, node) {
            let label = label_name(&property);
            let told = if label == "site" {
                Some(
                    "becomes the label `site`, which every series has; expected another property".to_string(),
                )
            } else if label.starts_with("__") || label.starts_with(|c: char| c.is_ascii_digit()) {
                Some(format!(
                    "becomes the label `{label}`, which Prometheus does not take; expected another property"
                ))
            } else if let Some(twin) =
                labels.iter().find(|twin| **twin != property && label_name(twin) == label)
            {
                Some(format!("becomes the same label `{label}` as {twin:?}; expected one of the two"))
            } else if private && properties::is_personal(menu, &property) {
                Some(
                    "tells who somebody is, and /metrics is for all viewers, with no series a user; expected \
                     what many have in common, such as \"server\""
                        .to_string(),
                )
            } else {
                None
            };
            if let Some(told) = told {
                self.reader.problem(node, format!("labels: {property:?} {told}"));
            }
            labels.push(property);
        }
        labels
    }

    /// Names of properties, none twice and none of a secret, each with its place.
    fn properties(&mut self, most: usize, name: &str, menu: &str, node: Node<'f>) -> Vec<(Node<'f>, String)> {
        let expected = "a property as RouterOS names it, such as \"mac-address\"";
        let mut found: Vec<(Node<'f>, String)> = Vec::new();
        for node in self.up_to(most, name, node, "properties, such as [\"address\"]") {
            let fits = |text: &str| is_property(text).then(|| text.to_string());
            let Some(property) = self.text(name, node, expected, fits) else { continue };
            if found.iter().any(|(_, before)| *before == property) {
                self.reader.problem(node, format!("{name}: {property:?} stands twice; expected it once"));
            } else if is_secret(menu, &property) {
                self.reader.problem(node, shows_a_secret(name, &property));
            }
            found.push((node, property));
        }
        found
    }

    /// The values of a list of so many at most; it may be empty.
    pub(super) fn up_to(&mut self, most: usize, name: &str, node: Node<'f>, expected: &str) -> Vec<Node<'f>> {
        let mut values = self.reader.values(name, node, expected);
        if let Some(first) = values.get(most) {
            self.reader.problem(*first, format!("{name}: found {}; expected up to {most}", values.len()));
        }
        values.truncate(most);
        values
    }

    pub(super) fn collect(&mut self, node: Node<'f>) -> Vec<Plugin> {
        let mut plugins = Vec::new();
        for node in self.reader.list("collect", node, "at least one plugin, such as [\"hotspot\"]") {
            let name_of = |text: &str| is_name(text).then(|| text.to_string());
            let name = self.text("collect", node, "the name of a plugin, in quotes", name_of);
            let Some(name) = name else { continue };
            let Some(found) = self.plugins.find(&name) else {
                let told = format!("collect: no plugin is named {name:?}");
                let message = unknown(&told, &name, &self.plugins.names());
                self.reader.problem(node, message);
                continue;
            };
            if plugins.contains(&found) {
                self.reader.problem(node, format!("collect: {name:?} stands twice; expected it once"));
            }
            plugins.push(found);
        }
        plugins
    }
}

fn shows_a_secret(name: &str, property: &str) -> String {
    format!("{name}: {property:?} may hold a secret, and would be shown; expected it left out")
}

fn is_menu(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= MAX_MENU
        && !text.ends_with("/print")
        && text.strip_prefix('/').is_some_and(|path| path.split('/').all(word))
}

/// The menu that somebody means who writes it as in the terminal, or with the command.
fn menu_meant(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut words: Vec<&str> =
        text.split(|c: char| c == '/' || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    words.pop_if(|last| *last == "print");
    let meant = format!("/{}", words.join("/"));
    is_menu(&meant).then_some(meant)
}

fn is_metric(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_METRIC
        && text.bytes().all(is_word)
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests;
