//! Diagnostics: a problem of the configuration or a warning, with its place and an excerpt of the line there.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::string::FromUtf8Error;

use super::redact::{excerpt, printable};

/// A problem, for which the configuration is rejected, or a warning about something that should be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `sites.ron:12:9`, or the environment variable.
    place: String,
    /// Line and column, from 1, which end the place if it is in a file's text.
    position: Option<(usize, usize)>,
    /// The message: what was found, what was expected, and how to fix it.
    message: String,
    /// The place in the file, in bytes; problems elsewhere come last.
    pub(super) offset: usize,
    /// The line of the file and the column in it, from 1.
    excerpt: Option<(String, usize)>,
    severity: Severity,
    /// The message for the network and the log, without a name that may be a misplaced secret.
    public: Option<Box<Diagnostic>>,
}

/// The consequence of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The configuration is not accepted.
    Error,
    /// Earlier versions accepted it: `check` fails, and `run` warns.
    Deprecation,
    /// It is accepted.
    Warning,
}

impl Diagnostic {
    /// A problem without a place in the file.
    pub fn elsewhere(place: impl Into<String>, message: impl Into<String>) -> Self {
        let (place, message) = (printable(&place.into()), printable(&message.into()));
        Self {
            place,
            position: None,
            message,
            offset: usize::MAX,
            excerpt: None,
            severity: Severity::Error,
            public: None,
        }
    }

    /// A problem at a place of a file's text. The texts there are repeated in the excerpt only if `is_shown`.
    pub(super) fn at(path: &Path, text: &str, place: Range<usize>, is_shown: bool, message: &str) -> Self {
        let (line, column) = position(text, place.start);
        let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        let source = text[start..].lines().next().unwrap_or_default();
        Self {
            place: printable(&format!("{}:{line}:{column}", path.display())),
            position: Some((line, column)),
            message: printable(message),
            offset: place.start,
            excerpt: Some(excerpt(source, place.start - start..place.end - start, is_shown)),
            severity: Severity::Error,
            public: None,
        }
    }

    /// The name of the file or of the environment variable, and in a file the line and the column, from 1.
    pub fn location(&self) -> (&str, Option<(usize, usize)>) {
        let position = self.position.and_then(|(line, column)| {
            let file = self.place.strip_suffix(&format!(":{line}:{column}"))?;
            Some((file, Some((line, column))))
        });
        position.unwrap_or((&self.place, None))
    }

    /// `error`, `deprecation` or `warning`.
    pub fn severity(&self) -> &'static str {
        match self.severity {
            Severity::Error => "error",
            Severity::Deprecation => "deprecation",
            Severity::Warning => "warning",
        }
    }

    /// The same with another severity.
    pub(super) fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Whether it is a warning for an existing file only, and a problem in a check.
    pub(super) fn is_deprecation(&self) -> bool {
        self.severity == Severity::Deprecation
    }

    /// A file that can't be read as text.
    pub(super) fn not_text(path: &Path, error: &FromUtf8Error) -> Self {
        let end = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..end]);
        let message = "the text here is not UTF-8; expected the file saved as UTF-8";
        Self::at(path, &text, end..end, true, message)
    }

    /// The same for a terminal; the network and the log show `public`.
    pub(super) fn with_public(self, public: Self) -> Self {
        Self { public: Some(Box::new(public)), ..self }
    }

    /// The problem for the network and the log. The name of a variable or file is left out, because it may be a
    /// misplaced secret.
    pub fn public(&self) -> &Self {
        self.public.as_deref().unwrap_or(self)
    }

    /// `sites.ron:12:9`, or the environment variable.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The message: what was found, what was expected, and how to fix it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the file, and under it a caret at the place.
    pub fn excerpt(&self) -> Option<String> {
        let (line, column) = self.excerpt.as_ref()?;
        // The caret is below its character even if tabs indent the line.
        let indent: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Some(format!("{line}\n{indent}^"))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}: {severity}{}", self.place, self.message)?;
        for line in self.excerpt().iter().flat_map(|excerpt| excerpt.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// The line and the column of a place in a text, from 1; columns count characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}
