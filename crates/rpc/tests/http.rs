//! HTTP as it is spoken: statuses, headers, limits (R-01, R-04, R-05, R-09, R-10).

mod common;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use common::{
    http::{Answer, Http},
    soon,
};
use futures_util::{StreamExt as _, future::join_all, stream};
use rpc::{
    Context, Cors, Hosts, HttpConfig, HttpTimeouts, Limits, MethodFilter, Module, Modules,
    PathPrefix, Server, StartError, WsConfig,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

const ADD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#;
const THREE: &str = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;
const JSON: &str = "content-type: application/json";

fn foo() -> Module {
    Module::new("foo")
        .method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) })
        .method("length", |text: String| async move { rpc::Result::Ok(text.len()) })
        .method("long", |length: usize| async move { rpc::Result::Ok("x".repeat(length)) })
        .method("whoami", |context: Context| async move {
            rpc::Result::Ok(context.caller().to_string())
        })
        .subscription("ones", || async { rpc::Result::Ok(stream::repeat(1)) })
}

fn config() -> HttpConfig {
    HttpConfig::new("127.0.0.1:0").modules(Modules::only(["foo"]))
}

async fn start(config: HttpConfig) -> (Server, SocketAddr) {
    start_with(config, Limits::default()).await
}

async fn start_with(config: HttpConfig, limits: Limits) -> (Server, SocketAddr) {
    let builder = Server::builder().module(foo()).limits(limits).http(config);
    let server = builder.start().await.expect("it starts");
    let address = server.http_addr().expect("it listens");
    (server, address)
}

/// One request on a connection of its own.
async fn ask(address: SocketAddr, line: &str, headers: &[&str], body: &str) -> Answer {
    soon("an answer", Http::connect(address).await.request(line, headers, body)).await
}

async fn post(address: SocketAddr, body: &str) -> String {
    let answer = soon("an answer", Http::connect(address).await.post(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.body
}

#[tokio::test]
async fn calls_and_batches_are_answered_one_after_the_other_on_a_connection() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;

    for _ in 0..3 {
        let answer = http.post(ADD).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, THREE));
        assert_eq!(answer.header("content-length"), Some("35"));
    }
    let batch = http.post(&format!(r#"[{ADD},{{"method":"foo_add","params":[1,2]}},5]"#)).await;
    let error =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}"#;
    assert_eq!(batch.body, format!("[{THREE},{error}]"));
    server.stop().await;
}

