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

mod calls;
mod waiting;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use self::calls::{Call, Calls};
pub(crate) use self::{
    calls::MAX_OUTSTANDING,
    waiting::{NoAnswer, Waiting},
};
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
    /// Tells connections of this process apart.
    number: usize,
    /// Over HTTP the other side cannot be called, and nothing can be sent but the answer.
    two_way: bool,
    state: Mutex<State>,
    /// No call of ours will be answered any more.
    deaf: AtomicBool,
    /// The connection is gone.
    closed: AtomicBool,
    /// Whether anything but `<namespace>_subscription` may be meant for this program.
    listens: AtomicBool,
    /// The last of our calls that the session has taken, and the last of which something may have been
    /// written.
    taken: AtomicU64,
    written: AtomicU64,
    /// Wakes the session's task.
    waker: AtomicWaker,
    /// Bytes in the queues of [`Notifier`](crate::Notifier)s.
    pushed: AtomicUsize,
    /// Subscriptions of this connection, as the server counts them.
    pub(crate) subscribed: Arc<AtomicUsize>,
}

struct State {
    out: Outbox,
    calls: Calls,
    /// Of a client, by id.
    // bound: one for each subscription that this program made
    subscriptions: HashMap<String, Known>,
    /// Where notifications go that are about no subscription, by method.
    // bound: one for each method that this program listens to
    methods: HashMap<String, Arc<Inbox>>,
    closed: Option<Arc<str>>,
    /// Why the other side is about to hang up, in its own words.
    complaint: Option<Arc<str>>,
}

/// What becomes of a call.
pub(crate) type Outcome = Result<Answer, NoAnswer>;

/// A subscription that has been asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where its values go.
    pub(crate) inbox: Arc<Inbox>,
    /// The method that ends it.
    pub(crate) unsubscribe: String,
}

/// A subscription that has an id.
struct Known {
    asked: Asked,
    /// The id as the server wrote it: text, or a number.
    id: Answer,
}

impl Link {
    pub(crate) fn new(caller: Caller, two_way: bool, framed: bool) -> Self {
        static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
        let state = State {
            out: Outbox::new(framed),
            calls: Calls::default(),
            // bound: see the fields, both
            subscriptions: HashMap::new(),
            methods: HashMap::new(),
            closed: None,
            complaint: None,
        };
        Self {
            caller,
            number: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            two_way,
            state: Mutex::new(state),
            deaf: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
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

    /// A number that no other connection of this process has.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn two_way(&self) -> bool {
        self.two_way
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether a call could be answered.
    pub(crate) fn takes_calls(&self) -> bool {
        !self.deaf.load(Ordering::Acquire)
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
    ) -> Result<Waiting, NoAnswer> {
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
    ) -> Result<Waiting, NoAnswer> {
        self.start(method, params, None)
    }

    /// Sends the call of a subscription; its answer is the id. An id that the server gave to another
    /// one, or that is neither text nor a number, is an error.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        method: &str,
        params: Option<&[u8]>,
        asked: Asked,
    ) -> Result<Waiting, NoAnswer> {
        self.start(method, params, Some(Box::new(asked)))
    }

    fn start(
        self: &Arc<Self>,
        method: &str,
        params: Option<&[u8]>,
        asked: Option<Box<Asked>>,
    ) -> Result<Waiting, NoAnswer> {
        let mut state = self.open()?;
        let id = state.calls.numbers(1)?;
        let (answer, receiver) = oneshot::channel();
        let subscribes = asked.is_some();
        state.calls.insert(id, Call { answer, message: id, batch: false, asked });
        state.out.message(|out| message::write_call(out, id, method, params));
        drop(state);
        self.wake();
        Ok(Waiting { link: Arc::clone(self), id, subscribes, receiver })
    }

    /// Sends several calls as one message.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) fn batch(
        self: &Arc<Self>,
        calls: &[(String, Option<Vec<u8>>)],
    ) -> Result<Vec<Waiting>, NoAnswer> {
        let mut state = self.open()?;
        let first = state.calls.numbers(calls.len())?;
        let mut waiting = Vec::with_capacity(calls.len());
        for id in (first..).take(calls.len()) {
            let (answer, receiver) = oneshot::channel();
            state.calls.insert(id, Call { answer, message: first, batch: true, asked: None });
            waiting.push(Waiting { link: Arc::clone(self), id, subscribes: false, receiver });
        }
        state.out.message(|out| message::write_batch(out, first, calls));
        drop(state);
        self.wake();
        Ok(waiting)
    }

