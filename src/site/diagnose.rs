//! `test`: a site's way from its name to its figures, step by step, each with its time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use smol::channel::Receiver;
use smol::future;

use super::config_cell::ConfigCell;
use crate::action::{DiagnosticStep, Responder};
use crate::clock::Moment;
use crate::config::{self, Host};
use crate::executor;
use crate::memory::Replies;
use crate::net::connect::{Stream, open, resolve, secure};
use crate::net::tls::Tls;
use crate::plugin::hotspot::command::remove_session;
use crate::plugin::{self, Context, Plugin};
use crate::routeros::client::{self, Client};
use crate::routeros::error::{Cause, Error};

/// The `.id` of a session that no router has: it is the broadcast address, in either byte order.
const NO_SESSION: &[u8] = b"*FFFFFFFF";

/// Walks to each host of a site, over connections of its own, and tells each step as it is done. It
/// logs in once to each host.
pub async fn diagnose(config: &config::Site, mut tell: impl FnMut(DiagnosticStep)) {
    for at in 0..config.hosts.len() {
        walk_to(at, config, &Arc::default(), &mut tell).await;
    }
}

async fn walk_to(
    at: usize,
    config: &config::Site,
    replies: &Arc<Replies>,
    tell: &mut impl FnMut(DiagnosticStep),
) {
    let (host, tls) = (&config.hosts[at], config.tls_of(at));
    let mut diagnose = Diagnosis { config, host, tls, replies, tell, under_way: None };
    // Each step is told, the one that ends it too.
    let _ = diagnose.all().await;
}

/// Walks whenever somebody wants to know, for ever.
pub(super) async fn diagnose_on_request(
    configured: ConfigCell,
    replies: Arc<Replies>,
    tests: Receiver<Responder<Vec<DiagnosticStep>>>,
) {
    while let Ok(answer) = tests.recv().await {
        // Nobody may want to know any more.
        if answer.is_closed() {
            continue;
        }
        let steps = walk_side_by_side(&configured.now(), &replies).await;
        // Who has gone meanwhile is told nothing.
        let _ = answer.try_send(Ok(steps));
    }
}

/// The steps to all hosts in their order, in the time of the one that takes longest: somebody waits.
async fn walk_side_by_side(config: &Arc<config::Site>, replies: &Arc<Replies>) -> Vec<DiagnosticStep> {
    let walk_to_one = |at: usize| {
        let (config, replies) = (config.clone(), replies.clone());
        executor::spawn(async move {
            let mut steps = Vec::new();
            walk_to(at, &config, &replies, &mut |step| steps.push(step)).await;
            steps
        })
    };
    let walks: Vec<_> = (0..config.hosts.len()).map(walk_to_one).collect();
    let mut steps = Vec::new();
    for diagnose in walks {
        steps.extend(diagnose.await);
    }
    steps
}

struct Diagnosis<'w, T> {
    config: &'w config::Site,
    host: &'w Host,
    tls: Cow<'w, Tls>,
    /// The memory that the answers of all connections share.
    replies: &'w Arc<Replies>,
    tell: &'w mut T,
    /// The step that has begun and not ended, and when it began.
    under_way: Option<(String, Instant)>,
}

