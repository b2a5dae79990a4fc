//! The local time and the hotspot's address pool, with the faults of both.

use std::net::Ipv4Addr;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};

use super::client::{V6_49, V7_20, start, text, version};
use super::menus::{print, until_rows};

#[test]
fn exhausted_pool_has_used_addresses_only_and_refuses_logins() {
    let router = start(Settings { active: 5, churn: Duration::from_millis(2), ..Settings::default() });
    let ranges = |router: &Router| text(&print(router, &["/ip/pool/print", "?name=hs-pool-1"])[0], "ranges");
    let used = |router: &Router| print(router, &["/ip/pool/used/print", "?pool=hs-pool-1"]).len();
    router.set_fault(Some(Fault::Pool));
    let (exhausted, sessions) = (ranges(&router), router.sessions());
    let size = |range: &str| {
        let (first, last) = range.split_once('-').unwrap();
        let bits = |address: &str| address.parse::<Ipv4Addr>().unwrap().to_bits() as usize;
        bits(last) - bits(first) + 1
    };
    assert_eq!(exhausted.split(',').map(size).sum::<usize>(), used(&router), "{exhausted}");
    let exhausted = ["/log/print", "?message=hotspot1: address pool exhausted"];
    until_rows(&router, &exhausted, |rows| rows.len() > 3);
    assert_eq!(router.sessions(), sessions, "expected nobody to log in or out");
    router.set_fault(None);
    assert_eq!(ranges(&router), "10.5.50.2-10.5.57.254");
}

#[test]
fn local_time_has_the_offset_and_the_error_of_the_clock() {
    let of = |version_text: &str, utc_offset_s| start(Settings { utc_offset_s, ..version(version_text) });
    let hour = |router: &Router| {
        let row = print(router, &["/system/clock/print"]).remove(0);
        (text(&row, "time")[..2].parse::<i32>().unwrap(), text(&row, "gmt-offset"))
    };
    let (utc, local) = (of(V7_20, 0), of(V6_49, -12_600));
    let began = hour(&utc).0;
    assert_eq!(hour(&local).1, "-03:30");
    let slow = of(V7_20, 3600);
    let before = hour(&slow);
    slow.set_fault(Some(Fault::Clock));
    let after = hour(&slow);
    // Unless an hour begins meanwhile.
    if hour(&utc).0 == began {
        assert_eq!((before.0, after.0), ((began + 1) % 24, (began + 23) % 24));
    }
    assert_eq!((before.1.as_str(), after.1.as_str()), ("+01:00", "+01:00"));
}
