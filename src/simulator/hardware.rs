//! The board: resources, health, clock, license and interfaces.

use std::time::Duration;

use super::rng::mix;
use super::row::Row;
use super::settings::{Settings, X86};
use super::value::Value;
use super::version::Version;

/// The board name of a virtual machine, whose license does not limit hotspot users.
const CHR: &str = "CHR";

struct Board {
    architecture: &'static str,
    cpu: &'static str,
    cores: u64,
    mhz: u64,
    memory_mib: u64,
    flash_mib: u64,
    has_radios: bool,
    license_level: &'static str,
}

fn board(name: &str) -> Board {
    let (architecture, cpu, cores, mhz, memory_mib, flash_mib, has_radios, license_level) = match name {
        "hAP ac^2" => ("arm", "ARM", 4, 716, 128, 15, true, "4"),
        "RB4011iGS+" => ("arm", "ARM", 4, 1400, 1024, 512, false, "5"),
        CHR => ("x86_64", "QEMU Virtual CPU", 2, 2400, 1024, 128, false, "p1"),
        X86 => ("x86_64", "Intel(R)", 2, 2400, 1024, 512, false, "6"),
        _ => ("mmips", "MIPS 1004Kc V2.15", 4, 880, 256, 16, false, "4"),
    };
    Board { architecture, cpu, cores, mhz, memory_mib, flash_mib, has_radios, license_level }
}

pub(super) fn has_radios(board_name: &str) -> bool {
    board(board_name).has_radios
}

/// The names of a board's radios: 2.4 GHz, then 5 GHz.
pub(super) fn radios(version: &Version) -> [&'static str; 2] {
    if version.has_wifi() { ["wifi1", "wifi2"] } else { ["wlan1", "wlan2"] }
}

pub(super) fn identity(settings: &Settings) -> Row {
    Row::new().with("name", settings.identity.as_str())
}

/// The clock, which shows the local time.
pub(super) fn clock(settings: &Settings) -> Row {
    let offset = settings.utc_offset_s;
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
    Row::new()
        .with("time", Value::TimeOfDay)
        .with("date", Value::Today)
        .with("time-zone-autodetect", false)
        .with("time-zone-name", if offset == 0 { "UTC" } else { "manual" })
        .with("gmt-offset", format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
        .with("dst-active", false)
}

/// The license, which limits the active hotspot users: 200 at level 4, 500 at level 5. RouterOS 6 calls the
/// level `nlevel`.
pub(super) fn license(settings: &Settings) -> Row {
    let key = if settings.version.is_v7() { "level" } else { "nlevel" };
    let software = mix(settings.seed) & 0xFFFF_FFFF;
    Row::new()
        .with("software-id", format!("{:04X}-{:04X}", software >> 16, software & 0xFFFF))
        .with(key, board(&settings.board).license_level)
        .with("features", "")
}

/// The board's model and firmware, which a virtual machine and a PC lack.
pub(super) fn routerboard(settings: &Settings) -> Row {
    let has_board = ![X86, CHR].contains(&settings.board.as_str());
    let row = Row::new().with("routerboard", has_board);
    if !has_board {
        return row;
    }
    let firmware = settings.version.to_string();
    let firmware = firmware.split(' ').next().unwrap_or_default();
    row.with("model", settings.board.as_str())
        .with("current-firmware", firmware)
        .with("upgrade-firmware", firmware)
}

pub(super) fn resource(settings: &Settings, booted: Duration) -> Row {
    let board = board(&settings.board);
    let (memory, flash) = (board.memory_mib << 20, board.flash_mib << 20);
    // The month has a capital here, unlike in other dates before 7.10.
    let built = settings.version.date(1_756_900_000);
    let built = built[..1].to_uppercase() + &built[1..];
    // Each router has its own CPU load and memory use.
    let (load, memory_share) =
        (8 + settings.seed.wrapping_mul(11) % 50, 2 + settings.seed.wrapping_mul(2) % 5);
    Row::new()
        .with("uptime", Value::Since(booted))
        .with("version", settings.version.to_string())
        .with("build-time", built)
        .with("factory-software", "6.44.6")
        .with("free-memory", Value::around(memory / memory_share, memory / 64))
        .with("total-memory", memory)
        .with("cpu", board.cpu)
        .with("cpu-count", board.cores)
        .with("cpu-frequency", board.mhz)
        .with("cpu-load", Value::around(load, 7))
        .with("free-hdd-space", flash / 5)
        .with("total-hdd-space", flash)
        .with("architecture-name", board.architecture)
        .with("board-name", settings.board.as_str())
        .with("platform", "MikroTik")
}

/// Health as one row, as in RouterOS 6 and on x86.
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
            .with_fields("state=enabled state-after-reboot=enabled");
    }
    Row::new()
        .with("voltage", around(240, 2, 1))
        .with("temperature", around(44, 2, 0))
        .with("cpu-temperature", around(51, 3, 0))
}

/// Health as one row per sensor, as in RouterOS 7. The `type` of a state is empty.
pub(super) fn sensors(settings: &Settings) -> Vec<Row> {
    let sensor = |name: &str, unit: &str, middle, swing, decimals| {
        let value = Value::Around { middle, swing, decimals };
        Row::new().with("name", name).with("value", value).with("type", unit)
    };
    let mut rows = vec![sensor("voltage", "V", 240, 2, 1), sensor("temperature", "C", 44, 2, 0)];
    if settings.board == "RB4011iGS+" {
        rows.push(sensor("cpu-temperature", "C", 51, 3, 0));
        rows.push(Row::new().with_fields("name=psu1-state value=ok type="));
    }
    rows
}

pub(super) fn interfaces(settings: &Settings, booted: Duration) -> Vec<Row> {
    let interface = |name: &str, kind: &str, per_second: u64| {
        let count = |divisor: u64| Value::Count {
            from: mix(per_second + divisor) >> 28,
            per_second: per_second / divisor,
            since: booted,
        };
        Row::new()
            .with_fields(&format!("name={name} type={kind} mtu=1500"))
            .with("link-downs", Value::Count { from: per_second % 7, per_second: 0, since: booted })
            .with("rx-byte", count(1))
            .with("tx-byte", count(7))
            .with("running", per_second > 0)
            .with("disabled", false)
    };
    let mut rows = vec![
        interface("ether1", "ether", 900_000).with("comment", "uplink – MTN fibre"),
        interface("ether2", "ether", 40_000),
    ];
    if has_radios(&settings.board) {
        let kind = if settings.version.has_wifi() { "wifi" } else { "wlan" };
        let [slow, fast] = radios(&settings.version);
        rows.push(interface("ether3", "ether", 0));
        rows.extend([interface(slow, kind, 550_000), interface(fast, kind, 300_000)]);
    } else {
        rows.push(interface("ether3", "ether", 850_000).with("comment", "access points"));
    }
    rows.push(interface("bridge-hotspot", "bridge", 870_000));
    rows
}
