//! The thread that runs the steps of TLS handshakes, fair by network.
//!
//! A step may cost a signature: with an RSA key several milliseconds, which any client can cause by replaying a
//! recorded `ClientHello`. So no step runs on the server's thread, and each network has a queue of its own: the thread
//! takes one step from each network in turn, beginning with networks that had none.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum number of steps that wait. Each holds 10 KB and a descriptor, even if its client has disconnected meanwhile.
const MAX_WAITING: usize = 256;

/// Maximum number of steps of one network that wait. A client that shares its address with an attacker waits for at
/// most this many signatures.
const MAX_WAITING_OF_ONE: usize = 64;

/// Stack of the thread, in bytes: rustls and ring nest little. The system allocates only pages that are used.
const STACK: usize = 512 * 1024;

/// Minimum time between two log lines about steps that were dropped.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// A part of a handshake that needs only the CPU.
pub(super) type HandshakeStep = Box<dyn FnOnce() + Send>;

static QUEUE: Mutex<HandshakeQueue> = Mutex::new(HandshakeQueue::new());

/// Notified when a step was added.
static ADDED: Condvar = Condvar::new();

struct HandshakeQueue {
    /// The networks with their steps, the next one first. A network without steps stays for one round. Otherwise its
    /// next step would be served first again.
    networks: VecDeque<(IpAddr, VecDeque<HandshakeStep>)>,
    /// The number of networks at the front that were not served yet.
    fresh: usize,
    /// The number of all steps.
    waiting: usize,
    /// When dropped steps were last logged.
    warned: Option<Instant>,
}

/// Queues a step. If too many wait, the oldest of the network with the most is dropped.
///
/// # Panics
///
/// If the system can't start the thread, at the first step. The program then restarts, with a growing delay.
pub(super) fn submit(network: IpAddr, step: HandshakeStep) {
    start();
    let mut queue = lock();
    let dropped = queue.add(network, step);
    let warns = dropped.is_some() && queue.warned.is_none_or(|at| at.elapsed() > WARN_EVERY);
    if warns {
        queue.warned = Some(Instant::now());
    }
    drop(queue);
    ADDED.notify_one();
    if warns {
        log::warn!("msg=\"TLS handshakes are dropped: more than this machine can sign. Use an ECDSA key\"");
    }
}

impl HandshakeQueue {
    const fn new() -> Self {
        Self { networks: VecDeque::new(), fresh: 0, waiting: 0, warned: None }
    }

    /// Adds a step. Returns the step that is dropped to make room.
    fn add(&mut self, network: IpAddr, step: HandshakeStep) -> Option<HandshakeStep> {
        let index = self.networks.iter().position(|(waiting, _)| *waiting == network).unwrap_or_else(|| {
            self.networks.insert(self.fresh, (network, VecDeque::new()));
            self.fresh += 1;
            self.fresh - 1
        });
        self.networks[index].1.push_back(step);
        self.waiting += 1;
        let longest = if self.networks[index].1.len() > MAX_WAITING_OF_ONE {
            index
        } else if self.waiting > MAX_WAITING {
            (0..self.networks.len()).max_by_key(|index| self.networks[*index].1.len())?
        } else {
            return None;
        };
        // The oldest step, because its client times out first.
        let dropped = self.networks[longest].1.pop_front();
        self.waiting -= 1;
        if self.networks[longest].1.is_empty() {
            self.networks.remove(longest);
            self.fresh -= usize::from(longest < self.fresh);
        }
        dropped
    }

    /// The oldest step of the next network.
    fn next(&mut self) -> Option<HandshakeStep> {
        loop {
            let (network, mut steps) = self.networks.pop_front()?;
            self.fresh = self.fresh.saturating_sub(1);
            let Some(step) = steps.pop_front() else { continue };
            self.waiting -= 1;
            if !steps.is_empty() || self.networks.len() < MAX_WAITING {
                self.networks.push_back((network, steps));
            }
            return Some(step);
        }
    }
}

