//! Routers with scripted replies that the simulated router never sends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use phsweb_agent::routeros::wire::{Decoder, Sentence};

use super::agent::{Agent, AgentBuilder, until};

/// A router that accepts every login and then sends scripted replies.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    logins: AtomicU64,
    commands: AtomicU64,
    /// Whether it sends scripted replies instead of valid ones.
    bad: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Peer {
    /// `answer` gets the path and the tag of each command except logins.
    pub(crate) fn answering(answer: impl Fn(&str, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        Self::replying(move |command, tag| answer(&String::from_utf8_lossy(command.first()), tag))
    }

    /// `answer` gets each command except logins, and the tag as a word.
    pub(crate) fn replying(
        answer: impl Fn(&Sentence, &str) -> Vec<Sentence> + Send + Sync + 'static,
    ) -> Self {
        let peer = Self::serving(answer);
        peer.set_bad();
        peer
    }

    /// `bad` answers each command except logins by its tag, after [`Self::set_bad`]; before that replies are valid.
    pub(crate) fn start(bad: impl Fn(&str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        Self::serving(move |_, tag| bad(tag))
    }

    fn serving(bad: impl Fn(&Sentence, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (of_thread, bad) = (Arc::clone(&shared), Arc::new(bad));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.ended.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                of_thread.open.lock().unwrap().push(stream.try_clone().unwrap());
                let (shared, bad) = (Arc::clone(&of_thread), Arc::clone(&bad));
                thread::spawn(move || shared.serve(stream, &*bad));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn agent(&self, http: &str) -> Agent {
        AgentBuilder::default()
            .http(http)
            .defaults("refresh: \"1s\",")
            .site("awka", self.address, "collect: [\"resource\"]")
            .start()
    }

    pub(crate) fn set_bad(&self) {
        self.shared.bad.store(true, Ordering::SeqCst);
    }

    pub(crate) fn logins(&self) -> u64 {
        self.shared.logins.load(Ordering::SeqCst)
    }

    /// Waits until it has answered this many further commands.
    #[track_caller]
    pub(crate) fn wait_for_commands(&self, times: u64) {
        let answered = || self.shared.commands.load(Ordering::SeqCst);
        let enough = answered() + times;
        until(&format!("the router has answered {times} more commands"), || {
            (answered() >= enough).then_some(())
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The thread may have ended.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream, bad: &dyn Fn(&Sentence, &str) -> Vec<Sentence>) {
        let mut decoder = Decoder::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            decoder.push(&bytes[..count]);
            while let Some(command) = decoder.next().unwrap() {
                let command = command.to_sentence();
                let tag = command.tag().map(|tag| format!(".tag={}", str::from_utf8(tag).unwrap()));
                let tag = tag.unwrap_or_default();
                let answer = if command.first() == b"/login" {
                    self.logins.fetch_add(1, Ordering::SeqCst);
                    vec![Sentence::from_words(["!done"])]
                } else if self.bad.load(Ordering::SeqCst) {
                    bad(&command, &tag)
                } else {
                    vec![
                        Sentence::from_words(["!re", &tag, "=version=7.1"]),
                        Sentence::from_words(["!done", &tag]),
                    ]
                };
                let mut out = Vec::new();
                for sentence in &answer {
                    sentence.encode(&mut out);
                }
                // The agent may exit at any time.
                if stream.write_all(&out).is_err() {
                    return;
                }
                if command.first() != b"/login" {
                    self.commands.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}
