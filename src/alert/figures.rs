//! The figures of a site that rules compare with limits.

use std::cell::OnceCell;

use super::incident::{Description, Evaluation};
use crate::config::{AlertFigure, Threshold};
use crate::plugin::{Data, Quantity};
use crate::state::SiteState;

/// The figures of a site. Each is computed when the first rule compares it.
pub(super) struct Figures<'s> {
    site: &'s SiteState,
    values: [OnceCell<Option<f64>>; AlertFigure::ALL.len()],
}

impl<'s> Figures<'s> {
    pub(super) fn of(site: &'s SiteState) -> Self {
        Self { site, values: Default::default() }
    }

    /// Compares a figure with its limits. `is_above`: the alert fires above the limit, else below it.
    pub(super) fn compare(&self, threshold: Threshold, is_above: bool) -> Evaluation {
        let Threshold { figure, limit, clear } = threshold;
        let value = self.values[figure as usize].get_or_init(|| value(self.site, figure));
        let Some(value) = *value else { return Evaluation::Unknown };
        let (is_beyond, is_clear) =
            if is_above { (value > limit, value <= clear) } else { (value < limit, value >= clear) };
        if is_beyond {
            return Evaluation::Present(None, description(self.site, threshold, is_above, value));
        }
        if is_clear { Evaluation::Absent(Some(value)) } else { Evaluation::Hold }
    }
}

/// The current value; `None` while it is unknown.
fn value(site: &SiteState, figure: AlertFigure) -> Option<f64> {
    let percent = |ratio: f64| ratio * 100.0;
    match figure {
        AlertFigure::CpuLoad => site.current(Data::resource)?.cpu_load().map(|load| load as f64),
        AlertFigure::MemoryUsed => site.current(Data::resource)?.used_memory_percent(),
        AlertFigure::Temperature => {
            let sensors = site.current(Data::health)?.sensors.iter().filter_map(|sensor| sensor.measure);
            let celsius = sensors.filter(|(quantity, _)| *quantity == Quantity::Temperature);
            celsius.map(|(_, value)| value).max_by(f64::total_cmp)
        }
        AlertFigure::ActiveUsers => {
            let hotspot = site.current(Data::hotspot).filter(|hotspot| !hotspot.is_truncated)?;
            Some(hotspot.sessions.len() as f64)
        }
        AlertFigure::PoolUsed => site.pool_used().map(percent),
        AlertFigure::LicenceUsed => site.license_used().map(percent),
    }
}

fn description(site: &SiteState, threshold: Threshold, is_above: bool, value: f64) -> Description {
    let Threshold { figure, limit, clear } = threshold;
    let (what, unit, hint) = match figure {
        AlertFigure::CpuLoad => ("CPU load", " %", "On the router: /tool profile"),
        AlertFigure::MemoryUsed => {
            ("used memory", " %", "A reboot frees it. On the router: /system resource print")
        }
        AlertFigure::Temperature => {
            ("temperature", " °C", "Check its ventilation. On the router: /system health print")
        }
        AlertFigure::ActiveUsers => ("number of active users", "", "On the router: /ip hotspot active print"),
        AlertFigure::PoolUsed => (
            "used share of the address pool",
            " %",
            "Enlarge the pool or shorten the lease time. On the router: /ip pool print, /ip dhcp-server print",
        ),
        AlertFigure::LicenceUsed => (
            "used share of the licence's users",
            " %",
            "A higher licence level allows more users. On the router: /system license print",
        ),
    };
    let name = &site.name;
    let (beyond, back) = if is_above { ("above", "below") } else { ("below", "above") };
    let number = |value: f64| (value * 10.0).round() / 10.0;
    let (value, limit, clear) = (number(value), number(limit), number(clear));
    Description {
        problem: format!("{name}: {what} is {value}{unit}, {beyond} the limit of {limit}{unit}"),
        recovery: format!("{name}: {what} is {back} {clear}{unit} again"),
        cause: None,
        hint: Some(hint.into()),
        value: Some(value),
    }
}
