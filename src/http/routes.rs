//! The route table: one row for each endpoint.
//!
//! A row names the path, the role that a request needs, and a handler, whose kind determines the methods. Tests check
//! `/openapi.json`, `docs/http-api.md`, the roles and the methods against [`ROUTES`].

use super::api::{
    actions, active, alerts, availability, badge, config, events, history, journal, openapi, plugin, probes,
    routers, sessions, sites, stats, users,
};
use super::auth::Role;
use super::auth::Role::{Admin, Anyone, Viewer};
use super::context::{Context, Parameters};
use super::message::{HandlerOutput, Method, Response};
use super::metrics;
use super::page::{
    account, alerts as alerts_page, api as api_page, asset, diagnosis, kick, overview, refresh, search,
    setup, site, users as users_page,
};
use crate::action::diagnose::Diagnose;
use crate::action::kick::Kick;
use Audience::{People, Programs};
use Handler::{Action, Fetch, Form, Read};

/// All endpoints. If several patterns match a path, the first applies.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    row("/",                                    Viewer, People,   Read(overview::show)),
    row("/search",                              Admin,  People,   Read(search::show)),
    row("/setup",                               Viewer, People,   Form(setup::redirect, setup::submit)),
    row("/refresh",                             Viewer, People,   Form(refresh::show, refresh::submit_all)),
    row("/sites/{site}",                        Viewer, People,   Read(site::show)),
    row("/sites/{site}/refresh",                Viewer, People,   Form(site::redirect, refresh::submit)),
    row("/sites/{site}/users",                  Admin,  People,   Fetch(users_page::show)),
    row("/sites/{site}/kick",                   Admin,  People,   Form(kick::show, kick::submit)),
    row("/sites/{site}/test",                   Admin,  People,   Form(site::redirect, diagnosis::submit)),
    row("/alerts",                              Viewer, People,   Read(alerts_page::show)),
    row("/alerts/acknowledge",                  Admin,  People,   Form(alerts_page::redirect, alerts_page::acknowledge)),
    row("/alerts/mute",                         Admin,  People,   Form(alerts_page::redirect, alerts_page::mute)),
    row("/login",                               Anyone, People,   Form(account::show_login, account::log_in)),
    row("/logout",                              Anyone, People,   Action(account::log_out)),
    row("/style.css",                           Anyone, Programs, Read(|_| Ok(asset::style()))),
    row("/page.js",                             Anyone, Programs, Read(|_| Ok(asset::script()))),
    row("/icon.svg",                            Anyone, Programs, Read(|context| Ok(asset::icon(context.request.parameter("offline").as_deref())))),
    row("/icon.png",                            Anyone, Programs, Read(|_| Ok(asset::touch_icon()))),
    row("/favicon.ico",                         Anyone, Programs, Read(|_| Ok(asset::touch_icon()))),
    row("/manifest.webmanifest",                Anyone, Programs, Read(|context| Ok(asset::manifest(&context.http.title)))),
    row("/api",                                 Viewer, People,   Read(api_page::show)),
    row("/api/hotspot/stats",                   Viewer, Programs, Read(stats::all)),
    row("/api/hotspot/{site}",                  Viewer, Programs, Read(stats::one)),
    row("/api/hotspot/{site}/active",           Admin,  Programs, Read(active::all)),
    row("/api/hotspot/{site}/users",            Admin,  Programs, Fetch(users::page)),
    row("/api/hotspot/{site}/kick",             Admin,  Programs, Action(actions::run::<Kick>)),
    row("/api/refresh",                         Viewer, Programs, Action(actions::refresh_all)),
    row("/api/sites",                           Viewer, Programs, Read(sites::all)),
    row("/api/sites/{site}",                    Viewer, Programs, Read(sites::one)),
    row("/api/sites/{site}/refresh",            Viewer, Programs, Action(actions::refresh)),
    row("/api/sites/{site}/test",               Admin,  Programs, Action(actions::run::<Diagnose>)),
    // The rows of a private plugin need `Admin`, see `Parameters::role`.
    row("/api/sites/{site}/plugins/{plugin}",   Viewer, Programs, Read(plugin::rows)),
    row("/api/sessions",                        Admin,  Programs, Read(sessions::list)),
    row("/api/journal",                         Admin,  Programs, Read(journal::list)),
    row("/api/sites/{site}/sessions",           Admin,  Programs, Read(sessions::list)),
    row("/api/sites/{site}/history",            Viewer, Programs, Read(history::show)),
    row("/api/sites/{site}/availability",       Viewer, Programs, Read(availability::show)),
    row("/badge/{site}.svg",                    Viewer, Programs, Read(badge::show)),
    row("/api/alerts",                          Viewer, Programs, Read(alerts::list)),
    row("/api/alerts/mute",                     Admin,  Programs, Action(alerts::mute)),
    row("/api/alerts/{id}/acknowledge",         Admin,  Programs, Action(alerts::acknowledge)),
    row("/api/routers",                         Viewer, Programs, Read(routers::all)),
    row("/api/config",                          Viewer, Programs, Read(config::show)),
    row("/api/events",                          Viewer, Programs, Fetch(events::stream)),
    row("/metrics",                             Viewer, Programs, Read(metrics::scrape)),
    row("/openapi.json",                        Viewer, Programs, Read(openapi::show)),
    row("/healthz",                             Anyone, Programs, Read(probes::healthz)),
    row("/readyz",                              Anyone, Programs, Read(probes::readyz)),
];

