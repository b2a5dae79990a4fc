//! The HTTP server over real sockets, on ports that the system chooses.

mod control;
mod tls;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use phsweb_agent::config::Https;
use phsweb_agent::http::server::{self, Limits, MAX_BODY, MAX_HEAD, ServerHandle, WorkerPool};
use phsweb_agent::http::{self, HandlerOutput, HeaderField, Method, Request, Response};

use crate::support::address::unique_host;

/// Longest wait for anything: only a test that fails comes near it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// More than the buffers of both sockets hold.
const BIG: usize = 7 * 1024 * 1024;

fn route(request: &Request) -> Response {
    let text = |body: String| Response::new(200, "text/plain", body);
    match (request.method, request.path.as_str()) {
        (Method::Post, _) => text(format!("{} bytes for {}", request.body.len(), request.path)),
        (Method::Other, _) => http::problem(405, "").with("Allow", "GET, HEAD, POST"),
        (_, "/big") => Response::new(200, "text/plain", vec![b'x'; BIG]),
        (_, "/too-big") => Response::new(200, "text/plain", vec![b'x'; server::MAX_ANSWER + 1]),
        (_, "/bad-field") => text(String::new()).with("Location", "/\r\nSet-Cookie: a=b"),
        (_, "/bad-status") => Response::new(99, "text/plain", ""),
        (_, "/unchanged") => Response::new(304, "", "").with("ETag", "\"1\""),
        (_, "/peer") => text(request.peer.to_string()),
        (_, "/cookie") => text(request.field(HeaderField::Cookie).unwrap_or("none").to_owned()),
        (_, "/host") => text(request.field(HeaderField::Host).unwrap_or("none").to_owned()),
        (_, path) => text(format!("{path} {}", request.query)),
    }
}

fn workers() -> WorkerPool {
    static WORKERS: OnceLock<WorkerPool> = OnceLock::new();
    WORKERS.get_or_init(|| WorkerPool::start(route).unwrap()).clone()
}

/// A server that runs until it is dropped.
struct TestServer {
    address: SocketAddr,
    handle: ServerHandle,
    stop: Option<smol::channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    fn new(limits: Limits) -> Self {
        Self::with(workers(), "127.0.0.1:0".parse().unwrap(), limits)
    }

    fn with(workers: WorkerPool, address: SocketAddr, limits: Limits) -> Self {
        Self::start(TcpListener::bind(address).unwrap(), workers, limits, None)
    }

    fn start(listener: TcpListener, workers: WorkerPool, limits: Limits, https: Option<Https>) -> Self {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let (handle, control) = server::control_channel();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            smol::block_on(async {
                let listener = listener.try_into().unwrap();
                let serving = async {
                    server::serve(listener, workers, limits, https, control).await;
                };
                let stopped = async {
                    // Ends when the sender is dropped.
                    let _ = stopped.recv().await;
                };
                smol::future::or(serving, stopped).await;
            });
        });
        Self { address, handle, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    fn connect_from(&self, host: Ipv4Addr) -> Client {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrV4::new(host, 0)).unwrap();
        connect(&socket, &self.address).unwrap();
        Client::new(socket.into())
    }

    /// One request on a connection of its own.
    fn fetch(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Client<S = TcpStream>(BufReader<S>);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(BufReader::new(stream))
    }
}

