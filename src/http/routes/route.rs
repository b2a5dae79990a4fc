//! Which paths there are, what each leads to, who may have it and by which methods.

use crate::http::auth::Role;
use crate::http::page;

/// What a path leads to.
pub(super) enum Route<'r> {
    /// What is known.
    Shows(Shown<'r>),
    /// What somebody must be asked for, or waited for.
    Asks(Asked<'r>),
    /// What a page's form is sent to.
    Takes(Form<'r>),
}

pub(super) enum Shown<'r> {
    Page,
    SitePage(&'r str),
    Asset(&'static page::Asset),
    Stats,
    SiteStats(&'r str),
    Sessions(&'r str),
    Sites,
    Site(&'r str),
    Plugin(&'r str, &'r str),
    Routers,
    Config,
    Metrics,
    Openapi,
    Healthz,
    Readyz,
}

pub(super) enum Asked<'r> {
    UsersPage(&'r str),
    Users(&'r str),
    Kick(&'r str),
    Test(&'r str),
    Refresh,
    SiteRefresh(&'r str),
    Events,
}

pub(super) enum Form<'r> {
    Kick(&'r str),
    Test(&'r str),
    Refresh,
    SiteRefresh(&'r str),
}

impl<'r> Route<'r> {
    pub(super) fn find(path: &'r str) -> Option<Self> {
        use Asked::{Events, Kick, Refresh, SiteRefresh, Test, Users, UsersPage};
        use Shown::{
            Asset, Config, Healthz, Metrics, Openapi, Page, Plugin, Readyz, Routers, Sessions, Site,
            SitePage, SiteStats, Sites, Stats,
        };
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] => Self::Shows(Page),
            ["refresh"] => Self::Takes(Form::Refresh),
            ["sites", site] => Self::Shows(SitePage(site)),
            ["sites", site, "users"] => Self::Asks(UsersPage(site)),
            ["sites", site, "kick"] => Self::Takes(Form::Kick(site)),
            ["sites", site, "refresh"] => Self::Takes(Form::SiteRefresh(site)),
            ["sites", site, "test"] => Self::Takes(Form::Test(site)),
            ["api", "hotspot", "stats"] => Self::Shows(Stats),
            ["api", "hotspot", site] => Self::Shows(SiteStats(site)),
            ["api", "hotspot", site, "active"] => Self::Shows(Sessions(site)),
            ["api", "hotspot", site, "users"] => Self::Asks(Users(site)),
            ["api", "hotspot", site, "kick"] => Self::Asks(Kick(site)),
            ["api", "refresh"] => Self::Asks(Refresh),
            ["api", "sites"] => Self::Shows(Sites),
            ["api", "sites", site] => Self::Shows(Site(site)),
            ["api", "sites", site, "refresh"] => Self::Asks(SiteRefresh(site)),
            ["api", "sites", site, "test"] => Self::Asks(Test(site)),
            ["api", "sites", site, "plugins", plugin] => Self::Shows(Plugin(site, plugin)),
            ["api", "routers"] => Self::Shows(Routers),
            ["api", "config"] => Self::Shows(Config),
            ["api", "events"] => Self::Asks(Events),
            ["metrics"] => Self::Shows(Metrics),
            ["openapi.json"] => Self::Shows(Openapi),
            ["healthz"] => Self::Shows(Healthz),
            ["readyz"] => Self::Shows(Readyz),
            [name] => Self::Shows(Asset(page::asset(name)?)),
            _ => return None,
        })
    }

    /// Who may have it, as far as the path alone tells.
    pub(super) fn needs(&self) -> Role {
        match self {
            // Style and script hold nothing of anybody's; a refusal's page needs them too.
            Self::Shows(Shown::Healthz | Shown::Readyz | Shown::Asset(_)) => Role::Anyone,
            Self::Shows(Shown::Sessions(_))
            | Self::Asks(Asked::UsersPage(_) | Asked::Users(_) | Asked::Kick(_) | Asked::Test(_))
            | Self::Takes(Form::Kick(_) | Form::Test(_)) => Role::Admin,
            _ => Role::Viewer,
        }
    }

    /// The methods that it answers, as `Allow` names them.
    pub(super) fn allows(&self) -> &'static str {
        match self {
            Self::Shows(_) | Self::Asks(Asked::UsersPage(_) | Asked::Users(_) | Asked::Events) => "GET, HEAD",
            Self::Asks(_) => "POST",
            Self::Takes(_) => "GET, HEAD, POST",
        }
    }

    /// Whether it is for people.
    pub(super) fn is_page(&self) -> bool {
        matches!(
            self,
            Self::Shows(Shown::Page | Shown::SitePage(_)) | Self::Asks(Asked::UsersPage(_)) | Self::Takes(_)
        )
    }
}
