//! Where frames go: to the base protocol, or to the protocol whose code they carry.
//!
//! ```text
//!   frame ─▶ base?  ── ping ──────▶ pong into the base queue
//!              │     ── pong ──────▶ round trip
//!              │     ── disconnect ▶ the session ends
//!              └─ protocol's ─▶ size ─▶ decompress ─▶ its queue ─▶ body
//! ```
//!
//! Pings are answered here, so they never wait for a protocol, until a protocol's queue is full:
//! then nothing more is read, as one ordered stream allows nothing else. Thirty seconds without the
//! protocol taking anything end the session.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rlpx::{FrameError, frame::Frame, snappy};
use tokio::time::{Instant, timeout};

use super::{Alive, End, Running, TapOf};
use crate::{
    Direction, DisconnectReason, MessageSeen, Peer, QueueKind, base,
    budget::PeerBudget,
    channel::Outgoing,
    observer::Watch,
    queue::{Queue, Refused},
    reputation::Offence,
};

/// Sorts what comes in and puts it where it belongs.
pub(crate) struct Inlet {
    /// Where pongs go.
    pub(crate) base: Arc<Queue<Outgoing>>,
    pub(crate) protocols: Arc<Vec<Running>>,
    /// One queue for each protocol.
    pub(crate) inbound: Vec<Arc<Queue<Outgoing>>>,
    pub(crate) alive: Alive,
    pub(crate) budget: PeerBudget,
    pub(crate) peer: Peer,
    pub(crate) tap: Option<TapOf>,
    /// Whether payloads are compressed.
    pub(crate) compressed: bool,
    pub(crate) watch: Watch,
}

