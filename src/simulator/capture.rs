//! Rows captured from a real router, for a simulated one to replay.
//!
//! A capture is text, close to what goes over the wire. A line that begins with `/` names a menu. `!re` begins a row of
//! it, and `=key=value` is an attribute of that row. `!trap` says that the router lacks the menu; a menu without rows is
//! empty. In a value `\n` is a line end and `\\` a backslash. Empty lines and those that begin with `#` are ignored.

use std::mem;
use std::str::FromStr;
use std::time::Duration;

use super::menus::{ONE_ROW, RESOURCE, USER};
use super::row::{Row, Value, duration_seconds};
use super::settings::Settings;
use super::state::State;
use super::table::Table;
use super::version::Version;

/// What was captured of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    version: Version,
    board: String,
    menus: Menus,
}

/// The rows of each menu; `None` where the router lacks it.
type Menus = Vec<(String, Option<Vec<Row>>)>;

impl Capture {
    /// The settings of a router that replays it: nobody comes or goes, and what was not captured is simulated.
    #[must_use]
    pub fn settings(self, others: Settings) -> Settings {
        let (version, board) = (self.version.clone(), self.board.clone());
        Settings { version, board, churn: Duration::ZERO, capture: Some(self), ..others }
    }
}

impl FromStr for Capture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut menus = Menus::new();
        for (number, line) in (1..).zip(text.lines()) {
            read(&mut menus, line).ok_or_else(|| {
                format!("line {number}: found {line:?}; expected a menu such as {RESOURCE}, !re, !trap or =key=value")
            })?;
        }
        let said = |key| {
            let (_, rows) = menus.iter().find(|(menu, _)| menu == RESOURCE)?;
            let text = std::str::from_utf8(rows.as_ref()?.first()?.text(key)).ok()?;
            (!text.is_empty()).then_some(text)
        };
        let needed = |key: &str| format!("no {key}; expected one in a row of {RESOURCE}");
        let version = said("version").ok_or_else(|| needed("version"))?;
        let version = version.parse().map_err(|bad: super::BadVersion| bad.to_string())?;
        let board = said("board-name").ok_or_else(|| needed("board-name"))?.to_string();
        Ok(Self { version, board, menus })
    }
}

/// Takes one line in; `None` where it is not of a capture.
fn read(menus: &mut Menus, line: &str) -> Option<()> {
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

/// A value as it was captured: `\n` in it is a line end, and any other character after a backslash is itself.
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

impl State {
    /// Replaces the menus that were captured.
    pub(super) fn replay(&mut self) {
        let Some(Capture { menus, .. }) = self.settings.capture.take() else { return };
        let now = self.clock.at();
        let lacks = |menu: &String| menus.iter().any(|(lacking, rows)| lacking == menu && rows.is_none());
        let is_one_row = |menu: &str, rows: &[Row]| {
            let is_single = self.tables.get(menu).is_some_and(|table| table.rules().single);
            !is_single && matches!(rows, [row] if row.id.is_empty())
        };
        let one_rows =
            menus.iter().filter(|(menu, rows)| rows.as_ref().is_some_and(|rows| is_one_row(menu, rows)));
        let one_rows: Vec<_> = one_rows.map(|(menu, _)| (menu.clone(), Table::new(ONE_ROW))).collect();
        // Collected and not changed in place, which is much more code.
        let tables = mem::take(&mut self.tables).into_iter().filter(|(menu, _)| !lacks(menu));
        self.tables = tables.chain(one_rows).collect();
        for (menu, rows) in menus {
            let Some(mut rows) = rows else { continue };
            for row in &mut rows {
                // Of a user it is the sum of the sessions that have ended.
                let uptime = duration_seconds(row.text("uptime")).filter(|_| menu != USER);
                if let Some(uptime) = uptime {
                    let since = now.saturating_sub(Duration::from_secs(uptime));
                    row.set("uptime", Value::Since(since));
                    if menu == RESOURCE {
                        self.set_booted(since);
                    }
                }
            }
            self.set_rows(&menu, rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = "/system/resource\n!re\n=version=7.4 (stable)\n=board-name=hEX\n";

    #[test]
    fn a_capture_is_read_as_it_is_written() {
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
    fn what_is_no_capture_names_its_line() {
        for (text, part) in [
            (format!("{BOARD}version: 7.4"), "line 5: found \"version: 7.4\""),
            ("=version=7.4".into(), "line 1: "),
            ("/a\n=b=c".into(), "line 2: "),
            ("/a\n!trap\n!re".into(), "line 3: "),
            ("/a\n!re\n=b".into(), "line 3: "),
            (String::new(), "no version; expected one in a row of /system/resource"),
            (BOARD.replace("hEX", ""), "no board-name"),
            (BOARD.replace("7.4", "seven"), "is no RouterOS version"),
        ] {
            let error = text.parse::<Capture>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
