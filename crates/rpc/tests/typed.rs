//! Typed traits of jsonrpsee on both sides, together and each with a stranger (ecosystem.md 4).

#![allow(missing_docs, reason = "the macro's methods are public")]

mod common;

use std::{net::SocketAddr, sync::Arc};

use common::{foreign, service::started, soon, wire::Wire};
use futures_util::StreamExt as _;
use jsonrpsee::{
    Extensions, PendingSubscriptionSink,
    core::{
        RpcResult, SubscriptionResult, async_trait,
        client::{
            ClientT as _, Error, SubscriptionClientT, SubscriptionCloseReason, SubscriptionKind,
        },
        params::BatchRequestBuilder,
        to_json_raw_value,
    },
    proc_macros::rpc,
    rpc_params,
    types::{ErrorObjectOwned, SubscriptionId},
};
use rpc::{Client, MethodFilter, Module, ModuleError, Server, ServerBuilder};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

#[rpc(server, client, namespace = "foo")]
trait Foo {
    #[method(name = "add")]
    async fn add(&self, a: u64, b: Option<u64>) -> RpcResult<u64>;

    #[method(name = "sync")]
    fn sync(&self, text: String) -> RpcResult<String>;

    #[method(name = "block", blocking)]
    fn block(&self, panic: bool) -> RpcResult<u64>;

    #[method(name = "panic")]
    async fn panic(&self) -> RpcResult<u64>;

    #[method(name = "fail")]
    async fn fail(&self) -> RpcResult<u64>;

    #[method(name = "named", param_kind = map)]
    async fn named(&self, first: u64, second: String) -> RpcResult<Value>;

    #[method(name = "caller", with_extensions)]
    async fn caller(&self) -> RpcResult<String>;

    #[method(name = "note")]
    async fn note(&self, text: String);

    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = Value)]
    async fn watch(&self, name: String, n: u64) -> SubscriptionResult;
}

/// What a trait's handler does, and what it reports.
struct Service {
    notes: mpsc::Sender<String>,
    /// Handlers of subscriptions that have ended.
    ended: Arc<Notify>,
}

#[async_trait]
impl FooServer for Service {
    async fn add(&self, a: u64, b: Option<u64>) -> RpcResult<u64> {
        Ok(a + b.unwrap_or(1))
    }

    fn sync(&self, text: String) -> RpcResult<String> {
        Ok(text)
    }

    fn block(&self, panic: bool) -> RpcResult<u64> {
        assert!(!panic, "as asked");
        Ok(1)
    }

    async fn panic(&self) -> RpcResult<u64> {
        panic!("as asked")
    }

    async fn fail(&self) -> RpcResult<u64> {
        Err(ErrorObjectOwned::owned(-38_001, "unknown payload", Some(json!({"a": [1]}))))
    }

    async fn named(&self, first: u64, second: String) -> RpcResult<Value> {
        Ok(json!([first, second]))
    }

    async fn caller(&self, extensions: &Extensions) -> RpcResult<String> {
        let context = extensions.get::<rpc::Context>().expect("every call has one");
        Ok(context.caller().to_string())
    }

    async fn note(&self, text: String) -> () {
        self.notes.send(text).await.expect("the test listens");
    }

    async fn watch(
        &self,
        pending: PendingSubscriptionSink,
        name: String,
        n: u64,
    ) -> SubscriptionResult {
        match name.as_str() {
            "count" => {
                let sink = pending.accept().await?;
                for i in 0..n {
                    sink.send(to_json_raw_value(&i)?).await?;
                }
                Ok(())
            }
            "id" => {
                let sink = pending.accept().await?;
                let id = sink.subscription_id();
                sink.send(to_json_raw_value(&id)?).await?;
                sink.closed().await;
                Ok(())
            }
            "forever" => {
                let sink = pending.accept().await?;
                sink.send(to_json_raw_value(&"begun")?).await?;
                sink.closed().await;
                self.ended.notify_one();
                Ok(())
            }
            "broken" => {
                let sink = pending.accept().await?;
                sink.send(to_json_raw_value(&1)?).await?;
                Err("it broke".into())
            }
            _ => {
                pending.reject(ErrorObjectOwned::owned(7, "no such thing", Some(name))).await;
                Ok(())
            }
        }
    }
}

