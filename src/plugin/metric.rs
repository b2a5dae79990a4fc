//! Metric families, in Prometheus's terms: a name, a help text, and one series per set of labels.
//!
//! Names, help texts and labels may be known only at run time, as those of a declared plugin. `/metrics` adds the label
//! `site` to all series.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::limits;
use crate::memory::ALLOCATION;

/// Longest value of a label, in characters. A label is sent with each scrape and stored with each series; servers, sensors
/// and boards have names a third as long.
const MAX_LABEL_VALUE: usize = 64;

/// Maximum number of series of one family at one site: one for each row that a declared plugin accepts. A family that
/// would have more is incomplete and is omitted. Stale series are evicted first, the oldest before others.
const MAX_SERIES: usize = limits::DECLARED.rows;

/// The metrics of the agent itself that have the label `site`. A declared plugin can't use their names.
pub const RESERVED: [&str; 28] = [
    "mikrotik_api_commands_total",
    "mikrotik_api_logins_total",
    "mikrotik_api_received_bytes_total",
    "mikrotik_api_sent_bytes_total",
    "mikrotik_health_fan_speed_rpm",
    "mikrotik_health_state",
    "mikrotik_health_temperature_celsius",
    "mikrotik_health_voltage_volts",
    "mikrotik_hotspot_active_users",
    "mikrotik_hotspot_configured_users",
    "mikrotik_hotspot_download_bytes_total",
    "mikrotik_hotspot_kicks_total",
    "mikrotik_hotspot_logins_total",
    "mikrotik_hotspot_logouts_total",
    "mikrotik_hotspot_pool_used_ratio",
    "mikrotik_hotspot_upload_bytes_total",
    "mikrotik_last_success_timestamp_seconds",
    "mikrotik_license_users_used_ratio",
    "mikrotik_plugin_duration_seconds",
    "mikrotik_plugin_partial",
    "mikrotik_plugin_success",
    "mikrotik_system_clock_error_seconds",
    "mikrotik_system_cpu_load_ratio",
    "mikrotik_system_info",
    "mikrotik_system_memory_free_bytes",
    "mikrotik_system_memory_total_bytes",
    "mikrotik_system_uptime_seconds",
    "mikrotik_up",
];

/// Whether metrics of this name belong to the agent, now or in a later version.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("phsweb_agent_") || name.starts_with("process_")
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up and down, and is valid only while the router answers.
    Gauge,
    /// Only goes up, and stays valid while the router does not answer.
    Counter,
}

/// The names of a series' labels, each with its value.
pub type Labels = Vec<(Cow<'static, str>, String)>;

/// A metric, with all of its series at one site.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name, which ends with the unit, and for a counter with `_total`.
    pub name: Cow<'static, str>,
    /// The description, for people who build dashboards.
    pub help: Cow<'static, str>,
    /// The type.
    pub kind: MetricKind,
    series: BTreeMap<Labels, Series>,
    /// The number of answers before this one.
    round: u64,
    /// Whether a current series was left out because of [`MAX_SERIES`].
    is_incomplete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Series {
    value: f64,
    /// The last round that had these labels. Those of earlier rounds are stale.
    round: u64,
}

impl Family {
    /// A gauge without series.
    pub fn gauge(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind: MetricKind::Gauge,
            series: BTreeMap::new(),
            round: 0,
            is_incomplete: false,
        }
    }

    /// A counter without series.
    pub fn counter(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: MetricKind::Counter, ..Self::gauge(name, help) }
    }

    /// The same with one series without labels, if its value is known.
    pub fn with_value(mut self, value: Option<f64>) -> Self {
        if let Some(value) = value {
            self.add([("", ""); 0], value);
        }
        self
    }

    /// Starts the next answer: a series is stale until the answer has its labels. A stale gauge is 0, a stale counter
    /// keeps its value.
    pub fn next_round(&mut self) {
        self.round += 1;
        self.is_incomplete = false;
        if self.kind == MetricKind::Gauge {
            self.series.values_mut().for_each(|series| series.value = 0.0);
        }
    }

    /// Removes the series of these labels if it is stale: its value is unknown now.
    pub fn remove_stale(&mut self, labels: Vec<(String, String)>) {
        let labels = to_labels(labels);
        if self.series.get(&labels).is_some_and(|series| series.round < self.round) {
            self.series.remove(&labels);
        }
    }

    /// Whether the current answer has more series than a family may have.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Adds to the series of these labels.
    pub fn add(
        &mut self,
        labels: impl IntoIterator<Item = (impl Into<Cow<'static, str>>, impl AsRef<str>)>,
        value: f64,
    ) {
        if let Some(known) = self.current(to_labels(labels)) {
            *known += value;
        }
    }

    /// Sets the value of the series of these labels, unless it has one: for values that can't be summed.
    pub fn set_once(
        &mut self,
        labels: impl IntoIterator<Item = (impl Into<Cow<'static, str>>, impl AsRef<str>)>,
        value: f64,
    ) {
        let labels = to_labels(labels);
        if !self.series.contains_key(&labels)
            && let Some(new) = self.current(labels)
        {
            *new = value;
        }
    }

    /// The value of the series of these labels, which is current from now on; `None` if there are too many series.
    fn current(&mut self, labels: Labels) -> Option<&mut f64> {
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&labels) {
            let stale = self.series.iter().filter(|(_, series)| series.round < self.round);
            let oldest = stale.min_by_key(|(_, series)| series.round).map(|(labels, _)| labels.clone());
            let Some(oldest) = oldest else {
                self.is_incomplete = true;
                return None;
            };
            self.series.remove(&oldest);
        }
        let series = self.series.entry(labels).or_insert(Series { value: 0.0, round: self.round });
        series.round = self.round;
        Some(&mut series.value)
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        let label =
            |(_, value): &(Cow<str>, String)| size_of::<(Cow<str>, String)>() + 2 * ALLOCATION + value.len();
        let series =
            |labels: &Labels| 2 * size_of::<Series>() + ALLOCATION + labels.iter().map(label).sum::<usize>();
        self.series.keys().map(series).sum()
    }

    /// Upper bound of the length of its series as text, in bytes.
    pub(super) fn text_length(&self) -> usize {
        /// `{site="…",} `, the line feed and a number of usual size.
        const OVERHEAD: usize = 80;
        /// The digits of the largest finite number.
        const MAX_DIGITS: usize = 310;
        // A label's characters may be escaped.
        let label = |(name, value): &(Cow<str>, String)| name.len() + 2 * value.len() + 4;
        let series = |(labels, series): (&Labels, &Series)| {
            let digits = if series.value.abs() < 1e18 { 0 } else { MAX_DIGITS };
            self.name.len() + OVERHEAD + digits + labels.iter().map(label).sum::<usize>()
        };
        self.series.iter().map(series).sum()
    }

    /// Drops its series for lack of memory. It is incomplete until the next round.
    pub(super) fn clear(&mut self) {
        self.is_incomplete |= !self.series.is_empty();
        self.series.clear();
    }

    /// The series in the order of their labels, each with its value.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, f64)> {
        self.series.iter().map(|(labels, series)| (labels, series.value))
    }
}

