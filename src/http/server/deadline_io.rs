//! Reading with an end: by a deadline, and up to a size.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Instant;

use smol::Timer;
use smol::future::or;
use smol::io::AsyncRead;

/// Bytes taken by one read, from the stack: a connection that is silent has no buffer.
pub(super) const CHUNK: usize = 4 * 1024;

/// What `future` gives, if it does so by `deadline`.
///
/// The clock is looked at first: a stream that always has something is always ready, and
/// the timer would never have its turn.
pub(super) async fn within<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    if Instant::now() >= deadline {
        return None;
    }
    let late = async {
        Timer::at(deadline).await;
        None
    };
    or(async { Some(future.await) }, late).await
}

/// Appends what one read gives, so that `buffer` is at most `most` bytes long;
/// their count, which is 0 at the end of the stream or when there is no room.
pub(super) async fn read_more<R>(stream: &mut R, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize>
where
    R: AsyncRead + Unpin,
{
    let room = most.saturating_sub(buffer.len()).min(CHUNK);
    poll_fn(|context| {
        let mut chunk = [0; CHUNK];
        Pin::new(&mut *stream).poll_read(context, &mut chunk[..room]).map_ok(|count| {
            buffer.extend_from_slice(&chunk[..count]);
            count
        })
    })
    .await
}
