//! Replaces a site's router with a simulated one.

use std::net::{Ipv4Addr, SocketAddr};

use phsweb_agent::agent::Failure;
use phsweb_agent::config::{Host, Site};
use phsweb_agent::net::tls::Tls;
use phsweb_agent::simulator::{Router, Settings};

/// Starts a simulated router on loopback for a site.
pub(super) fn start_router(site: &Site, settings: Settings) -> Result<Router, Failure> {
    Router::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings)
        .map_err(|error| format!("can't start a simulated router for {}: {error}", site.key).into())
}

/// The site with the address of a simulated router.
pub(super) fn at_router(site: &Site, router: &Router) -> Site {
    let host = Host { name: router.addr().ip().to_string(), port: router.addr().port() };
    Site { hosts: vec![host], tls: Tls::Off, pins: Vec::new(), ..site.clone() }
}
