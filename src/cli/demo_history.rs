//! The day before a demo: generated figures with a daily rhythm, an outage and a reboot.
//!
//! A pure function of the site's key and the time, so that each demo of a site looks alike.

use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::history::{Figure, History, Mark, MarkKind, Resolution, Series, Slot};

const MINUTE_S: u32 = 60;

/// The length of the day, in minutes.
const DAY: u32 = 24 * 60;

/// Minutes from a reboot until users are back.
const RETURN: u32 = 15;

/// The local time of the demo's sites in Nigeria, in minutes ahead of UTC.
const LOCAL: u32 = 60;

/// What was measured in one minute: users, logins, upload, download, CPU, memory.
type Values = [f32; 6];

const MEASURED: [Series; 6] =
    [Series::Users, Series::Logins, Series::Upload, Series::Download, Series::Cpu, Series::Memory];

/// Fills the day before `now`, when a site has about this number of users.
pub(super) fn generate(history: &History, key: &str, users: usize, clock: Clock, now: Moment) {
    let now_s = clock.unix(now).as_secs().try_into().unwrap_or(u32::MAX);
    let day = GeneratedDay::new(key, users, now_s);
    for (resolution, minutes) in [(Resolution::Minute, 3 * 60), (Resolution::FiveMinutes, DAY)] {
        let step = u32::try_from(resolution.step().as_secs()).unwrap_or(u32::MAX) / MINUTE_S;
        // The current slot is recorded, not generated.
        let last = day.now / step;
        for index in last.saturating_sub(minutes / step)..last {
            history.restore(
                key,
                resolution,
                index * step * MINUTE_S,
                day.slot(index * step, step, resolution),
            );
        }
    }
    let [offline, booted] = [day.offline, day.booted].map(|minute| minute * MINUTE_S);
    let outage = Mark::restored(MarkKind::Offline, offline, Some(booted));
    history.restore_marks(key, &[outage, Mark::restored(MarkKind::Reboot, booted, None)]);
}

/// The figures of a site by minutes since the Unix epoch.
struct GeneratedDay {
    seed: u64,
    now: u32,
    /// The number of users at the busiest time.
    most: f32,
    /// When the router became unreachable, and when it had rebooted.
    offline: u32,
    booted: u32,
}

impl GeneratedDay {
    fn new(key: &str, users: usize, now_s: u32) -> Self {
        // FNV-1a.
        let seed = key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        let now = now_s / MINUTE_S;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Shares of an hour.
        let minutes = |from: u32, number: u32| from + (60.0 * random(seed, number.into())) as u32;
        let offline = now.saturating_sub(minutes(7 * 60, 0));
        let booted = offline + minutes(25, 1);
        Self { seed, now, most: users as f32 / rhythm(now), offline, booted }
    }

    /// The figures of a minute; none while the router is unreachable.
    fn minute(&self, minute: u32) -> Option<Values> {
        if (self.offline..self.booted).contains(&minute) {
            return None;
        }
        let back =
            minute.checked_sub(self.booted).map_or(1.0, |since| (since as f32 / RETURN as f32).min(1.0));
        let wave = |number, period| smooth(self.seed + number, minute, period);
        let users = (self.most * back * (rhythm(minute) + 0.1 * wave(1, 17) - 0.05)).round().max(0.0);
        let download = users * 1_600_000.0 * (0.7 + 0.6 * wave(2, 9));
        let upload = download * (0.03 + 0.04 * wave(3, 13));
        let cpu = 4.0 + 90.0 * users / (users + 90.0) * (0.5 + 0.5 * wave(4, 5));
        let logins = (users * 0.06 * wave(5, 3)).round();
        Some([users, logins, upload, download, cpu, 70.0 + 6.0 * wave(6, 200)])
    }

    /// Several minutes as a slot.
    fn slot(&self, first: u32, count: u32, resolution: Resolution) -> Slot {
        let minutes: Vec<Option<Values>> = (first..first + count).map(|minute| self.minute(minute)).collect();
        let known: Vec<Values> = minutes.iter().flatten().copied().collect();
        let share = known.len() as f64 / minutes.len().max(1) as f64;
        let is_one = |is_one| f64::from(u8::from(is_one));
        let reachable =
            Figure { min: is_one(known.len() == minutes.len()), avg: share, max: is_one(!known.is_empty()) };
        let figures = MEASURED.iter().enumerate().filter(|_| !known.is_empty()).map(|(number, series)| {
            let values = || known.iter().map(|values| f64::from(values[number]));
            let sum: f64 = values().sum();
            let avg = if series.is_sum() { sum } else { sum / known.len() as f64 };
            (
                *series,
                Figure { min: values().fold(f64::MAX, f64::min), avg, max: values().fold(0.0, f64::max) },
            )
        });
        Slot::of(figures.chain([(Series::Reachable, reachable)]), resolution.step())
    }
}

/// The share of the busiest time's users: a quiet night, a plateau in the afternoon, and a peak in the evening.
fn rhythm(minute: u32) -> f32 {
    let turn = ((minute + LOCAL) % DAY) as f32 / DAY as f32 - 20.0 / 24.0;
    // Nearly a cosine, without the 5 KB that it takes in the C library.
    let wave = |turn: f32| {
        let height = 1.0 - 4.0 * (turn - turn.round()).abs();
        height * (1.5 - 0.5 * height * height)
    };
    0.53 + 0.32 * wave(turn) + 0.15 * wave(2.0 * turn)
}

/// A curve between 0 and 1 that goes through another random value every `period` minutes.
fn smooth(seed: u64, minute: u32, period: u32) -> f32 {
    let (number, share) = (u64::from(minute / period), (minute % period) as f32 / period as f32);
    random(seed, number) * (1.0 - share) + random(seed, number + 1) * share
}

/// A number from 0 to 1: `SplitMix64`.
fn random(seed: u64, number: u64) -> f32 {
    let mut bits = seed.wrapping_add((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29T14:10:00Z
    const NOW_S: u32 = 1_795_961_400;

    #[test]
    fn the_day_has_a_rhythm_an_outage_and_about_the_current_users_at_its_end() {
        for (key, users) in [("awka", 23), ("lagos", 45), ("empty", 0)] {
            let day = GeneratedDay::new(key, users, NOW_S);
            let minutes = || day.now - DAY..day.now;
            let unknown = minutes().filter(|minute| day.minute(*minute).is_none()).count();
            assert!((25..85).contains(&unknown), "{key}: offline for {unknown} minutes");
            assert!(day.minute(day.offline).is_none() && day.minute(day.booted).unwrap()[0] < 1.0, "{key}");
            let online = |minute| day.minute(minute).unwrap()[0];
            let now = online(day.now - 1);
            assert!((now - users as f32).abs() <= 0.1 * day.most + 1.0, "{key}: {now} users of {users}");
            let most =
                minutes().filter_map(|minute| day.minute(minute)).map(|values| values[0]).fold(0.0, f32::max);
            let least = minutes()
                .filter_map(|minute| day.minute(minute))
                .map(|values| values[0])
                .fold(most, f32::min);
            assert!(
                users == 0 || (most > 1.3 * users as f32 && least < users as f32),
                "{key}: {least} to {most}"
            );
        }
    }

    #[test]
    fn a_site_has_the_same_day_in_each_demo_and_another_one_than_other_sites() {
        let values = |key| {
            (0..50).map(|ago| GeneratedDay::new(key, 23, NOW_S).minute(NOW_S / 60 - ago)).collect::<Vec<_>>()
        };
        assert_eq!(values("awka"), values("awka"));
        assert_ne!(values("awka"), values("abuja"));
    }
}
