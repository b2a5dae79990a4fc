//! The plugin `resource`: the router's version, load and memory.

use std::time::Duration;

use super::answer::{Answer, first};
use super::context::ReadContext;
use super::limits;
use super::metric::Family;
use super::table::Table;
use crate::routeros::client::Command;
use crate::routeros::error::Error;
use crate::routeros::value;

/// Properties of `/system/resource` that are shown or measured.
const RESOURCE: &str = "uptime,version,cpu-load,cpu-count,free-memory,total-memory,free-hdd-space,total-hdd-space,\
    architecture-name,board-name,platform";

/// The properties of `/system/resource`. Some boards lack some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Time since the router started.
    pub uptime: Option<Duration>,
    /// The number without the channel: `7.20.7` of `7.20.7 (long-term)`.
    pub version: Option<String>,
    /// 0 to 100, over all cores.
    pub cpu_load_percent: Option<u64>,
    /// Cores.
    pub cpu_count: Option<u64>,
    /// Bytes.
    pub free_memory: Option<u64>,
    /// Bytes.
    pub total_memory: Option<u64>,
    /// Bytes of storage.
    pub free_storage: Option<u64>,
    /// Bytes of storage.
    pub total_storage: Option<u64>,
    /// `arm64`, `mipsbe`, …
    pub architecture: Option<String>,
    /// The model: `hAP ac^2`, …
    pub board: Option<String>,
    /// `MikroTik`.
    pub platform: Option<String>,
}

impl Resource {
    /// The load over all cores in percent, unless the router sends nonsense.
    pub fn cpu_load(&self) -> Option<u64> {
        self.cpu_load_percent.filter(|percent| *percent <= 100)
    }

    /// Bytes of memory in use, and of all memory, unless the router sends nonsense.
    pub fn used_memory(&self) -> Option<(u64, u64)> {
        let total = self.total_memory.filter(|total| *total > 0)?;
        Some((total.checked_sub(self.free_memory?)?, total))
    }

    /// Memory in use in percent.
    pub fn used_memory_percent(&self) -> Option<f64> {
        self.used_memory().map(|(used, total)| used as f64 * 100.0 / total as f64)
    }

    /// The known properties, in base units.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut info = Family::gauge(
            "mikrotik_system_info",
            "Always 1; the labels are the board, the version of RouterOS and the architecture, empty where the \
             router sends none.",
        );
        let names =
            [("board_name", &self.board), ("version", &self.version), ("architecture", &self.architecture)];
        if names.iter().any(|(_, text)| text.is_some()) {
            info.add(names.map(|(name, text)| (name, text.as_deref().unwrap_or_default())), 1.0);
        }
        let load = self.cpu_load();
        let bytes = |count: Option<u64>| count.map(|count| count as f64);
        vec![
            info,
            Family::gauge(
                "mikrotik_system_uptime_seconds",
                "Seconds since the router started, at the last refresh. Absent while it is unknown.",
            )
            .with_value(self.uptime.map(|uptime| uptime.as_secs_f64())),
            Family::gauge(
                "mikrotik_system_cpu_load_ratio",
                "Load of the router's CPU over all cores, from 0 to 1. Absent while it is unknown.",
            )
            .with_value(load.map(|percent| percent as f64 / 100.0)),
            Family::gauge(
                "mikrotik_system_memory_free_bytes",
                "Bytes of the router's memory that are free. Absent while that is unknown.",
            )
            .with_value(bytes(self.free_memory)),
            Family::gauge(
                "mikrotik_system_memory_total_bytes",
                "Bytes of memory that the router has. Absent while that is unknown.",
            )
            .with_value(bytes(self.total_memory)),
        ]
    }

    /// One row per known property.
    pub(super) fn table(&self) -> Table {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let properties = [
            ("uptime", self.uptime.map(value::format_duration)),
            ("version", self.version.clone()),
            ("cpu-load", number(self.cpu_load_percent)),
            ("cpu-count", number(self.cpu_count)),
            ("free-memory", number(self.free_memory)),
            ("total-memory", number(self.total_memory)),
            ("free-hdd-space", number(self.free_storage)),
            ("total-hdd-space", number(self.total_storage)),
            ("architecture-name", self.architecture.clone()),
            ("board-name", self.board.clone()),
            ("platform", self.platform.clone()),
        ];
        let known = properties.into_iter().filter(|(_, value)| value.is_some());
        Table {
            columns: vec!["name".into(), "value".into()],
            rows: known.map(|(name, value)| vec![Some(name.to_string()), value]).collect(),
        }
    }
}

