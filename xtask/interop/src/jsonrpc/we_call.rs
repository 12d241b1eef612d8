//! Our client on go-ethereum's server.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::join_all;
use rpc::{Client, ClientError, Module, RpcError};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    Setting, Transport,
    answer::Answer,
    they_call::{MIB, MOST, values},
};
use crate::{foreign::ForeignPeer, scenario::same};

/// Their server as a child, and our client connected to it.
struct Theirs {
    peer: ForeignPeer,
    client: Client,
    /// Where its socket is.
    _folder: TempDir,
}

impl Theirs {
    async fn meet(setting: &Setting) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rpc.ipc");
        let path = path.to_str().context("a folder that is no text")?;
        let peer = ForeignPeer::start(&setting.program, &["-serve", path]).await?;
        let url = peer.started(setting.over.name())?.to_owned();
        let client = Client::builder().module(reverse_module()).connect(&url).await?;
        Ok(Self { peer, client, _folder: folder })
    }

    async fn call(&self, method: &str, params: impl Serialize) -> Answer {
        Answer::of_ours(self.client.call_raw(method, params).await)
    }

    async fn expect(&self, method: &str, params: Value, expected: Answer) -> Result<()> {
        let what = format!("{method} {params}");
        same(&what, self.call(method, params).await, expected)
    }

    async fn expect_result(&self, method: &str, params: Value, result: Value) -> Result<()> {
        self.expect(method, params, Answer::Result(result)).await
    }
}

/// What our client offers to their server.
fn reverse_module() -> Module {
    Module::new("peer")
        .method("echo", |value: Value| async { rpc::Result::Ok(value) })
        .method("fail", |code: i64, text: String| async move {
            rpc::Result::<()>::Err(RpcError::new(code, text))
        })
}

/// Every kind of value, results in types of ours, and every way to have no arguments.
pub(super) async fn calls(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let modules = json!({ "rpc": "1.0", "test": "1.0" });
    theirs.expect_result("rpc_modules", json!([]), modules).await?;
    // Null is no argument to current go-ethereum.
    for value in values().into_iter().filter(|value| !value.is_null()) {
        theirs.expect_result("test_echo", json!([value]), value).await?;
    }
    theirs.expect_result("test_nothing", json!([]), Value::Null).await?;
    let sum: i8 = theirs.client.call("test_add", (2, -5)).await?;
    same("a sum in a type of ours", sum, -3)?;
    let (number, text): (u8, Option<String>) = theirs.client.call("test_echo", ((7, "x"),)).await?;
    same("a pair in a type of ours", (number, text.as_deref()), (7, Some("x")))?;
    match theirs.client.call::<u8>("test_add", (1, 255)).await {
        Err(ClientError::Decode { .. }) => Ok(String::new()),
        other => bail!("256 as a byte: expected that it cannot be decoded, got {other:?}"),
    }
}

/// Errors of their dispatcher and of their handlers. 1.9.2 sends no data.
pub(super) async fn errors(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    for (method, params, code, text) in [
        ("no_such", json!([1]), -32_601, "the method no_such does not exist/is not available"),
        ("test_add", json!([1]), -32_602, "missing value for required argument 1"),
        ("test_add", json!([1, 2, 3]), -32_602, "too many arguments, want at most 2"),
        ("test_refuse", json!(["no \"such\" luck"]), -32_000, "no \"such\" luck"),
        ("test_fail", json!([-5, "bad"]), -5, "bad"),
    ] {
        theirs.expect(method, params, Answer::error(code, text)).await?;
    }
    let data = json!({ "more": [1, null] });
    let sent = if setting.is_old() { Value::Null } else { data.clone() };
    let expected = Answer::Error(7, "seven".into(), sent);
    theirs.expect("test_fail", json!([7, "seven", data]), expected).await?;
    Ok(if setting.is_old() { "no data from 1.9.2".into() } else { String::new() })
}

