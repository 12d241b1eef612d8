//! One connection, from the first byte to the last.
//!
//! ```text
//!   link ─▶ handshake ─▶ checked ─▶ hello ⇄ hello ─▶ matched ─▶ admitted ─▶ session ─▶ removed
//!            5 s           │           10 s in all      │          │
//!                          └──────── refused: disconnect with a reason, then closed
//! ```
//!
//! Until a valid auth has come nothing is ever sent back and no state of the server depends on the
//! stranger. Only this module and the session end connections.

mod greet;

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc};

use enode::{Enode, NodeId};
use futures_util::FutureExt as _;
use rlpx::{
    frame::Frame,
    stream::{Reader, Writer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::greet::Greeted;
use crate::{
    DialStage, DisconnectReason, Peer, base,
    dial::DialTask,
    peer::NewPeer,
    peer_set::{Admission, ConnId},
    reputation::Offence,
    session::{Session, TapOf},
    shared::Shared,
    transport::Link,
};

/// A boxed reading half.
pub(crate) type AnyReader = Box<dyn AsyncRead + Send + Unpin>;
/// A boxed writing half.
pub(crate) type AnyWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection that is being set up or runs.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conn: ConnId,
    pub(crate) origin: Origin,
    /// Ends the set-up at once: an evicted connection, or a server that stops. One that is suspended
    /// takes the time to say so.
    pub(crate) cancel: CancellationToken,
}

/// Which side opened it.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The other one.
    Accepted,
    /// We did, to reach this node.
    Dialed(DialTask),
    /// The other one, in a test that takes it for the holder of this key without a handshake.
    #[cfg(feature = "test-utils")]
    Introduced(enode::PublicKey),
}

/// Why a connection did not become a peer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How far it had come.
    pub(crate) stage: DialStage,
    /// What went wrong.
    pub(crate) text: String,
    /// The reason that was said, by either side.
    pub(crate) reason: Option<DisconnectReason>,
    /// What it costs the other side.
    pub(crate) offence: Option<Offence>,
    /// Whether nothing went wrong between the two: this node does not go on.
    pub(crate) given_up: bool,
}

impl Failure {
    pub(crate) fn new(stage: DialStage, text: impl ToString) -> Self {
        Self { stage, text: text.to_string(), reason: None, offence: None, given_up: false }
    }

    /// This node does not go on, whatever the other one does.
    pub(crate) fn given_up(stage: DialStage, text: impl ToString) -> Self {
        Self { given_up: true, ..Self::new(stage, text) }
    }

    /// A refusal that was said in so many words.
    pub(crate) fn said(stage: DialStage, reason: DisconnectReason) -> Self {
        Self { reason: Some(reason), ..Self::new(stage, reason) }
    }

    pub(crate) fn offence(self, offence: Offence) -> Self {
        Self { offence: Some(offence), ..self }
    }
}

impl Connection {
    /// Sets the connection up, runs its session, and cleans up after it.
    ///
    /// A panic, of a tap for instance, fails the connection and nothing else.
    pub(crate) fn run(self, link: Link) -> impl Future<Output = Result<(), Failure>> + Send {
        let run = AssertUnwindSafe(self.set_up_and_run(link)).catch_unwind();
        run.map(|ended| {
            ended.unwrap_or_else(|_| Err(Failure::given_up(DialStage::Handshake, "panicked")))
        })
    }

