//! Types of requests and responses, as handlers receive and return them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use smol::stream::Stream;
use tiny_http::StatusCode;

/// Longest body of a response, in bytes: twice the metrics of a thousand sites.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Maximum number of bytes of a response's header fields. The longest is the content security policy.
const MAX_FIELDS: usize = 8 * 1024;

/// A request method (RFC 9110, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: handlers answer as for `GET`, and the server leaves out the body.
    Head,
    /// `POST`
    Post,
    /// `OPTIONS`: answered with the methods of the path.
    Options,
    /// Any other: a route answers 405 with its `Allow`.
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

/// A request header field that handlers can read; all others are discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderField {
    /// `Accept`
    Accept,
    /// `Accept-Encoding`
    AcceptEncoding,
    /// `Authorization`
    Authorization,
    /// `Content-Type`
    ContentType,
    /// `Cookie`
    Cookie,
    /// `Host`, or the authority of an absolute target, which overrides it (RFC 9112, 3.2.2).
    Host,
    /// `If-None-Match`
    IfNoneMatch,
    /// `Origin`
    Origin,
    /// `Sec-Fetch-Site`
    SecFetchSite,
}

impl HeaderField {
    /// All fields with their names.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Accept, "Accept"),
        (Self::AcceptEncoding, "Accept-Encoding"),
        (Self::Authorization, "Authorization"),
        (Self::ContentType, "Content-Type"),
        (Self::Cookie, "Cookie"),
        (Self::Host, "Host"),
        (Self::IfNoneMatch, "If-None-Match"),
        (Self::Origin, "Origin"),
        (Self::SecFetchSite, "Sec-Fetch-Site"),
    ];

    /// The separator that joins the values of a field that may be repeated (RFC 9110, 5.3; RFC 6265, 5.4). If any other
    /// is repeated, the request is ambiguous.
    pub(super) fn joined_by(self) -> Option<&'static str> {
        match self {
            Self::Accept | Self::AcceptEncoding | Self::IfNoneMatch => Some(", "),
            Self::Cookie => Some("; "),
            _ => None,
        }
    }
}

/// A complete request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The percent-encoded path as sent. It begins with `/` and is ASCII.
    pub path: String,
    /// The encoded query, without the `?`; empty if there is none.
    pub query: String,
    /// The body; at most [`MAX_BODY`](super::server::MAX_BODY) bytes, any bytes.
    pub body: Vec<u8>,
    /// The client's address: the peer of the connection or, if the peer is a trusted proxy, the address that the proxy
    /// names. IPv4-mapped IPv6 is IPv4 here.
    pub peer: IpAddr,
    /// Whether the client reached a trusted proxy over HTTPS; `None` if none states the scheme.
    pub is_https: Option<bool>,
    /// Indexed by `HeaderField as usize`.
    pub(super) fields: [Option<String>; HeaderField::ALL.len()],
}

impl Request {
    /// A request for `target`, a path with or without a query, with no fields and no body.
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
    pub fn with(mut self, field: HeaderField, value: impl Into<String>) -> Self {
        self.fields[field as usize] = Some(value.into());
        self
    }

    /// The first value of a parameter of the query, decoded; `None` if it is empty.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
            .filter(|value| !value.is_empty())
    }

    /// Whether `Accept` contains HTML, as for a browser that opens a page.
    pub fn accepts_html(&self) -> bool {
        self.accepted().any(|kind| kind == "text/html")
    }

    /// The media types in `Accept`, in its order, in lower case and without parameters.
    pub(super) fn accepted(&self) -> impl Iterator<Item = String> {
        let accepted = self.field(HeaderField::Accept).unwrap_or_default().split(',');
        let kinds = accepted.filter_map(|range| range.split(';').next());
        kinds.map(|kind| kind.trim().to_ascii_lowercase())
    }

    /// A header field's value: ASCII, without surrounding spaces. Other bytes, which none of these fields may have, are
    /// replaced by `?`.
    pub fn field(&self, field: HeaderField) -> Option<&str> {
        self.fields[field as usize].as_deref()
    }
}

