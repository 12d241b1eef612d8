//! The habits of three clients that were written years ago and are still out there.
//!
//! Stand-in methods, but the frames are theirs: what they send, how they read, and what they take out of
//! the answers.
//!
//! Source: nolash/pss-cli, nolash/weechat-pss, nolash/pss-js.

mod common;

use std::net::SocketAddr;

use common::soon;
use futures_util::{StreamExt as _, stream};
use rpc::{AnyBytes, Bytes, Module, Modules, Origins, Server, WsConfig};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What those clients call of a node with pss: each method answers with what it understood.
fn pss() -> Module {
    Module::new("pss")
        .method("baseAddr", || async { rpc::Result::Ok(Bytes(vec![0xaa; 32])) })
        .method("getPublicKey", || async { rpc::Result::Ok(Bytes(vec![4; 65])) })
        .method("stringToTopic", |text: String| async move {
            rpc::Result::Ok(Bytes(text.bytes().take(4).collect()))
        })
        .method("setPeerPublicKey", |key: Bytes, topic: String, address: Bytes| async move {
            rpc::Result::Ok(json!([key.len(), topic, address.len()]))
        })
        .method(
            "setSymmetricKey",
            |key: AnyBytes, topic: String, address: AnyBytes, decrypts: bool| async move {
                rpc::Result::Ok(json!([key, topic, address, decrypts]))
            },
        )
        .method("sendAsym", |key: String, topic: String, message: Bytes| async move {
            rpc::Result::Ok(json!([key, topic, String::from_utf8_lossy(&message)]))
        })
        .method("sendSym", |key: String, topic: String, message: AnyBytes| async move {
            rpc::Result::Ok(json!([key, topic, String::from_utf8_lossy(&message)]))
        })
        .subscription(
            "receive",
            |topic: String, raw: Option<bool>, proximate: Option<bool>| async move {
                let flags = [raw.unwrap_or_default(), proximate.unwrap_or_default()];
                let message = json!({"Msg":"0x666f6f","Key":"0x0404","Topic":topic,"flags":flags});
                rpc::Result::Ok(stream::iter([message]).chain(stream::pending()))
            },
        )
}

async fn start(origins: Origins) -> (Server, SocketAddr) {
    let config = WsConfig::new("127.0.0.1:0").modules(Modules::only(["pss"])).origins(origins);
    let server = Server::builder().module(pss()).ws(config).start().await.expect("it starts");
    let address = server.ws_addr().expect("it listens");
    (server, address)
}

/// A WebSocket without a library, which takes what comes in small pieces.
struct OldClient {
    socket: TcpStream,
    received: Vec<u8>,
}

impl OldClient {
    /// Connects with these headers beside those that an upgrade takes; the second half is the head of
    /// the answer.
    async fn connect(address: SocketAddr, headers: &[&str]) -> (Self, String) {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        let mut request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        );
        for header in headers {
            request += &format!("{header}\r\n");
        }
        socket.write_all(format!("{request}\r\n").as_bytes()).await.expect("open");
        let mut client = Self { socket, received: Vec::new() };
        let head = loop {
            let text = String::from_utf8_lossy(&client.received);
            if let Some(at) = text.find("\r\n\r\n") {
                let head = text[..at].to_ascii_lowercase();
                client.received.drain(..at + 4);
                break head;
            }
            client.read().await;
        };
        (client, head)
    }

    async fn read(&mut self) {
        let mut part = [0; 128];
        let read = soon("a piece", self.socket.read(&mut part)).await.expect("open");
        assert!(read > 0, "the connection is open");
        self.received.extend_from_slice(&part[..read]);
    }

    async fn send(&mut self, text: &str) {
        let mask = [1, 2, 3, 4];
        let length = u16::try_from(text.len()).expect("short").to_be_bytes();
        let mut frame = match text.len() {
            ..126 => vec![0x81, 0x80 | length[1]],
            _ => vec![0x81, 0x80 | 126, length[0], length[1]],
        };
        frame.extend_from_slice(&mask);
        frame.extend(text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.socket.write_all(&frame).await.expect("the connection is open");
    }

    /// The next message, which must be one frame of text.
    async fn receive(&mut self) -> Value {
        let message = loop {
            let (start, length) = match self.received[..] {
                [0x81, 126, high, low, ..] => (4, u16::from_be_bytes([high, low]).into()),
                [0x81, 127, ..] => panic!("nothing is that long here"),
                [0x81, length @ ..=125, ..] => (2, usize::from(length)),
                [first, ..] if first != 0x81 => panic!("no frame of text: {first:x}"),
                _ => (2, usize::MAX - 2),
            };
            if self.received.len() >= start + length {
                break self.received.drain(..start + length).skip(start).collect::<Vec<_>>();
            }
            self.read().await;
        };
        serde_json::from_slice(&message).expect("one JSON value")
    }

    async fn call(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.receive().await
    }
}

