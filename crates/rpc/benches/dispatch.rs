//! What the server makes of bytes: calls in, answers out, over a pipe in memory. And the client on
//! the same pipe.
//!
//! `cargo bench -p rpc --bench dispatch`

#![expect(missing_docs, reason = "the macros of criterion write functions without")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::fmt::Write as _;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpc::{Limits, Module, Server};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::{Builder, Runtime},
};

criterion_group!(benches, server, both);
criterion_main!(benches);

/// Requests as they come in one read, and how many calls they are.
fn requests() -> [(&'static str, usize, String); 7] {
    let calls = |separator: &str, call: &str| vec![call; 64].join(separator);
    let add = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#;
    let mut batch = String::from("[");
    for id in 0..1_000 {
        let comma = if id == 0 { "" } else { "," };
        let call = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"foo_add","params":[1,2]}}"#);
        write!(batch, "{comma}{call}").unwrap();
    }
    batch.push(']');
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"foo_length","params":["0x{}"]}}"#,
        "5a".repeat(64 << 10)
    );
    [
        ("one call", 1, add.to_owned()),
        ("64 calls", 64, calls("\n", add)),
        ("64 calls that wait", 64, calls("\n", &add.replace("add", "later"))),
        ("64 errors", 64, calls("\n", &add.replace("add", "nope"))),
        ("batch of 64", 64, format!("[{}]", calls(",", add))),
        ("batch of 1,000", 1_000, batch),
        ("128 KiB of hex", 1, large),
    ]
}

fn server(c: &mut Criterion) {
    let mut group = c.benchmark_group("server");
    let runtime = runtime();
    for (name, calls, request) in requests() {
        let (mut pipe, _server) = runtime.block_on(open());
        let request = request + "\n";
        let length = runtime.block_on(answer(&mut pipe, request.as_bytes(), calls));
        let mut answer = vec![0; length];
        group.throughput(Throughput::Elements(calls as u64));

        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    pipe.write_all(request.as_bytes()).await.unwrap();
                    pipe.read_exact(&mut answer).await.unwrap();
                });
            });
        });
    }
}

fn both(c: &mut Criterion) {
    let mut group = c.benchmark_group("client and server");
    let runtime = runtime();
    let client = runtime.block_on(async {
        let server = Server::builder().module(module()).start().await.unwrap();
        let client = server.attach();
        (client, server)
    });
    let client = &client.0;
    group.bench_function("one call", |b| {
        b.iter(|| {
            runtime.block_on(async { client.call::<i64>("foo_add", (1, 2)).await.unwrap() });
        });
    });
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("batch of 1,000", |b| {
        b.iter(|| {
            let mut batch = client.batch();
            for number in 0..1_000 {
                batch = batch.call("foo_add", (number, 1));
            }
            let answers = runtime.block_on(batch.send()).unwrap();
            assert_eq!(answers.last().unwrap().as_deref().map(RawValue::get).ok(), Some("1000"));
        });
    });
}

/// A server and a caller's end of a pipe to it.
async fn open() -> (DuplexStream, Server) {
    let limits = Limits::default();
    let server = Server::builder().module(module()).limits(limits).start().await.unwrap();
    let (near, far) = tokio::io::duplex(1 << 20);
    server.serve_stream(far);
    (near, server)
}

fn module() -> Module {
    Module::new("foo")
        .method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) })
        .method("later", |a: i64, b: i64| async move {
            tokio::task::yield_now().await;
            rpc::Result::Ok(a + b)
        })
        .method("length", |bytes: rpc::Bytes| async move { rpc::Result::Ok(bytes.len()) })
}

/// Sends a request once, and says how many bytes the answer has.
async fn answer(pipe: &mut DuplexStream, request: &[u8], calls: usize) -> usize {
    pipe.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let count = |answer: &[u8]| answer.windows(5).filter(|window| window == b"\"id\":").count();
    while !answer.ends_with(b"\n") || count(&answer) < calls {
        pipe.read_buf(&mut answer).await.unwrap();
    }
    answer.len()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
