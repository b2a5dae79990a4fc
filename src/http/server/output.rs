//! A response as the bytes that go to the client. `tiny_http` writes the head.

use std::io;

use tiny_http::{HTTPVersion, Header, StatusCode};

use crate::http::message::{Method, Response};

/// Longest body that is sent together with its head, in bytes. A larger one is not copied for that: it takes several
/// segments anyway.
const MAX_JOINED: usize = 16 * 1024;

/// Room for the status line and for the fields that `tiny_http` and [`ResponseBytes::set_connection`] add, in bytes.
const HEAD_ROOM: usize = 256;

/// A response that is ready to be sent, or the head of one.
#[derive(Debug)]
pub(super) struct ResponseBytes {
    pub(super) status: u16,
    /// Length of the head, including its empty line.
    head: usize,
    /// The head, and the body if that is small.
    pub(super) first: Vec<u8>,
    /// The body, unless it is in `first`.
    pub(super) rest: Vec<u8>,
}

impl ResponseBytes {
    /// The response to a request with this method.
    pub(super) fn new(response: Response, method: Method) -> Self {
        let response = response.or_internal_error();
        let mut bytes = Self::head(&response);
        if matches!(response.status, 204 | 304) {
            bytes.remove_length();
        } else if method == Method::Head {
            // The length is that of the body which GET has.
        } else if response.body.len() <= MAX_JOINED {
            bytes.first.extend(response.body);
        } else {
            bytes.rest = response.body;
        }
        bytes
    }

    /// The head of a response whose body ends with the connection.
    pub(super) fn unbounded(response: Response) -> Self {
        let mut bytes = Self::head(&response.or_internal_error());
        bytes.remove_length();
        bytes
    }

    fn head(response: &Response) -> Self {
        // No field is left out: the names are ours, and `or_internal_error` has checked the values.
        let fields = response.fields().filter_map(|(name, value)| Header::from_bytes(name, value).ok());
        let length = Some(response.body.len());
        let head = tiny_http::Response::new(
            StatusCode(response.status),
            fields.collect(),
            io::empty(),
            length,
            None,
        );
        let joined = if response.body.len() <= MAX_JOINED { response.body.len() } else { 0 };
        let room = response.fields().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let mut first = Vec::with_capacity(HEAD_ROOM + room + joined);
        // A Vec takes everything, so this cannot fail. The threshold makes the head state a length, however long.
        let _ =
            head.with_chunked_threshold(usize::MAX).raw_print(&mut first, HTTPVersion(1, 1), &[], true, None);
        Self { status: response.status, head: first.len(), first, rest: Vec::new() }
    }

    /// States whether the connection stays open, which only the connection knows.
    pub(super) fn set_connection(&mut self, keep_alive: bool) {
        let field: &[u8] = if keep_alive { b"Connection: keep-alive\r\n" } else { b"Connection: close\r\n" };
        // Before the empty line.
        let at = self.head.saturating_sub(2);
        self.first.splice(at..at, field.iter().copied());
        self.head += field.len();
    }

    /// The number of all bytes.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Removes `Content-Length` from the head. `tiny_http` always states it. With 204 it is not allowed, with 304 it
    /// would tell a cache that the page is empty, and a stream of events has none.
    fn remove_length(&mut self) {
        let name = b"Content-Length:";
        let lines = self.first.split_inclusive(|&byte| byte == b'\n');
        let others = lines
            .filter(|line| !line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        self.first = others.flatten().copied().collect();
        self.head = self.first.len();
    }
}
