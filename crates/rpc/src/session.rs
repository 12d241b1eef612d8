//! One connection's dispatcher: what comes in, what runs, what goes out. No I/O.
//!
//! ```text
//!   value ──▶ receive ──┬─ answer to a call of ours ─────────────▶ Link
//!                       ├─ call ── 32 run ──▶ handler ──┐
//!                       │     └── others wait           ├──▶ Outbox ──▶ transport
//!                       ├─ batch ── one by one ─────────┤
//!                       └─ subscription ──▶ stream ─────┘   polled while the outbox has room
//! ```
//!
//! Every transport drives the same thing: it hands over complete, validated JSON values, polls, and
//! carries off what is in the outbox. Both ends of a connection have one; a client's answers only
//! what it registered for its server to call.
//!
//! Spec: ethereum/go-ethereum:rpc/handler.go.

mod batch;
mod call;
mod once;
mod subscriptions;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use serde_json::value::RawValue;

pub(crate) use self::once::Exchange;
use self::{
    batch::Batch,
    call::{Call, Finished, Opened},
    subscriptions::Subscriptions,
};
use crate::{
    RpcError,
    api::{Api, UNSUBSCRIBE, check_name},
    link::Link,
    message::{self, Message},
    observer::{Measure, RefusedBy},
    outbox::Outbox,
};

/// The limits of one connection, and what the dispatcher needs from outside.
#[derive(Debug, Clone)]
pub(crate) struct SessionLimits {
    /// Calls that run at a time; a batch counts as one.
    pub(crate) in_flight: usize,
    /// Bytes of calls that wait, before no more is read.
    pub(crate) waiting_bytes: usize,
    /// Messages in a batch.
    pub(crate) batch_items: usize,
    /// Bytes of the results of a batch.
    pub(crate) batch_response_bytes: usize,
    /// Subscriptions of this connection.
    pub(crate) subscriptions: usize,
    /// Subscriptions of all connections of the server.
    pub(crate) subscriptions_of_server: usize,
    /// How long a call or a batch may run.
    pub(crate) call_timeout: Option<CallTimeout>,
    /// Makes the id of a subscription.
    pub(crate) subscription_id: fn() -> String,
    /// Tells the time, to whoever counts how long calls take.
    pub(crate) now: fn() -> Instant,
}

/// A time limit, and the clock that keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallTimeout {
    pub(crate) after: Duration,
    pub(crate) timer: fn(Duration) -> BoxFuture<'static, ()>,
}

impl CallTimeout {
    fn start(self) -> BoxFuture<'static, ()> {
        (self.timer)(self.after)
    }
}

/// What every part of a session needs.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) link: Arc<Link>,
    pub(crate) api: Arc<Api>,
    pub(crate) limits: Arc<SessionLimits>,
}

impl Shared {
    /// What came was no request, and is answered with this.
    pub(crate) fn no_request(&self, error: &RpcError) {
        self.api.watch.no_request(self.link.caller().transport(), error);
    }

    fn batch_too_large(&self) {
        self.no_request(&RpcError::batch_too_large());
        self.api.watch.tell(|observer| observer.refused(RefusedBy::BatchItems));
    }
}

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Shared,
    pub(crate) out: Outbox,
    // bound: `in_flight`, then calls wait
    running: FuturesUnordered<Running>,
    // bound: `waiting_bytes`, then the transport stops reading
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    subscriptions: Subscriptions,
}

/// A JSON value as a transport has it.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Part of a buffer that will be used again.
    Borrowed(&'a [u8]),
    /// A buffer of its own.
    Owned(Bytes),
}

impl Input<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Input::Borrowed(bytes) => bytes,
            Input::Owned(bytes) => bytes,
        }
    }

    fn into_owned(self) -> Bytes {
        match self {
            Input::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Input::Owned(bytes) => bytes,
        }
    }
}

impl Session {
    /// A session that offers `api` on the connection that `link` belongs to.
    pub(crate) fn new(
        link: Arc<Link>,
        api: Arc<Api>,
        limits: Arc<SessionLimits>,
        framed: bool,
    ) -> Self {
        let mut out = Outbox::new(framed);
        if let Some(tap) = &api.tap {
            out.set_tap(tap.clone(), *link.caller());
            link.set_tap(tap.clone());
        }
        Self {
            shared: Shared { link, api, limits },
            out,
            // bound: see the fields
            running: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            subscriptions: Subscriptions::default(),
        }
    }

    /// Takes one complete JSON value, without white space around it.
    pub(crate) fn receive(&mut self, input: Input<'_>, cx: &mut TaskContext<'_>) {
        if let Some(tap) = &self.shared.api.tap {
            tap.show(*self.shared.link.caller(), false, input.bytes());
        }
        if input.bytes().starts_with(b"[") {
            self.receive_batch(input.into_owned(), cx);
            return;
        }
        match Message::parse(input.bytes()) {
            Message::Response { id, outcome } => {
                self.shared.link.answer(id, outcome);
            }
            Message::Notification { method, params }
                if self.shared.link.notified(&method, params) => {}
            // What is no request waits, too: its answers must not pile up before a client that never
            // reads them.
            _ if !self.has_room() => self.wait(input.into_owned()),
            message => self.start(message, cx),
        }
    }

