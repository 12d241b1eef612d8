//! The writer task: takes messages out of the queues and puts frames on the wire.
//!
//! ```text
//!   base queue ──▶ ┐
//!   protocol 0 ──▶ ├─ next ─▶ compress ─▶ frame ─▶ output buffer ─▶ one write
//!   protocol 1 ──▶ ┘  base first, then in turn     until 64 KiB
//! ```
//!
//! No timer and no wait before a write: a lone message goes out at once, and what queued up while
//! the socket was busy goes out together. When the session ends with a reason, the queues are
//! emptied first, for a second at most, then the disconnect follows.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rlpx::{snappy::ScratchPool, stream::Writer};
use tokio::{
    io::AsyncWrite,
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::{End, TapOf};
use crate::{
    DisconnectReason, Peer, base,
    channel::Outgoing,
    queue::{Limits, Popped, Queue},
};

/// What the writer is to do with its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// Go on.
    Open,
    /// Empty the queues, send this, and end; give up at the deadline.
    Gracefully { reason: DisconnectReason, deadline: Instant },
    /// End now.
    Now,
}

/// The queues a connection writes from.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    /// Wakes the writer, whichever queue has something.
    pub(crate) ready: Arc<Notify>,
    /// Pings and pongs.
    pub(crate) base: Arc<Queue<Outgoing>>,
    /// One lane for each protocol: its queue and its first code on the wire.
    pub(crate) lanes: Vec<(Arc<Queue<Outgoing>>, u64)>,
}

impl Outbox {
    /// An outbox with a lane for each of these offsets.
    pub(crate) fn new(offsets: impl Iterator<Item = u64>) -> Self {
        let ready = Arc::new(Notify::new());
        let queue = |limits| Arc::new(Queue::with_ready(limits, Arc::clone(&ready)));
        let base = queue(BASE_LIMITS);
        let lanes = offsets.map(|offset| (queue(crate::channel::DEFAULT_LIMITS), offset)).collect();
        Self { base, lanes, ready }
    }

    /// All its queues.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Arc<Queue<Outgoing>>> {
        self.lanes.iter().map(|(lane, _)| lane).chain([&self.base])
    }

    /// Lets nothing more in; what is inside still goes out.
    pub(crate) fn close(&self) {
        self.base.close();
        self.lanes.iter().for_each(|(lane, _)| lane.close());
    }

    /// Lets nothing more in and drops what is inside.
    pub(crate) fn clear(&self) {
        self.base.close_and_clear();
        self.lanes.iter().for_each(|(lane, _)| lane.close_and_clear());
    }
}

/// The task that owns the writing half.
pub(crate) struct WriterTask<W> {
    pub(crate) writer: Writer<W>,
    pub(crate) outbox: Outbox,
    pub(crate) closing: watch::Receiver<Close>,
    pub(crate) scratch: ScratchPool,
    pub(crate) peer: Peer,
    pub(crate) tap: Option<TapOf>,
    /// The lane to look at first.
    pub(crate) turn: usize,
    /// Messages of each lane in the output buffer, which are done when it is written.
    pub(crate) batch: Vec<u64>,
}

impl<W: AsyncWrite + Unpin> WriterTask<W> {
    /// Writes until told to end; an error is what ended it instead.
    pub(crate) async fn run(&mut self) -> Result<(), End> {
        loop {
            let close = *self.closing.borrow_and_update();
            match close {
                Close::Now => return Ok(()),
                Close::Gracefully { reason, deadline } => {
                    return self.finish(reason, deadline).await;
                }
                Close::Open => {}
            }
            if self.encode()? == 0 {
                self.mark_done();
                self.wait().await;
                continue;
            }
            let mut closing = self.closing.clone();
            tokio::select! {
                biased;
                _ = closing.changed() => {}
                written = self.write_batch() => written?,
            }
        }
    }

    /// Encodes what waits, up to the size of a batch; returns how many bytes are to be written.
    fn encode(&mut self) -> Result<usize, End> {
        if self.writer.pending().len() >= BATCH {
            return Ok(self.writer.pending().len());
        }
        let mut scratch = self.scratch.lend();
        while self.writer.pending().len() < BATCH {
            let Some((lane, offset, message)) = self.next() else { break };
            let before = self.writer.pending().len();
            let code = offset.saturating_add(message.code);
            // Also when it is left out below, or whoever waits for it would wait for ever.
            if let Some(count) = lane.and_then(|lane| self.batch.get_mut(lane)) {
                *count = count.saturating_add(1);
            }
            match self.writer.push(code, &message.payload, &mut scratch) {
                Ok(size) => self.peer.counters().sent(size),
                // Incompressible data just under the limit: the message cannot travel, the
                // connection can.
                Err(error) => {
                    tracing::warn!(peer = %self.peer.id().short(), code, %error, "message not sent");
                    continue;
                }
            }
            if let Some(tap) = &self.tap {
                let wire = self.writer.pending().get(before..).unwrap_or_default();
                tap.frame(true, code, message.payload, Bytes::copy_from_slice(wire));
            }
        }
        Ok(self.writer.pending().len())
    }

