//! Two nodes that dial each other at the same moment end with exactly one connection.
//!
//! ```text
//!   smaller id  ──dial──▶ ◀──dial──  larger id
//!        │    two connections, one     │
//!        └─── decides which stays ─────┘
//! ```

mod hostile;

use std::time::Duration;

use hostile::{foo, idle, pass, settles_at, tasks};
use p2p_server::{PeerEvent, PeerEvents, Server, test_utils::Net};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// L-08, T-22: with every delay up to 5 ms, on the wire and between the two decisions to dial.
#[tokio::test(start_paused = true)]
async fn dials_that_cross_leave_one_connection() {
    for seed in 0..500 {
        cross(seed, Duration::from_millis(5), 50).await;
    }
}

/// L-08, T-22: the same without any delay, where every step of the one meets the same of the other.
#[tokio::test(start_paused = true)]
async fn dials_that_cross_in_lockstep_leave_one_connection() {
    for seed in 1_000..1_300 {
        cross(seed, Duration::ZERO, 50).await;
    }
}

/// L-08: on a slow network, where seconds pass until one hears of the other's decision.
#[tokio::test(start_paused = true)]
async fn dials_that_cross_on_a_slow_network_leave_one_connection() {
    for seed in 2_000..2_200 {
        cross(seed, Duration::from_millis(700), 50).await;
    }
}

/// L-08: where each has room for one peer and no more, the second connection takes no room of its own.
#[tokio::test(start_paused = true)]
async fn dials_that_cross_between_nodes_with_one_slot_leave_one_connection() {
    for seed in 3_000..3_200 {
        cross(seed, Duration::from_millis(5), 1).await;
    }
}

/// One pair of nodes and one crossing. At latest after 5 s, and the time it takes to tell, each has
/// the other once, over the same connection, and it stays so.
async fn cross(seed: u64, jitter: Duration, max_peers: usize) {
    let net = Net::new(seed);
    net.set_jitter(jitter);
    let mut rng = StdRng::seed_from_u64(seed);
    let baseline = tasks();
    let (one, two) = (server(&net, max_peers).await, server(&net, max_peers).await);
    let (mut at_one, mut at_two) = (one.events(), two.events());

    one.add_peer(two.enode()).expect("running");
    pass(rng.random_range(Duration::ZERO..=jitter)).await;
    two.add_peer(one.enode()).expect("running");
    pass(Duration::from_secs(5) + jitter * 10).await;

    assert_one_connection(seed, &one, &two);
    assert_eq!(present(&mut at_one), 1, "seed {seed}");
    assert_eq!(present(&mut at_two), 1, "seed {seed}");
    pass(Duration::from_secs(120)).await;
    assert_one_connection(seed, &one, &two);
    assert_eq!((present(&mut at_one), present(&mut at_two)), (0, 0), "seed {seed}: it stays so");
    one.stop().await;
    two.stop().await;
    settles_at(&net, baseline).await;
}

async fn server(net: &Net, max_peers: usize) -> Server {
    let builder = net.server("one of two").max_peers(max_peers).protocol(foo(idle));
    builder.start().await.expect("starts")
}

fn assert_one_connection(seed: u64, one: &Server, two: &Server) {
    assert_eq!((one.peer_count(), two.peer_count()), (1, 1), "seed {seed}");
    let (at_one, at_two) = (one.peers()[0].clone(), two.peers()[0].clone());
    assert_eq!(at_one.local_addr(), at_two.remote_addr(), "seed {seed}: the same connection");
    assert_eq!(at_one.remote_addr(), at_two.local_addr(), "seed {seed}: the same connection");
    assert_ne!(at_one.inbound(), at_two.inbound(), "seed {seed}");
}

/// Reads the events so far: how many more came than went.
fn present(events: &mut PeerEvents) -> i32 {
    let mut present = 0;
    while let Some(event) = events.try_next() {
        present += match event {
            PeerEvent::Added { .. } => 1,
            PeerEvent::Dropped { .. } => -1,
            _ => 0,
        };
    }
    present
}
