use std::net::Ipv4Addr;

use super::eviction::{NEW, PERMITS_PER_NEW};
use super::*;
use crate::http::server::MAX_ANSWER;
use crate::http::server::socket::SEND_BUFFER;

fn next_id(admission: &Admission) -> u32 {
    admission.with(|permits| permits.table.next_id)
}

/// Admits this many connections of one address, each in this phase, which began this long ago.
fn admit(admission: &Arc<Admission>, count: usize, phase: Phase, for_s: u64) -> Vec<u32> {
    let before = next_id(admission);
    for _ in 0..count {
        admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
            admission.with(|permits| {
                permits.table.update(permit.id, |connection| {
                    connection.phase = phase;
                    connection.since = Instant::now().checked_sub(Duration::from_secs(for_s)).unwrap();
                });
            });
            keep(permit)
        });
    }
    (before..next_id(admission)).collect()
}

fn count_open(admission: &Admission, ids: &[u32]) -> usize {
    admission.with(|permits| ids.iter().filter(|id| permits.table.connections.contains_key(id)).count())
}

fn open(admission: &Admission) -> usize {
    admission.with(|permits| permits.table.len())
}

/// A connection that lasts until it is evicted.
fn keep(permit: Permit) -> Task<()> {
    smol::spawn(async move {
        let _permit = permit;
        smol::future::pending::<()>().await;
    })
}

#[test]
fn a_few_new_clients_are_not_evicted_for_those_that_hold_unread_answers() {
    let admission = Arc::new(Admission::new(100, MAX_ANSWER));
    let readers = admit(&admission, 60, Phase::Reading, 5);
    let person = admit(&admission, 1, Phase::New, 0);
    let others = admit(&admission, 34, Phase::New, 0);
    assert_eq!((count_open(&admission, &readers), count_open(&admission, &others)), (40, 34));
    assert_eq!(count_open(&admission, &person), 1);
    // If there are more new clients than slow readers, the new clients evict each other.
    admit(&admission, 20, Phase::New, 0);
    assert!(count_open(&admission, &readers) >= 20, "{}", count_open(&admission, &readers));
}

/// Twice as many connections as there are permits, from this many addresses.
fn flood(admission: &Arc<Admission>, addresses: u32) {
    let permits = admission.with(|permits| permits.limit);
    for number in 0..u32::try_from(2 * permits).unwrap() {
        let from = Ipv4Addr::from_bits(0x7f01_0000 + number % addresses);
        admission.admit(Some(from.into()), keep);
    }
}

#[test]
fn a_flood_from_many_addresses_spares_a_client_with_a_long_round_trip() {
    let admission = Arc::new(Admission::new(512, MAX_ANSWER));
    let far = admit(&admission, 1, Phase::New, 0);
    flood(&admission, 250);
    assert_eq!((count_open(&admission, &far), open(&admission)), (1, 512));
    // And while it reads.
    let far = admit(&admission, 1, Phase::Reading, 0);
    for number in 0..1000 {
        admission.admit(Some(Ipv4Addr::from_bits(0x7f01_0000 + number % 250).into()), |permit| {
            permit.set_phase(Phase::Requested);
            permit.set_phase(Phase::Reading);
            keep(permit)
        });
    }
    assert_eq!(count_open(&admission, &far), 1);
}

/// Up to the highest `max_connections` that the file may set.
#[test]
fn the_work_of_an_eviction_does_not_grow_with_the_connections() {
    let [few, many] = [512, 65_536].map(|connections| {
        let admission = Arc::new(Admission::new(connections, MAX_ANSWER));
        for number in 0..u32::try_from(connections).unwrap() {
            admission.admit(Some(Ipv4Addr::from_bits(0x7f01_0000 + number / 8).into()), |permit| {
                permit.set_phase(Phase::Idle);
                keep(permit)
            });
        }
        let began = Instant::now();
        admit(&admission, 2000, Phase::New, 0);
        assert_eq!(open(&admission), connections);
        began.elapsed()
    });
    println!("2,000 evictions: {few:.1?} among 512 connections, {many:.1?} among 65,536");
    assert!(many < 20 * few, "{few:?} among 512 connections, {many:?} among 65,536");
}

