//! A plugin's rows as a table for people: with titles and units. The JSON has RouterOS's names and values instead.

use super::format::{self, bits_per_second, bytes, grouped, measured, memory_bytes};
use super::session_list::shorten;
use crate::plugin::{Health, Plugin, Property, Resource, Table, Typed, Unit};
use crate::routeros::value;

/// A plugin's rows as the page shows them.
#[derive(Debug, Default)]
pub(super) struct ShownTable {
    pub(super) headings: Vec<TableHeading>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// The heading of a column.
#[derive(Debug)]
pub(super) struct TableHeading {
    pub(super) title: String,
    /// Whether the column has numbers, which are aligned at their ends.
    pub(super) is_numeric: bool,
}

/// Maximum number of rows of a declared plugin on a page, which can't be sorted or searched.
const MAX_ROWS: usize = 200;

/// Maximum length of the text of a declared plugin on a page, in characters: a page with twenty such plugins still fits
/// into a response.
const MAX_TEXT: usize = 32 * 1024;

/// The menu whose newest rows are last. People want to see these first.
const LOG: &str = "/log";

/// The first rows of a declared plugin, or those of a log in reverse: the newest first. If not `is_complete`, the newest
/// are missing, so the order stays.
pub(super) fn rows(plugin: &Plugin, table: &Table, is_complete: bool) -> ShownTable {
    let properties: Vec<Property> = table.columns.iter().map(|name| plugin.property(name)).collect();
    let is_log = plugin.declaration().is_some_and(|declaration| declaration.menu == LOG);
    let cell = |(cell, property): (&Option<String>, &Property)| {
        cell.as_deref()
            .map(|text| shown(property.unit, text).unwrap_or_else(|| shorten(text.into()).into_owned()))
    };
    let mut left = MAX_TEXT;
    let fits = |row: &Vec<Option<String>>| {
        let length = row.iter().flatten().map(|cell| cell.chars().count()).sum();
        left.checked_sub(length).map(|rest| left = rest).is_some()
    };
    let count = table.rows.len();
    let at = |place: usize| if is_log && is_complete { count - 1 - place } else { place };
    let cells = |place| table.rows[at(place)].iter().zip(&properties).map(cell).collect();
    let rows = (0..count.min(MAX_ROWS)).map(cells).take_while(fits).collect();
    let heading = |property: &Property| TableHeading {
        title: property.title.clone(),
        is_numeric: property.unit.is_numeric(),
    };
    ShownTable { headings: properties.iter().map(heading).collect(), rows }
}

/// A value with its unit; `None` if it is a text, or none of the unit.
fn shown(unit: Unit, text: &str) -> Option<String> {
    let number = |text: &str| {
        let with = |format: fn(u64) -> String| text.parse().ok().map(format);
        match unit {
            Unit::Number => with(|count| usize::try_from(count).map_or_else(|_| count.to_string(), grouped)),
            Unit::Bytes => with(bytes),
            Unit::BitsPerSecond => with(bits_per_second),
            Unit::Percent => Some(format!("{text} %")),
            _ => Some(format!("{text} dBm")),
        }
    };
    match unit.read(text)? {
        Typed::Text(_) => None,
        Typed::Numbers(numbers) => {
            let numbers: Option<Vec<String>> = numbers.into_iter().map(number).collect();
            Some(numbers?.join(" / "))
        }
        Typed::Duration(duration) => Some(format::duration(duration)),
        Typed::Flag(is_set) => Some(if is_set { "Yes" } else { "No" }.into()),
    }
}

/// A table of texts under these headings.
fn texts(headings: [&str; 2], rows: Vec<Vec<Option<String>>>) -> ShownTable {
    let heading = |title: &str| TableHeading { title: title.into(), is_numeric: false };
    ShownTable { headings: headings.map(heading).into(), rows }
}

/// The `resource` plugin.
pub(super) fn properties(resource: &Resource) -> ShownTable {
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
    texts(["Property", "Value"], known.map(|(name, value)| vec![Some(name.into()), value]).collect())
}

/// The `health` plugin.
pub(super) fn sensors(health: &Health) -> ShownTable {
    let rows = health.sensors.iter().map(|sensor| {
        let value = match sensor.measure {
            Some((quantity, figure)) => measured(quantity, figure),
            None => sensor.value.clone(),
        };
        vec![Some(sensor.name.clone()), Some(value)]
    });
    texts(["Sensor", "Value"], rows.collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Declaration, Quantity, Sensor};

    fn cells(table: &ShownTable) -> Vec<Vec<&str>> {
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
        let rows = |menu: &str, table: &Table, is_complete| {
            let declaration = Declaration { menu: menu.into(), ..Declaration::default() };
            super::rows(&Plugin::Declared(declaration.into()), table, is_complete)
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

    #[test]
    fn values_are_shown_in_their_units() {
        for (unit, text, expected) in [
            (Unit::Text, "5", None),
            (Unit::Bytes, "45678912", Some("45.7 MB")),
            (Unit::Bytes, "1000/2500", Some("1.0 kB / 2.5 kB")),
            (Unit::BitsPerSecond, "2000000", Some("2.0 Mbit/s")),
            (Unit::Number, "1312", Some("1,312")),
            (Unit::Number, "1.5", None),
            (Unit::Percent, "7", Some("7 %")),
            (Unit::Dbm, "-65dBm@1Mbps", Some("-65 dBm")),
            (Unit::Duration, "1w2d3h4m", Some("9d3h")),
            (Unit::Duration, "never", None),
            (Unit::Flag, "true", Some("Yes")),
            (Unit::Flag, "false", Some("No")),
        ] {
            assert_eq!(shown(unit, text).as_deref(), expected, "{unit:?} {text:?}");
        }
        let declaration =
            Declaration { columns: vec!["name".into(), "rx-byte".into()], ..Declaration::default() };
        let table = Table {
            columns: declaration.column_names(),
            rows: vec![vec![Some("ether1".into()), Some("unlimited".into())]],
        };
        let table = rows(&Plugin::Declared(declaration.into()), &table, true);
        let headings: Vec<_> =
            table.headings.iter().map(|its| (its.title.as_str(), its.is_numeric)).collect();
        assert_eq!(headings, [("Name", false), ("RX byte", true)]);
        assert_eq!(cells(&table), [["ether1", "unlimited"]], "a value of another form is shown as it is");
    }
}
