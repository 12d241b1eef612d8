//! What input costs while it comes, counted at the allocator (T-23).
//!
//! The counter is the whole process's, so this file has one test, and its clients send from a buffer
//! that was there before.

mod common;

use std::net::SocketAddr;

use common::{http::Http, soon};
use rpc::{HttpConfig, Module, Modules, Server, WsConfig};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const MIB: usize = 1 << 20;

/// What is allowed beside twice the input, in bytes: buffers of connections, and of the client.
const SLACK: usize = MIB;

#[tokio::test]
async fn input_costs_twice_its_size_at_most() {
    let foo = Module::new("foo")
        .method("length", |text: String| async move { rpc::Result::Ok(text.len()) });
    let http = HttpConfig::new("127.0.0.1:0").modules(Modules::all());
    let ws = WsConfig::with_http().modules(Modules::all());
    let server = Server::builder().module(foo).http(http).ws(ws);
    let server = server.start().await.expect("it starts");
    let address = server.http_addr().expect("it listens");
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"foo_length","params":["{}"]}}"#,
        "x".repeat(32 * MIB)
    );
    let start = text.len() - 32 * MIB;

    // The text of a call with a string that takes `size` in all: its start and its end.
    for (what, size) in [("a body", 5 * MIB), ("a body", 3 * MIB + 7), ("a message", 32 * MIB)] {
        let (head, tail) = (&text.as_bytes()[..size - 3], &text.as_bytes()[text.len() - 3..]);
        let profiler = dhat::Profiler::builder().testing().build();
        let answer = match what {
            "a body" => post(address, &[head, tail]).await,
            _ => send(address, &[head, tail]).await,
        };
        let peak = dhat::HeapStats::get().max_bytes;
        drop(profiler);

        assert!(answer.contains(&format!(r#""result":{}"#, size - start)), "{answer}");
        assert!(peak <= 2 * size + SLACK, "{what} of {size} bytes took {peak}");
    }
    server.stop().await;
}

async fn post(address: SocketAddr, parts: &[&[u8]]) -> String {
    let mut http = Http::connect(address).await;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let head = format!(
        "POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    http.write(head.as_bytes()).await;
    for part in parts {
        http.write(part).await;
    }
    soon("an answer", http.answer()).await.expect("an answer").body
}

async fn send(address: SocketAddr, parts: &[&[u8]]) -> String {
    let mut http = Http::connect(address).await;
    let upgrade = [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    assert_eq!(http.request("GET /", &upgrade, "").await.status, 101);
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let socket: &mut TcpStream = http.0.get_mut();
    // Masked with zeros, so that the text can be sent as it is.
    let mut head = vec![0x81, 0x80 | 127];
    head.extend_from_slice(&u64::try_from(length).expect("a length").to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    socket.write_all(&head).await.expect("open");
    for part in parts {
        socket.write_all(part).await.expect("open");
    }
    let mut answer = vec![0; 1_000];
    let read = soon("an answer", tokio::io::AsyncReadExt::read(socket, &mut answer)).await;
    answer.truncate(read.expect("open"));
    String::from_utf8_lossy(&answer).into_owned()
}
