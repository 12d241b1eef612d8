//! Peers that send as much as they can, of whatever they can think of.

mod hostile;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_rlp::Encodable as _;
use bytes::BytesMut;
use enode::SecretKey;
use hostile::{
    DISCONNECT, EMPTY, FOO, HELLO, Hostile, NEIGHBOUR, PING, PONG, dropped, foo, noise, open, pass,
    server, settles_at, tasks,
};
use p2p_server::{DisconnectReason, MsgChannel, Peer, PeerEvent, test_utils::Net};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rlpx::{ecies, handshake::Randomness};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

const SECOND: Duration = Duration::from_secs(1);

/// M-05, section 24 row 29: more than ten pings a second for ten seconds, and it is a breach.
#[tokio::test(start_paused = true)]
async fn eleven_pings_a_second_for_ten_seconds_are_a_breach() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut events = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let id = peer.id();
    let start = Instant::now();

    while server.peer(id).is_some() && start.elapsed() < SECOND * 60 {
        let _ = peer.send(PING, EMPTY).await;
        pass(SECOND / 12).await;
    }

    assert!((9..12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(peer.reason().await, Some(DisconnectReason::ProtocolError));
    drop(peer);
    assert_eq!(dropped(&mut events, id).await, "more than 10 pings a second for 10 s");
    server.stop().await;
}

/// M-05: ten pings a second are odd and allowed, and each is answered once.
#[tokio::test(start_paused = true)]
async fn ten_pings_a_second_are_answered_for_ever() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    for number in 0..600 {
        peer.send(PING, EMPTY).await.expect("open");
        let answer = loop {
            let message = timeout(SECOND, peer.next()).await.expect("at once").expect("open");
            if message.code != PING {
                break message;
            }
        };
        assert_eq!(answer.code, PONG, "ping {number}");
        pass(SECOND / 10).await;
    }

    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// M-05, T-06 in small: a peer that pings and does not read has sixteen answers queued and is then not
/// read any more; others notice nothing; twenty seconds later it is out.
#[tokio::test(start_paused = true)]
async fn who_pings_and_does_not_read_is_not_read_either() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut events = server.events();
    let baseline = tasks();
    let mut honest = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let id = peer.id();
    let handle = server.peer(id).expect("connected");
    let before = tasks();
    let start = Instant::now();
    let mut sent = 0;
    for _ in 0..1_000 {
        let pings: Vec<u8> = (0..100).flat_map(|_| peer.message(PING, EMPTY)).collect();
        let written = peer.write_what_fits(&pings).await;
        sent += written;
        assert!(handle.stats().queued <= 16, "{}", handle.stats().queued);
        assert!(tasks() <= before, "no task for a ping");
        if written < pings.len() {
            break;
        }
    }

    // What went through is what the answers found room for on the wire.
    assert!(sent < 2 << 20, "{sent} bytes of pings were read");
    let blocked = Instant::now();
    honest.send(PING, EMPTY).await.expect("open");
    let answer = timeout(SECOND, honest.next()).await.expect("at once").expect("open");
    assert_eq!(answer.code, PONG);
    let error = dropped(&mut events, id).await;
    assert_eq!(error, "write timeout");
    assert!(blocked.elapsed() <= SECOND * 21 && start.elapsed() <= SECOND * 30);
    drop((peer, honest));
    settles_at(&net, baseline).await;
    server.stop().await;
}

/// M-05: a burst of a thousand pings is answered in full and forgiven.
#[tokio::test(start_paused = true)]
async fn a_burst_of_pings_is_answered_and_forgiven() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let pings: Vec<u8> = (0..1_000).flat_map(|_| peer.message(PING, EMPTY)).collect();

    peer.write(&pings).await.expect("open");

    for number in 0..1_000 {
        let answer = timeout(SECOND, peer.next()).await.expect("at once").expect("open");
        assert_eq!(answer.code, PONG, "ping {number}");
    }
    assert!(!peer.behave(SECOND * 60).await);
    server.stop().await;
}

