//! Limits of the data from routers: the length of texts, in characters, and the size of a declared plugin.
//!
//! A longer text ends with an ellipsis. The protocol allows words of 128 KiB, and the page and the API send the kept
//! texts of all sites in each response.

use crate::routeros::client::Limit;
use crate::routeros::rows::Rows;
use crate::routeros::wire::SentenceRef;

/// Size limit of a declared plugin's answer. The operator may not know how large a menu is on each router (a connection
/// table can have 50,000 rows), and the rows are held in memory, and as JSON during a request. At this number of rows,
/// rows with a few columns take half of the bytes.
pub(super) const DECLARED: Limit = Limit { rows: 2048, bytes: 1024 * 1024 };

/// Size limit of the answer of a menu with one row: more must not end the connection, as it would without a limit.
pub(super) const ONE_ROW: Limit = Limit { rows: 1, bytes: 16 * 1024 };

/// `version`: `7.20.7 (long-term)` has 18.
pub(super) const VERSION: usize = 40;

/// `board-name`: the longest names of products have about 40.
pub(super) const BOARD: usize = 64;

/// `architecture-name` and `platform`: `mipsbe`, `MikroTik`.
pub(super) const ARCHITECTURE: usize = 32;

/// `level` of a license: `p-unlimited` has 11.
pub(super) const LICENSE_LEVEL: usize = 16;

/// Names of servers, profiles and pools. Labels in `/metrics` have the same limit.
pub(super) const NAME: usize = 64;

/// `user`: RADIUS limits `User-Name` to 253 bytes (RFC 2865, 5.1).
pub(super) const USER: usize = 253;

/// `address` and `mac-address`: an IPv6 address with a zone has up to 60.
pub(super) const ADDRESS: usize = 64;

/// `login-by`: `http-chap`, `mac-cookie`.
pub(super) const LOGIN_BY: usize = 32;

/// `comment`: RouterOS shows 200 or so in a table.
pub(super) const COMMENT: usize = 200;

/// The value of a sensor: `-12.5C`, `not-present`.
pub(super) const SENSOR: usize = 64;

/// A cell of a declared plugin: the longest lines of a log.
pub(super) const CELL: usize = 1000;

/// Longest `.id`, in bytes; those of RouterOS have up to 17. An id is never shortened, because it could become that of
/// another item: a row with a longer one is left out.
pub const MAX_ID: usize = 32;

/// The rows that are read, and the number of rows that are left out because of their `.id`. RouterOS sometimes sends a
/// bare `!re`, which is not a row.
pub(super) fn usable(rows: &Rows) -> (Vec<SentenceRef<'_>>, usize) {
    let (mut usable, mut left_out) = (Vec::with_capacity(rows.len()), 0);
    for row in rows.iter() {
        match row.get(".id") {
            Some(id) if id.len() > MAX_ID => left_out += 1,
            id if id.is_some() || row.attributes().next().is_some() => usable.push(row),
            _ => {}
        }
    }
    (usable, left_out)
}

/// The message about the rows that were left out because of their `.id`; `None` if there are none.
pub(super) fn left_out(rows: usize) -> Option<String> {
    (rows > 0).then(|| format!("rows left out because of an .id of more than {MAX_ID} bytes: {rows}"))
}
