//! Where the page is: one listener at a time, replaced while the agent runs.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpListener;

use super::say;
use crate::config::Http;
use crate::http::gate::Keeper;
use crate::state::Problem;

/// How long the page stays where it is after it left that in vain: whoever came meanwhile was turned away.
const LEAVE_AGAIN: Duration = Duration::from_secs(60);

/// The place that the page has, and the one that it should have.
pub(super) struct Front {
    keeper: Keeper,
    http: Http,
    /// Where it is; none where that could not be had again.
    bound: Option<SocketAddr>,
    /// The configured address that it is there for, of which the port may be 0.
    listen: SocketAddr,
    /// When it was last left in vain for an address that it was itself in the way of.
    left: Option<Instant>,
}

impl Front {
    /// A page that is served at `bound`, as `http` says, by the gate of this keeper.
    pub(super) fn new(keeper: Keeper, http: Http, bound: SocketAddr) -> Self {
        tell(&http, bound);
        Self { keeper, bound: Some(bound), listen: http.listen, left: None, http }
    }

    /// Serves the page as `http` says from now on. The address is another task: see [`Front::move_on`].
    pub(super) fn configure(&mut self, http: Http) {
        if http.max_connections != self.http.max_connections {
            self.keeper.resize(http.max_connections);
        }
        if http.tls != self.http.tls {
            self.keeper.secure(http.tls.clone());
        }
        let told = |http: &Http| (http.tls.is_some(), http.view.is_none());
        let is_news = told(&http) != told(&self.http);
        if http.listen != self.http.listen {
            self.left = None;
        }
        self.http = http;
        if let Some(bound) = self.bound.filter(|_| is_news && self.is_there()) {
            tell(&self.http, bound);
        }
    }

    /// Moves the page to where it should be, if it is not there yet: a new address is bound before the old one
    /// is left.
    pub(super) async fn move_on(&mut self) -> Result<(), Problem> {
        if self.is_there() {
            return Ok(());
        }
        let wanted = self.http.listen;
        let bound = match TcpListener::bind(wanted).await {
            // Our own listener may be what is in the way: 0.0.0.0 and 127.0.0.1 can't both have a port.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.may_be_in_the_way() => {
                self.swap().await
            }
            bound => bound,
        };
        match bound {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(wanted);
                tell(&self.http, bound);
                self.keeper.listen(listener);
                (self.bound, self.listen) = (Some(bound), wanted);
                Ok(())
            }
            Err(error) => {
                let stays = match self.bound {
                    Some(bound) => format!("the page stays at {bound}"),
                    None => "the page is nowhere".into(),
                };
                let message = format!("can't listen at {wanted}: {error}; {stays}, and this is tried again");
                Err(Problem { place: "http.listen".into(), message, excerpt: None })
            }
        }
    }

    fn is_there(&self) -> bool {
        let wanted = self.http.listen;
        self.bound.is_some_and(|bound| bound == wanted || self.listen == wanted)
    }

    fn may_be_in_the_way(&self) -> bool {
        self.bound.is_some_and(|bound| bound.port() == self.http.listen.port())
            && self.left.is_none_or(|left| left.elapsed() >= LEAVE_AGAIN)
    }

    /// Leaves the address for another that can't be bound before; where it can't be after that either, goes back.
    async fn swap(&mut self) -> io::Result<TcpListener> {
        self.keeper.release().await;
        let old = self.bound.take();
        let bound = TcpListener::bind(self.http.listen).await;
        if let (Err(_), Some(old)) = (&bound, old) {
            self.left = Some(Instant::now());
            if let Ok(listener) = TcpListener::bind(old).await {
                self.keeper.listen(listener);
                self.bound = Some(old);
            }
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
