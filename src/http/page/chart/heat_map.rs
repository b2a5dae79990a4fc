//! Users by day of the week and hour, as a table with shades: the busy hours.

use askama::Template;

use super::curve::Curve;
use super::local_time::UtcOffset;
use super::value_scale::{ChartUnit, ValueScale};

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
        let mut sums = [[(0.0f64, 0u16); 24]; 7];
        for (at, slot) in hours.known() {
            let (weekday, hour) = offset.weekday_and_hour(at);
            let (sum, count) = &mut sums[weekday][hour];
            (*sum, *count) = (*sum + slot.avg, *count + 1);
        }
        let averages = sums.map(|day| day.map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))));
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
        // Five times this, divided by it, is more than five.
        assert_eq!(HeatMap::new(&curve(MONDAY, 3600, "1.96"), UtcOffset(0)).unwrap().days[0].1[0].shade, 5);
        assert!(HeatMap::new(&curve(MONDAY, 3600, "- -"), UtcOffset(0)).is_none());
        assert_eq!(HeatMap::new(&curve(MONDAY, 3600, "0"), UtcOffset(0)).unwrap().days[0].1[0].shade, 0);
    }
}
