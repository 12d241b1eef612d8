//! Over a pipe in memory, with a clock that jumps.

use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::{Caller, TransportKind, api::Api, link::encode_params, transport};

/// A running connection: its link, its task, and the server's end.
struct Running {
    link: Arc<Link>,
    task: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    server: WebSocketStream<DuplexStream>,
}

async fn start() -> Running {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let socket = WebSocketStream::from_raw_socket(Counted::new(ours), Role::Client, None).await;
    let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let link = Arc::new(Link::new(Caller::new(TransportKind::Ws, None), true, true));
    let (api, limits) = (Arc::new(Api::nothing()), transport::client_limits());
    let session = Session::new(Arc::clone(&link), api, limits, true);
    let stop = CancellationToken::new();
    let run = run(socket, session, Arc::clone(&link), ScanLimits::default(), stop.clone());
    Running { link, task: tokio::spawn(run), stop, server }
}

/// A call's outcome, when the connection has ended.
async fn reason(running: &Running) -> String {
    let waiting = running.link.call("foo_x", &()).expect("it is open");
    match waiting.await {
        Err(reason) => ClientError::from(reason).to_string(),
        Ok(answer) => panic!("answered: {answer}"),
    }
}

const PIPE: usize = 16 * 1024;

#[tokio::test(start_paused = true)]
async fn a_ping_is_sent_after_30_s_without_writing_and_another_30_s_later() {
    let mut running = start().await;
    let began = Instant::now();

    for round in 1..=3 {
        let frame = running.server.next().await.expect("a frame").expect("a ping");
        assert_eq!(frame, Message::Ping(Bytes::new()));
        assert_eq!(began.elapsed().as_secs(), 30 * round);
        // The pong leaves with the next read.
    }
    running.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn whoever_writes_needs_no_ping() {
    let mut running = start().await;

    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(20)).await;
        running.link.notify("foo_x", None).expect("it is open");
        let frame = running.server.next().await.expect("a frame").expect("a call");
        assert!(matches!(frame, Message::Text(_)), "{frame:?}");
    }
    running.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_a_ping_within_30_s_is_gone() {
    let running = start().await;
    let began = Instant::now();

    let reason = reason(&running).await;

    assert_eq!(reason, "connection closed: no answer to a ping within 30 s");
    assert_eq!(began.elapsed().as_secs(), 60);
    running.task.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_in_the_middle_of_a_message_is_there() {
    let running = start().await;
    let mut pipe = running.server.into_inner();
    use tokio::io::AsyncWriteExt as _;

    // A text of 5 bytes, one every 50 s: many times as long as a pong may take.
    pipe.write_all(b"\x81\x05").await.expect("it is open");
    for letter in b"[5, 5" {
        tokio::time::advance(Duration::from_secs(25)).await;
        assert!(!running.link.is_closed());
        pipe.write_all(&[*letter]).await.expect("it is open");
        tokio::time::advance(Duration::from_secs(25)).await;
    }
    running.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_for_10_s_is_gone() {
    let running = start().await;
    let began = Instant::now();
    let params = encode_params(&("x".repeat(4 * PIPE),)).expect("a tuple");

    let waiting = running.link.call_encoded("foo_x", params.as_deref()).expect("it is open");
    let outcome = waiting.await.expect_err("nobody reads");

    let reason = ClientError::from(outcome).to_string();
    assert_eq!(reason, "connection closed: nothing was read for 10 s");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_large_call_leaves_as_fast_as_the_server_reads() {
    let mut running = start().await;
    let params = encode_params(&("x".repeat(100 * PIPE),)).expect("a tuple");

    running.link.notify("foo_x", params.as_deref()).expect("it is open");

    let frame = running.server.next().await.expect("a frame").expect("a text");
    assert!(frame.len() > 100 * PIPE);
    running.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_what_the_server_never_takes_was_not_sent() {
    let running = start().await;
    let params = encode_params(&("x".repeat(4 * PIPE),)).expect("a tuple");
    let first = running.link.call_encoded("foo_x", params.as_deref()).expect("it is open");
    // Until the pipe is full.
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::task::yield_now().await;
    let second = running.link.call("foo_y", &()).expect("it is open");
    drop(running.server);

    let outcome = first.await.expect_err("the server has left");
    assert!(matches!(outcome, crate::link::NoAnswer::Failed(_)), "{outcome:?}");
    let outcome = second.await.expect_err("the server has left");
    assert!(matches!(outcome, crate::link::NoAnswer::Unsent(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_closes_and_waits_for_the_server_to_do_so() {
    let mut running = start().await;
    running.link.notify("foo_last", None).expect("it is open");
    running.stop.cancel();

    let last = running.server.next().await.expect("a frame").expect("a text");
    assert!(last.to_text().expect("text").contains("foo_last"));
    let close = running.server.next().await.expect("a frame").expect("a close");
    let Message::Close(Some(frame)) = close else { panic!("{close:?}") };
    assert_eq!(frame.code, CloseCode::Normal);
    assert!(running.server.next().await.is_none());
    running.task.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_goodbye_is_left_after_a_second() {
    let running = start().await;
    let began = Instant::now();
    running.stop.cancel();

    running.task.await.expect("no panic");

    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
}
