//! Our test service: the methods that the Go program offers, and what they have seen.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use rpc::{ClientError, Context, Module, RpcError};
use serde_json::{Value, value::RawValue};
use tokio::sync::mpsc;

/// What a handler saw that no answer tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sight {
    /// `test_note` was called with this.
    Noted(Value),
    /// A subscription ended.
    Unsubscribed,
}

/// The namespace `test`.
pub(super) fn service(sights: mpsc::Sender<Sight>) -> Module {
    let (noted, counted) = (sights.clone(), sights);
    Module::new("test")
        .method("echo", |value: Box<RawValue>| async { rpc::Result::Ok(value) })
        .method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) })
        .method("nothing", || async { rpc::Result::Ok(()) })
        .method("big", |size: usize| async move { rpc::Result::Ok("x".repeat(size)) })
        .method("length", |text: String| async move { rpc::Result::Ok(text.len()) })
        .method(
            "refuse",
            |text: String| async move { rpc::Result::<()>::Err(RpcError::other(text)) },
        )
        .method("fail", fail)
        .method("crash", crash)
        .method("sleep", sleep)
        .method("note", move |value: Value| {
            let told = noted.try_send(Sight::Noted(value));
            async { told.map_err(RpcError::other) }
        })
        .method("callMeBack", call_me_back)
        .subscription("count", move |count: u64, start: u64| {
            let numbers = count_up(count, start, counted.clone());
            async { rpc::Result::Ok(numbers) }
        })
}

/// A namespace for authenticated callers only.
pub(super) fn vault() -> Module {
    Module::new("vault").authenticated().method("open", || async { rpc::Result::Ok("opened") })
}

async fn fail(code: i64, text: String, data: Option<Value>) -> rpc::Result<()> {
    let error = RpcError::new(code, text);
    Err(match data {
        Some(data) => error.with_data(&data),
        None => error,
    })
}

/// Unwinds as a panic does, without the message that a panic leaves among those of this program.
async fn crash() -> rpc::Result<()> {
    std::panic::resume_unwind(Box::new("told to crash"))
}

async fn sleep(ms: u64) -> rpc::Result<()> {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Ok(())
}

async fn call_me_back(context: Context, method: String, value: Value) -> rpc::Result<Value> {
    context.call(&method, (value,)).await.map_err(|error| match error {
        ClientError::Call(theirs) => theirs,
        other => RpcError::other(other),
    })
}

/// So many numbers from `start` on, and then silence until the client ends it.
fn count_up(
    count: u64,
    start: u64,
    sights: mpsc::Sender<Sight>,
) -> impl Stream<Item = u64> + Send + 'static {
    let ended = Tell(sights);
    stream::iter(start..start.saturating_add(count)).chain(stream::pending()).map(move |number| {
        let _held = &ended;
        number
    })
}

/// Tells of the end of a subscription.
struct Tell(mpsc::Sender<Sight>);

impl Drop for Tell {
    fn drop(&mut self) {
        // A scenario that does not ask has dropped the other end, or has room.
        let _ = self.0.try_send(Sight::Unsubscribed);
    }
}
