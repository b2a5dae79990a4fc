//! Charts as inline SVG, rendered without the browser's help: a sparkline, a chart with axes, a heat map of the week
//! and a bar of days.
//!
//! All are pure functions of curves. Curves are drawn in a coordinate system of one unit for each interval, which the
//! browser stretches to the width of the page; texts are outside of it, so that they keep their size on a phone.

mod availability;
mod curve;
mod heat_map;
mod local_time;
mod path;
mod plot;
mod sparkline;
mod value_scale;
mod value_table;

pub(super) use availability::AvailabilityBar;
pub(super) use curve::Curve;
pub(super) use heat_map::HeatMap;
pub(super) use local_time::UtcOffset;
pub(super) use plot::Plot;
pub(super) use sparkline::Sparkline;
pub(super) use value_scale::ChartUnit;
pub(super) use value_table::{ValueTable, interval};