/// Labels with values that can be rendered.
fn to_labels(labels: impl IntoIterator<Item = (impl Into<Cow<'static, str>>, impl AsRef<str>)>) -> Labels {
    labels.into_iter().map(|(name, value)| (name.into(), label_value(value.as_ref()))).collect()
}

/// A label's value that every parser of the format accepts: some end a line at characters besides the line feed.
fn label_value(text: &str) -> String {
    let breaks = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{2028}' | '\u{2029}');
    let shown = |c| if breaks(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(MAX_LABEL_VALUE).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(family: &Family) -> Vec<(String, f64)> {
        let text = |labels: &Labels| {
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        family.series().map(|(labels, value)| (text(labels), value)).collect()
    }

    #[test]
    fn equal_labels_are_one_series() {
        let mut family = Family::counter("a_total", "");
        for (server, value) in [("b", 1.0), ("a", 2.0), ("b", 3.0)] {
            family.add([("server", server)], value);
        }
        assert_eq!(series(&family), [("server=a".to_string(), 2.0), ("server=b".to_string(), 4.0)]);
        let mut family = Family::gauge("a", "");
        for (sensor, value) in [("b", 1.0), ("a", 2.0), ("b", 3.0)] {
            family.set_once([("sensor", sensor)], value);
        }
        assert_eq!(series(&family), [("sensor=a".to_string(), 2.0), ("sensor=b".to_string(), 1.0)]);
        // Names that are known only at run time.
        let mut family = Family::gauge(format!("{}_b", "a"), "help".to_string());
        family.add([("x".to_string(), "1".to_string()), ("y".to_string(), String::new())], 5.0);
        assert_eq!(series(&family), [("x=1 y=".to_string(), 5.0)]);
        assert_eq!(series(&Family::gauge("a", "").with_value(Some(7.0))), [(String::new(), 7.0)]);
        assert_eq!(series(&Family::gauge("a", "").with_value(None)), []);
    }

    #[test]
    fn current_labels_evict_the_oldest_stale_ones() {
        let mut family = Family::counter("a_total", "");
        let third = MAX_SERIES / 3 + 1;
        for round in 0..5 {
            family.next_round();
            for n in 0..third {
                family.add([("name", format!("{round}-{n}"))], 1.0);
            }
            let of = |round: usize| {
                let prefix = format!("name={round}-");
                series(&family).iter().filter(|(labels, _)| labels.starts_with(&prefix)).count()
            };
            assert_eq!(of(round), third, "round {round}");
            if round > 0 {
                assert_eq!(of(round - 1), third, "round {round}");
            }
            assert!(family.series().count() <= MAX_SERIES && !family.is_incomplete());
        }
    }

    #[test]
    fn a_stale_gauge_is_zero_and_a_stale_counter_keeps_its_value() {
        for (mut family, stale) in [(Family::gauge("a", ""), 0.0), (Family::counter("a", ""), 7.0)] {
            family.add([("x", "1")], 7.0);
            family.next_round();
            assert_eq!(series(&family), [("x=1".to_string(), stale)]);
            family.remove_stale(vec![("x".into(), "1".into())]);
            assert_eq!(series(&family), []);
            family.add([("x", "1")], 3.0);
            family.remove_stale(vec![("x".into(), "1".into())]);
            assert_eq!(series(&family), [("x=1".to_string(), 3.0)]);
        }
    }

    #[test]
    fn series_and_label_values_are_limited() {
        let mut family = Family::gauge("a", "");
        for n in 0..2 * MAX_SERIES {
            family.add([("sensor", n.to_string())], 1.0);
        }
        family.add([("sensor", "0")], 1.0);
        assert_eq!(family.series().count(), MAX_SERIES);
        assert!(family.is_incomplete());
        assert_eq!(series(&family)[0], ("sensor=0".to_string(), 2.0), "existing series still count");
        let long = "é".repeat(MAX_LABEL_VALUE);
        for (text, value) in [
            (format!("{long}é"), &*long),
            ("a \"b\" \\c\nd".into(), "a \"b\" \\c\nd"),
            ("a\r\u{0}\u{85}\u{2028}b".into(), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
        ] {
            assert_eq!(label_value(&text), value);
        }
    }
}
