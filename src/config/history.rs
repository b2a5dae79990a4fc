//! The section `history`: how much is kept of the figures over time.

use std::ops::RangeInclusive;

use super::document::Node;
use super::table::Section;
use super::validator::{Fields, Validator};

/// The unit of the limits, in bytes.
const MIB: usize = 1024 * 1024;

/// Smallest and largest memory: room for 800 sites without any history, and for 3,000 sites with a complete one.
const RANGE: RangeInclusive<usize> = MIB..=256 * MIB;

/// The section `history`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryConfig {
    /// Bytes of memory for all sites together.
    pub memory: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        from_fields(&mut Validator::without_file(), &Fields::left_out(Section::History))
    }
}

/// Reads the section. It reports problems; the result is then not used.
pub(super) fn read<'f>(check: &mut Validator<'f>, node: Node<'f>) -> Option<HistoryConfig> {
    let fields = check.structure(Section::History, "history", node)?;
    check.scoped("history", |check| Some(from_fields(check, &fields)))
}

fn from_fields<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> HistoryConfig {
    let memory = fields.get("memory").and_then(|value| check.parsed(value, parse_size));
    HistoryConfig { memory: memory.unwrap_or_default() }
}

/// Bytes of a text such as `512KiB`, `4MiB` or `1GiB`.
fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => MIB,
        "GiB" => 1024 * MIB,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit).filter(|size| RANGE.contains(size))
}
