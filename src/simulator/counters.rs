//! The counters of a router.

/// Counts since the start; a reboot does not reset them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accepted connections, including those closed at once.
    pub connections: u64,
    /// Connections closed at once: above the limit, from an address that is not allowed, by
    /// [`Fault::Refuse`](super::Fault::Refuse), or during a reboot.
    pub refused: u64,
    /// Connections that the router ended or left without a reply by a fault, a reboot or a refused login: those that a
    /// client has to close. Each counts once, and refused ones are included. A client that keeps one connection logs in
    /// at most once more than this.
    pub broken: u64,
    /// Open connections.
    pub open: u64,
    /// Accepted logins.
    pub logins: u64,
    /// Refused logins; a request for a challenge is not one.
    pub logins_refused: u64,
    /// Received commands, including logins.
    pub commands: u64,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
}
