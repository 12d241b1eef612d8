//! What an observer is told of connections that last, and that a bad one harms nobody.

mod hostile;
mod watching;

use std::time::Duration;

use hostile::{EMPTY, FOO, Hostile, NEIGHBOUR, PING, STRANGER, deaf, foo, idle, open, pass};
use p2p_server::{
    Capability, Direction, DisconnectReason, MessageSeen, MsgChannel, Observer, Peer,
    ProtocolError, Server, protocol_fn, test_utils::Net,
};
use watching::Seen;

const SECOND: Duration = Duration::from_secs(1);

/// Two servers that speak `foo/42`, with what is seen at each.
async fn pair(net: &Net) -> [(Server, Seen); 2] {
    let mut servers = Vec::new();
    for name in ["one", "two"] {
        let seen = Seen::default();
        let builder = net.server(name).protocol(foo(idle)).observe(seen.clone());
        servers.push((builder.start().await.expect("starts"), seen));
    }
    servers.try_into().unwrap_or_else(|_| unreachable!("two of them"))
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_told_from_its_first_byte_to_its_end() {
    let net = Net::new(1);
    net.set_latency(Duration::from_millis(10));
    let [(one, at_one), (two, at_two)] = pair(&net).await;

    net.connect(&one, &two).await.expect("connected");
    // Auth and ack travel once each; our hello follows the ack.
    assert_eq!(at_one.take(), ["dial", "handshake outbound 20ms", "added outbound"]);
    assert_eq!(at_two.take(), ["accepted", "handshake inbound 30ms", "added inbound"]);

    two.stop().await;
    pass(SECOND).await;
    assert_eq!(at_two.take(), ["dropped inbound quitting us"]);
    assert_eq!(at_one.take(), ["dropped outbound quitting them"]);
    one.stop().await;
    assert!(at_one.take().is_empty(), "nobody was left");
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_word_has_no_reason() {
    let net = Net::new(1);
    let [(one, at_one), (two, at_two)] = pair(&net).await;
    net.connect(&one, &two).await.expect("connected");
    at_one.take();
    at_two.take();

    net.cut(&one, &two);
    pass(SECOND).await;

    assert_eq!(at_one.take(), ["dropped outbound - them"]);
    assert_eq!(at_two.take(), ["dropped inbound - them"]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_told_with_the_reason() {
    let net = Net::new(1);
    let [(one, at_one), (two, at_two)] = pair(&net).await;
    net.connect(&one, &two).await.expect("connected");
    at_one.take();
    at_two.take();

    one.peers()[0].disconnect(DisconnectReason::from_code(0x42));
    pass(SECOND).await;

    // A number that means nothing is not told apart from others.
    assert_eq!(at_one.take(), ["dropped outbound unknown us"]);
    assert_eq!(at_two.take(), ["dropped inbound unknown them"]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_byte_that_leaves_one_arrives_at_the_other() {
    let net = Net::new(1);
    let [(one, at_one), (two, at_two)] = pair(&net).await;

    net.connect(&one, &two).await.expect("connected");
    pass(SECOND * 20).await;

    assert_eq!(at_one.sent(), at_two.received());
    assert_eq!(at_two.sent(), at_one.received());
    // The packets of the handshake and the hellos came before what the peer's own counters see.
    let stats = one.peers()[0].stats();
    assert!(stats.egress_bytes > 0, "a ping went out");
    let before = at_one.sent() - stats.egress_bytes;
    assert!((400..2_000).contains(&before), "{before} bytes before the first message");
    one.stop().await;
    two.stop().await;
}

/// Sends one message of each of these codes, with as many bytes, and waits for the end.
async fn say_some(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    for code in [0_u8, 3, 255] {
        messages.send_raw(code.into(), vec![0xc0; code.into()].into()).await?;
    }
    for code in [256, 999] {
        messages.send_raw(code, vec![0xc0].into()).await?;
    }
    while messages.recv().await.is_ok() {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn messages_are_told_with_protocol_code_and_size_at_both_ends() {
    let net = Net::new(1);
    let capability = || Capability::new("talk", 7);
    let (at_one, at_two) = (Seen::default(), Seen::default());
    let talker = net.server("one").protocol(protocol_fn(capability(), 1_000, say_some));
    let listener = net.server("two").protocol(protocol_fn(capability(), 1_000, idle));
    let one = talker.observe(at_one.clone()).start().await.expect("starts");
    let two = listener.observe(at_two.clone()).start().await.expect("starts");

    net.connect(&one, &two).await.expect("connected");
    pass(SECOND * 60).await;

    // Codes above 255 are not told apart. Pings are nobody's messages.
    let told = |direction: &str| {
        [("0", 0), ("3", 3), ("255", 255), ("-", 1), ("-", 1)]
            .map(|(code, size)| format!("message {direction} talk/7 {code} {size}"))
    };
    assert_eq!(at_one.take()[3..], told("outbound"));
    assert_eq!(at_two.take()[3..], told("inbound"));
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_reads_nothing_fills_its_queue() {
    let net = Net::new(1);
    let seen = Seen::default();
    let builder = net.server("deaf").protocol(foo(deaf)).observe(seen.clone());
    let server = builder.start().await.expect("starts");
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    for _ in 0..256 {
        peer.send(FOO, EMPTY).await.expect("open");
    }
    pass(SECOND).await;
    assert_eq!(seen.count("full"), 0);
    peer.send(FOO, EMPTY).await.expect("open");
    pass(SECOND).await;

    assert_eq!(seen.count("full protocol_in"), 1);
    server.stop().await;
}

/// Sends one more than the queue holds, without giving the connection a chance to take any; then
/// waits for room for another.
async fn hasty(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    let sender = messages.sender();
    while sender.try_send_raw(0, EMPTY.into()).is_ok() {}
    sender.send_raw(0, EMPTY.into()).await?;
    while messages.recv().await.is_ok() {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_sends_faster_than_the_connection_finds_its_queue_full() {
    let net = Net::new(1);
    let seen = Seen::default();
    let builder = net.server("hasty").protocol(foo(hasty)).observe(seen.clone());
    let server = builder.start().await.expect("starts");

    let _peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    pass(SECOND).await;

    assert_eq!(seen.count("full protocol_out"), 2);
    assert_eq!(seen.count("message outbound foo/42 0 1"), 257);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pings_faster_than_pongs_find_their_queue_full() {
    let net = Net::new(1);
    let seen = Seen::default();
    let builder = net.server("pinged").protocol(foo(idle)).observe(seen.clone());
    let server = builder.start().await.expect("starts");
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    let pings: Vec<u8> = (0..60).flat_map(|_| peer.message(PING, EMPTY)).collect();
    peer.write(&pings).await.expect("open");
    pass(SECOND).await;

    assert!(seen.count("full base") > 0);
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_of_handshakes_is_told() {
    let net = Net::new(1);
    let seen = Seen::default();
    let builder = net.server("popular").max_pending(2).observe(seen.clone());
    let server = builder.start().await.expect("starts");

    // One of the two places is kept for static nodes.
    let _silent = [open(&net, STRANGER, &server).await, open(&net, NEIGHBOUR, &server).await];
    pass(SECOND / 10).await;

    assert_eq!(seen.count("full pending"), 1);
    assert_eq!(seen.count("accepted"), 2);
    // The oldest has made room.
    assert_eq!(seen.count("serve failed: other"), 1);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn message_events_that_nobody_reads_are_told_as_left_out() {
    let net = Net::new(1);
    let seen = Seen::default();
    let builder = net.server("talked to").protocol(foo(idle)).message_events(true);
    let server = builder.observe(seen.clone()).start().await.expect("starts");
    let _unread = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    for _ in 0..4_096 {
        peer.send(FOO, EMPTY).await.expect("open");
    }
    pass(SECOND).await;
    assert_eq!(seen.count("full"), 0);
    peer.send(FOO, EMPTY).await.expect("open");
    pass(SECOND).await;

    assert_eq!(seen.count("full message_events"), 1);
    server.stop().await;
}

/// Does not survive the first thing that it is told.
struct Fragile;

impl Observer for Fragile {
    fn accepted(&self) {
        panic!("one connection is too much");
    }

    fn message(&self, _: &MessageSeen<'_>) {
        panic!("it was not to be told anything more");
    }

    fn peer_added(&self, _: Direction) {
        std::process::abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_is_told_nothing_more_and_harms_nobody() {
    let net = Net::new(1);
    let (before, after) = (Seen::default(), Seen::default());
    let builder = net.server("watched").protocol(foo(idle));
    let builder = builder.observe(before.clone()).observe(Fragile).observe(after.clone());
    let server = builder.start().await.expect("starts");

    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    peer.send(FOO, EMPTY).await.expect("open");
    pass(SECOND).await;

    assert_eq!(server.peer_count(), 1);
    for seen in [before, after] {
        let expected = ["accepted", "handshake inbound 0ns", "added inbound"];
        let told = seen.take();
        assert_eq!(told[..3], expected);
        assert_eq!(told[3..], ["message inbound foo/42 0 1"]);
    }
    server.stop().await;
}
