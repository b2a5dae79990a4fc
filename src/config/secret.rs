//! Values that never print.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Longest secret taken from a file, in bytes; a longer file is another file.
pub(super) const MAX_SECRET_FILE: u64 = 4096;

/// Fewest characters of a token. 16 random letters and digits are over 80 bits, which nobody guesses over a network, so
/// that a correct token need never be held off because of wrong ones.
pub const MIN_TOKEN: usize = 16;

/// What is wrong with a token that has fewer characters than [`MIN_TOKEN`].
pub const SHORT_TOKEN: &str = "the token has fewer than 16 characters, so it can be guessed; expected at least 16 random letters and digits";

/// Whether a token has too few characters.
#[must_use]
pub fn is_short(token: &str) -> bool {
    token.chars().count() < MIN_TOKEN
}

/// A secret as its source means it: without the line end that editors and `echo` add, and without the byte order
/// mark that some editors of Windows put before the first character.
pub(super) fn trimmed(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\n', '\r'])
}

/// A password or a token. Only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for what must have it: a login, a comparison.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where the file says that a secret is.
#[derive(Deserialize)]
pub(super) enum SecretSource {
    /// In the file itself.
    Plain(String),
    /// In an environment variable, as [`trimmed`] leaves it.
    Env(String),
    /// In a file, as [`trimmed`] leaves it.
    File(PathBuf),
}
