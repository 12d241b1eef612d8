//! WebSocket: one frame is one JSON value, and one task does it all.
//!
//! ```text
//!   socket ──▶ frames ──▶ Session ──▶ Outbox ──▶ frames ──▶ socket
//!     │                                          many a flush
//!     ├ ping of the server ──▶ pong
//!     └ nothing written for 30 s ──▶ ping; nothing read for 30 s more ──▶ the end
//! ```
//!
//! It reads before it writes: what came may be that the server has left, and then a call that waits to
//! be written is better made on another connection.
//!
//! Spec: ethereum/go-ethereum:rpc/websocket.go; RFC 6455.

mod counted;

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        client::IntoClientRequest as _,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use self::counted::Counted;
use super::{ClientError, endpoint::Endpoint};
use crate::{
    RpcError,
    link::Link,
    scan::{self, ScanLimits},
    session::{Input, Session},
    transport::stream::CloseOnDrop,
};

/// An open WebSocket.
pub(super) type Socket<S = TcpStream> = WebSocketStream<Counted<S>>;

/// Opens a WebSocket.
///
/// # Errors
///
/// [`ClientError::Connect`] when nobody answers, or not as a WebSocket; [`ClientError::Http`] when the
/// server refuses.
pub(super) async fn connect(
    endpoint: &Endpoint,
    limits: ScanLimits,
) -> Result<Socket, ClientError> {
    let url = || endpoint.to_string();
    let failed = |reason: String| ClientError::Connect { url: url(), reason };
    let request = (&endpoint.uri).into_client_request();
    let mut request = request.map_err(|error| failed(error.to_string()))?;
    endpoint.write_headers(request.headers_mut());
    let socket = endpoint.dial().await.map_err(|error| failed(error.to_string()))?;
    let socket = Counted::new(socket);
    let opening = tokio_tungstenite::client_async_with_config(request, socket, config(limits));
    match opening.await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body = String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(body)).trim().to_owned();
            Err(ClientError::Http { url: url(), status: response.status().as_u16(), body })
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn config(limits: ScanLimits) -> Option<WebSocketConfig> {
    let largest = Some(limits.max_bytes);
    let config = WebSocketConfig::default().max_message_size(largest).max_frame_size(largest);
    Some(config.read_buffer_size(READ_BUFFER))
}

