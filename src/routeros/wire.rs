//! The RouterOS API on the wire: lengths, words and sentences. No I/O.
//!
//! A *word* is a length and that many bytes. A *sentence* is words up to one of length zero. [`Decoder::push`] accepts
//! bytes in pieces of any size, [`Decoder::next`] returns sentences:
//!
//! ```
//! use phsweb_agent::routeros::wire::{Decoder, Sentence};
//!
//! let mut bytes = Vec::new();
//! Sentence::from_words(["/login", "=name=api-user"]).encode(&mut bytes);
//!
//! let mut decoder = Decoder::default();
//! for byte in &bytes {
//!     assert!(decoder.next().unwrap().is_none());
//!     decoder.push(&[*byte]);
//! }
//! let sentence = decoder.next().unwrap().unwrap();
//! assert_eq!(sentence.words().collect::<Vec<_>>(), [&b"/login"[..], b"=name=api-user"]);
//! ```
//!
//! A length is only a claim of the peer, so the decoder allocates nothing for it: memory grows with the bytes that
//! arrive, and a claimed length above a limit of this module is an [`Error`] at once. After an error the next sentence
//! boundary is unknown; the connection must be closed.
//!
//! Source: MikroTik's documentation of the API ("API words", "API sentences").

use std::fmt;
use std::io::Write as _;

/// Longest word accepted, in bytes. `RouterOS` keeps comments and scripts under 64 KiB and sends file contents in 32 KiB
/// pieces; the agent sends no command whose answer has a longer word.
pub const MAX_WORD: usize = 128 * 1024;

/// Longest sentence accepted, in bytes of its words. The widest known row (an interface with all its counters) is under
/// 4 KiB, so two full words and more fit.
pub const MAX_SENTENCE: usize = 512 * 1024;

/// Maximum number of words in one sentence. The widest known row has about 90.
pub const MAX_WORDS: usize = 1024;

/// Bytes that a word's length takes at most.
const MAX_LENGTH: usize = 5;

/// Why a stream of bytes is not the RouterOS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// A length began with a byte from `0xF8` on: reserved for control, without a known meaning.
    ControlByte(u8),
    /// A word's length was over [`MAX_WORD`]; the claimed length in bytes.
    WordTooLong(u32),
    /// A sentence's words were over [`MAX_SENTENCE`] bytes together.
    SentenceTooLong,
    /// A sentence had more than [`MAX_WORDS`] words.
    TooManyWords,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlByte(byte) => write!(f, "found the byte 0x{byte:02x} where a word's length begins"),
            Self::WordTooLong(claimed) => {
                write!(f, "found a word of {claimed} bytes; the limit is {MAX_WORD}")
            }
            Self::SentenceTooLong => write!(f, "found a sentence of more than {MAX_SENTENCE} bytes"),
            Self::TooManyWords => write!(f, "found a sentence of more than {MAX_WORDS} words"),
        }
    }
}

impl std::error::Error for Error {}

/// The words of one sentence in a buffer, in their encoded form and without the empty word that ends it. Words are bytes,
/// because text may be in any code page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SentenceRef<'b> {
    pub(super) encoded: &'b [u8],
}

impl<'b> SentenceRef<'b> {
    /// The words in their order.
    pub fn words(self) -> impl Iterator<Item = &'b [u8]> {
        let mut rest = self.encoded;
        std::iter::from_fn(move || take_word(&mut rest))
    }

    /// The first word: the command of a request, or the kind of a reply such as `!re`.
    pub fn first(self) -> &'b [u8] {
        self.words().next().unwrap_or_default()
    }

    /// The attributes (`=key=value` words) in their order.
    pub fn attributes(self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.words().filter_map(attribute)
    }

    /// The value of the attribute `key`; the first one if a key is repeated.
    pub fn get(self, key: &str) -> Option<&'b [u8]> {
        self.words().find_map(|word| {
            let [b'=', word @ ..] = word else { return None };
            match word.strip_prefix(key.as_bytes())? {
                [b'=', value @ ..] => Some(value),
                rest => rest.is_empty().then_some(rest),
            }
        })
    }

    /// The value of the `.tag=` word, at any position. Tags are opaque bytes.
    pub fn tag(self) -> Option<&'b [u8]> {
        self.words().skip(1).find_map(|word| word.strip_prefix(b".tag="))
    }

    /// A copy that does not borrow the buffer.
    pub fn to_sentence(self) -> Sentence {
        Sentence::from_words(self.words())
    }
}

impl fmt::Debug for SentenceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.words().map(|word| {
                // A login carries the password, and a debug print may reach a log.
                let secret = word.starts_with(b"=password=") || word.starts_with(b"=response=");
                if secret { "(secret)".into() } else { String::from_utf8_lossy(word) }
            }))
            .finish()
    }
}

