//! How a simulation learns what happens: a service in each of its nodes that listens to the server.
//!
//! It subscribes when it is started, which is before anybody is let in. So it misses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use enode::NodeId;
use p2p_server::{MessageEvent, PeerEvent, PeerEvents, Server};
use tokio::{sync::broadcast, time::Instant};

use super::{
    SimEvents,
    event::{SimEvent, SimFact},
};
use crate::{BoxError, Service};

/// What all nodes of a simulation report to.
#[derive(Debug, Clone)]
pub(super) struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    // bound: EVENTS unread, then the oldest are counted
    events: broadcast::Sender<SimEvent>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    // bound: one for each node of the simulation
    names: BTreeMap<NodeId, String>,
    /// Ends that are up: who, and with whom.
    // bound: two for each connection between nodes of the simulation
    ends: BTreeSet<(NodeId, NodeId)>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        // bound: EVENTS, then the oldest are counted as missed
        let (events, _) = broadcast::channel(EVENTS);
        let state = Mutex::default();
        Self(Arc::new(Shared { began: Instant::now(), events, state }))
    }

    pub(super) fn subscribe(&self) -> SimEvents {
        SimEvents { receiver: self.0.events.subscribe() }
    }

    /// Makes a node's name known.
    pub(super) fn introduce(&self, id: NodeId, name: &str) {
        self.lock().names.insert(id, name.to_owned());
    }

    fn tell(&self, fact: SimFact) {
        let time = self.0.began.elapsed().as_millis();
        let event = SimEvent { time: u64::try_from(time).unwrap_or(u64::MAX), fact };
        // Nobody has to listen.
        let _ = self.0.events.send(event);
    }

    /// An end of a connection came up or went down.
    fn end(&self, own: NodeId, peer: NodeId, up: bool) {
        let both = {
            let mut state = self.lock();
            let changed =
                if up { state.ends.insert((own, peer)) } else { state.ends.remove(&(own, peer)) };
            // Told once: when the second end is up, and when the first is down.
            changed && state.ends.contains(&(peer, own))
        };
        if both {
            let (mut one, mut other) = (self.name(own), self.name(peer));
            if one > other {
                std::mem::swap(&mut one, &mut other);
            }
            self.tell(SimFact::Conn { one, other, up });
        }
    }

    fn message(&self, own: NodeId, message: &MessageEvent, received: bool) {
        self.tell(SimFact::Msg {
            one: self.name(own),
            other: self.name(message.peer),
            received,
            protocol: message.protocol.to_string(),
            code: message.code,
            size: message.size,
        });
    }

    /// Peers that are none of the simulation's nodes are called by their ids.
    fn name(&self, id: NodeId) -> String {
        let known = self.lock().names.get(&id).cloned();
        known.unwrap_or_else(|| id.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recorder's ear in one node.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) recorder: Recorder,
    pub(super) name: String,
}

impl Service for Ear {
    async fn start(self: &Arc<Self>, server: Server) -> Result<(), BoxError> {
        let (events, id) = (server.events(), server.id());
        self.recorder.introduce(id, &self.name);
        self.recorder.tell(SimFact::Node { node: self.name.clone(), up: true });
        // Ends with the server's events, which is after the node's last connection.
        tokio::spawn(listen(Arc::clone(self), id, events));
        Ok(())
    }
}

async fn listen(ear: Arc<Ear>, own: NodeId, mut events: PeerEvents) {
    let recorder = &ear.recorder;
    while let Some(event) = events.next().await {
        match event {
            PeerEvent::Added { peer, .. } => recorder.end(own, peer, true),
            PeerEvent::Dropped { peer, .. } => recorder.end(own, peer, false),
            PeerEvent::MessageSent(message) => recorder.message(own, &message, false),
            PeerEvent::MessageReceived(message) => recorder.message(own, &message, true),
            PeerEvent::Lagged(missed) => recorder.tell(SimFact::Lagged { missed }),
            _ => {}
        }
    }
    recorder.tell(SimFact::Node { node: ear.name.clone(), up: false });
}

/// How many events are kept for who does not read.
const EVENTS: usize = 65_536;
