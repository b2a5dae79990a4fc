//! The file's text, read piece by piece so that every problem is found at once, each with its place.
//!
//! `ron` gives each value of a structure as a slice of the text it was given. A slice's
//! place is where it lies in that text, so a value can be checked on its own, after
//! parsing, and still be named by line and column.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::diagnostic::{Diagnostic, UNNAMED, described, is_path_like, is_variable_like, kind};
use super::fields::{is_own, parts_of};
use super::fingerprint::{Fingerprints, is_open_to_all};
use super::syntax::explain;

/// Most problems that are told: the rest is told once these are mended. The same holds for warnings.
const MAX_PROBLEMS: usize = 100;

/// A value in the file: its text, comments and space around it left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'f>(&'f str);

impl<'f> Node<'f> {
    /// The value as a `T`, if it is one.
    fn typed<T: Deserialize<'f>>(self) -> Option<T> {
        options().from_str(self.0).ok()
    }
}

/// The fields of one structure: `(name: value, …)`.
pub(super) struct Fields<'f> {
    found: Vec<(&'f str, Node<'f>)>,
    /// Those that unknown ones are meant to be.
    meant: Vec<&'static str>,
}

impl<'f> Fields<'f> {
    /// Whether a field is not there, and not even under a mistyped name.
    pub(super) fn lack(&self, name: &str) -> bool {
        self.get(name).is_none() && !self.meant.contains(&name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Node<'f>> {
        self.found.iter().find_map(|&(found, node)| (found == name).then_some(node))
    }
}

/// Reads one file and keeps what is wrong with it.
pub(super) struct Document<'f> {
    path: PathBuf,
    text: &'f str,
    /// In the order of the check.
    problems: Vec<Diagnostic>,
    /// Whether there are more than are told.
    has_more: bool,
    /// What is accepted, but should be changed; in the order of the check.
    warnings: Vec<Diagnostic>,
    /// The files that were read, this one and those that it names.
    pub(super) contents: Fingerprints,
    /// What stands before the name of a field in a message, such as `sites.awka.`.
    pub(super) scope: String,
}

impl<'f> Document<'f> {
    pub(super) fn new(path: &Path, text: &'f str, contents: Fingerprints) -> Self {
        Self {
            path: path.into(),
            text,
            problems: Vec::new(),
            has_more: false,
            warnings: Vec::new(),
            contents,
            scope: String::new(),
        }
    }

    /// What was wrong and the warnings, both in the file's order, and what was read.
    pub(super) fn end(mut self) -> (Vec<Diagnostic>, Vec<Diagnostic>, Fingerprints) {
        self.problems.sort_by_key(|problem| problem.offset);
        self.warnings.sort_by_key(|warning| warning.offset);
        if self.has_more {
            let message = format!("there are more problems than the {MAX_PROBLEMS} told; mend these first");
            self.problems.push(Diagnostic::elsewhere(self.path.display().to_string(), message));
        }
        (self.problems, self.warnings, self.contents)
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Whether there is room for another problem; where there is none, notes that it was wanted.
    fn has_room(&mut self) -> bool {
        self.has_more |= self.problems.len() >= MAX_PROBLEMS;
        !self.has_more
    }

    /// The whole file as one value. What it does not parse as is a problem.
    pub(super) fn root(&mut self) -> Option<Node<'f>> {
        let parsed = self.parse::<&RawValue>(self.text);
        parsed.map(|raw| Node(raw.trim().get_ron()))
    }

    /// A path in the file, which counts from the file's own folder.
    pub(super) fn relative(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Whether every user of this machine can read the file, where it was read from one.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.contents.has(&self.path) && is_open_to_all(&self.path)
    }

    /// Notes a problem at `node`, which is no secret.
    pub(super) fn problem(&mut self, node: Node<'f>, message: impl Into<String>) {
        self.problem_at(self.offset(node.0), node.0.len(), message.into());
    }

    /// Notes a problem at `node`, whose message names the variable that is there. That may be a secret in the wrong place:
    /// it is named on a terminal alone, and only where it is like a variable.
    pub(super) fn problem_with_variable(
        &mut self,
        node: Node<'f>,
        variable: &str,
        message: impl Fn(&str) -> String,
    ) {
        let named = is_variable_like(variable).then_some(variable);
        let public = self.naming(node, None, &message);
        self.note(self.naming(node, named, &message).with_public(public));
    }

