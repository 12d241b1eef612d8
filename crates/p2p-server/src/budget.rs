//! How much memory messages may hold before somebody must wait.
//!
//! ```text
//!   server   256 MiB   ≥ 75 %: frames over 64 KiB are let in one peer at a time
//!                      ≥ 100 %: only frames up to 4 KiB (ping, pong, disconnect) are read
//!   peer      33 MiB   reached: this peer's socket is not read until a protocol takes something
//! ```
//!
//! What counts is what is there: bytes that have arrived of a frame and room for the next 64 KiB of
//! it, and messages waiting for a protocol. Room for a decompressed message is found before it is
//! decompressed. A claim in a header counts for nothing.
//!
//! Messages of ours that wait to be written are not counted here: a peer that does not read makes
//! `send` wait, and is given up after twenty seconds.
//!
//! Spec: M-02 and M-03 of the hardening rules.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// The budget of all connections of a server.
pub(crate) struct ServerBudget {
    limit: usize,
    used: AtomicUsize,
    freed: Notify,
    large_turn: Arc<Semaphore>,
}

impl ServerBudget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            freed: Notify::new(),
            large_turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// The part of it that one connection may use.
    pub(crate) fn peer(self: &Arc<Self>) -> PeerBudget {
        PeerBudget { server: Arc::clone(self), used: Arc::new(AtomicUsize::new(0)) }
    }

    /// Bytes held now by all connections.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn above(&self, percent: usize) -> bool {
        self.used() >= self.limit / 100 * percent
    }
}

impl fmt::Debug for ServerBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBudget")
            .field("limit", &self.limit)
            .field("used", &self.used)
            .finish()
    }
}

/// One connection's share.
#[derive(Debug, Clone)]
pub(crate) struct PeerBudget {
    server: Arc<ServerBudget>,
    used: Arc<AtomicUsize>,
}

impl PeerBudget {
    /// A charge for nothing yet.
    pub(crate) fn charge(&self) -> Charge {
        Charge { budget: self.clone(), size: 0 }
    }

    /// Whether this connection has used up its own share, or nearly so.
    pub(crate) fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= PEER_LIMIT / 2
    }

    /// Waits until a frame of `whole` bytes may be read further. The turn, if one is needed, is put
    /// into `turn` and to be held until the frame is complete; one that was held for too long goes
    /// to the next in line first. Cancel-safe.
    pub(crate) async fn wait_for_turn(&self, whole: usize, turn: &mut Option<Turn>) {
        if self.has_turn(whole, turn.as_ref()) {
            return;
        }
        *turn = None;
        if self.needs_turn(whole) {
            let place = Arc::clone(&self.server.large_turn).acquire_owned().await;
            // The semaphore is never closed.
            *turn = place.ok().map(|place| Turn { _place: place, since: Instant::now() });
        }
    }

    /// Whether a frame of `whole` bytes may be read further with this turn, or without one.
    pub(crate) fn has_turn(&self, whole: usize, turn: Option<&Turn>) -> bool {
        match turn {
            Some(turn) => turn.since.elapsed() < TURN,
            None => !self.needs_turn(whole),
        }
    }

    /// Whether only one peer at a time may read a frame of `whole` bytes now.
    fn needs_turn(&self, whole: usize) -> bool {
        whole > LARGE && self.server.above(75)
    }
}

/// The right to read a large frame while the server is three quarters full.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    since: Instant,
}

/// Bytes counted against a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: PeerBudget,
    size: usize,
}

impl Charge {
    /// Waits until there is room for `size` bytes in place of those it counts, and counts them.
    /// `whole` is the size of the frame or message that they are a part of: a small one always finds
    /// room on the server, only not beyond its peer's own share.
    ///
    /// Cancel-safe: a cancelled call has changed nothing.
    pub(crate) async fn grow(&mut self, size: usize, whole: usize) {
        loop {
            let server = Arc::clone(&self.budget.server);
            let freed = server.freed.notified();
            if self.try_grow(size, whole) {
                return;
            }
            freed.await;
        }
    }

