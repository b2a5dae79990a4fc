//! Serialises a response. `tiny_http` writes the head.

use std::io;
use std::sync::Arc;

use tiny_http::{HTTPVersion, Header, StatusCode};

use super::error::HttpError;
use crate::http::message::{Method, Response, problem};

/// Longest body that is copied to its head, to be sent with it, in bytes. A longer one takes several segments anyway.
const MAX_JOINED: usize = 16 * 1024;

/// Room for the status line and for the fields that `tiny_http` and [`ResponseBytes::set_connection`] add, in bytes.
const HEAD_ROOM: usize = 256;

/// A serialised response, or the head of one.
#[derive(Debug)]
pub(super) struct ResponseBytes {
    pub(super) status: u16,
    /// Length of the head, including its empty line.
    head: usize,
    /// The head, and the body if that is small.
    pub(super) first: Vec<u8>,
    /// The body, unless it is in `first`.
    pub(super) rest: Arc<Vec<u8>>,
}

impl ResponseBytes {
    /// The response to a request with this method.
    pub(super) fn new(response: Response, method: Method) -> Self {
        let response = response.or_internal_error();
        let mut bytes = Self::head(&response);
        if matches!(response.status, 204 | 304) {
            bytes.remove_length();
        } else if method == Method::Head {
            // The head states the length of the body that GET has (RFC 9110, 9.3.2).
        } else if response.body.len() <= MAX_JOINED {
            bytes.first.extend_from_slice(&response.body);
        } else {
            bytes.rest = response.body;
        }
        bytes
    }

    /// The response for an error of the server itself (RFC 9457).
    pub(super) fn error(error: HttpError, method: Method) -> Self {
        Self::new(problem(error.status, error.detail), method)
    }

    /// The head of a response whose body ends with the connection.
    pub(super) fn unbounded(response: Response) -> Self {
        let mut bytes = Self::head(&response.or_internal_error());
        bytes.remove_length();
        bytes
    }

    fn head(response: &Response) -> Self {
        // This can't fail: the names are constants, and `or_internal_error` has checked the values.
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
        // Writing to a Vec can't fail. The threshold prevents chunks for any length of the body.
        let _ =
            head.with_chunked_threshold(usize::MAX).raw_print(&mut first, HTTPVersion(1, 1), &[], true, None);
        Self { status: response.status, head: first.len(), first, rest: Arc::default() }
    }

    /// Adds the field `Connection`, which only the connection knows and `tiny_http` refuses.
    pub(super) fn set_connection(&mut self, keep_alive: bool) {
        let field: &[u8] = if keep_alive { b"Connection: keep-alive\r\n" } else { b"Connection: close\r\n" };
        // Before the empty line.
        let at = self.head.saturating_sub(2);
        self.first.splice(at..at, field.iter().copied());
        self.head += field.len();
    }

    /// The length in bytes, with the head.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Removes `Content-Length` from the head, which `tiny_http` always writes. With 204 it is not allowed (RFC 9110,
    /// 8.6), with 304 a cache would assume that the page is empty, and the length of an event stream is unknown.
    fn remove_length(&mut self) {
        let name = b"Content-Length:";
        let lines = self.first.split_inclusive(|&byte| byte == b'\n');
        let others = lines
            .filter(|line| !line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        self.first = others.flatten().copied().collect();
        self.head = self.first.len();
    }
}
