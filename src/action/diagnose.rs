//! Connection test: the steps from resolving a site's hosts to reading its plugins, each with its duration.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::ser::{Serialize, SerializeStruct, Serializer};
use smol::future;

use super::{Action, ActionError, ErrorJson, JobQueue};
use crate::clock::Moment;
use crate::config::{self, Host};
use crate::executor;
use crate::memory::Replies;
use crate::net::connect::{Stream, open, resolve, secure};
use crate::net::tls::Tls;
use crate::plugin::hotspot::command::remove_session;
use crate::plugin::{self, Plugin, ReadContext};
use crate::routeros::client::{self, Client};
use crate::routeros::error::{Cause, Error};
use crate::site::SiteContext;

/// The `.id` of a session that can't exist on any router: it is the broadcast address, in either byte order.
const NO_SESSION: &[u8] = b"*FFFFFFFF";

/// One step of a connection test. As JSON it has either a `detail` or an `error`.
#[derive(Debug, Clone)]
pub struct DiagnosticStep {
    /// The site's key.
    pub site: String,
    /// The host, with its port.
    pub host: String,
    /// `resolve`, `connect`, `tls`, `login`, `listen`, `kick`, or a plugin's name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// The result for people, or the error.
    pub outcome: Result<String, Error>,
    /// The result of the step `kick`: whether the agent may end sessions. `None` if unknown, and in other steps.
    pub may_end_sessions: Option<bool>,
}

impl Serialize for DiagnosticStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // To the microsecond.
        let seconds = (self.took.as_secs_f64() * 1e6).round() / 1e6;
        let mut step = serializer.serialize_struct("DiagnosticStep", 8)?;
        step.serialize_field("site", &self.site)?;
        step.serialize_field("host", &self.host)?;
        step.serialize_field("step", &self.name)?;
        step.serialize_field("ok", &self.outcome.is_ok())?;
        step.serialize_field("seconds", &seconds)?;
        step.serialize_field("detail", &self.outcome.as_ref().ok())?;
        step.serialize_field("error", &self.outcome.as_ref().err().map(|error| ErrorJson::new(error, None)))?;
        step.serialize_field("mayEndSessions", &self.may_end_sessions)?;
        step.end()
    }
}

/// A request to test the connection to a site's router.
#[derive(Debug)]
pub struct Diagnose;

impl Action for Diagnose {
    type Outcome = Vec<DiagnosticStep>;
    const NAME: &'static str = "test";
    const QUEUE: JobQueue = JobQueue::Separate;

    fn parse(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }

    fn result(steps: &Vec<DiagnosticStep>) -> String {
        let failed = steps.iter().filter(|step| step.outcome.is_err()).count();
        format!("tested steps={} failed={failed}", steps.len())
    }

    /// Tests all hosts concurrently, so the test takes as long as the slowest host.
    async fn job(self, site: Arc<SiteContext>, _: Moment) -> Result<Vec<DiagnosticStep>, ActionError> {
        let config = site.config();
        let test_one = |host: usize| {
            let (config, replies) = (config.clone(), site.store.budget().replies.clone());
            executor::spawn(async move {
                let mut steps = Vec::new();
                Diagnosis::new(&config, host, &replies, &mut |step| steps.push(step)).run().await;
                steps
            })
        };
        let tests: Vec<_> = (0..config.hosts.len()).map(test_one).collect();
        let mut steps = Vec::new();
        for test in tests {
            steps.extend(test.await);
        }
        Ok(steps)
    }
}

/// Tests each host of a site over a separate connection, with one login, and reports each step when it ends.
pub async fn diagnose(config: &config::Site, mut report: impl FnMut(DiagnosticStep) + Send) {
    for host in 0..config.hosts.len() {
        Diagnosis::new(config, host, &Arc::default(), &mut report).run().await;
    }
}

struct Diagnosis<'d> {
    config: &'d config::Site,
    host: &'d Host,
    tls: Cow<'d, Tls>,
    /// The memory that the replies of all connections share.
    replies: &'d Arc<Replies>,
    report: &'d mut (dyn FnMut(DiagnosticStep) + Send),
    /// The step in progress, and when it began.
    current: Option<(String, Instant)>,
}

impl<'d> Diagnosis<'d> {
    fn new(
        config: &'d config::Site,
        host: usize,
        replies: &'d Arc<Replies>,
        report: &'d mut (dyn FnMut(DiagnosticStep) + Send),
    ) -> Self {
        let (host, tls) = (&config.hosts[host], config.tls_of(host));
        Self { config, host, tls, replies, report, current: None }
    }

