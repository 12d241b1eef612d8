//! A session: what runs on a connection from the moment its peer was added until it is gone.
//!
//! ```text
//!                    ┌ reader task ┐      ┌ body of protocol A
//!   socket ◀────────▶│             │◀────▶│
//!                    └ writer task ┘      └ body of protocol B
//!                            ▲                    ▲
//!                            └──── supervisor ────┘   first end decides; pings every 15 s
//! ```
//!
//! The supervisor waits for the first thing that ends the session, lets the protocols read what had
//! arrived, sends what was queued and the reason, and waits until every task has ended. Nothing that
//! a peer sends, and no panic in a body, leaves a task behind.

mod end;
mod inlet;
mod reader;
mod writer;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use enode::NodeId;
use rlpx::{
    frame::Frame,
    snappy::{self, ScratchPool},
    stream::{Reader, Writer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

pub(crate) use self::{end::End, writer::Close};
use self::{
    inlet::Inlet,
    reader::ReaderTask,
    writer::{Outbox, WriterTask},
};
use crate::{
    Capability, Direction, DisconnectReason, MessageSeen, MsgChannel, Peer, PeerEvent, Protocol,
    ProtocolError, QueueKind,
    base::{self, KeepAlive},
    budget::PeerBudget,
    channel::{DEFAULT_LIMITS, MsgReceiver, MsgSender, Outgoing},
    event::{EventHub, MessageEvent},
    observer::Watch,
    queue::{Queue, Refused},
    tap::{Tap, TapEvent, TapKind},
};

/// Everything a session needs.
pub(crate) struct Session<R, W> {
    pub(crate) reader: Reader<R>,
    /// A frame that was read while the connection was not yet decided on.
    pub(crate) first_frame: Option<Frame>,
    pub(crate) writer: Writer<W>,
    pub(crate) peer: Peer,
    pub(crate) protocols: Vec<Running>,
    pub(crate) budget: PeerBudget,
    pub(crate) scratch: ScratchPool,
    pub(crate) tap: Option<TapOf>,
    /// Where message events go, if they are wanted.
    pub(crate) message_events: Option<Arc<EventHub>>,
    pub(crate) watch: Watch,
    pub(crate) shutdown: CancellationToken,
    /// Knows of every task of every session.
    pub(crate) tracker: TaskTracker,
}

/// A protocol that runs on a connection.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) capability: Capability,
    pub(crate) protocol: Arc<dyn Protocol>,
    /// Its first code on the wire.
    pub(crate) offset: u64,
    /// How many codes it has.
    pub(crate) length: u64,
    /// The largest payload it takes, in bytes.
    pub(crate) max_message: usize,
    /// What a peer is told that sends a larger one.
    pub(crate) oversize: DisconnectReason,
}

/// How a session ended, and the socket's last duty.
pub(crate) struct Ended<R> {
    pub(crate) end: End,
    /// The protocols whose bodies panicked, before the end or because of it.
    pub(crate) panicked: Vec<Capability>,
    /// Set when a reason was sent: the socket stays open a moment so that the peer can read it.
    pub(crate) linger: Option<Linger<R>>,
}

/// The tap, knowing whose connection it is on.
#[derive(Debug, Clone)]
pub(crate) struct TapOf {
    pub(crate) tap: Tap,
    pub(crate) peer: NodeId,
}

impl TapOf {
    /// Shows a frame.
    pub(crate) fn frame(&self, sent: bool, code: u64, payload: Bytes, wire: Bytes) {
        self.show(sent, TapKind::Frame { code, payload }, wire);
    }

    /// Shows anything.
    pub(crate) fn show(&self, sent: bool, kind: TapKind, wire: Bytes) {
        (self.tap.0)(TapEvent { peer: self.peer, sent, kind, wire });
    }
}

/// The keep-alive state, shared by the reader, which sees pings and pongs, and the supervisor, which
/// has the timer.
#[derive(Debug, Clone)]
struct Alive(Arc<Mutex<KeepAlive>>);

impl Alive {
    fn lock(&self) -> MutexGuard<'_, KeepAlive> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, W> Session<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Starts the tasks; what is returned runs until the session is over and all of them have
    /// ended.
    ///
    /// Not `async` itself, so that the session is no part of the memory of what waits for it.
    pub(crate) fn run(self) -> impl Future<Output = Ended<R>> + Send {
        let (peer, shutdown) = (self.peer.clone(), self.shutdown.clone());
        let mut tasks = self.start();
        async move {
            let end = tasks.first_end(&peer, &shutdown).await;
            tasks.wind_up(end, &peer).await
        }
    }

    fn start(self) -> Tasks<R> {
        let alive = Alive(Arc::new(Mutex::new(KeepAlive::new(Instant::now().into_std()))));
        let (close, closing) = watch::channel(Close::Open);
        let outbox = Outbox::new(self.protocols.iter().map(|running| running.offset));
        self.peer.counters().watch(outbox.queues());
        let inbound: Vec<_> =
            self.protocols.iter().map(|_| Arc::new(Queue::new(DEFAULT_LIMITS))).collect();
        let protocols = Arc::new(self.protocols);
        let mut set = JoinSet::new();
        let mut bodies = Vec::with_capacity(protocols.len());
        let mut reader = self.reader;
        reader.set_max_frame(largest_frame(&protocols));
        let oversize = oversize_reason(&protocols);

        let inlet = Inlet {
            base: Arc::clone(&outbox.base),
            protocols: Arc::clone(&protocols),
            inbound: inbound.clone(),
            alive: alive.clone(),
            budget: self.budget,
            peer: self.peer.clone(),
            tap: self.tap.clone(),
            compressed: reader.snappy(),
            watch: self.watch.clone(),
        };
        let mut reader = ReaderTask {
            reader,
            first_frame: self.first_frame,
            inlet,
            oversize,
            closing: closing.clone(),
        };
        let mut writer = WriterTask {
            writer: self.writer,
            outbox: outbox.clone(),
            closing,
            scratch: self.scratch,
            peer: self.peer.clone(),
            tap: self.tap,
            turn: 0,
            batch: vec![0; protocols.len()],
        };
        let tracker = self.tracker;
        let reader = async move {
            let end = reader.run().await;
            TaskEnd::Reader(Box::new(reader.reader), end)
        };
        let writer = async move { TaskEnd::Writer(writer.run().await) };
        set.spawn(tracker.track_future(reader.in_current_span()));
        set.spawn(tracker.track_future(writer.in_current_span()));

        for (index, running) in protocols.iter().enumerate() {
            let (outgoing, incoming) = (Arc::clone(&outbox.lanes[index].0), inbound[index].clone());
            let hub = self.message_events.clone();
            let watch = &self.watch;
            let messages = message_channel(running, &self.peer, outgoing, incoming, hub, watch);
            let (protocol, peer) = (Arc::clone(&running.protocol), self.peer.clone());
            let span = tracing::debug_span!("proto", cap = %running.capability);
            let body = async move { TaskEnd::Body(protocol.run(peer, messages).await) };
            let handle = set.spawn(tracker.track_future(body.instrument(span)));
            bodies.push((handle.id(), running.capability.clone()));
        }
        let panicked = Vec::new();
        let watch = self.watch;
        Tasks { set, bodies, panicked, alive, outbox, inbound, close, watch, reader: None }
    }
}

/// What a task of the session ends with.
enum TaskEnd<R> {
    Reader(Box<Reader<R>>, Option<End>),
    Writer(Result<(), End>),
    Body(Result<(), ProtocolError>),
}

/// The running tasks and the means to end them.
struct Tasks<R> {
    // bound: reader, writer and one body for each shared protocol
    set: JoinSet<TaskEnd<R>>,
    /// The bodies that still run.
    bodies: Vec<(Id, Capability)>,
    panicked: Vec<Capability>,
    alive: Alive,
    outbox: Outbox,
    inbound: Vec<Arc<Queue<Outgoing>>>,
    close: watch::Sender<Close>,
    watch: Watch,
    reader: Option<Box<Reader<R>>>,
}

impl<R: AsyncRead + Send + Unpin + 'static> Tasks<R> {
    /// Waits for the first thing that ends the session, pinging meanwhile.
    async fn first_end(&mut self, peer: &Peer, shutdown: &CancellationToken) -> End {
        loop {
            let ping = self.alive.lock().deadline();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Stopping,
                reason = peer.on_disconnect() => return End::Local(reason),
                Some(ended) = self.set.join_next_with_id() => {
                    if let Ok((_, TaskEnd::Writer(Err(End::Io(error))))) = ended {
                        return self.last_words(error).await;
                    }
                    if let Some(end) = self.judge(ended) {
                        return end;
                    }
                }
                () = sleep_until(ping.into()) => self.ping(),
            }
        }
    }

    /// The writer has failed: the peer is gone, or going. What it said before counts more than the
    /// broken pipe behind it, and has come already if it comes at all.
    async fn last_words(&mut self, error: io::Error) -> End {
        let deadline = Instant::now() + LAST_WORDS;
        while self.reader.is_none() {
            let Ok(Some(ended)) = timeout_at(deadline, self.set.join_next_with_id()).await else {
                break;
            };
            if let Some(End::Remote(reason)) = self.judge(ended) {
                return End::Remote(reason);
            }
        }
        End::Io(error)
    }

    fn ping(&self) {
        self.alive.lock().on_timeout(Instant::now().into_std());
        let payload = Bytes::from_static(base::EMPTY_LIST);
        let ping = Outgoing { code: base::PING, payload, charge: None };
        // With sixteen messages waiting the peer is not reading, and a ping would not reach it.
        if let Err(Refused::Full(_)) = self.outbox.base.try_push(ping, || ()) {
            self.watch.tell(|observer| observer.queue_full(QueueKind::Base));
        }
    }

    /// What the end of one task means for the session.
    fn judge(&mut self, ended: Result<(Id, TaskEnd<R>), JoinError>) -> Option<End> {
        match ended {
            Ok((_, TaskEnd::Reader(reader, end))) => {
                self.reader = Some(reader);
                end
            }
            Ok((_, TaskEnd::Writer(result))) => result.err(),
            Ok((id, TaskEnd::Body(result))) => {
                self.take_body(id);
                Some(result.map_or_else(End::Protocol, |()| End::Returned))
            }
            Err(error) => match self.take_body(error.id()) {
                Some(capability) if error.is_panic() => {
                    self.panicked.push(capability.clone());
                    Some(End::Panicked(capability))
                }
                _ => Some(End::Io(io::Error::other(error))),
            },
        }
    }

    fn take_body(&mut self, id: Id) -> Option<Capability> {
        let index = self.bodies.iter().position(|(body, _)| *body == id)?;
        Some(self.bodies.swap_remove(index).1)
    }

    /// Ends what still runs, in order: protocols read what is left, queues are sent, the reason
    /// follows; then waits for all.
    async fn wind_up(&mut self, end: End, peer: &Peer) -> Ended<R> {
        self.inbound.iter().for_each(|queue| queue.close());
        let reason = end.reason_to_send();
        let close = match reason {
            Some(reason) => {
                self.outbox.close();
                Close::Gracefully { reason, deadline: Instant::now() + FLUSH }
            }
            None => {
                self.outbox.clear();
                Close::Now
            }
        };
        self.close.send_replace(close);
        self.join_all(peer).await;
        let reader = reason.and_then(|_| self.reader.take());
        let panicked = std::mem::take(&mut self.panicked);
        Ended { end, panicked, linger: reader.map(Linger) }
    }

    /// Waits until all tasks have ended; the end of the session is decided already.
    async fn join_all(&mut self, peer: &Peer) {
        if self.join_until(Instant::now() + BODY_GRACE).await {
            return;
        }
        let left: Vec<&Capability> = self.bodies.iter().map(|(_, capability)| capability).collect();
        tracing::warn!(peer = %peer.id().short(), ?left, "protocols ignore the end and are aborted");
        self.set.abort_all();
        if !self.join_until(Instant::now() + ABORT_GRACE).await {
            let left: Vec<&Capability> = self.bodies.iter().map(|(_, it)| it).collect();
            // A thread that a body blocks cannot be had back, but the peer's place can.
            tracing::error!(peer = %peer.id().short(), ?left, "protocols block their threads");
            self.set.detach_all();
        }
    }

    /// Whether all have ended by then.
    async fn join_until(&mut self, deadline: Instant) -> bool {
        loop {
            match timeout_at(deadline, self.set.join_next_with_id()).await {
                Ok(None) => return true,
                Ok(Some(ended)) => drop(self.judge(ended)),
                Err(_) => return false,
            }
        }
    }
}

