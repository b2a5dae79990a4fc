//! Who is in: every connection has a seat, and when there is none left the one
//! that can best be spared gives up its own.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::Task;

use super::socket::SEND_BUFFER;
use crate::http::peer;

/// The most bytes of answers that the kernel holds for clients, which takes up to twice as much for them. It is what
/// the usual 512 connections can have together; where `max_connections` is higher, they share it, and where little memory
/// is for answers, it is less: a container's limit counts the kernel's buffers, too. Past it the answer that the kernel
/// has held for longest goes, with its connection.
const MAX_QUEUED: usize = 512 * SEND_BUFFER;

/// Share of the connections that one address can always have. Small settings
/// must not break a browser, which opens six, nor several behind one NAT.
const MIN_SHARE: usize = 32;

/// How long the system's limit is believed after it was met, see
/// [`Admission::shrink`]: trying too early costs clients a few connections, too late
/// leaves room unused.
const SHRUNK_FOR: Duration = Duration::from_secs(60);

/// A connection this young cannot be blamed for having sent no request yet: a
/// round trip to the far end of a satellite link. See [`Permits::evict`].
const NEW: Duration = Duration::from_secs(1);

/// Of that many seats one is for those that are new.
const SEATS_FOR_ONE_NEW: usize = 16;

/// Of the connections that are evicted next, so many are compared by how many more their addresses have. A flood from
/// many addresses has several of each, so that it pushes out its own and spares clients with a long round trip.
const COMPARED: usize = 16;

/// All seats. The lock is held for moments and never over I/O.
#[derive(Debug)]
pub(super) struct Admission {
    seats: Mutex<Permits>,
}

#[derive(Debug)]
struct Permits {
    /// How many there may be.
    max: usize,
    /// How many there are: less than the maximum for a while after [`Admission::shrink`].
    count: usize,
    shrunk: Option<Instant>,
    taken: HashMap<u32, Taken>,
    next: u32,
    /// The connections of each address, and under `None` all of them: the work of an eviction must not grow with
    /// their number.
    groups: HashMap<Option<IpAddr>, Group>,
    /// Those with answers that their clients have not read, by the time since when.
    holders: BTreeSet<(Instant, u32)>,
    unread: usize,
    /// Most bytes of answers that clients have not read yet, see [`Limits::unread`](super::limits::Limits::unread).
    max_unread: usize,
    queued: usize,
    /// How many connections hold the same bytes, by their address in memory: these are counted once.
    shared: HashMap<usize, usize>,
}

/// Connections of each [`Class`], the oldest first.
#[derive(Debug, Default)]
struct Group([BTreeSet<(Instant, u32)>; Class::ALL.len()]);

#[derive(Debug)]
struct Taken {
    /// The address that it counts for; `None`: a trusted proxy's that has not sent a request yet.
    from: Option<IpAddr>,
    phase: ConnectionPhase,
    /// When it last had a whole request, or else when it came in.
    since: Instant,
    /// Where it is in its groups.
    class: Class,
    /// Since when its client has not read all of an answer.
    held_since: Option<Instant>,
    unread: usize,
    /// The address in memory of what it holds, if others may hold the same.
    shared: Option<usize>,
    queued: usize,
    /// The connection itself: dropping it closes it.
    task: Option<Task<()>>,
}

/// What would be lost by closing a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
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

/// A stage, and for some stages whether it is younger than [`NEW`]. Within a class the oldest is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `Opening` and no longer new.
    Opening,
    /// `Opening` and new.
    New,
    Idle,
    Following,
    /// `Reading`, since a moment ago.
    Reading,
    /// `Reading`, for longer.
    Slow,
    Asking,
}

impl Class {
    const ALL: [Self; 7] =
        [Self::Opening, Self::New, Self::Idle, Self::Following, Self::Reading, Self::Slow, Self::Asking];

    /// Those without a request or an answer in progress.
    const UNANSWERED: &[Self] = &[Self::Opening, Self::New, Self::Idle, Self::Following];

