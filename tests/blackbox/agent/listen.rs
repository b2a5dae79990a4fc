//! A `listen` that ends, or reports changes before the first print: no session is lost or counted twice.

use std::sync::{Arc, Mutex};

use phsweb_agent::routeros::wire::Sentence;
use serde_json::json;

use super::agent::{Agent, AgentBuilder, throughout, until};
use super::peer::Peer;

/// Long enough for some refreshes.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

const ACTIVE: &str = "/ip/hotspot/active/print";
const LISTEN: &str = "/ip/hotspot/active/listen";

fn sentence(words: &[&str]) -> Sentence {
    Sentence::from_words(words)
}

fn ada(tag: &str, uptime: &str) -> Sentence {
    sentence(&["!re", tag, "=.id=*1", "=user=ada", "=mac-address=M", &format!("=uptime={uptime}")])
}

/// The reply to every command except those of the session menu.
fn other(path: &str, tag: &str) -> Vec<Sentence> {
    match path {
        "/ip/hotspot/user/print" => vec![sentence(&["!done", tag, "=ret=100"])],
        _ => vec![sentence(&["!re", tag, "=uptime=5d"]), sentence(&["!done", tag])],
    }
}

fn agent(peer: &Peer) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"500ms\",";
    AgentBuilder::default().defaults(times).site("awka", peer.address, "collect: [\"hotspot\"]").start()
}

/// An agent that refreshes once an hour, and asks for the uptime in between.
fn hourly(peer: &Peer) -> Agent {
    let given = AgentBuilder::default().defaults("refresh: \"1h\",").timing("heartbeat", "200ms");
    given.site("awka", peer.address, "collect: [\"hotspot\"]").start()
}

/// Waits until the site shows these numbers of sessions, logins and logouts, which must then stay.
#[track_caller]
fn stays_at(agent: &Agent, figures: (u64, u64, u64)) {
    let (active, logins, logouts) = figures;
    let expected = (json!(active), json!(logins), json!(logouts));
    let counts = |stats: &serde_json::Value| {
        (stats["activeUsers"].clone(), stats["logins"].clone(), stats["logouts"].clone())
    };
    agent.stats_when("awka", &format!("the figures are {figures:?}"), |stats| counts(stats) == expected);
    throughout(WATCHED, || assert_eq!(counts(&agent.stats("awka")), expected));
}

/// During one print: ada logs in and the listen reports it, the listen is interrupted, then the
/// print ends, which does not have her.
#[test]
fn listen_interrupted_during_a_print_loses_no_session() {
    let (listen, prints) = (Mutex::new(String::new()), Mutex::new(0));
    let peer = Peer::answering(move |path, tag| match path {
        LISTEN => {
            *listen.lock().unwrap() = tag.to_string();
            Vec::new()
        }
        ACTIVE => {
            let mut prints = prints.lock().unwrap();
            *prints += 1;
            match *prints {
                1 => vec![sentence(&["!done", tag])],
                2 => {
                    let listen = listen.lock().unwrap();
                    let ended = [
                        sentence(&["!trap", &listen, "=message=interrupted"]),
                        sentence(&["!done", &listen]),
                    ];
                    [vec![ada(&listen, "0s")], ended.to_vec(), vec![sentence(&["!done", tag])]].concat()
                }
                later => vec![ada(tag, &format!("{}s", later - 2)), sentence(&["!done", tag])],
            }
        }
        path => other(path, tag),
    });
    let agent = agent(&peer);
    stays_at(&agent, (1, 1, 0));
}

/// The first print has no reply, and the changes that the listen reports meanwhile become stale.
#[test]
fn changes_before_the_first_print_are_counted_once() {
    let (listens, prints) = (Mutex::new(0), Mutex::new(0));
    let peer = Peer::answering(move |path, tag| match path {
        LISTEN => {
            *listens.lock().unwrap() += 1;
            if *listens.lock().unwrap() == 1 { vec![ada(tag, "0s")] } else { Vec::new() }
        }
        ACTIVE => {
            let mut prints = prints.lock().unwrap();
            *prints += 1;
            match *prints {
                1..8 => Vec::new(),
                later => vec![ada(tag, &format!("{later}s")), sentence(&["!done", tag])],
            }
        }
        path => other(path, tag),
    });
    let agent = agent(&peer);
    stays_at(&agent, (1, 0, 0));
}

/// The site is refreshed once an hour, and the router interrupts its first `listen`. Then ada logs in.
#[test]
fn listen_that_was_interrupted_begins_again_long_before_the_next_refresh() {
    let (listens, uptimes) = (Mutex::new(Vec::new()), Mutex::new(0));
    let peer = Peer::answering(move |path, tag| match path {
        LISTEN => {
            listens.lock().unwrap().push(tag.to_string());
            Vec::new()
        }
        ACTIVE if listens.lock().unwrap().len() > 1 => vec![ada(tag, "0s"), sentence(&["!done", tag])],
        ACTIVE => vec![sentence(&["!done", tag])],
        "/system/resource/print" => {
            *uptimes.lock().unwrap() += 1;
            let listen = &listens.lock().unwrap()[0];
            let interrupted =
                vec![sentence(&["!trap", listen, "=message=interrupted"]), sentence(&["!done", listen])];
            let is_heartbeat = *uptimes.lock().unwrap() == 2;
            [if is_heartbeat { interrupted } else { Vec::new() }, other(path, tag)].concat()
        }
        path => other(path, tag),
    });
    let agent = hourly(&peer);
    let stats = agent.stats_when("awka", "the login is shown", |stats| stats["activeUsers"] == 1);
    assert_eq!(stats["logins"], json!(1));
}

/// The router interrupts each `listen` at the heartbeat that follows its refresh.
#[test]
fn listen_that_is_always_interrupted_begins_again_a_few_times() {
    let (listens, heartbeats) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (begun, beats) = (listens.clone(), heartbeats.clone());
    let peer = Peer::answering(move |path, tag| match path {
        LISTEN => {
            begun.lock().unwrap().push(tag.to_string());
            Vec::new()
        }
        ACTIVE => vec![sentence(&["!done", tag])],
        "/system/resource/print" => {
            let (listens, mut beats) = (begun.lock().unwrap(), beats.lock().unwrap());
            beats.push(listens.len());
            let listen: &String = listens.last().unwrap();
            let ended =
                vec![sentence(&["!trap", listen, "=message=interrupted"]), sentence(&["!done", listen])];
            // The first one is a part of the refresh.
            let is_second = beats.iter().filter(|count| **count == listens.len()).count() == 2;
            [if is_second { ended } else { Vec::new() }, other(path, tag)].concat()
        }
        path => other(path, tag),
    });
    let _agent = hourly(&peer);
    until("the listen has ended for good", || (listens.lock().unwrap().len() == 4).then_some(()));
    let seen = heartbeats.lock().unwrap().len();
    until("there are more heartbeats", || (heartbeats.lock().unwrap().len() > seen + 5).then_some(()));
    assert_eq!(listens.lock().unwrap().len(), 4);
}
