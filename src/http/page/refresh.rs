//! The forms that refresh one site or all of them.

use super::layout::see_other;
use super::notice::{self, Notice};
use super::overview_query::OverviewQuery;
use super::session_query::SessionQuery;
use super::site;
use crate::action::ActionError;
use crate::action::refresh::{RefreshOutcomes, Refreshed};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};

/// `GET /refresh`: redirects to the overview, which contains the form.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    Ok(see_other(&context.request.path, ""))
}

/// `POST /refresh`, with the query of the overview, to which it redirects.
pub(in crate::http) fn submit_all(context: &Context) -> Result<HandlerOutput, Response> {
    let path = context.request.path.clone();
    let query = OverviewQuery::read(context.request.query.as_bytes());
    let overview = move |notice| see_other(&path, &notice::path("", query.to_string(), Some(notice)));
    Ok(match context.refresh(context.all_sites()) {
        Ok(outcomes) => HandlerOutput::later(async move { overview(overview_notice(&outcomes.await)) }),
        Err(_) => overview(Notice::Busy.query()).into(),
    })
}

/// `POST /sites/{site}/refresh`
pub(in crate::http) fn submit(context: &Context) -> Result<HandlerOutput, Response> {
    let (key, path) = (context.site()?.key.clone(), context.request.path.clone());
    let query = SessionQuery::read(context.request.query.as_bytes());
    let outcomes = context.refresh(vec![key.clone()]);
    let site = move |notice: Notice| see_other(&path, &site::path(&key, &query, Some(notice.query())));
    Ok(match outcomes {
        Ok(outcomes) => HandlerOutput::later(async move { site(notice(&outcomes.await)) }),
        Err(_) => site(Notice::Busy).into(),
    })
}

/// The query of the notice after a refresh of all sites.
fn overview_notice(outcomes: &RefreshOutcomes) -> String {
    match notice(outcomes) {
        Notice::PartlyRefreshed => {
            let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
            let failed: Vec<&str> = failed.map(|(key, _)| key.as_str()).collect();
            notice::failed_query(outcomes.len() - failed.len(), &failed)
        }
        notice => notice.query(),
    }
}

/// The notice about a refresh.
fn notice(outcomes: &RefreshOutcomes) -> Notice {
    if !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| *outcome == Ok(Refreshed::Recent)) {
        return Notice::Recent;
    }
    let errors: Vec<&ActionError> =
        outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
    if errors.is_empty() {
        Notice::Refreshed
    } else if errors.iter().all(|error| **error == ActionError::Busy) {
        Notice::Busy
    } else if errors.len() < outcomes.len() {
        Notice::PartlyRefreshed
    } else {
        Notice::NotRefreshed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routeros::error::{Cause, Error};

    #[test]
    fn the_notice_depends_on_how_many_sites_answered() {
        let away = || Err(ActionError::Router(Error::new(Cause::Refused, "")));
        let busy = || Err(ActionError::Busy);
        let asked = || Ok(Refreshed::Asked);
        for (outcomes, expected) in [
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
            assert_eq!(notice(&outcomes), expected, "{outcomes:?}");
        }
        let outcomes = [("a", asked()), ("b", away()), ("c", busy())].map(|(key, of)| (key.to_string(), of));
        assert_eq!(overview_notice(&outcomes.into()), "notice=partly&answered=1&failed=b,c");
    }
}
