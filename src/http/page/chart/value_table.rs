//! The values of charts as a table, and their marks as a list: for screen readers, and for reading exact values.

use askama::Template;

use super::curve::Curve;
use super::local_time::UtcOffset;
use super::plot::mark_text;
use super::value_scale::{ChartUnit, ValueScale};
use crate::history::Mark;

/// Maximum number of rows: more are in the JSON.
const ROWS: usize = 25;

/// Maximum number of listed marks, the latest.
const MARKS: usize = 20;

/// The table of several curves of one range. Intervals without any value are left out.
#[derive(Template)]
#[template(path = "chart/value_table.html")]
pub(in crate::http::page) struct ValueTable {
    /// The length of an interval in words.
    interval: String,
    time_zone: String,
    columns: Vec<String>,
    /// Newest first: the time and a cell for each column.
    rows: Vec<(String, Vec<String>)>,
    marks: Vec<String>,
}

impl ValueTable {
    /// Each curve has a heading and a unit. All have the same range.
    pub(in crate::http::page) fn new(
        series: &[(&'static str, ChartUnit, &Curve)],
        marks: &[Mark],
        offset: UtcOffset,
    ) -> Self {
        let curves: Vec<Curve> = series.iter().map(|(_, _, curve)| curve.within(ROWS, -offset.0)).collect();
        let scales: Vec<ValueScale> = series
            .iter()
            .zip(&curves)
            .map(|((_, unit, _), curve)| {
                ValueScale::new(*unit, curve.peak().map_or(0.0, |(_, slot)| slot.max))
            })
            .collect();
        let cell = |(curve, scale): (&Curve, &ValueScale), row: usize| {
            let slot = curve.slots.get(row).copied().flatten();
            slot.map(|slot| {
                let [min, avg, max] = [slot.min, slot.avg, slot.max].map(|value| scale.text(value));
                if min == max { avg } else { format!("{avg} ({min}–{max})") }
            })
        };
        let count = curves.iter().map(|curve| curve.slots.len()).max().unwrap_or(0);
        let rows = (0..count).rev().filter_map(|row| {
            let first = curves.first()?;
            let cells: Vec<Option<String>> =
                curves.iter().zip(&scales).map(|curve| cell(curve, row)).collect();
            let is_known = cells.iter().any(Option::is_some);
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into())).collect();
            is_known.then(|| (offset.moment(first.start_of(row), first.step), cells))
        });
        Self {
            interval: curves.first().map(|curve| interval(curve.step.unsigned_abs())).unwrap_or_default(),
            time_zone: offset.name(),
            rows: rows.collect(),
            columns: series
                .iter()
                .zip(&scales)
                .map(|((title, ..), scale)| heading(title, scale.unit))
                .collect(),
            marks: marks.iter().rev().take(MARKS).map(|mark| mark_text(mark, offset)).collect(),
        }
    }
}

fn heading(title: &str, unit: &str) -> String {
    if unit == "users" { title.into() } else { format!("{title}, {unit}") }
}

/// `5 minutes`, `1 hour`.
pub(in crate::http::page) fn interval(step: u64) -> String {
    let (count, unit) = match step {
        86_400.. => (step / 86_400, "day"),
        3600.. => (step / 3600, "hour"),
        _ => (step / 60, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;
    use crate::history::Figure;

    #[test]
    fn rows_have_the_values_of_each_curve() {
        let mut users = curve(0, 60, "5 - -");
        users.slots.push(Some(Figure { min: 1.0, avg: 2.5, max: 4.0 }));
        users.coverage.push(1.0);
        let rate = curve(0, 60, "12300000 - 400000 -");
        let series = [("Users", ChartUnit::Users, &users), ("Download", ChartUnit::Rate, &rate)];
        let table = ValueTable::new(&series, &[], UtcOffset(3600));
        assert_eq!(table.columns, ["Users", "Download, Mbit/s"]);
        let row = |time: &str, cells: [&str; 2]| (time.to_string(), cells.map(String::from).to_vec());
        assert_eq!(
            table.rows,
            [
                row("1 Jan 01:03", ["2.5 (1–4)", "–"]),
                row("1 Jan 01:02", ["–", "0.4"]),
                row("1 Jan 01:00", ["5", "12.3"])
            ]
        );
        assert_eq!(table.interval, "1 minute");
        assert_eq!([300, 3600, 172_800].map(interval), ["5 minutes", "1 hour", "2 days"]);
    }
}
