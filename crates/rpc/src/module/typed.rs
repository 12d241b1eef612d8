//! Typed traits of jsonrpsee as modules.
//!
//! ```text
//!   trait method   #[method(name = "add")]                     ──▶ foo_add
//!   subscription   #[subscription(name = "subscribe" => …)]    ──▶ foo_subscribe [name, …], any name
//!                                                                  that no other subscription has
//! ```
//!
//! The trait's own code reads the arguments and writes the result, so both are jsonrpsee's: what is
//! wrong with arguments is said in its words, too many are ignored, and an object is taken for named
//! ones.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use jsonrpsee::{
    BoundedSubscriptions, ConnectionId, Extensions, MethodCallback, MethodResponse, MethodSink,
    Methods, SubscriptionMethod, SubscriptionState,
    core::traits::IdProvider,
    types::{Id, Params, SubscriptionId},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Method, Module, ModuleError, Reply};
use crate::{
    Context, RpcError, code,
    link::Values,
    message::{self, Message},
    pubsub::Notifications,
    transport,
};

impl Module {
    /// A namespace from the methods of a trait with jsonrpsee's `#[rpc(server)]`: those whose names
    /// begin with `<namespace>_`.
    ///
    /// Results and errors go through unchanged. A method that was declared `with_extensions` finds the
    /// call's [`Context`] there. More methods and subscriptions may be added as to any other module.
    ///
    /// Subscriptions follow go-ethereum's convention, in which one method serves all of a namespace and
    /// the name comes first: a trait has one subscription of the names below, with a `String` as its
    /// first argument. It gets every name that has not been added with [`Module::subscription`], to this
    /// module or to another of the namespace. Its ids are made by the server like all others. It ends
    /// when the handler does, or the client unsubscribes or leaves; then `SubscriptionSink::closed`
    /// returns. What a handler returns as its error is the last notification. Up to 64 values wait for
    /// the client, then `send` waits and `try_send` fails.
    ///
    /// ```
    /// use jsonrpsee::{
    ///     PendingSubscriptionSink,
    ///     core::{RpcResult, SubscriptionResult, async_trait, to_json_raw_value},
    ///     proc_macros::rpc,
    /// };
    /// use rpc::{Module, Server};
    ///
    /// #[rpc(server, client, namespace = "foo")]
    /// trait Foo {
    ///     #[method(name = "add")]
    ///     async fn add(&self, a: u64, b: Option<u64>) -> RpcResult<u64>;
    ///
    ///     #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = u64)]
    ///     async fn watch(&self, name: String, n: u64) -> SubscriptionResult;
    /// }
    ///
    /// struct Sums;
    ///
    /// #[async_trait]
    /// impl FooServer for Sums {
    ///     async fn add(&self, a: u64, b: Option<u64>) -> RpcResult<u64> {
    ///         Ok(a + b.unwrap_or(1))
    ///     }
    ///
    ///     async fn watch(
    ///         &self,
    ///         pending: PendingSubscriptionSink,
    ///         _name: String,
    ///         n: u64,
    ///     ) -> SubscriptionResult {
    ///         let sink = pending.accept().await?;
    ///         for i in 0..n {
    ///             sink.send(to_json_raw_value(&i)?).await?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().module(Module::from_typed("foo", Sums.into_rpc())?).start().await?;
    ///
    /// // The same trait, over any transport.
    /// let client = server.attach();
    /// assert_eq!(client.add(1, None).await?, 2);
    /// let mut values = client.watch("count".to_owned(), 2).await?;
    /// assert_eq!(values.next().await.transpose()?, Some(0));
    ///
    /// // And without it.
    /// assert_eq!(client.call::<u64>("foo_add", (1, 2)).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ModuleError::TypedSubscription`] for a subscription with other names, which the clients of
    /// go-ethereum could not use, and [`ModuleError::Typed`] when no method begins with `<namespace>_`.
    pub fn from_typed(
        namespace: impl Into<String>,
        methods: impl Into<Methods>,
    ) -> Result<Self, ModuleError> {
        let mut module = Self::new(namespace);
        let methods = methods.into();
        let prefix = format!("{}_", module.namespace);
        for full in methods.method_names() {
            if let (Some(name), Some(callback)) = (full.strip_prefix(&prefix), methods.method(full))
            {
                module.add_typed(name, callback)?;
            }
        }
        if module.is_empty() {
            return Err(ModuleError::Typed { namespace: module.namespace });
        }
        Ok(module)
    }

