//! When a node is dialed again that did not want us, was not there, or went away.

mod hostile;

use std::{net::IpAddr, time::Duration};

use enode::{Enode, SecretKey};
use futures_util::stream;
use hostile::{STRANGER, foo, idle, pass, server};
use p2p_server::{
    Capability, DialEvent, DialEvents, DialOutcome, DialStage, Server, Transport as _, protocol_fn,
    test_utils::Net,
};
use tokio::{task::JoinHandle, time::Instant};

const SECOND: Duration = Duration::from_secs(1);

/// L-11: 35 s, doubling to ten minutes, each a fifth more or less and never under 35 s.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_dialed_less_and_less_often() {
    for seed in 0..20 {
        let net = Net::new(seed);
        let server = server(&net).await;
        let starts = starts(&server);
        let nobody = Enode::new(SecretKey::random().public_key(), STRANGER, 30303, 30303);
        server.add_peer(nobody).expect("running");
        pass(SECOND * 3_600).await;
        server.stop().await;

        let starts = starts.await.expect("ends");

        for (number, pair) in starts.windows(2).enumerate() {
            let planned = (35.0 * 2_f64.powi(number.try_into().expect("few"))).min(600.0);
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((planned * 0.79..=planned * 1.21).contains(&gap), "{number}: {gap}");
            assert!((35.0..=600.5).contains(&gap), "{number}: {gap}");
        }
        assert!((9..=12).contains(&starts.len()), "{} attempts in an hour", starts.len());
    }
}

/// L-11: a connection of a minute makes up for what was before it.
#[tokio::test(start_paused = true)]
async fn a_lasting_connection_resets_the_pause_and_a_short_one_does_not() {
    let net = Net::new(1);
    for (lifetime, first_pause) in [(SECOND * 61, 0..43), (SECOND * 5, 100..240)] {
        let one = server(&net).await;
        let key = SecretKey::random();
        let host: IpAddr = [10, 8, 0, u8::try_from(lifetime.as_secs()).expect("short")].into();
        let node = Enode::new(key.public_key(), host, 30303, 30303);
        one.add_peer(node).expect("running");
        // Two attempts come to nothing before it is there.
        while one.dial_status(key.public_key().node_id()).expect("static").attempts < 2 {
            pass(SECOND).await;
        }
        pass(SECOND).await;
        let other = Server::builder(key)
            .listen_on((host, 30303).into())
            .max_peers(9)
            .no_dial(true)
            .transport(net.transport(host))
            .protocol(foo(idle))
            .start()
            .await
            .expect("starts");
        net.drive_until(SECOND * 700, "connected", || one.peer_count() == 1).await.expect("dialed");

        pass(lifetime).await;
        let lost = Instant::now();
        other.stop().await;
        let mut dials = one.dial_events();
        let next = loop {
            let event = dials.next().await.expect("running");
            if event.outcome == DialOutcome::Started {
                break Instant::now() - lost;
            }
        };

        assert!(first_pause.contains(&next.as_secs()), "after {lifetime:?}: {next:?}");
        one.stop().await;
    }
}

/// L-11: a candidate that says it is full is left alone for a minute, one that is of no use for ten.
#[tokio::test(start_paused = true)]
async fn the_reason_of_a_candidate_decides_how_long_it_is_left_alone() {
    let net = Net::new(1);
    let full = net.server("full").max_peers(0).protocol(foo(idle)).start().await.expect("starts");
    let bar = protocol_fn(Capability::new("bar", 42), 1, idle);
    let useless = net.server("useless").protocol(bar).start().await.expect("starts");
    let gone = Enode::new(SecretKey::random().public_key(), STRANGER, 30303, 30303);

    for (node, pause) in [(full.enode(), 60), (useless.enode(), 600), (gone, 35)] {
        let again = stream::repeat(node);
        let builder = net.server("one").candidates(again).protocol(foo(idle));
        let one = builder.start().await.expect("starts");
        let starts = starts(&one);
        pass(SECOND * 3_600).await;
        one.stop().await;

        let starts = starts.await.expect("ends");

        assert!(starts.len() > 4, "{} attempts", starts.len());
        for pair in starts.windows(2) {
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((f64::from(pause)..f64::from(pause) + 1.0).contains(&gap), "{pause}: {gap}");
        }
    }
}

/// L-02: a node that we dial and that says nothing has five seconds for its ack, and ten for its
/// hello, as one that dials us.
#[tokio::test(start_paused = true)]
async fn a_dialed_node_that_says_nothing_is_given_up_in_time() {
    let net = Net::new(1);
    let one = server(&net).await;
    let mut dials = one.dial_events();
    let mut listener =
        net.transport(STRANGER).listen((STRANGER, 30303).into()).await.expect("free");
    let silent = Enode::new(SecretKey::random().public_key(), STRANGER, 30303, 30303);
    let start = Instant::now();
    one.add_peer(silent).expect("running");
    let link = listener.accept().await.expect("dialed");

    let failed = next_failure(&mut dials).await;

    assert_eq!(failed.stage, DialStage::Handshake);
    assert_eq!(start.elapsed().as_secs(), 5);
    drop(link);
    one.stop().await;
}

/// Notes when attempts start, until the server stops.
fn starts(server: &Server) -> JoinHandle<Vec<Instant>> {
    let mut dials = server.dial_events();
    tokio::spawn(async move {
        let mut starts = Vec::new();
        while let Some(event) = dials.next().await {
            if event.outcome == DialOutcome::Started {
                starts.push(Instant::now());
            }
        }
        starts
    })
}

/// The next attempt that came to nothing.
async fn next_failure(dials: &mut DialEvents) -> DialEvent {
    loop {
        let event = dials.next().await.expect("running");
        if matches!(event.outcome, DialOutcome::Failed { .. }) {
            return event;
        }
    }
}