/// T-02 in small: six hundred random sequences of frames, genuine, spoilt or cut off, to a living
/// session: each ends with a reason or an end that is told, and leaves no task.
#[tokio::test(start_paused = true)]
async fn random_frames_end_in_a_reason_and_leave_nothing() {
    let net = Net::new(1);
    let server = net.server("victim").protocol(foo(echo)).start().await.expect("starts");
    let baseline = tasks();
    let mut events = server.events();

    for seed in 0..600 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
        let id = peer.id();
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(0..8) {
            bytes.extend(random_frame(&mut peer, &mut rng));
        }
        spoil(&mut bytes, &mut rng);
        // In pieces, so that frames are cut anywhere.
        for piece in bytes.chunks(rng.random_range(1..2_000)) {
            if peer.write(piece).await.is_err() {
                break;
            }
        }
        match rng.random_range(0..3) {
            0 => drop(peer),
            1 => {
                let _ = peer.writer.shutdown().await;
                let _ = peer.reason().await;
            }
            _ => {
                let _ = peer.reason().await;
            }
        }

        let error = dropped(&mut events, id).await;
        assert!(is_known(&error), "seed {seed}: {error:?}");
        assert_eq!(server.peer_count(), 0, "seed {seed}");
    }
    settles_at(&net, baseline).await;
    assert_eq!(server.held_bytes(), 0);
    server.stop().await;
}

/// T-02: the same before the hello, where a stranger may say anything.
#[tokio::test(start_paused = true)]
async fn random_first_frames_leave_nothing() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();

    for seed in 0..500 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(1..3) {
            let hello = hostile::hello(&peer.key, &["foo"]);
            let mut payload = match rng.random_range(0..3) {
                0 => hello.to_vec(),
                1 => noise(rng.random_range(0..2_100)),
                _ => hello[..rng.random_range(0..hello.len())].to_vec(),
            };
            spoil(&mut payload, &mut rng);
            let code = if rng.random_bool(0.7) { HELLO } else { rng.random_range(0..40) };
            bytes.extend(peer.frame(code, &payload));
        }
        if rng.random_bool(0.3) {
            spoil(&mut bytes, &mut rng);
        }
        let _ = peer.write(&bytes).await;
        let _ = peer.writer.shutdown().await;
        let _ = timeout(SECOND * 20, peer.reader.read_to_end(&mut Vec::new())).await.expect("ends");
    }

    settles_at(&net, baseline).await;
    Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// T-03 in small: malformed auths of every size and kind, and an honest node connects at once all the
/// while.
#[tokio::test(start_paused = true)]
async fn malformed_auths_are_closed_without_a_byte_and_honest_nodes_connect() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();
    let mut rng = StdRng::seed_from_u64(3);
    let right = auth(&server, &mut rng);

    for number in 0..2_100_usize {
        let mut link = open(&net, NEIGHBOUR, &server).await;
        let packet = match number % 4 {
            // Every size, with bytes that cannot be decrypted.
            0 => sized(number, &noise(number)),
            // Every truncation of a right one.
            1 => right[..number * right.len() / 2_100].to_vec(),
            // One bit wrong, wherever it is.
            2 => {
                let mut packet = right.clone();
                let at = rng.random_range(0..packet.len());
                packet[at] ^= 1 << rng.random_range(0..8);
                packet
            }
            // Sealed to us as it should be, with junk inside.
            _ => sealed_junk(&server, &mut rng),
        };
        let _ = link.writer.write_all(&packet).await;
        let _ = link.writer.shutdown().await;
        let mut answer = Vec::new();
        let end = timeout(SECOND * 6, link.reader.read_to_end(&mut answer)).await.expect("closed");
        assert!(end.is_err() || answer.is_empty(), "number {number}: {} bytes", answer.len());

        if number % 300 == 0 {
            let start = Instant::now();
            let honest = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
            assert!(server.peer(honest.id()).is_some());
            assert!(start.elapsed() < SECOND / 4, "{:?}", start.elapsed());
        }
    }

    settles_at(&net, baseline).await;
    server.stop().await;
}

/// S-14: what a peer calls itself reaches neither log nor terminal as it came.
#[tokio::test(start_paused = true)]
async fn a_hostile_name_is_shown_escaped_and_cut() {
    let net = Net::new(1);
    let server = server(&net).await;
    let names: [&[u8]; 4] = [
        b"\x1b]0;owned\x07\x1b[2J",
        "a\u{202e}b\u{2066}c\u{2028}d\u{85}e".as_bytes(),
        &[0xff; 600],
        &[0x1b; 600],
    ];

    for name in names {
        let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
        let hello = hostile::hello_of(&peer.key, name, &[(b"foo".to_vec(), 42)]);
        peer.send(HELLO, &hello).await.expect("open");
        let is_peer = || server.peer_count() == 1;
        net.drive_until(SECOND, "admitted", is_peer).await.expect("admitted");

        let shown = server.peers()[0].clone();
        let info = serde_json::to_string(&server.peers_info()).expect("plain data");
        for text in [shown.full_name(), shown.name(), shown.to_string(), info] {
            let odd = |c: char| c.is_control() || "\u{202e}\u{2066}\u{2028}\u{2029}".contains(c);
            assert!(!text.contains(odd), "{text:?}");
        }
        assert!(shown.full_name().chars().count() <= 256, "{}", shown.full_name().len());
        drop(peer);
        net.drive_until(SECOND, "gone", || server.peer_count() == 0).await.expect("gone");
    }
    server.stop().await;
}

