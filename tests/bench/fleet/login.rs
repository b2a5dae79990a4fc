//! The time from a login at the router until the page shows it.

use std::fmt;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Settings};
use serde::Serialize;

use crate::phsweb::Phsweb;
use crate::report::Report;

const LOGINS: u32 = 10;

/// The pause between two logins: changes within a short time are applied together.
const LOGIN_EVERY: Duration = Duration::from_millis(700);

/// What half of the logins may take.
const LIMIT_MS: f64 = 300.0;

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    median_milliseconds: f64,
    slowest_milliseconds: f64,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { median_milliseconds: median, slowest_milliseconds: slowest } = self;
        write!(
            f,
            "\nA login is on the page after {median:.0} ms, the slowest of {LOGINS} after {slowest:.0} ms"
        )
    }
}

pub(crate) fn measure(report: &mut Report) {
    // In this process, because only its owner can make somebody log in.
    let router = Router::start((Ipv4Addr::LOCALHOST, 0).into(), Settings::default()).unwrap();
    let agent = Phsweb::configured(&[router.addr().to_string()], "30s", "");
    let mut times = Vec::new();
    for number in 1..=LOGINS {
        thread::sleep(LOGIN_EVERY);
        let user = format!("guest-{number:03}");
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 9, 0, 0)) + number);
        assert!(router.log_in(&user, address, &format!("02:00:00:00:00:{number:02X}")).is_some());
        let began = Instant::now();
        while !agent.get("/sites/site-0").contains(&user) {
            assert!(began.elapsed() < TIMEOUT, "expected {user} on the page within {TIMEOUT:?}");
            thread::sleep(Duration::from_millis(5));
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    let result =
        Login { median_milliseconds: times[times.len() / 2], slowest_milliseconds: times[times.len() - 1] };
    report.add("login", &result);
    report.limit("milliseconds until a login is on the page", result.median_milliseconds, LIMIT_MS);
}
