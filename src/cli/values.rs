//! Parsers of values on the command line. Errors name the value that was found and the expected form.

use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The error for a wrong value, without characters that would control a terminal.
pub(super) fn unexpected(value: &OsStr, expected: &str) -> String {
    format!("found {:?}; expected {expected}", value.to_string_lossy())
}

/// A value that must be text. A path need not be.
pub(super) fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| unexpected(value, "UTF-8"))
}

/// Parses the value as a `T`; `expected` describes its form.
pub(super) fn parsed<T: FromStr>(value: &OsStr, expected: &str) -> Result<T, String> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| unexpected(value, expected))
}

/// The value as a number in the range.
pub(super) fn number<T>(value: &OsStr, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let expected = format!("a number from {} to {}", range.start(), range.end());
    let number = parsed(value, &expected)?;
    if range.contains(&number) { Ok(number) } else { Err(unexpected(value, &expected)) }
}
