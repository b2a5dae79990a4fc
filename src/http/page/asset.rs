//! The files that pages load: style, script and icon.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use crate::http::embedded::{Embedded, embedded};
use crate::http::message::Response;

/// How long a browser may cache a file, in seconds: a year. The link to it contains a hash of the content.
const MAX_AGE_S: u32 = 31_536_000;

const STYLE: Embedded = embedded!("style.css");
const SCRIPT: Embedded = embedded!("page.js");
const ICON: Embedded = embedded!("icon.svg");

/// The hash of all files, which each link to one carries as its query.
pub(super) fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        for file in [STYLE, SCRIPT, ICON] {
            file.0.hash(&mut hasher);
        }
        format!("{:x}", hasher.finish())
    });
    &HASH
}

/// `/style.css`
pub(in crate::http) fn style() -> Response {
    response("text/css; charset=utf-8", STYLE)
}

/// `/page.js`
pub(in crate::http) fn script() -> Response {
    response("text/javascript; charset=utf-8", SCRIPT)
}

/// `/icon.svg`
pub(in crate::http) fn icon() -> Response {
    response("image/svg+xml", ICON)
}

fn response(content_type: &'static str, file: Embedded) -> Response {
    let response = Response::new(200, content_type, file.bytes());
    response.with("Cache-Control", format!("public, max-age={MAX_AGE_S}, immutable"))
}
