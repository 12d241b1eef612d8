//! How many attempts run, and who goes first.

use super::*;

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
