//! WebSocket: a session over frames, one JSON value in each.
//!
//! ```text
//!   socket ──▶ frames ──▶ message ──▶ Session ──▶ Outbox ──▶ frames ──▶ socket
//!              text or binary, 32 MiB             text, many a write
//! ```
//!
//! One task does it all, the one that HTTP began in. After 30 s without a write it pings, and hangs up
//! when nothing has come 30 s later.
//!
//! Frames are tungstenite's affair. It sets aside room for a frame as soon as its length is known, which
//! is checked before; pages of it become memory only as its bytes come.
//!
//! Spec: RFC 6455; ethereum/go-ethereum:rpc/websocket.go.

pub(crate) mod upgrade;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        error::{CapacityError, ProtocolError},
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};
use tokio_util::sync::CancellationToken;

use super::{alarm::Alarm, http::WsEndpoint, stream::CloseOnDrop};
use crate::{
    Caller, RpcError, TransportKind,
    link::Link,
    scan::{self, ScanLimits},
    session::{Input, Session},
};

/// Runs until the other side leaves, breaks a rule, or `stop` is cancelled. `read` came behind the
/// request for the upgrade.
pub(crate) async fn run<S>(
    socket: S,
    read: Bytes,
    endpoint: &WsEndpoint,
    remote: Option<SocketAddr>,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let link = Arc::new(Link::new(Caller::new(TransportKind::Ws, remote), true, true));
    let _closed = CloseOnDrop(Arc::clone(&link));
    let _counted = endpoint.api.watch.connection(TransportKind::Ws);
    let (api, limits) = (Arc::clone(&endpoint.api), Arc::clone(&endpoint.limits));
    let session = Session::new(Arc::clone(&link), api, limits, true);
    let mut socket = Socket::new(socket, read, session, endpoint.scan).await;
    let mut stopped = pin!(stop.cancelled());
    let end = poll_fn(|cx| {
        if socket.phase == Phase::Open && stopped.as_mut().poll(cx).is_ready() {
            socket.finish(End::Stopped);
        }
        socket.poll(cx)
    })
    .await;
    link.close(&end.to_string());
    tracing::debug!(caller = %link.caller(), %end, "rpc connection closed");
    let mut socket = socket.ws.into_inner().socket;
    super::linger(&mut socket).await;
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The other side said so.
    Closed,
    Failed(tungstenite::Error),
    /// What came is no JSON.
    Garbage(RpcError),
    Overloaded,
    Silent,
    Stalled,
    Stopped,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Reading and writing.
    Open,
    /// What is to be sent is sent, then the frame that closes, and that is the end.
    Flushing,
    /// The frame that closes is being sent.
    Closing,
}

struct Socket<S> {
    ws: WebSocketStream<Counted<S>>,
    session: Session,
    limits: ScanLimits,
    phase: Phase,
    end: Option<End>,
    /// What is left of a message that is sent in parts.
    rest: Bytes,
    /// Something was handed on that may not have left yet.
    unflushed: bool,
    stall: Option<Stall>,
    /// When the last bytes left.
    wrote: Instant,
    /// By when something must come, after a ping.
    pong_due: Option<Instant>,
    /// What had come when that was set, in bytes.
    read_before: u64,
    /// By when the last words must be out.
    flush_due: Option<Instant>,
    alarm: Alarm,
}