    /// The same without waiting; `false` when there is no room now.
    pub(crate) fn try_grow(&mut self, size: usize, whole: usize) -> bool {
        let Some(more) = size.checked_sub(self.size).filter(|more| *more > 0) else {
            self.shrink(size);
            return true;
        };
        let PeerBudget { server, used } = &self.budget;
        // A connection has one reader, and nobody else adds to its share.
        let ours = used.load(Ordering::Relaxed);
        if ours.saturating_add(more) > PEER_LIMIT {
            return false;
        }
        let found = server.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
            let sum = all.saturating_add(more);
            // Who is alone may go on, or a limit below one message would let none through.
            (whole <= SMALL || sum <= server.limit || all == ours).then_some(sum)
        });
        if found.is_err() {
            return false;
        }
        used.fetch_add(more, Ordering::Relaxed);
        self.size = size;
        true
    }

    /// Counts only `size` bytes from now on, if it counted more.
    pub(crate) fn shrink(&mut self, size: usize) {
        let Some(less) = self.size.checked_sub(size).filter(|less| *less > 0) else { return };
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.budget.server.used.fetch_sub(less, Ordering::Relaxed);
        self.size = size;
        self.budget.server.freed.notify_waiters();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// Frames up to this many bytes are always read.
const SMALL: usize = 4 << 10;
/// Frames over this many bytes take turns when memory is short.
const LARGE: usize = 64 << 10;
/// What one connection may hold, in bytes.
///
/// Two messages of the largest size and room for small ones.
const PEER_LIMIT: usize = 33 << 20;
/// What all connections together may hold unless configured otherwise, in bytes.
pub(crate) const SERVER_LIMIT: usize = 256 << 20;

/// How long a large frame may be read while others wait for their turn.
const TURN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A charge of `size` bytes, if there is room for them.
    fn charge(peer: &PeerBudget, size: usize) -> Option<Charge> {
        let mut charge = peer.charge();
        charge.try_grow(size, size).then_some(charge)
    }

    #[tokio::test]
    async fn a_peer_at_its_limit_waits_until_something_is_taken() {
        let server = ServerBudget::new(SERVER_LIMIT);
        let peer = server.peer();
        let held = charge(&peer, PEER_LIMIT).expect("room");
        let mut next = peer.charge();
        let mut waiting = Box::pin(next.grow(1, 1));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(charge(&server.peer(), 100).is_some());

        drop(held);

        waiting.await;
        assert_eq!(server.used(), 1);
        drop(next);
        assert_eq!(server.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn above_three_quarters_large_frames_take_turns() {
        let server = ServerBudget::new(100 * LARGE);
        let _held = charge(&server.peer(), 80 * LARGE).expect("room");
        let (one, two) = (server.peer(), server.peer());

        let (mut first, mut second, mut small) = (None, None, None);
        one.wait_for_turn(LARGE + 1, &mut first).await;
        assert!(first.is_some());
        let mut waiting = Box::pin(two.wait_for_turn(LARGE + 1, &mut second));
        assert!(waiting.as_mut().now_or_never().is_none());
        server.peer().wait_for_turn(LARGE, &mut small).await;
        assert!(small.is_none(), "no turn is needed");

        drop(first);
        waiting.await;
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_takes_too_long_goes_to_the_next() {
        let server = ServerBudget::new(100 * LARGE);
        let _held = charge(&server.peer(), 80 * LARGE).expect("room");
        let (slow, other) = (server.peer(), server.peer());
        let (mut first, mut second) = (None, None);
        slow.wait_for_turn(LARGE + 1, &mut first).await;
        let mut waiting = Box::pin(other.wait_for_turn(LARGE + 1, &mut second));
        assert!(waiting.as_mut().now_or_never().is_none());

        tokio::time::advance(TURN).await;
        let mut again = Box::pin(slow.wait_for_turn(LARGE + 1, &mut first));
        assert!(again.as_mut().now_or_never().is_none(), "it is the other one's turn");

        waiting.await;
        drop(second);
        again.await;
    }

    #[tokio::test]
    async fn a_full_server_reads_small_frames_only() {
        let server = ServerBudget::new(1 << 20);
        let _held = charge(&server.peer(), 1 << 20).expect("room");

        assert!(charge(&server.peer(), SMALL).is_some());
        assert!(charge(&server.peer(), SMALL + 1).is_none());
    }

    #[tokio::test]
    async fn a_message_over_the_whole_limit_passes_alone() {
        let server = ServerBudget::new(1 << 20);
        let peer = server.peer();
        let raw = charge(&peer, 1 << 20).expect("room");

        let payload = charge(&peer, 16 << 20);

        assert!(payload.is_some(), "nobody else holds anything");
        drop((raw, payload));
        assert_eq!(server.used(), 0);
    }
}