    /// Sends a notification.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub(crate) fn notify(&self, method: &str, params: Option<&[u8]>) -> Result<(), NoAnswer> {
        let mut state = self.open()?;
        state.out.message(|out| message::write_notification(out, method, params));
        drop(state);
        self.wake();
        Ok(())
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, NoAnswer> {
        if !self.two_way {
            return Err(ClientError::NotTwoWay.into());
        }
        let state = self.lock();
        match &state.closed {
            Some(reason) => {
                Err(NoAnswer::Unsent(ClientError::Closed { reason: reason.to_string() }))
            }
            None => Ok(state),
        }
    }

    /// Nobody waits for the answer to this call any more; `false` if it has come.
    fn give_up(&self, id: u64) -> bool {
        self.lock().calls.give_up(id)
    }

    /// Takes what is to be sent, behind what `out` has already.
    pub(crate) fn drain_into(&self, out: &mut Outbox, waker: &Waker) {
        self.waker.register(waker);
        let mut state = self.lock();
        if !state.out.is_empty() {
            out.append(&mut state.out);
            self.taken.store(state.calls.last_id(), Ordering::Relaxed);
        }
    }

    /// Something of what the session has taken was written, and nobody knows how much of it arrived.
    pub(crate) fn note_written(&self) {
        self.written.store(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Hands an answer to whoever waits for it, and says which batch it belongs to. Answers to nobody
    /// are dropped.
    pub(crate) fn answer(
        &self,
        id: &RawValue,
        outcome: Result<&RawValue, &RawValue>,
    ) -> Option<u64> {
        let mut state = self.lock();
        let number = id.get().parse().ok();
        let call = number.and_then(|id| state.calls.answered(id));
        if call.is_some() {
            state.complaint = None;
        } else if let Err(error) = outcome
            && message::is_null(id)
        {
            let error = RpcError::read(error);
            state.complaint = Some(error.message().into());
            state.calls.object(error);
        }
        let lost = state.calls.settle();
        drop(state);
        for (call, error) in lost {
            let _ = call.answer.send(Err(ClientError::Call(error).into()));
        }
        let call = call?;
        let batch = call.batch.then_some(call.message);
        self.deliver(call, outcome);
        batch
    }

    /// Hands the answer on; the subscription that begins with it is known from here on.
    fn deliver(&self, call: Call, outcome: Result<&RawValue, &RawValue>) {
        let Call { answer, asked, .. } = call;
        let outcome = match (outcome, asked) {
            (Ok(result), None) => Ok(result.to_owned()),
            (Err(error), _) => Err(ClientError::Call(RpcError::read(error)).into()),
            (Ok(id), Some(asked)) => match self.begin(id, *asked) {
                Ok(key) => {
                    if answer.send(Ok(id.to_owned())).is_err() {
                        self.unsubscribe(&key);
                    }
                    return;
                }
                Err(reason) => Err(ClientError::Malformed { reason: reason.to_owned() }.into()),
            },
        };
        // The caller may have gone.
        let _ = answer.send(outcome);
    }

    fn begin(&self, id: &RawValue, asked: Asked) -> Result<String, &'static str> {
        use std::collections::hash_map::Entry;
        let key = subscription_key(id).ok_or("want text or a number as the subscription's id")?;
        let key = key.into_owned();
        match self.lock().subscriptions.entry(key.clone()) {
            Entry::Occupied(_) => Err("the subscription's id belongs to another one"),
            Entry::Vacant(place) => {
                place.insert(Known { asked, id: id.to_owned() });
                self.listens.store(true, Ordering::Relaxed);
                Ok(key)
            }
        }
    }

    /// No more answers will come for this batch.
    pub(crate) fn end_of_batch(&self, batch: u64) {
        let mut state = self.lock();
        let left = state.calls.take_message(batch);
        let lost = state.calls.settle();
        drop(state);
        for call in left {
            let _ = call.answer.send(Err(ClientError::MissingAnswer.into()));
        }
        for (call, error) in lost {
            let _ = call.answer.send(Err(ClientError::Call(error).into()));
        }
    }

    /// Hands a notification to whoever listens; `false` if it is a call that wants no answer.
    pub(crate) fn notified(&self, method: &str, params: Option<&RawValue>) -> bool {
        if method.ends_with(SUBSCRIPTION) {
            self.value(params);
            return true;
        }
        // A server's links, which nobody subscribes over, come no further.
        if !self.listens.load(Ordering::Relaxed) {
            return false;
        }
        if self.value(params) {
            return true;
        }
        let inbox = self.lock().methods.get(method).cloned();
        let listened = inbox.is_some();
        if let Some(inbox) = inbox
            && !inbox.push(params.unwrap_or(RawValue::NULL))
        {
            self.lock().methods.remove(method);
        }
        listened
    }

    /// Hands a value of a subscription to its inbox; `false` if it is of none that there is.
    fn value(&self, params: Option<&RawValue>) -> bool {
        let Some(params) = params else { return false };
        let Ok(values) = serde_json::from_str::<Values<'_>>(params.get()) else { return false };
        let Some(key) = subscription_key(values.subscription) else { return false };
        let inbox = match self.lock().subscriptions.get(&*key) {
            Some(known) => Arc::clone(&known.asked.inbox),
            None => return false,
        };
        match (values.result, values.error) {
            // Too many wait: the server may stop.
            (Some(result), _) if !inbox.push(result) => self.unsubscribe(&key),
            (None, Some(error)) => {
                inbox.end(ClientError::Call(RpcError::read(error)));
                self.forget(&key);
            }
            _ => {}
        }
        true
    }

    /// Hands notifications that are about no subscription to `inbox`, those of one method. Whoever
    /// listened to it before does so no more.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub(crate) fn listen(&self, method: &str, inbox: Arc<Inbox>) -> Result<(), NoAnswer> {
        self.open()?.methods.insert(method.to_owned(), inbox);
        self.listens.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Drops a subscription of ours; whatever still comes for it is ignored.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().subscriptions.remove(key);
    }

