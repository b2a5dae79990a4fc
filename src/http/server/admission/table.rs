//! The table of open connections, indexed by network and phase: the work of an eviction must not grow with their number.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use smol::Task;

use super::eviction::{Group, NEW, Phase};
use super::unread::UnreadAnswer;

/// How many candidates for eviction are compared by the number of connections of their network. A flood from many
/// addresses has several connections from each, so it evicts its own connections and not those of clients with a long
/// round trip.
const COMPARED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct ConnectionTable {
    pub(super) connections: HashMap<u32, OpenConnection>,
    pub(super) next_id: u32,
    /// The connections of each network, and under `None` all of them.
    pub(super) groups: HashMap<Option<IpAddr>, Group>,
}

#[derive(Debug)]
pub(super) struct OpenConnection {
    /// The network that it counts for; `None` while a trusted proxy has sent no request over it.
    pub(super) network: Option<IpAddr>,
    pub(super) phase: Phase,
    /// When it last received a complete request, or if there was none, when it was admitted.
    pub(super) since: Instant,
    pub(super) unread: UnreadAnswer,
    /// The task that serves it: dropping it closes the connection.
    pub(super) task: Option<Task<()>>,
}

impl ConnectionTable {
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// The number of connections of a network.
    pub(super) fn count(&self, network: Option<IpAddr>) -> usize {
        self.groups.get(&network).map_or(0, |group| group.count(&Phase::ALL))
    }

    /// Adds a connection and returns its id.
    pub(super) fn insert(&mut self, network: Option<IpAddr>) -> u32 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let (since, unread) = (Instant::now(), UnreadAnswer::default());
        self.connections.insert(id, OpenConnection { network, phase: Phase::New, since, unread, task: None });
        self.add_to_groups(id);
        id
    }

    /// A connection, whose network, phase and time only [`update`](Self::update) may change.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut OpenConnection> {
        self.connections.get_mut(&id)
    }

    pub(super) fn update(&mut self, id: u32, change: impl FnOnce(&mut OpenConnection)) {
        self.remove_from_groups(id);
        self.connections.get_mut(&id).map(change);
        self.add_to_groups(id);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<OpenConnection> {
        self.remove_from_groups(id);
        self.connections.remove(&id)
    }

    /// The connection that is evicted first among those in these phases, of one network or, with `None`, of all
    /// networks: the oldest connection of the least valuable phase.
    pub(super) fn least_valuable(&mut self, network: Option<IpAddr>, phases: &[Phase]) -> Option<u32> {
        self.age();
        let group = self.groups.get(&network)?;
        let phase = group.least_valuable(phases)?;
        let compared = if matches!(phase, Phase::New | Phase::Reading) { COMPARED } else { 1 };
        let oldest = group.of(phase).iter().map(|(_, id)| *id).take(compared);
        // The first one, if several are equal.
        oldest.min_by_key(|id| Reverse(self.count_of_same_network(*id, phase)))
    }

    /// How many connections in this phase the network of a connection has, if it is known.
    fn count_of_same_network(&self, id: u32, phase: Phase) -> usize {
        let network = self.connections.get(&id).and_then(|connection| connection.network);
        network.and_then(|network| self.groups.get(&Some(network))).map_or(0, |group| group.of(phase).len())
    }

    /// Moves connections that are no longer [`NEW`] to their next phase. This happens once per request.
    fn age(&mut self) {
        for phase in [Phase::New, Phase::Reading] {
            while let Some((since, id)) =
                self.groups.get(&None).and_then(|all| all.of(phase).first()).copied()
                && since.elapsed() >= NEW
            {
                self.update(id, |_| {});
            }
        }
    }

    fn add_to_groups(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.since.elapsed() >= NEW {
            connection.phase = connection.phase.aged();
        }
        for network in groups_of(connection.network) {
            let group = self.groups.entry(network).or_default();
            group.of_mut(connection.phase).insert((connection.since, id));
        }
    }

    fn remove_from_groups(&mut self, id: u32) {
        let Some(connection) = self.connections.get(&id) else { return };
        for network in groups_of(connection.network) {
            let Some(group) = self.groups.get_mut(&network) else { continue };
            group.of_mut(connection.phase).remove(&(connection.since, id));
            if group.count(&Phase::ALL) == 0 {
                self.groups.remove(&network);
            }
        }
    }
}

/// The groups of a connection that counts for this network.
fn groups_of(network: Option<IpAddr>) -> impl Iterator<Item = Option<IpAddr>> {
    [None].into_iter().chain(network.map(Some))
}
