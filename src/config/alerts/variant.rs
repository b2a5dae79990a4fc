//! A word with fields, such as `SiteDown(after: "90s")`: the word decides which fields are allowed.

use super::rows::Variant;
use crate::config::suggestion::unknown;
use crate::config::table::Section;
use crate::config::validator::{FieldValue, Fields, Validator};

/// Reads a value that is one of these variants, which messages call `what`. The fields belong to `section`.
pub(super) fn read<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    section: Section,
    what: &str,
    variants: &'static [Variant],
) -> Option<(&'static str, Fields<'f>)> {
    let (word, argument) = value.node.variant();
    let Some((word, required, optional)) = variants.iter().find(|(known, ..)| *known == word) else {
        if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let known: Vec<&str> = variants.iter().map(|(known, ..)| *known).collect();
            let message = unknown(&format!("no {what} is named `{word}`"), word, &known);
            check.report_hidden(value, &message);
        } else {
            check.reject_kind(value, &value.field.expected());
        }
        return None;
    };
    let fields = match argument {
        Some(node) => check.structure(section, word, node)?,
        None => Fields::left_out(section),
    };
    for field in section.fields() {
        let name = field.name;
        match fields.in_file(name) {
            Some(found) if !required.contains(&name) && !optional.contains(&name) => {
                let known: Vec<&str> = required.iter().chain(*optional).copied().collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                check.report_hidden(found, &format!("{word} has no such field; expected {known}"));
            }
            None if required.contains(&name) && fields.lacks(name) => {
                check.report_hidden(value, &format!("{word} has no {name}; expected {}", field.expected()));
            }
            _ => {}
        }
    }
    Some((word, fields))
}
