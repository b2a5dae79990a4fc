//! The page of a connection test: each step to the router, with its duration and outcome.

use askama::Template;

use super::action_error;
use super::layout::{Layout, render};
use crate::action::ActionError;
use crate::action::diagnose::{Diagnose, DiagnosticStep};
use crate::http::actions;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::state::SiteState;

#[derive(Template)]
#[template(path = "diagnosis.html")]
struct Diagnosis<'p> {
    layout: Layout,
    site: &'p SiteState,
    steps: &'p [DiagnosticStep],
    failed: usize,
}

/// `POST /sites/{site}/test`
pub(in crate::http) fn submit(context: &Context) -> Result<HandlerOutput, Response> {
    let (key, layout, who) = (context.site()?.key.clone(), context.layout(), context.who());
    let (handles, store) = (context.services.handles.clone(), context.services.store.clone());
    Ok(HandlerOutput::later(async move {
        let steps = actions::run(&handles, &key, Diagnose, who).await;
        match (steps, store.snapshot().site(&key)) {
            (Ok(steps), Some(site)) => {
                let failed = steps.iter().filter(|step| step.outcome.is_err()).count();
                render(&Diagnosis { layout, site, steps: &steps, failed })
            }
            (steps, _) => {
                let error = steps.err().unwrap_or(ActionError::NoSite);
                let back = format!("sites/{key}");
                action_error::page(layout, &error, "The connection was not tested", &back)
            }
        }
    }))
}
