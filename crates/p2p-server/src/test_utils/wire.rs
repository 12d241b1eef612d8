//! One direction of a connection in memory.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Says how long the next write takes to arrive.
pub(super) type Delay = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Bytes on their way from one end to the other.
#[derive(Debug)]
pub(super) struct Wire(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    // bound: `capacity` bytes, then the writer waits
    in_flight: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    capacity: usize,
    /// When the writer's end of stream arrives.
    ends: Option<Instant>,
    reader_gone: bool,
    reset: bool,
    lost: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wire {
    /// Holds this many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(State { capacity, ..State::default() }))
    }

    /// Both ends get an error from now on.
    pub(super) fn reset(&self) {
        self.change(|state| state.reset = true);
    }

    /// Nothing arrives any more, and nobody is told.
    pub(super) fn lose_everything(&self) {
        self.change(|state| {
            state.lost = true;
            state.in_flight.clear();
            state.ends = None;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (reader, writer) = {
            let mut state = self.lock();
            change(&mut state);
            (state.reader.take(), state.writer.take())
        };
        for waker in [reader, writer].into_iter().flatten() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that bytes come out of.
pub(super) struct WireReader {
    wire: Arc<Wire>,
    arrival: Option<Pin<Box<Sleep>>>,
}

impl WireReader {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self { wire, arrival: None }
    }

    /// Takes what has arrived, or says when something will.
    fn take(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Result<Next, io::Error> {
        let mut state = self.wire.lock();
        if state.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let now = Instant::now();
        let State { in_flight, bytes, .. } = &mut *state;
        if let Some((at, front)) = in_flight.front_mut() {
            if *at > now {
                return Ok(Next::At(*at));
            }
            let taken = front.len().min(buf.remaining());
            buf.put_slice(&front[..taken]);
            front.advance(taken);
            *bytes -= taken;
            if front.is_empty() {
                in_flight.pop_front();
            }
            let writer = state.writer.take();
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Ok(Next::Ready);
        }
        match state.ends {
            Some(at) if at <= now => Ok(Next::Ready),
            Some(at) => Ok(Next::At(at)),
            None => {
                state.reader = Some(cx.waker().clone());
                Ok(Next::Waiting)
            }
        }
    }
}

/// What a reader finds.
enum Next {
    /// Bytes, or the end.
    Ready,
    /// Something that arrives later.
    At(Instant),
    /// Nothing on the way.
    Waiting,
}

impl AsyncRead for WireReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.take(cx, buf)? {
                Next::Ready => return Poll::Ready(Ok(())),
                Next::Waiting => return Poll::Pending,
                Next::At(at) => {
                    let sleep = self.arrival.get_or_insert_with(|| Box::pin(sleep_until(at)));
                    if sleep.deadline() != at {
                        sleep.as_mut().reset(at);
                    }
                    ready!(sleep.as_mut().poll(cx));
                    self.arrival = None;
                }
            }
        }
    }
}

impl Drop for WireReader {
    fn drop(&mut self) {
        self.wire.change(|state| state.reader_gone = true);
    }
}

/// The end that bytes go into.
pub(super) struct WireWriter {
    wire: Arc<Wire>,
    delay: Delay,
}

impl WireWriter {
    pub(super) fn new(wire: Arc<Wire>, delay: Delay) -> Self {
        Self { wire, delay }
    }

    fn end(&self) {
        let delay = (self.delay)();
        self.wire.change(|state| {
            let last = state.in_flight.back().map(|(at, _)| *at);
            let at = (Instant::now() + delay).max(last.unwrap_or_else(Instant::now));
            if !state.lost {
                state.ends.get_or_insert(at);
            }
        });
    }
}

impl AsyncWrite for WireWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let delay = (self.delay)();
        let mut state = self.wire.lock();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.reader_gone && !state.lost {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = state.capacity.saturating_sub(state.bytes);
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = data.len().min(room);
        state.bytes += taken;
        let mut reader = None;
        // What is lost still fills the sender's buffer, as nothing acknowledges it.
        if !state.lost {
            let earliest = state.in_flight.back().map_or_else(Instant::now, |(at, _)| *at);
            let at = (Instant::now() + delay).max(earliest);
            state.in_flight.push_back((at, Bytes::copy_from_slice(&data[..taken])));
            reader = state.reader.take();
        }
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for WireWriter {
    fn drop(&mut self) {
        self.end();
    }
}