#[tokio::test]
async fn what_has_no_answer_gets_an_empty_one() {
    let (server, address) = start(config()).await;

    for body in [
        r#"{"jsonrpc":"2.0","method":"foo_add","params":[1,2]}"#,
        r#"{"jsonrpc":"2.0","method":"foo_nope"}"#,
        r#"[{"jsonrpc":"2.0","method":"foo_add","params":[1,2]},{"method":"foo_nope"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        " \n",
        "",
    ] {
        assert_eq!(post(address, body).await, "", "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_get_of_nothing_is_a_health_check() {
    let (server, address) = start(config()).await;

    for line in ["GET /", "GET /?"] {
        let answer = ask(address, line, &["host: localhost"], "").await;

        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("content-length"), Some("0"));
    }
    server.stop().await;
}

/// R-01 and the statuses of go-ethereum.
#[tokio::test]
async fn each_request_that_is_refused_gets_its_status_and_is_told_why() {
    let (server, address) = start(config()).await;
    let host = "host: localhost";
    let type_text = "invalid content type, only application/json is supported";

    for (line, headers, body, status, text) in [
        ("PUT /", &[host, JSON][..], ADD, 405, "method not allowed"),
        ("DELETE /", &[host], "", 405, "method not allowed"),
        ("PATCH /", &[host, JSON], ADD, 405, "method not allowed"),
        ("GET /?id=1", &[host], "", 405, "method not allowed"),
        ("GET /", &[host, JSON], ADD, 405, "method not allowed"),
        ("POST /", &[host], ADD, 415, type_text),
        ("POST /", &[host, "content-type: text/plain"], ADD, 415, type_text),
        ("POST /", &[host, "content-type: application/jsonx"], ADD, 415, type_text),
        ("POST /rpc", &[host, JSON], ADD, 404, "404 page not found"),
        ("GET /health", &[host], "", 404, "404 page not found"),
        ("POST /", &["host: evil.example", JSON], ADD, 403, "invalid host specified"),
        ("GET /", &["host: evil.example:8545"], "", 403, "invalid host specified"),
        ("POST /", &[host, host, JSON], ADD, 403, "invalid host specified"),
        ("POST http://evil.example/", &[host, JSON], ADD, 403, "invalid host specified"),
    ] {
        let answer = ask(address, line, headers, body).await;

        assert_eq!((answer.status, answer.body.as_str()), (status, text), "{line} {headers:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
    server.stop().await;
}

#[tokio::test]
async fn content_types_and_hosts_in_every_form_that_clients_send_pass() {
    let (server, address) = start(config().hosts(Hosts::new(["Node"]).expect("hosts"))).await;

    for content_type in [
        "application/json",
        "application/json-rpc",
        "application/jsonrequest",
        "application/json; charset=utf-8",
        "Application/JSON ;x=y",
    ] {
        let content_type = format!("content-type: {content_type}");
        assert_eq!(ask(address, "POST /", &[&content_type], ADD).await.body, THREE);
    }
    for host in ["node", "NODE:80", "127.0.0.1:1", "[::1]", ""] {
        let host = format!("host: {host}");
        assert_eq!(ask(address, "POST /", &[&host, JSON], ADD).await.body, THREE, "{host}");
    }
    assert_eq!(ask(address, "POST http://node:80/", &[JSON], ADD).await.body, THREE);
    assert_eq!(ask(address, "OPTIONS /", &[], "").await.status, 200);
    server.stop().await;
}

/// R-09.
#[tokio::test]
async fn a_body_that_is_no_json_is_a_parse_error_with_status_200() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;
    let expected = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#;

    for body in [
        &b"{"[..],
        b"'f",
        b"{\"id\":1}{\"id\":2}",
        b"{\"id\":1} x",
        b"[1,2,]",
        b"{\"id\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        "[".repeat(129).as_bytes(),
    ] {
        let head = format!("POST / HTTP/1.1\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
        http.write(&[head.as_bytes(), body].concat()).await;
        let answer = http.answer().await.expect("the connection stays open");

        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{body:?}");
    }
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn arrays_within_each_other_may_be_128_deep_and_not_129() {
    let (server, address) = start(config()).await;
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        format!(r#"{{"id":1,"method":"foo_nope","params":[{open}{close}]}}"#)
    };

    assert!(post(address, &nested(128)).await.contains("-32601"));
    assert!(post(address, &nested(129)).await.contains("parse error"));
    server.stop().await;
}

/// R-09.
#[tokio::test]
async fn of_members_with_one_name_the_last_counts_and_an_id_goes_back_as_it_came() {
    let (server, address) = start(config()).await;

    let body =
        r#"{"id":1,"method":"foo_nope","method":"foo_add","params":[],"params":[1,2],"id":1.50}"#;

    assert_eq!(post(address, body).await, r#"{"jsonrpc":"2.0","id":1.50,"result":3}"#);
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_subscriptions_and_no_calls_back_over_http() {
    let (server, address) = start(config()).await;

    for (method, code, text) in [
        (r#""foo_subscribe","params":["ones"]"#, -32_601, "notifications not supported"),
        (r#""foo_unsubscribe","params":["0x1"]"#, -32_000, "subscription not found"),
    ] {
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method}}}"#);
        let expected = json!({"jsonrpc":"2.0","id":1,"error":{"code":code,"message":text}});
        let answer: Value = serde_json::from_str(&post(address, &call).await).expect("JSON");
        let batch: Value =
            serde_json::from_str(&post(address, &format!("[{call}]")).await).expect("JSON");

        assert_eq!(answer, expected);
        assert_eq!(batch, json!([expected]));
    }
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn a_batch_of_1001_and_answers_that_grow_too_large_are_refused() {
    let limits = Limits { batch_response_bytes: 1_000, ..Limits::default() };
    let (server, address) = start_with(config(), limits).await;
    let call = |id: usize| format!(r#"{{"id":{id},"method":"foo_long","params":[600]}}"#);

    let batch = format!("[{}]", (0..1_001).map(call).collect::<Vec<_>>().join(","));
    assert_eq!(
        post(address, &batch).await,
        r#"[{"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"batch too large"}}]"#
    );
    let batch = format!("[{}]", (0..1_000).map(call).collect::<Vec<_>>().join(","));
    let answers: Vec<Value> = serde_json::from_str(&post(address, &batch).await).expect("JSON");
    assert_eq!(answers.len(), 1_000);
    assert!(answers[1]["result"].is_string());
    assert_eq!(answers[2]["error"]["code"], json!(-32_003));
    server.stop().await;
}

/// A call with a text so long that the whole has `length` bytes.
fn call_of(length: usize) -> String {
    let (start, end) = (r#"{"jsonrpc":"2.0","id":1,"method":"foo_length","params":[""#, r#""]}"#);
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
}

const FIVE_MIB: usize = 5 * 1024 * 1024;

/// R-04, T-23.
#[tokio::test]
async fn a_body_of_5_mib_is_served_and_a_byte_more_is_413() {
    let (server, address) = start(config()).await;

    assert!(post(address, &call_of(FIVE_MIB)).await.contains("result"));

    // Refused before it is sent, and while it is.
    for sent in [0, FIVE_MIB + 1] {
        let mut http = Http::connect(address).await;
        http.write(
            format!("POST / HTTP/1.1\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", FIVE_MIB + 1)
                .as_bytes(),
        )
        .await;
        // The server may have hung up in the middle of it.
        let _ = http.0.write_all(&vec![b' '; sent]).await;
        let answer = soon("an answer", http.answer()).await.expect("an answer");

        assert_eq!(answer.status, 413);
        assert_eq!(answer.body, "content length too large (5242881>5242880)");
        assert!(soon("the end", http.is_closed()).await);
    }
    server.stop().await;
}

/// R-04, T-23: the limit holds for a body that does not say how long it is.
#[tokio::test]
async fn a_chunked_body_over_the_limit_is_413_as_soon_as_it_is() {
    let limits = Limits { body_bytes: 10_000, ..Limits::default() };
    let (server, address) = start_with(config(), limits).await;
    let head = format!("POST / HTTP/1.1\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = |bytes: &str| format!("{:x}\r\n{bytes}\r\n", bytes.len());

    let mut http = Http::connect(address).await;
    let call = call_of(10_000);
    let (first, second) = call.split_at(4_000);
    http.write(format!("{head}{}{}0\r\n\r\n", chunk(first), chunk(second)).as_bytes()).await;
    assert!(http.answer().await.expect("an answer").body.contains("result"));

    // Never ends, and yet is answered.
    http.write(format!("{head}{}{}", chunk(&call), chunk("x")).as_bytes()).await;
    let answer = soon("an answer", http.answer()).await.expect("an answer");
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body, "content length too large (10001>10000)");
    server.stop().await;
}

/// R-04, T-23.
#[tokio::test]
async fn a_head_over_16_kib_or_100_headers_is_431_and_the_end() {
    let (server, address) = start(config()).await;
    let long = format!("x: {}", "y".repeat(17 * 1024));
    let fitting = format!("x: {}", "y".repeat(15 * 1024));
    let headers: Vec<_> = (0..101).map(|n| format!("x-{n}: y")).collect();
    let headers: Vec<_> = headers.iter().map(String::as_str).collect();

    for refused in [&[long.as_str()][..], &headers[..]] {
        let mut http = Http::connect(address).await;
        let answer = soon("an answer", http.request("GET /", refused, "")).await;

        assert_eq!(answer.status, 431);
        assert!(soon("the end", http.is_closed()).await);
    }
    for served in [&[fitting.as_str()][..], &headers[..100]] {
        assert_eq!(ask(address, "GET /", served, "").await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_400_and_the_end() {
    let (server, address) = start(config()).await;

    for garbage in ["{\"id\":1}\r\n\r\n", "GET / HTTP/1.1\r\nno header\r\n\r\n", "\x16\x03\x01\r\n"]
    {
        let mut http = Http::connect(address).await;
        http.write(garbage.as_bytes()).await;

        assert_eq!(soon("an answer", http.answer()).await.expect("an answer").status, 400);
        assert!(soon("the end", http.is_closed()).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte_and_several_at_once() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;
    let request =
        format!("POST / HTTP/1.1\r\n{JSON}\r\ncontent-length: {}\r\n\r\n{ADD}", ADD.len());

    for byte in request.as_bytes() {
        http.write(&[*byte]).await;
    }
    assert_eq!(http.answer().await.expect("an answer").body, THREE);
    http.write(request.repeat(5).as_bytes()).await;
    for _ in 0..5 {
        assert_eq!(http.answer().await.expect("an answer").body, THREE);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_may_ask_before_it_sends_its_body() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;

    let length = ADD.len();
    let head = format!(
        "POST / HTTP/1.1\r\n{JSON}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    http.write(head.as_bytes()).await;
    assert_eq!(http.answer().await.expect("leave to go on").status, 100);
    http.write(ADD.as_bytes()).await;

    assert_eq!(http.answer().await.expect("an answer").body, THREE);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_still_gets_its_answer() {
    let gate = Arc::new(Semaphore::new(0));
    let (server, address) = start_waiting(&gate, Limits::default()).await;
    let mut http = Http::connect(address).await;

    http.send("POST /", &[JSON], r#"{"jsonrpc":"2.0","id":1,"method":"foo_wait"}"#).await;
    http.0.shutdown().await.expect("open");
    gate.add_permits(1);

    let answer = soon("an answer", http.answer()).await.expect("an answer");
    assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
    assert!(soon("the end", http.is_closed()).await);
    server.stop().await;
}

#[tokio::test]
async fn an_http_1_0_client_is_served_and_closed() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;

    let length = ADD.len();
    http.write(
        format!("POST / HTTP/1.0\r\n{JSON}\r\ncontent-length: {length}\r\n\r\n{ADD}").as_bytes(),
    )
    .await;

    assert_eq!(http.answer().await.expect("an answer").body, THREE);
    assert!(soon("the end", http.is_closed()).await);
    server.stop().await;
}

#[tokio::test]
async fn a_handler_knows_who_calls() {
    let (server, address) = start(config()).await;
    let mut http = Http::connect(address).await;
    let local = http.0.get_ref().local_addr().expect("an address");

    let answer = http.post(r#"{"id":1,"method":"foo_whoami"}"#).await;

    assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":1,"result":"http {local}"}}"#));
    server.stop().await;
}

#[tokio::test]
async fn only_listed_namespaces_and_allowed_methods_exist() {
    let filter = MethodFilter::new(["foo_add", "foo_who*", "rpc_*"], ["foo_whoami"]);
    let server = Server::builder()
        .modules([foo(), Module::new("bar").method("one", || async { rpc::Result::Ok(1) })])
        .methods(MethodFilter::new([""], ["foo_long"]).expect("a filter"))
        .http(config().methods(filter.expect("a filter")));
    let server = server.start().await.expect("it starts");
    let address = server.http_addr().expect("it listens");

    for (method, exists) in [
        ("foo_add", true),
        ("foo_whoami", false),
        ("foo_long", false),
        ("foo_length", false),
        ("bar_one", false),
    ] {
        let answer = post(address, &format!(r#"{{"id":1,"method":"{method}"}}"#)).await;
        assert_eq!(answer.contains("-32601"), !exists, "{method}: {answer}");
    }
    let listed = post(address, r#"{"id":1,"method":"rpc_modules"}"#).await;
    assert!(listed.ends_with(r#""result":{"foo":"1.0","rpc":"1.0"}}"#), "{listed}");
    server.stop().await;
}

#[tokio::test]
async fn a_prefix_of_the_path_moves_the_door() {
    let path = PathPrefix::new("/rpc").expect("a prefix");
    let (server, address) = start(config().path(path)).await;

    for (path, status) in [("/rpc", 200), ("/rpc/v1", 200), ("/", 404), ("/%72pc", 404)] {
        assert_eq!(ask(address, &format!("POST {path}"), &[JSON], ADD).await.status, status);
    }
    server.stop().await;
}

/// R-01: no page of a browser may read an answer unless its origin is listed.
#[tokio::test]
async fn pages_of_listed_origins_may_read_answers_and_no_others() {
    let origin = "origin: http://app.example";
    let ask_first = [origin, "access-control-request-method: POST"];
    let allow = "access-control-allow-origin";

    let (server, address) = start(config()).await;
    let answer = ask(address, "POST /", &[origin, JSON], ADD).await;
    assert_eq!((answer.status, answer.header(allow)), (200, None));
    assert_eq!(ask(address, "OPTIONS /", &ask_first, "").await.header(allow), None);
    server.stop().await;

    for (origins, expected) in
        [("http://app.example", Some("http://app.example")), ("*", Some("*")), ("http://b", None)]
    {
        let cors = Cors::new([origins]).expect("origins");
        let (server, address) = start(config().cors(cors)).await;
        let asked = [origin, ask_first[1], "access-control-request-headers: content-type, x-y"];
        let preflight = ask(address, "OPTIONS /", &asked, "").await;
        assert_eq!(preflight.status, 200);
        assert_eq!(preflight.header(allow), expected);
        assert_eq!(preflight.header("access-control-allow-methods"), Some("POST,GET"));
        assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type, x-y"));
        assert_eq!(preflight.header("access-control-max-age"), Some("600"));
        let answer = ask(address, "POST /", &[origin, JSON], ADD).await;
        assert_eq!((answer.header(allow), answer.body.as_str()), (expected, THREE));
        // The host counts first.
        let evil =
            ask(address, "OPTIONS /", &["host: evil.example", origin, ask_first[1]], "").await;
        assert_eq!((evil.status, evil.header(allow)), (403, None));
        // A refusal is one behind the layer, too.
        assert_eq!(ask(address, "POST /", &[origin], ADD).await.status, 415);
        server.stop().await;
    }
}

/// R-10.
#[tokio::test]
async fn answers_over_1_kib_are_compressed_if_both_sides_want_it() {
    let gzip = "accept-encoding: gzip";
    let call = |length: usize| format!(r#"{{"id":1,"method":"foo_long","params":[{length}]}}"#);
    let (plain, plain_address) = start(config()).await;
    let (zipped, zipped_address) = start(config().compression(true)).await;

    for (address, headers, length, compressed) in [
        (zipped_address, &[JSON, gzip][..], 2_000, true),
        (zipped_address, &[JSON, gzip], 900, false),
        (zipped_address, &[JSON], 2_000, false),
        (plain_address, &[JSON, gzip], 2_000, false),
    ] {
        let answer = ask(address, "POST /", headers, &call(length)).await;

        let encoding = answer.header("content-encoding");
        assert_eq!(encoding, compressed.then_some("gzip"), "{length} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(compressed || answer.body.len() > length);
    }
    plain.stop().await;
    zipped.stop().await;
}

#[tokio::test]
async fn further_routes_are_on_the_same_port_behind_the_same_check_of_the_host() {
    let routes = Router::new().route("/metrics", get(|| async { "up 1\n" }));
    let (server, address) = start(config().routes(routes)).await;

    let answer = ask(address, "GET /metrics", &["host: localhost"], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "up 1\n"));
    assert_eq!(ask(address, "GET /metrics", &["host: evil.example"], "").await.status, 403);
    assert_eq!(ask(address, "GET /nope", &[], "").await.status, 404);
    assert_eq!(ask(address, "POST /metrics", &[JSON], ADD).await.status, 405);
    assert_eq!(post(address, ADD).await, THREE);
    server.stop().await;
}

#[tokio::test]
async fn a_port_for_routes_alone_answers_no_call() {
    let routes = Router::new().route("/metrics", get(|| async { "up 1\n" }));
    let (server, address) = start(config().routes(routes).routes_only()).await;

    assert_eq!(ask(address, "GET /metrics", &["host: localhost"], "").await.status, 200);
    assert_eq!(ask(address, "GET /metrics", &["host: evil.example"], "").await.status, 403);
    for line in ["POST /", "GET /", "OPTIONS /"] {
        assert_eq!(ask(address, line, &[JSON], ADD).await.status, 404, "{line}");
    }
    server.stop().await;
}

/// A server with `foo_wait`, which lasts until the semaphore has a permit for it.
async fn start_waiting(gate: &Arc<Semaphore>, limits: Limits) -> (Server, SocketAddr) {
    let gate = Arc::clone(gate);
    let wait = move || {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("never closed").forget();
            rpc::Result::Ok(())
        }
    };
    let module = foo().method("wait", wait);
    let builder = Server::builder().module(module).limits(limits).http(config());
    let server = builder.start().await.expect("it starts");
    let address = server.http_addr().expect("it listens");
    (server, address)
}

/// R-05: go-ethereum's client opens hundreds of connections, and takes a closed one for an error.
#[tokio::test]
async fn connections_beyond_the_limit_wait_and_are_served() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits { http_connections: 2, ..Limits::default() };
    let (server, address) = start_waiting(&gate, limits).await;
    let answered = AtomicUsize::new(0);

    let calls = (0..50).map(|_| async {
        let mut http = Http::connect(address).await;
        let answer = http.post(r#"{"jsonrpc":"2.0","id":1,"method":"foo_wait"}"#).await;
        assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
        answered.fetch_add(1, Ordering::SeqCst);
    });
    let opened = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(answered.load(Ordering::SeqCst), 0);
        gate.add_permits(50);
    };
    soon("all answers", async { tokio::join!(join_all(calls), opened) }).await;

    assert_eq!(answered.load(Ordering::SeqCst), 50);
    server.stop().await;
}

/// R-05.
#[tokio::test]
async fn who_idles_gives_way_to_who_comes() {
    let limits = Limits { http_connections: 2, ..Limits::default() };
    let (server, address) = start_with(config(), limits).await;
    let mut first = Http::connect(address).await;
    first.post(ADD).await;
    let mut second = Http::connect(address).await;
    second.post(ADD).await;
    first.post(ADD).await;

    let mut third = Http::connect(address).await;
    let answer = soon("an answer", third.post(ADD)).await;

    assert_eq!(answer.body, THREE);
    assert!(soon("the end of who has idled longest", second.is_closed()).await);
    assert_eq!(first.post(ADD).await.body, THREE);
    server.stop().await;
}

#[tokio::test]
async fn connections_may_be_many_and_short() {
    let (server, address) = start(config()).await;

    stream::iter(0..500)
        .for_each_concurrent(20, |_| async { assert_eq!(post(address, ADD).await, THREE) })
        .await;
    // Those who connect and leave, and those who leave in the middle.
    for text in ["", "POST / HT", "POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n{"] {
        for _ in 0..50 {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            socket.write_all(text.as_bytes()).await.expect("open");
        }
    }
    assert_eq!(post(address, ADD).await, THREE);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_closes_its_connections_and_its_port() {
    let gate = Arc::new(Semaphore::new(0));
    let (server, address) = start_waiting(&gate, Limits::default()).await;
    let mut idle = Http::connect(address).await;
    idle.post(ADD).await;
    let mut half = TcpStream::connect(address).await.expect("it listens");
    half.write_all(b"POST / HTT").await.expect("open");
    let mut busy = Http::connect(address).await;
    busy.send("POST /", &[JSON], r#"{"id":1,"method":"foo_wait"}"#).await;

    tokio::time::timeout(Duration::from_millis(2_500), server.stop()).await.expect("in time");

    assert!(idle.is_closed().await && busy.is_closed().await);
    assert_eq!(half.read(&mut [0; 100]).await.unwrap_or(0), 0);
    TcpListener::bind(address).await.expect("the port is free");
}

#[tokio::test]
async fn a_server_that_does_not_start_leaves_nothing_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken_address = taken.local_addr().expect("an address").to_string();
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free_address = free.local_addr().expect("an address").to_string();
    drop(free);
    let path = folder.path().join("rpc.ipc");

    let builder = Server::builder()
        .ipc(&path)
        .http(HttpConfig::new(&free_address))
        .ws(WsConfig::new(&taken_address));
    let error = builder.start().await.expect_err("the second port is taken");

    let text = error.to_string();
    assert!(text.starts_with(&format!("ws: cannot listen on {taken_address}: ")), "{text}");
    assert!(matches!(error, StartError::Listen { endpoint: "ws", .. }));
    assert!(!path.exists());
    TcpListener::bind(free_address).await.expect("the port is free");
}

#[tokio::test]
async fn a_server_listens_nowhere_unless_it_is_told_to() {
    let server = Server::builder().module(foo()).start().await.expect("it starts");

    assert_eq!((server.http_addr(), server.ws_addr(), server.auth_addr()), (None, None, None));
    assert_eq!(server.ipc_path(), None);
    server.stop().await;
}

#[tokio::test]
async fn times_may_be_set() {
    let timeouts = HttpTimeouts { idle: Duration::from_secs(1), ..HttpTimeouts::default() };
    let (server, address) = start(config().timeouts(timeouts)).await;
    let mut http = Http::connect(address).await;
    http.post(ADD).await;

    assert!(soon("the end of who idles", http.is_closed()).await);
    server.stop().await;
}

/// A client that others wrote.
#[tokio::test]
async fn the_http_client_of_jsonrpsee_is_served() {
    use jsonrpsee::core::client::{BatchResponse, ClientT as _, Error};
    use jsonrpsee::core::params::BatchRequestBuilder;

    let (server, address) = start(config()).await;
    let client = jsonrpsee_http_client::HttpClient::builder();
    let client = client.build(format!("http://{address}")).expect("a client");

    let sum: i64 = client.request("foo_add", (1, 2)).await.expect("an answer");
    assert_eq!(sum, 3);
    let error = client.request::<Value, _>("foo_nope", [0; 0]).await.expect_err("no method");
    let Error::Call(error) = error else { panic!("not from the server: {error}") };
    assert_eq!(error.code(), -32_601);
    assert_eq!(error.message(), "the method foo_nope does not exist/is not available");
    client.notification("foo_add", (1, 2)).await.expect("it is taken");
    let mut batch = BatchRequestBuilder::new();
    for n in 0..100 {
        batch.insert("foo_add", (n, 1)).expect("numbers");
    }
    let answers: BatchResponse<'_, i64> = client.batch_request(batch).await.expect("answers");
    let answers: Vec<_> = answers.ok().expect("no errors").copied().collect();
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
    let calls = (0..200).map(|n: i64| client.request::<i64, _>("foo_add", (n, n)));
    for (n, sum) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(sum.expect("an answer"), 2 * i64::try_from(n).expect("small"));
    }
    server.stop().await;
}
