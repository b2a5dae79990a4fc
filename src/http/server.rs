//! `tiny_http` behind the gate: worker threads that turn requests into answers.
//!
//! It listens on an abstract Unix socket, which needs no disk, just long enough
//! for the lanes to connect. Then the listener is shut down: nobody else on the
//! host can connect any more, and there is no `accept` left that could fail when
//! descriptors run out, which would end `tiny_http` for good.
//!
//! What can panic in there, for want of threads or descriptors, does so in [`start`] or not at all. A panic of
//! whatever answers is no trouble of one request alone: it starts the program anew.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Cursor, Read, Write};
use std::mem;
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Server, StatusCode};

use super::gate::MAX_BODY;
use super::gate::engine::{Engine, LANES, PEER, SCHEME, SECRET, Shelf, TICKET};
use super::message::{Field, Method, Reply, Request, Response, internal_error};

/// The request that a lane greets with. No client can ask for this target.
const GREETING: &str = "OPTIONS * HTTP/1.1\r\n";

/// Longest wait for the answer to a greeting: nothing but our own threads is asked.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// Stack of a worker, in bytes: rendering and JSON nest little; only what is
/// touched becomes memory.
const WORKER_STACK: usize = 512 * 1024;

/// Starts the engine: `handler` answers each request on one of a few worker
/// threads, which last as long as the process. It must not wait for anything but the processor:
/// what waits is a [`Reply::Later`].
///
/// It blocks for some milliseconds. An error is the system's: no socket or no
/// thread to be had.
pub fn start<H, R>(handler: H) -> io::Result<Engine>
where
    H: Fn(&Request) -> R + Send + Sync + 'static,
    R: Into<Reply>,
{
    // Keys come from the system's random source and are hashed one way, so who
    // can see the socket's name still knows nothing of the secret.
    let random = RandomState::new();
    let name = format!("phsweb-agent-{:016x}", random.hash_one("name"));
    let secret = format!("{:016x}{:016x}", random.hash_one("secret"), random.hash_one("more"));

    let address = SocketAddr::from_abstract_name(&name)?;
    let listener = UnixListener::bind_addr(&address)?;
    let entrance = listener.try_clone()?;
    // Never dropped: its Drop asks for a path, which an abstract socket has not.
    let server: &'static Server =
        Box::leak(Box::new(Server::from_listener(listener, None).map_err(io::Error::other)?));
    let shelf = Arc::new(Shelf::default());
    let worker = Arc::new(Worker {
        handler: Box::new(move |request: &Request| handler(request).into()),
        secret: secret.clone(),
        shelf: shelf.clone(),
    });
    for _ in 0..LANES {
        let worker = worker.clone();
        thread::Builder::new()
            .name("http-worker".into())
            .stack_size(WORKER_STACK)
            .spawn(move || worker.work(server))?;
    }
    let lanes = (0..LANES).map(|_| greet(&address, &secret)).collect::<io::Result<_>>()?;
    rustix::net::shutdown(&entrance, rustix::net::Shutdown::Both)?;
    Engine::new(lanes, &secret, &shelf)
}

/// Opens one lane, and waits until it is known to be served: `tiny_http` may leave
/// a connection without a thread if the next one comes before that.
fn greet(address: &SocketAddr, secret: &str) -> io::Result<UnixStream> {
    let mut lane = UnixStream::connect_addr(address)?;
    lane.set_read_timeout(Some(GREETING_TIMEOUT))?;
    write!(lane, "{GREETING}{SECRET}: {secret}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        lane.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    Ok(lane)
}

/// What each worker thread has.
struct Worker {
    handler: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    secret: String,
    /// Where replies wait for the gate that are no bytes yet.
    shelf: Arc<Shelf>,
}

impl Worker {
    fn work(&self, server: &Server) {
        loop {
            // The only error is the one that shutting the listener down makes.
            let Ok(mut outer) = server.recv() else { continue };
            let Some(response) = self.respond(&mut outer) else {
                // Dropped, it would be read to the end of its body, for which tiny_http makes room at once and
                // panics where the stranger has said a length that there can be no room for.
                mem::forget(outer);
                continue;
            };
            if let Err(error) = send(outer, response) {
                log::error!("an HTTP answer could not be handed on: {error}");
            }
        }
    }

    /// The response, if this did not come from a stranger: until the listener is shut down, any process in our
    /// network namespace can connect to it.
    fn respond(&self, outer: &mut tiny_http::Request) -> Option<Response> {
        let value = |name: &'static str| {
            outer.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
        };
        if value(SECRET) != Some(&self.secret) {
            return None;
        }
        let Some(peer) = value(PEER).and_then(|peer| peer.parse::<IpAddr>().ok()) else {
            // A greeting: it has no peer.
            return Some(Response::new(204, "", ""));
        };
        let mut request = Request::new(Method::from_name(outer.method().as_str()), outer.url(), peer);
        request.is_https = value(SCHEME).map(|scheme| scheme == "https");
        for field in Field::ALL {
            if let Some(value) = value(field.name()) {
                request = request.with(field, value);
            }
        }
        let mut body = outer.as_reader().take(MAX_BODY as u64);
        if body.read_to_end(&mut request.body).is_err() {
            return Some(internal_error());
        }
        Some(match (self.handler)(&request) {
            Reply::Now(response) => response,
            reply => Response::new(204, "", "").with(TICKET, self.shelf.put(reply).to_string()),
        })
    }
}

fn send(outer: tiny_http::Request, response: Response) -> io::Result<()> {
    let response = response.or_internal_error();
    // None is left out: the names are ours, and the values were looked at.
    let fields = response.fields().filter_map(|(name, value)| Header::from_bytes(name, value).ok());
    let (fields, length) = (fields.collect(), response.body.len());
    outer.respond(
        tiny_http::Response::new(
            StatusCode(response.status),
            fields,
            Cursor::new(response.body),
            Some(length),
            None,
        )
        // The gate wants a length and no chunks, however long the answer is.
        .with_chunked_threshold(usize::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_not_answered_and_stops_no_worker() {
        let address = SocketAddr::from_abstract_name(format!("test-{}", std::process::id())).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let server: &'static Server = Box::leak(Box::new(Server::from_listener(listener, None).unwrap()));
        let handler = Box::new(|_: &Request| Reply::Now(internal_error()));
        let worker = Worker { handler, secret: "secret".into(), shelf: Arc::default() };
        // The only one.
        thread::spawn(move || worker.work(server));
        for secret in ["", "Gate-Secret: guessed\r\n"] {
            let mut stranger = UnixStream::connect_addr(&address).unwrap();
            write!(stranger, "GET / HTTP/1.1\r\n{secret}Content-Length: {}\r\n\r\n", usize::MAX).unwrap();
            // It came first.
            greet(&address, "secret").unwrap();
            stranger.set_nonblocking(true).unwrap();
            assert_eq!(stranger.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
