//! A node of a simulation.

use enode::{NodeId, SecretKey};
use p2p_server::{Server, test_utils::NetHost};

use super::{
    Configure, SimError,
    recorder::{Ear, Recorder},
};
use crate::Node;

/// A node of a simulation: a [`Node`] that keeps its name, key and place when it is restarted.
#[derive(Debug)]
pub struct SimNode {
    node: Node,
    key: SecretKey,
}

impl SimNode {
    pub(super) fn new(
        name: String,
        key: Option<SecretKey>,
        host: Option<NetHost>,
        configure: &Configure,
        recorder: &Recorder,
    ) -> Result<Self, SimError> {
        let drawn = host.as_ref().map(|host| host.key().clone());
        let key = key.or(drawn).unwrap_or_else(SecretKey::random);
        let builder = Node::builder()
            .name(&name)
            .key(key.clone())
            .listen("127.0.0.1:0")
            .max_peers(MAX_PEERS)
            .message_events(true);
        let builder = configure(&name, builder);
        let (recorder, of_node) = (recorder.clone(), name.clone());
        let builder = builder
            // A node that is back is to be found at once.
            .p2p(|server| server.redial_after(REDIAL_AFTER))
            .p2p(move |server| match &host {
                Some(host) => host.place(server),
                None => server,
            })
            .service(move |_| Ear { recorder: recorder.clone(), name: of_node.clone() });
        let node = builder.build().map_err(|source| SimError::Build { node: name, source })?;
        Ok(Self { node, key })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Its node id, which stays.
    pub fn id(&self) -> NodeId {
        self.key.node_id()
    }

    pub(super) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.node.is_running()
    }

    /// Its p2p server, while it runs.
    pub fn server(&self) -> Option<Server> {
        self.node.server().ok()
    }

    /// How many peers it has; none while it does not run.
    pub fn peer_count(&self) -> usize {
        self.server().map_or(0, |server| server.peer_count())
    }

    /// Whether it has this peer.
    pub fn has_peer(&self, id: NodeId) -> bool {
        self.server().is_some_and(|server| server.peer(id).is_some())
    }

    pub(super) async fn start(&self) -> Result<(), SimError> {
        let node = || self.name().to_owned();
        self.node.start().await.map_err(|source| SimError::Start { node: node(), source })
    }

    pub(super) async fn stop(&self) -> Result<(), SimError> {
        let node = || self.name().to_owned();
        self.node.stop().await.map_err(|source| SimError::Stop { node: node(), source })
    }
}

/// More than any shape of a few hundred nodes needs, and fewer than a process may open files.
const MAX_PEERS: usize = 500;
/// How soon a lost connection is dialed again.
const REDIAL_AFTER: std::time::Duration = std::time::Duration::from_millis(100);
