//! `/api/sites/{site}/history`: figures over time, as JSON or CSV.

use std::iter;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::parameters;
use crate::clock;
use crate::history::{Figure, HistoryRange, Mark, Series, Slot};
use crate::http::context::Context;
use crate::http::csv::csv;
use crate::http::message::{Response, json, problem};

/// The shortest range: with less, a chart would have too few points.
const SHORTEST: Duration = Duration::from_secs(3600);

/// The longest range: that of the days.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

#[derive(Serialize)]
struct HistoryJson<'h> {
    /// Seconds from one value to the next.
    step: u64,
    /// The start of the first step. The last one contains the present.
    from: String,
    series: AllSeries<'h>,
    marks: Vec<MarkJson>,
    /// How far back each step can reach.
    reaches: Vec<ReachJson>,
}

/// For each of these series its values in each slot.
struct AllSeries<'h>(&'h [Series], &'h [Slot]);

/// Minimum, average and maximum of a series in each slot; null where unknown.
struct Columns<'h>(Series, &'h [Slot]);

/// One value of each slot.
struct Column<'h>(&'h Columns<'h>, Value);

#[derive(Serialize)]
struct MarkJson {
    at: String,
    what: &'static str,
    /// When it ended; null if it has not ended, or has no duration.
    until: Option<String>,
}

#[derive(Serialize)]
struct ReachJson {
    step: u64,
    seconds: u64,
}

/// One of the values of a slot.
type Value = fn(&Figure) -> f64;

/// The names of the values, in the order of their columns.
const VALUES: [(&str, Value); 3] =
    [("avg", |figure| figure.avg), ("min", |figure| figure.min), ("max", |figure| figure.max)];

impl Serialize for AllSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|series| (series.name(), Columns(*series, self.1))))
    }
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(VALUES.len()))?;
        for (name, value) in VALUES {
            map.serialize_entry(name, &Column(self, value))?;
        }
        map.end()
    }
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Columns(series, slots), value) = self;
        serializer
            .collect_seq(slots.iter().map(|slot| slot.figure(*series).map(|figure| rounded(value(&figure)))))
    }
}

/// The figures of a site in a range up to now.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let key = &context.site()?.key;
    let series = series(context)?;
    let range = range(context, Duration::from_secs(86_400))?;
    parameters::check_format(context)?;
    let history = context.services.history.range(key, range, context.now).ok_or_else(no_history)?;
    if context.wants_csv() {
        return Ok(table(&series, &history, context.max_response()));
    }
    Ok(json(&history_json(&series, &history)))
}

/// The range of the request.
pub(super) fn range(context: &Context, default: Duration) -> Result<Duration, Response> {
    let parse = |text: &str| {
        humantime::parse_duration(text).ok().filter(|range| (SHORTEST..=LONGEST).contains(range))
    };
    let range = parameters::value(context, "range", "a duration from 1h to 400days, such as 24h", parse)?;
    Ok(range.unwrap_or(default))
}

/// The error for a site without history.
pub(super) fn no_history() -> Response {
    let detail =
        "The agent has no memory for the history of this site. Raise history.memory in the configuration.";
    problem(503, detail)
}

fn series(context: &Context) -> Result<Vec<Series>, Response> {
    let expected = format!("names from {}, separated by commas", Series::ALL.map(Series::name).join(", "));
    let named = parameters::value(context, "series", &expected, |text| {
        text.split(',').map(|name| Series::from_name(name.trim())).collect::<Option<Vec<_>>>()
    })?;
    // Each once, so that a request can't multiply the response.
    let is_named = |series: &Series| named.as_ref().is_none_or(|named| named.contains(series));
    Ok(Series::ALL.into_iter().filter(is_named).collect())
}

fn history_json<'h>(series: &'h [Series], history: &'h HistoryRange) -> HistoryJson<'h> {
    let mark =
        |mark: &Mark| MarkJson { at: date(mark.at_s), what: mark.kind.name(), until: mark.until_s.map(date) };
    let reaches = history.reaches.iter();
    HistoryJson {
        step: history.resolution.step().as_secs(),
        from: date(history.from_s),
        series: AllSeries(series, &history.slots),
        marks: history.marks.iter().map(mark).collect(),
        reaches: reaches
            .map(|(resolution, reach)| ReachJson {
                step: resolution.step().as_secs(),
                seconds: reach.as_secs(),
            })
            .collect(),
    }
}

/// One line for each slot.
fn table(series: &[Series], history: &HistoryRange, most: usize) -> Response {
    // A sum has a single value.
    let columns = series.iter().flat_map(|&series| {
        VALUES.iter().take(if series.is_sum() { 1 } else { VALUES.len() }).map(move |&(name, value)| {
            (
                if series.is_sum() { series.name().into() } else { format!("{}_{name}", series.name()) },
                series,
                value,
            )
        })
    });
    let columns: Vec<(String, Series, Value)> = columns.collect();
    let names: Vec<&str> =
        ["time"].into_iter().chain(columns.iter().map(|(name, ..)| name.as_str())).collect();
    let step = u32::try_from(history.resolution.step().as_secs()).unwrap_or(u32::MAX);
    let rows = history.slots.iter().zip(0..).map(|(slot, at)| {
        let time = date(history.from_s.saturating_add(step.saturating_mul(at)));
        let figures = columns
            .iter()
            .map(|(_, series, value)| slot.figure(*series).map(|figure| rounded(value(&figure))));
        iter::once(time.into()).chain(figures.map(serde_json::Value::from))
    });
    csv(&names, rows, most)
}

fn date(unix_s: u32) -> String {
    clock::rfc3339(Duration::from_secs(unix_s.into()))
}

/// Without digits that only rounding has caused.
fn rounded(value: f64) -> f64 {
    (value * 100_000.0).round() / 100_000.0
}
