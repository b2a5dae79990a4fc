//! Parses and validates the head of a request (RFC 9112).
//!
//! Request smuggling needs two programs that interpret one head differently, so an ambiguous head is an error.

use std::net::IpAddr;

use super::error::HttpError;
use super::limits::MAX_BODY;
use crate::http::message::{HeaderField, Method, Request};

/// Maximum number of header fields in one request. Browsers behind two proxies send about 30.
const MAX_FIELDS: usize = 64;

/// Longest host name with a port: 253 bytes of name and `:65535`, rounded up.
const MAX_HOST: usize = 260;

/// How the end of a body is found (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length in bytes, at most [`MAX_BODY`].
    Length(usize),
    /// By the last chunk, see [`crate::net::chunked`].
    Chunked,
}

/// A valid head.
#[derive(Debug)]
pub(super) struct Head {
    /// The request without its body, from the peer of the connection.
    pub(super) request: Request,
    /// The method's name, for the log.
    method_name: String,
    pub(super) framing: Framing,
    /// Whether the connection stays open after this request (RFC 9112, 9.3).
    pub(super) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// The values of `X-Forwarded-For`, separated by commas; empty if there is none. Only a trusted proxy's may be used.
    pub(super) forwarded_for: String,
    /// The same for `X-Forwarded-Proto`.
    pub(super) forwarded_proto: String,
}

impl Head {
    /// Method and path for the log. The query may have secrets.
    pub(super) fn summary(&self) -> String {
        format!("method={} path={:?}", self.method_name, self.request.path)
    }
}

