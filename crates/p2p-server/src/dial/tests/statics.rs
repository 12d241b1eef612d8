//! Static nodes: dialed at once, again and again, and left alone when they are removed.

use super::*;

#[test]
fn a_new_static_node_is_dialed_at_once() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    let task = bench.poll().unwrap();

    assert_eq!(task, DialTask { node: node(1), is_static: true, attempt: 1 });
    assert_eq!(bench.poll(), None);
}

#[test]
fn a_static_node_that_cannot_be_reached_is_dialed_again_and_again() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    for attempt in 1..20 {
        assert_eq!(bench.poll().unwrap().attempt, attempt);
        bench.fail(&node(1));
        assert_eq!(bench.poll(), None);
        bench.now = bench.dial.deadline().unwrap();
    }
}

#[test]
fn pauses_double_from_35_seconds_to_10_minutes() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    for planned in [35.0, 70.0, 140.0, 280.0, 560.0, 600.0, 600.0] {
        bench.poll().unwrap();
        bench.fail(&node(1));
        let wait = bench.wait();

        assert!((35.0..=600.0).contains(&wait), "{wait}");
        assert!((wait / planned - 1.0).abs() <= 0.2, "{wait} for {planned}");
        bench.now = bench.dial.deadline().unwrap();
    }
}

#[test]
fn the_pause_counts_from_the_start_of_the_attempt() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    bench.poll().unwrap();
    bench.advance(15);

    bench.fail(&node(1));

    assert!((20.0..=27.0).contains(&bench.wait()), "{}", bench.wait());
}

#[test]
fn a_connection_of_a_minute_makes_failures_forgotten() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    for _ in 0..5 {
        bench.poll().unwrap();
        bench.fail(&node(1));
        bench.now = bench.dial.deadline().unwrap();
    }
    bench.poll().unwrap();
    bench.succeed(&node(1));
    bench.advance(60);

    bench.drop_peer(&node(1), DisconnectReason::Quitting);

    // More than the history has passed since the attempt, so it is due at once.
    assert_eq!(bench.poll_all(), [node(1).id()]);
    bench.fail(&node(1));
    assert!(bench.wait() <= 42.0, "{}", bench.wait());
}

#[test]
fn a_peer_that_hangs_up_at_once_counts_as_a_failure() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    for planned in [35.0, 70.0, 140.0] {
        bench.poll().unwrap();
        bench.succeed(&node(1));
        bench.drop_peer(&node(1), DisconnectReason::UselessPeer);

        assert!((bench.wait() / planned - 1.0).abs() <= 0.2, "{}", bench.wait());
        bench.now = bench.dial.deadline().unwrap();
    }
}

#[test]
fn losing_to_a_crossing_connection_is_no_failure() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    for _ in 0..5 {
        bench.poll().unwrap();
        bench.fail_with(&node(1), DisconnectReason::AlreadyConnected);

        assert!((bench.wait() - 35.0).abs() < 0.001);
        bench.now = bench.dial.deadline().unwrap();
    }
}

#[test]
fn a_static_peer_that_dialed_us_and_left_is_dialed_at_once() {
    let mut bench = Bench::new(1);
    bench.dial.on_peer_added(&node(1).id(), false, bench.now);
    bench.add_static(&node(1));
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.deadline(), None);

    bench.drop_peer(&node(1), DisconnectReason::Quitting);

    assert_eq!(bench.poll_all(), [node(1).id()]);
}

#[test]
fn a_removed_static_node_is_not_dialed_again() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    bench.poll().unwrap();

    assert!(bench.dial.remove_static(&node(1).id(), bench.now));
    bench.fail(&node(1));
    bench.advance(3600);

    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.deadline(), None);
    assert!(!bench.dial.remove_static(&node(1).id(), bench.now));
}

#[test]
fn removing_and_adding_a_node_leaves_only_the_history_in_its_way() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    for _ in 0..5 {
        bench.poll().unwrap();
        bench.fail(&node(1));
        bench.now = bench.dial.deadline().unwrap();
    }
    bench.poll().unwrap();
    bench.fail(&node(1));
    bench.dial.take_events();

    bench.dial.remove_static(&node(1).id(), bench.now);
    bench.add_static(&node(1));

    assert_eq!(bench.poll(), None);
    assert!((bench.wait() - 35.0).abs() < 0.001);
    let events = bench.dial.take_events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].outcome, DialOutcome::Scheduled);
    assert_eq!(events[0].next_in, Some(secs(35)));
}

#[test]
fn adding_a_node_again_with_another_endpoint_moves_it() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    for _ in 0..5 {
        bench.poll().unwrap();
        bench.fail(&node(1));
        bench.now = bench.dial.deadline().unwrap();
    }
    let moved = node_at(1, "127.0.0.1", 9);
    bench.poll().unwrap();
    bench.fail(&node(1));

    bench.add_static(&moved);

    // The failures were those of the old endpoint.
    assert!((bench.wait() - 35.0).abs() < 0.001);
    bench.advance(35);
    assert_eq!(bench.poll().unwrap().node, moved);
}

#[test]
fn adding_a_node_again_changes_nothing_else() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    bench.poll().unwrap();
    bench.fail(&node(1));
    let before = bench.status(&node(1));

    bench.add_static(&node(1));

    assert_eq!(bench.status(&node(1)), before);
    assert_eq!(bench.dial.static_nodes().count(), 1);
}

#[test]
fn our_own_node_is_no_static_node() {
    let mut bench = Bench::new(1);

    let refused = bench.dial.add_static(OWN.clone(), bench.now);

    assert_eq!(refused, Err(AddStaticError::Own));
    assert_eq!(bench.poll(), None);
}

#[test]
fn the_list_of_static_nodes_is_bounded() {
    let mut bench = Bench::with(DialConfig { max_static: 2, ..DialConfig::new(OWN.id(), 1) });
    bench.add_static(&node(1));
    bench.add_static(&node(2));

    let refused = bench.dial.add_static(node(3), bench.now);

    assert_eq!(refused, Err(AddStaticError::TooMany { limit: 2 }));
    assert_eq!(bench.dial.add_static(node_at(2, "127.0.0.2", 1), bench.now), Ok(()));
}

#[test]
fn a_static_node_outside_the_allowed_networks_is_told_and_never_dialed() {
    let mut bench = Bench::with(DialConfig {
        net_restrict: Some("10.0.0.0/8".parse().unwrap()),
        ..DialConfig::new(OWN.id(), 1)
    });

    bench.add_static(&node(1));

    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.deadline(), None);
    let status = bench.status(&node(1));
    let last = status.last.unwrap();
    assert_eq!(last.stage, DialStage::Check);
    assert_eq!(last.error.as_deref(), Some("not contained in netrestrict list"));
    assert_eq!((status.attempts, status.next), (0, None));
    assert_eq!(bench.dial.take_events()[0].attempt, 0);

    bench.add_static(&node_at(1, "10.0.0.1", 1));
    assert_eq!(bench.poll_all(), [node(1).id()]);
}
