//! The bytes of one connection: reads and decodes what the router sends, and writes the commands.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use smol::future;
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::error::{Cause, Error};
use super::multiplexer::Multiplexer;
use super::wire::Decoder;
use crate::deadline::within;
use crate::memory::MAX_WAIT;
use crate::net::connect::Stream;

/// Bytes read at once: about fifty rows. The buffer is on the stack, and only while bytes are read.
const READ_SIZE: usize = 16 * 1024;

/// Interval of checks whether waiting for a turn is still worthwhile.
const TURN_CHECK: Duration = Duration::from_millis(100);

/// First bytes of a TLS alert. No answer of the API begins like this: its second byte belongs to a word and is `!`.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// The bytes of one connection, in both directions.
#[derive(Debug)]
#[must_use = "nothing is sent or received until this runs"]
pub struct Connection {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    multiplexer: Arc<Mutex<Multiplexer>>,
    /// When the certificate of the router ends, since the Unix epoch; `None` without TLS, or if it is unknown.
    pub certificate_ends: Option<Duration>,
}

impl Connection {
    /// A connection over an open stream of bytes.
    pub(super) fn new(stream: Box<dyn Stream>, multiplexer: Arc<Mutex<Multiplexer>>) -> Self {
        let (reader, writer) = smol::io::split(stream);
        Self { reader, writer, multiplexer, certificate_ends: None }
    }

    /// Moves bytes until the connection ends, and returns the reason. Every command without an answer gets the same
    /// error.
    pub async fn run(mut self) -> Error {
        let receiving = receive(&mut self.reader, &self.multiplexer);
        let sending = send(&mut self.writer, &self.multiplexer);
        let Err(error) = future::or(receiving, sending).await;
        lock(&self.multiplexer).end(&error);
        error
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.multiplexer).end(&ended());
    }
}

/// Receives until the connection fails.
async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    multiplexer: &Mutex<Multiplexer>,
) -> Result<Infallible, Error> {
    let mut decoder = Decoder::default();
    let mut is_first = true;
    loop {
        take_turn(multiplexer).await;
        let count = future::poll_fn(|context| {
            let mut bytes = [0; READ_SIZE];
            let count = match ready!(Pin::new(&mut *stream).poll_read(context, &mut bytes)) {
                Ok(count) => count,
                // TLS reports this error if the peer closes without an alert, as RouterOS does.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Poll::Ready(Err(connection_lost(&error))),
            };
            if count == 0 {
                return Poll::Ready(Err(closed("the router closed the connection")));
            }
            if std::mem::take(&mut is_first) && bytes[..count].starts_with(&TLS_ALERT) {
                return Poll::Ready(Err(Error::speaks_tls()));
            }
            decoder.push(&bytes[..count]);
            Poll::Ready(Ok(count))
        });
        let count = count.await?;
        {
            let mut multiplexer = lock(multiplexer);
            multiplexer.usage.received_bytes += count as u64;
            multiplexer.received_at = Some(Instant::now());
            while let Some(sentence) = decoder.next()? {
                multiplexer.receive(sentence)?;
            }
            multiplexer.end_long_turn();
        }
        // A router that sends without pause must not block the executor.
        future::yield_now().await;
    }
}

/// Waits until a large answer may continue, without reading. An answer that has waited too long is truncated.
async fn take_turn(multiplexer: &Mutex<Multiplexer>) {
    if !lock(multiplexer).needs_turn() {
        return;
    }
    let replies = lock(multiplexer).account.replies();
    let mut turn = pin!(replies.turn());
    let began = Instant::now();
    // The caller may be dropped while this waits.
    while lock(multiplexer).needs_turn() {
        lock(multiplexer).received_at = Some(Instant::now());
        if let Some(turn) = within(TURN_CHECK, turn.as_mut()).await {
            lock(multiplexer).begin_turn(turn);
        } else if began.elapsed() > MAX_WAIT {
            lock(multiplexer).truncate_largest(true);
            return;
        }
    }
}

/// Sends until the connection fails or all clients are dropped.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    multiplexer: &Mutex<Multiplexer>,
) -> Result<Infallible, Error> {
    loop {
        let (bytes, queued) = {
            let mut multiplexer = lock(multiplexer);
            (std::mem::take(&mut multiplexer.outgoing), multiplexer.queued.listen())
        };
        if bytes.is_empty() {
            if lock(multiplexer).is_unused {
                return Err(closed("the connection is no longer used"));
            }
            queued.await;
            continue;
        }
        let sent = async {
            stream.write_all(&bytes).await?;
            // TLS buffers bytes until they are flushed.
            stream.flush().await
        };
        sent.await.map_err(|error| connection_lost(&error))?;
        lock(multiplexer).usage.sent_bytes += bytes.len() as u64;
    }
}

fn closed(message: &str) -> Error {
    Error::new(Cause::Closed, message)
}

pub(super) fn ended() -> Error {
    closed("the connection has ended")
}

fn connection_lost(error: &std::io::Error) -> Error {
    closed(&format!("the connection was lost: {error}"))
}

/// Every change under this lock leaves the state consistent, so a poisoned lock is still usable.
pub(super) fn lock(multiplexer: &Mutex<Multiplexer>) -> MutexGuard<'_, Multiplexer> {
    multiplexer.lock().unwrap_or_else(PoisonError::into_inner)
}
