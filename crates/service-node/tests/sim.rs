//! Simulations: shapes, restarts, snapshots, and the same seed twice.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use p2p_server::{Capability, Protocol, protocol_fn};
use service_node::{
    Service,
    sim::{Shape, SimEvents, SimFact, Simulation, Snapshot},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Sends a word to each peer, and keeps the connection.
struct Hello;

impl Service for Hello {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let body = |_, mut messages: p2p_server::MsgChannel| async move {
            messages.send(0, &"hello").await?;
            while messages.recv().await.is_ok() {}
            Ok(())
        };
        vec![Arc::new(protocol_fn(Capability::new("hello", 1), 1, body))]
    }
}

fn simulation(seed: u64) -> Simulation {
    Simulation::new(seed, |_, node| node.service(|_| Hello))
}

async fn connected(seed: u64, count: usize, shape: Shape) -> Simulation {
    let mut sim = simulation(seed);
    sim.add(count).unwrap();
    sim.start_all().await.unwrap();
    sim.connect(shape).await.unwrap();
    sim
}

fn degrees(sim: &Simulation) -> Vec<usize> {
    sim.nodes().iter().map(|node| node.peer_count()).collect()
}

/// All events there are, as lines.
fn lines(events: &mut SimEvents) -> Vec<String> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.to_json()).collect()
}

#[tokio::test(start_paused = true)]
async fn nodes_are_connected_in_every_shape() {
    for (shape, expected) in [
        (Shape::Chain, [1, 2, 2, 1]),
        (Shape::Ring, [2, 2, 2, 2]),
        (Shape::Star { center: 2 }, [1, 1, 3, 1]),
        (Shape::Full, [3, 3, 3, 3]),
    ] {
        let sim = connected(1, 4, shape).await;

        assert_eq!(degrees(&sim), expected, "{shape:?}");
        sim.stop_all().await;
    }
}

