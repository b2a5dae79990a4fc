use super::*;
use crate::clock::Moment;
use crate::routeros::client::Reply;
use crate::routeros::codepage::Codepage;
use crate::routeros::error::Trap;
use crate::routeros::wire::Sentence;

fn count(ranges: &str, addresses: &str) -> Option<(u64, u64)> {
    pool_used(ranges, addresses.split_whitespace().map(|address| address.parse().unwrap()))
}

#[test]
fn addresses_in_the_ranges_are_counted_once() {
    for (ranges, addresses, expected) in [
        ("10.5.50.2-10.5.50.254", "", (0, 253)),
        ("10.5.50.2-10.5.50.254", "10.5.50.2 10.5.50.254", (2, 253)),
        // Outside: the router itself, the broadcast address, another network.
        ("10.5.50.2-10.5.50.254", "10.5.50.1 10.5.50.255 10.5.51.7 192.168.88.9", (0, 253)),
        // A used address that a static lease has, too.
        ("10.5.50.2-10.5.50.9", "10.5.50.3 10.5.50.4 10.5.50.3", (2, 8)),
        // A gap, in which a printer has a static lease.
        ("10.0.0.2-10.0.0.99,10.0.0.101-10.0.0.126", "10.0.0.99 10.0.0.100 10.0.0.101", (2, 124)),
        // Out of order, overlapping, contained, equal and adjacent ranges.
        ("10.0.0.20-10.0.0.29,10.0.0.2-10.0.0.9", "10.0.0.5 10.0.0.15 10.0.0.25", (2, 18)),
        ("10.0.0.2-10.0.0.9,10.0.0.5-10.0.0.12", "10.0.0.6 10.0.0.12", (2, 11)),
        ("10.0.0.2-10.0.0.9,10.0.0.4-10.0.0.5,10.0.0.6", "10.0.0.6", (1, 8)),
        ("10.0.0.2-10.0.0.9,10.0.0.2-10.0.0.9", "10.0.0.2", (1, 8)),
        ("10.0.0.2-10.0.0.9,10.0.0.10-10.0.0.11", "10.0.0.9 10.0.0.10", (2, 10)),
        // A single address, a network, and blanks.
        ("10.0.0.7", "10.0.0.7 10.0.0.8", (1, 1)),
        ("10.0.1.0/24, 10.0.3.9", "10.0.1.0 10.0.1.255 10.0.2.0 10.0.3.9", (3, 257)),
        ("10.0.1.77/24", "10.0.1.0", (1, 256)),
        ("10.0.1.7/32", "10.0.1.7", (1, 1)),
        ("0.0.0.0/0", "255.255.255.255 0.0.0.0", (2, 1 << 32)),
        ("255.255.255.0-255.255.255.255,255.255.255.255", "255.255.255.255", (1, 256)),
        ("", "10.0.0.1", (0, 0)),
    ] {
        assert_eq!(count(ranges, addresses), Some(expected), "{ranges} {addresses}");
    }
}

