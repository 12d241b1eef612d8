//! Peers that are slow, silent or stuck: who waits for whom, how long, and what is said at the end.

mod hostile;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hostile::{
    EMPTY, FOO, HELLO, Hostile, NEIGHBOUR, PING, PONG, deaf, dropped, foo, idle, noise, pass,
    server, tasks,
};
use p2p_server::{DisconnectReason, Peer, Server, test_utils::Net};
use tokio::{
    io::AsyncWriteExt as _,
    sync::Notify,
    time::{Instant, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

/// L-03, section 24 row 23: silence for 30 s is a read timeout, and is told as one. Pings do not help
/// who does not answer them.
#[tokio::test(start_paused = true)]
async fn silence_for_thirty_seconds_is_a_read_timeout() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut events = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let start = Instant::now();

    let reason = peer.reason().await;

    assert_eq!(reason, Some(DisconnectReason::ReadTimeout));
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(peer.writer);
    let id = peer.key.public_key().node_id();
    assert_eq!(dropped(&mut events, id).await, "read timeout");
    server.stop().await;
}

/// Section 5.2: who answers pings stays.
#[tokio::test(start_paused = true)]
async fn who_answers_pings_stays() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    let ended = peer.behave(SECOND * 3_600).await;

    assert!(!ended);
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// T-10: fifty peers whose packets vanish without a word are each noticed within 45 s.
#[tokio::test(start_paused = true)]
async fn fifty_peers_that_vanish_are_noticed_within_45_seconds() {
    let net = Net::new(1);
    let hub = net.server("hub").max_peers(100).dial_ratio(2).protocol(foo(idle));
    let hub = hub.start().await.expect("starts");
    let mut others = Vec::new();
    for _ in 0..50 {
        let other = server(&net).await;
        net.connect(&other, &hub).await.expect("connects");
        others.push(other);
    }
    pass(SECOND * 7).await;

    for other in &others {
        net.half_open(other, &hub);
    }

    let gone = || hub.peer_count() == 0 && others.iter().all(|other| other.peer_count() == 0);
    net.drive_until(SECOND * 45, "all have noticed", gone).await.expect("noticed");
}

/// L-03: once a header was sent, a KiB a second is asked for: a byte a second ends it after ten.
#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_the_session() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let frame = peer.frame(FOO, &[0; 100_000]);
    let start = Instant::now();
    peer.write(&frame[..32]).await.expect("open");

    let mut took = None;
    for byte in frame[32..].chunks(1).take(30) {
        if peer.writer.write_all(byte).await.is_err() || server.peer_count() == 0 {
            took = Some(start.elapsed());
            break;
        }
        pass(SECOND).await;
    }

    assert!(took.is_some_and(|took| (10..14).contains(&took.as_secs())), "{took:?}");
    assert_eq!(peer.reason().await, Some(DisconnectReason::ReadTimeout));
    server.stop().await;
}

/// L-03: a frame at a little over a KiB a second is slow and legal, even if it takes minutes.
#[tokio::test(start_paused = true)]
async fn a_body_at_the_slowest_legal_pace_arrives() {
    let net = Net::new(1);
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let body = move |_, mut messages: p2p_server::MsgChannel| {
        let told = Arc::clone(&told);
        async move {
            while messages.recv().await.is_ok() {
                told.notify_one();
            }
            Ok(())
        }
    };
    let server = net.server("patient").protocol(foo(body)).start().await.expect("starts");
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    // Incompressible, so that the frame is as long as the message.
    let frame = peer.message(FOO, &noise(200_000));
    assert!(frame.len() > 190_000);

    for piece in frame.chunks(1_100) {
        peer.write(piece).await.expect("not timed out");
        pass(SECOND).await;
    }

    timeout(SECOND, arrived.notified()).await.expect("taken");
    server.stop().await;
}