/// The other side does not read.
#[derive(Debug)]
struct Stall {
    due: Instant,
    /// What was written when it began, in bytes.
    written: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn new(socket: S, read: Bytes, session: Session, limits: ScanLimits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(limits.max_bytes))
            .max_frame_size(Some(limits.max_bytes));
        let socket = Counted { socket, read: 0, written: 0 };
        let read = read.into();
        Self {
            ws: WebSocketStream::from_partially_read(socket, read, Role::Server, Some(config))
                .await,
            session,
            limits,
            phase: Phase::Open,
            end: None,
            rest: Bytes::new(),
            unflushed: false,
            stall: None,
            wrote: Instant::now(),
            pong_due: None,
            read_before: 0,
            flush_due: None,
            alarm: Alarm::default(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            if self.phase == Phase::Open {
                self.session.poll(cx);
                if self.session.is_overloaded() {
                    return Poll::Ready(End::Overloaded);
                }
            }
            let wrote = match self.write(cx) {
                Ok(wrote) => wrote,
                Err(error) => return Poll::Ready(self.end.take().unwrap_or(End::Failed(error))),
            };
            match (&self.phase, wrote) {
                (Phase::Flushing, Wrote::Everything | Wrote::Nothing) => self.close(),
                (Phase::Closing, Wrote::Everything | Wrote::Nothing) => {
                    return Poll::Ready(self.end.take().unwrap_or(End::Closed));
                }
                // With room again, there may be more to write.
                _ => {
                    if !self.read(cx) && wrote != Wrote::Everything {
                        return self.poll_clock(cx);
                    }
                }
            }
        }
        // One busy connection must not keep a worker thread.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads one message; `false` if there is none, or it is not wanted now.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.phase != Phase::Open || !self.session.wants_input() {
            // What is not read cannot be an answer to a ping.
            self.pong_due = None;
            return false;
        }
        let Poll::Ready(message) = Pin::new(&mut self.ws).poll_next(cx) else { return false };
        self.pong_due = None;
        match message {
            Some(Ok(Message::Text(text))) => self.receive(&text.into(), cx),
            Some(Ok(Message::Binary(bytes))) => self.receive(&bytes, cx),
            // The answer is on its way already.
            Some(Ok(Message::Ping(_))) => self.unflushed = true,
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) | None => self.closed(),
            Some(Err(error)) => self.failed(error),
        }
        true
    }

    fn receive(&mut self, message: &Bytes, cx: &mut Context<'_>) {
        let range = match scan::whole(message, self.limits) {
            Ok(range) => range,
            Err(error) => return self.refuse(RpcError::parse(error.to_string())),
        };
        if range.len() >= OWNED {
            self.session.receive(Input::Owned(message.slice(range)), cx);
        } else {
            let value = message.get(range).unwrap_or_default();
            self.session.receive(Input::Borrowed(value), cx);
        }
    }

    /// The other side has said goodbye; the same is on its way back.
    fn closed(&mut self) {
        self.session.end_subscriptions();
        self.phase = Phase::Closing;
        self.end = Some(End::Closed);
        self.unflushed = true;
        self.flush_due = Some(Instant::now() + FLUSH);
    }

    fn failed(&mut self, error: tungstenite::Error) {
        match &error {
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return self.closed();
            }
            tungstenite::Error::Utf8(error) => {
                self.session.receive_garbage(&RpcError::parse(error.to_string()));
            }
            _ => {}
        }
        self.finish(End::Failed(error));
    }

    /// Says what is wrong, sends it, and ends.
    fn refuse(&mut self, error: RpcError) {
        self.session.receive_garbage(&error);
        self.finish(End::Garbage(error));
    }

    fn finish(&mut self, end: End) {
        self.phase = Phase::Flushing;
        self.end = Some(end);
        self.flush_due = Some(Instant::now() + FLUSH);
    }

    /// Queues the frame that closes.
    fn close(&mut self) {
        self.phase = Phase::Closing;
        let code = self.end.as_ref().map_or(CloseCode::Normal, End::close_code);
        let frame = CloseFrame { code, reason: "".into() };
        // If it cannot be queued, it cannot be sent either.
        let _ = Pin::new(&mut self.ws).start_send(Message::Close(Some(frame)));
        self.unflushed = true;
    }

    /// Sends what there is.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<Wrote, tungstenite::Error> {
        loop {
            if Pin::new(&mut self.ws).poll_ready(cx)?.is_pending() {
                return Ok(self.blocked());
            }
            if self.phase == Phase::Closing {
                break;
            }
            let Some(frame) = self.next_frame() else { break };
            Pin::new(&mut self.ws).start_send(Message::Frame(frame))?;
            self.unflushed = true;
        }
        if !self.unflushed {
            return Ok(Wrote::Nothing);
        }
        if Pin::new(&mut self.ws).poll_flush(cx)?.is_pending() {
            return Ok(self.blocked());
        }
        self.unflushed = false;
        self.stall = None;
        self.wrote = Instant::now();
        Ok(Wrote::Everything)
    }

    /// The next frame to send. What is long goes out in parts, or the buffer behind it would be moved
    /// again for every part that the socket takes.
    fn next_frame(&mut self) -> Option<Frame> {
        let (mut message, kind) = match self.rest.is_empty() {
            true => (self.session.out.next_frame()?, Data::Text),
            false => (std::mem::take(&mut self.rest), Data::Continue),
        };
        if message.len() > MAX_FRAME {
            self.rest = message.split_off(MAX_FRAME);
        }
        Some(Frame::message(message, OpCode::Data(kind), self.rest.is_empty()))
    }

    /// A reader that takes next to nothing is as good as none.
    fn blocked(&mut self) -> Wrote {
        let written = self.ws.get_ref().written;
        let progressed = |stall: &Stall| written.saturating_sub(stall.written) >= WRITE_PROGRESS;
        if self.stall.as_ref().is_none_or(progressed) {
            self.stall = Some(Stall { due: Instant::now() + WRITE_STALL, written });
        }
        Wrote::Part
    }

    /// Pings, or ends what has been silent, or deaf, for too long.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let stalled = self.stall.as_ref().map(|stall| stall.due);
            let quiet = self.phase == Phase::Open && stalled.is_none() && self.pong_due.is_none();
            let ping_due = quiet.then(|| self.wrote + PING);
            let dues = [self.flush_due, stalled, self.pong_due, ping_due];
            ready!(self.alarm.poll(dues.into_iter().flatten().min(), cx));
            let now = Instant::now();
            let has_come = |due: Option<Instant>| due.is_some_and(|due| due <= now);
            if has_come(self.flush_due) || has_come(stalled) {
                return Poll::Ready(self.end.take().unwrap_or(End::Stalled));
            }
            if has_come(self.pong_due) {
                if self.ws.get_ref().read == self.read_before {
                    return Poll::Ready(End::Silent);
                }
                // In the middle of a long message there is no place for a pong.
                self.expect_something(now);
                continue;
            }
            if let Err(error) = self.ping(now, cx) {
                return Poll::Ready(End::Failed(error));
            }
        }
    }

    fn ping(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), tungstenite::Error> {
        Pin::new(&mut self.ws).start_send(Message::Ping(Bytes::new()))?;
        self.expect_something(now);
        self.unflushed = true;
        self.write(cx).map(drop)
    }

    fn expect_something(&mut self, now: Instant) {
        self.pong_due = Some(now + PONG);
        self.read_before = self.ws.get_ref().read;
    }
}

