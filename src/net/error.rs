//! Errors of connections that could not be made.

use std::io;

/// The kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The name has no address.
    Dns,
    /// The address answers, the port does not.
    Refused,
    /// No route leads to the address.
    Unreachable,
    /// This process or the machine has reached its limit of open files.
    NoDescriptor,
    /// Nothing answered in time.
    Timeout,
    /// The connection was closed.
    Closed,
    /// The TLS handshake was not answered in time.
    HandshakeTimeout,
    /// The connection was closed in the TLS handshake.
    HandshakeClosed,
    /// The peer ended the TLS handshake with alert 40: it has no certificate, or no cipher that rustls has.
    HandshakeRefused,
    /// The peer speaks no TLS.
    NoTls,
    /// The peer speaks only versions before TLS 1.2.
    OldTls,
    /// The certificate is not the pinned one.
    Pin,
    /// The peer has no key for its certificate.
    NoKey,
    /// The certificate has a form that can't be verified: X.509 before version 3, or an RSA key under 2048 bits.
    WeakCertificate,
    /// The certificate is not trusted.
    Certificate,
    /// The TLS handshake failed in another way.
    Tls,
}

/// The error of a connection that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure.
    pub cause: Cause,
    /// The message for people.
    pub message: String,
}

/// The system's errors if this process, or all processes together, have reached the limit of open files: `EMFILE`,
/// `ENFILE`.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

impl Error {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    /// The error of a TCP connection that could not be opened.
    pub(super) fn connecting(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
            return Self::new(Cause::NoDescriptor, format!("no file descriptor is left: {error}"));
        }
        let cause = match error.kind() {
            Kind::ConnectionRefused => Cause::Refused,
            Kind::TimedOut => Cause::Timeout,
            Kind::ConnectionReset | Kind::ConnectionAborted => Cause::Closed,
            _ => Cause::Unreachable,
        };
        Self::new(cause, error.to_string())
    }

    /// The error of an open connection that failed.
    pub(super) fn connection_lost(error: &io::Error) -> Self {
        Self::new(Cause::Closed, format!("the connection was lost: {error}"))
    }
}
