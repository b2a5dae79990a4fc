//! The files that pages load: style, script and icon.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use serde_json::json;

use crate::http::embedded::{Embedded, embedded};
use crate::http::message::Response;

/// How long a browser may cache a file, in seconds: a year. The link to it contains a hash of the content.
const MAX_AGE_S: u32 = 31_536_000;

/// Largest number in the icon; more digits are unreadable.
const MAX_BADGE: usize = 9;

/// Characters that a phone shows below an icon.
const SHORT_NAME: usize = 12;

const STYLE: Embedded = embedded!("style.css");
const SCRIPT: Embedded = embedded!("page.js");
const ICON: Embedded = embedded!("icon.svg");
/// The icon as iOS needs it.
const TOUCH_ICON: Embedded = embedded!("icon.png");

/// The hash of all files, which each link to one carries as its query.
pub(super) fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        for file in [STYLE, SCRIPT, ICON, TOUCH_ICON] {
            file.0.hash(&mut hasher);
        }
        format!("{:x}", hasher.finish())
    });
    &HASH
}

/// `/style.css`
pub(in crate::http) fn style() -> Response {
    cached("text/css; charset=utf-8", STYLE.bytes())
}

/// `/page.js`
pub(in crate::http) fn script() -> Response {
    cached("text/javascript; charset=utf-8", SCRIPT.bytes())
}

/// `/icon.svg`; with `?offline=2`, that number in a red disc.
pub(in crate::http) fn icon(offline: Option<&str>) -> Response {
    let offline = offline.and_then(|number| number.parse::<usize>().ok());
    let mut svg = ICON.bytes();
    if let Some(offline) = offline {
        svg.truncate(svg.len().saturating_sub("</svg>\n".len()));
        let text = if offline > MAX_BADGE { format!("{MAX_BADGE}+") } else { offline.to_string() };
        svg.extend(
            format!(
                r##"<circle cx="21" cy="21" r="11" fill="#b3142b" stroke="none"/><text x="21" y="26.5" fill="#fff" stroke="none" font-family="sans-serif" font-size="15" font-weight="700" text-anchor="middle">{text}</text></svg>"##
            )
            .bytes(),
        );
    }
    cached("image/svg+xml", svg)
}

/// `/icon.png`
pub(in crate::http) fn touch_icon() -> Response {
    cached("image/png", TOUCH_ICON.bytes())
}

/// `/manifest.webmanifest`: how the page is installed on a phone. Its addresses are relative to itself.
pub(in crate::http) fn manifest(title: &str) -> Response {
    let icon = |file: &str, kind: &str, sizes: &str| json!({ "src": format!("{file}?{}", hash()), "type": kind, "sizes": sizes });
    let manifest = json!({
        "name": title,
        "short_name": title.chars().take(SHORT_NAME).collect::<String>(),
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#f6f7f9",
        "theme_color": "#ffffff",
        "icons": [icon("icon.svg", "image/svg+xml", "any"), icon("icon.png", "image/png", "192x192")],
    });
    Response::new(200, "application/manifest+json", manifest.to_string())
}

fn cached(content_type: &'static str, content: Vec<u8>) -> Response {
    let response = Response::new(200, content_type, content);
    response.with("Cache-Control", format!("public, max-age={MAX_AGE_S}, immutable"))
}
