//! Several calls in one message.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Client, ClientError, EncodedCalls};
use crate::link::encode_params;

/// A batch being put together; made by [`Client::batch`].
///
/// ```
/// # use rpc::{Module, Server};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let module = Module::new("foo").method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) });
/// # let server = Server::builder().module(module).start().await?;
/// # let client = server.attach();
/// let answers = client.batch().call("foo_add", (1, 2)).call("foo_nope", ()).send().await?;
///
/// assert_eq!(answers[0].as_ref().unwrap().get(), "3");
/// assert_eq!(answers[1].as_ref().unwrap_err().rpc_error().unwrap().code(), -32601);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a batch does nothing until it is sent"]
pub struct BatchRequest<'c> {
    client: &'c Client,
    // bound: what this program adds
    calls: EncodedCalls,
    /// The first arguments that could not be encoded.
    failed: Option<ClientError>,
}

impl<'c> BatchRequest<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Self { client, calls: Vec::new(), failed: None }
    }

    /// Adds a call.
    pub fn call(mut self, method: &str, params: impl Serialize) -> Self {
        match encode_params(&params) {
            Ok(params) => self.calls.push((method.to_owned(), params)),
            Err(error) => self.failed = self.failed.or(Some(error)),
        }
        self
    }

    /// Sends the batch and gives the answers in the order of the calls. An empty batch is not sent.
    ///
    /// # Errors
    ///
    /// When the batch as a whole came to nothing. What became of each call is in its own place;
    /// [`ClientError::MissingAnswer`] if the server answered the batch without it. A batch that the
    /// server refused as a whole is an error in each place, or for the whole.
    pub async fn send(self) -> Result<Vec<Result<Box<RawValue>, ClientError>>, ClientError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.calls.is_empty() {
            return Ok(Vec::new());
        }
        self.client.batch_encoded(self.calls).await
    }
}
