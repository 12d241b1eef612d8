//! What the task of a connection shares with everybody who uses the connection.
//!
//! ```text
//!   Client, Context ── call ──▶ ┌──────────────────────────┐ ◀─ takes what is to be sent ── Session
//!                               │ Link: bytes to send,     │
//!                  ◀── answer ──│ calls that wait, their   │ ◀─ hands over what came ────── Session
//!                               │ subscriptions            │
//!   Notifier ───────── bytes ──▶└──────────────────────────┘
//! ```
//!
//! Both ends of a connection are alike: a client calls, and so may a server. A call is written into
//! the buffer at once, under the lock, so that calls made together leave in one write.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::{
    Caller, ClientError, RpcError,
    client::{Answer, subscription::Inbox},
    message,
    outbox::Outbox,
    tap::Tap,
};

/// See the module's comment.
pub(crate) struct Link {
    caller: Caller,
    /// Over HTTP the other side cannot be called, and nothing can be sent but the answer.
    two_way: bool,
    state: Mutex<State>,
    closed: AtomicBool,
    /// Wakes the session's task.
    waker: AtomicWaker,
    /// Bytes in the queues of [`Notifier`](crate::Notifier)s.
    pushed: AtomicUsize,
    /// Subscriptions of this connection, as the server counts them.
    pub(crate) subscribed: Arc<AtomicUsize>,
}

struct State {
    out: Outbox,
    // bound: MAX_OUTSTANDING, then a call is an error
    outstanding: HashMap<u64, Outstanding>,
    /// Of a client, by id.
    // bound: one for each subscription that this program made
    subscriptions: HashMap<String, Arc<Inbox>>,
    last_id: u64,
    closed: Option<Arc<str>>,
    /// Why the other side is about to hang up, in its own words.
    complaint: Option<Arc<str>>,
}

/// A call of ours that has not been answered.
struct Outstanding {
    answer: oneshot::Sender<Result<Answer, ClientError>>,
    /// Calls of one batch have the same number here.
    batch: Option<u64>,
    /// A subscription's values may come right behind its id: its inbox must be there by then.
    inbox: Option<Arc<Inbox>>,
}

impl Link {
    pub(crate) fn new(caller: Caller, two_way: bool, framed: bool) -> Self {
        let state = State {
            out: Outbox::new(framed),
            // bound: see the fields, both
            outstanding: HashMap::new(),
            subscriptions: HashMap::new(),
            last_id: 0,
            closed: None,
            complaint: None,
        };
        Self {
            caller,
            two_way,
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            pushed: AtomicUsize::new(0),
            subscribed: Arc::default(),
        }
    }

