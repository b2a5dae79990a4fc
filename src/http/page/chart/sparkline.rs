//! A small curve without axes.

use askama::Template;

use super::curve::Curve;
use super::path::line;
use super::value_scale::{ChartUnit, ValueScale};

/// The height in units of the path. One is about a pixel.
const HEIGHT: u16 = 24;

/// Maximum number of points: half an hour each for a day and the current one, and some 400 bytes.
const POINTS: usize = 49;

/// A curve of users, with its extremes as text.
#[derive(Template)]
#[template(
    source = r#"<svg class="spark" role="img" aria-label="{{ label }}" viewBox="-.5 -1 {{ points }} {{ height + 2 }}" preserveAspectRatio="none"><path d="{{ path }}"/></svg>"#,
    ext = "html"
)]
pub(in crate::http::page) struct Sparkline {
    label: String,
    points: usize,
    height: u16,
    path: String,
}

impl Sparkline {
    /// None if nothing is known. The text begins with `title`.
    pub(in crate::http::page) fn new(title: &str, curve: &Curve) -> Option<Self> {
        let curve = curve.within(POINTS, 0);
        let peak = curve.peak()?.1.max;
        let least = curve.known().map(|(_, slot)| slot.min).fold(peak, f64::min);
        let scale = ValueScale::new(ChartUnit::Users, peak);
        let heights = curve.slots.iter().map(|slot| slot.map(|figure| scale.y(figure.avg, HEIGHT)));
        Some(Self {
            label: format!("{title}: {} to {}", scale.text(least), scale.text(peak)),
            points: curve.slots.len(),
            height: HEIGHT,
            path: line(heights),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;
    use crate::history::Figure;

    #[test]
    fn a_day_takes_at_most_400_bytes() {
        // The worst case: each value is far from the one before.
        let values: Vec<&str> = ["0", "99"].into_iter().cycle().take(288).collect();
        let day = curve(0, 300, &values.join(" ")).within(48, 0);
        let jumps = Curve {
            slots: (0..48u8)
                .map(|n| Some(Figure { min: 0., avg: f64::from(n % 2) * 99., max: 99. }))
                .collect(),
            ..day
        };
        let svg = Sparkline::new("Users in the last 24 hours", &jumps).unwrap().to_string();
        assert!(svg.len() <= 480, "{} bytes: {svg}", svg.len());
        let values: Vec<String> =
            (0..288).map(|n: i32| (20 + 15 - (n - 144).abs() / 9).to_string()).collect();
        let svg = Sparkline::new("Users in the last 24 hours", &curve(0, 300, &values.join(" "))).unwrap();
        let svg = svg.to_string();
        assert!(svg.len() <= 400, "{} bytes: {svg}", svg.len());
        assert!(svg.contains(r#"aria-label="Users in the last 24 hours: 19 to 35""#), "{svg}");
    }

    #[test]
    fn gaps_stay_and_nothing_known_is_no_line() {
        let svg = Sparkline::new("<b>", &curve(0, 1800, "10 - - 20")).unwrap().to_string();
        assert!(svg.contains(r#"<path d="M0 12h0M3 0h0"/>"#), "{svg}");
        assert!(svg.contains("aria-label=\"&#60;b&#62;: 10 to 20\""), "{svg}");
        assert!(Sparkline::new("Users", &curve(0, 1800, "- -")).is_none());
    }
}
