//! Any bytes in answer to a login, by either method, and as a challenge.
//!
//! An input is the size of the pieces of the answers, the length of the first of the two answers, and both answers.

use super::peer::{FOREVER, Peer, ScriptStep, drive};
use phsweb_agent::routeros::client;
use phsweb_agent::routeros::login::{self, LoginMethod};
use phsweb_agent::routeros::wire::{Decoder, Sentence, SentenceRef};
use smol::future;

const USER: &str = "api-user";
const PASSWORD: &str = "pass=word";

/// Runs one input.
///
/// # Panics
///
/// When the input shows a fault: that is what the fuzzer looks for.
pub fn run(input: &[u8]) {
    let &[piece, length, ref bytes @ ..] = input else { return };
    challenge(bytes);
    let (first, second) = bytes.split_at_checked(usize::from(length)).unwrap_or((bytes, &[]));
    for method in [LoginMethod::Plain, LoginMethod::Challenge] {
        let peer = Peer::new([
            ScriptStep::Pieces(usize::from(piece)),
            ScriptStep::Wait,
            ScriptStep::Send(first.into()),
            ScriptStep::Wait,
            ScriptStep::Send(second.into()),
        ]);
        let (client, connection) = client::over(Box::new(peer.clone()));
        let logging_in = client.login(USER, PASSWORD, method, FOREVER);
        let (_, outcome) = drive(&peer, future::zip(connection.run(), logging_in), || {});
        let sentences = sent(&peer.written());
        let words: Vec<&[u8]> = sentences.iter().flat_map(Sentence::words).collect();
        match method {
            LoginMethod::Plain => {
                assert_eq!(words, [&b"/login"[..], b"=name=api-user", b"=password=pass=word"]);
            }
            LoginMethod::Challenge => {
                assert!(
                    !words.iter().any(|word| word.starts_with(b"=password=")),
                    "expected the password not to be sent"
                );
                // An answer may arrive before the second sentence is sent.
                assert!(outcome.is_err() || client.usage().commands == 2);
            }
        }
    }
}

/// The commands that the client has sent.
fn sent(written: &[u8]) -> Vec<Sentence> {
    let mut decoder = Decoder::default();
    decoder.push(written);
    std::iter::from_fn(|| decoder.next().expect("expected complete sentences").map(SentenceRef::to_sentence))
        .collect()
}

/// Responds to these bytes as a challenge, and to their hexadecimal form.
fn challenge(bytes: &[u8]) {
    let is_challenge = bytes.len() == 32 && bytes.iter().all(u8::is_ascii_hexdigit);
    let digit = |value| char::from_digit(u32::from(value), 16).expect("expected four bits");
    let hex: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0F)]).collect();
    for (ret, is_challenge) in [(bytes, is_challenge), (hex.as_bytes(), hex.len() == 32)] {
        let sentence = login::respond(USER.as_bytes(), PASSWORD.as_bytes(), ret);
        assert_eq!(sentence.is_some(), is_challenge);
        let response = sentence.as_ref().and_then(|sentence| sentence.get("response"));
        assert!(response.is_none_or(|response| response.starts_with(b"00") && response.len() == 34));
    }
}
