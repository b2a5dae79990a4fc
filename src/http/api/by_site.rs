//! A JSON object with one entry for each site, in the order of the file.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::view::View;
use crate::http::context::Context;
use crate::http::message::{Response, json_within};
use crate::http::server::MAX_ANSWER;
use crate::memory::fair_limit;
use crate::state::{SiteState, Snapshot};

/// An object with one entry for each site. If the response would be too long, the largest entries are replaced by an
/// error, so that one site does not make the response fail for the others.
pub(super) fn by_site<'s, T: Serialize>(
    context: &Context<'s>,
    entry: impl Fn(View<'s>, &'s SiteState) -> T,
) -> Result<Response, Response> {
    let view = context.view();
    Ok(within(context.snapshot, &|site| json_within(&entry(view, site), MAX_ANSWER), MAX_ANSWER))
}

fn within<'s>(
    snapshot: &'s Snapshot,
    entry: &dyn Fn(&'s SiteState) -> Response,
    max_bytes: usize,
) -> Response {
    let rendered = |site: &'s Arc<SiteState>| {
        let entry = entry(site);
        // Any other status means that the entry alone is too large.
        (site.key.as_str(), if entry.status == 200 { entry.body } else { Arc::default() })
    };
    let entries: Vec<(&str, Arc<Vec<u8>>)> = snapshot.sites.iter().map(rendered).collect();
    // `"key":,` around each entry, and the brackets.
    let overhead: usize = entries.iter().map(|(key, _)| key.len() + 4).sum();
    let limit =
        fair_limit(entries.iter().map(|(_, entry)| entry.len()), max_bytes.saturating_sub(overhead + 2));
    let mut body = Vec::new();
    for (key, entry) in entries {
        // A key consists of letters, digits, `-` and `_`.
        body.extend_from_slice(if body.is_empty() { b"{\"" } else { b",\"" });
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(b"\":");
        if entry.is_empty() || entry.len() > limit {
            let message = format!("the state of site {key} is too large for a response with all sites");
            let error = json!({ "error": { "cause": "protocol", "message": message } });
            body.extend_from_slice(error.to_string().as_bytes());
        } else {
            body.extend_from_slice(&entry);
        }
    }
    body.extend_from_slice(if body.is_empty() { "{}" } else { "}" }.as_bytes());
    Response::new(200, "application/json", body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::message::json as json_response;
    use crate::state::{Reload, Store};

    #[test]
    fn an_oversized_site_leaves_the_entries_of_the_others_unchanged() {
        let store = Store::new(Reload::first(None, Vec::new()));
        let texts = [("b", 10), ("a", 2000), ("c", 300), ("d", 0)];
        let site = |key: &str| SiteState::new(key, key, Duration::from_secs(30), [], []).into();
        store.rearrange(|_| texts.iter().map(|(key, _)| site(key)).collect());
        let snapshot = store.snapshot();
        let entry = |site: &SiteState| {
            let length = texts.iter().find(|(key, _)| *key == site.key).unwrap().1;
            json!({ "text": "x".repeat(length) })
        };
        let rendered = |max_bytes: usize| -> serde_json::Value {
            let response = within(&snapshot, &|site| json_within(&entry(site), max_bytes), max_bytes);
            assert_eq!(response.status, 200);
            serde_json::from_slice(&response.body).unwrap()
        };
        let all = rendered(10_000);
        let body =
            String::from_utf8(within(&snapshot, &|site| json_response(&entry(site)), 10_000).body.to_vec())
                .unwrap();
        let places = ["b", "a", "c", "d"].map(|key| body.find(&format!("\"{key}\":")).unwrap());
        assert!(places.is_sorted(), "expected the order of the file in {body}");
        // The first is too large for a response with all sites, and for one of its own.
        for max_bytes in [2100, 1000] {
            let part = rendered(max_bytes);
            assert_eq!(
                (&part["b"], &part["c"], &part["d"]),
                (&all["b"], &all["c"], &all["d"]),
                "{max_bytes}"
            );
            let message = part["a"]["error"]["message"].as_str().unwrap();
            assert!(message.contains("the state of site a is too large"), "{message}");
        }
        let empty = Store::new(Reload::first(None, Vec::new())).snapshot();
        assert_eq!(within(&empty, &|site| json_response(&entry(site)), 10).body.as_slice(), b"{}");
    }
}
