//! The rows of a reply, all in one buffer.
//!
//! A reply has thousands of rows, and is dropped as soon as it is read. A row stays in the form in which it arrived.

use std::fmt;

use super::wire::{Sentence, SentenceRef};

/// Smallest growth of the buffer after the first row, which most replies don't exceed.
const MIN_GROWTH: usize = 1024;

/// Largest growth of the buffer. A smaller one grows by half, so that it is copied a few times only.
const MAX_GROWTH: usize = 32 * 1024;

/// The `!re` sentences of a reply, in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Before each row is its length.
    bytes: Vec<u8>,
    count: usize,
}

impl Rows {
    /// Adds a row.
    pub fn push<'r>(&mut self, row: impl Into<SentenceRef<'r>>) {
        let row = row.into();
        let room = self.bytes.capacity() - self.bytes.len();
        self.bytes.reserve_exact(room + self.growth(row));
        // A sentence is far shorter than 4 GiB.
        let length = u32::try_from(row.encoded.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(row.encoded);
        self.count += 1;
    }

    /// Bytes of memory that the buffer grows by if this row is added.
    pub(super) fn growth(&self, row: SentenceRef) -> usize {
        let needed = self.bytes.len() + size_of::<u32>() + row.encoded.len();
        match (needed.saturating_sub(self.bytes.capacity()), self.bytes.capacity()) {
            (0, _) => 0,
            (lacking, 0) => lacking,
            (lacking, capacity) => lacking.max((capacity / 2).clamp(MIN_GROWTH, MAX_GROWTH)),
        }
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = SentenceRef<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first_chunk()?;
            let (encoded, after) =
                after.split_at_checked(usize::try_from(u32::from_ne_bytes(length)).ok()?)?;
            rest = after;
            Some(SentenceRef { encoded })
        })
    }

    /// The first row.
    pub fn first(&self) -> Option<SentenceRef<'_>> {
        self.iter().next()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl FromIterator<Sentence> for Rows {
    fn from_iter<I: IntoIterator<Item = Sentence>>(sentences: I) -> Self {
        let mut rows = Self::default();
        sentences.into_iter().for_each(|sentence| rows.push(&sentence));
        rows
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory budget counts these bytes.
    #[test]
    fn the_growth_is_known_before_and_limited() {
        let mut rows = Rows::default();
        let mut counted = 0;
        let sentences: Vec<Sentence> = (0..5000)
            .map(|n| Sentence::from_words(["!re", &format!("={n}={}", "x".repeat(n % 300))]))
            .collect();
        for sentence in &sentences {
            counted += rows.growth(sentence.into());
            rows.push(sentence);
            assert_eq!(rows.bytes.capacity(), counted);
            assert!(counted - rows.bytes.len() <= MAX_GROWTH.min(MIN_GROWTH + counted / 2));
        }
        assert_eq!((rows.len(), rows.first()), (5000, Some((&sentences[0]).into())));
        assert!(rows.iter().eq(sentences.iter().map(SentenceRef::from)));
    }
}
