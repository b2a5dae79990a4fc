//! A router whose bytes a test determines: a socket and a thread. It has its own encoder, so that it does not
//! share a bug with the client.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use phsweb_agent::net::tls::Tls;
use phsweb_agent::routeros::client::connect;
use phsweb_agent::routeros::client::{self, Client, Command, Connection};
use phsweb_agent::routeros::error::Error;
use phsweb_agent::routeros::wire::SentenceRef;
use smol::channel::{Receiver, bounded};
use smol::{Timer, future};

/// Timeout of each wait. Long, because a machine with two cores may be busy.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The router's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// Bytes that were received and not decoded yet.
    unread: Vec<u8>,
}

/// A command that the router received.
#[derive(Debug)]
pub(crate) struct ReceivedCommand {
    pub(crate) words: Vec<String>,
}

impl ReceivedCommand {
    /// The `.tag=` word.
    pub(crate) fn tag(&self) -> &str {
        self.words.iter().find(|word| word.starts_with(".tag=")).expect("a tag")
    }
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// The next command; `None` if the client has closed the connection.
    pub(crate) fn next(&mut self) -> Option<ReceivedCommand> {
        loop {
            if let Some(command) = self.take() {
                return Some(command);
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The next command, which must arrive.
    pub(crate) fn command(&mut self) -> ReceivedCommand {
        self.next().expect("a command")
    }

    /// Decodes a command from the received bytes.
    pub(crate) fn take(&mut self) -> Option<ReceivedCommand> {
        let mut at = 0;
        let mut words = Vec::new();
        loop {
            let first = usize::from(*self.unread.get(at)?);
            let (start, length) = match first {
                0..0x80 => (at + 1, first),
                0x80..0xC0 => (at + 2, (first - 0x80) << 8 | usize::from(*self.unread.get(at + 1)?)),
                _ => panic!("unexpected word length {first:#x} in a command"),
            };
            let word = self.unread.get(start..start + length)?;
            at = start + length;
            if length == 0 {
                self.unread.drain(..at);
                return Some(ReceivedCommand { words });
            }
            words.push(String::from_utf8(word.to_vec()).unwrap());
        }
    }

    /// Reads from the socket once. Returns whether bytes arrived.
    pub(crate) fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("expected bytes from the client within {TIMEOUT:?}: {error}"),
        }
    }

    /// Sends a sentence.
    pub(crate) fn send(&mut self, words: &[&str]) {
        self.write(&sentence(words));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes the same bytes repeatedly until the client closes the connection. Returns the number of writes.
    /// Fails after `most` writes.
    pub(crate) fn flood(&mut self, bytes: &[u8], most: usize) -> usize {
        for count in 0..most {
            match self.stream.write_all(bytes) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return count;
                }
                Err(error) => panic!("expected the client to read or close: {error}"),
            }
        }
        panic!("expected the client to close, but it accepted {most} times {} bytes", bytes.len());
    }

    /// Waits until the client closes the connection, which must send no further command.
    pub(crate) fn closed(&mut self) {
        if let Some(command) = self.next() {
            panic!("expected no further command, got {command:?}");
        }
    }
}

/// Encodes a sentence of words with a length of one byte.
pub(crate) fn sentence(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        assert!((1..0x80).contains(&word.len()), "{word:?} needs a longer length");
        bytes.push(u8::try_from(word.len()).unwrap());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A client's connection under test.
pub(crate) struct Session {
    pub(crate) client: Client,
    ended: Receiver<Error>,
}

impl Session {
    /// Sends a command with a long timeout.
    pub(crate) async fn call(&self, path: &str) -> Result<client::Reply, Error> {
        self.client.call(Command::new(path), TIMEOUT).await
    }

    /// Waits until the connection ends. Returns the error.
    pub(crate) async fn ended(&self) -> Error {
        self.ended.recv().await.unwrap()
    }
}

/// Connects to an address.
pub(crate) async fn connect_to(address: SocketAddr) -> Result<(Client, Connection), Error> {
    connect((&address.ip().to_string(), address.port()), &Tls::Off, TIMEOUT).await
}

/// Runs `act` with a client of `address`, and its connection beside it.
pub(crate) fn at<T>(address: SocketAddr, act: impl AsyncFnOnce(&Session) -> T) -> T {
    smol::block_on(async {
        let (client, connection) = connect_to(address).await.unwrap();
        let (end, ended) = bounded(1);
        let session = Session { client, ended };
        let running = async {
            end.send(connection.run().await).await.unwrap();
            future::pending().await
        };
        let timeout = async {
            // Longer than each wait of the test, whose own message is more precise.
            Timer::after(2 * TIMEOUT).await;
            panic!("the test timed out");
        };
        future::or(future::or(running, act(&session)), timeout).await
    })
}

/// Runs `act` with a client of a router that runs `script`.
#[track_caller]
pub(crate) fn with<T>(
    script: impl FnOnce(&mut Peer) + Send + 'static,
    act: impl AsyncFnOnce(&Session) -> T,
) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let router = thread::spawn(move || script(&mut Peer::new(listener.accept().unwrap().0)));
    let result = at(address, act);
    if let Err(panic) = router.join() {
        resume_unwind(panic);
    }
    result
}

/// The words of a sentence as text, without the first word and the tag.
pub(crate) fn attributes(row: SentenceRef) -> Vec<String> {
    let words = row.words().map(|word| String::from_utf8_lossy(word).into_owned());
    words.skip(1).filter(|word| !word.starts_with(".tag=")).collect()
}
