//! A router in memory that plays a script, and how a client is run beside it.
//!
//! No clock decides anything: the router's silence is a step of its script, and it ends when
//! nobody else has anything to do.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use smol::io::{AsyncRead, AsyncWrite};

/// What a client waits for an answer: longer than any run.
pub const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Most pieces of the smallest size that one step comes in.
const MAX_PIECES: usize = 4096;

/// What the router does next.
#[derive(Debug)]
pub enum Step {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Says nothing until the client has written something since the last time.
    Wait,
    /// Sends at most this many bytes at once from here on; as many times more of what is long.
    Pieces(usize),
    /// Takes this many bytes more of what the client writes, and no others.
    Take(usize),
    /// Breaks the connection, which else is closed after the last step.
    Break,
}

/// The client's end of the connection to a scripted router. A clone is of the same one.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    /// How much of the first step is said.
    said: usize,
    piece: usize,
    takes: usize,
    /// Whether the client has written since the last `Wait`.
    heard: bool,
    written: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Peer {
    /// A router that does this, in pieces as large as they may be and taking all that is written.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(Arc::new(Mutex::new(State {
            steps: steps.into_iter().collect(),
            said: 0,
            piece: usize::MAX,
            takes: usize::MAX,
            heard: false,
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

    /// Has the router wait no longer. Gives whether it did.
    fn go_on(&self) -> bool {
        let mut state = self.state();
        let waits = matches!(state.steps.front(), Some(Step::Wait)) && state.reader.is_some();
        if waits {
            state.steps.pop_front();
            wake(&mut state.reader);
        }
        waits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under this lock")
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
                Some(Step::Break) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some(Step::Wait) => {
                    if !std::mem::take(&mut state.heard) {
                        state.reader = Some(context.waker().clone());
                        return Poll::Pending;
                    }
                }
                Some(Step::Pieces(most)) => state.piece = (*most).max(1),
                Some(Step::Take(most)) => {
                    state.takes = *most;
                    wake(&mut state.writer);
                }
                Some(Step::Say(bytes)) if bytes.len() == state.said => state.said = 0,
                Some(Step::Say(bytes)) => {
                    let piece = state.piece.saturating_mul(1 + bytes.len() / MAX_PIECES);
                    let rest = &bytes[state.said..];
                    let count = rest.len().min(piece).min(buffer.len());
                    buffer[..count].copy_from_slice(&rest[..count]);
                    state.said += count;
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
        let count = bytes.len().min(state.takes);
        if count == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.takes -= count;
        state.written.extend_from_slice(&bytes[..count]);
        state.heard = true;
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

/// Whether somebody has asked to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `work`, in which the client of `peer` is, to its end; `rest` is called whenever it rests.
///
/// # Panics
///
/// When the work will never go on, though the router waits for nothing: somebody was not woken.
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
        assert!(woken.0.swap(false, Ordering::SeqCst) || peer.go_on(), "nobody will ever wake this");
    }
}
