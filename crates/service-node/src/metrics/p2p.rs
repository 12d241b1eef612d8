//! What is counted of the connections to peers.
//!
//! Spec: the names of ethereum/go-ethereum:p2p/metrics.go, in Prometheus's form.

use std::time::Duration;

use p2p_server::{
    Capability, Direction, DisconnectReason, MessageSeen, Observer, QueueKind, SetUpFailure, Side,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::escaped;

/// Counts for [`p2p_server::ServerBuilder::observe`].
#[derive(Debug)]
pub(super) struct Connections {
    peers: Family<Label, Gauge>,
    ingress_bytes: Counter,
    egress_bytes: Counter,
    // bound: for each of the node's protocols 257 codes and two directions
    messages: Family<MessageLabels, Counter>,
    dials: Counter,
    dial_errors: Family<Label, Counter>,
    serves: Counter,
    serve_errors: Family<Label, Counter>,
    handshake: Histogram,
    // bound: for each reason that has a name, and one for none, two sides
    disconnects: Family<[(&'static str, &'static str); 2], Counter>,
    queue_full: Family<Label, Counter>,
}

/// One label from a fixed list.
type Label = [(&'static str, &'static str); 1];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    direction: &'static str,
    protocol: ProtocolLabel,
    code: CodeLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ProtocolLabel(Capability);

impl EncodeLabelValue for ProtocolLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&escaped(&self.0.to_string()), encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CodeLabel(Option<u8>);

impl EncodeLabelValue for CodeLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0 {
            Some(code) => EncodeLabelValue::encode(&code, encoder),
            None => EncodeLabelValue::encode(&"other", encoder),
        }
    }
}

impl Connections {
    /// All at zero, and registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self {
            peers: Family::default(),
            ingress_bytes: Counter::default(),
            egress_bytes: Counter::default(),
            messages: Family::default(),
            dials: Counter::default(),
            dial_errors: Family::default(),
            serves: Counter::default(),
            serve_errors: Family::default(),
            handshake: Histogram::new(exponential_buckets(SHORTEST, 2.0, BUCKETS)),
            disconnects: Family::default(),
            queue_full: Family::default(),
        };
        new.begin_at_zero();
        new.register(registry);
        new
    }

    /// A rate needs a value to begin with.
    fn begin_at_zero(&self) {
        for direction in Direction::ALL {
            drop(self.peers.get_or_create(&[("direction", direction.label())]));
        }
        for reason in SetUpFailure::ALL {
            let label = [("reason", reason.label())];
            if reason != SetUpFailure::Refused {
                drop(self.dial_errors.get_or_create(&label));
            }
            if reason != SetUpFailure::Connection {
                drop(self.serve_errors.get_or_create(&label));
            }
        }
        for queue in QueueKind::ALL {
            drop(self.queue_full.get_or_create(&[("queue", queue.label())]));
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("peers", "Connected peers", self.peers.clone());
        let text = "Bytes read from connections, handshakes included";
        registry.register("ingress_bytes", text, self.ingress_bytes.clone());
        let text = "Bytes written to connections, handshakes included";
        registry.register("egress_bytes", text, self.egress_bytes.clone());
        registry.register("messages", "Messages of protocols", self.messages.clone());
        registry.register("dials", "Attempts to reach a node", self.dials.clone());
        let text = "Attempts to reach a node that came to nothing";
        registry.register("dial_errors", text, self.dial_errors.clone());
        registry.register("serves", "Connections that were accepted", self.serves.clone());
        let text = "Accepted connections that came to nothing";
        registry.register("serve_errors", text, self.serve_errors.clone());
        let text = "Seconds from a connection to both hellos";
        registry.register("handshake_seconds", text, self.handshake.clone());
        registry.register("disconnects", "Peers that are gone", self.disconnects.clone());
        registry.register("queue_full", "Queues found full", self.queue_full.clone());
    }
}

impl Observer for Connections {
    fn received(&self, bytes: usize) {
        self.ingress_bytes.inc_by(bytes as u64);
    }

    fn sent(&self, bytes: usize) {
        self.egress_bytes.inc_by(bytes as u64);
    }

    fn message(&self, message: &MessageSeen<'_>) {
        let labels = MessageLabels {
            direction: message.direction.label(),
            protocol: ProtocolLabel(message.protocol.clone()),
            code: CodeLabel(message.code),
        };
        self.messages.get_or_create(&labels).inc();
    }

    fn dial_started(&self) {
        self.dials.inc();
    }

    fn dial_failed(&self, reason: SetUpFailure) {
        self.dial_errors.get_or_create(&[("reason", reason.label())]).inc();
    }

    fn accepted(&self) {
        self.serves.inc();
    }

    fn serve_failed(&self, reason: SetUpFailure) {
        self.serve_errors.get_or_create(&[("reason", reason.label())]).inc();
    }

    fn handshake(&self, _direction: Direction, took: Duration) {
        self.handshake.observe(took.as_secs_f64());
    }

    fn peer_added(&self, direction: Direction) {
        self.peers.get_or_create(&[("direction", direction.label())]).inc();
    }

    fn peer_dropped(&self, direction: Direction, reason: Option<DisconnectReason>, by: Side) {
        self.peers.get_or_create(&[("direction", direction.label())]).dec();
        let reason = reason.map_or("lost", DisconnectReason::label);
        self.disconnects.get_or_create(&[("reason", reason), ("by", by.label())]).inc();
    }

    fn queue_full(&self, queue: QueueKind) {
        self.queue_full.get_or_create(&[("queue", queue.label())]).inc();
    }
}

/// The first bucket, in seconds; each is twice the one before. The last is over the ten seconds that a
/// handshake may take.
const SHORTEST: f64 = 0.001;
const BUCKETS: u16 = 15;
