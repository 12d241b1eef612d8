//! The moocher: knows who can work, gives away what it should do itself, and believes nothing.
//!
//! ```text
//!   submit ─▶ first worker with the skill, or the best there is ─▶ pending ─▶ result ─▶ verified ─▶ sink
//!                                                                     ├─▶ busy, too hard, gave up ──▶ sink
//!                                                                     └─▶ worker gone: lost ────────▶ sink
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use p2p_server::protocols::TypedSender;
use sha1::{Digest as _, Sha1};

use super::messages::{Code, Demo, Id, Request, Skills, Solution};
use super::work::{self, Hash, Nonce};

/// What became of something submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, and rightly so.
    Done(Proof),
    /// The worker would not, or could not.
    Refused(Id, Code),
    /// The worker has gone.
    Lost(Id),
}

/// A result that was verified: its hash is right and meets the difficulty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Of the request.
    pub id: Id,
    /// What was submitted.
    pub data: Bytes,
    /// What was asked for.
    pub difficulty: u8,
    /// What was found.
    pub nonce: Nonce,
    /// What shows it.
    pub hash: Hash,
}

/// `id : data@difficulty|nonce => hash`, numbers in hexadecimal but for the difficulty.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, data, difficulty, nonce, hash } = self;
        let [id, nonce] = [id, nonce].map(const_hex::encode);
        let (data, hash) = (const_hex::encode(data), const_hex::encode(hash));
        write!(f, "{id} : {data}@{difficulty}|{nonce} => {hash}")
    }
}

/// Why something was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No peer works, or it has just left.
    #[error("no worker")]
    NoWorker,
    /// No message holds so much.
    #[error("{0} bytes of data, {MAX_DATA} at most")]
    TooLarge(usize),
}

/// A worker that lies. As an error of the body it drops the peer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResult {
    /// The hash is not that of the data and the nonce.
    #[error("result with another hash than its nonce gives")]
    Hash,
    /// It is, and does not end in enough zeros.
    #[error("result that does not meet difficulty {0}")]
    Difficulty(u8),
}

/// One node's moocher, for all its peers.
pub struct Moocher {
    state: Mutex<State>,
    sink: Box<dyn Fn(Outcome) + Send + Sync>,
}

#[derive(Default)]
struct State {
    // bound: one for each peer of the server
    seats: BTreeMap<u64, Link>,
    last_seat: u64,
    // bound: MAX_PENDING, then the oldest is lost
    pending: VecDeque<Pending>,
    /// Of the last submission. In each id, so that the same data can be submitted twice.
    serial: u64,
}

struct Link {
    skills: Skills,
    sender: TypedSender<Demo>,
}

struct Pending {
    /// The seat of the worker that was asked. Nobody else can answer.
    seat: u64,
    request: Request,
}

