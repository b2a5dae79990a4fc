//! Routers whose replies are as large as the limits allow.

use phsweb_agent::simulator::{Router, Row, Settings};

use super::router;

/// Nearly the maximum length of a word.
const LONG: usize = 131_000;

/// A router with very long values in `/system/resource`.
pub(crate) fn wordy() -> Router {
    let router = router(Settings::default());
    let long = |c: char| c.to_string().repeat(LONG);
    let row = Row::new()
        .with("uptime", "1h")
        .with("cpu-load", "7")
        .with("version", long('v'))
        .with("board-name", long('"'))
        .with("architecture-name", long('<'));
    router.set_rows("/system/resource", vec![row]);
    router
}

/// A router with this many sensors with long names.
pub(crate) fn measured(sensors: usize) -> Router {
    let router = router(Settings::default());
    let sensor = |n: usize| {
        let name = format!("sensor{n}-{}", "s".repeat(200));
        Row::new().with("name", name).with("value", "41").with("type", "C")
    };
    router.set_rows("/system/health", (0..sensors).map(sensor).collect());
    router
}

/// A router with this many sessions, whose user and comment have `long` extra characters.
pub(crate) fn crowded_by(people: usize, long: usize) -> Router {
    let router = router(Settings { users: 5, active: 0, ..Settings::default() });
    let row = |n: usize| {
        let row = Row::new()
            .id(&format!("*{n:X}"))
            .with("user", format!("guest{n}{}", "\u{1}".repeat(long)))
            .with("address", format!("10.5.{}.{}", n / 250, n % 250 + 1))
            .with("mac-address", format!("8C:F5:A3:00:{:02X}:{:02X}", n / 256, n % 256))
            .with("server", "hotspot1")
            .with("login-by", "http-chap")
            .with("uptime", "1h2m3s")
            .with("bytes-in", "123456")
            .with("bytes-out", "123456");
        if long > 0 { row.with("comment", "\u{1}".repeat(long)) } else { row }
    };
    router.set_rows("/ip/hotspot/active", (0..people).map(row).collect());
    router
}

/// A router with this many sessions.
pub(crate) fn crowded(people: usize) -> Router {
    crowded_by(people, 0)
}