/// We are told, and the connection lives on.
pub(super) async fn crash(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let code = if setting.is_old() { -32_000 } else { -32_603 };
    let crashed = Answer::error(code, "method handler crashed");
    theirs.expect("test_crash", json!([]), crashed).await?;
    theirs.expect_result("test_add", json!([1, 2]), json!(3)).await?;
    Ok(String::new())
}

/// It is sent, whatever their server says to it, and calls go on.
pub(super) async fn notification(setting: Setting) -> Result<String> {
    let mut theirs = Theirs::meet(&setting).await?;
    theirs.client.notify("test_note", ("here",)).await?;
    let noted = theirs.peer.expect("noted").await?;
    same("the value that came to them", &noted["value"], &json!("here"))?;
    theirs.expect_result("test_add", json!([1, 2]), json!(3)).await?;
    Ok(String::new())
}

/// Answers in the places of their calls, errors among them.
pub(super) async fn batch(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let batch = theirs.client.batch();
    let batch = batch.call("test_add", (1, 2)).call("no_such", ()).call("test_fail", (9, "nine"));
    let answers = batch.call("test_echo", ("last",)).call("test_nothing", ()).send().await?;
    let expected = vec![
        Answer::Result(json!(3)),
        Answer::error(-32_601, "the method no_such does not exist/is not available"),
        Answer::error(9, "nine"),
        Answer::Result(json!("last")),
        Answer::Result(Value::Null),
    ];
    let answers: Vec<_> = answers.into_iter().map(Answer::of_ours).collect();
    same("the answers of a batch", answers, expected)?;
    Ok(String::new())
}

/// Their server answers the first call alone, and each of ours learns what that means for it.
pub(super) async fn large_batch(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let empty = theirs.client.batch();
    let batch = (0..=MOST).fold(empty, |batch, number| batch.call("test_echo", (number,)));
    let answers: Vec<_> = batch.send().await?.into_iter().map(Answer::of_ours).collect();
    same("how many answers", answers.len(), MOST + 1)?;
    if setting.is_old() {
        let expected: Vec<_> = (0..=MOST).map(|number| Answer::Result(json!(number))).collect();
        same("the answers", answers, expected)?;
        return Ok("1.9.2 has no limit".into());
    }
    let too_large = Answer::error(-32_600, "batch too large");
    same("the first answer", answers.first(), Some(&too_large))?;
    let missing = ClientError::MissingAnswer.to_string();
    same("the last answer", answers.last(), Some(&Answer::Failure(missing)))?;
    theirs.expect_result("test_add", json!([1, 2]), json!(3)).await?;
    Ok(String::new())
}

/// Each of them gets its own number back.
pub(super) async fn concurrent(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let calls = (0..MOST).map(|number| theirs.call("test_echo", (number,)));
    for (number, answer) in join_all(calls).await.into_iter().enumerate() {
        same(&format!("call {number} of {MOST}"), answer, Answer::Result(json!(number)))?;
    }
    Ok(String::new())
}

/// Large answers, and arguments up to what their server takes.
pub(super) async fn large(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let text = "x".repeat(10 * MIB);
    theirs.expect_result("test_big", json!([text.len()]), json!(text)).await?;
    // 1.9.2 takes 5 MiB over WebSocket, and both releases over HTTP.
    let narrow =
        setting.over == Transport::Http || setting.is_old() && setting.over == Transport::Ws;
    let text = "x".repeat(if narrow { 4 * MIB } else { 10 * MIB });
    theirs.expect_result("test_echo", json!([text]), json!(text)).await?;
    if setting.over != Transport::Http {
        return Ok(String::new());
    }
    match theirs.client.call_raw("test_echo", ("x".repeat(6 * MIB),)).await {
        Err(ClientError::Http { status: 413, .. }) => Ok("status 413 over 5 MiB".into()),
        other => {
            bail!("a body over their limit: expected status 413, got {:?}", Answer::of_ours(other))
        }
    }
}

