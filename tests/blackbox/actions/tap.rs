//! A wire between an agent and a router that is listened in on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use phsweb_agent::routeros::wire::{Decoder, Sentence};

/// What crosses the wire, both ways.
pub(super) struct Tap {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<u8>>>,
    pub(super) said: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(super) fn on(router: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tap =
            Self { address: listener.local_addr().unwrap(), asked: Arc::default(), said: Arc::default() };
        let (asked, said) = (tap.asked.clone(), tap.said.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(router) else { break };
                copy(client.try_clone().unwrap(), server.try_clone().unwrap(), asked.clone());
                copy(server, client, said.clone());
            }
        });
        tap
    }

    /// The sentences that the router was asked.
    pub(super) fn sentences(&self) -> Vec<Sentence> {
        let mut decoder = Decoder::default();
        decoder.push(&self.asked.lock().unwrap());
        std::iter::from_fn(|| decoder.next().unwrap()).collect()
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
