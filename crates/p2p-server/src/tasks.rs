//! The server's tasks: every one is owned here, so that at the end none is left.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A set of named tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    /// The tasks of these tasks. Each owns its own and aborts them when it is aborted, and then nobody
    /// is left to wait for them.
    pub(crate) inner: TaskTracker,
}

#[derive(Default)]
struct State {
    // bound: pending, lingering and dialed connections, peers, and the server's own two
    set: JoinSet<()>,
    // bound: one for each task in `set`
    names: BTreeMap<Id, &'static str>,
    closed: bool,
}

impl Tasks {
    /// Runs `task` until it ends or the set is shut down. After that nothing is started any more.
    pub(crate) fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let handle = state.set.spawn(task);
        state.names.insert(handle.id(), name);
    }

    /// Waits for the next task to end and forgets it. Never resolves while there is none, nor once
    /// the set is being shut down: only one at a time can be woken when a task ends.
    pub(crate) async fn reap(&self) {
        let ended = poll_fn(|cx| {
            let mut state = self.lock();
            if state.closed {
                return std::task::Poll::Pending;
            }
            match state.set.poll_join_next_with_id(cx) {
                std::task::Poll::Ready(Some(ended)) => std::task::Poll::Ready(ended),
                _ => std::task::Poll::Pending,
            }
        });
        let ended = ended.await;
        self.forget(ended);
    }

    /// Waits until all have ended, `limit` at most or until `hurry` is cancelled; then aborts the rest
    /// and returns their names.
    ///
    /// A task that blocks its thread cannot be aborted and is let go.
    pub(crate) async fn shut_down(
        &self,
        limit: Duration,
        hurry: &CancellationToken,
    ) -> Vec<&'static str> {
        self.lock().closed = true;
        let ended = tokio::select! {
            biased;
            () = hurry.cancelled() => false,
            ended = timeout_at(Instant::now() + limit, self.join_all()) => ended.is_ok(),
        };
        if ended {
            return Vec::new();
        }
        let left = {
            let mut state = self.lock();
            state.set.abort_all();
            state.names.values().copied().collect()
        };
        let all = async {
            self.join_all().await;
            self.inner.close();
            self.inner.wait().await;
        };
        if timeout_at(Instant::now() + ABORT_GRACE, all).await.is_err() {
            let mut state = self.lock();
            state.set.detach_all();
            state.names.clear();
        }
        left
    }

    async fn join_all(&self) {
        while let Some(ended) = poll_fn(|cx| self.lock().set.poll_join_next_with_id(cx)).await {
            self.forget(ended);
        }
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().set.len()
    }

    fn forget(&self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let name = self.lock().names.remove(&id);
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(task = name.unwrap_or("?"), %error, "task panicked");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.len()).finish()
    }
}

/// How long it may take to abort what is left.
const ABORT_GRACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_blocks_its_thread_is_named_and_let_go() {
        let tasks = Tasks::default();
        // bound: one word, which ends the task
        let (release, blocked) = std::sync::mpsc::sync_channel::<()>(1);
        tasks.spawn("blocked", async move {
            let _ = blocked.recv();
        });

        let left = tasks.shut_down(Duration::from_millis(50), &CancellationToken::new()).await;

        assert_eq!(left, ["blocked"]);
        assert_eq!(tasks.len(), 0);
        release.send(()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_aborted_and_named() {
        let tasks = Tasks::default();
        tasks.spawn("quick", async {});
        tasks.spawn("stubborn", std::future::pending());

        let left = tasks.shut_down(Duration::from_secs(5), &CancellationToken::new()).await;

        assert_eq!(left, ["stubborn"]);
        assert_eq!(tasks.len(), 0);
    }

    #[tokio::test]
    async fn nothing_starts_after_the_end() {
        let tasks = Tasks::default();

        tasks.shut_down(Duration::ZERO, &CancellationToken::new()).await;
        tasks.spawn("late", std::future::pending());

        assert_eq!(tasks.len(), 0);
    }
}
