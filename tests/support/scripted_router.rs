//! Routers that say what no simulated one would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use phsweb_agent::routeros::wire::{Decoder, Sentence};

use super::agent::{Agent, Given, until};

/// A router by hand: it lets everybody in, and then says what it is made to say.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    logins: AtomicU64,
    commands: AtomicU64,
    /// Whether it speaks out of turn, or like any other router.
    bad: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Peer {
    /// `answer` is given the path and the tag of all but logins.
    pub(crate) fn answering(answer: impl Fn(&str, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        Self::asked(move |asked, tag| answer(&String::from_utf8_lossy(asked.first()), tag))
    }

    /// `answer` is given all but logins, and the tag as a word.
    pub(crate) fn asked(answer: impl Fn(&Sentence, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        let peer = Self::serving(answer);
        peer.set_bad();
        peer
    }

    /// `bad` answers all but logins by their tag, once it is told to; before that there are no rows.
    pub(crate) fn start(bad: impl Fn(&str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        Self::serving(move |_, tag| bad(tag))
    }

    fn serving(bad: impl Fn(&Sentence, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Said::default());
        let (shared, bad) = (Arc::clone(&said), Arc::new(bad));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                shared.open.lock().unwrap().push(stream.try_clone().unwrap());
                let (shared, bad) = (Arc::clone(&shared), Arc::clone(&bad));
                thread::spawn(move || shared.serve(stream, &*bad));
            }
        });
        Self { address, said }
    }

    pub(crate) fn agent(&self, http: &str) -> Agent {
        Given::default()
            .http(http)
            .defaults("refresh: \"1s\",")
            .site("awka", self.address, "collect: [\"resource\"]")
            .start()
    }

    pub(crate) fn set_bad(&self) {
        self.said.bad.store(true, Ordering::SeqCst);
    }

    pub(crate) fn logins(&self) -> u64 {
        self.said.logins.load(Ordering::SeqCst)
    }

    /// Waits until it was asked this many times more.
    #[track_caller]
    pub(crate) fn asked_again(&self, times: u64) {
        let asked = || self.said.commands.load(Ordering::SeqCst);
        let enough = asked() + times;
        until("it was asked again", || (asked() >= enough).then_some(()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.said.ended.store(true, Ordering::SeqCst);
        // It need not be there any more.
        let _ = TcpStream::connect(self.address);
        for stream in self.said.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Said {
    fn serve(&self, mut stream: TcpStream, bad: &dyn Fn(&Sentence, &str) -> Vec<Sentence>) {
        let mut decoder = Decoder::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            decoder.push(&bytes[..count]);
            while let Some(asked) = decoder.next().unwrap() {
                let tag = asked.tag().map(|tag| format!(".tag={}", str::from_utf8(tag).unwrap()));
                let tag = tag.unwrap_or_default();
                let answer = if asked.first() == b"/login" {
                    self.logins.fetch_add(1, Ordering::SeqCst);
                    vec![Sentence::from_words(["!done"])]
                } else if self.bad.load(Ordering::SeqCst) {
                    bad(&asked, &tag)
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
                // The agent may end at any moment.
                if stream.write_all(&out).is_err() {
                    return;
                }
                if asked.first() != b"/login" {
                    self.commands.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}
