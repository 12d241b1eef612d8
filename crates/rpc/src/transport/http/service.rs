//! What becomes of a request.
//!
//! ```text
//!   upgrade to a WebSocket ─▶ path ─▶ Host ─▶ Origin ─▶ token ─▶ 101
//!   path of the RPC ────────▶ Host ─▶ (CORS, gzip) ─▶ token ─▶ GET: 200, empty
//!                                                          └─▶ POST: body ─▶ JSON ─▶ Exchange ─▶ 200
//!   another path ───────────▶ Host ─▶ routes, or 404
//! ```
//!
//! Spec: ethereum/go-ethereum:node/rpcstack.go, `ServeHTTP`; rpc/http.go, `ServeHTTP`.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Version, header};
use http_body_util::Either;
use hyper::body::{Body as _, Incoming};
use tokio::sync::OwnedSemaphorePermit;
use tower::ServiceExt as _;

use super::{
    Endpoint, HttpEndpoint, WsEndpoint,
    activity::Activity,
    answer::{self, Answer, Refusal},
    body::{self, BodyError},
};
use crate::{
    Caller, RpcError, TransportKind,
    access::Hosts,
    link::Link,
    scan,
    session::{Exchange, Shared},
    transport::ws::upgrade,
};

/// What the requests of one connection have in common.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) activity: Arc<Activity>,
    /// The place of the WebSocket that the connection becomes.
    upgraded: Mutex<Option<OwnedSemaphorePermit>>,
    /// A request was refused before all of it was read.
    pub(super) unread: AtomicBool,
}

/// The service of one connection.
#[derive(Debug, Clone)]
pub(super) struct Service(pub(super) Arc<Visit>);

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let visit = Arc::clone(&self.0);
        visit.activity.on_request();
        Box::pin(async move {
            let answer = visit.answer(request).await;
            visit.activity.on_answer();
            Ok(answer)
        })
    }
}