struct Reports {
    notes: mpsc::Receiver<String>,
    ended: Arc<Notify>,
}

fn service() -> (Service, Reports) {
    let (sender, notes) = mpsc::channel(8);
    let ended = Arc::new(Notify::new());
    (Service { notes: sender, ended: Arc::clone(&ended) }, Reports { notes, ended })
}

fn typed() -> (Module, Reports) {
    let (service, reports) = service();
    (Module::from_typed("foo", service.into_rpc()).expect("a module"), reports)
}

/// Our server with the trait, and a client of ours.
async fn both() -> (Server, Client, Reports) {
    let (module, reports) = typed();
    let server = Server::builder().module(module).start().await.expect("it starts");
    let client = server.attach();
    (server, client, reports)
}

fn open(server: &Server) -> Wire {
    let (theirs, ours) = tokio::io::duplex(64 * 1024);
    server.serve_stream(theirs);
    Wire::stream(ours)
}

async fn ask(wire: &mut Wire, method: &str, params: Value) -> Value {
    wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
        .await;
    receive(wire).await
}

async fn receive(wire: &mut Wire) -> Value {
    let text = soon("a message", wire.receive()).await.expect("the connection is open");
    serde_json::from_str(&text).expect("JSON")
}

// ---- both sides of ours ---------------------------------------------------------------------------

#[tokio::test]
async fn every_kind_of_method_of_a_trait_is_called_through_the_same_trait() {
    let (server, client, mut reports) = both().await;

    assert_eq!(client.add(1, Some(2)).await.expect("a sum"), 3);
    assert_eq!(client.add(1, None).await.expect("a sum"), 2);
    assert_eq!(client.sync("text".to_owned()).await.expect("text"), "text");
    assert_eq!(client.block(false).await.expect("a number"), 1);
    assert_eq!(client.named(1, "x".to_owned()).await.expect("both"), json!([1, "x"]));
    assert_eq!(client.caller().await.expect("text"), "inproc");
    client.note("noted".to_owned()).await.expect("it is sent");
    assert_eq!(soon("the note", reports.notes.recv()).await.as_deref(), Some("noted"));
    server.stop().await;
}

#[tokio::test]
async fn a_trait_is_served_and_called_over_every_transport() {
    let (module, _reports) = typed();
    let (server, _folder) = started(Server::builder().module(module)).await;
    let address = server.http_addr().expect("a listener");
    let mut clients = vec![
        ("inproc", server.attach()),
        ("http", Client::connect(format!("http://{address}")).await.expect("a client")),
        ("ws", Client::connect(format!("ws://{address}")).await.expect("a client")),
    ];
    if let Some(path) = server.ipc_path() {
        clients.push(("ipc", Client::connect(path).await.expect("a client")));
    }

    for (transport, client) in clients {
        assert_eq!(client.add(1, Some(2)).await.expect(transport), 3);
        assert!(client.caller().await.expect(transport).starts_with(transport));
        let watched = client.watch("count".to_owned(), 3).await;
        if transport == "http" {
            assert!(matches!(watched, Err(Error::HttpNotImplemented)), "{watched:?}");
            continue;
        }
        let values = watched.expect(transport).take(3).map(|value| value.expect("a value"));
        assert_eq!(values.collect::<Vec<_>>().await, [json!(0), json!(1), json!(2)]);
    }
    server.stop().await;
}

#[tokio::test]
async fn clients_of_jsonrpsee_call_a_trait_on_our_server() {
    let (module, reports) = typed();
    let (server, _folder) = started(Server::builder().module(module)).await;
    let address = server.http_addr().expect("a listener");

    let http = jsonrpsee_http_client::HttpClientBuilder::default();
    let http = http.build(format!("http://{address}")).expect("a client");
    assert_eq!(http.add(1, Some(2)).await.expect("a sum"), 3);
    let Err(Error::Call(error)) = http.fail().await else { panic!("it fails") };
    assert_eq!((error.code(), error.message()), (-38_001, "unknown payload"));

    let ws = jsonrpsee_ws_client::WsClientBuilder::default();
    let ws = ws.build(format!("ws://{address}")).await.expect("a client");
    assert_eq!(ws.named(1, "x".to_owned()).await.expect("both"), json!([1, "x"]));
    let mut values = ws.watch("forever".to_owned(), 0).await.expect("an id");
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("text"), json!("begun"));
    drop(values);
    soon("the handler", reports.ended.notified()).await;
    server.stop().await;
}

