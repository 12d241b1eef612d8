//! Both roles as one body: what a node says to one peer, whatever carries it.

use std::sync::Arc;

use p2p_server::{ProtocolError, protocols::TypedChannel};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::messages::{Code, Demo, Status};
use super::moocher::{Moocher, Outcome};
use super::worker::{Limits, Worker};

/// A node's part in the market.
#[derive(Debug)]
pub struct Market {
    /// What it does for others.
    pub worker: Arc<Worker>,
    /// What it has others do.
    pub moocher: Moocher,
    stop: CancellationToken,
    bodies: TaskTracker,
}

impl Market {
    /// A node that does so much, and hands what becomes of its submissions to `sink`, which must not block.
    pub fn new(limits: Limits, sink: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        Self {
            worker: Arc::new(Worker::new(limits)),
            moocher: Moocher::new(sink),
            stop: CancellationToken::new(),
            bodies: TaskTracker::new(),
        }
    }

    /// Talks to one peer until it leaves, lies, or the market is [closed](Self::close). With that its jobs
    /// end, too.
    ///
    /// # Errors
    ///
    /// What the peer did wrong; returned from a protocol's body it drops the peer.
    pub async fn talk(&self, messages: TypedChannel<Demo>) -> Result<(), ProtocolError> {
        let _here = self.bodies.token();
        let (sender, mut messages) = messages.split();
        let peer = self.moocher.meet(sender.clone());
        let mut skills = self.worker.skills();
        skills.mark_changed(); // the first are sent like all others
        // bound: max_jobs of the worker, each of which holds a place
        let mut jobs = JoinSet::new();
        loop {
            let message = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                Some(_) = jobs.join_next() => continue, // what it had to say it has said
                Ok(()) = skills.changed() => {
                    let skills = *skills.borrow_and_update();
                    sender.send(skills).await?;
                    continue;
                }
                message = messages.recv() => match message {
                    Err(ProtocolError::Closed(_)) => return Ok(()), // the peer hung up
                    message => message?,
                },
            };
            match message {
                Demo::Skills(skills) => peer.learn(skills),
                Demo::Request(request) => match self.worker.accept(request) {
                    Ok(job) => {
                        let (worker, sender) = (Arc::clone(&self.worker), sender.clone());
                        jobs.spawn(async move { worker.work(job, sender).await });
                    }
                    Err(status) => sender.send(status).await?,
                },
                Demo::Solution(solution) => {
                    let id = solution.id;
                    if peer.settle(solution).map_err(ProtocolError::other)? {
                        sender.send(Status { id, code: Code::Thanks }).await?;
                    }
                }
                Demo::Status(Status { id, code: Code::Thanks }) => self.worker.thanked(id),
                Demo::Status(Status { id, code }) => peer.refused(id, code),
            }
        }
    }

    /// Ends every conversation, for good, and waits until the last has ended.
    pub async fn close(&self) {
        self.stop.cancel();
        self.bodies.close();
        self.bodies.wait().await;
    }
}
