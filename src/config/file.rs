//! The file's text, read piece by piece so that every problem is found at once, each with its place.
//!
//! `ron` gives each value of a structure as a slice of the text it was given. A slice's
//! place is where it lies in that text, so a value can be checked on its own, after
//! parsing, and still be named by line and column.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ron::error::Error;
use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::contents::Contents;

/// Longest piece of the file that an error repeats, in characters.
const SHOWN: usize = 40;

/// Something in the configuration that can't stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `sites.ron:12:9`, or the environment variable.
    place: String,
    /// What was found, what was expected and what to do.
    message: String,
    /// Where in the file, in bytes; problems elsewhere come last.
    pub(super) offset: usize,
    /// The line of the file and where in it, from 1.
    excerpt: Option<(String, usize)>,
}

impl Problem {
    /// A problem that is not at a place in the file.
    pub fn elsewhere(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), offset: usize::MAX, excerpt: None }
    }

    /// `sites.ron:12:9`, or what else it is about.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found, what was expected and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the file, and under it a caret at the place.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        let (line, column) = self.excerpt.as_ref()?;
        // The caret stands under its character even where tabs indent the line.
        let indent: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Some(format!("{line}\n{indent}^"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        for line in self.excerpt().iter().flat_map(|excerpt| excerpt.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

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
}

impl<'f> Fields<'f> {
    pub(super) fn get(&self, name: &str) -> Option<Node<'f>> {
        self.found.iter().find_map(|&(found, node)| (found == name).then_some(node))
    }
}

/// Reads one file and keeps what is wrong with it.
pub(super) struct Reader<'f> {
    path: PathBuf,
    text: &'f str,
    /// Names of fields, which an error may repeat wherever they stand.
    names: Vec<&'static str>,
    pub(super) problems: Vec<Problem>,
    /// The files that were read, this one and those that it names.
    pub(super) contents: Contents,
}

