//! Many servers in memory on a paused clock: the network itself, and that a seed decides everything.

use std::time::Duration;

use p2p_server::{Capability, PeerEvent, Protocol, Server, protocol_fn, test_utils::Net};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);

/// Sends three numbers, reads three, and stays until the connection ends.
fn counting() -> impl Protocol {
    protocol_fn(Capability::new("count", 1), 1, |_peer, mut messages| async move {
        for n in 0..3_u64 {
            messages.send(0, &n).await?;
        }
        while messages.recv().await.is_ok() {}
        Ok(())
    })
}

async fn pair(net: &Net) -> (Server, Server) {
    let one = net.server("one").protocol(counting()).start().await.expect("starts");
    let two = net.server("two").protocol(counting()).start().await.expect("starts");
    (one, two)
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_the_connection_and_healing_lets_it_come_back() {
    let net = Net::new(1);
    let (one, two) = pair(&net).await;
    net.connect(&one, &two).await.expect("connects");

    net.cut(&one, &two);
    let gone = || one.peer_count() == 0 && two.peer_count() == 0;
    net.drive_until(SOON, "both have noticed", gone).await.expect("a reset is noticed");
    net.heal(&one, &two);

    let back = || one.peer_count() == 1 && two.peer_count() == 1;
    net.drive_until(Duration::from_secs(700), "connected again", back).await.expect("redialed");
}

#[tokio::test(start_paused = true)]
async fn a_silent_loss_is_noticed_within_45_seconds() {
    let net = Net::new(1);
    let (one, two) = pair(&net).await;
    net.connect(&one, &two).await.expect("connects");

    net.half_open(&one, &two);

    let gone = || one.peer_count() == 0 && two.peer_count() == 0;
    net.drive_until(Duration::from_secs(45), "both have noticed", gone).await.expect("noticed");
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_time_they_are_given() {
    let net = Net::new(1);
    let (one, two) = pair(&net).await;
    net.set_latency_between(&one, &two, Duration::from_millis(100));
    let start = Instant::now();

    net.connect(&one, &two).await.expect("connects");

    // There and back for the connection, for auth and ack, and there for the hello.
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_is_named() {
    let net = Net::new(1);

    let error = net.drive_until(SOON, "pigs fly", || false).await.expect_err("they do not");

    assert_eq!(error.to_string(), "after 10s still not: pigs fly");
}

/// Eight servers in a ring with chords, with jitter: what each subscriber saw and when.
async fn event_log(seed: u64) -> Vec<String> {
    let net = Net::new(seed);
    net.set_latency(Duration::from_millis(20));
    net.set_jitter(Duration::from_millis(15));
    let mut servers = Vec::new();
    for n in 0..8 {
        let builder = net.server(&format!("n{n}")).protocol(counting()).message_events(true);
        servers.push(builder.start().await.expect("starts"));
    }
    let mut events: Vec<_> = servers.iter().map(Server::events).collect();
    for n in 0..8 {
        for step in [1, 3] {
            servers[n].add_peer(servers[(n + step) % 8].enode()).expect("running");
        }
    }
    let start = Instant::now();
    let linked = || servers.iter().all(|server| server.peer_count() == 4);
    net.drive_until(SOON, "all are linked", linked).await.expect("links");
    servers[0].stop().await;
    let left = || servers[1..].iter().map(Server::peer_count).sum::<usize>() == 24;
    net.drive_until(SOON, "the others have noticed", left).await.expect("notices");

    let mut log = vec![format!("{:?}", start.elapsed())];
    for (n, events) in events.iter_mut().enumerate() {
        while let Some(event) = events.try_next() {
            let json = serde_json::to_string(&event).expect("plain data");
            log.push(format!("n{n} {json}"));
        }
    }
    log
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(event_log(seed))
    };

    let (first, again, other) = (run(7), run(7), run(8));

    assert!(first.len() > 8 * 4 * 2, "{} events", first.len());
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_peer_begin_with_add_and_end_with_drop() {
    let net = Net::new(3);
    let one = net.server("one").protocol(counting()).message_events(true).start().await.unwrap();
    let two = net.server("two").protocol(counting()).start().await.unwrap();
    let mut events = one.events();

    net.connect(&one, &two).await.expect("connects");
    two.stop().await;
    one.stop().await;

    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(event);
    }
    assert!(matches!(seen.first(), Some(PeerEvent::Added { .. })), "{seen:?}");
    assert!(matches!(seen.last(), Some(PeerEvent::Dropped { .. })), "{seen:?}");
    assert_eq!(seen.iter().filter(|e| matches!(e, PeerEvent::Dropped { .. })).count(), 1);
}