/// S-14: at the most talkative level, no line of the log holds a character that a peer could use
/// against a terminal, whatever it calls itself, offers or says.
#[tokio::test(start_paused = true)]
async fn nothing_hostile_reaches_the_log() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let net = Net::new(1);
    let server = server(&net).await;
    let evil = "\u{1b}[2J\u{202e}\u{2028}\r\nroot: ".as_bytes();

    for step in 0..8_u64 {
        let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
        let offers = [(b"foo".to_vec(), 42), (evil.to_vec(), step)];
        let hello = hostile::hello_of(&peer.key, evil, &offers[usize::from(step == 7)..]);
        peer.send(if step == 6 { 9 } else { HELLO }, &hello).await.expect("open");
        let frame = match step {
            0 => peer.frame(FOO, evil),
            1 => peer.frame(DISCONNECT, evil),
            2 => peer.frame(DISCONNECT, &[0x02, 0x04, 0xc1, 0x77]),
            3 => peer.frame(u64::MAX, evil),
            4 => evil.repeat(10),
            _ => Vec::new(),
        };
        let _ = peer.write(&frame).await;
        let _ = peer.writer.shutdown().await;
        let _ = peer.reader.read_to_end(&mut Vec::new()).await;
        pass(SECOND).await;
    }
    server.stop().await;

    let lines = log.0.lock().expect("not poisoned").clone();
    assert!(lines.len() > 20, "{lines:#?}");
    let odd = |c: char| c.is_control() || "\u{202e}\u{2028}".contains(c);
    for line in &lines {
        assert!(!line.contains(odd), "{line:?}");
    }
}

/// Section 24, rows 25 to 29 and 23: each breach has its reason.
#[tokio::test(start_paused = true)]
async fn each_breach_is_told() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut events = server.events();
    let breaches: [(&str, fn(&mut Hostile) -> Vec<u8>); 6] = [
        ("msg code out of range: 20", |peer| peer.message(FOO + 4, EMPTY)),
        ("msg code out of range: 18446744073709551615", |peer| peer.message(u64::MAX, EMPTY)),
        ("msg code out of range: 272", |peer| peer.message(FOO + 256, EMPTY)),
        ("", |peer| peer.frame(FOO, &[0xff, 0xff, 0xff, 0xff, 0x7f])),
        ("", |peer| peer.frame(FOO, &[])),
        ("", |peer| peer.frame(FOO, b"\x05not snappy")),
    ];

    for (text, breach) in breaches {
        let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
        let frame = breach(&mut peer);
        peer.write(&frame).await.expect("open");

        assert_eq!(peer.reason().await, Some(DisconnectReason::ProtocolError), "{text}");
        let id = peer.id();
        drop(peer);
        let error = dropped(&mut events, id).await;
        assert!(error == text || text.is_empty(), "{error}");
    }
    server.stop().await;
}

/// M-08: a subscriber that does not read costs no peer anything: messages flow, and it is told later
/// how many it missed.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_never_blocks_a_peer() {
    let net = Net::new(1);
    let builder = net.server("watched").message_events(true).protocol(foo(echo));
    let server = builder.start().await.expect("starts");
    let mut lazy = server.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let start = Instant::now();

    for _ in 0..5_000 {
        peer.send(FOO, EMPTY).await.expect("open");
        while peer.next().await.expect("open").code != FOO {}
    }
    assert!(start.elapsed() < SECOND);
    let id = peer.id();
    drop(peer);
    net.drive_until(SECOND, "gone", || server.peer_count() == 0).await.expect("gone");
    server.stop().await;

    let mut log = Vec::new();
    while let Some(event) = lazy.next().await {
        log.push(event);
    }
    assert!(matches!(log.first(), Some(PeerEvent::Added { peer, .. }) if *peer == id));
    assert!(matches!(log.last(), Some(PeerEvent::Dropped { peer, .. }) if *peer == id));
    let missed: u64 = log.iter().map(|it| if let PeerEvent::Lagged(n) = it { *n } else { 0 }).sum();
    assert_eq!((log.len(), missed), (4_096 + 3, 10_000 - 4_096));
}

