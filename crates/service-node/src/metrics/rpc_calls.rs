//! What is counted of the calls by RPC.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use rpc::{Observer, RefusedBy, RequestSeen, TransportKind};

use super::escaped;

/// Counts for [`rpc::ServerBuilder::observe`].
#[derive(Debug)]
pub(super) struct Calls {
    // bound: for each method of the node, and one for unknown ones, four transports and ten results
    requests: Family<RequestLabels, Counter>,
    // bound: one for each method of the node, and one for unknown ones
    seconds: Family<MethodLabel, Histogram, fn() -> Histogram>,
    subscriptions: Gauge,
    connections: Family<[(&'static str, &'static str); 1], Gauge>,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    transport: &'static str,
    method: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: String,
}

impl Calls {
    /// All at zero, and registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            subscriptions: Gauge::default(),
            connections: Family::default(),
            refused: Family::default(),
        };
        for transport in TransportKind::ALL {
            drop(new.connections.get_or_create(&[("transport", transport.label())]));
        }
        for limit in RefusedBy::ALL {
            drop(new.refused.get_or_create(&[("limit", limit.label())]));
        }
        registry.register("requests", "Calls and notifications", new.requests.clone());
        registry.register("seconds", "Seconds that they took", new.seconds.clone());
        registry.register("subscriptions", "Subscriptions", new.subscriptions.clone());
        registry.register("connections", "Connections", new.connections.clone());
        registry.register("refused", "What a limit refused", new.refused.clone());
        new
    }
}

impl Observer for Calls {
    fn request(&self, request: &RequestSeen<'_>) {
        let method = escaped(request.method.unwrap_or("unknown"));
        let took = request.took.as_secs_f64();
        self.seconds.get_or_create(&MethodLabel { method: method.clone() }).observe(took);
        let (transport, result) = (request.transport.label(), request.outcome.label());
        self.requests.get_or_create(&RequestLabels { transport, method, result }).inc();
    }

    fn subscription_opened(&self, _transport: TransportKind) {
        self.subscriptions.inc();
    }

    fn subscription_closed(&self, _transport: TransportKind) {
        self.subscriptions.dec();
    }

    fn connection_opened(&self, transport: TransportKind) {
        self.connections.get_or_create(&[("transport", transport.label())]).inc();
    }

    fn connection_closed(&self, transport: TransportKind) {
        self.connections.get_or_create(&[("transport", transport.label())]).dec();
    }

    fn refused(&self, by: RefusedBy) {
        self.refused.get_or_create(&[("limit", by.label())]).inc();
    }
}

/// From 10 µs, as most calls are answered at once, to 40 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 4.0, 12))
}
