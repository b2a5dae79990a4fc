//! Pages for which a router must be asked: the forms that people send, and a site's users.
//!
//! Each form has the path that it is sent to. Asked for with GET, as after a login or by a reload,
//! that shows what is asked before, or leads back to the page which has the form.

use std::sync::Arc;

use super::route::Form;
use super::{Routes, missing, no_site, who};
use crate::action::ActionError;
use crate::action::diagnose::Diagnose;
use crate::action::kick::{GONE, Kick};
use crate::action::refresh::Refreshed;
use crate::action::users::{DEFAULT_LIMIT, PageRequest, list_users};
use crate::clock::Moment;
use crate::http::actions;
use crate::http::api::View;
use crate::http::auth::{Identity, Role};
use crate::http::message::{Reply, Request, Response};
use crate::http::page::{self, KickTarget, Layout, List, Nobody, Notice};
use crate::plugin::Session;
use crate::state::{SiteState, Snapshot};

const NOT_ENDED: &str = "The session was not ended";

impl Routes {
    /// What a form's path shows.
    pub(super) fn form(
        &self,
        form: &Form,
        request: &Request,
        identity: Identity,
    ) -> Result<Response, Response> {
        let snapshot = self.store.snapshot();
        let list = List::read(request.query.as_bytes());
        let (Form::Kick(key) | Form::Test(key) | Form::SiteRefresh(key)) = *form else {
            return Ok(see(&request.path, ""));
        };
        let site = self.site_of_page(&snapshot, key, request, identity)?;
        let back = page::site_path(&site.key, &list, None);
        if !matches!(form, Form::Kick(_)) {
            return Ok(see(&request.path, &back));
        }
        let layout = self.layout(request, identity);
        Ok(match KickTarget::read(request.query.as_bytes(), sessions(site)) {
            Ok(meant) => {
                let view =
                    View { snapshot: &snapshot, is_admin: identity.role == Role::Admin, now: Moment::now() };
                page::confirmation(view, site, layout, &meant)
            }
            Err(Nobody::Gone) => refused(layout, &GONE, NOT_ENDED, &back),
            // As after a login.
            Err(Nobody::Unnamed) => see(&request.path, &back),
        })
    }

    /// Does what a form asks for.
    pub(super) fn send(&self, form: &Form, request: &Request, identity: Identity) -> Result<Reply, Response> {
        let (desk, layout, path) = (self.desk.clone(), self.layout(request, identity), request.path.clone());
        let who = who(request, identity);
        let snapshot = self.store.snapshot();
        let find = |key: &str| self.site_of_page(&snapshot, key, request, identity);
        match *form {
            Form::Kick(key) => {
                let site = find(key)?;
                let key = site.key.clone();
                let (kick, list) = match kick_of(request, site) {
                    Ok(meant) => meant,
                    Err(nobody) => return Ok(not_meant(layout, &nobody, &format!("sites/{key}")).into()),
                };
                Ok(Reply::later(async move {
                    let forget = kick.forget;
                    match actions::run(&desk, &key, kick, who).await {
                        Ok(kicked) => {
                            let said = match (kicked.logged_back_in, forget) {
                                (Some(true), _) => Notice::Back,
                                (_, true) => Notice::Forgotten,
                                (_, false) => Notice::Ended,
                            };
                            see(&path, &page::site_path(&key, &list, Some(said)))
                        }
                        Err(refusal) => {
                            let back = page::site_path(&key, &list, None);
                            refused(layout, &refusal, NOT_ENDED, &back)
                        }
                    }
                }))
            }
            Form::Test(key) => {
                let key = find(key)?.key.clone();
                let store = self.store.clone();
                Ok(Reply::later(async move {
                    let steps = actions::run(&desk, &key, Diagnose, who).await;
                    let snapshot = store.snapshot();
                    match (steps, snapshot.site(&key)) {
                        (Ok(steps), Some(site)) => page::steps(site, layout, &steps),
                        (steps, _) => {
                            let refusal = steps.err().unwrap_or(ActionError::NoSite);
                            refused(
                                layout,
                                &refusal,
                                "The connection was not tested",
                                &format!("sites/{key}"),
                            )
                        }
                    }
                }))
            }
            Form::Refresh => {
                let sites = snapshot.sites.iter().map(|site| site.key.clone()).collect();
                let overview = move |said: Notice| see(&path, &format!("?said={}", said.code()));
                let outcomes = self.refresh(sites, who).map_err(|_| overview(Notice::Busy))?;
                Ok(Reply::later(async move { overview(refreshed(&outcomes.await)) }))
            }
            Form::SiteRefresh(key) => {
                let key = find(key)?.key.clone();
                let list = List::read(request.query.as_bytes());
                let busy = page::site_path(&key, &list, Some(Notice::Busy));
                let outcomes = self.refresh(vec![key.clone()], who).map_err(|_| see(&path, &busy))?;
                Ok(Reply::later(async move {
                    see(&path, &page::site_path(&key, &list, Some(refreshed(&outcomes.await))))
                }))
            }
        }
    }