/// One endpoint. In its path, `{site}`, `{plugin}` and `{id}` stand for one segment each.
#[derive(Debug)]
pub struct Route {
    path: &'static str,
    pub(super) role: Role,
    audience: Audience,
    pub(super) handler: Handler,
}

const fn row(path: &'static str, role: Role, audience: Audience, handler: Handler) -> Route {
    Route { path, role, audience, handler }
}

/// The audience of the responses: people get HTML errors and a login form, programs get `application/problem+json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    People,
    Programs,
}

/// An error is a response, too. It has no `ETag`.
pub(super) type ImmediateHandler = fn(&Context) -> Result<Response, Response>;
pub(super) type DeferredHandler = fn(&Context) -> Result<HandlerOutput, Response>;

/// The handler of an endpoint, by its kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Handler {
    /// `GET`: a pure function of the request, the snapshot, and the data of [`Dependencies`](super::context::Dependencies).
    /// The response has an `ETag`.
    Read(ImmediateHandler),
    /// `GET`: responds after a router has replied, or streams events.
    Fetch(DeferredHandler),
    /// `POST`: an action, mostly a request to a router.
    Action(DeferredHandler),
    /// A page's form. `GET` shows it, or redirects to the page that contains it; `POST` submits it.
    Form(ImmediateHandler, DeferredHandler),
}

impl Route {
    /// The path, with its placeholders.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The name of the least role that a request needs.
    pub fn role_name(&self) -> &'static str {
        self.role.name()
    }

    /// Whether responses are for people, not for programs.
    pub fn is_page(&self) -> bool {
        self.audience == People
    }

    /// The methods that it answers, as in `Allow`.
    pub fn methods(&self) -> &'static str {
        match self.handler {
            Read(_) | Fetch(_) => "GET, HEAD",
            Action(_) => "POST",
            Form(..) => "GET, HEAD, POST",
        }
    }

    pub(super) fn allows(&self, method: Method) -> bool {
        self.methods().split(", ").any(|name| Method::from_name(name) == method)
    }

    /// The values of the placeholders, if the pattern matches this path.
    fn matches<'p>(&self, path: &'p str) -> Option<Parameters<'p>> {
        let mut parameters = Parameters::default();
        let mut segments = path.split('/');
        for expected in self.path.split('/') {
            let segment = segments.next()?;
            match expected {
                "{site}" if !segment.is_empty() => parameters.site = segment,
                "{site}.svg" => parameters.site = segment.strip_suffix(".svg")?,
                "{plugin}" => parameters.plugin = segment,
                "{id}" => parameters.alert = segment,
                _ if expected == segment => {}
                _ => return None,
            }
        }
        segments.next().is_none().then_some(parameters)
    }
}

/// The route of this path, and the values of its placeholders.
pub(super) fn find(path: &str) -> Option<(&'static Route, Parameters<'_>)> {
    ROUTES.iter().find_map(|route| Some((route, route.matches(path)?)))
}

/// The path with a route that this one is without its slash at the end.
pub(super) fn without_slash(path: &str) -> Option<&str> {
    path.strip_suffix('/').filter(|path| !path.ends_with('/') && find(path).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_reached_by_a_path_of_its_pattern() {
        for route in ROUTES {
            let path =
                route.path().replace("{site}", "awka").replace("{plugin}", "leases").replace("{id}", "a");
            assert_eq!(find(&path).unwrap().0.path(), route.path());
        }
    }

    #[test]
    fn placeholders_match_one_segment_each() {
        for (path, pattern, site, plugin) in [
            ("/sites/awka", "/sites/{site}", "awka", ""),
            ("/api/hotspot/stats", "/api/hotspot/stats", "", ""),
            ("/api/sites/a/plugins/b", "/api/sites/{site}/plugins/{plugin}", "a", "b"),
        ] {
            let (route, parameters) = find(path).unwrap();
            assert_eq!((route.path(), parameters.site, parameters.plugin), (pattern, site, plugin), "{path}");
        }
        for path in
            ["//", "/sites", "/sites/", "/sites/awka/", "/sites/a/b", "/style.css/", "/api/", "", "/nothing"]
        {
            assert!(find(path).is_none(), "{path}");
        }
        for (path, other) in [
            ("/api/sites/", Some("/api/sites")),
            ("/sites/awka/", Some("/sites/awka")),
            ("/", None),
            ("//", None),
            ("/sites/", None),
            ("/api/sites//", None),
            ("//evil.example/", None),
        ] {
            assert_eq!(without_slash(path), other, "{path}");
        }
    }
}