impl<S: Read + Write> Client<S> {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send(get(path));
        self.answer()
    }

    fn head(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.0.read_line(&mut head).unwrap(),
                0,
                "expected a complete head, closed after {head:?}"
            );
        }
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        (status, head)
    }

    /// The next line; `None` if the connection is closed before.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|count| *count > 0)?;
        Some(line)
    }

    fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let mut body = vec![0; field(&head, "Content-Length").map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// Everything until the server closes the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        rest
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(length: usize) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

fn zeros(length: usize) -> Vec<u8> {
    vec![0; length]
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[test]
fn each_request_gets_its_status() {
    let served = TestServer::new(Limits::default());
    let long = "x".repeat(MAX_HEAD);
    for (request, status) in [
        // Well formed.
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nhOST:a\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n",
            200,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 200),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        // With the cookies of single sign-on in front of the agent.
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: sso={}\r\n\r\n", "c".repeat(15 * 1024)), 200),
        // Malformed.
        ("GET /\r\n\r\n", 400),
        ("\r\n\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / FTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n A: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        ("\x16\x03\x01\x02", 400),
        // The host and the credentials must not be repeated or ambiguous.
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nAuthorization: y\r\n\r\n", 400),
        // Nor may the length of the body.
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nhi", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nh", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nh", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nh", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nh", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", 413),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            501,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n", 417),
        (&format!("GET /{long}"), 414),
        (&format!("GET / HTTP/1.1\r\nA: {long}"), 431),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(64)), 431),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        // Responses that can't be sent.
        ("GET /too-big HTTP/1.1\r\nHost: a\r\n\r\n", 500),
        ("GET /bad-field HTTP/1.1\r\nHost: a\r\n\r\n", 500),
        ("GET /bad-status HTTP/1.1\r\nHost: a\r\n\r\n", 500),
    ] {
        let mut client = served.connect();
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        if status >= 400 && status != 405 {
            assert_eq!(field(&answer.head, "Content-Type"), Some("application/problem+json"), "{request:?}");
            let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["status"], status, "{request:?}");
            assert_eq!(problem["type"], "about:blank", "{request:?}");
        }
        if status >= 400 && status != 405 && status != 500 {
            // The end of such a request is unknown, so no further request is read.
            assert_eq!(field(&answer.head, "Connection"), Some("close"), "{request:?}");
            assert_eq!(client.rest(), b"", "{request:?}");
        } else {
            assert_eq!(field(&answer.head, "Set-Cookie"), None, "{request:?}");
        }
    }
}

#[test]
fn requests_are_read_from_any_pieces_and_pipelined() {
    let served = TestServer::new(Limits::default());
    let requests = [&get("/one?a=b"), &post(5), "hello", &get("/two"), &post(0), &get("/last")].concat();
    let expected = ["/one a=b", "5 bytes for /p", "/two ", "0 bytes for /p", "/last "];

    let mut client = served.connect();
    client.send(&requests);
    for body in expected {
        assert_eq!(client.answer().body, body);
    }
    client.0.get_ref().set_nodelay(true).unwrap();
    for byte in requests.as_bytes() {
        client.send([*byte]);
    }
    for body in expected {
        assert_eq!(client.answer().body, body);
    }
}

#[test]
fn a_connection_is_kept_alive_if_the_request_allows_it() {
    let served = TestServer::new(Limits::default());
    for (request, is_kept) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: te, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        let mut client = served.connect();
        client.send(request);
        let answer = client.answer();
        assert_eq!(field(&answer.head, "Connection"), Some(if is_kept { "keep-alive" } else { "close" }));
        if is_kept {
            assert_eq!(client.get("/again").body, "/again ", "{request:?}");
        } else {
            assert_eq!(client.rest(), b"", "{request:?}");
        }
    }
}

#[test]
fn responses_to_head_and_with_304_have_no_body() {
    let served = TestServer::new(Limits::default());
    let mut client = served.connect();
    client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let (status, head) = client.head();
    assert_eq!((status, field(&head, "Content-Length")), (200, Some("3")));
    client.send(get("/unchanged"));
    let (status, head) = client.head();
    assert_eq!((status, field(&head, "Content-Length"), field(&head, "ETag")), (304, None, Some("\"1\"")));
    assert_eq!(client.get("/next").body, "/next ");
}

#[test]
fn a_body_is_requested_with_100_continue() {
    let served = TestServer::new(Limits::default());
    let mut client = served.connect();
    let expecting = |length: usize| post(length).replace("Host", "Expect: 100-continue\r\nHost");
    client.send(expecting(5));
    assert_eq!(client.head().0, 100);
    client.send("hello");
    assert_eq!(client.answer().body, "5 bytes for /p");
    // Unless it is too long.
    client.send(expecting(MAX_BODY + 1));
    assert_eq!(client.answer().status, 413);
}

#[test]
fn the_handler_gets_the_peer_and_the_known_fields() {
    let served = TestServer::new(Limits::default());
    let fetch = |path: &str, fields: &[u8]| {
        served
            .fetch([format!("GET {path} HTTP/1.1\r\nHost: a:1\r\n").as_bytes(), fields, b"\r\n"].concat())
            .body
    };
    assert_eq!(fetch("/peer", b"X-Real-IP: 10.0.0.1\r\nX-Secret: x\r\n"), "127.0.0.1");
    assert_eq!(fetch("/cookie", b"Cookie: a=1\r\nCookie: b=\xff; c=3\r\n"), "a=1; b=?; c=3");
    assert_eq!(fetch("/host", b""), "a:1");
    assert_eq!(fetch("http://b:2/host", b""), "b:2");
}

