//! Plugins that `sites.ron` declares, to show and measure any menu.

mod counter;
mod declaration;
#[cfg(test)]
mod tests;

use super::answer::{Answer, first};
use super::context::ReadContext;
use super::limits;
use super::metric::Family;
use super::table::Table;
use crate::memory::{self, ALLOCATION};
use crate::routeros::error::Error;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;
use counter::RunningTotal;
use declaration::number_of;
pub use declaration::{Declaration, Measure, Metric, label_name};

/// The rows and metrics of a declared plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The rows under the declared columns.
    pub table: Table,
    /// The gauges of the last complete answer.
    gauges: Vec<Family>,
    counters: Vec<RunningTotal>,
    /// Whether the gauges are out of date because the last answer is incomplete.
    is_partial: bool,
    /// Rows of the last answer that were left out because of their `.id`.
    left_out: usize,
}

impl Listing {
    /// The reason why the data is partial, if it is.
    pub(in crate::plugin) fn incomplete(&self) -> Option<String> {
        let forgotten = || self.counters.iter().find_map(RunningTotal::forgotten);
        let too_many = || {
            let family = self.families().into_iter().find(Family::is_incomplete)?;
            Some(format!("too many series of {}", family.name))
        };
        limits::left_out(self.left_out).or_else(forgotten).or_else(too_many)
    }

    /// The metrics.
    pub fn families(&self) -> Vec<Family> {
        let gauges = if self.is_partial { &[] } else { self.gauges.as_slice() };
        gauges.iter().chain(self.counters.iter().map(|counter| &counter.total)).cloned().collect()
    }

    /// Upper bound of the length of its series in `/metrics`, in bytes.
    pub(in crate::plugin) fn series_length(&self) -> usize {
        let counters = self.counters.iter().map(|counter| &counter.total);
        self.gauges.iter().chain(counters).map(Family::text_length).sum()
    }

    /// Bytes of memory that its series take.
    fn series_cost(&self) -> usize {
        let gauges = self.gauges.iter().map(Family::cost);
        gauges.chain(self.counters.iter().map(RunningTotal::cost)).sum()
    }

    /// Bytes of memory that it takes.
    pub(in crate::plugin) fn cost(&self) -> usize {
        self.table.rows.iter().map(|row| row_cost(row)).sum::<usize>() + self.series_cost()
    }

    /// The first rows, up to `max_bytes` bytes. If metrics take more than half of these, they are dropped.
    pub(in crate::plugin) fn truncated(&self, max_bytes: usize) -> Self {
        let mut truncated =
            Self { table: Table { columns: self.table.columns.clone(), rows: Vec::new() }, ..self.clone() };
        if truncated.series_cost() > max_bytes / 2 {
            truncated.gauges.iter_mut().for_each(Family::clear);
            truncated.counters.iter_mut().for_each(RunningTotal::clear);
        }
        let room = max_bytes.saturating_sub(truncated.series_cost());
        truncated.table.rows = memory::first(&self.table.rows, |row| row_cost(row), room).to_vec();
        truncated
    }
}

fn row_cost(row: &[Option<String>]) -> usize {
    let text = |cell: &Option<String>| cell.as_ref().map_or(0, |text| ALLOCATION + text.len());
    let cells = row.iter().map(|cell| size_of::<Option<String>>() + text(cell));
    size_of::<Vec<Option<String>>>() + ALLOCATION + cells.sum::<usize>()
}

/// Converts a `listing` that was read under an `earlier` declaration: the same rows with the columns of this one.
/// Unknown cells are absent until the next read.
pub(super) fn inherit(
    declaration: &Declaration,
    listing: &Listing,
    earlier: &Declaration,
) -> Option<Listing> {
    if (&declaration.menu, &declaration.query) != (&earlier.menu, &earlier.query) {
        return None;
    }
    let columns = declaration.column_names();
    let place = |column: &String| listing.table.columns.iter().position(|known| known == column);
    let places: Vec<_> = columns.iter().map(place).collect();
    let cells = |row: &Vec<Option<String>>| {
        places.iter().map(|place| place.and_then(|place| row[place].clone())).collect()
    };
    let rows = listing.table.rows.iter().map(cells).collect();
    let is_kept = |counter: &&RunningTotal| declaration.metrics.contains(&counter.metric);
    let is_same = |name: &str| {
        declaration.metrics.iter().any(|metric| metric.name == name && earlier.metrics.contains(metric))
    };
    Some(Listing {
        table: Table { columns, rows },
        gauges: listing.gauges.iter().filter(|family| is_same(&family.name)).cloned().collect(),
        counters: listing.counters.iter().filter(is_kept).cloned().collect(),
        is_partial: listing.is_partial,
        left_out: listing.left_out,
    })
}

/// Reads the answer to [`Declaration::command`].
pub(super) fn read(
    declaration: &Declaration,
    answers: &[Answer],
    previous: Option<&Listing>,
    context: &ReadContext,
) -> Result<Listing, Error> {
    let reply = first(answers)?;
    let (rows, left_out) = limits::usable(&reply.rows);
    let is_complete = reply.partial().is_none() && left_out == 0;
    let columns = declaration.column_names();
    let shown = |value: &[u8]| value::short_text(value, limits::CELL, context.codepage);
    let cells = |row: &SentenceRef| columns.iter().map(|column| row.get(column).map(shown)).collect();
    let before = previous.cloned().unwrap_or_default();
    let mut listing = Listing {
        table: Table { rows: rows.iter().map(cells).collect(), columns },
        is_partial: !is_complete,
        left_out,
        ..Listing::default()
    };
    for metric in &declaration.metrics {
        let help = declaration.help(metric).into();
        if let Measure::Counter(column) = &metric.measure {
            let known = before.counters.iter().find(|counter| counter.metric == *metric).cloned();
            let mut counter = known.unwrap_or_else(|| RunningTotal::new(metric.clone()));
            counter.total.help = help;
            counter.count(column, &rows, is_complete, context);
            listing.counters.push(counter);
        } else if is_complete {
            // A sum over an incomplete answer looks like one over all rows, so gauges are not updated then.
            let known = before.gauges.iter().find(|family| family.name == metric.name).cloned();
            let mut gauge = known.unwrap_or_else(|| Family::gauge(metric.name.clone(), ""));
            gauge.help = help;
            measure(&mut gauge, metric, &rows, context);
            listing.gauges.push(gauge);
        }
    }
    if !is_complete {
        listing.gauges = before.gauges;
    }
    Ok(listing)
}

/// Measures these rows. Labels that only an earlier answer had are 0.
fn measure(gauge: &mut Family, metric: &Metric, rows: &[SentenceRef], context: &ReadContext) {
    gauge.next_round();
    for &row in rows {
        let value = metric.measure.column().map_or(Some(1.0), |column| number_of(row, column));
        let labels = metric.labels_of(row, context);
        match value {
            Some(value) => gauge.add(labels, value),
            // The row exists but has no value: the series is left out rather than 0.
            None => gauge.remove_stale(labels),
        }
    }
    if metric.measure == Measure::Rows && metric.labels.is_empty() {
        gauge.add([("", ""); 0], 0.0);
    }
}
