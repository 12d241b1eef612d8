//! What a client does with a server that behaves (hardening.md 3.5).

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{
    foreign::{self, HttpServer, WsPeer, value},
    service, soon,
};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Response};
use rpc::{Client, ClientError, Context, JwtSecret, Module};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

// ---- addresses ------------------------------------------------------------------------------------

#[tokio::test]
async fn an_address_that_leads_nowhere_is_an_error_that_says_so() {
    for (url, expected) in [
        ("ftp://host", r#"no known transport for URL scheme "ftp""#),
        ("https://user:secret@host/x", "https://host/x: no TLS here"),
        ("WSS://host", "WSS://host: no TLS here"),
        ("ws://", r#""ws://" is no URL"#),
        ("http://user:secret@:80", r#""http://:80" is no URL"#),
        ("/nowhere/at/all.ipc", "cannot connect to /nowhere/at/all.ipc: No such file"),
    ] {
        let error = Client::connect(url).await.expect_err(url).to_string();
        assert!(error.starts_with(expected), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn nobody_at_a_port_is_an_error_with_the_address_and_the_reason() {
    let (listener, address) = foreign::listen().await;
    drop(listener);

    let ws = format!("ws://user:secret@{address}/x");
    let error = Client::connect(&ws).await.expect_err("nobody is there").to_string();
    assert!(
        error.starts_with(&format!("cannot connect to ws://{address}/x: Connection refused")),
        "{error}"
    );

    // Over HTTP nothing is tried before the first call.
    let client = Client::connect(format!("http://{address}/")).await.expect("not tried");
    let error = client.call::<Value>("foo_x", ()).await.expect_err("nobody is there").to_string();
    assert!(
        error.starts_with(&format!("cannot connect to http://{address}/: Connection refused")),
        "{error}"
    );
}

// ---- HTTP -----------------------------------------------------------------------------------------

/// Answers each call, alone or in a batch, with its arguments.
fn echo(request: &foreign::Asked) -> Response<String> {
    let message: Value = serde_json::from_slice(request.body()).expect("clients send JSON");
    let answer = |call: &Value| foreign::answer(call, &call["params"]);
    let body = match message.as_array() {
        Some(calls) => calls.iter().map(answer).collect::<Value>().to_string(),
        None if message["id"].is_null() => String::new(),
        None => answer(&message).to_string(),
    };
    Response::new(body)
}

#[tokio::test]
async fn a_call_over_http_is_a_post_of_json() {
    let server = HttpServer::start(|request| {
        let content = request.headers()["content-type"].to_str().expect("text").to_owned();
        let accept = request.headers()["accept"].to_str().expect("text").to_owned();
        let body = String::from_utf8(request.body().to_vec()).expect("text");
        let seen = json!([request.method().as_str(), request.uri().path(), content, accept, body]);
        Response::new(json!({"jsonrpc": "2.0", "id": 1, "result": seen}).to_string())
    })
    .await;
    let client = Client::connect(format!("{}path?a=b", server.url)).await.expect("a client");

    let seen: Value = client.call("foo_add", (1, "x")).await.expect("an answer");

    let body = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,"x"]}"#;
    let expected = json!(["POST", "/path", "application/json", "application/json", body]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn calls_batches_and_notifications_over_http_use_one_connection() {
    let server = HttpServer::start(|request| echo(&request)).await;
    let client = Client::connect(&server.url).await.expect("a client");

    for n in 0..5 {
        assert_eq!(client.call::<[i32; 1]>("foo_echo", (n,)).await.expect("an answer"), [n]);
    }
    client.notify("foo_echo", ()).await.expect("an empty body is right");
    let answers = client.batch().call("a_b", (1,)).call("a_c", (2,)).send().await.expect("answers");

    let texts: Vec<_> = answers.iter().map(|answer| answer.as_ref().expect("one").get()).collect();
    assert_eq!(texts, ["[1]", "[2]"]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_of_a_batch_over_http_are_sorted_by_their_ids() {
    let server = HttpServer::start(|request| {
        let calls: Vec<Value> = serde_json::from_slice(request.body()).expect("a batch");
        let error = json!({"code": 3, "message": "three", "data": [1]});
        let answers = json!([
            {"jsonrpc": "2.0", "id": calls[2]["id"], "error": error},
            {"jsonrpc": "2.0", "id": 99, "result": "not asked for"},
            {"jsonrpc": "2.0", "id": calls[0]["id"], "result": 0},
        ]);
        Response::new(answers.to_string())
    })
    .await;
    let client = Client::connect(&server.url).await.expect("a client");

    let batch = client.batch().call("a_a", ()).call("a_b", ()).call("a_c", ());
    let answers = batch.send().await.expect("answers");

    assert_eq!(answers[0].as_ref().expect("a result").get(), "0");
    assert!(matches!(answers[1], Err(ClientError::MissingAnswer)));
    let error = answers[2].as_ref().expect_err("an error").rpc_error().expect("the server's");
    assert_eq!((error.code(), error.message()), (3, "three"));
    assert_eq!(error.data().expect("data").get(), "[1]");
}

#[tokio::test]
async fn a_batch_over_http_may_be_refused_as_a_whole() {
    let server = HttpServer::saying(
        200,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
    )
    .await;
    let client = Client::connect(&server.url).await.expect("a client");

    let error = client.batch().call("a_a", ()).send().await.expect_err("refused");
    assert_eq!(error.rpc_error().expect("the server's").message(), "batch too large");

    let in_an_array = HttpServer::saying(
        200,
        r#"[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}]"#,
    )
    .await;
    let client = Client::connect(&in_an_array.url).await.expect("a client");
    let answers = client.batch().call("a_a", ()).call("a_b", ()).send().await.expect("an array");
    for answer in answers {
        let error = answer.expect_err("refused");
        assert_eq!(error.rpc_error().expect("the server's").message(), "batch too large");
    }
}

#[tokio::test]
async fn another_status_than_200_is_an_error_with_the_text_of_the_server() {
    let server = HttpServer::saying(403, "invalid host specified\n").await;
    let url = server.url.replace("http://", "http://user:secret@");
    let client = Client::connect(&url).await.expect("a client");

    let error = client.call::<Value>("foo_x", ()).await.expect_err("refused");

    assert_eq!(error.to_string(), format!("{}: status 403: invalid host specified", server.url));
    let ClientError::Http { status, body, .. } = error else { panic!("{error:?}") };
    assert_eq!((status, body.as_str()), (403, "invalid host specified"));
}

#[tokio::test]
async fn of_a_long_refusal_4_kib_are_kept() {
    let server = HttpServer::start(|_| {
        Response::builder().status(500).body("x".repeat(1 << 20)).expect("a response")
    })
    .await;
    let client = Client::connect(&server.url).await.expect("a client");

    let error = client.call::<Value>("foo_x", ()).await.expect_err("refused");

    let ClientError::Http { body, .. } = error else { panic!("{error:?}") };
    assert_eq!(body.len(), 4 * 1024);
}

#[tokio::test]
async fn what_is_no_answer_over_http_is_an_error() {
    let unread = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#;
    for (body, expected) in [
        ("", "unexpected end"),
        ("<html>", "invalid character"),
        ("[]", "neither a result nor an error"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "neither a result nor an error"),
        (r#"{"jsonrpc":"2.0","id":2,"result":5}"#, "its id is 2, want 1"),
        (r#"{"jsonrpc":"2.0","id":"1","result":5}"#, r#"its id is "1", want 1"#),
        (r#"{"jsonrpc":"2.0","id":1,"result":5}{}"#, "invalid character"),
        (unread, "parse error"),
    ] {
        let server = HttpServer::saying(200, body).await;
        let client = Client::connect(&server.url).await.expect("a client");
        let error = client.call::<Value>("foo_x", ()).await.expect_err(body).to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_read_to_its_end() {
    let server = HttpServer::start(|_| {
        let long = "x".repeat(5_000);
        Response::new(json!({"jsonrpc": "2.0", "id": 1, "result": long}).to_string())
    })
    .await;
    let client = Client::builder().answer_limit(4_096).connect(&server.url).await.expect("one");

    let error = client.call::<Value>("foo_x", ()).await.expect_err("too long").to_string();

    assert!(error.contains("over the limit of 4096 bytes"), "{error}");
}

#[tokio::test]
async fn a_notification_that_a_server_refuses_is_an_error() {
    let server = HttpServer::saying(
        200,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"not here"}}"#,
    )
    .await;
    let client = Client::connect(&server.url).await.expect("a client");

    let error = client.notify("foo_x", ()).await.expect_err("refused");

    assert_eq!(error.rpc_error().expect("the server's").message(), "not here");
}

#[tokio::test]
async fn over_http_there_are_no_subscriptions() {
    let server = HttpServer::saying(200, "").await;
    let client = Client::connect(&server.url).await.expect("a client");

    let error = client.subscribe::<Value>("foo", ("ticks",)).await.expect_err("none");

    assert!(matches!(error, ClientError::NotTwoWay), "{error}");
    assert_eq!(error.to_string(), "notifications not supported");
}

// ---- headers and tokens ---------------------------------------------------------------------------

fn verify(headers: &HeaderMap, secret: &JwtSecret) {
    let values = headers.get_all("authorization").iter().map(http::HeaderValue::as_bytes);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    secret.verify(values, now.as_secs()).expect("a fresh token, and no other");
}

#[tokio::test]
async fn headers_and_a_token_go_with_every_request_over_http() {
    let secret = JwtSecret::from_bytes(&[3; 32]);
    let known = secret.clone();
    let server = HttpServer::start(move |request| {
        verify(request.headers(), &known);
        let values: Vec<_> = request.headers().get_all("x-mine").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(request.headers()["host"], "example");
        echo(&request)
    })
    .await;
    let builder = Client::builder().header("X-Mine", "1").header("x-mine", "2");
    let builder = builder.header("Host", "example").jwt(secret);
    let client = builder.connect(&server.url).await.expect("a client");

    for _ in 0..2 {
        client.call::<Value>("foo_x", ()).await.expect("an answer");
    }
}

#[tokio::test]
async fn headers_and_a_token_go_with_the_opening_of_a_websocket() {
    let (listener, address) = foreign::listen().await;
    let secret = JwtSecret::from_bytes(&[3; 32]);
    let builder = Client::builder().header("Origin", "http://mine").jwt(secret.clone());
    let url = format!("ws://{address}/path?a=b");
    let connecting = tokio::spawn(builder.connect(url));

    let (asked, _peer) = WsPeer::accept_asked(&listener).await;

    connecting.await.expect("no panic").expect("a client");
    verify(asked.headers(), &secret);
    assert_eq!(asked.headers()["origin"], "http://mine");
    assert_eq!(asked.uri().path_and_query().expect("a path").as_str(), "/path?a=b");
}

#[tokio::test]
async fn a_user_and_a_password_in_the_url_are_sent_as_a_header() {
    // user:secret
    let server = HttpServer::start(|request| {
        assert_eq!(request.headers()["authorization"], "Basic dXNlcjpzZWNyZXQ=");
        echo(&request)
    })
    .await;
    let url = server.url.replace("http://", "http://user:secret@");
    let client = Client::connect(&url).await.expect("a client");

    client.call::<Value>("foo_x", ()).await.expect("an answer");

    assert!(!format!("{client:?}").contains("secret"), "{client:?}");
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_fails_the_connect() {
    let server = HttpServer::saying(200, "").await;

    let error = Client::builder().header("a b", "c").connect(&server.url).await.expect_err("none");

    assert!(matches!(error, ClientError::Header { .. }), "{error}");
}

// ---- WebSocket ------------------------------------------------------------------------------------

/// A client and the other end of its WebSocket.
async fn websocket(builder: rpc::ClientBuilder) -> (Client, WsPeer) {
    let (listener, address) = foreign::listen().await;
    let connecting = builder.connect(format!("ws://{address}"));
    let (client, peer) = tokio::join!(connecting, WsPeer::accept(&listener));
    (client.expect("a client"), peer)
}

#[tokio::test]
async fn a_websocket_carries_calls_batches_and_subscriptions_one_value_a_frame() {
    let (client, mut peer) = websocket(Client::builder()).await;

    let serve = async {
        let call = peer.receive().await;
        assert_eq!(call, json!({"jsonrpc": "2.0", "id": 1, "method": "foo_a", "params": [1]}));
        // White space and a binary frame do not matter.
        let answer = format!(" {}\n", foreign::answer(&call, &json!("a")));
        peer.0.send(Message::binary(answer)).await.expect("it is open");
        let calls = peer.receive().await;
        let answers: Value = calls
            .as_array()
            .expect("a batch")
            .iter()
            .rev()
            .map(|c| foreign::answer(c, &c["id"]))
            .collect();
        peer.send(answers).await;
        peer.answer(json!("0x1")).await;
        peer.send(value("0x1", 7)).await;
        peer.receive().await
    };
    let ask = async {
        assert_eq!(client.call::<String>("foo_a", (1,)).await.expect("an answer"), "a");
        let batch = client.batch().call("foo_b", ()).call("foo_c", ()).send().await.expect("both");
        let ids: Vec<_> = batch.iter().map(|answer| answer.as_ref().expect("one").get()).collect();
        assert_eq!(ids, ["2", "3"]);
        let mut values = client.subscribe::<u64>("foo", ("ticks",)).await.expect("an id");
        assert_eq!(values.next().await.expect("a value").expect("a number"), 7);
    };
    let (ended, ()) = soon("the dialogue", futures_util::future::join(serve, ask)).await;

    assert_eq!(ended["method"], json!("foo_unsubscribe"));
    assert_eq!(ended["params"], json!(["0x1"]));
}

#[tokio::test]
async fn a_thousand_calls_over_a_websocket_are_under_way_at_once() {
    let (client, mut peer) = websocket(Client::builder()).await;

    let calls = (0..1_000).map(|n: u64| {
        let client = client.clone();
        async move { (n, client.call::<u64>("foo_echo", (n,)).await.expect("an answer")) }
    });
    let serve = async {
        let mut calls = Vec::new();
        for _ in 0..1_000 {
            calls.push(peer.receive().await);
        }
        // In no particular order.
        for call in calls.iter().rev() {
            peer.send(foreign::answer(call, &call["params"][0])).await;
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(calls), serve);

    assert!(answers.iter().all(|(asked, got)| asked == got));
}

#[tokio::test]
async fn a_ping_of_the_server_is_answered() {
    let (_client, mut peer) = websocket(Client::builder()).await;

    peer.0.send(Message::Ping("here?".into())).await.expect("it is open");

    assert_eq!(peer.next().await.expect("a frame"), Message::Pong("here?".into()));
}

#[tokio::test]
async fn a_websocket_that_is_refused_says_why() {
    let server = HttpServer::saying(401, "missing token\n").await;
    let url = server.url.replace("http://", "ws://");

    let error = Client::connect(&url).await.expect_err("refused");

    let ClientError::Http { status, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*status, 401);
    assert!(error.to_string().starts_with(&format!("{url}: status 401: ")), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_is_quoted() {
    let (client, mut peer) = websocket(Client::builder()).await;

    let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: 1001.into(),
        reason: "going to bed".into(),
    };
    let serve = async {
        peer.receive().await;
        peer.0.close(Some(close)).await.expect("it is open");
    };
    let (error, ()) = tokio::join!(client.call::<Value>("foo_x", ()), serve);

    let error = error.expect_err("closed").to_string();
    assert!(error.contains("going to bed"), "{error}");
}

#[tokio::test]
async fn a_closed_client_says_goodbye() {
    let (client, mut peer) = websocket(Client::builder()).await;

    client.notify("foo_last", ()).await.expect("it is open");
    drop(client);

    assert_eq!(peer.receive().await["method"], json!("foo_last"));
    let goodbye = peer.next().await.expect("a frame");
    let Message::Close(Some(frame)) = goodbye else { panic!("{goodbye:?}") };
    assert_eq!(u16::from(frame.code), 1000);
}

#[tokio::test]
async fn a_large_answer_comes_whole_and_a_larger_one_closes() {
    let (client, mut peer) = websocket(Client::builder().answer_limit(1 << 20)).await;
    let fits = "x".repeat(1_000_000);

    let serve = async {
        peer.answer(json!(fits)).await;
        peer.answer(json!("x".repeat(1 << 20))).await;
    };
    let ask = async {
        assert_eq!(client.call::<String>("foo_x", ()).await.expect("it fits").len(), 1_000_000);
        client.call::<String>("foo_x", ()).await.expect_err("too large")
    };
    let ((), error) = tokio::join!(serve, ask);

    let ClientError::Closed { reason } = &error else { panic!("{error:?}") };
    assert!(reason.contains("too long"), "{reason}");
}

// ---- both directions ------------------------------------------------------------------------------

#[tokio::test]
async fn a_server_may_call_what_its_client_registered() {
    let me = Module::new("me").method("name", |context: Context| async move {
        rpc::Result::Ok(context.caller().transport().to_string())
    });
    let (_client, mut peer) = websocket(Client::builder().module(me)).await;

    peer.send(r#"{"jsonrpc":"2.0","id":"x","method":"me_name"}"#).await;
    assert_eq!(peer.receive().await, json!({"jsonrpc": "2.0", "id": "x", "result": "ws"}));

    peer.send(r#"{"jsonrpc":"2.0","id":"y","method":"me_nope"}"#).await;
    assert_eq!(peer.receive().await["error"]["code"], json!(-32601));
}

#[tokio::test]
async fn a_client_without_modules_offers_nothing() {
    let (_client, mut peer) = foreign::client();
    // It connects when it is used.
    let client = _client.clone();
    let call = tokio::spawn(async move { client.call::<Value>("foo_x", ()).await });
    let asked = peer.receive().await;

    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}"#).await;

    assert_eq!(peer.receive().await["error"]["code"], json!(-32601));
    peer.send(foreign::answer(&asked, &json!(null))).await;
    call.await.expect("no panic").expect("an answer");
}

// ---- subscriptions --------------------------------------------------------------------------------

/// A subscription with this id.
async fn subscribed(id: Value) -> (rpc::Subscription<Value>, foreign::Peer) {
    let (client, mut peer) = foreign::client();
    let (subscription, ()) =
        tokio::join!(client.subscribe::<Value>("foo", ("ticks", 1)), peer.subscribe(id));
    (subscription.expect("an id"), peer)
}

#[tokio::test]
async fn values_come_in_order_also_right_behind_the_id() {
    let (client, mut peer) = foreign::client();

    let serve = async {
        let call = peer.receive().await;
        assert_eq!(call["method"], json!("foo_subscribe"));
        assert_eq!(call["params"], json!(["ticks", 1]));
        let first = foreign::answer(&call, &json!("0x1"));
        peer.send(format!("{first}{}{}", value("0x1", 1), value("0x1", Value::Null))).await;
    };
    let (subscription, ()) = tokio::join!(client.subscribe::<Value>("foo", ("ticks", 1)), serve);
    let mut subscription = subscription.expect("an id");

    assert_eq!(subscription.id(), "0x1");
    for expected in [json!(1), Value::Null] {
        let got = soon("a value", subscription.next()).await.expect("a value").expect("a value");
        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn an_id_may_be_a_number_as_other_servers_have_it() {
    let (mut subscription, mut peer) = subscribed(json!(77)).await;

    peer.send(value(77, "x")).await;
    let got = soon("a value", subscription.next()).await.expect("a value").expect("a value");
    assert_eq!((subscription.id(), got), ("77", json!("x")));

    drop(subscription);
    let ended = peer.receive().await;
    assert_eq!(ended["params"], json!([77]), "the id goes back as it came");
}

#[tokio::test]
async fn unsubscribing_waits_for_the_server() {
    let (subscription, mut peer) = subscribed(json!("0x1")).await;

    let (ended, call) = tokio::join!(subscription.unsubscribe(), peer.answer(json!(true)));

    ended.expect("confirmed");
    assert_eq!(call["method"], json!("foo_unsubscribe"));
    assert_eq!(call["params"], json!(["0x1"]));
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_takes_10_s_at_most() {
    let (subscription, _peer) = subscribed(json!("0x1")).await;

    let error = subscription.unsubscribe().await.expect_err("no answer");

    assert!(matches!(error, ClientError::Timeout { seconds } if seconds == 10.0), "{error}");
}

#[tokio::test]
async fn the_connection_may_close_while_unsubscribing() {
    let (subscription, mut peer) = subscribed(json!("0x1")).await;

    let serve = async move {
        peer.receive().await;
        drop(peer);
    };
    let (ended, ()) = tokio::join!(subscription.unsubscribe(), serve);

    assert!(matches!(ended, Err(ClientError::Closed { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_server_that_ends_a_subscription_is_quoted_last() {
    let (subscription, mut peer) = subscribed(json!("0x1")).await;

    peer.send(value("0x1", 1)).await;
    peer.send(
        r#"{"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":"0x1","error":{"code":-32000,"message":"subscription queue overflow"}}}"#,
    )
    .await;

    let items: Vec<_> = soon("the end", subscription.collect()).await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].as_ref().expect("a value"), &json!(1));
    let error = items[1].as_ref().expect_err("the end").rpc_error().expect("the server's");
    assert_eq!(error.message(), "subscription queue overflow");
}

#[tokio::test]
async fn values_that_nobody_reads_end_the_subscription_and_the_server_is_told() {
    let (mut subscription, mut peer) = subscribed(json!("0x1")).await;

    for n in 0..=20_000 {
        peer.send(value("0x1", n)).await;
    }
    let told = peer.receive().await;

    assert_eq!((&told["method"], &told["params"]), (&json!("foo_unsubscribe"), &json!(["0x1"])));
    for n in 0..20_000 {
        let got = subscription.next().await.expect("a value").expect("a value");
        assert_eq!(got, json!(n));
    }
    let last = subscription.next().await.expect("a reason").expect_err("the end");
    assert!(matches!(last, ClientError::Overflow), "{last}");
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn a_slow_subscriber_holds_nobody_up() {
    let (client, mut peer) = foreign::client();
    let (slow, ()) =
        tokio::join!(client.subscribe::<Value>("foo", ("a",)), peer.subscribe(json!("0x1")));
    let slow = slow.expect("an id");

    for n in 0..30_000 {
        peer.send(value("0x1", n)).await;
    }
    assert_eq!(peer.receive().await["method"], json!("foo_unsubscribe"));
    let (answer, _) = tokio::join!(client.call::<u64>("foo_x", ()), peer.answer(json!(5)));

    assert_eq!(answer.expect("an answer"), 5);
    drop(slow);
}

#[tokio::test]
async fn a_value_of_another_form_is_an_error_and_not_the_end() {
    let (client, mut peer) = foreign::client();
    let (subscription, ()) =
        tokio::join!(client.subscribe::<u64>("foo", ("ticks",)), peer.subscribe(json!("0x1")));
    let mut subscription = subscription.expect("an id");

    peer.send(value("0x1", "text")).await;
    peer.send(value("0x1", 2)).await;

    let first = soon("a value", subscription.next()).await.expect("a value");
    assert!(matches!(first, Err(ClientError::Decode { .. })), "{first:?}");
    assert_eq!(subscription.next().await.expect("a value").expect("a number"), 2);
}

#[tokio::test]
async fn a_subscription_keeps_the_connection_open() {
    let (client, mut peer) = foreign::client();
    let (subscription, ()) =
        tokio::join!(client.subscribe::<u64>("foo", ("ticks",)), peer.subscribe(json!("0x1")));
    let mut subscription = subscription.expect("an id");
    drop(client);

    peer.send(value("0x1", 1)).await;
    assert_eq!(soon("a value", subscription.next()).await.expect("one").expect("a number"), 1);

    drop(subscription);
    assert_eq!(peer.receive().await["method"], json!("foo_unsubscribe"));
    assert_eq!(peer.next().await, None, "nobody holds it any more");
}

// ---- giving up ------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_call_takes_no_longer_than_it_may() {
    let (client, mut peer) = foreign::over(Client::builder().timeout(Duration::from_secs(3)));

    let error = client.call::<Value>("foo_slow", ()).await.expect_err("no answer");
    assert!(matches!(error, ClientError::Timeout { seconds } if seconds == 3.0), "{error}");

    // Its answer comes late and belongs to nobody.
    peer.answer(json!("late")).await;
    let (answer, _) = tokio::join!(client.call::<String>("foo_x", ()), peer.answer(json!("own")));
    assert_eq!(answer.expect("an answer"), "own");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_given_up_and_the_others_are_answered() {
    let (client, mut peer) = foreign::client();
    let mut given_up = Box::pin(client.call::<Value>("foo_a", ()));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    let call = peer.receive().await;
    drop(given_up);

    peer.send(foreign::answer(&call, &json!("for nobody"))).await;
    let (answer, _) = tokio::join!(client.call::<String>("foo_b", ()), peer.answer(json!("b")));

    assert_eq!(answer.expect("an answer"), "b");
}

#[tokio::test]
async fn a_subscription_that_nobody_waits_for_any_more_is_ended_when_its_id_comes() {
    let (client, mut peer) = foreign::client();
    let mut given_up = Box::pin(client.subscribe::<Value>("foo", ("ticks",)));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    let call = peer.receive().await;
    drop(given_up);

    peer.send(foreign::answer(&call, &json!("0x1"))).await;

    let ended = peer.receive().await;
    assert_eq!((&ended["method"], &ended["params"]), (&json!("foo_unsubscribe"), &json!(["0x1"])));
}

#[tokio::test]
async fn calls_that_wait_when_the_client_closes_fail() {
    let (client, mut peer) = foreign::client();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call::<Value>("foo_slow", ()).await }
    });
    peer.receive().await;

    soon("the end", client.close()).await;

    let error = waiting.await.expect("no panic").expect_err("closed");
    assert!(matches!(&error, ClientError::Closed { reason } if reason == "stopped"), "{error}");
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn what_was_said_last_is_sent_before_the_connection_closes() {
    let (client, mut peer) = foreign::client();
    let (answer, _) = tokio::join!(client.call::<u64>("foo_x", ()), peer.answer(json!(1)));
    answer.expect("an answer");

    client.notify("foo_last", ()).await.expect("it is open");
    drop(client);

    assert_eq!(peer.receive().await["method"], json!("foo_last"));
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn more_calls_than_16_384_may_not_wait() {
    let (client, _peer) = foreign::client();
    let mut batch = client.batch();
    for _ in 0..16_385 {
        batch = batch.call("a_b", ());
    }

    let error = batch.send().await.expect_err("too many");

    assert!(matches!(error, ClientError::TooManyCalls { limit: 16_384 }), "{error}");
}

#[tokio::test]
async fn a_batch_larger_than_a_server_of_ours_takes_is_answered_by_one_that_takes_it() {
    let (client, mut peer) = foreign::client();
    let mut batch = client.batch();
    for n in 0..5_000 {
        batch = batch.call("a_b", (n,));
    }

    let serve = async {
        let calls = peer.receive().await;
        let answers: Value = calls
            .as_array()
            .expect("a batch")
            .iter()
            .map(|call| foreign::answer(call, &call["params"][0]))
            .collect();
        peer.send(answers).await;
    };
    let (answers, ()) = tokio::join!(soon("the answers", batch.send()), serve);

    let answers = answers.expect("an array");
    assert_eq!(answers.len(), 5_000);
    assert_eq!(answers[4_999].as_ref().expect("a result").get(), "4999");
}

// ---- our own server -------------------------------------------------------------------------------

/// A client of each transport, with the transport's name.
async fn clients(server: &rpc::Server) -> Vec<(&'static str, Client)> {
    let http = server.http_addr().expect("the server has a listener");
    let mut clients = vec![
        ("inproc", server.attach()),
        ("http", Client::connect(format!("http://{http}")).await.expect("a client")),
        ("ws", Client::connect(format!("ws://{http}")).await.expect("a client")),
    ];
    if let Some(path) = server.ipc_path() {
        clients.push(("ipc", Client::connect(path).await.expect("a client")));
    }
    clients
}

#[tokio::test]
async fn our_own_server_is_understood_over_every_transport() {
    let (server, _folder) = service::started(rpc::Server::builder().module(service::foo())).await;

    for (transport, client) in clients(&server).await {
        assert_eq!(client.call::<i64>("foo_add", (1, 2)).await.expect(transport), 3);
        let error = client.call::<Value>("foo_fail", ()).await.expect_err(transport);
        let error = error.rpc_error().expect("the server's").clone();
        assert_eq!((error.code(), error.message()), (-32_000, "foo failed"), "{transport}");
        client.notify("foo_add", (1, 2)).await.expect(transport);
        let batch = client.batch().call("foo_add", (1, 2)).call("foo_nope", ()).send();
        let answers = batch.await.expect(transport);
        assert_eq!(answers[0].as_ref().expect("a sum").get(), "3");
        let error = answers[1].as_ref().expect_err("no such method").rpc_error().expect("one");
        assert_eq!(error.code(), -32_601, "{transport}");
        if transport == "http" {
            continue;
        }
        let values = client.subscribe::<u64>("foo", ("count", 3)).await.expect(transport);
        let values: Vec<_> = values.take(3).map(|value| value.expect("a number")).collect().await;
        assert_eq!(values, [0, 1, 2], "{transport}");
        client.close().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_batch_that_our_server_refuses_waits_for_nothing() {
    let limits = rpc::Limits { batch_items: 2, ..rpc::Limits::default() };
    let builder = rpc::Server::builder().module(service::foo()).limits(limits);
    let (server, _folder) = service::started(builder).await;

    for (transport, client) in clients(&server).await {
        let batch = client.batch().call("a_a", ()).call("a_b", ()).call("a_c", ()).send();
        let answers = soon(transport, batch).await.expect("an array");
        // The refusal has the id of the first call.
        let error = answers[0].as_ref().expect_err("refused").rpc_error().expect("one");
        assert_eq!(error.message(), "batch too large", "{transport}");
        for answer in &answers[1..] {
            assert!(matches!(answer, Err(ClientError::MissingAnswer)), "{transport}: {answer:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_behind_a_token_takes_the_client_that_has_the_secret() {
    let secret = JwtSecret::from_bytes(&[7; 32]);
    let engine =
        Module::new("engine").method("ok", || async { rpc::Result::Ok(true) }).authenticated();
    let config = rpc::AuthConfig::new("127.0.0.1:0", secret.clone());
    let server = rpc::Server::builder().module(engine).auth(config).start().await;
    let server = server.expect("it starts");
    let address = server.auth_addr().expect("a listener");

    for scheme in ["http", "ws"] {
        let url = format!("{scheme}://{address}");
        let client = Client::builder().jwt(secret.clone()).connect(&url).await.expect("a client");
        assert!(client.call::<bool>("engine_ok", ()).await.expect(scheme));

        let stranger = match Client::connect(&url).await {
            Ok(client) => client.call::<bool>("engine_ok", ()).await.expect_err("no token"),
            Err(refused) => refused,
        };
        let ClientError::Http { status, .. } = stranger else { panic!("{stranger:?}") };
        assert_eq!(status, 401);
    }
    server.stop().await;
}