/// We stop waiting. Over HTTP their handler learns of it; otherwise the late answer disturbs nobody.
pub(super) async fn given_up(setting: Setting) -> Result<String> {
    let mut theirs = Theirs::meet(&setting).await?;
    let asked = if setting.over == Transport::Http { 60_000 } else { 200 };
    let given_up = timeout(Duration::from_millis(50), theirs.call("test_sleep", (asked,))).await;
    ensure!(given_up.is_err(), "a sleep of {asked} ms was answered: {given_up:?}");
    if setting.over == Transport::Http {
        theirs.peer.expect("abandoned").await?;
    }
    theirs.expect_result("test_echo", json!(["after"]), json!("after")).await?;
    // When this is answered, so was the call given up.
    theirs.expect_result("test_sleep", json!([200]), Value::Null).await?;
    theirs.expect_result("test_echo", json!(["later"]), json!("later")).await?;
    Ok(String::new())
}

/// The values in their order; the end when we want it; refusals.
pub(super) async fn subscription(setting: Setting) -> Result<String> {
    let mut theirs = Theirs::meet(&setting).await?;
    let count = ("count", 500, 10);
    if !setting.over.is_both_ways() {
        return match theirs.client.subscribe::<u64>("test", count).await {
            Err(ClientError::NotTwoWay) => Ok("refused".into()),
            other => bail!("a subscription over HTTP: expected a refusal, got {other:?}"),
        };
    }
    let unknown = theirs.client.subscribe::<u64>("test", ("none",)).await;
    let unknown = unknown.err().context("a subscription to nothing was accepted")?;
    let text = "no \"none\" subscription in test namespace";
    same("a subscription to nothing", Answer::of_ours(Err(unknown)), Answer::error(-32_601, text))?;
    let mut subscription = theirs.client.subscribe::<u64>("test", count).await?;
    for number in 10..510 {
        let value = subscription.next().await.context("the subscription ended")??;
        same("a value", value, number)?;
    }
    subscription.unsubscribe().await?;
    let ended = theirs.peer.expect("unsubscribed").await?;
    same("how it ended at their end", ended.get("failure"), None)?;
    drop(theirs.client.subscribe::<u64>("test", count).await?);
    theirs.peer.expect("unsubscribed").await?;
    Ok(String::new())
}

/// Their handler calls a method of ours before it answers.
pub(super) async fn reverse(setting: Setting) -> Result<String> {
    let theirs = Theirs::meet(&setting).await?;
    let params = json!(["peer_echo", { "deep": [5] }]);
    if !setting.over.is_both_ways() {
        let refused = Answer::error(-32_000, "no way back to the client");
        theirs.expect("test_callMeBack", params, refused).await?;
        return Ok("refused".into());
    }
    theirs.expect_result("test_callMeBack", params, json!({ "deep": [5] })).await?;
    let none = Answer::error(-32_601, "the method peer_none does not exist/is not available");
    theirs.expect("test_callMeBack", json!(["peer_none", 5]), none).await?;
    Ok(String::new())
}

/// Our client finds their server again where it was, with the first call.
pub(super) async fn restart(setting: Setting) -> Result<String> {
    let mut theirs = Theirs::meet(&setting).await?;
    theirs.expect_result("test_echo", json!(["before"]), json!("before")).await?;
    let mut subscription = match setting.over.is_both_ways() {
        true => Some(theirs.client.subscribe::<u64>("test", ("count", 0, 0)).await?),
        false => None,
    };
    theirs.peer.ask(json!({ "cmd": "stop" }), "stopped").await?;
    if let Some(subscription) = &mut subscription {
        let last = timeout(WAIT, subscription.next()).await.context("it did not end in time")?;
        let lost = matches!(last, Some(Err(ClientError::Closed { .. })));
        ensure!(lost, "the end of a subscription: expected a lost connection, got {last:?}");
    }
    theirs.call("test_echo", ("meanwhile",)).await.failure()?;
    theirs.peer.ask(json!({ "cmd": "start" }), "listening").await?;
    theirs.expect_result("test_echo", json!(["again"]), json!("again")).await?;
    Ok(String::new())
}

/// Enough for a loaded machine.
const WAIT: Duration = Duration::from_secs(15);
