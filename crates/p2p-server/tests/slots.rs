//! Who holds a place, for how long, and who is blamed: pending connections, deadlines, offences.

mod hostile;

use std::{net::IpAddr, time::Duration};

use enode::{Enode, SecretKey};
use hostile::{
    DISCONNECT, EMPTY, FOO, HELLO, Hostile, NEIGHBOUR, STRANGER, foo, hello, hello_of, idle,
    next_event, open, pass, server, settles_at, tasks,
};
use p2p_server::{DisconnectReason, PeerEvent, Server, Transport as _, test_utils::Net};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

/// L-01: fifty connections that say nothing keep nobody out: the oldest makes room for the newcomer.
#[tokio::test(start_paused = true)]
async fn the_oldest_silent_connection_makes_room_when_the_pool_is_full() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(open(&net, NEIGHBOUR, &server).await);
        pass(SECOND / 100).await;
    }

    let honest = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    assert!(server.peer(honest.id()).is_some());
    // 46 places are for strangers, so four had gone before, and now the fifth.
    for (number, link) in silent.iter_mut().enumerate() {
        let end = timeout(SECOND / 1000, link.reader.read(&mut [0])).await;
        assert_eq!(end.is_ok(), number < 5, "connection {number}: {end:?}");
    }
    server.stop().await;
}

/// L-01: a connection past auth is never evicted for a newcomer.
#[tokio::test(start_paused = true)]
async fn connections_past_auth_keep_their_places() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut proven = Vec::new();
    for _ in 0..46 {
        proven.push(Hostile::dial(&net, NEIGHBOUR, &server).await);
    }

    let mut refused = open(&net, NEIGHBOUR, &server).await;
    assert_eq!(refused.reader.read(&mut [0]).await.expect("an orderly end"), 0);

    for peer in &mut proven {
        peer.greet(&["foo"]).await;
    }
    let all = || server.peer_count() == 34;
    net.drive_until(SECOND, "the inbound share is full", all).await.expect("admitted");
    server.stop().await;
}

/// L-01: four places are kept for the addresses of static nodes, who find them whatever strangers do.
#[tokio::test(start_paused = true)]
async fn a_static_nodes_address_finds_a_place_in_a_full_pool() {
    let net = Net::new(1);
    let friend: IpAddr = [10, 7, 7, 7].into();
    let known = Enode::new(SecretKey::random().public_key(), friend, 30303, 30303);
    let builder = net.server("victim").static_node(known).protocol(foo(idle));
    let server = builder.start().await.expect("starts");
    let mut proven = Vec::new();
    for _ in 0..46 {
        proven.push(Hostile::dial(&net, NEIGHBOUR, &server).await);
    }

    let friends = async {
        for _ in 0..4 {
            proven.push(Hostile::dial(&net, friend, &server).await);
        }
    };

    timeout(SECOND, friends).await.expect("places were kept");
    server.stop().await;
}

/// L-02: five seconds for the auth, whatever trickles in.
#[tokio::test(start_paused = true)]
async fn a_byte_a_second_does_not_prolong_the_handshake() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();
    let mut link = open(&net, NEIGHBOUR, &server).await;
    let start = Instant::now();

    // A size that is allowed, and then what looks like the beginning of a packet.
    for byte in [0x01, 0x80, 0x04, 1, 2, 3, 4, 5, 6, 7] {
        if link.writer.write_all(&[byte]).await.is_err() {
            break;
        }
        pass(SECOND).await;
    }
    let end = link.reader.read(&mut [0]).await;

    assert!(matches!(end, Ok(0)), "not a byte is said: {end:?}");
    let took = start.elapsed();
    assert!((5_000..6_100).contains(&took.as_millis()), "{took:?}");
    settles_at(&net, baseline).await;
    server.stop().await;
}

/// L-02: ten seconds from accept to hello, whatever trickles in.
#[tokio::test(start_paused = true)]
async fn a_byte_a_second_does_not_prolong_the_hello() {
    let net = Net::new(1);
    let server = server(&net).await;
    let start = Instant::now();
    let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
    let hello = peer.message(HELLO, &hello(&peer.key, &["foo"]));

    let drip = async {
        for byte in hello.chunks(1) {
            if peer.writer.write_all(byte).await.is_err() {
                return;
            }
            pass(SECOND).await;
        }
    };
    drip.await;

    let took = start.elapsed();
    assert!((10_000..11_100).contains(&took.as_millis()), "{took:?}");
    assert_eq!(server.peer_count(), 0);
    server.stop().await;
}

