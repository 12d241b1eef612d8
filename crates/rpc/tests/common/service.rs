//! The services that the dialogues talk to.

use std::sync::Arc;

use futures_util::stream;
use rpc::{
    Context, HttpConfig, Limits, Module, Modules, RpcError, Server, ServerBuilder, WsConfig,
};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::Value;
use tokio::sync::Notify;

/// A server on every transport, with a socket in a folder of its own, which lives as long as the
/// second half.
pub async fn started(builder: ServerBuilder) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = if cfg!(unix) { builder.ipc(folder.path().join("rpc.ipc")) } else { builder };
    let builder = builder
        .http(HttpConfig::new("127.0.0.1:0").modules(Modules::all()))
        .ws(WsConfig::with_http().modules(Modules::all()));
    (builder.start().await.expect("it starts"), folder)
}

/// What go-ethereum's own dialogues call, with the limit that they meet.
pub fn conformance() -> ServerBuilder {
    let limits = Limits { batch_items: 4, ..Limits::default() };
    Server::builder().limits(limits).modules([test(), nftest()])
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct EchoArgs {
    #[serde(rename = "S")]
    s: String,
}

#[derive(Debug, Serialize)]
struct Echo {
    #[serde(rename = "String")]
    string: String,
    #[serde(rename = "Int")]
    int: i64,
    #[serde(rename = "Args")]
    args: Option<EchoArgs>,
}

async fn echo(string: String, int: i64, args: Option<EchoArgs>) -> rpc::Result<Echo> {
    Ok(Echo { string, int, args })
}

/// Has no JSON form.
struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        let text = "json: error calling MarshalText for type *rpc.MarshalErrObj: marshal error";
        Err(S::Error::custom(text))
    }
}

fn test() -> Module {
    Module::new("test")
        .method("echo", echo)
        .method("echoWithCtx", |_: Context, string: String, int: i64, args: Option<EchoArgs>| {
            echo(string, int, args)
        })
        .method("noArgsRets", || async { rpc::Result::Ok(()) })
        .method("panic", || async { panic_now().await })
        .method("marshalError", || async { rpc::Result::Ok(Unencodable) })
        .method("callMeBack", |context: Context, method: String, args: Vec<Value>| async move {
            context.call::<Value>(&method, args).await
        })
        .method(
            "callMeBackLater",
            |context: Context, method: String, args: Vec<Value>| async move {
                tokio::spawn(async move { context.call::<Value>(&method, args).await });
                rpc::Result::Ok(())
            },
        )
}

async fn panic_now() -> rpc::Result<()> {
    // Not at once, so that it happens where the handler is polled again.
    tokio::task::yield_now().await;
    panic!("as asked")
}

fn nftest() -> Module {
    Module::new("nftest")
        .method("echo", |n: i64| async move { rpc::Result::Ok(n) })
        .subscription("someSubscription", |n: i64, start: i64| async move {
            rpc::Result::Ok(stream::iter(start..start + n))
        })
}

/// The service of the recorded conversations.
pub fn foo() -> Module {
    let fast_call = Arc::new(Notify::new());
    let done = Arc::clone(&fast_call);
    Module::new("foo")
        .method("add", move |a: i64, b: i64| {
            done.notify_waiters();
            async move { rpc::Result::Ok(a + b) }
        })
        .method("echo", |text: String| async move { rpc::Result::Ok(text) })
        .method("nothing", || async { rpc::Result::Ok(()) })
        .method("fail", || async { Err::<(), _>("foo failed") })
        .method("bytes", |bytes: rpc::Bytes| async move { rpc::Result::Ok(bytes.len()) })
        .method("opt", |a: i64, b: Option<i64>| async move {
            rpc::Result::Ok([Some(a), b].into_iter().flatten().collect::<Vec<_>>())
        })
        // Slow by definition: it lasts until another call on the server is through.
        .method("sleep", move |milliseconds: u64| {
            let fast_call = Arc::clone(&fast_call).notified_owned();
            async move {
                fast_call.await;
                rpc::Result::Ok(milliseconds)
            }
        })
        .method("panic", || async { panic_at_once() })
        .subscription("count", |n: u64| async move { rpc::Result::Ok(stream::iter(0..n)) })
}

fn panic_at_once() -> Result<(), RpcError> {
    panic!("as asked")
}
