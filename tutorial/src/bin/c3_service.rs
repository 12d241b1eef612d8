//! C3: a service of your own, and who may call it by which way.
//!
//! New here: a service with two namespaces; HTTP and WebSocket, each with a list of its own.
//! Run: `cargo run --bin c3_service`

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rpc::{Client, HttpConfig, Module, Modules, WsConfig, code};
use service_node::Service;
use tutorial::{error_of, post, refused, say, within};

// ANCHOR: service
/// A service that knows a number.
struct FooService {
    value: i64,
}

/// The method `foo_getNumber`.
async fn get_number(service: Arc<FooService>) -> rpc::Result<i64> {
    Ok(service.value)
}

/// The method `bar_double`, which needs no service.
async fn double(n: i64) -> Result<i64, &'static str> {
    n.checked_mul(2).ok_or("too large")
}
// ANCHOR_END: service

// ANCHOR: apis
impl Service for FooService {
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![
            Module::new("foo").method_of(self, "getNumber", get_number),
            Module::new("bar").method("double", double),
        ]
    }
}
// ANCHOR_END: apis

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    let folder = tempfile::tempdir()?;
    let http = Modules::only(["net", "web3", "foo", "bar"]);
    let ws = Modules::only(["net", "web3", "foo", "baz"]); // there is no `baz`
    let socket = tutorial::socket_in(folder.path());
    let node = tutorial::node("one")
        .data_dir(folder.path())
        .ipc(&socket)
        .service(|_| FooService { value: 42 })
        .http(HttpConfig::new("127.0.0.1:0").modules(http))
        .ws(WsConfig::new("127.0.0.1:0").modules(ws))
        .build()?;
    within("the start", node.start()).await??;
    // ANCHOR_END: start

    // ANCHOR: call
    let ipc = Client::connect(&socket).await?;
    let http_addr = node.http_addr().context("no HTTP")?;
    let http = Client::connect(format!("http://{http_addr}")).await?;
    let ws_addr = node.ws_addr().context("no WebSocket")?;
    let ws = Client::connect(format!("ws://{ws_addr}")).await?;

    let number = number_from(&ipc).await?;
    say!("one", "IPC", getnumber = number);
    let doubled: i64 = within("an answer", ipc.call("bar_double", (number,))).await??;
    say!("one", "IPC", double = doubled);
    ensure!((number, doubled) == (42, 84), "wrong by IPC");

    let number = number_from(&http).await?;
    say!("one", "HTTP", getnumber = number);
    let doubled: i64 = within("an answer", http.call("bar_double", (number,))).await??;
    say!("one", "HTTP", double = doubled);
    ensure!((number, doubled) == (42, 84), "wrong by HTTP");
    // ANCHOR_END: call

    // ANCHOR: refused
    let number = number_from(&ws).await?;
    say!("one", "WS", getnumber = number);
    ensure!(number == 42, "wrong by WebSocket");
    let error = error_of(&ws, "bar_double", (number,)).await?;
    say!("one", "WS (double expected fail)", code = error.code(), error = error.message());
    ensure!(error.code() == code::METHOD_NOT_FOUND, "refused, but for another reason");
    // ANCHOR_END: refused

    // ANCHOR: modules
    // What each way in has to offer, in its own words.
    for (way, client) in [("IPC", &ipc), ("HTTP", &http), ("WS", &ws)] {
        let call = client.call("rpc_modules", ());
        let modules: BTreeMap<String, String> = within("an answer", call).await??;
        let names: Vec<_> = modules.into_keys().collect();
        say!("one", "modules", way = way, names = names);
        ensure!(names.iter().any(|name| name == "bar") == (way != "WS"), "`bar` over {way}");
        ensure!(names.iter().any(|name| name == "admin") == (way == "IPC"), "`admin` over {way}");
    }
    // ANCHOR_END: modules

    // ANCHOR: http
    // HTTP is asked by every browser. What looks like a web page's request does not come through.
    for (host, content_type, expected) in [
        ("localhost", "application/json", 200),
        ("evil.example", "application/json", 403),
        ("localhost", "text/plain", 415),
    ] {
        let status = post(http_addr, host, content_type, "foo_getNumber").await?;
        say!("one", "HTTP request", host = host, "content type" = content_type, status = status);
        ensure!(status == expected, "{host}, {content_type}: {status}");
    }
    // One request, one answer: nothing can come later.
    let error = refused(&http, "foo_subscribe", ("anything",)).await?;
    ensure!(error.message() == "notifications not supported", "a subscription over HTTP");
    // ANCHOR_END: http

    within("the stop", node.stop()).await??;
    Ok(())
}

async fn number_from(client: &Client) -> anyhow::Result<i64> {
    Ok(within("an answer", client.call("foo_getNumber", ())).await??)
}
