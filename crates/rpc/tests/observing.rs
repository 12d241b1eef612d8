//! What an observer is told, over every transport, and that a bad one harms nobody.

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    http::Http,
    service, soon,
    wire::{Transport, Wire},
};
use rpc::{
    HttpConfig, Limits, Module, Observer, RefusedBy, RequestSeen, Server, ServerBuilder,
    TransportKind,
};
use tokio::sync::Notify;

/// What was seen, a line each. Clones share it.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<State>);

#[derive(Debug, Default)]
struct State {
    lines: Mutex<Vec<String>>,
    noted: Notify,
}

impl Seen {
    fn note(&self, line: String) {
        self.0.lines.lock().expect("no panic").push(line);
        self.0.noted.notify_one();
    }

    /// What was seen since the last call, without the opening and closing of connections.
    fn take(&self) -> Vec<String> {
        let mut lines = std::mem::take(&mut *self.0.lines.lock().expect("no panic"));
        lines.retain(|line| !line.starts_with("connection"));
        lines
    }

    /// Waits until this was seen.
    async fn until(&self, wanted: &str) {
        let seen = async {
            while !self.0.lines.lock().expect("no panic").iter().any(|line| line == wanted) {
                self.0.noted.notified().await;
            }
        };
        soon(wanted, seen).await;
    }
}

impl Observer for Seen {
    fn request(&self, request: &RequestSeen<'_>) {
        let RequestSeen { transport, method, outcome, took, .. } = request;
        assert!(*took < Duration::from_secs(60));
        self.note(format!("{transport} {} {}", method.unwrap_or("unknown"), outcome.label()));
    }

    fn subscription_opened(&self, transport: TransportKind) {
        self.note(format!("{transport} subscription opened"));
    }

    fn subscription_closed(&self, transport: TransportKind) {
        self.note(format!("{transport} subscription closed"));
    }

    fn connection_opened(&self, transport: TransportKind) {
        self.note(format!("connection opened: {transport}"));
    }

    fn connection_closed(&self, transport: TransportKind) {
        self.note(format!("connection closed: {transport}"));
    }

    fn refused(&self, by: RefusedBy) {
        self.note(format!("refused by {}", by.label()));
    }
}

fn observed() -> (ServerBuilder, Seen) {
    let seen = Seen::default();
    (Server::builder().observe(seen.clone()), seen)
}

fn label(transport: Transport) -> TransportKind {
    match transport {
        Transport::InProcess => TransportKind::InProcess,
        #[cfg(unix)]
        Transport::Ipc => TransportKind::Ipc,
        Transport::Http => TransportKind::Http,
        Transport::Ws => TransportKind::Ws,
    }
}

/// Sends each of these and waits for as many answers as it has.
async fn say(wire: &mut Wire, messages: &[(&str, usize)]) {
    for (message, answers) in messages {
        wire.send(&format!("{message}\n")).await;
        for _ in 0..*answers {
            soon("an answer", wire.receive()).await.expect("it is open");
        }
    }
}

#[tokio::test]
async fn every_request_is_told_with_its_method_and_its_outcome() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;

    for &transport in Transport::ALL {
        let mut wire = Wire::open(&server, transport).await;
        let requests = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1]}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_fail"}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_panic"}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}"#, 1),
            (r#"{"jsonrpc":"2.0","method":"foo_nothing"}"#, 0),
            (r#"{"jsonrpc":"2.0","id":1,"method":"evil_\"label{}"}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"evil_subscribe","params":["x"]}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_unsubscribe","params":["0x1"]}"#, 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_bar_unsubscribe","params":["0x1"]}"#, 1),
            (r#"{"id":1}"#, 1),
            ("[]", 1),
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_nothing"}"#, 1),
        ];
        say(&mut wire, &requests).await;

        let kind = label(transport);
        let expected = [
            "foo_add ok",
            "foo_add invalid_params",
            "foo_fail failed",
            "foo_panic internal",
            "rpc_modules ok",
            "foo_nothing ok",
            "unknown method_not_found",
            "unknown method_not_found",
            "foo_unsubscribe failed",
            "unknown failed",
            "unknown invalid_request",
            "unknown invalid_request",
            "foo_nothing ok",
        ];
        assert_eq!(seen.take(), expected.map(|line| format!("{kind} {line}")));
    }
    server.stop().await;
}

