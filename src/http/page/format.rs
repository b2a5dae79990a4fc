//! Figures formatted for people.

use std::time::Duration;

use crate::clock;
use crate::plugin::Quantity;
use crate::routeros::value;

/// The two largest units: `15d23h`, `4m5s`. More would be noise.
pub(super) fn duration(duration: Duration) -> String {
    let coarse = match duration.as_secs() {
        seconds @ 0..3600 => seconds,
        seconds @ 3600..86_400 => seconds / 60 * 60,
        seconds => seconds / 3600 * 3600,
    };
    value::format_duration(Duration::from_secs(coarse))
}

/// Traffic, in decimal units.
pub(super) fn bytes(count: u64) -> String {
    scaled(count, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Traffic of a network connection: `12.4 Mbit/s`.
pub(super) fn bits_per_second(rate: u64) -> String {
    scaled(rate, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"])
}

/// The time of day at a site that is this many seconds ahead of UTC: `14:05`, or if that is unknown `13:05 UTC`.
pub(super) fn time_of_day(unix: Duration, utc_offset_s: Option<i32>) -> String {
    let unix_s = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let minutes = unix_s.saturating_add(utc_offset_s.unwrap_or(0).into()).rem_euclid(86_400) / 60;
    let zone = if utc_offset_s.is_some() { "" } else { " UTC" };
    format!("{:02}:{:02}{zone}", minutes / 60, minutes % 60)
}

/// A moment for programs, and for people in a site's local time.
pub(super) struct Date {
    pub(super) rfc3339: String,
    pub(super) text: String,
}

/// The date at a site that is this many seconds ahead of UTC: `2026-05-31 10:54`, or if that is unknown
/// `2026-05-31 09:54 UTC`.
pub(super) fn date(unix: Duration, utc_offset_s: Option<i32>) -> Date {
    let offset = utc_offset_s.unwrap_or(0);
    let ahead = Duration::from_secs(offset.unsigned_abs().into());
    let local = if offset < 0 { unix.saturating_sub(ahead) } else { unix.saturating_add(ahead) };
    let minute = clock::rfc3339(local).get(..16).unwrap_or_default().replace('T', " ");
    let zone = if utc_offset_s.is_some() { "" } else { " UTC" };
    Date { rfc3339: clock::rfc3339(unix), text: minute + zone }
}

/// Memory, in binary units.
pub(super) fn memory_bytes(count: u64) -> String {
    scaled(count, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// A sensor's value, rounded to a tenth: `41 °C`, `24.1 V`.
pub(super) fn measured(quantity: Quantity, figure: f64) -> String {
    // Adding zero drops the sign of a rounded zero.
    format!("{} {}", (figure * 10.0).round() / 10.0 + 0.0, quantity.unit())
}

/// A count with separators: `1,312`.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// About three digits, in the largest unit with at least one digit before the point.
fn scaled(count: u64, step: f64, units: &[&str]) -> String {
    let mut value = count as f64;
    let mut units = units.iter().enumerate().peekable();
    while let Some((position, unit)) = units.next() {
        if value < step - 0.5 || units.peek().is_none() {
            let decimals = usize::from(position > 0 && value < 99.95);
            return format!("{value:.decimals$} {unit}");
        }
        value /= step;
    }
    count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_values_have_at_most_one_decimal() {
        for (quantity, figure, shown) in [
            (Quantity::Temperature, 41.0, "41 °C"),
            (Quantity::Temperature, 41.26, "41.3 °C"),
            (Quantity::Temperature, -0.04, "0 °C"),
            (Quantity::Voltage, 24.1, "24.1 V"),
            (Quantity::FanSpeed, 4025.0, "4025 RPM"),
        ] {
            assert_eq!(measured(quantity, figure), shown);
        }
    }

    #[test]
    fn bytes_have_decimal_or_binary_units() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (45_678_912, "45.7 MB"),
            (99_960_000, "100 MB"),
            (999_600_000, "1.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in
            [(1023, "1023 B"), (1024, "1.0 KiB"), (134_217_728, "128 MiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(memory_bytes(count), text);
        }
    }

    #[test]
    fn rates_have_decimal_units() {
        for (rate, text) in [
            (0, "0 bit/s"),
            (64_000, "64.0 kbit/s"),
            (12_400_000, "12.4 Mbit/s"),
            (1_250_000_000, "1.2 Gbit/s"),
        ] {
            assert_eq!(bits_per_second(rate), text);
        }
    }

    #[test]
    fn times_of_day_are_those_of_the_site() {
        let unix = Duration::from_secs(1_780_221_273);
        for (utc_offset_s, text) in
            [(None, "09:54 UTC"), (Some(0), "09:54"), (Some(19_800), "15:24"), (Some(-36_000), "23:54")]
        {
            assert_eq!(time_of_day(unix, utc_offset_s), text);
        }
        assert_eq!(time_of_day(Duration::ZERO, Some(-60)), "23:59");
    }

    #[test]
    fn dates_are_those_of_the_site() {
        let unix = Duration::from_secs(1_780_221_273);
        for (utc_offset_s, text) in [
            (None, "2026-05-31 09:54 UTC"),
            (Some(0), "2026-05-31 09:54"),
            (Some(19_800), "2026-05-31 15:24"),
            (Some(-36_000), "2026-05-30 23:54"),
        ] {
            let date = date(unix, utc_offset_s);
            assert_eq!((&*date.rfc3339, &*date.text), ("2026-05-31T09:54:33Z", text));
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [(5, "5s"), (245, "4m5s"), (3725, "1h2m"), (1_381_500, "15d23h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn counts_have_separators() {
        for (count, text) in [(0, "0"), (200, "200"), (1312, "1,312"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(count), text);
        }
    }
}
