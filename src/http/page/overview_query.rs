//! The query of the overview: layout, filter and sort order.

use std::fmt;

use super::card::{self, Card, SiteHealth};
use crate::http::api::View;
use crate::http::sort_key::{SortKey, SortOrder};
use crate::state::SiteState;

/// The number of sites from which on the overview is a table by default: cards would take several screens.
const TABLE_FROM: usize = 8;

/// How the sites are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverviewLayout {
    Cards,
    Table,
    /// For a screen on the wall: large figures, without controls.
    Wall,
}

/// Which sites are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SiteFilter {
    #[default]
    All,
    Offline,
    Busy,
}

impl SiteFilter {
    pub(super) const ALL: [Self; 3] = [Self::All, Self::Offline, Self::Busy];

    /// Its name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Offline => "offline",
            Self::Busy => "busy",
        }
    }

    pub(super) fn shows(self, card: &Card) -> bool {
        match self {
            Self::All => true,
            Self::Offline => card.health == SiteHealth::Offline,
            Self::Busy => card.is_busy(),
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Offline => "Offline",
            Self::Busy => "Busy",
        }
    }
}

/// A column of the table by which it can be sorted.
#[derive(Debug)]
pub(super) struct SiteColumn {
    /// Its name in a query.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Whether it has figures, whose largest people look for.
    pub(super) is_figure: bool,
    key: fn(View, &SiteState) -> Option<SortKey>,
}

pub(super) static SITE_COLUMNS: [SiteColumn; 8] = [
    column("site", "Site", false, |_, site| Some(SortKey::text(&site.name))),
    column("users", "Users", true, |_, site| {
        site.hotspot_now().map(|hotspot| SortKey::Number(hotspot.sessions.len() as u64))
    }),
    column("download", "Download", true, |_, site| site.rates().map(|rates| SortKey::Number(rates.download))),
    column("upload", "Upload", true, |_, site| site.rates().map(|rates| SortKey::Number(rates.upload))),
    column("today", "Today", true, |view, site| {
        view.today(site).map(|today| SortKey::Number(card::total(today.counts)))
    }),
    column("cpu", "CPU", true, |_, site| site.resource()?.cpu_load_percent.map(SortKey::Number)),
    column("memory", "Memory", true, |_, site| {
        card::memory(site.resource()?).map(|of| SortKey::Number(of.percent))
    }),
    column("problem", "Last problem", true, |view, site| {
        let at = view.snapshot.clock.unix(card::last_problem(site)?.at);
        u64::try_from(at.as_millis()).ok().map(SortKey::Number)
    }),
];

const fn column(
    name: &'static str,
    title: &'static str,
    is_figure: bool,
    key: fn(View, &SiteState) -> Option<SortKey>,
) -> SiteColumn {
    SiteColumn { name, title, is_figure, key }
}

/// A query of the overview. Invalid parts of it are ignored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OverviewQuery {
    layout: Option<OverviewLayout>,
    pub(super) filter: SiteFilter,
    /// The sorted column and the order; if there is none, the sites are in groups and in the order of the file.
    sort: Option<(&'static SiteColumn, SortOrder)>,
}

