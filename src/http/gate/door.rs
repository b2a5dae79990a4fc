//! Who is in: every connection has a seat, and when there is none left the one
//! that can best be spared gives up its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::Task;

use crate::http::peer;

/// The most memory for answers that clients have not yet read, in bytes: the
/// longest possible answer fits, and a router has it to spare. Past it the answer
/// that has been in reading for longest goes, with its connection.
const MAX_UNREAD: usize = super::limits::MAX_ANSWER;

/// Share of the connections that one address can always have. Small settings
/// must not break a browser, which opens six, nor several behind one NAT.
const MIN_SHARE: usize = 32;

/// How long the system's limit is believed after it was met, see
/// [`Door::shrink`]: trying too early costs clients a few connections, too late
/// leaves room unused.
const SHRUNK_FOR: Duration = Duration::from_secs(60);

/// A connection this young cannot be blamed for having sent no request yet: a
/// round trip to the far end of a satellite link. See [`Seats::evict`].
const NEW: Duration = Duration::from_secs(1);

/// Of that many seats one is for those that are new.
const SEATS_FOR_ONE_NEW: usize = 16;

/// All seats. The lock is held for moments and never over I/O.
#[derive(Debug)]
pub(super) struct Door {
    seats: Mutex<Seats>,
}

#[derive(Debug)]
struct Seats {
    /// How many there may be.
    max: usize,
    /// How many there are: less than the maximum for a while after [`Door::shrink`].
    count: usize,
    shrunk: Option<Instant>,
    taken: HashMap<u32, Taken>,
    next: u32,
    unread: usize,
}

#[derive(Debug)]
struct Taken {
    /// The address that it counts for; `None`: a trusted proxy's that has not sent a request yet.
    from: Option<IpAddr>,
    stage: Stage,
    /// When it last had a whole request, or else when it came in.
    since: Instant,
    unread: usize,
    /// The connection itself: dropping it closes it.
    task: Option<Task<()>>,
}

/// What would be lost by closing a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It never sent a whole request, or nothing more is wanted of it.
    Opening,
    /// It has had an answer and may ask again.
    Idle,
    /// It is told events, and comes back by itself when it is closed.
    Following,
    /// It has not read all of its answer yet.
    Reading,
    /// It sent a whole request that is not answered yet.
    Asking,
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u32,
    door: Arc<Door>,
}

impl Door {
    /// A door for so many connections, at least one.
    pub(super) fn new(max_connections: usize) -> Self {
        let max = max_connections.max(1);
        let seats = Seats { max, count: max, shrunk: None, taken: HashMap::new(), next: 0, unread: 0 };
        Self { seats: Mutex::new(seats) }
    }

    /// Makes it a door for so many connections. Where more are in, those that can best be spared go.
    pub(super) fn resize(&self, max_connections: usize) {
        let mut seats = self.lock();
        seats.max = max_connections.max(1);
        seats.count = seats.max;
        seats.shrunk = None;
        let out: Vec<_> = (seats.count..seats.taken.len()).map_while(|_| seats.evict(|_| true)).collect();
        drop(seats);
        drop(out);
    }

