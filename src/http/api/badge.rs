//! `/badge/{site}.svg`: the availability of a site as an image, for pages elsewhere.

use std::time::Duration;

use super::history::{no_history, range};
use crate::http::context::Context;
use crate::http::message::Response;
use crate::routeros::value::format_duration;

/// The range, unless the request has another one.
const RANGE: Duration = Duration::from_secs(30 * 86_400);

/// Longest name of a site in the image, in characters. The title has the whole name.
const MAX_NAME: usize = 40;

/// The image for a range up to now.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let site = context.site()?;
    let range = range(context, RANGE)?;
    let availability =
        context.services.history.availability(&site.key, range, context.now).ok_or_else(no_history)?;
    let svg = svg(&site.name, &in_words(range), availability.share);
    // Pages elsewhere may show it. It has no figures for a browser that sends no token.
    let response = Response::new(200, "image/svg+xml", svg);
    Ok(response.with("Cross-Origin-Resource-Policy", "cross-origin"))
}

fn svg(name: &str, range: &str, share: Option<f64>) -> String {
    let (value, color) = match share {
        None => ("unknown".into(), "#6a6a6a"),
        Some(share) => (
            percent(share),
            if share >= 0.99 {
                "#2a7d2e"
            } else if share >= 0.95 {
                "#8a6100"
            } else {
                "#b3261e"
            },
        ),
    };
    let mut label: String = name.chars().take(MAX_NAME).collect();
    if label.len() < name.len() {
        label.push('…');
    }
    // Wide enough for most letters; `textLength` fits the text to it.
    let text_width = |text: &str| 7 * text.chars().count();
    let (left, right) = (text_width(&label) + 12, text_width(&value) + 12);
    let (width, middle) = (left + right, left + 6);
    let [label_width, value_width] = [left, right].map(|width| width - 12);
    let (title, label) =
        (escaped(&format!("{name}: availability {value} in the last {range}")), escaped(&label));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title>\
         <rect width=\"{width}\" height=\"20\" rx=\"3\" fill=\"#3a3a3a\"/>\
         <path d=\"M{left} 0h{}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{left}z\" fill=\"{color}\"/>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"6\" y=\"14\" textLength=\"{label_width}\">{label}</text>\
         <text x=\"{middle}\" y=\"14\" textLength=\"{value_width}\">{value}</text></g></svg>\n",
        right - 3
    )
}

/// `30 days`, or `1d12h`.
fn in_words(range: Duration) -> String {
    match (range.as_secs() / 86_400, range.as_secs() % 86_400) {
        (1, 0) => "1 day".into(),
        (days @ 2.., 0) => format!("{days} days"),
        _ => format_duration(range),
    }
}

/// A share in percent, rounded down: only a site without outages has 100 %.
fn percent(share: f64) -> String {
    format!("{} %", (share * 10_000.0).floor() / 100.0)
}

/// Text for XML, without the characters that XML does not allow.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_is_escaped_and_has_the_rounded_availability() {
        for (share, value) in [
            (None, "unknown"),
            (Some(1.0), "100 %"),
            (Some(0.999_99), "99.99 %"),
            (Some(0.5), "50 %"),
            (Some(0.0), "0 %"),
        ] {
            let svg = svg("A<b> & \"c\"\u{1}", &in_words(RANGE), share);
            assert!(svg.contains("<title>A&lt;b&gt; &amp; &quot;c&quot; : availability "), "{svg}");
            assert!(svg.contains(&format!(">{value}</text>")), "{svg}");
            assert!(svg.contains(&format!("{value} in the last 30 days")), "{svg}");
        }
        for (hours, words) in [(1, "1h"), (24, "1 day"), (36, "1d12h"), (48, "2 days"), (90 * 24, "90 days")]
        {
            assert_eq!(in_words(Duration::from_secs(hours * 3600)), words);
        }
        assert!(svg(&"x".repeat(41), "1h", None).contains(&format!(">{}…</text>", "x".repeat(40))));
    }
}
