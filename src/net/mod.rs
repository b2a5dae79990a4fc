//! Outgoing connections: resolve a name, open a TCP connection, secure it with TLS, all within a deadline.
//!
//! Nothing here knows who answers at the other end. An [`error::Error`] has a cause and a message; callers add what an
//! operator can do about it.

pub mod connect;
pub mod deadline;
pub mod error;
pub mod tls;
