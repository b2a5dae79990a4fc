//! The error page of a failed action.

use super::{error, layout::Layout};
use crate::action::ActionError;
use crate::http::actions;
use crate::http::message::Response;

/// An error page for an action that failed. `back` is the target of its link, relative to the root.
pub(super) fn page(layout: Layout, error: &ActionError, title: &str, back: &str) -> Response {
    let detail = error.to_string();
    actions::refused_as(error, |status| error::page(layout, status, title, &detail, back))
}
