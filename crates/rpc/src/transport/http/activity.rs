//! What a connection waits for, and until when.
//!
//! ```text
//!   accepted ─▶ Head ── request ──▶ Busy ── answer ──▶ Done ── written ──▶ Idle
//!                ▲ 30 s                                                    │ 120 s
//!                └──────────────────── first byte ─────────────────────────┘
//!
//!   and whenever the client does not read what is written: 30 s
//! ```
//!
//! The socket tells, through [`Watched`], and so does the service; the connection's task asks. Only
//! whether a connection idles is anybody else's business: when there is no room, those who idle go.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::HttpTimeouts;

/// See the module's comment.
#[derive(Debug)]
pub(super) struct Activity {
    timeouts: HttpTimeouts,
    /// The times below are in microseconds since this.
    accepted: Instant,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// Since when the client does not read; [`NEVER`] if it does.
    stalled: AtomicU64,
    /// How much it has read since, in bytes.
    read_since: AtomicUsize,
    /// Asks the connection to end, as soon as it idles.
    pub(super) close: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The head of a request is read.
    Head,
    /// A request is read, and its call runs.
    Busy,
    /// The answer is being written.
    Done,
    /// There is no request.
    Idle,
}

impl Activity {
    /// Of a connection that was just accepted.
    pub(super) fn new(timeouts: HttpTimeouts, close: CancellationToken) -> Self {
        Self {
            timeouts,
            accepted: Instant::now(),
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(0),
            stalled: AtomicU64::new(NEVER),
            read_since: AtomicUsize::new(0),
            close,
        }
    }

    /// A request's head is there.
    pub(super) fn on_request(&self) {
        self.enter(Phase::Busy);
    }

    /// Its answer is known.
    pub(super) fn on_answer(&self) {
        self.enter(Phase::Done);
    }

    fn on_read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// The client took so many bytes.
    fn on_written(&self, count: usize) {
        if self.stalled.load(Ordering::Relaxed) != NEVER {
            self.read_since.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The client does not take any more for now. One that takes next to nothing is as bad.
    fn on_blocked(&self) {
        let stalled = self.stalled.load(Ordering::Relaxed) != NEVER;
        if !stalled || self.read_since.load(Ordering::Relaxed) >= WRITE_PROGRESS {
            self.read_since.store(0, Ordering::Relaxed);
            self.stalled.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Everything was taken.
    fn on_flushed(&self) {
        self.stalled.store(NEVER, Ordering::Relaxed);
        if self.phase() == Phase::Done {
            self.enter(Phase::Idle);
        }
    }

    /// What the connection is to be closed for, and when.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.since.load(Ordering::Relaxed);
        let waits = match self.phase() {
            Phase::Head => Some(self.at(since, self.timeouts.read_header)),
            Phase::Idle => Some(self.at(since, self.timeouts.idle)),
            // What reads the body and what runs have times of their own.
            Phase::Busy | Phase::Done => None,
        };
        let stalled = self.stalled.load(Ordering::Relaxed);
        let stalls = (stalled != NEVER).then(|| self.at(stalled, self.timeouts.write));
        waits.into_iter().chain(stalls).min()
    }

    /// Since when there has been no request, if there is none and nobody asked it to go before.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = matches!(self.phase(), Phase::Head | Phase::Idle);
        let since = self.since.load(Ordering::Relaxed);
        (idle && !self.close.is_cancelled()).then(|| self.at(since, Duration::ZERO))
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            HEAD => Phase::Head,
            BUSY => Phase::Busy,
            DONE => Phase::Done,
            _ => Phase::Idle,
        }
    }

    fn enter(&self, phase: Phase) {
        // Only the time of these two counts.
        if matches!(phase, Phase::Head | Phase::Idle) {
            self.since.store(self.now(), Ordering::Relaxed);
        }
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_micros()).unwrap_or(NEVER)
    }

    fn at(&self, since: u64, later: Duration) -> Instant {
        let since = self.accepted + Duration::from_micros(since);
        // As good as never.
        since.checked_add(later).unwrap_or_else(|| since + Duration::from_secs(u32::MAX.into()))
    }
}

/// A socket that tells what happens on it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) socket: S,
    pub(super) activity: std::sync::Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.on_read();
        }
        read
    }
}

impl<S> Watched<S> {
    fn wrote(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(count)) => self.activity.on_written(*count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.on_blocked(),
        }
        wrote
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.activity.on_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

const HEAD: u8 = Phase::Head as u8;
const BUSY: u8 = Phase::Busy as u8;
const DONE: u8 = Phase::Done as u8;

const NEVER: u64 = u64::MAX;

/// How many bytes a client must read within the time to write, to count as one.
const WRITE_PROGRESS: usize = 4 * 1024;
