//! The HTTP proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.

use std::net::IpAddr;

use super::url::HttpUrl;

/// Which proxy to use for which URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    https: Option<HttpUrl>,
    http: Option<HttpUrl>,
    /// Hosts that are reached without a proxy: `*`, an address, or a domain, which includes its subdomains.
    exceptions: Vec<String>,
}

impl ProxySettings {
    /// Reads the variables, in upper or lower case.
    ///
    /// # Errors
    ///
    /// The variable that is not the URL of an HTTP proxy. Its value is not part of the message, because it may contain a
    /// password.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = |name: &str| {
            let value = environment(name).or_else(|| environment(&name.to_ascii_lowercase()));
            value.filter(|value| !value.is_empty())
        };
        let proxy = |name: &str| {
            let Some(text) = value(name) else { return Ok(None) };
            let text = if text.contains("://") { text } else { format!("http://{text}") };
            match HttpUrl::parse(&text) {
                Ok(url) if url.is_https => Err(format!("{name}: a proxy is reached by http:// only")),
                Ok(url) => Ok(Some(url)),
                Err(error) => Err(format!("{name}: {error}; expected http://HOST:PORT")),
            }
        };
        let exceptions = value("NO_PROXY").unwrap_or_default().to_ascii_lowercase();
        let exceptions = exceptions.split([',', ' ']).map(|host| host.trim_start_matches("*.").to_string());
        Ok(Self {
            https: proxy("HTTPS_PROXY")?,
            http: proxy("HTTP_PROXY")?,
            exceptions: exceptions.filter(|host| !host.is_empty()).collect(),
        })
    }

    /// The proxy for a URL. This machine itself is always reached without one.
    pub fn for_url(&self, url: &HttpUrl) -> Option<&HttpUrl> {
        let proxy = if url.is_https { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !is_local(&url.host) && !self.exceptions.iter().any(|host| covers(host, url)))
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn covers(exception: &str, url: &HttpUrl) -> bool {
    let domain = exception.trim_start_matches('.');
    let is_subdomain = || url.host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    exception == "*" || url.host == domain || url.host_and_port() == domain || is_subdomain()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<ProxySettings, String> {
        ProxySettings::from_environment(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        })
    }

    #[test]
    fn the_proxy_depends_on_the_scheme_and_the_exceptions() {
        let no_proxy = "lan, .example.com,*.corp,10.0.0.7 ntfy.sh:8443";
        let both = settings(&[("HTTPS_PROXY", "http://p:1"), ("http_proxy", "q:2"), ("NO_PROXY", no_proxy)])
            .unwrap();
        for (url, proxy) in [
            ("https://ntfy.sh/a", Some("http://p:1")),
            ("http://ntfy.sh/a", Some("http://q:2")),
            ("https://ntfy.sh:8443/a", None),
            ("https://lan/", None),
            ("https://a.lan/", None),
            ("https://plan/", Some("http://p:1")),
            ("https://example.com/", None),
            ("https://www.example.com/", None),
            ("https://a.corp/", None),
            ("http://10.0.0.7/", None),
            ("http://10.0.0.70/", Some("http://q:2")),
            ("http://127.0.0.1/", None),
            ("http://[::1]/", None),
            ("http://localhost/", None),
        ] {
            let found = both.for_url(&HttpUrl::parse(url).unwrap()).map(ToString::to_string);
            assert_eq!(found.as_deref(), proxy, "{url}");
        }
        let none = settings(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")]).unwrap();
        assert_eq!(none.for_url(&HttpUrl::parse("https://ntfy.sh/").unwrap()), None);
        assert_eq!(settings(&[("HTTPS_PROXY", "")]), Ok(ProxySettings::default()));
    }

    #[test]
    fn an_invalid_proxy_is_reported_without_its_value() {
        for value in ["https://ada:secret@p:1", "http://ada:secret@p:x", "socks5://secret"] {
            let error = settings(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(error.starts_with("HTTPS_PROXY: ") && !error.contains("secret"), "{error}");
        }
    }
}
