//! The head of a request: which ones are accepted, and what is understood of them.
//!
//! Two programs that read one head differently are how requests get smuggled, so whatever is ambiguous is refused.

use std::mem;

use super::limits::MAX_BODY;
use super::proxies::ClientAddress;
use crate::http::message::{Field, Method, Request};

/// Most header fields in one request. Browsers behind two proxies send about 30.
const MAX_FIELDS: usize = 64;

/// Longest host name with a port: 253 bytes of name and `:65535`, rounded up.
const MAX_HOST: usize = 260;

/// Why a request gets no further: the status and what to tell the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HttpError {
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

/// A refusal with this status.
pub(super) const fn refuse(status: u16, detail: &'static str) -> HttpError {
    HttpError { status, detail }
}

/// How the end of a body is found (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes, at most [`MAX_BODY`].
    Length(usize),
    /// Chunks, see [`super::chunked`].
    Chunked,
}

/// A head that was understood.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// The method's name, for the log.
    name: String,
    /// The path and the query: ASCII, begins with `/`.
    target: String,
    /// The values of [`Field::ALL`], each moved to the request by [`Head::request`].
    fields: [Option<String>; Field::ALL.len()],
    /// How the end of the body is found.
    pub(super) framing: Framing,
    /// Whether the client wants to go on after this request.
    pub(super) keep_alive: bool,
    /// Whether the client waits for a `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// The values of `X-Forwarded-For`, separated by commas; empty if there is none. Not to be believed unless it
    /// comes from a trusted proxy.
    pub(super) forwarded_for: String,
    /// The same of `X-Forwarded-Proto`.
    pub(super) forwarded_proto: String,
}

impl Head {
    /// Method and path for the log, without the query, where secrets may be.
    pub(super) fn summary(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        [&self.name, path].join(" ")
    }

    /// The request from this client, with no body yet. The head keeps no header fields.
    pub(super) fn request(&mut self, client: ClientAddress) -> Request {
        let mut request = Request::new(self.method, &self.target, client.address);
        request.is_https = client.is_https;
        request.fields = mem::take(&mut self.fields);
        request
    }
}

