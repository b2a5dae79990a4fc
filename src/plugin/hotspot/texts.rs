//! The texts of a session, in one allocation.
//!
//! They stay the same from login to logout, so the states of a session share them. A large site has thousands of sessions
//! with seven texts each: as separate strings they would take three times as much.

use std::borrow::Cow;
use std::sync::Arc;

use crate::memory::ALLOCATION;
use crate::plugin::limits;
use crate::routeros::codepage::Codepage;
use crate::routeros::value;

/// The properties of a session that are texts, with the length to which they are shortened, in characters.
const TEXTS: [(&[u8], usize); 7] = [
    (b".id", limits::MAX_ID),
    (b"user", limits::USER),
    (b"mac-address", limits::ADDRESS),
    (b"address", limits::ADDRESS),
    (b"server", limits::NAME),
    (b"login-by", limits::LOGIN_BY),
    (b"comment", limits::COMMENT),
];

/// The first texts identify a session. After all texts follow their original bytes, if they differ from those shown.
const IDENTIFYING: usize = 3;

const PARTS: usize = TEXTS.len() + IDENTIFYING;

/// Index of a text in [`TEXTS`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Id,
    User,
    Mac,
    Address,
    Server,
    LoginBy,
    Comment,
}

/// The texts of a session: the end of each part in two bytes, and then the parts, which are less than 8 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts(Arc<[u8]>);

/// The texts in a row, in the order of [`TEXTS`]; `None` for those that the row lacks.
pub(super) type RowTexts<'r> = [Option<&'r [u8]>; TEXTS.len()];

/// The index of a property in [`TEXTS`].
pub(super) fn index_of(key: &[u8]) -> Option<usize> {
    TEXTS.iter().position(|(text, _)| *text == key)
}

impl Texts {
    /// These texts, with those of a row in place of the old ones. The memory is shared if none of them differs.
    pub(super) fn with(&self, row: &RowTexts, codepage: &'static Codepage) -> Self {
        // A text that is shown as it was sent has no original bytes.
        let is_shown = |(text, value): (usize, Option<&[u8]>)| {
            let has_original = text < IDENTIFYING && !self.part(TEXTS.len() + text).is_empty();
            value.is_none_or(|value| value == self.part(text) && !has_original)
        };
        if row.iter().copied().enumerate().all(is_shown) {
            return self.clone();
        }
        let parts: [Cow<[u8]>; PARTS] = std::array::from_fn(|part| {
            let (text, is_original) = (part % TEXTS.len(), part >= TEXTS.len());
            let Some(value) = row[text] else { return Cow::Borrowed(self.part(part)) };
            match value::shown(value, TEXTS[text].1, codepage) {
                (_, original) if is_original => Cow::Borrowed(original.unwrap_or_default()),
                (Cow::Borrowed(shown), _) => Cow::Borrowed(shown.as_bytes()),
                (Cow::Owned(shown), _) => Cow::Owned(shown.into_bytes()),
            }
        });
        if parts.iter().enumerate().all(|(at, part)| **part == *self.part(at)) {
            return self.clone();
        }
        let mut end = 2 * PARTS;
        let mut bytes = Vec::with_capacity(end + parts.iter().map(|part| part.len()).sum::<usize>());
        for part in &parts {
            end += part.len();
            bytes.extend(u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&parts.concat());
        Self(bytes.into())
    }

    fn part(&self, part: usize) -> &[u8] {
        let end = |part: usize| match self.0.get(2 * part..) {
            Some([low, high, ..]) => usize::from(u16::from_le_bytes([*low, *high])),
            _ => 0,
        };
        let start = part.checked_sub(1).map_or(2 * PARTS, end);
        self.0.get(start..end(part)).unwrap_or_default()
    }

    /// A text as it is shown; empty if it is absent.
    pub(super) fn get(&self, part: Part) -> &str {
        std::str::from_utf8(self.part(part as usize)).unwrap_or_default()
    }

    /// The original bytes of an identifying text, so that it can be sent back.
    pub(super) fn original(&self, part: Part) -> &[u8] {
        match self.part(TEXTS.len() + part as usize) {
            [] => self.part(part as usize),
            original => original,
        }
    }

    /// Whether the user and the device are the same.
    pub(super) fn is_same_user(&self, other: &Self) -> bool {
        let same = |part| self.original(part) == other.original(part);
        Arc::ptr_eq(&self.0, &other.0) || (same(Part::User) && same(Part::Mac))
    }

    /// Bytes of memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.0.len() + ALLOCATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(of: &Texts, row: &[(&str, &[u8])], codepage: &str) -> Texts {
        let mut texts = RowTexts::default();
        for (key, value) in row {
            if let Some(at) = index_of(key.as_bytes()) {
                texts[at].get_or_insert(*value);
            }
        }
        of.with(&texts, Codepage::named(codepage).unwrap())
    }

    #[test]
    fn texts_are_shown_and_keep_their_original_bytes() {
        let empty = Texts::default();
        assert_eq!((empty.get(Part::Id), empty.original(Part::User)), ("", &b""[..]));
        let row: &[(&str, &[u8])] = &[(".id", b"*1"), ("user", b"caf\xe9"), ("server", b"hs\xe9")];
        let latin = texts(&empty, row, "windows-1252");
        assert_eq!((latin.get(Part::User), latin.original(Part::User)), ("café", &b"caf\xe9"[..]));
        assert_eq!((latin.get(Part::Id), latin.original(Part::Id)), ("*1", &b"*1"[..]));
        assert_eq!((latin.get(Part::Server), latin.get(Part::Comment)), ("hsé", ""));
        let cyrillic = texts(&empty, row, "windows-1251");
        assert!(latin.is_same_user(&cyrillic) && latin != cyrillic);
        let typed = texts(&empty, &[("user", "café".as_bytes())], "windows-1252");
        assert!(!latin.is_same_user(&typed), "displayed alike, and not equal");
    }

    #[test]
    fn unchanged_texts_are_shared() {
        let row: &[(&str, &[u8])] = &[(".id", b"*1"), ("user", b"ada"), ("address", b"10.0.0.2")];
        let known = texts(&Texts::default(), row, "windows-1252");
        for (change, is_shared) in [
            (&[][..], true),
            (row, true),
            (&[("user", b"ada")], true),
            (&[("user", b"bola"), ("user", b"ada")], false),
            (&[("address", b"")], false),
            (&[("uptime", b"1s")], true),
        ] as [(&[(&str, &[u8])], bool); 6]
        {
            let now = texts(&known, change, "windows-1252");
            assert_eq!(Arc::ptr_eq(&now.0, &known.0), is_shared, "{change:?}");
        }
    }
}