#[tokio::test]
async fn an_error_of_a_trait_keeps_its_code_its_text_and_its_data() {
    let (server, client, _reports) = both().await;

    let error = client.fail().await.expect_err("it fails");

    let Error::Call(error) = error else { panic!("{error:?}") };
    assert_eq!((error.code(), error.message()), (-38_001, "unknown payload"));
    assert_eq!(error.data().expect("data").get(), r#"{"a":[1]}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_panic_of_any_kind_of_method_is_a_crash_of_that_call() {
    let (server, client, _reports) = both().await;

    for error in [
        client.panic().await.expect_err("it panics"),
        client.block(true).await.expect_err("it panics"),
    ] {
        let Error::Call(error) = error else { panic!("{error:?}") };
        assert_eq!((error.code(), error.message()), (-32_603, "method handler crashed"));
    }
    assert_eq!(client.add(1, None).await.expect("the others go on"), 2);
    server.stop().await;
}

/// Decision 7: what is wrong with arguments is said by jsonrpsee.
#[tokio::test]
async fn arguments_are_read_as_jsonrpsee_reads_them() {
    let (server, _client, _reports) = both().await;
    let mut wire = open(&server);

    for (method, params, expected) in [
        ("foo_add", json!([1, 2, 3, 4]), Ok(json!(3))),
        ("foo_add", json!({"a": 1, "b": 5}), Ok(json!(6))),
        ("foo_add", json!([]), Err((-32_602, "Invalid params", "No more params"))),
        ("foo_add", json!(["x"]), Err((-32_602, "Invalid params", "invalid type"))),
        ("foo_add", json!(null), Err((-32_602, "Invalid params", "No more params"))),
    ] {
        let got = ask(&mut wire, method, params.clone()).await;
        match expected {
            Ok(result) => assert_eq!(got["result"], result, "{params}: {got}"),
            Err((code, message, data)) => {
                let error = &got["error"];
                assert_eq!(error["code"], json!(code), "{params}: {got}");
                assert_eq!(error["message"], json!(message), "{params}: {got}");
                let got = error["data"].as_str().expect("text");
                assert!(got.starts_with(data), "{params}: {got}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn batches_of_a_typed_client_keep_results_and_errors_in_their_order() {
    let (server, client, _reports) = both().await;
    let mut batch = BatchRequestBuilder::new();
    batch.insert("foo_add", rpc_params![1, 2]).expect("arguments");
    batch.insert("foo_fail", rpc_params![]).expect("arguments");
    batch.insert("foo_add", rpc_params![3]).expect("arguments");

    let answers = client.batch_request::<u64>(batch).await.expect("an array");

    assert_eq!((answers.num_successful_calls(), answers.num_failed_calls()), (2, 1));
    let answers: Vec<_> = answers.into_iter().collect();
    assert_eq!(answers[0].as_ref().expect("a sum"), &3);
    assert_eq!(answers[1].as_ref().expect_err("it fails").code(), -38_001);
    assert_eq!(answers[2].as_ref().expect("a sum"), &4);
    let empty = client.batch_request::<u64>(BatchRequestBuilder::new()).await;
    assert!(matches!(empty, Err(Error::EmptyBatchRequest(_))));
    server.stop().await;
}

// ---- registration ---------------------------------------------------------------------------------

#[rpc(server, namespace = "bar")]
trait OwnNames {
    #[subscription(name = "subscribeTicks" => "tick", unsubscribe = "unsubscribeTicks", item = u64)]
    async fn ticks(&self) -> SubscriptionResult;
}

#[rpc(server)]
trait NoNamespace {
    #[method(name = "foo_one", aliases = ["bar_one", "foo_uno"])]
    async fn one(&self) -> RpcResult<u64>;

    #[method(name = "bar_two")]
    async fn two(&self) -> RpcResult<u64>;
}

struct Nothing;

#[async_trait]
impl OwnNamesServer for Nothing {
    async fn ticks(&self, pending: PendingSubscriptionSink) -> SubscriptionResult {
        pending.accept().await?;
        Ok(())
    }
}

#[async_trait]
impl NoNamespaceServer for Nothing {
    async fn one(&self) -> RpcResult<u64> {
        Ok(1)
    }

    async fn two(&self) -> RpcResult<u64> {
        Ok(2)
    }
}

#[test]
fn a_subscription_with_a_method_of_its_own_is_refused_with_the_way_out() {
    let error = Module::from_typed("bar", OwnNamesServer::into_rpc(Nothing)).expect_err("refused");

    let expected = ModuleError::TypedSubscription {
        namespace: "bar".to_owned(),
        name: "subscribeTicks".to_owned(),
    };
    assert_eq!(error, expected);
    let text = error.to_string();
    assert!(text.starts_with("bar_subscribeTicks cannot be a subscription"), "{text}");
    assert!(text.contains(r#"name = "subscribe" => "subscription""#), "{text}");
}

#[test]
fn only_the_namespace_that_is_named_is_taken_from_a_trait() {
    let module = Module::from_typed("foo", NoNamespaceServer::into_rpc(Nothing)).expect("a module");

    assert_eq!(module.method_names().collect::<Vec<_>>(), ["one", "uno"]);
    let error = Module::from_typed("fo", NoNamespaceServer::into_rpc(Nothing)).expect_err("none");
    assert_eq!(error, ModuleError::Typed { namespace: "fo".to_owned() });
}

#[tokio::test]
async fn a_trait_and_closures_make_one_namespace() {
    let (module, _reports) = typed();
    let more = Module::new("foo")
        .method("mul", |a: u64, b: u64| async move { rpc::Result::Ok(a * b) })
        .subscription(
            "own",
            |n: u64| async move { rpc::Result::Ok(futures_util::stream::iter([n])) },
        );
    let module = module.method("sub", |a: u64, b: u64| async move { rpc::Result::Ok(a - b) });
    let server = Server::builder().modules([module, more]).start().await.expect("it starts");
    let client = server.attach();

    assert_eq!(client.call::<u64>("foo_add", (4, 2)).await.expect("a sum"), 6);
    assert_eq!(client.call::<u64>("foo_sub", (4, 2)).await.expect("a difference"), 2);
    assert_eq!(client.call::<u64>("foo_mul", (4, 2)).await.expect("a product"), 8);
    let mut own = client.subscribe::<u64>("foo", ("own", 9)).await.expect("an id");
    assert_eq!(soon("a value", own.next()).await.expect("one").expect("a number"), 9);
    let mut count = client.subscribe::<u64>("foo", ("count", 1)).await.expect("an id");
    assert_eq!(soon("a value", count.next()).await.expect("one").expect("a number"), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_denied_subscription_of_a_trait_does_not_exist() {
    let (module, _reports) = typed();
    let filter = MethodFilter::new([""; 0], ["foo_subscribe:forever"]).expect("a filter");
    let (server, _folder) = started(Server::builder().module(module).methods(filter)).await;
    let Some(path) = server.ipc_path() else { return };
    let client = Client::connect(path).await.expect("a client");

    client.subscribe::<u64>("foo", ("count", 1)).await.expect("not denied");
    let error = client.subscribe::<Value>("foo", ("forever", 1)).await.expect_err("denied");

    assert_eq!(error.to_string(), r#"no "forever" subscription in foo namespace"#);
    server.stop().await;
}

// ---- subscriptions of our server ------------------------------------------------------------------

#[tokio::test]
async fn a_subscription_of_a_trait_looks_like_any_other_on_the_wire() {
    let (server, _client, _reports) = both().await;
    let mut wire = open(&server);

    let id = ask(&mut wire, "foo_subscribe", json!(["id", 0])).await["result"].clone();
    let hex = id.as_str().and_then(|id| id.strip_prefix("0x")).expect("hexadecimal");
    assert!(hex.len() <= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    // The handler knows it by the same id.
    let expected = json!({
        "jsonrpc": "2.0",
        "method": "foo_subscription",
        "params": {"subscription": id, "result": id},
    });
    assert_eq!(receive(&mut wire).await, expected);

    let ended = ask(&mut wire, "foo_unsubscribe", json!([id])).await;
    assert_eq!(ended["result"], json!(true));
    let again = ask(&mut wire, "foo_unsubscribe", json!([id])).await;
    assert_eq!(again["error"]["message"], json!("subscription not found"));
    server.stop().await;
}

#[tokio::test]
async fn a_handler_learns_that_its_client_unsubscribed_or_left() {
    let (server, client, reports) = both().await;

    let mut values = client.watch("forever".to_owned(), 0).await.expect("an id");
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("text"), json!("begun"));
    soon("the end", values.unsubscribe()).await.expect("it is there");
    soon("the handler", reports.ended.notified()).await;

    let mut values = client.watch("forever".to_owned(), 0).await.expect("an id");
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("text"), json!("begun"));
    drop(values);
    soon("the handler", reports.ended.notified()).await;

    let mut wire = open(&server);
    ask(&mut wire, "foo_subscribe", json!(["forever", 0])).await;
    drop(wire);
    soon("the handler", reports.ended.notified()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_that_a_trait_rejects_is_an_error_of_the_call() {
    let (server, client, _reports) = both().await;

    let error = client.watch("nope".to_owned(), 1).await.expect_err("rejected");
    let Error::Call(error) = error else { panic!("{error:?}") };
    assert_eq!((error.code(), error.message()), (7, "no such thing"));
    assert_eq!(error.data().expect("data").get(), r#""nope""#);

    let mut wire = open(&server);
    let wrong = ask(&mut wire, "foo_subscribe", json!(["count", "x"])).await;
    assert_eq!(wrong["error"]["message"], json!("Invalid params"), "{wrong}");
    let unnamed = ask(&mut wire, "foo_subscribe", json!([5])).await;
    let text = "expected subscription name as first argument";
    assert_eq!(unnamed["error"]["message"], json!(text), "the dispatcher looks at it first");
    server.stop().await;
}

#[tokio::test]
async fn what_a_handler_returns_as_its_error_is_said_last() {
    let (server, client, _reports) = both().await;
    let values = client.subscribe::<u64>("foo", ("broken", 0)).await.expect("an id");

    let mut values = values;
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("a number"), 1);
    let last = soon("the end", values.next()).await.expect("a reason").expect_err("the end");

    let error = last.rpc_error().expect("the server's");
    assert_eq!((error.code(), error.message()), (-32_000, "it broke"));
    server.stop().await;
}

#[tokio::test]
async fn subscriptions_of_a_trait_count_like_all_others() {
    let (module, _reports) = typed();
    let limits = rpc::Limits { subscriptions_per_connection: 1, ..rpc::Limits::default() };
    let builder: ServerBuilder = Server::builder().module(module).limits(limits);
    let server = builder.start().await.expect("it starts");
    let client = server.attach();

    let first = client.watch("forever".to_owned(), 0).await.expect("the first");
    let error = client.watch("forever".to_owned(), 0).await.expect_err("one too many");

    let Error::Call(error) = error else { panic!("{error:?}") };
    assert_eq!(error.message(), "too many subscriptions");
    drop(first);
    server.stop().await;
}

/// A handler of a trait waits for a client that does not read; it fills no memory.
#[tokio::test]
async fn a_trait_s_values_come_as_fast_as_the_client_reads_them() {
    let (server, _client, _reports) = both().await;
    let mut wire = open(&server);

    let id = ask(&mut wire, "foo_subscribe", json!(["count", 20_000])).await["result"].clone();

    for expected in 0..20_000 {
        let value = receive(&mut wire).await;
        assert_eq!(value["params"], json!({"subscription": id, "result": expected}));
    }
    server.stop().await;
}

// ---- subscriptions of our client ------------------------------------------------------------------

/// A typed subscription, and the server at its other end.
async fn subscribed() -> (jsonrpsee::core::client::Subscription<Value>, Client, foreign::Peer) {
    let (client, mut peer) = foreign::client();
    let (values, ()) = tokio::join!(client.watch("x".to_owned(), 1), peer.subscribe(json!("0x1")));
    (values.expect("an id"), client, peer)
}

#[tokio::test]
async fn a_typed_subscription_has_the_id_and_the_values_of_the_server() {
    let (mut values, _client, mut peer) = subscribed().await;
    peer.send(foreign::value("0x1", "a")).await;
    peer.send(foreign::value("0x1", Value::Null)).await;

    let SubscriptionKind::Subscription(id) = values.kind() else { panic!("{:?}", values.kind()) };
    assert_eq!(id, &SubscriptionId::Str("0x1".into()));
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("text"), json!("a"));
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("null"), Value::Null);
}

#[tokio::test]
async fn dropping_a_typed_subscription_unsubscribes() {
    let (values, _client, mut peer) = subscribed().await;

    drop(values);

    let ended = peer.receive().await;
    assert_eq!((&ended["method"], &ended["params"]), (&json!("foo_unsubscribe"), &json!(["0x1"])));
}

#[tokio::test]
async fn a_typed_subscription_keeps_the_connection_and_lets_it_go() {
    let (mut values, client, mut peer) = subscribed().await;
    drop(client);
    peer.send(foreign::value("0x1", 1)).await;
    assert_eq!(soon("a value", values.next()).await.expect("one").expect("a number"), json!(1));

    drop(values);

    assert_eq!(peer.receive().await["method"], json!("foo_unsubscribe"));
    assert_eq!(peer.next().await, None, "no task holds it any more");
}

#[tokio::test]
async fn a_typed_subscription_ends_with_the_connection() {
    let (mut values, _client, mut peer) = subscribed().await;
    peer.send(foreign::value("0x1", 1)).await;
    drop(peer);

    assert_eq!(soon("a value", values.next()).await.expect("one").expect("a number"), json!(1));
    assert!(soon("the end", values.next()).await.is_none());
    assert!(matches!(values.close_reason(), Some(SubscriptionCloseReason::ConnectionClosed)));
}

#[tokio::test]
async fn a_typed_subscription_that_nobody_reads_lags_and_the_server_is_told() {
    let (values, _client, mut peer) = subscribed().await;

    for n in 0..2_000 {
        peer.send(foreign::value("0x1", n)).await;
    }

    assert_eq!(peer.receive().await["method"], json!("foo_unsubscribe"));
    assert!(matches!(values.close_reason(), Some(SubscriptionCloseReason::Lagged)));
    assert_eq!(values.count().await, 1_024);
}

#[tokio::test]
async fn a_typed_client_may_listen_to_a_method() {
    let (_first, client, mut peer) = subscribed().await;
    let mut heard = client.subscribe_to_method::<Value>("foo_news").await.expect("it is open");

    peer.send(r#"{"jsonrpc":"2.0","method":"foo_other","params":[0]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"foo_news","params":[1]}"#).await;
    assert_eq!(soon("news", heard.next()).await.expect("some").expect("a value"), json!([1]));

    let twice = client.subscribe_to_method::<Value>("foo_news").await;
    assert!(matches!(twice, Err(Error::RegisterMethod(_))), "{twice:?}");
    // jsonrpsee's own task forgets it, some time after the drop.
    drop(heard);
    let mut heard = soon("the next", async {
        loop {
            match client.subscribe_to_method::<Value>("foo_news").await {
                Ok(heard) => break heard,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    peer.send(r#"{"jsonrpc":"2.0","method":"foo_news","params":[2]}"#).await;
    assert_eq!(soon("news", heard.next()).await.expect("some").expect("a value"), json!([2]));

    drop(peer);
    assert!(soon("the end", heard.next()).await.is_none());
}

#[tokio::test]
async fn a_typed_client_is_told_what_went_wrong() {
    let builder = Client::builder().timeout(std::time::Duration::ZERO);
    let (client, _peer) = foreign::over(builder);
    assert!(matches!(client.add(1, None).await, Err(Error::RequestTimeout)));

    let (client, peer) = foreign::client();
    drop(peer);
    assert!(matches!(client.add(1, None).await, Err(Error::Transport(_))));

    let (client, mut peer) = foreign::client();
    let (sum, _) = tokio::join!(client.add(1, None), peer.answer(json!("three")));
    assert!(matches!(sum, Err(Error::ParseError(_))));

    let server = foreign::HttpServer::saying(200, "").await;
    let client = Client::connect(&server.url).await.expect("a client");
    let watched = client.watch("x".to_owned(), 1).await;
    assert!(matches!(watched, Err(Error::HttpNotImplemented)));
    // A client has a method of this name itself.
    let same = SubscriptionClientT::subscribe::<Value, _>(&client, "a_b", rpc_params![], "a_b");
    assert!(matches!(same.await, Err(Error::RegisterMethod(_))));
}

// ---- strangers ------------------------------------------------------------------------------------

#[rpc(server, client, namespace = "own")]
trait Own {
    #[method(name = "add")]
    async fn own_add(&self, a: u64, b: u64) -> RpcResult<u64>;

    #[subscription(name = "subscribeTicks" => "tick", unsubscribe = "stopTicks", item = u64)]
    async fn ticks(&self, n: u64) -> SubscriptionResult;
}

struct Stranger(Arc<Notify>);

#[async_trait]
impl OwnServer for Stranger {
    async fn own_add(&self, a: u64, b: u64) -> RpcResult<u64> {
        Ok(a + b)
    }

    async fn ticks(&self, pending: PendingSubscriptionSink, n: u64) -> SubscriptionResult {
        let sink = pending.accept().await?;
        for i in 0..n {
            sink.send(to_json_raw_value(&i)?).await?;
        }
        sink.closed().await;
        self.0.notify_one();
        Ok(())
    }
}

/// jsonrpsee's own server.
async fn stranger() -> (SocketAddr, jsonrpsee::server::ServerHandle, Arc<Notify>) {
    let server = jsonrpsee::server::Server::builder().build("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    let ended = Arc::new(Notify::new());
    (address, server.start(OwnServer::into_rpc(Stranger(Arc::clone(&ended)))), ended)
}

#[tokio::test]
async fn a_server_of_jsonrpsee_is_called_over_http_and_websocket() {
    let (address, _handle, _) = stranger().await;

    for scheme in ["http", "ws"] {
        let client = Client::connect(format!("{scheme}://{address}")).await.expect("a client");
        assert_eq!(client.own_add(1, 2).await.expect("a sum"), 3);
        assert_eq!(client.call::<u64>("own_add", (3, 4)).await.expect("a sum"), 7);
        client.notify("own_add", (1, 2)).await.expect("it takes it");
        let answers = client.batch().call("own_add", (1, 1)).call("own_nope", ()).send().await;
        let answers = answers.expect("an array");
        assert_eq!(answers[0].as_ref().expect("a sum").get(), "2");
        let error = answers[1].as_ref().expect_err("no such method");
        assert_eq!(error.rpc_error().expect("the server's").code(), -32_601, "{scheme}");
    }
}

/// Its ids are numbers, and its methods have names of their own.
#[tokio::test]
async fn a_subscription_of_jsonrpsee_s_server_works_through_the_trait() {
    let (address, _handle, ended) = stranger().await;
    let client = Client::connect(format!("ws://{address}")).await.expect("a client");

    let mut ticks = client.ticks(3).await.expect("an id");

    for expected in 0..3 {
        let got = soon("a tick", ticks.next()).await.expect("one").expect("a number");
        assert_eq!(got, expected);
    }
    drop(ticks);
    soon("the handler", ended.notified()).await;
}

/// It keeps the connection when it refuses a message, and says so without an id.
#[tokio::test]
async fn a_call_too_large_for_jsonrpsee_s_server_is_an_error_and_no_silence() {
    let config = jsonrpsee::server::ServerConfig::builder().max_request_body_size(1_000).build();
    let server = jsonrpsee::server::Server::builder().set_config(config);
    let server = server.build("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    let _handle = server.start(OwnServer::into_rpc(Stranger(Arc::default())));
    let client = Client::connect(format!("ws://{address}")).await.expect("a client");

    let large = client.call::<Value>("own_add", ("x".repeat(2_000),));
    let error = soon("an answer", large).await.expect_err("too large");

    assert_eq!(error.rpc_error().expect("the server's").code(), -32_007, "{error}");
    assert_eq!(client.call::<u64>("own_add", (1, 2)).await.expect("it goes on"), 3);
}