    fn of(phase: ConnectionPhase, is_young: bool) -> Self {
        match phase {
            ConnectionPhase::Opening if is_young => Self::New,
            ConnectionPhase::Opening => Self::Opening,
            ConnectionPhase::Idle => Self::Idle,
            ConnectionPhase::Following => Self::Following,
            ConnectionPhase::Reading if is_young => Self::Reading,
            ConnectionPhase::Reading => Self::Slow,
            ConnectionPhase::Asking => Self::Asking,
        }
    }
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    number: u32,
    admission: Arc<Admission>,
}

impl Admission {
    /// A door for so many connections, at least one.
    pub(super) fn new(max_connections: usize, max_unread: usize) -> Self {
        let max = max_connections.max(1);
        let seats = Permits {
            max,
            count: max,
            shrunk: None,
            taken: HashMap::new(),
            next: 0,
            groups: HashMap::new(),
            holders: BTreeSet::new(),
            unread: 0,
            max_unread,
            queued: 0,
            shared: HashMap::new(),
        };
        Self { seats: Mutex::new(seats) }
    }

    /// Makes it a door for so many connections. Where more are in, those that can best be spared go.
    pub(super) fn resize(&self, max_connections: usize) {
        let mut seats = self.lock();
        seats.max = max_connections.max(1);
        seats.count = seats.max;
        seats.shrunk = None;
        let out: Vec<_> =
            (seats.count..seats.taken.len()).map_while(|_| seats.evict(None, &Class::ALL)).collect();
        drop(seats);
        drop(out);
    }

