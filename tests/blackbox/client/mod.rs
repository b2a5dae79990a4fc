//! Our client of the RouterOS API, from outside: over real sockets, against bytes that our own
//! encoder did not make, and against the simulated router.
//!
//! | file | its subject |
//! | --- | --- |
//! | `replies` | what an answer may look like, and how it may be cut |
//! | `side_by_side` | many commands at once: one write, one round trip |
//! | `listen` | a menu that is followed |
//! | `cut` | an answer with a limit of its own |
//! | `deadlines` | no answer, no connection, and what ends one |
//! | `limits` | what a router cannot make the client take; what it cannot make it hold is in `tests/slow` |
//! | `turns` | memory that the replies of all connections share |
//! | `login` | both ways in, and every way to be refused |

mod cut;
mod deadlines;
mod limits;
mod listen;
mod login;
mod replies;
mod side_by_side;
mod turns;

use crate::support::raw_router as peer;
