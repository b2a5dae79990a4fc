//! Metrics of the agent itself.

use super::process::Process;
use crate::clock::Moment;
use crate::journal::JournalStats;
use crate::plugin::Family;
use crate::state::Snapshot;

/// Figures of the agent that no snapshot has.
#[derive(Default)]
pub(super) struct OwnFigures {
    pub(super) process: Process,
    pub(super) log_lines_dropped: u64,
    /// `None` if it is disabled.
    pub(super) journal: Option<JournalStats>,
    /// The families of other parts, such as alerts.
    pub(super) others: Vec<Family>,
}

/// The families of the agent and its process.
pub(super) fn families(snapshot: &Snapshot, own: OwnFigures) -> impl Iterator<Item = Family> {
    let Snapshot { clock, reload, storage, .. } = snapshot;
    let OwnFigures { process, log_lines_dropped, journal, others } = own;
    let stored = |value: f64| storage.directory.is_some().then_some(value);
    let gauge = |name: &'static str, help: &'static str, value| Family::gauge(name, help).with_value(value);
    let counter =
        |name: &'static str, help: &'static str, value| Family::counter(name, help).with_value(value);
    let date = |moment| clock.unix(moment).as_secs_f64();
    let mut build = Family::gauge("phsweb_agent_build_info", "Always 1; the label is the agent's version.");
    build.add([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let valid =
        "1 if the configuration was valid when it was last read, else 0: an earlier version of it is in use.";
    let read = "When the configuration in use was read, in seconds since 1970. Absent before the first.";
    let last_check = "When all files of the configuration were last read to the end, in seconds since 1970. The agent \
         reads them each second. Absent if there is no file.";
    let is_saving = "1 if all data that survives a restart could be stored at the last attempt, else 0. Absent if it is in \
         memory only.";
    let saved = "When such data was last written, in seconds since 1970. Absent before the first write.";
    let errors =
        "Attempts to write such data that failed since the agent's start. Absent if it is in memory only.";
    let dropped = "Log lines that were left out since the agent's start, because there were too many.";
    let start = "When the agent started, in seconds since 1970.";
    let cpu = "CPU time of the agent, in seconds. Absent if the system does not report it.";
    let memory = "Resident memory of the agent, in bytes. Absent if the system does not report it.";
    let open = "Open files and connections of the agent. Absent if the system does not report them.";
    let resident = process.resident_bytes.map(|bytes| bytes as f64);
    let families = [
        build,
        gauge("phsweb_agent_config_last_reload_successful", valid, Some(f64::from(reload.is_good()))),
        gauge("phsweb_agent_config_last_reload_success_timestamp_seconds", read, reload.succeeded.map(date)),
        gauge(
            "phsweb_agent_config_last_look_timestamp_seconds",
            last_check,
            reload.last_check.get().map(date),
        ),
        gauge("phsweb_agent_state_last_write_successful", is_saving, stored(f64::from(storage.is_saving))),
        gauge("phsweb_agent_state_last_write_success_timestamp_seconds", saved, storage.written.map(date)),
        counter("phsweb_agent_state_write_errors_total", errors, stored(storage.errors as f64)),
        counter("phsweb_agent_log_lines_dropped_total", dropped, Some(log_lines_dropped as f64)),
        counter(
            "phsweb_agent_journal_dropped_total",
            "Ended sessions that the journal dropped because it had too many. Absent if it is off.",
            journal.map(|journal| journal.dropped as f64),
        ),
        gauge(
            "phsweb_agent_journal_entries",
            "Ended sessions that the journal has. Absent if it is off.",
            journal.map(|journal| journal.entries as f64),
        ),
        gauge("process_start_time_seconds", start, Some(date(Moment::START))),
        counter("process_cpu_seconds_total", cpu, process.cpu_seconds),
        gauge("process_resident_memory_bytes", memory, resident),
        gauge("process_open_fds", open, process.open_fds.map(|fds| fds as f64)),
    ];
    families.into_iter().chain(others)
}
