//! The section `plugins`, which declares menus to read, show and measure, and the field `collect`, which lists the
//! plugins of a site.

use std::collections::HashSet;

use super::document::Node;
use super::property::{is_about_people, is_personal, is_property, is_secret};
use super::suggestion::unknown;
use super::table::Section;
use super::validator::{FieldValue, Fields, Validator, is_name};
use crate::plugin::declared::{Measure, Metric, label_name};
use crate::plugin::{self, Declaration, Plugin};

/// Longest word of a query, in bytes: a router compares it with each row.
const MAX_QUERY_WORD: usize = 200;

/// The plugins that the file declares. A plugin with a problem is included, so that `collect` accepts its name.
#[derive(Default)]
pub(super) struct Plugins {
    declared: Vec<Plugin>,
}

impl Plugins {
    fn find(&self, name: &str) -> Option<Plugin> {
        let declared = self.declared.iter().find(|plugin| plugin.name() == name).cloned();
        Plugin::built_in(name).or(declared)
    }

    fn names(&self) -> Vec<&str> {
        plugin::BUILT_IN.iter().chain(&self.declared).map(Plugin::name).collect()
    }

    /// Reads `collect`.
    pub(super) fn collect<'f>(&self, check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<Plugin> {
        let mut plugins: Vec<Plugin> = Vec::new();
        for value in check.list(fields, "collect") {
            let Some(name) = check.parsed(value, |text| is_name(text).then(|| text.to_string())) else {
                continue;
            };
            let Some(found) = self.find(&name) else {
                let message = format!("no plugin is named {name:?}");
                check.report(value, &unknown(&message, &name, &self.names()));
                continue;
            };
            if plugins.contains(&found) {
                check.report(value, &format!("{name:?} is repeated; expected it once"));
            }
            plugins.push(found);
        }
        plugins
    }
}

/// Reads `plugins`.
pub(super) fn read_all<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Plugins {
    let mut plugins = Plugins::default();
    let mut metrics = HashSet::new();
    for (node, declaration) in check.map(value) {
        let name = check.key("plugin", node, "", "");
        if let Some(name) = &name {
            if Plugin::built_in(name).is_some() {
                let message = format!("the plugin {name:?} is built in; expected another name");
                check.document.report(node, &message);
            } else if plugins.find(name).is_some() {
                let message = format!("the plugin {name:?} is repeated; expected each name once");
                check.document.report(node, &message);
            }
        }
        // A plugin with a wrong name is read too, so that all problems are reported at once.
        let part = format!("plugins.{}", name.as_deref().unwrap_or("…"));
        let declaration =
            check.scoped(&part, |check| read(check, name.as_deref(), declaration, &mut metrics));
        if let Some(name) = name {
            let declaration = declaration.unwrap_or(Declaration { name, ..Declaration::default() });
            plugins.declared.push(Plugin::Declared(declaration.into()));
        }
    }
    plugins
}

/// Reads one plugin, even if its name is wrong. `metrics` are the names of all metrics so far.
fn read<'f>(
    check: &mut Validator<'f>,
    name: Option<&str>,
    node: Node<'f>,
    metrics: &mut HashSet<String>,
) -> Option<Declaration> {
    let of = name.map_or("this plugin".into(), |name| format!("the plugin {name:?}"));
    let name = name.unwrap_or_default();
    let fields = check.structure(Section::Plugin, &of, node)?;
    check.require(&of, node, &fields, &|_| false);
    let menu = fields.get("menu").and_then(|value| read_menu(check, value)).unwrap_or_default();
    let private = read_private(check, &menu, &fields);
    let columns = read_properties(check, &fields, "columns", &menu);
    let of = format!("a metric of {of}");
    let values = check.list(&fields, "metrics");
    Some(Declaration {
        name: name.into(),
        title: check.text(&fields, "title").unwrap_or_else(|| name.into()),
        query: read_query(check, &menu, &fields),
        columns: columns.into_iter().map(|(_, column)| column).collect(),
        every: check.duration(&fields, "every"),
        private,
        metrics: check.scoped("metrics", |check| {
            let read = |value: FieldValue<'f>| read_metric(check, &of, value.node, &menu, private, metrics);
            values.into_iter().filter_map(read).collect()
        }),
        menu,
    })
}

/// Rows about people are private unless the file says otherwise.
fn read_private<'f>(check: &mut Validator<'f>, menu: &str, fields: &Fields<'f>) -> bool {
    let is_about_people = is_about_people(menu);
    let private = check.flag(fields, "private").unwrap_or(is_about_people);
    if let Some(value) = fields.in_file("private").filter(|_| is_about_people && !private) {
        let message = format!("rows of {menu} are about people, and are shown to all viewers");
        check.warn(value, &format!("{message}; expected true, or the field left out"));
    }
    private
}

fn read_menu<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<String> {
    let text = value.node.text().unwrap_or_default();
    match corrected_menu(&text) {
        Some(menu) if !is_menu(&text) => {
            check.reject_expecting(value, &format!("{menu:?}"));
            None
        }
        _ => check.parsed(value, |text| is_menu(text).then(|| text.to_string())),
    }
}

