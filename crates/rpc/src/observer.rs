//! A hook that counts: requests, how they ended and how long they took, subscriptions, connections.
//!
//! The server knows no library of metrics. Whoever wants numbers installs an observer and puts them
//! wherever they belong; with none installed nothing is measured.
//!
//! ```text
//!   connection opened ─▶ request … ─▶ subscription opened ─▶ … closed ─▶ connection closed
//!        │ refused         │ method: one that is registered, or none
//!        ▼                 ▼ outcome: ok, or the class of the error
//! ```
//!
//! Nothing that it is told is text of a caller's choice, so all of it may be a label.
//!
//! Spec: the idea of ethereum/go-ethereum:rpc/metrics.go, with the names of a fixed list.

mod labels;
mod measure;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::labels::{Outcome, RefusedBy, RequestSeen};
pub(crate) use self::measure::{Counted, Measure};
use crate::TransportKind;

/// Is told what happens on a server's connections; set by
/// [`ServerBuilder::observe`](crate::ServerBuilder::observe).
///
/// Every method does nothing unless it is written. They are called in the task of the connection, and
/// must not wait for anything. An observer that panics is logged and is told nothing more.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
/// use rpc::{Observer, Outcome, RequestSeen, Server};
///
/// /// How many requests have failed.
/// #[derive(Clone, Default)]
/// struct Failures(Arc<AtomicUsize>);
///
/// impl Observer for Failures {
///     fn request(&self, request: &RequestSeen<'_>) {
///         if request.outcome != Outcome::Ok {
///             self.0.fetch_add(1, Relaxed);
///         }
///     }
/// }
///
/// let failures = Failures::default();
/// let builder = Server::builder().observe(failures.clone());
/// ```
#[expect(unused_variables, reason = "the names are for those who read the documentation")]
pub trait Observer: Send + Sync + 'static {
    /// A request has ended: a call or a notification, alone or in a batch. What was none counts as one
    /// that failed, and so does what is no JSON.
    fn request(&self, request: &RequestSeen<'_>) {}

    /// A subscription has begun: its id has been answered.
    fn subscription_opened(&self, transport: TransportKind) {}

    /// A subscription has ended: by its client, by its source, or with its connection.
    fn subscription_closed(&self, transport: TransportKind) {}

    /// A connection is served. What asks for a WebSocket is one over HTTP until then.
    fn connection_opened(&self, transport: TransportKind) {}

    /// A connection is over. One for each that was opened.
    fn connection_closed(&self, transport: TransportKind) {}

    /// Something was refused because a limit of [`Limits`](crate::Limits) was reached.
    fn refused(&self, by: RefusedBy) {}
}

/// The installed observers, none at first. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Watcher>>);

/// One observer, and those that were installed before it.
struct Watcher {
    observer: Box<dyn Observer>,
    panicked: AtomicBool,
    others: Watch,
}

impl Watch {
    /// Adds an observer.
    pub(crate) fn add(&mut self, observer: impl Observer) {
        let others = std::mem::take(self);
        let panicked = AtomicBool::new(false);
        *self = Self(Some(Arc::new(Watcher { observer: Box::new(observer), panicked, others })));
    }

    /// Whether anybody is told.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Tells every observer; a branch when there is none.
    pub(crate) fn tell(&self, what: impl Fn(&dyn Observer)) {
        if let Some(watcher) = &self.0 {
            watcher.tell(&what);
        }
    }
}

impl Watcher {
    fn tell(&self, what: &dyn Fn(&dyn Observer)) {
        if !self.panicked.load(Ordering::Relaxed)
            && catch_unwind(AssertUnwindSafe(|| what(&*self.observer))).is_err()
        {
            self.panicked.store(true, Ordering::Relaxed);
            tracing::error!("an rpc observer panicked and is told nothing more");
        }
        if let Some(other) = &self.others.0 {
            other.tell(what);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.is_some()).finish()
    }
}
