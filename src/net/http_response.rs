//! Reads the response of an HTTP server, as far as it is needed.

use std::time::Duration;

use smol::io::{AsyncRead, AsyncReadExt};

use super::chunked::Chunked;
use crate::deadline::within;

/// Maximum size of the heads of a response, interim ones included, in bytes. Servers themselves accept 8 KB.
const MAX_HEAD: usize = 16 << 10;

/// Maximum number of header fields. Services behind a content delivery network send about 30.
const MAX_FIELDS: usize = 100;

/// How many bytes of the body of an error are read. It is needed for a message only.
const MAX_BODY: usize = 4 << 10;

/// How long the body is waited for. Without it the message has less details.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes to read at a time.
const PIECE: usize = 2 << 10;

/// What a response is read from. It is no type parameter, so that the code exists once.
type ByteStream<'r> = dyn AsyncRead + Send + Unpin + 'r;

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// 200 to 999.
    pub status: u16,
    /// The words after the status; empty if there are none.
    pub reason: String,
    /// The value of `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The value of `Location`.
    pub location: Option<String>,
    /// The beginning of the body of an error. After a success, the body if it was requested.
    pub body: String,
}

impl HttpResponse {
    /// Whether the server has accepted the request.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// How the end of the body is found (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyLength {
    Known(usize),
    Chunked,
    UntilClose,
}

struct ParsedHead {
    response: HttpResponse,
    body: BodyLength,
    /// Length of the head in bytes.
    length: usize,
}

/// Reads a response from a stream. The body of a success has up to `max_body` bytes; if that is 0, it is not read.
///
/// # Errors
///
/// Why it is no HTTP response, as a message.
pub(super) async fn read(stream: &mut ByteStream<'_>, max_body: usize) -> Result<HttpResponse, String> {
    let mut buffer = Vec::new();
    let mut heads = 0;
    let ParsedHead { mut response, body, length } = loop {
        match parse(&buffer)? {
            // An interim response, such as 103 Early Hints.
            Some(head) if head.response.status < 200 => {
                heads += head.length;
                buffer.drain(..head.length);
            }
            Some(head) => break head,
            None if heads + buffer.len() >= MAX_HEAD => {
                return Err(format!("the head of the response is longer than {MAX_HEAD} bytes"));
            }
            None => {
                if read_piece(stream, &mut buffer).await? == 0 {
                    return Err(if buffer.is_empty() {
                        "the connection was closed without a response".into()
                    } else {
                        "the connection was closed within the head of the response".into()
                    });
                }
            }
        }
    };
    buffer.drain(..length);
    let mut content = Vec::new();
    if !response.is_success() {
        let rest = read_body(stream, body, &mut buffer, &mut content, MAX_BODY);
        // What was read is still useful if the rest is not.
        let _ = within(BODY_TIMEOUT, rest).await;
        content.truncate(MAX_BODY);
    } else if max_body > 0 {
        read_body(stream, body, &mut buffer, &mut content, max_body).await?;
    }
    response.body = String::from_utf8_lossy(&content).into_owned();
    Ok(response)
}

/// Reads a body of up to `max_body` bytes into `content`, and first the bytes of it that are in the `buffer`.
async fn read_body(
    stream: &mut ByteStream<'_>,
    length: BodyLength,
    buffer: &mut Vec<u8>,
    content: &mut Vec<u8>,
    max_body: usize,
) -> Result<(), String> {
    // The caller's limit counts what arrives, not what is announced.
    let mut chunked = Chunked::new(usize::MAX);
    loop {
        let is_complete = match length {
            BodyLength::Chunked => {
                let decoded = chunked.decode(buffer, content);
                decoded.map_err(|_| "the body of the response has malformed chunks")?
            }
            BodyLength::Known(length) => {
                content.append(buffer);
                content.truncate(length);
                content.len() == length
            }
            BodyLength::UntilClose => {
                content.append(buffer);
                false
            }
        };
        if content.len() > max_body {
            return Err(format!("the body of the response is longer than {max_body} bytes"));
        }
        if is_complete {
            return Ok(());
        }
        if read_piece(stream, buffer).await? == 0 {
            let message = "the connection was closed within the body of the response";
            return if length == BodyLength::UntilClose { Ok(()) } else { Err(message.into()) };
        }
    }
}

async fn read_piece(stream: &mut ByteStream<'_>, buffer: &mut Vec<u8>) -> Result<usize, String> {
    let mut piece = [0; PIECE];
    let read = stream.read(&mut piece).await.map_err(|error| format!("the connection was lost: {error}"))?;
    buffer.extend_from_slice(&piece[..read]);
    Ok(read)
}

