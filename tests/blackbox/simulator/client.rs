//! A minimal client that sends and receives sentences, and routers for it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use phsweb_agent::routeros::wire::{Decoder, Sentence};
use phsweb_agent::simulator::{Router, Row, Settings};

/// Timeout of each wait.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const V6_42: &str = "6.42.12 (long-term)";
pub(super) const V6_49: &str = "6.49.10 (stable)";
pub(super) const V7_11: &str = "7.11.2 (stable)";
pub(super) const V7_20: &str = "7.20.7 (long-term)";
pub(super) const V7_21: &str = "7.21.1 (stable)";

pub(super) fn version(text: &str) -> Settings {
    Settings { version: text.parse().unwrap(), ..Settings::default() }
}

pub(super) fn start(settings: Settings) -> Router {
    Router::start("127.0.0.1:0".parse().unwrap(), settings).unwrap()
}

/// A router without churn and with a menu of three rows that no real router has.
pub(super) fn with_crates(settings: Settings) -> Router {
    let router = start(settings);
    let row = |id: &str, name: &str, weight: u64| Row::new().id(id).with("name", name).with("weight", weight);
    let rows = vec![
        row("*1", "yam", 900),
        row("*2", "cassava", 1000).with("comment", "a=b"),
        row("*3", "palm", 80).with("comment", &b"\xC3\xEE\x00\r\n"[..]),
    ];
    router.set_rows("/test/crate", rows);
    router
}

/// Waits until a condition of the router is true. Fails after the timeout.
pub(super) fn until(router: &Router, what: &str, is_true: impl Fn(&Router) -> bool) {
    let condition = async {
        router.until(is_true).await;
        true
    };
    let timeout = async {
        smol::Timer::after(TIMEOUT).await;
        false
    };
    assert!(
        smol::block_on(smol::future::or(condition, timeout)),
        "timed out after {TIMEOUT:?} waiting until {what}"
    );
}

pub(super) struct Client<S = TcpStream> {
    pub(super) stream: S,
    decoder: Decoder,
}

impl Client {
    pub(super) fn connect(router: &Router) -> Self {
        let stream = TcpStream::connect(router.addr()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self::over(stream)
    }

    pub(super) fn logged_in(router: &Router) -> Self {
        let mut client = Self::connect(router);
        assert_eq!(client.ask(&["/login", "=name=api-user", "=password=password"]), ["!done"]);
        client
    }
}

impl<S: Read + Write> Client<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream, decoder: Decoder::default() }
    }

    pub(super) fn send(&mut self, words: &[&str]) {
        self.send_all(&[words]);
    }

    /// Sends commands in one write, so that they arrive together.
    pub(super) fn send_all(&mut self, commands: &[&[&str]]) {
        let mut bytes = Vec::new();
        for words in commands {
            Sentence::from_words(words.iter()).encode(&mut bytes);
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next sentence; `None` once the router has closed the connection.
    pub(super) fn sentence(&mut self) -> Option<Sentence> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(sentence) = self.decoder.next().unwrap() {
                return Some(sentence.to_sentence());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
                // The latter is TLS without a close.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) =>
                {
                    return None;
                }
                Err(error) => panic!("expected a sentence within {TIMEOUT:?}: {error}"),
            }
        }
    }

    /// The next sentence as its words with ` | ` between them, or `closed`.
    pub(super) fn next(&mut self) -> String {
        self.sentence().map_or("closed".to_string(), |sentence| show(&sentence))
    }

    /// The next sentences, sorted, where their order is not defined.
    pub(super) fn next_sorted(&mut self, count: usize) -> Vec<String> {
        let mut sentences: Vec<_> = (0..count).map(|_| self.next()).collect();
        sentences.sort();
        sentences
    }

    /// Sends a command. Returns all sentences up to its `!done` or `!fatal`.
    pub(super) fn ask(&mut self, words: &[&str]) -> Vec<String> {
        self.send(words);
        let mut sentences = Vec::new();
        loop {
            let next = self.next();
            let is_last = ["!done", "!fatal", "closed"].iter().any(|end| next.starts_with(end));
            sentences.push(next);
            if is_last {
                return sentences;
            }
        }
    }

    /// The rows of a reply, which must have no trap.
    pub(super) fn rows(&mut self, words: &[&str]) -> Vec<Sentence> {
        self.send(words);
        let mut rows = Vec::new();
        loop {
            let sentence = self.sentence().unwrap();
            match sentence.first() {
                b"!re" => rows.push(sentence),
                b"!empty" => {}
                b"!done" => return rows,
                _ => panic!("{}", show(&sentence)),
            }
        }
    }
}

pub(super) fn show(sentence: &Sentence) -> String {
    sentence.words().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" | ")
}

pub(super) fn text(row: &Sentence, key: &str) -> String {
    String::from_utf8_lossy(row.get(key).unwrap_or_else(|| panic!("expected {key} in {}", show(row))))
        .into_owned()
}

pub(super) fn number(row: &Sentence, key: &str) -> u64 {
    text(row, key).parse().unwrap()
}
