//! A chart with axes: a band from the minimum to the maximum, a line of averages, outages and marks.

use askama::Template;

use super::curve::Curve;
use super::local_time::UtcOffset;
use super::path::{band, line};
use super::value_scale::{ChartUnit, ValueScale};
use crate::history::{Figure, Mark, MarkKind};

/// Maximum number of intervals that are drawn: about one in three pixels of a wide page.
const INTERVALS: usize = 220;

/// Maximum number of names at the time axis, for which a phone has room.
const TIME_TICKS: i64 = 8;

/// A time name needs this share of the width, in percent, on each side.
const TIME_MARGIN: f64 = 3.0;

/// The height of the axis in pixels, and that of shares, of which details matter less.
const HEIGHT: u16 = 160;
const LOW_HEIGHT: u16 = 80;

/// Least distance of the symbols of two events, in percent of the width.
const EVENT_SPACE: f64 = 2.0;

/// Narrowest outage, in percent of the width, which is still visible.
const MIN_OUTAGE: f64 = 0.4;

/// A chart of curves that have the same range and unit.
#[derive(Template)]
#[template(path = "chart/plot.html")]
pub(in crate::http::page) struct Plot {
    /// Identifies the chart on the page.
    id: &'static str,
    title: &'static str,
    /// For each curve its name, and its latest value and peak.
    summaries: Vec<(&'static str, String)>,
    unit: &'static str,
    height: u16,
    /// The number of intervals.
    intervals: usize,
    value_ticks: Vec<(i32, String)>,
    /// Names with their position in percent of the width.
    time_ticks: Vec<(String, String)>,
    outages: Vec<Shape>,
    events: Vec<Shape>,
    curves: Vec<Drawn>,
    from: i64,
    step: i64,
    offset: i64,
}

/// A mark in the chart, in percent of the width.
struct Shape {
    x: String,
    width: String,
    symbol: &'static str,
    title: String,
}

struct Drawn {
    name: &'static str,
    band: String,
    line: String,
    /// The values of each interval, separated by commas: the average, and if they differ the minimum and maximum.
    values: String,
}

impl Plot {
    /// The chart of curves of one range; none if nothing is known of them. Each curve has a name, which is its class in
    /// the style, and empty if it is the only one.
    pub(in crate::http::page) fn new(
        (id, title): (&'static str, &'static str),
        unit: ChartUnit,
        series: &[(&'static str, &Curve)],
        marks: &[Mark],
        offset: UtcOffset,
    ) -> Option<Self> {
        let curves = series.iter().map(|(_, curve)| curve.within(INTERVALS, -offset.0));
        let curves: Vec<Curve> = curves.collect();
        let highest = curves.iter().filter_map(|curve| Some(curve.peak()?.1.max)).reduce(f64::max)?;
        let scale = ValueScale::new(unit, highest);
        let height = if unit == ChartUnit::Percent { LOW_HEIGHT } else { HEIGHT };
        let first = curves.first()?;
        let (from, until) = (first.from, first.until());
        let percent = |at: i64| 100.0 * (at.clamp(from, until) - from) as f64 / (until - from) as f64;
        let time_ticks =
            offset.ticks(from, until, TIME_TICKS).into_iter().map(|(at, name)| (percent(at), name));
        let is_inside = |x: f64| (TIME_MARGIN..=100.0 - TIME_MARGIN).contains(&x);
        let shape = |mark: &Mark| {
            let (x, end) = (percent(mark.at_s.into()), percent(mark.until_s.map_or(until, i64::from)));
            Shape {
                x: short(x),
                width: short((end - x).max(MIN_OUTAGE)),
                symbol: symbol(mark.kind),
                title: mark_text(mark, offset),
            }
        };
        let ends = |mark: &Mark| match mark.kind {
            MarkKind::Offline => mark.until_s.map_or(until, i64::from),
            _ => mark.at_s.into(),
        };
        let is_shown = |mark: &&Mark| i64::from(mark.at_s) < until && ends(mark) > from;
        let (outages, events): (Vec<&Mark>, Vec<_>) =
            marks.iter().filter(is_shown).partition(|mark| mark.kind == MarkKind::Offline);
        let mut last = -EVENT_SPACE;
        let mut is_apart = |x: f64| {
            let is_apart = x - last >= EVENT_SPACE;
            last = if is_apart { x } else { last };
            is_apart
        };
        Some(Self {
            id,
            title,
            summaries: series
                .iter()
                .filter_map(|(name, curve)| Some((*name, summary(curve, scale, offset)?)))
                .collect(),
            unit: scale.unit,
            height,
            intervals: first.slots.len(),
            value_ticks: scale.ticks(height),
            time_ticks: time_ticks.filter(|(x, _)| is_inside(*x)).map(|(x, name)| (short(x), name)).collect(),
            outages: outages.into_iter().map(shape).collect(),
            events: events
                .into_iter()
                .filter(|mark| is_apart(percent(mark.at_s.into())))
                .map(shape)
                .collect(),
            curves: series
                .iter()
                .zip(&curves)
                .map(|((name, _), curve)| draw(name, curve, scale, height))
                .collect(),
            from,
            step: first.step,
            offset: offset.0,
        })
    }
}

/// With one decimal, if it has any.
fn short(percent: f64) -> String {
    format!("{percent:.1}").trim_end_matches(".0").into()
}

fn draw(name: &'static str, curve: &Curve, scale: ValueScale, height: u16) -> Drawn {
    let heights = |value: fn(Figure) -> f64| {
        curve.slots.iter().map(move |slot| slot.map(|slot| scale.y(value(slot), height)))
    };
    let values: Vec<String> =
        curve.slots.iter().map(|slot| slot.map(|slot| values(slot, scale)).unwrap_or_default()).collect();
    Drawn {
        name,
        band: band(heights(|slot| slot.max), heights(|slot| slot.min)),
        line: line(heights(|slot| slot.avg)),
        values: values.join(","),
    }
}

fn values(slot: Figure, scale: ValueScale) -> String {
    let [min, avg, max] = [slot.min, slot.avg, slot.max].map(|value| scale.text(value));
    if min == max { avg } else { format!("{avg} {min} {max}") }
}

/// The latest value and the peak: `latest 38, peak 47 at 20:10`.
fn summary(curve: &Curve, scale: ValueScale, offset: UtcOffset) -> Option<String> {
    let (at, peak) = curve.peak()?;
    let latest = curve.slots.iter().rev().take(2).flatten().next();
    let latest = latest.map(|slot| format!("latest {}, ", scale.text(slot.avg))).unwrap_or_default();
    let range = curve.until() - curve.from;
    let at = match curve.step {
        86_400.. => format!("on {}", offset.day_and_month(at)),
        _ if range > 86_400 + curve.step => format!("at {}", offset.moment(at, curve.step)),
        _ => format!("at {}", offset.time(at)),
    };
    Some(format!("{latest}peak {} {at}", scale.text(peak.max)))
}

fn title(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Offline => "Offline",
        MarkKind::Reboot => "Router rebooted",
        MarkKind::HostChange => "Changed to another host",
        MarkKind::AgentStart => "Agent started",
    }
}

/// A symbol of one character, for events.
fn symbol(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Offline => "",
        MarkKind::Reboot => "↻",
        MarkKind::HostChange => "⇄",
        MarkKind::AgentStart => "▸",
    }
}

/// `Offline 28 Nov 03:10 to 04:05`, `Router rebooted 28 Nov 04:07`.
pub(super) fn mark_text(mark: &Mark, offset: UtcOffset) -> String {
    let (title, at) = (title(mark.kind), offset.moment(mark.at_s.into(), 1));
    match mark.until_s.map(i64::from) {
        Some(until) if offset.day(until) == offset.day(mark.at_s.into()) => {
            format!("{title} {at} to {}", offset.time(until))
        }
        Some(until) => format!("{title} {at} to {}", offset.moment(until, 1)),
        None if mark.kind == MarkKind::Offline => format!("{title} since {at}"),
        None => format!("{title} {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;

    /// 2026-11-29T03:00:00Z
    const FROM: i64 = 1_795_921_200;

    fn plot(values: &str, marks: &[Mark]) -> Option<String> {
        let curve = curve(FROM, 300, values);
        let plot =
            Plot::new(("users", "Users online"), ChartUnit::Users, &[("", &curve)], marks, UtcOffset(3600));
        plot.map(|plot| plot.to_string())
    }

    #[test]
    fn a_chart_names_its_latest_value_and_its_peak() {
        let svg = plot("30 47 - 38", &[]).unwrap();
        for part in [
            r#"<figcaption id="chart-users"><strong>Users online</strong> <small><span>latest 38, peak 47 at 04:05</span> </small>"#,
            r#"<svg role="img" tabindex="0" aria-labelledby="chart-users" height="196">"#,
            r#"data-from="1795921200" data-step="300" data-offset="3600" data-unit="users""#,
            r#"data-values="30,47,,38""#,
            r#"<path class="line" d="M0 80l1-45M3 59h0"/>"#,
            r#"<path class="band" d="M0 80l1-45V35l-1 45zM3 59V59z"/>"#,
            r#"<text x="-6" y="178" class="value">0</text>"#,
            r#"<text x="50%" y="192">04:10</text>"#,
        ] {
            assert!(svg.contains(part), "expected {part} in {svg}");
        }
        assert!(plot("38 - -", &[]).unwrap().contains("<span>peak 38"), "a gap is not the latest value");
        assert!(plot("- - -", &[]).is_none());
    }

    #[test]
    fn outages_and_events_are_marked_within_the_range() {
        let at = |minute: i64| u32::try_from(FROM + minute * 60).unwrap();
        let mark = |kind, minute, until: Option<i64>| Mark::restored(kind, at(minute), until.map(at));
        let marks = [
            mark(MarkKind::Offline, -60, Some(-30)),
            mark(MarkKind::Offline, -10, Some(5)),
            mark(MarkKind::Reboot, 5, None),
            mark(MarkKind::Offline, 15, None),
            mark(MarkKind::AgentStart, -10, None),
        ];
        let svg = plot("1 2 3 4", &marks).unwrap();
        let outage = |x: u8, width: u8| {
            format!(r#"<rect class="outage" x="{x}%" width="{width}%" y="14" height="160">"#)
        };
        for part in [
            format!("{}<title>Offline 29 Nov 03:50 to 04:05</title>", outage(0, 25)),
            format!("{}<title>Offline since 29 Nov 04:15</title>", outage(75, 25)),
            r#"<text class="event" x="25%" y="10">↻<title>Router rebooted 29 Nov 04:05</title></text>"#
                .into(),
        ] {
            assert!(svg.contains(&part), "expected {part} in {svg}");
        }
        assert_eq!((svg.matches("<rect").count(), svg.matches("\"event\"").count()), (2, 1));
    }

    #[test]
    fn a_peak_has_the_same_height_and_time_in_every_range() {
        // A peak of five minutes within 35 days.
        let mut values = vec!["10"; 35 * 288];
        values[9000] = "99";
        let whole = curve(FROM, 300, &values.join(" "));
        let last_days = curve(whole.start_of(8900), 300, &values[8900..].join(" "));
        let peaks: Vec<Option<String>> = [&whole, &last_days]
            .map(|curve| {
                let scale = ValueScale::new(ChartUnit::Users, 99.0);
                summary(curve, scale, UtcOffset(0))
            })
            .into();
        assert_eq!(peaks[0], peaks[1]);
        let within = whole.within(INTERVALS, 0);
        assert_eq!(within.peak().unwrap().1.max.to_bits(), 99f64.to_bits());
    }
}
