//! Replaying a capture: its rows replace simulated ones.

use std::mem;
use std::time::Duration;

use super::capture::Capture;
use super::menus::{CAPTURED_SINGLE, RESOURCE, USER};
use super::row::Row;
use super::state::State;
use super::table::MenuTable;
use super::value::{Value, duration_seconds};

/// Replaces the menus of the capture, if the settings have one.
pub(super) fn apply_capture(state: &mut State) {
    let Some(Capture { menus, .. }) = state.settings.capture.take() else { return };
    let is_missing = |menu: &String| menus.iter().any(|(missing, rows)| missing == menu && rows.is_none());
    let is_new_single = |menu: &str, rows: &[Row]| {
        let is_known_single = state.tables.get(menu).is_some_and(|table| table.rules().single);
        !is_known_single && matches!(rows, [row] if row.id.is_empty())
    };
    let singles =
        menus.iter().filter(|(menu, rows)| rows.as_ref().is_some_and(|rows| is_new_single(menu, rows)));
    let singles: Vec<_> = singles.map(|(menu, _)| (menu.clone(), MenuTable::new(CAPTURED_SINGLE))).collect();
    // Collected and not changed in place, which compiles to much more code.
    let tables = mem::take(&mut state.tables).into_iter().filter(|(menu, _)| !is_missing(menu));
    state.tables = tables.chain(singles).collect();
    let now = state.clock.at();
    for (menu, rows) in menus {
        let Some(mut rows) = rows else { continue };
        for row in &mut rows {
            // The uptime of a user is the sum of ended sessions, so it does not grow.
            let uptime = duration_seconds(row.bytes("uptime")).filter(|_| menu != USER);
            if let Some(uptime) = uptime {
                let since = now.saturating_sub(Duration::from_secs(uptime));
                row.set("uptime", Value::Since(since));
                if menu == RESOURCE {
                    state.booted = since;
                }
            }
        }
        state.set_rows(&menu, rows);
    }
}
