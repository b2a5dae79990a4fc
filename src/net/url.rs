//! URLs of HTTP servers. Their paths often contain a token, so only scheme and host are ever printed.

use std::fmt;

/// Longest URL, in bytes: the usual limit of servers for a request line.
const MAX_URL: usize = 8000;

/// An `http://` or `https://` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub is_https: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// The path and the query, which begin with `/`.
    pub target: String,
    /// The user's name and password, separated by a colon.
    pub login: Option<String>,
}

impl HttpUrl {
    /// Parses an absolute URL.
    ///
    /// # Errors
    ///
    /// The problem, as a message that does not contain the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_URL {
            return Err("the URL is longer than 8000 bytes");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b)) {
            return Err("the URL has a space, a # or another character that must be percent-encoded");
        }
        let scheme = |name: &str| {
            text.split_at_checked(name.len()).filter(|(start, _)| start.eq_ignore_ascii_case(name))
        };
        let (is_https, rest) = match (scheme("https://"), scheme("http://")) {
            (Some((_, rest)), _) => (true, rest),
            (None, Some((_, rest))) => (false, rest),
            (None, None) => return Err("the URL does not begin with https:// or http://"),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(percent_decoded(login)?), address),
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
            Some(_) => return Err("the URL has no valid IPv6 address in its brackets"),
            None => address.split_at(address.find(':').unwrap_or(address.len())),
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if host.is_empty() || !host.bytes().all(is_name) {
            return Err("the URL has no valid host name");
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|&port| port > 0),
            None if port.is_empty() => Some(if is_https { 443 } else { 80 }),
            None => None,
        };
        let port = port.ok_or("the URL has no valid port")?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { is_https, host: host.to_ascii_lowercase(), port, target: format!("{slash}{path}"), login })
    }

    /// The host, with the port unless it is the default.
    pub fn authority(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => self.bracketed(),
            _ => self.host_and_port(),
        }
    }

    /// The host with its port.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// This URL with another path, which begins with `/`, after its own.
    pub fn join(&self, path: &str) -> Self {
        let base = self.target.split('?').next().unwrap_or_default().trim_end_matches('/');
        Self { target: format!("{base}{path}"), ..self.clone() }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// Only the scheme and the host.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self}/…)")
    }
}

fn percent_decoded(text: &str) -> Result<String, &'static str> {
    const ERROR: &str = "the login in the URL is not percent-encoded UTF-8";
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or(ERROR)?;
            let digits = std::str::from_utf8(digits).map_err(|_| ERROR)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| ERROR)?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_a_host_and_a_target() {
        for (text, shown, port, target, login) in [
            ("https://ntfy.sh/topic", "https://ntfy.sh", 443, "/topic", None),
            ("HTTP://Example.COM", "http://example.com", 80, "/", None),
            ("http://10.0.0.1:9093/a/b?c=d/e", "http://10.0.0.1:9093", 9093, "/a/b?c=d/e", None),
            ("https://[fd00::1]:8443?x=1", "https://[fd00::1]:8443", 8443, "/?x=1", None),
            ("https://[fd00::1]/", "https://[fd00::1]", 443, "/", None),
            ("http://ada:p%40ss%3a@proxy:3128", "http://proxy:3128", 3128, "/", Some("ada:p@ss:")),
            ("https://a@b/c@d", "https://b", 443, "/c@d", Some("a")),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.port, url.target.as_str()), (shown, port, target));
            assert_eq!(url.login.as_deref(), login, "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected_without_repeating_them() {
        for (text, part) in [
            ("", "begin with"),
            ("ftp://secret/", "begin with"),
            ("secret.example/", "begin with"),
            ("https://", "host"),
            ("https:///secret", "host"),
            ("https://sécret/", "percent-encoded"),
            ("https://a/se cret", "percent-encoded"),
            ("https://a/\r\nsecret", "percent-encoded"),
            ("https://a/#secret", "percent-encoded"),
            ("https://a:0/", "port"),
            ("https://a:65536/", "port"),
            ("https://[fd00::1/secret", "IPv6"),
            ("https://[secret]/", "IPv6"),
            ("https://[::1]secret/", "port"),
            ("https://sec%2/@a/", "host"),
            ("https://sec%zz@a/", "login"),
            ("https://sec%ff@a/", "login"),
        ] {
            let error = HttpUrl::parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{text:?}: {error}");
        }
        assert!(HttpUrl::parse(&format!("https://a/{}", "a".repeat(MAX_URL))).is_err());
    }

    #[test]
    fn only_scheme_and_host_are_printed() {
        let url = HttpUrl::parse("https://ada:secret@example.com/bot123:secret/send?key=secret").unwrap();
        assert_eq!(url.to_string(), "https://example.com");
        assert_eq!(format!("{url:?}"), "HttpUrl(https://example.com/…)");
        assert_eq!(url.join("/api").target, "/bot123:secret/send/api");
    }
}
