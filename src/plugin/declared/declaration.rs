//! The declaration of a plugin in `sites.ron`: a menu, its columns, and how to measure it.

use std::time::Duration;

use crate::plugin::context::ReadContext;
use crate::plugin::limits;
use crate::plugin::property::Property;
use crate::routeros::client::Command;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;

/// The declaration of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    /// The name in `collect`, in paths and in `/metrics`.
    pub name: String,
    /// The heading on the page.
    pub title: String,
    /// The menu, such as `/ip/dhcp-server/lease`.
    pub menu: String,
    /// Query words, without their question marks.
    pub query: Vec<String>,
    /// The properties that are shown, in this order.
    pub columns: Vec<Property>,
    /// The interval between reads; `None`: at each of the site's refreshes.
    pub every: Option<Duration>,
    /// Whether the rows are for the admin only.
    pub private: bool,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// A metric of a declared plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The name in `/metrics`.
    pub name: String,
    /// How its value is computed.
    pub measure: Measure,
    /// Properties whose values are the labels.
    pub labels: Vec<String>,
}

/// How a metric's value is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// The number of rows.
    Rows,
    /// The sum of a property.
    Gauge(String),
    /// The increase of a property since the first read.
    Counter(String),
}

impl Measure {
    /// The property that is measured.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Gauge(column) | Self::Counter(column) => Some(column),
        }
    }
}

/// The name of a property's label: `mac_address` for `mac-address`.
pub fn label_name(property: &str) -> String {
    property.replace(['-', '.'], "_")
}

impl Declaration {
    /// The names of the columns.
    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The properties to request. Metrics that count need the `.id`: without it a row with none of the other properties
    /// would be empty, and rows could not be recognized in the next answer.
    fn properties(&self) -> Vec<&str> {
        let counts = |metric: &Metric| !matches!(metric.measure, Measure::Gauge(_));
        let id = self.metrics.iter().any(counts).then_some(".id");
        let measured = self
            .metrics
            .iter()
            .flat_map(|metric| metric.labels.iter().map(String::as_str).chain(metric.measure.column()));
        let mut properties: Vec<&str> = Vec::new();
        for property in self.columns.iter().map(|column| column.name.as_str()).chain(measured).chain(id) {
            if !properties.contains(&property) {
                properties.push(property);
            }
        }
        properties
    }

    /// The command that asks for the rows.
    pub(in crate::plugin) fn command(&self) -> Command {
        let print = Command::new(&format!("{}/print", self.menu)).proplist(&self.properties().join(","));
        let query = |command: Command, word: &String| command.query(&format!("?{word}"));
        self.query.iter().fold(print, query).at_most(limits::DECLARED)
    }

    /// A description of a metric, in one line.
    pub(super) fn help(&self, metric: &Metric) -> String {
        // All viewers may read it, and a query may contain a user's name.
        let query = if self.private { String::new() } else { self.query.join(", ") };
        let only = if query.is_empty() { query } else { format!(" where {query}") };
        let of = format!("{}{only}", self.menu);
        let help = match &metric.measure {
            Measure::Rows => format!("Rows of {of}."),
            Measure::Gauge(column) => format!("Sum of {column} of the rows of {of}."),
            Measure::Counter(column) => {
                format!("Increase of {column} of the rows of {of} since the agent's first read.")
            }
        };
        let line = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        help.chars().map(line).collect()
    }
}

impl Metric {
    /// The labels of the series that a row belongs to.
    pub(super) fn labels_of(&self, row: SentenceRef, context: &ReadContext) -> Vec<(String, String)> {
        let value = |property: &str| row.get(property).map(|value| value::text(value, context.codepage));
        let label =
            |property: &String| (label_name(property), value(property).unwrap_or_default().into_owned());
        self.labels.iter().map(label).collect()
    }
}

/// A property as a number: a number, a duration in seconds, or a boolean as 1 or 0.
pub(super) fn number_of(row: SentenceRef, property: &str) -> Option<f64> {
    let value = row.get(property)?;
    let duration = || value::duration(value).map(|duration| duration.as_secs_f64());
    let boolean = || value::boolean(value).map(|is_true| f64::from(u8::from(is_true)));
    value::decimal(value).or_else(duration).or_else(boolean)
}
