//! What a server can do to its client: make calls fail, and nothing else. Nothing hangs, and nothing
//! grows beyond its bound.

mod common;

use std::time::Duration;

use common::{
    foreign::{self, HttpServer, Peer, WsPeer, answer, value},
    soon,
};
use futures_util::future::join_all;
use proptest::prelude::*;
use rpc::{Client, ClientError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const NULL_ERROR: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}"#;

/// The call, and what the server does meanwhile.
async fn call_while(
    client: &Client,
    serve: impl Future<Output = ()>,
) -> Result<Value, ClientError> {
    let (outcome, ()) = tokio::join!(soon("the call", client.call("foo_x", ())), serve);
    outcome
}

/// Nothing of what was said before matters to the next call.
async fn assert_usable(client: &Client, peer: &mut Peer) {
    let (outcome, _) = tokio::join!(
        soon("the call", client.call::<String>("foo_usable", ())),
        peer.answer(json!("usable"))
    );
    assert_eq!(outcome.expect("an answer"), "usable");
}

#[tokio::test]
async fn garbage_ends_the_connection_and_every_call() {
    for garbage in ["<html>", "}", "nul ", "\u{0}", "{\"id\":1 1"] {
        let (client, mut peer) = foreign::client();
        let serve = async {
            peer.receive().await;
            peer.receive().await;
            peer.send(garbage).await;
        };
        let calls = join_all([client.call::<Value>("foo_a", ()), client.call("foo_b", ())]);
        let (outcomes, ()) = tokio::join!(soon("the end", calls), serve);

        for outcome in outcomes {
            let error = outcome.expect_err(garbage);
            assert!(matches!(error, ClientError::Closed { .. }), "{garbage}: {error}");
        }
    }
}

#[tokio::test]
async fn a_value_without_end_is_read_up_to_the_limit() {
    let (client, mut peer) = foreign::over(Client::builder().answer_limit(10_000));

    let outcome = call_while(&client, async {
        peer.receive().await;
        peer.send("[\"").await;
        for _ in 0..1_000 {
            peer.send("x".repeat(1_000)).await;
        }
    })
    .await;

    let error = outcome.expect_err("too long").to_string();
    assert!(error.contains("10000"), "{error}");
}

#[tokio::test]
async fn white_space_without_end_is_kept_nowhere() {
    let (client, mut peer) = foreign::over(Client::builder().answer_limit(10_000));

    let outcome = call_while(&client, async {
        let call = peer.receive().await;
        for _ in 0..1_000 {
            peer.send(" \n".repeat(1_000)).await;
        }
        peer.send(answer(&call, &json!(1))).await;
    })
    .await;

    assert_eq!(outcome.expect("an answer"), json!(1));
}

#[tokio::test]
async fn what_was_not_asked_for_is_dropped() {
    let (client, mut peer) = foreign::client();
    assert_usable(&client, &mut peer).await;

    for text in [
        // Ids that were never given out, have been answered, or are none of ours.
        r#"{"jsonrpc":"2.0","id":99,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"again"}"#,
        r#"{"jsonrpc":"2.0","id":"x","result":1}"#,
        r#"{"jsonrpc":"2.0","id":-1,"error":{"code":1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":18446744073709551616,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":2.0,"result":1}"#,
        r#"[{"jsonrpc":"2.0","id":98,"result":1},{"jsonrpc":"2.0","id":99,"result":1}]"#,
        // Values of subscriptions that there are not.
        r#"{"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":"0x9","result":1}}"#,
        r#"{"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":{},"result":1}}"#,
        r#"{"jsonrpc":"2.0","method":"foo_subscription","params":[]}"#,
        r#"{"jsonrpc":"2.0","method":"foo_subscription"}"#,
        // Notifications that nobody listens to.
        r#"{"jsonrpc":"2.0","method":"foo_x","params":[1]}"#,
    ] {
        peer.send(text).await;
    }

    assert_usable(&client, &mut peer).await;
}

#[tokio::test]
async fn of_two_answers_the_first_counts() {
    let (client, mut peer) = foreign::client();

    let outcome = call_while(&client, async {
        let call = peer.receive().await;
        peer.send(format!("{}{}", answer(&call, &json!(1)), answer(&call, &json!(2)))).await;
    })
    .await;

    assert_eq!(outcome.expect("an answer"), json!(1));
    assert_usable(&client, &mut peer).await;
}