    /// The next message: the base protocol's first, then the lanes' in turn.
    fn next(&mut self) -> Option<(Option<usize>, u64, Outgoing)> {
        if let Popped::Item(message) = self.outbox.base.try_pop() {
            return Some((None, 0, message));
        }
        let lanes = self.outbox.lanes.len();
        for step in 0..lanes {
            let lane = (self.turn + step) % lanes;
            let (queue, offset) = &self.outbox.lanes[lane];
            if let Popped::Item(message) = queue.try_pop() {
                self.turn = lane + 1;
                return Some((Some(lane), *offset, message));
            }
        }
        None
    }

    /// Writes the output buffer out. Within any twenty seconds the peer must take twenty KiB of it,
    /// or what is left (L-04).
    async fn write_batch(&mut self) -> Result<(), End> {
        while !self.writer.pending().is_empty() {
            timeout_at(Instant::now() + WRITE_TIMEOUT, self.write_portion())
                .await
                .map_err(|_| End::WriteTimeout)?
                .map_err(End::Io)?;
        }
        self.mark_done();
        Ok(())
    }

    async fn write_portion(&mut self) -> io::Result<()> {
        let mut taken = 0_usize;
        while taken < PORTION && !self.writer.pending().is_empty() {
            taken = taken.saturating_add(self.writer.write_some().await?);
        }
        Ok(())
    }

    fn mark_done(&mut self) {
        for (count, (queue, _)) in self.batch.iter_mut().zip(&self.outbox.lanes) {
            queue.mark_done(std::mem::take(count));
        }
    }

    /// Waits for something to write, giving back a grown buffer after some idle seconds.
    async fn wait(&mut self) {
        let idle = Instant::now() + IDLE_SHRINK;
        tokio::select! {
            biased;
            _ = self.closing.changed() => return,
            () = self.outbox.ready.notified() => return,
            () = sleep_until(idle) => self.writer.shrink(),
        }
        tokio::select! {
            biased;
            _ = self.closing.changed() => {}
            () = self.outbox.ready.notified() => {}
        }
    }

    /// Empties the queues, says goodbye and closes our direction.
    async fn finish(&mut self, reason: DisconnectReason, deadline: Instant) -> Result<(), End> {
        let flush = async {
            while self.encode()? > 0 {
                self.write_batch().await?;
            }
            Ok::<(), End>(())
        };
        let flushed = timeout_at(deadline, flush).await;
        if !matches!(flushed, Ok(Ok(()))) && !self.writer.pending().is_empty() {
            // A frame is stuck half-way: nothing can follow it.
            return Ok(());
        }
        if self.push_disconnect(reason) {
            // A peer that does not take it in time does not learn it. After a long flush there is
            // less time, so that both together stay under what `stop` may take.
            let limit =
                (Instant::now() + DISCONNECT_TIMEOUT).min(deadline + DISCONNECT_TIMEOUT / 2);
            let _ = timeout_at(limit, self.writer.shutdown()).await;
        }
        Ok(())
    }

    /// Encodes our disconnect. Not async, so that the compressor is no part of the task's memory.
    fn push_disconnect(&mut self, reason: DisconnectReason) -> bool {
        let payload = base::encode_disconnect(reason);
        let mut scratch = self.scratch.lend();
        let pushed = self.writer.push(base::DISCONNECT, &payload, &mut scratch).is_ok();
        if pushed && let Some(tap) = &self.tap {
            let wire = Bytes::copy_from_slice(self.writer.pending());
            tap.frame(true, base::DISCONNECT, payload, wire);
        }
        pushed
    }
}

/// Pings and pongs that may wait to be written (M-05).
///
/// bound: 16 messages; then reading from the peer stops until one is written.
const BASE_LIMITS: Limits = Limits { messages: 16, bytes: 64 << 10 };
/// The output buffer is written when it has grown to this many bytes, or nothing more waits.
const BATCH: usize = 64 << 10;
/// How long a peer may take for a portion, or for less when that is all (L-04).
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// A portion, in bytes: the slowest reader we put up with takes a KiB a second.
const PORTION: usize = 20 << 10;
/// How long the disconnect message may take.
///
/// Source: ethereum/go-ethereum:p2p/transport.go, `discWriteTimeout`.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After this much idleness a grown buffer is given back.
const IDLE_SHRINK: Duration = Duration::from_secs(2);