/// Keeps every line, spans and all, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("p2p_server") || metadata.target().starts_with("rlpx")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line::default();
        attributes.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of an event, as `Display` or `Debug` shows them.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push_str(&format!("{field}={value} "));
    }
}

async fn echo(_: Peer, mut messages: MsgChannel) -> Result<(), p2p_server::ProtocolError> {
    loop {
        let message = messages.recv().await?;
        messages.send_raw(message.code, message.payload).await?;
    }
}

/// A genuine frame with something in it.
fn random_frame(peer: &mut Hostile, rng: &mut StdRng) -> Vec<u8> {
    let code = match rng.random_range(0..10) {
        0 => rng.random_range(4..16),
        1 => DISCONNECT,
        2 | 3 => PING,
        4 => PONG,
        5 => rng.random::<u64>() >> rng.random_range(0..64),
        6 => HELLO,
        _ => FOO + rng.random_range(0..4),
    };
    let size = rng.random_range(0..100) * rng.random_range(0..100);
    match rng.random_range(0..4) {
        0 => peer.frame(code, &noise(size)),
        1 => peer.message(code, EMPTY),
        _ => peer.message(code, &noise(size)),
    }
}

/// Sometimes flips a bit, cuts off the end, or adds to it.
fn spoil(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    match rng.random_range(0..6) {
        0 if !bytes.is_empty() => {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        1 => bytes.truncate(rng.random_range(0..=bytes.len())),
        2 => bytes.extend(noise(rng.random_range(1..100))),
        _ => {}
    }
}

/// The ends that the specification knows.
fn is_known(error: &str) -> bool {
    let reason = DisconnectReason::from_code;
    let parts = [
        "msg code out of range: ",
        "message length >= 16MB",
        " over the limit of ",
        "unknown disconnect reason ",
    ];
    let exact = [
        "EOF",
        "read timeout",
        "bad header MAC",
        "bad frame MAC",
        "empty frame",
        "invalid message code",
        "snappy: corrupt input",
        "broken pipe",
    ];
    parts.iter().any(|part| error.contains(part))
        || exact.contains(&error)
        || (0..=255).any(|code| reason(code).to_string() == error)
}

/// A right auth packet.
fn auth(server: &p2p_server::Server, rng: &mut StdRng) -> Vec<u8> {
    let randomness = Randomness::generate(rng);
    let key = SecretKey::random();
    rlpx::handshake::Initiator::new(&key, server.enode().public_key(), randomness).0.to_vec()
}

/// A packet that decrypts to something that is no auth.
fn sealed_junk(server: &p2p_server::Server, rng: &mut StdRng) -> Vec<u8> {
    let key = SecretKey::random().public_key().to_bytes();
    let (signature, nonce) = ([&noise(64)[..], &[0]].concat(), noise(32));
    let body = match rng.random_range(0..6) {
        0 => noise(rng.random_range(1..1_000)),
        1 => auth_body(&signature, &key, &nonce)[..rng.random_range(1..160)].to_vec(),
        2 => auth_body(&signature, &noise(64), &nonce),
        3 => auth_body(&[&noise(64)[..], &[4]].concat(), &key, &nonce),
        4 => auth_body(&signature[..64], &key, &nonce),
        _ => auth_body(&signature, &key, &nonce[..31]),
    };
    let Randomness { ecies_key, iv, .. } = Randomness::generate(rng);
    let prefix = u16::try_from(ecies::OVERHEAD + body.len()).expect("short").to_be_bytes();
    let mut packet = BytesMut::from(&prefix[..]);
    let to = server.enode();
    ecies::encrypt(to.public_key(), &ecies_key, &iv, &body, &prefix, &mut packet).expect("sealed");
    packet.to_vec()
}

/// The list in an auth, right or wrong.
fn auth_body(signature: &[u8], key: &[u8], nonce: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    signature.encode(&mut fields);
    key.encode(&mut fields);
    nonce.encode(&mut fields);
    4_u64.encode(&mut fields);
    hostile::list(&fields)
}

fn sized(size: usize, content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(size).expect("short");
    [&size.to_be_bytes()[..], content].concat()
}