    async fn run(&mut self) {
        if let Err(error) = self.connect_and_read().await {
            // If the connection ended during a step, this step failed and is the last one.
            self.end_step(Err(error), None);
        }
    }

    /// Returns the error that ends the test early.
    async fn connect_and_read(&mut self) -> Result<(), Error> {
        let (config, host, tls) = (self.config, self.host, self.tls.clone());
        let failed = |error| Error::connecting(error, &tls);
        let began = Instant::now();
        let left = || config.connect_timeout.saturating_sub(began.elapsed());

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
        future::or(self.log_in_and_read(&client), async { Err(connection.run().await) }).await
    }

    async fn log_in_and_read(&mut self, client: &Client) -> Result<(), Error> {
        let config = self.config;
        self.step("login", async {
            let [user, password] = config.credentials();
            client.login(user, password, config.login, config.query_timeout).await?;
            Ok((format!("as {}", config.user), ()))
        })
        .await?;
        for plugin in &config.plugins {
            let listen = plugin.listen().filter(|_| config.live).map(|command| client.listen(&command));
            // If a plugin fails, the next one is still read, but the failed one is not followed.
            if self.step(plugin.name(), read(plugin, client, config)).await.is_err() {
                continue;
            }
            if let Some(listen) = listen {
                let detail = match listen.take() {
                    Ok(_) => "changes are reported as they happen".to_string(),
                    Err(error) => format!("refused, so changes show at each refresh: {}", error.message),
                };
                let _ = self.step("listen", async { Ok((detail, ())) }).await;
            }
            if *plugin == Plugin::Hotspot {
                self.begin_step("kick");
                let (outcome, may_end_sessions) = try_kick(client, config).await;
                self.end_step(outcome, may_end_sessions);
            }
        }
        Ok(())
    }

    async fn step<V>(
        &mut self,
        name: &str,
        act: impl Future<Output = Result<(String, V), Error>>,
    ) -> Result<V, Error> {
        self.begin_step(name);
        let (outcome, result) = match act.await {
            Ok((found, value)) => (Ok(found), Ok(value)),
            Err(error) => (Err(error.clone()), Err(error)),
        };
        self.end_step(outcome, None);
        result
    }

    fn begin_step(&mut self, name: &str) {
        self.current = Some((name.to_string(), Instant::now()));
    }

    /// Reports the step in progress, if there is one.
    fn end_step(&mut self, outcome: Result<String, Error>, may_end_sessions: Option<bool>) {
        if let Some((name, began)) = self.current.take() {
            let (site, host) = (self.config.key.clone(), self.host.to_string());
            let took = began.elapsed();
            (self.report)(DiagnosticStep { site, host, name, took, outcome, may_end_sessions });
        }
    }
}

/// Tests whether the user may end sessions, by removing a session that can't exist.
async fn try_kick(client: &Client, config: &config::Site) -> (Result<String, Error>, Option<bool>) {
    match client.call(remove_session(NO_SESSION), config.query_timeout).await {
        Err(error) if error.is_missing_item() => (Ok("sessions can be ended".into()), Some(true)),
        Err(error) if error.cause == Cause::Permission => {
            (Ok("sessions can't be ended: the user's group lacks the policy write".into()), Some(false))
        }
        Err(error) if !error.is_refusal() => (Err(error), None),
        Err(error) => (Ok(format!("whether sessions can be ended is not known: {}", error.message)), None),
        Ok(_) => (Ok("whether sessions can be ended is not known".into()), None),
    }
}

/// Queries a plugin's menus and reads the answers as a refresh does.
async fn read(plugin: &Plugin, client: &Client, config: &config::Site) -> Result<(String, ()), Error> {
    let answers = client.call_all(&plugin.commands(), config.query_timeout).await;
    plugin.read(&answers, None, &ReadContext::new(Moment::now(), config.codepage))?;
    // The plugin's rows are in the first answer; further answers only add details.
    let rows = answers.first().and_then(|answer| answer.as_ref().ok()).map_or(0, |reply| reply.rows.len());
    let part = plugin::partial(&answers).map(|why| format!(", partial: {}", why.message)).unwrap_or_default();
    Ok((format!("{rows} row{}{part}", if rows == 1 { "" } else { "s" }), ()))
}
