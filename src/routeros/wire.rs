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

/// Longest word accepted, in bytes. `RouterOS` keeps comments and scripts under 64 KiB and sends file contents in 32 KiB
/// pieces; the agent sends no command whose answer has a longer word.
pub const MAX_WORD: usize = 128 * 1024;

/// Longest sentence accepted, in bytes of its words. The widest known row (an interface with all its counters) is under
/// 4 KiB, so two full words and more fit.
pub const MAX_SENTENCE: usize = 512 * 1024;

/// Maximum number of words in one sentence. The widest known row has about 90.
pub const MAX_WORDS: usize = 1024;

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

/// The words of one sentence, without the empty word that ends it. Words are bytes, because text may be in any code page.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sentence {
    bytes: Vec<u8>,
    /// The end of each word in `bytes`, which are far fewer than 4 GiB.
    ends: Vec<u32>,
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
            self.bytes.extend_from_slice(word);
            self.end_word();
        }
    }

    fn end_word(&mut self) {
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Adds the attribute word `=key=value`.
    pub fn push_attribute(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.end_word();
    }

    /// Adds the word `.tag=` with a number.
    pub fn push_tag(&mut self, tag: u64) {
        self.push(format!(".tag={tag}").as_bytes());
    }

    /// The words in their order.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        let ends = || self.ends.iter().map(|&end| end as usize);
        std::iter::once(0).chain(ends()).zip(ends()).map(|(start, end)| &self.bytes[start..end])
    }

    /// The first word: the command of a request, or the kind of a reply such as `!re`.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.words().next().unwrap_or_default()
    }

    /// The attributes (`=key=value` words) in their order.
    pub fn attributes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.words().filter_map(attribute)
    }

    /// The value of the attribute `key`; the first one if a key is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.attributes().find_map(|(k, v)| (k == key.as_bytes()).then_some(v))
    }

    /// The value of the `.tag=` word, at any position. Tags are opaque bytes.
    #[must_use]
    pub fn tag(&self) -> Option<&[u8]> {
        self.words().skip(1).find_map(|word| word.strip_prefix(b".tag="))
    }

    /// Total length of the words, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that the sentence takes. Many short words cost more than their bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    /// Whether the sentence has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends the encoded sentence, including its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for word in self.words() {
            encode_length(word.len(), out);
            out.extend_from_slice(word);
        }
        out.push(0);
    }
}

impl fmt::Debug for Sentence {
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

/// Splits `=key=value` at the second `=`, because a value may contain more of them. `=key` alone has an empty value; a
/// word of another form is not an attribute.
#[must_use]
pub fn attribute(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = word.strip_prefix(b"=")?;
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
/// It holds at most the current sentence ([`MAX_SENTENCE`]) and the bytes of the last push.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes that are not decoded yet, from `at` on.
    bytes: Vec<u8>,
    at: usize,
    /// The current sentence.
    sentence: Sentence,
}

impl Decoder {
    /// Adds bytes from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole sentence, or `None` until more bytes are pushed. Empty sentences are ignored.
    ///
    /// # Errors
    ///
    /// When the bytes are not the RouterOS API or pass a limit; every later call returns the same error.
    // Not an iterator: `None` means "not yet", and an error is final.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Sentence>, Error> {
        while let Some((length, taken)) = decode_length(&self.bytes[self.at..])? {
            let word = self.at + taken;
            let length = match usize::try_from(length) {
                Ok(length) if length <= MAX_WORD => length,
                _ => return Err(Error::WordTooLong(length)),
            };
            if self.sentence.len() + length > MAX_SENTENCE {
                return Err(Error::SentenceTooLong);
            }
            if length > 0 && self.sentence.ends.len() == MAX_WORDS {
                return Err(Error::TooManyWords);
            }
            let Some(bytes) = self.bytes.get(word..word + length) else { return Ok(None) };
            self.sentence.push(bytes);
            self.at = word + length;
            if length == 0 && !self.sentence.is_empty() {
                // An answer has thousands of these, so unused capacity is returned.
                self.sentence.bytes.shrink_to_fit();
                self.sentence.ends.shrink_to_fit();
                return Ok(Some(std::mem::take(&mut self.sentence)));
            }
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
            sentences.push(sentence);
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
                    got.push(sentence);
                }
            }
            assert_eq!(got, sentences, "cut at {cut}");
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
