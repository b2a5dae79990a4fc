//! Reading with a deadline and a size limit.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Instant;

use smol::io::AsyncRead;

use crate::deadline;

/// Maximum number of bytes of one read. They are read to the stack, so a silent connection has no buffer.
pub(super) const CHUNK: usize = 4 * 1024;

/// The output of `future`, or `None` at `deadline`.
///
/// The clock is checked first: a stream that always has data is always ready, so the timer would never be polled.
pub(super) async fn within<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
    deadline::within(left, future).await
}

/// Appends the bytes of one read to `buffer`, up to a length of `most`. Returns their number, which is 0 at the end of the
/// stream or if there is no room.
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
