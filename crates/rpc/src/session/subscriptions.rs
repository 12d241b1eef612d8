//! The subscriptions of one connection.
//!
//! ```text
//!   stream ─┐
//!   stream ─┼─▶ poll ──▶ Outbox      each ready one in turn, while there is room
//!   stream ─┘
//! ```

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{AbortHandle, Abortable, SelectAll},
};

use super::{
    OUT_LOW, Shared,
    call::{Opened, report},
};
use crate::{
    RpcError, api::Place, message, observer::Counted, outbox::Outbox, pubsub::Notifications,
};

/// See the module's comment.
#[derive(Default)]
pub(super) struct Subscriptions {
    // bound: `subscriptions` of the connection, then asking for one more is an error
    known: HashMap<Arc<str>, Known>,
    /// Those whose stream has ended; they give way to new ones first.
    // bound: as `known`
    ended: VecDeque<Arc<str>>,
    // bound: as `known`
    streams: SelectAll<Abortable<Numbered>>,
}

struct Known {
    handle: AbortHandle,
    /// Held until the client unsubscribes or the stream has ended.
    place: Option<(Place, Counted)>,
}

impl Subscriptions {
    /// Lets a subscription speak, whose id has been answered.
    pub(super) fn begin(&mut self, opened: Opened, shared: &Shared) {
        let Opened { namespace, id, place, notifications } = opened;
        let (handle, registration) = AbortHandle::new_pair();
        let (namespace, id) = (Arc::from(namespace), Arc::from(id));
        let counted = shared.api.watch.subscription(shared.link.caller().transport());
        self.known.insert(Arc::clone(&id), Known { handle, place: Some((place, counted)) });
        let numbered = Numbered { namespace, id, notifications: Some(notifications) };
        self.streams.push(Abortable::new(numbered, registration));
    }

    /// Ends a subscription; `false` when there is none of this id.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let known = self.known.remove(id);
        if let Some(known) = &known {
            known.handle.abort();
            self.ended.retain(|ended| &**ended != id);
        }
        known.is_some()
    }

    /// The ids that can be ended.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.known.keys().map(|id| id.to_string()).collect()
    }

    /// Writes values until none is ready or there is enough to send.
    pub(super) fn poll(&mut self, out: &mut Outbox, cx: &mut TaskContext<'_>) {
        while !self.streams.is_empty() && out.len() < OUT_LOW {
            let Poll::Ready(Some((namespace, id, value))) = self.streams.poll_next_unpin(cx) else {
                return;
            };
            match value {
                Some(value) => {
                    let value = value.as_deref();
                    out.message(|out| message::write_subscription(out, &namespace, &id, value));
                }
                None => self.stream_ended(id),
            }
        }
    }

    /// The subscription stays known, so that ending it is no error; its place is free.
    fn stream_ended(&mut self, id: Arc<str>) {
        if let Some(known) = self.known.get_mut(&id) {
            known.place = None;
            self.ended.push_back(id);
        }
        while self.ended.len() > ENDED_KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// A subscription's values, each with where it belongs; `None` once, when there are no more.
struct Numbered {
    namespace: Arc<str>,
    id: Arc<str>,
    notifications: Option<Notifications>,
}

impl Stream for Numbered {
    type Item = (Arc<str>, Arc<str>, Option<Result<Vec<u8>, RpcError>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let Some(notifications) = &mut self.notifications else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| notifications.poll_next_unpin(cx)));
        let value = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => value,
            Err(panic) => {
                report(&*panic, "a subscription");
                None
            }
        };
        if let Some(Err(error)) = &value {
            tracing::warn!(id = &*self.id, %error, "rpc subscription ended");
        }
        if value.is_none() {
            self.notifications = None;
        }
        Poll::Ready(Some((Arc::clone(&self.namespace), Arc::clone(&self.id), value)))
    }
}

/// How many subscriptions whose streams have ended stay known, until a client ends them.
const ENDED_KEPT: usize = 1_024;