#[test]
fn malformed_ranges_are_unknown() {
    for ranges in [
        "10.0.0.9-10.0.0.2",
        "10.0.0.2-",
        "10.0.0.2-10.0.0",
        "10.0.0.0/33",
        "10.0.0.0/x",
        "10.0.0.2-10.0.0.9,pool",
        "2001:db8::/64",
        "none",
    ] {
        assert_eq!(count(ranges, "10.0.0.2"), None, "{ranges}");
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer may be an error")]
fn reply(rows: &[&str]) -> Answer {
    let row = |row: &&str| Sentence::from_words(std::iter::once("!re").chain(row.split(' ')));
    Ok(Reply { rows: rows.iter().map(row).collect(), ..Reply::default() })
}

fn read(answers: &[Answer; 5]) -> Result<Vec<(String, u64, u64)>, Error> {
    let context = ReadContext::new(Moment::now(), Codepage::named("windows-1252").unwrap());
    let pools = super::read(answers, &context)?;
    Ok(pools.into_iter().map(|PoolUse { pool, used, size }| (pool, used, size)).collect())
}

fn refusal(message: &str) -> Answer {
    Err(Error::from(vec![Trap { message: message.into() }]))
}

#[test]
fn pools_of_enabled_hotspots_are_measured_with_the_pools_that_continue_them() {
    let pools = || {
        reply(&[
            "=name=a =ranges=10.0.0.2-10.0.0.9 =next-pool=b",
            "=name=b =ranges=10.0.1.2-10.0.1.9,10.0.2.0/30 =next-pool=a",
            "=name=c =ranges=10.0.3.2-10.0.3.5 =next-pool=missing",
            "=name=odd =ranges=fe80::1",
            "=name=office =ranges=192.168.88.10-192.168.88.254",
        ])
    };
    let hotspots = || {
        reply(&[
            "=address-pool=c",
            "=address-pool=a =disabled=false",
            "=address-pool=a",
            "=address-pool=office =disabled=true",
            "=address-pool=none =interface=lan",
            "=address-pool=odd",
            "=name=without",
        ])
    };
    let used = || reply(&["=address=10.0.0.2", "=address=10.0.1.2", "=address=192.168.88.20", "=address="]);
    // A lease that is also used, one that is not, and one from a pool.
    let leases = reply(&["=address=10.0.1.2", "=address=10.0.3.3", "=address=a"]);
    let expected = |c| vec![("c".to_string(), c, 4), ("a".to_string(), 2, 20)];
    assert_eq!(read(&[pools(), hotspots(), used(), leases, reply(&[])]), Ok(expected(1)));
    let no_dhcp = || refusal("no such command prefix");
    let without = [pools(), hotspots(), used(), no_dhcp(), no_dhcp()];
    assert_eq!(read(&without), Ok(expected(0)), "without the package dhcp");
    assert_eq!(read(&[pools(), reply(&[]), used(), reply(&[]), reply(&[])]), Ok(Vec::new()));
}

#[test]
fn a_hotspot_without_a_pool_uses_that_of_the_dhcp_server_at_its_interface() {
    let pools = |hotspot: &str, servers: &[&str]| {
        let pools = reply(&["=name=a =ranges=10.0.0.2-10.0.0.9", "=name=b =ranges=10.0.1.2-10.0.1.9"]);
        let answers = [pools, reply(&[hotspot]), reply(&["=address=10.0.0.2"]), reply(&[]), reply(servers)];
        read(&answers)
            .unwrap()
            .into_iter()
            .map(|(pool, used, _)| format!("{pool}:{used}"))
            .collect::<Vec<_>>()
    };
    let server = "=interface=lan =address-pool=a =disabled=false";
    for (hotspot, servers, expected) in [
        ("=interface=lan =address-pool=none", &[server][..], Some("a:1")),
        ("=interface=lan", &[server], Some("a:1")),
        ("=interface=lan =address-pool=b", &[server], Some("b:0")),
        ("=interface=lan =address-pool=missing", &[server], None),
        ("=interface=wifi =address-pool=none", &[server], None),
        (
            "=interface=lan =address-pool=none",
            &["=interface=lan =address-pool=static-only", server],
            Some("a:1"),
        ),
        ("=interface=lan =address-pool=none", &["=interface=lan =address-pool=a =disabled=true"], None),
        ("=address-pool=none", &["=address-pool=a"], None),
        ("=interface=lan =address-pool=none", &[], None),
    ] {
        assert_eq!(pools(hotspot, servers), Vec::from_iter(expected), "{hotspot} {servers:?}");
    }
}

#[test]
fn refused_and_incomplete_lists_are_errors() {
    let cut = || Ok(Reply { is_truncated: true, ..Reply::default() });
    let denied = || refusal("not enough permissions (9)");
    for at in 0..5 {
        for (answer, cause) in [(cut(), Cause::Protocol), (denied(), Cause::Permission)] {
            let mut answers = [(); 5].map(|()| reply(&[]));
            answers[at] = answer;
            assert_eq!(read(&answers).map_err(|error| error.cause), Err(cause), "list {at}");
        }
    }
}

#[test]
fn too_many_pools_are_an_error() {
    let pools: Vec<String> = (0..=MAX_POOLS).map(|n| format!("=name=p{n} =ranges=10.0.0.{n}")).collect();
    let hotspots: Vec<String> = (0..=MAX_POOLS).map(|n| format!("=address-pool=p{n}")).collect();
    let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
    let hotspots: Vec<&str> = hotspots.iter().map(String::as_str).collect();
    let read =
        |count: usize| read(&[reply(&pools), reply(&hotspots[..count]), reply(&[]), reply(&[]), reply(&[])]);
    assert_eq!(read(MAX_POOLS).unwrap().len(), MAX_POOLS);
    assert_eq!(read(MAX_POOLS + 1).unwrap_err().cause, Cause::Protocol);
}