#[tokio::test]
async fn the_requests_of_a_batch_are_told_one_by_one() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;

    for &transport in Transport::ALL {
        let mut wire = Wire::open(&server, transport).await;
        let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]},
            {"jsonrpc":"2.0","method":"foo_nothing"}, 5,
            {"jsonrpc":"2.0","id":2,"method":"foo_none"},
            {"jsonrpc":"2.0","id":3,"method":"foo_fail"}]"#;
        say(&mut wire, &[(&batch.replace('\n', ""), 1)]).await;

        let kind = label(transport);
        let expected = [
            "foo_add ok",
            "foo_nothing ok",
            "unknown invalid_request",
            "unknown method_not_found",
            "foo_fail failed",
        ];
        assert_eq!(seen.take(), expected.map(|line| format!("{kind} {line}")));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_json_is_told_as_that() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;

    for &transport in Transport::ALL {
        let mut wire = Wire::open(&server, transport).await;
        say(&mut wire, &[("{nothing}", 1)]).await;

        assert_eq!(seen.take(), [format!("{} unknown parse_error", label(transport))]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_is_told_until_its_client_ends_it_or_leaves() {
    let (builder, seen) = observed();
    let endless = Module::new("foo").subscription("never", || async {
        rpc::Result::Ok(futures_util::stream::pending::<u64>())
    });
    let (server, _folder) = service::started(builder.module(endless)).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"foo_subscribe","params":["never"]}"#;

    for &transport in Transport::ALL.iter().filter(|transport| transport.is_two_way()) {
        let kind = label(transport);
        let mut wire = Wire::open(&server, transport).await;
        wire.send(&format!("{subscribe}\n")).await;
        let answer = soon("the id", wire.receive()).await.expect("it is open");
        let id = answer.split('"').find(|part| part.starts_with("0x")).expect("an id");
        let (begun, opened) =
            (format!("{kind} foo_subscribe ok"), format!("{kind} subscription opened"));
        assert_eq!(seen.take(), [&*begun, &*opened]);

        let end =
            format!(r#"{{"jsonrpc":"2.0","id":2,"method":"foo_unsubscribe","params":["{id}"]}}"#);
        say(&mut wire, &[(&end, 1)]).await;
        let closed = format!("{kind} subscription closed");
        let mut told = seen.take();
        told.sort();
        assert_eq!(told, [format!("{kind} foo_unsubscribe ok"), closed.clone()]);

        say(&mut wire, &[(subscribe, 1)]).await;
        assert_eq!(seen.take(), [begun, opened]);
        drop(wire);
        seen.until(&closed).await;
        seen.take();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_whose_source_ends_is_told_as_closed() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;
    let mut wire = Wire::open(&server, Transport::InProcess).await;

    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"foo_subscribe","params":["count",2]}"#;
    say(&mut wire, &[(subscribe, 3)]).await;

    seen.until("inproc subscription closed").await;
    server.stop().await;
}

#[tokio::test]
async fn connections_are_told_as_opened_and_closed_whatever_they_carry() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;

    for &transport in Transport::ALL {
        let kind = label(transport);
        let wire = Wire::open(&server, transport).await;
        seen.until(&format!("connection opened: {kind}")).await;
        drop(wire);
        seen.until(&format!("connection closed: {kind}")).await;
    }
    server.stop().await;

    let lines = seen.0.lines.lock().expect("no panic").clone();
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    // The WebSocket began as a connection over HTTP.
    assert_eq!(count("connection opened"), Transport::ALL.len() + 1);
    assert_eq!(count("connection opened"), count("connection closed"));
}

#[tokio::test]
async fn a_request_that_the_server_does_not_wait_for_is_told_as_cancelled() {
    let (builder, seen) = observed();
    let (server, _folder) = service::started(builder.module(service::foo())).await;
    let mut wire = Wire::open(&server, Transport::InProcess).await;
    // Answers come in order, so the first call runs when the second is answered.
    wire.send(r#"{"jsonrpc":"2.0","id":1,"method":"foo_sleep","params":[1]}"#).await;
    say(&mut wire, &[(r#"{"jsonrpc":"2.0","id":2,"method":"foo_nothing"}"#, 1)]).await;

    server.stop().await;

    assert_eq!(seen.take(), ["inproc foo_nothing ok", "inproc foo_sleep cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_told_as_such() {
    let (builder, seen) = observed();
    let limits = Limits { call_timeout: Some(Duration::from_secs(5)), ..Limits::default() };
    let server = builder.module(service::foo()).limits(limits).start().await.expect("it starts");
    let mut wire = Wire::open(&server, Transport::InProcess).await;

    let sleep = r#"{"jsonrpc":"2.0","id":1,"method":"foo_sleep","params":[1]}"#;
    let nothing = r#"{"jsonrpc":"2.0","id":2,"method":"foo_nothing"}"#;
    for request in [sleep.to_owned(), format!("[{sleep},{nothing}]")] {
        wire.send(&request).await;
        wire.receive().await.expect("it is open");
    }

    let expected = ["foo_sleep timeout", "foo_sleep timeout", "foo_nothing timeout"];
    assert_eq!(seen.take(), expected.map(|line| format!("inproc {line}")));
    server.stop().await;
}

#[tokio::test]
async fn what_a_limit_refuses_is_told_with_the_limit() {
    let (builder, seen) = observed();
    let limits = Limits {
        batch_items: 3,
        batch_response_bytes: 10,
        subscriptions_per_connection: 0,
        body_bytes: 1_000,
        ws_connections: 0,
        ipc_connections: 0,
        ..Limits::default()
    };
    let (server, _folder) = service::started(builder.module(service::foo()).limits(limits)).await;
    let mut wire = Wire::open(&server, Transport::InProcess).await;

    let call = r#"{"jsonrpc":"2.0","id":1,"method":"foo_echo","params":["eleven char"]}"#;
    say(&mut wire, &[(&format!("[{}]", [call; 4].join(",")), 1)]).await;
    assert_eq!(seen.take(), ["inproc unknown invalid_request", "refused by batch_items"]);

    say(&mut wire, &[(&format!("[{}]", [call; 2].join(",")), 1)]).await;
    let expected = [
        "inproc foo_echo ok",
        "refused by batch_response_bytes",
        "inproc foo_echo response_too_large",
    ];
    assert_eq!(seen.take(), expected);

    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"foo_subscribe","params":["count",1]}"#;
    say(&mut wire, &[(subscribe, 1)]).await;
    assert_eq!(seen.take(), ["refused by subscriptions", "inproc foo_subscribe failed"]);

    let mut http = Http::connect(server.http_addr().expect("it listens")).await;
    assert_eq!(http.post(&"x".repeat(1_001)).await.status, 413);
    seen.until("refused by body_bytes").await;

    let address = server.ws_addr().expect("it listens");
    let socket = tokio::net::TcpStream::connect(address).await.expect("it answers");
    let refused = tokio_tungstenite::client_async(format!("ws://{address}/"), socket).await;
    assert!(refused.is_err());
    seen.until("refused by ws_connections").await;

    #[cfg(unix)]
    {
        let path = server.ipc_path().expect("it has a socket");
        let _closed = tokio::net::UnixStream::connect(path).await.expect("it answers");
        seen.until("refused by ipc_connections").await;
    }
    server.stop().await;
}

/// Does not survive the first thing that it is told.
struct Fragile;

impl Observer for Fragile {
    fn connection_opened(&self, _: TransportKind) {
        panic!("one connection is too much");
    }

    fn request(&self, _: &RequestSeen<'_>) {
        std::process::abort();
    }
}

#[tokio::test]
async fn an_observer_that_panics_is_told_nothing_more_and_harms_nobody() {
    let (builder, before) = observed();
    let after = Seen::default();
    let builder = builder.observe(Fragile).observe(after.clone()).module(service::foo());
    let server = builder.http(HttpConfig::new("127.0.0.1:0")).start().await.expect("it starts");
    let mut wire = Wire::open(&server, Transport::InProcess).await;

    say(&mut wire, &[(r#"{"jsonrpc":"2.0","id":1,"method":"foo_nothing"}"#, 1)]).await;

    for seen in [before, after] {
        assert_eq!(seen.take(), ["inproc foo_nothing ok"]);
    }
    server.stop().await;
}
