//! Metrics of the agent itself.

use super::process::Process;
use super::{seconds, truth};
use crate::clock::{Clock, Moment};
use crate::plugin::Family;
use crate::state::Reload;

/// The families of the agent and its process.
pub(super) fn families(
    clock: Clock,
    reload: &Reload,
    process: Process,
    log_lines_dropped: u64,
) -> [Family; 9] {
    let mut build = Family::gauge("phsweb_agent_build_info", "Always 1; the label is the agent's version.");
    build.add([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    [
        build,
        Family::gauge(
            "phsweb_agent_config_last_reload_successful",
            "1 if the configuration was valid when it was last read, else 0: an earlier version of it is in use.",
        )
        .of(Some(truth(reload.is_good()))),
        Family::gauge(
            "phsweb_agent_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read, in seconds since 1970. Absent before the first.",
        )
        .of(reload.succeeded.map(|at| seconds(clock, at))),
        Family::gauge(
            "phsweb_agent_config_last_look_timestamp_seconds",
            "When all files of the configuration were last read to the end, in seconds since 1970. The agent reads them \
             each second. Absent if there is no file.",
        )
        .of(reload.last_look.get().map(|at| seconds(clock, at))),
        Family::counter(
            "phsweb_agent_log_lines_dropped_total",
            "Log lines that were left out since the agent's start, because there were too many.",
        )
        .of(Some(log_lines_dropped as f64)),
        Family::gauge("process_start_time_seconds", "When the agent started, in seconds since 1970.")
            .of(Some(seconds(clock, Moment::START))),
        Family::counter(
            "process_cpu_seconds_total",
            "CPU time of the agent, in seconds. Absent if the system does not report it.",
        )
        .of(process.cpu_seconds),
        Family::gauge(
            "process_resident_memory_bytes",
            "Resident memory of the agent, in bytes. Absent if the system does not report it.",
        )
        .of(process.resident_bytes.map(|bytes| bytes as f64)),
        Family::gauge(
            "process_open_fds",
            "Open files and connections of the agent. Absent if the system does not report them.",
        )
        .of(process.open_fds.map(|fds| fds as f64)),
    ]
}
