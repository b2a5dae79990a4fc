//! Reloads the configuration when its file, or a file that it names, changes, and reports the result.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smol::channel::Receiver;
use smol::future::pending;
use smol::unblock;

use super::diagnostics::{public, summary};
use super::failure::Failure;
use crate::clock::Moment;
use crate::config::{self, Config, Diagnostics, Watch};
use crate::deadline::within;
use crate::state::{Reload, ReloadDiagnostic, Store};
use crate::timings::Timings;

/// Applies the options of the command line that override a configuration.
pub type Prepare = Box<dyn FnMut(Config) -> Result<Config, Failure>>;

/// Reads the configuration again when it changes. It reports each problem once in the log, and all of them in the
/// store, for the page and `/api/config`.
pub struct ConfigReloader {
    /// Locked while the files are checked, which happens on another thread.
    watch: Arc<Mutex<Watch>>,
    path: String,
    prepare: Prepare,
    is_missing: bool,
    /// Problems of the current content of the file.
    invalid: Vec<ReloadDiagnostic>,
    /// Whether no valid `http` section was read yet. Until then everybody may open the page, so it shows nothing
    /// private.
    is_unprotected: bool,
    /// Other problems: files that were replaced where they are mounted from, and an address that can't be bound.
    others: Vec<ReloadDiagnostic>,
    /// See `Timings::config_poll` and `Timings::config_check_timeout`.
    poll: Duration,
    check_timeout: Duration,
}

/// The result of one check of the files.
pub(super) struct FileCheck {
    /// The configuration to apply.
    pub(super) config: Option<Config>,
    /// Whether the files changed, or a reload was requested.
    is_new: bool,
    /// Whether the check took too long.
    took_too_long: bool,
    unlinked: Vec<ReloadDiagnostic>,
}

impl ConfigReloader {
    /// Follows the files of `watch`, whose first check found these problems.
    pub fn new(watch: Watch, prepare: Prepare, problems: Option<&Diagnostics>, timings: &Timings) -> Self {
        let path = watch.path().display().to_string();
        let invalid = problems.map(|problems| public(problems.all())).unwrap_or_default();
        if !invalid.is_empty() {
            log::warn!("config={path} reload=waiting problems={} msg={:?}", invalid.len(), summary(&invalid));
        }
        Self {
            is_missing: !watch.path().exists(),
            watch: Arc::new(Mutex::new(watch)),
            path,
            prepare,
            invalid,
            is_unprotected: problems.is_some_and(|problems| problems.http().is_none()),
            others: Vec::new(),
            poll: timings.config_poll,
            check_timeout: timings.config_check_timeout,
        }
    }

    /// The result of the first check.
    pub(super) fn first(&self) -> Reload {
        let mut reload = Reload::first(Some(&self.path), self.invalid.clone());
        reload.is_missing = self.is_missing;
        if self.is_unprotected {
            reload.withhold(is_harmless);
        }
        reload
    }

    /// Checks the files when the next check is due, or at once on a request.
    pub(super) async fn next(&mut self, requests: &Receiver<()>, store: &Store) -> FileCheck {
        let is_requested = requested_within(requests, self.poll).await;
        // This runs on another thread, because a disk that hangs must not block the clients.
        let watch = self.watch.clone();
        let mut checking = unblock(move || {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            let result = if is_requested {
                Some(watch.reload(&config::environment))
            } else {
                watch.check(&config::environment)
            };
            (result, public(&watch.unlinked()), !watch.path().exists())
        });
        let checked = within(self.check_timeout, &mut checking).await;
        let took_too_long = checked.is_none();
        let (result, unlinked, is_missing) = if let Some(checked) = checked {
            checked
        } else {
            // The kernel can't cancel it. No other check starts until it returns.
            self.report_hanging(store);
            checking.await
        };
        let snapshot = store.snapshot();
        snapshot.reload.last_check.set(Moment::now());
        let is_first = snapshot.reload.succeeded.is_none();
        let is_new = result.is_some();
        self.is_missing = is_missing;
        let config = result.and_then(|result| self.prepared(result, is_first));
        FileCheck { config, is_new, took_too_long, unlinked }
    }