/// A sentence with a buffer of its own, word by word. It is read like a [`SentenceRef`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sentence {
    /// The shortest form of each word's length, and the word.
    encoded: Vec<u8>,
}

impl Sentence {
    /// A sentence of these words.
    pub fn from_words<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        let mut sentence = Self::default();
        for word in words {
            sentence.push(word.as_ref());
        }
        sentence
    }

    /// Adds a word. An empty one would end the sentence on the wire, so it is omitted.
    pub fn push(&mut self, word: &[u8]) {
        if !word.is_empty() {
            self.push_word([word]);
        }
    }

    /// Adds the attribute word `=key=value`.
    pub fn push_attribute(&mut self, key: &[u8], value: &[u8]) {
        self.push_word([b"=", key, b"=", value]);
    }

    /// Adds one word of these parts.
    pub(super) fn push_word<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let length = parts.iter().map(|part| part.len()).sum();
        self.encoded.reserve(length + MAX_LENGTH);
        encode_length(length, &mut self.encoded);
        for part in parts {
            self.encoded.extend_from_slice(part);
        }
    }

    /// The words in their order.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        SentenceRef::from(self).words()
    }

    /// See [`SentenceRef::first`].
    pub fn first(&self) -> &[u8] {
        SentenceRef::from(self).first()
    }

    /// See [`SentenceRef::attributes`].
    pub fn attributes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        SentenceRef::from(self).attributes()
    }

    /// See [`SentenceRef::get`].
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        SentenceRef::from(self).get(key)
    }

    /// See [`SentenceRef::tag`].
    pub fn tag(&self) -> Option<&[u8]> {
        SentenceRef::from(self).tag()
    }

    /// Bytes of memory that the sentence takes.
    pub fn cost(&self) -> usize {
        size_of::<Self>() + self.encoded.capacity()
    }

    /// Appends the encoded sentence, including its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_tagged(None, out);
    }

    /// Appends the encoded sentence with the word `.tag=` if it has a tag, including its end.
    pub(super) fn encode_tagged(&self, tag: Option<u64>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoded);
        if let Some(tag) = tag {
            let digits = 1 + tag.checked_ilog10().unwrap_or_default() as usize;
            encode_length(b".tag=".len() + digits, out);
            // Writing to a vector does not fail.
            let _ = write!(out, ".tag={tag}");
        }
        out.push(0);
    }
}

impl<'s> From<&'s Sentence> for SentenceRef<'s> {
    fn from(sentence: &'s Sentence) -> Self {
        Self { encoded: &sentence.encoded }
    }
}

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SentenceRef::from(self).fmt(f)
    }
}

/// Splits `=key=value` at the second `=`, because a value may contain more of them. `=key` alone has an empty value; a
/// word of another form is not an attribute. It is inlined like `take_word`.
#[allow(clippy::inline_always)]
#[inline(always)]
pub fn attribute(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let [b'=', rest @ ..] = word else { return None };
    match rest.iter().position(|&byte| byte == b'=') {
        Some(at) => Some((&rest[..at], &rest[at + 1..])),
        None => Some((rest, b"")),
    }
}

/// Appends the shortest form of a word's length.
///
/// # Panics
///
/// If the length is 4 GiB or more, which the protocol can't encode.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    assert!(u32::try_from(length).is_ok(), "a word of {length} bytes has no form on the wire");
    let [.., b3, b2, b1, b0] = length.to_be_bytes();
    match length {
        0..0x80 => out.push(b0),
        0x80..0x4000 => out.extend([0x80 | b1, b0]),
        0x4000..0x20_0000 => out.extend([0xC0 | b2, b1, b0]),
        0x20_0000..0x1000_0000 => out.extend([0xE0 | b3, b2, b1, b0]),
        _ => out.extend([0xF0, b3, b2, b1, b0]),
    }
}

/// Takes the first of encoded words. Almost all are short, and a refresh reads thousands several times: a call and the
/// general form of lengths for each of them would be a large part of its time.
#[allow(clippy::inline_always)]
#[inline(always)]
fn take_word<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, taken) = match *rest.first()? {
        length @ 0..0x80 => (length.into(), 1),
        _ => decode_length(rest).ok()??,
    };
    let (word, after) = rest[taken..].split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(word)
}

/// Reads a length at the start of `bytes`: the length and how many bytes it took, or `None` while some of them have not
/// arrived. Longer forms than needed are accepted.
fn decode_length(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let (more, high) = match first {
        0x00..0x80 => (0, first),
        0x80..0xC0 => (1, first & 0x3F),
        0xC0..0xE0 => (2, first & 0x1F),
        0xE0..0xF0 => (3, first & 0x0F),
        // The low three bits are not used: RouterOS sends F0.
        0xF0..0xF8 => (4, 0),
        0xF8.. => return Err(Error::ControlByte(first)),
    };
    let Some(tail) = bytes.get(1..=more) else { return Ok(None) };
    let length = tail.iter().fold(u32::from(high), |length, &byte| length << 8 | u32::from(byte));
    Ok(Some((length, 1 + more)))
}

