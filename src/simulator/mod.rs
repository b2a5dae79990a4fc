//! A simulated router: RouterOS's API over TCP, with a hotspot where people log in and out. It serves
//! `demo`, `simulate`, the tests, and the tests of other projects that need a router.
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
//! It shares only the [wire format](crate::routeros::wire) with the agent's client. It follows the
//! documentation and traces of RouterOS, including the differences between versions (see [`Version`]).
//!
//! | file | subject |
//! | --- | --- |
//! | `settings` `version` `capture` `counters` | the settings of a router, differences between versions, rows of a real router, counts |
//! | `fault` `fault_injection` | the faults, and how they change replies |
//! | `service` `tls` `shared` | the port and the admission of connections, TLS of `api-ssl`, the shared state |
//! | `connection` `login` `pending` `output` | one API connection: its commands, login, concurrency and cancel, output |
//! | `command` `print` `query` `reply` | the commands of menus, the selection of rows, replies |
//! | `state` `table` `row` `value` `clock` `rng` | all menus, one menu, its rows, values that move, the clock, random numbers |
//! | `menus` `boot` `replay` | the accepted commands of each menu, the rows at the start, captured rows |
//! | `hotspot` `churn` `people` | users and sessions, arrivals and departures, names and phones |
//! | `devices` `wifi` | hosts and leases, Wi-Fi clients |
//! | `hardware` `network` `ppp` `administrators` | the board, the configured network, PPP sessions, logged-in administrators |

mod administrators;
mod boot;
mod capture;
mod churn;
mod clock;
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
mod ppp;
mod print;
mod query;
mod replay;
mod reply;
mod rng;
mod row;
mod service;
mod settings;
mod shared;
mod state;
mod table;
mod tls;
mod value;
mod version;
mod wifi;

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
pub use row::Row;
pub use settings::{HealthMenu, IdOrder, Login, Policies, Settings, demo};
pub use table::MAX_ROWS;
pub use value::Value;
pub use version::{BadVersion, Version};

use crate::executor;
use service::{Service, ServiceMessage};
use shared::Shared;

/// How often [`Router::until`] checks its condition.
const CHECK_EVERY: Duration = Duration::from_millis(2);

/// A running simulated router. Dropping it closes its connections and its port.
#[derive(Debug)]
pub struct Router {
    addr: SocketAddr,
    shared: Arc<Shared>,
    messages: Sender<ServiceMessage>,
    _tasks: Vec<Task<()>>,
}

impl Router {
    /// Starts a router that listens on `addr`; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// When the address can't be bound or TLS can't be set up.
    pub fn start(addr: SocketAddr, settings: Settings) -> io::Result<Self> {
        let mean = settings.churn;
        let shared = Arc::new(Shared::new(boot::start(settings)));
        let (messages, received) = unbounded();
        let service = Service::new(shared.clone(), addr, received)?;
        let addr = service.addr();
        let mut tasks = vec![executor::spawn(service.run())];
        if !mean.is_zero() {
            tasks.push(executor::spawn(churn::run(shared.clone(), mean)));
        }
        Ok(Self { addr, shared, messages, _tasks: tasks })
    }

    /// The address of the API.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of new connections, as `sha256:` and its SHA-256 in lower-case hex; `None` without TLS.
    pub fn fingerprint(&self) -> Option<String> {
        let state = self.shared.state();
        state.settings.tls.then(|| tls::fingerprint(state.fault))
    }

    /// The time of the router's clock, for a [`Value`] that moves. It does not start at zero, so that events
    /// before the start have a time too; a reboot does not reset it.
    pub fn now(&self) -> Duration {
        self.shared.state().clock.at()
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }

    /// The online sessions in the order of login.
    pub fn sessions(&self) -> Vec<OnlineSession> {
        hotspot::sessions(&self.shared.state())
    }

    /// Logs a person in by `http-chap`. Returns the `.id` of the session, or `None` if the address has a
    /// session. The user need not be configured.
    pub fn log_in(&self, user: &str, address: Ipv4Addr, mac: &str) -> Option<String> {
        hotspot::log_in(&mut self.shared.state(), user, address, mac, "http-chap", Duration::ZERO).ok()
    }

    /// Ends the session with this `.id`, if it exists.
    pub fn log_out(&self, id: &str) {
        hotspot::log_out(&mut self.shared.state(), id, "user request");
    }

    /// Reboots: uptime starts at zero, nobody is online, and connections are closed. The configuration and
    /// cookies stay. New connections are accepted at once.
    pub fn reboot(&self) {
        boot::reboot(&mut self.shared.state());
        self.send(ServiceMessage::Disconnect);
    }

    /// Injects a fault from now on; `None` ends the current one.
    pub fn set_fault(&self, fault: Option<Fault>) {
        {
            let mut state = self.shared.state();
            let was_exhausted = state.fault == Some(Fault::Pool);
            (state.fault, state.has_refused) = (fault, false);
            state.clock.set_slow(fault == Some(Fault::Clock));
            let is_exhausted = fault == Some(Fault::Pool);
            if was_exhausted != is_exhausted {
                network::set_exhausted(&mut state, is_exhausted);
            }
        }
        self.send(ServiceMessage::SetFault(fault));
    }

    fn send(&self, message: ServiceMessage) {
        // An error means that the service has ended, so no connection is open.
        let _ = self.messages.try_send(message);
    }

    /// Sets the time from a command to its reply for later commands.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.state().settings.latency = latency;
    }

    /// Replaces the rows of a menu such as `/ip/hotspot/active`; rows beyond [`MAX_ROWS`] are dropped. A `listen`
    /// reports the differences. A menu that does not exist is created and accepts every `add`, `set` and `remove`.
    pub fn set_rows(&self, menu: &str, rows: Vec<Row>) {
        self.shared.state().set_rows(menu, rows);
    }

    /// Removes a menu, as on a board or version without it. A `listen` on it is interrupted.
    pub fn remove_menu(&self, menu: &str) {
        self.shared.state().tables.remove(menu);
    }

    /// Waits until a condition is true. The caller sets the timeout.
    pub async fn until(&self, is_true: impl Fn(&Self) -> bool) {
        while !is_true(self) {
            Timer::after(CHECK_EVERY).await;
        }
    }
}
