//! The format of a file: a line of text, and records between zero bytes.
//!
//! ```text
//! phsweb-agent NAME 1\n
//! 0 record 0  0 record 0 …      record = COBS( checksum (8 bytes) · version (2 bytes, little-endian) · payload )
//! ```
//!
//! Consistent Overhead Byte Stuffing (COBS) encodes a record without zero bytes, so a reader finds the next record after
//! any damage, whatever the payloads contain. A changed byte damages one record, because each has both delimiters. The
//! checksum is the start of a SHA-256 over the name, the version and the payload.

use std::io::{self, BufRead, Read};

use ring::digest::{Context, SHA256};

use super::persist::MAX_RECORD;

/// Bytes of a checksum: a damaged record passes with a probability of 2⁻⁶⁴.
const CHECKSUM: usize = 8;

/// Bytes of the checksum and the version.
const OVERHEAD: usize = CHECKSUM + 2;

/// Maximum size of a record with its overhead, in bytes: COBS adds one byte to each 254.
const MAX_FRAME: u64 = (MAX_RECORD + OVERHEAD + MAX_RECORD / 254 + 4) as u64;

/// The first word of all files.
const PROGRAM: &[u8] = b"phsweb-agent ";

/// The first line of the file of a part.
pub(super) fn header(part: &str) -> Vec<u8> {
    // The number is the version of this format.
    [PROGRAM, part.as_bytes(), b" 1\n"].concat()
}

/// Appends a record to `out`.
pub(super) fn encode(part: &str, version: u16, payload: &[u8], out: &mut Vec<u8>) {
    let record = [&checksum(part, version, payload)[..], &version.to_le_bytes(), payload].concat();
    out.push(0);
    for run in record.split(|byte| *byte == 0) {
        let blocks = run.chunks_exact(254);
        let last = blocks.remainder();
        for block in blocks {
            out.push(u8::MAX);
            out.extend_from_slice(block);
        }
        // It is shorter than 254.
        out.push(u8::try_from(last.len() + 1).unwrap_or_default());
        out.extend_from_slice(last);
    }
    out.push(0);
}

/// The version and the payload of a record; `None` if it is damaged.
fn decode(part: &str, mut stuffed: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut record = Vec::with_capacity(stuffed.len());
    while let [code, rest @ ..] = stuffed {
        let (block, rest) = rest.split_at_checked(usize::from(*code).checked_sub(1)?)?;
        record.extend_from_slice(block);
        if *code < u8::MAX {
            record.push(0);
        }
        stuffed = rest;
    }
    // The last block is followed by no zero.
    record.pop().filter(|last| *last == 0)?;
    let (sum, rest) = record.split_first_chunk::<CHECKSUM>()?;
    let (version, payload) = rest.split_first_chunk()?;
    let version = u16::from_le_bytes(*version);
    (*sum == checksum(part, version, payload)).then(|| (version, payload.to_vec()))
}

fn checksum(part: &str, version: u16, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut context = Context::new(&SHA256);
    context.update(part.as_bytes());
    context.update(&version.to_le_bytes());
    context.update(payload);
    let digest = context.finish();
    std::array::from_fn(|at| digest.as_ref()[at])
}

/// What a file contains besides its records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Whether it is a file of the part: it has its first line or a record.
    pub(super) is_own: bool,
    /// Whether it is a file of this program, perhaps in another format.
    pub(super) is_of_program: bool,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Its length up to the end of the last intact record.
    pub(super) intact: u64,
    /// Damaged bytes before the last intact record.
    pub(super) damaged: u64,
}

