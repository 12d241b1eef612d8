//! One call: its work, contained, and what comes of it.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures_util::FutureExt as _;
use serde_json::value::RawValue;

use super::Shared;
use crate::{
    Context, RpcError,
    api::{self, Place, SUBSCRIBE},
    module::{Reply, Work},
    observer::{Measure, Outcome, RefusedBy},
    pubsub::Notifications,
};

/// A call under way. A panic in its handler is the end of this call and of nothing else.
pub(super) struct Call {
    work: Work,
    /// Of a call that asks for a subscription: its namespace, its id and its place.
    subscription: Option<Box<Asked>>,
    measure: Measure,
}

struct Asked {
    namespace: String,
    id: String,
    place: Place,
}

/// A subscription that begins as soon as its id has been answered.
pub(super) struct Opened {
    pub(super) namespace: String,
    pub(super) id: String,
    pub(super) place: Place,
    pub(super) notifications: Notifications,
}

impl Opened {
    /// The id as JSON; it is hexadecimal.
    pub(super) fn quoted_id(&self) -> String {
        format!("\"{}\"", self.id)
    }
}

/// What a call came to.
pub(super) enum Finished {
    /// A result, as JSON, or an error.
    Value(Result<Vec<u8>, RpcError>),
    /// A subscription.
    Opened(Opened),
}

impl Call {
    /// Reads the arguments and calls the handler.
    ///
    /// # Errors
    ///
    /// What the caller is answered.
    pub(super) fn begin(
        shared: &Shared,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Self, RpcError> {
        if let Some(namespace) = method.strip_suffix(SUBSCRIBE) {
            return Self::subscribe(shared, namespace, params);
        }
        let context = Context(shared.link.clone());
        let work = contained(method, || shared.api.call(context, method, params))??;
        Ok(Self { work, subscription: None, measure: Measure::default() })
    }

    /// The call, if it could be begun, with what measures it.
    ///
    /// # Errors
    ///
    /// The error, which is the end of what was measured.
    pub(super) fn measured(
        mut measure: Measure,
        begun: Result<Self, RpcError>,
    ) -> Result<Self, RpcError> {
        match begun {
            Ok(call) => Ok(Self { measure, ..call }),
            Err(error) => {
                measure.end(Outcome::of(&error));
                Err(error)
            }
        }
    }

    /// It is not waited for any longer.
    pub(super) fn give_up(&mut self, error: RpcError) -> Finished {
        self.measure.end(Outcome::of(&error));
        Finished::Value(Err(error))
    }

    fn subscribe(
        shared: &Shared,
        namespace: &str,
        params: Option<&RawValue>,
    ) -> Result<Self, RpcError> {
        if !shared.link.two_way() {
            return Err(RpcError::no_notifications());
        }
        // As far as the first underscore, like any other namespace.
        let namespace = namespace.split('_').next().unwrap_or_default();
        let context = Context(shared.link.clone());
        let work = contained(namespace, || shared.api.subscribe(context, namespace, params))??;
        let limits = &shared.limits;
        let place = Place::take(
            &shared.link.subscribed,
            limits.subscriptions,
            &shared.api.subscribed,
            limits.subscriptions_of_server,
        );
        let Some(place) = place else {
            shared.api.watch.tell(|observer| observer.refused(RefusedBy::Subscriptions));
            return Err(RpcError::too_many_subscriptions());
        };
        let (namespace, id) = (namespace.to_owned(), (limits.subscription_id)());
        let asked = Box::new(Asked { namespace, id, place });
        Ok(Self { work, subscription: Some(asked), measure: Measure::default() })
    }

    /// A call with a result that is known already.
    pub(super) fn done(result: Vec<u8>) -> Self {
        let work = api::ready(Ok(result));
        Self { work, subscription: None, measure: Measure::default() }
    }

    fn finish(&mut self, outcome: Result<Reply, RpcError>) -> Finished {
        match (outcome, self.subscription.take()) {
            (Ok(Reply::Value(value)), _) => Finished::Value(Ok(value)),
            (Ok(Reply::Subscription { id: own, values }), Some(asked)) => {
                let Asked { namespace, id, place } = *asked;
                let id = own.unwrap_or(id);
                Finished::Opened(Opened { namespace, id, place, notifications: values })
            }
            // A stream from a method that was not called as a subscription has no id to go by.
            (Ok(Reply::Subscription { .. }), None) => Finished::Value(Err(RpcError::crashed())),
            (Err(error), _) => Finished::Value(Err(error)),
        }
    }
}

impl Future for Call {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Finished> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.poll_unpin(cx)));
        let finished = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => self.finish(outcome),
            Err(panic) => {
                report(&*panic, "a method");
                Finished::Value(Err(RpcError::crashed()))
            }
        };
        self.measure.end(match &finished {
            Finished::Value(Err(error)) => Outcome::of(error),
            Finished::Value(Ok(_)) | Finished::Opened(_) => Outcome::Ok,
        });
        Poll::Ready(finished)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("subscribes", &self.subscription.is_some()).finish()
    }
}

/// Runs the part of a handler that runs before its first await.
fn contained<T>(method: &str, handler: impl FnOnce() -> T) -> Result<T, RpcError> {
    catch_unwind(AssertUnwindSafe(handler)).map_err(|panic| {
        report(&*panic, method);
        RpcError::crashed()
    })
}

/// For the log of whoever runs the server; the caller learns nothing of it.
pub(super) fn report(panic: &(dyn Any + Send), method: &str) {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(method, err = text, "rpc handler panicked");
}
