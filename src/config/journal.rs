//! The section `journal`: how many ended sessions are kept, and for how long.

use std::time::Duration;

use super::table::Section;
use super::validator::{FieldValue, Fields, Validator};
use crate::journal::Retention;

/// The limits of a file without `journal`.
pub(super) fn default() -> Retention {
    let fields = Fields::left_out(Section::Journal);
    from_fields(&mut Validator::without_file(), &fields)
        .unwrap_or(Retention { rows: 0, keep: Duration::ZERO })
}

/// Reads the section; `None` if it is `Off`, or has a problem, which is reported.
pub(super) fn read<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<Retention> {
    if value.node.source() == "Off" {
        return None;
    }
    if !value.node.source().starts_with('(') {
        check.reject_kind(value, "Off, or a structure in round brackets, such as (rows: …)");
        return None;
    }
    let fields = check.structure(Section::Journal, "journal", value.node)?;
    check.scoped("journal", |check| from_fields(check, &fields))
}

fn from_fields<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Option<Retention> {
    let (rows, keep) = (check.number(fields, "rows"), check.duration(fields, "keep"));
    Some(Retention { rows: usize::try_from(rows?).ok()?, keep: keep? })
}