/// Parses the head at the start of a buffer, if it is complete.
fn parse(buffer: &[u8]) -> Result<Option<ParsedHead>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("the response is not HTTP: {error}")),
    };
    let field = |name: &str| {
        let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| String::from_utf8_lossy(field.value).trim().to_string())
    };
    let body = match (field("Transfer-Encoding"), field("Content-Length")) {
        (Some(_), _) => BodyLength::Chunked,
        (None, Some(length)) => BodyLength::Known(length.parse().unwrap_or(usize::MAX)),
        (None, None) => BodyLength::UntilClose,
    };
    let response = HttpResponse {
        status: parsed.code.unwrap_or_default(),
        reason: parsed.reason.unwrap_or_default().into(),
        retry_after: field("Retry-After").and_then(|value| retry_after(&value)),
        location: field("Location"),
        body: String::new(),
    };
    Ok(Some(ParsedHead { response, body, length }))
}

/// The value of `Retry-After` in seconds, which is the form that services for messages send. The other one is a date.
fn retry_after(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use smol::io::Cursor;

    use super::*;

    fn response(text: &str) -> Result<HttpResponse, String> {
        smol::block_on(read(&mut Cursor::new(text.as_bytes()), 0))
    }

    #[test]
    fn the_requested_body_of_a_success_is_complete() {
        let long = "a".repeat(10);
        for (fields, body, expected) in [
            ("Content-Length: 4", "bodyREST", Ok("body")),
            ("Content-Length: 0", "REST", Ok("")),
            ("Content-Length: 10", &long, Ok(long.as_str())),
            ("X: y", "body", Ok("body")),
            ("Transfer-Encoding: chunked", "3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n", Ok("body")),
            ("Content-Length: 5", "body", Err("within the body")),
            ("Content-Length: x", "body", Err("within the body")),
            ("Transfer-Encoding: chunked", "3\r\nbod\r\n", Err("within the body")),
            ("Transfer-Encoding: chunked", "3\r\nbodyREST\r\n0\r\n\r\n", Err("malformed chunks")),
            ("Transfer-Encoding: chunked", "8\r\nbody", Err("within the body")),
            ("Transfer-Encoding: chunked", "6\r\nbodies\r\n5\r\n12345", Err("longer than 10")),
            ("Content-Length: 11", &format!("{long}a"), Err("longer than 10")),
            ("X: y", &format!("{long}a"), Err("longer than 10")),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
            let found = smol::block_on(read(&mut Cursor::new(text.as_bytes()), 10));
            match (&found, expected) {
                (Ok(response), Ok(expected)) => assert_eq!(response.body, expected, "{fields} {body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{fields} {body}: {error}"),
                _ => panic!("{fields} {body}: expected {expected:?}, got {found:?}"),
            }
        }
    }

    #[test]
    fn the_body_of_an_error_is_read_in_each_framing() {
        for (fields, body, expected) in [
            ("Content-Length: 4", "nopeREST", "nope"),
            ("Content-Length: 9", "nope", "nope"),
            ("Content-Length: x", "nope", "nope"),
            ("X: y", "nope", "nope"),
            ("Transfer-Encoding: chunked", "3\r\nnop\r\n1;x=y\r\ne\r\n0\r\n\r\nREST", "nope"),
            ("Transfer-Encoding: chunked", "3\r\nnop\r\nzz\r\nREST", "nop"),
            ("Transfer-Encoding: chunked", "7fffffff\r\nnope", "nope"),
            ("Transfer-Encoding: chunked", "0\r\n\r\n", ""),
        ] {
            let found = response(&format!("HTTP/1.1 500 Oh no\r\n{fields}\r\n\r\n{body}")).unwrap();
            assert_eq!((found.status, found.reason.as_str()), (500, "Oh no"));
            assert_eq!(found.body, expected, "{fields} {body}");
        }
    }

    #[test]
    fn a_success_is_known_from_its_head() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.0 204\r\n\r\n";
        assert_eq!(response(text), Ok(HttpResponse { status: 204, ..HttpResponse::default() }));
        let found = response("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").unwrap();
        assert!(found.is_success() && found.body.is_empty());
    }

    #[test]
    fn retry_after_and_location_are_read() {
        for (value, expected) in
            [("7", Some(7000)), ("0.5", Some(500)), ("-1", None), ("soon", None), ("1e300", None)]
        {
            let found = response(&format!(
                "HTTP/1.1 429 Slow\r\nretry-after: {value}\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"
            ));
            let found = found.unwrap();
            assert_eq!(found.retry_after, expected.map(Duration::from_millis), "{value}");
            assert_eq!(found.location.as_deref(), Some("/a"));
        }
    }

    #[test]
    fn other_bytes_are_errors_and_long_ones_are_bounded() {
        let endless_head = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(100_000));
        let endless_interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
        for (text, part) in [
            ("", "without a response"),
            ("HTTP/1.1 200", "within the head"),
            ("SSH-2.0-OpenSSH\r\n", "not HTTP"),
            (&endless_head, "longer than 16384"),
            (&endless_interim, "longer than 16384"),
        ] {
            let error = response(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let endless_body = format!("HTTP/1.1 500 No\r\n\r\n{}", "a".repeat(100_000));
        assert_eq!(response(&endless_body).unwrap().body.len(), MAX_BODY);
    }
}