    /// Answers what is not JSON. The transport closes the connection when that has been sent.
    pub(crate) fn receive_garbage(&mut self, error: &RpcError) {
        self.shared.no_request(error);
        self.refuse(None, error);
    }

    /// Runs whatever can run, and writes what came of it. Registers the task of `cx` to be woken
    /// when there is more to do.
    pub(crate) fn poll(&mut self, cx: &mut TaskContext<'_>) {
        self.shared.link.drain_into(&mut self.out, cx.waker());
        // Mostly there is neither, and polling an empty set costs more than asking.
        while !self.is_idle() {
            while let Poll::Ready(Some(finished)) = self.running.poll_next_unpin(cx) {
                self.finish(finished);
            }
            if !self.start_waiting(cx) {
                break;
            }
        }
        if self.out.len() < OUT_LOW {
            self.subscriptions.poll(&mut self.out, cx);
        }
    }

    /// Takes what is still to be sent; the transport ends when that has left.
    pub(crate) fn drain(&mut self, cx: &TaskContext<'_>) {
        self.shared.link.drain_into(&mut self.out, cx.waker());
    }

    /// The transport has written something of what is in the outbox.
    pub(crate) fn note_written(&self) {
        self.shared.link.note_written();
    }

    /// The other side writes no more: calls of ours will not be answered.
    pub(crate) fn hang_up(&self, reason: &str) {
        self.shared.link.hang_up(reason);
    }

    /// Whether the transport should read on.
    pub(crate) fn wants_input(&self) -> bool {
        self.waiting_bytes < self.shared.limits.waiting_bytes
    }

    /// Whether there may be more to send as soon as something of the outbox has left.
    pub(crate) fn is_held_back(&self) -> bool {
        self.out.len() >= OUT_LOW
    }

