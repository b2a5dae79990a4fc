//! `/login` and `/logout`.

use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};

/// `GET /login`
pub(in crate::http) fn show_login(context: &Context) -> Result<Response, Response> {
    let Context { services, request, http, now, .. } = *context;
    Ok(services.authenticator.login_page(request, http, now))
}

/// `POST /login`
pub(in crate::http) fn log_in(context: &Context) -> Result<HandlerOutput, Response> {
    let Context { services, request, http, now, .. } = *context;
    Ok(services.authenticator.log_in(request, http, now))
}

/// `POST /logout`
pub(in crate::http) fn log_out(context: &Context) -> Result<HandlerOutput, Response> {
    let Context { services, request, http, .. } = *context;
    Ok(services.authenticator.log_out(request, http))
}
