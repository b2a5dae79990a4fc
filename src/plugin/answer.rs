//! A router's answer to one command of a plugin.

use crate::routeros::client::Reply;
pub use crate::routeros::client::{Answer, Partial};
use crate::routeros::error::{Cause, Error};

/// The answer to a plugin's first command, which the plugin requires.
pub(super) fn first(answers: &[Answer]) -> Result<&Reply, Error> {
    match answers.first() {
        Some(answer) => answer.as_ref().map_err(Clone::clone),
        None => Err(Error::new(Cause::Protocol, "nothing was asked")),
    }
}

/// The answer at this index if it has all rows: a part of a list would give a wrong sum.
pub(super) fn complete(answers: &[Answer], at: usize) -> Result<&Reply, Error> {
    let reply = first(answers.get(at..).unwrap_or_default())?;
    let partial = |partial| Error::new(Cause::Protocol, format!("a list is incomplete: {partial}"));
    reply.partial().map_or(Ok(reply), |reason| Err(partial(reason.without_quote().to_string())))
}

/// The reason why the answers are incomplete, if they are: one is truncated, or one after the first failed. An error of
/// the first answer does not count here.
pub fn partial(answers: &[Answer]) -> Option<Partial> {
    let truncated = answers.iter().find_map(|answer| answer.as_ref().ok()?.partial());
    truncated.or_else(|| answers.iter().skip(1).find_map(|answer| answer.as_ref().err()).map(Partial::from))
}
