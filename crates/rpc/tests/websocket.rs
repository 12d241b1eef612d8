//! WebSocket over the wire: who gets in, what crosses, and what becomes of more (R-01, R-04, R-05).

mod common;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    http::{Answer, Http},
    soon,
};
use futures_util::{SinkExt as _, StreamExt as _, future::join_all, stream};
use rpc::{
    Context, Hosts, HttpConfig, Limits, MethodFilter, Module, Modules, Origins, PathPrefix, Server,
    ServerBuilder, StartError, WsConfig,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, broadcast},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::frame::coding::CloseCode},
};

type Ws = WebSocketStream<TcpStream>;

const ADD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#;
const THREE: &str = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;

/// What asks for an upgrade, beside the line and the host.
const UPGRADE: [&str; 4] = [
    "connection: keep-alive, Upgrade",
    "upgrade: WebSocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn foo() -> Module {
    Module::new("foo")
        .method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) })
        .method("length", |text: String| async move { rpc::Result::Ok(text.len()) })
        .method("whoami", |context: Context| async move {
            rpc::Result::Ok(context.caller().to_string())
        })
        .subscription("count", |n: u64| async move { rpc::Result::Ok(stream::iter(0..n)) })
        .subscription("never", || async { rpc::Result::Ok(stream::pending::<u64>()) })
}

fn config() -> WsConfig {
    WsConfig::new("127.0.0.1:0").modules(Modules::all())
}

async fn start(builder: ServerBuilder) -> (Server, SocketAddr) {
    let server = builder.start().await.expect("it starts");
    let address = server.ws_addr().expect("it listens");
    (server, address)
}

async fn serve() -> (Server, SocketAddr) {
    start(Server::builder().module(foo()).ws(config())).await
}

async fn connect(address: SocketAddr) -> Ws {
    let socket = TcpStream::connect(address).await.expect("it listens");
    let upgraded = tokio_tungstenite::client_async(format!("ws://{address}/"), socket).await;
    upgraded.expect("an upgrade").0
}

async fn send(ws: &mut Ws, text: impl Into<Utf8Bytes>) {
    ws.send(Message::text(text)).await.expect("the connection is open");
}

async fn receive(ws: &mut Ws) -> Value {
    loop {
        match soon("a message", ws.next()).await.expect("open").expect("open") {
            Message::Text(text) => break serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) => {}
            other => panic!("no text: {other:?}"),
        }
    }
}

/// Asks for an upgrade, with `headers` beside those it takes.
async fn upgrade(address: SocketAddr, line: &str, headers: &[&str]) -> Answer {
    let headers = [&UPGRADE[..], headers].concat();
    soon("an answer", Http::connect(address).await.request(line, &headers, "")).await
}

#[tokio::test]
async fn an_upgrade_is_accepted_with_the_hash_of_its_key_and_nothing_more() {
    let (server, address) = serve().await;

    let offers =
        ["sec-websocket-protocol: pss, chat", "sec-websocket-extensions: permessage-deflate"];
    let answer = upgrade(address, "GET /", &offers).await;

    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("sec-websocket-protocol"), None);
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_proper_upgrade_is_refused() {
    let (server, address) = serve().await;
    let [connection, to, version, key] = UPGRADE;

    for (line, headers, status) in [
        ("POST /", &[connection, to, version, key][..], 400),
        ("GET /", &[connection, to, version], 400),
        ("GET /", &[connection, to, version, "sec-websocket-key: short"], 400),
        ("GET /", &[connection, to, key], 426),
        ("GET /", &[connection, to, "sec-websocket-version: 8", key], 426),
        ("GET /ws", &[connection, to, version, key], 404),
        // There is nothing else on a port of its own.
        ("GET /", &[to, version, key], 404),
        ("POST /", &["content-type: application/json"], 404),
    ] {
        let mut http = Http::connect(address).await;
        let answer = soon("an answer", http.request(line, headers, "")).await;

        assert_eq!(answer.status, status, "{line} {headers:?}");
        assert_eq!(answer.header("sec-websocket-version"), (status == 426).then_some("13"));
    }
    server.stop().await;
}

