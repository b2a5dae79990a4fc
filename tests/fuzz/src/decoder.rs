//! Any bytes, split at any places, into `wire::Decoder`.
//!
//! An input is three sizes of pieces, which alternate, a number of repetitions, and the bytes to repeat. Repetition brings
//! the limits within reach of a short input.

use phsweb_agent::routeros::wire::{Decoder, Error, MAX_SENTENCE, MAX_WORD, MAX_WORDS, Sentence};

/// Longest stream made of an input, in bytes: a sentence at its limit, and a word.
const MAX_STREAM: usize = MAX_SENTENCE + MAX_WORD;

/// Up to this, the byte with the number of repetitions means once, because most inputs have to be fast.
const ONCE: u8 = 0xBF;

/// Repetitions per step above that: the last step must reach every limit.
const TIMES: usize = 4;

/// Number of zeros after repeated bytes: they complete the current word, unless it is one of the longest, and end its
/// sentence, so that one past a limit is detected. As few as necessary, because each takes time.
const END: usize = 16 * 1024;

/// Most pieces of the smallest size; those of a longer stream are proportionally larger.
const MAX_PIECES: usize = 4096;

/// A growing vector may have twice the capacity that it uses.
const GROWTH: usize = 2;

/// Runs one input. `allocated` returns how many bytes of memory the process holds.
///
/// # Panics
///
/// When the input shows a fault: that is what the fuzzer looks for.
pub fn run(input: &[u8], allocated: impl Fn() -> usize) {
    let &[a, b, c, again, ref bytes @ ..] = input else { return };
    let mut stream = bytes.repeat(1 + TIMES * usize::from(again.saturating_sub(ONCE)));
    stream.truncate(MAX_STREAM);
    if again > ONCE {
        stream.resize(stream.len() + END, 0);
    }

    let mut sentences = Vec::new();
    let (end, _) = decode(&allocated, [&stream[..]], |sentence| sentences.push(sentence));
    for sentence in &sentences {
        assert!(sentence.words().map(<[u8]>::len).sum::<usize>() <= MAX_SENTENCE);
        assert!((1..=MAX_WORDS).contains(&sentence.words().count()));
        assert!(sentence.words().all(|word| (1..=MAX_WORD).contains(&word.len())));
    }

    let scale = 1 + stream.len() / MAX_PIECES;
    let sizes = [a, b, c].map(|size| usize::from(size).max(1) * scale);
    let mut rest = &stream[..];
    let pieces = sizes.iter().cycle().map_while(|size| {
        let (piece, after) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    let mut expected = sentences.iter();
    let (split_end, held) =
        decode(&allocated, pieces, |sentence| assert_eq!(expected.next(), Some(&sentence)));
    assert_eq!((expected.next(), split_end), (None, end), "expected the same result for any pieces");
    let largest = sizes.into_iter().max().unwrap_or_default();
    // The current sentence, the ends of its words, an incomplete word, the last piece.
    let bound = GROWTH * (MAX_SENTENCE + MAX_WORDS * size_of::<usize>() + MAX_WORD + largest);
    assert!(held <= bound, "expected at most {bound} bytes, the decoder held {held}");

    let mut encoded = Vec::new();
    for sentence in &sentences {
        sentence.encode(&mut encoded);
    }
    let mut expected = sentences.iter();
    let (end, _) =
        decode(&allocated, [&encoded[..]], |sentence| assert_eq!(expected.next(), Some(&sentence)));
    assert_eq!((expected.next(), end), (None, None), "expected encoding to keep the sentences");
}

/// Decodes a stream that arrives in these pieces. Returns the error that ended it, and the most bytes of memory that were
/// held after one of them, including those that `each` keeps.
fn decode<'s>(
    allocated: impl Fn() -> usize,
    pieces: impl IntoIterator<Item = &'s [u8]>,
    mut each: impl FnMut(Sentence),
) -> (Option<Error>, usize) {
    let before = allocated();
    let mut held = 0;
    let mut decoder = Decoder::default();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(sentence)) => each(sentence.to_sentence()),
                Ok(None) => break,
                Err(error) => {
                    decoder.push(b"\0");
                    assert_eq!(decoder.next(), Err(error), "expected the error to be final");
                    return (Some(error), held);
                }
            }
        }
        held = held.max(allocated().saturating_sub(before));
    }
    (None, held)
}