/// Two hundred nodes, random of degree 4, in one process, and no word is lost.
#[tokio::test(start_paused = true)]
async fn two_hundred_nodes_say_hello_to_each_other() {
    let start = Instant::now();
    let mut sim = simulation(200);
    let mut events = sim.events();
    sim.add(200).unwrap();
    sim.start_all().await.unwrap();

    sim.connect(Shape::Random { degree: 4 }).await.unwrap();

    let ends: usize = degrees(&sim).iter().sum();
    assert!((740..=800).contains(&ends), "{ends}");
    let (mut sent, mut received, mut conns) = (0, 0, 0);
    sim.wait_until(MINUTE, |_| {
        while let Some(event) = events.try_next() {
            match event.fact {
                SimFact::Msg { received: true, .. } => received += 1,
                SimFact::Msg { received: false, .. } => sent += 1,
                SimFact::Conn { up, .. } => conns += if up { 1 } else { -1 },
                SimFact::Lagged { missed } => panic!("{missed} events are missing"),
                _ => {}
            }
        }
        (received < ends).then(|| format!("{received} of {ends} words"))
    })
    .await
    .unwrap();
    assert_eq!((sent, received, conns), (ends, ends, i32::try_from(ends / 2).unwrap()));
    sim.stop_all().await;
    assert!(start.elapsed() < MINUTE, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_sequence_of_events() {
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        let mut sim = simulation(seed);
        let mut events = sim.events();
        sim.net().unwrap().set_latency(Duration::from_millis(20));
        sim.net().unwrap().set_jitter(Duration::from_millis(10));
        sim.add(12).unwrap();
        sim.start_all().await.unwrap();
        sim.connect(Shape::Random { degree: 4 }).await.unwrap();
        sim.restart(3).await.unwrap();
        sim.connect_pairs([]).await.unwrap();
        sim.stop_all().await;
        runs.push(lines(&mut events));
    }

    let [one, again, other] = &runs[..] else { unreachable!("three runs") };
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!(one.len() > 100, "{} lines", one.len());
}

#[tokio::test(start_paused = true)]
async fn events_tell_nodes_connections_and_messages() {
    let mut sim = simulation(1);
    let mut events = sim.events();
    sim.add(2).unwrap();
    sim.start_all().await.unwrap();
    sim.connect(Shape::Chain).await.unwrap();
    sim.wait_until(MINUTE, |sim| {
        let read = |at: usize| sim.node(at).unwrap().server().unwrap().peers()[0].stats();
        let all = [0, 1].iter().all(|at| read(*at).messages.values().any(|count| count.0 > 0));
        (!all).then(|| "a word".to_owned())
    })
    .await
    .unwrap();
    sim.stop(1).await.unwrap();

    let mut told: Vec<String> = Vec::new();
    for line in lines(&mut events) {
        let (_, fact) = line.split_once(',').unwrap();
        told.push(format!("{{{fact}"));
    }
    let message = |one, other, received| {
        format!(
            r#"{{"type":"msg","one":"{one}","other":"{other}","received":{received},"protocol":"hello/1","code":0,"size":6}}"#
        )
    };
    for expected in [
        r#"{"type":"node","node":"n000","up":true}"#.to_owned(),
        r#"{"type":"conn","one":"n000","other":"n001","up":true}"#.to_owned(),
        message("n000", "n001", false),
        message("n001", "n000", true),
        r#"{"type":"conn","one":"n000","other":"n001","up":false}"#.to_owned(),
        r#"{"type":"node","node":"n001","up":false}"#.to_owned(),
    ] {
        let times = told.iter().filter(|line| **line == expected).count();
        assert_eq!(times, 1, "{expected} in {told:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_gets_its_connections_back() {
    let sim = connected(1, 4, Shape::Full).await;

    sim.stop(2).await.unwrap();
    sim.wait_until(MINUTE, |sim| {
        let left: Vec<_> = degrees(sim);
        (left != [2, 2, 0, 2]).then(|| format!("{left:?}"))
    })
    .await
    .unwrap();
    sim.start(2).await.unwrap();

    sim.wait_until(MINUTE, |sim| (degrees(sim) != [3; 4]).then(|| "a full network".into()))
        .await
        .unwrap();
    sim.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_taken_down_stays_down() {
    let mut sim = connected(1, 3, Shape::Ring).await;

    sim.disconnect(0, 1).await.unwrap();

    sim.wait_until(MINUTE, |sim| (degrees(sim) != [1, 1, 2]).then(|| "a chain".into()))
        .await
        .unwrap();
    let later = sim.wait_until(MINUTE, |sim| (degrees(sim) == [1, 1, 2]).then(|| "1".into())).await;
    assert!(later.is_err(), "it came back");
    sim.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_brings_the_same_network_back() {
    let sim = connected(1, 5, Shape::Ring).await;
    sim.stop(4).await.unwrap();
    let text = serde_json::to_string(&sim.snapshot()).unwrap();
    sim.stop_all().await;

    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    let mut again = simulation(2);
    again.restore(&snapshot).await.unwrap();

    assert_eq!(again.snapshot(), snapshot);
    assert_eq!(degrees(&again), [1, 2, 2, 1, 0]);
    let ids = |sim: &Simulation| sim.nodes().iter().map(|node| node.id()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&sim));
    again.start(4).await.unwrap();
    again.connect_pairs([]).await.unwrap();
    assert_eq!(degrees(&again), [2; 5]);
    again.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_contradicts_itself_is_refused() {
    let sim = connected(1, 2, Shape::Chain).await;
    let good = sim.snapshot();
    let mut cases = vec![good.clone(); 3];
    cases[0].nodes[1].name = "n000".into();
    cases[1].conns[0].other = "n007".into();
    cases[2].nodes[0].key = "no key".into();

    for (case, says) in cases.into_iter().zip(["two nodes n000", "no node n007", "n000: "]) {
        let error = simulation(2).restore(&case).await.unwrap_err().to_string();
        assert!(error.starts_with("snapshot: ") && error.contains(says), "{error}");
    }
    sim.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_says_what_is_missing() {
    let mut sim = simulation(1);
    sim.add(2).unwrap();
    sim.start_all().await.unwrap();
    let (one, two) = (sim.nodes()[0].server().unwrap(), sim.nodes()[1].server().unwrap());
    sim.net().unwrap().cut(&one, &two);

    let error = sim.connect(Shape::Chain).await.unwrap_err();

    assert_eq!(error.to_string(), "after 30s still missing: 1 connections: n000–n001");
    sim.stop_all().await;
}

#[tokio::test]
async fn a_simulation_runs_on_loopback_as_well() {
    let mut sim = Simulation::on_loopback(1, |_, node| node.service(|_| Hello));
    sim.add(6).unwrap();
    sim.start_all().await.unwrap();
    sim.connect(Shape::Ring).await.unwrap();
    assert_eq!(degrees(&sim), [2; 6]);

    sim.restart(3).await.unwrap();
    sim.connect_pairs([]).await.unwrap();

    assert_eq!(degrees(&sim), [2; 6]);
    sim.stop_all().await;
}
