//! The vertical axis: a round maximum, ticks, and values in its unit.

use std::iter;

/// The space between ticks is the height divided by this, or more.
const TICKS: f64 = 4.0;

/// What a curve measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::page) enum ChartUnit {
    Users,
    /// Bits per second.
    Rate,
    /// From 0 to 100.
    Percent,
}

/// An axis from zero to a round maximum.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueScale {
    top: f64,
    /// Between ticks.
    step: f64,
    /// The size of the unit: 1000000 for Mbit/s.
    size: f64,
    pub(super) unit: &'static str,
}

impl ValueScale {
    /// The axis for values up to `max`.
    pub(super) fn new(unit: ChartUnit, max: f64) -> Self {
        let (base, names): (f64, &'static [&'static str]) = match unit {
            ChartUnit::Users => (1000.0, &["users"]),
            ChartUnit::Rate => (1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]),
            ChartUnit::Percent => return Self { top: 100.0, step: 50.0, size: 1.0, unit: "%" },
        };
        let least = if unit == ChartUnit::Users { TICKS } else { base };
        let max = if max.is_finite() { max.max(least) } else { least };
        let larger = iter::successors(Some(base), |size| Some(size * base)).take_while(|size| max >= *size);
        let (size, unit) =
            iter::once(1.0).chain(larger).zip(names.iter().copied()).last().unwrap_or((1.0, ""));
        let step = round_up(max / size / TICKS) * size;
        Self { top: (max / step).ceil() * step, step, size, unit }
    }

    /// The distance of a value from the top, where the axis has this height.
    pub(super) fn y(self, value: f64, height: u16) -> i32 {
        let share = (value / self.top).clamp(0.0, 1.0);
        #[allow(clippy::cast_possible_truncation)] // From 0 to `height`.
        let y = (f64::from(height) * (1.0 - share)).round() as i32;
        y
    }

    /// Each tick's distance from the top, and its name.
    pub(super) fn ticks(self, height: u16) -> Vec<(i32, String)> {
        let values = (0..).map(|number| f64::from(number) * self.step).take_while(|value| *value <= self.top);
        values.map(|value| (self.y(value, height), self.text(value))).collect()
    }

    /// A value in the unit, with up to three digits.
    pub(super) fn text(self, value: f64) -> String {
        let value = value / self.size;
        let decimals = if value < 9.995 && self.unit != "users" { 2 } else { usize::from(value < 99.95) };
        let text = format!("{value:.decimals$}");
        if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').into() }
    }
}

/// The next of 1, 2, 5, 10, 20, …
fn round_up(value: f64) -> f64 {
    // Loops take 8 KB less than the C library's power and logarithm.
    let mut power = 1.0;
    while power > value {
        power /= 10.0;
    }
    while power * 10.0 <= value {
        power *= 10.0;
    }
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= value);
    digit.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_values_with_a_unit() {
        for (unit, max, expected) in [
            (ChartUnit::Users, 0.0, "0 1 2 3 4 users"),
            (ChartUnit::Users, 3.0, "0 1 2 3 4 users"),
            (ChartUnit::Users, 47.0, "0 20 40 60 users"),
            (ChartUnit::Users, 50.0, "0 20 40 60 users"),
            (ChartUnit::Users, 1312.0, "0 500 1000 1500 users"),
            (ChartUnit::Rate, 0.0, "0 0.5 1 kbit/s"),
            (ChartUnit::Rate, 999_999.0, "0 500 1000 kbit/s"),
            (ChartUnit::Rate, 21_400_000.0, "0 10 20 30 Mbit/s"),
            (ChartUnit::Rate, 8e12, "0 2 4 6 8 Tbit/s"),
            (ChartUnit::Percent, 7.0, "0 50 100 %"),
            (ChartUnit::Rate, f64::NAN, "0 0.5 1 kbit/s"),
        ] {
            let scale = ValueScale::new(unit, max);
            let names: Vec<String> = scale.ticks(100).into_iter().map(|(_, name)| name).collect();
            assert_eq!(format!("{} {}", names.join(" "), scale.unit), expected, "{max}");
        }
    }

    #[test]
    fn values_have_up_to_three_digits() {
        let scale = ValueScale::new(ChartUnit::Rate, 21_400_000.0);
        for (value, text) in
            [(0.0, "0"), (4_321_000.0, "4.32"), (21_400_000.0, "21.4"), (123e6, "123"), (5e4, "0.05")]
        {
            assert_eq!(scale.text(value), text);
        }
        assert_eq!(ValueScale::new(ChartUnit::Users, 4.0).text(2.25), "2.2");
    }

    #[test]
    fn heights_are_counted_from_the_top_and_limited() {
        let scale = ValueScale::new(ChartUnit::Percent, 0.0);
        for (value, y) in [(0.0, 160), (25.0, 120), (100.0, 0), (250.0, 0), (-1.0, 160)] {
            assert_eq!(scale.y(value, 160), y);
        }
    }
}
