//! The page: HTML rendered from a snapshot, which works without JavaScript.
//!
//! Each page has a file with its handlers, and a template next to it. `askama` escapes every value in a template.

pub(super) mod account;
mod action_error;
pub(super) mod alerts;
pub(super) mod api;
pub(super) mod asset;
mod card;
mod chart;
mod chart_range;
pub(super) mod diagnosis;
mod ended_sessions;
mod error;
mod format;
mod history;
pub(super) mod kick;
mod layout;
mod login;
mod notice;
pub(super) mod overview;
mod overview_query;
pub(super) mod refresh;
pub(super) mod search;
mod session_list;
mod session_query;
pub(super) mod setup;
pub(super) mod site;
mod tables;
pub(super) mod users;

pub(super) use error::{not_allowed, not_found, refusal};
pub(super) use layout::{AccountMenu, Layout, moved, see_other};
pub(super) use login::login;

/// A session with these attributes, separated by spaces; `id` is sent as `.id`.
#[cfg(test)]
fn session(attributes: &str) -> crate::plugin::Session {
    use crate::plugin::{ReadContext, Session};
    use crate::routeros::{codepage::Codepage, wire::Sentence};

    let words = attributes.split(' ').map(|word| match word.strip_prefix("id=") {
        Some(id) => format!("=.id={id}"),
        None => format!("={word}"),
    });
    let words: Vec<String> = std::iter::once("!re".into()).chain(words).collect();
    let codepage = Codepage::named("windows-1252").unwrap();
    let context = ReadContext::new(crate::clock::Moment::now(), codepage);
    Session::read(&Sentence::from_words(words.iter().map(String::as_str)), &context)
}
