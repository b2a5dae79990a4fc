//! What a gate is told to do otherwise while it serves. Connections that are in stay as they are.

use async_net::TcpListener;
use smol::channel::{self, Receiver, Sender};
use smol::future::pending;

use crate::config::{Https, Network};

/// Gives a gate its orders. Without one left, it goes on as it was told last.
#[derive(Debug, Clone)]
pub struct ServerHandle(Sender<ControlMessage>);

/// The orders on their way to a gate.
#[derive(Debug)]
pub struct ControlMessages(Receiver<ControlMessage>);

#[derive(Debug)]
pub(super) enum ControlMessage {
    /// Take clients from this listener, and from no other.
    Listen(TcpListener),
    /// Take none, and leave the address to others. The sender is dropped once that is done.
    Release(Sender<()>),
    /// Have room for so many connections.
    Resize(usize),
    /// Speak HTTPS with this certificate, or with none HTTP.
    Secure(Option<Https>),
    /// Trust the proxies in these networks.
    Trust(Vec<Network>),
}

/// A keeper, and what the gate is to be given.
#[must_use]
pub fn control_channel() -> (ServerHandle, ControlMessages) {
    // Orders are as rare as changes of a file.
    let (sender, receiver) = channel::unbounded();
    (ServerHandle(sender), ControlMessages(receiver))
}

impl ServerHandle {
    /// Takes new clients from `listener`, and from no other any more.
    pub fn listen(&self, listener: TcpListener) {
        self.order(ControlMessage::Listen(listener));
    }

    /// Closes the listener; done once its address can be bound by another.
    pub async fn release(&self) {
        let (released, wait) = channel::bounded::<()>(1);
        self.order(ControlMessage::Release(released));
        // The end of the channel is the answer.
        let _ = wait.recv().await;
    }

    /// Has room for so many connections. Where more are in, those that can best be spared are closed.
    pub fn resize(&self, max_connections: usize) {
        self.order(ControlMessage::Resize(max_connections));
    }

    /// Gives new clients this certificate, or with none serves them without TLS.
    pub fn secure(&self, https: Option<Https>) {
        self.order(ControlMessage::Secure(https));
    }

    /// Trusts the proxies in these networks, and no others, from the next request on.
    pub fn trust(&self, proxies: Vec<Network>) {
        self.order(ControlMessage::Trust(proxies));
    }

    fn order(&self, order: ControlMessage) {
        // A gate that is gone has nothing to do any more.
        let _ = self.0.try_send(order);
    }
}

impl ControlMessages {
    pub(super) async fn next(&self) -> ControlMessage {
        match self.0.recv().await {
            Ok(order) => order,
            // Nobody is left who could give one.
            Err(_) => pending().await,
        }
    }
}
