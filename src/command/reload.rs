//! Follows the file that the agent was started with, and all that it names.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smol::channel::Receiver;
use smol::future::{FutureExt, pending};
use smol::{Task, Timer, unblock};

use super::Failure;
use super::agent::Agent;
use super::problems::{in_a_line, shown};
use crate::clock::Moment;
use crate::config::{self, Config, Diagnostics, Watch};
use crate::state::{Reload, ReloadDiagnostic};
use crate::timings::Timings;

/// What a command makes of each configuration before it is used.
pub(super) type Prepare = Box<dyn FnMut(Config) -> Result<Config, Failure>>;

/// Where configurations come from.
pub(super) struct ConfigReloader {
    /// Its lock is held by the look that goes on.
    watch: Arc<Mutex<Watch>>,
    path: String,
    prepare: Prepare,
    /// What is wrong with the file as it is, and with the page's place; each is logged once.
    invalid: Vec<ReloadDiagnostic>,
    /// Whether no `http` was ever read: then anybody may look, and sees nothing that may be private.
    is_unprotected: bool,
    unmoved: Option<ReloadDiagnostic>,
    /// Files that were replaced where they are mounted from; each is logged once.
    unlinked: Vec<ReloadDiagnostic>,
    /// That a look at the files does not end; it is logged once.
    hanging: Option<ReloadDiagnostic>,
    /// From one look at the files to the next, and how long one may take.
    poll: Duration,
    look: Duration,
}

impl ConfigReloader {
    /// Where the configurations after the first come from, which was good; or where the first itself comes
    /// from, while these are its `problems`.
    pub(super) fn new(
        watch: Watch,
        prepare: Prepare,
        problems: Option<&Diagnostics>,
        timings: &Timings,
    ) -> Self {
        let invalid: Vec<ReloadDiagnostic> =
            problems.into_iter().flat_map(Diagnostics::all).map(shown).collect();
        let is_unprotected = problems.is_some_and(|problems| problems.http().is_none());
        if !invalid.is_empty() {
            log::warn!("waiting for a configuration: {}", in_a_line(&invalid));
        }
        Self {
            path: watch.path().display().to_string(),
            watch: Arc::new(Mutex::new(watch)),
            prepare,
            invalid,
            is_unprotected,
            unmoved: None,
            unlinked: Vec::new(),
            hanging: None,
            poll: timings.config_poll,
            look: timings.config_look,
        }
    }

    /// How the first look went.
    pub(super) fn first(&self) -> Reload {
        let mut reload = Reload::first(Some(&self.path), self.invalid.clone());
        if self.is_unprotected {
            reload.withhold(is_harmless);
        }
        reload
    }

    /// Makes the agent as the file says whenever that changes, and looks at once when that is `wanted`.
    pub(super) async fn follow(mut self, mut agent: Agent, wanted: Receiver<()>) -> Infallible {
        loop {
            let is_asked = requested_within(&wanted, self.poll).await;
            // On another thread: a disk that hangs must not make the clients wait.
            let watch = self.watch.clone();
            let looking = unblock(move || {
                let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                let news = if is_asked {
                    Some(watch.reload(&config::environment))
                } else {
                    watch.look(&config::environment)
                };
                let unlinked: Vec<ReloadDiagnostic> = watch.unlinked().iter().map(shown).collect();
                (news, unlinked)
            });
            let (news, unlinked) = match within(self.look, looking).await {
                Ok(looked) => looked,
                // The kernel can't be told to give up. Until it does, no other look begins.
                Err(looking) => {
                    self.hangs(&agent);
                    looking.await
                }
            };
            agent.looked();
            let is_back = self.hanging.take().is_some();
            let is_news = news.is_some();
            if let Some(news) = news {
                self.take(news, &mut agent).await;
            }
            let unmoved = agent.rebind().await.err();
            if is_news || is_back || unmoved != self.unmoved || unlinked != self.unlinked {
                self.tell(unmoved, unlinked, &agent, is_news);
            }
        }
    }

