//! Parameters of queries, and the errors that say which values are expected.

use std::time::{Duration, UNIX_EPOCH};

use crate::http::context::Context;
use crate::http::message::{Response, problem};
use crate::http::sort_key::SortOrder;

/// Default number of rows of a page of JSON. CSV has all rows by default, because programs that read it have no pages.
const DEFAULT_LIMIT: usize = 100;

/// Maximum number of rows that a query names: the most that the journal can have. The memory for a response limits all.
const MAX_LIMIT: usize = 50_000;

/// Maximum number of characters of a value that an error repeats.
const MAX_QUOTED: usize = 100;

/// The value of a parameter that `parse` accepts; `None` if it is not given.
pub(super) fn value<T>(
    context: &Context,
    name: &str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Response> {
    let Some(text) = context.request.parameter(name) else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| unexpected(name, &text, expected))
}

/// The error for a value that is not accepted.
pub(super) fn unexpected(name: &str, text: &str, expected: &str) -> Response {
    let beginning: String = text.chars().take(MAX_QUOTED).collect();
    problem(400, &format!("{name}: found {beginning:?}; expected {expected}."))
}

/// The maximum number of rows.
pub(super) fn limit(context: &Context) -> Result<usize, Response> {
    let expected = format!("a number from 1 to {MAX_LIMIT}");
    let in_range = |limit: &usize| (1..=MAX_LIMIT).contains(limit);
    let limit = value(context, "limit", &expected, |text| text.parse().ok().filter(in_range))?;
    Ok(limit.unwrap_or(if context.wants_csv() { usize::MAX } else { DEFAULT_LIMIT }))
}

/// The field by which rows are sorted, and the direction.
pub(super) fn sort(
    context: &Context,
    fields: &[&'static str],
) -> Result<Option<(&'static str, SortOrder)>, Response> {
    let expected = format!("one of {}, with - before it for descending order", fields.join(", "));
    value(context, "sort", &expected, |text| SortOrder::field(text, fields))
}

/// The text to search for, in lower case; empty if there is none.
pub(super) fn search(context: &Context) -> String {
    context.request.parameter("q").unwrap_or_default().trim().to_lowercase()
}

/// Refuses a `format` that is not offered.
pub(super) fn check_format(context: &Context) -> Result<(), Response> {
    value(context, "format", "json or csv", |format| ["json", "csv"].contains(&format).then_some(()))?;
    Ok(())
}

/// A time since 1970.
pub(super) fn time(context: &Context, name: &str) -> Result<Option<Duration>, Response> {
    value(context, name, "a time such as 2026-11-30T18:00:00Z or 2026-11-30T19:00:00+01:00", parse_time)
}

/// The keys of all sites, as an error names them.
pub(super) fn expected_site(context: &Context) -> String {
    format!("one of {}", context.all_sites().join(", "))
}

/// Parses RFC 3339. A plus sign that was not percent-encoded is a space here.
fn parse_time(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let utc = |text: &str| humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok();
    if text.ends_with('Z') {
        return utc(&text);
    }
    let (date, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let number = |digits: &str, most: u64| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|number: &u64| is_number && *number <= most)
    };
    let offset = Duration::from_secs(60 * (60 * number(hours, 23)? + number(minutes, 59)?));
    let local = utc(&format!("{date}Z"))?;
    match sign {
        "+" | " " => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-05-31T09:54:33Z", Some(1_780_221_273)),
            ("2026-05-31t09:54:33z", Some(1_780_221_273)),
            ("2026-05-31T10:54:33+01:00", Some(1_780_221_273)),
            ("2026-05-31T10:54:33 01:00", Some(1_780_221_273)),
            ("2026-05-31T04:24:33-05:30", Some(1_780_221_273)),
            ("2026-05-31T09:54:33.25Z", Some(1_780_221_273)),
            ("2026-05-31T09:54:33", None),
            ("2026-05-31", None),
            ("2026-13-31T09:54:33Z", None),
            ("2026-05-31T10:54:33+25:00", None),
            ("2026-05-31T10:54:33+1:00", None),
            ("2026-05-31T10:54:33++1:0", None),
            ("é:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text).map(|time| time.as_secs()), expected, "{text:?}");
        }
    }
}
