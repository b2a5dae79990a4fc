//! A TCP proxy between an agent and a router that records both directions.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use phsweb_agent::routeros::wire::{Decoder, Sentence, SentenceRef};

/// A recording proxy.
pub(super) struct Tap {
    pub(super) address: SocketAddr,
    from_agent: Arc<Mutex<Vec<u8>>>,
    pub(super) from_router: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(super) fn on(router: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap(),
            from_agent: Arc::default(),
            from_router: Arc::default(),
        };
        let (from_agent, from_router) = (tap.from_agent.clone(), tap.from_router.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(router) else { break };
                copy(client.try_clone().unwrap(), server.try_clone().unwrap(), from_agent.clone());
                copy(server, client, from_router.clone());
            }
        });
        tap
    }

    /// The sentences that the agent sent.
    pub(super) fn sentences(&self) -> Vec<Sentence> {
        let mut decoder = Decoder::default();
        decoder.push(&self.from_agent.lock().unwrap());
        std::iter::from_fn(|| decoder.next().unwrap().map(SentenceRef::to_sentence)).collect()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, into: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            into.lock().unwrap().extend(&bytes[..count]);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
