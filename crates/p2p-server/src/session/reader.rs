//! The reader task: takes frames off the wire and hands messages to the protocols.
//!
//! ```text
//!   socket ─▶ fill ─▶ frame ─▶ inlet          a frame at a time
//!              ▲ deadline, pace, memory
//! ```
//!
//! While the inlet waits for a protocol nothing is read, and the clock that watches the peer rests.
//!
//! Waits that are rare are boxed, so that they are no part of the task's memory while it idles.

use std::time::Duration;

use rlpx::{frame::Frame, stream::Reader};
use tokio::{
    io::AsyncRead,
    sync::watch,
    task,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Close, End,
    inlet::{Inbound, Inlet},
};
use crate::{
    DisconnectReason, QueueKind,
    budget::{Charge, PeerBudget, Turn},
};

/// The task that owns the reading half.
pub(crate) struct ReaderTask<R> {
    pub(crate) reader: Reader<R>,
    pub(crate) first_frame: Option<Frame>,
    pub(crate) inlet: Inlet,
    /// What a peer is told whose frame is larger than any of its protocols takes.
    pub(crate) oversize: DisconnectReason,
    pub(crate) closing: watch::Receiver<Close>,
}

impl<R: AsyncRead + Unpin> ReaderTask<R> {
    /// Reads until the session ends, or something ends it.
    pub(crate) async fn run(&mut self) -> Option<End> {
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            _ = closing.wait_for(|close| *close != Close::Open) => None,
            end = self.pump() => Some(end),
        }
    }

    async fn pump(&mut self) -> End {
        let mut work = Work::default();
        let mut intake = Intake::new(self.inlet.budget.charge());
        loop {
            let next = match self.first_frame.take() {
                Some(frame) => Ok(Some(frame)),
                None => self.reader.try_frame(),
            };
            let step = match next {
                Ok(Some(frame)) => {
                    let size = frame.size;
                    let done = self.take(frame, &mut intake).await;
                    if work.is_enough(size) {
                        // Decoding from memory never yields by itself, and others want to run.
                        task::yield_now().await;
                    }
                    done
                }
                Ok(None) => self.fill(&mut intake).await,
                Err(error) => return End::from_frame_of(error, self.oversize),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Deals with one frame, waiting for memory and for its protocol.
    async fn take(&mut self, frame: Frame, intake: &mut Intake) -> Result<(), End> {
        let message = self.inlet.open(frame).await?;
        // The frame is gone; only its message is left, and that has a charge of its own.
        intake.charge.shrink(self.reader.buffered());
        intake.turn = None;
        if let Some(waiting) = message.and_then(Inbound::offer) {
            self.inlet.tell_full(QueueKind::ProtocolIn);
            // This may take long, and the budget does not know of an empty buffer.
            if self.reader.allocated() > LARGE_BUFFER {
                self.reader.shrink();
            }
            Box::pin(waiting.deliver()).await?;
        }
        intake.pace = Pace::new(Instant::now());
        Ok(())
    }

    /// Reads once from the socket, or lets a deadline pass.
    async fn fill(&mut self, intake: &mut Intake) -> Result<(), End> {
        let announced = self.reader.announced();
        if let Some(size) = announced {
            make_room(&self.inlet.budget, size, self.reader.buffered(), intake).await?;
        }
        let deadline = intake.pace.deadline(Instant::now(), announced.is_some())?;
        match timeout_at(deadline, self.reader.fill()).await {
            Ok(Ok(0)) => Err(End::Eof),
            Ok(Ok(read)) => {
                intake.pace.received(read);
                Ok(())
            }
            Ok(Err(error)) => Err(End::Io(error)),
            Err(_) => {
                self.reader.shrink();
                intake.pace.on_deadline(announced.is_some())
            }
        }
    }
}

/// Waits until the next part of a frame of `size` bytes may be read, of which so many are there.
async fn make_room(
    budget: &PeerBudget,
    size: usize,
    buffered: usize,
    intake: &mut Intake,
) -> Result<(), End> {
    let next = buffered.saturating_add(size.min(STEP));
    if budget.has_turn(size, intake.turn.as_ref()) && intake.charge.try_grow(next, size) {
        return Ok(());
    }
    let Intake { charge, turn, pace } = intake;
    let began = Instant::now();
    let room = async {
        budget.wait_for_turn(size, turn).await;
        charge.grow(next, size).await;
    };
    Box::pin(timeout(STUCK, room)).await.map_err(|_| End::budget(budget))?;
    // The time we did not read is not the peer's.
    pace.excuse(began.elapsed());
    Ok(())
}

/// What belongs to the frame that is being read.
#[derive(Debug)]
struct Intake {
    pace: Pace,
    charge: Charge,
    turn: Option<Turn>,
}

impl Intake {
    fn new(charge: Charge) -> Self {
        Self { pace: Pace::new(Instant::now()), charge, turn: None }
    }
}

/// How much was decoded since others last had a turn.
#[derive(Debug, Default)]
struct Work {
    frames: usize,
    bytes: usize,
}

impl Work {
    fn is_enough(&mut self, size: usize) -> bool {
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        let enough = self.frames >= YIELD_FRAMES || self.bytes >= YIELD_BYTES;
        if enough {
            *self = Self::default();
        }
        enough
    }
}

/// Whether what comes in comes fast enough.
///
/// Until a header has arrived, thirty seconds in all, which is also how silence is noticed. Once one
/// has, a KiB a second over every ten seconds (L-03).
#[derive(Debug)]
struct Pace {
    started: Instant,
    body: Option<(Instant, usize)>,
    shrunk: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { started: now, body: None, shrunk: false }
    }

    /// When to look again, at the latest.
    fn deadline(&mut self, now: Instant, in_body: bool) -> Result<Instant, End> {
        if !in_body {
            let idle = self.started + IDLE;
            return Ok(if self.shrunk { idle } else { idle.min(self.started + IDLE_SHRINK) });
        }
        let (since, bytes) = *self.body.get_or_insert((now, 0));
        let end = since + PROGRESS_WINDOW;
        if now < end {
            return Ok(end);
        }
        if bytes < PROGRESS_BYTES {
            return Err(End::ReadTimeout);
        }
        self.body = Some((now, 0));
        Ok(now + PROGRESS_WINDOW)
    }

    fn on_deadline(&mut self, in_body: bool) -> Result<(), End> {
        if in_body {
            // The next deadline judges the window.
            return Ok(());
        }
        if self.shrunk {
            return Err(End::ReadTimeout);
        }
        self.shrunk = true;
        Ok(())
    }

    /// So much of the time was ours.
    fn excuse(&mut self, time: Duration) {
        self.started += time;
        if let Some((since, _)) = &mut self.body {
            *since += time;
        }
    }

    fn received(&mut self, bytes: usize) {
        if let Some((_, sum)) = &mut self.body {
            *sum = sum.saturating_add(bytes);
        }
    }
}

/// How long a connection may be silent.
///
/// Source: ethereum/go-ethereum:p2p/transport.go, `frameReadTimeout`.
const IDLE: Duration = Duration::from_secs(30);
/// After this much silence a grown buffer is given back.
const IDLE_SHRINK: Duration = Duration::from_secs(2);
/// The time over which a frame's progress is averaged.
const PROGRESS_WINDOW: Duration = Duration::from_secs(10);
/// What must arrive in that time, in bytes.
const PROGRESS_BYTES: usize = 10 << 10;
/// How long memory may be short.
const STUCK: Duration = Duration::from_secs(30);
/// A buffer over this size is not kept for a time without reading, in bytes.
const LARGE_BUFFER: usize = 256 << 10;
/// How much one read may bring, in bytes.
const STEP: usize = 64 << 10;
/// After so many frames, or so many bytes, others have a turn.
const YIELD_FRAMES: usize = 64;
const YIELD_BYTES: usize = 256 << 10;
