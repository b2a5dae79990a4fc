//! All fields of the file, by section and name, and what their rows say about texts that may be secrets.

use std::time::Duration;

use super::alerts::rows::{ROWS as ALERT_ROWS, RULES, SERVICES};
use super::table::FieldDefault::{Required, RequiredOnSite, Ron, Unset};
use super::table::Kind::{Decimal, Flag, List, Map, Millis, Number, OneOf, Path, SecretOf, Structure, Text};
use super::table::Section::{Defaults, File, Site};
use super::table::{ANY, Effect, Field, FieldRow, ROWS, SECRET_WORDS, Section};

impl Section {
    /// The fields that are allowed in the section, its own first.
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Field> {
        let own = FIELDS.iter().filter(move |field| field.section == self);
        own.chain(FIELDS.iter().filter(move |field| self == Site && field.section == Defaults))
    }

    /// The field of this name in the section.
    pub(super) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }
}

/// The fields without the columns that only the reference needs, so that the binary does not contain these.
static FIELDS: [Field; ROWS.len() + ALERT_ROWS.len()] = {
    let mut fields = [ROWS[0].field; ROWS.len() + ALERT_ROWS.len()];
    let mut at = 1;
    while at < fields.len() {
        let is_general = at < ROWS.len();
        fields[at] = if is_general { ROWS[at].field } else { ALERT_ROWS[at - ROWS.len()].field };
        at += 1;
    }
    fields
};

impl Field {
    /// The words that a value of the field may begin with.
    fn words(&self) -> &'static [&'static str] {
        match self.kind {
            Flag => &["true", "false"],
            OneOf(words, _) | SecretOf(words, _) => words,
            _ => &[],
        }
    }

    /// How a diagnostic names a value that is accepted; for a list, a value in it.
    pub(super) fn expected(&self) -> String {
        match self.kind {
            Flag => "true or false".into(),
            Number(least, most) => format!("a number from {least} to {most}"),
            Decimal(least, most) => format!("a number from {least} to {most}"),
            Millis(least, most) => {
                format!("a duration from {} to {}, such as \"10s\"", duration(least), duration(most))
            }
            Text(0, most, "") => format!("a text of up to {most} characters"),
            Text(least, most, "") => format!("a text of {least} to {most} characters"),
            Text(_, _, expected)
            | Path(expected)
            | OneOf(_, expected)
            | SecretOf(_, expected)
            | List(_, _, _, expected)
            | Map(_, expected) => expected.into(),
            Structure => String::new(),
        }
    }

    /// Whether a value may be a secret, or be compared with one.
    fn is_secret(&self) -> bool {
        matches!(self.kind, SecretOf(..)) || self.name == "query"
    }

    /// Whether an excerpt may show the texts of a value. A secret may be where the path of a file belongs.
    fn is_harmless(&self) -> bool {
        !self.is_secret()
            && !matches!(self.kind, Path(_) | Structure | Map(..))
            // `to` is a map of channels, too.
            && !["metrics", "body", "to"].contains(&self.name)
    }
}

fn duration(millis: u64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(millis))
}

/// Whether the format defines a word as a name or value, or RON for an optional one. Then it is not a secret at any
/// place.
pub(super) fn is_reserved(word: &str) -> bool {
    ["None", "Some"].contains(&word)
        || SECRET_WORDS.contains(&word)
        || RULES.iter().chain(SERVICES).any(|(known, ..)| *known == word)
        || FIELDS.iter().any(|field| field.name == word || field.words().contains(&word))
}

/// Whether the texts after a reserved word may not be shown in an excerpt. A name in several sections shows them if one of
/// these does: behind the name of a structure, its fields decide.
pub(super) fn hides_texts(word: &str) -> bool {
    let mut fields = FIELDS.iter().filter(|field| field.name == word).peekable();
    SECRET_WORDS.contains(&word)
        || SERVICES.iter().any(|(service, ..)| *service == word)
        || ["Token", "Ca"].contains(&word)
        || (fields.peek().is_some() && !fields.any(Field::is_harmless))
}

/// Whether a text contains a word that belongs before a secret.
pub(super) fn contains_word_of_secret(text: &str) -> bool {
    let words = ["Token", "PRIVATE KEY"].iter().chain(SECRET_WORDS);
    let names = FIELDS.iter().filter(|field| field.is_secret()).map(|field| &field.name);
    words.chain(names).any(|word| text.contains(word))
}

/// The sections that a field belongs in.
pub(super) fn sections_of(name: &str) -> Vec<&'static str> {
    let sections = FIELDS.iter().filter(|field| field.name == name).map(|field| field.section);
    sections.map(|section| if section == File { "the outermost brackets" } else { section.path() }).collect()
}

/// A row of the reference of all fields.
#[derive(Debug)]
pub struct FieldReference {
    /// The path, such as `sites.*.hosts`.
    pub path: String,
    /// Type and range.
    pub value: String,
    /// The default, or `required`.
    pub default: String,
    /// The effect of a change.
    pub effect: Effect,
    /// The purpose of the field.
    pub meaning: &'static str,
}

/// The reference of all fields, in the order of `docs/configuration.md`. Fields that are allowed in `defaults` are also
/// allowed on a site.
pub fn reference() -> Vec<FieldReference> {
    let reference = |&FieldRow { field, effect, value, meaning }: &FieldRow| FieldReference {
        path: format!("{}.{}", field.section.path(), field.name).trim_start_matches('.').into(),
        value: match field.kind {
            List(_, ANY, ..) => format!("list of {value}, one or more"),
            List(least, most, ..) => format!("list, {least} to {most} {value}"),
            Map(most, _) if most < ANY => format!("map, 0 to {most} {value}"),
            _ if !value.is_empty() => value.into(),
            Flag => "`true` or `false`".into(),
            Number(least, most) => format!("number, {least} to {most}"),
            Decimal(least, most) => format!("number from {least} to {most}"),
            Millis(least, most) => format!("duration, {} to {}", duration(least), duration(most)),
            Text(least, most, _) => format!("text, {least} to {most} characters"),
            _ => String::new(),
        },
        default: match field.default {
            Required(_) => "required".into(),
            RequiredOnSite(_) => "none".into(),
            Ron(literal) => format!("`{literal}`"),
            Unset(words) => words.into(),
        },
        effect,
        meaning,
    };
    ROWS.iter().chain(ALERT_ROWS).map(reference).collect()
}
