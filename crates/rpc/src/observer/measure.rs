//! What is measured while it lasts, and told when it ends, however it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Outcome, RequestSeen, Watch};
use crate::{RpcError, TransportKind, session::Shared};

/// A request that runs. One that is dropped before its end was cancelled.
///
/// Nothing, and no allocation, if nobody is told.
#[derive(Debug, Default)]
pub(crate) struct Measure(Option<Box<Running>>);

#[derive(Debug)]
struct Running {
    watch: Watch,
    transport: TransportKind,
    method: Option<Arc<str>>,
    began: Instant,
    /// The session's clock: its logic has none of its own.
    now: fn() -> Instant,
}

impl Measure {
    /// A request for this method begins, whether there is one of that name or not.
    pub(crate) fn begin(shared: &Shared, method: &str) -> Self {
        let watch = &shared.api.watch;
        Self(watch.is_some().then(|| {
            Box::new(Running {
                watch: watch.clone(),
                transport: shared.link.caller().transport(),
                method: shared.api.name_of(method),
                began: (shared.limits.now)(),
                now: shared.limits.now,
            })
        }))
    }

    /// It has ended. Only the first end counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if let Some(running) = self.0.take() {
            let took = (running.now)().saturating_duration_since(running.began);
            running.watch.tell(|observer| {
                observer.request(&RequestSeen {
                    transport: running.transport,
                    method: running.method.as_deref(),
                    outcome,
                    took,
                });
            });
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

impl Watch {
    /// What came was no request, and is answered with this.
    pub(crate) fn no_request(&self, transport: TransportKind, error: &RpcError) {
        self.tell(|observer| {
            observer.request(&RequestSeen {
                transport,
                method: None,
                outcome: Outcome::of(error),
                took: Duration::ZERO,
            });
        });
    }

    /// A connection is served, as long as what is returned lives.
    pub(crate) fn connection(&self, transport: TransportKind) -> Counted {
        self.tell(|observer| observer.connection_opened(transport));
        Counted { watch: self.clone(), transport, is_subscription: false }
    }

    /// A subscription has begun, and lasts as long as what is returned lives.
    pub(crate) fn subscription(&self, transport: TransportKind) -> Counted {
        self.tell(|observer| observer.subscription_opened(transport));
        Counted { watch: self.clone(), transport, is_subscription: true }
    }
}

/// A connection or a subscription that was told as opened, and is told as closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    watch: Watch,
    transport: TransportKind,
    is_subscription: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let transport = self.transport;
        self.watch.tell(|observer| match self.is_subscription {
            true => observer.subscription_closed(transport),
            false => observer.connection_closed(transport),
        });
    }
}
