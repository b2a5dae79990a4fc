//! Properties of the codec: sentences of any words round-trip, however the stream is split.
//!
//! This file has an encoder of its own, so that a mistake that the crate's encoder and decoder share is found, too.

use phsweb_agent::routeros::wire::{Decoder, MAX_WORD, Sentence, SentenceRef, attribute};
use proptest::collection::vec;
use proptest::prelude::*;

/// A stream of at most this many bytes is split at every place; a longer one at some.
const SHORT: usize = 512;

/// Number of cases per property.
const CASES: u32 = 256;

/// The lengths at which the form of a length changes, and the longest that is accepted.
const BOUNDARIES: [usize; 3] = [0x80, 0x4000, MAX_WORD];

/// A word's length: short, or close to a boundary.
fn length() -> impl Strategy<Value = usize> {
    let close_to = |at: usize| at - 2..=(at + 2).min(MAX_WORD);
    prop_oneof![
        8 => 1..40_usize,
        3 => close_to(BOUNDARIES[0]),
        1 => close_to(BOUNDARIES[1]),
        1 => close_to(BOUNDARIES[2]),
    ]
}

/// A word of any bytes. A long one repeats a few, which is faster.
fn word() -> impl Strategy<Value = Vec<u8>> {
    (length(), vec(any::<u8>(), 1..64))
        .prop_map(|(length, bytes)| bytes.into_iter().cycle().take(length).collect())
}

/// The words of a few sentences, each within the limits.
fn sentences() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    vec(vec(word(), 1..4), 1..4)
}

/// Encodes a word in the forms of `MikroTik`'s documentation. Its length has a form that is `longer` steps longer than
/// necessary.
fn write(word: &[u8], longer: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(word.len()).unwrap();
    let forms =
        [(0x7F, 0x00, 1), (0x3FFF, 0x8000, 2), (0x1F_FFFF, 0xC0_0000, 3), (0xFFF_FFFF, 0xE000_0000, 4)];
    if let Some((_, mark, bytes)) = forms.iter().filter(|(max, ..)| length <= *max).nth(longer) {
        out.extend(&(length | mark).to_be_bytes()[4 - bytes..]);
    } else {
        out.push(0xF0);
        out.extend(length.to_be_bytes());
    }
    out.extend(word);
}

/// The sentences of a stream that arrives in these pieces.
fn decode<'s>(pieces: impl IntoIterator<Item = &'s [u8]>) -> Vec<Sentence> {
    let mut decoder = Decoder::default();
    let mut sentences = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        sentences.extend(std::iter::from_fn(|| decoder.next().unwrap().map(SentenceRef::to_sentence)));
    }
    sentences
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sentences_round_trip_however_the_stream_is_split(
        sentences in sentences(),
        splits in vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let sent: Vec<_> = sentences.iter().map(Sentence::from_words).collect();
        let mut bytes = Vec::new();
        for sentence in &sent {
            sentence.encode(&mut bytes);
        }
        prop_assert_eq!(decode([&bytes[..]]), &sent[..]);
        prop_assert!(sent.iter().zip(&sentences).all(|(sent, words)| sent.words().eq(words)));
        let mut places: Vec<_> = splits.iter().map(|split| split.index(bytes.len())).collect();
        if bytes.len() <= SHORT {
            places = (0..=bytes.len()).collect();
            prop_assert_eq!(decode(bytes.chunks(1)), &sent[..]);
        }
        for place in places {
            let (before, after) = bytes.split_at(place);
            prop_assert_eq!(decode([before, after]), &sent[..], "split at {}", place);
        }
    }

    #[test]
    fn words_have_the_documented_forms(words in vec((word(), 0..5_usize), 1..4)) {
        let sent = Sentence::from_words(words.iter().map(|(word, _)| word));
        let (mut encoded, mut shortest, mut longer) = (Vec::new(), Vec::new(), Vec::new());
        sent.encode(&mut encoded);
        for (word, by) in &words {
            write(word, 0, &mut shortest);
            write(word, *by, &mut longer);
        }
        shortest.push(0);
        longer.push(0);
        prop_assert!(encoded == shortest);
        prop_assert_eq!(decode([&longer[..]]), [sent]);
    }

    #[test]
    fn an_attribute_splits_at_the_second_equals_sign(
        key in vec(any::<u8>().prop_filter("a key has none", |byte| *byte != b'='), 0..40),
        value in vec(prop_oneof![Just(b'='), any::<u8>()], 0..40),
    ) {
        let word = [b"=", &key[..], b"=", &value].concat();
        prop_assert_eq!(attribute(&word), Some((&key[..], &value[..])));
        prop_assert_eq!(attribute(&word[..=key.len()]), Some((&key[..], &b""[..])));
        let mut sentence = Sentence::from_words(["!re"]);
        sentence.push_attribute(&key, &value);
        prop_assert_eq!(sentence.words().nth(1), Some(&word[..]));
        prop_assert_eq!(sentence.attributes().collect::<Vec<_>>(), [(&key[..], &value[..])]);
    }
}
