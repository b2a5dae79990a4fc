//! A plugin's rows as a table for people: with titles and units. The JSON has RouterOS's names and values instead.

use super::format::{measured, memory_bytes};
use super::session_list::shorten;
use crate::plugin::{Health, Resource, Table};
use crate::routeros::value;

/// Maximum number of rows of a declared plugin on a page, which can't be sorted or searched.
const MAX_ROWS: usize = 200;

/// Maximum length of the text of a declared plugin on a page, in characters: a page with twenty such plugins still fits
/// into a response.
const MAX_TEXT: usize = 32 * 1024;

/// The menu whose newest rows are last. People want to see these first.
const LOG: &str = "/log";

/// The first rows of a declared plugin, or those of a log in reverse: the newest first. If not `is_complete`, the newest
/// are missing, so the order stays.
pub(super) fn rows(menu: &str, table: &Table, is_complete: bool) -> Table {
    let cell = |cell: &Option<String>| cell.as_deref().map(|text| shorten(text.into()).into_owned());
    let mut left = MAX_TEXT;
    let fits = |row: &Vec<Option<String>>| {
        let length = row.iter().flatten().map(|cell| cell.chars().count()).sum();
        left.checked_sub(length).map(|rest| left = rest).is_some()
    };
    let count = table.rows.len();
    let at = |place: usize| if menu == LOG && is_complete { count - 1 - place } else { place };
    let shown = (0..count.min(MAX_ROWS)).map(|place| table.rows[at(place)].iter().map(cell).collect());
    Table { columns: table.columns.clone(), rows: shown.take_while(fits).collect() }
}

/// The `resource` plugin.
pub(super) fn properties(resource: &Resource) -> Table {
    let properties = [
        ("Board", resource.board.clone()),
        ("Architecture", resource.architecture.clone()),
        ("RouterOS", resource.version.clone()),
        ("Uptime", resource.uptime.map(value::format_duration)),
        ("CPU load", resource.cpu_load_percent.map(|percent| format!("{percent} %"))),
        ("CPU cores", resource.cpu_count.map(|count| count.to_string())),
        ("Free memory", resource.free_memory.map(memory_bytes)),
        ("Total memory", resource.total_memory.map(memory_bytes)),
        ("Free storage", resource.free_storage.map(memory_bytes)),
        ("Total storage", resource.total_storage.map(memory_bytes)),
    ];
    let known = properties.into_iter().filter(|(_, value)| value.is_some());
    Table {
        columns: ["Property", "Value"].map(Into::into).into(),
        rows: known.map(|(name, value)| vec![Some(name.into()), value]).collect(),
    }
}

/// The `health` plugin.
pub(super) fn sensors(health: &Health) -> Table {
    let rows = health.sensors.iter().map(|sensor| {
        let value = match sensor.measure {
            Some((quantity, figure)) => measured(quantity, figure),
            None => sensor.value.clone(),
        };
        vec![Some(sensor.name.clone()), Some(value)]
    });
    Table { columns: ["Sensor", "Value"].map(Into::into).into(), rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Quantity, Sensor};

    fn cells(table: &Table) -> Vec<Vec<&str>> {
        table.rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("–")).collect()).collect()
    }

    #[test]
    fn figures_have_units() {
        let resource = Resource {
            uptime: Some(Duration::from_secs(90)),
            cpu_load_percent: Some(7),
            total_memory: Some(134_217_728),
            ..Resource::default()
        };
        let table = properties(&resource);
        assert_eq!(
            cells(&table),
            [["Uptime", "1m30s"], ["CPU load", "7 %"], ["Total memory", "128 MiB"]],
            "an unknown value has no row"
        );
        let sensor =
            |name: &str, value: &str, measure| Sensor { name: name.into(), value: value.into(), measure };
        let read = vec![
            sensor("voltage", "24.1V", Some((Quantity::Voltage, 24.1))),
            sensor("psu1-state", "ok", None),
        ];
        let table = sensors(&Health { sensors: read, ..Health::default() });
        assert_eq!(cells(&table), [["voltage", "24.1 V"], ["psu1-state", "ok"]]);
    }

    #[test]
    fn rows_and_text_are_limited() {
        let table = |count: usize, cell: &str| Table {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec![Some(cell.to_string()), None]; count],
        };
        let shown = |count, cell: &str| rows("/a", &table(count, cell), true).rows.len();
        assert_eq!((shown(0, "x"), shown(200, "x"), shown(201, "x")), (0, 200, 200));
        assert_eq!(
            shown(200, &"é".repeat(100_000)),
            MAX_TEXT / 201,
            "each cell is truncated, and the table is limited"
        );
        assert_eq!(rows("/a", &table(1, "x"), true).rows, [[Some("x".to_string()), None]]);
        let mut log = table(201, "old");
        log.rows[200][0] = Some("new".into());
        assert_eq!(rows("/log", &log, true).rows[0][0].as_deref(), Some("new"));
        assert_eq!(
            rows("/log", &log, false).rows[0][0].as_deref(),
            Some("old"),
            "the newest rows are missing"
        );
    }
}