    /// A seat for a connection from `peer`, which `start` is given to make its task
    /// from. Another connection may have to go for it: one of the same address if
    /// that has its share already, else one of all. Without a `peer` no share applies: see [`Seat::count_for`].
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>, start: impl FnOnce(Seat) -> Task<()>) {
        let from = peer.map(peer::network);
        let mut seats = self.lock();
        if seats.shrunk.is_some_and(|at| at.elapsed() > SHRUNK_FOR) {
            seats.shrunk = None;
            seats.count = seats.max;
        }
        let out = if seats.has_its_share(from) {
            seats.evict(|taken| taken.from == from)
        } else if seats.taken.len() >= seats.count {
            seats.evict(|_| true)
        } else {
            None
        };
        let number = seats.next;
        seats.next = number.wrapping_add(1);
        let taken = Taken { from, stage: Stage::Opening, since: Instant::now(), unread: 0, task: None };
        seats.taken.insert(number, taken);
        drop(seats);
        drop(out);

        let task = start(Seat { number, door: Arc::clone(self) });
        match self.lock().taken.get_mut(&number) {
            Some(taken) => taken.task = Some(task),
            // It has ended already.
            None => task.detach(),
        }
    }

    /// For when the system has no descriptor left: makes do with a quarter fewer
    /// seats for a while, so that the rest of the program gets along and clients
    /// are again accepted first and then make others go. None that is being
    /// answered is closed for it.
    pub(super) fn shrink(&self) {
        let mut out = Vec::new();
        let mut seats = self.lock();
        let taken = seats.taken.len();
        seats.count = (taken - taken.div_ceil(4)).max(1).min(seats.count);
        seats.shrunk = Some(Instant::now());
        while seats.taken.len() > seats.count {
            let Some(task) = seats.evict(|taken| !matches!(taken.stage, Stage::Reading | Stage::Asking))
            else {
                break;
            };
            out.push(task);
        }
        drop(seats);
        drop(out);
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Whether an address has as many connections as one may have.
    fn has_its_share(&self, from: Option<IpAddr>) -> bool {
        from.is_some()
            && self.taken.values().filter(|taken| taken.from == from).count() >= max_from_one(self.count)
    }

    /// Takes away the seat, among those that `may_go`, that can best be spared: at the least rank, and there
    /// the one longest without a whole request. The task is to be dropped when the lock is no longer held.
    fn evict(&mut self, may_go: impl Fn(&Taken) -> bool) -> Option<Task<()>> {
        let now = Instant::now();
        let is_new = |taken: &Taken| taken.stage == Stage::Opening && now - taken.since < NEW;
        let candidates =
            || self.taken.iter().map(|(number, taken)| (*number, taken)).filter(|(_, taken)| may_go(taken));
        let count = |holds: &dyn Fn(&Taken) -> bool| candidates().filter(|(_, taken)| holds(taken)).count();
        let is_slow = |taken: &Taken| taken.stage == Stage::Reading && now - taken.since >= NEW;
        let (new, idle, slow) = (count(&is_new), count(&|taken| taken.stage == Stage::Idle), count(&is_slow));
        // A few that are new go last, or else, where clients hold all the other seats with answers they don't
        // read, the next to come would always push out the last before it could ask. Many are a flood.
        let few = new <= count(&|_| true) / SEATS_FOR_ONE_NEW;
        let rank = |taken: &Taken| match taken.stage {
            Stage::Opening if !is_new(taken) => 0,
            // Where those are more that have asked already, they are the flood.
            Stage::Opening if few => 6,
            Stage::Opening => 3,
            Stage::Idle if few || idle > new => 1,
            // Or those that have been reading for long.
            Stage::Reading if is_slow(taken) && slow > new => 2,
            Stage::Idle | Stage::Following => 4,
            Stage::Reading => 5,
            // The one that waited longest is the next to be answered: where all wait, who comes has to.
            Stage::Asking => 7,
        };
        let (number, _) = candidates().min_by_key(|(_, taken)| (rank(taken), taken.since))?;
        self.remove(number)
    }

    fn remove(&mut self, number: u32) -> Option<Task<()>> {
        let taken = self.taken.remove(&number)?;
        self.unread -= taken.unread;
        taken.task
    }
}

impl Seat {
    /// A request has come of this client, and the connection counts for its address from now on: over a trusted
    /// proxy each may be of another. If the address has its share already, another of its connections is closed.
    pub(super) fn count_for(&self, client: IpAddr) {
        let from = Some(peer::network(client));
        let mut seats = self.door.lock();
        if seats.taken.get(&self.number).is_none_or(|taken| taken.from == from) {
            return;
        }
        let out = if seats.has_its_share(from) { seats.evict(|taken| taken.from == from) } else { None };
        if let Some(taken) = seats.taken.get_mut(&self.number) {
            taken.from = from;
        }
        drop(seats);
        drop(out);
    }

