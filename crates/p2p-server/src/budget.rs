//! How much memory messages may hold before somebody must wait.
//!
//! ```text
//!   server   256 MiB   ≥ 75 %: frames over 64 KiB are let in one peer at a time
//!                      ≥ 100 %: only frames up to 4 KiB (ping, pong, disconnect) are read
//!   peer      33 MiB   reached: this peer's socket is not read until a protocol takes something
//! ```
//!
//! What counts is what is there: bytes that have arrived of a frame, and messages waiting for a
//! protocol. A claim in a header counts for nothing.
//!
//! Spec: M-02 and M-03 of the hardening rules.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

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
    /// Counts `size` bytes as held until the charge is dropped.
    pub(crate) fn charge(&self, size: usize) -> Charge {
        let mut charge = Charge { budget: self.clone(), size: 0 };
        charge.resize(size);
        charge
    }

    /// Waits until a frame of `size` bytes may be read further. The turn, if one was needed, is to
    /// be held until the frame is complete. Cancel-safe.
    pub(crate) async fn admit(&self, size: usize) -> Option<Turn> {
        loop {
            let freed = self.server.freed.notified();
            if !self.must_wait(size) {
                break;
            }
            freed.await;
        }
        if size > LARGE && self.server.above(75) {
            // The semaphore is never closed.
            return Arc::clone(&self.server.large_turn).acquire_owned().await.ok().map(Turn);
        }
        None
    }

    /// Whether a frame of `size` bytes would have to wait now.
    pub(crate) fn must_wait(&self, size: usize) -> bool {
        let peer_full = self.used.load(Ordering::Relaxed) >= PEER_LIMIT;
        peer_full || (size > SMALL && self.server.above(100))
    }
}

/// The right to read a large frame while the server is three quarters full.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// Bytes counted against a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: PeerBudget,
    size: usize,
}

impl Charge {
    /// Counts `size` bytes from now on instead of what it counted before.
    pub(crate) fn resize(&mut self, size: usize) {
        if size >= self.size {
            let more = size - self.size;
            self.budget.used.fetch_add(more, Ordering::Relaxed);
            self.budget.server.used.fetch_add(more, Ordering::Relaxed);
        } else {
            let less = self.size - size;
            self.budget.used.fetch_sub(less, Ordering::Relaxed);
            self.budget.server.used.fetch_sub(less, Ordering::Relaxed);
            self.budget.server.freed.notify_waiters();
        }
        self.size = size;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.resize(0);
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_peer_at_its_limit_waits_until_something_is_taken() {
        let server = ServerBudget::new(SERVER_LIMIT);
        let peer = server.peer();
        let charge = peer.charge(PEER_LIMIT);
        let mut waiting = Box::pin(peer.admit(100));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(server.peer().admit(100).now_or_never().is_some());

        drop(charge);

        assert!(waiting.await.is_none());
        assert_eq!(server.used(), 0);
    }

    #[tokio::test]
    async fn above_three_quarters_large_frames_take_turns() {
        let server = ServerBudget::new(100 * LARGE);
        let _held = server.peer().charge(80 * LARGE);

        let first = server.peer().admit(LARGE + 1).await.expect("a turn");
        let peer = server.peer();
        let mut second = Box::pin(peer.admit(LARGE + 1));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(server.peer().admit(LARGE).now_or_never().is_some());
        drop(first);

        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn a_full_server_reads_small_frames_only() {
        let server = ServerBudget::new(1 << 20);
        let _held = server.peer().charge(1 << 20);

        assert!(server.peer().admit(SMALL).now_or_never().is_some());
        assert!(server.peer().admit(SMALL + 1).now_or_never().is_none());
    }
}