/// L-02: a late but complete hello is still in time, and the deadlines end with it.
#[tokio::test(start_paused = true)]
async fn a_slow_but_honest_handshake_succeeds() {
    let net = Net::new(1);
    let server = server(&net).await;
    let link = open(&net, NEIGHBOUR, &server).await;
    pass(SECOND * 4).await;
    let mut peer = Hostile::over(link, &server, SecretKey::random()).await.expect("in time");
    pass(SECOND * 5).await;

    peer.greet(&["foo"]).await;

    assert!(!peer.behave(SECOND * 60).await, "the session goes on");
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// T-08, L-02: slow-loris. Silent and dripping connections come as fast as they are thrown out, and
/// an honest node connects at once all the while; afterwards no task is left of them.
#[tokio::test(start_paused = true)]
async fn honest_nodes_connect_at_once_among_five_hundred_that_drip() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();
    let mut links = Vec::new();
    for round in 0..500_u32 {
        let mut link = open(&net, NEIGHBOUR, &server).await;
        let _ = link.writer.write_all(&[0x01]).await;
        links.push(link);
        if round % 50 == 0 {
            let start = Instant::now();
            let honest = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
            assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
            drop(honest);
        }
        pass(SECOND / 50).await;
    }

    pass(SECOND * 6).await;

    for link in &mut links {
        let end = timeout(SECOND / 1000, link.reader.read(&mut [0])).await;
        assert!(matches!(end, Ok(Ok(0))), "closed without a byte: {end:?}");
    }
    settles_at(&net, baseline).await;
    server.stop().await;
}

/// T-08: thousands of connections that are opened and dropped leave nothing behind.
#[tokio::test(start_paused = true)]
async fn connections_dropped_at_once_leave_nothing() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();

    for _ in 0..5_000 {
        drop(hostile::try_open(&net, NEIGHBOUR, &server).await);
    }

    settles_at(&net, baseline).await;
    Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    server.stop().await;
}

/// Section 24, row 3, turned around: who does not answer when *we* dial has done nothing. Else
/// whoever names an address in a thousand made-up nodes could get the address refused.
#[tokio::test(start_paused = true)]
async fn an_address_is_not_blamed_for_hanging_up_on_us() {
    let net = Net::new(1);
    let addr = (STRANGER, 30303).into();
    let mut listener = net.transport(STRANGER).listen(addr).await.expect("free");
    let busy = tokio::spawn(async move {
        while let Ok(mut link) = listener.accept().await {
            let _ = link.reader.read(&mut [0; 500]).await;
        }
    });
    let server = server(&net).await;
    let made_up = || Enode::new(SecretKey::random().public_key(), STRANGER, 30303, 30303);
    let nodes: Vec<_> = std::iter::repeat_with(made_up).take(20).collect();
    for node in &nodes {
        server.add_peer(node.clone()).expect("running");
    }
    pass(SECOND * 60).await;
    // What is kept connected has a right to come in anyway.
    for node in &nodes {
        server.remove_peer(node.id()).expect("running").await;
    }

    let honest = Hostile::connect(&net, STRANGER, &server, &["foo"]).await;

    assert!(server.peer(honest.id()).is_some());
    busy.abort();
    server.stop().await;
}

/// Section 24, rows 1 to 7: five malformed auths, and the address is refused for ten minutes without
/// a byte; a neighbour who does the same is not.
#[tokio::test(start_paused = true)]
async fn whoever_sends_malformed_auths_is_refused_for_a_while() {
    let net = Net::new(1);
    let server = server(&net).await;

    for from in [STRANGER, NEIGHBOUR] {
        for _ in 0..5 {
            let mut link = open(&net, from, &server).await;
            let junk = [&[0x01, 0x80][..], &[0x04; 0x180]].concat();
            link.writer.write_all(&junk).await.expect("open");
            assert!(matches!(link.reader.read(&mut [0]).await, Ok(0)), "closed without a byte");
            pass(SECOND * 31).await;
        }
    }

    let mut refused = open(&net, STRANGER, &server).await;
    assert!(matches!(refused.reader.read(&mut [0]).await, Ok(0)));
    Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    pass(SECOND * 600).await;
    Hostile::connect(&net, STRANGER, &server, &["foo"]).await;
    server.stop().await;
}

/// T-09: a thousand visits, and the tasks are exactly as many as before.
#[tokio::test(start_paused = true)]
async fn a_thousand_visits_leave_no_task() {
    let net = Net::new(1);
    let server = server(&net).await;
    let baseline = tasks();
    let mut events = server.events();

    for visit in 0..1_000 {
        let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
        if visit % 3 == 0 {
            peer.send(DISCONNECT, &[0xc1, 0x08]).await.expect("open");
        } else if visit % 3 == 1 {
            peer.send(FOO, EMPTY).await.expect("open");
        }
        let id = peer.id();
        drop(peer);

        assert!(
            matches!(next_event(&mut events).await, PeerEvent::Added { peer, .. } if peer == id)
        );
        assert!(
            matches!(next_event(&mut events).await, PeerEvent::Dropped { peer, .. } if peer == id)
        );
    }

    settles_at(&net, baseline).await;
    assert_eq!(server.peer_count(), 0);
    server.stop().await;
}