#[tokio::test]
async fn a_result_of_another_type_is_an_error_of_that_call() {
    let (client, mut peer) = foreign::client();

    let (outcome, _) =
        tokio::join!(client.call::<u64>("foo_x", ()), peer.answer(json!({"no": "number"})));

    let error = outcome.expect_err("no number");
    assert!(matches!(error, ClientError::Decode { .. }), "{error}");
    assert_usable(&client, &mut peer).await;
}

#[tokio::test]
async fn an_error_of_any_form_is_an_error() {
    for (sent, code, message) in [
        (r#"{"code":7,"message":"seven"}"#, 7, "seven"),
        (r#"{"code":-39001}"#, -39_001, ""),
        (r#""just text""#, -32_000, r#""just text""#),
        (r#"{"code":"x","message":1}"#, -32_000, r#"{"code":"x","message":1}"#),
        ("5", -32_000, "5"),
    ] {
        let (client, mut peer) = foreign::client();
        let outcome = call_while(&client, async {
            peer.receive().await;
            peer.send(format!(r#"{{"jsonrpc":"2.0","id":1,"error":{sent}}}"#)).await;
        })
        .await;
        let error = outcome.expect_err(sent);
        let error = error.rpc_error().expect("the server's");
        assert_eq!((error.code(), error.message()), (code, message), "{sent}");
    }
}

// ---- errors without an id -------------------------------------------------------------------------

#[tokio::test]
async fn an_error_without_an_id_fails_the_only_call() {
    let (client, mut peer) = foreign::client();

    let outcome = call_while(&client, async {
        peer.receive().await;
        peer.send(NULL_ERROR).await;
    })
    .await;

    let error = outcome.expect_err("refused");
    assert_eq!(error.rpc_error().expect("the server's").message(), "invalid request");
    assert_usable(&client, &mut peer).await;
}

#[tokio::test]
async fn an_error_without_an_id_in_answer_to_a_batch_fails_all_of_it() {
    for refusal in [NULL_ERROR.to_owned(), format!("[{NULL_ERROR}]")] {
        let (client, mut peer) = foreign::client();
        let batch = client.batch().call("a_b", ()).call("a_c", ()).send();
        let serve = async {
            peer.receive().await;
            peer.send(&refusal).await;
        };
        let (answers, ()) = tokio::join!(soon("the answers", batch), serve);

        for answer in answers.expect("a connection") {
            let error = answer.expect_err("refused");
            assert_eq!(error.rpc_error().expect("the server's").message(), "invalid request");
        }
        assert_usable(&client, &mut peer).await;
    }
}

#[tokio::test]
async fn an_error_without_an_id_fails_what_is_left_when_the_others_are_answered() {
    let (client, mut peer) = foreign::client();

    let serve = async {
        let (first, batch, last) =
            (peer.receive().await, peer.receive().await, peer.receive().await);
        assert!(batch.is_array());
        peer.send(NULL_ERROR).await;
        peer.send(answer(&last, &json!("last"))).await;
        peer.send(answer(&first, &json!("first"))).await;
    };
    let (first, batch, last, ()) = tokio::join!(
        soon("the first", client.call::<String>("foo_a", ())),
        soon("the batch", client.batch().call("a_b", ()).call("a_c", ()).send()),
        soon("the last", client.call::<String>("foo_d", ())),
        serve
    );

    assert_eq!(first.expect("answered"), "first");
    assert_eq!(last.expect("answered"), "last");
    for answer in batch.expect("a connection") {
        let error = answer.expect_err("it was this one");
        assert_eq!(error.rpc_error().expect("the server's").message(), "invalid request");
    }
}

#[tokio::test]
async fn the_last_complaint_of_a_server_is_the_reason_why_it_hung_up() {
    let (client, mut peer) = foreign::client();

    let (a, b, ()) = tokio::join!(
        soon("a", client.call::<Value>("foo_a", ())),
        soon("b", client.call::<Value>("foo_b", ())),
        async move {
            peer.receive().await;
            peer.receive().await;
            peer.send(NULL_ERROR).await;
        }
    );

    for outcome in [a, b] {
        let error = outcome.expect_err("closed").to_string();
        assert_eq!(error, "connection closed: invalid request");
    }
}

// ---- batches --------------------------------------------------------------------------------------

#[tokio::test]
async fn calls_that_the_answer_to_their_batch_lacks_fail() {
    let (client, mut peer) = foreign::client();
    let batch = client.batch().call("a_a", ()).call("a_b", ()).call("a_c", ()).send();
    let serve = async {
        let calls = peer.receive().await;
        peer.send(
            json!([answer(&calls[1], &json!("b")), {"jsonrpc": "2.0", "id": 7, "result": 1}]),
        )
        .await;
    };

    let (answers, ()) = tokio::join!(soon("the answers", batch), serve);

    let answers = answers.expect("a connection");
    assert!(matches!(answers[0], Err(ClientError::MissingAnswer)));
    assert_eq!(answers[1].as_ref().expect("answered").get(), r#""b""#);
    assert!(matches!(answers[2], Err(ClientError::MissingAnswer)));
    assert_usable(&client, &mut peer).await;
}

#[tokio::test]
async fn answers_to_two_batches_in_one_end_both() {
    let (client, mut peer) = foreign::client();
    let serve = async {
        let (first, second) = (peer.receive().await, peer.receive().await);
        peer.send(json!([answer(&second[1], &json!(4)), answer(&first[0], &json!(1))])).await;
    };

    let (first, second, ()) = tokio::join!(
        soon("the first", client.batch().call("a_a", ()).call("a_b", ()).send()),
        soon("the second", client.batch().call("a_c", ()).call("a_d", ()).send()),
        serve
    );

    let texts = |answers: Result<Vec<Result<Box<serde_json::value::RawValue>, _>>, _>| {
        let text = |answer: Result<Box<serde_json::value::RawValue>, ClientError>| {
            answer.map_or_else(|error| error.to_string(), |value| value.get().to_owned())
        };
        answers.map(|answers: Vec<_>| answers.into_iter().map(text).collect::<Vec<_>>())
    };
    let missing = ClientError::MissingAnswer.to_string();
    assert_eq!(texts(first).expect("a connection"), ["1", &missing]);
    assert_eq!(texts(second).expect("a connection"), [&missing, "4"]);
}

#[tokio::test]
async fn a_batch_may_be_answered_one_by_one() {
    let (client, mut peer) = foreign::client();
    let serve = async {
        let calls = peer.receive().await;
        for at in [1, 0] {
            peer.send(answer(&calls[at], &json!(at))).await;
        }
    };

    let batch = client.batch().call("a_a", ()).call("a_b", ()).send();
    let (answers, ()) = tokio::join!(soon("the answers", batch), serve);

    let answers = answers.expect("a connection");
    assert_eq!(answers[0].as_ref().expect("answered").get(), "0");
    assert_eq!(answers[1].as_ref().expect("answered").get(), "1");
}

// ---- subscriptions --------------------------------------------------------------------------------

#[tokio::test]
async fn a_value_before_its_id_is_dropped() {
    let (client, mut peer) = foreign::client();
    let serve = async {
        let call = peer.receive().await;
        peer.send(value("0x1", "too early")).await;
        peer.send(answer(&call, &json!("0x1"))).await;
        peer.send(value("0x1", "in time")).await;
    };

    let (subscription, ()) = tokio::join!(client.subscribe::<String>("foo", ("x",)), serve);

    let mut subscription = subscription.expect("an id");
    let first = soon("a value", subscription.next()).await.expect("one").expect("text");
    assert_eq!(first, "in time");
}

#[tokio::test]
async fn an_id_that_is_none_or_another_s_is_an_error_of_that_subscription() {
    let (client, mut peer) = foreign::client();
    let (first, ()) =
        tokio::join!(client.subscribe::<Value>("foo", ("x",)), peer.subscribe(json!("0x1")));
    let mut first = first.expect("an id");

    for id in [json!("0x1"), json!(null), json!({"id": 1}), json!(["0x2"]), json!(true), json!(-5)]
    {
        let (second, ()) =
            tokio::join!(client.subscribe::<Value>("foo", ("y",)), peer.subscribe(id.clone()));
        let error = second.expect_err("no id");
        assert!(matches!(error, ClientError::Malformed { .. }), "{id}: {error}");
    }

    peer.send(value("0x1", 1)).await;
    let got = soon("a value", first.next()).await.expect("one").expect("a value");
    assert_eq!(got, json!(1), "it goes on");
}

#[tokio::test]
async fn values_for_a_subscription_that_has_ended_are_dropped() {
    let (client, mut peer) = foreign::client();
    let (subscription, ()) =
        tokio::join!(client.subscribe::<Value>("foo", ("x",)), peer.subscribe(json!("0x1")));
    drop(subscription.expect("an id"));
    assert_eq!(peer.receive().await["method"], json!("foo_unsubscribe"));

    for n in 0..1_000 {
        peer.send(value("0x1", n)).await;
    }

    assert_usable(&client, &mut peer).await;
}

// ---- connections ----------------------------------------------------------------------------------

#[tokio::test]
async fn a_server_that_leaves_in_the_middle_of_an_answer_fails_the_call() {
    let (client, mut peer) = foreign::client();

    let outcome = call_while(&client, async move {
        peer.receive().await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"resu"#).await;
    })
    .await;

    let error = outcome.expect_err("closed");
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
}

/// Paused time would show whether anything waited.
#[tokio::test(start_paused = true)]
async fn a_server_that_will_write_no_more_fails_the_calls_at_once() {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let client = Client::builder().over(ours);
    let began = tokio::time::Instant::now();

    let serve = async {
        theirs.read_u8().await.expect("a call");
        theirs.shutdown().await.expect("it is open");
    };
    let (outcome, ()) = tokio::join!(client.call::<Value>("foo_x", ()), serve);

    let error = outcome.expect_err("closed").to_string();
    assert_eq!(error, "connection closed: EOF");
    assert!(began.elapsed() < Duration::from_secs(1));
    // It still reads, and that does not help.
    drop(theirs);
}

/// Writes as much as the client takes, and reads nothing.
async fn flood(mut stream: DuplexStream, text: &str) -> usize {
    let chunk = text.repeat(1_000);
    let mut written = 0;
    while stream.write_all(chunk.as_bytes()).await.is_ok() {
        written += chunk.len();
    }
    written
}

#[tokio::test(start_paused = true)]
async fn a_server_that_floods_its_client_and_never_reads_is_left_alone() {
    for (text, most) in [
        // Calls to a client that offers nothing, what is no message, and batches of both.
        (r#"{"jsonrpc":"2.0","id":1,"method":"a_b"}"#, 16 << 20),
        ("5 ", 16 << 20),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"a_b"},5]"#, 16 << 20),
    ] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let client = Client::builder().over(ours);

        let (outcome, written) =
            tokio::join!(client.call::<Value>("foo_x", ()), flood(theirs, text));

        let error = outcome.expect_err("closed").to_string();
        assert_eq!(error, "connection closed: nothing was read for 10 s", "{text}");
        assert!(written < most, "{text}: {written} bytes were taken");
    }
}

#[tokio::test]
async fn a_server_that_floods_its_client_with_calls_and_reads_does_not_hold_it_up() {
    let (client, mut peer) = foreign::client();

    let outcome = call_while(&client, async {
        let call = peer.receive().await;
        for n in 0..1_000 {
            peer.send(json!({"jsonrpc": "2.0", "id": n, "method": "a_b"})).await;
            assert_eq!(peer.receive().await["id"], json!(n));
        }
        peer.send(answer(&call, &json!(1))).await;
    })
    .await;

    assert_eq!(outcome.expect("an answer"), json!(1));
}

// ---- WebSocket ------------------------------------------------------------------------------------

/// A client whose call is answered by these bytes, after the handshake.
async fn answered_by(what: &str, bytes: &[u8]) -> ClientError {
    let (listener, address) = foreign::listen().await;
    let connecting = Client::connect(format!("ws://{address}"));
    let (client, peer) = tokio::join!(connecting, WsPeer::accept(&listener));
    let (client, mut peer) = (client.expect("a client"), peer);
    let serve = async {
        peer.receive().await;
        let socket = peer.0.get_mut();
        socket.write_all(bytes).await.expect("it is open");
    };
    let (outcome, ()) = tokio::join!(soon(what, client.call::<Value>("foo_x", ())), serve);
    outcome.expect_err("the connection is over")
}

#[tokio::test]
async fn a_frame_that_is_none_or_no_value_ends_the_connection() {
    for (what, bytes) in [
        ("text that is no JSON", &b"\x81\x05<htm>"[..]),
        ("two values", b"\x81\x04{}{}"),
        ("an empty text", b"\x81\x00"),
        ("bytes that are no text", b"\x82\x03\"\xff\""),
        ("text that is none", b"\x81\x03\"\xff\""),
        ("a compressed frame", b"\xc1\x02{}"),
        ("a masked frame", b"\x81\x82\x00\x00\x00\x00{}"),
        ("an unknown kind", b"\x83\x00"),
        ("a continuation of nothing", b"\x80\x02{}"),
        ("a ping that comes in parts", b"\x09\x00"),
        ("a length over the limit", b"\x81\x7f\x00\x00\x01\x00\x00\x00\x00\x00"),
        ("a close", b"\x88\x00"),
    ] {
        let error = answered_by(what, bytes).await;
        assert!(matches!(error, ClientError::Closed { .. }), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_no_websocket_is_an_error_to_connect_to() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
        "220 smtp ready\r\n",
        "",
    ] {
        let (listener, address) = foreign::listen().await;
        let serve = async {
            let (mut socket, _) = listener.accept().await.expect("a client");
            socket.write_all(answer.as_bytes()).await.expect("it is open");
        };
        let connecting = soon("the end", Client::connect(format!("ws://{address}")));
        let (outcome, ()) = tokio::join!(connecting, serve);
        let error = outcome.expect_err("no websocket");
        assert!(matches!(error, ClientError::Connect { .. }), "{answer}: {error:?}");
    }
}

// ---- HTTP -----------------------------------------------------------------------------------------

/// A client whose call over HTTP is answered by this text, and then the connection closed.
async fn answered_over_http(text: &str) -> ClientError {
    let (listener, address) = foreign::listen().await;
    let client = Client::builder().answer_limit(1_000).connect(format!("http://{address}"));
    let client = client.await.expect("a client");
    let serve = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            socket.read_buf(&mut request).await.expect("a request");
        }
        socket.write_all(text.as_bytes()).await.expect("it is open");
    };
    let (outcome, ()) = tokio::join!(soon("the end", client.call::<Value>("foo_x", ())), serve);
    outcome.expect_err(text)
}

#[tokio::test]
async fn an_answer_over_http_that_breaks_off_or_is_none_fails_the_call() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}",
        "220 smtp ready\r\n",
    ] {
        let error = answered_over_http(text).await;
        assert!(matches!(error, ClientError::Closed { .. }), "{text:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_length_over_the_limit_is_believed_and_refused() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{";

    let error = answered_over_http(text).await.to_string();

    assert!(error.contains("over the limit of 1000 bytes"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = HttpServer::saying(302, "elsewhere").await;
    let client = Client::connect(&server.url).await.expect("a client");

    let error = client.call::<Value>("foo_x", ()).await.expect_err("not here");

    assert!(matches!(error, ClientError::Http { status: 302, .. }), "{error}");
}

// ---- anything -------------------------------------------------------------------------------------

/// Something that a server may say.
fn message() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        (0..8_u64).prop_map(|id| id.to_string()),
        Just("null".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[]".to_owned()),
    ];
    let result = prop_oneof![Just("1"), Just("null"), Just("\"0x1\""), Just("\"0x2\""), Just("{}")];
    let error = Just(r#"{"code":-32600,"message":"no"}"#);
    let answer = (
        id.clone(),
        prop_oneof![
            result.clone().prop_map(|result| format!(r#""result":{result}"#)),
            error.prop_map(|error| format!(r#""error":{error}"#)),
        ],
    );
    let answer = answer.prop_map(|(id, rest)| format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#));
    let value = result.prop_map(|result| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"foo_subscription","params":{{"subscription":"0x1","result":{result}}}}}"#
        )
    });
    let call = id.prop_map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"a_b"}}"#));
    let one = prop_oneof![4 => answer, 2 => value, 1 => call, 1 => Just("5".to_owned())];
    let batch = proptest::collection::vec(one.clone(), 0..4);
    prop_oneof![3 => one, 1 => batch.prop_map(|items| format!("[{}]", items.join(",")))]
}

proptest! {
    /// Whatever is said, in whatever order: each call comes to something, and none of it is a panic.
    #[test]
    fn every_call_comes_to_something(messages in proptest::collection::vec(message(), 0..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, mut peer) = foreign::client();
            let serve = async {
                for _ in 0..3 {
                    peer.receive().await;
                }
                for message in messages {
                    peer.send(message).await;
                }
                drop(peer);
            };
            let (_, _, _, ()) = tokio::join!(
                soon("a call", client.call::<Value>("foo_x", ())),
                soon("a batch", client.batch().call("a_b", ()).call("a_c", ()).send()),
                soon("a subscription", async {
                    if let Ok(mut values) = client.subscribe::<Value>("foo", ("x",)).await {
                        while values.next().await.is_some() {}
                    }
                }),
                serve
            );
        });
    }
}