    /// A seat for a connection from `peer`, which `start` is given to make its task
    /// from. Another connection may have to go for it: one of the same address if
    /// that has its share already, else one of all. Without a `peer` no share applies: see [`Permit::count_for`].
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>, start: impl FnOnce(Permit) -> Task<()>) {
        let from = peer.map(peer::network);
        let mut seats = self.lock();
        if seats.shrunk.is_some_and(|at| at.elapsed() > SHRUNK_FOR) {
            seats.shrunk = None;
            seats.count = seats.max;
        }
        let out = if seats.has_its_share(from) {
            seats.evict(from, &Class::ALL)
        } else if seats.taken.len() >= seats.count {
            seats.evict(None, &Class::ALL)
        } else {
            None
        };
        let number = seats.next;
        seats.next = number.wrapping_add(1);
        let taken = Taken {
            from,
            phase: ConnectionPhase::Opening,
            since: Instant::now(),
            class: Class::New,
            held_since: None,
            unread: 0,
            shared: None,
            queued: 0,
            task: None,
        };
        seats.taken.insert(number, taken);
        seats.file(number);
        drop(seats);
        drop(out);

        let task = start(Permit { number, admission: Arc::clone(self) });
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
            let Some(task) = seats.evict(None, Class::UNANSWERED) else { break };
            out.push(task);
        }
        drop(seats);
        drop(out);
    }

    fn lock(&self) -> MutexGuard<'_, Permits> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    /// Whether an address has as many connections as one may have.
    fn has_its_share(&self, from: Option<IpAddr>) -> bool {
        from.is_some()
            && self
                .groups
                .get(&from)
                .is_some_and(|group| group.count(&Class::ALL) >= max_from_one(self.count))
    }

    /// Takes away the seat, among those of an address, or with `None` of all, and of these classes, that can best be
    /// spared: at the least rank, and there the one longest without a whole request. The task is to be dropped when
    /// the lock is no longer held.
    fn evict(&mut self, from: Option<IpAddr>, classes: &[Class]) -> Option<Task<()>> {
        self.refile_aged();
        let group = self.groups.get(&from)?;
        let count = |class| group.of(class).len();
        let (new, idle, slow) = (count(Class::New), count(Class::Idle), count(Class::Slow));
        // A few that are new go last, or else, where clients hold all the other seats with answers they don't
        // read, the next to come would always push out the last before it could ask. Many are a flood.
        let few = new <= group.count(classes) / SEATS_FOR_ONE_NEW;
        let rank = |class| match class {
            Class::Opening => 0,
            // Where those are more that have asked already, they are the flood.
            Class::New if few => 6,
            Class::New => 3,
            Class::Idle if few || idle > new => 1,
            // Or those that have been reading for long.
            Class::Slow if slow > new => 2,
            Class::Idle | Class::Following => 4,
            Class::Reading | Class::Slow => 5,
            // The one that waited longest is the next to be answered: where all wait, who comes has to.
            Class::Asking => 7,
        };
        let oldest =
            classes.iter().filter_map(|class| Some((rank(*class), group.of(*class).first()?.0, *class)));
        let (.., class) = oldest.min_by_key(|(rank, since, _)| (*rank, *since))?;
        let compared = if matches!(class, Class::New | Class::Reading) { COMPARED } else { 1 };
        let next = group.of(class).iter().take(compared);
        // The first of those that are equal.
        let (_, number) = *next.min_by_key(|(_, number)| Reverse(self.of_same_address(*number, class)))?;
        self.remove(number)
    }

    /// How many of this class the address of a connection has, if it is known.
    fn of_same_address(&self, number: u32, class: Class) -> usize {
        let from = self.taken.get(&number).and_then(|taken| taken.from);
        from.and_then(|from| self.groups.get(&Some(from))).map_or(0, |group| group.of(class).len())
    }

    /// Puts those into their next class that were younger than [`NEW`]: each connection once for each request.
    fn refile_aged(&mut self) {
        for class in [Class::New, Class::Reading] {
            while let Some((since, number)) =
                self.groups.get(&None).and_then(|all| all.of(class).first()).copied()
                && since.elapsed() >= NEW
            {
                self.unfile(number);
                self.file(number);
            }
        }
    }

    /// Puts a connection into its groups.
    fn file(&mut self, number: u32) {
        let Some(taken) = self.taken.get_mut(&number) else { return };
        taken.class = Class::of(taken.phase, taken.since.elapsed() < NEW);
        for group in groups_of(taken.from) {
            self.groups.entry(group).or_default().0[taken.class as usize].insert((taken.since, number));
        }
    }

    /// Takes a connection out of its groups: before anything of it changes that they depend on.
    fn unfile(&mut self, number: u32) {
        let Some(taken) = self.taken.get(&number) else { return };
        for key in groups_of(taken.from) {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            group.0[taken.class as usize].remove(&(taken.since, number));
            if group.count(&Class::ALL) == 0 {
                self.groups.remove(&key);
            }
        }
    }

    /// Notes how much of an answer there is for a client here, whether others may hold the same, and how much is in the
    /// kernel.
    fn hold(&mut self, number: u32, unread: usize, shared: Option<usize>, queued: usize) {
        let Some(taken) = self.taken.get_mut(&number) else { return };
        // The last of those who share it has held it.
        let is_last = taken.shared.is_none_or(|key| match self.shared.get_mut(&key) {
            Some(holders @ 2..) => {
                *holders -= 1;
                false
            }
            _ => self.shared.remove(&key).is_some(),
        });
        if is_last {
            self.unread -= taken.unread;
        }
        let is_first = shared.is_none_or(|key| {
            let holders = self.shared.entry(key).or_default();
            *holders += 1;
            *holders == 1
        });
        if is_first {
            self.unread += unread;
        }
        self.queued = self.queued - taken.queued + queued;
        (taken.unread, taken.shared, taken.queued) = (unread, shared, queued);
        let since = (unread + queued > 0).then(|| taken.held_since.unwrap_or_else(Instant::now));
        let before = std::mem::replace(&mut taken.held_since, since);
        if before != since {
            if let Some(before) = before {
                self.holders.remove(&(before, number));
            }
            self.holders.extend(since.map(|since| (since, number)));
        }
    }

    fn remove(&mut self, number: u32) -> Option<Task<()>> {
        self.hold(number, 0, None, 0);
        self.unfile(number);
        self.taken.remove(&number)?.task
    }
}