/// Decodes sentences from bytes as they arrive.
///
/// It holds at most the current sentence ([`MAX_SENTENCE`]) and the bytes of the last push, and nothing between sentences.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes whose sentence was not returned yet, from `start` on.
    bytes: Vec<u8>,
    /// Where the current sentence begins.
    start: usize,
    /// Where its next word begins.
    at: usize,
    /// The number of its words so far.
    words: usize,
    /// Their length in bytes.
    length: usize,
}

impl Decoder {
    /// Adds bytes from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        (self.start, self.at) = (0, self.at - self.start);
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole sentence, or `None` until more bytes are pushed. Empty sentences are ignored.
    ///
    /// # Errors
    ///
    /// When the bytes are not the RouterOS API or pass a limit; every later call returns the same error.
    // Not an iterator: `None` means "not yet", and an error is final.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<SentenceRef<'_>>, Error> {
        while let Some((length, taken)) = decode_length(&self.bytes[self.at..])? {
            let length = match usize::try_from(length) {
                Ok(length) if length <= MAX_WORD => length,
                _ => return Err(Error::WordTooLong(length)),
            };
            if self.length + length > MAX_SENTENCE {
                return Err(Error::SentenceTooLong);
            }
            if length > 0 && self.words == MAX_WORDS {
                return Err(Error::TooManyWords);
            }
            let (word, end) = (self.at, self.at + taken + length);
            if end > self.bytes.len() {
                return Ok(None);
            }
            self.at = end;
            if length > 0 {
                (self.words, self.length) = (self.words + 1, self.length + length);
                continue;
            }
            let start = std::mem::replace(&mut self.start, end);
            let words = std::mem::take(&mut self.words);
            self.length = 0;
            if words > 0 {
                return Ok(Some(SentenceRef { encoded: &self.bytes[start..word] }));
            }
        }
        if self.start == self.bytes.len() {
            // An idle connection holds no buffer.
            *self = Self::default();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths and their forms, from MikroTik's documentation and recorded traces.
    const LENGTHS: &[(usize, &[u8])] = &[
        (0x00, &[0x00]),
        (0x7F, &[0x7F]),
        (0x80, &[0x80, 0x80]),
        (0x87, &[0x80, 0x87]),
        (256, &[0x81, 0x00]),
        (0x3FFF, &[0xBF, 0xFF]),
        (0x4000, &[0xC0, 0x40, 0x00]),
        (0x4321, &[0xC0, 0x43, 0x21]),
        (0x1F_FFFF, &[0xDF, 0xFF, 0xFF]),
        (0x20_0000, &[0xE0, 0x20, 0x00, 0x00]),
        (0x2A_CDEF, &[0xE0, 0x2A, 0xCD, 0xEF]),
        (0xFFF_FFFF, &[0xEF, 0xFF, 0xFF, 0xFF]),
        (0x1000_0000, &[0xF0, 0x10, 0x00, 0x00, 0x00]),
        (0x1000_0080, &[0xF0, 0x10, 0x00, 0x00, 0x80]),
    ];

    fn decode(bytes: &[u8]) -> Result<Vec<Sentence>, Error> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        let mut sentences = Vec::new();
        while let Some(sentence) = decoder.next()? {
            sentences.push(sentence.to_sentence());
        }
        Ok(sentences)
    }

    #[test]
    fn lengths_take_their_documented_forms() {
        for &(length, form) in LENGTHS {
            let mut encoded = Vec::new();
            encode_length(length, &mut encoded);
            assert_eq!(encoded, form, "{length:#x}");
            let expected = (u32::try_from(length).unwrap(), form.len());
            assert_eq!(decode_length(form), Ok(Some(expected)), "{length:#x}");
        }
    }

    #[test]
    fn every_prefix_of_a_length_waits_for_more() {
        for &(length, form) in LENGTHS {
            for cut in 0..form.len() {
                assert_eq!(decode_length(&form[..cut]), Ok(None), "{length:#x} cut at {cut}");
            }
        }
    }

    #[test]
    fn longer_forms_than_needed_are_accepted() {
        assert_eq!(decode_length(&[0x80, 0x05]), Ok(Some((5, 2))));
        assert_eq!(decode_length(&[0xF0, 0, 0, 0, 5]), Ok(Some((5, 5))));
    }

    #[test]
    fn control_bytes_are_refused() {
        for byte in 0xF8..=0xFF {
            assert_eq!(decode(&[byte]), Err(Error::ControlByte(byte)));
        }
    }

