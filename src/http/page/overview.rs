//! The overview: a card for each site, and totals.

use askama::Template;

use super::card::{Card, traffic};
use super::format::bits_per_second;
use super::history::sparkline;
use super::layout::{AccountMenu, Layout, render};
use super::notice;
use crate::http::api::View;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::plugin::{Counts, Rates};
use crate::state::ConnectionState;

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

/// All sites together, without those whose figures are unknown.
struct Totals {
    sites: usize,
    online: usize,
    connecting: usize,
    users: Option<usize>,
    /// Rates.
    upload: Option<String>,
    download: Option<String>,
    /// Traffic since midnight at each site.
    today: Option<String>,
}

impl Totals {
    fn new(view: View) -> Self {
        let sites = || view.snapshot.sites.iter();
        let rates = |of: fn(Rates) -> u64| {
            sites().filter_map(|site| site.rates()).map(of).reduce(u64::saturating_add).map(bits_per_second)
        };
        let today = sites().filter_map(|site| view.today(site)).map(|today| today.counts);
        Self {
            sites: sites().count(),
            online: sites().filter(|site| site.is_online()).count(),
            connecting: sites().filter(|site| site.connection == ConnectionState::Connecting).count(),
            users: sites()
                .filter_map(|site| site.hotspot_now())
                .map(|hotspot| hotspot.sessions.len())
                .reduce(usize::saturating_add),
            upload: rates(|rates| rates.upload),
            download: rates(|rates| rates.download),
            today: today.reduce(Counts::plus).map(traffic),
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
        totals: Totals::new(context.view()),
        cards: snapshot
            .sites
            .iter()
            .map(|site| Card { sparkline: sparkline(context, site), ..Card::new(context.view(), site) })
            .collect(),
    }))
}