impl Moocher {
    /// A moocher that hands every outcome to `sink`, which must not block.
    pub fn new(sink: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), sink: Box::new(sink) }
    }

    /// Has something done; what comes of it goes to the sink. The first worker with enough skill is asked,
    /// and if there is none the most skilled, which has learned since or will say no.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; nothing is pending then.
    pub async fn submit(&self, data: Bytes, difficulty: u8) -> Result<Id, SubmitError> {
        if data.len() > MAX_DATA {
            return Err(SubmitError::TooLarge(data.len()));
        }
        // The lock is gone before anything is waited for.
        let (request, sender) = self.prepare(data, difficulty).ok_or(SubmitError::NoWorker)?;
        let id = request.id;
        if sender.send(request).await.is_err() {
            self.take(|pending| pending.request.id == id);
            return Err(SubmitError::NoWorker);
        }
        Ok(id)
    }

    fn prepare(&self, data: Bytes, difficulty: u8) -> Option<(Request, TypedSender<Demo>)> {
        let mut state = self.state();
        let able = |(_, link): &(&u64, &Link)| {
            link.skills.difficulty >= difficulty && usize::from(link.skills.max_size) >= data.len()
        };
        let workers = || state.seats.iter().filter(|(_, link)| link.skills.difficulty > 0);
        let best = || workers().max_by_key(|(_, link)| link.skills.difficulty);
        let (seat, link) = workers().find(able).or_else(best)?;
        let (seat, sender) = (*seat, link.sender.clone());

        state.serial += 1;
        let id = id_of(&data, state.serial);
        let request = Request { id, data, difficulty };
        let full = state.pending.len() == MAX_PENDING;
        let oldest = full.then(|| state.pending.pop_front()).flatten();
        state.pending.push_back(Pending { seat, request: request.clone() });
        drop(state);
        if let Some(oldest) = oldest {
            (self.sink)(Outcome::Lost(oldest.request.id));
        }
        Some((request, sender))
    }

    /// A peer has come. It works as soon as it has said that it does; what is pending with it is lost when
    /// the seat is dropped.
    pub fn meet(&self, sender: TypedSender<Demo>) -> Seat<'_> {
        let mut state = self.state();
        state.last_seat += 1;
        let number = state.last_seat;
        let skills = Skills { difficulty: 0, max_size: 0 };
        state.seats.insert(number, Link { skills, sender });
        Seat { moocher: self, number }
    }

    fn take(&self, which: impl Fn(&Pending) -> bool) -> Option<Request> {
        let mut state = self.state();
        let at = state.pending.iter().position(which)?;
        state.pending.remove(at).map(|pending| pending.request)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Moocher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moocher").finish_non_exhaustive()
    }
}

/// A peer that is here.
#[derive(Debug)]
pub struct Seat<'a> {
    moocher: &'a Moocher,
    number: u64,
}

impl Seat<'_> {
    /// The peer has said what it can do.
    pub fn learn(&self, skills: Skills) {
        if let Some(link) = self.moocher.state().seats.get_mut(&self.number) {
            link.skills = skills;
        }
    }

    /// The peer has a result. True if it deserves thanks; one that nobody waits for does not.
    ///
    /// # Errors
    ///
    /// [`BadResult`], and the submission is lost.
    pub fn settle(&self, solution: Solution) -> Result<bool, BadResult> {
        let Solution { id, nonce, hash } = solution;
        let Some(Request { data, difficulty, .. }) = self.take(id) else { return Ok(false) };
        let verified = verify(&data, difficulty, &nonce, &hash);
        (self.moocher.sink)(match verified {
            Ok(()) => Outcome::Done(Proof { id, data, difficulty, nonce, hash }),
            Err(_) => Outcome::Lost(id),
        });
        verified.map(|()| true)
    }

    /// The peer will not, or could not.
    pub fn refused(&self, id: Id, code: Code) {
        if self.take(id).is_some() {
            (self.moocher.sink)(Outcome::Refused(id, code));
        }
    }

    /// What is pending with this peer, and no longer is.
    fn take(&self, id: Id) -> Option<Request> {
        self.moocher.take(|pending| pending.seat == self.number && pending.request.id == id)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.moocher.state().seats.remove(&self.number);
        while let Some(lost) = self.moocher.take(|pending| pending.seat == self.number) {
            (self.moocher.sink)(Outcome::Lost(lost.id));
        }
    }
}

/// A result is right if its hash is what it says it is, and hard enough to find.
fn verify(data: &[u8], difficulty: u8, nonce: &Nonce, hash: &Hash) -> Result<(), BadResult> {
    if work::hash(data, nonce) != *hash {
        return Err(BadResult::Hash);
    }
    if !work::meets(hash, difficulty) {
        return Err(BadResult::Difficulty(difficulty));
    }
    Ok(())
}

fn id_of(data: &[u8], serial: u64) -> Id {
    let hash: Hash =
        Sha1::new().chain_update(data).chain_update(serial.to_be_bytes()).finalize().into();
    let mut id = Id::default();
    id.copy_from_slice(&hash[..8]);
    id
}

/// As many requests as the original keeps.
const MAX_PENDING: usize = 1000;
/// A message of 2,048 bytes, less than 32 of which are not data.
const MAX_DATA: usize = 2048 - 32;
