//! The section `plugins`, which declares menus to read, show and measure, and the field `collect`, which lists the
//! plugins of a site.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::document::{Document, Node};
use super::fingerprint::Fingerprints;
use super::property::{is_about_people, is_personal, is_property, is_secret};
use super::suggestion::nearest;
use super::syntax::with_commas;
use super::table::Section;
use super::validator::{FieldValue, Fields, Validator, is_name};
use crate::plugin::declared::{Measure, Metric, label_name};
use crate::plugin::{self, Declaration, Plugin, Property, Unit};

/// Longest word of a query, in bytes: a router compares it with each row.
const MAX_QUERY_WORD: usize = 200;

/// The plugins that `collect` may name although the file does not declare them.
static CATALOGUE: LazyLock<Vec<Plugin>> = LazyLock::new(|| {
    let text = include_str!("catalogue.ron");
    let parsed = with_commas(text);
    let document = Document::new("".as_ref(), [text, &parsed], Fingerprints::default());
    let mut check = Validator::new(document, &|_| None);
    let root = check.document.root().zip(Section::File.field("plugins"));
    root.map(|(node, field)| read_all(&mut check, FieldValue { field, node })).unwrap_or_default().declared
});

/// The plugins of the catalogue.
pub fn catalogue() -> &'static [Plugin] {
    &CATALOGUE
}

/// The plugins that the file declares. A plugin with a problem is included, so that `collect` accepts its name.
#[derive(Default)]
pub(super) struct Plugins {
    declared: Vec<Plugin>,
}

impl Plugins {
    fn declared(&self, name: &str) -> Option<Plugin> {
        self.declared.iter().find(|plugin| plugin.name() == name).cloned()
    }

    /// The plugin of the catalogue with this name. A metric of it that the file also has is a problem.
    fn in_catalogue<'f>(
        &self,
        check: &mut Validator<'f>,
        value: FieldValue<'f>,
        name: &str,
    ) -> Option<Plugin> {
        let found = catalogue().iter().find(|plugin| plugin.name() == name)?;
        for metric in metric_names(found) {
            let has = |plugin: &&Plugin| metric_names(plugin).any(|name| name == metric);
            if let Some(twin) = self.declared.iter().find(has).map(Plugin::name) {
                let message = format!("{name:?} has the metric {metric:?}, and so does the plugin {twin:?}");
                check.report(value, &format!("{message}; expected another name of the metric in the file"));
            }
        }
        Some(found.clone())
    }

    /// Reads `collect`.
    pub(super) fn collect<'f>(&self, check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<Plugin> {
        let mut plugins: Vec<Plugin> = Vec::new();
        for value in check.list(fields, "collect") {
            let Some(name) = check.parsed(value, |text| is_name(text).then(|| text.to_string())) else {
                continue;
            };
            let own = Plugin::built_in(&name).or_else(|| self.declared(&name));
            let Some(found) = own.or_else(|| self.in_catalogue(check, value, &name)) else {
                let all = plugin::BUILT_IN.iter().chain(&self.declared).chain(catalogue());
                let mut known: Vec<&str> = Vec::new();
                all.map(Plugin::name).for_each(|name| known.extend((!known.contains(&name)).then_some(name)));
                let similar = nearest(&name, &known).map(|name| format!("did you mean `{name}`? "));
                let (similar, known) = (similar.unwrap_or_default(), known.join(", "));
                let message = format!("no plugin is named {name:?}; {similar}expected one of {known}");
                check.report(value, &format!("{message}, or a declaration in `plugins`"));
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

fn metric_names(plugin: &Plugin) -> impl Iterator<Item = &str> {
    plugin.declaration().into_iter().flat_map(|its| &its.metrics).map(|metric| metric.name.as_str())
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
            } else if plugins.declared(name).is_some() {
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
    let columns = read_columns(check, &of, &fields, &menu);
    let of = format!("a metric of {of}");
    let values = check.list(&fields, "metrics");
    Some(Declaration {
        name: name.into(),
        title: check.text(&fields, "title").unwrap_or_else(|| name.into()),
        query: read_query(check, &menu, &fields),
        columns,
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
    for value in check.list(fields, "labels") {
        let is_repeated = |name: &str| labels.iter().any(|label| label == name);
        let Some(property) = read_property(check, value, menu, is_repeated) else { continue };
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

/// Reads the columns, each of which is a property, or one with a heading and a unit.
fn read_columns<'f>(check: &mut Validator<'f>, of: &str, fields: &Fields<'f>, menu: &str) -> Vec<Property> {
    let mut columns: Vec<Property> = Vec::new();
    for value in check.list(fields, "columns") {
        let is_long = value.node.source().starts_with('(');
        let name = if is_long { check.document.first(value.node) } else { Some(value.node) };
        let Some(node) = name else {
            check.reject_kind(value, &value.field.expected());
            continue;
        };
        let is_repeated = |name: &str| columns.iter().any(|column| column.name == name);
        let Some(name) = read_property(check, FieldValue { node, ..value }, menu, is_repeated) else {
            continue;
        };
        let mut column = Property::from(name.as_str());
        if is_long {
            check.scoped("columns", |check| read_format(check, of, value.node, &mut column));
        }
        columns.push(column);
    }
    columns
}

/// Reads the heading and the unit of a column.
fn read_format<'f>(check: &mut Validator<'f>, of: &str, node: Node<'f>, column: &mut Property) {
    let Some(fields) = check.structure(Section::Column, &format!("a column of {of}"), node) else { return };
    if let Some(title) = check.text(&fields, "title") {
        column.title = title;
    }
    let Some(value) = fields.get("unit") else { return };
    match Unit::ALL.into_iter().find(|(name, _)| *name == value.node.source()) {
        Some((_, unit)) => column.unit = unit,
        None => check.reject(value),
    }
}

/// Reads the name of a property. One that is repeated, or that of a secret, is a problem.
fn read_property<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    menu: &str,
    is_repeated: impl Fn(&str) -> bool,
) -> Option<String> {
    let property = check.parsed(value, |text| is_property(text).then(|| text.to_string()))?;
    if is_repeated(&property) {
        check.report(value, &format!("{property:?} is repeated; expected it once"));
    } else if is_secret(menu, &property) {
        check.report(value, &shows_a_secret(&property));
    }
    Some(property)
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
