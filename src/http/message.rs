//! What a route is given and what it gives back.

use std::net::IpAddr;

use serde_json::json;

/// What a request asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: as `GET`; the body of the answer is left out further down.
    Head,
    /// `POST`
    Post,
    /// Any other: let through so that a route can answer 405 with its `Allow`.
    Other,
}

impl Method {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            _ => Self::Other,
        }
    }

    /// Whether it only reads what is known, and so never waits for a router.
    pub(super) fn reads(self) -> bool {
        self != Self::Post
    }
}

/// The request header fields that routes may ask for; all others end at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `Accept`
    Accept,
    /// `Authorization`
    Authorization,
    /// `Content-Type`
    ContentType,
    /// `Cookie`
    Cookie,
    /// `Host`, or the authority of an absolute target, which stands above it.
    Host,
    /// `If-None-Match`
    IfNoneMatch,
    /// `Origin`
    Origin,
    /// `Sec-Fetch-Site`
    SecFetchSite,
}

impl Field {
    pub(super) const ALL: [Self; 8] = [
        Self::Accept,
        Self::Authorization,
        Self::ContentType,
        Self::Cookie,
        Self::Host,
        Self::IfNoneMatch,
        Self::Origin,
        Self::SecFetchSite,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::Authorization => "Authorization",
            Self::ContentType => "Content-Type",
            Self::Cookie => "Cookie",
            Self::Host => "Host",
            Self::IfNoneMatch => "If-None-Match",
            Self::Origin => "Origin",
            Self::SecFetchSite => "Sec-Fetch-Site",
        }
    }

    /// What joins the values of a field that may stand more than once (RFC 9110,
    /// 5.3); a second one of any other makes the request ambiguous.
    pub(super) fn joined_by(self) -> Option<&'static str> {
        match self {
            Self::Accept | Self::IfNoneMatch => Some(", "),
            Self::Cookie => Some("; "),
            _ => None,
        }
    }
}

/// A whole request, as a route sees it.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// The path as sent, still percent-encoded; begins with `/` and is ASCII.
    pub path: String,
    /// What stood after the `?`, still encoded; empty if nothing did.
    pub query: String,
    /// The body; at most [`MAX_BODY`](super::gate::MAX_BODY) bytes, any bytes.
    pub body: Vec<u8>,
    /// Who asked: the address of the connection, IPv4 never as mapped IPv6.
    pub peer: IpAddr,
    fields: [Option<String>; Field::ALL.len()],
}

impl Request {
    /// A request for `target`, a path with or without a query, with no fields and no body.
    #[must_use]
    pub fn new(method: Method, target: &str, peer: IpAddr) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: Vec::new(),
            peer,
            fields: Default::default(),
        }
    }

    /// The same with `field` set to `value`.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<String>) -> Self {
        self.fields[field as usize] = Some(value.into());
        self
    }

    /// A header field's value: ASCII, without spaces around it. Bytes outside of
    /// ASCII, which none of these fields may have, come as `?`.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<&str> {
        self.fields[field as usize].as_deref()
    }
}

/// A whole answer, as a route gives it.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code, 200 to 599.
    pub status: u16,
    /// `Content-Type`; left out where empty.
    pub content_type: &'static str,
    /// More header fields. `Content-Length`, `Connection` and `Date` are not for a route to set.
    pub headers: Vec<(&'static str, String)>,
    /// The body; for `HEAD` the one `GET` would have. Over
    /// [`MAX_ANSWER`](super::gate::MAX_ANSWER) bytes the client gets a 500.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with no header fields but its content type.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header field. One that could not be sent, because
    /// of a byte that is no printable ASCII, makes the answer a 500.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An error as `application/problem+json` (RFC 9457) of type `about:blank`:
/// `title` is the same for each such error, `detail` tells of this one.
#[must_use]
pub fn problem(status: u16, title: &str, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    Response::new(status, "application/problem+json", body.to_string())
}