    /// A page of a site's users, for which its router must be asked.
    pub(super) fn users_page(
        &self,
        key: &str,
        request: &Request,
        identity: Identity,
    ) -> Result<Reply, Response> {
        let (desk, store, layout) = (self.desk.clone(), self.store.clone(), self.layout(request, identity));
        let key = self.site_of_page(&store.snapshot(), key, request, identity)?.key.clone();
        let wanted = PageRequest { after: request.parameter("after"), limit: DEFAULT_LIMIT };
        Ok(Reply::later(async move {
            let is_first = wanted.after.is_none();
            let users = list_users(&desk, &key, wanted).await;
            let snapshot = store.snapshot();
            match (users, snapshot.site(&key)) {
                (Ok(users), Some(site)) => page::users(site, layout, &users, is_first),
                (users, _) => {
                    let refusal = users.err().unwrap_or(ActionError::NoSite);
                    refused(layout, &refusal, "The users are not known", &format!("sites/{key}"))
                }
            }
        }))
    }

    pub(super) fn layout(&self, request: &Request, identity: Identity) -> Layout {
        let http = self.http();
        let layout = Layout::new(&http.title, identity.account(&http, &request.path), &request.path);
        layout.with_reload(&self.store.snapshot().reload, Moment::now(), self.is_detailed(identity))
    }

    /// Whether problems of the configuration are shown with the lines of the file: to the admin, or to everybody where
    /// there is none.
    pub(super) fn is_detailed(&self, identity: Identity) -> bool {
        identity.role == Role::Admin || self.http().admin.is_none()
    }

    /// The site that a page is of.
    pub(super) fn site_of_page<'s>(
        &self,
        snapshot: &'s Snapshot,
        key: &str,
        request: &Request,
        identity: Identity,
    ) -> Result<&'s SiteState, Response> {
        let site = snapshot.site(key);
        site.ok_or_else(|| missing(request, self.layout(request, identity), &no_site(snapshot)))
    }
}

/// What the confirmation's form asks for. It has the session as the query that meant it: as fields of
/// their own a NUL or a line's end in a name would not come back as it was.
fn kick_of(request: &Request, site: &SiteState) -> Result<(Kick, List), Nobody> {
    let field = |name: &str| form_urlencoded::parse(&request.body).find(|(its, _)| its == name);
    let (_, session) = field("session").ok_or(Nobody::Unnamed)?;
    let KickTarget { id, user, mac, list } = KickTarget::read(session.as_bytes(), sessions(site))?;
    Ok((Kick { id, user, mac, forget: field("forget").is_some() }, list))
}

/// Where a form means no session.
fn not_meant(layout: Layout, nobody: &Nobody, back: &str) -> Response {
    const WHY: &str = "It does not say which session is to end. Choose one from the list of those under way.";
    match nobody {
        Nobody::Unnamed => page::trouble(layout, 400, NOT_ENDED, WHY, back),
        Nobody::Gone => refused(layout, &GONE, NOT_ENDED, back),
    }
}

fn sessions(site: &SiteState) -> &[Arc<Session>] {
    site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions)
}

/// How a refresh went.
fn refreshed(outcomes: &[(String, Result<Refreshed, ActionError>)]) -> Notice {
    if !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| *outcome == Ok(Refreshed::Recent)) {
        return Notice::Recent;
    }
    let mut failed = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).peekable();
    if failed.peek().is_none() {
        return Notice::Refreshed;
    }
    let count = failed.clone().count();
    match failed.all(|refusal| *refusal == ActionError::Busy) {
        true => Notice::Busy,
        false if count < outcomes.len() => Notice::PartlyRefreshed,
        false => Notice::NotRefreshed,
    }
}

/// To a page, relative to the root, that no cache may keep the way to.
fn see(path: &str, to: &str) -> Response {
    page::see_other(path, to).no_store()
}

/// The page of what was not done.
fn refused(layout: Layout, refusal: &ActionError, what: &str, back: &str) -> Response {
    let why = refusal.to_string();
    actions::refused_as(refusal, |status, _| page::trouble(layout, status, what, &why, back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routeros::error::{Cause, Error};

    #[test]
    fn a_refresh_is_told_by_how_many_answered() {
        let away = || Err(ActionError::Router(Error::new(Cause::Refused, "")));
        let busy = || Err(ActionError::Busy);
        let asked = || Ok(Refreshed::Asked);
        for (outcomes, said) in [
            (vec![], Notice::Refreshed),
            (vec![asked(), asked()], Notice::Refreshed),
            (vec![asked(), Ok(Refreshed::Recent)], Notice::Refreshed),
            (vec![Ok(Refreshed::Recent)], Notice::Recent),
            (vec![Ok(Refreshed::Recent), away()], Notice::PartlyRefreshed),
            (vec![asked(), away()], Notice::PartlyRefreshed),
            (vec![away(), away()], Notice::NotRefreshed),
            (vec![busy(), away()], Notice::NotRefreshed),
            (vec![busy()], Notice::Busy),
        ] {
            let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| (String::new(), outcome)).collect();
            assert_eq!(refreshed(&outcomes), said, "{outcomes:?}");
        }
    }
}
