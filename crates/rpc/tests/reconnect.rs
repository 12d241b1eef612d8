//! What becomes of calls when a connection is lost, and how often they are made.

#![cfg(unix)]

mod common;

use std::time::Duration;

use common::{
    foreign::{self, Peer, WsPeer},
    service, soon,
};
use futures_util::future::join_all;
use rpc::{Client, ClientError, Server};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener},
};

/// A socket, and a client that is connected to it.
async fn ipc() -> (UnixListener, Client, Peer<tokio::net::UnixStream>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (client, peer) = tokio::join!(Client::connect(&path), accept(&listener));
    (listener, client.expect("a client"), peer, folder)
}

async fn accept(listener: &UnixListener) -> Peer<tokio::net::UnixStream> {
    Peer::new(soon("a client", listener.accept()).await.expect("a connection").0)
}

/// A listener, and a client that is connected to it.
async fn ws() -> (TcpListener, Client, WsPeer) {
    let (listener, address) = foreign::listen().await;
    let connecting = Client::connect(format!("ws://{address}"));
    let (client, peer) = tokio::join!(connecting, WsPeer::accept(&listener));
    (listener, client.expect("a client"), peer)
}

#[tokio::test]
async fn after_a_restart_of_the_server_the_next_call_connects_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let start = || Server::builder().module(service::foo()).ipc(&path).start();
    let first = start().await.expect("it starts");
    let client = Client::connect(&path).await.expect("a client");
    assert_eq!(client.call::<i64>("foo_add", (1, 2)).await.expect("a sum"), 3);

    first.stop().await;
    let error = client.call::<i64>("foo_add", (1, 2)).await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");

    let second = start().await.expect("it starts again");
    assert_eq!(client.call::<i64>("foo_add", (3, 4)).await.expect("a sum"), 7);
    second.stop().await;
}

#[tokio::test]
async fn a_call_that_was_sent_is_never_made_twice() {
    let (listener, client, mut peer, _folder) = ipc().await;
    let serve = async {
        let call = peer.receive().await;
        drop(peer);
        call
    };
    let (outcome, call) = tokio::join!(client.call::<Value>("foo_pay", (1,)), serve);

    assert_eq!(call["method"], json!("foo_pay"));
    let error = outcome.expect_err("it may have run");
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");

    // The next is the first that the next connection carries.
    let serve = async { accept(&listener).await.answer(json!("next")).await };
    let (outcome, call) = tokio::join!(client.call::<String>("foo_next", ()), serve);
    assert_eq!(call["method"], json!("foo_next"));
    assert_eq!(outcome.expect("an answer"), "next");
}

#[tokio::test]
async fn a_call_that_was_sent_over_a_websocket_is_never_made_twice() {
    let (listener, client, mut peer) = ws().await;
    let serve = async {
        let call = peer.receive().await;
        drop(peer);
        call
    };
    let (outcome, call) = tokio::join!(client.call::<Value>("foo_pay", (1,)), serve);

    assert_eq!(call["method"], json!("foo_pay"));
    let error = outcome.expect_err("it may have run");
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");

    let serve = async { WsPeer::accept(&listener).await.answer(json!("next")).await };
    let (outcome, call) = tokio::join!(client.call::<String>("foo_next", ()), serve);
    assert_eq!(call["method"], json!("foo_next"));
    assert_eq!(outcome.expect("an answer"), "next");
}

/// The client's task has not run since the server left, so nobody knows yet.
#[tokio::test]
async fn a_call_on_a_connection_that_turns_out_to_be_dead_is_made_on_a_new_one() {
    let (listener, client, peer, _folder) = ipc().await;
    drop(peer);

    let serve = async { accept(&listener).await.answer(json!(5)).await };
    let (outcome, call) = tokio::join!(client.call::<u64>("foo_x", ()), serve);

    assert_eq!(outcome.expect("an answer"), 5);
    assert_eq!(call["id"], json!(1), "the first of its connection");
}

#[tokio::test]
async fn after_a_websocket_was_lost_the_next_call_opens_another() {
    let (listener, client, mut peer) = ws().await;
    let (values, _) =
        tokio::join!(client.subscribe::<u64>("foo", ("x",)), peer.answer(json!("0x1")));
    drop(peer);
    let lost = soon("the end", values.expect("an id").next()).await.expect("a reason");
    assert!(matches!(lost, Err(ClientError::Closed { .. })), "{lost:?}");

    let serve = async { WsPeer::accept(&listener).await.answer(json!(5)).await };
    let (outcome, call) = tokio::join!(client.call::<u64>("foo_x", ()), serve);

    assert_eq!(outcome.expect("an answer"), 5);
    assert_eq!(call["id"], json!(1), "the first of its connection");
}

