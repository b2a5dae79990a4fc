//! Validates values by the table of fields, and reports each value that is not accepted.

use std::path::Path;
use std::time::Duration;

use super::diagnostic::Severity;
use super::document::{Document, Node};
use super::environment::Environment;
use super::fields::sections_of;
use super::fingerprint::Fingerprints;
use super::suggestion::{nearest, unknown};
use super::table::{Field, FieldDefault, Kind, Section};

/// Longest key of a site or name of a plugin, in characters.
pub(super) const MAX_KEY: usize = 40;

/// A value of a field, or of the list in it.
#[derive(Clone, Copy)]
pub(super) struct FieldValue<'f> {
    pub(super) field: &'static Field,
    pub(super) node: Node<'f>,
}

/// The fields of one structure: `(name: value, …)`.
pub(super) struct Fields<'f> {
    section: Section,
    found: Vec<FieldValue<'f>>,
    /// The values of omitted fields, which precede their defaults.
    inherited: Vec<FieldValue<'f>>,
    /// Missing fields for which a problem was already reported, such as misspelt ones.
    reported: Vec<&'static str>,
}

impl<'f> Fields<'f> {
    /// A section with all of its fields left out.
    pub(super) fn left_out(section: Section) -> Self {
        Self { section, found: Vec::new(), inherited: Vec::new(), reported: Vec::new() }
    }

    /// These fields, with those of `defaults` for omitted ones.
    pub(super) fn inheriting(mut self, defaults: &Self) -> Self {
        self.inherited.clone_from(&defaults.found);
        self.reported.extend(&defaults.reported);
        self
    }

    /// The same fields without their values, in which a problem was reported.
    pub(super) fn invalid(self) -> Self {
        let reported = self.found.iter().map(|value| value.field.name).chain(self.reported).collect();
        Self { reported, ..Self::left_out(self.section) }
    }

    /// Whether a field has no value, and no problem was reported for it.
    pub(super) fn lacks(&self, name: &str) -> bool {
        self.get(name).is_none() && !self.reported.contains(&name)
    }

    /// The value of a field that is in this structure.
    pub(super) fn in_file(&self, name: &str) -> Option<FieldValue<'f>> {
        self.found.iter().find(|value| value.field.name == name).copied()
    }

    /// The value of a field, which may be inherited or the default.
    pub(super) fn get(&self, name: &str) -> Option<FieldValue<'f>> {
        let default = || {
            let field = self.section.field(name)?;
            let FieldDefault::Ron(literal) = field.default else { return None };
            Some(FieldValue { field, node: Node::new(literal) })
        };
        let inherited = || self.inherited.iter().find(|value| value.field.name == name).copied();
        self.in_file(name).or_else(inherited).or_else(default)
    }
}

/// One check of one file.
pub(super) struct Validator<'f> {
    pub(super) document: Document<'f>,
    pub(super) environment: Environment<'f>,
    /// The path of the structure that is read, with a point at its end: `sites.awka.`.
    scope: String,
    /// Whether a warning about secrets in the file itself was already added. One is enough.
    pub(super) has_warned_of_open_file: bool,
}

impl Validator<'static> {
    /// Reads defaults without a file.
    pub(super) fn without_file() -> Self {
        Self::new(Document::new("".as_ref(), [""; 2], Fingerprints::default()), &|_| None)
    }
}

impl<'f> Validator<'f> {
    pub(super) fn new(document: Document<'f>, environment: Environment<'f>) -> Self {
        Self { document, environment, scope: String::new(), has_warned_of_open_file: false }
    }

    /// Reads a part of the file. Its name precedes the names of its fields in messages.
    pub(super) fn scoped<T>(&mut self, part: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.scope.len();
        self.scope.extend([part, "."]);
        let value = read(self);
        self.scope.truncate(outer);
        value
    }

    /// The path of a field in the file: `sites.awka.hosts`.
    pub(super) fn path_of(&self, value: FieldValue) -> String {
        format!("{}{}", self.scope, value.field.name)
    }

    /// Reports a problem of a field's value, which is not a secret.
    pub(super) fn report(&mut self, value: FieldValue<'f>, message: &str) {
        let message = format!("{}: {message}", self.path_of(value));
        self.document.report(value.node, &message);
    }

