//! Where the page is: one listener at a time, replaced while the agent runs.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpListener;

use super::say;
use crate::config::Http;
use crate::http::server::ServerHandle;
use crate::state::ReloadDiagnostic;

/// The place that the page has, and the one that it should have.
pub(super) struct Listener {
    server_handle: ServerHandle,
    http: Http,
    /// Where it is.
    bound: SocketAddr,
    /// Whether it is there: it may have been left in vain, and could not be had again yet.
    is_open: bool,
    /// The configured address that it is there for, of which the port may be 0.
    listen: SocketAddr,
    /// When it was last left in vain for an address that it was itself in the way of.
    left: Option<Instant>,
    /// See `Timings::rebind_retry`.
    rebind_retry: Duration,
}

impl Listener {
    /// A page that is served at `bound`, as `http` says, by the gate of this keeper.
    pub(super) fn new(
        server_handle: ServerHandle,
        http: Http,
        bound: SocketAddr,
        rebind_retry: Duration,
    ) -> Self {
        tell(&http, bound);
        server_handle.trust(http.trusted_proxies.clone());
        Self { server_handle, bound, is_open: true, listen: http.listen, left: None, http, rebind_retry }
    }

    /// Serves the page as `http` says from now on. The address is another task: see [`Listener::rebind`].
    pub(super) fn configure(&mut self, http: Http) {
        if http.max_connections != self.http.max_connections {
            self.server_handle.resize(http.max_connections);
        }
        if http.trusted_proxies != self.http.trusted_proxies {
            self.server_handle.trust(http.trusted_proxies.clone());
        }
        if http.tls != self.http.tls {
            self.server_handle.secure(http.tls.clone());
        }
        let told = |http: &Http| (http.tls.is_some(), http.view.is_none());
        let is_news = told(&http) != told(&self.http);
        if http.listen != self.http.listen {
            self.left = None;
        }
        self.http = http;
        if is_news && self.is_there() {
            tell(&self.http, self.bound);
        }
    }

    /// Moves the page to where it should be, if it is not there yet: a new address is bound before the old one
    /// is left.
    pub(super) async fn rebind(&mut self) -> Result<(), ReloadDiagnostic> {
        if self.is_there() {
            return Ok(());
        }
        let wanted = self.http.listen;
        let bound = match TcpListener::bind(wanted).await {
            // Our own listener may be what is in the way: 0.0.0.0 and 127.0.0.1 can't both have a port.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.may_be_in_the_way() => {
                self.rebind_in_place().await
            }
            bound => bound,
        };
        match bound {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(wanted);
                tell(&self.http, bound);
                self.server_handle.listen(listener);
                (self.bound, self.listen, self.is_open) = (bound, wanted, true);
                Ok(())
            }
            Err(error) => {
                if !self.is_open {
                    self.restore().await;
                }
                let how = if self.is_open { "stays" } else { "can't even stay" };
                let stays = format!("the page {how} at {}", self.bound);
                let message = format!("can't listen at {wanted}: {error}; {stays}, and this is tried again");
                Err(ReloadDiagnostic { place: "http.listen".into(), message, excerpt: None })
            }
        }
    }

    fn is_there(&self) -> bool {
        let wanted = self.http.listen;
        self.is_open && (self.bound == wanted || self.listen == wanted)
    }

    fn may_be_in_the_way(&self) -> bool {
        let wanted = self.http.listen;
        self.is_open
            && self.bound.port() == wanted.port()
            && (self.bound.ip().is_unspecified() || wanted.ip().is_unspecified())
            && self.left.is_none_or(|left| left.elapsed() >= self.rebind_retry)
    }

    /// Leaves the address for another that can't be bound before; where it can't be after that either, goes back.
    async fn rebind_in_place(&mut self) -> io::Result<TcpListener> {
        self.server_handle.release().await;
        self.is_open = false;
        let bound = TcpListener::bind(self.http.listen).await;
        if bound.is_err() {
            self.left = Some(Instant::now());
            self.restore().await;
        }
        bound
    }

    async fn restore(&mut self) {
        if let Ok(listener) = TcpListener::bind(self.bound).await {
            self.server_handle.listen(listener);
            self.is_open = true;
        }
    }
}

/// Says where the page is, and who may see it there.
fn tell(http: &Http, bound: SocketAddr) {
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    say(&format!("The page is at {scheme}://{bound}/"));
    if http.view.is_none() && !bound.ip().is_loopback() {
        log::warn!("the figures are open to all who reach {bound}: give viewers a token with http.view");
    }
}
