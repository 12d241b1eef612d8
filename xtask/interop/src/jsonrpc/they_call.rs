//! go-ethereum's client on our server.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    Setting, Transport,
    answer::Answer,
    caller::Caller,
    node::{Friend, Node, OUR_NAME},
    service::Sight,
};
use crate::scenario::same;

/// Every kind of value, and every way to have no arguments.
pub(super) async fn calls(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let mut modules =
        json!({ "admin": "1.0", "net": "1.0", "rpc": "1.0", "test": "1.0", "web3": "1.0" });
    if setting.over == Transport::Ipc {
        modules["vault"] = json!("1.0");
    }
    theirs.expect_result("rpc_modules", Value::Null, modules).await?;
    for value in values() {
        theirs.expect_result("test_echo", json!([value]), value).await?;
    }
    theirs.expect_result("test_nothing", Value::Null, Value::Null).await?;
    theirs.expect_result("test_nothing", json!([]), Value::Null).await?;
    theirs.expect_result("test_add", json!([2, -5]), json!(-3)).await?;
    Ok(String::new())
}

/// What the namespace admin tells fits into the types of go-ethereum, and nothing of it is lost there.
pub(super) async fn admin(setting: Setting) -> Result<String> {
    let (node, mut theirs) = meet(&setting).await?;
    let friend = Friend::of(&node).await?;
    let info = serde_json::to_value(node.p2p().node_info())?;
    let got = theirs.call_as("nodeInfo", "admin_nodeInfo").await?;
    same("admin_nodeInfo", got, Answer::Result(info))?;
    let peers = serde_json::to_value(node.p2p().peers_info())?;
    let got = theirs.call_as("peers", "admin_peers").await?;
    same("admin_peers", got, Answer::Result(peers))?;
    theirs.expect_result("net_peerCount", Value::Null, json!("0x1")).await?;
    theirs.expect_result("web3_clientVersion", Value::Null, json!(OUR_NAME)).await?;
    friend.leave().await;
    Ok(String::new())
}

/// Errors of the dispatcher and errors of handlers. 1.9.2 has a place for the data and no method to get at it.
pub(super) async fn errors(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    for (method, params, code, text) in [
        ("no_such", json!([1]), -32_601, "the method no_such does not exist/is not available"),
        ("test_add", json!([1]), -32_602, "missing value for required argument 1"),
        ("test_add", json!([1, 2, 3]), -32_602, "too many arguments, want at most 2"),
        ("test_refuse", json!(["no \"such\" luck"]), -32_000, "no \"such\" luck"),
        ("test_fail", json!([-5, "bad"]), -5, "bad"),
    ] {
        theirs.expect(method, params, Answer::error(code, text)).await?;
    }
    for data in [json!("text"), json!({ "more": [1, null] })] {
        let expected = Answer::Error(7, "seven".into(), data.clone());
        theirs.expect("test_fail", json!([7, "seven", data]), expected).await?;
    }
    Ok(String::new())
}

/// The caller is told, and the connection lives on.
pub(super) async fn crash(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let crashed = Answer::error(-32_603, "method handler crashed");
    theirs.expect("test_crash", Value::Null, crashed).await?;
    theirs.expect_result("test_add", json!([1, 2]), json!(3)).await?;
    Ok(String::new())
}

/// It arrives. Over HTTP there is no answer to decode, which their client takes for an error, whoever
/// gives none.
pub(super) async fn notification(setting: Setting) -> Result<String> {
    let (mut node, mut theirs) = meet(&setting).await?;
    let command = json!({ "cmd": "notify", "method": "test_note", "params": [{ "a": 1 }] });
    let notified = theirs.command(command, "notified").await?;
    node.expect_sight(Sight::Noted(json!({ "a": 1 }))).await?;
    theirs.expect_result("test_add", json!([1, 2]), json!(3)).await?;
    if setting.over != Transport::Http {
        same("what their client says", notified.get("failure"), None)?;
        return Ok(String::new());
    }
    same("what their client says", &notified["failure"], &json!("EOF"))?;
    Ok("EOF, as from their own server".into())
}

/// Answers in the places of their calls, errors among them.
pub(super) async fn batch(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let calls = vec![
        json!({ "method": "test_add", "params": [1, 2] }),
        json!({ "method": "no_such" }),
        json!({ "method": "test_fail", "params": [9, "nine", { "n": 9 }] }),
        json!({ "method": "test_crash" }),
        json!({ "method": "test_echo", "params": ["last"] }),
        json!({ "method": "test_nothing" }),
    ];
    let expected = vec![
        Answer::Result(json!(3)),
        Answer::error(-32_601, "the method no_such does not exist/is not available"),
        Answer::Error(9, "nine".into(), json!({ "n": 9 })),
        Answer::error(-32_603, "method handler crashed"),
        Answer::Result(json!("last")),
        Answer::Result(Value::Null),
    ];
    same("the answers of a batch", theirs.batch(calls).await?, expected)?;
    let many = (0..MOST).map(|n| json!({ "method": "test_echo", "params": [n] })).collect();
    let expected: Vec<_> = (0..MOST).map(|n| Answer::Result(json!(n))).collect();
    same("the answers of a batch of 1,000", theirs.batch(many).await?, expected)?;
    Ok(String::new())
}

