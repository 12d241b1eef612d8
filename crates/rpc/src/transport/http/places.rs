//! How many connections a listener serves at a time, and who goes when there is no room.
//!
//! ```text
//!   newcomer ── a place is free ──────────▶ served
//!            └─ none: who has idled longest, a second at least, is asked to go; the newcomer waits,
//!               and behind it the others wait in the system's queue, without a task and without a byte
//! ```
//!
//! Clients such as go-ethereum's open hundreds of connections at once and take a closed one for an
//! error, so nobody is turned away.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::activity::Activity;

/// See the module's comment.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug)]
struct Taken {
    // bound: `limit`, then newcomers wait
    connections: HashMap<u64, Arc<Activity>>,
    last: u64,
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    /// So many places, one at least.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        // bound: see the field
        let taken = Taken { connections: HashMap::new(), last: 0 };
        Arc::new(Self { limit: limit.max(1), taken: Mutex::new(taken), freed: Notify::new() })
    }

    /// A place, as soon as there is one. Cancel safe.
    pub(super) async fn take(self: &Arc<Self>, activity: &Arc<Activity>) -> Place {
        loop {
            if let Some(place) = self.try_take(activity) {
                return place;
            }
            let next = self.make_room(Instant::now());
            let _ = tokio::time::timeout_at(next, self.freed.notified()).await;
        }
    }

    fn try_take(self: &Arc<Self>, activity: &Arc<Activity>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.connections.len() >= self.limit {
            return None;
        }
        taken.last = taken.last.wrapping_add(1);
        let number = taken.last;
        taken.connections.insert(number, Arc::clone(activity));
        Some(Place { places: Arc::clone(self), number })
    }

    /// Asks the connection to go that has idled longest, if any has for long enough. Returns when to
    /// look again, should no place become free before.
    fn make_room(&self, now: Instant) -> Instant {
        let taken = self.taken();
        let idle = taken.connections.values();
        let idle = idle.filter_map(|activity| Some((activity.idle_since()?, activity)));
        match idle.min_by_key(|(since, _)| *since) {
            Some((since, activity)) if since + IDLE_LEAST <= now => {
                activity.close.cancel();
                now + IDLE_LEAST
            }
            Some((since, _)) => since + IDLE_LEAST,
            None => now + IDLE_LEAST,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().connections.remove(&self.number);
        self.places.freed.notify_one();
    }
}

/// A client that has just been answered often has its next request on the way.
const IDLE_LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::new(crate::HttpTimeouts::default(), CancellationToken::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_idled_longest_is_asked_to_go_and_nobody_who_is_busy() {
        let places = Places::new(3);
        let [busy, idle] = [activity(), activity()];
        let _busy_place = places.take(&busy).await;
        busy.on_request();
        let idle_place = places.take(&idle).await;
        tokio::time::advance(Duration::from_millis(10)).await;
        let newer = activity();
        let _newer_place = places.take(&newer).await;

        let leaves = async {
            idle.close.cancelled().await;
            drop(idle_place);
        };
        let (start, newcomer) = (Instant::now(), activity());
        let (_place, ()) = tokio::join!(places.take(&newcomer), leaves);

        assert!(!busy.close.is_cancelled() && !newer.close.is_cancelled());
        assert!(start.elapsed() >= Duration::from_millis(990), "it idled for a second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_for_a_busy_connection_as_long_as_it_takes() {
        let places = Places::new(1);
        let busy = activity();
        let place = places.take(&busy).await;
        busy.on_request();

        let newcomer = activity();
        let waiting = tokio::time::timeout(Duration::from_secs(60), places.take(&newcomer)).await;
        drop(place);

        assert!(waiting.is_err() && !busy.close.is_cancelled());
        places.take(&newcomer).await;
    }
}
