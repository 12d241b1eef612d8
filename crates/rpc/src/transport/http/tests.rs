//! The clocks of a connection, and its end, in memory and on paused time.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{Limits, Module, api::Access, transport};

/// A connection in memory, served by a task.
struct Client {
    socket: DuplexStream,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

fn endpoint(timeouts: HttpTimeouts) -> Arc<Endpoint> {
    let foo = Module::new("foo")
        .method("add", |a: i64, b: i64| async move { crate::Result::Ok(a + b) })
        .method("long", || async { crate::Result::Ok("x".repeat(1 << 20)) })
        .method("never", std::future::pending::<crate::Result<()>>);
    let limits = Limits { call_timeout: Some(timeouts.call()), ..Limits::default() };
    Arc::new(Endpoint {
        http: Some(HttpEndpoint {
            api: Arc::new(Api::new(&[foo], &Access::everything(), Arc::default())),
            limits: Arc::new(transport::session_limits(&limits)),
            hosts: Hosts::default(),
            path: PathPrefix::default(),
            body_bytes: limits.body_bytes,
            scan: ScanLimits::from(&limits),
            layers: None,
            routes: None,
            routes_only: false,
        }),
        ws: None,
        token: None,
        timeouts,
        connections: 1,
    })
}

fn connect() -> Client {
    let endpoint = endpoint(HttpTimeouts::default());
    let (socket, theirs) = tokio::io::duplex(16 * 1024);
    let stop = CancellationToken::new();
    let activity = Arc::new(Activity::new(endpoint.timeouts, CancellationToken::new()));
    let run = connection::run(theirs, None, endpoint, activity, None, stop.clone());
    Client { socket, task: tokio::spawn(run), stop }
}

impl Client {
    async fn write(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.expect("the connection is open");
    }

    async fn call(&mut self, method: &str) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
        self.write(&head(body.len())).await;
        self.write(&body).await;
    }

    /// What came when nothing more does, or the end.
    async fn read(&mut self) -> String {
        let mut all = Vec::new();
        let mut part = vec![0; 4096];
        while let Ok(Ok(read @ 1..)) =
            tokio::time::timeout(Duration::from_millis(1), self.socket.read(&mut part)).await
        {
            all.extend_from_slice(&part[..read]);
        }
        String::from_utf8(all).expect("text")
    }

    /// How long it takes until the connection is closed, and what came before.
    async fn closed_after(mut self) -> (Duration, String) {
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = self.socket.read_to_end(&mut rest).await;
        let after = start.elapsed();
        drop(self.socket);
        self.task.await.expect("the task ends");
        (after, String::from_utf8(rest).expect("text"))
    }
}

/// Lets the clock run on.
async fn pass(time: Duration) {
    // tidy: paused clock
    tokio::time::sleep(time).await;
}

