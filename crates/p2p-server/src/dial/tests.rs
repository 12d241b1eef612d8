//! The scheduler from outside: what it wants dialed, when, and what it says about it. Time and chance
//! are arguments, so whole hours pass in microseconds and the same seed dials the same nodes.

use std::{collections::BTreeSet, sync::LazyLock};

use enode::SecretKey;
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

// --- the bench: a scheduler, its clock and its chance

struct Bench {
    dial: DialScheduler,
    now: Instant,
    rng: StdRng,
}

impl Bench {
    fn new(max_dialed: usize) -> Self {
        Self::with(DialConfig::new(OWN.id(), max_dialed))
    }

    fn with(config: DialConfig) -> Self {
        Self {
            dial: DialScheduler::new(config),
            now: Instant::now(),
            rng: StdRng::seed_from_u64(7),
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.now += secs(seconds);
    }

    fn poll(&mut self) -> Option<DialTask> {
        self.dial.poll(self.now, &mut self.rng)
    }

    fn poll_all(&mut self) -> Vec<NodeId> {
        std::iter::from_fn(|| self.poll()).map(|task| task.node.id()).collect()
    }

    fn add_static(&mut self, node: &Enode) {
        self.dial.add_static(node.clone(), self.now).unwrap();
    }

    fn offer(&mut self, node: &Enode) -> Result<(), CheckError> {
        self.dial.add_candidate(node.clone(), self.now)
    }

    fn succeed(&mut self, node: &Enode) {
        self.dial.on_done(&node.id(), Ok(()), self.now, &mut self.rng);
        self.dial.on_peer_added(&node.id(), true, self.now);
    }

    fn fail(&mut self, node: &Enode) {
        let failure = DialFailure::new(DialStage::Connect, &"connection refused");
        self.dial.on_done(&node.id(), Err(failure), self.now, &mut self.rng);
    }

    fn fail_with(&mut self, node: &Enode, reason: DisconnectReason) {
        let failure = DialFailure::disconnected(DialStage::Hello, reason);
        self.dial.on_done(&node.id(), Err(failure), self.now, &mut self.rng);
    }

    fn drop_peer(&mut self, node: &Enode, reason: DisconnectReason) {
        self.dial.on_peer_removed(&node.id(), Some(reason), self.now, &mut self.rng);
    }

    fn status(&self, node: &Enode) -> DialStatus {
        self.dial.status(&node.id(), self.now).unwrap()
    }

    /// Seconds until the scheduler wants to be called again.
    fn wait(&self) -> f64 {
        self.dial.deadline().unwrap().saturating_duration_since(self.now).as_secs_f64()
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(number: u8) -> enode::PublicKey {
    SecretKey::from_bytes(&[number; 32]).unwrap().public_key()
}

/// A node on loopback.
fn node(number: u8) -> Enode {
    node_at(number, "127.0.0.1", 30303)
}

fn node_at(number: u8, ip: &str, tcp: u16) -> Enode {
    Enode::new(key(number), ip.parse().unwrap(), tcp, tcp)
}

static OWN: LazyLock<Enode> = LazyLock::new(|| node(200));

// --- static nodes

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

// --- slots

#[test]
fn two_attempts_run_for_each_missing_peer() {
    let mut bench = Bench::new(2);
    for number in 1..=9 {
        bench.add_static(&node(number));
    }

    assert_eq!(bench.poll_all().len(), 4);
}

#[test]
fn the_limit_of_attempts_holds_whatever_is_missing() {
    let mut bench = Bench::with(DialConfig { max_active: 3, ..DialConfig::new(OWN.id(), 100) });
    for number in 1..=9 {
        bench.add_static(&node(number));
    }

    assert_eq!(bench.poll_all().len(), 3);
}

#[test]
fn peers_that_we_dialed_take_slots_and_others_do_not() {
    let mut bench = Bench::new(1);
    bench.dial.on_peer_added(&node(9).id(), false, bench.now);
    bench.add_static(&node(1));
    bench.add_static(&node(2));
    bench.add_static(&node(3));
    let started = bench.poll_all();
    assert_eq!(started.len(), 2);

    bench.dial.on_done(&started[0], Ok(()), bench.now, &mut bench.rng);
    bench.dial.on_peer_added(&started[0], true, bench.now);

    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.wants_candidates(), 0);
    assert_eq!(bench.dial.deadline(), None);
}

#[test]
fn a_node_without_room_for_peers_dials_nobody() {
    let mut bench = Bench::new(0);
    bench.add_static(&node(1));

    assert_eq!(bench.offer(&node(2)), Err(CheckError::QueueFull));
    assert_eq!(bench.dial.wants_candidates(), 0);
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.deadline(), None);
    assert_eq!(bench.status(&node(1)).next, None);
}

#[test]
fn static_nodes_go_before_candidates() {
    let mut bench = Bench::new(2);
    bench.offer(&node(1)).unwrap();
    bench.offer(&node(2)).unwrap();
    bench.add_static(&node(3));
    bench.add_static(&node(4));

    let started = bench.poll_all();

    assert_eq!(
        started[..2].iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&node(3).id(), &node(4).id()])
    );
    assert_eq!(started[2..], [node(1).id(), node(2).id()]);
}