    /// Whether nothing runs or waits to run.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Whether the other side left more unread than a connection may hold.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.shared.link.is_overloaded()
    }

    /// Ends the subscriptions: nobody reads them any more, or the server stops.
    pub(crate) fn end_subscriptions(&mut self) {
        self.subscriptions = Subscriptions::default();
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty()
            && self.running.len() < self.shared.limits.in_flight
            && self.out.len() < OUT_HIGH
    }

    fn wait(&mut self, value: Bytes) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(value.len().max(WAITING_LEAST));
        self.waiting.push_back(value);
    }

    /// Starts calls that have waited. `true` if one did not finish at once and so must be polled.
    fn start_waiting(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let before = self.running.len();
        while self.running.len() < self.shared.limits.in_flight && self.out.len() < OUT_HIGH {
            let Some(value) = self.waiting.pop_front() else { break };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(value.len().max(WAITING_LEAST));
            if value.starts_with(b"[") {
                self.start_batch(value, cx);
            } else {
                self.start(Message::parse(&value), cx);
            }
        }
        self.running.len() > before
    }

    /// Runs a call or a notification; most are done at once.
    fn start(&mut self, message: Message<'_>, cx: &mut TaskContext<'_>) {
        let (id, method, params) = match message {
            Message::Call { id, method, params } => (Some(id), method, params),
            Message::Notification { method, params } => (None, method, params),
            Message::Invalid { id } => {
                let error = RpcError::invalid_request();
                self.shared.no_request(&error);
                return self.refuse(id, &error);
            }
            Message::Response { .. } => return,
        };
        let mut call = match self.begin(&method, params) {
            Ok(call) => call,
            Err(error) => {
                if let Some(id) = id {
                    self.refuse(Some(id), &error);
                }
                return;
            }
        };
        match call.poll_unpin(cx) {
            Poll::Ready(finished) => self.answer(id.map(RawValue::get), finished),
            Poll::Pending => {
                let id = id.map(|id| id.get().into());
                let timer = self.shared.limits.call_timeout.map(CallTimeout::start);
                self.running.push(Running::Call { id, call, timer });
            }
        }
    }

    /// Looks the method up, or does what the dispatcher itself answers to.
    fn begin(&mut self, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
        let measure = Measure::begin(&self.shared, method);
        Call::measured(measure, self.begin_now(method, params))
    }

    fn begin_now(&mut self, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
        check_name(method)?;
        if method.ends_with(UNSUBSCRIBE) {
            let (id,) = <(String,) as crate::Params>::parse(params)?;
            return match self.subscriptions.end(&id) {
                true => Ok(Call::done(b"true".to_vec())),
                false => Err(RpcError::subscription_not_found()),
            };
        }
        Call::begin(&self.shared, method, params)
    }

    fn finish(&mut self, finished: Ran) {
        match finished {
            Ran::Call { id, finished } => self.answer(id.as_deref(), finished),
            Ran::Batch { answers, opened, unsubscribe } => {
                if let Some(answers) = answers {
                    self.out.message(|out| out.extend_from_slice(&answers));
                }
                for opened in opened {
                    self.subscriptions.begin(opened, &self.shared);
                }
                for id in unsubscribe {
                    self.subscriptions.end(&id);
                }
            }
        }
    }

    /// Writes the answer of a call, and lets its subscription begin behind it.
    fn answer(&mut self, id: Option<&str>, finished: Finished) {
        let opened = match finished {
            Finished::Value(outcome) => {
                let Some(id) = id else { return };
                let outcome = outcome.as_deref();
                self.out.message(|out| message::write_response(out, id, outcome));
                None
            }
            Finished::Opened(opened) => {
                // Nobody could ever end a subscription without an id, nor tell its values apart.
                let Some(id) = id else { return };
                let result = opened.quoted_id();
                self.out.message(|out| message::write_response(out, id, Ok(result.as_bytes())));
                Some(opened)
            }
        };
        if let Some(opened) = opened {
            self.subscriptions.begin(opened, &self.shared);
        }
    }

    fn refuse(&mut self, id: Option<&RawValue>, error: &RpcError) {
        let id = id.map(RawValue::get);
        self.out.message(|out| message::write_error(out, id, error));
    }

    fn receive_batch(&mut self, value: Bytes, cx: &mut TaskContext<'_>) {
        if self.has_room() {
            self.start_batch(value, cx);
        } else if batch::is_all_answers(&value, self.shared.limits.batch_items) {
            // Answers never wait: a handler of ours may be waiting for them.
            self.start_batch(value, cx);
        } else {
            self.wait(value);
        }
    }

    fn start_batch(&mut self, value: Bytes, cx: &mut TaskContext<'_>) {
        let items = match message::split_batch(&value, self.shared.limits.batch_items) {
            Ok(items) => items,
            Err(id) => {
                self.shared.batch_too_large();
                let id = id.as_deref().map(RawValue::get);
                self.out.message(|out| {
                    out.extend_from_slice(b"[");
                    message::write_error(out, id, &RpcError::batch_too_large());
                    out.extend_from_slice(b"]");
                });
                return;
            }
        };
        if items.is_empty() {
            let error = RpcError::empty_batch();
            self.shared.no_request(&error);
            self.refuse(None, &error);
            return;
        }
        // Rare, and then all ids must be known while the batch runs.
        let ends_some = memchr::memmem::find(&value, UNSUBSCRIBE.as_bytes()).is_some();
        // bound: `subscriptions` of the connection
        let known = if ends_some { self.subscriptions.ids() } else { BTreeSet::new() };
        drop(value);
        let calls = self.take_answers(items);
        if calls.is_empty() {
            return;
        }
        let mut batch = Batch::new(self.shared.clone(), calls, known);
        match batch.poll_unpin(cx) {
            Poll::Ready(ran) => self.finish(ran),
            Poll::Pending => self.running.push(Running::Batch(Box::new(batch))),
        }
    }

    /// Hands on what answers calls of ours; the rest is left.
    fn take_answers(&self, items: Vec<Bytes>) -> Vec<Bytes> {
        let link = &self.shared.link;
        // bound: one for each batch of ours that is answered here
        let mut answered = BTreeSet::new();
        let is_call = |item: &Bytes| match Message::parse(item) {
            Message::Response { id, outcome } => {
                answered.extend(link.answer(id, outcome));
                false
            }
            Message::Notification { method, params } => !link.notified(&method, params),
            _ => true,
        };
        let calls = items.into_iter().filter(is_call).collect();
        for batch in answered {
            link.end_of_batch(batch);
        }
        calls
    }
}

/// Something that did not finish at once.
enum Running {
    Call { id: Option<Box<str>>, call: Call, timer: Option<BoxFuture<'static, ()>> },
    Batch(Box<Batch>),
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { id, call, .. } => {
                f.debug_struct("Call").field("id", id).field("call", call).finish_non_exhaustive()
            }
            Self::Batch(batch) => f.debug_tuple("Batch").field(batch).finish(),
        }
    }
}

/// What became of it.
enum Ran {
    Call {
        id: Option<Box<str>>,
        finished: Finished,
    },
    Batch {
        /// A JSON array, unless there is nothing to answer.
        answers: Option<Vec<u8>>,
        /// Subscriptions that begin now.
        opened: Vec<Opened>,
        /// Subscriptions that end now.
        unsubscribe: Vec<String>,
    },
}

impl Future for Running {
    type Output = Ran;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Ran> {
        match self.get_mut() {
            Self::Call { id, call, timer } => {
                if let Poll::Ready(finished) = call.poll_unpin(cx) {
                    return Poll::Ready(Ran::Call { id: id.take(), finished });
                }
                if let Some(timer) = timer
                    && timer.poll_unpin(cx).is_ready()
                {
                    let finished = call.give_up(RpcError::timed_out());
                    return Poll::Ready(Ran::Call { id: id.take(), finished });
                }
                Poll::Pending
            }
            Self::Batch(batch) => batch.poll_unpin(cx),
        }
    }
}

/// Below this many bytes to send, subscriptions are read; above, their sources wait.
const OUT_LOW: usize = 64 * 1024;

/// Above this many bytes to send, no call is started.
const OUT_HIGH: usize = 1024 * 1024;

/// What a waiting call counts at least, in bytes: many small ones have a cost, too.
const WAITING_LEAST: usize = 256;
