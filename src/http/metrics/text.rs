//! Prometheus's text format 0.0.4.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::plugin::{Family, Labels, MetricKind};

/// A response in the making: the text of each family, by name.
#[derive(Default)]
pub(super) struct Exposition(BTreeMap<Cow<'static, str>, String>);

impl Exposition {
    /// Adds a site's series of a family to those of other sites.
    pub(super) fn add(&mut self, site: Option<&str>, family: &Family) {
        for (labels, value) in family.series().filter(|(_, value)| value.is_finite()) {
            let text = self.0.entry(family.name.clone()).or_insert_with(|| head(family));
            text.push_str(&family.name);
            push_labels(text, site, labels);
            text.push(' ');
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }

    pub(super) fn text(self) -> String {
        self.0.into_values().collect()
    }
}

fn head(family: &Family) -> String {
    let Family { name, help, kind, .. } = family;
    let kind = match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
    };
    let help = help.replace('\\', r"\\").replace('\n', r"\n");
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

/// Appends `{site="awka",server="hotspot1"}`; nothing if there are no labels.
fn push_labels(text: &mut String, site: Option<&str>, labels: &Labels) {
    let own = labels.iter().map(|(name, value)| (name.as_ref(), value.as_str()));
    let mut separator = '{';
    for (name, value) in site.map(|site| ("site", site)).into_iter().chain(own) {
        text.push(separator);
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str(r"\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str(r"\n"),
                c => text.push(c),
            }
        }
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_escaped_to_one_line() {
        let family = Family::gauge("a", "one\ntwo \\ \"three\"").with_value(Some(f64::NAN));
        assert_eq!(head(&family), "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\n");
        let mut exposition = Exposition::default();
        exposition.add(None, &family);
        assert_eq!(exposition.text(), "", "NaN is omitted");
    }
}
