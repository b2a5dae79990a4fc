//! What a router is made of: its board, and what that shows of itself.

use std::time::Duration;

use super::row::{Row, Value, scramble};
use super::settings::Settings;
use super::version::Version;

/// What a board is made of.
struct Board {
    architecture: &'static str,
    cpu: &'static str,
    cores: u64,
    mhz: u64,
    memory_mib: u64,
    flash_mib: u64,
    radios: bool,
}

fn board(name: &str) -> Board {
    let (architecture, cpu, cores, mhz, memory_mib, flash_mib, radios) = match name {
        "hAP ac^2" => ("arm", "ARM", 4, 716, 128, 15, true),
        "RB4011iGS+" => ("arm", "ARM", 4, 1400, 1024, 512, false),
        X86 => ("x86_64", "Intel(R)", 2, 2400, 1024, 512, false),
        _ => ("mmips", "MIPS 1004Kc V2.15", 4, 880, 256, 16, false),
    };
    Board { architecture, cpu, cores, mhz, memory_mib, flash_mib, radios }
}

/// The board name of a PC.
pub(super) const X86: &str = "x86";

/// Whether a board has radios.
pub(super) fn has_radios(name: &str) -> bool {
    board(name).radios
}

/// The names of a board's radios: the one at 2.4 GHz, and the one at 5 GHz.
pub(super) fn radios(version: &Version) -> [&'static str; 2] {
    if version.has_wifi() { ["wifi1", "wifi2"] } else { ["wlan1", "wlan2"] }
}

/// The one row of `/system/resource`.
pub(super) fn resource(settings: &Settings, booted: Duration) -> Row {
    let board = board(&settings.board);
    let (memory, flash) = (board.memory_mib << 20, board.flash_mib << 20);
    // The month has a capital here, unlike in other dates before 7.10.
    let built = settings.version.date(1_756_900_000);
    let built = built[..1].to_uppercase() + &built[1..];
    let around = |middle, swing| Value::Around { middle, swing, decimals: 0 };
    // No two routers are as busy and as full.
    let (busy, full) = (8 + settings.seed.wrapping_mul(11) % 50, 2 + settings.seed.wrapping_mul(2) % 5);
    Row::new()
        .with("uptime", Value::Since(booted))
        .with("version", settings.version.to_string())
        .with("build-time", built)
        .with("factory-software", "6.44.6")
        .with("free-memory", around(memory / full, memory / 64))
        .with("total-memory", memory)
        .with("cpu", board.cpu)
        .with("cpu-count", board.cores)
        .with("cpu-frequency", board.mhz)
        .with("cpu-load", around(busy, 7))
        .with("free-hdd-space", flash / 5)
        .with("total-hdd-space", flash)
        .with("architecture-name", board.architecture)
        .with("board-name", settings.board.as_str())
        .with("platform", "MikroTik")
}

/// Health as RouterOS 6 has it, and x86 in RouterOS 7 too: one row.
pub(super) fn health(settings: &Settings) -> Row {
    let around = |middle, swing, decimals| Value::Around { middle, swing, decimals };
    if settings.board == X86 {
        return Row::new()
            .with("core", around(11, 1, 1))
            .with("3.3v", around(33, 1, 1))
            .with("12v", around(119, 2, 1))
            .with("cpu-temp", around(51, 3, 0))
            .with("temp1", around(40, 2, 0))
            .with("fan1", around(2700, 40, 0))
            .with("state", "enabled")
            .with("state-after-reboot", "enabled");
    }
    Row::new()
        .with("voltage", around(240, 2, 1))
        .with("temperature", around(44, 2, 0))
        .with("cpu-temperature", around(51, 3, 0))
}

/// Health as RouterOS 7 has it: a row a sensor. The `type` of a state is empty.
pub(super) fn sensors(settings: &Settings) -> Vec<Row> {
    let sensor = |name: &str, kind: &str, middle, swing, decimals| {
        Row::new()
            .with("name", name)
            .with("value", Value::Around { middle, swing, decimals })
            .with("type", kind)
    };
    let mut rows = vec![sensor("voltage", "V", 240, 2, 1), sensor("temperature", "C", 44, 2, 0)];
    if settings.board == "RB4011iGS+" {
        rows.push(sensor("cpu-temperature", "C", 51, 3, 0));
        rows.push(Row::new().with("name", "psu1-state").with("value", "ok").with("type", ""));
    }
    rows
}

pub(super) fn interfaces(settings: &Settings, booted: Duration) -> Vec<Row> {
    let counted = |name: &str, kind: &str, per_second: u64| {
        let count = |part: u64| Value::Count {
            from: scramble(per_second + part) >> 28,
            per_second: per_second / part,
            since: booted,
        };
        Row::new()
            .with("name", name)
            .with("type", kind)
            .with("mtu", "1500")
            .with("link-downs", Value::Count { from: per_second % 7, per_second: 0, since: booted })
            .with("rx-byte", count(1))
            .with("tx-byte", count(7))
            .with("running", per_second > 0)
            .with("disabled", false)
    };
    let mut rows = vec![
        counted("ether1", "ether", 900_000).with("comment", "uplink – MTN fibre"),
        counted("ether2", "ether", 40_000),
    ];
    if has_radios(&settings.board) {
        let kind = if settings.version.has_wifi() { "wifi" } else { "wlan" };
        let [slow, fast] = radios(&settings.version);
        rows.extend([
            counted("ether3", "ether", 0),
            counted(slow, kind, 550_000),
            counted(fast, kind, 300_000),
        ]);
    } else {
        rows.push(counted("ether3", "ether", 850_000).with("comment", "access points"));
    }
    rows.push(counted("bridge-hotspot", "bridge", 870_000));
    rows
}
