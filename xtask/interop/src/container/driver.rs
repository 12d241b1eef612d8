//! One side's client on the other side's node, whichever side that is.
//!
//! ```text
//!   Driver::Ours    our rpc::Client          on go-ethereum's node
//!   Driver::Theirs  go-ethereum's rpc.Client on our node
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rpc::{Client, Subscription};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    jsonrpc::{Answer, Caller},
    program::Program,
    scenario::same,
};

/// A client that is connected to a node, with at most one subscription.
pub(super) enum Driver {
    Ours { client: Client, events: Option<Subscription<Value>> },
    Theirs(Box<Caller>),
}

impl Driver {
    /// Our client, connected to their node.
    ///
    /// # Errors
    ///
    /// When it does not connect.
    pub(super) async fn ours(url: &str) -> Result<Self> {
        let client = Client::connect(url).await.with_context(|| format!("connecting to {url}"))?;
        Ok(Self::Ours { client, events: None })
    }

    /// Their client, connected to our node.
    ///
    /// # Errors
    ///
    /// When it does not start or connect.
    pub(super) async fn theirs(program: &Program, url: &str) -> Result<Self> {
        let client = program.client.as_ref().context("a node without a client")?;
        Ok(Self::Theirs(Box::new(Caller::connect(client, url).await?)))
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// When the client itself fails. A call that fails is an answer.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Answer> {
        match self {
            Self::Ours { client, .. } => {
                let call = client.call_raw(method, params);
                Ok(Answer::of_ours(timeout(WAIT, call).await.context("no answer in time")?))
            }
            Self::Theirs(caller) => caller.call(method, params).await,
        }
    }

    /// Calls a method and gives its result.
    ///
    /// # Errors
    ///
    /// When there is another answer.
    pub(super) async fn result(&mut self, method: &str, params: Value) -> Result<Value> {
        match self.call(method, params).await? {
            Answer::Result(value) => Ok(value),
            other => bail!("{method}: expected a result, got {other:?}"),
        }
    }

    /// The result of a call in the type that go-ethereum has for it, where the client is theirs: members
    /// that the type does not have are an error there.
    ///
    /// # Errors
    ///
    /// When there is another answer.
    pub(super) async fn result_as(&mut self, form: &str, method: &str) -> Result<Value> {
        let Self::Theirs(caller) = self else { return self.result(method, json!([])).await };
        match caller.call_as(form, method).await? {
            Answer::Result(value) => Ok(value),
            other => bail!("{method} as {form}: expected a result, got {other:?}"),
        }
    }

    /// A call has this answer.
    ///
    /// # Errors
    ///
    /// When it has another.
    pub(super) async fn expect(
        &mut self,
        method: &str,
        params: Value,
        expected: Answer,
    ) -> Result<()> {
        let what = format!("{method} {params}");
        same(&what, self.call(method, params).await?, expected)
    }

    /// Subscribes to the node's peer events.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub(super) async fn watch_peers(&mut self) -> Result<()> {
        match self {
            Self::Ours { client, events } => {
                *events = Some(client.subscribe("admin", (PEER_EVENTS,)).await?);
            }
            Self::Theirs(caller) => {
                let params = json!([PEER_EVENTS]);
                let subscribe = json!({
                    "cmd": "subscribe", "namespace": "admin", "params": params, "as": "peerEvent",
                });
                caller.subscribe(subscribe).await?;
            }
        }
        Ok(())
    }

    /// The next of them.
    ///
    /// # Errors
    ///
    /// When none comes in time.
    pub(super) async fn next_event(&mut self) -> Result<Value> {
        match self {
            Self::Ours { events, .. } => {
                let events = events.as_mut().context("not subscribed")?;
                let event = timeout(WAIT, events.next()).await.context("no peer event in time")?;
                Ok(event.context("the subscription ended")??)
            }
            Self::Theirs(caller) => {
                let told = Answer::of_theirs(&caller.event("notification").await?);
                let Answer::Result(event) = told else { bail!("a peer event: {told:?}") };
                Ok(event)
            }
        }
    }
}

const PEER_EVENTS: &str = "peerEvents";
/// Enough for a loaded machine.
const WAIT: Duration = Duration::from_secs(15);
