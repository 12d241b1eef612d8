//! go-ethereum's client, connected to our node.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{Setting, answer::Answer, node::Node};
use crate::{foreign::ForeignPeer, program::Program, scenario::same};

/// The Go program as a client.
pub(crate) struct Caller(ForeignPeer);

impl Caller {
    /// Starts it and connects it to the node.
    ///
    /// # Errors
    ///
    /// When either fails.
    pub(super) async fn of(node: &Node, setting: &Setting) -> Result<Self> {
        Self::connect(&setting.program, &node.url(setting.over)?).await
    }

    /// Starts the client that is this program, and connects it.
    ///
    /// # Errors
    ///
    /// When either fails.
    pub(crate) async fn connect(program: &Program, url: &str) -> Result<Self> {
        Self::dial(program, json!({ "cmd": "dial", "url": url })).await
    }

    /// Connects it to the node's port for authenticated callers.
    ///
    /// # Errors
    ///
    /// As [`Self::of`].
    pub(super) async fn with_token(
        node: &Node,
        setting: &Setting,
        token: Option<&str>,
    ) -> Result<Self> {
        let headers = match token {
            Some(token) => json!({ "Authorization": format!("Bearer {token}") }),
            None => json!({}),
        };
        let url = node.authenticated_url(setting.over)?;
        let dial = json!({ "cmd": "dial", "url": url, "headers": headers });
        Self::dial(&setting.program, dial).await
    }

    async fn dial(program: &Program, command: Value) -> Result<Self> {
        let mut peer = ForeignPeer::start(program, &[]).await?;
        let dialed = peer.ask(command, "dialed").await?;
        if let Some(failure) = dialed["failure"].as_str() {
            bail!("their client does not connect: {failure}");
        }
        Ok(Self(peer))
    }

    /// Calls a method. Null for `params` sends none.
    ///
    /// # Errors
    ///
    /// When the program fails. A call that fails is an answer.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Answer> {
        self.ask(json!({ "cmd": "call", "method": method, "params": params })).await
    }

    /// A call with a result in one of go-ethereum's types.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) async fn call_as(&mut self, form: &str, method: &str) -> Result<Answer> {
        self.ask(json!({ "cmd": "call", "method": method, "as": form })).await
    }

    /// A call that is given up after so many milliseconds.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub(crate) async fn call_within(
        &mut self,
        ms: u64,
        method: &str,
        params: Value,
    ) -> Result<Answer> {
        self.ask(json!({ "cmd": "call", "method": method, "params": params, "within_ms": ms }))
            .await
    }

    async fn ask(&mut self, command: Value) -> Result<Answer> {
        Ok(Answer::of_theirs(&self.0.ask(command, "answer").await?))
    }

    /// A call has this answer.
    ///
    /// # Errors
    ///
    /// When it has another.
    pub(crate) async fn expect(
        &mut self,
        method: &str,
        params: Value,
        expected: Answer,
    ) -> Result<()> {
        let what = format!("{method} {params}");
        same(&what, self.call(method, params).await?, expected)
    }

    /// A call has this result.
    ///
    /// # Errors
    ///
    /// When it has another, or fails.
    pub(crate) async fn expect_result(
        &mut self,
        method: &str,
        params: Value,
        result: Value,
    ) -> Result<()> {
        self.expect(method, params, Answer::Result(result)).await
    }

    /// Sends any command, and waits for the event that answers it.
    ///
    /// # Errors
    ///
    /// When the program fails.
    pub(crate) async fn command(&mut self, command: Value, event: &str) -> Result<Value> {
        self.0.ask(command, event).await
    }

    /// Sends a command that only events to come will tell about.
    ///
    /// # Errors
    ///
    /// When the program has gone.
    pub(crate) async fn tell(&mut self, command: Value) -> Result<()> {
        self.0.command(command).await
    }

    /// The next event of this kind.
    ///
    /// # Errors
    ///
    /// When it does not come in time.
    pub(crate) async fn event(&mut self, kind: &str) -> Result<Value> {
        self.0.expect(kind).await
    }

    /// Subscribes, and gives the number under which the program knows the subscription.
    ///
    /// # Errors
    ///
    /// When it was refused.
    pub(crate) async fn subscribe(&mut self, command: Value) -> Result<Value> {
        let subscribed = self.0.ask(command, "subscribed").await?;
        match subscribed.get("sub") {
            Some(number) => Ok(number.clone()),
            None => bail!("expected a subscription, got {:?}", Answer::of_theirs(&subscribed)),
        }
    }

    /// Batches these calls: method and arguments.
    ///
    /// # Errors
    ///
    /// When the batch as a whole came to nothing.
    pub(crate) async fn batch(&mut self, calls: Vec<Value>) -> Result<Vec<Answer>> {
        let batch = self.0.ask(json!({ "cmd": "batch", "calls": calls }), "batch").await?;
        match batch["answers"].as_array() {
            Some(answers) => Ok(answers.iter().map(Answer::of_theirs).collect()),
            None => bail!("the batch came to nothing: {:?}", Answer::of_theirs(&batch)),
        }
    }
}
