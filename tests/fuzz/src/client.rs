//! The whole client with a router that sends and reads whatever an input contains.
//!
//! An input is text. Each byte of its first line is an action of the client, see [`act`]; each other line is a step of
//! the router, see [`step`].

use super::peer::{FOREVER, Peer, ScriptStep, drive};
use phsweb_agent::routeros::client::{self, Client, Command, MAX_REPLY, MAX_ROWS, Reply};
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::routeros::value;
use phsweb_agent::routeros::wire::{Decoder, MAX_SENTENCE, Sentence};
use smol::future;

/// Most bytes that the router sends: enough for the most rows of an answer.
const MAX_STREAM: usize = 256 * 1024;

/// Most actions of the client.
const MAX_ACTS: usize = 16;

/// Most memory that the client may hold: all answers in flight and two sentences, twice, because of growing vectors.
const MAX_HELD: usize = 2 * (MAX_REPLY + 2 * MAX_SENTENCE);

/// Commands that are sent together.
const COMMANDS: [&str; 3] = ["/ip/hotspot/active/print", "/system/resource/print", "/system/health/print"];

/// Runs one input. `allocated` returns how many bytes of memory the process holds.
///
/// # Panics
///
/// When the input shows a fault: that is what the fuzzer looks for.
pub fn run(input: &[u8], allocated: impl Fn() -> usize) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let acts = lines.next().unwrap_or_default();
    let mut sent = 0;
    let mut last = Vec::new();
    let peer = Peer::new(lines.map(|line| {
        let step = step(line, &mut last, MAX_STREAM - sent);
        if let ScriptStep::Send(bytes) = &step {
            sent += bytes.len();
        }
        step
    }));

    let before = allocated();
    let within_bounds = || {
        let held = allocated().saturating_sub(before);
        assert!(held <= MAX_HELD, "expected at most {MAX_HELD} bytes, the client holds {held}");
    };
    let (client, connection) = client::over(Box::new(peer.clone()));
    let acting = act(&client, &acts[..acts.len().min(MAX_ACTS)]);
    let (why, ()) = drive(&peer, future::zip(connection.run(), acting), within_bounds);

    // A later command fails for the same reason.
    let late = drive(&peer, client.call(Command::new(COMMANDS[0]), FOREVER), || {});
    assert_eq!(late, Err(why));
    let usage = client.usage();
    assert!(usage.received_bytes <= sent as u64);
    check_sent(&peer.written(), usage);
}

/// The step of a line: `?` waits for the client to write, `<3` sends what follows in pieces of 3 bytes, `>3` reads 3 bytes
/// more, `%` breaks the connection, `*3` sends the last bytes three times more, a line that begins with `!` is a sentence
/// of the words between its spaces, and any other is sent unchanged.
fn step(line: &[u8], last: &mut Vec<u8>, room: usize) -> ScriptStep {
    let figure = || value::number(&line[1..]).and_then(|figure| usize::try_from(figure).ok()).unwrap_or(1);
    let mut bytes = match line.first() {
        Some(b'?') => return ScriptStep::Wait,
        Some(b'<') => return ScriptStep::Pieces(figure()),
        Some(b'>') => return ScriptStep::Read(figure()),
        Some(b'%') => return ScriptStep::Break,
        Some(b'*') => last.repeat(figure().min(room / last.len().max(1))),
        Some(b'!') => {
            last.clear();
            Sentence::from_words(line.split(|byte| *byte == b' ')).encode(last);
            last.clone()
        }
        _ => {
            last.clear();
            last.extend_from_slice(line);
            last.clone()
        }
    };
    bytes.truncate(room);
    ScriptStep::Send(bytes)
}

/// Performs the client's actions: it logs in by `p`assword or by `c`hallenge, `a`sks the commands, starts to `l`isten,
/// `t`akes the changes of the last listen, or `d`rops it. Then it waits until all listens have ended.
async fn act(client: &Client, acts: &[u8]) {
    let mut listens = Vec::new();
    for act in acts {
        match act {
            // The outcome depends on the router; that there is one is the property.
            b'p' => drop(client.login("api-user", "password", LoginMethod::Plain, FOREVER).await),
            b'c' => drop(client.login("api-user", "password", LoginMethod::Challenge, FOREVER).await),
            b'a' => {
                let replies = client.call_all(&COMMANDS.map(Command::new), FOREVER).await;
                assert_eq!(replies.len(), COMMANDS.len());
                check_rows(replies.iter().flatten());
            }
            b'l' => listens.push(client.listen(&Command::new("/ip/hotspot/active/listen"))),
            b't' => {
                if let Some(listen) = listens.pop() {
                    listen.changed().await;
                    if listen.take().is_ok() {
                        listens.push(listen);
                    }
                }
            }
            b'd' => drop(listens.pop()),
            _ => {}
        }
    }
    for listen in listens {
        loop {
            listen.changed().await;
            if listen.take().is_err() {
                break;
            }
            // The end wakes a waiting reader.
            if listen.take().is_err() {
                assert!(
                    future::poll_once(listen.changed()).await.is_some(),
                    "expected the end of the listen to be reported"
                );
                break;
            }
        }
    }
}

/// Each row is in the answer to the command with its tag.
fn check_rows<'r>(replies: impl Iterator<Item = &'r Reply>) {
    let mut tags = Vec::new();
    for reply in replies {
        assert!(reply.rows.len() <= MAX_ROWS);
        let mut own: Vec<_> = reply.rows.iter().map(|row| row.tag().and_then(value::number)).collect();
        own.dedup();
        assert!(own.len() <= 1 && own.iter().all(|tag| tag.is_some() && !tags.contains(tag)));
        tags.append(&mut own);
    }
}

/// The client has sent only commands, each with a tag unless it is a login. As the smallest free one is used, it is at most
/// the number of commands so far.
fn check_sent(written: &[u8], usage: client::ConnectionUsage) {
    let mut decoder = Decoder::default();
    decoder.push(written);
    let mut count = 0;
    while let Some(sentence) = decoder.next().expect("sentences") {
        count += 1;
        assert!(sentence.first().starts_with(b"/"));
        match sentence.tag().map(value::number) {
            None => assert_eq!(sentence.first(), b"/login"),
            Some(tag) => assert!(tag.is_some_and(|tag| (1..=count).contains(&tag)), "tag {tag:?} of {count}"),
        }
    }
    assert!(count <= usage.commands && usage.sent_bytes <= written.len() as u64);
}
