//! `/api/config`: whether the file's current content is in use.

use serde::Serialize;

use super::view::View;
use crate::http::context::Context;
use crate::http::message::{Response, json};
use crate::state::{ReloadDiagnostic, StorageState};

/// The outcome of the last reload.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    Ok(json(&config(context.view(), context.is_detailed())))
}

/// When the configuration was read, and its problems, but none of its values.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ConfigJson<'s> {
    /// `None` if there is no file.
    file: Option<&'s str>,
    /// Whether the file's current content is in use.
    is_current: bool,
    /// When the configuration in use was read. `None` while the agent waits for the first valid file.
    loaded_at: Option<String>,
    age_seconds: Option<u64>,
    /// When a changed file was last read.
    tried_at: String,
    error: Option<ConfigErrorJson<'s>>,
    /// Warnings about the configuration in use; only for the admin.
    warnings: Option<Vec<ReloadDiagnosticJson<'s>>>,
    /// `None` if no data survives a restart.
    storage: Option<StorageJson<'s>>,
    sites: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageJson<'s> {
    directory: &'s str,
    /// Whether all data could be stored at the last attempt.
    is_saving: bool,
    written_at: Option<String>,
    write_errors: u64,
    problems: Vec<StorageProblemJson<'s>>,
}

#[derive(Debug, Serialize)]
struct StorageProblemJson<'s> {
    place: &'s str,
    message: &'s str,
}

fn storage(view: View<'_>) -> Option<StorageJson<'_>> {
    let StorageState { directory, is_saving, written, errors, problems } = &view.snapshot.storage;
    let problems = problems
        .iter()
        .map(|problem| StorageProblemJson { place: &problem.place, message: &problem.message });
    Some(StorageJson {
        directory: directory.as_deref()?,
        is_saving: *is_saving,
        written_at: written.map(|at| view.date(at)),
        write_errors: *errors,
        problems: problems.collect(),
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigErrorJson<'s> {
    /// All problems, as `phsweb-agent check` prints them; for viewers only their places.
    message: String,
    problems: Vec<ReloadDiagnosticJson<'s>>,
    /// The number of problems that are not listed.
    more_problems: usize,
}

#[derive(Debug, Serialize)]
struct ReloadDiagnosticJson<'s> {
    place: &'s str,
    message: &'s str,
    excerpt: Option<&'s str>,
}

/// The text that viewers see instead of a problem's message, which may quote the file.
const HIDDEN: &str = "the file is not accepted; the admin sees why";

/// `is_detailed`: with messages and lines of the file.
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

/// `is_detailed`: with warnings, messages and lines of the file, which may contain hosts and users.
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
        storage: storage(view),
        sites: view.snapshot.sites.len(),
    }
}
