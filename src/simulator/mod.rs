//! A simulated router: a RouterOS that serves its API over TCP, with a hotspot where people come
//! and go. It is for `demo`, `simulate` and every test, and for any other project whose client
//! wants a router to talk to.
//!
//! ```
//! use phsweb_agent::simulator::{Router, Settings};
//!
//! let settings = Settings { active: 7, version: "6.49.10 (stable)".parse().unwrap(), ..Settings::default() };
//! let router = Router::start("127.0.0.1:0".parse().unwrap(), settings).unwrap();
//! println!("log in as api-user, password, at {}", router.addr());
//! assert_eq!(router.sessions().len(), 7);
//! ```
//!
//! It shares nothing with our client but the [wire](crate::routeros::wire), follows what is
//! documented of RouterOS and seen in traces of it, and differs by [`Version`] as they do.
//!
//! | file | its subject |
//! | --- | --- |
//! | `settings` `version` `capture` `replay` | what a router is like, what differs by version, the rows of a real one |
//! | `fault` `fault_injection` | what goes wrong on purpose: the catalogue, and what each does |
//! | `service` `tls` `counters` | the port and who is let in; the handshake of `api-ssl`; what is counted |
//! | `connection` `pending` `output` `login` | one API connection: what is asked, and the end; commands side by side, cancel; turns and bytes; who may come in |
//! | `command` `print` `query` `reply` | what a command does, which rows answer, what is said |
//! | `state` `shared` `setup` `menus` `table` `row` | all that is held: menus, rows, listeners, values that move by the clock |
//! | `hotspot` `people` `devices` | sessions and cookies; who the people are; hosts, leases, who is at the radios |
//! | `hardware` `network` `callers` | the board and its sensors; addresses, pools, queues; PPP sessions, watched hosts |

mod callers;
mod capture;
mod command;
mod connection;
mod counters;
mod devices;
mod fault;
mod fault_injection;
mod hardware;
mod hotspot;
mod login;
mod menus;
mod network;
mod output;
mod pending;
mod people;
mod print;
mod query;
mod replay;
mod reply;
mod row;
mod service;
mod settings;
mod setup;
mod shared;
mod state;
mod table;
mod tls;
mod version;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Sender, unbounded};
use smol::{Task, Timer};

pub use capture::Capture;
pub use counters::Counters;
pub use fault::{Fault, UnknownFault};
pub use hotspot::OnlineSession;
pub use pending::MAX_PENDING;
pub use row::{Row, Value};
pub use settings::{HealthMenu, IdOrder, Login, Policies, Settings, demo};
pub use table::MAX_ROWS;
pub use version::{BadVersion, Version};

use crate::executor;
use service::{Service, ServiceMessage};
use shared::Shared;
use state::State;

/// How often [`Router::until`] looks.
const LOOK: Duration = Duration::from_millis(2);

/// A simulated router at work. Dropping it closes its connections and its port.
///
/// It runs on smol's global executor, whose threads are started when they are first needed.
#[derive(Debug)]
pub struct Router {
    addr: SocketAddr,
    shared: Arc<Shared>,
    messages: Sender<ServiceMessage>,
    _at_work: Vec<Task<()>>,
}

impl Router {
    /// Starts a router that listens at `addr`; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// When the address can't be listened at, or TLS can't be had.
    pub fn start(addr: SocketAddr, settings: Settings) -> io::Result<Self> {
        let churn = settings.churn;
        let shared = Arc::new(Shared::new(State::new(settings)));
        let (messages, received) = unbounded();
        let service = Service::new(shared.clone(), addr, received)?;
        let addr = service.addr();
        let mut at_work = vec![executor::spawn(service.run())];
        if !churn.is_zero() {
            at_work.push(executor::spawn(hotspot::come_and_go(shared.clone(), churn)));
        }
        Ok(Self { addr, shared, messages, _at_work: at_work })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate that new connections get, as `sha256:` and its SHA-256 in lower-case hex;
    /// `None` without TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let state = self.shared.state();
        state.settings.tls.then(|| tls::fingerprint(state.fault))
    }

    /// What its clock shows, for a [`Value`] that moves. It does not begin at zero, so that what
    /// began before the start has a moment too; a reboot does not reset it.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.state().clock.at()
    }

    /// What it has counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }

    /// Who is online, in the order they came.
    #[must_use]
    pub fn sessions(&self) -> Vec<OnlineSession> {
        self.shared.state().sessions()
    }

    /// Logs a person in by `http-chap`; the `.id` of the session, or `None` if somebody is online
    /// at that address. The user need not be a configured one.
    #[must_use]
    pub fn log_in(&self, user: &str, address: Ipv4Addr, mac: &str) -> Option<String> {
        self.shared.state().log_in(user, address, mac, "http-chap", Duration::ZERO).ok()
    }

    /// Logs out whoever has the session with this `.id`, if somebody has.
    pub fn log_out(&self, id: &str) {
        self.shared.state().log_out(id, "user request");
    }

    /// Reboots it: uptime begins at zero, nobody is online, and connections are closed. The
    /// configuration and the cookies stay. New connections are accepted at once.
    pub fn reboot(&self) {
        self.shared.state().reboot();
        self.send(ServiceMessage::Disconnect);
    }

    /// Makes something go wrong from now on, or with `None` nothing any more.
    pub fn set_fault(&self, fault: Option<Fault>) {
        {
            let mut state = self.shared.state();
            (state.fault, state.has_refused) = (fault, false);
        }
        self.send(ServiceMessage::Fault(fault));
    }

    fn send(&self, message: ServiceMessage) {
        // An error would mean that the service is gone: then nothing is open.
        let _ = self.messages.try_send(message);
    }

    /// Changes the time from a command to its answer, for commands yet to come.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.state().settings.latency = latency;
    }

    /// Makes these the rows of a menu such as `/ip/hotspot/active`, [`MAX_ROWS`] at most; those
    /// beyond are left out. Listeners are told what differs from before. A menu that was not there
    /// is made, and takes any `add`, `set` and `remove`.
    pub fn set_rows(&self, menu: &str, rows: Vec<Row>) {
        self.shared.state().set_rows(menu, rows);
    }

    /// Takes a menu away, as on a board or version without it. Who listens to it is interrupted.
    pub fn remove_menu(&self, menu: &str) {
        self.shared.state().tables.remove(menu);
    }

    /// Waits until something holds of the router. It is for the caller to give up after a while.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            Timer::after(LOOK).await;
        }
    }
}