    /// Drops a subscription of ours and tells the server, whose answer nobody waits for.
    pub(crate) fn unsubscribe(&self, key: &str) {
        let mut state = self.lock();
        let Some(Known { asked, id }) = state.subscriptions.remove(key) else { return };
        if state.closed.is_some() {
            return;
        }
        let call = state.calls.unwanted();
        let params = format!("[{}]", id.get());
        let method = &asked.unsubscribe;
        state.out.message(|out| message::write_call(out, call, method, Some(params.as_bytes())));
        drop(state);
        self.wake();
    }

    /// No more answers will come: whoever waits for one is told why, and nobody can call any more.
    /// What the other side asked may still be answered.
    pub(crate) fn hang_up(&self, reason: &str) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        let reason = state.complaint.take().unwrap_or_else(|| reason.into());
        state.closed = Some(Arc::clone(&reason));
        self.deaf.store(true, Ordering::Release);
        let calls: Vec<_> = state.calls.take_all().collect();
        let subscriptions = std::mem::take(&mut state.subscriptions);
        let methods = std::mem::take(&mut state.methods);
        drop(state);
        let closed = || ClientError::Closed { reason: reason.to_string() };
        let written = self.written.load(Ordering::Relaxed);
        for call in calls {
            let no_answer = match call.message > written {
                true => NoAnswer::Unsent(closed()),
                false => NoAnswer::Failed(closed()),
            };
            let _ = call.answer.send(Err(no_answer));
        }
        let inboxes = subscriptions.into_values().map(|known| known.asked.inbox);
        for inbox in inboxes.chain(methods.into_values()) {
            inbox.end(closed());
        }
    }

    /// The connection is gone.
    pub(crate) fn close(&self, reason: &str) {
        self.hang_up(reason);
        self.closed.store(true, Ordering::Release);
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

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("caller", &self.caller)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The parameters of a notification that is about a subscription.
#[derive(serde::Deserialize)]
pub(crate) struct Values<'a> {
    #[serde(borrow)]
    subscription: &'a RawValue,
    /// Null is a value like any other.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
}

fn present<'de, D>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}

/// What tells a subscription: its id's text, or the digits of its number. Other servers than
/// go-ethereum's give numbers.
pub(crate) fn subscription_key(id: &RawValue) -> Option<Cow<'_, str>> {
    let is_number = || !id.get().is_empty() && id.get().bytes().all(|byte| byte.is_ascii_digit());
    message::text(id).or_else(|| is_number().then(|| Cow::Borrowed(id.get())))
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

/// How the method of a subscription's values ends.
const SUBSCRIPTION: &str = "_subscription";

/// How many bytes of notifications may wait for a client before the connection is closed (R-05).
const MAX_PUSHED: usize = 8 * 1024 * 1024;