    /// The configuration to apply. `None` if the file is invalid; before the first valid file, only its `http` section.
    fn prepared(&mut self, result: Result<Config, Diagnostics>, is_first: bool) -> Option<Config> {
        let mut http_only = None;
        let prepared = match result {
            Ok(config) => (self.prepare)(config).map_err(|failure| {
                let (Failure::Failed(message) | Failure::Usage(message)) = failure;
                vec![ReloadDiagnostic { place: self.path.clone(), message, excerpt: None }]
            }),
            Err(problems) => {
                if is_first && let Some(http) = problems.http().cloned() {
                    http_only = (self.prepare)(Config { http, ..Config::default() }).ok();
                }
                Err(public(problems.all()))
            }
        };
        let config = match prepared {
            Ok(config) => {
                self.invalid.clear();
                Some(config)
            }
            Err(invalid) => {
                if invalid != self.invalid {
                    log::warn!(
                        "config={} reload=rejected problems={} msg={:?}",
                        self.path,
                        invalid.len(),
                        summary(&invalid)
                    );
                }
                self.invalid = invalid;
                http_only
            }
        };
        self.is_unprotected &= config.is_none();
        config
    }

    /// Reports the result of a check, after its configuration was applied with these changes.
    pub(super) fn report(
        &mut self,
        check: FileCheck,
        changes: Option<&str>,
        rebind_error: Option<ReloadDiagnostic>,
        store: &Store,
    ) {
        let is_applied = check.is_new && self.invalid.is_empty();
        if is_applied && let Some(changes) = changes {
            log::info!("config={} reload=applied msg={changes:?}", self.path);
        }
        let others: Vec<_> = check.unlinked.into_iter().chain(rebind_error).collect();
        for problem in others.iter().filter(|problem| !self.others.contains(problem)) {
            self.log(problem);
        }
        if check.is_new || check.took_too_long || others != self.others {
            self.others = others;
            self.publish(store, is_applied, None);
        }
    }

    /// Reports that a check takes too long.
    fn report_hanging(&self, store: &Store) {
        let message = format!(
            "this file, or one that it names, could not be read within {}: its disk or network file system hangs. The \
             agent keeps its configuration, and checks it again when it can be read",
            humantime::format_duration(self.check_timeout)
        );
        let problem = ReloadDiagnostic { place: self.path.clone(), message, excerpt: None };
        self.log(&problem);
        self.publish(store, false, Some(problem));
    }

    fn log(&self, problem: &ReloadDiagnostic) {
        log::warn!("config={} place={} msg={:?}", self.path, problem.place, problem.message);
    }

    /// Publishes all problems in the store.
    fn publish(&self, store: &Store, is_applied: bool, hanging: Option<ReloadDiagnostic>) {
        let problems =
            self.invalid.iter().cloned().chain(hanging).chain(self.others.iter().cloned()).collect();
        store.note_reload(|reload| {
            reload.note(Moment::now(), is_applied, problems);
            reload.is_missing = self.is_missing;
            if self.is_unprotected {
                reload.withhold(is_harmless);
            }
        });
    }
}

/// Waits until a reload is requested, for this long at most, and returns whether it was. A closed channel does not
/// count as a request: otherwise the files would be read without pause.
async fn requested_within(requests: &Receiver<()>, most: Duration) -> bool {
    let request = async {
        match requests.recv().await {
            Ok(()) => {}
            Err(_) => pending().await,
        }
    };
    within(most, request).await.is_some()
}

/// Whether a problem reveals no site and no other content of the file: it is about the syntax, `http`, or a whole file.
fn is_harmless(problem: &ReloadDiagnostic) -> bool {
    let is_of_file = problem.excerpt.is_none() && !problem.place.starts_with("MIKROTIK_");
    is_of_file || ["not RON", "http."].iter().any(|start| problem.message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use smol::channel;

    use super::*;

    #[test]
    fn a_check_that_takes_too_long_continues() {
        let (answer, answered) = std::sync::mpsc::channel();
        let mut checking = unblock(move || answered.recv().unwrap());
        assert_eq!(smol::block_on(within(Duration::from_millis(10), &mut checking)), None);
        answer.send("checked").unwrap();
        assert_eq!(smol::block_on(checking), "checked");
        let quick = smol::block_on(within(Duration::from_secs(60), unblock(|| "quick")));
        assert_eq!(quick, Some("quick"));
    }

    #[test]
    fn a_closed_channel_requests_no_reload() {
        let (sender, requests) = channel::bounded(1);
        sender.try_send(()).unwrap();
        let (most, began) = (Duration::from_millis(50), Instant::now());
        assert!(smol::block_on(requested_within(&requests, 100 * most)));
        drop(sender);
        assert!(!smol::block_on(requested_within(&requests, most)));
        assert!(began.elapsed() >= most, "the wait ended early: the files would be read without pause");
    }
}
