//! Routers that say what no simulated one would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use phsweb_agent::routeros::wire::{Decoder, Sentence};
use serde_json::Value;

use super::agent::{Agent, Given, until};

/// A line that no router may get into the log: it has everything that a true one has.
const FORGED: &str = "2026-01-01T00:00:00.000Z ERROR [phsweb_agent::site] awka: forged";

/// Longest text that a page, a JSON or a line may repeat of a router's, in characters: eight of its traps.
const SHORT: usize = 2000;

/// What the agent may take more for a talkative router, in KiB: less than one of its answers.
const MORE_KIB: u64 = 6 * 1024;

/// A router by hand: it lets everybody in, and then says what it is made to say.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
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
    pub(super) fn answering(answer: impl Fn(&str, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        Self::asked(move |asked, tag| answer(&String::from_utf8_lossy(asked.first()), tag))
    }

    /// `answer` is given all but logins, and the tag as a word.
    pub(super) fn asked(answer: impl Fn(&Sentence, &str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
        let peer = Self::serving(answer);
        peer.set_bad();
        peer
    }

    /// `bad` answers all but logins by their tag, once it is told to; before that there are no rows.
    pub(super) fn start(bad: impl Fn(&str) -> Vec<Sentence> + Send + Sync + 'static) -> Self {
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

    fn agent(&self, http: &str) -> Agent {
        Given::default()
            .http(http)
            .defaults("refresh: \"1s\",")
            .site("awka", self.address, "collect: [\"resource\"]")
            .start()
    }

    pub(super) fn set_bad(&self) {
        self.said.bad.store(true, Ordering::SeqCst);
    }

    fn logins(&self) -> u64 {
        self.said.logins.load(Ordering::SeqCst)
    }

    /// Waits until it was asked this many times more.
    #[track_caller]
    pub(super) fn asked_again(&self, times: u64) {
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

/// These traps, as the whole answer.
fn traps<'m>(tag: &str, messages: impl IntoIterator<Item = &'m str>) -> Vec<Sentence> {
    let trap = |message| Sentence::from_words(["!trap", tag, &format!("=message={message}")]);
    let mut answer: Vec<Sentence> = messages.into_iter().map(trap).collect();
    answer.push(Sentence::from_words(["!done", tag]));
    answer
}

/// A message that quotes the router, and no more of it than a person wants.
#[track_caller]
fn is_short_line(text: &Value) {
    let text = text.as_str().unwrap();
    assert!(text.contains("forged"), "{text:?} is not about it");
    assert!(text.chars().count() < SHORT, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[test]
fn a_router_of_many_words_is_quoted_in_few() {
    // Each character costs a page or a JSON several: so much the worse when they are repeated.
    let long = format!("\n{FORGED}\r\n\u{1b}[2J{}", "\"<\u{1}\n".repeat(30_000));
    assert!(long.len() > 120_000 && long.len() < 128 * 1024);
    let peer = Peer::start(move |tag| traps(tag, std::iter::repeat_n(long.as_str(), 60)));
    let agent = peer.agent("admin: Token(Plain(\"t\")),").with_token("t");
    let paths =
        ["/", "/sites/awka", "/api/sites", "/api/sites/awka", "/api/hotspot/stats", "/api/hotspot/awka"];
    let ask_all = || {
        for path in paths {
            let answer = agent.get(path);
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.body.len() < 64 * 1024, "{path} has {} bytes", answer.body.len());
        }
    };
    agent.well("awka");
    ask_all();
    let before = agent.running.memory_kib("VmHWM");
    peer.set_bad();
    let site = until("the plugin fails", || {
        let site = agent.json("/api/sites/awka");
        site["plugins"]["resource"]["error"].is_object().then_some(site)
    });
    is_short_line(&site["plugins"]["resource"]["error"]["message"]);
    for _ in 0..3 {
        ask_all();
        peer.asked_again(1);
    }
    assert_eq!(agent.json("/api/sites/awka")["state"], "online", "it answers, though with a refusal");
    let more = agent.running.memory_kib("VmHWM") - before;
    assert!(more < MORE_KIB, "{more} KiB more than {before}");

    let said = until("the log tells it", || {
        let said = agent.running.err();
        said.contains("awka: resource: protocol: ").then_some(said)
    });
    assert!(said.contains(FORGED), "it is quoted: {said}");
    for line in said.lines() {
        assert!(!line.starts_with(FORGED) && !line.contains(char::is_control), "{line:?} in {said}");
        assert!(line.chars().count() < SHORT, "{} characters", line.chars().count());
    }
}

#[test]
fn a_forged_line_in_a_routers_last_words_is_no_line() {
    let last = format!("\n{FORGED}\r\n{}", "\"\u{1}".repeat(60_000));
    let peer = Peer::start(move |_| vec![Sentence::from_words(["!fatal", &last])]);
    let agent = peer.agent("");
    agent.well("awka");
    peer.set_bad();
    is_short_line(&agent.fails("awka", "closed")["error"]["message"]);
    let said = until("the log tells it", || {
        let said = agent.running.err();
        said.contains("awka: offline: closed: ").then_some(said)
    });
    assert!(said.contains(FORGED), "it is quoted: {said}");
    assert!(!said.lines().any(|line| line.starts_with(FORGED)), "{said}");
}

#[test]
fn a_timeout_that_the_router_tells_of_is_an_answer() {
    let peer = Peer::start(|tag| traps(tag, ["std failure: timeout (13)"]));
    peer.set_bad();
    let agent = peer.agent("");
    // The second question is asked after the first one's answer was understood.
    peer.asked_again(4);
    let site = agent.json("/api/sites/awka");
    let plugin = &site["plugins"]["resource"];
    assert_eq!((&site["state"], &plugin["state"]), (&"online".into(), &"failed".into()), "{site}");
    assert_eq!(plugin["error"]["cause"], "query_timeout", "{site}");
    assert!(plugin["error"]["message"].as_str().unwrap().contains("(13)"), "{site}");
    assert_eq!((peer.logins(), &site["usage"]["logins"]), (1, &1.into()), "over one connection: {site}");
    assert_eq!(site["connections"].as_array().unwrap().len(), 1, "{site}");
}
