//! Comma-separated values (RFC 4180), as spreadsheets import them.
//!
//! A text that a spreadsheet would run as a formula (CWE-1236) begins with an apostrophe, which makes it a text there:
//! anybody can choose the name of a device. Numbers have none.

use serde::Serialize;
use serde_json::Value;

use super::message::{Request, Response, too_long};

/// What a cell of text must not begin with: spreadsheets run it as a formula, or skip it and run what follows.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The text of a cell. That of an unknown value, which is null, is empty.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text,
        // Without the `.0` of JSON.
        Value::Number(number) if number.is_f64() => return number.as_f64().unwrap_or_default().to_string(),
        other => return other.to_string(),
    };
    let guard = if text.starts_with(FORMULA_STARTS) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text.clone();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
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
pub(super) fn csv<R: IntoIterator<Item = Value>>(
    columns: &[&str],
    rows: impl IntoIterator<Item = R>,
    most: usize,
) -> Response {
    let mut text = columns.join(",");
    for row in rows {
        for (at, value) in row.into_iter().enumerate() {
            text.push_str(if at > 0 { "," } else { "\r\n" });
            text.push_str(&cell(&value));
        }
        if text.len() > most {
            return too_long(most);
        }
    }
    text.push_str("\r\n");
    Response::new(200, "text/csv; charset=utf-8; header=present", text)
}

/// The same with rows that are JSON objects. The columns are names of their fields.
pub(super) fn csv_of<T: Serialize>(
    columns: &[&str],
    objects: impl Iterator<Item = T>,
    most: usize,
) -> Response {
    let row = |object: T| {
        let mut object = serde_json::to_value(object).unwrap_or_default();
        columns.iter().map(move |name| object.get_mut(name).map(Value::take).unwrap_or_default())
    };
    csv(columns, objects.map(row), most)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;
    use crate::http::{HeaderField, Method};

    #[test]
    fn cells_are_quoted_and_formulas_are_guarded() {
        for (value, expected) in [
            (Value::from("plain text"), "plain text"),
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
            (u64::MAX.into(), "18446744073709551615"),
            ((-2.5).into(), "-2.5"),
            (3.0.into(), "3"),
            (true.into(), "true"),
            (None::<u64>.into(), ""),
        ] {
            assert_eq!(cell(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_response_has_a_header_and_ends_each_row_with_crlf() {
        let rows = [[Value::from("a"), 1.into()], [Value::Null, 2.5.into()]];
        let response = csv(&["name", "count"], rows.clone(), 100);
        assert_eq!(**response.body, *b"name,count\r\na,1\r\n,2.5\r\n");
        assert_eq!(
            (response.status, response.content_type),
            (200, "text/csv; charset=utf-8; header=present")
        );
        assert_eq!(**csv(&["name", "count"], [[]; 0], 100).body, *b"name,count\r\n");
        assert_eq!(csv(&["name", "count"], rows, 15).status, 503);
        let objects = [json!({"count": 1, "name": "a", "other": 0}), json!({"count": 2.5, "name": null})];
        assert_eq!(csv_of(&["name", "count"], objects.iter(), 100).body, response.body);
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
