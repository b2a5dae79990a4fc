//! Users by day of the week and hour, as a table with shades: the busy hours.

use askama::Template;

use super::curve::Curve;
use super::local_time::UtcOffset;
use super::value_scale::{ChartUnit, ValueScale};

/// The known part of an hour of the week from which it has an average, in hours: an hour in which the agent started says
/// little about it.
const LEAST_KNOWN: f64 = 0.25;

/// Shades above zero. Class `h0` is the faintest, `h5` the strongest.
const SHADES: f64 = 5.0;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

#[derive(Template)]
#[template(path = "chart/heat_map.html")]
pub(in crate::http::page) struct HeatMap {
    /// The busiest hour.
    summary: String,
    days: Vec<(&'static str, Vec<Cell>)>,
}

/// The average of one hour of the week; empty if nothing is known.
struct Cell {
    shade: u8,
    text: String,
}

impl HeatMap {
    /// The averages of hourly values; none if nothing is known.
    pub(in crate::http::page) fn new(hours: &Curve, offset: UtcOffset) -> Option<Self> {
        let mut sums = [[(0.0f64, 0.0f64); 24]; 7];
        for (at, slot, coverage) in hours.weighted() {
            let (weekday, hour) = offset.weekday_and_hour(at);
            let (sum, known) = &mut sums[weekday][hour];
            (*sum, *known) = (*sum + slot.avg * coverage, *known + coverage);
        }
        let averages = sums.map(|day| day.map(|(sum, known)| (known >= LEAST_KNOWN).then(|| sum / known)));
        let cells = averages.iter().zip(DAYS).flat_map(|(day, name)| {
            day.iter().zip(0..).filter_map(move |(average, hour)| Some(((*average)?, name, hour)))
        });
        let (most, day, hour): (f64, _, u8) = cells.max_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
        let scale = ValueScale::new(ChartUnit::Users, most);
        let cell = |average: Option<f64>| Cell {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 0 to `SHADES`.
            shade: average.map_or(0, |average| (SHADES * (average / most.max(1.0))).ceil() as u8),
            text: average.map(|average| format!("{average:.0}")).unwrap_or_default(),
        };
        let days =
            averages.iter().zip(DAYS).map(|(day, name)| (name, day.iter().copied().map(cell).collect()));
        Some(Self {
            summary: format!(
                "busiest {day} {hour:02}:00 to {:02}:00 with {} users",
                (hour + 1) % 24,
                scale.text(most)
            ),
            days: days.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;

    /// 2026-11-30T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_795_996_800;

    #[test]
    fn cells_are_averages_of_local_hours() {
        // 21 users at 23:00 UTC on Mondays, which is Tuesday in Lagos, and 9 a week later.
        let mut hours = vec!["-"; 24 * 8];
        (hours[23], hours[24 * 7 + 23], hours[3]) = ("21", "9", "3");
        let map = HeatMap::new(&curve(MONDAY, 3600, &hours.join(" ")), UtcOffset(3600)).unwrap();
        assert_eq!(map.summary, "busiest Tue 00:00 to 01:00 with 15 users");
        let shown = |day: usize, hour: usize| {
            let cell = &map.days[day].1[hour];
            (cell.shade, cell.text.clone())
        };
        assert_eq!(shown(1, 0), (5, "15".into()));
        assert_eq!(shown(0, 4), (1, "3".into()));
        assert_eq!(shown(0, 5), (0, String::new()));
        // An hour that was known for 20 seconds is not the busiest, and weighs little in an average.
        let mut hours = curve(MONDAY, 3600, "5 90 7");
        hours.coverage[1] = 20.0 / 3600.0;
        let map = HeatMap::new(&hours, UtcOffset(0)).unwrap();
        assert_eq!(map.summary, "busiest Mon 02:00 to 03:00 with 7 users");
        assert_eq!(map.days[0].1[1].text, "");
        let mut weeks = curve(MONDAY, 7 * 24 * 3600, "10 20");
        weeks.coverage[1] = 0.25;
        assert_eq!(HeatMap::new(&weeks, UtcOffset(0)).unwrap().days[0].1[0].text, "12");
        // Five times this, divided by it, is more than five.
        assert_eq!(HeatMap::new(&curve(MONDAY, 3600, "1.96"), UtcOffset(0)).unwrap().days[0].1[0].shade, 5);
        assert!(HeatMap::new(&curve(MONDAY, 3600, "- -"), UtcOffset(0)).is_none());
        assert_eq!(HeatMap::new(&curve(MONDAY, 3600, "0"), UtcOffset(0)).unwrap().days[0].1[0].shade, 0);
    }
}