    /// The same about a file; `text` is how it is named at `node`, and `path` where it is looked for. It is named
    /// everywhere, but only where it is like a path.
    pub(super) fn problem_with_file(
        &mut self,
        node: Node<'f>,
        (text, path): (&Path, &Path),
        message: impl Fn(&str) -> String,
    ) {
        let shown = path.display().to_string();
        let named = is_path_like(&text.to_string_lossy(), path).then_some(&*shown);
        self.note(self.naming(node, named, &message));
    }

    /// A problem at `node` with what it names, or with that left out.
    fn naming(&self, node: Node<'f>, named: Option<&str>, message: &dyn Fn(&str) -> String) -> Diagnostic {
        let (place, message) = (self.offset(node.0), self.scoped(message(named.unwrap_or(UNNAMED))));
        let place = place..place + node.0.len();
        match named {
            Some(_) => Diagnostic::at(&self.path, self.text, place, message),
            None => Diagnostic::hiding(&self.path, self.text, place, message),
        }
    }

    fn note(&mut self, problem: Diagnostic) {
        if self.has_room() {
            self.problems.push(problem);
        }
    }

    /// Notes a problem that is not in the file.
    pub(super) fn elsewhere(&mut self, place: String, message: String) {
        self.problems.push(Diagnostic::elsewhere(place, message));
    }

    /// Notes that `node`, the value of `name`, is not what was `expected`.
    pub(super) fn unexpected(&mut self, name: &str, node: Node<'f>, expected: &str) {
        let found = described(node.0);
        let told = if found == node.0 { found.len() } else { 0 };
        self.problem_at(self.offset(node.0), told, format!("{name}: found {found}; expected {expected}"));
    }

    /// Warns of something at `node`, whose content may be a secret. The message begins with the field's name, as those of
    /// problems do, and says how to fix it.
    pub(super) fn warn(&mut self, node: Node<'f>, message: impl Into<String>) {
        let warning = self.located(self.offset(node.0), 0, message.into());
        self.note_warning(warning.warning());
    }

    /// Like [`Document::warn`], for what earlier versions accepted and a check does not.
    pub(super) fn deprecate(&mut self, node: Node<'f>, message: impl Into<String>) {
        let deprecation = self.located(self.offset(node.0), 0, message.into());
        self.note_warning(deprecation.deprecation());
    }