fn read_query<'f>(check: &mut Validator<'f>, menu: &str, fields: &Fields<'f>) -> Vec<String> {
    let mut words = Vec::new();
    for value in check.list(fields, "query") {
        let Some(word) = check.text_of(value) else { continue };
        let property =
            word.trim_start_matches(['?', '-', '=', '<', '>']).split(['=', ' ']).next().unwrap_or_default();
        if word.is_empty() || word.len() > MAX_QUERY_WORD {
            check.reject(value);
        } else if is_secret(menu, property) {
            // The value in the word may be a secret, and the help text of the metrics would show it.
            let message = format!("{property:?} may hold a secret; expected other properties");
            check.report_hidden(value, &message);
        } else if word.starts_with('?') {
            check.reject_expecting(value, "it without the question mark");
        } else {
            words.push(word);
        }
    }
    words
}

fn read_metric<'f>(
    check: &mut Validator<'f>,
    of: &str,
    node: Node<'f>,
    menu: &str,
    private: bool,
    names: &mut HashSet<String>,
) -> Option<Metric> {
    let fields = check.structure(Section::Metric, of, node)?;
    check.require(of, node, &fields, &|_| false);
    let labels = read_labels(check, &fields, menu, private);
    let name = fields.get("name").and_then(|value| read_metric_name(check, value, names));
    let measure = fields.get("kind").and_then(|value| read_measure(check, menu, value));
    Some(Metric { name: name?, measure: measure?, labels })
}

fn read_metric_name<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    names: &mut HashSet<String>,
) -> Option<String> {
    let name = check.parsed(value, |text| is_metric(text).then(|| text.to_string()))?;
    if plugin::is_reserved(&name) {
        let message = format!("the metric {name:?} is one of the agent's own; expected another name");
        check.report(value, &message);
    } else if !names.insert(name.clone()) {
        let message = format!("the metric {name:?} is repeated in the file; expected each name once");
        check.report(value, &message);
    }
    Some(name)
}

fn read_measure<'f>(check: &mut Validator<'f>, menu: &str, value: FieldValue<'f>) -> Option<Measure> {
    let column = |argument: Option<Node>| argument?.text().filter(|column| is_property(column));
    let measure = match value.node.variant() {
        ("Rows", None) => Some(Measure::Rows),
        ("Gauge", argument) => column(argument).map(Measure::Gauge),
        ("Counter", argument) => column(argument).map(Measure::Counter),
        _ => None,
    };
    match measure.as_ref().map(Measure::column) {
        None => check.reject(value),
        Some(Some(column)) if is_secret(menu, column) => check.report(value, &shows_a_secret(column)),
        Some(_) => {}
    }
    measure
}

fn read_labels<'f>(check: &mut Validator<'f>, fields: &Fields<'f>, menu: &str, private: bool) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for (value, property) in read_properties(check, fields, "labels", menu) {
        let label = label_name(&property);
        let problem = if label == "site" {
            Some("becomes the label `site`, which every series has; expected another property".to_string())
        } else if label.starts_with("__") || label.starts_with(|c: char| c.is_ascii_digit()) {
            Some(format!(
                "becomes the label `{label}`, which Prometheus does not take; expected another property"
            ))
        } else if let Some(twin) = labels.iter().find(|twin| **twin != property && label_name(twin) == label)
        {
            Some(format!("becomes the same label `{label}` as {twin:?}; expected one of the two"))
        } else if private && is_personal(menu, &property) {
            Some(
                "identifies a person, and /metrics is for all viewers, with no series a user; expected \
                 what many have in common, such as \"server\""
                    .to_string(),
            )
        } else {
            None
        };
        if let Some(problem) = problem {
            check.report(value, &format!("{property:?} {problem}"));
        }
        labels.push(property);
    }
    labels
}

/// Names of properties, each with its place. Repeated names and names of secrets are rejected.
fn read_properties<'f>(
    check: &mut Validator<'f>,
    fields: &Fields<'f>,
    name: &str,
    menu: &str,
) -> Vec<(FieldValue<'f>, String)> {
    let mut properties: Vec<(FieldValue<'f>, String)> = Vec::new();
    for value in check.list(fields, name) {
        let property = check.parsed(value, |text| is_property(text).then(|| text.to_string()));
        let Some(property) = property else { continue };
        if properties.iter().any(|(_, before)| *before == property) {
            check.report(value, &format!("{property:?} is repeated; expected it once"));
        } else if is_secret(menu, &property) {
            check.report(value, &shows_a_secret(&property));
        }
        properties.push((value, property));
    }
    properties
}

fn shows_a_secret(property: &str) -> String {
    format!("{property:?} may hold a secret, and would be shown; expected it left out")
}

fn is_menu(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    !text.ends_with("/print") && text.strip_prefix('/').is_some_and(|path| path.split('/').all(word))
}

/// The path of a menu that is written as in the terminal, or with the command.
fn corrected_menu(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut words: Vec<&str> =
        text.split(|c: char| c == '/' || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    words.pop_if(|last| *last == "print");
    let path = format!("/{}", words.join("/"));
    is_menu(&path).then_some(path)
}

fn is_metric(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(is_word) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests;
