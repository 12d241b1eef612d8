//! The rules that a node has to pass, in their order.

use super::*;

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
