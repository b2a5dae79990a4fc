//! The page: HTML from a snapshot, whole without JavaScript.
//!
//! Templates are beside this file. `askama` escapes every value that they show.

mod figures;
mod tables;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use askama::Template;

use super::api::View;
use super::message::{Response, problem};
use crate::plugin::Table;
use crate::state::SiteState;
use figures::{Card, Totals};

/// A file that pages load. Its address in a page carries a hash of all of them, so browsers may
/// keep it until an agent with another one answers.
#[derive(Debug)]
pub(super) struct Asset {
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset { name: "style.css", content_type: "text/css; charset=utf-8", body: include_str!("style.css") },
    Asset { name: "page.js", content_type: "text/javascript; charset=utf-8", body: include_str!("page.js") },
    Asset { name: "icon.svg", content_type: "image/svg+xml", body: include_str!("icon.svg") },
];

/// The asset of this name.
pub(super) fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Seconds between reloads of the page where scripts don't run.
const RELOAD_S: u32 = 30;

/// What every page has.
pub(super) struct Frame<'p> {
    title: &'p str,
    account: Account,
    assets: &'static str,
    reload_s: u32,
}

/// What a page says of who reads it.
pub(super) enum Account {
    /// Nothing: there is nothing to log in with, or the page is about that itself.
    None,
    /// Nobody that is known, and where to log in.
    Unknown { login: String },
    /// A viewer or the admin; by a cookie, which can be left.
    Known { is_admin: bool, can_leave: bool },
}

impl Account {
    /// Nobody that is known; a login leads back to `path`.
    pub(super) fn unknown(path: &str) -> Self {
        let to: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        Self::Unknown { login: format!("/login?to={to}") }
    }
}

impl<'p> Frame<'p> {
    pub(super) fn new(title: &'p str, account: Account) -> Self {
        static HASH: LazyLock<String> = LazyLock::new(|| {
            let mut hasher = DefaultHasher::new();
            for asset in &ASSETS {
                asset.body.hash(&mut hasher);
            }
            format!("{:x}", hasher.finish())
        });
        Self { title, account, assets: &HASH, reload_s: RELOAD_S }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'p> {
    frame: Frame<'p>,
    totals: Totals,
    cards: Vec<Card<'p>>,
}

#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'p> {
    frame: Frame<'p>,
    card: Card<'p>,
    tables: Vec<Section<'p>>,
    events: Vec<figures::Event<'p>>,
    usage: figures::Usage,
    /// Whether tables of people were left out, and whether there is an admin to see them.
    hidden: bool,
    has_admin: bool,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'p> {
    frame: Frame<'p>,
    to: &'p str,
    notice: Option<String>,
    /// Whether there is nothing to log in with.
    is_off: bool,
}

/// One plugin's rows.
struct Section<'p> {
    title: &'p str,
    state: &'static str,
    age: Option<String>,
    problem: Option<String>,
    table: Table,
}

/// All sites at a glance.
pub(super) fn overview(view: View, frame: Frame) -> Response {
    let cards: Vec<Card> = view.snapshot.sites.iter().map(|site| Card::new(view, site)).collect();
    render(&Overview { frame, totals: Totals::new(view.snapshot), cards })
}

/// One site: its figures, its plugins' rows, its connections. Rows of people are the admin's.
pub(super) fn site(view: View, site: &SiteState, frame: Frame, is_admin: bool, has_admin: bool) -> Response {
    let shown = site.readings.iter().filter(|reading| is_admin || !reading.plugin.private());
    let tables = shown.map(|reading| Section {
        title: reading.plugin.title(),
        state: reading.state(site.is_online()).name(),
        age: reading.at.map(|at| crate::clock::ago(view.now.since(at))),
        problem: reading.error.as_ref().map(|error| format!("{}. {}", error.message, error.hint)),
        table: reading.data.as_deref().map(tables::in_words).unwrap_or_default(),
    });
    render(&SitePage {
        frame,
        card: Card::new(view, site),
        tables: tables.collect(),
        events: figures::events(view, site),
        usage: figures::Usage::new(site),
        hidden: !is_admin && site.readings.iter().any(|reading| reading.plugin.private()),
        has_admin,
    })
}

/// Where a token is taken, to go on to `to`.
pub(super) fn login(frame: Frame, to: &str, notice: Option<String>, is_off: bool) -> Response {
    render(&Login { frame, to, notice, is_off })
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Response::new(200, "text/html; charset=utf-8", html),
        // Only a value whose own formatting fails could do this.
        Err(error) => problem(500, "Internal Server Error", &error.to_string()),
    }
}
