//! The overview: totals, and all sites as cards, as a table or on a wall display. Sites with problems are first.

use askama::Template;

use super::card::Card;
use super::format::{bits_per_second, bytes, grouped};
use super::history::sparkline;
use super::layout::{Layout, render};
use super::notice;
use super::overview_query::{OverviewLayout, OverviewQuery, SITE_COLUMNS, SiteColumn, SiteFilter};
use super::setup;
use crate::http::api::View;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::http::sort_key::SortOrder;
use crate::plugin::{Counts, Rates};
use crate::state::{ConnectionState, SiteState};

/// Names of offline sites among the totals. The others are in the list below.
const MAX_NAMED: usize = 5;

/// The numbers of sites up to which a wall display has large tiles, and medium ones.
const LARGE_TILES: usize = 12;
const MEDIUM_TILES: usize = 40;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'p> {
    layout: Layout,
    generation: u64,
    notice: String,
    totals: Totals<'p>,
    /// The query as it is, for the form.
    query: String,
    filters: Vec<Choice>,
    layouts: Vec<Choice>,
    is_table: bool,
    headings: Vec<SiteHeading>,
    groups: Vec<SiteGroup<'p>>,
}

#[derive(Template)]
#[template(path = "wall.html")]
struct Wall<'p> {
    layout: Layout,
    generation: u64,
    totals: Totals<'p>,
    cards: Vec<Card<'p>>,
    /// `large`, `medium` or `small` tiles.
    size: &'static str,
}

/// A link that changes the query.
struct Choice {
    title: &'static str,
    count: Option<usize>,
    href: String,
    is_current: bool,
}

/// A heading of the table.
struct SiteHeading {
    column: &'static SiteColumn,
    href: String,
    sorted: Option<&'static str>,
}

/// Sites below a common heading; without one if there are no others.
struct SiteGroup<'p> {
    title: Option<&'p str>,
    cards: Vec<Card<'p>>,
}

/// All sites together, without those whose figures are unknown.
struct Totals<'p> {
    sites: usize,
    online: usize,
    connecting: usize,
    offline: Vec<&'p str>,
    users: Option<String>,
    /// Rates.
    upload: Option<String>,
    download: Option<String>,
    /// Download and upload since midnight at each site.
    today: Option<(String, String)>,
}

impl<'p> Totals<'p> {
    fn new(view: View<'p>) -> Self {
        let sites = || view.snapshot.sites.iter().map(AsRef::as_ref);
        let rates = |of: fn(Rates) -> u64| {
            sites().filter_map(SiteState::rates).map(of).reduce(u64::saturating_add).map(bits_per_second)
        };
        let today = sites().filter_map(|site| view.today(site)).map(|today| today.counts);
        Self {
            sites: sites().count(),
            online: sites().filter(|site| site.is_online()).count(),
            connecting: sites().filter(|site| site.connection == ConnectionState::Connecting).count(),
            offline: sites().filter(|site| site.is_offline()).map(|site| site.name.as_str()).collect(),
            users: sites()
                .filter_map(SiteState::hotspot_now)
                .map(|hotspot| hotspot.sessions.len())
                .reduce(usize::saturating_add)
                .map(grouped),
            upload: rates(|rates| rates.upload),
            download: rates(|rates| rates.download),
            today: today
                .reduce(Counts::plus)
                .map(|counts| (bytes(counts.download_bytes), bytes(counts.upload_bytes))),
        }
    }

    /// `Enugu, Jos and 2 more`.
    fn offline_names(&self) -> String {
        let shown = self.offline.len().min(MAX_NAMED);
        let names = self.offline[..shown].join(", ");
        match self.offline.len() - shown {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

/// `GET /`: before there is a configuration, how to provide one.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let (snapshot, layout, view) = (context.snapshot, context.layout(), context.view());
    if let Some(page) = setup::waiting(context) {
        return Ok(page);
    }
    let query = OverviewQuery::read(context.request.query.as_bytes());
    let mut sites: Vec<&SiteState> = snapshot.sites.iter().map(AsRef::as_ref).collect();
    query.sort(view, &mut sites);
    let (generation, totals) = (snapshot.generation, Totals::new(view));
    let shown = query.layout(sites.len());
    let has_sparkline = |card: &Card| shown != OverviewLayout::Wall && query.filter.shows(card);
    let card = |site| {
        let card = Card::new(view, site);
        (site, Card { sparkline: has_sparkline(&card).then(|| sparkline(context, site)).flatten(), ..card })
    };
    let cards: Vec<(&SiteState, Card)> = sites.into_iter().map(card).collect();
    if shown == OverviewLayout::Wall {
        let size = match cards.len() {
            count if count <= LARGE_TILES => "large",
            count if count <= MEDIUM_TILES => "medium",
            _ => "small",
        };
        let mut cards: Vec<Card> = cards.into_iter().map(|(_, card)| card).collect();
        cards.sort_by_key(|card| card.health);
        return Ok(render(&Wall { layout, generation, totals, cards, size }));
    }
    let count = |filter: SiteFilter| cards.iter().filter(|(_, card)| filter.shows(card)).count();
    let link = |query: OverviewQuery| format!("{}?{query}", layout.root);
    let filters = SiteFilter::ALL.map(|filter| Choice {
        title: filter.title(),
        count: Some(count(filter)),
        href: link(query.with_filter(filter)),
        is_current: filter == query.filter,
    });
    let layouts =
        [("Cards", OverviewLayout::Cards), ("Table", OverviewLayout::Table), ("Wall", OverviewLayout::Wall)]
            .map(|(title, layout)| Choice {
                title,
                count: None,
                href: link(query.with_layout(layout)),
                is_current: layout == shown,
            });
    let headings = SITE_COLUMNS.iter().map(|column| SiteHeading {
        column,
        href: link(query.sorted_by(column)),
        sorted: query.order_of(column).map(SortOrder::name),
    });
    Ok(render(&Overview {
        headings: headings.collect(),
        layout,
        generation,
        notice: notice::text(context),
        totals,
        query: query.to_string(),
        filters: filters.into(),
        layouts: layouts.into(),
        is_table: shown == OverviewLayout::Table,
        groups: groups(cards, &query),
    }))
}

/// The sites that the query shows: those with problems, then the groups of the file or, if sorted, all others together.
fn groups<'p>(sites: Vec<(&'p SiteState, Card<'p>)>, query: &OverviewQuery) -> Vec<SiteGroup<'p>> {
    const OTHERS: &str = "Other sites";
    let shown = sites.into_iter().filter(|(_, card)| query.filter.shows(card));
    let (mut problems, rest): (Vec<_>, Vec<_>) = shown.partition(|(_, card)| card.health.is_problem());
    problems.sort_by_key(|(_, card)| card.health);
    let mut groups: Vec<SiteGroup> = Vec::new();
    if !problems.is_empty() {
        let cards = problems.into_iter().map(|(_, card)| card).collect();
        groups.push(SiteGroup { title: Some("Needs attention"), cards });
    }
    let first = groups.len();
    for (site, card) in rest {
        let title = site.group.as_deref().filter(|_| !query.is_sorted());
        match groups[first..].iter_mut().find(|group| group.title == title) {
            Some(group) => group.cards.push(card),
            None => groups.push(SiteGroup { title, cards: vec![card] }),
        }
    }
    // Sites without a group need a heading only to end the group before them.
    groups[first..].sort_by_key(|group| group.title.is_none());
    if groups.len() > 1
        && let Some(last) = groups.last_mut()
    {
        last.title = last.title.or(Some(OTHERS));
    }
    groups
}
