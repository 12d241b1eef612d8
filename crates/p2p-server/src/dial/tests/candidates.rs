//! Candidates: wanted for free slots only, and each of them dialed once.

use super::*;

#[test]
fn candidates_are_wanted_for_free_slots_only() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.dial.wants_candidates(), 4);

    bench.offer(&node(1)).unwrap();
    assert_eq!(bench.dial.wants_candidates(), 3);
    bench.poll().unwrap();

    assert_eq!(bench.dial.wants_candidates(), 3);
}

#[test]
fn a_candidate_is_dialed_once() {
    let mut bench = Bench::new(1);
    bench.offer(&node(1)).unwrap();
    assert_eq!(bench.offer(&node(1)), Err(CheckError::Waiting));

    let task = bench.poll().unwrap();
    bench.fail(&node(1));

    assert_eq!(task, DialTask { node: node(1), is_static: false, attempt: 1 });
    assert_eq!(bench.offer(&node(1)), Err(CheckError::RecentlyDialed));
    assert_eq!(bench.dial.deadline(), None);
    bench.advance(35);
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.offer(&node(1)), Ok(()));
    assert_eq!(bench.poll().unwrap().attempt, 2);
}

#[test]
fn a_candidate_is_left_alone_as_long_as_its_reason_lasts() {
    for (reason, wait) in [
        (DisconnectReason::TooManyPeers, 60),
        (DisconnectReason::UselessPeer, 600),
        (DisconnectReason::IncompatibleVersion, 600),
        (DisconnectReason::Requested, 35),
    ] {
        let mut refused = Bench::new(1);
        refused.offer(&node(1)).unwrap();
        refused.poll().unwrap();
        refused.fail_with(&node(1), reason);
        let mut dropped = Bench::new(1);
        dropped.offer(&node(1)).unwrap();
        dropped.poll().unwrap();
        dropped.succeed(&node(1));
        dropped.drop_peer(&node(1), reason);

        for bench in [&mut refused, &mut dropped] {
            bench.advance(wait - 1);
            assert_eq!(bench.offer(&node(1)), Err(CheckError::RecentlyDialed), "{reason}");
            bench.advance(1);
            assert_eq!(bench.offer(&node(1)), Ok(()), "{reason}");
        }
    }
}

#[test]
fn the_queue_of_candidates_is_bounded() {
    let mut bench = Bench::with(DialConfig { max_candidates: 2, ..DialConfig::new(OWN.id(), 9) });
    bench.offer(&node(1)).unwrap();
    bench.offer(&node(2)).unwrap();

    assert_eq!(bench.offer(&node(3)), Err(CheckError::QueueFull));
    assert_eq!(bench.dial.wants_candidates(), 0);
}

#[test]
fn a_candidate_that_became_a_peer_while_it_waited_is_not_dialed() {
    let mut bench = Bench::new(1);
    bench.offer(&node(1)).unwrap();

    bench.dial.on_peer_added(&node(1).id(), false, bench.now);

    assert_eq!(bench.poll(), None);
}

#[test]
fn a_waiting_candidate_that_becomes_static_is_dialed_as_static() {
    let mut bench = Bench::new(1);
    bench.offer(&node(1)).unwrap();

    bench.add_static(&node(1));

    assert!(bench.poll().unwrap().is_static);
    assert_eq!(bench.poll(), None);
    bench.fail(&node(1));
    bench.advance(30);
    assert_eq!(bench.offer(&node(1)), Err(CheckError::RecentlyDialed));
    bench.advance(600);
    assert_eq!(bench.offer(&node(1)), Err(CheckError::Waiting));
}

#[test]
fn no_more_than_two_dialed_peers_share_a_public_network() {
    let mut bench = Bench::new(9);
    bench.offer(&node_at(1, "8.8.8.1", 1)).unwrap();
    bench.offer(&node_at(2, "8.8.8.2", 1)).unwrap();
    bench.offer(&node_at(3, "8.8.8.3", 1)).unwrap();
    bench.offer(&node_at(4, "8.8.9.1", 1)).unwrap();
    assert_eq!(bench.poll_all(), [node(1).id(), node(2).id(), node(4).id()]);
    bench.succeed(&node(1));
    bench.fail(&node(2));

    assert_eq!(bench.offer(&node_at(5, "8.8.8.5", 1)), Ok(()));
    assert_eq!(bench.poll_all(), [node(5).id()]);
    bench.succeed(&node(5));
    assert_eq!(bench.offer(&node_at(6, "8.8.8.6", 1)), Err(CheckError::CrowdedNetwork));
    bench.add_static(&node_at(6, "8.8.8.6", 1));

    assert_eq!(bench.poll_all(), [node(6).id()]);
}

#[test]
fn only_connections_that_we_opened_crowd_a_network() {
    let mut bench = Bench::new(9);
    for number in 1..=2 {
        let node = node_at(number, "8.8.8.8", number.into());
        bench.offer(&node).unwrap();
        bench.poll().unwrap();
        // Their connection to us was the one that was kept.
        bench.fail_with(&node, DisconnectReason::AlreadyConnected);
        bench.dial.on_peer_added(&node.id(), false, bench.now);
    }

    assert_eq!(bench.offer(&node_at(3, "8.8.8.8", 3)), Ok(()));
}

#[test]
fn a_peer_whose_attempt_is_about_to_end_crowds_its_network_once() {
    let mut bench = Bench::new(9);
    bench.offer(&node_at(1, "8.8.8.1", 1)).unwrap();
    bench.poll().unwrap();
    bench.dial.on_peer_added(&node(1).id(), true, bench.now);

    assert_eq!(bench.offer(&node_at(2, "8.8.8.2", 1)), Ok(()));
    assert_eq!(bench.poll_all(), [node(2).id()]);
    assert_eq!(bench.offer(&node_at(3, "8.8.8.3", 1)), Err(CheckError::CrowdedNetwork));
}

#[test]
fn a_milder_reason_does_not_shorten_the_wait() {
    let mut bench = Bench::new(1);
    bench.offer(&node(1)).unwrap();
    bench.poll().unwrap();
    bench.fail_with(&node(1), DisconnectReason::UselessPeer);

    bench.dial.on_peer_added(&node(1).id(), false, bench.now);
    bench.drop_peer(&node(1), DisconnectReason::TooManyPeers);

    bench.advance(599);
    assert_eq!(bench.offer(&node(1)), Err(CheckError::RecentlyDialed));
}

#[test]
fn neighbours_may_share_a_network() {
    let mut bench = Bench::new(9);

    for number in 1..=8 {
        bench.offer(&node_at(number, "192.168.1.7", number.into())).unwrap();
    }

    assert_eq!(bench.poll_all().len(), 8);
}
