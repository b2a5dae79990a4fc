//! What a route is given and what it gives back.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use smol::stream::Stream;

use super::server::MAX_ANSWER;

/// Most bytes of an answer's header fields. They are our own: the longest is a content security policy.
const MAX_FIELDS: usize = 8 * 1024;

/// What a request asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: as `GET`; the body of the answer is left out further down.
    Head,
    /// `POST`
    Post,
    /// `OPTIONS`: answered with the methods that the path allows.
    Options,
    /// Any other: let through so that a route can answer 405 with its `Allow`.
    Other,
}

impl Method {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// The request header fields that routes may ask for; all others are dropped.
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
    /// The body; at most [`MAX_BODY`](super::server::MAX_BODY) bytes, any bytes.
    pub body: Vec<u8>,
    /// Who asked: the address of the connection or, if that is from a trusted proxy, the one that it names. IPv4 is
    /// never mapped IPv6.
    pub peer: IpAddr,
    /// Whether the client reached a trusted proxy over HTTPS; `None` if none says so or otherwise.
    pub is_https: Option<bool>,
    /// By `Field as usize`.
    pub(super) fields: [Option<String>; Field::ALL.len()],
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
            is_https: None,
            fields: Default::default(),
        }
    }

    /// The same with `field` set to `value`.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<String>) -> Self {
        self.fields[field as usize] = Some(value.into());
        self
    }

    /// The first value of a parameter of the query, decoded; none where it is empty.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
            .filter(|value| !value.is_empty())
    }

    /// Whether it asks for HTML by name, as browsers do when a person goes to a page.
    #[must_use]
    pub fn takes_html(&self) -> bool {
        let accepted = self.field(Field::Accept).unwrap_or_default().split(',');
        let mut kinds = accepted.filter_map(|range| range.split(';').next());
        kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
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
    /// [`MAX_ANSWER`](super::server::MAX_ANSWER) bytes the client gets a 500.
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

    /// The same, which no cache may store.
    #[must_use]
    pub(super) fn no_store(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "Cache-Control");
        self.with("Cache-Control", "no-store")
    }

    /// All of its header fields but those that say where it ends.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let content_type = Some(("Content-Type", self.content_type)).filter(|(_, value)| !value.is_empty());
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        [("Server", "phsweb-agent")].into_iter().chain(content_type).chain(own)
    }

    /// The answer, or where it can't be sent as it is, a 500.
    pub(super) fn or_internal_error(self) -> Self {
        let plain = |value: &str| value.bytes().all(|b| b == b'\t' || b == b' ' || b.is_ascii_graphic());
        let possible = (200..600).contains(&self.status)
            && self.body.len() <= MAX_ANSWER
            && self.fields().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= MAX_FIELDS
            && self.fields().all(|(_, value)| plain(value));
        if possible {
            return self;
        }
        log::error!("an answer with status {} cannot be sent as it is", self.status);
        internal_error()
    }
}

/// Server-sent events, each item one or more of them. Many clients share the bytes.
pub type EventStream = Pin<Box<dyn Stream<Item = Arc<[u8]>> + Send>>;

/// How a route answers.
pub enum HandlerOutput {
    /// From what is known.
    Now(Response),
    /// Once a router has been asked. It is awaited beside the connections, and for
    /// [`Limits::answer`](super::server::Limits::answer) at most, so it must not block.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// With events, until the stream ends or the client disconnects.
    Events(Response, EventStream),
}

impl HandlerOutput {
    /// A reply that comes later.
    pub fn later(response: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Later(Box::pin(response))
    }

    /// The same with another response, or with another head before its events.
    pub(super) fn map(self, change: impl FnOnce(Response) -> Response + Send + 'static) -> Self {
        match self {
            Self::Now(response) => Self::Now(change(response)),
            Self::Later(response) => Self::later(async { change(response.await) }),
            Self::Events(head, follower) => Self::Events(change(head), follower),
        }
    }
}

impl From<Response> for HandlerOutput {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

impl fmt::Debug for HandlerOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(response) => f.debug_tuple("Now").field(response).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
            Self::Events(head, _) => f.debug_tuple("Events").field(head).finish_non_exhaustive(),
        }
    }
}

/// An answer of JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_within(value, MAX_ANSWER)
}

/// An answer of JSON, or where that has more than so many bytes, an error. No more of it is kept in memory.
pub(super) fn json_within(value: &impl Serialize, most: usize) -> Response {
    let mut body = Body { bytes: Vec::new(), most };
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => Response::new(200, "application/json", body.bytes),
        Err(error) if error.is_io() => {
            let detail = format!("The answer has more than {most} bytes, for which the agent has no memory.");
            problem(503, "Service Unavailable", &detail)
        }
        // No map here has keys that are not text.
        Err(error) => problem(500, "Internal Server Error", &error.to_string()),
    }
}

/// The body of an answer, which refuses what is too much.
struct Body {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client is told of a mistake of ours.
pub(super) fn internal_error() -> Response {
    problem(500, "Internal Server Error", "answering failed; the log says more")
}

/// An error as `application/problem+json` (RFC 9457) of type `about:blank`:
/// `title` is the same for each such error, `detail` tells of this one.
#[must_use]
pub fn problem(status: u16, title: &str, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    Response::new(status, "application/problem+json", body.to_string())
}
