//! The history on pages: the charts of a site in a range, its busy hours and availability, and sparklines.

use std::time::Duration;

use super::chart::{
    AvailabilityBar, ChartUnit, Curve, HeatMap, Plot, Sparkline, UtcOffset, ValueTable, interval,
};
use super::chart_range::ChartRange;
use super::session_query::SessionQuery;
use crate::history::{HistoryRange, Resolution, Series};
use crate::http::context::Context;
use crate::state::SiteState;

/// The periods whose availability is shown, in days.
const PERIODS: [(&str, u32); 4] = [("24 hours", 1), ("7 days", 7), ("30 days", 30), ("90 days", 90)];

pub(super) struct HistorySection {
    pub(super) range: &'static str,
    pub(super) ranges: Vec<RangeLink>,
    /// Users and traffic.
    pub(super) plots: Vec<Plot>,
    /// The load of the router.
    pub(super) load_plots: Vec<Plot>,
    pub(super) table: ValueTable,
    pub(super) availability: AvailabilityBar,
    pub(super) heat_map: Option<HeatMap>,
    /// How far back the values of each resolution reach.
    pub(super) reaches: String,
}

pub(super) struct RangeLink {
    pub(super) title: &'static str,
    pub(super) href: String,
    pub(super) is_current: bool,
}

impl HistorySection {
    /// The history of a site; none if there is no memory for it.
    pub(super) fn new(context: &Context, site: &SiteState, query: &SessionQuery) -> Option<Self> {
        let history = &context.services.history;
        let within = |range| history.range(&site.key, range, context.now);
        let days_of = |days: u32| Duration::from_secs(86_400) * days;
        let shown = within(query.range.duration())?;
        let days = within(days_of(400))?;
        let hours_reach = shown.reaches.iter().find(|(resolution, _)| *resolution == Resolution::Hour);
        let hours = within(hours_reach?.1.min(days_of(35)))?;
        let offset = offset(site);
        let [users, download, upload, cpu, memory] =
            [Series::Users, Series::Download, Series::Upload, Series::Cpu, Series::Memory]
                .map(|series| curve(&shown, series));
        let plot = |names, unit, curves: &[_]| Plot::new(names, unit, curves, &shown.marks, offset);
        let plots = [
            plot(("users", "Users online"), ChartUnit::Users, &[("", &users)]),
            plot(("traffic", "Traffic"), ChartUnit::Rate, &[("download", &download), ("upload", &upload)]),
        ];
        let load_plots = [
            plot(("cpu", "CPU load"), ChartUnit::Percent, &[("", &cpu)]),
            plot(("memory", "Memory in use"), ChartUnit::Percent, &[("", &memory)]),
        ];
        let columns = [
            ("Users", ChartUnit::Users, &users),
            ("Download", ChartUnit::Rate, &download),
            ("Upload", ChartUnit::Rate, &upload),
            ("CPU", ChartUnit::Percent, &cpu),
            ("Memory", ChartUnit::Percent, &memory),
        ];
        let periods = PERIODS.map(|(name, days)| {
            let availability = history.availability(&site.key, days_of(days), context.now);
            availability.map(|availability| (name, availability))
        });
        let link = |range: ChartRange| RangeLink {
            title: range.title(),
            href: format!("?{}#history", query.with_range(range)),
            is_current: range == query.range,
        };
        Some(Self {
            range: query.range.title(),
            ranges: ChartRange::ALL.map(link).into(),
            plots: plots.into_iter().flatten().collect(),
            load_plots: load_plots.into_iter().flatten().collect(),
            table: ValueTable::new(&columns, &shown.marks, offset),
            availability: AvailabilityBar::new(
                &periods.into_iter().flatten().collect::<Vec<_>>(),
                &curve(&days, Series::Reachable),
            ),
            heat_map: HeatMap::new(&curve(&hours, Series::Users), offset),
            reaches: reaches(&shown),
        })
    }
}

/// The users of a site in the last 24 hours.
pub(super) fn sparkline(context: &Context, site: &SiteState) -> Option<Sparkline> {
    let day = context.services.history.range(&site.key, ChartRange::Day.duration(), context.now)?;
    Sparkline::new("Users in the last 24 hours", &curve(&day, Series::Users))
}

/// The local time of a site, as far as known.
fn offset(site: &SiteState) -> UtcOffset {
    UtcOffset(site.utc_offset().unwrap_or_default().into())
}

fn curve(range: &HistoryRange, series: Series) -> Curve {
    Curve {
        from: range.from_s.into(),
        step: range.resolution.step().as_secs().try_into().unwrap_or(i64::MAX),
        slots: range.slots.iter().map(|slot| slot.figure(series)).collect(),
        // A sum may be known although no time is.
        coverage: range.slots.iter().map(|slot| slot.coverage(series).max(f64::EPSILON)).collect(),
    }
}

/// `1 minute for 3 hours, 5 minutes for 2 days`.
fn reaches(range: &HistoryRange) -> String {
    let reaches = range.reaches.iter().filter(|(_, reach)| !reach.is_zero());
    let text = |(resolution, reach): &(Resolution, Duration)| {
        let [step, reach] = [resolution.step(), *reach].map(|time| interval(time.as_secs()));
        format!("{step} for {reach}")
    };
    reaches.map(text).collect::<Vec<_>>().join(", ")
}
