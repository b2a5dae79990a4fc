//! Problems of the configuration as the page, the JSON and the log show them.

use crate::config;
use crate::state::ReloadDiagnostic;

/// Most problems in one line of the log.
const LOGGED: usize = 5;

/// A problem or a warning as the page and the JSON show it.
pub(super) fn shown(problem: &config::Diagnostic) -> ReloadDiagnostic {
    let problem = problem.public();
    ReloadDiagnostic {
        place: problem.place().into(),
        message: problem.message().into(),
        excerpt: problem.excerpt(),
    }
}

/// The first of them, without what their lines look like.
pub(super) fn in_a_line(problems: &[ReloadDiagnostic]) -> String {
    let told = problems.iter().take(LOGGED).map(|problem| format!("{}: {}", problem.place, problem.message));
    let mut told: Vec<String> = told.collect();
    if problems.len() > LOGGED {
        told.push(format!("and {} more, which phsweb-agent check tells", problems.len() - LOGGED));
    }
    told.join("; ")
}
