//! The listener for authenticated namespaces: no token, no answer (R-02, R-03, R-04, T-25).

mod common;

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{
    http::{Answer, Http},
    soon,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rpc::{
    AuthConfig, Client, Hosts, HttpConfig, JwtSecret, Limits, MethodFilter, Module, Modules,
    Origins, Server, WsConfig,
};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

const SECRET: [u8; 32] = [7; 32];
const JSON: &str = "content-type: application/json";
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"engine_ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#;

fn engine() -> Module {
    let engine = Module::new("engine").authenticated();
    engine.method("ping", || async { rpc::Result::Ok("pong") })
}

fn open() -> Module {
    Module::new("open").method("ping", || async { rpc::Result::Ok("pong") })
}

fn config() -> AuthConfig {
    AuthConfig::new("127.0.0.1:0", JwtSecret::from_bytes(&SECRET))
}

async fn start(config: AuthConfig) -> (Server, SocketAddr) {
    let builder = Server::builder().modules([engine(), open()]).auth(config);
    let server = builder.start().await.expect("it starts");
    let address = server.auth_addr().expect("it listens");
    (server, address)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn good() -> String {
    format!("authorization: Bearer {}", JwtSecret::from_bytes(&SECRET).token(now()))
}

/// A token as somebody with the secret would make it, were the algorithm his choice.
fn token(algorithm: &str, claims: &Value) -> String {
    let encode = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg":algorithm,"typ":"JWT"})), encode(claims));
    let signature = match algorithm {
        "none" => Vec::new(),
        "HS512" => {
            let mac = Hmac::<Sha512>::new_from_slice(&SECRET).expect("a key");
            mac.chain_update(&signed).finalize().into_bytes().to_vec()
        }
        _ => {
            let mac = Hmac::<Sha256>::new_from_slice(&SECRET).expect("a key");
            mac.chain_update(&signed).finalize().into_bytes().to_vec()
        }
    };
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

async fn post(address: SocketAddr, headers: &[&str], body: &str) -> Answer {
    let headers = [headers, &[JSON]].concat();
    soon("an answer", Http::connect(address).await.request("POST /", &headers, body)).await
}

async fn upgrade(address: SocketAddr, headers: &[&str]) -> Answer {
    let upgrade = [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let headers = [headers, &upgrade].concat();
    soon("an answer", Http::connect(address).await.request("GET /", &headers, "")).await
}

/// T-25: algorithm × time × headers, with the exact status and reason of each, over both transports.
#[tokio::test]
async fn only_one_fresh_token_of_the_one_algorithm_opens_the_door() {
    let (server, address) = start(config()).await;
    // The clock may move on by a second until the token is looked at; that 60 s is the limit to the
    // second is shown where it is checked.
    let times = [("now", Some(0_i64)), ("old", Some(-61)), ("early", Some(62)), ("absent", None)];

    for algorithm in ["HS256", "none", "HS512", "RS256"] {
        for (name, skew) in times {
            for headers in [1, 2] {
                let iat = skew.map(|skew| now().checked_add_signed(skew).expect("a time"));
                let claims = iat.map_or_else(|| json!({}), |iat| json!({"iat":iat}));
                let header = format!("authorization: Bearer {}", token(algorithm, &claims));
                let sent = vec![header.as_str(); headers];

                let expected = match (headers, algorithm, name) {
                    (2, ..) => (401, "more than one authorization header".to_owned()),
                    (_, "HS256", "now") => (200, PONG.to_owned()),
                    (_, "HS256", "old") => (401, "stale token".to_owned()),
                    (_, "HS256", "early") => (401, "future token".to_owned()),
                    (_, "HS256", _) => (401, "missing issued-at".to_owned()),
                    _ => (401, format!("signing method {algorithm} is invalid")),
                };
                let what = format!("{algorithm} {name} {headers}");
                let answer = post(address, &sent, PING).await;
                assert_eq!((answer.status, answer.body), expected, "{what}");
                let answer = upgrade(address, &sent).await;
                let expected = match expected {
                    (200, _) => (101, String::new()),
                    refused => refused,
                };
                assert_eq!((answer.status, answer.body), expected, "{what}");
            }
        }
    }
    server.stop().await;
}

/// R-03.
#[tokio::test]
async fn other_ways_to_have_no_token_are_told_apart() {
    let (server, address) = start(config()).await;
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let expired = token("HS256", &json!({"iat":now(),"exp":now() - 1}));
    let forged = JwtSecret::from_bytes(&[8; 32]).token(now());

    for (header, text) in [
        ("x: y".to_owned(), "missing token"),
        ("authorization: Basic eA==".to_owned(), "missing token"),
        (bearer("x"), "token contains an invalid number of segments"),
        (bearer(&expired), "token is expired"),
        (bearer(&forged), "signature is invalid"),
        (bearer(&"x".repeat(5_000)), "token of 5000 bytes is over the limit of 4096"),
    ] {
        for answer in [post(address, &[&header], PING).await, upgrade(address, &[&header]).await] {
            assert_eq!((answer.status, answer.body.as_str()), (401, text), "{header}");
        }
    }
    // Nor is there a health check for strangers.
    let mut http = Http::connect(address).await;
    assert_eq!(http.request("GET /", &[], "").await.status, 401);
    server.stop().await;
}

/// T-25: the host and the origin are asked before the token is.
#[tokio::test]
async fn a_token_does_not_help_a_page_of_a_foreign_origin() {
    let config = config()
        .hosts(Hosts::new(["localhost", "node.example"]).expect("hosts"))
        .origins(Origins::new(["http://localhost"]).expect("origins"));
    let (server, address) = start(config).await;
    let token = good();

    for (host, origin, http, ws) in [
        ("localhost", None, 200, 101),
        ("localhost", Some("http://localhost:80"), 200, 101),
        ("node.example:8551", None, 200, 101),
        ("127.0.0.1", None, 200, 101),
        ("localhost", Some("http://evil.example"), 200, 403),
        ("localhost", Some("null"), 200, 403),
        ("evil.example", None, 403, 403),
        ("evil.example", Some("http://localhost"), 403, 403),
    ] {
        let host = format!("host: {host}");
        let origin = origin.map(|origin| format!("origin: {origin}"));
        let mut headers = vec![host.as_str(), token.as_str()];
        headers.extend(origin.as_deref());

        assert_eq!(post(address, &headers, PING).await.status, http, "{headers:?}");
        assert_eq!(upgrade(address, &headers).await.status, ws, "{headers:?}");
        headers.remove(1);
        let refused = post(address, &headers, PING).await.status;
        assert_eq!(refused, if http == 200 { 401 } else { 403 }, "{headers:?}");
    }
    server.stop().await;
}

/// R-02.
#[tokio::test]
async fn authenticated_modules_are_offered_here_in_process_and_over_ipc_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let builder = Server::builder()
        .modules([engine(), open()])
        .auth(config())
        .http(HttpConfig::new("127.0.0.1:0").modules(Modules::all()))
        .ws(WsConfig::with_http().modules(Modules::only(["engine", "open"])));
    let builder = if cfg!(unix) { builder.ipc(&path) } else { builder };
    let server = builder.start().await.expect("it starts");
    let calls = r#"[{"id":1,"method":"engine_ping"},{"id":2,"method":"open_ping"}]"#;
    let missing = "the method engine_ping does not exist/is not available";

    // Over HTTP, listed or not, with a token or without.
    let address = server.http_addr().expect("it listens");
    for headers in [&[][..], &[good().as_str()]] {
        let answers: Value =
            serde_json::from_str(&post(address, headers, calls).await.body).expect("JSON");
        assert_eq!(answers[0]["error"]["message"], json!(missing));
        assert_eq!(answers[1]["result"], json!("pong"));
    }
    // Over WebSocket.
    let mut wire = common::wire::Wire::open(&server, common::wire::Transport::Ws).await;
    wire.send(calls).await;
    let answers = soon("answers", wire.receive()).await.expect("open");
    let answers: Value = serde_json::from_str(&answers).expect("JSON");
    assert_eq!(answers[0]["error"]["message"], json!(missing));
    // With a token, and the modules that are marked only.
    let address = server.auth_addr().expect("it listens");
    let answers: Value =
        serde_json::from_str(&post(address, &[&good()], calls).await.body).expect("JSON");
    assert_eq!(answers[0]["result"], json!("pong"));
    assert_eq!(answers[1]["error"]["code"], json!(-32_601));
    // In process and over IPC.
    let mut clients = vec![server.attach()];
    if cfg!(unix) {
        clients.push(Client::connect(path.to_str().expect("UTF-8")).await.expect("it answers"));
    }
    for client in clients {
        assert_eq!(client.call::<String>("engine_ping", ()).await.expect("an answer"), "pong");
    }
    server.stop().await;
}

#[tokio::test]
async fn modules_and_methods_can_be_chosen_here_too() {
    let config = config()
        .modules(Modules::only(["open", "engine"]))
        .methods(MethodFilter::new([""], ["engine_ping"]).expect("a filter"));
    let (server, address) = start(config).await;

    let calls = r#"[{"id":1,"method":"engine_ping"},{"id":2,"method":"open_ping"}]"#;
    let answers: Value =
        serde_json::from_str(&post(address, &[&good()], calls).await.body).expect("JSON");

    assert_eq!(answers[0]["error"]["code"], json!(-32_601));
    assert_eq!(answers[1]["result"], json!("pong"));
    server.stop().await;
}

/// R-04: larger than elsewhere, and not the server's.
#[tokio::test]
async fn the_limits_are_those_of_this_listener() {
    let limits = AuthConfig::default_limits();
    assert_eq!(limits.body_bytes, 128 * 1024 * 1024);
    assert_eq!((limits.batch_items, limits.batch_response_bytes), (2_000, 250_000_000));
    let small = Limits { body_bytes: 100, batch_items: 1, ..Limits::default() };
    let builder = Server::builder().module(engine()).limits(small).auth(config());
    let server = builder.start().await.expect("it starts");
    let address = server.auth_addr().expect("it listens");

    for (items, served) in [(2_000, true), (2_001, false)] {
        let batch = format!("[{}]", vec![PING; items].join(","));
        let answer = post(address, &[&good()], &batch).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.contains("batch too large"), !served, "{items}");
    }
    // Answers are never compressed here.
    let batch = format!("[{}]", vec![PING; 100].join(","));
    let answer = post(address, &[&good(), "accept-encoding: gzip"], &batch).await;
    assert_eq!(answer.header("content-encoding"), None);
    let length = limits.body_bytes + 1;
    let mut http = Http::connect(address).await;
    http.write(
        format!("POST / HTTP/1.1\r\n{JSON}\r\n{}\r\ncontent-length: {length}\r\n\r\n", good())
            .as_bytes(),
    )
    .await;
    let answer = soon("an answer", http.answer()).await.expect("an answer");
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body, "content length too large (134217729>134217728)");
    server.stop().await;
}