/// A complete response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code, 200 to 599.
    pub status: u16,
    /// `Content-Type`; left out if empty.
    pub content_type: &'static str,
    /// More header fields. The server adds `Content-Length`, `Connection` and `Date`.
    pub headers: Vec<(&'static str, String)>,
    /// The body; for `HEAD` the one of `GET`. If it exceeds [`MAX_ANSWER`] bytes, the client
    /// gets a 500. Clones share it.
    pub body: Arc<Vec<u8>>,
}

impl Response {
    /// A response with no header fields but its content type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: Arc::new(body.into()) }
    }

    /// The same with one more header field. If its value is not printable ASCII, the client gets a 500.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a `Cache-Control` that forbids caches to store it (RFC 9111, 5.2.2.5).
    pub(super) fn no_store(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "Cache-Control");
        self.with("Cache-Control", "no-store")
    }

    /// All of its header fields, apart from those that the server adds.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let content_type = Some(("Content-Type", self.content_type)).filter(|(_, value)| !value.is_empty());
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        [("Server", "phsweb-agent")].into_iter().chain(content_type).chain(own)
    }

    /// The response, or a 500 if it can't be sent.
    pub(super) fn or_internal_error(self) -> Self {
        let plain = |value: &str| value.bytes().all(|b| b == b'\t' || b == b' ' || b.is_ascii_graphic());
        let is_valid = (200..600).contains(&self.status)
            && self.body.len() <= MAX_ANSWER
            && self.fields().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= MAX_FIELDS
            && self.fields().all(|(_, value)| plain(value));
        if is_valid {
            return self;
        }
        log::error!("status={} msg=\"the response is invalid or too long\"", self.status);
        problem(500, "The agent could not make the response. See its log.")
    }
}

/// Server-sent events. Each item has one or more of them; many clients share the bytes.
pub type EventStream = Pin<Box<dyn Stream<Item = Arc<[u8]>> + Send>>;

/// A response that waits for a router.
pub type LaterResponse = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The output of a handler.
pub enum HandlerOutput {
    /// A response.
    Now(Response),
    /// A response that waits for a router. The server's own thread polls it, for at most
    /// [`Limits::answer_timeout`](super::server::Limits::answer_timeout), so it must not block.
    Later(LaterResponse),
    /// The head of a response, and events until the stream ends or the client disconnects.
    Events(Response, EventStream),
}

impl HandlerOutput {
    /// A response that waits for a router.
    pub fn later(response: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Later(Box::pin(response))
    }

    /// The same with its response changed.
    pub(super) fn map(self, change: impl FnOnce(Response) -> Response + Send + 'static) -> Self {
        match self {
            Self::Now(response) => Self::Now(change(response)),
            Self::Later(response) => Self::later(async { change(response.await) }),
            Self::Events(head, events) => Self::Events(change(head), events),
        }
    }
}

impl From<Response> for HandlerOutput {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

/// A response of JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_within(value, MAX_ANSWER)
}

/// A response of JSON, or an error if it has more than this many bytes. It is not kept in memory beyond them.
pub(super) fn json_within(value: &impl Serialize, most: usize) -> Response {
    let mut body = Body { bytes: Vec::new(), most };
    let written = serde_json::to_writer(&mut body, value);
    body.response(written)
}

/// The error in place of a response of more than this many bytes.
pub(super) fn too_long(most: usize) -> Response {
    let detail = format!("The answer exceeds {most} bytes, the memory that the agent has for it.");
    problem(503, &detail)
}

/// A body with a limit of its length.
struct Body {
    bytes: Vec<u8>,
    most: usize,
}

impl Body {
    fn response(self, written: serde_json::Result<()>) -> Response {
        match written {
            Ok(()) => Response::new(200, "application/json", self.bytes),
            Err(error) if error.is_io() => too_long(self.most),
            // Impossible: all maps have strings as keys.
            Err(error) => problem(500, &error.to_string()),
        }
    }
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

/// An error as `application/problem+json` (RFC 9457) of type `about:blank`, whose title is that of the status. `detail`
/// describes this occurrence.
pub fn problem(status: u16, detail: &str) -> Response {
    problem_with(status, detail, json!({}))
}

/// The same with more fields.
pub(super) fn problem_with(status: u16, detail: &str, mut body: Value) -> Response {
    body["type"] = "about:blank".into();
    body["title"] = StatusCode(status).default_reason_phrase().into();
    body["status"] = status.into();
    body["detail"] = detail.into();
    Response::new(status, "application/problem+json", body.to_string())
}