/// How far a write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Nothing,
    /// The socket takes no more for now.
    Part,
    Everything,
}

impl End {
    fn close_code(&self) -> CloseCode {
        match self {
            Self::Failed(tungstenite::Error::Capacity(CapacityError::MessageTooLong {
                ..
            })) => CloseCode::Size,
            Self::Failed(tungstenite::Error::Utf8(_)) => CloseCode::Invalid,
            Self::Failed(tungstenite::Error::Protocol(_)) => CloseCode::Protocol,
            Self::Stopped => CloseCode::Away,
            _ => CloseCode::Normal,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("EOF"),
            Self::Failed(error) => error.fmt(f),
            Self::Garbage(error) => f.write_str(error.message()),
            Self::Overloaded => f.write_str("too much was left unread"),
            Self::Silent => write!(f, "no pong within {} s", PONG.as_secs()),
            Self::Stalled => write!(f, "nothing was read for {} s", WRITE_STALL.as_secs()),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A socket that counts bytes.
struct Counted<S> {
    socket: S,
    read: u64,
    written: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.read = self.read.saturating_add(as_u64(read));
        Poll::Ready(Ok(()))
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.written = self.written.saturating_add(as_u64(written));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// How long nothing may be written before a ping is, and how long the answer may take.
///
/// Source: ethereum/go-ethereum:rpc/websocket.go, `wsPingInterval`, `wsPongTimeout`.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(30);

/// How long the other side may leave unread what we write, but for [`WRITE_PROGRESS`] bytes (R-05).
const WRITE_STALL: Duration = Duration::from_secs(10);

/// How many bytes it must take within that time, to count as a reader.
const WRITE_PROGRESS: u64 = 4 * 1024;

/// How long the last words may take.
const FLUSH: Duration = Duration::from_secs(1);

/// How often a connection reads and writes before others have a turn.
const ROUNDS: usize = 16;

/// A value of this size is kept as it came, in bytes; smaller ones are copied if they must wait, or
/// each would hold on to a whole buffer.
const OWNED: usize = 4 * 1024;

/// What is read at a time, in bytes. It is cleared before each read, so more is dearer.
const READ_BUFFER: usize = 8 * 1024;

/// What is gathered before it is written, in bytes.
const WRITE_BUFFER: usize = 64 * 1024;

/// The longest frame we send, in bytes; go-ethereum's end at 1 KiB.
const MAX_FRAME: usize = 128 * 1024;
