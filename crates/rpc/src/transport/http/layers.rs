//! What tower-http adds where it is asked to: the headers for web pages, and compression.
//!
//! Without either a request goes straight to the service, which is most of a server's life.

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body_util::Either;
use hyper::body::Incoming;
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_http::{
    compression::{CompressionBody, CompressionLayer, predicate::SizeAbove},
    cors::{AllowHeaders, AllowOrigin, CorsLayer},
};

use super::{
    answer::{Answer, Refusal},
    service::Visit,
};
use crate::access::Cors;

/// See the module's comment.
#[derive(Debug, Clone)]
pub(crate) struct Layers(BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>);

impl Layers {
    /// None if neither is asked for.
    pub(crate) fn new(cors: &Cors, compression: bool) -> Option<Self> {
        if cors.is_off() && !compression {
            return None;
        }
        let mut service = BoxCloneSyncService::new(service_fn(exchange));
        if compression {
            let gzip = CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_FROM));
            service = BoxCloneSyncService::new(gzip.layer(service).map_response(boxed));
        }
        if !cors.is_off() {
            service = BoxCloneSyncService::new(cors_layer(cors).layer(service));
        }
        Some(Self(service))
    }

    pub(super) async fn call(&self, visit: Arc<Visit>, mut request: Request<Incoming>) -> Answer {
        request.extensions_mut().insert(visit);
        match self.0.clone().oneshot(request).await {
            Ok(answer) => answer.map(Either::Right),
            Err(never) => match never {},
        }
    }
}

/// What lies behind the layers.
async fn exchange(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let visit = request.extensions_mut().remove::<Arc<Visit>>();
    let http = visit.as_ref().and_then(|visit| visit.endpoint.http.as_ref());
    let answer = match (&visit, http) {
        (Some(visit), Some(http)) => visit.exchange(http, request).await,
        _ => Err(Refusal::NotFound),
    };
    Ok(answer.unwrap_or_else(Refusal::answer).map(Body::new))
}

fn boxed(answer: Response<CompressionBody<Body>>) -> Response<Body> {
    answer.map(Body::new)
}

fn cors_layer(cors: &Cors) -> CorsLayer {
    let origins = match cors.allows_any() {
        true => AllowOrigin::any(),
        false => {
            let cors = cors.clone();
            AllowOrigin::predicate(move |origin: &HeaderValue, _: &Parts| {
                cors.allows(origin.as_bytes())
            })
        }
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(Cors::METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(Cors::MAX_AGE)
}

/// Shorter answers would hardly become shorter, in bytes.
const COMPRESSED_FROM: u64 = 1_024;
