//! The login page.

use askama::Template;

use super::layout::{Layout, render};
use crate::http::message::Response;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'p> {
    layout: Layout,
    to: &'p str,
    notice: Option<String>,
    is_off: bool,
}

/// The login form, which redirects to `to`. `is_off`: no token is configured.
pub(in crate::http) fn login(layout: Layout, to: &str, notice: Option<String>, is_off: bool) -> Response {
    render(&Login { layout, to, notice, is_off })
}