impl Group {
    fn of(&self, class: Class) -> &BTreeSet<(Instant, u32)> {
        &self.0[class as usize]
    }

    fn count(&self, classes: &[Class]) -> usize {
        classes.iter().map(|class| self.of(*class).len()).sum()
    }
}

/// The groups of a connection that counts for this address.
fn groups_of(from: Option<IpAddr>) -> impl Iterator<Item = Option<IpAddr>> {
    [None].into_iter().chain(from.map(Some))
}

impl Permit {
    /// A request has come of this client, and the connection counts for its address from now on: over a trusted
    /// proxy each may be of another. If the address has its share already, another of its connections is closed.
    pub(super) fn count_for(&self, client: IpAddr) {
        let from = Some(peer::network(client));
        let mut seats = self.admission.lock();
        if seats.taken.get(&self.number).is_none_or(|taken| taken.from == from) {
            return;
        }
        let out = if seats.has_its_share(from) { seats.evict(from, &Class::ALL) } else { None };
        seats.unfile(self.number);
        if let Some(taken) = seats.taken.get_mut(&self.number) {
            taken.from = from;
        }
        seats.file(self.number);
        drop(seats);
        drop(out);
    }

    /// A whole request has come.
    pub(super) fn asking(&self) {
        self.update(|taken| {
            taken.phase = ConnectionPhase::Asking;
            taken.since = Instant::now();
        });
    }

    /// Its answer is there.
    pub(super) fn reading(&self) {
        self.update(|taken| taken.phase = ConnectionPhase::Reading);
    }

    /// The answer is out; there may be more requests.
    pub(super) fn idle(&self) {
        self.update(|taken| taken.phase = ConnectionPhase::Idle);
    }

    /// It asks no more, and is told events.
    pub(super) fn following(&self) {
        self.update(|taken| taken.phase = ConnectionPhase::Following);
    }

    /// Nothing more is wanted of it.
    pub(super) fn leaving(&self) {
        self.update(|taken| taken.phase = ConnectionPhase::Opening);
    }

    /// It holds so many bytes of answer for its client, and the kernel so many. Others may have to go for them to
    /// fit.
    pub(super) fn holds(&self, bytes: usize, queued: usize) {
        self.hold(bytes, None, queued);
    }

    /// It holds bytes that other connections may hold, too.
    pub(super) fn holds_shared(&self, bytes: &Arc<[u8]>, queued: usize) {
        self.hold(bytes.len(), Some(bytes.as_ptr().addr()), queued);
    }

    fn hold(&self, bytes: usize, shared: Option<usize>, queued: usize) {
        let mut out = Vec::new();
        let mut seats = self.admission.lock();
        seats.hold(self.number, bytes, shared, queued);
        while seats.unread > seats.max_unread || seats.queued > MAX_QUEUED.min(2 * seats.max_unread) {
            let mut slowest = seats.holders.iter().map(|(_, number)| *number);
            let Some(number) = slowest.find(|number| *number != self.number) else { break };
            out.push(seats.remove(number));
        }
        drop(seats);
        if !out.is_empty() {
            log::debug!("too much is not read: {} connections are closed", out.len());
        }
    }

