//! Arrivals and departures: who is online at the start, and who logs in and out later.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::devices::{self, free_address};
use super::fault::Fault;
use super::hotspot::{self, LOGIN_TOPICS, sessions, with_usage};
use super::menus::{HOTSPOT_NAME, USER};
use super::people::Person;
use super::row::Row;
use super::shared::Shared;
use super::state::State;

/// The lowest address of a person's device.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 5, 50, 2);

/// Upper bound of the age of a session at the start, in seconds.
const MAX_AGE_S: u64 = 6 * 3600;

/// The age at the start of devices that never log in.
const GUEST_AGE: Duration = Duration::from_secs(25 * 60);

/// Attempts to find a person who is offline. If few people are left, all may fail and nobody logs in.
const ATTEMPTS: usize = 20;

/// Adds the users and logs the first people in.
pub(super) fn open_hotspot(state: &mut State) {
    let (users, active) = (state.settings.users, state.settings.active);
    let trial = Row::new()
        .with("name", "default-trial")
        .with("profile", "default")
        .with("comment", "counters and limits for trial users")
        .with("default", true);
    let _ = state.insert(USER, with_usage(trial, Duration::ZERO, 0, 0).with("disabled", false));
    for n in 0..users {
        let row = user(state, n);
        // Never full: `State::new` limits the number of users.
        let _ = state.insert(USER, row);
    }
    let mut people: Vec<usize> = (0..users.max(active)).collect();
    state.rng.shuffle(&mut people);
    // If too few users can log in, more people use a trial.
    let people = people.into_iter().chain(users.max(active)..).filter(|&n| n >= users || !is_disabled(n));
    // The search continues from the last address, because nobody logs out meanwhile.
    let mut address = FIRST_ADDRESS;
    for n in people.take(active) {
        let age = Duration::from_secs(state.rng.u64(5..MAX_AGE_S));
        address = free_address(state, address);
        arrive(state, n, address, age);
    }
    // A phone that changed its address has a second host.
    if let Some(mac) = sessions(state).first().map(|session| session.mac.clone()) {
        address = free_address(state, address);
        devices::add_host(state, address, &mac, Duration::ZERO);
    }
    // One device never logs in; at a large hotspot there are more of them.
    for n in 0..=active / 20 {
        let guest = Person::nth(state.settings.seed, usize::MAX / 2 + n, 0);
        address = free_address(state, address);
        devices::add_host(state, address, &guest.mac, GUEST_AGE);
        devices::connect(state, address, &guest, GUEST_AGE);
    }
}

/// The row of the `n`th configured user.
fn user(state: &mut State, n: usize) -> Row {
    let person = person(state, n);
    let mut row = Row::new()
        .with("server", if n.is_multiple_of(6) { "all" } else { HOTSPOT_NAME })
        .with("name", person.user)
        .with("password", person.password)
        .with("profile", person.profile);
    if n.is_multiple_of(9) {
        row = row.with("mac-address", person.mac);
    }
    if n.is_multiple_of(8) {
        row = row.with("limit-bytes-out", 20_000_000_000);
    }
    let uptime = Duration::from_secs(state.rng.u64(0..30 * 86_400));
    let (upload, download) = (state.rng.u64(0..1 << 30), state.rng.u64(0..1 << 34));
    row = with_usage(row, uptime, upload, download).with("dynamic", false).with("disabled", is_disabled(n));
    match person.comment {
        Some(comment) => row.with("comment", comment),
        None => row,
    }
}

fn person(state: &State, n: usize) -> Person {
    Person::nth(state.settings.seed, n, state.settings.users)
}

/// Whether the `n`th configured user is disabled at the start.
fn is_disabled(n: usize) -> bool {
    n % 25 == 24
}

/// Connects the `n`th person and logs them in, unless the user is disabled: the log then has a failed login.
fn arrive(state: &mut State, n: usize, address: Ipv4Addr, age: Duration) {
    let person = person(state, n);
    if state.find(USER, &[("name", &person.user), ("disabled", "true")]).is_some() {
        let message = format!("{} ({address}): login failed: invalid username or password", person.user);
        return state.log(LOGIN_TOPICS, &message);
    }
    let login_by = match n % 4 {
        _ if person.is_trial => "trial",
        _ if hotspot::has_cookie(state, &person.user, &person.mac) => "cookie",
        0 => "https",
        1 => "http-pap",
        _ => "http-chap",
    };
    if hotspot::log_in(state, &person.user, address, &person.mac, login_by, age).is_ok() {
        devices::connect(state, address, &person, age);
    }
}

/// Runs arrivals and departures until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, mean: Duration) {
    loop {
        // Uniform between zero and twice the mean.
        let wait = mean.mul_f64(2.0 * shared.state().rng.f64());
        smol::Timer::after(wait.max(Duration::from_millis(1))).await;
        arrive_or_leave(&mut shared.state());
    }
}

/// Logs one person in or out, so that the number of sessions stays around the configured one.
fn arrive_or_leave(state: &mut State) {
    let online = sessions(state);
    let target = state.settings.active;
    // The tolerance is a tenth, and a little more at small hotspots.
    let tolerance = target / 10 + 2;
    let arrives = online.len() + tolerance <= target
        || (online.len() < target + tolerance && (online.is_empty() || state.rng.bool()));
    if state.fault == Some(Fault::Pool) {
        return state.log(LOGIN_TOPICS, &format!("{HOTSPOT_NAME}: address pool exhausted"));
    }
    if !arrives {
        if let Some(session) = state.rng.choice(&online) {
            hotspot::log_out(state, &session.id, "keepalive timeout");
            devices::disconnect(state, session.address, &session.mac);
        }
        return;
    }
    let macs: HashSet<&str> = online.iter().map(|session| session.mac.as_str()).collect();
    // One trial person stands in for each user who can't log in.
    let disabled = state.rows(USER).filter(|user| user.bytes("disabled") == b"true").count();
    let people = state.settings.users.max(target) + disabled + tolerance;
    for _ in 0..ATTEMPTS {
        let n = state.rng.usize(0..people);
        if !macs.contains(person(state, n).mac.as_str()) {
            let address = free_address(state, FIRST_ADDRESS);
            return arrive(state, n, address, Duration::ZERO);
        }
    }
}
