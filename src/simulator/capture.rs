//! Captures of real routers: rows for a simulated router to replay.
//!
//! A capture is text close to the wire format. A line that starts with `/` names a menu. `!re` starts a row of the
//! menu, and `=key=value` is an attribute of that row. `!trap` means that the router lacks the menu; a menu without rows
//! is empty. In a value `\n` is a line end and `\\` a backslash. Empty lines and lines that start with `#` are ignored.

use std::str::FromStr;

use super::menus::RESOURCE;
use super::row::Row;
use super::version::{BadVersion, Version};

/// The menus of a real router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub(super) version: Version,
    pub(super) board: String,
    pub(super) menus: Menus,
}

/// The rows of each menu; `None` if the router lacks the menu.
pub(super) type Menus = Vec<(String, Option<Vec<Row>>)>;

impl FromStr for Capture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut menus = Menus::new();
        for (number, line) in (1..).zip(text.lines()) {
            parse_line(&mut menus, line).ok_or_else(|| {
                format!("line {number}: found {line:?}; expected a menu such as {RESOURCE}, !re, !trap or =key=value")
            })?;
        }
        let resource = |key| {
            let (_, rows) = menus.iter().find(|(menu, _)| menu == RESOURCE)?;
            let text = std::str::from_utf8(rows.as_ref()?.first()?.bytes(key)).ok()?;
            (!text.is_empty()).then_some(text)
        };
        let missing = |key: &str| format!("no {key}; expected one in a row of {RESOURCE}");
        let version = resource("version").ok_or_else(|| missing("version"))?;
        let version = version.parse().map_err(|bad: BadVersion| bad.to_string())?;
        let board = resource("board-name").ok_or_else(|| missing("board-name"))?.to_string();
        Ok(Self { version, board, menus })
    }
}

/// Adds one line to the menus; `None` if it does not belong in a capture.
fn parse_line(menus: &mut Menus, line: &str) -> Option<()> {
    if line.is_empty() || line.starts_with('#') {
        return Some(());
    }
    if line.starts_with('/') {
        menus.push((line.to_string(), Some(Vec::new())));
        return Some(());
    }
    let (_, rows) = menus.last_mut()?;
    match line {
        "!trap" => *rows = None,
        "!re" => rows.as_mut()?.push(Row::new()),
        _ => {
            let (key, value) = line.strip_prefix('=')?.split_once('=')?;
            let row = rows.as_mut()?.last_mut()?;
            let value = unescape(value);
            if key == ".id" {
                row.id = value;
            } else {
                row.set(key, value.into());
            }
        }
    }
    Some(())
}

/// Decodes a value: `\n` is a line end, any other character after a backslash is itself.
fn unescape(text: &str) -> String {
    let (mut value, mut is_escaped) = (String::new(), false);
    for c in text.chars() {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            c => {
                value.push(if is_escaped && c == 'n' { '\n' } else { c });
                is_escaped = false;
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = "/system/resource\n!re\n=version=7.4 (stable)\n=board-name=hEX\n";

    #[test]
    fn capture_keeps_menus_rows_and_values() {
        let text = format!(
            "# A hEX.\n{BOARD}\n/a/b\n!re\n=.id=*1\n=note=x=\\\\n\\ny\n=flag=\n!re\n\n/c\n!trap\n/d\n"
        );
        let capture: Capture = text.parse().unwrap();
        assert_eq!((capture.version.to_string().as_str(), capture.board.as_str()), ("7.4 (stable)", "hEX"));
        let rows = vec![Row::new().id("*1").with("note", "x=\\n\ny").with("flag", ""), Row::new()];
        let expected = [("/a/b".into(), Some(rows)), ("/c".into(), None), ("/d".into(), Some(Vec::new()))];
        assert_eq!(capture.menus[1..], expected);
    }

    #[test]
    fn parse_error_names_the_line() {
        for (text, part) in [
            (format!("{BOARD}version: 7.4"), "line 5: found \"version: 7.4\""),
            ("=version=7.4".into(), "line 1: "),
            ("/a\n=b=c".into(), "line 2: "),
            ("/a\n!trap\n!re".into(), "line 3: "),
            ("/a\n!re\n=b".into(), "line 3: "),
            (String::new(), "no version; expected one in a row of /system/resource"),
            (BOARD.replace("hEX", ""), "no board-name"),
            (BOARD.replace("7.4", "seven"), "is not a RouterOS version"),
        ] {
            let error = text.parse::<Capture>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