impl OverviewQuery {
    pub(super) fn read(query: &[u8]) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query) {
            match (&*name, &*value) {
                ("view", "cards") => read.layout = Some(OverviewLayout::Cards),
                ("view", "table") => read.layout = Some(OverviewLayout::Table),
                ("wall", _) => read.layout = Some(OverviewLayout::Wall),
                ("show", value) => {
                    let filter = SiteFilter::ALL.into_iter().find(|filter| filter.name() == value);
                    read.filter = filter.unwrap_or_default();
                }
                ("sort", value) => {
                    let (order, name) = SortOrder::read(value);
                    read.sort =
                        SITE_COLUMNS.iter().find(|column| column.name == name).map(|column| (column, order));
                }
                _ => {}
            }
        }
        read
    }

    /// The layout for this number of sites.
    pub(super) fn layout(&self, sites: usize) -> OverviewLayout {
        let default = if sites < TABLE_FROM { OverviewLayout::Cards } else { OverviewLayout::Table };
        self.layout.unwrap_or(default)
    }

    pub(super) fn with_layout(self, layout: OverviewLayout) -> Self {
        Self { layout: Some(layout), ..self }
    }

    pub(super) fn with_filter(self, filter: SiteFilter) -> Self {
        Self { filter, ..self }
    }

    pub(super) fn is_sorted(&self) -> bool {
        self.sort.is_some()
    }

    /// The order of a column, if the sites are sorted by it.
    pub(super) fn order_of(&self, column: &SiteColumn) -> Option<SortOrder> {
        self.sort.filter(|(sorted, _)| sorted.name == column.name).map(|(_, order)| order)
    }

    /// Sorted by this column; if it is already, in reverse; and after that in the order of the file.
    pub(super) fn sorted_by(self, column: &'static SiteColumn) -> Self {
        let (first, second) = if column.is_figure {
            (SortOrder::Descending, SortOrder::Ascending)
        } else {
            (SortOrder::Ascending, SortOrder::Descending)
        };
        let order = match self.order_of(column) {
            None => Some(first),
            Some(order) if order == first => Some(second),
            Some(_) => None,
        };
        Self { sort: order.map(|order| (column, order)), ..self }
    }

    /// Sorts sites that are in the order of the file.
    pub(super) fn sort(&self, view: View, sites: &mut [&SiteState]) {
        if let Some((column, order)) = self.sort {
            let key = |site| (column.key)(view, site);
            sites.sort_by(|a, b| order.compare(key(a).as_ref(), key(b).as_ref()));
        }
    }
}

impl fmt::Display for OverviewQuery {
    /// Leaves out parameters with default values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = self.layout.map(|layout| match layout {
            OverviewLayout::Cards => "view=cards".into(),
            OverviewLayout::Table => "view=table".into(),
            OverviewLayout::Wall => "wall".into(),
        });
        let filter = (self.filter != SiteFilter::All).then(|| format!("show={}", self.filter.name()));
        let sort = self.sort.map(|(column, order)| {
            format!("sort={}{}", if order == SortOrder::Descending { "-" } else { "" }, column.name)
        });
        let parts: Vec<String> = [layout, filter, sort].into_iter().flatten().collect();
        f.write_str(&parts.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_back_unchanged() {
        for (query, read) in [
            ("", ""),
            ("view=table&show=offline&sort=-users", "view=table&show=offline&sort=-users"),
            ("view=cards&sort=site", "view=cards&sort=site"),
            ("wall=", "wall"),
            ("wall", "wall"),
            ("view=other&show=all&sort=nothing&q=x", ""),
        ] {
            assert_eq!(OverviewQuery::read(query.as_bytes()).to_string(), read, "{query}");
        }
    }

    #[test]
    fn the_layout_depends_on_the_number_of_sites_unless_the_query_has_one() {
        use OverviewLayout::{Cards, Table, Wall};
        for (query, sites, layout) in [
            ("", 7, Cards),
            ("", 8, Table),
            ("view=table", 1, Table),
            ("view=cards", 100, Cards),
            ("wall", 3, Wall),
        ] {
            assert_eq!(OverviewQuery::read(query.as_bytes()).layout(sites), layout, "{query} {sites}");
        }
    }

    #[test]
    fn a_heading_sorts_then_reverses_then_restores_the_order_of_the_file() {
        for (name, first, second) in
            [("users", "sort=-users", "sort=users"), ("site", "sort=site", "sort=-site")]
        {
            let column = SITE_COLUMNS.iter().find(|column| column.name == name).unwrap();
            let mut query = OverviewQuery::read(b"show=busy&sort=-cpu");
            for expected in [first, second] {
                query = query.sorted_by(column);
                assert_eq!(query.to_string(), format!("show=busy&{expected}"));
            }
            assert_eq!(query.sorted_by(column).to_string(), "show=busy");
        }
    }
}