/// The largest frame that can hold a message that somebody here takes, in bytes: one that no protocol
/// takes is refused from its header.
fn largest_frame(protocols: &[Running]) -> usize {
    let largest = protocols.iter().map(|running| running.max_message).max().unwrap_or(0);
    // What does not compress gets a little longer, and a code is in front of it.
    let frame = largest.saturating_add(largest / 6).saturating_add(64);
    frame.clamp(SMALL_FRAME, snappy::MAX_MESSAGE)
}

/// What a peer is told whose frame is larger: the protocols' own reason if they agree on one, as one
/// cannot know which of them it was meant for.
fn oversize_reason(protocols: &[Running]) -> DisconnectReason {
    let reasons: Vec<_> = protocols.iter().map(|running| running.oversize).collect();
    match reasons.split_first() {
        Some((first, others)) if others.iter().all(|reason| reason == first) => *first,
        _ => DisconnectReason::ProtocolError,
    }
}

/// Makes the channel of one protocol, with its events and counters.
fn message_channel(
    running: &Running,
    peer: &Peer,
    outgoing: Arc<Queue<Outgoing>>,
    incoming: Arc<Queue<Outgoing>>,
    hub: Option<Arc<EventHub>>,
    watch: &Watch,
) -> MsgChannel {
    let event = {
        let (id, protocol) = (peer.id(), running.capability.clone());
        let (local, remote): (SocketAddr, SocketAddr) = (peer.local_addr(), peer.remote_addr());
        move |code, size| MessageEvent {
            peer: id,
            protocol: protocol.clone(),
            code,
            size,
            local,
            remote,
        }
    };
    let (on_sent_hub, on_taken_hub) = (hub.clone(), hub);
    let (sent_event, taken_event) = (event.clone(), event);
    let (counted, capability) = (peer.clone(), running.capability.clone());
    let (sent_watch, taken_watch) = (watch.clone(), watch.clone());
    let emit = |hub: &EventHub, event: PeerEvent, watch: &Watch| {
        if !hub.emit(&event) {
            watch.tell(|observer| observer.queue_full(QueueKind::MessageEvents));
        }
    };
    let on_sent = move |code, size| {
        counted.counters().message(&capability, code, false);
        sent_watch.tell(|observer| {
            let direction = Direction::Outbound;
            observer.message(&MessageSeen::new(direction, &capability, code, size));
        });
        if let Some(hub) = &on_sent_hub {
            emit(hub, PeerEvent::MessageSent(sent_event(code, size)), &sent_watch);
        }
    };
    let on_taken = move |code, size| {
        if let Some(hub) = &on_taken_hub {
            emit(hub, PeerEvent::MessageReceived(taken_event(code, size)), &taken_watch);
        }
    };
    MsgChannel::new(
        MsgSender::connected(outgoing, running.length, Box::new(on_sent), watch.clone()),
        MsgReceiver::connected(incoming, Box::new(on_taken)),
    )
}