/// L-10: entries of a hello that nobody could offer are passed over; the rest counts.
#[tokio::test(start_paused = true)]
async fn capabilities_that_nobody_could_offer_do_not_end_the_connection() {
    let net = Net::new(1);
    let server = server(&net).await;
    let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
    let odd = [
        (b"foo".to_vec(), 42),
        (b"foo".to_vec(), u64::from(u32::MAX) + 43),
        (vec![b'x'; 33], 1),
        (b"f\x1b[2Jo".to_vec(), 42),
        ("f\u{f6}\u{f6}".into(), 42),
        (Vec::new(), 1),
    ];

    let hello = hello_of(&peer.key, b"odd", &odd);
    peer.send(HELLO, &hello).await.expect("open");
    let is_peer = || server.peer_count() == 1;
    net.drive_until(SECOND, "admitted", is_peer).await.expect("admitted");

    let capabilities: Vec<_> =
        server.peers()[0].capabilities().iter().map(ToString::to_string).collect();
    assert_eq!(capabilities, ["foo/42"]);
    server.stop().await;
}

/// L-10: more than 128 entries, or a name of more than 256 bytes, is a breach.
#[tokio::test(start_paused = true)]
async fn a_flood_of_capabilities_is_a_breach() {
    let net = Net::new(1);
    let server = server(&net).await;
    let many = vec![(b"a".to_vec(), 1); 129];
    let long = vec![(vec![b'x'; 257], 1)];

    for offers in [many, long] {
        let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
        let hello = hello_of(&peer.key, b"greedy", &offers);
        peer.send(HELLO, &hello).await.expect("open");
        // Our version is 5, so both sides compress from here on.
        peer.snappy = true;

        assert_eq!(peer.reason().await, Some(DisconnectReason::ProtocolError));
    }
    server.stop().await;
}

/// A8: who asks for ever gets for ever, and not a clock that overflows.
#[tokio::test(start_paused = true)]
async fn the_longest_times_are_for_ever() {
    let net = Net::new(1);
    let builder =
        net.server("patient").handshake_timeout(Duration::MAX).redial_after(Duration::MAX);
    let server = builder.protocol(foo(idle)).start().await.expect("starts");
    let away = hostile::server(&net).await;
    server.add_peer(away.enode()).expect("running");
    let banned = SecretKey::random();
    let id = banned.public_key().node_id();
    server.ban(p2p_server::BanTarget::Node(id), Duration::MAX).expect("running");
    pass(SECOND * 1_000).await;

    let mut peer = Hostile::over(open(&net, NEIGHBOUR, &server).await, &server, banned)
        .await
        .expect("handshake");

    assert_eq!(peer.reason().await, Some(DisconnectReason::Requested));
    assert_eq!(server.bans().len(), 1);
    assert_eq!(server.peer_count(), 1, "the node that was added");
    server.stop().await;
}

/// L-01: an IPv4 address that arrives in IPv6 form is the same friend.
#[tokio::test(start_paused = true)]
async fn a_static_nodes_address_is_known_in_ipv6_form() {
    let net = Net::new(1);
    let friend: std::net::Ipv4Addr = [10, 7, 7, 7].into();
    let known = Enode::new(SecretKey::random().public_key(), friend.into(), 30303, 30303);
    let builder = net.server("victim").max_pending(4).static_node(known).protocol(foo(idle));
    let server = builder.start().await.expect("starts");
    let _proven = (
        Hostile::dial(&net, NEIGHBOUR, &server).await,
        Hostile::dial(&net, NEIGHBOUR, &server).await,
    );

    let mapped = Hostile::dial(&net, friend.to_ipv6_mapped().into(), &server);

    timeout(SECOND, mapped).await.expect("a place was kept");
    server.stop().await;
}

/// L-11, section 24: breaches are counted against the node too, wherever it comes from; then it is
/// refused for ten minutes, unless it is trusted. Connections that are there are not ended for it.
#[tokio::test(start_paused = true)]
async fn a_node_that_breaks_the_rules_is_refused_unless_it_is_trusted() {
    let net = Net::new(1);
    let server = server(&net).await;
    let (villain, friend) = (SecretKey::random(), SecretKey::random());
    server.add_trusted(friend.public_key().node_id()).expect("running");
    let mut host = 0;
    let mut elsewhere = || {
        host += 1;
        IpAddr::from([93, 184, 217, host])
    };

    for key in [&villain, &friend] {
        for _ in 0..2 {
            let mut peer = greeted(&net, elsewhere(), &server, key).await;
            let junk = peer.frame(FOO, b"\x05not snappy");
            peer.write(&junk).await.expect("open");
            assert_eq!(peer.reason().await, Some(DisconnectReason::ProtocolError));
            pass(SECOND).await;
        }
    }

    let link = open(&net, elsewhere(), &server).await;
    let mut refused = Hostile::over(link, &server, villain.clone()).await.expect("handshake");
    assert_eq!(refused.reason().await, Some(DisconnectReason::Requested));
    let _friend = greeted(&net, elsewhere(), &server, &friend).await;
    pass(SECOND * 601).await;
    let _villain = greeted(&net, elsewhere(), &server, &villain).await;
    server.stop().await;
}

/// A peer from there with this key.
async fn greeted(net: &Net, from: IpAddr, server: &Server, key: &SecretKey) -> Hostile {
    let link = open(net, from, server).await;
    let mut peer = Hostile::over(link, server, key.clone()).await.expect("handshake");
    peer.greet(&["foo"]).await;
    let is_peer = || server.peer(peer.id()).is_some();
    net.drive_until(SECOND, "admitted", is_peer).await.expect("admitted");
    peer
}
