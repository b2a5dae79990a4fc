//! The file's text, parsed value by value so that all problems are found at once, each with its place.
//!
//! `ron` returns each value of a structure as a slice of its input. The position of the slice in the input gives line
//! and column, so each value can be checked separately after parsing.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::diagnostic::{Diagnostic, Severity};
use super::fingerprint::{Fingerprints, is_open_to_all};
use super::redact::{UNNAMED, described, is_path_like, is_variable_like, is_word, kind};
use super::syntax::{explain, gap};

/// Maximum number of problems that are reported: the rest is reported once these are fixed. The same holds for
/// warnings.
const MAX_PROBLEMS: usize = 100;

/// The text of a value in the file, without surrounding comments and spaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'f>(&'f str);

impl<'f> Node<'f> {
    /// A piece of the file's text, or valid RON that replaces a value that is left out.
    pub(super) fn new(text: &'f str) -> Self {
        Self(text)
    }

    fn of_raw(raw: &'f RawValue) -> Self {
        Self(raw.trim().get_ron())
    }

    /// The text of the value.
    pub(super) fn source(self) -> &'f str {
        self.0
    }

    /// The value of a text in quotes.
    pub(super) fn text(self) -> Option<String> {
        options().from_str(self.0).ok()
    }

    /// The value of a number without a sign.
    pub(super) fn number(self) -> Option<u64> {
        options().from_str(self.0).ok()
    }

    /// The value of a number that may have a fraction and a sign.
    pub(super) fn decimal(self) -> Option<f64> {
        options().from_str(self.0).ok()
    }

    /// The two texts in round brackets.
    pub(super) fn text_pair(self) -> Option<(String, String)> {
        options().from_str(self.0).ok()
    }

    /// A word, and the value in brackets after it: `Off`, `Pin("…")`. Several values, or fields, are returned with their
    /// brackets.
    pub(super) fn variant(self) -> (&'f str, Option<Self>) {
        let (word, rest) = self.0.split_at(self.0.find(|c| !is_word(c)).unwrap_or(self.0.len()));
        let rest = &rest[gap(rest)..];
        let argument = options().from_str::<(&RawValue,)>(rest);
        let argument = argument.map_or(Self(rest), |(argument,)| Self::of_raw(argument));
        (word, Some(argument).filter(|_| !rest.is_empty()))
    }
}

/// Reads one file and keeps its problems and warnings.
pub(super) struct Document<'f> {
    path: PathBuf,
    /// The text that is parsed: see [`with_commas`](super::syntax::with_commas).
    text: &'f str,
    /// The text of the file, which excerpts show.
    original: &'f str,
    /// In the order in which they were found.
    problems: Vec<Diagnostic>,
    /// Whether there are more than are reported.
    has_more: bool,
    /// In the order in which they were found.
    warnings: Vec<Diagnostic>,
    /// The files that were read: this file and the files that it names.
    pub(super) fingerprints: Fingerprints,
}

impl<'f> Document<'f> {
    pub(super) fn new(path: &Path, [original, text]: [&'f str; 2], fingerprints: Fingerprints) -> Self {
        Self {
            path: path.into(),
            text,
            original,
            problems: Vec::new(),
            has_more: false,
            warnings: Vec::new(),
            fingerprints,
        }
    }

    /// The problems and the warnings, both in the file's order, and the fingerprints of the files.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Diagnostic>, Fingerprints) {
        self.problems.sort_by_key(|problem| problem.offset);
        self.warnings.sort_by_key(|warning| warning.offset);
        if self.has_more {
            let message =
                format!("there are more problems than the {MAX_PROBLEMS} reported; fix these first");
            self.problems.push(Diagnostic::elsewhere(self.path.display().to_string(), message));
        }
        (self.problems, self.warnings, self.fingerprints)
    }

    /// The number of problems so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// A path in the file, which is relative to the file's own folder.
    pub(super) fn relative(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Whether every user of this machine can read the file; false for text that is not from a file.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.fingerprints.has(&self.path) && is_open_to_all(&self.path)
    }

    /// Reports a problem at `node`, which is not a secret.
    pub(super) fn report(&mut self, node: Node<'f>, message: &str) {
        self.report_at(self.offset(node.0), node.0.len(), message);
    }

