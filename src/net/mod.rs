//! Outgoing connections: resolve a name, open a TCP connection, secure it with TLS, all within a deadline;
//! and a small HTTP client, whose decoder of chunked bodies the HTTP server uses, too.
//!
//! This module is independent of RouterOS. An [`error::Error`] has a cause and a message; callers add how an operator
//! can fix it.

mod authorities;
pub mod base64;
pub mod chunked;
pub mod connect;
pub mod deadline;
pub mod error;
pub mod http_client;
mod http_response;
pub mod proxy;
pub mod tls;
pub mod trust;
pub mod url;