/// The expected choice, found by comparing all connections.
fn victim(table: &ConnectionTable) -> Option<u32> {
    let count = |phase| table.connections.values().filter(|connection| connection.phase == phase).count();
    let (new, idle, slow) = (count(Phase::New), count(Phase::Idle), count(Phase::Slow));
    let is_few = new <= table.len() / PERMITS_PER_NEW;
    let rank = |phase: Phase, is_young: bool| match (phase, is_young) {
        (Phase::New | Phase::Silent, false) => 0,
        (Phase::New | Phase::Silent, true) => {
            if is_few {
                6
            } else {
                3
            }
        }
        (Phase::Idle, _) if is_few || idle > new => 1,
        (Phase::Reading | Phase::Slow, false) if slow > new => 2,
        (Phase::Idle | Phase::Streaming, _) => 4,
        (Phase::Reading | Phase::Slow, _) => 5,
        (Phase::Requested, _) => 7,
    };
    let all = table.connections.iter().min_by_key(|(_, connection)| {
        (rank(connection.phase, connection.since.elapsed() < NEW), connection.since)
    });
    all.map(|(id, _)| *id)
}

#[test]
fn the_oldest_connection_of_the_lowest_rank_is_evicted() {
    let phases = [Phase::New, Phase::Idle, Phase::Streaming, Phase::Reading, Phase::Requested];
    let mut random = fastrand::Rng::with_seed(15);
    for _ in 0..50 {
        // All connections are of one address, whose share is all of them.
        let admission = Arc::new(Admission::new(1000, MAX_ANSWER));
        for _ in 0..random.usize(1..60) {
            let seconds = if random.bool() { 0 } else { random.u64(2..9) };
            admit(&admission, 1, *random.choice(&phases).unwrap(), seconds);
        }
        let mut evicted = Vec::new();
        admission.with(|permits| {
            while let Some(expected) = victim(&permits.table) {
                evicted.push(permits.evict(None, &Phase::ALL));
                assert!(!permits.table.connections.contains_key(&expected));
            }
            assert!(permits.table.groups.is_empty() && permits.unread.holders.is_empty());
        });
    }
}

#[test]
fn answers_that_the_kernel_holds_have_a_limit_together() {
    let admission = Arc::new(Admission::new(2000, MAX_ANSWER));
    let holding = |count: usize| -> Vec<u32> {
        let before = next_id(&admission);
        for _ in 0..count {
            admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
                permit.hold(0, None, SEND_BUFFER);
                keep(permit)
            });
        }
        (before..next_id(&admission)).collect()
    };
    let (first, second) = (holding(100), holding(512));
    assert_eq!((count_open(&admission, &first), count_open(&admission, &second)), (0, 512));
    admission.resize(1);
    assert_eq!(admission.with(|permits| permits.unread.queued), SEND_BUFFER);
}

#[test]
fn events_are_counted_once_for_all_connections_that_hold_them() {
    let admission = Arc::new(Admission::new(100, 2500));
    let holding = |bytes: &Arc<[u8]>| -> u32 {
        let id = next_id(&admission);
        admission.admit(Some(Ipv4Addr::LOCALHOST.into()), |permit| {
            permit.hold(bytes.len(), Some(bytes), 0);
            keep(permit)
        });
        id
    };
    let [first, second, third] = [(); 3].map(|()| Arc::<[u8]>::from([0; 1000]));
    let of_first = [(); 5].map(|()| holding(&first));
    let of_second = holding(&second);
    let unread = || admission.with(|permits| permits.unread.bytes);
    assert_eq!((unread(), count_open(&admission, &of_first)), (2000, 5));
    // The third fits once all connections that hold the first are closed.
    let of_third = holding(&third);
    assert_eq!((unread(), count_open(&admission, &of_first)), (2000, 0));
    assert_eq!(count_open(&admission, &[of_second, of_third]), 2);
    admission.resize(1);
    let shared = admission.with(|permits| permits.unread.shared.len());
    assert_eq!((unread(), shared), (1000, 1));
}

#[test]
fn a_client_that_has_just_begun_to_read_keeps_its_permit_in_a_flood() {
    let admission = Arc::new(Admission::new(100, MAX_ANSWER));
    let readers = admit(&admission, 40, Phase::Reading, 0);
    admit(&admission, 500, Phase::New, 0);
    assert_eq!(count_open(&admission, &readers), 40);
}
