//! Drives a session over a stream of bytes: a local socket, or a pipe in memory.
//!
//! ```text
//!   socket ──▶ buffer ──▶ Scanner ──▶ Session ──▶ Outbox ──▶ socket
//!                one value after the other       many messages a write
//! ```
//!
//! One task does it all. A value is answered before the next is read where that is possible, so a
//! lone call costs no second task; when many come together, their answers leave together.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};
use tokio_util::{io::poll_read_buf, sync::CancellationToken};

use crate::{
    RpcError,
    link::Link,
    scan::{Scan, ScanLimits, Scanner},
    session::{Input, Session},
};

/// Runs until the other side leaves, breaks a rule, or `stop` is cancelled. Closes `link` at the end.
pub(crate) async fn run<S>(
    socket: S,
    session: Session,
    link: Arc<Link>,
    limits: ScanLimits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite,
{
    let _closed = CloseOnDrop(Arc::clone(&link));
    let mut socket = pin!(socket);
    let mut connection = Connection::new(session, limits);
    let mut stopped = pin!(stop.cancelled());
    let reason = std::future::poll_fn(|cx| {
        if connection.phase == Phase::Open && stopped.as_mut().poll(cx).is_ready() {
            connection.session.drain(cx);
            connection.finish(End::Stopped);
        }
        connection.poll(socket.as_mut(), cx)
    })
    .await;
    link.close(&reason.to_string());
    tracing::debug!(caller = %link.caller(), %reason, "rpc connection closed");
    // The other side learns of it at once, whoever else still holds the socket.
    let _ = tokio::time::timeout(
        SHUTDOWN,
        std::future::poll_fn(|cx| socket.as_mut().poll_shutdown(cx)),
    )
    .await;
}

/// However a connection's task ends, by a panic in a tap or with its runtime: nobody waits for answers
/// that cannot come.
pub(crate) struct CloseOnDrop(pub(crate) Arc<Link>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close("the connection's task has ended");
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("EOF")]
    Eof,
    #[error("{0}")]
    Io(io::Error),
    #[error("{}", .0.message())]
    Garbage(RpcError),
    #[error("nothing was read for {} s", WRITE_STALL.as_secs())]
    Stalled,
    #[error("too much was left unread")]
    Overloaded,
    #[error("stopped")]
    Stopped,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Reading and writing.
    Open,
    /// The other side writes no more; what it asked for is still answered.
    HalfClosed,
    /// What is to be sent is sent, and that is the end.
    Flushing,
}

struct Connection {
    session: Session,
    scanner: Scanner,
    input: BytesMut,
    phase: Phase,
    end: Option<End>,
    /// Runs out when the other side does not read, or a half-closed connection does not end.
    deadline: Option<Pin<Box<Sleep>>>,
    written_since: usize,
}

impl Connection {
    fn new(session: Session, limits: ScanLimits) -> Self {
        Self {
            session,
            scanner: Scanner::new(limits),
            input: BytesMut::new(),
            phase: Phase::Open,
            end: None,
            deadline: None,
            written_since: 0,
        }
    }

    fn poll<S>(&mut self, mut socket: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<End>
    where
        S: AsyncRead + AsyncWrite,
    {
        for _ in 0..ROUNDS {
            if self.phase != Phase::Flushing {
                self.session.poll(cx);
            }
            let held_back = self.session.is_held_back();
            let wrote = match self.write(socket.as_mut(), cx) {
                Ok(wrote) => wrote,
                Err(error) => return Poll::Ready(End::Io(error)),
            };
            if let Poll::Ready(end) = self.poll_end(cx) {
                return Poll::Ready(end);
            }
            let read = self.phase == Phase::Open
                && self.session.wants_input()
                && self.read(socket.as_mut(), cx).is_ready();
            // What was written makes room for what the session could not write before.
            let again = wrote && held_back && self.phase != Phase::Flushing;
            if !read && !again {
                return Poll::Pending;
            }
        }
        // One busy connection must not keep a worker thread.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether it is over.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.session.is_overloaded() {
            return Poll::Ready(End::Overloaded);
        }
        let done = match self.phase {
            Phase::Open => false,
            Phase::HalfClosed => self.session.is_idle() && self.session.out.is_empty(),
            Phase::Flushing => self.session.out.is_empty(),
        };
        if done {
            return Poll::Ready(self.end.take().unwrap_or(End::Eof));
        }
        if let Some(deadline) = &mut self.deadline {
            ready!(deadline.as_mut().poll(cx));
            let end = self.end.take().filter(|_| self.phase != Phase::HalfClosed);
            return Poll::Ready(end.unwrap_or(End::Stalled));
        }
        Poll::Pending
    }

