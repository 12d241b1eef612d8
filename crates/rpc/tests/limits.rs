//! What one caller may ask for, and what becomes of more (R-04, R-05, R-06, R-07, R-08, R-12).

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{expect_silence, soon, wire::Wire};
use futures_util::{StreamExt as _, stream};
use rpc::{Context, Limits, MethodFilter, Module, Notifier, Server, ServerBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
};

async fn start(module: Module, limits: Limits) -> Server {
    let builder = Server::builder().module(module).limits(limits);
    builder.start().await.expect("it starts")
}

fn open(server: &Server) -> Wire {
    let (theirs, ours) = tokio::io::duplex(64 * 1024);
    server.serve_stream(theirs);
    Wire::stream(ours)
}

async fn receive(wire: &mut Wire) -> Value {
    let text = soon("a message", wire.receive()).await.expect("the connection is open");
    serde_json::from_str(&text).expect("JSON")
}

/// `foo_wait` lasts until the semaphore has a permit for it; the counter has those that run.
fn waiting(gate: &Arc<Semaphore>, running: &Arc<AtomicUsize>) -> Module {
    let (gate, running) = (Arc::clone(gate), Arc::clone(running));
    let wait = move |n: u64| {
        let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.expect("never closed").forget();
            running.fetch_sub(1, Ordering::SeqCst);
            rpc::Result::Ok(n)
        }
    };
    let back = |context: Context| async move { context.call::<Value>("back", ()).await };
    Module::new("foo").method("wait", wait).method("back", back)
}

/// R-05, T-23.
#[tokio::test]
async fn a_33rd_call_in_flight_waits_and_is_answered() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = start(waiting(&gate, &running), Limits::default()).await;
    let mut wire = open(&server);

    for n in 0..33 {
        wire.send(&format!(r#"{{"id":{n},"method":"foo_wait","params":[{n}]}}"#)).await;
    }
    // Another connection is not held up, and by its answer the first has been read.
    expect_silence(&mut open(&server)).await;
    while running.load(Ordering::SeqCst) < 32 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.load(Ordering::SeqCst), 32);
    gate.add_permits(33);

    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..33 {
        seen.insert(receive(&mut wire).await["result"].as_u64().expect("a number"));
    }
    assert_eq!(seen.len(), 33);
    server.stop().await;
}

