//! The pages that Prometheus reads.

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Metrics;

/// The metrics under both of their paths: the usual one, and go-ethereum's.
///
/// Source: ethereum/go-ethereum:metrics/exp/exp.go, `Exp`.
pub(super) fn routes(metrics: Metrics) -> Router {
    let page = get(move || std::future::ready(page(&metrics)));
    Router::new().route("/metrics", page.clone()).route("/debug/metrics/prometheus", page)
}

fn page(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Source: the OpenMetrics specification 1.0, "Text Format".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