impl<T: FnMut(DiagnosticStep)> Diagnosis<'_, T> {
    /// An error is that of the step which ends the walk.
    async fn all(&mut self) -> Result<(), Error> {
        let (config, host, tls) = (self.config, self.host, self.tls.clone());
        let began = Instant::now();
        let left = || config.connect_timeout.saturating_sub(began.elapsed());
        let failed = |error| Error::connecting(error, &tls);

        let addresses = self.step("resolve", async {
            let addresses = resolve((&host.name, host.port), left()).await.map_err(failed)?;
            let found: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Ok((found.join(", "), addresses))
        });
        let addresses = addresses.await?;
        let stream = self.step("connect", async {
            let stream = open(&addresses, left()).await.map_err(failed)?;
            let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
            Ok((peer, stream))
        });
        let stream = stream.await?;
        let stream: Box<dyn Stream> = if *tls == Tls::Off {
            Box::new(stream)
        } else {
            let secured = self.step("tls", async {
                let (stream, agreed) = secure(stream, &host.name, &tls, left()).await.map_err(failed)?;
                let agreed = agreed.map(|agreed| {
                    let pin = agreed.fingerprint.map(|pin| format!(", certificate {pin}"));
                    format!("{}{}", agreed.version, pin.unwrap_or_default())
                });
                Ok((agreed.unwrap_or_default(), stream))
            });
            secured.await?
        };
        let (client, connection) = client::over(stream);
        client.share(self.replies);
        let ended = async { Err(connection.run().await) };
        let outcome = future::or(self.logged_in(&client), ended).await;
        if let Err(error) = &outcome {
            // Where the connection ended in the middle of a step, that one failed, and none comes after it.
            self.ends(Err(error.clone()));
        }
        outcome
    }

    async fn logged_in(&mut self, client: &Client) -> Result<(), Error> {
        let config = self.config;
        self.step("login", async {
            let [user, password] = config.credentials();
            client.login(user, password, config.login, config.query_timeout).await?;
            Ok((format!("as {}", config.user), ()))
        })
        .await?;
        for plugin in &config.plugins {
            let listen = plugin.listen().filter(|_| config.live).map(|command| client.listen(command));
            // The next may be well though this one is not; but what of it can't be read is not followed either.
            let answered = self.step(plugin.name(), ask(plugin, client, config)).await.is_ok();
            if let Some(listen) = listen.filter(|_| answered) {
                let _ = self
                    .step("listen", async {
                        let told = match listen.take() {
                            Ok(_) => "changes are told as they happen".to_string(),
                            Err(error) => {
                                format!("refused, so changes show at each refresh: {}", error.message)
                            }
                        };
                        Ok((told, ()))
                    })
                    .await;
            }
            if answered && *plugin == Plugin::Hotspot {
                let _ = self.step("kick", try_kick(client, config)).await;
            }
        }
        Ok(())
    }

    async fn step<V>(
        &mut self,
        name: &str,
        act: impl Future<Output = Result<(String, V), Error>>,
    ) -> Result<V, Error> {
        self.under_way = Some((name.to_string(), Instant::now()));
        match act.await {
            Ok((found, value)) => {
                self.ends(Ok(found));
                Ok(value)
            }
            Err(error) => {
                self.ends(Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Tells how the step under way went, if there is one.
    fn ends(&mut self, outcome: Result<String, Error>) {
        if let Some((name, began)) = self.under_way.take() {
            (self.tell)(DiagnosticStep { host: self.host.to_string(), name, took: began.elapsed(), outcome });
        }
    }
}

/// Finds out whether the user may end sessions, by removing one that can't be there.
async fn try_kick(client: &Client, config: &config::Site) -> Result<(String, ()), Error> {
    let told = match client.call(remove_session(NO_SESSION), config.query_timeout).await {
        Err(error) if error.is_missing_item() => "sessions can be ended".into(),
        Err(error) if error.cause == Cause::Permission => {
            "sessions can't be ended: the user's group lacks the policy write".into()
        }
        Err(error) if !error.is_refusal() => return Err(error),
        Err(error) => format!("whether sessions can be ended is not known: {}", error.message),
        Ok(_) => "whether sessions can be ended is not known".into(),
    };
    Ok((told, ()))
}

/// Asks what a plugin asks, and reads it as a refresh does.
async fn ask(plugin: &Plugin, client: &Client, config: &config::Site) -> Result<(String, ()), Error> {
    let answers = client.call_all(plugin.commands(), config.query_timeout).await;
    plugin.read(&answers, None, &Context::new(Moment::now(), config.codepage))?;
    // Those of the first answer are the plugin's own; further answers only complete it.
    let rows = answers.first().and_then(|answer| answer.as_ref().ok()).map_or(0, |reply| reply.rows.len());
    let part = plugin::partial(&answers)
        .map(|why| format!(", and only a part: {}", why.message))
        .unwrap_or_default();
    Ok((format!("{rows} row{}{part}", if rows == 1 { "" } else { "s" }), ()))
}
