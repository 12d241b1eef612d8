//! C3: a service of one's own, and who may ask it what.
//!
//! New here: the service, two namespaces, and a list of what each door offers.
//! Run: `cargo run --bin c3_service`

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rpc::{Client, HttpConfig, Module, Modules, WsConfig, code};
use serde_json::Value;
use service_node::Service;
use tutorial::{http_status, refused, say, value, within};

// ANCHOR: service
/// A service with a number in it. It talks to nobody, and has nothing to start or stop.
struct Answer {
    number: u64,
}

impl Answer {
    async fn get_number(self: Arc<Self>) -> rpc::Result<u64> {
        Ok(self.number)
    }

    async fn double(self: Arc<Self>, n: u64) -> rpc::Result<u64> {
        Ok(n * 2)
    }
}

impl Service for Answer {
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![
            Module::new("foo").method_of(self, "getNumber", Self::get_number),
            Module::new("bar").method_of(self, "double", Self::double),
        ]
    }
}
// ANCHOR_END: service

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();
    let folder = tempfile::tempdir()?;

    // ANCHOR: node
    // Each of the doors on the network has a list. There is no `baz`, which is no error.
    let http = Modules::only(["net", "web3", "foo", "bar"]);
    let ws = Modules::only(["net", "web3", "foo", "baz"]);
    let node = tutorial::node("one")
        .data_dir(folder.path())
        .http(HttpConfig::new("127.0.0.1:0").modules(http))
        .ws(WsConfig::new("127.0.0.1:0").modules(ws))
        .service(|_| Answer { number: 42 })
        .build()?;
    node.start().await?;
    // ANCHOR_END: node

    // ANCHOR: clients
    let ipc = Client::connect(node.ipc_path().context("no socket")?).await?;
    let http_addr = node.http_addr().context("no port for HTTP")?;
    let http = Client::connect(format!("http://{http_addr}")).await?;
    let ws_addr = node.ws_addr().context("no port for WebSocket")?;
    let ws = Client::connect(format!("ws://{ws_addr}")).await?;
    // ANCHOR_END: clients

    // ANCHOR: calls
    for (door, client) in [("IPC", &ipc), ("HTTP", &http)] {
        let number: u64 = within("an answer", client.call("foo_getNumber", ())).await??;
        say(None, door, vec![("getnumber", value(&number))]);
        let double: u64 = within("an answer", client.call("bar_double", (number,))).await??;
        say(None, door, vec![("double", value(&double))]);
        ensure!((number, double) == (42, 84), "wrong numbers over {door}");
    }
    let number: u64 = within("an answer", ws.call("foo_getNumber", ())).await??;
    say!("WS", getnumber = number);
    ensure!(number == 42, "a wrong number over WS");
    // ANCHOR_END: calls

    // ANCHOR: refused
    // `bar` is not in the list of this door. For a caller it does not exist.
    let Err(rpc::ClientError::Call(error)) =
        within("a refusal", ws.call::<u64>("bar_double", (42,))).await?
    else {
        anyhow::bail!("bar_double was not refused over WS");
    };
    say!("WS (double expected fail)", code = error.code(), error = error.message());
    ensure!(error.code() == code::METHOD_NOT_FOUND, "refused for another reason");
    // ANCHOR_END: refused

    // ANCHOR: modules
    for (door, client) in [("IPC", &ipc), ("HTTP", &http), ("WS", &ws)] {
        let modules: Value = within("an answer", client.call("rpc_modules", ())).await??;
        let names: Vec<_> = modules.as_object().context("no object")?.keys().collect();
        say!("modules", door = door, modules = names);
        ensure!(modules.get("bar").is_some() == (door != "WS"), "the list of {door} is not kept");
    }
    // ANCHOR_END: modules

    // ANCHOR: http
    // What a web page could make a browser send: under a name of its own, or as plain text.
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"foo_getNumber"}"#;
    for (host, content_type, expected) in [
        ("localhost", "application/json", 200),
        ("evil.example", "application/json", 403),
        ("localhost", "text/plain", 415),
    ] {
        let status = http_status(http_addr, host, content_type, call).await?;
        say!("HTTP request", host = host, "content type" = content_type, status = status);
        ensure!(status == expected, "want status {expected}");
    }
    // One question, one answer: there is nothing to send a notification on.
    let error = refused(&http, "foo_subscribe", ("numbers",)).await?;
    ensure!(error.message() == "notifications not supported", "refused for another reason");
    // ANCHOR_END: http

    node.stop().await?;
    Ok(())
}
