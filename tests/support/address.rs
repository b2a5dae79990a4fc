//! Loopback addresses that no other test uses.
//!
//! Tests run in parallel and listen on `127.0.0.1`, where the system may reassign a port that one of them has closed.
//! The rest of `127.0.0.0/8` belongs to this machine, too.

use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// An address where no test ever listens.
pub(crate) fn unused_address() -> SocketAddr {
    ([127, 0, 9, 9], 9).into()
}

/// An address for one test only: a port that the test closes stays closed until the test opens it again.
pub(crate) fn unique_host() -> Ipv4Addr {
    static USED: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = process::id().to_be_bytes();
    let used = USED.fetch_add(1, Ordering::Relaxed).to_be_bytes()[3];
    Ipv4Addr::new(127, 128 | used, high, low)
}
