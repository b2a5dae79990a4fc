//! Decodes a chunked body (RFC 9112, 7.1) as it arrives.
//!
//! Peers send such a body if they do not know its length. Chunk extensions and trailer fields are discarded.

/// Longest line with a chunk's size and its extensions, in bytes. No known peer sends extensions.
const MAX_SIZE_LINE: usize = 256;

/// Maximum number of bytes of trailer fields.
const MAX_TRAILER: usize = 1024;

/// Why a body is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkedError {
    /// It is not chunked.
    Malformed(&'static str),
    /// It is longer than permitted.
    BodyTooLong,
    /// Its trailer fields exceed 1 KiB.
    TrailerTooLong,
}

/// Decodes one body.
#[derive(Debug)]
pub struct Chunked {
    max_body: usize,
    next: NextElement,
    /// Bytes of trailer fields so far.
    trailer_length: usize,
}

/// The element that comes next.
#[derive(Debug)]
enum NextElement {
    Size,
    /// The remaining bytes of a chunk.
    Data(usize),
    /// The line break after a chunk.
    DataEnd,
    Trailer,
    End,
}

impl Chunked {
    /// For a body of up to `max_body` bytes. A chunk that exceeds them is an error before its bytes arrive.
    pub fn new(max_body: usize) -> Self {
        Self { max_body, next: NextElement::Size, trailer_length: 0 }
    }

    /// Decodes and removes the complete elements at the front of `buffer`, and appends their content to `body`. Returns
    /// whether the body is complete.
    ///
    /// # Errors
    ///
    /// If this is not a chunked body, or a limit is exceeded.
    pub fn decode(&mut self, buffer: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, ChunkedError> {
        let mut used = 0;
        while let Some(count) = self.step(&buffer[used..], body)? {
            used += count;
        }
        buffer.drain(..used);
        Ok(matches!(self.next, NextElement::End))
    }

    /// Decodes the element at the front of `bytes` into `body` and returns its length; `None` if it is incomplete, or the body is
    /// complete.
    fn step(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, ChunkedError> {
        match self.next {
            NextElement::Size => {
                let Some(line) = line(bytes, MAX_SIZE_LINE)? else { return Ok(None) };
                let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
                let size = size(digits)?;
                if size > self.max_body - body.len() {
                    return Err(ChunkedError::BodyTooLong);
                }
                self.next = if size == 0 { NextElement::Trailer } else { NextElement::Data(size) };
                Ok(Some(line.len() + 2))
            }
            NextElement::Data(left) => {
                let count = left.min(bytes.len());
                body.extend_from_slice(&bytes[..count]);
                self.next =
                    if count == left { NextElement::DataEnd } else { NextElement::Data(left - count) };
                Ok((count > 0).then_some(count))
            }
            NextElement::DataEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.next = NextElement::Size;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(ChunkedError::Malformed("A chunk is longer than its size.")),
            },
            NextElement::Trailer => {
                let Some(line) = line(bytes, MAX_TRAILER)? else { return Ok(None) };
                self.trailer_length += line.len() + 2;
                if self.trailer_length > MAX_TRAILER {
                    return Err(ChunkedError::TrailerTooLong);
                }
                if line.is_empty() {
                    self.next = NextElement::End;
                }
                Ok(Some(line.len() + 2))
            }
            NextElement::End => Ok(None),
        }
    }
}

/// The first line without its line break, which must be CR LF; `None` if it is incomplete.
fn line(bytes: &[u8], most: usize) -> Result<Option<&[u8]>, ChunkedError> {
    let malformed = || ChunkedError::Malformed("A line between chunks is too long or does not end in CR LF.");
    match bytes.iter().take(most).position(|&byte| byte == b'\n') {
        Some(end) => bytes[..end].strip_suffix(b"\r").map(Some).ok_or_else(malformed),
        None if bytes.len() >= most => Err(malformed()),
        None => Ok(None),
    }
}

/// A chunk's size: hexadecimal digits and nothing else.
fn size(digits: &[u8]) -> Result<usize, ChunkedError> {
    let text = str::from_utf8(digits).unwrap_or_default();
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return Err(ChunkedError::Malformed("The size of a chunk is not a hexadecimal number."));
    }
    // Only digits: if it does not parse, the number is too large.
    usize::from_str_radix(text, 16).map_err(|_| ChunkedError::BodyTooLong)
}

#[cfg(test)]
mod tests {
    use super::ChunkedError::{BodyTooLong, TrailerTooLong};
    use super::*;

    const MAX_BODY: usize = 64 * 1024;

    /// A body and the bytes after it, or the error. `None` if the body is incomplete.
    type Decoded = Result<Option<(Vec<u8>, Vec<u8>)>, ChunkedError>;

    /// Decodes bytes that arrive in pieces of this size.
    fn decode(bytes: &[u8], piece: usize) -> Decoded {
        let mut chunked = Chunked::new(MAX_BODY);
        let (mut buffer, mut body, mut is_done) = (Vec::new(), Vec::new(), false);
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            is_done = is_done || chunked.decode(&mut buffer, &mut body)?;
        }
        Ok(is_done.then_some((body, buffer)))
    }

    #[test]
    fn bodies_are_decoded_from_pieces_of_any_size() {
        for (bytes, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"),
            ("5\r\nhel\r\n\r\n1;a=b\r\n!\r\n00\r\nX: y\r\n\r\n", "hel\r\n!", ""),
            ("A \r\n0123456789\r\n000\r\n\r\n", "0123456789", ""),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                let expected = Some((body.as_bytes().to_vec(), rest.as_bytes().to_vec()));
                assert_eq!(decode(bytes.as_bytes(), piece), Ok(expected), "{bytes:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_prefix_of_a_body_is_incomplete() {
        let whole = b"5;x\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length], 1000), Ok(None), "{length} bytes");
        }
    }

    #[test]
    fn malformed_or_too_long_bodies_are_errors() {
        let long = "1;".to_string() + &"x".repeat(MAX_SIZE_LINE);
        let trailer = "0\r\n".to_string() + &"A: b\r\n".repeat(MAX_TRAILER / 6 + 1);
        let many = "8000\r\n".to_string() + &"x".repeat(0x8000) + "\r\n8001\r\n";
        for (bytes, expected) in [
            ("\r\n", None),
            ("x\r\n", None),
            ("-1\r\n", None),
            ("+1\r\n", None),
            (" 1\r\n", None),
            ("0x1\r\n", None),
            ("1\n", None),
            ("1\r\nab\r\n", None),
            ("1\r\na\n", None),
            ("0\r\n\n", None),
            (long.as_str(), None),
            ("10001\r\n", Some(BodyTooLong)),
            ("fffffffffffffffffffffff\r\n", Some(BodyTooLong)),
            (many.as_str(), Some(BodyTooLong)),
            (trailer.as_str(), Some(TrailerTooLong)),
        ] {
            for piece in [1, 1000] {
                let error = decode(bytes.as_bytes(), piece).unwrap_err();
                let error = Some(error).filter(|error| !matches!(error, ChunkedError::Malformed(_)));
                assert_eq!(error, expected, "{:?}", &bytes[..bytes.len().min(40)]);
            }
        }
    }
}
