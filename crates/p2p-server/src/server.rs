//! The server: a cheap handle to what runs.
//!
//! ```text
//!   Server ─▶ Shared ─┬─ core     peers, dial plan, scores     one lock, never held across an await
//!                     ├─ events   one bounded queue a subscriber
//!                     └─ tasks    listener · scheduler · one for each connection
//! ```
//!
//! What a handle's method changes takes effect before it returns, and an `add` event is emitted
//! under the same lock that put the peer into the set: whoever holds the event finds the peer.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use enode::{Enode, NodeId, NodeRecord, RecordError};

use crate::{
    AddPeerError, BanTarget, DialEvents, DialStatus, DisconnectReason, NodeInfo, Peer, PeerEvents,
    PeerInfo, ServerBuilder, StartError, Stopped,
    dial::AddStaticError,
    dialer, listen,
    shared::{Ready, Shared, now},
};

/// A running devp2p server. Cheap to clone; dropping the last handle stops it without waiting.
#[derive(Clone)]
pub struct Server(Arc<Handle>);

/// Stops the server when the last `Server` is gone.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// A server that has its address, and neither accepts nor dials yet; made by
/// [`ServerBuilder::bind`].
///
/// Dropping it stops the server, whoever has a handle.
#[derive(Debug)]
#[must_use = "a bound server does nothing until it is opened"]
pub struct BoundServer {
    server: Server,
    opened: bool,
}

impl BoundServer {
    pub(crate) async fn bind(mut builder: ServerBuilder) -> Result<Self, StartError> {
        let listener = match &builder.listen {
            Some(Ok(addr)) => {
                let listen = |source| StartError::Listen { addr: *addr, source };
                let listener = builder.transport.listen(*addr).await.map_err(listen)?;
                let bound = listener.local_addr().map_err(listen)?;
                Some((listener, bound))
            }
            _ => None,
        };
        let listen_addr = listener.as_ref().map(|(_, addr)| *addr);
        let candidates = builder.candidates.take();
        let ready = Ready { listener: listener.map(|(listener, _)| listener), candidates };
        let shared = Arc::new(Shared::new(builder, listen_addr, ready)?);
        Ok(Self { server: Server(Arc::new(Handle(shared))), opened: false })
    }

    /// The server, which answers already. Who is added to it is dialed once it is open.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Accepts and dials from now on. A server that was stopped or suspended meanwhile stays so.
    pub fn open(mut self) -> Server {
        self.opened = true;
        let shared = self.server.shared();
        let _runtime = shared.runtime.enter();
        if let Some(Ready { listener, candidates }) = shared.take_ready() {
            if let Some(listener) = listener {
                shared.tasks.spawn("listener", listen::accept_all(Arc::clone(shared), listener));
            }
            shared.tasks.spawn("scheduler", dialer::schedule(Arc::clone(shared), candidates));
            let enode = shared.local.enode();
            tracing::info!(node = %enode.id().short(), %enode, "server started");
        }
        self.server.clone()
    }
}

impl Drop for BoundServer {
    fn drop(&mut self) {
        if !self.opened {
            self.server.shut_down();
        }
    }
}

impl Server {
    /// Starts putting a server together that proves itself with this key.
    pub fn builder(key: enode::SecretKey) -> ServerBuilder {
        ServerBuilder::new(key)
    }

    /// Our node id.
    pub fn id(&self) -> NodeId {
        self.shared().local.enode().id()
    }

    /// Our enode URL, with the port that the listener really has.
    pub fn enode(&self) -> Enode {
        self.shared().local.enode()
    }

    /// Our signed node record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] when the sequence number is used up.
    pub fn record(&self) -> Result<NodeRecord, RecordError> {
        self.shared().local.record()
    }

    /// Sets an entry of our node record; `value` is RLP-encoded.
    ///
    /// # Errors
    ///
    /// [`RecordError`] when the entry is malformed or the record would be over 300 bytes.
    pub fn set_record_entry(&self, name: &str, value: &[u8]) -> Result<(), RecordError> {
        self.shared().local.set_entry(name, value)
    }

