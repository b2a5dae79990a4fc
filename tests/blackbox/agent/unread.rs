//! Clients that do not read responses: what the kernel buffers for them.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, connect, socket};

use super::agent::{Agent, AgentBuilder, throughout, until};

/// Upper bounds of the bytes that the kernel buffers for one connection: responses, and requests.
const MOST_SENT: u64 = 64 * 1024;
const MOST_RECEIVED: u64 = 96 * 1024;

/// A client with a minimal receive buffer.
fn connect_small(address: SocketAddr) -> TcpStream {
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_recv_buffer_size(&stream, 0).unwrap();
    connect(&stream, &address).unwrap();
    stream.into()
}

/// The kernel buffers of each connection of the agent: bytes that its client has not acknowledged, and bytes that
/// the agent has not read.
fn kernel_buffers(agent: &Agent) -> Vec<(u64, u64)> {
    const TIME_WAIT: &str = "06";
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", agent.address.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let buffers = sockets.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state, queues) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (sent, received) = queues.split_once(':')?;
        (local.ends_with(&port) && ![TIME_WAIT, LISTEN].contains(&state))
            .then(|| (number(sent), number(received)))
    });
    buffers.collect()
}

#[test]
fn kernel_buffers_little_for_clients_that_do_not_read() {
    let agent = Agent::demo(&[]);
    // From now on it accepts connections.
    agent.page("/");
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    let mut clients: Vec<_> = (0..20).map(|_| connect_small(agent.address)).collect();
    let mut send = || {
        for client in &mut clients {
            client.set_nonblocking(true).unwrap();
            // As much as there is room for.
            if let Err(error) = client.write_all(&requests) {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            }
        }
    };
    send();
    until("each client has an answer", || {
        (kernel_buffers(&agent).iter().filter(|(sent, _)| *sent > 0).count() == 20).then_some(())
    });
    throughout(Duration::from_secs(2), || {
        send();
        for (sent, received) in kernel_buffers(&agent) {
            assert!(
                sent <= MOST_SENT,
                "expected at most {MOST_SENT} buffered bytes of responses, got {sent}"
            );
            assert!(
                received <= MOST_RECEIVED,
                "expected at most {MOST_RECEIVED} buffered bytes of requests, got {received}"
            );
        }
    });
    assert!(agent.page("/").contains("</html>"));
}

#[test]
fn nothing_is_buffered_after_the_close_for_a_client_that_does_not_read() {
    // Some KB of events.
    let sites = ["awka", "lagos", "abuja", "enugu", "jos", "kano"];
    let given = sites.iter().fold(AgentBuilder::default(), |given, site| {
        given.raw_site(site, "hosts: [\"127.0.0.1:9\"], password: Plain(\"p\")")
    });
    let agent = given.timing("client_write", "300ms").start();
    for (path, requests) in [("/healthz", 200), ("/api/events", 1)] {
        let mut client = connect_small(agent.address);
        let requests = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(requests);
        client.write_all(requests.as_bytes()).unwrap();
        until("the kernel buffers bytes for the client", || {
            (kernel_buffers(&agent).iter().any(|buffer| buffer.0 > 0)).then_some(())
        });
        until("the kernel buffers nothing", || kernel_buffers(&agent).is_empty().then_some(()));
    }
}