#[test]
fn a_body_up_to_the_limit_is_read_and_a_longer_one_gets_413() {
    let served = TestServer::new(Limits::default());
    let answer = served.fetch([post(MAX_BODY).as_bytes(), &zeros(MAX_BODY)].concat());
    assert_eq!(answer.body, format!("{MAX_BODY} bytes for /p"));
    // All of it is sent before the response is read, so a plain close would be a reset, which discards the response on
    // some systems.
    let mut client = served.connect();
    client.send([post(2 * MAX_BODY).as_bytes(), &zeros(2 * MAX_BODY)].concat());
    assert_eq!(client.answer().status, 413);
    assert_eq!(client.0.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_connection_with_an_endless_head_is_closed() {
    let served = TestServer::new(Limits::default());
    let mut client = served.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut sent = 0;
    // The server reads a little more after its response, and then closes.
    let ended = loop {
        match client.0.get_mut().write(&[b'x'; 16 * 1024]) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
        assert!(sent < 64 * 1024 * 1024, "expected a closed connection, but {sent} bytes of head were read");
    };
    assert!(matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended:?}");
    assert_eq!(served.fetch(get("/")).status, 200);
}

#[test]
fn slow_requests_get_408_and_silent_connections_are_closed() {
    let short = Duration::from_millis(200);
    let limits =
        Limits { head_timeout: short, body_timeout: short, idle_timeout: short, ..Limits::default() };
    let served = TestServer::new(limits);

    // The deadline is for the complete head, whatever the progress.
    let mut client = served.connect();
    let mut drip = client.0.get_ref().try_clone().unwrap();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nA: ");
    let dripping = thread::spawn(move || {
        while drip.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let began = Instant::now();
    assert_eq!(client.answer().status, 408);
    assert!(began.elapsed() < TIMEOUT / 2);
    drop(client);
    dripping.join().unwrap();

    assert_eq!(served.fetch(post(5) + "hell").status, 408);
    // A connection without a request is closed without a response: browsers keep spare ones.
    assert_eq!(served.connect().rest(), b"");
    let mut client = served.connect();
    client.get("/");
    assert_eq!(client.rest(), b"");
    // A second request has its own deadline.
    let mut client = served.connect();
    client.get("/");
    client.send("GET /");
    assert_eq!(client.answer().status, 408);
}

#[test]
fn clients_that_do_not_read_occupy_no_worker() {
    // None of them is closed before the last client times out.
    let served = TestServer::new(Limits { write_timeout: 2 * TIMEOUT, ..Limits::default() });
    let mut stalled: Vec<_> = (0..20).map(|_| served.connect()).collect();
    for client in &mut stalled {
        client.send(get("/big"));
    }
    assert_eq!(served.fetch(get("/")).status, 200);
}

#[test]
fn connections_of_clients_that_do_not_read_are_closed() {
    let served = TestServer::new(Limits { write_timeout: Duration::from_millis(200), ..Limits::default() });
    let mut stalled: Vec<_> = (0..20).map(|_| served.connect()).collect();
    for client in &mut stalled {
        client.send(get("/big"));
    }
    // Their responses have begun before a later one is complete.
    assert_eq!(served.fetch(get("/")).status, 200);
    // No condition can be awaited here: reading would be progress.
    thread::sleep(Duration::from_secs(1));
    for client in &mut stalled {
        assert!(client.rest().len() < BIG);
    }
    let mut reader = served.connect();
    assert_eq!(reader.get("/big").body.len(), BIG);
}

#[test]
fn unread_responses_are_held_up_to_a_limit() {
    let served = TestServer::new(Limits::default());
    let mut stalled = served.connect();
    stalled.send(get("/big"));
    stalled.head();
    // Both exceed the limit: the connection that has been reading for longer is closed.
    assert_eq!(served.fetch(get("/big")).body.len(), BIG);
    assert!(stalled.rest().len() < BIG);
}

#[test]
fn large_bodies_are_read_up_to_a_limit() {
    let served = TestServer::new(Limits::default());
    let expecting = post(MAX_BODY).replace("Host", "Expect: 100-continue\r\nHost");
    let mut uploads: Vec<_> = (0..32).map(|_| served.connect()).collect();
    for client in &mut uploads {
        client.send(&expecting);
        assert_eq!(client.head().0, 100);
    }
    assert_eq!(served.fetch(&expecting).status, 503);
    assert_eq!(served.fetch(post(5) + "hello").status, 200);
    for client in &mut uploads {
        client.send(zeros(MAX_BODY));
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(served.fetch([post(MAX_BODY).as_bytes(), &zeros(MAX_BODY)].concat()).status, 200);
}

#[test]
fn half_open_connections_are_evicted_first() {
    let served = TestServer::new(Limits { max_connections: 8, ..Limits::default() });
    let mut persistent = served.connect();
    assert_eq!(persistent.get("/").status, 200);
    let mut half_open: Vec<_> = (0..20)
        .map(|_| {
            let mut client = served.connect();
            client.send("GET / HTTP/1.1\r\n");
            client
        })
        .collect();
    assert_eq!(served.fetch(get("/")).status, 200);
    // The oldest are closed. The newest are open, and so is the one that had a request.
    for client in &mut half_open[..12] {
        assert_eq!(client.rest(), b"");
    }
    let newest = half_open.last_mut().unwrap();
    newest.send("Host: a\r\n\r\n");
    assert_eq!(newest.answer().status, 200);
    assert_eq!(persistent.get("/").status, 200);
}

#[test]
fn the_connection_idle_for_longest_is_evicted() {
    let served = TestServer::new(Limits { max_connections: 4, ..Limits::default() });
    let mut clients: Vec<_> = (0..4).map(|_| served.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(clients[0].get("/").status, 200);
    assert_eq!(served.fetch(get("/")).status, 200);
    assert_eq!(clients[1].rest(), b"");
    assert_eq!(clients[0].get("/").status, 200);
}

#[test]
fn one_address_cannot_use_all_connections() {
    let served = TestServer::new(Limits { max_connections: 64, ..Limits::default() });
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let mut few: Vec<_> = (0..4).map(|_| served.connect_from(other)).collect();
    let _many: Vec<_> = (0..100).map(|_| served.connect()).collect();
    assert_eq!(served.fetch(get("/")).status, 200);
    for client in &mut few {
        assert_eq!(client.get("/peer").body, "127.0.0.2");
    }
}

#[test]
fn all_addresses_share_the_connections() {
    let served = TestServer::new(Limits { max_connections: 64, ..Limits::default() });
    let mut clients = Vec::new();
    for host in [2, 3] {
        clients.extend((0..40).map(|_| served.connect_from(Ipv4Addr::new(127, 0, 0, host))));
    }
    assert_eq!(served.fetch(get("/")).status, 200);
    for client in &mut clients[..16] {
        assert_eq!(client.rest(), b"");
    }
    for client in &mut clients[17..] {
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn a_flood_of_connections_spares_a_client_with_a_long_round_trip() {
    let served = TestServer::new(Limits { max_connections: 64, ..Limits::default() });
    let mut other = 0;
    let mut is_answered = || {
        let mut far = served.connect_from(Ipv4Addr::new(127, 0, 0, 2));
        let began = Instant::now();
        let flood: Vec<_> = (0..200)
            .map(|_| {
                other = (other + 1) % 20;
                served.connect_from(Ipv4Addr::new(127, 0, 1, other))
            })
            .collect();
        // The last of these is admitted, so all before it were, too.
        assert_eq!(served.fetch(get("/")).status, 200);
        // After a second the client is no longer new. This machine may be busy.
        let in_time = began.elapsed() < Duration::from_millis(900);
        let _ = far.0.get_mut().write_all(get("/").as_bytes());
        let answered = far.line().is_some_and(|line| line.starts_with("HTTP/1.1 200 "));
        drop(flood);
        in_time.then_some(answered)
    };
    let answered = (0..20).find_map(|_| is_answered());
    assert_eq!(answered, Some(true));
}

/// A handler that blocks until it is released.
#[derive(Default)]
struct Held {
    released: Mutex<bool>,
    changed: Condvar,
}

impl Held {
    fn hold(&self) -> Response {
        let released = self.released.lock().unwrap();
        let _released = self.changed.wait_while(released, |released| !*released).unwrap();
        Response::new(200, "text/plain", "held")
    }

    fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

#[test]
fn responses_that_wait_for_a_router_are_limited_and_delay_no_page() {
    // The limit of the pool.
    const WAITING: usize = 256;
    let (release, released) = smol::channel::bounded::<()>(1);
    let (begin, waiting) = mpsc::channel();
    let workers = WorkerPool::start(move |request| {
        if request.method != Method::Post {
            return route(request).into();
        }
        let (begin, released) = (begin.clone(), released.clone());
        HandlerOutput::later(async move {
            begin.send(()).unwrap();
            // Ends when the sender is dropped.
            let _ = released.recv().await;
            Response::new(200, "text/plain", "released").with("X-Kind", "later")
        })
    });
    let served = TestServer::with(workers.unwrap(), "127.0.0.1:0".parse().unwrap(), Limits::default());
    let mut clients: Vec<Client> = (0..WAITING).map(|_| served.connect()).collect();
    for client in &mut clients {
        client.send(post(0));
        waiting.recv_timeout(TIMEOUT).unwrap();
    }
    let refused = served.fetch(post(0));
    assert_eq!((refused.status, waiting.try_recv().is_err()), (503, true), "{}", refused.body);
    assert_eq!(served.fetch(get("/")).status, 200);
    drop(release);
    for mut client in clients {
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
        assert!(
            answer.head.contains("X-Kind: later\r\n") && answer.head.contains("\r\nDate: "),
            "{}",
            answer.head
        );
        // The connection is kept alive.
        assert_eq!(client.get("/a").status, 200);
    }
}

#[test]
fn a_later_response_that_fails_or_times_out_is_an_error() {
    let workers = WorkerPool::start(|request| match request.path.as_str() {
        "/bad" => HandlerOutput::later(async { Response::new(200, "text/plain", "").with("X", "a\r\nB: c") }),
        "/never" => HandlerOutput::later(smol::future::pending()),
        _ => route(request).into(),
    });
    let limits = Limits { answer_timeout: Duration::from_millis(200), ..Limits::default() };
    let served = TestServer::with(workers.unwrap(), "127.0.0.1:0".parse().unwrap(), limits);
    for (path, status) in [("/bad", 500), ("/never", 504), ("/a", 200)] {
        // More often than responses may wait: each returns its permit.
        for _ in 0..if path == "/never" { 3 } else { 300 } {
            assert_eq!(served.fetch(get(path)).status, status, "{path}");
        }
    }
}

#[test]
fn a_response_that_takes_too_long_is_discarded() {
    let held = Arc::new(Held::default());
    let holding = Arc::clone(&held);
    let workers = WorkerPool::start(move |_| holding.hold()).unwrap();
    let limits = Limits { answer_timeout: Duration::from_millis(100), ..Limits::default() };
    let served = TestServer::with(workers, "127.0.0.1:0".parse().unwrap(), limits);
    for _ in 0..4 {
        assert_eq!(served.fetch(get("/")).status, 504);
    }
    // Late responses must not reach the next client.
    held.release();
    assert_eq!(served.fetch(get("/")).body, "held");
    let mut client = served.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.get("/").body, "held");
}

#[test]
fn a_dropped_server_closes_everything_and_frees_its_address() {
    let served = TestServer::with(workers(), (unique_host(), 0).into(), Limits::default());
    let address = served.address;
    let (mut idle, mut half_open) = (served.connect(), served.connect());
    assert_eq!(idle.get("/").status, 200);
    half_open.send("GET ");
    drop(served);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(idle.rest(), b"");
    assert_eq!(half_open.rest(), b"");

    let again = TestServer::with(workers(), address, Limits::default());
    assert_eq!(again.address, address);
    assert_eq!(again.fetch(get("/")).status, 200);
}

/// Set in the process that has few descriptors.
const FEW_DESCRIPTORS: &str = "SERVER_TEST_FEW_DESCRIPTORS";

#[test]
fn the_server_recovers_when_it_runs_out_of_descriptors() {
    if std::env::var_os(FEW_DESCRIPTORS).is_some() {
        // No deadline frees a descriptor in time.
        let limits = Limits { max_connections: 100_000, head_timeout: 10 * TIMEOUT, ..Limits::default() };
        let served = TestServer::new(limits);
        eprintln!("serving {}", served.address);
        io::stdin().read_exact(&mut [0]).unwrap();
        return;
    }
    let mut process = Command::new("sh")
        .args([
            "-c",
            r#"ulimit -n 150; exec "$0" --exact --nocapture server::the_server_recovers_when_it_runs_out_of_descriptors"#,
        ])
        .arg(std::env::current_exe().unwrap())
        .env(FEW_DESCRIPTORS, "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let address: SocketAddr =
        lines.map(Result::unwrap).find_map(|line| line.strip_prefix("serving ")?.parse().ok()).unwrap();
    let connect = || Client::new(TcpStream::connect(address).unwrap());
    let mut half_open = Vec::new();
    for _ in 0..5 {
        half_open.extend((0..100).map(|_| connect()));
        let mut client = connect();
        assert_eq!(client.get("/").status, 200);
    }
    process.stdin.take().unwrap().write_all(b".").unwrap();
    assert!(process.wait().unwrap().success());
}