    /// Reports a problem of a field's value, which may be a secret.
    pub(super) fn report_hidden(&mut self, value: FieldValue<'f>, message: &str) {
        let message = format!("{}: {message}", self.path_of(value));
        self.document.report_hidden(value.node, &message);
    }

    /// Reports that a value is not accepted.
    pub(super) fn reject(&mut self, value: FieldValue<'f>) {
        self.reject_expecting(value, &value.field.expected());
    }

    /// Reports that a value is not accepted, and suggests another value.
    pub(super) fn reject_expecting(&mut self, value: FieldValue<'f>, expected: &str) {
        self.document.reject(&self.path_of(value), value.node, expected);
    }

    /// Reports that a value is of another kind. It may be a secret.
    pub(super) fn reject_kind(&mut self, value: FieldValue<'f>, expected: &str) {
        self.document.reject_kind(&self.path_of(value), value.node, expected);
    }

    /// Reports a problem of the file at `path`, whose name in the field's value is `text`. The message calls it `kind`.
    pub(super) fn report_file(
        &mut self,
        value: FieldValue<'f>,
        (text, path): (&str, &Path),
        kind: &str,
        error: &str,
    ) {
        let before = format!("{}: {kind}", self.path_of(value));
        self.document.report_file(value.node, (text, path), &before, error);
    }

    /// Warns of a field's value, and says how to fix it.
    pub(super) fn warn(&mut self, value: FieldValue<'f>, message: &str) {
        let message = format!("{}: {message}", self.path_of(value));
        self.document.warn(value.node, Severity::Warning, &message);
    }

    /// Like [`Validator::warn`], for values that earlier versions accepted and `check` rejects.
    pub(super) fn deprecate(&mut self, value: FieldValue<'f>, message: &str) {
        let message = format!("{}: {message}", self.path_of(value));
        self.document.warn(value.node, Severity::Deprecation, &message);
    }

