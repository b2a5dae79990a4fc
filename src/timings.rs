//! Intervals of the agent's policies: how long it waits before it retries, polls or gives up.
//!
//! They are not settings: operators use [`Timings::default`]. One value holds them all, so that tests can shorten the
//! intervals they wait for, either in process or through the environment variable [`TEST_VARIABLE`]. Values that the
//! file sets per site, such as `refresh` and `query_timeout`, are in `config::Site`.

use std::env;
use std::time::Duration;

/// For tests only: `name=duration` pairs separated by blanks, such as `retry_min=100ms boot_retry=1s`. The last
/// pair of a name counts. The names are the fields of [`Timings`].
pub const TEST_VARIABLE: &str = "PHSWEB_AGENT_TEST_TIMINGS";

/// Declares the struct, its defaults and the access by name from one table.
macro_rules! timings {
    ($($(#[$doc:meta])* $name:ident: $millis:expr,)*) => {
        /// Every interval that a test may have to wait for.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Timings {
            $($(#[$doc])* pub $name: Duration,)*
        }

        impl Default for Timings {
            fn default() -> Self {
                Self { $($name: Duration::from_millis($millis),)* }
            }
        }

        impl Timings {
            fn by_name(&mut self, name: &str) -> Option<&mut Duration> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

timings! {
    // Connecting to a router.
    /// Shortest wait after a failed connection. It doubles with each consecutive failure.
    retry_min: 1000,
    /// Longest wait after a failed connection.
    retry_max: 60_000,
    /// Shortest wait after a refused login. The router logs each attempt, and a wrong password stays wrong until
    /// somebody changes it.
    auth_retry_min: 60_000,
    /// Longest wait after a refused login.
    auth_retry_max: 900_000,
    /// A session that lasted this long resets the waits. Consecutive shorter ones count as failures. Otherwise the
    /// agent would log in every second to a router that ends each session at once.
    retry_reset: 60_000,
    /// Maximum time that a router takes to boot. Until then it may refuse correct logins. The slowest boards take two
    /// minutes.
    boot_window: 180_000,
    /// Shortest wait after a refused login while the router may be booting.
    boot_retry: 30_000,
    /// Maximum time that a requested refresh waits for the next attempt to connect.
    early_retry: 2000,

    // Several hosts.
    /// After a session shorter than this, the site's other hosts are tried first: another link is preferred to one that
    /// is lost every few minutes.
    host_trial: 600_000,
    /// Shortest time between probes of an earlier host. Otherwise the interval is the site's `refresh`.
    failback_probe_min: 5000,
    /// Longest time between probes of an earlier host.
    failback_probe_max: 60_000,
    /// A session that lasted this long resets the number of probes that a failback needs.
    failback_reset: 1_800_000,

    // One session.
    /// Longest time without a command on a connection. Sites that refresh less often send a heartbeat in between.
    heartbeat: 60_000,
    /// Changes from `listen` within this time are applied together.
    change_batch: 200,
    /// Time from a reply that contradicts the changes from `listen` to the next read.
    recheck: 2500,
    /// A refresh requested within this time after the last one reuses its result.
    refresh_reuse: 1000,
    /// A requested refresh includes a plugin with its own interval only if its last read is at least this long ago: it
    /// may be expensive, and every viewer may request a refresh each second.
    plugin_reread: 10_000,
    /// Time between two reads of all properties of the sessions while a `listen` reports changes: a change that it does not
    /// report, such as of a comment, shows after this time. Reads in between only query the figures.
    whole_read: 600_000,

    /// Time between checks that a list has as many rows as the router counts. Missing rows are rare and permanent, so a
    /// count every five minutes suffices. It is hardly any load for the router.
    row_check: 300_000,

    // The configuration file.
    /// Time between checks of the file and of the files that it names.
    config_poll: 1000,
    /// How long a check of the files may take before it is reported: a network file system or a disk may hang.
    config_check_timeout: 10_000,
    /// How long the file may have different problems at each check before they are reported: it is probably being
    /// written.
    config_settle: 5000,
    /// Shortest time between two attempts to release the address of the listener for a new one: clients are refused
    /// meanwhile.
    rebind_retry: 60_000,

    // HTTP.
    /// Longest wait of a request for a site. It is shorter than `client_answer`, so that the client and the log get the
    /// reason.
    action_timeout: 25_000,
    /// Changes within this time are sent to event subscribers together.
    event_batch: 200,
    /// Time between comments in an event stream. They show both sides that the connection is alive, and keep a
    /// proxy from closing it.
    event_comment: 15_000,
    /// Time from the first byte of a request to the end of its head. For the first request it begins with the
    /// connection. The TLS handshake is included.
    client_head: 10_000,
    /// Time from the end of a request's head to the end of its body.
    client_body: 10_000,
    /// Time without any progress in writing a response.
    client_write: 10_000,
    /// Time from a response to the next request.
    client_idle: 30_000,
    /// Time from a complete request to its response.
    client_answer: 30_000,

    /// Time from a request with a wrong token to its refusal.
    wrong_token_delay: 1000,
    /// A login session that was not used for this long ends: a working day. An open page uses its own.
    session_idle: 43_200_000,

    // Stored data.
    /// Time between two regular writes of data that survives a restart: flash wears out.
    state_write: 300_000,
    /// How long a start waits for the lock of the directory: an agent that is shutting down ends within 2 s.
    state_lock: 2500,
    /// How long reading stored data, or a write, may take before it is reported: a network file system or a disk may
    /// hang.
    state_timeout: 10_000,
    // Messages about alerts.
    /// Time to resolve the name of a channel's server, and to connect to it.
    notify_connect: 10_000,
    /// Time for all of an attempt to send a message.
    notify_exchange: 30_000,
    /// Wait after the first failed attempt. It doubles with each consecutive one.
    notify_retry_min: 1000,
    /// Longest wait after a failed attempt, unless the server asks for more: an alert is urgent.
    notify_retry_max: 60_000,
    /// Shortest wait after an error that lasts until somebody changes a setting, such as a wrong token.
    notify_permanent_retry: 300_000,
    /// Time between the posts of an alert that fires to Alertmanager.
    notify_resend: 60_000,

    // Alerts.
    /// Alerts within this time are one message.
    alert_group: 20_000,
    /// Time between two evaluations of what depends on time.
    alert_tick: 1000,

    // Restart after a panic.
    /// Wait before the second restart in a row. It doubles with each further one.
    restart_min: 1000,
    /// Longest wait before a restart: an operator who fixes the cause checks the result within a minute.
    restart_max: 60_000,
    /// After running this long, a process counts as successfully started: its panic counts as the first.
    restart_reset: 600_000,
}

impl Timings {
    /// The defaults, changed by [`TEST_VARIABLE`] if it is set.
    ///
    /// # Errors
    ///
    /// The problem of the variable.
    pub fn from_environment() -> Result<Self, String> {
        match env::var(TEST_VARIABLE) {
            Ok(text) => Self::default().with(&text).map_err(|error| format!("{TEST_VARIABLE}: {error}")),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Returns these timings with the values in `text`.
    ///
    /// # Errors
    ///
    /// The pair that is not `name=duration`, or whose name is unknown.
    pub fn with(mut self, text: &str) -> Result<Self, String> {
        for pair in text.split_whitespace() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = self.by_name(name).ok_or_else(|| format!("unknown interval {name:?}"))?;
            *field = humantime::parse_duration(value).map_err(|error| {
                format!("{name}: found {value:?}; expected a duration such as 100ms: {error}")
            })?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The intervals for operators. A change of one of them is a change of behaviour and belongs in the changelog.
    #[test]
    fn defaults_are_pinned() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let millis = |millis| Duration::from_millis(millis);
        let expected = Timings {
            retry_min: seconds(1),
            retry_max: seconds(60),
            auth_retry_min: seconds(60),
            auth_retry_max: seconds(900),
            retry_reset: seconds(60),
            boot_window: seconds(180),
            boot_retry: seconds(30),
            early_retry: seconds(2),
            host_trial: seconds(600),
            failback_probe_min: seconds(5),
            failback_probe_max: seconds(60),
            failback_reset: seconds(30 * 60),
            heartbeat: seconds(60),
            change_batch: millis(200),
            recheck: millis(2500),
            refresh_reuse: seconds(1),
            plugin_reread: seconds(10),
            whole_read: seconds(600),
            row_check: seconds(300),
            config_poll: seconds(1),
            config_check_timeout: seconds(10),
            config_settle: seconds(5),
            rebind_retry: seconds(60),
            action_timeout: seconds(25),
            event_batch: millis(200),
            event_comment: seconds(15),
            client_head: seconds(10),
            client_body: seconds(10),
            client_write: seconds(10),
            client_idle: seconds(30),
            client_answer: seconds(30),
            wrong_token_delay: seconds(1),
            session_idle: seconds(12 * 3600),
            state_write: seconds(300),
            state_lock: millis(2500),
            state_timeout: seconds(10),
            notify_connect: seconds(10),
            notify_exchange: seconds(30),
            notify_retry_min: seconds(1),
            notify_retry_max: seconds(60),
            notify_permanent_retry: seconds(300),
            notify_resend: seconds(60),
            alert_group: seconds(20),
            alert_tick: seconds(1),
            restart_min: seconds(1),
            restart_max: seconds(60),
            restart_reset: seconds(600),
        };
        assert_eq!(Timings::default(), expected);
    }

    #[test]
    fn pairs_change_the_intervals_they_name() {
        let changed = Timings::default().with(" retry_min=100ms boot_retry=2s\tretry_min=50ms ").unwrap();
        let expected = Timings {
            retry_min: Duration::from_millis(50),
            boot_retry: Duration::from_secs(2),
            ..Timings::default()
        };
        assert_eq!(changed, expected);
        assert_eq!(Timings::default().with(""), Ok(Timings::default()));
    }

    #[test]
    fn errors_name_the_pair() {
        for (text, part) in [
            ("retry=1s", "unknown interval \"retry\""),
            ("retry_min", "retry_min: found \"\""),
            ("retry_min=1", "retry_min: found \"1\"; expected a duration"),
        ] {
            let error = Timings::default().with(text).unwrap_err();
            assert!(error.starts_with(part), "{text}: {error}");
        }
    }
}
