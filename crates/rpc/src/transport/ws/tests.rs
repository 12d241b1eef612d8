//! Frames, clocks and the ends of a WebSocket, in memory and on paused time.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, DuplexStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tungstenite::Utf8Bytes;

use super::*;
use crate::{
    Hosts, Limits, Module, Origins, PathPrefix,
    api::{Access, Api},
};

type Ws = WebSocketStream<DuplexStream>;

/// A WebSocket in memory, served by a task.
struct Server {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

fn endpoint(limits: &Limits) -> WsEndpoint {
    let foo = Module::new("foo")
        .method("add", |a: i64, b: i64| async move { crate::Result::Ok(a + b) })
        .method("long", |length: usize| async move { crate::Result::Ok("x".repeat(length)) })
        .method("never", std::future::pending::<crate::Result<()>>)
        .subscription("ones", || async { crate::Result::Ok(stream::repeat("1".repeat(1_000))) });
    WsEndpoint {
        api: Arc::new(Api::new(&[foo], &Access::everything(), Arc::default())),
        limits: Arc::new(crate::transport::session_limits(limits)),
        hosts: Hosts::default(),
        origins: Origins::default(),
        path: PathPrefix::default(),
        scan: limits.into(),
        places: Arc::new(Semaphore::new(1)),
    }
}

/// The raw socket, for those who do not speak the protocol.
fn serve(limits: &Limits, read: &[u8]) -> (DuplexStream, Server) {
    let endpoint = endpoint(limits);
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let stop = CancellationToken::new();
    let (read, stopped) = (Bytes::copy_from_slice(read), stop.clone());
    let run = async move { run(theirs, read, &endpoint, None, stopped).await };
    (ours, Server { task: tokio::spawn(run), stop })
}

async fn connect() -> (Ws, Server) {
    let (socket, server) = serve(&Limits::default(), b"");
    (WebSocketStream::from_raw_socket(socket, Role::Client, None).await, server)
}

/// Lets the clock run on.
async fn pass(time: Duration) {
    // tidy: paused clock
    tokio::time::sleep(time).await;
}

async fn send(ws: &mut Ws, text: impl Into<Utf8Bytes>) {
    ws.send(Message::text(text)).await.expect("the connection is open");
}

async fn text(ws: &mut Ws) -> String {
    match ws.next().await {
        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
        other => panic!("no text: {other:?}"),
    }
}

/// The code that the connection is closed with.
async fn close_code(ws: &mut Ws) -> CloseCode {
    loop {
        match ws.next().await {
            Some(Ok(Message::Close(Some(frame)))) => break frame.code,
            Some(Ok(_)) => {}
            other => panic!("no frame that closes: {other:?}"),
        }
    }
}

#[tokio::test]
async fn text_and_binary_messages_are_answered_in_text() {
    let (mut ws, server) = connect().await;
    let call = r#" {"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]} "#;
    let expected = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;

    send(&mut ws, call).await;
    assert_eq!(text(&mut ws).await, expected);
    ws.send(Message::binary(call)).await.expect("open");
    assert_eq!(text(&mut ws).await, expected);

    ws.close(None).await.expect("open");
    assert!(matches!(ws.next().await, Some(Ok(Message::Close(_)))));
    drop(ws);
    server.task.await.expect("the task ends");
}

#[tokio::test]
async fn what_came_with_the_request_for_the_upgrade_is_not_lost() {
    // A masked frame with the text `5`.
    let (socket, _server) = serve(&Limits::default(), &[0x81, 0x81, 1, 2, 3, 4, b'5' ^ 1]);
    let mut ws = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;

    assert!(text(&mut ws).await.contains("invalid request"));
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message() {
    let (mut ws, _server) = connect().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#;
    let last = call.len() - 1;
    for (at, byte) in call.bytes().enumerate() {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![byte], OpCode::Data(kind), at == last);
        ws.send(Message::Frame(frame)).await.expect("open");
        ws.send(Message::Ping(Bytes::new())).await.expect("open");
    }

    let answer = loop {
        match ws.next().await.expect("open").expect("open") {
            Message::Text(text) => break text,
            Message::Pong(_) => {}
            other => panic!("neither text nor pong: {other:?}"),
        }
    };

    assert_eq!(answer.as_str(), r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
}

#[tokio::test]
async fn an_answer_longer_than_a_frame_is_still_one_message() {
    let (mut ws, _server) = connect().await;

    for length in [MAX_FRAME - 100, MAX_FRAME, 3 * MAX_FRAME, 10 * MAX_FRAME + 1] {
        send(&mut ws, format!(r#"{{"id":1,"method":"foo_long","params":[{length}]}}"#)).await;
        let answer = text(&mut ws).await;

        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(length));
        assert!(answer == expected, "{length} bytes");
    }
}

#[tokio::test]
async fn what_is_no_json_is_answered_and_then_the_connection_closed() {
    for (message, code) in [
        (Message::text("{"), CloseCode::Normal),
        (Message::text(""), CloseCode::Normal),
        (Message::text(r#"{"id":1} {"id":2}"#), CloseCode::Normal),
        (Message::text("[".repeat(129)), CloseCode::Normal),
        (Message::binary(&b"{\"id\":\"\xff\"}"[..]), CloseCode::Normal),
        (
            Message::Frame(Frame::message(&b"\"\xff\""[..], OpCode::Data(Data::Text), true)),
            CloseCode::Invalid,
        ),
    ] {
        let (mut ws, server) = connect().await;
        ws.send(message.clone()).await.expect("open");

        let answer = text(&mut ws).await;
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"#));
        assert_eq!(close_code(&mut ws).await, code, "{message:?}");
        drop(ws);
        server.task.await.expect("the task ends");
    }
}

/// R-04, T-23, with a smaller limit.
#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009_before_it_has_come() {
    let limits = Limits { message_bytes: 1_000, ..Limits::default() };
    // A frame that says how long it is, and one behind others.
    for parts in [vec![1_001], vec![600, 401]] {
        let (socket, server) = serve(&limits, b"");
        let mut ws = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;
        for (at, length) in parts.iter().enumerate() {
            let kind = if at == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(vec![b' '; *length], OpCode::Data(kind), false);
            ws.send(Message::Frame(frame)).await.expect("open");
        }

        assert_eq!(close_code(&mut ws).await, CloseCode::Size, "{parts:?}");
        drop(ws);
        server.task.await.expect("the task ends");
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_with_1002() {
    use tokio::io::AsyncWriteExt as _;
    for (bytes, what) in [
        (&[0x81, 0x01, b'5'][..], "not masked"),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'5'], "a reserved bit"),
        (&[0x83, 0x81, 0, 0, 0, 0, b'5'], "a reserved kind"),
        (&[0x80, 0x81, 0, 0, 0, 0, b'5'], "a continuation of nothing"),
        (&[0x09, 0x80, 0, 0, 0, 0], "a ping in fragments"),
    ] {
        let (mut socket, server) = serve(&Limits::default(), b"");
        socket.write_all(bytes).await.expect("open");
        let mut ws = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;

        assert_eq!(close_code(&mut ws).await, CloseCode::Protocol, "{what}");
        drop(ws);
        server.task.await.expect("the task ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_half_without_a_word_is_gone() {
    use tokio::io::AsyncWriteExt as _;
    let (mut ws, server) = connect().await;
    send(&mut ws, r#"{"id":1,"method":"foo_never"}"#).await;
    ws.get_mut().shutdown().await.expect("open");

    server.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn after_30_s_without_a_write_it_pings_and_hangs_up_30_s_later() {
    let (mut ws, server) = connect().await;
    let start = Instant::now();
    // What is received is no write.
    pass(Duration::from_secs(20)).await;
    send(&mut ws, r#"{"method":"foo_add"}"#).await;

    assert!(matches!(ws.next().await, Some(Ok(Message::Ping(_)))));
    assert_eq!(start.elapsed().as_secs(), 30);
    // The answer to the ping stays in the buffer.
    server.task.await.expect("the task ends");

    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_may_be_silent_for_ever() {
    let (mut ws, server) = connect().await;

    for _ in 0..100 {
        assert!(matches!(ws.next().await, Some(Ok(Message::Ping(_)))));
        ws.flush().await.expect("open");
    }

    assert!(server.task.now_or_never().is_none());
}

/// There is no place for a pong within a frame.
#[tokio::test(start_paused = true)]
async fn a_client_in_the_middle_of_a_long_message_is_not_silent() {
    use tokio::io::AsyncWriteExt as _;
    let (mut socket, server) = serve(&Limits::default(), b"");
    // A masked frame with 20 bytes of text.
    socket.write_all(&[0x81, 0x80 | 20, 0, 0, 0, 0]).await.expect("open");
    for _ in 0..19 {
        pass(Duration::from_secs(25)).await;
        socket.write_all(b" ").await.expect("open");
    }
    socket.write_all(b"5").await.expect("open");

    let mut ws = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;
    loop {
        match ws.next().await.expect("open").expect("open") {
            Message::Text(text) => break assert!(text.contains("invalid request"), "{text}"),
            Message::Ping(_) => {}
            other => panic!("neither text nor ping: {other:?}"),
        }
    }
    drop(ws);
    server.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_is_written_is_not_pinged() {
    let (mut ws, _server) = connect().await;

    for _ in 0..10 {
        pass(Duration::from_secs(29)).await;
        send(&mut ws, r#"{"id":1,"method":"foo_add","params":[1,2]}"#).await;
        text(&mut ws).await;
    }
}

/// R-05.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_for_10_s_or_sips_is_closed() {
    for (sip, stays) in [(0, false), (100, false), (6 * 1024, true)] {
        let (mut ws, server) = connect().await;
        send(&mut ws, r#"{"id":1,"method":"foo_subscribe","params":["ones"]}"#).await;
        let mut part = vec![0; sip];
        for _ in 0..20 {
            pass(Duration::from_secs(5)).await;
            if ws.get_mut().read_exact(&mut part).await.is_err() {
                break;
            }
        }

        assert_eq!(server.task.now_or_never().is_none(), stays, "{sip} bytes in 5 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_1001_and_waits_for_nobody_who_does_not_read() {
    let (mut ws, server) = connect().await;
    send(&mut ws, r#"{"id":1,"method":"foo_never"}"#).await;
    server.stop.cancel();
    assert_eq!(close_code(&mut ws).await, CloseCode::Away);
    drop(ws);
    server.task.await.expect("the task ends");

    let (mut ws, server) = connect().await;
    send(&mut ws, r#"{"id":1,"method":"foo_subscribe","params":["ones"]}"#).await;
    pass(Duration::from_millis(1)).await;
    let start = Instant::now();
    server.stop.cancel();
    server.task.await.expect("the task ends");
    assert!(start.elapsed() <= Duration::from_millis(1_600), "{:?}", start.elapsed());
    drop(ws);
}

/// 1 byte at a time, in both directions.
#[tokio::test(start_paused = true)]
async fn frames_may_come_and_go_byte_by_byte() {
    let endpoint = endpoint(&Limits::default());
    let (ours, theirs) = tokio::io::duplex(1);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task =
        tokio::spawn(async move { run(theirs, Bytes::new(), &endpoint, None, stopped).await });
    let mut ws = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;

    send(&mut ws, r#"{"jsonrpc":"2.0","id":"xyz","method":"foo_long","params":[300]}"#).await;

    assert!(text(&mut ws).await.contains(&"x".repeat(300)));
    stop.cancel();
    drop(ws);
    task.await.expect("the task ends");
}