    fn note_warning(&mut self, warning: Diagnostic) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push(warning);
        }
    }

    /// Notes that something is missing in `node`, whose content may hold a secret.
    pub(super) fn missing(&mut self, node: Node<'f>, message: impl Into<String>) {
        self.problem_at(self.offset(node.0), 0, message.into());
    }

    /// Notes that the structure at `node` has no such field, if it has none.
    pub(super) fn need(&mut self, of: &str, node: Node<'f>, fields: &Fields<'f>, name: &str, example: &str) {
        if fields.lack(name) {
            self.missing(node, format!("{of} has no {name}; expected {example}"));
        }
    }

    /// Notes that `node` is not of the kind that is `expected`. It may hold a secret, too.
    fn other_kind(&mut self, name: &str, node: Node<'f>, expected: &str) {
        self.missing(node, format!("{name}: found {}; expected {expected}", kind(node.0)));
    }

    /// The fields of a structure. Those not in `known`, or there twice, are problems.
    pub(super) fn fields(
        &mut self,
        name: &str,
        node: Node<'f>,
        known: &[&'static str],
    ) -> Option<Fields<'f>> {
        if !node.0.starts_with('(') {
            let first = known.first().unwrap_or(&"");
            self.other_kind(name, node, &format!("a structure in round brackets, such as ({first}: …)"));
            return None;
        }
        let mut fields = Fields { found: Vec::new(), meant: Vec::new() };
        for (field, raw) in self.parse::<RawFields>(node.0)?.0 {
            let at = Node(field);
            if known.contains(&field) {
                if fields.get(field).is_some() {
                    let message = format!("the field `{field}` stands twice in {name}; expected it once");
                    self.problem(at, message);
                } else {
                    fields.found.push((field, Node(raw.trim().get_ron())));
                }
                continue;
            }
            let told = format!("unknown field `{field}` in {name}");
            let parts = parts_of(field);
            if parts.is_empty() {
                self.problem(at, unknown(&told, field, known));
                fields.meant.extend(nearest(field, known));
            } else {
                self.problem(at, format!("{told}; it belongs in {}", parts.join(" or ")));
            }
        }
        Some(fields)
    }

    /// The entries of a map: `{ "key": value, … }`, in the file's order.
    pub(super) fn entries(&mut self, name: &str, node: Node<'f>, example: &str) -> Vec<(Node<'f>, Node<'f>)> {
        if !node.0.starts_with('{') {
            self.other_kind(name, node, &format!("a map in curly brackets, such as {example}"));
            return Vec::new();
        }
        let entries = self.parse::<RawEntries>(node.0).map(|entries| entries.0).unwrap_or_default();
        let node = |raw: &'f RawValue| Node(raw.trim().get_ron());
        entries.into_iter().map(|(key, value)| (node(key), node(value))).collect()
    }

    /// The values of a list: `[ … ]`. An empty one is a problem: what was `expected` tells.
    pub(super) fn list(&mut self, name: &str, node: Node<'f>, expected: &str) -> Vec<Node<'f>> {
        let problems = self.problems.len();
        let values = self.values(name, node, expected);
        if values.is_empty() && self.problems.len() == problems {
            self.unexpected(name, node, expected);
        }
        values
    }

    /// The values of a list that may be empty.
    pub(super) fn values(&mut self, name: &str, node: Node<'f>, expected: &str) -> Vec<Node<'f>> {
        if !node.0.starts_with('[') {
            self.other_kind(name, node, &format!("a list in square brackets of {expected}"));
            return Vec::new();
        }
        let values = self.parse::<Vec<&RawValue>>(node.0).unwrap_or_default();
        values.into_iter().map(|raw| Node(raw.trim().get_ron())).collect()
    }

    /// A value of type `T`; anything else is a problem that says what was `expected`.
    pub(super) fn value<T: Deserialize<'f>>(
        &mut self,
        name: &str,
        node: Node<'f>,
        expected: &str,
    ) -> Option<T> {
        let value = node.typed();
        if value.is_none() {
            self.unexpected(name, node, expected);
        }
        value
    }

    /// Like [`Document::value`], for what no error may repeat.
    pub(super) fn secret<T: Deserialize<'f>>(
        &mut self,
        name: &str,
        node: Node<'f>,
        expected: &str,
    ) -> Option<T> {
        let value = node.typed();
        if value.is_none() {
            self.other_kind(name, node, expected);
        }
        value
    }

    /// Parses a piece; what `ron` says against it is a problem.
    fn parse<T: Deserialize<'f>>(&mut self, piece: &'f str) -> Option<T> {
        let parsed = options().from_str(piece);
        if let Err(error) = &parsed
            && self.has_room()
        {
            let at = error.span.start;
            let offset = self.offset(piece) + offset_of(piece, at.line, at.col);
            let (offset, message) = explain(self.text, &error.code, offset);
            self.problem_at(offset, 0, format!("not RON: {message}"));
        }
        parsed.ok()
    }

    /// Where a piece begins in the text, in bytes.
    fn offset(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// Notes a problem at `offset`, of which the next `told` bytes may be repeated.
    fn problem_at(&mut self, offset: usize, told: usize, message: String) {
        self.note(self.located(offset, told, message));
    }

    /// A problem at `offset`, of which the next `told` bytes may be repeated.
    fn located(&self, offset: usize, told: usize, message: String) -> Diagnostic {
        Diagnostic::at(&self.path, self.text, offset..offset + told, self.scoped(message))
    }

    /// A message that begins with a field says which of them.
    fn scoped(&self, message: String) -> String {
        let is_of_field = message.split([':', '.']).next().is_some_and(is_own);
        if is_of_field { format!("{}{message}", self.scope) } else { message }
    }
}

/// `message`, with the known name that is meant, or all of them.
#[must_use]
pub fn unknown(message: &str, found: &str, known: &[&str]) -> String {
    match nearest(found, known) {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => format!("{message}; expected one of {}", known.join(", ")),
    }
}

/// The known name that a mistyped one is meant to be.
fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    let mut longer = known.iter().filter(|name| name.starts_with(found));
    if let (Some(name), None) = (longer.next(), longer.next()) {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, found), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// The offset in bytes of a line and a column in characters, both from 1.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// Optional values are written bare.
fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// A structure's fields as they stand, known or not.
struct RawFields<'f>(Vec<(&'f str, &'f RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("", &[], Pairs(PhantomData)).map(Self)
    }
}

/// A map's entries as they stand.
struct RawEntries<'f>(Vec<(&'f RawValue, &'f RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(PhantomData)).map(Self)
    }
}

/// Collects a map's pairs, a key twice included.
struct Pairs<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de>> Visitor<'de> for Pairs<K> {
    type Value = Vec<(K, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("names with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
