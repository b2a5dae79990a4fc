//! Replays what was captured of a real router.

use std::mem;
use std::time::Duration;

use super::capture::Capture;
use super::menus::{ONE_ROW, RESOURCE, USER};
use super::row::{Row, Value, duration_seconds};
use super::state::State;
use super::table::MenuTable;

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
        let one_rows: Vec<_> = one_rows.map(|(menu, _)| (menu.clone(), MenuTable::new(ONE_ROW))).collect();
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