    fn update(&self, change: impl FnOnce(&mut Taken)) {
        let mut seats = self.admission.lock();
        seats.unfile(self.number);
        if let Some(taken) = seats.taken.get_mut(&self.number) {
            change(taken);
        }
        seats.file(self.number);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The task is the one that is just ending, or else was evicted.
        let task = self.admission.lock().remove(self.number);
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
    use crate::http::server::MAX_ANSWER;

    /// Lets so many in, each at a stage that it has had for so long.
    fn admit(admission: &Arc<Admission>, count: usize, phase: ConnectionPhase, for_s: u64) -> Vec<u32> {
        let before = admission.lock().next;
        for _ in 0..count {
            admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
                permit.update(|taken| {
                    taken.phase = phase;
                    taken.since = Instant::now().checked_sub(Duration::from_secs(for_s)).unwrap();
                });
                smol::spawn(async move {
                    let _seat = permit;
                    smol::future::pending::<()>().await;
                })
            });
        }
        (before..admission.lock().next).collect()
    }

    fn are_in(admission: &Admission, numbers: &[u32]) -> usize {
        numbers.iter().filter(|number| admission.lock().taken.contains_key(number)).count()
    }

    /// Clients that come, of whom most do so to read nothing, while others like them hold the other seats.
    #[test]
    fn who_comes_among_many_is_not_pushed_out_for_those_who_do_not_read() {
        let admission = Arc::new(Admission::new(100, MAX_ANSWER));
        let readers = admit(&admission, 60, ConnectionPhase::Reading, 5);
        let person = admit(&admission, 1, ConnectionPhase::Opening, 0);
        let others = admit(&admission, 34, ConnectionPhase::Opening, 0);
        assert_eq!((are_in(&admission, &readers), are_in(&admission, &others)), (40, 34));
        assert_eq!(are_in(&admission, &person), 1);
        // Where these are the more, they push each other out.
        admit(&admission, 20, ConnectionPhase::Opening, 0);
        assert!(are_in(&admission, &readers) >= 20, "{}", are_in(&admission, &readers));
    }

    /// Twice as many connections as there are seats, from so many addresses.
    fn flood(admission: &Arc<Admission>, addresses: u32) {
        let seats = admission.lock().count;
        for number in 0..u32::try_from(2 * seats).unwrap() {
            let from = Ipv4Addr::from_bits(0x7f01_0000 + number % addresses);
            admission.admit(Some(from.into()), hold);
        }
    }

    fn hold(permit: Permit) -> Task<()> {
        smol::spawn(async move {
            let _seat = permit;
            smol::future::pending::<()>().await;
        })
    }

    #[test]
    fn a_flood_from_many_addresses_spares_a_client_with_a_long_round_trip() {
        let admission = Arc::new(Admission::new(512, MAX_ANSWER));
        let far = admit(&admission, 1, ConnectionPhase::Opening, 0);
        flood(&admission, 250);
        assert_eq!((are_in(&admission, &far), admission.lock().taken.len()), (1, 512));
        // And while it reads.
        let far = admit(&admission, 1, ConnectionPhase::Reading, 0);
        for number in 0..1000 {
            admission.admit(Some(Ipv4Addr::from_bits(0x7f01_0000 + number % 250).into()), |permit| {
                permit.asking();
                permit.reading();
                hold(permit)
            });
        }
        assert_eq!(are_in(&admission, &far), 1);
    }

    /// Up to the most connections that the file may set.
    #[test]
    fn the_work_of_an_eviction_does_not_grow_with_the_connections() {
        let [few, many] = [512, 65_536].map(|connections| {
            let admission = Arc::new(Admission::new(connections, MAX_ANSWER));
            for number in 0..u32::try_from(connections).unwrap() {
                admission.admit(Some(Ipv4Addr::from_bits(0x7f01_0000 + number / 8).into()), |permit| {
                    permit.idle();
                    hold(permit)
                });
            }
            let began = Instant::now();
            admit(&admission, 2000, ConnectionPhase::Opening, 0);
            assert_eq!(admission.lock().taken.len(), connections);
            began.elapsed()
        });
        println!("2,000 evictions: {few:.1?} among 512 connections, {many:.1?} among 65,536");
        assert!(many < 20 * few, "{few:?} among 512 connections, {many:?} among 65,536");
    }

    /// The choice as it is defined, by looking at each connection.
    fn victim(seats: &Permits) -> Option<u32> {
        let count = |class| seats.taken.values().filter(|taken| taken.class == class).count();
        let (new, idle, slow) = (count(Class::New), count(Class::Idle), count(Class::Slow));
        let few = new <= seats.taken.len() / SEATS_FOR_ONE_NEW;
        let rank = |taken: &Taken| match (taken.phase, taken.since.elapsed() < NEW) {
            (ConnectionPhase::Opening, false) => 0,
            (ConnectionPhase::Opening, true) => {
                if few {
                    6
                } else {
                    3
                }
            }
            (ConnectionPhase::Idle, _) if few || idle > new => 1,
            (ConnectionPhase::Reading, false) if slow > new => 2,
            (ConnectionPhase::Idle | ConnectionPhase::Following, _) => 4,
            (ConnectionPhase::Reading, _) => 5,
            (ConnectionPhase::Asking, _) => 7,
        };
        let all = seats.taken.iter().min_by_key(|(_, taken)| (rank(taken), taken.since));
        all.map(|(number, _)| *number)
    }

    #[test]
    fn the_connection_of_the_least_rank_goes_and_of_these_the_oldest() {
        let stages = [
            ConnectionPhase::Opening,
            ConnectionPhase::Idle,
            ConnectionPhase::Following,
            ConnectionPhase::Reading,
            ConnectionPhase::Asking,
        ];
        let mut random = fastrand::Rng::with_seed(15);
        for _ in 0..50 {
            // All of one address: it has a share of them all.
            let admission = Arc::new(Admission::new(1000, MAX_ANSWER));
            for _ in 0..random.usize(1..60) {
                let seconds = if random.bool() { 0 } else { random.u64(2..9) };
                admit(&admission, 1, *random.choice(&stages).unwrap(), seconds);
            }
            let mut out = Vec::new();
            let mut seats = admission.lock();
            while let Some(expected) = victim(&seats) {
                out.push(seats.evict(None, &Class::ALL));
                assert!(!seats.taken.contains_key(&expected));
            }
            assert!(seats.groups.is_empty() && seats.holders.is_empty());
            drop(seats);
        }
    }

    #[test]
    fn answers_that_the_kernel_holds_have_a_limit_together() {
        let admission = Arc::new(Admission::new(2000, MAX_ANSWER));
        let holding = |count: usize| -> Vec<u32> {
            let before = admission.lock().next;
            for _ in 0..count {
                admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
                    permit.holds(0, SEND_BUFFER);
                    hold(permit)
                });
            }
            (before..admission.lock().next).collect()
        };
        let (first, second) = (holding(100), holding(512));
        assert_eq!((are_in(&admission, &first), are_in(&admission, &second)), (0, 512));
        admission.resize(1);
        assert_eq!(admission.lock().queued, SEND_BUFFER);
    }

    #[test]
    fn events_are_counted_once_for_all_who_hold_the_same() {
        let admission = Arc::new(Admission::new(100, 2500));
        let holding = |bytes: &Arc<[u8]>| -> u32 {
            let number = admission.lock().next;
            admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
                permit.holds_shared(bytes, 0);
                hold(permit)
            });
            number
        };
        let [first, second, third] = [(); 3].map(|()| Arc::<[u8]>::from([0; 1000]));
        let of_first = [(); 5].map(|()| holding(&first));
        let of_second = holding(&second);
        let unread = || admission.lock().unread;
        assert_eq!((unread(), are_in(&admission, &of_first)), (2000, 5));
        // All who hold the first have to go for the third to fit.
        let of_third = holding(&third);
        assert_eq!((unread(), are_in(&admission, &of_first)), (2000, 0));
        assert_eq!(are_in(&admission, &[of_second, of_third]), 2);
        admission.resize(1);
        let shared = admission.lock().shared.len();
        assert_eq!((unread(), shared), (1000, 1));
    }

    /// Who reads for a moment only is spared.
    #[test]
    fn who_reads_an_answer_keeps_the_seat_in_a_flood() {
        let admission = Arc::new(Admission::new(100, MAX_ANSWER));
        let readers = admit(&admission, 40, ConnectionPhase::Reading, 0);
        admit(&admission, 500, ConnectionPhase::Opening, 0);
        assert_eq!(are_in(&admission, &readers), 40);
    }
}
