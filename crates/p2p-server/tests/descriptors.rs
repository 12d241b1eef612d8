//! Real sockets that are opened and left: the process has as many descriptors afterwards as before.
//!
//! The counter is the whole process's, so this file has one test.

#![cfg(unix)]

mod hostile;

use std::time::Duration;

use enode::SecretKey;
use hostile::{EMPTY, FOO, Hostile, foo, idle, tasks};
use p2p_server::{Server, Tcp, Transport as _};
use tokio::{net::TcpStream, time::timeout};

const SOON: Duration = Duration::from_secs(20);

/// T-08, T-09: visits of every kind and length.
#[tokio::test]
async fn visits_leave_no_descriptor_and_no_task() {
    let builder = Server::builder(SecretKey::random()).listen("127.0.0.1:0").max_peers(20);
    let server = builder.protocol(foo(idle)).start().await.expect("starts");
    let addr = server.listen_addr().expect("listening");
    // One of each first, so that what is opened once is there.
    visit(&server, 0).await;
    settled(&server, usize::MAX).await;
    let (descriptors, tasks_before) = (descriptors(), tasks());

    for number in 0..300 {
        let silent = TcpStream::connect(addr).await.expect("open");
        if number % 2 == 0 {
            silent.set_zero_linger().expect("a socket");
        }
        drop(silent);
    }
    for number in 0..150 {
        visit(&server, number).await;
    }
    settled(&server, tasks_before).await;

    assert_eq!(self::descriptors(), descriptors);
    assert_eq!(tasks(), tasks_before);
    server.stop().await;
}

async fn visit(server: &Server, number: usize) {
    let link = Tcp.dial(server.listen_addr().expect("listening")).await.expect("open");
    let mut peer = Hostile::over(link, server, SecretKey::random()).await.expect("handshake");
    if number.is_multiple_of(4) {
        return;
    }
    peer.greet(&["foo"]).await;
    if number % 4 == 1 {
        // A breach, whose reason is waited for.
        peer.send(FOO + 4, EMPTY).await.expect("open");
        timeout(SOON, peer.reason()).await.expect("in time");
    }
}

/// Waits until all visitors have gone and their tasks with them.
async fn settled(server: &Server, baseline: usize) {
    let settled = async {
        // The listener and the scheduler are always there.
        while server.peer_count() > 0 || tasks() > baseline.min(2) {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, settled).await.expect("settles");
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/dev/fd").expect("a list of descriptors").count()
}