/// L-02, L-03: half a header is silence: the thirty seconds go on whatever trickles in.
#[tokio::test(start_paused = true)]
async fn a_header_that_drips_is_silence() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let frame = peer.frame(FOO, &[0; 100]);
    let start = Instant::now();

    for byte in frame[..31].chunks(1) {
        if peer.writer.write_all(byte).await.is_err() || server.peer_count() == 0 {
            break;
        }
        pass(SECOND).await;
    }

    assert_eq!(peer.reason().await, Some(DisconnectReason::ReadTimeout));
    assert!((30..33).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    server.stop().await;
}

/// L-04: a peer that takes nothing is given twenty seconds, however long the message is.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_of_a_long_message_is_given_up_after_twenty_seconds() {
    for size in [600_000, 16_000_000] {
        let net = Net::new(1);
        let server = sender_of(&net, size).await;
        let mut events = server.events();
        let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
        let start = Instant::now();

        // It pings now and then, so that it does not look dead.
        let alive = async {
            loop {
                pass(SECOND * 15).await;
                let _ = peer.send(PING, EMPTY).await;
            }
        };
        let id = server.peers()[0].id();
        let error = tokio::select! {
            error = dropped(&mut events, id) => error,
            () = alive => unreachable!("for ever"),
        };

        assert_eq!(error, "write timeout");
        assert!((20..24).contains(&start.elapsed().as_secs()), "{size}: {:?}", start.elapsed());
        server.stop().await;
    }
}

/// L-04: a peer that takes a little now and then is given up too: twenty KiB in twenty seconds.
#[tokio::test(start_paused = true)]
async fn a_peer_that_sips_is_given_up() {
    use tokio::io::AsyncReadExt as _;

    let net = Net::new(1);
    let server = sender_of(&net, 600_000).await;
    let mut events = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let id = peer.id();
    let start = Instant::now();

    while server.peer(id).is_some() && start.elapsed() < SECOND * 120 {
        let _ = peer.reader.read_exact(&mut [0; 500]).await;
        let _ = peer.send(PING, EMPTY).await;
        pass(SECOND).await;
    }

    assert!((20..45).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(dropped(&mut events, id).await, "write timeout");
    server.stop().await;
}

/// L-04: a peer that takes a KiB a second is slow and legal.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_kib_a_second_gets_its_message() {
    use tokio::io::AsyncReadExt as _;

    let net = Net::new(1);
    let server = sender_of(&net, 600_000).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    // More than the wire holds has to go through at this pace.
    for second in 0..330 {
        let mut piece = vec![0; 1_100];
        peer.reader.read_exact(&mut piece).await.expect("open");
        if second % 10 == 0 {
            peer.send(PING, EMPTY).await.expect("open");
        }
        pass(SECOND).await;
    }

    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// Decision 13, section 24 row 36: pings are answered while a protocol takes nothing, until its
/// queue is full; thirty seconds later the connection ends with a breach.
#[tokio::test(start_paused = true)]
async fn a_protocol_that_takes_nothing_for_thirty_seconds_ends_the_connection() {
    let net = Net::new(1);
    let server = net.server("deaf").protocol(foo(deaf)).start().await.expect("starts");
    let mut events = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    for _ in 0..256 {
        peer.send(FOO, EMPTY).await.expect("open");
    }
    peer.send(PING, EMPTY).await.expect("open");
    let answer = timeout(SECOND, peer.next()).await.expect("at once").expect("open");
    assert_eq!(answer.code, PONG, "the queue is full, and nothing more has come");

    peer.send(FOO, EMPTY).await.expect("open");
    let start = Instant::now();
    peer.send(PING, EMPTY).await.expect("open");
    let reason = peer.reason().await;

    assert_eq!(reason, Some(DisconnectReason::ProtocolError));
    assert!((30..32).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let id = peer.id();
    drop(peer);
    assert_eq!(dropped(&mut events, id).await, "protocol foo/42 takes no messages");
    server.stop().await;
}

/// Decision 13: while a protocol's queue is full the peer's idle time does not count; a protocol that
/// takes one message every 29 s keeps the connection.
#[tokio::test(start_paused = true)]
async fn a_protocol_that_takes_a_message_now_and_then_keeps_the_connection() {
    let net = Net::new(1);
    let slow = |_: Peer, mut messages: p2p_server::MsgChannel| async move {
        loop {
            pass(SECOND * 29).await;
            messages.recv().await?;
        }
    };
    let server = net.server("slow").protocol(foo(slow)).start().await.expect("starts");
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    for _ in 0..300 {
        peer.send(FOO, EMPTY).await.expect("open");
    }

    let ended = peer.behave(SECOND * 29 * 40).await;

    assert!(!ended);
    server.stop().await;
}

/// L-07: after our disconnect the socket stays open for two seconds at most, and at most 4 KiB are
/// read from it.
#[tokio::test(start_paused = true)]
async fn after_our_disconnect_little_is_read_and_not_for_long() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();

    // One that says nothing more and does not hang up.
    let mut silent = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    silent.send(FOO + 4, EMPTY).await.expect("open");
    let start = Instant::now();
    assert_eq!(silent.reason().await, Some(DisconnectReason::ProtocolError));
    while tasks() > baseline {
        pass(SECOND / 100).await;
    }
    let took = start.elapsed();
    assert!((1_900..2_100).contains(&took.as_millis()), "{took:?}");

    // One that goes on talking: what it can get rid of is what the wire holds, and little more.
    let mut loud = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    loud.send(FOO + 4, EMPTY).await.expect("open");
    pass(SECOND / 1000).await;
    let start = Instant::now();
    let mut written = 0;
    while loud.writer.write_all(&[0; 1_024]).await.is_ok() && written < 1 << 20 {
        written += 1_024;
        tokio::task::yield_now().await;
    }
    assert!(written <= 8 << 10, "{written} bytes were read after the end");
    assert!(start.elapsed() < SECOND / 10, "{:?}", start.elapsed());
    server.stop().await;
}

/// L-09: a second hello on a living connection is ignored, whatever is in it.
#[tokio::test(start_paused = true)]
async fn a_second_hello_is_ignored() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    let again = hostile::hello(&peer.key, &["foo", "bar", "baz"]);
    peer.send(HELLO, &again).await.expect("open");
    let junk = peer.frame(HELLO, &[0xff; 1_000]);
    peer.write(&junk).await.expect("open");
    for code in 4..16 {
        peer.send(code, EMPTY).await.expect("open");
    }
    peer.send(PING, EMPTY).await.expect("open");

    let answer = timeout(SECOND, peer.next()).await.expect("at once").expect("open");
    assert_eq!(answer.code, PONG);
    assert_eq!(server.peers()[0].capabilities().len(), 1);
    server.stop().await;
}

