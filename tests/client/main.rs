//! Our client of the RouterOS API, from outside: over real sockets, against bytes that our own
//! encoder did not make, and against the simulated router.
//!
//! | file | its subject |
//! | --- | --- |
//! | `peer` | a scripted router, and how a test runs beside it |
//! | `replies` | what an answer may look like, and how it may be cut |
//! | `side_by_side` | many commands at once: one write, one round trip |
//! | `listen` | a menu that is followed |
//! | `cut` | an answer with a limit of its own |
//! | `deadlines` | no answer, no connection, and what ends one |
//! | `limits` `memory` | what a router cannot make the client take or hold |
//! | `login` | both ways in, and every way to be refused |
//! | `librouteros` | a server whose bytes are librouteros's |
//!
//! The last needs Python with what is in `tests/clients/requirements.txt`:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install -r tests/clients/requirements.txt
//! PATH=$PWD/venv/bin:$PATH cargo test --test client -- --ignored
//! ```

// What the tests call may stop at the first thing that is not as it must be, as they may.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cut;
mod deadlines;
mod librouteros;
mod limits;
mod listen;
mod login;
mod memory;
mod peer;
mod replies;
mod side_by_side;