    /// The fields of a structure, which messages call `name`. Unknown and repeated ones are problems.
    pub(super) fn structure(&mut self, section: Section, name: &str, node: Node<'f>) -> Option<Fields<'f>> {
        let known: Vec<&str> = section.fields().map(|field| field.name).collect();
        if !node.source().starts_with('(') {
            let first = known.first().unwrap_or(&"");
            let expected = format!("a structure in round brackets, such as ({first}: …)");
            self.document.reject_kind(name, node, &expected);
            return None;
        }
        let mut fields = Fields::left_out(section);
        for (word, node) in self.document.fields(node)? {
            let place = Node::new(word);
            let Some(field) = section.field(word) else {
                let message = format!("unknown field `{word}` in {name}");
                let sections = sections_of(word);
                if sections.is_empty() {
                    self.document.report(place, &unknown(&message, word, &known));
                    fields.reported.extend(nearest(word, &known));
                } else {
                    let message = format!("{message}; it belongs in {}", sections.join(" or "));
                    self.document.report(place, &message);
                }
                continue;
            };
            if fields.in_file(word).is_some() {
                let message = format!("the field `{word}` is repeated in {name}; expected it once");
                self.document.report(place, &message);
            } else {
                fields.found.push(FieldValue { field, node });
            }
        }
        Some(fields)
    }

    /// Reports the required fields that are missing in the structure at `node`, unless they are given elsewhere.
    pub(super) fn require(
        &mut self,
        name: &str,
        node: Node<'f>,
        fields: &Fields<'f>,
        is_given: &dyn Fn(&str) -> bool,
    ) {
        for field in fields.section.fields() {
            if let FieldDefault::Required(example) | FieldDefault::RequiredOnSite(example) = field.default
                && fields.lacks(field.name)
                && !is_given(field.name)
            {
                let message = format!("{name} has no {}; expected {example}", field.name);
                self.document.report_hidden(node, &message);
            }
        }
    }

    /// The keys and values of a map.
    pub(super) fn map(&mut self, value: FieldValue<'f>) -> Vec<(Node<'f>, Node<'f>)> {
        let Kind::Map(most, example) = value.field.kind else { return Vec::new() };
        if !value.node.source().starts_with('{') {
            self.reject_kind(value, &format!("a map in curly brackets, such as {example}"));
            return Vec::new();
        }
        let mut entries = self.document.entries(value.node);
        if let Some(&(key, _)) = entries.get(most) {
            let message = format!("found {}; expected up to {most}", entries.len());
            self.report(FieldValue { node: key, ..value }, &message);
        }
        entries.truncate(most);
        entries
    }

    /// The key of a map's entry.
    pub(super) fn key(&mut self, of: &str, node: Node<'f>, reserved: &str, hint: &str) -> Option<String> {
        let key = node.text().filter(|key| is_name(key) && key != reserved);
        if key.is_none() {
            let expected = format!("letters, digits, - and _, up to {MAX_KEY} of them, in quotes{hint}");
            self.document.reject(of, node, &expected);
        }
        key
    }

    /// The values of a list.
    pub(super) fn list(&mut self, fields: &Fields<'f>, name: &str) -> Vec<FieldValue<'f>> {
        let Some(value) = fields.get(name) else { return Vec::new() };
        let Kind::List(least, most, expected, _) = value.field.kind else { return Vec::new() };
        if !value.node.source().starts_with('[') {
            self.reject_kind(value, &format!("a list in square brackets of {expected}"));
            return Vec::new();
        }
        let problems = self.document.count();
        let nodes = self.document.values(value.node);
        let mut values: Vec<_> = nodes.into_iter().map(|node| FieldValue { node, ..value }).collect();
        if values.len() < least && self.document.count() == problems {
            self.reject_expecting(value, expected);
        }
        if let Some(&first) = values.get(most) {
            self.report(first, &format!("found {}; expected up to {most}", values.len()));
        }
        values.truncate(most);
        values
    }

    pub(super) fn flag(&mut self, fields: &Fields<'f>, name: &str) -> Option<bool> {
        let value = fields.get(name)?;
        let flag = match value.node.source() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        self.accepted(value, flag)
    }

    pub(super) fn number(&mut self, fields: &Fields<'f>, name: &str) -> Option<u64> {
        let value = fields.get(name)?;
        let Kind::Number(least, most) = value.field.kind else { return None };
        let number = value.node.number().filter(|number| (least..=most).contains(number));
        self.accepted(value, number)
    }

    pub(super) fn decimal(&mut self, fields: &Fields<'f>, name: &str) -> Option<f64> {
        let value = fields.get(name)?;
        let Kind::Decimal(least, most) = value.field.kind else { return None };
        let number = value.node.decimal().filter(|number| (least.into()..=most.into()).contains(number));
        self.accepted(value, number)
    }

    pub(super) fn duration(&mut self, fields: &Fields<'f>, name: &str) -> Option<Duration> {
        let value = fields.get(name)?;
        let Kind::Millis(least, most) = value.field.kind else { return None };
        let range = Duration::from_millis(least)..=Duration::from_millis(most);
        let duration = value.node.text().and_then(|text| humantime::parse_duration(&text).ok());
        self.accepted(value, duration.filter(|duration| range.contains(duration)))
    }

    pub(super) fn text(&mut self, fields: &Fields<'f>, name: &str) -> Option<String> {
        fields.get(name).and_then(|value| self.text_of(value))
    }

    /// The text that a value is.
    pub(super) fn text_of(&mut self, value: FieldValue<'f>) -> Option<String> {
        self.parsed(value, |text| Some(text.to_string()))
    }

    /// The result of `parse` for the text that a value is.
    pub(super) fn parsed<T>(
        &mut self,
        value: FieldValue<'f>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let range = match value.field.kind {
            Kind::Text(least, most, _) => least..=most,
            _ => 0..=usize::MAX,
        };
        let text = value.node.text().filter(|text| range.contains(&text.chars().count()));
        self.accepted(value, text.and_then(|text| parse(&text)))
    }

    /// Reports the value if it is not accepted.
    fn accepted<T>(&mut self, value: FieldValue<'f>, accepted: Option<T>) -> Option<T> {
        if accepted.is_none() {
            self.reject(value);
        }
        accepted
    }
}

/// Whether a text may be the key of a site or the name of a plugin.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
