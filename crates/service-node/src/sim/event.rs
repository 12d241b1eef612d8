//! What happens in a simulation, as a stream and as JSON lines.
//!
//! ```text
//!   {"time":12,"type":"node","node":"n001","up":true}
//!   {"time":15,"type":"conn","one":"n001","other":"n002","up":true}
//!   {"time":15,"type":"msg","one":"n001","other":"n002","received":false,"protocol":"foo/1","code":0,"size":3}
//! ```
//!
//! Source: ethereum/go-ethereum:p2p/simulations/events.go, in one line and with names for ids.

use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

/// Something that happened in a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SimEvent {
    /// Milliseconds since the simulation was made.
    pub time: u64,
    /// What.
    #[serde(flatten)]
    pub fact: SimFact,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum SimFact {
    /// A node has come up, or gone down.
    Node {
        /// Its name.
        node: String,
        /// Whether it is up.
        up: bool,
    },
    /// A connection is up at both its ends, or no more at one of them.
    Conn {
        /// One end, the smaller name.
        one: String,
        /// The other.
        other: String,
        /// Whether it is up.
        up: bool,
    },
    /// A message was sent, or taken by its protocol.
    Msg {
        /// The node that tells it.
        one: String,
        /// Its peer.
        other: String,
        /// Whether it was received by `one`, rather than sent.
        received: bool,
        /// The protocol, as in `foo/42`.
        protocol: String,
        /// The code, relative to the protocol.
        code: u64,
        /// The size of the payload, in bytes.
        size: usize,
    },
    /// So many events are missing here, because they were not read in time.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl SimEvent {
    /// The event as a line of JSON, without the line's end.
    pub fn to_json(&self) -> String {
        // Nothing in it can fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The events of a simulation from the moment of the subscription.
#[derive(Debug)]
pub struct SimEvents {
    pub(super) receiver: broadcast::Receiver<SimEvent>,
}

impl SimEvents {
    /// The next event; `None` when the simulation is gone. Of events that are not read the last 65,536 are
    /// kept. Cancel-safe.
    pub async fn next(&mut self) -> Option<SimEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(lagged(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<SimEvent> {
        match self.receiver.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(lagged(missed)),
            Err(_) => None,
        }
    }
}

fn lagged(missed: u64) -> SimEvent {
    SimEvent { time: 0, fact: SimFact::Lagged { missed } }
}