/// The command that asks for the resources.
pub(super) fn command() -> Command {
    Command::new("/system/resource/print").proplist(RESOURCE)
}

/// Reads the answer to [`command`].
pub(super) fn read(answers: &[Answer], context: &ReadContext) -> Result<Resource, Error> {
    let row = first(answers)?.rows.first();
    let raw = |key| row.and_then(|row| row.get(key)).filter(|value: &&[u8]| !value.is_empty());
    let text = |key, most| raw(key).map(|value| value::short_text(value, most, context.codepage));
    let number = |key| raw(key).and_then(value::number);
    Ok(Resource {
        uptime: raw("uptime").and_then(value::duration),
        // Without the channel in brackets, because comparisons of versions need the number.
        version: text("version", limits::VERSION)
            .map(|version| version.split(' ').next().unwrap_or_default().to_string()),
        // Some versions append a percent sign.
        cpu_load_percent: raw("cpu-load").and_then(|v| value::number(v.strip_suffix(b"%").unwrap_or(v))),
        cpu_count: number("cpu-count"),
        free_memory: number("free-memory"),
        total_memory: number("total-memory"),
        free_storage: number("free-hdd-space"),
        total_storage: number("total-hdd-space"),
        architecture: text("architecture-name", limits::ARCHITECTURE),
        board: text("board-name", limits::BOARD),
        platform: text("platform", limits::ARCHITECTURE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;

    fn read(words: &[&str]) -> Resource {
        let reply = Reply { rows: [Sentence::from_words(words)].into_iter().collect(), ..Reply::default() };
        let codepage = Codepage::named("windows-1252").unwrap();
        super::read(&[Ok(reply)], &ReadContext::new(Moment::now(), codepage)).unwrap()
    }

    #[test]
    fn the_channel_is_removed_from_a_version() {
        for (sent, shown) in
            [("7.20.7 (long-term)", "7.20.7"), ("7.21", "7.21"), ("6.49.10 (stable)", "6.49.10")]
        {
            assert_eq!(read(&["!re", &format!("=version={sent}")]).version.as_deref(), Some(shown));
        }
    }

    #[test]
    fn texts_are_shortened() {
        let words = ["version", "board-name", "architecture-name", "platform"]
            .map(|key| format!("={key}={}", "é".repeat(60_000)));
        let words: Vec<&str> = ["!re"].into_iter().chain(words.iter().map(String::as_str)).collect();
        let Resource { version, board, architecture, platform, .. } = read(&words);
        for (text, most) in [
            (version, limits::VERSION),
            (board, limits::BOARD),
            (architecture, limits::ARCHITECTURE),
            (platform, limits::ARCHITECTURE),
        ] {
            let text = text.unwrap();
            assert!(text.chars().count() == most && text.ends_with("é…"), "{text}");
        }
    }

    #[test]
    fn memory_in_use_is_unknown_if_the_router_sends_nonsense() {
        for (free, total, used) in
            [(30, 120, Some(75.0)), (0, 8, Some(100.0)), (8, 8, Some(0.0)), (0, 0, None), (2, 1, None)]
        {
            let words = [format!("=free-memory={free}"), format!("=total-memory={total}")];
            assert_eq!(read(&["!re", &words[0], &words[1]]).used_memory_percent(), used, "{free} of {total}");
        }
        assert_eq!(read(&["!re", "=free-memory=1"]).used_memory_percent(), None);
    }

    #[test]
    fn absent_or_malformed_properties_are_unknown() {
        let resource = read(&["!re", "=cpu-load=12", "=free-memory=lots", "=uptime=2w1d23h45m"]);
        assert_eq!(resource.cpu_load_percent, Some(12));
        assert_eq!(
            (resource.free_memory, resource.total_memory, resource.version.clone()),
            (None, None, None)
        );
        assert_eq!(resource.uptime, Some(Duration::from_secs(1_381_500)));
        assert_eq!(read(&["!re", "=cpu-load=12%"]).cpu_load_percent, Some(12));
        let rows = resource.table().rows;
        assert_eq!(rows[0], [Some("uptime".to_string()), Some("15d23h45m".to_string())]);
        assert_eq!(rows.len(), 2);
    }
}
