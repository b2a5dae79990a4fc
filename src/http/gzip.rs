//! Compresses responses with gzip (RFC 1952), because links to sites are slow.
//!
//! Compressed lengths could reveal a secret next to input that is repeated (BREACH). Responses contain no tokens, and
//! requests from other sites have no cookie, so nobody else sees the lengths of the admin's pages for chosen input.

use miniz_oxide::deflate::compress_to_vec;

use super::message::{HeaderField, Request, Response};

/// Shortest body that is compressed, in bytes: a shorter one takes one TCP segment anyway.
const MIN_BODY: usize = 1024;

/// Longest body that is compressed, in bytes: more would keep a worker of the slowest board busy for seconds.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// The level from which on the overview becomes hardly shorter: it has a fifth less than at level 1.
const LEVEL: u8 = 6;

/// Two bytes that identify gzip, DEFLATE, no flags, no time, no file system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Whether `Accept-Encoding` contains gzip (RFC 9110, 12.5.3).
pub(super) fn is_accepted(request: &Request) -> bool {
    let codings = request.field(HeaderField::AcceptEncoding).unwrap_or_default().split(',');
    { codings }.any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = quality.trim().get(2..).and_then(|number| number.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && quality != Some(0.0)
    })
}

/// The response in compressed form, unless that is not worth it.
pub(super) fn compressed(response: Response) -> Response {
    let length = response.body.len();
    if !(MIN_BODY..=MAX_BODY).contains(&length) {
        return response;
    }
    let mut body = HEADER.to_vec();
    body.extend(compress_to_vec(&response.body, LEVEL));
    body.extend(crc32(&response.body).to_le_bytes());
    body.extend(u32::try_from(length).unwrap_or_default().to_le_bytes());
    // An icon is compressed already.
    if body.len() >= length {
        return response;
    }
    Response { body: body.into(), ..response }.with("Content-Encoding", "gzip")
}

/// CRC-32 (RFC 1952, 8). Compression takes several times as long, so it needs no table.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::Method;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-32 in the catalogue of parametrised CRC algorithms.
        assert_eq!((crc32(b"123456789"), crc32(b"")), (0xCBF4_3926, 0));
    }

    #[test]
    fn gzip_is_accepted_unless_its_quality_is_zero() {
        for (codings, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0,GZIP ; q=0.5", true),
            ("gzip;q=0", false),
            ("deflate, gzip; q=0.000", false),
            ("identity", false),
            ("xgzip", false),
            ("", false),
        ] {
            let request = Request::new(Method::Get, "/", Ipv4Addr::LOCALHOST.into());
            let request = request.with(HeaderField::AcceptEncoding, codings);
            assert_eq!(is_accepted(&request), expected, "{codings:?}");
        }
    }

    #[test]
    fn only_bodies_that_become_shorter_are_compressed() {
        let mut state = 1_u32;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(2 * MIN_BODY)
        .collect();
        for (body, is_shorter) in [
            (vec![b'a'; MIN_BODY - 1], false),
            (vec![b'a'; MIN_BODY], true),
            (random, false),
            (vec![b'a'; MAX_BODY], true),
            (vec![b'a'; MAX_BODY + 1], false),
        ] {
            let response = compressed(Response::new(200, "text/plain", body.clone()));
            assert_eq!(response.body.len() < body.len(), is_shorter, "{} B", body.len());
            assert_eq!(response.headers.len(), usize::from(is_shorter), "Content-Encoding");
        }
    }
}