impl Visit {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        remote: Option<SocketAddr>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            endpoint,
            remote,
            activity,
            upgraded: Mutex::new(None),
            unread: AtomicBool::new(false),
        }
    }

    /// The place of the WebSocket that the connection has become, if it has.
    pub(super) fn take_upgraded(&self) -> Option<OwnedSemaphorePermit> {
        self.upgraded.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let has_body = !request.body().is_end_stream();
        match self.serve(request).await {
            Ok(answer) => answer,
            Err(refusal) => {
                if let (Some(limit), Some(watch)) = (refusal.limit(), self.endpoint.watch()) {
                    watch.tell(|observer| observer.refused(limit));
                }
                self.unread.fetch_or(has_body, Ordering::Relaxed);
                refusal.answer()
            }
        }
    }

    async fn serve(self: &Arc<Self>, request: Request<Incoming>) -> Result<Answer, Refusal> {
        if let Some(ws) = &self.endpoint.ws
            && upgrade::is_asked_for(request.headers())
        {
            return self.upgrade(ws, &request);
        }
        let Some(http) = &self.endpoint.http else { return Err(Refusal::NotFound) };
        if !http.routes_only && http.path.matches(request.uri().path()) {
            check_host(&http.hosts, &request)?;
            return match &http.layers {
                None => self.exchange(http, request).await,
                Some(layers) => Ok(layers.call(Arc::clone(self), request).await),
            };
        }
        let Some(routes) = &http.routes else { return Err(Refusal::NotFound) };
        check_host(&http.hosts, &request)?;
        match routes.clone().oneshot(request).await {
            Ok(answer) => Ok(answer.map(Either::Right)),
            Err(never) => match never {},
        }
    }

    fn upgrade(&self, ws: &WsEndpoint, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        if !ws.path.matches(request.uri().path()) {
            return Err(Refusal::NotFound);
        }
        check_host(&ws.hosts, request)?;
        if !ws.origins.allows(values(request.headers(), header::ORIGIN)) {
            return Err(Refusal::Origin);
        }
        self.check_token(request.headers())?;
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return Err(Refusal::Upgrade("not a GET request of HTTP/1.1"));
        }
        let accept = upgrade::accept(request.headers()).map_err(|error| match error {
            upgrade::UpgradeError::Version => Refusal::WsVersion,
            upgrade::UpgradeError::Key => Refusal::Upgrade("no usable websocket key"),
        })?;
        let place = Arc::clone(&ws.places).try_acquire_owned();
        let place = place.map_err(|_| Refusal::TooManySockets)?;
        *self.upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        let mut answer = answer::empty();
        upgrade::switch(&mut answer, accept);
        Ok(answer)
    }

    /// A call or a batch, from the check of the token on.
    pub(super) async fn exchange(
        &self,
        http: &HttpEndpoint,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        self.check_token(request.headers())?;
        if is_health_check(&request) || request.method() == Method::OPTIONS {
            return Ok(answer::empty());
        }
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        if !is_json(request.headers()) {
            return Err(Refusal::ContentType);
        }
        let timeouts = &self.endpoint.timeouts;
        match body::read(request.into_body(), http.body_bytes, timeouts.read).await {
            Ok(body) => Ok(self.call(http, body).await),
            Err(BodyError::TooLarge { got }) => {
                self.unread.store(true, Ordering::Relaxed);
                Err(Refusal::TooLarge { got, limit: http.body_bytes })
            }
            Err(BodyError::Broken) => Ok(answer::unreadable("read error")),
            Err(BodyError::Late) => Ok(answer::unreadable("read timeout")),
        }
    }

    async fn call(&self, http: &HttpEndpoint, body: Bytes) -> Answer {
        let range = match scan::whole(&body, http.scan) {
            Ok(range) => range,
            // As in go-ethereum, where the end is no error before a value has begun.
            Err(_) if body.iter().all(u8::is_ascii_whitespace) => return answer::json(None),
            Err(error) => {
                tracing::debug!(remote = ?self.remote, %error, "rpc request unreadable");
                let watch = &http.api.watch;
                watch.no_request(TransportKind::Http, &RpcError::parse("parse error"));
                return answer::unreadable("parse error");
            }
        };
        let caller = Caller::new(TransportKind::Http, self.remote);
        let link = OpenLink(Arc::new(Link::new(caller, false, false)));
        let shared = Shared {
            link: Arc::clone(&link.0),
            api: Arc::clone(&http.api),
            limits: Arc::clone(&http.limits),
        };
        let exchange = Exchange::new(shared, &body.slice(range));
        // The buffer is the connection's, which may use it again while the call runs.
        drop(body);
        answer::json(exchange.await)
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(secret) = &self.endpoint.token else { return Ok(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let values = values(headers, header::AUTHORIZATION);
        secret.verify(values, now).map_err(|error| Refusal::Token(error.to_string()))
    }
}

/// Closed with its request, for whoever still holds its [`Context`](crate::Context).
struct OpenLink(Arc<Link>);

impl Drop for OpenLink {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            self.0.close("request answered");
        }
    }
}

fn check_host<B>(hosts: &Hosts, request: &Request<B>) -> Result<(), Refusal> {
    let allowed = match request.uri().authority() {
        Some(authority) => hosts.allows([authority.as_str().as_bytes()]),
        None => hosts.allows(values(request.headers(), header::HOST)),
    };
    if allowed { Ok(()) } else { Err(Refusal::Host) }
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().map(|value| value.as_bytes())
}

/// What a load balancer asks to see whether anybody is there.
fn is_health_check(request: &Request<Incoming>) -> bool {
    request.method() == Method::GET
        && request.uri().query().is_none_or(str::is_empty)
        && request.body().is_end_stream()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let media_type = value.and_then(|value| value.split(|byte| *byte == b';').next());
    media_type.is_some_and(|media_type| {
        let media_type = media_type.trim_ascii();
        ACCEPTED.iter().any(|accepted| media_type.eq_ignore_ascii_case(accepted.as_bytes()))
    })
}

/// Source: ethereum/go-ethereum:rpc/http.go, `acceptedContentTypes`.
const ACCEPTED: [&str; 3] = ["application/json", "application/json-rpc", "application/jsonrequest"];
