//! Loopback addresses that no other test uses.
//!
//! Tests run in parallel and listen on `127.0.0.1`, where the system may reassign a port that one of them has closed.
//! The rest of `127.0.0.0/8` belongs to this machine, too.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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

/// A listener at all addresses. Its port is not one that the system assigns, so no other test gets it at one of them.
pub(crate) fn listen_everywhere() -> TcpListener {
    let first = 20_000 + u16::try_from(process::id() % 10_000).unwrap();
    let listen = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok();
    (first..32_768).find_map(listen).expect("expected a free port below 32768")
}
