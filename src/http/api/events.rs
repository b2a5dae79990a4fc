//! `/api/events`: changes of sites and configuration, as server-sent events.

use super::parameters;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::http::sse::EventData;

/// A stream of events, which lasts until the client or the server closes it.
pub(in crate::http) fn stream(context: &Context) -> Result<HandlerOutput, Response> {
    let data =
        parameters::value(context, "data", "keys", |data| (data == "keys").then_some(EventData::Keys))?;
    let subscription = context.services.events.subscribe(data.unwrap_or(EventData::Figures));
    let head = Response::new(200, "text/event-stream", "").no_store();
    // Otherwise nginx would buffer the events.
    let head = head.with("X-Accel-Buffering", "no");
    Ok(HandlerOutput::Events(head, subscription.into_stream()))
}
