//! The overview: a card for each site, and totals.

use askama::Template;

use super::card::Card;
use super::format::bytes;
use super::layout::{AccountMenu, Layout, render};
use super::notice;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::plugin::Hotspot;
use crate::state::{ConnectionState, Snapshot};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'p> {
    layout: Layout,
    generation: u64,
    notice: String,
    totals: Totals,
    cards: Vec<Card<'p>>,
}

#[derive(Template)]
#[template(path = "no_configuration.html")]
struct NoConfiguration<'p> {
    layout: Layout,
    file: &'p str,
    folder: &'p str,
    /// The file's name in that folder.
    name: &'p str,
}

/// All sites together.
struct Totals {
    sites: usize,
    online: usize,
    connecting: usize,
    /// Absent if no online site has reported its sessions.
    users: Option<usize>,
    upload: Option<String>,
    download: Option<String>,
}

impl Totals {
    fn new(snapshot: &Snapshot) -> Self {
        let hotspots: Vec<&Hotspot> = snapshot.sites.iter().filter_map(|site| site.hotspot_now()).collect();
        let known = |bytes_of: fn(&Hotspot) -> u64| {
            let sum = hotspots.iter().fold(0, |sum: u64, hotspot| sum.saturating_add(bytes_of(hotspot)));
            (!hotspots.is_empty()).then(|| bytes(sum))
        };
        Self {
            sites: snapshot.sites.len(),
            online: snapshot.sites.iter().filter(|site| site.is_online()).count(),
            connecting: snapshot
                .sites
                .iter()
                .filter(|site| site.connection == ConnectionState::Connecting)
                .count(),
            users: (!hotspots.is_empty())
                .then(|| hotspots.iter().map(|hotspot| hotspot.sessions.len()).sum()),
            upload: known(Hotspot::bytes_in),
            download: known(Hotspot::bytes_out),
        }
    }
}

/// `GET /`: before there is a configuration, how to provide one.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let (snapshot, layout) = (context.snapshot, context.layout());
    if let (None, Some(file)) = (snapshot.reload.succeeded, snapshot.reload.file.as_deref()) {
        let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
        return Ok(render(&NoConfiguration { layout, file, folder, name }));
    }
    Ok(render(&Overview {
        layout,
        generation: snapshot.generation,
        notice: notice::text(context),
        totals: Totals::new(snapshot),
        cards: snapshot.sites.iter().map(|site| Card::new(context.view(), site)).collect(),
    }))
}
