//! HTTP: each call is a request of its own, and its answer the body of the response.
//!
//! ```text
//!   call ──▶ POST / ──▶ 200, body ──▶ one JSON value, with our id ──▶ result
//!              │
//!              └ one of at most 128 connections, kept for 90 s to be used again
//! ```
//!
//! A connection that turns out to have been closed before anything was written is replaced without a
//! word; a request of which something was written is never made twice.
//!
//! Spec: ethereum/go-ethereum:rpc/http.go, `sendHTTP`.

use std::{
    collections::HashMap,
    error::Error,
    fmt, io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ::bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use serde_json::value::RawValue;
use tokio::{net::TcpStream, sync::Semaphore};

use super::{Answer, ClientError, EncodedCalls, endpoint::Endpoint};
use crate::{
    RpcError,
    message::{self, Message},
    scan::{self, ScanLimits},
};

/// See the module's comment.
pub(super) struct Http {
    endpoint: Arc<Endpoint>,
    pool: Mutex<Pool>,
    // bound: MAX_CONNECTIONS, then a call waits
    places: Semaphore,
    last_id: AtomicU64,
    limits: ScanLimits,
}

type Pool = legacy::Client<Dialer, Full<Bytes>>;

impl Http {
    /// A client that connects when it is used.
    pub(super) fn new(endpoint: Endpoint, limits: ScanLimits) -> Self {
        let endpoint = Arc::new(endpoint);
        Self {
            pool: Mutex::new(new_pool(&endpoint)),
            endpoint,
            places: Semaphore::new(MAX_CONNECTIONS),
            last_id: AtomicU64::new(0),
            limits,
        }
    }

    pub(super) async fn call(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        let id = self.numbers(1);
        let mut body = BytesMut::new();
        message::write_call(&mut body, id, method, params.as_deref());
        let answer = self.exchange(body.freeze()).await?;
        let value = self.one_value(&answer)?;
        match Message::parse(&value) {
            Message::Response { id: got, outcome } if got.get() == id.to_string() => {
                outcome.map(ToOwned::to_owned).map_err(refused)
            }
            // The server could not even read the id.
            Message::Response { id, outcome: Err(error) } if message::is_null(id) => {
                Err(refused(error))
            }
            Message::Response { id: got, .. } => {
                Err(self.malformed(format_args!("its id is {}, want {id}", got.get())))
            }
            _ => Err(self.malformed("neither a result nor an error")),
        }
    }

    pub(super) async fn notify(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<(), ClientError> {
        let mut body = BytesMut::new();
        message::write_notification(&mut body, method, params.as_deref());
        let answer = self.exchange(body.freeze()).await?;
        // Nothing at all is right; some servers answer that they do not want it.
        match Message::parse(&answer) {
            Message::Response { outcome: Err(error), .. } => Err(refused(error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn batch(
        &self,
        calls: &EncodedCalls,
    ) -> Result<Vec<BatchAnswer>, ClientError> {
        let first = self.numbers(calls.len());
        let mut body = BytesMut::new();
        message::write_batch(&mut body, first, calls);
        let answer = self.exchange(body.freeze()).await?;
        let value = self.one_value(&answer)?;
        if !value.starts_with(b"[") {
            return Err(match Message::parse(&value) {
                Message::Response { outcome: Err(error), .. } => refused(error),
                _ => self.malformed("no array in answer to a batch"),
            });
        }
        let items = message::split_batch(&value, calls.len())
            .map_err(|_| self.malformed(format_args!("more than {} answers", calls.len())))?;
        Ok(sort(first, calls.len(), &items))
    }

    /// Lets go of the connections that are kept.
    pub(super) fn close(&self) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = new_pool(&self.endpoint);
    }

    /// The first of `count` new ids.
    fn numbers(&self, count: usize) -> u64 {
        self.last_id.fetch_add(count as u64, Ordering::Relaxed).wrapping_add(1)
    }

    /// Makes one request and gives the body of its answer.
    async fn exchange(&self, body: Bytes) -> Result<Bytes, ClientError> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let request = self.request(body);
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = pool.request(request).await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if !status.is_success() {
            let body = first_part(response).await;
            let url = self.endpoint.to_string();
            return Err(ClientError::Http { url, status: status.as_u16(), body });
        }
        let limit = self.limits.max_bytes;
        let promised = usize::try_from(response.body().size_hint().lower());
        if promised.is_ok_and(|promised| promised > limit) {
            return Err(self.too_long());
        }
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(self.too_long()),
            Err(error) => Err(self.lost(&*error)),
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.endpoint.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, JSON);
        self.endpoint.write_headers(headers);
        request
    }

    /// The one JSON value that a body is.
    fn one_value(&self, body: &Bytes) -> Result<Bytes, ClientError> {
        scan::whole(body, self.limits)
            .map(|range| body.slice(range))
            .map_err(|error| self.malformed(error))
    }

    fn malformed(&self, reason: impl fmt::Display) -> ClientError {
        ClientError::Malformed { reason: format!("{}: {reason}", self.endpoint) }
    }

    fn too_long(&self) -> ClientError {
        self.malformed(format_args!("over the limit of {} bytes", self.limits.max_bytes))
    }

    fn failed(&self, error: &legacy::Error) -> ClientError {
        if error.is_connect() {
            let url = self.endpoint.to_string();
            return ClientError::Connect { url, reason: cause(error) };
        }
        self.lost(error)
    }

    fn lost(&self, error: &(dyn Error + 'static)) -> ClientError {
        ClientError::Closed { reason: format!("{}: {}", self.endpoint, cause(error)) }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What became of one call of a batch.
pub(super) type BatchAnswer = Result<Answer, ClientError>;

/// Puts the answers of a batch in the order of its calls.
fn sort(first: u64, count: usize, items: &[Bytes]) -> Vec<BatchAnswer> {
    let mut missing = ClientError::MissingAnswer;
    // bound: as many as the batch has calls, or it was refused
    let mut answers = HashMap::with_capacity(items.len());
    for item in items {
        match Message::parse(item) {
            Message::Response { id, outcome: Err(error) } if message::is_null(id) => {
                missing = refused(error);
            }
            Message::Response { id, outcome } => {
                if let Ok(id) = id.get().parse::<u64>() {
                    let outcome = outcome.map(ToOwned::to_owned).map_err(refused);
                    answers.insert(id, outcome);
                }
            }
            _ => {}
        }
    }
    let mut take = |id| answers.remove(&id).unwrap_or_else(|| Err(missing.clone()));
    (first..).take(count).map(&mut take).collect()
}

fn refused(error: &RawValue) -> ClientError {
    ClientError::Call(RpcError::read(error))
}

/// The first 4 KiB of a body as text, or what came of them.
async fn first_part(response: Response<Incoming>) -> String {
    let mut body = pin!(response.into_body());
    let mut text = Vec::new();
    while text.len() < SHOWN {
        let Some(Ok(frame)) = body.as_mut().frame().await else { break };
        let Some(data) = frame.data_ref() else { continue };
        let room = SHOWN.saturating_sub(text.len());
        text.extend_from_slice(data.get(..room).unwrap_or(data));
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// The innermost error: what the system says, rather than which layer heard it.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn new_pool(endpoint: &Arc<Endpoint>) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT)
        .pool_max_idle_per_host(MAX_CONNECTIONS)
        .build(Dialer(Arc::clone(endpoint)))
}

/// Opens connections for the pool.
#[derive(Clone)]
struct Dialer(Arc<Endpoint>);

impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let endpoint = Arc::clone(&self.0);
        async move { endpoint.dial().await.map(TokioIo::new) }.boxed()
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How many requests run at a time; a server takes 512 connections of all its clients.
const MAX_CONNECTIONS: usize = 128;

/// How long a connection is kept that nobody uses; a server closes it after 120 s.
const KEPT: Duration = Duration::from_secs(90);

/// How many bytes of the text of a refusal are shown.
const SHOWN: usize = 4 * 1024;
