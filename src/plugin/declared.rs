//! A plugin that the file declares: any menu, shown and measured with no code.

mod counter;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Answer, Context, Data, Family, Plugin, Table, first, lengths};
use crate::memory::{self, ALLOCATION};
use crate::routeros::client::{Command, Limit};
use crate::routeros::error::Error;
use crate::routeros::value;
use crate::routeros::wire::Sentence;
use counter::Counter;

/// Most that is taken of a menu. Who declares one may not know how large it is somewhere (a table of
/// connections has 50,000 rows), and it is held in memory, and in JSON while it is asked for. So many rows
/// of a few columns each take half of the bytes.
pub const LIMIT: Limit = Limit { rows: 2048, bytes: 1024 * 1024 };

/// What the file says of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    /// The name in `collect`, in paths and in `/metrics`.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// The menu, such as `/ip/dhcp-server/lease`.
    pub menu: String,
    /// Words that say which rows, without their question marks.
    pub query: Vec<String>,
    /// The properties that are shown, in their order.
    pub columns: Vec<String>,
    /// How often it is asked for; `None`: at each refresh.
    pub every: Option<Duration>,
    /// Whether the rows are for the admin only.
    pub private: bool,
    /// How it is measured.
    pub metrics: Vec<Metric>,
}

/// A metric of a declared plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in `/metrics`.
    pub name: String,
    /// What its value is.
    pub measure: Measure,
    /// Properties whose values tell its series apart.
    pub labels: Vec<String>,
}

/// What a metric's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// How many rows there are.
    Rows,
    /// The sum of a property.
    Gauge(String),
    /// By how much a property has grown since the first read.
    Counter(String),
}

impl Measure {
    /// The property that is measured.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Gauge(column) | Self::Counter(column) => Some(column),
        }
    }
}

/// The name of the label that a property gives: `mac-address` is `mac_address`.
#[must_use]
pub fn label_name(property: &str) -> String {
    property.replace(['-', '.'], "_")
}

impl Declaration {
    /// The properties to ask for. What counts rows needs their `.id`: without it a row that has none of
    /// the others would be nothing, and no row would be known again.
    fn properties(&self) -> Vec<&str> {
        let counts = |metric: &Metric| !matches!(metric.measure, Measure::Gauge(_));
        let id = self.metrics.iter().any(counts).then_some(".id");
        let measured = self
            .metrics
            .iter()
            .flat_map(|metric| metric.labels.iter().map(String::as_str).chain(metric.measure.column()));
        let mut properties: Vec<&str> = Vec::new();
        for property in self.columns.iter().map(String::as_str).chain(measured).chain(id) {
            if !properties.contains(&property) {
                properties.push(property);
            }
        }
        properties
    }

    /// What a metric says, in one line.
    fn help(&self, metric: &Metric) -> String {
        // All viewers read it, and a query may name somebody.
        let query = if self.private { String::new() } else { self.query.join(", ") };
        let only = if query.is_empty() { query } else { format!(" where {query}") };
        let of = format!("{}{only}", self.menu);
        let said = match &metric.measure {
            Measure::Rows => format!("Rows of {of}."),
            Measure::Gauge(column) => format!("Sum of {column} of the rows of {of}."),
            Measure::Counter(column) => {
                format!("Increase of {column} of the rows of {of} since the agent's first read.")
            }
        };
        let line = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        said.chars().map(line).collect()
    }

    /// A gauge of these rows, with the labels that it had `before` at 0.
    fn gauge(
        &self,
        metric: &Metric,
        rows: &[&Sentence],
        context: &Context,
        before: Option<&Family>,
    ) -> Family {
        let new = || Family::gauge(metric.name.clone(), self.help(metric));
        let mut family = before.cloned().unwrap_or_else(new);
        family.help = self.help(metric).into();
        family.next_round();
        for row in rows {
            let value = match &metric.measure {
                Measure::Rows => Some(1.0),
                Measure::Gauge(column) | Measure::Counter(column) => number_of(row, column),
            };
            let labels = metric.labels_of(row, context);
            match value {
                Some(value) => family.add(labels, value),
                // The row is there, so 0 would be wrong.
                None => family.remove_stale(labels),
            }
        }
        if metric.measure == Measure::Rows && metric.labels.is_empty() {
            family.add([("", ""); 0], 0.0);
        }
        family
    }
}

impl Metric {
    /// The labels of the series that a row belongs to.
    fn labels_of(&self, row: &Sentence, context: &Context) -> Vec<(String, String)> {
        let value = |property: &str| row.get(property).map(|value| value::text(value, context.codepage));
        let label =
            |property: &String| (label_name(property), value(property).unwrap_or_default().into_owned());
        self.labels.iter().map(label).collect()
    }
}

/// A property as a figure: a number, a duration in seconds, or a truth as 1 or 0.
fn number_of(row: &Sentence, property: &str) -> Option<f64> {
    let value = row.get(property)?;
    let duration = || value::duration(value).map(|duration| duration.as_secs_f64());
    let truth = || value::boolean(value).map(|is_so| f64::from(u8::from(is_so)));
    value::decimal(value).or_else(duration).or_else(truth)
}

/// What a declared plugin has read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The rows under the declared columns.
    pub table: Table,
    /// Those of the last complete answer.
    gauges: Vec<Family>,
    counters: Vec<Counter>,
    /// Whether the gauges are out of date because the last answer is incomplete.
    is_partial: bool,
    /// Rows of the last answer that were left out because of their `.id`.
    pub(super) left_out: usize,
}

