//! The API's service: its port, and the connections that it has accepted.

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

use super::connection;
use super::fault::Fault;
use super::settings::Settings;
use super::shared::{Counted, Shared};
use super::tls::RouterTls;
use crate::executor;

/// How long to wait after an `accept` that failed, for instance with no descriptor left, or after
/// the port could not be had again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the service is told.
pub(super) enum ServiceMessage {
    /// To end all connections.
    Disconnect,
    /// What goes wrong from now on.
    Fault(Option<Fault>),
}

enum Event {
    Message(ServiceMessage),
    Reboot,
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    /// The router is gone.
    End,
}

/// The service of one router. With its future all connections end.
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
    /// When the address can't be listened at, or TLS can't be had.
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
            // The messages first: a connection made after a reboot must not be closed by it.
            match future::or(message, future::or(reboot, accept)).await {
                Event::Message(ServiceMessage::Disconnect) => self.disconnect(),
                Event::Message(ServiceMessage::Fault(fault)) => self.obey(fault),
                Event::Reboot => {
                    // First: a listen whose menu forgets its rows must have nobody left to tell it to.
                    self.disconnect();
                    self.shared.state().reboot();
                }
                Event::Accepted(Ok((stream, peer))) => self.admit(stream, peer),
                Event::Accepted(Err(_)) => {
                    Timer::after(ACCEPT_PAUSE).await;
                }
                Event::End => return,
            }
        }
    }

    fn obey(&mut self, fault: Option<Fault>) {
        self.reboots = match fault {
            Some(Fault::Reboot) => {
                Timer::interval_at(Instant::now(), self.shared.state().settings.reboot_every)
            }
            _ => Timer::never(),
        };
        if fault == Some(Fault::NoService) {
            self.port.shut();
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
        let allowed = allow_from.is_empty() || allow_from.contains(&peer.ip().to_canonical());
        if !allowed || self.open.len() >= *max_sessions || state.turns_away() {
            state.counters.refused += 1;
            state.counters.broken += 1;
            return;
        }
        drop(state);
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let counted = Counted::new(shared.clone());
        self.open.push(executor::spawn(serve(shared, counted, tls, stream, peer)));
    }
}

/// Serves a connection until it ends. Dropping the future ends it at once.
async fn serve(
    shared: Arc<Shared>,
    counted: Counted,
    tls: Option<RouterTls>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Without it, answers in several writes wait 40 ms for each other; RouterOS sets it too.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        return connection::serve(shared, counted, stream.clone(), stream, peer).await;
    };
    if let Some(stream) = tls.accept(shared.clone(), &counted, stream).await {
        let (read, write) = smol::io::split(stream);
        connection::serve(shared, counted, read, write, peer).await;
    }
}

/// The port, which is the router's own even while nobody listens at it.
struct Port {
    addr: SocketAddr,
    listener: Option<TcpListener>,
    shut: bool,
    held: Option<OwnedFd>,
}

impl Port {
    /// Listens at an address; with port 0 the system chooses one.
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let listener = Async::<std::net::TcpListener>::bind(addr)?;
        let addr = listener.get_ref().local_addr()?;
        Ok(Self { addr, listener: Some(listener.into()), shut: false, held: None })
    }

    /// The next connection. Where the port should be listened at and is not, it is tried once more.
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.shut {
            return future::pending().await;
        }
        let listener = match &mut self.listener {
            Some(listener) => listener,
            // The standard library sets SO_REUSEADDR: connections of before do not keep it from this.
            none => none.insert(Async::<std::net::TcpListener>::bind(self.addr)?.into()),
        };
        listener.accept().await
    }

    fn shut(&mut self) {
        (self.shut, self.listener) = (true, None);
        // Where that fails, the port can only be hoped for.
        self.held = hold(self.addr).ok();
    }

    fn reopen(&mut self) {
        (self.shut, self.held) = (false, None);
    }
}

/// Takes a port without listening: connections to it are refused, and it goes to nobody else,
/// neither as a port of the system's choice nor as a client's own.
fn hold(addr: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    // Not for programs that this one starts; by itself, as not every system can do both in one.
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    Ok(socket)
}
