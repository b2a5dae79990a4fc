//! A small HTTP/1.1 client: one request on each connection, no redirects, a bounded response, a deadline.

use std::fmt::{self, Write as _};
use std::time::Duration;

use async_net::TcpStream;
use smol::io::AsyncWriteExt;

use super::base64::base64;
use super::connect::{Stream, open, resolve, secure};
use super::deadline::within;
use super::error::{Cause, Error};
use super::http_response;
use super::proxy::ProxySettings;
use super::trust::Trust;
use super::url::HttpUrl;

pub use super::http_response::HttpResponse;

/// The value of `User-Agent`.
const USER_AGENT: &str = concat!("phsweb-agent/", env!("CARGO_PKG_VERSION"));

/// Header fields that the client sets itself.
const OWN_FIELDS: [&str; 4] = ["Host", "Content-Length", "Connection", "Transfer-Encoding"];

/// A client with its proxies and deadlines.
#[derive(Debug, Clone)]
pub struct HttpClient {
    /// Which proxy to use.
    pub proxies: ProxySettings,
    /// Time to resolve the name, to connect, and for the TLS handshake.
    pub connect_timeout: Duration,
    /// Time for all of a request, until its response is read.
    pub exchange_timeout: Duration,
}

/// A request.
#[derive(Clone)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where it is sent.
    pub url: HttpUrl,
    /// Which certificate of the server is trusted.
    pub trust: Trust,
    /// Additional header fields, see [`is_field`].
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request has no response. `server` is scheme and host of the server or the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpClientError {
    /// No connection, or no response in time.
    Connection {
        /// The peer.
        server: String,
        /// The error of the connection.
        error: Error,
    },
    /// The proxy does not connect to the server.
    Proxy {
        /// The proxy.
        server: String,
        /// Its response.
        status: u16,
    },
    /// The server sends the client elsewhere.
    Redirect {
        /// The server.
        server: String,
        /// 300 to 399.
        status: u16,
        /// Scheme and host of the target, if there is one.
        target: Option<String>,
    },
    /// The response is not HTTP, or too long.
    Response {
        /// The peer.
        server: String,
        /// The problem.
        message: String,
    },
}

impl fmt::Display for HttpClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { server, error } => {
                let hint = match error.cause {
                    Cause::Dns => "; check the name, and the DNS server of this machine",
                    Cause::Certificate if !error.message.contains("`ca`") => {
                        "; if this is the right server, set `ca` to a PEM file or the certificate's fingerprint"
                    }
                    Cause::Pin => "; if the server has a new certificate, set `ca` to its fingerprint",
                    Cause::NoTls => "; does the server expect http:// instead of https://?",
                    _ => "",
                };
                write!(f, "{server}: {}{hint}", error.message)
            }
            Self::Proxy { server, status: 407 } => {
                write!(f, "the proxy {server} requires a login; expected http://USER:PASSWORD@HOST:PORT")
            }
            Self::Proxy { server, status } => write!(f, "the proxy {server} refused to connect: {status}"),
            Self::Redirect { server, status, target } => {
                write!(f, "{server} redirects ({status})")?;
                match target {
                    Some(target) if target != server => write!(f, " to {target}: configure the URL there"),
                    _ => write!(f, " to another path: configure the URL with that path"),
                }
            }
            Self::Response { server, message } => write!(f, "{server}: {message}"),
        }
    }
}

/// Whether a header field can be set in a request: RFC 9110's characters, and not one that the client sets itself.
pub fn is_field(name: &str, value: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_own = OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name));
    !name.is_empty()
        && name.bytes().all(is_name)
        && !is_own
        && value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

