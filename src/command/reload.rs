//! Follows the file that the agent was started with, and all that it names.

use std::convert::Infallible;
use std::time::Duration;

use smol::channel::Receiver;
use smol::future::{FutureExt, pending};
use smol::{Timer, unblock};

use super::Failure;
use super::agent::Agent;
use crate::clock::Moment;
use crate::config::{self, Config, Problems, Watch};
use crate::state::{Problem, Reload};

/// Most problems that a line of the log tells.
const LOGGED: usize = 5;

/// What a command makes of each configuration before it is used.
pub(super) type Prepare = Box<dyn FnMut(Config) -> Result<Config, Failure>>;

/// Where configurations come from.
pub(super) struct Source {
    watch: Watch,
    prepare: Prepare,
    /// What is wrong with the file as it is, and with the page's place; each is logged once.
    unfit: Vec<Problem>,
    unmoved: Option<Problem>,
    /// Files that were replaced where they are mounted from; each is logged once.
    unlinked: Vec<Problem>,
    /// From one look at the files to the next.
    poll: Duration,
}

impl Source {
    /// Where the configurations after the first come from, which was good; or where the first itself comes
    /// from, while these are its `problems`.
    pub(super) fn new(watch: Watch, prepare: Prepare, problems: Option<&Problems>, poll: Duration) -> Self {
        let unfit: Vec<Problem> = problems.into_iter().flat_map(Problems::all).map(shown).collect();
        if !unfit.is_empty() {
            log::warn!("waiting for a configuration: {}", in_a_line(&unfit));
        }
        Self { watch, prepare, unfit, unmoved: None, unlinked: Vec::new(), poll }
    }

    /// How the first look went.
    pub(super) fn first(&self) -> Reload {
        Reload::first(Some(&self.watch.path().display().to_string()), self.unfit.clone())
    }

    /// Makes the agent as the file says whenever that changes, and looks at once when that is `wanted`.
    pub(super) async fn follow(mut self, mut agent: Agent, wanted: Receiver<()>) -> Infallible {
        loop {
            let is_asked = requested_within(&wanted, self.poll).await;
            // On another thread: a disk that hangs must not make the clients wait.
            let mut watch = self.watch;
            let (watch, news, unlinked) = unblock(move || {
                let news = if is_asked {
                    Some(watch.reload(&config::environment))
                } else {
                    watch.look(&config::environment)
                };
                let unlinked: Vec<Problem> = watch.unlinked().iter().map(shown).collect();
                (watch, news, unlinked)
            })
            .await;
            self.watch = watch;
            let is_news = news.is_some();
            if let Some(news) = news {
                self.take(news, &mut agent).await;
            }
            let unmoved = agent.move_on().await.err();
            if is_news || unmoved != self.unmoved || unlinked != self.unlinked {
                self.tell(unmoved, unlinked, &agent, is_news);
            }
        }
    }

    async fn take(&mut self, news: Result<Config, Problems>, agent: &mut Agent) {
        let path = self.watch.path().display().to_string();
        let prepared = match news {
            Ok(config) => (self.prepare)(config).map_err(|failure| {
                let (Failure::No(message) | Failure::Usage(message)) = failure;
                vec![Problem { place: path.clone(), message, excerpt: None }]
            }),
            Err(problems) => Err(problems.all().iter().map(shown).collect()),
        };
        match prepared {
            Ok(config) => {
                let changes = agent.become_as(config).await;
                log::info!("{path} was read again: {changes}");
                self.unfit.clear();
            }
            Err(unfit) => {
                if unfit != self.unfit {
                    log::warn!("{path} is not taken, all goes on as it was: {}", in_a_line(&unfit));
                }
                self.unfit = unfit;
            }
        }
    }

    /// Notes how it went, where all can see it.
    fn tell(&mut self, unmoved: Option<Problem>, unlinked: Vec<Problem>, agent: &Agent, is_news: bool) {
        let is_new =
            |problem: &&Problem| !self.unlinked.contains(problem) && self.unmoved.as_ref() != Some(problem);
        for problem in unlinked.iter().chain(&unmoved).filter(is_new) {
            log::warn!("{problem}");
        }
        (self.unmoved, self.unlinked) = (unmoved, unlinked);
        let problems = self.unfit.iter().chain(&self.unlinked).chain(&self.unmoved).cloned().collect();
        let is_taken = is_news && self.unfit.is_empty();
        agent.note_reload(|reload| reload.note(Moment::now(), is_taken, problems));
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

/// A problem or a warning as the page and the JSON show it.
pub(super) fn shown(problem: &config::Problem) -> Problem {
    Problem { place: problem.place().into(), message: problem.message().into(), excerpt: problem.excerpt() }
}

/// The first of them, without what their lines look like.
pub(super) fn in_a_line(problems: &[Problem]) -> String {
    let told = problems.iter().take(LOGGED).map(|problem| format!("{}: {}", problem.place, problem.message));
    let mut told: Vec<String> = told.collect();
    if problems.len() > LOGGED {
        told.push(format!("and {} more, which phsweb-agent check tells", problems.len() - LOGGED));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use smol::channel;

    use super::*;

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
