//! What a router counts.

/// What a router has counted since it was started; a reboot does not reset it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, those that were closed at once too.
    pub connections: u64,
    /// Of these, closed at once: too many, from an address not allowed, by
    /// [`Fault::Refuse`](super::Fault::Refuse) or in a reboot.
    pub refused: u64,
    /// Connections that the router ended or left without an answer by a fault, a reboot, or because
    /// it let nobody in: those a client has to give up. Each is counted once, and those refused are
    /// among them. A client that keeps one connection logs in once more than this at most.
    pub broken: u64,
    /// Connections open now.
    pub open: u64,
    /// Logins accepted.
    pub logins: u64,
    /// Logins refused; asking for a challenge is none.
    pub logins_refused: u64,
    /// Commands received, logins too.
    pub commands: u64,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
}
