//! The market over channels: one end is a market, the other says what the test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use examples::job_market::messages::{Code, Demo, Request, Skills, Solution, Status, spec};
use examples::job_market::{Limits, Market, Outcome, SubmitError, work};
use p2p_server::{ProtocolError, protocols::TypedChannel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A market in conversation with the test.
struct Stage {
    market: Arc<Market>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    talk: JoinHandle<Result<(), ProtocolError>>,
    peer: TypedChannel<Demo>,
}

impl Stage {
    /// With the skills that the market says it has read already.
    async fn set(max_jobs: usize, max_time: Duration) -> Self {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&outcomes);
        let limits = Limits { skills: SKILLS, max_jobs, max_time };
        let market =
            Arc::new(Market::new(limits, move |outcome| told.lock().unwrap().push(outcome)));
        let (ours, theirs) = TypedChannel::pair(&spec());
        let talking = Arc::clone(&market);
        let talk = tokio::spawn(async move { talking.talk(ours).await });
        let mut stage = Self { market, outcomes, talk, peer: theirs };
        assert_eq!(stage.hear().await, Demo::Skills(SKILLS));
        stage
    }

    async fn hear(&mut self) -> Demo {
        timeout(PATIENCE, self.peer.recv()).await.expect("something is said").unwrap()
    }

    async fn ask(&self, number: u8, difficulty: u8) {
        self.peer.send(request(number, difficulty)).await.unwrap();
    }

    /// The test's end says that it works, and is given something to do.
    async fn be_asked(&mut self, difficulty: u8) -> Request {
        self.peer.send(SKILLS).await.unwrap();
        let data = Bytes::from_static(b"data");
        // The skills are on their way; until they are there, nobody works.
        let submit = async {
            loop {
                match self.market.moocher.submit(data.clone(), difficulty).await {
                    Err(SubmitError::NoWorker) => tokio::task::yield_now().await,
                    submitted => return submitted.unwrap(),
                }
            }
        };
        let id = timeout(PATIENCE, submit).await.expect("the skills arrive");
        let Demo::Request(request) = self.hear().await else { panic!("no request") };
        assert_eq!((request.id, &request.data, request.difficulty), (id, &data, difficulty));
        request
    }

    /// The test's end leaves. What it has said before is still heard.
    fn hang_up(&mut self) {
        self.peer = TypedChannel::pair(&spec()).0;
    }

    async fn end(self) -> (Result<(), ProtocolError>, Vec<Outcome>) {
        let ended = timeout(PATIENCE, self.talk).await.expect("the talk ends").unwrap();
        let outcomes = self.outcomes.lock().unwrap().clone();
        (ended, outcomes)
    }
}

fn request(number: u8, difficulty: u8) -> Request {
    Request { id: [number; 8], data: vec![number; 32].into(), difficulty }
}

fn solve(request: &Request, difficulty: u8) -> Solution {
    let stop = false.into();
    let (nonce, hash) = work::mine(&request.data, difficulty, &stop).unwrap();
    Solution { id: request.id, nonce, hash }
}

fn status(number: u8, code: Code) -> Demo {
    Demo::Status(Status { id: [number; 8], code })
}

#[tokio::test]
async fn a_worker_finds_a_nonce_that_meets_the_difficulty_and_is_thanked() {
    let mut stage = Stage::set(1, LONG).await;

    stage.ask(1, 8).await;
    let Demo::Solution(found) = stage.hear().await else { panic!("no result") };
    assert_eq!(found, solve(&request(1, 8), 8));
    stage.peer.send(Status { id: found.id, code: Code::Thanks }).await.unwrap();
    stage.peer.send(Status { id: found.id, code: Code::Thanks }).await.unwrap();

    let market = Arc::clone(&stage.market);
    stage.hang_up();
    assert!(stage.end().await.0.is_ok());
    assert_eq!(market.worker.thanks(), 1, "thanks for one result count once");
}

#[tokio::test]
async fn what_is_beyond_its_skills_is_too_hard_for_a_worker() {
    let mut stage = Stage::set(1, LONG).await;
    let large = Request { data: vec![0; 1025].into(), ..request(2, 8) };

    stage.ask(1, SKILLS.difficulty + 1).await;
    stage.peer.send(large).await.unwrap();

    assert_eq!(stage.hear().await, status(1, Code::TooHard));
    assert_eq!(stage.hear().await, status(2, Code::TooHard));
}

#[tokio::test]
async fn a_worker_with_all_its_places_taken_is_busy() {
    let mut stage = Stage::set(2, LONG).await;

    for number in 1..=3 {
        stage.ask(number, IMPOSSIBLE).await;
    }

    assert_eq!(stage.hear().await, status(3, Code::Busy));
}