    fn add_typed(&mut self, name: &str, callback: &MethodCallback) -> Result<(), ModuleError> {
        let method: Method = match callback {
            MethodCallback::Subscription(_) if name != SUBSCRIBE => {
                let namespace = self.namespace.clone();
                return Err(ModuleError::TypedSubscription { namespace, name: name.to_owned() });
            }
            MethodCallback::Subscription(callback) => {
                let callback = Arc::clone(callback);
                self.any_subscription = Some(Arc::new(move |context, params| {
                    let params = params.map(ToOwned::to_owned);
                    // Nothing of it runs before the dispatcher has found a place for it.
                    Ok(subscribe(Arc::clone(&callback), context, params).boxed())
                }));
                return Ok(());
            }
            // The dispatcher ends subscriptions itself.
            MethodCallback::Unsubscription(_) => return Ok(()),
            MethodCallback::Sync(callback) => {
                let callback = Arc::clone(callback);
                Arc::new(move |context, params| {
                    let params = Params::new(params.map(RawValue::get));
                    let response = callback(ID, params, usize::MAX, extensions(context));
                    Ok(std::future::ready(reply(response)).boxed())
                })
            }
            MethodCallback::Async(callback) => {
                let callback = Arc::clone(callback);
                Arc::new(move |context, params| {
                    let params = Params::new(params.map(RawValue::get)).into_owned();
                    let connection = connection(&context);
                    let work = callback(ID, params, connection, usize::MAX, extensions(context));
                    Ok(work.map(reply).boxed())
                })
            }
        };
        self.methods.insert(name.to_owned(), method);
        Ok(())
    }
}

/// Calls the trait's subscription and waits until it accepts.
async fn subscribe(
    callback: SubscriptionMethod<'static>,
    context: Context,
    params: Option<Box<RawValue>>,
) -> Result<Reply, RpcError> {
    // Ours are counted by the dispatcher.
    let permit = BoundedSubscriptions::new(1).acquire();
    // bound: QUEUED, then the handler waits
    let (sender, mut messages) = mpsc::channel(QUEUED);
    let state = SubscriptionState {
        conn_id: connection(&context),
        id_provider: &Ids,
        subscription_permit: permit.ok_or_else(RpcError::too_many_subscriptions)?,
    };
    let params = Params::new(params.as_deref().map(RawValue::get));
    let subscribing = callback(ID, params, MethodSink::new(sender), state, extensions(context));
    let id = serde_json::from_slice(&outcome(subscribing.await)?);
    let id = id.map_err(|error| RpcError::not_encodable(&error))?;
    // The answer is in the queue, too, before the first value.
    messages.recv().await;
    Ok(Reply::Subscription { id: Some(id), values: values(messages) })
}

/// The values that a trait's handler sends, unpacked; the dispatcher packs them up itself.
fn values(mut messages: mpsc::Receiver<Box<RawValue>>) -> Notifications {
    let messages = stream::poll_fn(move |cx| messages.poll_recv(cx));
    messages.filter_map(|message| std::future::ready(value(&message))).boxed()
}

fn value(message: &RawValue) -> Option<Result<Vec<u8>, RpcError>> {
    #[derive(Deserialize)]
    struct Notification<'a> {
        #[serde(borrow)]
        params: Values<'a>,
    }
    let Notification { params } = serde_json::from_str(message.get()).ok()?;
    match (params.result, params.error) {
        (Some(result), _) => Some(Ok(result.get().into())),
        (None, Some(error)) => Some(Err(last_words(error))),
        (None, None) => None,
    }
}

/// The error that a handler returned, as go-ethereum's clients read one; jsonrpsee's is a text.
fn last_words(error: &RawValue) -> RpcError {
    match message::text(error) {
        Some(text) => RpcError::new(code::SERVER, text),
        None => RpcError::read(error),
    }
}

fn reply(response: MethodResponse) -> Result<Reply, RpcError> {
    outcome(response).map(Reply::Value)
}

/// What is in a response.
fn outcome(response: MethodResponse) -> Result<Vec<u8>, RpcError> {
    let is_success = response.is_success();
    let (json, answered, _) = response.into_parts();
    if let Some(answered) = answered {
        answered.notify(is_success);
    }
    match Message::parse(json.get().as_bytes()) {
        Message::Response { outcome: Ok(result), .. } => Ok(result.get().into()),
        // Of a blocking method that panicked jsonrpsee has forgotten the id.
        Message::Response { id, outcome: Err(error) } if !message::is_null(id) => {
            Err(RpcError::read(error))
        }
        _ => Err(RpcError::crashed()),
    }
}

fn extensions(context: Context) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(connection(&context));
    extensions.insert(context);
    extensions
}

fn connection(context: &Context) -> ConnectionId {
    ConnectionId(context.0.number())
}

/// Ids of subscriptions, made as all others are.
#[derive(Debug)]
struct Ids;

impl IdProvider for Ids {
    fn next_id(&self) -> SubscriptionId<'static> {
        transport::subscription_id().into()
    }
}

/// The id of every call, for the response that is taken apart again.
const ID: Id<'static> = Id::Number(0);

/// The one name that a subscription may have.
const SUBSCRIBE: &str = "subscribe";

/// How many values of a subscription wait for the client, beside what its connection takes.
const QUEUED: usize = 64;
