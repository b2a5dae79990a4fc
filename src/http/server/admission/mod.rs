//! Admission control: each connection holds a permit, and when none is free, the least valuable connection is evicted.

mod eviction;
mod table;
mod unread;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smol::Task;

pub(super) use eviction::Phase;
use table::ConnectionTable;
use unread::{UnreadAnswer, UnreadAnswers};

use crate::http::peer;

/// The share of the permits that one address always has. A small `max_connections` must not break a browser, which
/// opens six connections, or several of them behind one NAT.
const MIN_SHARE: usize = 32;

/// How long the limit stays reduced after [`Admission::shrink`]. If it is raised too early, clients lose a few
/// connections; if too late, permits stay unused.
const SHRUNK_FOR: Duration = Duration::from_secs(60);

/// All permits. The lock is held only briefly, and never during I/O.
#[derive(Debug)]
pub(super) struct Admission {
    permits: Mutex<Permits>,
}

#[derive(Debug)]
struct Permits {
    /// The configured number of connections.
    max: usize,
    /// The current number: less than `max` for a while after [`Admission::shrink`].
    limit: usize,
    shrunk: Option<Instant>,
    table: ConnectionTable,
    unread: UnreadAnswers,
}

/// One connection's permit, returned when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    id: u32,
    admission: Arc<Admission>,
}

impl Admission {
    /// Permits for this many connections, at least one, and this many bytes of responses that clients have not read.
    pub(super) fn new(max_connections: usize, max_unread: usize) -> Self {
        let max = max_connections.max(1);
        let (table, unread) = (ConnectionTable::default(), UnreadAnswers::new(max_unread));
        Self { permits: Mutex::new(Permits { max, limit: max, shrunk: None, table, unread }) }
    }

    /// Changes the number of permits. If more connections are open, the least valuable ones are evicted.
    pub(super) fn resize(&self, max_connections: usize) {
        drop(self.with(|permits| {
            permits.set_limit(max_connections.max(1));
            permits.evict_excess(&Phase::ALL)
        }));
    }

    /// Gives a permit to a connection from `peer`; `start` makes its task. If the address already has its share,
    /// another connection of this address is evicted. If no permit is free, a connection of any address is evicted.
    /// Without a `peer` no share applies, see [`Permit::assign`].
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>, start: impl FnOnce(Permit) -> Task<()>) {
        let network = peer.map(peer::network);
        let (id, evicted) = self.with(|permits| {
            if permits.shrunk.is_some_and(|at| at.elapsed() > SHRUNK_FOR) {
                permits.set_limit(permits.max);
            }
            let evicted = if permits.has_full_share(network) {
                permits.evict(network, &Phase::ALL)
            } else if permits.table.len() >= permits.limit {
                permits.evict(None, &Phase::ALL)
            } else {
                None
            };
            (permits.table.insert(network), evicted)
        });
        drop(evicted);
        let task = start(Permit { id, admission: Arc::clone(self) });
        self.with(|permits| match permits.table.get_mut(id) {
            Some(connection) => connection.task = Some(task),
            // It has ended already.
            None => task.detach(),
        });
    }

    /// Reduces the limit for a while to three quarters of the open connections, because the system has no descriptor
    /// left. This leaves descriptors to the rest of the program, and lets the server accept a new client before it
    /// evicts another connection. Connections with a request or a response in progress are not evicted here.
    pub(super) fn shrink(&self) {
        drop(self.with(|permits| {
            let open = permits.table.len();
            permits.limit = (open - open.div_ceil(4)).max(1).min(permits.limit);
            permits.shrunk = Some(Instant::now());
            permits.evict_excess(Phase::UNANSWERED)
        }));
    }

    /// Runs `change` under the lock. It returns the tasks that it evicts, which must be dropped later: a task drops its
    /// [`Permit`], and that takes the lock.
    fn with<T>(&self, change: impl FnOnce(&mut Permits) -> T) -> T {
        change(&mut self.permits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Permits {
    fn set_limit(&mut self, max: usize) {
        (self.max, self.limit, self.shrunk) = (max, max, None);
    }

    /// Whether an address has the maximum number of connections: three quarters of all. That suffices for a reverse
    /// proxy or for all clients behind one NAT, and one address cannot keep the others out.
    fn has_full_share(&self, network: Option<IpAddr>) -> bool {
        let share = (self.limit - self.limit / 4).max(MIN_SHARE).min(self.limit);
        network.is_some() && self.table.count(network) >= share
    }

    /// Removes the least valuable connection in these phases, of one network or, with `None`, of all networks.
    fn evict(&mut self, network: Option<IpAddr>, phases: &[Phase]) -> Option<Task<()>> {
        let id = self.table.least_valuable(network, phases)?;
        self.remove(id)
    }

    /// Evicts connections in these phases until the limit is met.
    fn evict_excess(&mut self, phases: &[Phase]) -> Vec<Task<()>> {
        (self.limit..self.table.len()).map_while(|_| self.evict(None, phases)).collect()
    }

    fn remove(&mut self, id: u32) -> Option<Task<()>> {
        self.hold(id, UnreadAnswer::default());
        self.table.remove(id)?.task
    }

    fn hold(&mut self, id: u32, answer: UnreadAnswer) {
        if let Some(connection) = self.table.get_mut(id) {
            self.unread.replace(id, &mut connection.unread, answer);
        }
    }
}

impl Permit {
    /// Assigns the connection to the client of its current request: behind a trusted proxy, each request may come from
    /// another client. If the client's address already has its share, another connection of this address is evicted.
    pub(super) fn assign(&self, client: IpAddr) {
        let network = Some(peer::network(client));
        let evicted = self.admission.with(|permits| {
            if permits.table.get_mut(self.id).is_none_or(|connection| connection.network == network) {
                return None;
            }
            let is_full = permits.has_full_share(network);
            let evicted = if is_full { permits.evict(network, &Phase::ALL) } else { None };
            permits.table.update(self.id, |connection| connection.network = network);
            evicted
        });
        drop(evicted);
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.admission.with(|permits| {
            permits.table.update(self.id, |connection| {
                connection.phase = phase;
                if phase == Phase::Requested {
                    connection.since = Instant::now();
                }
            });
        });
    }

    /// Records how many bytes of responses the connection holds for its client, whether other connections may share
    /// these bytes, and how many bytes the kernel holds. If a limit is exceeded, the connections that have held their
    /// response for longest are closed.
    pub(super) fn hold(&self, bytes: usize, shared: Option<&Arc<[u8]>>, queued: usize) {
        let shared = shared.map(|bytes| bytes.as_ptr().addr());
        let mut evicted = Vec::new();
        self.admission.with(|permits| {
            permits.hold(self.id, UnreadAnswer { bytes, shared, queued, since: None });
            while permits.unread.is_over_limit()
                && let Some(id) = permits.unread.held_longest_beside(self.id)
            {
                evicted.push(permits.remove(id));
            }
        });
        if !evicted.is_empty() {
            log::debug!("closed={} msg=\"too many bytes of responses are unread\"", evicted.len());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The removed task is the one that is ending now, unless it was already evicted.
        drop(self.admission.with(|permits| permits.remove(self.id)));
    }
}

#[cfg(test)]
mod tests;
