//! A `listen` that ends, or has nothing to be added to, at the worst moment: nobody is lost or counted twice.

use std::sync::Mutex;

use phsweb_agent::routeros::wire::Sentence;
use serde_json::json;

use super::agent::{Agent, Given, throughout};
use super::peer::Peer;

/// Long enough for some refreshes.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

const ACTIVE: &str = "/ip/hotspot/active/print";
const LISTEN: &str = "/ip/hotspot/active/listen";

fn said(words: &[&str]) -> Sentence {
    Sentence::from_words(words)
}

fn ada(tag: &str, uptime: &str) -> Sentence {
    said(&["!re", tag, "=.id=*1", "=user=ada", "=mac-address=M", &format!("=uptime={uptime}")])
}

/// What is answered to all but the menu of sessions.
fn other(path: &str, tag: &str) -> Vec<Sentence> {
    match path {
        "/ip/hotspot/user/print" => vec![said(&["!done", tag, "=ret=100"])],
        _ => vec![said(&["!re", tag, "=uptime=5d"]), said(&["!done", tag])],
    }
}

fn agent(peer: &Peer) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"500ms\",";
    Given::default().defaults(times).site("awka", peer.address, "collect: [\"hotspot\"]").start()
}

/// So many sessions, logins and logouts are told from some moment on.
#[track_caller]
fn stays_at(agent: &Agent, figures: (u64, u64, u64)) {
    let (active, logins, logouts) = figures;
    let expected = (json!(active), json!(logins), json!(logouts));
    let told = |stats: &serde_json::Value| {
        (stats["activeUsers"].clone(), stats["logins"].clone(), stats["logouts"].clone())
    };
    agent.stats_when("awka", &format!("it tells {figures:?}"), |stats| told(stats) == expected);
    throughout(WATCHED, || assert_eq!(told(&agent.stats("awka")), expected));
}

/// Of one print: it was made, then ada logs in and is told, then the listen is interrupted, then the
/// print ends, which does not have her.
#[test]
fn one_that_ends_while_a_print_is_under_way_hides_nobody() {
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
                1 => vec![said(&["!done", tag])],
                2 => {
                    let listen = listen.lock().unwrap();
                    let ended =
                        [said(&["!trap", &listen, "=message=interrupted"]), said(&["!done", &listen])];
                    [vec![ada(&listen, "0s")], ended.to_vec(), vec![said(&["!done", tag])]].concat()
                }
                later => vec![ada(tag, &format!("{}s", later - 2)), said(&["!done", tag])],
            }
        }
        path => other(path, tag),
    });
    let agent = agent(&peer);
    stays_at(&agent, (1, 1, 0));
}

/// The first print has no answer, and what the listen tells meanwhile grows old.
#[test]
fn one_that_tells_while_there_is_no_answer_yet_counts_nobody_twice() {
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
                later => vec![ada(tag, &format!("{later}s")), said(&["!done", tag])],
            }
        }
        path => other(path, tag),
    });
    let agent = agent(&peer);
    stays_at(&agent, (1, 0, 0));
}