/// L-06: taking a peer out waits for this connection to be gone, not for the node to stay away.
#[tokio::test(start_paused = true)]
async fn removing_a_peer_that_comes_back_at_once_does_not_wait_for_ever() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut events = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let (id, key) = (peer.id(), peer.key.clone());
    let removed = server.remove_peer(id).expect("running");
    let again = async {
        assert_eq!(peer.reason().await, Some(DisconnectReason::Requested));
        assert_eq!(dropped(&mut events, id).await, "disconnect requested");
        let link = hostile::open(&net, NEIGHBOUR, &server).await;
        let mut peer = Hostile::over(link, &server, key).await.expect("handshake");
        peer.greet(&["foo"]).await;
        while server.peer(id).is_none() {
            tokio::task::yield_now().await;
        }
        peer
    };

    // The one who waits is looked at only when the node is back.
    let peer = again.await;
    timeout(SECOND, removed).await.expect("the connection of then is gone");

    assert_eq!(server.peer_count(), 1);
    drop(peer);
    server.stop().await;
}

/// A server whose protocol sends one message that does not compress.
async fn sender_of(net: &Net, size: usize) -> Server {
    let payload = Bytes::from(noise(size));
    let body = move |_: Peer, mut messages: p2p_server::MsgChannel| {
        let payload = payload.clone();
        async move {
            messages.send_raw(0, payload).await?;
            while messages.recv().await.is_ok() {}
            Ok(())
        }
    };
    net.server("sender").protocol(foo(body)).start().await.expect("starts")
}
