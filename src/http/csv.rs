//! Comma-separated values (RFC 4180), as spreadsheets import them.
//!
//! A text that a spreadsheet would run as a formula (CWE-1236) begins with an apostrophe, which makes it a text there:
//! anybody can choose the name of a device. Numbers have none.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::message::{Request, Response, too_long};

/// What a cell of text must not begin with: spreadsheets run it as a formula, or skip it and run what follows.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CsvCell<'c> {
    /// An unknown value.
    Empty,
    /// Any text.
    Text(Cow<'c, str>),
    /// An integer.
    Integer(u64),
    /// A number with a fraction, which is finite.
    Decimal(f64),
}

impl<'c> From<&'c str> for CsvCell<'c> {
    fn from(text: &'c str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for CsvCell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'c> From<Cow<'c, str>> for CsvCell<'c> {
    fn from(text: Cow<'c, str>) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for CsvCell<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for CsvCell<'_> {
    fn from(number: f64) -> Self {
        Self::Decimal(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for CsvCell<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl fmt::Display for CsvCell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Empty => return Ok(()),
            Self::Integer(number) => return write!(f, "{number}"),
            Self::Decimal(number) => return write!(f, "{number}"),
            Self::Text(text) => text,
        };
        let guard = if text.starts_with(FORMULA_STARTS) { "'" } else { "" };
        if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
            return f.write_str(text);
        }
        write!(f, "\"{guard}{}\"", text.replace('"', "\"\""))
    }
}

/// Whether a request asks for CSV: by `format=csv`, or by an `Accept` that names `text/csv` before JSON.
pub(super) fn is_requested(request: &Request) -> bool {
    if let Some(format) = request.parameter("format") {
        return format == "csv";
    }
    let mut named = request.accepted().filter(|kind| kind == "text/csv" || kind == "application/json");
    named.next().is_some_and(|kind| kind == "text/csv")
}

/// A response of CSV with these columns, or an error if it has more than `most` bytes.
pub(super) fn csv<'c, R: IntoIterator<Item = CsvCell<'c>>>(
    columns: &[&str],
    rows: impl IntoIterator<Item = R>,
    most: usize,
) -> Response {
    let mut text = columns.join(",");
    for row in rows {
        text.push_str("\r\n");
        for (at, cell) in row.into_iter().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            // Writing to a `String` never fails.
            let _ = write!(text, "{separator}{cell}");
        }
        if text.len() > most {
            return too_long(most);
        }
    }
    text.push_str("\r\n");
    Response::new(200, "text/csv; charset=utf-8; header=present", text)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::{HeaderField, Method};

    #[test]
    fn cells_are_quoted_and_formulas_are_guarded() {
        for (cell, expected) in [
            ("plain text".into(), "plain text"),
            ("".into(), ""),
            ("a,b".into(), "\"a,b\""),
            ("say \"hi\"".into(), "\"say \"\"hi\"\"\""),
            ("two\r\nlines".into(), "\"two\r\nlines\""),
            ("Zoë's".into(), "Zoë's"),
            ("=1+1".into(), "\"'=1+1\""),
            ("+1".into(), "\"'+1\""),
            ("-2+3".into(), "\"'-2+3\""),
            ("@SUM(A1)".into(), "\"'@SUM(A1)\""),
            ("\t=1".into(), "\"'\t=1\""),
            ("\r=1".into(), "\"'\r=1\""),
            ("=HYPERLINK(\"http://x\",\"y\")".into(), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("1=1".into(), "1=1"),
            (CsvCell::from(u64::MAX), "18446744073709551615"),
            (CsvCell::from(-2.5), "-2.5"),
            (CsvCell::from(None::<u64>), ""),
            (CsvCell::from(Some("x")), "x"),
        ] {
            assert_eq!(cell.to_string(), expected, "{cell:?}");
        }
    }

    #[test]
    fn a_response_has_a_header_and_ends_each_row_with_crlf() {
        let rows = [[CsvCell::from("a"), 1.into()], [CsvCell::Empty, 2.5.into()]];
        let response = csv(&["name", "count"], rows.clone(), 100);
        assert_eq!(**response.body, *b"name,count\r\na,1\r\n,2.5\r\n");
        assert_eq!(
            (response.status, response.content_type),
            (200, "text/csv; charset=utf-8; header=present")
        );
        assert_eq!(**csv(&["name", "count"], [[]; 0], 100).body, *b"name,count\r\n");
        assert_eq!(csv(&["name", "count"], rows, 15).status, 503);
    }

    #[test]
    fn a_request_asks_for_csv_by_parameter_or_accept() {
        for (target, accept, expected) in [
            ("/a", "", false),
            ("/a?format=csv", "", true),
            ("/a?format=csv", "application/json", true),
            ("/a?format=json", "text/csv", false),
            ("/a", "text/csv", true),
            ("/a", "TEXT/CSV; q=1", true),
            ("/a", "text/html, text/csv;q=0.9, */*", true),
            ("/a", "text/csv, application/json", true),
            ("/a", "application/json, text/csv", false),
            ("/a", "*/*", false),
        ] {
            let request = Request::new(Method::Get, target, Ipv4Addr::LOCALHOST.into());
            let request = request.with(HeaderField::Accept, accept);
            assert_eq!(is_requested(&request), expected, "{target} {accept}");
        }
    }
}
