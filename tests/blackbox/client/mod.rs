//! The client of the RouterOS API over real sockets, against hand-written bytes and against the simulated router.
//!
//! | file | its subject |
//! | --- | --- |
//! | `replies` | the forms of an answer, and how its bytes may be split |
//! | `side_by_side` | many commands at once: one write, one round trip |
//! | `tags` | which tag a command has, and when it is used again |
//! | `listen` | changes of a menu |
//! | `truncation` | an answer with a limit of its own |
//! | `deadlines` | no answer, no connection, and what ends one |
//! | `limits` | limits of what the client accepts; those of what it holds in memory are in `tests/slow` |
//! | `turns` | memory that the replies of all connections share |
//! | `login` | both methods, and every refusal |

mod deadlines;
mod limits;
mod listen;
mod login;
mod replies;
mod side_by_side;
mod tags;
mod truncation;
mod turns;

use crate::support::raw_router as peer;
