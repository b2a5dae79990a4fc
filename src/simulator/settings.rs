//! The settings of a simulated router.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::capture::Capture;
use super::version::Version;

/// The board name of a PC.
pub(super) const X86: &str = "x86";

/// The settings of a simulated router. The default is a RouterOS 7.20.7 with 150 configured users,
/// of which 23 stay online, and the login `api-user` with the password `password` and all policies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The router's name in `/system/identity`.
    pub identity: String,
    /// The RouterOS version.
    pub version: Version,
    /// The board's name, such as `hAP ac^2`, `RB4011iGS+`, `hEX`, `x86` or `CHR`. Any other
    /// name has the hardware of a `hEX`.
    pub board: String,
    /// Seconds that the router's local time is ahead of UTC.
    pub utc_offset_s: i32,
    /// The seed of names, addresses and traffic: the same seed gives the same people.
    pub seed: u64,
    /// The users of the API.
    pub logins: Vec<Login>,
    /// The number of users in `/ip/hotspot/user`, without the `default-trial` row. With that row they are limited
    /// to [`MAX_ROWS`](super::MAX_ROWS).
    pub users: usize,
    /// The number of people online at the start; arrivals and departures keep it around that. People beyond
    /// `users` are on trial.
    pub active: usize,
    /// The mean time between two logins or logouts; zero: none happen.
    pub churn: Duration,
    /// With [`Fault::Reboot`](super::Fault::Reboot), the time between two reboots. By default a client that polls
    /// every few seconds is online in between.
    pub reboot_every: Duration,
    /// The delay of replies with [`Fault::Late`](super::Fault::Late) and
    /// [`Fault::LateAtTimes`](super::Fault::LateAtTimes).
    pub late_by: Duration,
    /// With [`Fault::LateAtTimes`](super::Fault::LateAtTimes), the time between two slow periods.
    pub late_every: Duration,
    /// With [`Fault::Trickle`](super::Fault::Trickle), the upper bound of bytes per second and connection.
    pub trickle: usize,
    /// Rows of a real router that replace simulated ones.
    pub capture: Option<Capture>,
    /// The byte order of the IPv4 address in the `.id` of a session.
    pub id_order: IdOrder,
    /// The rows of `/system/health`.
    pub health: HealthMenu,
    /// Upper bound of API connections; further ones are accepted and closed at once. RouterOS's default is 20.
    pub max_sessions: usize,
    /// The addresses that may use the API (the service's `address`); empty: all. Connections from other
    /// addresses are accepted and closed at once.
    pub allow_from: Vec<IpAddr>,
    /// The time from a command to its reply. Commands that arrive together wait in parallel.
    pub latency: Duration,
    /// Whether the API is `api-ssl`: TLS 1.2 and 1.3, with a self-signed certificate.
    pub tls: bool,
    /// Whether a person whose session was removed logs in again at once with the cookie, if it still exists.
    pub cookies_log_back_in: bool,
    /// Whether removing a session ends the user's other sessions too. One issue thread reports this \[I\].
    pub removal_ends_all: bool,
}

impl Settings {
    /// Settings that replay a capture: no logins or logouts happen, and menus that were not captured are simulated.
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
            utc_offset_s: 0,
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

/// A user of the router itself, as in `/user`.
#[derive(Clone)]
pub struct Login {
    /// The name, in the code page that it was typed in.
    pub name: Vec<u8>,
    /// The password, likewise.
    pub password: Vec<u8>,
    /// The policies of the user's group.
    pub policies: Policies,
}

impl Login {
    /// A user with all policies.
    pub fn new(name: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), password: password.into(), policies: Policies::ALL }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password: it may be that of a real router.
        f.debug_struct("Login")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// The policies that the API checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// `api`: log in. Without it the login is refused as if the password were wrong.
    pub api: bool,
    /// `read`: print and listen.
    pub read: bool,
    /// `write`: add, set and remove.
    pub write: bool,
}

impl Policies {
    /// All policies.
    pub const ALL: Self = Self { api: true, read: true, write: true };
}

/// The byte order of the IPv4 address in the `.id` of a session. It differs by board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOrder {
    /// 10.5.50.2 is `*A053202`.
    Network,
    /// 10.5.50.2 is `*232050A`.
    Reversed,
}

/// The rows of `/system/health`. RouterOS 6 and x86 have one row for all sensors, RouterOS 7 has one row per sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthMenu {
    /// A temperature and a voltage; on an RB4011 a power supply state too.
    Sensors,
    /// The menu exists and is empty, as on boards without sensors.
    Empty,
    /// The menu does not exist.
    Missing,
}

/// Three routers with different versions and boards, awka, lagos and abuja, where people log in and out every
/// few seconds.
pub fn demo() -> [Settings; 3] {
    let site = |seed, identity: &str, version, board: &str, active, users| Settings {
        identity: identity.to_string(),
        version,
        board: board.to_string(),
        // Nigeria's.
        utc_offset_s: 3600,
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
