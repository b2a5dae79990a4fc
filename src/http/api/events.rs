//! `/api/events`: changes of sites and configuration, as server-sent events.

use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};

/// A stream of events, which lasts until the client or the server closes it.
pub(in crate::http) fn stream(context: &Context) -> Result<HandlerOutput, Response> {
    let head = Response::new(200, "text/event-stream", "").no_store();
    // Otherwise nginx would buffer the events.
    let head = head.with("X-Accel-Buffering", "no");
    Ok(HandlerOutput::Events(head, context.services.events.subscribe().into_stream()))
}
