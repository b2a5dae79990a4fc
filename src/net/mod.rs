//! Outgoing connections: resolve a name, open a TCP connection, secure it with TLS, all within a deadline.
//!
//! This module is independent of RouterOS. An [`error::Error`] has a cause and a message; callers add how an operator
//! can fix it.

pub mod connect;
pub mod deadline;
pub mod error;
pub mod tls;