impl Inlet {
    /// Takes one frame: a message for a protocol comes back, everything else is dealt with. An error
    /// ends the session.
    pub(crate) async fn open(&self, frame: Frame) -> Result<Option<Inbound<'_>>, End> {
        self.peer.counters().received(frame.size);
        if frame.code < crate::capability::BASE_LENGTH {
            return Box::pin(self.on_base(frame)).await.map(|()| None);
        }
        let owner = self.protocols.iter().zip(&self.inbound).find(|(running, _)| {
            frame.code.checked_sub(running.offset).is_some_and(|code| code < running.length)
        });
        let Some((running, queue)) = owner else {
            let text = format!("msg code out of range: {}", frame.code);
            return Err(End::Breach { text, offence: Offence::BadMessageCode });
        };
        let limit = Limit { size: running.max_message, reason: running.oversize };
        let size = self.payload_len(&frame, limit)?;
        let mut charge = self.budget.charge();
        if !charge.try_grow(size, size) {
            let room = Box::pin(timeout(STUCK, charge.grow(size, size))).await;
            room.map_err(|_| End::budget(&self.budget))?;
        }
        let message = Outgoing {
            code: frame.code.saturating_sub(running.offset),
            payload: self.payload(&frame, limit)?,
            charge: Some(charge),
        };
        self.peer.counters().message(&running.capability, message.code, true);
        self.watch.tell(|observer| {
            let (protocol, code) = (&running.capability, message.code);
            observer.message(&MessageSeen::new(Direction::Inbound, protocol, code, size));
        });
        Ok(Some(Inbound { running, queue, message }))
    }

    /// Something has to wait for room in this queue.
    pub(crate) fn tell_full(&self, queue: QueueKind) {
        self.watch.tell(|observer| observer.queue_full(queue));
    }

    async fn on_base(&self, frame: Frame) -> Result<(), End> {
        let now = Instant::now().into_std();
        match frame.code {
            base::DISCONNECT => {
                let reason = base::read_disconnect(&frame.body, self.compressed);
                if let Some(tap) = &self.tap {
                    let payload = Bytes::copy_from_slice(&frame.body);
                    tap.frame(false, frame.code, payload, frame.wire.unwrap_or_default());
                }
                Err(End::Remote(reason))
            }
            base::PING => {
                self.payload(&frame, BASE_MESSAGE)?;
                self.alive.lock().on_ping(now)?;
                let pong = Outgoing {
                    code: base::PONG,
                    payload: Bytes::from_static(base::EMPTY_LIST),
                    charge: None,
                };
                // Waits while sixteen answers wait to be written: a peer that pings and does not
                // read is not read either (M-05). A closed queue means the session ends anyway.
                if let Err(Refused::Full(pong)) = self.base.try_push(pong, || ()) {
                    self.tell_full(QueueKind::Base);
                    let _ = self.base.push(pong, || ()).await;
                }
                Ok(())
            }
            base::PONG => {
                self.payload(&frame, BASE_MESSAGE)?;
                if let Some(time) = self.alive.lock().on_pong(now) {
                    self.peer.counters().set_round_trip(time);
                }
                Ok(())
            }
            // A second hello, or a code nobody has given a meaning (L-09): not even looked at.
            _ => {
                self.show_ignored(frame);
                Ok(())
            }
        }
    }

    /// How long the payload will be in clear, checked before memory is set aside for it.
    fn payload_len(&self, frame: &Frame, limit: Limit) -> Result<usize, End> {
        let size = frame.body.len();
        let checked = if self.compressed {
            snappy::payload_len(&frame.body, limit.size)
        } else if size > limit.size {
            Err(FrameError::TooLarge { size, limit: limit.size })
        } else {
            Ok(size)
        };
        checked.map_err(|error| End::from_frame_of(error, limit.reason))
    }

    /// The payload in clear.
    fn payload(&self, frame: &Frame, limit: Limit) -> Result<Bytes, End> {
        self.payload_len(frame, limit)?;
        let payload = if self.compressed {
            snappy::decompress(&frame.body, limit.size).map_err(End::from_frame)?
        } else {
            Bytes::copy_from_slice(&frame.body)
        };
        if let Some(tap) = &self.tap {
            tap.frame(false, frame.code, payload.clone(), frame.wire.clone().unwrap_or_default());
        }
        Ok(payload)
    }

    fn show_ignored(&self, frame: Frame) {
        if let Some(tap) = &self.tap {
            let body = Bytes::copy_from_slice(&frame.body);
            let payload = match snappy::decompress(&body, BASE_MESSAGE.size) {
                Ok(payload) if self.compressed => payload,
                _ => body,
            };
            tap.frame(false, frame.code, payload, frame.wire.unwrap_or_default());
        }
    }
}

/// How large a payload may be, in bytes, and what a peer is told whose payload is larger.
#[derive(Clone, Copy)]
struct Limit {
    size: usize,
    reason: DisconnectReason,
}

/// A message on its way to a protocol's queue.
pub(crate) struct Inbound<'a> {
    running: &'a Running,
    queue: &'a Queue<Outgoing>,
    message: Outgoing,
}

impl Inbound<'_> {
    /// Puts the message into the queue; it comes back when the queue is full.
    pub(crate) fn offer(self) -> Option<Self> {
        match self.queue.try_push(self.message, || ()) {
            Err(Refused::Full(message)) => Some(Self { message, ..self }),
            // With a closed queue the body has stopped reading; the session goes on until it ends.
            Ok(()) | Err(Refused::Closed) => None,
        }
    }

    /// The same, waiting as long as the protocol takes something now and then.
    pub(crate) async fn deliver(mut self) -> Result<(), End> {
        let mut seen = self.queue.taken();
        loop {
            let (queue, stuck) = (self.queue, End::Stuck(self.running.capability.clone()));
            match self.offer() {
                Some(back) => self = back,
                None => return Ok(()),
            }
            seen = timeout(STUCK, queue.progress(seen)).await.map_err(|_| stuck)?;
        }
    }
}

/// How long a protocol may take nothing while its queue is full, or memory be short.
const STUCK: Duration = Duration::from_secs(30);
/// The largest ping or pong, in bytes of payload: it is an empty list, with room for a newer form.
const BASE_MESSAGE: Limit = Limit { size: 1 << 10, reason: DisconnectReason::ProtocolError };