    #[test]
    fn sentences_are_the_same_however_the_stream_is_split() {
        let sentences = [
            Sentence::from_words(["!re", ".tag=3", "=name=a=b", "=comment=", "=x"]),
            Sentence::from_words([&b"!re"[..], b"=comment=\xCF\xF0\x00\r\n=.tag=9"]),
            Sentence::from_words(["!done".to_string(), format!("=ret={}", "x".repeat(20_000))]),
        ];
        let mut bytes = vec![0, 0];
        for sentence in &sentences {
            sentence.encode(&mut bytes);
            bytes.push(0);
        }
        assert_eq!(decode(&bytes).unwrap(), sentences);
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                decoder.push(part);
                while let Some(sentence) = decoder.next().unwrap() {
                    got.push(sentence.to_sentence());
                }
            }
            assert_eq!(got, sentences, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_held_between_sentences() {
        let mut bytes = Vec::new();
        Sentence::from_words(["!re", "=comment=x"]).encode(&mut bytes);
        let mut decoder = Decoder::default();
        decoder.push(&bytes.repeat(100));
        while decoder.next().unwrap().is_some() {}
        assert_eq!(decoder.bytes.capacity(), 0);
    }

    #[test]
    fn a_tag_is_the_last_word() {
        for tag in [1, 9, 10, 12_345, u64::MAX] {
            let mut bytes = Vec::new();
            Sentence::from_words(["/a"]).encode_tagged(Some(tag), &mut bytes);
            assert_eq!(decode(&bytes), Ok(vec![Sentence::from_words(["/a", &format!(".tag={tag}")])]));
        }
    }

    #[test]
    fn every_prefix_of_a_sentence_waits_for_more() {
        let mut bytes = Vec::new();
        Sentence::from_words(["!trap", ".tag=1", "=message=no such command"]).encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Ok(vec![]), "cut at {cut}");
        }
    }

    #[test]
    fn attributes_split_at_the_second_equals_sign() {
        for (word, expected) in [
            (&b"=a=b"[..], Some((&b"a"[..], &b"b"[..]))),
            (b"=a=b=c", Some((b"a", b"b=c"))),
            (b"=a=", Some((b"a", b""))),
            (b"=a", Some((b"a", b""))),
            (b"=.id=*1", Some((b".id", b"*1"))),
            (b"==x", Some((b"", b"x"))),
            (b"=", Some((b"", b""))),
            (b".tag=1", None),
            (b"?name=x", None),
            (b"!re", None),
            (b"", None),
        ] {
            assert_eq!(attribute(word), expected, "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn a_tag_is_found_at_any_position() {
        assert_eq!(Sentence::from_words(["!re", ".tag=ab-1", "=x=1"]).tag(), Some(&b"ab-1"[..]));
        assert_eq!(Sentence::from_words(["!re", "=x=1", ".tag=7"]).tag(), Some(&b"7"[..]));
        assert_eq!(Sentence::from_words(["!re", "=x=.tag=7"]).tag(), None);
        assert_eq!(Sentence::from_words(["!done"]).tag(), None);
    }

    #[test]
    fn a_length_past_a_limit_is_refused_before_its_bytes_arrive() {
        assert_eq!(decode(&[0xF0, 0x7F, 0xFF, 0xFF, 0xFF]), Err(Error::WordTooLong(0x7FFF_FFFF)));
        let mut bytes = Vec::new();
        encode_length(MAX_WORD + 1, &mut bytes);
        assert!(matches!(decode(&bytes), Err(Error::WordTooLong(_))));
        bytes.clear();
        encode_length(MAX_WORD, &mut bytes);
        assert_eq!(decode(&bytes), Ok(vec![]));
    }

    #[test]
    fn a_sentence_without_end_is_refused() {
        let mut decoder = Decoder::default();
        let word = [&[3u8][..], b"=a="].concat();
        let refused = (0..=MAX_WORDS).find_map(|_| {
            decoder.push(&word);
            decoder.next().err()
        });
        assert_eq!(refused, Some(Error::TooManyWords));
        assert_eq!(decoder.next(), Err(Error::TooManyWords), "an error is final");

        let mut decoder = Decoder::default();
        let mut word = Vec::new();
        encode_length(MAX_WORD, &mut word);
        word.resize(word.len() + MAX_WORD, b'x');
        let refused = (0..=MAX_SENTENCE / MAX_WORD).find_map(|_| {
            decoder.push(&word);
            decoder.next().err()
        });
        assert_eq!(refused, Some(Error::SentenceTooLong));
    }

    #[test]
    fn debug_output_hides_credentials() {
        let sentence = Sentence::from_words(["/login", "=name=api", "=password=hunter2", "=response=00ff"]);
        let shown = format!("{sentence:?}");
        assert!(
            shown.contains("=name=api") && !shown.contains("hunter2") && !shown.contains("00ff"),
            "{shown}"
        );
    }
}