/// R-05: what waits does not keep answers to our own calls from being seen.
#[tokio::test]
async fn answers_to_calls_of_ours_are_seen_while_all_places_are_taken() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = start(waiting(&gate, &running), Limits::default()).await;
    let mut wire = open(&server);

    wire.send(r#"{"id":"back","method":"foo_back"}"#).await;
    for n in 0..40 {
        wire.send(&format!(r#"{{"id":{n},"method":"foo_wait","params":[{n}]}}"#)).await;
    }
    let asked = receive(&mut wire).await;
    assert_eq!(asked["method"], json!("back"));
    // In a batch, and behind calls that wait.
    wire.send(&format!(r#"[{{"jsonrpc":"2.0","id":{},"result":"here"}}]"#, asked["id"])).await;

    assert_eq!(receive(&mut wire).await, json!({"jsonrpc":"2.0","id":"back","result":"here"}));
    server.stop().await;
}

/// R-05: beyond the bytes that may wait, the connection is not read.
#[tokio::test]
async fn a_connection_is_not_read_while_too_much_of_it_waits() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let limits = Limits { in_flight: 1, message_bytes: 64 * 1024, ..Limits::default() };
    let server = start(waiting(&gate, &running), limits).await;
    let (theirs, mut ours) = tokio::io::duplex(4 * 1024);
    server.serve_stream(theirs);
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"foo_wait","params":[1]}"#;

    let mut written = 0;
    let flood = async {
        loop {
            ours.write_all(call).await.expect("the connection is open");
            written += call.len();
        }
    };
    // A full pipe, and nobody who empties it: nothing can change any more.
    let stalled = async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = flood => {}
        () = stalled => {}
    }

    assert!(written < 256 * 1024, "{written} bytes were taken");
    gate.add_permits(10_000);
    let mut answers = vec![0; 1024];
    soon("an answer", ours.read(&mut answers)).await.expect("open");
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn a_batch_of_1001_is_refused_with_the_id_of_its_first_call() {
    let server = start(common::service::foo(), Limits::default()).await;
    let mut wire = open(&server);
    let batch = |count: usize| {
        let call = r#"{"jsonrpc":"2.0","id":7,"method":"foo_add","params":[1,2]}"#;
        format!("[{}]", vec![call; count].join(","))
    };

    wire.send(&batch(1_001)).await;
    let refused =
        json!([{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"batch too large"}}]);
    assert_eq!(receive(&mut wire).await, refused);

    wire.send(&batch(1_000)).await;
    let answers = receive(&mut wire).await;
    assert_eq!(answers.as_array().map(Vec::len), Some(1_000));
    server.stop().await;
}

/// R-04.
#[tokio::test]
async fn calls_left_in_a_batch_whose_answers_grew_too_large_are_told_so() {
    let limits = Limits { batch_response_bytes: 10, ..Limits::default() };
    let server = start(common::service::foo(), limits).await;
    let mut wire = open(&server);

    wire.send(
        r#"[{"id":1,"method":"foo_echo","params":["12345"]},{"id":2,"method":"foo_echo","params":["123456"]},
            {"id":3,"method":"foo_echo","params":["1"]},{"method":"foo_echo","params":["1"]},
            {"id":4,"method":"foo_nope"}]"#,
    )
    .await;

    let too_large = |id| json!({"jsonrpc":"2.0","id":id,"error":{"code":-32003,"message":"response too large"}});
    let expected = json!([
        {"jsonrpc":"2.0","id":1,"result":"12345"},
        {"jsonrpc":"2.0","id":2,"result":"123456"},
        too_large(3),
        too_large(4),
    ]);
    assert_eq!(receive(&mut wire).await, expected);
    server.stop().await;
}

/// R-04: names are looked at for their length before anything else.
#[tokio::test]
async fn a_method_name_over_2048_bytes_is_refused_by_its_length() {
    let server = start(common::service::foo(), Limits::default()).await;
    let mut wire = open(&server);
    let (long, longer) = ("x".repeat(2_048), "x".repeat(2_049));

    for (request, text) in [
        (
            json!({"id":1,"method":long}),
            format!("the method {long} does not exist/is not available"),
        ),
        (json!({"id":1,"method":longer}), "method name too long: 2049 > 2048".to_owned()),
        (
            json!({"id":1,"method":"foo_subscribe","params":[longer]}),
            "method name too long: 2049 > 2048".to_owned(),
        ),
        (
            json!({"id":1,"method":format!("{longer}_subscribe"),"params":["x"]}),
            "method name too long: 2059 > 2048".to_owned(),
        ),
        (
            json!({"id":1,"method":format!("{longer}_unsubscribe"),"params":["x"]}),
            "method name too long: 2061 > 2048".to_owned(),
        ),
    ] {
        wire.send(&request.to_string()).await;
        assert_eq!(receive(&mut wire).await["error"]["message"], json!(text));
    }
    server.stop().await;
}

