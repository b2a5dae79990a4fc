//! The error page, and errors that are a page for browsers and a problem for programs.

use askama::Template;

use super::layout::{Layout, render};
use crate::http::message::{Method, Request, Response, problem};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'p> {
    layout: Layout,
    title: &'p str,
    detail: &'p str,
    back: &'p str,
}

/// An error page. `back` is the target of its link, relative to the root.
pub(super) fn page(layout: Layout, status: u16, title: &str, detail: &str, back: &str) -> Response {
    let page = render(&ErrorPage { layout, title, detail, back });
    if page.status == 200 { Response { status, ..page } } else { page }
}

/// A refused request: a page for a browser, a problem for a program.
pub(in crate::http) fn refusal(
    request: &Request,
    layout: Layout,
    status: u16,
    title: &str,
    detail: &str,
) -> Response {
    if request.accepts_html() { page(layout, status, title, detail, "") } else { problem(status, detail) }
}

/// The response to a path that does not exist. `is_page`: a browser gets a page.
pub(in crate::http) fn not_found(
    is_page: bool,
    request: &Request,
    layout: impl FnOnce() -> Layout,
    detail: &str,
) -> Response {
    if is_page && request.accepts_html() {
        page(layout(), 404, "Page not found", detail, "")
    } else {
        problem(404, detail)
    }
}

/// The response to a method that the path does not allow, and to `OPTIONS`. It must not be cached.
pub(in crate::http) fn not_allowed(request: &Request, layout: Layout, allowed: &'static str) -> Response {
    let response = if request.method == Method::Options {
        Response::new(204, "", "")
    } else {
        let detail = format!("This path supports {allowed}.");
        refusal(request, layout, 405, "Method Not Allowed", &detail)
    };
    response.with("Allow", allowed).no_store()
}
