//! A minimal browser: it stores cookies, sends forms and accepts HTML.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::agent::{Agent, Answer, TIMEOUT, text_of};

/// Upper bound of the header fields of a response.
const MAX_FIELDS: usize = 32;

/// Connects from an address of 127.0.0.0/8.
#[track_caller]
pub(crate) fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Sends one request from an address of 127.0.0.0/8.
#[track_caller]
pub(crate) fn ask_from(
    from: Ipv4Addr,
    to: SocketAddr,
    (method, path): (&str, &str),
    fields: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut stream = connect_from(from, to);
    let host = to.to_string();
    let own_host = fields.iter().any(|(name, _)| *name == "Host");
    let lines = [("Host", host.as_str())].into_iter().filter(|_| !own_host).chain(fields.iter().copied());
    let lines: String = lines.flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut bytes, mut chunk, began) = (Vec::new(), [0; 4096], Instant::now());
    while let count @ 1.. = stream.read(&mut chunk).unwrap() {
        bytes.extend(&chunk[..count]);
        // An event stream never ends.
        assert!(
            began.elapsed() < TIMEOUT,
            "expected the end of the response to {method} {path} within {TIMEOUT:?}"
        );
    }

    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = parsed.parse(&bytes).unwrap().unwrap();
    let status = parsed.code.unwrap();
    let mut head = HeaderMap::new();
    for field in parsed.headers {
        head.append(
            HeaderName::from_bytes(field.name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(field.value).unwrap(),
        );
    }
    let body = bytes[length..].to_vec();
    Answer { status, body: text_of(&head, body), head }
}

/// A browser with one client address. It does not follow redirects.
pub(crate) struct Browser {
    at: Ipv4Addr,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser without cookies.
    pub(crate) fn new(at: [u8; 4]) -> Self {
        Self { at: at.into(), cookies: BTreeMap::new() }
    }

    /// The `Cookie` header field. Cookies are shared by all ports of a host.
    pub(crate) fn cookies(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Adds a cookie of another program on this host.
    pub(crate) fn take(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.into(), value.into());
    }

    #[track_caller]
    pub(crate) fn get(&mut self, agent: &Agent, path: &str) -> Answer {
        self.ask(agent, ("GET", path), &[], "")
    }

    /// Sends a form of the agent's own page.
    #[track_caller]
    pub(crate) fn post(&mut self, agent: &Agent, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", agent.address);
        self.ask(agent, ("POST", path), &[("Origin", &origin)], body)
    }

    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        agent: &Agent,
        to: (&str, &str),
        fields: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookies = self.cookies();
        let mut all = vec![("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        if !body.is_empty() {
            all.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        all.extend(fields);
        let answer = ask_from(self.at, agent.address, to, &all, body);
        if let Some((pair, attributes)) = answer.field("Set-Cookie").split_once(';') {
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        answer
    }

    /// Logs in with the login form.
    #[track_caller]
    pub(crate) fn log_in(&mut self, agent: &Agent, token: &str) {
        let answer = self.post(agent, "/login", &format!("token={token}&to=%2F"));
        assert_eq!((answer.status, answer.field("Location")), (303, "./"), "{answer:?}");
    }
}
