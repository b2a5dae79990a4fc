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

/// The reason why the answers are incomplete, if they are: one is truncated, or one after the first failed. An error of
/// the first answer does not count here.
#[must_use]
pub fn partial(answers: &[Answer]) -> Option<Partial> {
    let truncated = answers.iter().find_map(|answer| answer.as_ref().ok()?.partial());
    truncated.or_else(|| answers.iter().skip(1).find_map(|answer| answer.as_ref().err()).map(Partial::from))
}