/// It asks for a protocol by habit, sends a bare host as its origin, leaves `params` out and reads 128
/// bytes at a time.
#[tokio::test]
async fn pss_cli() {
    let (server, address) = start(Origins::any()).await;
    let habits = ["Sec-WebSocket-Protocol: pss", "Origin: 127.0.0.1"];
    let (mut client, head) = OldClient::connect(address, &habits).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");

    let base = client.call(r#"{"jsonrpc":"2.0","id":1,"method":"pss_baseAddr"}"#).await;
    assert_eq!(base["result"], json!(format!("0x{}", "aa".repeat(32))));
    let key = client.call(r#"{"jsonrpc":"2.0","id":2,"method":"pss_getPublicKey"}"#).await;
    let key = key["result"].as_str().expect("a key");
    assert_eq!(key.len(), 132);
    // Without an address it sends none: two digits less than a byte.
    let peer = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"pss_setPeerPublicKey","params":["{key}","0xdeadbee2","0x"]}}"#
    );
    assert_eq!(client.call(&peer).await["result"], json!([65, "0xdeadbee2", 0]));
    server.stop().await;
}

#[tokio::test]
async fn the_bare_host_of_pss_cli_is_no_origin_that_passes_by_default() {
    let (server, address) = start(Origins::default()).await;

    let (_, head) = OldClient::connect(address, &["Origin: localhost"]).await;

    assert!(head.starts_with("http/1.1 403 "), "{head}");
    server.stop().await;
}

/// It misspells the version, counts from 0 and does not wait for one answer before the next call.
#[tokio::test]
async fn weechat_pss() {
    let (server, address) = start(Origins::default()).await;
    let (mut client, _) = OldClient::connect(address, &[]).await;

    for call in [
        r#"{"json-rpc":"2.0","id":0,"method":"pss_baseAddr","params":[]}"#,
        r#"{"json-rpc":"2.0","id":1,"method":"pss_getPublicKey","params":[]}"#,
        r#"{"json-rpc":"2.0","id":2,"method":"pss_subscribe","params":["receive","0xdeadbee2",false,false]}"#,
        r#"{"json-rpc":"2.0","id":3,"method":"pss_setPeerPublicKey","params":["0x04","0xdeadbee2","0x"]}"#,
        r#"{"json-rpc":"2.0","id":4,"method":"pss_sendAsym","params":["0x04","0xdeadbee2","0x666f6f"]}"#,
    ] {
        client.send(call).await;
    }

    let mut answers = vec![Value::Null; 5];
    let mut values = Vec::new();
    for _ in 0..6 {
        let message = client.receive().await;
        assert_eq!(message["jsonrpc"], json!("2.0"));
        match message["id"].as_u64() {
            Some(id) => answers[usize::try_from(id).expect("small")] = message["result"].clone(),
            None => {
                assert!(answers[2].is_string(), "no value comes before its id");
                values.push(message);
            }
        }
    }
    assert!(answers[0].is_string() && answers[1].is_string());
    assert_eq!(answers[3], json!([1, "0xdeadbee2", 0]));
    assert_eq!(answers[4], json!(["0x04", "0xdeadbee2", "foo"]));
    let [value] = &values[..] else { panic!("one value: {values:?}") };
    assert_eq!(value["method"], json!("pss_subscription"));
    assert_eq!(value["params"]["subscription"], answers[2]);
    assert_eq!(value["params"]["result"]["Msg"], json!("0x666f6f"));
    assert_eq!(value["params"]["result"]["Key"], json!("0x0404"));
    server.stop().await;
}

/// A page from a file: its origin is `null`, its parameters too, and bytes are arrays of numbers.
#[tokio::test]
async fn pss_js() {
    let (server, address) = start(Origins::any()).await;
    let (mut client, head) = OldClient::connect(address, &["Origin: null"]).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");

    for (call, expected) in [
        (r#""method":"pss_baseAddr","params":null"#, json!(format!("0x{}", "aa".repeat(32)))),
        (r#""method":"pss_getPublicKey","params":null"#, json!(format!("0x{}", "04".repeat(65)))),
        (r#""method":"pss_stringToTopic","params":["foo:42"]"#, json!("0x666f6f3a")),
        // Addresses cut to 32, 4, 1 and 0 bytes.
        (
            r#""method":"pss_setPeerPublicKey","params":["0x04","0x666f6f3a","0xaaaaaaaa"]"#,
            json!([1, "0x666f6f3a", 4]),
        ),
        (
            r#""method":"pss_setPeerPublicKey","params":["0x04","0x666f6f3a","0x"]"#,
            json!([1, "0x666f6f3a", 0]),
        ),
        (
            r#""method":"pss_setSymmetricKey","params":[[1,2,255],"0x666f6f3a",[170,187],true]"#,
            json!(["0x0102ff", "0x666f6f3a", "0xaabb", true]),
        ),
        (
            r#""method":"pss_sendSym","params":["k","0x666f6f3a",[102,111,111]]"#,
            json!(["k", "0x666f6f3a", "foo"]),
        ),
        (
            r#""method":"pss_sendAsym","params":["0x04","0x666f6f3a","0x626172"]"#,
            json!(["0x04", "0x666f6f3a", "bar"]),
        ),
    ] {
        let answer = client.call(&format!(r#"{{"jsonrpc":"2.0","id":7,{call}}}"#)).await;

        assert_eq!(answer, json!({"jsonrpc":"2.0","id":7,"result":expected}), "{call}");
    }
    // Two arguments where today's pss takes four.
    let subscribe =
        r#"{"jsonrpc":"2.0","id":8,"method":"pss_subscribe","params":["receive","0x666f6f3a"]}"#;
    let id = client.call(subscribe).await["result"].clone();
    let value = client.receive().await;
    assert_eq!(value["params"]["subscription"], id);
    assert_eq!(value["params"]["result"]["flags"], json!([false, false]));
    server.stop().await;
}
