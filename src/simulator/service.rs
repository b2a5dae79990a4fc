//! The API service: its port, and the connections that it accepts.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, sockopt};
use smol::channel::Receiver;
use smol::{Async, Task, Timer, future};

use super::boot;
use super::connection;
use super::fault::Fault;
use super::settings::Settings;
use super::shared::{ConnectionGuard, Shared};
use super::tls::RouterTls;
use crate::executor;

/// The pause after an `accept` that failed, for instance without a free descriptor, or after the port could
/// not be opened again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A message to the service.
pub(super) enum ServiceMessage {
    /// Close all connections.
    Disconnect,
    /// Apply a fault, or end the current one.
    SetFault(Option<Fault>),
}

enum Event {
    Message(ServiceMessage),
    Reboot,
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    /// The router was dropped.
    End,
}

/// The service of one router. Dropping its future closes all connections.
pub(super) struct Service {
    shared: Arc<Shared>,
    messages: Receiver<ServiceMessage>,
    port: Port,
    tls: Option<RouterTls>,
    open: Vec<Task<()>>,
    reboots: Timer,
}

impl Service {
    /// # Errors
    ///
    /// When the address can't be bound or TLS can't be set up.
    pub(super) fn new(
        shared: Arc<Shared>,
        addr: SocketAddr,
        messages: Receiver<ServiceMessage>,
    ) -> io::Result<Self> {
        let port = Port::open(addr)?;
        let tls = if shared.state().settings.tls { Some(RouterTls::new()?) } else { None };
        Ok(Self { shared, messages, port, tls, open: Vec::new(), reboots: Timer::never() })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.port.addr
    }

    pub(super) async fn run(mut self) {
        loop {
            let message = async { self.messages.recv().await.map_or(Event::End, Event::Message) };
            let reboot = async {
                (&mut self.reboots).await;
                Event::Reboot
            };
            let accept = async { Event::Accepted(self.port.accept().await) };
            // Messages first: a reboot must not close a connection that was made after it.
            match future::or(message, future::or(reboot, accept)).await {
                Event::Message(ServiceMessage::Disconnect) => self.disconnect(),
                Event::Message(ServiceMessage::SetFault(fault)) => self.set_fault(fault),
                Event::Reboot => {
                    // First: no client may see a `listen` end because its menu is cleared.
                    self.disconnect();
                    boot::reboot(&mut self.shared.state());
                }
                Event::Accepted(Ok((stream, peer))) => self.admit(stream, peer),
                Event::Accepted(Err(_)) => {
                    Timer::after(ACCEPT_PAUSE).await;
                }
                Event::End => return,
            }
        }
    }

    fn set_fault(&mut self, fault: Option<Fault>) {
        self.reboots = match fault {
            Some(Fault::Reboot) => {
                Timer::interval_at(Instant::now(), self.shared.state().settings.reboot_every)
            }
            _ => Timer::never(),
        };
        if fault == Some(Fault::NoService) {
            self.port.close();
            self.disconnect();
        } else {
            self.port.reopen();
        }
        if fault == Some(Fault::OtherCertificate) && self.tls.is_some() {
            self.disconnect();
        }
    }

    fn disconnect(&mut self) {
        self.shared.state().break_all();
        self.open.clear();
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.open.retain(|connection| !connection.is_finished());
        let mut state = self.shared.state();
        state.counters.connections += 1;
        let Settings { max_sessions, allow_from, .. } = &state.settings;
        let is_allowed = allow_from.is_empty() || allow_from.contains(&peer.ip().to_canonical());
        if !is_allowed || self.open.len() >= *max_sessions || state.refuses_connections() {
            state.counters.refused += 1;
            state.counters.broken += 1;
            return;
        }
        drop(state);
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let guard = ConnectionGuard::new(shared.clone());
        self.open.push(executor::spawn(serve(shared, guard, tls, stream, peer)));
    }
}

/// Serves a connection until it ends. Dropping the future closes it at once.
async fn serve(
    shared: Arc<Shared>,
    guard: ConnectionGuard,
    tls: Option<RouterTls>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Otherwise several writes of a reply wait 40 ms for each other; RouterOS sets it too.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        return connection::serve(shared, guard, stream.clone(), stream, peer).await;
    };
    if let Some(stream) = tls.accept(shared.clone(), &guard, stream).await {
        let (read, write) = smol::io::split(stream);
        connection::serve(shared, guard, read, write, peer).await;
    }
}

/// The port, which stays reserved for the router while it is closed.
struct Port {
    addr: SocketAddr,
    listener: Option<TcpListener>,
    is_closed: bool,
    reserved: Option<OwnedFd>,
}

impl Port {
    /// Binds an address; with port 0 the system chooses one.
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let listener = Async::<std::net::TcpListener>::bind(addr)?;
        let addr = listener.get_ref().local_addr()?;
        Ok(Self { addr, listener: Some(listener.into()), is_closed: false, reserved: None })
    }

    /// The next connection. Binds the port again if it is not bound.
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.is_closed {
            return future::pending().await;
        }
        let listener = match &mut self.listener {
            Some(listener) => listener,
            // The standard library sets SO_REUSEADDR, so old connections do not prevent this.
            none => none.insert(Async::<std::net::TcpListener>::bind(self.addr)?.into()),
        };
        listener.accept().await
    }

    fn close(&mut self) {
        (self.is_closed, self.listener) = (true, None);
        // If this fails, another program may take the port meanwhile.
        self.reserved = reserve(self.addr).ok();
    }

    fn reopen(&mut self) {
        (self.is_closed, self.reserved) = (false, None);
    }
}

/// Reserves a port without listening: connections to it are refused, and the system assigns it to no other
/// listener or client.
fn reserve(addr: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    // Child processes must not inherit it. A separate call, because not every system can do both at once.
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    Ok(socket)
}
