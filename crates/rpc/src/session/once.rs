//! One exchange: a value comes in, its answer goes out, and that was all. For HTTP.
//!
//! ```text
//!   call          ──▶ runs, within the time ──▶ its answer
//!   notification  ──▶ runs                  ──▶ nothing
//!   batch         ──▶ one by one            ──▶ the answers, if there are any
//!   no call       ─────────────────────────────▶ "invalid request", or nothing
//! ```
//!
//! There is nothing to subscribe to and nobody to call back, so none of a [`Session`]'s queues is
//! needed. Dropping it gives up what runs.
//!
//! [`Session`]: super::Session

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use ::bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::value::RawValue;

use super::{
    CallTimeout, Ran, Shared,
    batch::Batch,
    call::{Call, Finished},
};
use crate::{
    Params as _, RpcError,
    api::UNSUBSCRIBE,
    message::{self, Message},
    observer::Measure,
};

/// See the module's comment. Resolves to what is to be sent, if anything is.
#[derive(Debug)]
pub(crate) struct Exchange {
    shared: Shared,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Nothing has to run, or it is through.
    Done(Option<Bytes>),
    Call(Running),
    Batch(Box<Batch>),
}

struct Running {
    id: Option<Box<str>>,
    call: Call,
    /// Starts when the call turns out to take time.
    timer: Option<BoxFuture<'static, ()>>,
}

impl Exchange {
    /// Takes one complete JSON value, without white space around it, from the connection that the
    /// link of `shared` belongs to.
    pub(crate) fn new(shared: Shared, value: &Bytes) -> Self {
        shared.show(false, value);
        let work = match value.first() {
            Some(b'[') => start_batch(&shared, value),
            _ => start(&shared, value),
        };
        Self { shared, work }
    }
}

impl Shared {
    fn show(&self, sent: bool, message: &[u8]) {
        if let Some(tap) = &self.api.tap {
            tap.show(*self.link.caller(), sent, message);
        }
    }
}

fn start(shared: &Shared, value: &[u8]) -> Work {
    let (id, begun) = match Message::parse(value) {
        Message::Call { id, method, params } => (Some(id), begin(shared, &method, params)),
        Message::Notification { method, params } => (None, begin(shared, &method, params)),
        Message::Response { .. } => return Work::Done(None),
        Message::Invalid { id } => {
            let error = RpcError::invalid_request();
            shared.no_request(&error);
            return Work::refused(id.map(RawValue::get), &error);
        }
    };
    match (begun, id) {
        (Ok(call), id) => {
            Work::Call(Running { id: id.map(|id| id.get().into()), call, timer: None })
        }
        (Err(error), Some(id)) => Work::refused(Some(id.get()), &error),
        (Err(_), None) => Work::Done(None),
    }
}

fn begin(shared: &Shared, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
    Call::measured(Measure::begin(shared, method), begin_now(shared, method, params))
}

fn begin_now(shared: &Shared, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
    if method.ends_with(UNSUBSCRIBE) {
        <(String,)>::parse(params)?;
        return Err(RpcError::subscription_not_found());
    }
    Call::begin(shared, method, params)
}

fn start_batch(shared: &Shared, value: &Bytes) -> Work {
    match message::split_batch(value, shared.limits.batch_items) {
        Ok(items) if items.is_empty() => {
            let error = RpcError::empty_batch();
            shared.no_request(&error);
            Work::refused(None, &error)
        }
        Ok(items) => Work::Batch(Box::new(Batch::new(shared.clone(), items, Default::default()))),
        Err(id) => {
            shared.batch_too_large();
            Work::written(|out| {
                out.extend_from_slice(b"[");
                let id = id.as_deref().map(RawValue::get);
                message::write_error(out, id, &RpcError::batch_too_large());
                out.extend_from_slice(b"]");
            })
        }
    }
}

impl Work {
    fn refused(id: Option<&str>, error: &RpcError) -> Self {
        Self::written(|out| message::write_error(out, id, error))
    }

    fn written(write: impl FnOnce(&mut BytesMut)) -> Self {
        let mut out = BytesMut::new();
        write(&mut out);
        Self::Done(Some(out.freeze()))
    }

    fn poll(
        &mut self,
        limit: Option<CallTimeout>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Bytes>> {
        match self {
            Self::Done(answer) => Poll::Ready(answer.take()),
            Self::Call(running) => running.poll(limit, cx),
            Self::Batch(batch) => batch.poll_unpin(cx).map(|ran| match ran {
                Ran::Batch { answers, .. } => answers.map(Bytes::from),
                Ran::Call { .. } => None,
            }),
        }
    }
}

impl Future for Exchange {
    type Output = Option<Bytes>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { shared, work } = &mut *self;
        let answer = ready!(work.poll(shared.limits.call_timeout, cx));
        if let Some(answer) = &answer {
            shared.show(true, answer);
        }
        Poll::Ready(answer)
    }
}

impl Running {
    fn poll(
        &mut self,
        limit: Option<CallTimeout>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Bytes>> {
        let finished = match self.call.poll_unpin(cx) {
            Poll::Ready(finished) => finished,
            Poll::Pending => {
                let Some(limit) = limit else { return Poll::Pending };
                let timer = self.timer.get_or_insert_with(|| limit.start());
                if timer.poll_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
                self.call.give_up(RpcError::timed_out())
            }
        };
        Poll::Ready(self.id.as_deref().map(|id| answer(id, finished)))
    }
}

fn answer(id: &str, finished: Finished) -> Bytes {
    let outcome = match &finished {
        Finished::Value(outcome) => outcome.as_deref(),
        // The link says that there are no subscriptions here.
        Finished::Opened(_) => {
            return answer(id, Finished::Value(Err(RpcError::no_notifications())));
        }
    };
    let mut out = BytesMut::with_capacity(outcome.map_or(0, <[u8]>::len) + id.len() + ENVELOPE);
    message::write_response(&mut out, id, outcome);
    out.freeze()
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Room for what stands around id and result, in bytes.
const ENVELOPE: usize = 64;
