//! `/openapi.json`: the description of all endpoints, for programs.

use serde_json::Value;

use crate::http::context::Context;
use crate::http::embedded::{Embedded, embedded};
use crate::http::message::Response;

const OPENAPI: Embedded = embedded!("openapi.json");

/// The document as a value.
pub(in crate::http) fn document() -> Value {
    serde_json::from_slice(&OPENAPI.bytes()).unwrap_or_default()
}

/// The document, which is the same for everyone.
pub(in crate::http) fn show(_: &Context) -> Result<Response, Response> {
    Ok(Response::new(200, "application/json", OPENAPI.bytes()))
}