    /// Where the server listens, if it does.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        self.shared().listen_addr
    }

    /// What the server knows of itself. A stopped one has no protocols any more.
    pub fn node_info(&self) -> NodeInfo {
        self.shared().node_info()
    }

    /// The connected peers, sorted by id. Empty when the server has stopped.
    pub fn peers(&self) -> Vec<Peer> {
        self.shared().core().handles.values().cloned().collect()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.shared().core().peers.len()
    }

    /// A connected peer.
    pub fn peer(&self, id: NodeId) -> Option<Peer> {
        self.shared().core().handles.get(&id).cloned()
    }

    /// What the server knows of its peers, sorted by id.
    pub fn peers_info(&self) -> Vec<PeerInfo> {
        let peers = self.peers();
        peers.iter().map(|peer| self.shared().peer_info(peer)).collect()
    }

    /// Keeps a connection to `node`: it is dialed as soon as a slot is free and again whenever the
    /// connection is lost. Returns at once; watch [`events`](Self::events) or
    /// [`dial_events`](Self::dial_events) for what becomes of it. A server that is not open yet dials it
    /// once it is; one that is [suspended](Self::suspend) notes it and never dials it.
    ///
    /// Adding a node again with another address replaces the address. Static peers count towards
    /// `max_peers`.
    ///
    /// # Errors
    ///
    /// [`AddPeerError`] when the server has stopped, the node is this one, or the list is full.
    pub fn add_peer(&self, node: Enode) -> Result<(), AddPeerError> {
        self.running()?;
        let shared = self.shared();
        let mut core = shared.core();
        let id = node.id();
        core.dial.add_static(node, now()).map_err(|error| match error {
            AddStaticError::Own => AddPeerError::Own,
            AddStaticError::TooMany { limit } => AddPeerError::TooMany { limit },
        })?;
        if let Some(peer) = core.handles.get(&id) {
            peer.set_static(true);
        }
        drop(core);
        shared.wake.notify_one();
        Ok(())
    }

    /// Stops keeping a connection to `id` and ends the one there is, with "disconnect requested".
    ///
    /// Takes effect at once; the returned future resolves when the peer is gone and may be dropped.
    /// A protocol body that awaits it for its own peer waits for itself. It does not keep the node
    /// from connecting again.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the server has stopped.
    pub fn remove_peer(
        &self,
        id: NodeId,
    ) -> Result<impl Future<Output = ()> + Send + use<>, Stopped> {
        self.running()?;
        let shared = Arc::clone(self.shared());
        let removed = {
            let mut core = shared.core();
            core.dial.remove_static(&id, now());
            let peer = core.handles.get(&id).cloned();
            if let Some(peer) = &peer {
                peer.set_static(false);
                peer.disconnect(DisconnectReason::Requested);
            }
            peer
        };
        Ok(async move {
            let Some(removed) = removed else { return };
            loop {
                let changed = shared.changed.notified();
                // The node may be back already: it is this connection that has to be gone.
                if shared.core().handles.get(&id).is_none_or(|peer| !peer.is_same(&removed)) {
                    return;
                }
                changed.await;
            }
        })
    }

    /// Admits `id` beyond the limits from now on. Does not dial it.
    ///
    /// # Errors
    ///
    /// [`AddPeerError`] when the server has stopped or the list is full.
    pub fn add_trusted(&self, id: NodeId) -> Result<(), AddPeerError> {
        self.running()?;
        let mut core = self.shared().core();
        if !core.peers.add_trusted(id) {
            return Err(AddPeerError::TooMany { limit: crate::peer_set::MAX_TRUSTED });
        }
        if let Some(peer) = core.handles.get(&id) {
            peer.set_trusted(true);
        }
        Ok(())
    }

    /// Takes the trust back. A connected peer stays.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the server has stopped.
    pub fn remove_trusted(&self, id: NodeId) -> Result<(), Stopped> {
        self.running()?;
        let mut core = self.shared().core();
        core.peers.remove_trusted(id);
        if let Some(peer) = core.handles.get(&id) {
            peer.set_trusted(false);
        }
        Ok(())
    }

    /// Refuses a node or a network for this long, `Duration::MAX` being for ever, and ends the
    /// connections that are there with "disconnect requested".
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the server has stopped.
    pub fn ban(&self, target: BanTarget, time: Duration) -> Result<(), Stopped> {
        self.running()?;
        let mut core = self.shared().core();
        let start = now();
        core.reputation.ban(target, start.checked_add(time).unwrap_or(start + FOR_EVER));
        for peer in core.handles.values() {
            let hit = match &target {
                BanTarget::Node(id) => *id == peer.id(),
                BanTarget::Net(net) => net.contains(peer.remote_addr().ip()),
            };
            if hit {
                peer.disconnect(DisconnectReason::Requested);
            }
        }
        Ok(())
    }

    /// Lifts a ban; `false` when there was none.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the server has stopped.
    pub fn unban(&self, target: BanTarget) -> Result<bool, Stopped> {
        self.running()?;
        Ok(self.shared().core().reputation.unban(&target, now()))
    }

    /// The bans in force and how long each will last.
    pub fn bans(&self) -> Vec<(BanTarget, Duration)> {
        let now = now();
        let bans = self.shared().core().reputation.bans(now);
        bans.into_iter().map(|(to, until)| (to, until.saturating_duration_since(now))).collect()
    }

    /// How many bytes of messages all connections hold now, as
    /// [`message_budget`](ServerBuilder::message_budget) counts them: what has arrived of a frame,
    /// and what waits for a protocol.
    pub fn held_bytes(&self) -> usize {
        self.shared().budget.used()
    }

    /// Subscribes to what happens on the connections from now on.
    pub fn events(&self) -> PeerEvents {
        self.shared().events.subscribe()
    }

    /// Subscribes to the attempts to dial from now on.
    pub fn dial_events(&self) -> DialEvents {
        self.shared().dial_events.subscribe()
    }

    /// What is known about dialing `id`; `None` when nothing is: it was never dialed, is no peer, and
    /// was neither added nor trusted.
    pub fn dial_status(&self, id: NodeId) -> Option<DialStatus> {
        let core = self.shared().core();
        let trusted = core.peers.is_trusted(&id);
        let known = core.dial.status(&id, now());
        let known = known.or_else(|| trusted.then(|| DialStatus::untried(id)))?;
        Some(DialStatus { trusted, ..known })
    }

    /// Whether the server still runs.
    pub fn is_running(&self) -> bool {
        !self.shared().shutdown.is_cancelled()
    }

    /// Lets nobody in any more: the listener is closed, nobody is dialed, and whoever is in the middle of
    /// its hello is told "client quitting". Peers stay, and their protocols go on. There is no way back
    /// but a new server.
    ///
    /// Returns at once, with all in [`peers`](Self::peers) that there will be; the listener's port is
    /// free a moment later. Suspending again, or a server that has stopped, does nothing.
    pub fn suspend(&self) {
        self.shared().suspend();
    }

    /// Stops the server and waits until it has: the listener is closed, dials and handshakes are
    /// dropped, every peer is told "client quitting", and no task is left.
    ///
    /// Takes as long as the slowest peer, two seconds as a rule, five at most. Stopping a stopped
    /// server does nothing. A stopped server has let go of its protocols.
    pub async fn stop(&self) {
        self.shared().shut_down();
        self.shared().ended().await;
    }

    /// Begins to stop and returns at once; the rest is as with [`stop`](Self::stop), which may be called
    /// to wait for it. For those who cannot wait, as a destructor, and cannot know who else has a handle:
    /// a protocol may.
    pub fn shut_down(&self) {
        let shared = Arc::clone(self.shared());
        shared.shut_down();
        let runtime = shared.runtime.clone();
        // Nobody else may be there to abort what resists, and to end the streams of events.
        runtime.spawn(async move { shared.ended().await });
    }

    /// Stops without any courtesy: sockets are closed as they are, peers are told nothing, and bodies
    /// of protocols are dropped where they wait. Hurries a [`stop`](Self::stop) that is under way, too.
    ///
    /// Returns when no task is left, at once as a rule; a body that blocks its thread is waited for
    /// for a quarter of a second and then let go.
    pub async fn abort(&self) {
        self.shared().hurry.cancel();
        self.stop().await;
    }

    fn running(&self) -> Result<(), Stopped> {
        if self.is_running() { Ok(()) } else { Err(Stopped) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.id())
            .field("listen_addr", &self.listen_addr())
            .field("peers", &self.peer_count())
            .finish_non_exhaustive()
    }
}

/// A time that no server outlives and that can be added to the present.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