    /// Reports a problem at `node`, whose content may be a secret.
    pub(super) fn report_hidden(&mut self, node: Node<'f>, message: &str) {
        self.report_at(self.offset(node.0), 0, message);
    }

    /// Reports that `node`, the value of `name`, is not what was `expected`.
    pub(super) fn reject(&mut self, name: &str, node: Node<'f>, expected: &str) {
        let found = described(node.0);
        let shown = if found == node.0 { found.len() } else { 0 };
        self.report_at(self.offset(node.0), shown, &format!("{name}: found {found}; expected {expected}"));
    }

    /// The same for a `node` of another kind, which may be a secret.
    pub(super) fn reject_kind(&mut self, name: &str, node: Node<'f>, expected: &str) {
        self.report_hidden(node, &format!("{name}: found {}; expected {expected}", kind(node.0)));
    }

    /// Reports a problem at `node` with the name of a variable, between `before` and `after`. The name may be a
    /// misplaced secret: it is shown only on a terminal, and only if it looks like the name of a variable.
    pub(super) fn report_variable(&mut self, node: Node<'f>, variable: &str, before: &str, after: &str) {
        let named = is_variable_like(variable).then_some(variable);
        let public = self.naming(node, None, before, after);
        self.note(self.naming(node, named, before, after).with_public(public));
    }

    /// The same for a file; `text` is its path in the configuration, and `path` the resolved path. It is shown
    /// everywhere, but only if it looks like a path.
    pub(super) fn report_file(
        &mut self,
        node: Node<'f>,
        (text, path): (&str, &Path),
        before: &str,
        after: &str,
    ) {
        let shown = path.display().to_string();
        let named = is_path_like(text, path).then_some(&*shown);
        self.note(self.naming(node, named, before, after));
    }

    /// A problem at `node`, with or without the name that it contains.
    fn naming(&self, node: Node<'f>, named: Option<&str>, before: &str, after: &str) -> Diagnostic {
        let place = self.offset(node.0)..self.offset(node.0) + node.0.len();
        let message = format!("{before} {} {after}", named.unwrap_or(UNNAMED));
        Diagnostic::at(&self.path, self.original, place, named.is_some(), &message)
    }

    /// Reports a problem that is not in the file.
    pub(super) fn report_elsewhere(&mut self, place: String, message: String) {
        self.problems.push(Diagnostic::elsewhere(place, message));
    }

    /// Adds a warning at `node`, whose content may be a secret.
    pub(super) fn warn(&mut self, node: Node<'f>, severity: Severity, message: &str) {
        if self.warnings.len() < MAX_PROBLEMS {
            let warning = self.located(self.offset(node.0), 0, message).with_severity(severity);
            self.warnings.push(warning);
        }
    }