#[tokio::test]
async fn a_batch_and_a_subscription_on_a_dead_connection_are_made_on_a_new_one() {
    let (listener, client, peer, _folder) = ipc().await;
    drop(peer);
    let serve = async {
        let mut peer = accept(&listener).await;
        let calls = peer.receive().await;
        let calls = calls.as_array().expect("a batch").iter();
        peer.send(calls.map(|call| foreign::answer(call, &call["id"])).collect::<Value>()).await;
    };
    let batch = client.batch().call("a_b", ()).call("a_c", ());
    let (answers, ()) = tokio::join!(batch.send(), serve);
    let answers = answers.expect("a connection");
    let texts: Vec<_> = answers.iter().map(|answer| answer.as_ref().expect("one").get()).collect();
    assert_eq!(texts, ["1", "2"]);

    // That server has left, too.
    let serve = async {
        let mut peer = accept(&listener).await;
        peer.subscribe(json!("0x1")).await;
        peer.send(foreign::value("0x1", 7)).await;
        peer
    };
    let (values, _peer) = tokio::join!(client.subscribe::<u64>("foo", ("x",)), serve);
    let value = soon("a value", values.expect("an id").next()).await;
    assert_eq!(value.expect("one").expect("a number"), 7);
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection() {
    let (_listener, client, mut peer, _folder) = ipc().await;
    let (values, ()) =
        tokio::join!(client.subscribe::<u64>("foo", ("x",)), peer.subscribe(json!("0x1")));
    let mut values = values.expect("an id");

    peer.send(foreign::value("0x1", 7)).await;
    drop(peer);

    let first = soon("a value", values.next()).await.expect("a value").expect("a number");
    assert_eq!(first, 7, "what came is still read");
    let last = soon("the end", values.next()).await.expect("a reason").expect_err("the end");
    assert!(matches!(last, ClientError::Closed { .. }), "{last}");
    assert!(values.next().await.is_none());
}

#[tokio::test]
async fn a_client_that_was_closed_connects_again() {
    let (listener, client, mut peer, _folder) = ipc().await;
    client.close().await;
    assert_eq!(peer.next().await, None);

    let serve = async { accept(&listener).await.answer(json!(1)).await };
    let (outcome, _) = tokio::join!(client.call::<u64>("foo_x", ()), serve);

    assert_eq!(outcome.expect("an answer"), 1);
}

#[tokio::test]
async fn calls_that_come_while_there_is_no_connection_share_the_next() {
    let (listener, client, peer, _folder) = ipc().await;
    drop(peer);
    client.close().await;

    let serve = async {
        let mut peer = accept(&listener).await;
        for _ in 0..100 {
            peer.answer(json!(1)).await;
        }
    };
    let calls = join_all((0..100).map(|_| client.call::<u64>("foo_x", ())));
    let (outcomes, ()) = tokio::join!(calls, serve);

    assert!(outcomes.iter().all(Result::is_ok));
}

/// With paused time the clock shows how long they would have waited.
#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_connection_fail_with_it_and_not_one_after_the_other() {
    let (listener, client, peer) = ws().await;
    drop(peer);
    client.close().await;
    let began = tokio::time::Instant::now();

    // It takes connections and says nothing.
    let calls = join_all((0..100).map(|_| client.call::<Value>("foo_x", ())));
    let outcomes = calls.await;

    for outcome in outcomes {
        let error = outcome.expect_err("nobody answers").to_string();
        assert!(error.ends_with("timed out"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    drop(listener);
}

#[tokio::test]
async fn a_stream_that_has_ended_comes_not_again() {
    let (client, peer) = foreign::client();
    drop(peer);

    let error = client.call::<Value>("foo_x", ()).await.expect_err("it has ended");

    assert_eq!(error.to_string(), "cannot connect to a stream: the stream has ended");
}

#[tokio::test]
async fn a_server_in_this_process_that_has_stopped_says_so() {
    let server = Server::builder().module(service::foo()).start().await.expect("it starts");
    let client = server.attach();
    assert_eq!(client.call::<i64>("foo_add", (1, 2)).await.expect("a sum"), 3);

    server.stop().await;

    let error = client.call::<i64>("foo_add", (1, 2)).await.expect_err("stopped");
    assert_eq!(error.to_string(), "cannot connect to this process: the server has stopped");
}

// ---- HTTP -----------------------------------------------------------------------------------------

/// Reads one request whose body is a JSON object.
async fn request(socket: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let read = soon("a request", socket.read_buf(&mut request)).await.expect("it is open");
        assert!(read > 0, "the client left");
    }
}

async fn respond(socket: &mut TcpStream, id: u64) {
    let body = json!({"jsonrpc": "2.0", "id": id, "result": id}).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(format!("{head}{body}").as_bytes()).await.expect("it is open");
}

#[tokio::test]
async fn a_connection_that_a_server_closed_meanwhile_costs_no_call() {
    let (listener, address) = foreign::listen().await;
    let client = Client::connect(format!("http://{address}")).await.expect("a client");
    for id in [1, 2, 3] {
        let serve = async {
            let (mut socket, _) = listener.accept().await.expect("a client");
            request(&mut socket).await;
            respond(&mut socket, id).await;
            // Kept alive, it said, and leaves.
        };
        let (outcome, ()) = tokio::join!(client.call::<u64>("foo_x", ()), serve);
        assert_eq!(outcome.expect("an answer"), id);
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_made_twice() {
    let (listener, address) = foreign::listen().await;
    let client = Client::connect(format!("http://{address}")).await.expect("a client");
    let serve = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        request(&mut socket).await;
        respond(&mut socket, 1).await;
        request(&mut socket).await;
    };
    let ask = async {
        client.call::<u64>("foo_x", ()).await.expect("an answer");
        client.call::<u64>("foo_pay", ()).await
    };
    let (outcome, ()) = tokio::join!(ask, serve);

    let error = outcome.expect_err("it may have run");
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
    // Nothing else has come.
    assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none());
}
