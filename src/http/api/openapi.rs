//! `/openapi.json`: the description of all endpoints, for programs.

use crate::http::context::Context;
use crate::http::embedded::{Embedded, embedded};
use crate::http::message::Response;

const OPENAPI: Embedded = embedded!("openapi.json");

/// The document, which is the same for everyone.
pub(in crate::http) fn show(_: &Context) -> Result<Response, Response> {
    Ok(Response::new(200, "application/json", OPENAPI.bytes()))
}
