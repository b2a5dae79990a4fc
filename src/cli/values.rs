//! Parsers of values on the command line. Errors name the value that was found and the expected form.

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use phsweb_agent::agent::Failure;
use phsweb_agent::config::unknown;

/// The error for a wrong value, without characters that would control a terminal.
pub(super) fn unexpected(value: &OsStr, expected: &str) -> String {
    format!("found {:?}; expected {expected}", value.to_string_lossy())
}

/// A value that must be text. A path need not be.
pub(super) fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| unexpected(value, "UTF-8"))
}

/// Parses the value as a `T`; `expected` describes its form.
pub(super) fn parsed<T: FromStr>(value: &OsStr, expected: &str) -> Result<T, String> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| unexpected(value, expected))
}

/// The value as a number in the range.
pub(super) fn number<T>(value: &OsStr, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let expected = format!("a number from {} to {}", range.start(), range.end());
    let number = parsed(value, &expected)?;
    if range.contains(&number) { Ok(number) } else { Err(unexpected(value, &expected)) }
}

/// Where to listen. A port without an address means all IPv4 addresses, as in other programs: on a machine without IPv6,
/// `[::]` fails.
pub(super) fn listen_address(value: &OsStr) -> Result<SocketAddr, String> {
    let everywhere = |port: &str| Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.parse().ok()?)));
    let text = value.to_str().unwrap_or_default();
    let address = everywhere(text.strip_prefix(':').unwrap_or(text)).or_else(|| text.parse().ok());
    address.ok_or_else(|| unexpected(value, "ADDRESS:PORT, :PORT or PORT, such as 127.0.0.1:8080"))
}

/// The items with these names, each once; without names all items. `kind` is what an error calls one.
pub(super) fn selected<T: Clone>(
    items: &[T],
    names: &[String],
    kind: &str,
    name_of: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Failure> {
    let known: Vec<&str> = items.iter().map(&name_of).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::Usage(unknown(&format!("no {kind} is named {name:?}"), name, &known)));
    }
    let place = |item: &&T| names.iter().position(|name| name == name_of(item));
    let mut found: Vec<&T> = items.iter().filter(|item| names.is_empty() || place(item).is_some()).collect();
    found.sort_by_key(place);
    Ok(found.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_an_address_means_all_addresses() {
        for (text, expected) in [
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::]:8080", Some("[::]:8080")),
            ("[::1]:0", Some("[::1]:0")),
            (":8080", Some("0.0.0.0:8080")),
            ("8080", Some("0.0.0.0:8080")),
            ("0", Some("0.0.0.0:0")),
            ("", None),
            (":", None),
            ("65536", None),
            ("::8080", None),
            ("localhost:8080", None),
            ("127.0.0.1", None),
        ] {
            let found = listen_address(OsStr::new(text)).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