fn head(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn assert_about(got: Duration, expected_seconds: f64) {
    let off = (got.as_secs_f64() - expected_seconds).abs();
    assert!(off < 0.1, "{got:?} instead of {expected_seconds} s");
}

/// R-04.
#[tokio::test(start_paused = true)]
async fn a_head_must_be_there_30_s_after_its_first_byte_however_it_trickles_in() {
    let mut client = connect();
    let trickle = async {
        for byte in head(0).bytes().cycle() {
            if client.socket.write_all(&[byte]).await.is_err() {
                break;
            }
            pass(Duration::from_secs(1)).await;
        }
    };

    let start = Instant::now();
    trickle.await;

    // It is noticed with the byte after.
    assert_about(start.elapsed(), 31.0);
    client.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_is_closed_after_30_s() {
    let (after, text) = connect().closed_after().await;

    assert_about(after, 30.0);
    assert_eq!(text, "");
}

#[tokio::test(start_paused = true)]
async fn between_two_requests_a_connection_may_idle_for_120_s() {
    let mut client = connect();
    for _ in 0..3 {
        client.call("foo_nope").await;
        assert!(client.read().await.contains("200 OK"));
        pass(Duration::from_secs(119)).await;
    }
    client.call("foo_nope").await;
    assert!(client.read().await.contains("200 OK"));

    let (after, _) = client.closed_after().await;

    assert_about(after, 120.0);
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_second_request_has_30_s_too() {
    let mut client = connect();
    client.call("foo_nope").await;
    client.read().await;
    pass(Duration::from_secs(60)).await;
    client.write("POST / HTTP/1.1\r\n").await;

    let (after, _) = client.closed_after().await;

    assert_about(after, 30.0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_there_after_30_s_is_a_read_timeout() {
    let mut client = connect();
    client.write(&head(100)).await;
    pass(Duration::from_secs(29)).await;
    client.write("{").await;

    let (after, answer) = client.closed_after().await;

    assert_about(after, 1.0);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(r#""error":{"code":-32700,"message":"read timeout"}"#), "{answer}");
}

/// R-06.
#[tokio::test(start_paused = true)]
async fn a_call_is_over_100_ms_before_the_time_to_write_its_answer_is() {
    let mut client = connect();
    let start = Instant::now();
    client.call("foo_never").await;

    let mut first = [0; 15];
    client.socket.read_exact(&mut first).await.expect("an answer");

    assert_about(start.elapsed(), 29.9);
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let answer = client.read().await;
    assert!(answer.contains(r#""error":{"code":-32002,"message":"request timed out"}"#));
    // The connection is as good as before.
    client.call("foo_nope").await;
    assert!(client.read().await.contains("-32601"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_for_30_s_is_closed() {
    let mut client = connect();
    client.call("foo_long").await;
    let start = Instant::now();

    client.task.await.expect("the task ends");

    assert_about(start.elapsed(), 30.0);
}

/// Sipping is not reading: 30 s each for less than 4 KiB.
#[tokio::test(start_paused = true)]
async fn a_client_that_sips_is_closed_and_one_that_drinks_is_not() {
    for (sip, stays) in [(100, false), (6 * 1024, true)] {
        let mut client = connect();
        client.call("foo_long").await;
        let mut part = vec![0; sip];
        for _ in 0..20 {
            pass(Duration::from_secs(10)).await;
            client.socket.read_exact(&mut part).await.expect("enough is there");
        }

        let ended = client.task.now_or_never().is_some();

        assert_eq!(!ended, stays, "{sip} bytes in 10 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_waits_a_second_for_a_call_and_not_at_all_for_who_idles() {
    for (asked, expected) in
        [(None, 0.0), (Some("foo_nope"), 0.0), (Some("foo_never"), 1.0), (Some("foo_long"), 1.0)]
    {
        let mut client = connect();
        if let Some(method) = asked {
            client.call(method).await;
            pass(Duration::from_millis(1)).await;
        }
        if asked == Some("foo_nope") {
            client.read().await;
        }
        let start = Instant::now();
        client.stop.cancel();

        client.task.await.expect("the task ends");

        assert_about(start.elapsed(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_through_in_time_is_answered_by_a_server_that_stops() {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let wait = move || -> BoxFuture<'static, crate::Result<&str>> {
        let gone = gone.lock().expect("a lock").take();
        Box::pin(async move {
            if let Some(gone) = gone {
                let _ = gone.await;
            }
            Ok("in time")
        })
    };
    let mut endpoint = endpoint(HttpTimeouts::default());
    let modules = [Module::new("foo").method("wait", wait)];
    let api = Arc::new(Api::new(&modules, &Access::everything(), Arc::default()));
    let http = Arc::get_mut(&mut endpoint).and_then(|endpoint| endpoint.http.as_mut());
    http.expect("it serves HTTP").api = api;
    let (socket, theirs) = tokio::io::duplex(16 * 1024);
    let stop = CancellationToken::new();
    let activity = Arc::new(Activity::new(endpoint.timeouts, CancellationToken::new()));
    let run = connection::run(theirs, None, endpoint, activity, None, stop.clone());
    let mut client = Client { socket, task: tokio::spawn(run), stop };
    client.call("foo_wait").await;
    pass(Duration::from_millis(1)).await;

    client.stop.cancel();
    pass(Duration::from_millis(900)).await;
    go.send(()).expect("it waits");
    let (_, answer) = client.closed_after().await;

    assert!(answer.contains("in time") && answer.contains("connection: close"), "{answer}");
}