impl HttpClient {
    /// Sends a request and reads the response, whose status is 200 to 299 or 400 and above.
    ///
    /// # Errors
    ///
    /// If there is no response, or if it is a redirect.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpClientError> {
        self.fetch(request, 0).await
    }

    /// The same, and reads the body of a success, of up to `max_body` bytes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if the body is longer or not complete.
    pub async fn fetch(
        &self,
        request: &HttpRequest,
        max_body: usize,
    ) -> Result<HttpResponse, HttpClientError> {
        let server = request.url.to_string();
        // Boxed, because a channel is idle most of the time.
        let exchange = Box::pin(self.exchange(request, max_body));
        let exchange = within(exchange, self.exchange_timeout, Cause::Timeout, "no response");
        let result = exchange.await;
        let response = result.map_err(|error| connection(&server, error)).and_then(|response| response)?;
        if (300..400).contains(&response.status) {
            let target = response.location.and_then(|location| HttpUrl::parse(&location).ok());
            let target = target.map(|url| url.to_string());
            return Err(HttpClientError::Redirect { server, status: response.status, target });
        }
        Ok(response)
    }

    async fn exchange(
        &self,
        request: &HttpRequest,
        max_body: usize,
    ) -> Result<HttpResponse, HttpClientError> {
        let url = &request.url;
        let proxy = self.proxies.for_url(url);
        let server = url.to_string();
        let mut stream = match proxy {
            Some(proxy) => {
                let mut stream = self.open(proxy).await?;
                if url.is_https {
                    tunnel(&mut stream, proxy, url).await?;
                }
                self.secure(stream, request).await?
            }
            None => self.secure(self.open(url).await?, request).await?,
        };
        let bytes = serialize(request, proxy);
        // A server may respond before it has read the whole request, and close the connection.
        let sent = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        }
        .await;
        match (http_response::read(&mut stream, max_body).await, sent) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(error)) => Err(connection(&server, Error::connection_lost(&error))),
            (Err(message), Ok(())) => Err(HttpClientError::Response { server, message }),
        }
    }

    async fn open(&self, url: &HttpUrl) -> Result<TcpStream, HttpClientError> {
        let opened = async {
            let addresses = resolve((&url.host, url.port), self.connect_timeout).await?;
            open(&addresses, self.connect_timeout).await
        };
        opened.await.map_err(|error| connection(&url.to_string(), error))
    }

    async fn secure(
        &self,
        stream: TcpStream,
        request: &HttpRequest,
    ) -> Result<Box<dyn Stream>, HttpClientError> {
        let url = &request.url;
        let secured = async {
            let tls = request.trust.tls_for(url).await?;
            secure(stream, &url.host, &tls, self.connect_timeout).await
        };
        secured.await.map(|(stream, _)| stream).map_err(|error| connection(&url.to_string(), error))
    }
}

fn connection(server: &str, error: Error) -> HttpClientError {
    HttpClientError::Connection { server: server.into(), error }
}

/// Asks a proxy to connect this stream to the server.
async fn tunnel(stream: &mut TcpStream, proxy: &HttpUrl, url: &HttpUrl) -> Result<(), HttpClientError> {
    let server = || proxy.to_string();
    let authority = url.host_and_port();
    let login = authorization("Proxy-Authorization", proxy);
    let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n");
    let sent = stream.write_all(head.as_bytes()).await;
    sent.map_err(|error| connection(&server(), Error::connection_lost(&error)))?;
    // The server is silent until the TLS handshake begins, so no byte after the head is lost.
    let response = http_response::read(stream, 0).await;
    let response = response.map_err(|message| HttpClientError::Response { server: server(), message })?;
    if response.is_success() {
        return Ok(());
    }
    Err(HttpClientError::Proxy { server: server(), status: response.status })
}

fn serialize(request: &HttpRequest, proxy: Option<&HttpUrl>) -> Vec<u8> {
    let HttpRequest { method, url, fields, body, .. } = request;
    let is_forwarded = proxy.is_some() && !url.is_https;
    let origin = if is_forwarded { url.to_string() } else { String::new() };
    let mut head = format!(
        "{method} {origin}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n",
        url.target,
        url.authority()
    );
    head += &authorization("Authorization", url);
    if let Some(proxy) = proxy.filter(|_| is_forwarded) {
        head += &authorization("Proxy-Authorization", proxy);
    }
    for (name, value) in fields.iter().filter(|(name, value)| is_field(name, value)) {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if *method != "GET" {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The header field for the login in a URL; empty without one.
fn authorization(name: &str, url: &HttpUrl) -> String {
    let login = url.login.as_ref();
    login.map(|login| format!("{name}: Basic {}\r\n", base64(login.as_bytes()))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
