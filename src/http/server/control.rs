//! Changes a running server: its listener, size, certificate and trusted proxies. Open connections stay open.

use async_net::TcpListener;
use smol::channel::{self, Receiver, Sender};
use smol::future::pending;

use crate::config::{Https, Network};

/// Changes a running server. If all handles are dropped, the server continues unchanged.
#[derive(Debug, Clone)]
pub struct ServerHandle(Sender<ControlMessage>);

/// The server's end of a [`ServerHandle`].
#[derive(Debug)]
pub struct ControlMessages(Receiver<ControlMessage>);

#[derive(Debug)]
pub(super) enum ControlMessage {
    Listen(TcpListener),
    /// Closes the listener. The sender is dropped once that is done.
    Release(Sender<()>),
    Resize(usize),
    Secure(Option<Https>),
    Trust(Vec<Network>),
}

/// A handle, and the argument of [`serve`](super::serve) that it controls.
pub fn control_channel() -> (ServerHandle, ControlMessages) {
    // Unbounded, because messages are sent only when the configuration file changes.
    let (sender, receiver) = channel::unbounded();
    (ServerHandle(sender), ControlMessages(receiver))
}

impl ServerHandle {
    /// Accepts new clients from `listener` only.
    pub fn listen(&self, listener: TcpListener) {
        self.send(ControlMessage::Listen(listener));
    }

    /// Closes the listener; done once its address can be bound again.
    pub async fn release(&self) {
        let (released, wait) = channel::bounded::<()>(1);
        self.send(ControlMessage::Release(released));
        // The server drops its end of the channel when it is done.
        let _ = wait.recv().await;
    }

    /// Changes the number of connections. If more are open, the least valuable ones are closed.
    pub fn resize(&self, max_connections: usize) {
        self.send(ControlMessage::Resize(max_connections));
    }

    /// Serves new clients over HTTPS with this certificate, or without one over HTTP.
    pub fn secure(&self, https: Option<Https>) {
        self.send(ControlMessage::Secure(https));
    }

    /// Trusts the proxies in these networks, and no others, from the next request on.
    pub fn trust(&self, proxies: Vec<Network>) {
        self.send(ControlMessage::Trust(proxies));
    }

    fn send(&self, message: ControlMessage) {
        // A server that has ended needs no change.
        let _ = self.0.try_send(message);
    }
}

impl ControlMessages {
    pub(super) async fn next(&self) -> ControlMessage {
        if let Ok(message) = self.0.recv().await { message } else { pending().await }
    }
}
