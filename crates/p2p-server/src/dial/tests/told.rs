//! Events, states and the log: what the scheduler says about itself.

use super::*;

#[test]
fn an_attempt_is_told_from_start_to_end() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    bench.poll().unwrap();
    bench.fail(&node(1));
    bench.now = bench.dial.deadline().unwrap();
    bench.poll().unwrap();
    bench.succeed(&node(1));
    bench.advance(1);
    bench.drop_peer(&node(1), DisconnectReason::Quitting);

    let events = bench.dial.take_events();

    let told: Vec<_> = events
        .iter()
        .map(|event| (event.attempt, event.stage, event.outcome.to_string()))
        .collect();
    assert_eq!(
        told,
        [
            (1, DialStage::Connect, "started".into()),
            (1, DialStage::Connect, "connection refused".into()),
            (2, DialStage::Connect, "started".into()),
            (2, DialStage::Session, "connected".into()),
            (2, DialStage::Session, "client quitting".into()),
        ]
    );
    let planned: Vec<_> = events.iter().map(|event| event.next_in.is_some()).collect();
    assert_eq!(planned, [false, true, false, false, true]);
    assert!(bench.dial.take_events().is_empty());
}

#[test]
fn inbound_peers_are_no_dial_events() {
    let mut bench = Bench::new(1);

    bench.dial.on_peer_added(&node(1).id(), false, bench.now);
    bench.drop_peer(&node(1), DisconnectReason::Quitting);

    assert!(bench.dial.take_events().is_empty());
}

#[test]
fn events_that_nobody_takes_are_bounded() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    for _ in 0..MAX_EVENTS {
        bench.poll().unwrap();
        bench.fail(&node(1));
        bench.advance(600);
    }

    let events = bench.dial.take_events();
    assert_eq!(events.len(), MAX_EVENTS);
    assert_eq!(events.last().unwrap().attempt, 1024);
}

#[test]
fn the_status_follows_a_static_node_through_its_life() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.dial.status(&node(1).id(), bench.now), None);

    bench.add_static(&node(1));
    let status = bench.status(&node(1));
    assert!(status.is_static && !status.connected && !status.dialing);
    assert_eq!((status.attempts, status.last, status.next), (0, None, Some(bench.now)));

    bench.poll().unwrap();
    let status = bench.status(&node(1));
    assert!(status.dialing);
    assert_eq!((status.attempts, status.next), (1, None));

    bench.fail(&node(1));
    let status = bench.status(&node(1));
    assert!(!status.dialing);
    assert_eq!(status.next, bench.dial.deadline());
    let last = status.last.unwrap();
    assert_eq!((last.at, last.stage), (bench.now, DialStage::Connect));
    assert_eq!(last.error.as_deref(), Some("connection refused"));

    bench.now = bench.dial.deadline().unwrap();
    bench.poll().unwrap();
    bench.succeed(&node(1));
    let status = bench.status(&node(1));
    assert!(status.connected);
    assert_eq!((status.attempts, status.next), (2, None));
    assert_eq!(status.last.unwrap().error, None);

    bench.drop_peer(&node(1), DisconnectReason::TooManyPeers);
    let last = bench.status(&node(1)).last.unwrap();
    assert_eq!(last.stage, DialStage::Session);
    assert_eq!(last.error.as_deref(), Some("too many peers"));
}

#[test]
fn a_candidate_that_failed_has_a_status_and_no_plan() {
    let mut bench = Bench::new(1);
    bench.offer(&node(1)).unwrap();
    bench.poll().unwrap();
    bench.fail(&node(1));

    let status = bench.status(&node(1));

    assert!(!status.is_static);
    assert_eq!((status.attempts, status.next), (1, None));
    assert!(status.last.is_some());
}

#[test]
fn looking_for_peers_is_told_every_ten_seconds_while_few_are_dialed() {
    let mut bench = Bench::new(4);
    bench.add_static(&node(1));
    assert_eq!(bench.dial.looking_for_peers(bench.now), None);
    bench.poll().unwrap();
    bench.fail(&node(1));
    bench.advance(9);
    assert_eq!(bench.dial.looking_for_peers(bench.now), None);
    bench.advance(1);

    let told = bench.dial.looking_for_peers(bench.now);

    assert_eq!(told, Some(LookingForPeers { peer_count: 0, tried: 1, static_nodes: 1 }));
    assert_eq!(bench.dial.looking_for_peers(bench.now), None);
    bench.advance(10);
    for number in 2..=4 {
        bench.dial.on_peer_added(&node(number).id(), true, bench.now);
    }
    assert_eq!(bench.dial.looking_for_peers(bench.now), None);
}

#[test]
fn nothing_is_looked_for_when_all_wanted_peers_are_there() {
    let mut bench = Bench::new(1);
    bench.dial.on_peer_added(&node(1).id(), true, bench.now);
    bench.dial.looking_for_peers(bench.now);
    bench.advance(10);

    assert_eq!(bench.dial.looking_for_peers(bench.now), None);
}

#[test]
fn the_end_of_an_attempt_that_was_not_made_changes_nothing() {
    let mut bench = Bench::new(1);

    bench.fail(&node(1));
    bench.drop_peer(&node(1), DisconnectReason::Quitting);
    bench.dial.on_pending_inbound(&node(1).id(), false);

    assert!(bench.dial.take_events().is_empty());
    assert_eq!(bench.dial.status(&node(1).id(), bench.now), None);
}
