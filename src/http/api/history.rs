//! `/api/sites/{site}/history`: figures over time, as JSON or CSV.

use std::fmt::Write;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::clock;
use crate::history::{Figure, HistoryRange, Mark, Series, Slot};
use crate::http::context::Context;
use crate::http::message::{HeaderField, Response, json, problem};

/// The shortest range: with less, a chart would have too few points.
const SHORTEST: Duration = Duration::from_secs(3600);

/// The longest range: that of the days.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// A media type that the response may have.
const CSV: &str = "text/csv";

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
    let is_csv = is_csv(context)?;
    let history = context.services.history.range(key, range, context.now).ok_or_else(no_history)?;
    let response = if is_csv { csv(key, &series, &history) } else { json(&history_json(&series, &history)) };
    Ok(response.with("Vary", "Accept"))
}

/// The range of the request.
pub(super) fn range(context: &Context, default: Duration) -> Result<Duration, Response> {
    let Some(text) = context.request.parameter("range") else { return Ok(default) };
    let range = humantime::parse_duration(&text).ok().filter(|range| (SHORTEST..=LONGEST).contains(range));
    range.ok_or_else(|| malformed("range", "a duration from 1h to 400days, such as 24h", &text))
}

/// The error for a site without history.
pub(super) fn no_history() -> Response {
    let detail =
        "The agent has no memory for the history of this site. Raise history.memory in the configuration.";
    problem(503, "Service Unavailable", detail)
}

fn series(context: &Context) -> Result<Vec<Series>, Response> {
    let Some(text) = context.request.parameter("series") else { return Ok(Series::ALL.to_vec()) };
    let named: Option<Vec<Series>> = text.split(',').map(|name| Series::from_name(name.trim())).collect();
    // Each once, so that a request can't multiply the response.
    let all = Series::ALL.into_iter();
    named.map(|named| all.filter(|series| named.contains(series)).collect()).ok_or_else(|| {
        let known = Series::ALL.map(Series::name).join(", ");
        malformed("series", &format!("names from {known}, separated by commas"), &text)
    })
}

fn is_csv(context: &Context) -> Result<bool, Response> {
    match context.request.parameter("format").as_deref() {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(text) => Err(malformed("format", "csv or json", text)),
        None => {
            let accepted = context.request.field(HeaderField::Accept).unwrap_or_default().split(',');
            let mut kinds = accepted.filter_map(|range| range.split(';').next());
            Ok(kinds.any(|kind| kind.trim().eq_ignore_ascii_case(CSV)))
        }
    }
}

fn malformed(parameter: &str, expected: &str, found: &str) -> Response {
    let found: String = found.chars().take(100).collect();
    problem(400, "Bad Request", &format!("{parameter}: expected {expected}; found {found:?}."))
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

/// One line for each slot (RFC 4180). Unknown values are empty.
fn csv(key: &str, series: &[Series], history: &HistoryRange) -> Response {
    let columns = |series: Series| VALUES.iter().take(if series.is_sum() { 1 } else { VALUES.len() });
    let mut text = String::from("time");
    for series in series {
        for (value, _) in columns(*series) {
            let name = series.name();
            let _ = if series.is_sum() { write!(text, ",{name}") } else { write!(text, ",{name}_{value}") };
        }
    }
    let step = u32::try_from(history.resolution.step().as_secs()).unwrap_or(u32::MAX);
    for (slot, at) in history.slots.iter().zip(0..) {
        let _ = write!(text, "\r\n{}", date(history.from_s.saturating_add(step.saturating_mul(at))));
        for series in series {
            let figure = slot.figure(*series);
            for (_, value) in columns(*series) {
                text.push(',');
                if let Some(figure) = &figure {
                    let _ = write!(text, "{}", rounded(value(figure)));
                }
            }
        }
    }
    text.push_str("\r\n");
    Response::new(200, "text/csv; charset=utf-8; header=present", text)
        .with("Content-Disposition", format!("attachment; filename=\"{key}-history.csv\""))
}

fn date(unix_s: u32) -> String {
    clock::rfc3339(Duration::from_secs(unix_s.into()))
}

/// Without digits that only rounding has caused.
fn rounded(value: f64) -> f64 {
    (value * 100_000.0).round() / 100_000.0
}
