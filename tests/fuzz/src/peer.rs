//! An in-memory router that plays a script, and an executor for a client that is connected to it.
//!
//! No clock is involved: the router's silence is a step of its script, which ends when nothing else can make progress.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use smol::io::{AsyncRead, AsyncWrite};

/// The timeout of a client's commands: longer than any run.
pub const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Most pieces of the smallest size in which one step is sent.
const MAX_PIECES: usize = 4096;

/// What the router does next.
#[derive(Debug)]
pub enum ScriptStep {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends nothing until the client has written something since the last time.
    Wait,
    /// Sends at most this many bytes at once from here on, and proportionally more of a long step.
    Pieces(usize),
    /// Reads this many bytes more of what the client writes, and no others.
    Read(usize),
    /// Breaks the connection. Without this it is closed after the last step.
    Break,
}

/// The client's end of the connection to a scripted router. A clone is the same end.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    steps: VecDeque<ScriptStep>,
    /// How much of the first step has been sent.
    sent: usize,
    piece: usize,
    reads: usize,
    /// Whether the client has written since the last `Wait`.
    has_written: bool,
    written: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Peer {
    /// A router with these steps, which sends pieces of any size and reads everything.
    pub fn new(steps: impl IntoIterator<Item = ScriptStep>) -> Self {
        Self(Arc::new(Mutex::new(State {
            steps: steps.into_iter().collect(),
            sent: 0,
            piece: usize::MAX,
            reads: usize::MAX,
            has_written: false,
            written: Vec::new(),
            reader: None,
            writer: None,
        })))
    }

    /// What the client has written.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.state().written.clone()
    }

    /// Ends the router's current wait. Returns whether there was one.
    fn end_wait(&self) -> bool {
        let mut state = self.state();
        let waits = matches!(state.steps.front(), Some(ScriptStep::Wait)) && state.reader.is_some();
        if waits {
            state.steps.pop_front();
            wake(&mut state.reader);
        }
        waits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("expected no panic under this lock")
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut guard = self.state();
        let state = &mut *guard;
        loop {
            match state.steps.front() {
                None => return Poll::Ready(Ok(0)),
                Some(ScriptStep::Break) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some(ScriptStep::Wait) => {
                    if !std::mem::take(&mut state.has_written) {
                        state.reader = Some(context.waker().clone());
                        return Poll::Pending;
                    }
                }
                Some(ScriptStep::Pieces(max)) => state.piece = (*max).max(1),
                Some(ScriptStep::Read(max)) => {
                    state.reads = *max;
                    wake(&mut state.writer);
                }
                Some(ScriptStep::Send(bytes)) if bytes.len() == state.sent => state.sent = 0,
                Some(ScriptStep::Send(bytes)) => {
                    let piece = state.piece.saturating_mul(1 + bytes.len() / MAX_PIECES);
                    let rest = &bytes[state.sent..];
                    let count = rest.len().min(piece).min(buffer.len());
                    buffer[..count].copy_from_slice(&rest[..count]);
                    state.sent += count;
                    return Poll::Ready(Ok(count));
                }
            }
            state.steps.pop_front();
        }
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        let count = bytes.len().min(state.reads);
        if count == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.reads -= count;
        state.written.extend_from_slice(&bytes[..count]);
        state.has_written = true;
        wake(&mut state.reader);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether the future has to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `work`, which contains the client of `peer`, to completion, and calls `rest` whenever it is pending.
///
/// # Panics
///
/// When the work is pending forever although the router does not wait: a task was not woken.
pub fn drive<T>(peer: &Peer, work: impl Future<Output = T>, mut rest: impl FnMut()) -> T {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
            return result;
        }
        rest();
        assert!(woken.0.swap(false, Ordering::SeqCst) || peer.end_wait(), "expected the task to be woken");
    }
}