#[test]
fn chance_decides_the_order_of_static_nodes_and_the_seed_decides_chance() {
    let order = |seed| {
        let mut bench = Bench::new(10);
        bench.rng = StdRng::seed_from_u64(seed);
        for number in 1..=9 {
            bench.add_static(&node(number));
        }
        bench.poll_all()
    };

    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

// --- candidates

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

// --- the rules, in order

#[test]
fn each_rule_has_its_words_and_comes_in_order() {
    let mut bench = Bench::with(DialConfig {
        net_restrict: Some("127.0.0.0/8".parse().unwrap()),
        self_id: node(9).id(),
        ..DialConfig::new(OWN.id(), 9)
    });
    let check = |bench: &Bench, node: &Enode| {
        bench.dial.check(node, bench.now).map_err(|error| error.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());

    // Each state breaks the rule under test and all that come after it.
    let outside = node_at(1, "8.8.8.8", 1);
    bench.offer(&node(1)).unwrap();
    bench.poll().unwrap();
    bench.dial.on_peer_added(&node(1).id(), true, bench.now);
    bench.dial.on_pending_inbound(&node(1).id(), true);

    assert_eq!(check(&bench, &node_at(9, "8.8.8.8", 0)), refused("is self"));
    assert_eq!(check(&bench, &node_at(1, "8.8.8.8", 0)), refused("node does not provide TCP port"));
    assert_eq!(check(&bench, &outside), refused("already dialing"));
    bench.dial.on_done(&node(1).id(), Ok(()), bench.now, &mut bench.rng);
    assert_eq!(check(&bench, &outside), refused("already connected"));
    bench.drop_peer(&node(1), DisconnectReason::Requested);
    assert_eq!(check(&bench, &outside), refused("peer has pending inbound connection"));
    bench.dial.on_pending_inbound(&node(1).id(), false);
    assert_eq!(check(&bench, &outside), refused("not contained in netrestrict list"));
    assert_eq!(check(&bench, &node(1)), refused("recently dialed"));
    bench.advance(35);
    assert_eq!(check(&bench, &node(1)), Ok(()));
}

#[test]
fn a_node_is_not_dialed_while_one_of_its_own_connections_is_pending() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));
    bench.dial.on_pending_inbound(&node(1).id(), true);
    bench.dial.on_pending_inbound(&node(1).id(), true);
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.dial.deadline(), None);

    bench.dial.on_pending_inbound(&node(1).id(), false);
    assert_eq!(bench.poll(), None);
    bench.dial.on_pending_inbound(&node(1).id(), false);

    assert_eq!(bench.poll_all(), [node(1).id()]);
}

#[test]
fn a_resolved_address_is_checked_like_a_given_one() {
    let bench = Bench::with(DialConfig {
        net_restrict: Some("10.0.0.0/8".parse().unwrap()),
        ..DialConfig::new(OWN.id(), 1)
    });

    assert_eq!(bench.dial.check_endpoint(&node_at(1, "10.0.0.1", 1)), Ok(()));
    assert_eq!(bench.dial.check_endpoint(&node_at(1, "10.0.0.1", 0)), Err(CheckError::NoPort));
    assert_eq!(bench.dial.check_endpoint(&node_at(1, "11.0.0.1", 1)), Err(CheckError::NetRestrict));
}

#[test]
fn an_address_of_no_host_is_not_dialed() {
    let bench = Bench::new(1);

    for ip in ["0.0.0.0", "::", "224.0.0.1"] {
        let refused = bench.dial.check(&node_at(1, ip, 30303), bench.now);

        assert_eq!(refused, Err(CheckError::BadAddress), "{ip}");
    }
}