/// The first call is told, the others learn that there is no answer for them; nothing is run.
pub(super) async fn large_batch(setting: Setting) -> Result<String> {
    let (mut node, mut theirs) = meet(&setting).await?;
    let calls = (0..=MOST).map(|n| json!({ "method": "test_note", "params": [n] })).collect();
    let answers = theirs.batch(calls).await?;
    let too_large = Answer::error(-32_600, "batch too large");
    same("the first answer", answers.first(), Some(&too_large))?;
    let missing = "response batch did not contain a response to this call";
    same("the last answer", answers.last(), Some(&Answer::Failure(missing.into())))?;
    theirs.expect_result("test_note", json!(["next"]), Value::Null).await?;
    node.expect_sight(Sight::Noted(json!("next"))).await?;
    Ok(String::new())
}

/// Each of them gets its own number back.
pub(super) async fn concurrent(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let command = json!({ "cmd": "concurrent", "method": "test_echo", "count": MOST });
    let counted = theirs.command(command, "concurrent").await?;
    let failure = counted["failure"].as_str().unwrap_or("no failure");
    ensure!(
        counted["right"] == json!(MOST),
        "of {MOST} calls: {counted}; first failure: {failure}"
    );
    Ok(String::new())
}

/// Up to what both sides can carry, and a request that is more than our server takes.
pub(super) async fn large(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let their_socket_is_narrow = setting.is_old() && setting.over == Transport::Ws;
    let answer = if their_socket_is_narrow { 4 * MIB } else { 10 * MIB };
    theirs.expect_result("test_big", json!([answer]), json!("x".repeat(answer))).await?;
    let argument = if setting.over == Transport::Http { 4 * MIB } else { 10 * MIB };
    let params = json!(["x".repeat(argument)]);
    let got = theirs.call("test_length", params).await?;
    same("test_length of a large text", got, Answer::Result(json!(argument)))?;
    if setting.over != Transport::Http {
        return Ok(String::new());
    }
    let failure = theirs.call("test_length", json!(["x".repeat(6 * MIB)])).await?.failure()?;
    ensure!(
        failure.starts_with("413 "),
        "a body over the limit: expected status 413, got {failure}"
    );
    Ok("status 413 over 5 MiB".into())
}

/// The caller's deadline passes, and the late answer disturbs nobody.
pub(super) async fn given_up(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    let failure = theirs.call_within(50, "test_sleep", json!([200])).await?.failure()?;
    ensure!(failure.ends_with("context deadline exceeded"), "expected a deadline, got {failure}");
    theirs.expect_result("test_echo", json!(["after"]), json!("after")).await?;
    // When this is answered, so was the call given up.
    theirs.expect_result("test_sleep", json!([200]), Value::Null).await?;
    theirs.expect_result("test_echo", json!(["later"]), json!("later")).await?;
    Ok(String::new())
}

/// The values in their order; the end when they want it; refusals.
pub(super) async fn subscription(setting: Setting) -> Result<String> {
    let (mut node, mut theirs) = meet(&setting).await?;
    if !setting.over.is_both_ways() {
        let refused = Answer::error(-32_601, "notifications not supported");
        theirs.expect("test_subscribe", json!(["count", 2, 10]), refused).await?;
        return Ok("refused".into());
    }
    let unknown = Answer::error(-32_601, "no \"none\" subscription in test namespace");
    theirs.expect("test_subscribe", json!(["none"]), unknown).await?;
    let command = json!({ "cmd": "subscribe", "namespace": "test", "params": ["count", 500, 10] });
    let sub = theirs.subscribe(command).await?;
    for number in 10..510 {
        let value = theirs.event("notification").await?;
        same("a value", (&value["sub"], &value["result"]), (&sub, &json!(number)))?;
    }
    theirs.tell(json!({ "cmd": "unsubscribe", "sub": sub })).await?;
    let ended = theirs.event("ended").await?;
    same("how it ended", (&ended["sub"], ended.get("failure")), (&sub, None))?;
    node.expect_sight(Sight::Unsubscribed).await?;
    let gone = Answer::error(-32_000, "subscription not found");
    theirs.expect("test_unsubscribe", json!(["0x1"]), gone).await?;
    Ok(String::new())
}