/// Runs until the server leaves, breaks a rule, or `stop` is cancelled. Closes `link` at the end.
pub(super) async fn run<S>(
    socket: Socket<S>,
    session: Session,
    link: Arc<Link>,
    limits: ScanLimits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _closed = CloseOnDrop(Arc::clone(&link));
    let mut connection = Connection::new(socket, session, limits);
    let mut stopped = std::pin::pin!(stop.cancelled());
    let reason = std::future::poll_fn(|cx| {
        if connection.end.is_none() && stopped.as_mut().poll(cx).is_ready() {
            connection.session.drain(cx);
            connection.finish(End::Stopped);
        }
        match connection.poll(cx) {
            Poll::Ready(Err(end) | Ok(end)) => Poll::Ready(end),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    link.close(&reason.to_string());
    tracing::debug!(%reason, "websocket closed");
    let _ = tokio::time::timeout(GOODBYE, say_goodbye(&mut connection.socket)).await;
}

/// Closes as RFC 6455 has it: a close frame each way, and the server closes the connection.
async fn say_goodbye<S>(socket: &mut Socket<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    // If the server began, or is gone, there is nothing to say.
    let _ = socket.close(Some(normal)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("EOF")]
    Eof,
    #[error("the server closed the connection: {0}")]
    Closed(CloseFrame),
    #[error("{0}")]
    Socket(tungstenite::Error),
    #[error("{}", .0.message())]
    Garbage(RpcError),
    #[error("nothing was read for {} s", WRITE_STALL.as_secs())]
    Stalled,
    #[error("too much was left unread")]
    Overloaded,
    #[error("no answer to a ping within {} s", PONG.as_secs())]
    NoPong,
    #[error("stopped")]
    Stopped,
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
        match error {
            tungstenite::Error::Protocol(ResetWithoutClosingHandshake) => Self::Eof,
            error => Self::Socket(error),
        }
    }
}

struct Connection<S> {
    socket: Socket<S>,
    session: Session,
    limits: ScanLimits,
    /// Set when nothing more is read: what is to be sent is sent, and that is the end.
    end: Option<End>,
    /// Whether the socket was given something that it may not have written.
    unflushed: bool,
    /// Bytes that had been written when this was last looked at.
    written: u64,
    timer: Pin<Box<Sleep>>,
    due: Due,
}

/// What is due when.
struct Due {
    last_write: Instant,
    /// When a ping must have been answered, and how many bytes had been read when it left.
    pong: Option<(Instant, u64)>,
    /// When the server must have taken something.
    progress: Option<Instant>,
    /// When the last bytes must have been written.
    flush: Option<Instant>,
}

impl Due {
    fn next(&self) -> Instant {
        let ping = self.last_write + PING;
        let first = self.pong.map_or(ping, |(at, _)| at);
        [self.progress, self.flush].into_iter().flatten().fold(first, Instant::min)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(socket: Socket<S>, session: Session, limits: ScanLimits) -> Self {
        let due = Due { last_write: Instant::now(), pong: None, progress: None, flush: None };
        Self {
            written: socket.get_ref().written(),
            socket,
            session,
            limits,
            end: None,
            unflushed: false,
            timer: Box::pin(tokio::time::sleep_until(due.next())),
            due,
        }
    }

    /// Both results are the end; an error is one without a last flush.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, End>> {
        for _ in 0..ROUNDS {
            let read = self.end.is_none() && self.session.wants_input() && self.read(cx)?;
            if self.end.is_none() {
                self.session.poll(cx);
            }
            if self.session.is_overloaded() {
                return Poll::Ready(Err(End::Overloaded));
            }
            let wrote = self.write(cx)?;
            if !self.unflushed
                && let Some(end) = self.end.take()
            {
                return Poll::Ready(Ok(end));
            }
            let pinged = self.poll_timer(cx)?;
            if !read && !wrote && !pinged {
                return Poll::Pending;
            }
        }
        // One busy connection must not keep a worker thread.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes the frames that are there. `true` if there may be more.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        for _ in 0..AT_A_TIME {
            let Poll::Ready(frame) = self.socket.poll_next_unpin(cx) else { return Ok(false) };
            self.due.pong = None;
            match frame.ok_or(End::Eof)?? {
                Message::Text(text) => self.take_value(&text.into(), cx),
                Message::Binary(value) => self.take_value(&value, cx),
                // The pong is ready, and leaves with the next flush.
                Message::Ping(_) => self.unflushed = true,
                Message::Close(frame) => return Err(frame.map_or(End::Eof, End::Closed)),
                Message::Pong(_) | Message::Frame(_) => {}
            }
            if self.end.is_some() {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn take_value(&mut self, frame: &Bytes, cx: &mut Context<'_>) {
        match scan::whole(frame, self.limits) {
            Ok(range) => self.session.receive(Input::Owned(frame.slice(range)), cx),
            Err(error) => {
                let error = RpcError::parse(error.to_string());
                self.session.receive_garbage(&error);
                self.finish(End::Garbage(error));
            }
        }
    }

    /// Writes what there is. `true` if that was something and the socket took it all.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        // What it was given before goes first: it never holds more than one load.
        if self.unflushed && self.flush(cx)?.is_pending() {
            return Ok(false);
        }
        while let Some(frame) = self.session.out.next_frame() {
            // What we write is JSON, which is text.
            let Ok(text) = Utf8Bytes::try_from(frame) else { continue };
            self.unflushed = true;
            let sent = self.socket.start_send_unpin(Message::Text(text));
            self.note_written();
            sent?;
        }
        Ok(self.unflushed && self.flush(cx)?.is_ready())
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let flushed = self.socket.poll_flush_unpin(cx);
        self.note_written();
        let flushed = flushed?;
        match flushed {
            Poll::Ready(()) => self.unflushed = false,
            Poll::Pending => {
                self.due.progress.get_or_insert_with(|| Instant::now() + WRITE_STALL);
            }
        }
        Ok(flushed)
    }

    /// Looks whether bytes left, also before an error.
    fn note_written(&mut self) {
        let written = self.socket.get_ref().written();
        if written > self.written {
            self.written = written;
            self.session.note_written();
            self.due.last_write = Instant::now();
            self.due.progress = None;
        }
    }

    /// Does what is due. `true` if something is to be written now.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            // Most of the time what is next is put off by each write: then the timer is left alone,
            // runs out, and finds nothing due.
            let next = self.due.next();
            if next < self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
            if self.timer.poll_unpin(cx).is_pending() {
                return Ok(false);
            }
            let now = Instant::now();
            if next <= now && self.act(now)? {
                return Ok(true);
            }
            self.timer.as_mut().reset(self.due.next());
        }
    }

    /// Something is due. `true` if that is a ping, which is to be written now.
    fn act(&mut self, now: Instant) -> Result<bool, End> {
        let is_over = |at: &Instant| *at <= now;
        if self.due.flush.as_ref().is_some_and(is_over) {
            return Err(self.end.take().unwrap_or(End::Stopped));
        }
        if self.due.progress.as_ref().is_some_and(is_over) {
            return Err(End::Stalled);
        }
        let read = self.socket.get_ref().read();
        match self.due.pong {
            Some((at, _)) if at > now => return Ok(false),
            // The pong is behind a large message.
            Some((_, had)) if read > had => {
                self.due.pong = Some((now + PONG, read));
                return Ok(false);
            }
            Some(_) => return Err(End::NoPong),
            None => {}
        }
        self.due.last_write = now;
        if self.end.is_some() {
            return Ok(false);
        }
        self.due.pong = Some((now + PONG, read));
        self.unflushed = true;
        self.socket.start_send_unpin(Message::Ping(Bytes::new()))?;
        Ok(true)
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.due.flush = Some(Instant::now() + FLUSH);
    }
}

/// After how long without writing a ping is sent, and how long its answer may take.
///
/// Source: ethereum/go-ethereum:rpc/websocket.go, `wsPingInterval`, `wsPongTimeout`.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(30);

/// How long the server may take nothing of what we write.
///
/// Source: ethereum/go-ethereum:rpc/json.go, `defaultWriteTimeout`.
const WRITE_STALL: Duration = Duration::from_secs(10);

/// How long the last messages may take.
const FLUSH: Duration = Duration::from_secs(1);

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How often a connection reads and writes before others have a turn.
const ROUNDS: usize = 16;

/// How many frames are read before what came of them is written.
const AT_A_TIME: usize = 32;

/// Room for reading, in bytes, allocated at once.
const READ_BUFFER: usize = 16 * 1024;

/// How many bytes of the text of a refusal are shown.
const SHOWN: usize = 4 * 1024;
