//! jsonrpsee's client traits, so that typed traits work over every transport.
//!
//! ```text
//!   #[rpc(client)] trait Foo ──▶ FooClient ──▶ ClientT              Client itself
//!                                         └──▶ SubscriptionClientT  Client, and a bridge (bridge.rs)
//! ```
//!
//! [`Module::from_typed`](crate::Module::from_typed) shows both sides of one.

mod bridge;

use std::fmt;

use jsonrpsee::{
    core::{
        RegisterMethodError,
        client::{BatchResponse, ClientT, Error, Subscription, SubscriptionClientT},
        params::BatchRequestBuilder,
        traits::ToRpcParams,
    },
    types::ErrorObjectOwned,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub(super) use self::bridge::Listeners;
use super::{Answer, Client, ClientError};
use crate::RpcError;

/// Calls from typed traits. Errors keep the server's code, text and data.
impl ClientT for Client {
    async fn notification<Params>(&self, method: &str, params: Params) -> Result<(), Error>
    where
        Params: ToRpcParams + Send,
    {
        self.notify_encoded(method, encode(params)?).await.map_err(to_typed)
    }

    async fn request<R, Params>(&self, method: &str, params: Params) -> Result<R, Error>
    where
        R: DeserializeOwned,
        Params: ToRpcParams + Send,
    {
        let answer = self.call_encoded(method, encode(params)?).await.map_err(to_typed)?;
        Ok(serde_json::from_str(answer.get())?)
    }

    async fn batch_request<'a, R>(
        &self,
        batch: BatchRequestBuilder<'a>,
    ) -> Result<BatchResponse<'a, R>, Error>
    where
        R: DeserializeOwned + fmt::Debug + 'a,
    {
        let calls = batch.build()?.into_iter();
        let calls = calls.map(|(method, params)| (method.to_owned(), params.map(into_bytes)));
        let answers = self.batch_encoded(calls.collect()).await.map_err(to_typed)?;
        let results = answers.into_iter().map(entry).collect::<Result<Vec<_>, Error>>()?;
        let failed = results.iter().filter(|result| result.is_err()).count();
        Ok(BatchResponse::new(results.len().saturating_sub(failed), results, failed))
    }
}

/// Subscriptions from typed traits. Up to 1,024 values wait to be read; one more ends a subscription,
/// and the server is told. Whatever else ends it, it ends without a word, as jsonrpsee has it.
impl SubscriptionClientT for Client {
    async fn subscribe<'a, Notif, Params>(
        &self,
        subscribe_method: &'a str,
        params: Params,
        unsubscribe_method: &'a str,
    ) -> Result<Subscription<Notif>, Error>
    where
        Params: ToRpcParams + Send,
        Notif: DeserializeOwned,
    {
        if subscribe_method == unsubscribe_method {
            let name = subscribe_method.to_owned();
            return Err(RegisterMethodError::SubscriptionNameConflict(name).into());
        }
        let params = encode(params)?;
        let unsubscribe = unsubscribe_method.to_owned();
        let values = self.subscribe_encoded(subscribe_method, params, unsubscribe);
        bridge::subscription(values.await.map_err(to_typed)?).await
    }

    /// Listens to notifications of one method that are about no subscription, for as long as there is
    /// this client and its connection.
    async fn subscribe_to_method<Notif>(&self, method: &str) -> Result<Subscription<Notif>, Error>
    where
        Notif: DeserializeOwned,
    {
        let link = self.two_way().map_err(to_typed)?.link().await.map_err(to_typed)?;
        self.0.listeners.listen(&link, method).await
    }
}

fn encode(params: impl ToRpcParams) -> Result<Option<Vec<u8>>, Error> {
    Ok(params.to_rpc_params()?.map(into_bytes))
}

fn into_bytes(json: Box<RawValue>) -> Vec<u8> {
    Box::<str>::from(json).into_boxed_bytes().into_vec()
}

/// One answer of a batch.
///
/// # Errors
///
/// What makes the whole batch one: no connection, or a result of another type.
fn entry<R: DeserializeOwned>(
    answer: Result<Answer, ClientError>,
) -> Result<Result<R, ErrorObjectOwned>, Error> {
    match answer {
        Ok(result) => Ok(Ok(serde_json::from_str(result.get())?)),
        Err(ClientError::Call(error)) => Ok(Err(object(&error))),
        Err(error @ ClientError::MissingAnswer) => {
            Ok(Err(ErrorObjectOwned::owned(0, error.to_string(), None::<()>)))
        }
        Err(error) => Err(to_typed(error)),
    }
}

/// An error as typed clients know it.
fn to_typed(error: ClientError) -> Error {
    match error {
        ClientError::Call(error) => Error::Call(object(&error)),
        ClientError::Timeout { .. } => Error::RequestTimeout,
        ClientError::NotTwoWay => Error::HttpNotImplemented,
        error => Error::Transport(error.into()),
    }
}

/// The server's error. A code beyond 32 bits becomes the nearest.
fn object(error: &RpcError) -> ErrorObjectOwned {
    let nearest = if error.code() < 0 { i32::MIN } else { i32::MAX };
    let code = i32::try_from(error.code()).unwrap_or(nearest);
    ErrorObjectOwned::owned(code, error.message(), error.data())
}