/// R-01, T-25: every `Host` with every `Origin`.
#[tokio::test]
async fn a_host_and_an_origin_must_both_be_allowed() {
    let config = config()
        .hosts(Hosts::new(["localhost", "node.example"]).expect("hosts"))
        .origins(Origins::new(["http://localhost", "https://app.example"]).expect("origins"));
    let (server, address) = start(Server::builder().module(foo()).ws(config)).await;

    let hosts = [
        (Some("localhost"), true),
        (Some("127.0.0.1:8546"), true),
        (Some("[::1]"), true),
        (Some("Node.Example"), true),
        (Some("evil.example"), false),
        (None, true),
    ];
    let origins = [
        (None, true),
        (Some("null"), false),
        (Some("https://app.example"), true),
        (Some("http://localhost:3000"), true),
        (Some("http://evil.example"), false),
    ];
    for (host, host_passes) in hosts {
        for (origin, origin_passes) in origins {
            let host_header = host.map(|host| format!("host: {host}"));
            let origin_header = origin.map(|origin| format!("origin: {origin}"));
            let headers: Vec<_> =
                host_header.iter().chain(&origin_header).map(String::as_str).collect();

            let answer = upgrade(address, "GET /", &headers).await;

            let expected = match (host_passes, origin_passes) {
                (false, _) => (403, "invalid host specified"),
                (true, false) => (403, "origin not allowed"),
                (true, true) => (101, ""),
            };
            assert_eq!((answer.status, answer.body.as_str()), expected, "{host:?} {origin:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn one_port_serves_both_if_it_is_asked_to() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let same = free.local_addr().expect("an address").to_string();
    drop(free);
    let http = |address: &str| HttpConfig::new(address).modules(Modules::all());

    for (address, ws) in
        [("127.0.0.1:0", WsConfig::with_http()), (same.as_str(), WsConfig::new(&same))]
    {
        let ws = ws.modules(Modules::only(["foo"]));
        let builder = Server::builder().module(foo()).http(http(address)).ws(ws);
        let (server, address) = start(builder).await;
        assert_eq!(server.http_addr(), Some(address));

        let mut ws = connect(address).await;
        send(&mut ws, ADD).await;
        assert_eq!(receive(&mut ws).await["result"], json!(3));
        assert_eq!(Http::connect(address).await.post(ADD).await.body, THREE);
        server.stop().await;
    }
    let two = Server::builder().http(http("127.0.0.1:0")).ws(config());
    let (server, address) = start(two).await;
    assert_ne!(server.http_addr(), Some(address));
    // Where there are no WebSockets, asking for one is a GET of nothing.
    let http_address = server.http_addr().expect("it listens");
    assert_eq!(upgrade(http_address, "GET /", &[]).await.status, 200);
    server.stop().await;

    let error = Server::builder().ws(WsConfig::with_http()).start().await.expect_err("no http");
    assert!(matches!(error, StartError::NoHttp), "{error}");
}

#[tokio::test]
async fn on_a_shared_port_each_has_its_own_path_modules_and_methods() {
    let bar = Module::new("bar").method("one", || async { rpc::Result::Ok(1) });
    let http = HttpConfig::new("127.0.0.1:0")
        .modules(Modules::only(["bar"]))
        .hosts(Hosts::new(["node.example"]).expect("hosts"))
        .path(PathPrefix::new("/http").expect("a prefix"));
    let ws = WsConfig::with_http()
        .modules(Modules::only(["foo"]))
        .methods(MethodFilter::new([""], ["foo_whoami"]).expect("a filter"))
        .path(PathPrefix::new("/ws").expect("a prefix"));
    let builder = Server::builder().modules([foo(), bar]).http(http).ws(ws);
    let (server, address) = start(builder).await;

    // Hosts are those of HTTP unless it says otherwise.
    assert_eq!(upgrade(address, "GET /ws", &["host: node.example"]).await.status, 101);
    assert_eq!(upgrade(address, "GET /ws", &["host: localhost"]).await.status, 403);
    assert_eq!(upgrade(address, "GET /http", &[]).await.status, 404);
    let socket = TcpStream::connect(address).await.expect("it listens");
    let url = format!("ws://{address}/ws/v1?x=y");
    let mut ws = tokio_tungstenite::client_async(url, socket).await.expect("an upgrade").0;
    for (method, exists) in [("foo_add", true), ("foo_whoami", false), ("bar_one", false)] {
        send(&mut ws, format!(r#"{{"id":1,"method":"{method}"}}"#)).await;
        assert_eq!(receive(&mut ws).await["error"]["code"] != json!(-32_601), exists, "{method}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_handler_knows_who_calls() {
    let (server, address) = serve().await;
    let mut ws = connect(address).await;
    let local = ws.get_ref().local_addr().expect("an address");

    send(&mut ws, r#"{"id":1,"method":"foo_whoami"}"#).await;

    assert_eq!(receive(&mut ws).await["result"], json!(format!("ws {local}")));
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_speaks_behind_its_id_and_ends_with_its_connection() {
    let (server, address) = serve().await;
    let mut ws = connect(address).await;

    send(&mut ws, r#"{"id":1,"method":"foo_subscribe","params":["count",3]}"#).await;
    let id = receive(&mut ws).await["result"].clone();
    for n in 0..3 {
        let params = json!({"subscription":id,"result":n});
        let expected = json!({"jsonrpc":"2.0","method":"foo_subscription","params":params});
        assert_eq!(receive(&mut ws).await, expected);
    }
    send(&mut ws, format!(r#"{{"id":2,"method":"foo_unsubscribe","params":[{id}]}}"#)).await;
    assert_eq!(receive(&mut ws).await["result"], json!(true));
    server.stop().await;
}

/// R-05, T-23: the limiter is the server's, so places of those who left are free again.
#[tokio::test]
async fn a_1025th_subscription_of_a_connection_is_refused() {
    let limits = Limits { subscriptions: 1_500, ..Limits::default() };
    let (server, address) =
        start(Server::builder().module(foo()).limits(limits).ws(config())).await;

    for _ in 0..3 {
        let mut ws = connect(address).await;
        for n in 0..1_025 {
            let subscribe = r#""method":"foo_subscribe","params":["never"]"#;
            ws.feed(Message::text(format!(r#"{{"id":{n},{subscribe}}}"#))).await.expect("open");
        }
        ws.flush().await.expect("open");
        for _ in 0..1_024 {
            assert!(receive(&mut ws).await["result"].is_string());
        }
        assert_eq!(receive(&mut ws).await["error"]["message"], json!("too many subscriptions"));
        ws.close(None).await.expect("open");
        while ws.next().await.is_some() {}
    }
    server.stop().await;
}

/// R-05, T-23.
#[tokio::test]
async fn a_33rd_call_in_flight_waits_and_is_answered() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entered, left) = (Arc::clone(&gate), Arc::clone(&running));
    let wait = move |n: u64| {
        let (gate, running) = (Arc::clone(&entered), Arc::clone(&left));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.expect("never closed").forget();
            rpc::Result::Ok(n)
        }
    };
    let builder = Server::builder().module(foo().method("wait", wait)).ws(config());
    let (server, address) = start(builder).await;
    let mut ws = connect(address).await;

    for n in 0..33 {
        send(&mut ws, format!(r#"{{"id":{n},"method":"foo_wait","params":[{n}]}}"#)).await;
    }
    let all_that_may_run = async {
        while running.load(Ordering::SeqCst) < 32 {
            tokio::task::yield_now().await;
        }
    };
    soon("32 calls", all_that_may_run).await;
    // The 33rd has been read when this is seen.
    ws.send(Message::Ping("seen".into())).await.expect("open");
    while !matches!(soon("a pong", ws.next()).await, Some(Ok(Message::Pong(_)))) {}
    assert_eq!(running.load(Ordering::SeqCst), 32);
    gate.add_permits(33);

    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..33 {
        seen.insert(receive(&mut ws).await["result"].as_u64().expect("a number"));
    }
    assert_eq!(seen.len(), 33);
    server.stop().await;
}

const LIMIT: usize = 32 * 1024 * 1024;

/// A call with a text so long that the whole has `length` bytes.
fn call_of(length: usize) -> String {
    let (start, end) = (r#"{"jsonrpc":"2.0","id":1,"method":"foo_length","params":[""#, r#""]}"#);
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
}

/// R-04, T-23.
#[tokio::test]
async fn a_message_of_32_mib_is_served_and_a_byte_more_closes_with_1009() {
    let (server, address) = serve().await;
    let mut ws = connect(address).await;

    send(&mut ws, call_of(LIMIT)).await;
    assert!(receive(&mut ws).await["result"].is_u64());
    // The server may have hung up in the middle of it.
    let _ = ws.send(Message::text(call_of(LIMIT + 1))).await;
    let closed = loop {
        match soon("the end", ws.next()).await {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| frame.code),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => panic!("closed without a word"),
        }
    };

    assert_eq!(closed, Some(CloseCode::Size));
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn arrays_may_be_128_deep_and_a_batch_have_1000_items() {
    let (server, address) = serve().await;
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        format!(r#"{{"id":1,"method":"foo_nope","params":[{open}{close}]}}"#)
    };
    let batch = |items: usize| format!("[{}]", vec![ADD; items].join(","));
    let mut ws = connect(address).await;

    send(&mut ws, nested(128)).await;
    assert_eq!(receive(&mut ws).await["error"]["code"], json!(-32_601));
    send(&mut ws, batch(1_000)).await;
    assert_eq!(receive(&mut ws).await.as_array().map(Vec::len), Some(1_000));
    send(&mut ws, batch(1_001)).await;
    assert_eq!(receive(&mut ws).await[0]["error"]["message"], json!("batch too large"));
    send(&mut ws, nested(129)).await;
    assert_eq!(receive(&mut ws).await["error"]["code"], json!(-32_700));
    while soon("the end", ws.next()).await.is_some() {}
    server.stop().await;
}

/// R-05.
#[tokio::test]
async fn a_129th_socket_is_refused_with_503_until_one_goes() {
    let (server, address) = serve().await;
    let mut sockets = join_all((0..128).map(|_| connect(address))).await;

    let answer = upgrade(address, "GET /", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "too many websockets"));
    sockets.pop().expect("one of them").close(None).await.expect("open");
    let there_is_room = async { while upgrade(address, "GET /", &[]).await.status != 101 {} };
    soon("a place", there_is_room).await;
    server.stop().await;
}

#[tokio::test]
async fn websockets_take_no_places_of_http() {
    let limits = Limits { http_connections: 1, ..Limits::default() };
    let http = HttpConfig::new("127.0.0.1:0").modules(Modules::all());
    let ws = WsConfig::with_http().modules(Modules::all());
    let builder = Server::builder().module(foo()).limits(limits).http(http).ws(ws);
    let (server, address) = start(builder).await;

    let mut sockets = join_all((0..5).map(|_| connect(address))).await;
    assert_eq!(Http::connect(address).await.post(ADD).await.body, THREE);
    for ws in &mut sockets {
        send(ws, ADD).await;
        assert_eq!(receive(ws).await["result"], json!(3));
    }
    server.stop().await;
}

/// T-24 in short, R-05: half of the subscribers never read. The others get everything, and those who
/// are stuck are hung up on.
#[tokio::test]
async fn subscribers_that_do_not_read_hold_up_nobody_and_are_closed() {
    let (events, _) = broadcast::channel::<String>(64);
    let source = events.clone();
    let module = Module::new("foo").subscription("events", move || {
        let receiver = source.subscribe();
        async move {
            rpc::Result::Ok(stream::unfold(receiver, |mut receiver| async move {
                let event = match receiver.recv().await {
                    Ok(event) => event,
                    Err(broadcast::error::RecvError::Lagged(missed)) => format!("lagged {missed}"),
                    Err(broadcast::error::RecvError::Closed) => return None,
                };
                Some((event, receiver))
            }))
        }
    });
    let (server, address) = start(Server::builder().module(module).ws(config())).await;
    let subscribed = || async {
        let mut ws = connect(address).await;
        send(&mut ws, r#"{"id":1,"method":"foo_subscribe","params":["events"]}"#).await;
        assert!(receive(&mut ws).await["result"].is_string());
        ws
    };
    let stuck = join_all((0..20).map(|_| subscribed())).await;
    let readers = join_all((0..20).map(|_| subscribed())).await;
    assert_eq!(events.receiver_count(), 40);

    // More than a socket's buffers hold, then one by one until who is stuck is gone.
    let filler = "x".repeat(100_000);
    let tell = async {
        for n in 0..200 {
            events.send(format!("{n} {filler}")).expect("somebody listens");
            tokio::task::yield_now().await;
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while events.receiver_count() > 20 {
            ticks.tick().await;
            events.send("tick".to_owned()).expect("somebody listens");
        }
        events.send("end".to_owned()).expect("somebody listens");
    };
    let read = readers.into_iter().map(|mut ws| async move {
        let (mut last, mut missed) = (None, 0);
        loop {
            let event = receive(&mut ws).await;
            let event = event["params"]["result"].as_str().expect("a text");
            match event.split(' ').collect::<Vec<_>>()[..] {
                ["end"] => break,
                ["lagged", n] => missed += n.parse::<u64>().expect("a number"),
                ["tick"] => {}
                [n, _] => last = Some(n.parse::<u64>().expect("a number")),
                _ => panic!("{event}"),
            }
        }
        (last, missed)
    });
    let (readers, ()) = tokio::join!(join_all(read), tell);

    for (last, missed) in readers {
        assert!(last == Some(199) || missed > 0, "all, or a mark: {last:?} {missed}");
    }
    drop(stuck);
    server.stop().await;
}

#[tokio::test]
async fn connections_may_be_many_and_short() {
    let (server, address) = serve().await;

    stream::iter(0..300)
        .for_each_concurrent(20, |n| async move {
            let mut ws = connect(address).await;
            send(&mut ws, ADD).await;
            match n % 3 {
                // Some leave before they were answered.
                0 => {}
                1 => {
                    receive(&mut ws).await;
                }
                _ => {
                    receive(&mut ws).await;
                    ws.close(None).await.expect("open");
                }
            }
        })
        .await;
    let mut ws = connect(address).await;
    send(&mut ws, ADD).await;
    assert_eq!(receive(&mut ws).await["result"], json!(3));
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_leaves_nothing() {
    let http = HttpConfig::new("127.0.0.1:0");
    let builder = Server::builder().module(foo()).http(http);
    let (server, address) = start(builder.ws(WsConfig::with_http().modules(Modules::all()))).await;
    let mut sockets = join_all((0..10).map(|_| connect(address))).await;
    for ws in &mut sockets {
        send(ws, r#"{"id":1,"method":"foo_subscribe","params":["never"]}"#).await;
        receive(ws).await;
    }

    let goodbyes = sockets.iter_mut().map(|ws| async {
        let Some(Ok(Message::Close(Some(frame)))) = ws.next().await else {
            panic!("closed without a word")
        };
        assert_eq!(frame.code, CloseCode::Away);
        while ws.next().await.is_some() {}
    });
    let stop = tokio::time::timeout(Duration::from_millis(2_500), server.stop());
    let (stopped, _) = soon("the end", async { tokio::join!(stop, join_all(goodbyes)) }).await;

    stopped.expect("in time");
    TcpListener::bind(address).await.expect("the port is free");
}

/// A client that others wrote.
#[tokio::test]
async fn the_websocket_client_of_jsonrpsee_is_served() {
    use jsonrpsee::core::client::{ClientT as _, Error, Subscription, SubscriptionClientT as _};

    let (server, address) = serve().await;
    let client = jsonrpsee_ws_client::WsClientBuilder::default();
    let client = client.build(format!("ws://{address}")).await.expect("a connection");

    let sum: i64 = client.request("foo_add", (1, 2)).await.expect("an answer");
    assert_eq!(sum, 3);
    let error = client.request::<Value, _>("foo_nope", [0; 0]).await.expect_err("no method");
    assert!(matches!(error, Error::Call(error) if error.code() == -32_601));
    let calls = (0..200).map(|n: i64| client.request::<i64, _>("foo_add", (n, n)));
    for (n, sum) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(sum.expect("an answer"), 2 * i64::try_from(n).expect("small"));
    }
    let mut counted: Subscription<u64> = client
        .subscribe("foo_subscribe", ("count", 5), "foo_unsubscribe")
        .await
        .expect("a subscription");
    for n in 0..5 {
        let value = soon("a value", counted.next()).await;
        assert_eq!(value.expect("not the end").expect("a number"), n);
    }
    counted.unsubscribe().await.expect("it ends");
    server.stop().await;
}