    /// Shows every call of ours to `tap` from now on.
    pub(crate) fn set_tap(&self, tap: Tap) {
        self.lock().out.set_tap(tap, self.caller);
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn two_way(&self) -> bool {
        self.two_way
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Sends a call; the future gives its answer.
    ///
    /// # Errors
    ///
    /// When it cannot be sent: the connection is closed, or too many calls wait.
    pub(crate) fn call(
        self: &Arc<Self>,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Waiting, ClientError> {
        let params = encode_params(params)?;
        self.start(method, params.as_deref(), None)
    }

    /// The same with arguments that are encoded.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) fn call_encoded(
        self: &Arc<Self>,
        method: &str,
        params: Option<&[u8]>,
    ) -> Result<Waiting, ClientError> {
        self.start(method, params, None)
    }

    /// Sends the call of a subscription, whose values go to `inbox`.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        method: &str,
        params: Option<&[u8]>,
        inbox: Arc<Inbox>,
    ) -> Result<Waiting, ClientError> {
        self.start(method, params, Some(inbox))
    }

    fn start(
        self: &Arc<Self>,
        method: &str,
        params: Option<&[u8]>,
        inbox: Option<Arc<Inbox>>,
    ) -> Result<Waiting, ClientError> {
        let mut state = self.open()?;
        let id = state.next_id(1)?;
        let (answer, receiver) = oneshot::channel();
        state.outstanding.insert(id, Outstanding { answer, batch: None, inbox });
        state.out.message(|out| message::write_call(out, id, method, params));
        drop(state);
        self.wake();
        Ok(Waiting { link: Arc::clone(self), id, receiver })
    }

    /// Sends several calls as one message. A notification is a call without an answer.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) fn batch(
        self: &Arc<Self>,
        calls: &[(String, Option<Vec<u8>>)],
    ) -> Result<Vec<Waiting>, ClientError> {
        let mut state = self.open()?;
        let first = state.next_id(calls.len())?;
        let mut waiting = Vec::with_capacity(calls.len());
        for id in (first..).take(calls.len()) {
            let (answer, receiver) = oneshot::channel();
            let outstanding = Outstanding { answer, batch: Some(first), inbox: None };
            state.outstanding.insert(id, outstanding);
            waiting.push(Waiting { link: Arc::clone(self), id, receiver });
        }
        state.out.message(|out| {
            out.extend_from_slice(b"[");
            for (index, (id, (method, params))) in (first..).zip(calls).enumerate() {
                if index > 0 {
                    out.extend_from_slice(b",");
                }
                message::write_call(out, id, method, params.as_deref());
            }
            out.extend_from_slice(b"]");
        });
        drop(state);
        self.wake();
        Ok(waiting)
    }

    /// Sends a notification.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub(crate) fn notify(&self, method: &str, params: Option<&[u8]>) -> Result<(), ClientError> {
        let mut state = self.open()?;
        state.out.message(|out| message::write_notification(out, method, params));
        drop(state);
        self.wake();
        Ok(())
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, ClientError> {
        if !self.two_way {
            return Err(ClientError::NotTwoWay);
        }
        let state = self.lock();
        match &state.closed {
            Some(reason) => Err(ClientError::Closed { reason: reason.to_string() }),
            None => Ok(state),
        }
    }

    /// Takes what is to be sent, behind what `out` has already.
    pub(crate) fn drain_into(&self, out: &mut Outbox, waker: &Waker) {
        self.waker.register(waker);
        let mut state = self.lock();
        if !state.out.is_empty() {
            out.append(&mut state.out);
        }
    }

    /// Hands an answer to whoever waits for it. Answers to nobody are dropped.
    pub(crate) fn answer(
        &self,
        id: &RawValue,
        outcome: Result<&RawValue, &RawValue>,
    ) -> Option<u64> {
        let mut state = self.lock();
        let found = id.get().parse().ok().and_then(|id: u64| state.outstanding.remove(&id));
        let Some(Outstanding { answer, batch, inbox }) = found else {
            if let Err(error) = outcome
                && message::is_null(id)
            {
                state.complaint = Some(RpcError::read(error).message().into());
            }
            return None;
        };
        let outcome = match outcome {
            Ok(result) => Ok(result.to_owned()),
            Err(error) => Err(ClientError::Call(RpcError::read(error))),
        };
        if let (Ok(result), Some(inbox)) = (&outcome, inbox)
            && let Some(id) = message::text(result)
        {
            state.subscriptions.insert(id.into_owned(), inbox);
        }
        // The caller may have gone.
        let _ = answer.send(outcome);
        batch
    }

    /// No more answers will come for this batch.
    pub(crate) fn end_of_batch(&self, batch: u64) {
        let mut state = self.lock();
        let left: Vec<_> = state
            .outstanding
            .extract_if(|_, outstanding| outstanding.batch == Some(batch))
            .collect();
        drop(state);
        for (_, outstanding) in left {
            let _ = outstanding.answer.send(Err(ClientError::MissingAnswer));
        }
    }