    /// The whole file as one value.
    pub(super) fn root(&mut self) -> Option<Node<'f>> {
        self.parse::<&RawValue>(self.text).map(Node::of_raw)
    }

    /// The value that precedes the fields of a structure such as `("rx-byte", title: "Received")`.
    pub(super) fn first(&mut self, node: Node<'f>) -> Option<Node<'f>> {
        if !has_first(node) {
            return None;
        }
        self.parse::<RawTuple>(node.0)?.0.first().map(|raw| Node::of_raw(raw))
    }

    /// The fields of a structure in the file's order, known or not. A value that precedes them is left out.
    pub(super) fn fields(&mut self, node: Node<'f>) -> Option<Vec<(&'f str, Node<'f>)>> {
        if has_first(node) {
            let values = self.parse::<RawTuple>(node.0)?.0;
            let field = |pair: &[&'f RawValue]| match pair {
                [name, value] if self.is_name(name) => Some((name.trim().get_ron(), Node::of_raw(value))),
                _ => None,
            };
            let fields: Option<_> = values.get(1..)?.chunks(2).map(field).collect();
            if fields.is_none() {
                self.report_hidden(node, "expected a name and a colon before each value but the first");
            }
            return fields;
        }
        let fields = self.parse::<RawFields>(node.0)?.0;
        Some(fields.into_iter().map(|(name, raw)| (name, Node::of_raw(raw))).collect())
    }

    /// The keys and values of a map in the file's order.
    pub(super) fn entries(&mut self, node: Node<'f>) -> Vec<(Node<'f>, Node<'f>)> {
        let entries = self.parse::<RawEntries>(node.0).map(|entries| entries.0).unwrap_or_default();
        entries.into_iter().map(|(key, value)| (Node::of_raw(key), Node::of_raw(value))).collect()
    }

    /// The values of a list.
    pub(super) fn values(&mut self, node: Node<'f>) -> Vec<Node<'f>> {
        let values = self.parse::<Vec<&RawValue>>(node.0).unwrap_or_default();
        values.into_iter().map(Node::of_raw).collect()
    }

    /// Parses a piece. An error of `ron` is a problem.
    fn parse<T: Deserialize<'f>>(&mut self, piece: &'f str) -> Option<T> {
        let parsed = options().from_str(piece);
        if let Err(error) = &parsed
            && self.has_room()
        {
            let at = error.span.start;
            let offset = self.offset(piece) + offset_of(piece, at.line, at.col);
            let (offset, message) = explain(self.text, &error.code, offset);
            self.report_at(offset, 0, &format!("not RON: {message}"));
        }
        parsed.ok()
    }

    /// Whether a colon follows a piece in the file.
    fn is_name(&self, piece: &RawValue) -> bool {
        let piece = piece.trim().get_ron();
        let rest = self.original.get(self.offset(piece) + piece.len()..).unwrap_or_default();
        rest[gap(rest)..].starts_with(':')
    }

    /// The offset of a piece in the text, in bytes.
    fn offset(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// Reports a problem at `offset`. The message may quote the next `shown` bytes.
    fn report_at(&mut self, offset: usize, shown: usize, message: &str) {
        // The excerpt of a long line takes time.
        if self.has_room() {
            self.problems.push(self.located(offset, shown, message));
        }
    }

    fn located(&self, offset: usize, shown: usize, message: &str) -> Diagnostic {
        Diagnostic::at(&self.path, self.original, offset..offset + shown, true, message)
    }

    fn note(&mut self, problem: Diagnostic) {
        if self.has_room() {
            self.problems.push(problem);
        }
    }

    /// Whether another problem can be reported. If not, records that there are more.
    fn has_room(&mut self) -> bool {
        self.has_more |= self.problems.len() >= MAX_PROBLEMS;
        !self.has_more
    }
}

/// Whether a text precedes the fields of a structure.
fn has_first(node: Node) -> bool {
    node.0.strip_prefix('(').is_some_and(|inside| inside[gap(inside)..].starts_with('"'))
}

/// The offset in bytes of a line and a column in characters, both from 1.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// Optional values are written without `Some`.
fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// The fields of a structure with the texts of their values.
struct RawFields<'f>(Vec<(&'f str, &'f RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("", &[], Pairs(PhantomData)).map(Self)
    }
}

/// The texts of the values of a tuple.
struct RawTuple<'f>(Vec<&'f RawValue>);

impl<'de> Deserialize<'de> for RawTuple<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(0, Values).map(Self)
    }
}

/// Collects the values of a tuple.
struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        std::iter::from_fn(|| values.next_element().transpose()).collect()
    }
}

/// The entries of a map with the texts of their values.
struct RawEntries<'f>(Vec<(&'f RawValue, &'f RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(PhantomData)).map(Self)
    }
}

/// Collects the pairs of a map, repeated keys included.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_a_value_or_fields() {
        for (text, word, argument) in [
            ("Off", "Off", None),
            ("Pin(\"a\")", "Pin", Some("\"a\"")),
            ("Pin /* c */ ( [\"a\", \"b\"], )", "Pin", Some("[\"a\", \"b\"]")),
            ("Pin(\"a\", \"b\")", "Pin", Some("(\"a\", \"b\")")),
            ("SiteDown(after: \"90s\")", "SiteDown", Some("(after: \"90s\")")),
            ("Token(Env(\"A\"))", "Token", Some("Env(\"A\")")),
            ("\"a\"", "", Some("\"a\"")),
        ] {
            let (found, value) = Node(text).variant();
            assert_eq!((found, value.map(Node::source)), (word, argument), "{text}");
        }
    }
}
