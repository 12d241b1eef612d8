//! A subscription of ours as one of jsonrpsee's.
//!
//! Only jsonrpsee's own client can make its `Subscription`. So each gets a client of its own, whose
//! transport leads nowhere but to the subscription that there is already:
//!
//! ```text
//!   jsonrpsee Subscription ◀── values ── jsonrpsee client ◀── Incoming ◀── our Subscription
//!             │                                 │                │ owns both
//!             └── drop, unsubscribe ───────────▶└── Outgoing ───▶┘ and drops them, which unsubscribes
//! ```
//!
//! Nothing crosses a socket here. One for each keeps them apart: a slow reader, an end or a lost
//! connection is one subscription's own affair.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use jsonrpsee::core::client::{
    self as jsonrpsee_client, Error, ReceivedMessage, SubscriptionClientT as _, TransportReceiverT,
    TransportSenderT,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::to_typed;
use crate::{
    ClientError, Subscription,
    client::subscription::Inbox,
    link::{Link, NoAnswer},
};

/// Hands a subscription over to jsonrpsee.
///
/// # Errors
///
/// When jsonrpsee's client fails, for which there is no reason.
pub(super) async fn subscription<T: DeserializeOwned>(
    values: Subscription<Box<RawValue>>,
) -> Result<jsonrpsee_client::Subscription<T>, Error> {
    let owner = Arc::new(OnceLock::new());
    let client = client(Source::Subscription { values, asked: false }, Some(Arc::clone(&owner)));
    let params = jsonrpsee::core::params::ArrayParams::new();
    let subscription = client.subscribe(SUBSCRIBE, params, UNSUBSCRIBE).await;
    // The task that reads has the other half: the client lasts as long as that task.
    let _ = owner.set(client);
    subscription
}

/// What typed traits listen to that is about no subscription, by method.
#[derive(Default)]
pub(in crate::client) struct Listeners {
    // bound: one for each method that this program listens to
    by_method: tokio::sync::Mutex<HashMap<String, jsonrpsee_client::Client>>,
}

impl Listeners {
    /// Listens to the notifications of one method.
    ///
    /// # Errors
    ///
    /// When somebody does already, or the connection is closed.
    pub(super) async fn listen<T: DeserializeOwned>(
        &self,
        link: &Arc<Link>,
        method: &str,
    ) -> Result<jsonrpsee_client::Subscription<T>, Error> {
        let mut by_method = self.by_method.lock().await;
        // It knows whether its subscription has been dropped; nobody else is told.
        if let Some(client) = by_method.get(method).filter(|client| client.is_connected()) {
            return client.subscribe_to_method(method).await;
        }
        let inbox = Inbox::new();
        let client = client(Source::method(Arc::clone(&inbox), method), None);
        let subscription = client.subscribe_to_method(method).await?;
        let failed = |reason: NoAnswer| to_typed(ClientError::from(reason));
        link.listen(method, inbox).map_err(failed)?;
        by_method.insert(method.to_owned(), client);
        Ok(subscription)
    }
}

fn client(source: Source, owner: Option<Owner>) -> jsonrpsee_client::Client {
    // bound: the call that asks and the one that ends, and nobody else sends
    let (outgoing, requests) = mpsc::channel(4);
    jsonrpsee_client::ClientBuilder::new()
        .max_buffer_capacity_per_subscription(MAX_UNREAD)
        .build_with_tokio(Outgoing(outgoing), Incoming { source, requests, _owner: owner })
}

/// The client, for the task that it reads with.
type Owner = Arc<OnceLock<jsonrpsee_client::Client>>;

/// What the client believes that it sends.
struct Outgoing(mpsc::Sender<String>);

impl TransportSenderT for Outgoing {
    type Error = Ended;

    async fn send(&mut self, request: String) -> Result<(), Ended> {
        self.0.send(request).await.map_err(|_| Ended)
    }
}

/// What the client believes that it receives.
struct Incoming {
    source: Source,
    requests: mpsc::Receiver<String>,
    _owner: Option<Owner>,
}

enum Source {
    /// Values under an id, which the client asks for first.
    Subscription { values: Subscription<Box<RawValue>>, asked: bool },
    /// Parameters of notifications of one method; its name is JSON.
    Method { inbox: Arc<Inbox>, method: String },
}

impl Source {
    fn method(inbox: Arc<Inbox>, method: &str) -> Self {
        Self::Method { inbox, method: serde_json::Value::from(method).to_string() }
    }

    /// The next value, as the message in which it would have come.
    async fn next(&mut self) -> Result<String, Ended> {
        match self {
            Self::Subscription { asked: false, .. } => std::future::pending().await,
            Self::Subscription { values, .. } => {
                let value = values.next_raw().await.and_then(Result::ok).ok_or(Ended)?;
                let (id, value) = (values.raw_id(), value.get());
                Ok(format!(
                    r#"{{"jsonrpc":"2.0","method":"{SUBSCRIBE}","params":{{"subscription":{id},"result":{value}}}}}"#
                ))
            }
            Self::Method { inbox, method } => {
                let params = inbox.next().await.and_then(Result::ok).ok_or(Ended)?;
                Ok(format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#))
            }
        }
    }

    /// The answer to what the client asks: first for its subscription, then for the end of it.
    fn answer(&mut self, request: Option<String>) -> Result<String, Ended> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
        }
        let Self::Subscription { values, asked: asked @ false } = self else { return Err(Ended) };
        let request = request.ok_or(Ended)?;
        let Request { id } = serde_json::from_str(&request).map_err(|_| Ended)?;
        *asked = true;
        Ok(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, values.raw_id()))
    }
}

impl TransportReceiverT for Incoming {
    type Error = Ended;

    async fn receive(&mut self) -> Result<ReceivedMessage, Ended> {
        let message = tokio::select! {
            biased;
            request = self.requests.recv() => self.source.answer(request),
            message = self.source.next() => message,
        };
        message.map(ReceivedMessage::Text)
    }
}

/// There is no more to come.
#[derive(Debug, thiserror::Error)]
#[error("subscription ended")]
struct Ended;

/// Names that never leave this module.
const SUBSCRIBE: &str = "subscribe";
const UNSUBSCRIBE: &str = "unsubscribe";

/// How many values wait to be read; jsonrpsee's own default.
const MAX_UNREAD: usize = 1_024;