/// Where the first head in `buffer` ends, if it does: after its empty line. Only
/// the bytes from `seen` on are new since the last call.
pub(super) fn end(buffer: &[u8], seen: usize) -> Option<usize> {
    // An empty line may have begun up to two bytes before what is new. A lone LF
    // counts here so that it is refused at once, not waited out.
    (seen.saturating_sub(2)..buffer.len()).find_map(|at| match buffer[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Reads a whole head, up to and with its empty line.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, HttpError> {
    if bytes.split(|&b| b == b'\n').rev().skip(1).any(|line| line.last() != Some(&b'\r')) {
        return Err(refuse(400, "each line of the head must end in CR LF"));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(refuse(400, "the head is no HTTP request")),
        Err(error) => return Err(not_parsed(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(refuse(400, "the request line is not whole"));
    };
    if !target.is_ascii() {
        return Err(refuse(400, "the target has bytes that must be percent-encoded"));
    }
    let fields = Fields(request.headers);

    let (authority, target) = split_target(target)?;
    let named = fields.single("Host", "the request names more than one Host")?;
    if named.is_none() && minor == 1 {
        return Err(refuse(400, "the request names no Host"));
    }
    let named = named.map(ascii);
    if [authority, named.as_deref()].into_iter().flatten().any(|host| !is_host(host)) {
        return Err(refuse(400, "the Host is no host name or address"));
    }
    let framing = fields.framing(minor)?;
    let expects_continue = match fields.single("Expect", "the request has more than one Expect")? {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => minor == 1,
        Some(_) => return Err(refuse(417, "only 100-continue can be expected")),
    };

    let mut values: [Option<String>; Field::ALL.len()] = Default::default();
    for field in Field::ALL {
        values[field as usize] = match (field, authority) {
            (Field::Host, Some(authority)) => Some(authority.to_owned()),
            (Field::Host, None) => named.clone(),
            _ => fields.joined(field)?,
        };
    }
    Ok(Head {
        method: Method::from_name(method),
        name: method.to_owned(),
        target: target.to_owned(),
        fields: values,
        framing,
        keep_alive: fields.keep_alive(minor),
        expects_continue,
        forwarded_for: fields.list("X-Forwarded-For"),
        forwarded_proto: fields.list("X-Forwarded-Proto"),
    })
}

fn not_parsed(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => refuse(431, "the request has more than 64 header fields"),
        httparse::Error::Version if bytes.windows(6).any(|six| six == b" HTTP/") => {
            refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        httparse::Error::HeaderName => refuse(400, "a header field's name is not well formed"),
        httparse::Error::HeaderValue => refuse(400, "a header field's value has a control character"),
        _ => refuse(400, "the head is no HTTP request"),
    }
}

/// The authority, where the target has one, and the path with its query.
fn split_target(target: &str) -> Result<(Option<&str>, &str), HttpError> {
    if target.starts_with('/') {
        return Ok((None, target));
    }
    // The absolute form (RFC 9112, 3.2.2) must be understood though only proxies are sent it.
    let after = |scheme: &str| {
        target.split_at_checked(scheme.len()).filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
    };
    let Some((_, rest)) = after("http://").or_else(|| after("https://")) else {
        return Err(refuse(400, "the target must be a path"));
    };
    match rest.find(['/', '?']) {
        None => Ok((Some(rest), "/")),
        Some(at) if rest[at..].starts_with('/') => Ok((Some(&rest[..at]), &rest[at..])),
        Some(_) => Err(refuse(400, "the target has a query and no path")),
    }
}

/// Whether it could be a host with or without a port, and nothing that a log, a
/// page or a comparison of origins could mistake for more.
fn is_host(text: &str) -> bool {
    text.len() <= MAX_HOST
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// A value as ASCII. Cookies are shared by all ports of a host, so another
/// program's may come along with any bytes in them: no reason to refuse the request.
fn ascii(value: &[u8]) -> String {
    value.iter().map(|&b| if b.is_ascii() { char::from(b) } else { '?' }).collect()
}

struct Fields<'h>(&'h [httparse::Header<'h>]);

impl<'h> Fields<'h> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    fn single(&self, name: &'static str, detail: &'static str) -> Result<Option<&'h [u8]>, HttpError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(refuse(400, detail)) } else { Ok(first) }
    }

    fn joined(&self, field: Field) -> Result<Option<String>, HttpError> {
        let Some(separator) = field.joined_by() else {
            let value = self.single(field.name(), "a header field that must stand once stands twice")?;
            return Ok(value.map(ascii));
        };
        let values: Vec<_> = self.all(field.name()).map(ascii).collect();
        Ok((!values.is_empty()).then(|| values.join(separator)))
    }

    /// All values of a field, separated by commas (RFC 9110, 5.3).
    fn list(&self, name: &str) -> String {
        self.all(name).map(ascii).collect::<Vec<_>>().join(",")
    }

    fn framing(&self, minor: u8) -> Result<Framing, HttpError> {
        let length = self.single("Content-Length", "the request has more than one Content-Length")?;
        let mut encodings = self.all("Transfer-Encoding");
        if let Some(encoding) = encodings.next() {
            // HTTP/1.0 has no chunks: a proxy of that age would have read the body to another end.
            let is_chunked =
                encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none() && minor == 1;
            return match length {
                Some(_) => Err(refuse(400, "the request has both Content-Length and Transfer-Encoding")),
                None if is_chunked => Ok(Framing::Chunked),
                None => Err(refuse(501, "the only Transfer-Encoding is chunked, in HTTP/1.1")),
            };
        }
        let Some(digits) = length else { return Ok(Framing::Length(0)) };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(refuse(400, "the Content-Length is no number"));
        }
        // Only digits, so what does not parse is too large a number.
        match ascii(digits).parse() {
            Ok(length) if length <= MAX_BODY => Ok(Framing::Length(length)),
            _ => Err(refuse(413, "the body is over 64 KiB")),
        }
    }

    fn keep_alive(&self, minor: u8) -> bool {
        let says = |option: &str| {
            self.all("Connection")
                .flat_map(|value| value.split(|&b| b == b','))
                .any(|said| said.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        };
        !says("close") && (minor == 1 || says("keep-alive"))
    }
}
