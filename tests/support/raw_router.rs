//! A scripted router: a socket, a thread, and bytes that the test decides. Its few lines of
//! encoding are its own, so that it does not share a mistake with the client.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use phsweb_agent::net::tls::Tls;
use phsweb_agent::routeros::client::connect;
use phsweb_agent::routeros::client::{self, Client, Command, Connection};
use phsweb_agent::routeros::error::Error;
use phsweb_agent::routeros::wire::Sentence;
use smol::channel::{Receiver, bounded};
use smol::{Timer, future};

/// After this a test has waited in vain. Long: two cores may have much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The router's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// What has come and was not read as a sentence yet.
    unread: Vec<u8>,
}

/// A command as the router sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) words: Vec<String>,
}

impl Asked {
    /// The `.tag=` word, whole.
    pub(crate) fn tag(&self) -> &str {
        self.words.iter().find(|word| word.starts_with(".tag=")).expect("a tag")
    }
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// The next command; `None` once the client has closed.
    pub(crate) fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(asked) = self.take() {
                return Some(asked);
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The next command, which must come.
    pub(crate) fn asked(&mut self) -> Asked {
        self.next().expect("a command")
    }

    /// A command of what has come already.
    pub(crate) fn take(&mut self) -> Option<Asked> {
        let mut at = 0;
        let mut words = Vec::new();
        loop {
            let first = usize::from(*self.unread.get(at)?);
            let (start, length) = match first {
                0..0x80 => (at + 1, first),
                0x80..0xC0 => (at + 2, (first - 0x80) << 8 | usize::from(*self.unread.get(at + 1)?)),
                _ => panic!("no command here has a word this long: {first:#x}"),
            };
            let word = self.unread.get(start..start + length)?;
            at = start + length;
            if length == 0 {
                self.unread.drain(..at);
                return Some(Asked { words });
            }
            words.push(String::from_utf8(word.to_vec()).unwrap());
        }
    }

    /// One read of the socket; whether there was anything.
    pub(crate) fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("waited in vain for the client: {error}"),
        }
    }

    /// Writes these words as a sentence.
    pub(crate) fn say(&mut self, words: &[&str]) {
        self.write(&sentence(words));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes the same bytes again and again until the client closes; how often it took them.
    /// The test fails if it still does after `most` of them.
    pub(crate) fn flood(&mut self, bytes: &[u8], most: usize) -> usize {
        for count in 0..most {
            match self.stream.write_all(bytes) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return count;
                }
                Err(error) => panic!("the client neither reads nor closes: {error}"),
            }
        }
        panic!("the client took {most} times {} bytes", bytes.len());
    }

    /// Waits until the client closes, and takes no command before.
    pub(crate) fn closed(&mut self) {
        if let Some(asked) = self.next() {
            panic!("another command: {asked:?}");
        }
    }
}

/// A sentence of short words: each has its length in one byte.
pub(crate) fn sentence(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        assert!((1..0x80).contains(&word.len()), "{word:?} has no length of one byte");
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
    /// Asks one command, with as much time as a test has.
    pub(crate) async fn call(&self, path: &str) -> Result<client::Reply, Error> {
        self.client.call(Command::new(path), PATIENCE).await
    }

    /// Waits for the connection's end: why it ended.
    pub(crate) async fn ended(&self) -> Error {
        self.ended.recv().await.unwrap()
    }
}

/// Connects to an address.
pub(crate) async fn connect_to(address: SocketAddr) -> Result<(Client, Connection), Error> {
    connect((&address.ip().to_string(), address.port()), &Tls::Off, PATIENCE).await
}

/// Runs `act` with a client of `address`, whose connection moves bytes meanwhile.
pub(crate) fn at<T>(address: SocketAddr, act: impl AsyncFnOnce(&Session) -> T) -> T {
    smol::block_on(async {
        let (client, connection) = connect_to(address).await.unwrap();
        let (end, ended) = bounded(1);
        let session = Session { client, ended };
        let moving = async {
            end.send(connection.run().await).await.unwrap();
            future::pending().await
        };
        let late = async {
            // Longer than any one wait of the test, which says better what it was for.
            Timer::after(2 * PATIENCE).await;
            panic!("the test has waited in vain");
        };
        future::or(future::or(moving, act(&session)), late).await
    })
}

/// Runs `act` with a client of a router that does as `script` says.
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

/// A sentence's words as text, without the first and the tag.
pub(crate) fn attributes(row: &Sentence) -> Vec<String> {
    let words = row.words().map(|word| String::from_utf8_lossy(word).into_owned());
    words.skip(1).filter(|word| !word.starts_with(".tag=")).collect()
}
