//! The worker: takes requests it can do, mines them on threads of their own, and remembers what it gave
//! away until it is thanked.
//!
//! ```text
//!   request ─▶ within my skills? ─▶ a free place? ─▶ thread: mine ─┬▶ result, remembered until thanks
//!                    │ no                │ no          time over? ─┴▶ gave up
//!                    ▼ too hard          ▼ busy        peer gone?  ─▶ thread stops
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2p_server::{ProtocolError, protocols::TypedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::messages::{Code, Demo, Id, Request, Skills, Solution, Status};
use super::work;

/// How much a worker does.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What it says it can do.
    pub skills: Skills,
    /// Jobs at a time, each on a thread.
    pub max_jobs: usize,
    /// How long it tries.
    pub max_time: Duration,
}

/// One node's worker, for all its peers.
#[derive(Debug)]
pub struct Worker {
    skills: watch::Sender<Skills>,
    places: Arc<Semaphore>,
    max_time: Duration,
    // bound: MAX_UNTHANKED, then the oldest is forgotten; each for MAX_WAIT at most
    unthanked: Mutex<VecDeque<(Id, Instant)>>,
    thanks: AtomicU64,
}

/// A request that was accepted. It holds its place until its thread has ended.
#[derive(Debug)]
pub struct Job {
    request: Request,
    place: OwnedSemaphorePermit,
}

impl Worker {
    /// A worker without jobs.
    pub fn new(limits: Limits) -> Self {
        Self {
            skills: watch::Sender::new(limits.skills),
            places: Arc::new(Semaphore::new(limits.max_jobs)),
            max_time: limits.max_time,
            unthanked: Mutex::default(),
            thanks: AtomicU64::new(0),
        }
    }

    /// What it can do, now and whenever that changes.
    pub fn skills(&self) -> watch::Receiver<Skills> {
        self.skills.subscribe()
    }

    /// Takes requests up to this difficulty from now on.
    pub fn set_difficulty(&self, difficulty: u8) {
        self.skills.send_modify(|skills| skills.difficulty = difficulty);
    }

    /// How often it was thanked for a result, in time.
    pub fn thanks(&self) -> u64 {
        self.thanks.load(Ordering::Relaxed)
    }

    /// Takes a request.
    ///
    /// # Errors
    ///
    /// The status that refuses it.
    pub fn accept(&self, request: Request) -> Result<Job, Status> {
        let skills = *self.skills.borrow();
        let refused = |code| Status { id: request.id, code };
        if request.difficulty > skills.difficulty
            || request.data.len() > usize::from(skills.max_size)
        {
            return Err(refused(Code::TooHard));
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Job { request, place }),
            Err(_) => Err(refused(Code::Busy)),
        }
    }

    /// Does a job and tells whoever asked. Dropped before it is done, it stops the thread.
    ///
    /// # Errors
    ///
    /// When the peer has gone.
    pub async fn work(&self, job: Job, to: TypedSender<Demo>) -> Result<(), ProtocolError> {
        let Job { request: Request { id, data, difficulty }, place } = job;
        let stop = StopOnDrop::default();
        let flag = Arc::clone(&stop.0);
        // The place goes to the thread and comes back: a thread that still runs still takes one.
        let mut mining = spawn_blocking(move || (work::mine(&data, difficulty, &flag), place));
        let mined = match timeout(self.max_time, &mut mining).await {
            Ok(mined) => mined,
            Err(_) => {
                drop(stop);
                mining.await
            }
        };
        let (found, _place) = mined.map_err(ProtocolError::other)?;
        let Some((nonce, hash)) = found else {
            return to.send(Status { id, code: Code::GaveUp }).await;
        };
        self.remember(id);
        to.send(Solution { id, nonce, hash }).await
    }

    /// Was thanked for a result; for one that it does not know, or not any more, that means nothing.
    pub fn thanked(&self, id: Id) {
        let mut unthanked = self.unthanked();
        if let Some(at) = unthanked.iter().position(|(known, _)| *known == id) {
            unthanked.remove(at);
            self.thanks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn remember(&self, id: Id) {
        let mut unthanked = self.unthanked();
        if unthanked.len() == MAX_UNTHANKED {
            unthanked.pop_front();
        }
        unthanked.push_back((id, Instant::now()));
    }

    /// The results without thanks, those apart that have waited for too long.
    fn unthanked(&self) -> MutexGuard<'_, VecDeque<(Id, Instant)>> {
        let mut unthanked = self.unthanked.lock().unwrap_or_else(PoisonError::into_inner);
        unthanked.retain(|(_, since)| since.elapsed() < MAX_WAIT);
        unthanked
    }
}

/// Stops a thread that mines, whatever makes nobody wait for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As many results as the original keeps.
const MAX_UNTHANKED: usize = 1000;
/// As long as the original waits for thanks.
const MAX_WAIT: Duration = Duration::from_secs(2);