fn lock() -> MutexGuard<'static, HandshakeQueue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread at the first call.
fn start() {
    static THREAD: Once = Once::new();
    THREAD.call_once(|| {
        if let Err(error) = thread::Builder::new().name("handshakes".into()).stack_size(STACK).spawn(run) {
            panic!("can't start the thread for TLS handshakes: {error}");
        }
    });
}

fn run() {
    loop {
        let mut queue = lock();
        let step = loop {
            match queue.next() {
                Some(step) => break step,
                None => queue = ADDED.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(queue);
        step();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A queue of numbered steps, and those that have run, each with its network.
    struct Running {
        queue: HandshakeQueue,
        ran: Arc<Mutex<Vec<(u32, usize)>>>,
    }

    impl Running {
        fn new() -> Self {
            Self { queue: HandshakeQueue::new(), ran: Arc::default() }
        }

        fn add(&mut self, steps: impl IntoIterator<Item = (u32, usize)>) {
            for (network, number) in steps {
                let ran = self.ran.clone();
                let step = Box::new(move || ran.lock().unwrap().push((network, number)));
                drop(self.queue.add(Ipv4Addr::from_bits(network).into(), step));
                assert!(self.queue.waiting <= MAX_WAITING && self.queue.networks.len() <= 2 * MAX_WAITING);
            }
        }

        fn run(&mut self, count: usize) {
            (0..count).map_while(|_| self.queue.next()).for_each(|step| step());
        }

        fn run_all(mut self) -> Vec<(u32, usize)> {
            self.run(usize::MAX);
            assert_eq!((self.queue.waiting, self.queue.fresh, self.queue.networks.len()), (0, 0, 0));
            let ran = self.ran.lock().unwrap();
            ran.clone()
        }
    }

    fn run_order(steps: impl IntoIterator<Item = (u32, usize)>) -> Vec<(u32, usize)> {
        let mut running = Running::new();
        running.add(steps);
        running.run_all()
    }

    #[test]
    fn networks_take_turns_and_each_runs_its_steps_in_order() {
        let steps = [(1, 0), (1, 1), (1, 2), (2, 3), (2, 4), (3, 5)];
        assert_eq!(run_order(steps), [(1, 0), (2, 3), (3, 5), (1, 1), (2, 4), (1, 2)]);
    }

    #[test]
    fn a_network_without_earlier_steps_is_next_and_once_only() {
        let mut running = Running::new();
        running.add([(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]);
        running.run(3);
        running.add([(3, 0), (4, 0)]);
        running.run(2);
        running.add([(3, 1)]);
        let expected = [(1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (2, 1), (1, 2), (3, 1)];
        assert_eq!(running.run_all(), expected);
        // The order is the same for any number of networks, each served at once.
        let mut running = Running::new();
        for network in 0..2000 {
            running.add([(network, 0)]);
            running.run(1);
        }
        assert_eq!(running.run_all().len(), 2000);
    }

    #[test]
    fn if_too_many_steps_wait_the_oldest_of_the_network_with_the_most_is_dropped() {
        let of_one = |network: u32, count: usize| (0..count).map(move |number| (network, number));
        assert_eq!(
            run_order(of_one(1, 200)),
            of_one(1, 200).skip(200 - MAX_WAITING_OF_ONE).collect::<Vec<_>>()
        );
        // Ten networks with 64 each, and after them one with two.
        let ran = run_order((1..=10).flat_map(|network| of_one(network, 64)).chain(of_one(99, 2)));
        assert_eq!(ran.len(), MAX_WAITING);
        assert_eq!(ran.iter().filter(|(network, _)| *network == 99).count(), 2);
        assert!(ran.iter().position(|step| *step == (99, 1)).unwrap() < 22, "{ran:?}");
        // More networks than steps may wait.
        assert_eq!(run_order((0..1000).map(|network| (network, 0))).len(), MAX_WAITING);
    }
}