/// Where the first head in `buffer` ends, after its empty line, if it is complete. The bytes before `searched` were
/// searched before.
pub(super) fn end(buffer: &[u8], searched: usize) -> Option<usize> {
    // An empty line may begin up to two bytes before the new ones. A lone LF counts, so that its error is sent at once and
    // not after a timeout.
    (searched.saturating_sub(2)..buffer.len()).find_map(|at| match buffer[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Parses a complete head, including its empty line.
pub(super) fn parse(bytes: &[u8], peer: IpAddr) -> Result<Head, HttpError> {
    if bytes.split(|&b| b == b'\n').rev().skip(1).any(|line| line.last() != Some(&b'\r')) {
        return Err(HttpError::new(400, "Each line of the head must end in CR LF."));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(HttpError::new(400, "The head is not a valid HTTP request.")),
        Err(error) => return Err(parse_error(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HttpError::new(400, "The request line is incomplete."));
    };
    if !target.is_ascii() {
        return Err(HttpError::new(400, "The request target has bytes that must be percent-encoded."));
    }
    let fields = HeaderFields(parsed.headers);

    let (authority, target) = split_target(target)?;
    let host = fields.single("Host", "The request has more than one Host.")?;
    if host.is_none() && minor == 1 {
        return Err(HttpError::new(400, "The request has no Host."));
    }
    let host = host.map(ascii);
    if [authority, host.as_deref()].into_iter().flatten().any(|host| !is_host(host)) {
        return Err(HttpError::new(400, "The Host is not a host name or address."));
    }
    let framing = fields.framing(minor)?;
    let expects_continue = match fields.single("Expect", "The request has more than one Expect.")? {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => minor == 1,
        Some(_) => return Err(HttpError::new(417, "The only supported Expect is 100-continue.")),
    };

    let mut request = Request::new(Method::from_name(method), target, peer);
    for (field, name) in HeaderField::ALL {
        request.fields[field as usize] = match (field, authority) {
            (HeaderField::Host, Some(authority)) => Some(authority.to_owned()),
            (HeaderField::Host, None) => host.clone(),
            _ => fields.joined(name, field.joined_by())?,
        };
    }
    Ok(Head {
        request,
        method_name: method.to_owned(),
        framing,
        keep_alive: fields.keep_alive(minor),
        expects_continue,
        forwarded_for: fields.joined("X-Forwarded-For", Some(","))?.unwrap_or_default(),
        forwarded_proto: fields.joined("X-Forwarded-Proto", Some(","))?.unwrap_or_default(),
    })
}

fn parse_error(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::new(431, "The request has more than 64 header fields."),
        httparse::Error::Version if bytes.windows(6).any(|six| six == b" HTTP/") => {
            HttpError::new(505, "Only HTTP/1.0 and HTTP/1.1 are supported.")
        }
        httparse::Error::HeaderName => HttpError::new(400, "The name of a header field is malformed."),
        httparse::Error::HeaderValue => {
            HttpError::new(400, "The value of a header field has a control character.")
        }
        _ => HttpError::new(400, "The head is not a valid HTTP request."),
    }
}

/// The authority of the target, if it has one, and the path with its query.
fn split_target(target: &str) -> Result<(Option<&str>, &str), HttpError> {
    if target.starts_with('/') {
        return Ok((None, target));
    }
    // A server must accept the absolute form (RFC 9112, 3.2.2), although only proxies receive it.
    let after = |scheme: &str| {
        target.split_at_checked(scheme.len()).filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
    };
    let Some((_, rest)) = after("http://").or_else(|| after("https://")) else {
        return Err(HttpError::new(400, "The request target must be a path."));
    };
    match rest.find(['/', '?']) {
        None => Ok((Some(rest), "/")),
        Some(at) if rest[at..].starts_with('/') => Ok((Some(&rest[..at]), &rest[at..])),
        Some(_) => Err(HttpError::new(400, "The request target has a query but no path.")),
    }
}

/// Whether it has only characters of a host with an optional port. Other characters could be misinterpreted in a log, a
/// page or a comparison of origins.
fn is_host(text: &str) -> bool {
    text.len() <= MAX_HOST
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// A value as ASCII, with `?` for other bytes. All ports of a host share cookies, so a cookie of another program may
/// have any bytes. It must not cause an error.
fn ascii(value: &[u8]) -> String {
    value.iter().map(|&b| if b.is_ascii() { char::from(b) } else { '?' }).collect()
}

struct HeaderFields<'h>(&'h [httparse::Header<'h>]);

impl<'h> HeaderFields<'h> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    fn single(&self, name: &str, detail: &'static str) -> Result<Option<&'h [u8]>, HttpError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(HttpError::new(400, detail)) } else { Ok(first) }
    }

    /// The value of a field, or its values with this separator if the field may be repeated.
    fn joined(&self, name: &str, separator: Option<&str>) -> Result<Option<String>, HttpError> {
        let Some(separator) = separator else {
            let value = self.single(name, "A header field that must not be repeated is repeated.")?;
            return Ok(value.map(ascii));
        };
        let values: Vec<_> = self.all(name).map(ascii).collect();
        Ok((!values.is_empty()).then(|| values.join(separator)))
    }

    fn framing(&self, minor: u8) -> Result<Framing, HttpError> {
        let length = self.single("Content-Length", "The request has more than one Content-Length.")?;
        let mut encodings = self.all("Transfer-Encoding");
        if let Some(encoding) = encodings.next() {
            // HTTP/1.0 does not define chunks: a proxy that speaks it would find another end of the body.
            let is_chunked =
                encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none() && minor == 1;
            return match length {
                Some(_) => {
                    Err(HttpError::new(400, "The request has both Content-Length and Transfer-Encoding."))
                }
                None if is_chunked => Ok(Framing::Chunked),
                None => {
                    Err(HttpError::new(501, "The only supported Transfer-Encoding is chunked, in HTTP/1.1."))
                }
            };
        }
        let Some(digits) = length else { return Ok(Framing::Length(0)) };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(HttpError::new(400, "The Content-Length is not a number."));
        }
        // Only digits: if it does not parse, the number is too large.
        match ascii(digits).parse() {
            Ok(length) if length <= MAX_BODY => Ok(Framing::Length(length)),
            _ => Err(HttpError::new(413, "The body exceeds 64 KiB.")),
        }
    }

    fn keep_alive(&self, minor: u8) -> bool {
        let has = |option: &str| {
            self.all("Connection")
                .flat_map(|value| value.split(|&b| b == b','))
                .any(|value| value.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        };
        !has("close") && (minor == 1 || has("keep-alive"))
    }
}