    async fn set_up_and_run(self, link: Link) -> Result<(), Failure> {
        let (local, remote) = (link.local, link.remote);
        let link = self.shared.config.watch.meter(link);
        // Boxed are the parts of a connection's life, so that each takes memory while it lasts and
        // none is there twice. An idle connection is mostly such futures.
        let set_up = Box::pin(async {
            let greeted = self.greet(link).await?;
            let session = self.become_peer(greeted, local, remote).await?;
            Ok((session.peer.clone(), Box::pin(session.run())))
        });
        let (peer, session) = tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                return Err(Failure::given_up(DialStage::Handshake, "closed by this node"));
            }
            session = set_up => session?,
        };
        let ended = session.await;
        self.shared.on_session_end(self.conn, &peer, &ended.end, &ended.panicked);
        // Without a place the socket closes at once, and the peer may miss our reason.
        if let Some(linger) = ended.linger
            && let Ok(_place) = self.shared.lingering.try_acquire()
        {
            Box::pin(linger.run(&self.shared.shutdown)).await;
        }
        Ok(())
    }

    fn inbound(&self) -> bool {
        !matches!(self.origin, Origin::Dialed(_))
    }

    fn tap(&self, peer: NodeId) -> Option<TapOf> {
        self.shared.config.tap.clone().map(|tap| TapOf { tap, peer })
    }

    /// Asks to be admitted, waiting if another connection to the same node is in question.
    async fn become_peer(
        &self,
        mut greeted: Greeted,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Session<AnyReader, AnyWriter>, Failure> {
        let id = greeted.key.node_id();
        let peer = self.describe(&greeted, local, remote);
        let _mark = ProvenInbound::mark(&self.shared, id, self.inbound());
        let mut first_frame = None;
        loop {
            match self.shared.admit(self.conn, &peer) {
                Admission::Admitted => break,
                Admission::Refused(reason) => return Err(self.refuse(&mut greeted, reason).await),
                Admission::Undecided { until } => {
                    let waiting = Waiting::register(&self.shared, self.conn, id);
                    tokio::select! {
                        biased;
                        () = self.shared.intake.cancelled() => {}
                        () = waiting.other_ended.notified() => {}
                        gone = hear(&mut greeted.reader, &mut first_frame) => return Err(gone),
                        () = sleep_until(until.into()) => {
                            // Nobody decided: the first connection stays.
                            let reason = DisconnectReason::AlreadyConnected;
                            return Err(self.refuse(&mut greeted, reason).await);
                        }
                    }
                }
            }
        }
        let shared = &self.shared;
        Ok(Session {
            reader: greeted.reader,
            first_frame,
            writer: greeted.writer,
            peer,
            protocols: greeted.protocols,
            budget: shared.budget.peer(),
            scratch: shared.scratch.clone(),
            tap: self.tap(id),
            message_events: shared.config.message_events.then(|| Arc::clone(&shared.events)),
            watch: shared.config.watch.clone(),
            shutdown: shared.shutdown.clone(),
            tracker: shared.tasks.inner.clone(),
        })
    }

    fn describe(&self, greeted: &Greeted, local: SocketAddr, remote: SocketAddr) -> Peer {
        let (key, id) = (greeted.key, greeted.key.node_id());
        let mut capabilities = greeted.hello.capabilities.clone();
        capabilities.sort();
        let enode = match &self.origin {
            Origin::Dialed(task) => task.node.clone(),
            _ => Enode::new(key, remote.ip(), remote.port(), remote.port()),
        };
        let core = self.shared.core();
        Peer::new(NewPeer {
            key,
            enode,
            client: greeted.hello.client.clone(),
            capabilities,
            running: greeted.protocols.iter().map(|p| p.capability.clone()).collect(),
            local,
            remote,
            inbound: self.inbound(),
            is_static: core.dial.is_static(&id),
            trusted: core.peers.is_trusted(&id),
            now: Instant::now(),
        })
    }

    /// Says why, in a disconnect of its own, and closes.
    async fn refuse(&self, greeted: &mut Greeted, reason: DisconnectReason) -> Failure {
        let tap = self.tap(greeted.key.node_id());
        self.say_goodbye(&mut greeted.reader, &mut greeted.writer, tap.as_ref(), reason).await;
        Failure::said(DialStage::Admission, reason)
    }
}

/// Listens on a connection in question: returns when it has ended, and otherwise keeps the first
/// message of a protocol for the session and reads no further. A large one is left to the session,
/// which has a budget for it.
async fn hear(reader: &mut Reader<AnyReader>, first_frame: &mut Option<Frame>) -> Failure {
    loop {
        if first_frame.is_some() {
            std::future::pending::<()>().await;
        }
        match reader.try_frame() {
            Ok(Some(frame)) if frame.code == base::DISCONNECT => {
                let reason = base::read_disconnect(&frame.body, reader.snappy());
                return Failure::said(DialStage::Admission, reason);
            }
            Ok(Some(frame)) => *first_frame = Some(frame),
            Ok(None) if reader.announced().is_some_and(|size| size > MAX_HEARD) => {
                std::future::pending::<()>().await;
            }
            Ok(None) => match reader.fill().await {
                Ok(0) => return Failure::new(DialStage::Admission, "EOF"),
                Ok(_) => {}
                Err(error) => return Failure::new(DialStage::Admission, error),
            },
            Err(error) => return Failure::new(DialStage::Admission, error),
        }
    }
}

/// A connection that waits for the decision between it and another one.
struct Waiting<'a> {
    shared: &'a Shared,
    conn: ConnId,
    id: NodeId,
    other_ended: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn register(shared: &'a Shared, conn: ConnId, id: NodeId) -> Self {
        let other_ended = Arc::new(Notify::new());
        let mut core = shared.core();
        // The other one may have ended since the verdict.
        if !core.peers.contains(&id) {
            other_ended.notify_one();
        }
        core.waiting.insert(conn, Arc::clone(&other_ended));
        drop(core);
        Self { shared, conn, id, other_ended }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut core = self.shared.core();
        core.waiting.remove(&self.conn);
        core.peers.give_up(self.conn, self.id);
    }
}

/// Keeps the scheduler from dialing a node that is about to be admitted. Only set once the first
/// frame has proven who it is, so that nobody can suppress a dial by claiming a name.
struct ProvenInbound<'a> {
    shared: &'a Shared,
    id: Option<NodeId>,
}

impl<'a> ProvenInbound<'a> {
    fn mark(shared: &'a Shared, id: NodeId, inbound: bool) -> Self {
        if inbound {
            shared.core().dial.on_pending_inbound(&id, true);
        }
        Self { shared, id: inbound.then_some(id) }
    }
}

impl Drop for ProvenInbound<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.shared.core().dial.on_pending_inbound(id, false);
            self.shared.wake.notify_one();
        }
    }
}

/// The largest frame that is read before it is decided whether the connection stays, in bytes.
const MAX_HEARD: usize = 4 << 10;

/// Writes what is pending and closes our direction.
async fn close_writing(writer: &mut Writer<AnyWriter>, deadline: Instant) {
    // Whoever does not take it in time does not learn it.
    let _ = tokio::time::timeout_at(deadline, writer.shutdown()).await;
}
