//! A batch: its calls one after the other, its answers together.
//!
//! ```text
//!   [call, notification, call, 5]  ──▶  [answer, answer, invalid request]
//! ```
//!
//! When the answers grow too large, or the time is up, the calls that are left are answered with
//! that. Subscriptions made in a batch begin when its answers have been written.

use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    vec,
};

use ::bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::value::RawValue;

use super::{
    CallTimeout, Ran, Shared,
    call::{Call, Finished, Opened},
};
use crate::{
    Params, RpcError,
    api::{UNSUBSCRIBE, check_name},
    message::{self, Message},
    observer::{Measure, Outcome, RefusedBy},
};

/// See the module's comment.
pub(super) struct Batch {
    shared: Shared,
    // bound: `batch_items`, then the batch is refused
    calls: vec::IntoIter<Bytes>,
    current: Option<(Option<Box<str>>, Call)>,
    answers: BytesMut,
    /// Bytes of results so far.
    size: usize,
    /// Subscriptions that can be ended here: those there were, and those made in this batch.
    known: BTreeSet<String>,
    opened: Vec<Opened>,
    unsubscribe: Vec<String>,
    timer: Option<BoxFuture<'static, ()>>,
}

impl Batch {
    pub(super) fn new(shared: Shared, calls: Vec<Bytes>, known: BTreeSet<String>) -> Self {
        Self {
            timer: shared.limits.call_timeout.map(CallTimeout::start),
            shared,
            calls: calls.into_iter(),
            current: None,
            answers: BytesMut::new(),
            size: 0,
            known,
            opened: Vec::new(),
            unsubscribe: Vec::new(),
        }
    }

    /// Starts the next call, or answers it if it cannot be.
    fn start(&mut self, item: &[u8]) {
        match Message::parse(item) {
            Message::Call { id, method, params } => {
                let id = id.get();
                match self.begin(&method, params) {
                    Ok(call) => self.current = Some((Some(id.into()), call)),
                    Err(error) => self.write(|out| message::write_error(out, Some(id), &error)),
                }
            }
            Message::Notification { method, params } => {
                self.current = self.begin(&method, params).ok().map(|call| (None, call));
            }
            Message::Invalid { id } => {
                let error = RpcError::invalid_request();
                self.shared.no_request(&error);
                self.write(|out| message::write_error(out, id.map(RawValue::get), &error));
            }
            Message::Response { .. } => {}
        }
    }

    fn begin(&mut self, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
        let measure = Measure::begin(&self.shared, method);
        Call::measured(measure, self.begin_now(method, params))
    }

    fn begin_now(&mut self, method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
        check_name(method)?;
        if !method.ends_with(UNSUBSCRIBE) {
            return Call::begin(&self.shared, method, params);
        }
        let (id,) = <(String,)>::parse(params)?;
        if !self.known.remove(&id) {
            return Err(RpcError::subscription_not_found());
        }
        self.opened.retain(|opened| opened.id != id);
        self.unsubscribe.push(id);
        Ok(Call::done(b"true".to_vec()))
    }

    fn finish(&mut self, id: Option<&str>, finished: Finished) {
        let Some(id) = id else { return };
        match finished {
            Finished::Value(outcome) => {
                let outcome = outcome.as_deref();
                self.size = self.size.saturating_add(outcome.map_or_else(error_size, <[u8]>::len));
                self.write(|out| message::write_response(out, id, outcome));
            }
            Finished::Opened(opened) => {
                let result = opened.quoted_id();
                self.size = self.size.saturating_add(result.len());
                self.write(|out| message::write_response(out, id, Ok(result.as_bytes())));
                self.known.insert(opened.id.clone());
                self.opened.push(opened);
            }
        }
    }

    /// Answers the calls that are left with `error`.
    fn give_up(&mut self, error: &RpcError) {
        if let Some((id, mut call)) = self.current.take() {
            call.give_up(error.clone());
            if let Some(id) = id {
                self.write(|out| message::write_error(out, Some(&id), error));
            }
        }
        for item in std::mem::take(&mut self.calls) {
            if let Message::Call { id, method, .. } = Message::parse(&item) {
                Measure::begin(&self.shared, &method).end(Outcome::of(error));
                self.write(|out| message::write_error(out, Some(id.get()), error));
            }
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.answers.extend_from_slice(if self.answers.is_empty() { b"[" } else { b"," });
        write(&mut self.answers);
    }

    fn is_too_large(&self) -> bool {
        let limit = self.shared.limits.batch_response_bytes;
        limit > 0 && self.size > limit
    }

    fn end(&mut self) -> Ran {
        let answers = (!self.answers.is_empty()).then(|| {
            self.answers.extend_from_slice(b"]");
            std::mem::take(&mut self.answers).into()
        });
        Ran::Batch {
            answers,
            opened: std::mem::take(&mut self.opened),
            unsubscribe: std::mem::take(&mut self.unsubscribe),
        }
    }
}

impl Future for Batch {
    type Output = Ran;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Ran> {
        let batch = &mut *self;
        for _ in 0..AT_A_TIME {
            if let Some((id, call)) = &mut batch.current {
                let Poll::Ready(finished) = call.poll_unpin(cx) else {
                    return batch.poll_timer(cx);
                };
                let id = id.take();
                batch.current = None;
                batch.finish(id.as_deref(), finished);
                if batch.is_too_large() && batch.calls.len() > 0 {
                    let watch = &batch.shared.api.watch;
                    watch.tell(|observer| observer.refused(RefusedBy::BatchResponseBytes));
                    batch.give_up(&RpcError::response_too_large());
                }
            }
            match batch.calls.next() {
                Some(item) => batch.start(&item),
                None => return Poll::Ready(batch.end()),
            }
        }
        // Others have calls, too.
        cx.waker().wake_by_ref();
        batch.poll_timer(cx)
    }
}

impl Batch {
    fn poll_timer(&mut self, cx: &mut TaskContext<'_>) -> Poll<Ran> {
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if timer.poll_unpin(cx).is_pending() {
            return Poll::Pending;
        }
        self.give_up(&RpcError::timed_out());
        Poll::Ready(self.end())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("left", &self.calls.len()).finish_non_exhaustive()
    }
}

/// Whether a batch holds nothing but answers to calls of ours.
pub(super) fn is_all_answers(batch: &Bytes, limit: usize) -> bool {
    let is_answer = |item: &Bytes| matches!(Message::parse(item), Message::Response { .. });
    message::split_batch(batch, limit).is_ok_and(|items| items.iter().all(is_answer))
}

fn error_size(error: &RpcError) -> usize {
    error.message().len().saturating_add(error.data().map_or(0, |data| data.get().len()))
}

/// How many calls of a batch run before the connection's other calls have a turn.
const AT_A_TIME: usize = 32;
