//! A property that a plugin shows: its name, its heading for people, and the unit of its values.

use std::time::Duration;

use crate::routeros::value::{boolean, decimal, duration};

/// A property that a plugin shows: a column of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The name that `RouterOS` has for it.
    pub name: String,
    /// The heading on the page.
    pub title: String,
    /// What its values are.
    pub unit: Unit,
}

/// What the values of a property are. It decides how the page shows them and their type in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shown as the router sends it.
    Text,
    /// A number without a unit, such as a count.
    Number,
    /// Bytes of traffic, memory or storage.
    Bytes,
    /// A rate.
    BitsPerSecond,
    /// A share of 100.
    Percent,
    /// The strength of a radio signal.
    Dbm,
    /// A time span.
    Duration,
    /// Yes or no.
    Flag,
}

/// A value as the unit of its property defines it.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed<'t> {
    /// A text.
    Text(&'t str),
    /// A number, or several that a slash separates, such as upload and download of a queue. As text, because a counter
    /// may exceed 2⁵³.
    Numbers(Vec<&'t str>),
    /// A time span.
    Duration(Duration),
    /// Yes or no.
    Flag(bool),
}

impl Unit {
    /// All units, as the file names them.
    pub const ALL: [(&'static str, Self); 8] = [
        ("Text", Self::Text),
        ("Number", Self::Number),
        ("Bytes", Self::Bytes),
        ("BitsPerSecond", Self::BitsPerSecond),
        ("Percent", Self::Percent),
        ("Dbm", Self::Dbm),
        ("Duration", Self::Duration),
        ("Flag", Self::Flag),
    ];

    /// The name in the file.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }

    /// Whether values are compared by size, and therefore aligned at their ends.
    pub fn is_numeric(self) -> bool {
        !matches!(self, Self::Text | Self::Flag)
    }

    /// The value of a text; `None` if it is none of this unit, such as `never`.
    pub fn read(self, text: &str) -> Option<Typed<'_>> {
        fn number(text: &str) -> Option<&str> {
            decimal(text.as_bytes()).map(|_| text)
        }
        let bytes = text.as_bytes();
        match self {
            Self::Text => Some(Typed::Text(text)),
            Self::Flag => boolean(bytes).map(Typed::Flag),
            Self::Duration => duration(bytes).map(Typed::Duration),
            // `-65dBm@1Mbps` of `/interface/wireless`.
            Self::Dbm => number(text.split("dBm").next()?).map(|part| Typed::Numbers(vec![part])),
            Self::Percent => number(text.trim_end_matches('%')).map(|part| Typed::Numbers(vec![part])),
            Self::Number | Self::Bytes | Self::BitsPerSecond => {
                // `/interface/wifi` has a comma, other menus a slash.
                text.split(['/', ',']).map(number).collect::<Option<_>>().map(Typed::Numbers)
            }
        }
    }
}

impl From<&str> for Property {
    /// The property with the heading and the unit that the name of the property suggests.
    fn from(name: &str) -> Self {
        Self { name: name.into(), title: title_of(name), unit: unit_of(name) }
    }
}

/// `mac-address` becomes `MAC address`.
fn title_of(property: &str) -> String {
    const ABBREVIATIONS: &str = " cpu dhcp dns hdd id ip ipv4 ipv6 mac mtu rx ssid tcp ttl tx udp vlan ";
    let mut title = String::new();
    for word in property.split(['-', '.', '_']).filter(|word| !word.is_empty()) {
        title.push_str(if title.is_empty() { "" } else { " " });
        if ABBREVIATIONS.contains(&format!(" {word} ")) {
            title += &word.to_ascii_uppercase();
        } else {
            title += word;
        }
    }
    title.get_mut(..1).map(str::make_ascii_uppercase);
    title
}

/// The unit of a property that has the same one in every menu, from MikroTik's manual.
fn unit_of(property: &str) -> Unit {
    const FLAGS: &str = " authorized blocked bypassed complete disabled dynamic inactive invalid published radius running \
        slave ";
    let property = property.to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| property.starts_with(word));
    let ends = |words: &[&str]| words.iter().any(|word| property.ends_with(word));
    if FLAGS.contains(&format!(" {property} ")) {
        Unit::Flag
    } else if begins(&["bytes-", "limit-bytes-"]) || ends(&["bytes", "-byte", "-memory", "-hdd-space"]) {
        Unit::Bytes
    } else if begins(&["packets-"]) || ends(&["packets", "-packet", "-drop", "-error", "-downs", "-count"]) {
        Unit::Number
    } else if ends(&["uptime", "-after", "-timeout", "-time-left", "idle-time", "lease-time", "last-seen"]) {
        Unit::Duration
    } else if property == "cpu-load" {
        Unit::Percent
    } else {
        Unit::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_properties_suggest_headings_and_units() {
        for (property, title, unit) in [
            ("name", "Name", Unit::Text),
            ("mac-address", "MAC address", Unit::Text),
            ("rx-byte", "RX byte", Unit::Bytes),
            ("bytes", "Bytes", Unit::Bytes),
            ("free-hdd-space", "Free HDD space", Unit::Bytes),
            ("link-downs", "Link downs", Unit::Number),
            ("expires-after", "Expires after", Unit::Duration),
            ("last-link-up-time", "Last link up time", Unit::Text),
            ("running", "Running", Unit::Flag),
            (".id", "ID", Unit::Text),
            ("HTTPS", "HTTPS", Unit::Text),
            ("802.1x", "802 1x", Unit::Text),
        ] {
            let named = Property::from(property);
            assert_eq!((named.title.as_str(), named.unit), (title, unit), "{property}");
        }
    }

    #[test]
    fn values_are_read_as_the_unit_defines() {
        let numbers = |numbers: &[&'static str]| Some(Typed::Numbers(numbers.into()));
        for (unit, text, value) in [
            (Unit::Text, "5", Some(Typed::Text("5"))),
            (Unit::Number, "5", numbers(&["5"])),
            (Unit::Number, "unlimited", None),
            (Unit::Number, "", None),
            (Unit::Bytes, "1000/2000", numbers(&["1000", "2000"])),
            (Unit::Bytes, "11482260,20162924", numbers(&["11482260", "20162924"])),
            (Unit::Bytes, "1000/none", None),
            (Unit::BitsPerSecond, "54Mbps", None),
            (Unit::Percent, "12%", numbers(&["12"])),
            (Unit::Dbm, "-65dBm@1Mbps", numbers(&["-65"])),
            (Unit::Dbm, "-65", numbers(&["-65"])),
            (Unit::Duration, "1m30s", Some(Typed::Duration(Duration::from_secs(90)))),
            (Unit::Duration, "never", None),
            (Unit::Flag, "yes", Some(Typed::Flag(true))),
            (Unit::Flag, "false", Some(Typed::Flag(false))),
            (Unit::Flag, "5", None),
        ] {
            assert_eq!(unit.read(text), value, "{unit:?} {text:?}");
        }
        for (name, unit) in Unit::ALL {
            assert_eq!(unit.name(), name);
        }
    }
}
