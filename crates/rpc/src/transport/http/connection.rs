//! One connection, from accept to goodbye: requests, and perhaps a WebSocket after them.

use std::{
    fmt,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Poll, ready},
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Endpoint,
    activity::{Activity, Phase, Watched},
    places::Place,
    service::{Service, Visit},
};
use crate::{
    TransportKind,
    transport::{self, alarm::Alarm, ws},
};

/// Serves what comes over `socket` until it ends, or `stop` is cancelled.
pub(super) async fn run<S>(
    socket: S,
    remote: Option<SocketAddr>,
    endpoint: Arc<Endpoint>,
    activity: Arc<Activity>,
    place: Option<Place>,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let counted = endpoint.watch().map(|watch| watch.connection(TransportKind::Http));
    let visit = Arc::new(Visit::new(endpoint, remote, Arc::clone(&activity)));
    let io = TokioIo::new(Watched { socket, activity });
    let mut http = builder().serve_connection(io, Service(Arc::clone(&visit)));
    let end = serve(&mut http, &visit, &stop).await;
    let parts = http.into_parts();
    let mut socket = parts.io.into_inner().socket;
    if let (Some(websocket), Some(ws)) = (visit.take_upgraded(), &visit.endpoint.ws) {
        drop((place, counted));
        ws::run(socket, parts.read_buf, ws, remote, stop).await;
        drop(websocket);
        return;
    }
    tracing::debug!(?remote, %end, "rpc connection closed");
    if matches!(end, End::Failed(_)) || visit.unread.load(Ordering::Relaxed) {
        transport::linger(&mut socket).await;
    } else {
        transport::shut_down(&mut socket).await;
    }
}

/// Why there are no more requests.
#[derive(Debug)]
enum End {
    /// The client left, or the last answer said that it was the last, or an upgrade.
    Done,
    /// What came is no HTTP, is too long, or the socket failed.
    Failed(hyper::Error),
    /// A time in [`HttpTimeouts`](crate::HttpTimeouts) is over, or that to stop.
    Late,
    /// Others needed the place, or the server stops.
    Asked,
}

async fn serve<S>(
    http: &mut http1::Connection<TokioIo<Watched<S>>, Service>,
    visit: &Visit,
    stop: &CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = &*visit.activity;
    let mut asked = pin!(activity.close.cancelled());
    let mut stopped = pin!(stop.cancelled());
    let mut last = LastRequest::default();
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        let stops = last.until.is_none() && stopped.as_mut().poll(cx).is_ready();
        if stops {
            last.until = Some(Instant::now() + FLUSH);
        }
        if !last.is_said && (stops || asked.as_mut().poll(cx).is_ready()) {
            if activity.phase() == Phase::Head {
                return Poll::Ready(End::Asked);
            }
            // What was asked for already is still answered.
            Pin::new(&mut *http).graceful_shutdown();
            last.is_said = true;
        }
        match http.poll_without_shutdown(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(End::Done),
            Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
            Poll::Pending => {}
        }
        let due = activity.due().into_iter().chain(last.until).min();
        ready!(alarm.poll(due, cx));
        Poll::Ready(End::Late)
    })
    .await
}

/// Whether the request that is being served is to be the last one.
#[derive(Debug, Default)]
struct LastRequest {
    is_said: bool,
    /// It must be through by then, as the server stops.
    until: Option<Instant>,
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Its own clock does not know idling from reading, and is set anew for each request.
        .header_read_timeout(None)
        // A limit of 100 headers is its default, and free only as that.
        .max_header_size(MAX_HEAD)
        // Who has closed its half still gets its answer, as over IPC.
        .half_close(true);
    builder
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(error) => error.fmt(f),
            Self::Late => f.write_str("timed out"),
            Self::Asked => f.write_str("asked to go"),
        }
    }
}

/// Bytes of the line and the headers of a request.
const MAX_HEAD: usize = 16 * 1024;

/// How long the last answers may take when the server stops.
const FLUSH: Duration = Duration::from_secs(1);