/// Reads a file from its start, and calls `adopt` with the version and the payload of each intact record.
pub(super) fn scan(
    part: &str,
    mut reader: impl BufRead,
    mut adopt: impl FnMut(u16, &[u8]),
) -> io::Result<Scan> {
    let header = header(part);
    let mut scan = Scan::default();
    let mut bytes = Vec::new();
    let mut damaged = 0;
    loop {
        bytes.clear();
        let start = scan.length;
        scan.length += reader.by_ref().take(MAX_FRAME).read_until(0, &mut bytes)? as u64;
        let frame = bytes.strip_suffix(&[0]);
        if bytes.is_empty() {
            return Ok(scan);
        } else if start == 0 && frame.unwrap_or(&bytes) == header {
            (scan.is_own, scan.intact) = (true, header.len() as u64);
        } else if let Some((version, payload)) = frame.and_then(|frame| decode(part, frame)) {
            (scan.is_own, scan.intact) = (true, scan.length);
            scan.damaged += std::mem::take(&mut damaged);
            adopt(version, &payload);
        } else {
            // The first line without its end is a file that was cut.
            scan.is_own |= start == 0 && header.starts_with(&bytes);
            damaged += frame.unwrap_or(&bytes).len() as u64;
        }
        if start == 0 {
            scan.is_of_program = bytes.starts_with(PROGRAM);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    const PART: &str = "test";

    /// A file, its records, and the place of each.
    fn file() -> (Vec<u8>, Vec<Vec<u8>>, Vec<Range<usize>>) {
        let mut hidden = Vec::new();
        encode(PART, 1, b"a record in a record", &mut hidden);
        let long: Vec<u8> = (0..=u8::MAX).cycle().take(700).collect();
        let records = vec![
            b"first".to_vec(),
            Vec::new(),
            vec![0; 5],
            hidden,
            vec![7; 254],
            vec![9; 508],
            long,
            b"last".to_vec(),
        ];
        let (mut bytes, mut places) = (header(PART), Vec::new());
        for record in &records {
            let start = bytes.len();
            encode(PART, 1, record, &mut bytes);
            places.push(start..bytes.len());
        }
        (bytes, records, places)
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Scan) {
        let mut records = Vec::new();
        let scan = scan(PART, bytes, |_, payload| records.push(payload.to_vec())).unwrap();
        assert_eq!(scan.length, bytes.len() as u64);
        assert!(scan.damaged <= scan.intact && scan.intact <= scan.length);
        (records, scan)
    }

    /// The records whose places do not touch this one.
    fn outside(records: &[Vec<u8>], places: &[Range<usize>], hit: &Range<usize>) -> Vec<Vec<u8>> {
        let is_outside = |place: &Range<usize>| place.end <= hit.start || hit.end <= place.start;
        let pairs = records.iter().zip(places);
        pairs.filter(|(_, place)| is_outside(place)).map(|(record, _)| record.clone()).collect()
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let (bytes, records, _) = file();
        let (found, scan) = read(&bytes);
        assert_eq!(found, records);
        let length = bytes.len() as u64;
        let expected = Scan { is_own: true, is_of_program: true, length, intact: length, damaged: 0 };
        assert_eq!(scan, expected);
    }

    #[test]
    fn a_changed_byte_loses_one_record() {
        let (bytes, records, places) = file();
        for at in 0..bytes.len() {
            for value in [0, 1, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x80, bytes[at].wrapping_add(1)] {
                let mut changed = bytes.clone();
                changed[at] = value;
                if changed != bytes {
                    assert_eq!(
                        read(&changed).0,
                        outside(&records, &places, &(at..at + 1)),
                        "byte {at}: {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_has_the_records_before() {
        let (bytes, records, places) = file();
        for length in 0..bytes.len() {
            let (found, scan) = read(&bytes[..length]);
            assert_eq!(found, outside(&records, &places, &(length..bytes.len())), "{length}");
            assert_eq!((scan.damaged, scan.is_own), (0, length > 0), "{length}");
            let ends = places.iter().map(|place| place.end).filter(|end| *end <= length);
            let begin = Some(header(PART).len()).filter(|begin| *begin <= length).unwrap_or(0);
            assert_eq!(scan.intact, ends.max().unwrap_or(begin) as u64, "{length}");
        }
    }

    #[test]
    fn damage_loses_nothing_outside_of_it() {
        let (bytes, records, places) = file();
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..2000 {
            let start = random.usize(header(PART).len()..bytes.len());
            let hit = start..random.usize(start..=bytes.len().min(start + 600));
            let with: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
            let damaged = [&bytes[..hit.start], &with, &bytes[hit.end..]].concat();
            // A record may still be whole, because the records next to it have delimiters of their own.
            let found = read(&damaged).0;
            let what = format!("{round}: {hit:?} {with:?}");
            assert!(is_part(&outside(&records, &places, &hit), &found), "a record is missing: {what}");
            assert!(is_part(&found, &records), "a record is wrong: {what}");
        }
    }

    /// Whether the records are in the others, in the same order.
    fn is_part(records: &[Vec<u8>], of: &[Vec<u8>]) -> bool {
        let mut others = of.iter();
        records.iter().all(|record| others.any(|other| other == record))
    }

    #[test]
    fn other_files_are_recognized() {
        let (own, ..) = file();
        let mut other_part = header("other");
        encode("other", 1, b"record", &mut other_part);
        for (bytes, is_own, is_of_program) in [
            (&b""[..], false, false),
            (b"\0\0\0\0", false, false),
            (b"SQLite format 3\0 and more", false, false),
            (b"phsweb-agent test 2\n\x00later\x00", false, true),
            (&other_part, false, true),
            (&own[3..], true, false),
            (&header(PART), true, true),
        ] {
            let scan = read(bytes).1;
            assert_eq!((scan.is_own, scan.is_of_program), (is_own, is_of_program), "{bytes:?}");
        }
    }

    #[test]
    fn a_long_text_without_records_takes_little_memory() {
        let mut bytes = header(PART);
        bytes.resize(3 * MAX_RECORD, b'x');
        encode(PART, 7, &vec![b'y'; MAX_RECORD], &mut bytes);
        let mut found = Vec::new();
        scan(PART, &bytes[..], |version, payload| found.push((version, payload.len()))).unwrap();
        assert_eq!(found, [(7, MAX_RECORD)]);
    }
}