    async fn take(&mut self, news: Result<Config, Diagnostics>, agent: &mut Agent) {
        let path = self.path.clone();
        if agent.is_waiting()
            && let Err(problems) = &news
            && let Some(http) = problems.http().cloned()
            && let Ok(config) = (self.prepare)(Config { http, ..Config::default() })
        {
            self.is_unprotected = false;
            agent.apply_config(config).await;
        }
        let prepared = match news {
            Ok(config) => (self.prepare)(config).map_err(|failure| {
                let (Failure::No(message) | Failure::Usage(message)) = failure;
                vec![ReloadDiagnostic { place: path.clone(), message, excerpt: None }]
            }),
            Err(problems) => Err(problems.all().iter().map(shown).collect()),
        };
        match prepared {
            Ok(config) => {
                let changes = agent.apply_config(config).await;
                log::info!("{path} was read again: {changes}");
                self.invalid.clear();
                self.is_unprotected = false;
            }
            Err(invalid) => {
                if invalid != self.invalid {
                    log::warn!("{path} is not taken, all goes on as it was: {}", in_a_line(&invalid));
                }
                self.invalid = invalid;
            }
        }
    }

    /// Says that a look takes too long.
    fn hangs(&mut self, agent: &Agent) {
        let message = format!(
            "this file, or one that it names, did not answer within {}: its disk or network file system hangs; the \
             agent goes on with what it has read, and looks again once the file answers",
            humantime::format_duration(self.look)
        );
        let problem = ReloadDiagnostic { place: self.path.clone(), message, excerpt: None };
        log::warn!("{problem}");
        self.hanging = Some(problem);
        self.note(agent, false);
    }

    /// Notes how it went, where all can see it.
    fn tell(
        &mut self,
        unmoved: Option<ReloadDiagnostic>,
        unlinked: Vec<ReloadDiagnostic>,
        agent: &Agent,
        is_news: bool,
    ) {
        let is_new = |problem: &&ReloadDiagnostic| {
            !self.unlinked.contains(problem) && self.unmoved.as_ref() != Some(problem)
        };
        for problem in unlinked.iter().chain(&unmoved).filter(is_new) {
            log::warn!("{problem}");
        }
        (self.unmoved, self.unlinked) = (unmoved, unlinked);
        self.note(agent, is_news && self.invalid.is_empty());
    }

    fn note(&self, agent: &Agent, is_taken: bool) {
        let problems = self.invalid.iter().chain(&self.hanging).chain(&self.unlinked).chain(&self.unmoved);
        let problems = problems.cloned().collect();
        agent.note_reload(|reload| {
            reload.note(Moment::now(), is_taken, problems);
            if self.is_unprotected {
                reload.withhold(is_harmless);
            }
        });
    }
}

/// What a task gives within this time, or the task, which goes on.
async fn within<T>(most: Duration, mut task: Task<T>) -> Result<T, Task<T>> {
    let late = async {
        Timer::after(most).await;
        None
    };
    match async { Some((&mut task).await) }.or(late).await {
        Some(done) => Ok(done),
        None => Err(task),
    }
}

/// Waits until a reload is requested, for this long at most, and returns whether it was. A closed channel is no
/// request: the files would be read without pause.
async fn requested_within(requests: &Receiver<()>, most: Duration) -> bool {
    let request = async {
        match requests.recv().await {
            Ok(()) => true,
            Err(_) => pending().await,
        }
    };
    let late = async {
        Timer::after(most).await;
        false
    };
    request.or(late).await
}

/// Whether a problem names no site and nothing else of the file's content: of its syntax, of `http`, or of a whole file.
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
    fn a_look_that_hangs_is_told_of_and_goes_on() {
        let (answer, answered) = std::sync::mpsc::channel();
        let looking = unblock(move || answered.recv().unwrap());
        let Err(looking) = smol::block_on(within(Duration::from_millis(10), looking)) else {
            panic!("it ended before it was answered");
        };
        answer.send("looked").unwrap();
        assert_eq!(smol::block_on(looking), "looked");
        let quick = smol::block_on(within(Duration::from_secs(60), unblock(|| "quick")));
        assert_eq!(quick.ok(), Some("quick"));
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
