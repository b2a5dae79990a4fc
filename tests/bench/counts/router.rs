//! A router in memory, whose replies are rendered in advance and the same in each run.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use allocation_counter::opt_out;
use phsweb_agent::routeros::wire::{Decoder, Sentence, SentenceRef};
use smol::io::{AsyncRead, AsyncWrite};

/// The online sessions.
pub(crate) const SESSIONS: u32 = 200;

/// The client's end of the connection. A clone is the same end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Router(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    commands: Decoder,
    /// How many times the sessions were printed: their counters grow.
    prints: u32,
    replies: Vec<u8>,
    sent: usize,
    reader: Option<Waker>,
}

impl State {
    fn reply(&mut self, command: &Sentence) {
        let tag = command.words().find(|word| word.starts_with(b".tag=")).unwrap_or_default();
        let rows = match command.first() {
            b"/ip/hotspot/active/print" => {
                self.prints += 1;
                let is_whole = command.get(".proplist").is_none_or(|list| list.starts_with(b".id,user,"));
                let session = if is_whole { session } else { figures };
                (0..SESSIONS).map(|number| session(number, self.prints)).collect()
            }
            b"/ip/hotspot/user/print" if command.get("count-only").is_none() => {
                vec![row(&[("name", "default-trial")])]
            }
            b"/ip/hotspot/print" => vec![row(&[("name", "hotspot1")])],
            b"/system/resource/print" => vec![row(&[
                ("uptime", "15d23h45m"),
                ("version", "7.20.7 (long-term)"),
                ("free-memory", "45678912"),
                ("total-memory", "134217728"),
                ("cpu-count", "4"),
                ("cpu-load", "12"),
                ("architecture-name", "arm"),
                ("board-name", "hAP ac^2"),
                ("platform", "MikroTik"),
            ])],
            b"/system/health/print" => vec![row(&[("name", "temperature"), ("value", "44"), ("type", "C")])],
            _ => Vec::new(),
        };
        for row in rows {
            let words = [&b"!re"[..], tag].into_iter().chain(row.words());
            Sentence::from_words(words).encode(&mut self.replies);
        }
        let mut done = Sentence::from_words([b"!done", tag]);
        if command.get("count-only").is_some() {
            done.push_attribute(b"ret", b"151");
        }
        done.encode(&mut self.replies);
    }
}

fn row(attributes: &[(&str, &str)]) -> Sentence {
    let mut row = Sentence::default();
    for (key, value) in attributes {
        row.push_attribute(key.as_bytes(), value.as_bytes());
    }
    row
}

fn session(number: u32, prints: u32) -> Sentence {
    let (third, fourth) = (50 + number / 250, 2 + number % 250);
    row(&[
        (".id", &format!("*A05{third:02X}{fourth:02X}")),
        ("server", "hotspot1"),
        ("user", &format!("user-{number:03}")),
        ("address", &format!("10.5.{third}.{fourth}")),
        ("mac-address", &format!("8C:F5:A3:00:{third:02X}:{fourth:02X}")),
        ("login-by", "http-chap"),
        ("uptime", "3h4m5s"),
        ("idle-time", "2s"),
        ("bytes-in", &(1_000_000 + number * 1000 + prints * 100).to_string()),
        ("bytes-out", &(20_000_000 + number * 10_000 + prints * 1000).to_string()),
    ])
}

/// The same with the properties that change all the time only.
fn figures(number: u32, prints: u32) -> Sentence {
    let mut figures = Sentence::default();
    let texts: [&[u8]; 5] = [b"server", b"user", b"address", b"mac-address", b"login-by"];
    for (key, value) in session(number, prints).attributes().filter(|(key, _)| !texts.contains(key)) {
        figures.push_attribute(key, value);
    }
    figures
}

impl AsyncRead for Router {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        let rest = &state.replies[state.sent..];
        if rest.is_empty() {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        state.sent += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Router {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The client's work counts, not the router's.
        opt_out(|| {
            let mut state = self.0.lock().unwrap();
            state.commands.push(bytes);
            while let Some(command) = state.commands.next().unwrap().map(SentenceRef::to_sentence) {
                state.reply(&command);
            }
        });
        if let Some(reader) = self.0.lock().unwrap().reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