/// Keeps the socket open until the peer has closed its side, so that the reason is read and not
/// lost to a reset; reads little and not for long (L-07).
pub(crate) struct Linger<R>(Box<Reader<R>>);

impl<R: AsyncRead + Unpin> Linger<R> {
    /// Waits for the peer's end, 4 KiB or the time limit, which is shorter when the server stops.
    pub(crate) async fn run(mut self, shutdown: &CancellationToken) {
        let stopping = async {
            shutdown.cancelled().await;
            sleep(LINGER_STOPPING).await;
        };
        tokio::select! {
            biased;
            () = stopping => {}
            () = Self::wait(&mut self.0, LINGER) => {}
        }
    }

    /// The same for a connection that had no session.
    pub(crate) async fn wait(reader: &mut Reader<R>, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut left = LINGER_BYTES;
        while left > 0 {
            match timeout_at(deadline, reader.discard(left)).await {
                Ok(Ok(read)) if read > 0 => left = left.saturating_sub(read),
                _ => return,
            }
        }
    }
}

/// Frames up to this size are read whatever the protocols take, in bytes: those of the base protocol.
const SMALL_FRAME: usize = 16 << 10;
/// How long queued messages may take before our disconnect follows (decision on the end of a
/// connection: one second).
const FLUSH: Duration = Duration::from_secs(1);
/// How long a reader may still take to find the peer's reason after a write has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a body may go on after its connection ended before it is aborted.
const BODY_GRACE: Duration = Duration::from_secs(4);
/// How long it may take to abort bodies.
const ABORT_GRACE: Duration = Duration::from_millis(250);
/// How long the socket stays open after our disconnect.
const LINGER: Duration = Duration::from_secs(2);
/// The same from the moment the whole server stops.
const LINGER_STOPPING: Duration = Duration::from_millis(500);
/// How much is still read then.
const LINGER_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use enode::SecretKey;
    use rlpx::{frame::MAX_SIZE, handshake::Randomness, stream};

    use super::*;

    /// L-07: not even a connection whose buffer has grown reads more than 4 KiB after the end, and
    /// what the buffer held is given back at once.
    #[tokio::test(start_paused = true)]
    async fn four_kib_are_read_after_the_end_however_much_comes() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (ours, theirs) = (SecretKey::random(), SecretKey::random());
        let randomness = || Randomness::generate(&mut rand::rng());
        let our_key = ours.public_key();
        let (near_reader, near_writer) = tokio::io::split(near);
        let (far_reader, far_writer) = tokio::io::split(far);
        let (near, far) = tokio::join!(
            stream::accept(near_reader, near_writer, &ours, randomness()),
            stream::connect(far_reader, far_writer, &theirs, &our_key, randomness()),
        );
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        near.reader.set_max_frame(MAX_SIZE);
        far.writer.push(16, &vec![0; 500_000], &mut snappy::Scratch::new()).unwrap();
        far.writer.flush().await.unwrap();
        while near.reader.buffered() < 200_000 {
            assert!(near.reader.try_frame().unwrap().is_none());
            near.reader.fill().await.unwrap();
        }
        assert!(near.reader.allocated() > 64 << 10, "{}", near.reader.allocated());
        let before = near.reader.buffered();

        Linger::wait(&mut near.reader, Duration::from_secs(2)).await;

        assert_eq!(near.reader.allocated(), 0);
        let rest = drain(&mut near.reader).await;
        let read = 500_000_usize.saturating_sub(before + rest);
        assert!(read <= 4 << 10, "{read}");
    }

    /// How much is there still to be read.
    async fn drain<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> usize {
        let mut sum = 0;
        while let Ok(Ok(read)) =
            timeout_at(Instant::now() + Duration::from_millis(1), reader.discard(usize::MAX)).await
        {
            sum += read;
        }
        sum
    }
}