#[tokio::test]
async fn a_worker_gives_up_in_time_and_has_its_place_back() {
    let mut stage = Stage::set(1, Duration::from_millis(20)).await;

    for number in 1..=2 {
        stage.ask(number, IMPOSSIBLE).await;
        assert_eq!(stage.hear().await, status(number, Code::GaveUp));
    }
    stage.ask(3, 1).await;

    assert!(matches!(stage.hear().await, Demo::Solution(_)));
}

#[tokio::test]
async fn jobs_of_a_peer_that_has_gone_give_their_places_back() {
    let stage = Stage::set(1, LONG).await;
    let market = Arc::clone(&stage.market);
    stage.ask(1, IMPOSSIBLE).await;
    let taken = async {
        while market.worker.accept(request(2, 1)).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, taken).await.expect("the job starts");

    let Stage { peer, talk, .. } = stage;
    drop(peer);
    assert!(timeout(PATIENCE, talk).await.unwrap().unwrap().is_ok());

    let free = async {
        while market.worker.accept(request(2, 1)).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.expect("the thread stops");
}

#[tokio::test]
async fn new_skills_are_told() {
    let mut stage = Stage::set(1, LONG).await;

    stage.market.worker.set_difficulty(0);

    assert_eq!(stage.hear().await, Demo::Skills(Skills { difficulty: 0, ..SKILLS }));
    stage.ask(1, 1).await;
    assert_eq!(stage.hear().await, status(1, Code::TooHard));
}

#[tokio::test]
async fn a_right_result_is_handed_on_and_thanked_for_once() {
    let mut stage = Stage::set(1, LONG).await;
    let request = stage.be_asked(8).await;
    let solution = solve(&request, 8);

    stage.peer.send(solution).await.unwrap();
    assert_eq!(stage.hear().await, Demo::Status(Status { id: request.id, code: Code::Thanks }));
    stage.peer.send(solution).await.unwrap(); // nobody waits for it any more
    stage.market.close().await;

    let (ended, outcomes) = stage.end().await;
    assert!(ended.is_ok());
    let [Outcome::Done(proof)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((proof.id, proof.nonce, proof.hash), (request.id, solution.nonce, solution.hash));
}

#[tokio::test]
async fn a_result_with_a_wrong_hash_drops_the_worker() {
    let mut stage = Stage::set(1, LONG).await;
    let request = stage.be_asked(1).await;

    stage.peer.send(Solution { hash: [0; 20], ..solve(&request, 1) }).await.unwrap();

    let (ended, outcomes) = stage.end().await;
    assert!(ended.unwrap_err().to_string().contains("another hash"));
    assert_eq!(outcomes, [Outcome::Lost(request.id)]);
}

#[tokio::test]
async fn a_result_that_is_too_easy_drops_the_worker() {
    let mut stage = Stage::set(1, LONG).await;
    let request = stage.be_asked(20).await;

    stage.peer.send(solve(&request, 1)).await.unwrap(); // a right hash, of a nonce that is no proof

    let (ended, outcomes) = stage.end().await;
    assert!(ended.unwrap_err().to_string().contains("does not meet difficulty 20"));
    assert_eq!(outcomes, [Outcome::Lost(request.id)]);
}

#[tokio::test]
async fn a_refusal_is_handed_on() {
    let mut stage = Stage::set(1, LONG).await;
    let request = stage.be_asked(8).await;

    stage.peer.send(Status { id: request.id, code: Code::Busy }).await.unwrap();
    let second = stage.be_asked(8).await;
    stage.hang_up();

    assert_ne!(second.id, request.id, "the same data, submitted twice");
    let (ended, outcomes) = stage.end().await;
    assert!(ended.is_ok());
    assert_eq!(outcomes, [Outcome::Refused(request.id, Code::Busy), Outcome::Lost(second.id)]);
}

#[tokio::test]
async fn without_a_worker_nothing_is_submitted_and_nobody_waits() {
    let stage = Stage::set(1, LONG).await;

    for _ in 0..2 {
        let submitted = stage.market.moocher.submit(Bytes::new(), 1).await;
        assert!(matches!(submitted, Err(SubmitError::NoWorker)));
    }
    let submitted = stage.market.moocher.submit(vec![0; 2048].into(), 1).await;
    assert!(matches!(submitted, Err(SubmitError::TooLarge(2048))));
}

#[tokio::test]
async fn what_is_pending_with_a_worker_that_leaves_is_lost() {
    let mut stage = Stage::set(1, LONG).await;
    let request = stage.be_asked(8).await;

    stage.hang_up();

    let (ended, outcomes) = stage.end().await;
    assert!(ended.is_ok());
    assert_eq!(outcomes, [Outcome::Lost(request.id)]);
}

const SKILLS: Skills = Skills { difficulty: 200, max_size: 1024 };
/// Within the skills, and beyond what anybody finds.
const IMPOSSIBLE: u8 = 160;
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
