//! Diagnostics of the configuration in the form for the page, the JSON and the log.

use crate::config::Diagnostic;
use crate::state::ReloadDiagnostic;

/// Maximum number of diagnostics in one log line.
const MAX_LOGGED: usize = 5;

/// The form for the page and the JSON: without texts that may be secrets.
pub(super) fn public(diagnostics: &[Diagnostic]) -> Vec<ReloadDiagnostic> {
    let convert = |diagnostic: &Diagnostic| {
        let diagnostic = diagnostic.public();
        ReloadDiagnostic {
            place: diagnostic.place().into(),
            message: diagnostic.message().into(),
            excerpt: diagnostic.excerpt(),
        }
    };
    diagnostics.iter().map(convert).collect()
}

/// The first diagnostics as one text for a log line, without excerpts of the file.
pub(super) fn summary(diagnostics: &[ReloadDiagnostic]) -> String {
    let texts = diagnostics.iter().take(MAX_LOGGED).map(|one| format!("{}: {}", one.place, one.message));
    let mut texts: Vec<String> = texts.collect();
    if diagnostics.len() > MAX_LOGGED {
        texts.push(format!("and {} more, see phsweb-agent check", diagnostics.len() - MAX_LOGGED));
    }
    texts.join("; ")
}