    /// Writes as much as the socket takes. `true` if that was everything.
    fn write<S: AsyncWrite>(
        &mut self,
        mut socket: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        if self.session.out.is_empty() {
            return Ok(false);
        }
        while !self.session.out.is_empty() {
            match socket.as_mut().poll_write(cx, self.session.out.unwritten()) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.session.out.written(count);
                    self.session.note_written();
                    self.written_since = self.written_since.saturating_add(count);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.watch_stall();
                    return Ok(false);
                }
            }
        }
        self.written_since = 0;
        if self.phase == Phase::Open {
            self.deadline = None;
        }
        let _ = socket.poll_flush(cx)?;
        Ok(true)
    }

    /// A reader that takes next to nothing is as good as none.
    fn watch_stall(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        if self.deadline.is_none() || self.written_since >= WRITE_PROGRESS {
            self.written_since = 0;
            self.set_deadline(WRITE_STALL);
        }
    }

    fn set_deadline(&mut self, after: Duration) {
        let at = Instant::now() + after;
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().reset(at),
            None => self.deadline = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// Reads once and hands on every complete value.
    fn read<S: AsyncRead>(&mut self, socket: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<()> {
        self.make_room();
        match ready!(poll_read_buf(socket, cx, &mut self.input)) {
            Ok(0) => self.ended(cx),
            Ok(_) => self.take_values(cx),
            Err(error) => {
                // Whoever reset the connection reads no answer either.
                self.session.end_subscriptions();
                self.finish(End::Io(error));
            }
        }
        Poll::Ready(())
    }

    fn make_room(&mut self) {
        if self.input.is_empty() && self.input.capacity() > KEPT {
            self.input = BytesMut::new();
        }
        // A large value grows the buffer as it comes, never by what it promises.
        let spare = self.input.capacity().saturating_sub(self.input.len());
        if spare < LEAST_READ {
            self.input.reserve(self.input.len().clamp(LEAST_READ, MOST_READ));
        }
    }

    fn take_values(&mut self, cx: &mut Context<'_>) {
        while !self.input.is_empty() {
            match self.scanner.scan(&self.input) {
                Ok(Scan::Value(range)) => self.take_value(range, cx),
                Ok(Scan::Incomplete { discard }) => {
                    self.input.advance(discard);
                    return;
                }
                Err(error) => {
                    self.refuse(RpcError::parse(error.to_string()));
                    return;
                }
            }
        }
    }

    fn take_value(&mut self, range: std::ops::Range<usize>, cx: &mut Context<'_>) {
        if range.len() >= OWNED {
            let mut value = self.input.split_to(range.end);
            value.advance(range.start);
            self.session.receive(Input::Owned(value.freeze()), cx);
        } else {
            let value = self.input.get(range.clone()).unwrap_or_default();
            self.session.receive(Input::Borrowed(value), cx);
            self.input.advance(range.end);
        }
    }

    /// The other side has closed its half.
    fn ended(&mut self, cx: &mut Context<'_>) {
        loop {
            match self.scanner.finish(&self.input) {
                Ok(Some(range)) => self.take_value(range, cx),
                Ok(None) => break,
                Err(error) => {
                    self.refuse(RpcError::parse(error.to_string()));
                    return;
                }
            }
        }
        self.session.end_subscriptions();
        self.session.hang_up(&End::Eof.to_string());
        self.phase = Phase::HalfClosed;
        self.set_deadline(HALF_CLOSED);
    }

    /// Says what is wrong, sends it, and ends.
    fn refuse(&mut self, error: RpcError) {
        self.session.receive_garbage(&error);
        self.finish(End::Garbage(error));
    }

    fn finish(&mut self, end: End) {
        self.phase = Phase::Flushing;
        self.end = Some(end);
        self.set_deadline(FLUSH);
    }
}

/// How long the other side may leave unread what we write, but for [`WRITE_PROGRESS`] bytes (R-05).
const WRITE_STALL: Duration = Duration::from_secs(10);

/// How many bytes it must take within that time, to count as a reader.
const WRITE_PROGRESS: usize = 4 * 1024;

/// How long calls may take whose caller has closed its half.
const HALF_CLOSED: Duration = Duration::from_secs(30);

/// How long the last answers may take.
const FLUSH: Duration = Duration::from_secs(1);

/// How long saying goodbye may take.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How often a connection reads and writes before others have a turn.
const ROUNDS: usize = 16;

/// A value of this size gets a buffer of its own, in bytes; smaller ones are cheaper to copy.
const OWNED: usize = 4 * 1024;

/// Room for one read, at least and at most, in bytes.
const LEAST_READ: usize = 2 * 1024;
const MOST_READ: usize = 256 * 1024;

/// A buffer that has grown beyond this is given back when it is empty, in bytes.
const KEPT: usize = 64 * 1024;