/// R-04, T-23: over the limit the connection ends, whether or not the value would.
#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_connection_closed() {
    let limits = Limits { message_bytes: 1_000, ..Limits::default() };
    let server = start(common::service::foo(), limits).await;
    let call = |length: usize| {
        let empty = r#"{"id":1,"method":"foo_echo","params":[""]}"#.len();
        format!(r#"{{"id":1,"method":"foo_echo","params":["{}"]}}"#, "x".repeat(length - empty))
    };

    let mut wire = open(&server);
    wire.send(&call(1_000)).await;
    assert!(receive(&mut wire).await["result"].is_string());
    wire.send(&call(1_001)).await;
    let refused = receive(&mut wire).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &json!(-32_700)));
    assert_eq!(soon("the end", wire.receive()).await, None);

    let mut wire = open(&server);
    wire.send(&format!("\"{}", "x".repeat(1_001))).await;
    assert_eq!(receive(&mut wire).await["error"]["code"], json!(-32_700));
    assert_eq!(soon("the end", wire.receive()).await, None);
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn arrays_within_each_other_may_be_128_deep() {
    let server = start(common::service::foo(), Limits::default()).await;
    let nested = |depth: usize| {
        // The object of the call is the first level.
        let arrays = depth - 1;
        let params = format!("{}{}", "[".repeat(arrays), "]".repeat(arrays));
        format!(r#"{{"id":1,"method":"foo_nothing","params":{params}}}"#)
    };

    let mut wire = open(&server);
    wire.send(&nested(128)).await;
    assert_eq!(receive(&mut wire).await["error"]["code"], json!(-32_602));
    wire.send(&nested(129)).await;
    assert_eq!(receive(&mut wire).await["error"]["code"], json!(-32_700));
    assert_eq!(soon("the end", wire.receive()).await, None);
    server.stop().await;
}

/// R-09.
#[tokio::test]
async fn invalid_utf8_is_a_parse_error_and_the_end() {
    let server = start(common::service::foo(), Limits::default()).await;
    let (theirs, mut ours) = tokio::io::duplex(4 * 1024);
    server.serve_stream(theirs);

    ours.write_all(b"{\"id\":1,\"method\":\"foo_echo\",\"params\":[\"\xff\"]}")
        .await
        .expect("open");

    let mut got = String::new();
    soon("the end", ours.read_to_string(&mut got)).await.expect("text");
    assert!(got.contains(r#""id":null,"error":{"code":-32700"#), "{got}");
    server.stop().await;
}

fn ticking() -> Module {
    Module::new("foo")
        .subscription("never", || async { rpc::Result::Ok(stream::pending::<u64>()) })
        .subscription("once", || async { rpc::Result::Ok(stream::iter([1])) })
        .subscription("endless", || async { rpc::Result::Ok(stream::iter(0_u64..)) })
}

async fn subscribe(wire: &mut Wire, name: &str) -> Result<String, Value> {
    wire.send(&json!({"id":"s","method":"foo_subscribe","params":[name]}).to_string()).await;
    let mut answer = receive(wire).await;
    while answer["id"] != json!("s") {
        answer = receive(wire).await;
    }
    match answer["result"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(answer["error"].take()),
    }
}

/// R-05, T-23.
#[tokio::test]
async fn a_1025th_subscription_of_a_connection_is_refused_until_one_ends() {
    let server = start(ticking(), Limits::default()).await;
    let mut wire = open(&server);
    let mut ids = Vec::new();
    for _ in 0..1_024 {
        ids.push(subscribe(&mut wire, "never").await.expect("under the limit"));
    }

    let refused = subscribe(&mut wire, "never").await.expect_err("over the limit");

    assert_eq!(refused, json!({"code":-32000,"message":"too many subscriptions"}));
    subscribe(&mut open(&server), "never").await.expect("another connection has its own");
    wire.send(&json!({"id":1,"method":"foo_unsubscribe","params":[ids[0]]}).to_string()).await;
    assert_eq!(receive(&mut wire).await["result"], json!(true));
    subscribe(&mut wire, "never").await.expect("there is room again");
    server.stop().await;
}

/// R-05: the limit of the server, given back when connections go.
#[tokio::test]
async fn subscriptions_of_all_connections_are_counted_together() {
    let limits = Limits { subscriptions: 3, ..Limits::default() };
    let server = start(ticking(), limits).await;
    let (mut one, mut two) = (open(&server), open(&server));
    subscribe(&mut one, "never").await.expect("under the limit");
    subscribe(&mut two, "never").await.expect("under the limit");
    subscribe(&mut one, "never").await.expect("under the limit");

    let refused = subscribe(&mut two, "never").await.expect_err("over the limit");

    assert_eq!(refused["message"], json!("too many subscriptions"));
    drop(one);
    let there_is_room = async { while subscribe(&mut two, "never").await.is_err() {} };
    soon("room", there_is_room).await;
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_whose_stream_has_ended_takes_no_place_and_can_be_ended_once() {
    let limits = Limits { subscriptions_per_connection: 1, ..Limits::default() };
    let server = start(ticking(), limits).await;
    let mut wire = open(&server);
    let first = subscribe(&mut wire, "once").await.expect("a subscription");
    assert_eq!(receive(&mut wire).await["params"]["result"], json!(1));
    let wait_for_place = async { while subscribe(&mut wire, "never").await.is_err() {} };
    soon("the place", wait_for_place).await;

    let mut results = Vec::new();
    for _ in 0..2 {
        wire.send(&json!({"id":1,"method":"any_unsubscribe","params":[first]}).to_string()).await;
        results.push(receive(&mut wire).await);
    }

    assert_eq!(results[0]["result"], json!(true));
    assert_eq!(results[1]["error"]["message"], json!("subscription not found"));
    server.stop().await;
}

#[tokio::test]
async fn nobody_can_end_the_subscription_of_another_connection() {
    let server = start(ticking(), Limits::default()).await;
    let (mut one, mut two) = (open(&server), open(&server));
    let id = subscribe(&mut one, "never").await.expect("a subscription");

    let request = json!({"id":1,"method":"foo_unsubscribe","params":[id]}).to_string();
    two.send(&request).await;
    assert_eq!(receive(&mut two).await["error"]["message"], json!("subscription not found"));
    one.send(&request).await;
    assert_eq!(receive(&mut one).await["result"], json!(true));
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_made_and_ended_in_one_batch_never_speaks() {
    let server = start(ticking(), Limits::default()).await;
    let mut wire = open(&server);
    let old = subscribe(&mut wire, "never").await.expect("a subscription");

    // The new one's id cannot be known; the old one's is.
    let batch = json!([
        {"id":1,"method":"foo_subscribe","params":["once"]},
        {"id":2,"method":"foo_unsubscribe","params":[old]},
        {"id":3,"method":"foo_unsubscribe","params":[old]},
    ]);
    wire.send(&batch.to_string()).await;

    let answers = receive(&mut wire).await;
    assert_eq!(answers[1]["result"], json!(true));
    assert_eq!(answers[2]["error"]["message"], json!("subscription not found"));
    let value = receive(&mut wire).await;
    assert_eq!(value["params"]["subscription"], answers[0]["result"]);
    server.stop().await;
}

/// Decision 9 of the specification: a stream waits for a client that does not read.
#[tokio::test]
async fn a_stream_is_not_read_while_the_client_does_not_read() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let module = Module::new("foo").subscription("endless", move || {
        let counter = Arc::clone(&counter);
        let values = stream::iter(0_u64..).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        async move { rpc::Result::Ok(values) }
    });
    let server = start(module, Limits::default()).await;
    let mut wire = open(&server);
    subscribe(&mut wire, "endless").await.expect("a subscription");

    // Everybody else goes on meanwhile.
    for _ in 0..100 {
        expect_silence(&mut open(&server)).await;
    }
    let while_stalled = read.load(Ordering::SeqCst);

    // The pipe and the outbox hold 64 KiB each, a value about 100 bytes.
    assert!(while_stalled < 3_000, "{while_stalled} values were read");
    for expected in 0..5_000_u64 {
        assert_eq!(receive(&mut wire).await["params"]["result"], json!(expected));
    }
    server.stop().await;
}

/// Sends a module's notifier out.
fn pushing() -> (Module, tokio::sync::mpsc::Receiver<Notifier<String>>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    let module = Module::new("foo")
        .method("hello", || async { rpc::Result::Ok("hi") })
        .subscription("pushed", move |context: Context| {
            let sender = sender.clone();
            async move {
                let (notifier, pushed) = context.notifier::<String>();
                sender.send(notifier).await.map_err(|_| "nobody wants it")?;
                Ok::<_, &str>(pushed)
            }
        });
    (module, receiver)
}

/// Decision 9 of the specification: a source that cannot wait.
#[tokio::test]
async fn a_source_that_cannot_wait_ends_its_subscription_at_1024_values_queued() {
    let (module, mut notifiers) = pushing();
    let server = start(module, Limits::default()).await;
    let mut wire = open(&server);
    let id = subscribe(&mut wire, "pushed").await.expect("a subscription");
    let notifier = notifiers.recv().await.expect("a notifier");

    // Without an await in between nobody can take any of them.
    for n in 0..1_024 {
        notifier.send(&n.to_string()).expect("there is room");
    }
    notifier.send(&"one more".to_owned()).expect_err("there is none");
    assert!(notifier.is_closed());

    for n in 0..1_024 {
        assert_eq!(receive(&mut wire).await["params"]["result"], json!(n.to_string()));
    }
    let end = json!({"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":id,
        "error":{"code":-32000,"message":"subscription queue overflow"}}});
    assert_eq!(receive(&mut wire).await, end);
    expect_silence(&mut wire).await;
    server.stop().await;
}

/// R-05: 8 MiB queued for one client close its connection, and only its.
#[tokio::test]
async fn a_client_that_leaves_8_mib_unread_is_closed_and_others_are_not() {
    let (module, mut notifiers) = pushing();
    let server = start(module, Limits::default()).await;
    let (mut stuck, mut other) = (open(&server), open(&server));
    subscribe(&mut stuck, "pushed").await.expect("a subscription");
    let notifier = notifiers.recv().await.expect("a notifier");

    let large = "x".repeat(1024 * 1024);
    let mut sent = 0;
    while notifier.send(&large).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
        assert!(sent < 100, "nobody closes it");
    }

    // What is in the pipe can still be read, and then it ends.
    while soon("the end", stuck.receive_any()).await {}
    expect_silence(&mut other).await;
    server.stop().await;
}

/// R-05: a write that is blocked for 10 s closes the connection.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_for_10_s_is_closed() {
    let server = start(ticking(), Limits::default()).await;
    let (theirs, mut ours) = tokio::io::duplex(1024);
    server.serve_stream(theirs);
    ours.write_all(br#"{"id":1,"method":"foo_subscribe","params":["endless"]}"#)
        .await
        .expect("open");
    // As long as it reads it is kept, however slowly.
    for _ in 0..5 {
        let mut taken = vec![0; 8 * 1024];
        ours.read_exact(&mut taken).await.expect("open");
        tokio::time::advance(Duration::from_secs(8)).await;
        assert!(ours.write(b" ").await.is_ok(), "still open");
    }

    let start = tokio::time::Instant::now();
    let closed = async {
        while ours.write(b" ").await.is_ok() {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    };
    soon("the end", closed).await;

    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited <= Duration::from_secs(13), "{waited:?}");
    server.stop().await;
}

/// R-06.
#[tokio::test(start_paused = true)]
async fn a_call_over_its_time_is_answered_and_its_work_dropped() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Arc::clone(&dropped);
    let module = Module::new("foo").method("never", move || {
        let guard = OnDrop(Arc::clone(&guard));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            rpc::Result::Ok(())
        }
    });
    let limits = Limits { call_timeout: Some(Duration::from_secs(5)), ..Limits::default() };
    let server = start(module, limits).await;
    let mut wire = open(&server);

    let error = json!({"code":-32002,"message":"request timed out"});
    wire.send(r#"{"id":1,"method":"foo_never"}"#).await;
    assert_eq!(receive(&mut wire).await, json!({"jsonrpc":"2.0","id":1,"error":error}));
    wire.send(r#"[{"id":2,"method":"rpc_modules"},{"id":3,"method":"foo_never"},{"id":4,"method":"rpc_modules"}]"#).await;
    let answers = receive(&mut wire).await;
    assert_eq!(answers[0]["result"], json!({"foo":"1.0","rpc":"1.0"}));
    assert_eq!(answers[1], json!({"jsonrpc":"2.0","id":3,"error":error}));
    assert_eq!(answers[2], json!({"jsonrpc":"2.0","id":4,"error":error}));
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    server.stop().await;
}

/// R-08.
#[tokio::test]
async fn a_panic_is_one_calls_affair_wherever_it_happens() {
    let module = common::service::foo()
        .method("later", || async {
            tokio::task::yield_now().await;
            if true {
                panic!("secret");
            }
            rpc::Result::Ok(())
        })
        .subscription("bad", || async {
            let values = stream::iter(0..).map(|n| if n < 2 { n } else { panic!("secret") });
            rpc::Result::Ok(values)
        });
    let server = start(module, Limits::default()).await;
    let mut wire = open(&server);

    for method in ["foo_panic", "foo_later"] {
        wire.send(&json!({"id":1,"method":method}).to_string()).await;
        let crashed = json!({"code":-32603,"message":"method handler crashed"});
        assert_eq!(receive(&mut wire).await, json!({"jsonrpc":"2.0","id":1,"error":crashed}));
    }
    subscribe(&mut wire, "bad").await.expect("a subscription");
    assert_eq!(receive(&mut wire).await["params"]["result"], json!(0));
    assert_eq!(receive(&mut wire).await["params"]["result"], json!(1));
    expect_silence(&mut wire).await;
    server.stop().await;
}

/// R-12.
#[tokio::test]
async fn denied_methods_do_not_exist_in_calls_batches_and_subscriptions() {
    let folder = tempfile::tempdir().expect("a folder");
    let filter =
        MethodFilter::new::<&str, _>([], ["foo_add", "foo_subscribe:count"]).expect("a filter");
    let builder: ServerBuilder = Server::builder().module(common::service::foo()).methods(filter);
    let path = folder.path().join("rpc.ipc");
    let server = builder.ipc(&path).start().await.expect("it starts");
    let client = rpc::Client::connect(path.to_str().expect("text")).await.expect("connected");

    let text = "the method foo_add does not exist/is not available";
    let denied = client.call::<i64>("foo_add", (1, 2)).await.expect_err("denied");
    assert_eq!(denied.to_string(), text);
    let answers = client.batch().call("foo_add", (1, 2)).call("foo_echo", ("x",)).send().await;
    let answers = answers.expect("answered");
    assert_eq!(answers[0].as_ref().expect_err("denied").to_string(), text);
    assert_eq!(answers[1].as_ref().expect("allowed").get(), "\"x\"");
    let denied = client.subscribe::<u64>("foo", ("count", 3)).await.expect_err("denied");
    assert_eq!(denied.to_string(), r#"no "count" subscription in foo namespace"#);
    // The process itself may do everything.
    assert_eq!(server.attach().call::<i64>("foo_add", (1, 2)).await.expect("an answer"), 3);
    server.stop().await;
}

#[tokio::test]
async fn input_may_come_byte_by_byte() {
    let server = start(common::service::foo(), Limits::default()).await;
    let (theirs, ours) = tokio::io::duplex(1);
    server.serve_stream(theirs);
    let (mut reader, mut writer) = tokio::io::split(ours);

    let send = async move {
        let text = r#"{"id":1,"method":"foo_echo","params":["}\"{["]}{"id":2,"method":"foo_add","params":[1,2]}"#;
        writer.write_all(text.as_bytes()).await.expect("open");
        writer.shutdown().await.expect("half closed");
    };
    let mut got = String::new();
    let (read, ()) =
        soon("the answers", async { tokio::join!(reader.read_to_string(&mut got), send) }).await;

    read.expect("text");
    let expected = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"}\\\"{[\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":3}\n";
    assert_eq!(got, expected);
    server.stop().await;
}
