//! The Windows code pages in which `WinBox` sends text that is not UTF-8.
//!
//! Only code pages with one byte per character are supported: the tables of the East Asian ones would be a sixteenth of
//! the binary.

use std::borrow::Cow;
use std::fmt;

use yore::{CodePage, code_pages as pages};

/// A Windows code page. Two are equal if their names are.
#[derive(Clone, Copy)]
pub struct Codepage {
    name: &'static str,
    /// Decodes bytes. A byte without a character becomes `�`.
    pub(super) decode: fn(&[u8]) -> Cow<'_, str>,
}

static ALL: [Codepage; 10] = [
    Codepage { name: "windows-1252", decode: |bytes| pages::CP1252.decode_lossy(bytes) },
    Codepage { name: "windows-1250", decode: |bytes| pages::CP1250.decode_lossy(bytes) },
    Codepage { name: "windows-1251", decode: |bytes| pages::CP1251.decode_lossy(bytes) },
    Codepage { name: "windows-1253", decode: |bytes| pages::CP1253.decode_lossy(bytes) },
    Codepage { name: "windows-1254", decode: |bytes| pages::CP1254.decode_lossy(bytes) },
    Codepage { name: "windows-1255", decode: |bytes| pages::CP1255.decode_lossy(bytes) },
    Codepage { name: "windows-1256", decode: |bytes| pages::CP1256.decode_lossy(bytes) },
    Codepage { name: "windows-1257", decode: |bytes| pages::CP1257.decode_lossy(bytes) },
    Codepage { name: "windows-1258", decode: |bytes| pages::CP1258.decode_lossy(bytes) },
    Codepage { name: "windows-874", decode: |bytes| pages::CP874.decode_lossy(bytes) },
];

impl Codepage {
    /// The code page of western Europe and of English.
    pub const WESTERN: &'static Self = &ALL[0];

    /// The code page with this name, such as `windows-1251` or `cp1251`, in any case.
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        let number = name.strip_prefix("windows-").or(name.strip_prefix("cp"))?;
        ALL.iter().find(|known| known.name.strip_prefix("windows-") == Some(number))
    }

    /// The bytes of a text, or `None` if it has a character that the code page lacks.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |c: char| {
            if c.is_ascii() {
                return u8::try_from(c).ok();
            }
            // Bytes without a character decode to the replacement character, which has no byte of its own.
            let means =
                |byte: &u8| c != char::REPLACEMENT_CHARACTER && (self.decode)(&[*byte]).starts_with(c);
            (0x80..=0xFF).find(means)
        };
        text.chars().map(byte).collect()
    }
}

impl PartialEq for Codepage {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Codepage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_page_decodes_its_own_letters() {
        for (name, bytes, shown) in [
            ("windows-1252", &b"caf\xe9 \x80"[..], "café €"),
            ("cp1250", b"\xe8\xed\x9a", "číš"),
            ("WINDOWS-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
            ("windows-1253", b"\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1", "Καλημέρα"),
            ("windows-1254", b"\xfe\xf0\xfd", "şğı"),
            ("windows-1255", b"\xf9\xec\xe5\xed", "שלום"),
            ("windows-1256", b"\xd3\xe1\xc7\xe3", "سلام"),
            ("windows-1257", b"\xe0\xe8\xf0", "ąčš"),
            ("windows-1258", b"\xf0\xf5", "đơ"),
            ("CP874", b"\xca\xc7\xd1", "สวั"),
        ] {
            let page = Codepage::named(name).unwrap();
            assert_eq!((page.decode)(bytes), shown, "{name}");
            assert_eq!(page.encode(shown).as_deref(), Some(bytes), "{name}");
        }
    }

    #[test]
    fn a_character_that_a_code_page_lacks_has_no_bytes() {
        for (name, text) in [
            ("windows-1252", "Привет"),
            ("windows-1251", "é"),
            ("windows-874", "a\u{fffd}"),
            ("windows-1252", "🔑"),
        ] {
            assert_eq!(Codepage::named(name).unwrap().encode(text), None, "{name}: {text}");
        }
        assert_eq!(Codepage::WESTERN.encode("\0 ~\u{7f}").as_deref(), Some(&b"\0 ~\x7f"[..]));
    }

    #[test]
    fn unknown_code_pages_are_not_found() {
        for name in
            ["", "windows-", "windows-9", "1252", "windows-936", "gbk", "cp", "windows--1252", "utf-8"]
        {
            assert_eq!(Codepage::named(name), None, "{name}");
        }
    }

    #[test]
    fn every_byte_decodes_to_one_character() {
        let bytes: Vec<u8> = (0..=255).collect();
        for page in &ALL {
            assert_eq!((page.decode)(&bytes).chars().count(), 256, "{page:?}");
        }
    }
}