impl Listing {
    /// Its metrics.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let gauges = if self.is_partial { &[] } else { self.gauges.as_slice() };
        gauges.iter().chain(self.counters.iter().map(|counter| &counter.total)).cloned().collect()
    }

    /// How long its series are in `/metrics` at most, in bytes.
    pub(super) fn series_length(&self) -> usize {
        let counters = self.counters.iter().map(|counter| &counter.total);
        self.gauges.iter().chain(counters).map(Family::text_length).sum()
    }

    /// Bytes of memory that its series take.
    fn measured(&self) -> usize {
        let gauges = self.gauges.iter().map(Family::cost);
        gauges.chain(self.counters.iter().map(Counter::cost)).sum()
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.table.rows.iter().map(|row| row_cost(row)).sum::<usize>() + self.measured()
    }

    /// The first of it, up to so many bytes. Metrics go where they take more than half of those.
    pub(super) fn cut(&self, most: usize) -> Self {
        let mut cut =
            Self { table: Table { columns: self.table.columns.clone(), rows: Vec::new() }, ..self.clone() };
        if cut.measured() > most / 2 {
            cut.gauges.iter_mut().for_each(Family::clear);
            cut.counters.iter_mut().for_each(Counter::clear);
        }
        let room = most.saturating_sub(cut.measured());
        cut.table.rows = memory::first(&self.table.rows, |row| row_cost(row), room).to_vec();
        cut
    }
}

fn row_cost(row: &[Option<String>]) -> usize {
    let text = |cell: &Option<String>| cell.as_ref().map_or(0, |text| ALLOCATION + text.len());
    let cells = row.iter().map(|cell| size_of::<Option<String>>() + text(cell));
    size_of::<Vec<Option<String>>>() + ALLOCATION + cells.sum::<usize>()
}

/// A plugin as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared(Declaration);

impl Declared {
    /// The plugin of a declaration that has been checked.
    #[must_use]
    pub fn new(declaration: Declaration) -> Self {
        Self(declaration)
    }
}

impl Plugin for Declared {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn title(&self) -> &str {
        &self.0.title
    }

    fn private(&self) -> bool {
        self.0.private
    }

    fn every(&self) -> Option<Duration> {
        self.0.every
    }

    fn declaration(&self) -> Option<&Declaration> {
        Some(&self.0)
    }

    /// The same rows, seen in another way; what is not known of them is not there until they are read again.
    fn inherit(&self, read: &Data, declared: &Declaration) -> Option<Data> {
        let Data::Listing(listing) = read else { return None };
        let Self(declaration) = self;
        if (&declaration.menu, &declaration.query) != (&declared.menu, &declared.query) {
            return None;
        }
        let place = |column: &String| listing.table.columns.iter().position(|known| known == column);
        let places: Vec<_> = declaration.columns.iter().map(place).collect();
        let cells = |row: &Vec<Option<String>>| {
            places.iter().map(|place| place.and_then(|place| row[place].clone())).collect()
        };
        let rows = listing.table.rows.iter().map(cells).collect();
        let is_kept = |counter: &&Counter| declaration.metrics.contains(&counter.metric);
        let is_same = |name: &str| {
            declaration.metrics.iter().any(|metric| metric.name == name && declared.metrics.contains(metric))
        };
        Some(Data::Listing(Listing {
            table: Table { columns: declaration.columns.clone(), rows },
            gauges: listing.gauges.iter().filter(|family| is_same(&family.name)).cloned().collect(),
            counters: listing.counters.iter().filter(is_kept).cloned().collect(),
            is_partial: listing.is_partial,
            left_out: listing.left_out,
        }))
    }

    fn commands(&self) -> Vec<Command> {
        let print = Command::new(&format!("{}/print", self.0.menu)).proplist(&self.0.properties());
        let query = |command: Command, word: &String| command.query(&format!("?{word}"));
        vec![self.0.query.iter().fold(print, query).at_most(LIMIT)]
    }

    fn read(&self, answers: &[Answer], context: &Context) -> Result<Data, Error> {
        let Self(declaration) = self;
        let reply = first(answers)?;
        let left_out = reply.rows.iter().filter(|row| !lengths::has_usable_id(row)).count();
        let is_whole = reply.partial().is_none() && left_out == 0;
        // RouterOS sends a bare `!re` now and then: a row of nothing.
        let rows: Vec<&Sentence> = reply
            .rows
            .iter()
            .filter(|row| row.attributes().next().is_some() && lengths::has_usable_id(row))
            .collect();
        let shown = |value: &[u8]| value::short_text(value, lengths::CELL, context.codepage);
        let cells =
            |row: &&Sentence| declaration.columns.iter().map(|column| row.get(column).map(shown)).collect();
        let before = match context.previous {
            Some(Data::Listing(listing)) => listing.clone(),
            _ => Listing::default(),
        };
        let mut listing = Listing {
            table: Table { columns: declaration.columns.clone(), rows: rows.iter().map(cells).collect() },
            is_partial: !is_whole,
            left_out,
            ..Listing::default()
        };
        for metric in &declaration.metrics {
            if let Measure::Counter(column) = &metric.measure {
                let known = before.counters.iter().find(|counter| counter.metric == *metric).cloned();
                let mut counter = known.unwrap_or_else(|| Counter::new(metric.clone()));
                counter.total.help = declaration.help(metric).into();
                counter.count(column, &rows, is_whole, context);
                listing.counters.push(counter);
            } else if is_whole {
                // The sum of a part would pass for that of the whole.
                let known = before.gauges.iter().find(|family| family.name == metric.name);
                listing.gauges.push(declaration.gauge(metric, &rows, context, known));
            }
        }
        if !is_whole {
            listing.gauges = before.gauges;
        }
        Ok(Data::Listing(listing))
    }
}
