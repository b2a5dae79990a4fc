//! What a simulated router is like.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::capture::Capture;
use super::version::Version;

/// What a simulated router is like. The default is a quiet RouterOS 7.20.7 with 150 configured
/// users of which 23 are online, and `api-user` with the password `password` allowed everything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The router's name in `/system/identity`.
    pub identity: String,
    /// The RouterOS it is.
    pub version: Version,
    /// The board's name, such as `hAP ac^2`, `RB4011iGS+`, `hEX` or `x86`. Others are taken too and are
    /// then built like a `hEX`.
    pub board: String,
    /// Names, addresses and traffic come from it: the same seed gives the same people.
    pub seed: u64,
    /// Who may use the API.
    pub logins: Vec<Login>,
    /// Users configured in `/ip/hotspot/user`, the `default-trial` row not counted. At most
    /// [`MAX_ROWS`](super::MAX_ROWS) less that row.
    pub users: usize,
    /// People online at the start, and around which they come and go. Those beyond `users` are on trial.
    pub active: usize,
    /// The mean time between a login or logout and the next one; zero: nobody comes or goes.
    pub churn: Duration,
    /// With [`Fault::Reboot`](super::Fault::Reboot), from one reboot to the next. By default a client that polls every
    /// few seconds is well in between.
    pub reboot_every: Duration,
    /// How late the answers of [`Fault::Late`](super::Fault::Late) and
    /// [`Fault::LateAtTimes`](super::Fault::LateAtTimes) are.
    pub late_by: Duration,
    /// With [`Fault::LateAtTimes`](super::Fault::LateAtTimes), from one slow period to the next.
    pub late_every: Duration,
    /// With [`Fault::Trickle`](super::Fault::Trickle), the most bytes sent in a second over one connection.
    pub trickle: usize,
    /// Menus whose rows are those of a real router, in place of simulated ones.
    pub capture: Option<Capture>,
    /// The byte order in which a session's IPv4 address becomes its `.id`.
    pub id_order: IdOrder,
    /// What `/system/health` has.
    pub health: HealthMenu,
    /// API connections at a time; one more is accepted and closed at once. 20 is RouterOS's default.
    pub max_sessions: usize,
    /// The addresses that may use the API, as the service's `address` says; empty: all. Others are
    /// accepted and closed at once.
    pub allow_from: Vec<IpAddr>,
    /// The time from a command to its answer. Commands that came together wait together.
    pub latency: Duration,
    /// Whether the API is `api-ssl`: TLS 1.2 and 1.3, with a certificate that it signed itself.
    pub tls: bool,
    /// Whether a person whose session was removed logs straight back in through the cookie, if that is left.
    pub cookies_log_back_in: bool,
    /// Whether the removal of a session ends all others of that user, too. One thread tells of it \[I\].
    pub removal_ends_all: bool,
}

impl Settings {
    /// These settings for a router that replays a capture: nobody comes or goes, and what was not captured is simulated.
    #[must_use]
    pub fn replaying(self, capture: Capture) -> Self {
        let (version, board) = (capture.version.clone(), capture.board.clone());
        Self { version, board, churn: Duration::ZERO, capture: Some(capture), ..self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity: "MikroTik".to_string(),
            version: Version::new(7, 20, "7.20.7 (long-term)"),
            board: "hAP ac^2".to_string(),
            seed: 1,
            logins: vec![Login::new("api-user", "password")],
            users: 150,
            active: 23,
            churn: Duration::ZERO,
            reboot_every: Duration::from_secs(20),
            late_by: Duration::from_secs(7),
            late_every: Duration::from_secs(24),
            // 24 kbit/s.
            trickle: 3000,
            capture: None,
            id_order: IdOrder::Network,
            health: HealthMenu::Sensors,
            max_sessions: 20,
            allow_from: Vec::new(),
            latency: Duration::ZERO,
            tls: false,
            cookies_log_back_in: false,
            removal_ends_all: false,
        }
    }
}

/// A user of the router itself, as `/user` has them.
#[derive(Clone)]
pub struct Login {
    /// The name, in the bytes of whatever code page it was typed in.
    pub name: Vec<u8>,
    /// The password, likewise.
    pub password: Vec<u8>,
    /// What the user's group allows.
    pub policies: Policies,
}

impl Login {
    /// A user who may do everything.
    #[must_use]
    pub fn new(name: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), password: password.into(), policies: Policies::ALL }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password: it may be the one of a real router.
        f.debug_struct("Login")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// The policies of a group that the API asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// `api`: to log in at all. Without it the login is refused as if the password were wrong.
    pub api: bool,
    /// `read`: to print and listen.
    pub read: bool,
    /// `write`: to add, set and remove.
    pub write: bool,
}

impl Policies {
    /// All three.
    pub const ALL: Self = Self { api: true, read: true, write: true };
}

/// The byte order in which a session's IPv4 address becomes its `.id`: it differs by board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOrder {
    /// 10.5.50.2 is `*A053202`.
    Network,
    /// 10.5.50.2 is `*232050A`.
    Reversed,
}

/// What `/system/health` has: RouterOS 6 and x86 show one row of sensors, RouterOS 7 a row a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthMenu {
    /// A temperature, a voltage, and on a RB4011 a state.
    Sensors,
    /// The menu is there and empty, as on boards without sensors.
    Empty,
    /// There is no such menu.
    Missing,
}

/// Three routers at three places, of different versions and boards: awka, lagos and abuja, with
/// people coming and going every few seconds.
#[must_use]
pub fn demo() -> [Settings; 3] {
    let site = |seed, identity: &str, version, board: &str, active, users| Settings {
        identity: identity.to_string(),
        version,
        board: board.to_string(),
        seed,
        users,
        active,
        churn: Duration::from_secs(3 + seed),
        ..Settings::default()
    };
    let abuja = site(3, "abuja", Version::new(7, 11, "7.11.2 (stable)"), "hEX", 12, 80);
    [
        site(1, "awka", Version::new(7, 20, "7.20.7 (long-term)"), "hAP ac^2", 23, 150),
        site(2, "lagos", Version::new(6, 49, "6.49.10 (stable)"), "RB4011iGS+", 45, 300),
        Settings { id_order: IdOrder::Reversed, health: HealthMenu::Empty, ..abuja },
    ]
}
