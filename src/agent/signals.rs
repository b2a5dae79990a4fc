//! Handles SIGTERM, SIGINT and SIGHUP from the start of the process.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_signal::Signal;
use smol::channel::{self, Receiver};
use smol::stream::StreamExt;

use super::failure::Failure;
use crate::{executor, logging};

/// The signals of a long-running command.
///
/// While the command starts, which may block on a file or wait before a restart, SIGTERM and SIGINT end the process at
/// once with exit code 0. In a container the agent must handle them, because the kernel ignores signals that the first
/// process does not handle.
#[derive(Debug)]
pub struct Signals {
    /// A message for each SIGHUP. SIGTERM and SIGINT close the channel.
    reloads: Receiver<()>,
    /// Whether the command waits for signals itself.
    is_running: Arc<AtomicBool>,
}

impl Signals {
    /// Starts to receive signals on the executor's thread, which calls `on_end` on SIGTERM or SIGINT.
    pub(super) fn receive(on_end: fn()) -> Result<Self, Failure> {
        let mut signals = async_signal::Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| Failure::Failed(format!("can't receive signals: {error}")))?;
        // A SIGHUP that is not handled yet covers the next one.
        let (sender, reloads) = channel::bounded(1);
        let is_running = Arc::new(AtomicBool::new(false));
        let command_runs = is_running.clone();
        let forward = async move {
            while let Some(signal) = signals.next().await {
                match signal {
                    Ok(Signal::Hup) => drop(sender.try_send(())),
                    Ok(signal) => {
                        on_end();
                        log::info!("signal={signal:?} msg=\"shutting down\"");
                        if !command_runs.load(Ordering::SeqCst) {
                            logging::end();
                            process::exit(0);
                        }
                        return;
                    }
                    Err(error) => log::warn!("msg=\"can't receive signals: {error}\""),
                }
            }
        };
        executor::spawn(forward).detach();
        Ok(Self { reloads, is_running })
    }

    /// Waits for SIGTERM or SIGINT, and calls `on_reload` on each SIGHUP.
    pub async fn until_ended(self, on_reload: impl Fn()) {
        self.is_running.store(true, Ordering::SeqCst);
        while self.reloads.recv().await.is_ok() {
            on_reload();
        }
    }
}

/// Handles SIGHUP if no configuration file is in use.
pub(super) fn nothing_to_reload() {
    log::info!("signal=Hup msg=\"no configuration file is in use: nothing to reload\"");
}
