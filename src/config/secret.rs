//! Passwords and tokens, whose values are never printed.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

use crate::text::hex;

/// Minimum number of characters of a token. 16 random letters and digits have over 80 bits, which can't be guessed over
/// a network, so a correct token is always accepted at once, also after many wrong ones.
pub const MIN_TOKEN: usize = 16;

/// The problem of a token that has fewer characters than [`MIN_TOKEN`].
pub const SHORT_TOKEN: &str = "the token has fewer than 16 characters, so it can be guessed; expected at least 16 random letters and digits";

/// Whether a token has too few characters.
pub fn is_short(token: &str) -> bool {
    token.chars().count() < MIN_TOKEN
}

/// The content of a variable or file without the line end that editors and `echo` add, and without the byte order mark
/// that some editors of Windows put before the first character.
pub(super) fn trimmed(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\n', '\r'])
}

/// A password or a token. Only [`Secret::expose`] returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// 128 random bits as hexadecimal digits, which need no quotes in a file, a URL or a command.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes, as a message.
    pub fn random() -> Result<Self, String> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random bytes")?;
        Ok(Self(hex(&bytes)))
    }

    /// The secret itself, for a login or a comparison.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
