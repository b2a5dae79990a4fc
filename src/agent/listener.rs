//! The listener of the page. It can be bound to another address while the agent runs.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpListener;

use crate::config::Http;
use crate::http::server::ServerHandle;
use crate::state::ReloadDiagnostic;
use crate::text::print_line;

/// The address where the page is, and the configured one.
pub(super) struct Listener {
    server_handle: ServerHandle,
    http: Http,
    /// The bound address, or the last one.
    bound: SocketAddr,
    /// Whether the listener is open. It is closed after neither the new nor the old address could be bound.
    is_open: bool,
    /// The configured address for which `bound` was bound. Its port may be 0.
    listen: SocketAddr,
    /// When the listener was last released for an address that still could not be bound.
    last_release: Option<Instant>,
    /// See `Timings::rebind_retry`.
    rebind_retry: Duration,
}

impl Listener {
    /// For a page that the server of this handle already serves at `bound`.
    pub(super) fn new(
        server_handle: ServerHandle,
        http: Http,
        bound: SocketAddr,
        rebind_retry: Duration,
    ) -> Self {
        announce(&http, bound);
        server_handle.trust(http.trusted_proxies.clone());
        let listen = http.listen;
        Self { server_handle, http, bound, is_open: true, listen, last_release: None, rebind_retry }
    }

    /// Applies a changed `http` section, except for its address: see [`Listener::rebind`].
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
        let announced = |http: &Http| (http.tls.is_some(), http.view.is_none());
        let is_changed = announced(&http) != announced(&self.http);
        if http.listen != self.http.listen {
            self.last_release = None;
        }
        self.http = http;
        if is_changed && self.is_bound() {
            announce(&self.http, self.bound);
        }
    }

    /// Binds the configured address if it is not bound yet. The old listener stays open until the new one is bound.
    pub(super) async fn rebind(&mut self) -> Result<(), ReloadDiagnostic> {
        if self.is_bound() {
            return Ok(());
        }
        let listen = self.http.listen;
        let bound = match TcpListener::bind(listen).await {
            // 0.0.0.0 and 127.0.0.1 can't both be bound with the same port.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.may_block_itself() => {
                self.rebind_in_place().await
            }
            bound => bound,
        };
        match bound {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(listen);
                announce(&self.http, bound);
                self.server_handle.listen(listener);
                (self.bound, self.listen, self.is_open) = (bound, listen, true);
                Ok(())
            }
            Err(error) => {
                if !self.is_open {
                    self.restore().await;
                }
                let how = if self.is_open { "stays" } else { "can't even stay" };
                let message = format!(
                    "can't listen at {listen}: {error}; the page {how} at {}, and the agent retries",
                    self.bound
                );
                Err(ReloadDiagnostic { place: "http.listen".into(), message, excerpt: None })
            }
        }
    }

    fn is_bound(&self) -> bool {
        self.is_open && [self.bound, self.listen].contains(&self.http.listen)
    }

    /// Whether the current listener may block the configured address.
    fn may_block_itself(&self) -> bool {
        let listen = self.http.listen;
        self.is_open
            && self.bound.port() == listen.port()
            && (self.bound.ip().is_unspecified() || listen.ip().is_unspecified())
            && self.last_release.is_none_or(|at| at.elapsed() >= self.rebind_retry)
    }

    /// Releases the current address before it binds the configured one. If that fails, it restores the old listener.
    async fn rebind_in_place(&mut self) -> io::Result<TcpListener> {
        self.server_handle.release().await;
        self.is_open = false;
        let bound = TcpListener::bind(self.http.listen).await;
        if bound.is_err() {
            self.last_release = Some(Instant::now());
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

/// Prints the address of the page, with the login link of a demo, and logs a warning if everybody who reaches it sees the figures.
fn announce(http: &Http, bound: SocketAddr) {
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    print_line(&format!("The page is at {scheme}://{bound}/"));
    if let Some(admin) = http.admin.as_ref().filter(|_| http.accepts_login_link) {
        print_line(&format!("Log in as the admin: {scheme}://{bound}/login?token={}", admin.expose()));
    }
    if http.view.is_none() && !bound.ip().is_loopback() {
        log::warn!(
            "listen={bound} msg=\"the figures are open to everybody who reaches this address: give viewers a token with \
             http.view\""
        );
    }
}
