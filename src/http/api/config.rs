//! `/api/config`: whether the configuration in use is the one that the file has.

use serde::Serialize;

use super::View;
use crate::state::ReloadDiagnostic;

/// How reading the configuration went. Nothing of what is in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ConfigJson<'s> {
    /// None where there is no file.
    file: Option<&'s str>,
    /// Whether the file as it is is in use.
    is_current: bool,
    /// When the one in use was read. None while the agent waits for its first.
    loaded_at: Option<String>,
    age_seconds: Option<u64>,
    /// When it was last found to be new, and read.
    tried_at: String,
    error: Option<ConfigErrorJson<'s>>,
    /// What should be changed in the one in use; none where it is the admin's to see.
    warnings: Option<Vec<ReloadDiagnosticJson<'s>>>,
    sites: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigErrorJson<'s> {
    /// All of it, as `phsweb-agent check` says it; for viewers only where.
    message: String,
    problems: Vec<ReloadDiagnosticJson<'s>>,
    /// How many more there are.
    more_problems: usize,
}

#[derive(Debug, Serialize)]
struct ReloadDiagnosticJson<'s> {
    place: &'s str,
    message: &'s str,
    excerpt: Option<&'s str>,
}

/// Instead of a problem's message, which may repeat a value of the file.
const HIDDEN: &str = "the file is not accepted; the admin sees why";

/// `is_detailed`: with what is wrong and the lines of the file.
fn listed(problems: &[ReloadDiagnostic], is_detailed: bool) -> Vec<ReloadDiagnosticJson<'_>> {
    let mut listed = Vec::new();
    for ReloadDiagnostic { place, message, excerpt } in problems {
        let message = if is_detailed { message } else { HIDDEN };
        listed.push(ReloadDiagnosticJson {
            place,
            message,
            excerpt: excerpt.as_deref().filter(|_| is_detailed),
        });
    }
    listed
}

/// `is_detailed`: with warnings, what is wrong, and the lines of the file that have problems. Hosts and users stand there.
pub(in crate::http) fn config(view: View<'_>, is_detailed: bool) -> ConfigJson<'_> {
    let reload = &view.snapshot.reload;
    let problem = |problem: &ReloadDiagnostic| {
        if is_detailed { problem.to_string() } else { [&problem.place, HIDDEN].join(": ") }
    };
    let all: Vec<String> = reload.problems.iter().map(problem).collect();
    let error = (!reload.is_good()).then(|| ConfigErrorJson {
        message: all.join("\n"),
        problems: listed(&reload.problems, is_detailed),
        more_problems: reload.more_problems,
    });
    ConfigJson {
        file: reload.file.as_deref(),
        is_current: reload.is_good(),
        loaded_at: reload.succeeded.map(|at| view.date(at)),
        age_seconds: reload.succeeded.map(|at| view.age_s(at)),
        tried_at: view.date(reload.tried),
        error,
        warnings: is_detailed.then(|| listed(&reload.warnings, is_detailed)),
        sites: view.snapshot.sites.len(),
    }
}