impl<'f> Reader<'f> {
    pub(super) fn new(path: &Path, text: &'f str, names: Vec<&'static str>, contents: Contents) -> Self {
        Self { path: path.into(), text, names, problems: Vec::new(), contents }
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

    /// Notes a problem at `node`, which is no secret.
    pub(super) fn problem(&mut self, node: Node<'f>, message: impl Into<String>) {
        self.problem_at(self.offset(node.0), node.0.len(), message.into());
    }

    /// Notes that `node`, the value of `name`, is not what was `expected`.
    pub(super) fn unexpected(&mut self, name: &str, node: Node<'f>, expected: &str) {
        self.problem(node, format!("{name}: found {}; expected {expected}", shown(node.0)));
    }

    /// Notes that something is missing in `node`, whose content may hold a secret.
    pub(super) fn missing(&mut self, node: Node<'f>, message: impl Into<String>) {
        self.problem_at(self.offset(node.0), 0, message.into());
    }

    /// Notes that `node` is not of the structure that is `expected`. It may hold a secret, too.
    fn unstructured(&mut self, name: &str, node: Node<'f>, expected: &str) {
        let found = match node.0.chars().next() {
            Some('"') => "a text",
            Some('[') => "a list",
            Some('{') => "a map",
            Some('(') => "a structure",
            Some(c) if c.is_ascii_digit() || c == '-' => "a number",
            _ => "a word",
        };
        self.missing(node, format!("{name}: found {found}; expected {expected}"));
    }

    /// The fields of a structure. Those not in `known`, or there twice, are problems.
    pub(super) fn fields(&mut self, name: &str, node: Node<'f>, known: &[&str]) -> Fields<'f> {
        let mut found: Vec<(&'f str, Node<'f>)> = Vec::new();
        if !node.0.starts_with('(') {
            self.unstructured(name, node, "a structure in round brackets, such as (name: \"Awka\")");
            return Fields { found };
        }
        for (field, raw) in self.parse::<RawFields>(node.0).map(|fields| fields.0).unwrap_or_default() {
            let at = Node(field);
            if !known.contains(&field) {
                self.problem(at, unknown(&format!("unknown field `{field}` in {name}"), field, known));
            } else if found.iter().any(|&(before, _)| before == field) {
                self.problem(at, format!("the field `{field}` stands twice in {name}; expected it once"));
            } else {
                found.push((field, Node(raw.trim().get_ron())));
            }
        }
        Fields { found }
    }

    /// The entries of a map: `{ "key": value, … }`, in the file's order.
    pub(super) fn entries(&mut self, name: &str, node: Node<'f>) -> Vec<(Node<'f>, Node<'f>)> {
        if !node.0.starts_with('{') {
            self.unstructured(name, node, "a map in curly brackets, such as { \"awka\": ( … ) }");
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
            self.unstructured(name, node, &format!("a list in square brackets of {expected}"));
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

    /// Like [`Reader::value`], for what no error may repeat.
    pub(super) fn secret<T: Deserialize<'f>>(
        &mut self,
        name: &str,
        node: Node<'f>,
        expected: &str,
    ) -> Option<T> {
        let value = node.typed();
        if value.is_none() {
            self.missing(node, format!("{name}: this value has another form; expected {expected}"));
        }
        value
    }

    /// Parses a piece; what `ron` says against it is a problem at the place it names.
    fn parse<T: Deserialize<'f>>(&mut self, piece: &'f str) -> Option<T> {
        match options().from_str(piece) {
            Ok(value) => Some(value),
            Err(error) => {
                let at = error.span.start;
                let offset = self.offset(piece) + offset_of(piece, at.line, at.col);
                let message = match error.code {
                    // These repeat what they found.
                    Error::InvalidIdentifier(_) | Error::SuggestRawIdentifier(_) => {
                        "a name must be letters, digits and _, beginning with a letter".to_string()
                    }
                    code => code.to_string(),
                };
                self.problem_at(offset, 0, format!(
                    "not RON: {message}; a comma, a quote or a bracket may be missing or too many, here or before"
                ));
                None
            }
        }
    }

    /// Where a piece begins in the text, in bytes.
    fn offset(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// Notes a problem at `offset`, of which the next `told` bytes may be repeated.
    fn problem_at(&mut self, offset: usize, told: usize, message: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let source = self.text[line_start..].lines().next().unwrap_or_default();
        let at = offset - line_start;
        self.problems.push(Problem {
            place: format!("{}:{line}:{column}", self.path.display()),
            message,
            offset,
            excerpt: Some(masked(source, at..at + told, &self.names)),
        });
    }
}

/// A line of the file in which only its structure, the `names` and what lies in `told` can be
/// read: values may be secrets, however their names are mistyped. Also gives where in it, in
/// characters from 1, what stood at `at` is now.
fn masked(line: &str, told: Range<usize>, names: &[&str]) -> (String, usize) {
    const STRUCTURE: &str = "()[]{},:";
    /// In place of any value, so that not even its length shows.
    const MASK: &str = "···";
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut shown = String::new();
    let mut column = None;
    let mut at = 0;
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let piece = match first {
            '"' => quoted(rest),
            _ => &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8())],
        };
        if at + piece.len() > told.start {
            column.get_or_insert(shown.chars().count() + 1);
        }
        let plain = names.contains(&piece) || STRUCTURE.contains(piece) || piece.trim().is_empty();
        match first {
            _ if plain || told.contains(&at) => shown += piece,
            '"' => shown.extend(["\"", MASK, "\""]),
            _ if shown.ends_with(MASK) => {}
            _ => shown += MASK,
        }
        at += piece.len();
    }
    let column = column.unwrap_or(shown.chars().count() + 1);
    (shown, column)
}

/// The text in quotes that `rest` begins with, or all of it where the quotes don't close.
fn quoted(rest: &str) -> &str {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &rest[..=at],
            _ => {}
        }
    }
    rest
}

/// `message`, with the known name that is meant, or all of them.
#[must_use]
pub fn unknown(message: &str, found: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, found), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min();
    match nearest {
        Some((_, name)) => format!("{message}; did you mean `{name}`?"),
        None => format!("{message}; expected one of {}", known.join(", ")),
    }
}

/// The first line of a piece, cut where it is long.
fn shown(piece: &str) -> String {
    let line = piece.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < piece.len() => format!("{line}…"),
        None => line.to_string(),
    }
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
