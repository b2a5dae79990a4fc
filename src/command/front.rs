//! Where the page is: one listener at a time, replaced while the agent runs.

use std::io;
use std::net::SocketAddr;

use async_net::TcpListener;

use super::say;
use crate::config::Http;
use crate::http::gate::Keeper;
use crate::state::Problem;

/// The place that the page has, and the one that it should have.
pub(super) struct Front {
    keeper: Keeper,
    /// The configured address that is listened at; none where it could not be had again.
    listening: Option<SocketAddr>,
    http: Http,
}

impl Front {
    /// A page that is served at `bound`, as `http` says, by the gate of this keeper.
    pub(super) fn new(keeper: Keeper, http: Http, bound: SocketAddr) -> Self {
        tell(&http, bound);
        Self { keeper, listening: Some(http.listen), http }
    }

    /// Serves the page as `http` says from now on. The address is another task: see [`Front::move_on`].
    pub(super) fn configure(&mut self, http: Http) {
        if http.max_connections != self.http.max_connections {
            self.keeper.resize(http.max_connections);
        }
        if http.tls != self.http.tls {
            self.keeper.secure(http.tls.clone());
        }
        self.http = http;
    }

    /// Moves the page to where it should be, if it is not there yet: a new address is bound before the old one
    /// is left.
    pub(super) async fn move_on(&mut self) -> Result<(), Problem> {
        let wanted = self.http.listen;
        if self.listening == Some(wanted) {
            return Ok(());
        }
        let bound = match TcpListener::bind(wanted).await {
            // Our own listener may be what is in the way: 0.0.0.0 and 127.0.0.1 can't both have a port.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.has_port(wanted) => {
                self.swap(wanted).await
            }
            bound => bound,
        };
        match bound {
            Ok(listener) => {
                if let Ok(bound) = listener.local_addr() {
                    tell(&self.http, bound);
                }
                self.keeper.listen(listener);
                self.listening = Some(wanted);
                Ok(())
            }
            Err(error) => {
                let stays = match self.listening {
                    Some(listening) => format!("the page stays at {listening}"),
                    None => "the page is nowhere".into(),
                };
                let message = format!("can't listen at {wanted}: {error}; {stays}, and this is tried again");
                Err(Problem { place: "http.listen".into(), message, excerpt: None })
            }
        }
    }

    fn has_port(&self, wanted: SocketAddr) -> bool {
        self.listening.is_some_and(|listening| listening.port() == wanted.port())
    }

    /// Leaves the address for another that can't be bound before; where it can't be after that either, goes back.
    async fn swap(&mut self, wanted: SocketAddr) -> io::Result<TcpListener> {
        self.keeper.release().await;
        let old = self.listening.take();
        let bound = TcpListener::bind(wanted).await;
        if let (Err(_), Some(old)) = (&bound, old)
            && let Ok(listener) = TcpListener::bind(old).await
        {
            self.keeper.listen(listener);
            self.listening = Some(old);
        }
        bound
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