/// The real thing: a node connects and leaves, and their client is told what our own events say.
pub(super) async fn peer_events(setting: Setting) -> Result<String> {
    let (node, mut theirs) = meet(&setting).await?;
    let mut events = node.p2p().events();
    let command = json!({
        "cmd": "subscribe", "namespace": "admin", "params": ["peerEvents"], "as": "peerEvent",
    });
    let sub = theirs.subscribe(command).await?;
    let mut friend = Friend::of(&node).await?;
    friend.leave().await;
    friend.expect_event().await?;
    for kind in ["add", "drop"] {
        let told = theirs.event("notification").await?;
        let ours = events.try_next().context("our own events have less to tell")?;
        let what = format!("what they were told of the {kind}");
        same(&what, &told["result"], &serde_json::to_value(ours)?)?;
        same("its type", &told["result"]["type"], &json!(kind))?;
    }
    theirs.tell(json!({ "cmd": "unsubscribe", "sub": sub })).await?;
    theirs.event("ended").await?;
    Ok(String::new())
}

/// The handler calls a method of its caller before it answers.
pub(super) async fn reverse(setting: Setting) -> Result<String> {
    let (_node, mut theirs) = meet(&setting).await?;
    theirs.command(json!({ "cmd": "register", "namespace": "peer" }), "registered").await?;
    let params = json!(["peer_echo", { "deep": [5] }]);
    if !setting.over.is_both_ways() {
        let refused = Answer::error(-32_000, "notifications not supported");
        theirs.expect("test_callMeBack", params, refused).await?;
        return Ok("refused".into());
    }
    theirs.expect_result("test_callMeBack", params, json!({ "deep": [5] })).await?;
    let called = theirs.event("reverse-call").await?;
    same("the value that came to them", &called["value"], &json!({ "deep": [5] }))?;
    let none = Answer::error(-32_601, "the method peer_none does not exist/is not available");
    theirs.expect("test_callMeBack", json!(["peer_none", 5]), none).await?;
    Ok(String::new())
}

/// What is for authenticated callers only, with a token, without, and with a wrong one.
pub(super) async fn token(setting: Setting) -> Result<String> {
    let (node, mut theirs) = meet(&setting).await?;
    let closed = Answer::error(-32_601, "the method vault_open does not exist/is not available");
    theirs.expect("vault_open", Value::Null, closed).await?;
    for (token, status) in [(None, "401 "), (Some(node.token(-120)?), "401 ")] {
        let refused = Caller::with_token(&node, &setting, token.as_deref()).await;
        let failure = match refused {
            // Over HTTP there is nothing to refuse before the first call.
            Ok(mut theirs) => theirs.call("vault_open", Value::Null).await?.failure()?,
            Err(error) => error.to_string(),
        };
        ensure!(
            failure.contains(status),
            "without a right token: expected {status}, got {failure}"
        );
    }
    let mut theirs = Caller::with_token(&node, &setting, Some(&node.token(0)?)).await?;
    theirs.expect_result("vault_open", Value::Null, json!("opened")).await?;
    let modules = json!({ "rpc": "1.0", "vault": "1.0" });
    theirs.expect_result("rpc_modules", Value::Null, modules).await?;
    Ok(String::new())
}

/// Their client finds our server again where it was.
pub(super) async fn restart(setting: Setting) -> Result<String> {
    let (mut node, mut theirs) = meet(&setting).await?;
    theirs.expect_result("test_echo", json!(["before"]), json!("before")).await?;
    if setting.over.is_both_ways() {
        let command = json!({ "cmd": "subscribe", "namespace": "test", "params": ["count", 0, 0] });
        theirs.subscribe(command).await?;
    }
    node.stop().await;
    if setting.over.is_both_ways() {
        theirs.event("ended").await?;
    }
    theirs.call("test_echo", json!(["meanwhile"])).await?.failure()?;
    node.start_again().await?;
    // The first call after a loss may be the one by which their client notices it.
    let mut attempts = 1;
    let again = Answer::Result(json!("again"));
    while theirs.call("test_echo", json!(["again"])).await? != again {
        ensure!(
            attempts < 3,
            "their client does not come back: {:?}",
            theirs.call("test_echo", json!([0])).await?
        );
        attempts += 1;
    }
    Ok(if attempts == 1 { String::new() } else { format!("at their call no. {attempts}") })
}

/// A node of ours, and their client connected to it.
async fn meet(setting: &Setting) -> Result<(Node, Caller)> {
    let node = Node::start().await?;
    let caller = Caller::of(&node, setting).await?;
    Ok((node, caller))
}

/// One value of each kind, and texts that need care.
pub(super) fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1.5e-7),
        json!(u64::MAX),
        json!(""),
        json!("é 😀 \" \\ / \u{7f} \u{0} \n </script> \u{2028}"),
        json!([]),
        json!({}),
        json!({ "a": [1, null, { "b": [[]] }], "": "no name" }),
    ]
}

/// What one batch may hold.
pub(super) const MOST: usize = 1_000;
pub(super) const MIB: usize = 1 << 20;