    /// Hands a value of a subscription to its inbox.
    pub(crate) fn notified(&self, params: Option<&RawValue>) {
        let Some(params) = params else { return };
        let Ok(values) = serde_json::from_str::<Values<'_>>(params.get()) else { return };
        let inbox = self.lock().subscriptions.get(values.subscription.as_ref()).cloned();
        let Some(inbox) = inbox else { return };
        let keep = match (values.result, values.error) {
            (Some(result), _) => inbox.push(result),
            (None, Some(error)) => inbox.end(ClientError::Call(RpcError::read(error))),
            (None, None) => true,
        };
        if !keep {
            self.forget(&values.subscription);
        }
    }

    /// Drops a subscription of ours; whatever still comes for it is ignored.
    pub(crate) fn forget(&self, subscription: &str) {
        self.lock().subscriptions.remove(subscription);
    }

    /// The connection is gone: whoever waits is told why, and nobody can use it any more.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        let reason = state.complaint.take().unwrap_or_else(|| reason.into());
        state.closed = Some(Arc::clone(&reason));
        self.closed.store(true, Ordering::Release);
        let outstanding = std::mem::take(&mut state.outstanding);
        let subscriptions = std::mem::take(&mut state.subscriptions);
        drop(state);
        let closed = || ClientError::Closed { reason: reason.to_string() };
        for call in outstanding.into_values() {
            let _ = call.answer.send(Err(closed()));
        }
        for inbox in subscriptions.into_values() {
            inbox.end(closed());
        }
        self.wake();
    }

    /// Wakes the session's task.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// So many bytes more wait in queues of notifiers.
    pub(crate) fn add_pushed(&self, bytes: usize) {
        if self.pushed.fetch_add(bytes, Ordering::Relaxed) + bytes >= MAX_PUSHED {
            self.wake();
        }
    }

    /// So many bytes less.
    pub(crate) fn take_pushed(&self, bytes: usize) {
        self.pushed.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether more waits for a client that does not read than one connection may hold.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.pushed.load(Ordering::Relaxed) >= MAX_PUSHED
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first of `count` new ids.
    fn next_id(&mut self, count: usize) -> Result<u64, ClientError> {
        if self.outstanding.len().saturating_add(count) > MAX_OUTSTANDING {
            return Err(ClientError::TooManyCalls { limit: MAX_OUTSTANDING });
        }
        let first = self.last_id.saturating_add(1);
        self.last_id = self.last_id.saturating_add(count as u64);
        Ok(first)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("caller", &self.caller)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The parameters of a `<namespace>_subscription`.
#[derive(serde::Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    subscription: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A call that has been sent. Dropping it gives the call up: its answer is ignored.
pub(crate) struct Waiting {
    link: Arc<Link>,
    id: u64,
    receiver: oneshot::Receiver<Result<Answer, ClientError>>,
}

impl Future for Waiting {
    type Output = Result<Answer, ClientError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        use futures_util::FutureExt as _;
        self.receiver.poll_unpin(cx).map(|answer| {
            let gone = || ClientError::Closed { reason: "client closed".to_owned() };
            answer.unwrap_or_else(|_| Err(gone()))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.receiver.is_terminated() {
            return;
        }
        self.link.lock().outstanding.remove(&self.id);
    }
}

/// Arguments as they travel: a JSON array, or nothing.
///
/// # Errors
///
/// [`ClientError::Params`] for anything else.
pub(crate) fn encode_params(params: &impl Serialize) -> Result<Option<Vec<u8>>, ClientError> {
    let json = serde_json::to_vec(params)
        .map_err(|error| ClientError::Params { reason: error.to_string() })?;
    match json.first() {
        Some(b'[') => Ok(Some(json)),
        _ if json == b"null" => Ok(None),
        _ => Err(ClientError::Params { reason: "want a tuple or a list".to_owned() }),
    }
}

/// How many calls of ours may wait for answers on one connection.
const MAX_OUTSTANDING: usize = 16_384;

/// How many bytes of notifications may wait for a client before the connection is closed (R-05).
const MAX_PUSHED: usize = 8 * 1024 * 1024;