    /// A whole request has come.
    pub(super) fn asking(&self) {
        self.update(|taken| {
            taken.stage = Stage::Asking;
            taken.since = Instant::now();
        });
    }

    /// Its answer is there.
    pub(super) fn reading(&self) {
        self.update(|taken| taken.stage = Stage::Reading);
    }

    /// The answer is out; there may be more requests.
    pub(super) fn idle(&self) {
        self.update(|taken| taken.stage = Stage::Idle);
    }

    /// It asks no more, and is told events.
    pub(super) fn following(&self) {
        self.update(|taken| taken.stage = Stage::Following);
    }

    /// Nothing more is wanted of it.
    pub(super) fn leaving(&self) {
        self.update(|taken| taken.stage = Stage::Opening);
    }

    /// It holds so many bytes of answer for its client. Others may have to go for
    /// them to fit.
    pub(super) fn holds(&self, bytes: usize) {
        let mut out = Vec::new();
        let mut seats = self.door.lock();
        if let Some(taken) = seats.taken.get_mut(&self.number) {
            let before = std::mem::replace(&mut taken.unread, bytes);
            seats.unread = seats.unread - before + bytes;
        }
        while seats.unread > MAX_UNREAD {
            let slowest =
                seats.taken.iter().filter(|(number, taken)| taken.unread > 0 && **number != self.number);
            let Some((&number, _)) = slowest.min_by_key(|(_, taken)| taken.since) else { break };
            out.push(seats.remove(number));
        }
        drop(seats);
        drop(out);
    }

    fn update(&self, change: impl FnOnce(&mut Taken)) {
        if let Some(taken) = self.door.lock().taken.get_mut(&self.number) {
            change(taken);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The task is the one that is just ending, or else was evicted.
        let task = self.door.lock().remove(self.number);
        drop(task);
    }
}

/// Most connections of one address, where there are `count` in all: three quarters.
/// A reverse proxy or everybody behind one NAT gets along with that, and one
/// address alone never keeps the others out.
fn max_from_one(count: usize) -> usize {
    (count - count / 4).max(MIN_SHARE).min(count)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Lets so many in, each at a stage that it has had for so long.
    fn admit(door: &Arc<Door>, count: usize, stage: Stage, for_s: u64) -> Vec<u32> {
        let before = door.lock().next;
        for _ in 0..count {
            door.admit(Some(Ipv4Addr::LOCALHOST.into()), |seat| {
                seat.update(|taken| {
                    taken.stage = stage;
                    taken.since = Instant::now().checked_sub(Duration::from_secs(for_s)).unwrap();
                });
                smol::spawn(async move {
                    let _seat = seat;
                    smol::future::pending::<()>().await;
                })
            });
        }
        (before..door.lock().next).collect()
    }

    fn are_in(door: &Door, numbers: &[u32]) -> usize {
        numbers.iter().filter(|number| door.lock().taken.contains_key(number)).count()
    }

    /// Clients that come, of whom most do so to read nothing, while others like them hold the other seats.
    #[test]
    fn who_comes_among_many_is_not_pushed_out_for_those_who_do_not_read() {
        let door = Arc::new(Door::new(100));
        let readers = admit(&door, 60, Stage::Reading, 5);
        let person = admit(&door, 1, Stage::Opening, 0);
        let others = admit(&door, 34, Stage::Opening, 0);
        assert_eq!((are_in(&door, &readers), are_in(&door, &others)), (40, 34));
        assert_eq!(are_in(&door, &person), 1);
        // Where these are the more, they push each other out.
        admit(&door, 20, Stage::Opening, 0);
        assert!(are_in(&door, &readers) >= 20, "{}", are_in(&door, &readers));
    }

    /// Who reads for a moment only is spared.
    #[test]
    fn who_reads_an_answer_keeps_the_seat_in_a_flood() {
        let door = Arc::new(Door::new(100));
        let readers = admit(&door, 40, Stage::Reading, 0);
        admit(&door, 500, Stage::Opening, 0);
        assert_eq!(are_in(&door, &readers), 40);
    }
}