#[test]
fn nodes_without_an_address_are_for_the_driver_to_resolve() {
    let mut bench = Bench::with(DialConfig {
        net_restrict: Some("10.0.0.0/8".parse().unwrap()),
        ..DialConfig::new(OWN.id(), 9)
    });
    let named = Enode::incomplete(key(1)).with_host("localhost").unwrap().with_ports(1, 1);
    let unknown = Enode::incomplete(key(2));
    bench.add_static(&named);
    bench.add_static(&unknown);

    let mut tasks: Vec<_> = std::iter::from_fn(|| bench.poll()).map(|task| task.node).collect();

    tasks.sort_by_key(|node| node.host().is_none());
    assert_eq!(tasks, [named, unknown]);
    let events = bench.dial.take_events();
    assert!(events.iter().all(|event| event.stage == DialStage::Resolve));
}

#[test]
fn an_enode_without_an_endpoint_does_not_replace_one_with() {
    let mut bench = Bench::new(1);
    bench.add_static(&node(1));

    bench.add_static(&Enode::incomplete(key(1)));

    assert_eq!(bench.poll().unwrap().node, node(1));
}

// --- what is told

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

// --- any order of events

/// One thing that can happen to a scheduler.
#[derive(Debug, Clone)]
enum Step {
    AddStatic(usize),
    RemoveStatic(usize),
    Offer(usize),
    Advance(u64),
    Succeed(usize),
    Fail(usize, DisconnectReason),
    DropPeer(usize, DisconnectReason),
    InboundPeer(usize),
    PendingInbound(usize, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = 0..NODES.len();
    let reason = || (0..=0x10_u8).prop_map(DisconnectReason::from_code);
    prop_oneof![
        3 => node.clone().prop_map(Step::AddStatic),
        1 => node.clone().prop_map(Step::RemoveStatic),
        4 => node.clone().prop_map(Step::Offer),
        3 => (0..90_u64).prop_map(Step::Advance),
        1 => (90..1200_u64).prop_map(Step::Advance),
        4 => node.clone().prop_map(Step::Succeed),
        4 => (node.clone(), reason()).prop_map(|(node, reason)| Step::Fail(node, reason)),
        4 => (node.clone(), reason()).prop_map(|(node, reason)| Step::DropPeer(node, reason)),
        1 => node.clone().prop_map(Step::InboundPeer),
        2 => (node, any::<bool>()).prop_map(|(node, present)| Step::PendingInbound(node, present)),
    ]
}

/// Number 0 is our own node.
static NODES: LazyLock<Vec<Enode>> = LazyLock::new(|| {
    (0..12_u8)
        .map(|number| match number {
            // Some share a public network, some are neighbours.
            1..=5 => node_at(number + 1, "8.8.8.8", 30303),
            _ => node_at(number + 1, "127.0.0.1", 30303),
        })
        .collect()
});

/// What must be true, kept apart from how the scheduler works.
struct Model {
    bench: Bench,
    max_dialed: usize,
    max_active: usize,
    statics: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// Peers, and whether we dialed them.
    peers: BTreeMap<usize, bool>,
    pending: BTreeMap<usize, usize>,
    started: BTreeMap<usize, Instant>,
}

impl Model {
    fn new(max_dialed: usize, max_active: usize, seed: u64) -> Self {
        let config = DialConfig::new(NODES[0].id(), max_dialed);
        let mut bench = Bench::with(DialConfig { max_active, max_candidates: 4, ..config });
        bench.rng = StdRng::seed_from_u64(seed);
        Self {
            bench,
            max_dialed,
            max_active,
            statics: BTreeSet::new(),
            running: BTreeSet::new(),
            peers: BTreeMap::new(),
            pending: BTreeMap::new(),
            started: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let bench = &mut self.bench;
        match *step {
            Step::AddStatic(0) => {
                assert!(bench.dial.add_static(NODES[0].clone(), bench.now).is_err());
            }
            Step::AddStatic(node) => {
                bench.add_static(&NODES[node]);
                self.statics.insert(node);
            }
            Step::RemoveStatic(node) => {
                let removed = bench.dial.remove_static(&NODES[node].id(), bench.now);
                assert_eq!(removed, self.statics.remove(&node));
            }
            Step::Offer(node) => {
                let _ = bench.offer(&NODES[node]);
            }
            Step::Advance(seconds) => bench.advance(seconds),
            Step::Succeed(node) => {
                if self.running.remove(&node) {
                    bench.succeed(&NODES[node]);
                    self.peers.insert(node, true);
                }
            }
            Step::Fail(node, reason) => {
                self.running.remove(&node);
                bench.fail_with(&NODES[node], reason);
            }
            Step::DropPeer(node, reason) => {
                self.peers.remove(&node);
                bench.drop_peer(&NODES[node], reason);
            }
            Step::InboundPeer(node) => {
                if node != 0 && !self.peers.contains_key(&node) {
                    bench.dial.on_peer_added(&NODES[node].id(), false, bench.now);
                    self.peers.insert(node, false);
                }
            }
            Step::PendingInbound(node, present) => self.set_pending(node, present),
        }
        self.poll();
        self.check_snapshot();
    }

    fn set_pending(&mut self, node: usize, present: bool) {
        let count = self.pending.entry(node).or_default();
        if !present && *count == 0 {
            return;
        }
        *count = if present { *count + 1 } else { *count - 1 };
        self.bench.dial.on_pending_inbound(&NODES[node].id(), present);
    }

    fn poll(&mut self) {
        while let Some(task) = self.bench.poll() {
            let node = NODES.iter().position(|node| *node == task.node).unwrap();
            let now = self.bench.now;

            assert_ne!(node, 0, "dialed itself");
            assert!(!self.peers.contains_key(&node), "dialed a peer");
            assert_eq!(self.pending.get(&node).copied().unwrap_or(0), 0, "dialed a guest");
            assert!(self.running.insert(node), "dialed twice at a time");
            assert!(self.running.len() <= self.slots(), "more attempts than slots");
            assert_eq!(task.is_static, self.statics.contains(&node));
            if let Some(before) = self.started.insert(node, now) {
                assert!(now - before >= secs(35), "dialed again after {:?}", now - before);
            }
        }
    }

    fn slots(&self) -> usize {
        let dialed = self.peers.values().filter(|dialed| **dialed).count();
        (2 * self.max_dialed.saturating_sub(dialed)).min(self.max_active)
    }

    fn check_snapshot(&mut self) {
        let now = self.bench.now;
        let dial = &self.bench.dial;
        if let Some(deadline) = dial.deadline() {
            assert!(deadline > now, "a deadline that has passed and yielded nothing");
            assert!(deadline - now <= secs(600), "a pause of {:?}", deadline - now);
        }
        assert!(dial.wants_candidates() <= self.slots().saturating_sub(self.running.len()));
        assert!(dial.candidates.len() <= 4);
        for (number, node) in NODES.iter().enumerate() {
            let Some(status) = dial.status(&node.id(), now) else {
                assert!(!self.statics.contains(&number) && !self.running.contains(&number));
                continue;
            };
            assert_eq!(status.dialing, self.running.contains(&number));
            assert_eq!(status.connected, self.peers.contains_key(&number));
            assert_eq!(status.is_static, self.statics.contains(&number));
            assert!(status.next.is_none_or(|next| next >= now && next - now <= secs(600)));
        }
        let told = self.bench.dial.take_events();
        assert!(told.iter().all(|event| event.next_in.is_none_or(|wait| wait <= secs(600))));
    }

    /// Everything ends and every attempt fails from now on: each static node has its turn.
    fn check_progress(mut self) {
        for node in 0..NODES.len() {
            self.step(&Step::Fail(node, DisconnectReason::Requested));
            self.step(&Step::DropPeer(node, DisconnectReason::Requested));
            while self.pending.get(&node).is_some_and(|count| *count > 0) {
                self.step(&Step::PendingInbound(node, false));
            }
        }
        let mut waiting = self.statics.clone();
        let from = self.bench.now;
        while !waiting.is_empty() {
            for node in std::mem::take(&mut self.running) {
                waiting.remove(&node);
                self.bench.fail(&NODES[node]);
            }
            self.poll();
            if self.running.is_empty() && !waiting.is_empty() {
                self.bench.now = self.bench.dial.deadline().expect("a static node is waiting");
                self.poll();
                assert!(!self.running.is_empty(), "a deadline passed and yielded nothing");
            }
        }
        // Everyone's longest pause; an attempt takes no time here.
        assert!(self.bench.now - from <= secs(600));
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold_and_static_nodes_have_their_turn(
        max_dialed in 1..5_usize,
        max_active in 1..6_usize,
        seed in any::<u64>(),
        steps in prop::collection::vec(any_step(), 0..200),
    ) {
        let mut model = Model::new(max_dialed, max_active, seed);

        for step in &steps {
            model.step(step);
        }

        model.check_progress();
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_attempts(
        seed in any::<u64>(),
        steps in prop::collection::vec(any_step(), 0..100),
    ) {
        let run = || {
            let mut model = Model::new(3, 5, seed);
            let begin = model.bench.now;
            let mut started = Vec::new();
            for step in &steps {
                model.step(step);
                let started_now = model.started.iter().map(|(node, at)| (*node, *at - begin));
                started.push(started_now.collect::<Vec<_>>());
            }
            started
        };

        prop_assert_eq!(run(), run());
    }
}
