//! Stopping: what has been sent arrives, whoever resists is aborted, and nothing is left. How long it
//! takes with many peers is in `stop_under_load.rs`.

mod hostile;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use enode::SecretKey;
use hostile::{DISCONNECT, FOO, Hostile, NEIGHBOUR, foo, pass, server, settles_at, tasks};
use p2p_server::{
    DisconnectReason, MsgChannel, Peer, PeerEvent, Server, Tcp, Transport as _, test_utils::Net,
};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// L-05: a body that ignores the end is aborted, within five seconds, and so is one that waits in
/// vain after it.
#[tokio::test(start_paused = true)]
async fn a_body_that_ignores_the_end_is_aborted_in_five_seconds() {
    let net = Net::new(1);
    let baseline = tasks();
    let cleaned_up = Arc::new(AtomicBool::new(false));
    let witness = Arc::clone(&cleaned_up);
    let stubborn = move |_: Peer, _: MsgChannel| {
        let witness = Witness(Arc::clone(&witness));
        async move {
            let _witness = witness;
            std::future::pending().await
        }
    };
    let victim = net.server("stubborn").protocol(foo(stubborn)).start().await.expect("starts");
    let mut events = victim.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &victim, &["foo"]).await;
    let start = Instant::now();

    victim.stop().await;

    assert!((4..=5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(cleaned_up.load(Ordering::Relaxed), "what the body owned was dropped");
    assert_eq!(
        peer.reason().await,
        Some(DisconnectReason::Quitting),
        "the peer need not wait for it"
    );
    assert!(matches!(events.next().await, Some(PeerEvent::Added { .. })));
    assert!(matches!(events.next().await, Some(PeerEvent::Dropped { .. })));
    assert_eq!(events.next().await, None);
    assert_eq!(tasks(), baseline);
}

/// An abort takes no time at all, tells nobody anything, and leaves no task, a body's neither.
#[tokio::test(start_paused = true)]
async fn an_abort_ends_everything_where_it_is() {
    let net = Net::new(1);
    let baseline = tasks();
    let stubborn = |_: Peer, messages: MsgChannel| async move {
        let _messages = messages;
        std::future::pending().await
    };
    let victim = net.server("victim").protocol(foo(stubborn)).start().await.expect("starts");
    let mut events = victim.events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &victim, &["foo"]).await;
    let stalled = Hostile::dial(&net, NEIGHBOUR, &victim).await;
    let start = Instant::now();

    victim.abort().await;

    assert_eq!((start.elapsed(), tasks()), (Duration::ZERO, baseline));
    assert_eq!(peer.reason().await, None);
    assert!(matches!(events.next().await, Some(PeerEvent::Added { .. })));
    assert!(matches!(events.next().await, Some(PeerEvent::Dropped { .. })));
    assert_eq!(events.next().await, None);
    drop(stalled);
}

/// What a body holds is given back when an abort returns, on whatever thread the body was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_an_abort_no_body_holds_anything() {
    for seed in 0..50 {
        let net = Net::new(seed);
        let held = Arc::new(());
        let also = Arc::clone(&held);
        let busy = move |_: Peer, mut messages: MsgChannel| {
            let held = Arc::clone(&also);
            async move {
                let _held = held;
                loop {
                    let _ = messages.recv().await;
                    tokio::task::yield_now().await;
                }
            }
        };
        let victim = net.server("victim").protocol(foo(busy)).start().await.expect("starts");
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(Hostile::connect(&net, NEIGHBOUR, &victim, &["foo"]).await);
        }

        victim.abort().await;

        assert_eq!(Arc::strong_count(&held), 1, "{seed}");
    }
}

/// L-05: a body that blocks its thread cannot be aborted, and does not keep `stop` beyond its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_body_that_blocks_its_thread_does_not_keep_stop() {
    let (release, blocked) = std::sync::mpsc::sync_channel::<()>(1);
    let blocked = std::sync::Mutex::new(Some(blocked));
    let blocking = move |_: Peer, _: MsgChannel| {
        let blocked = blocked.lock().unwrap().take();
        async move {
            if let Some(blocked) = blocked {
                let _ = blocked.recv();
            }
            Ok(())
        }
    };
    let builder = Server::builder(SecretKey::random()).listen("127.0.0.1:0").max_peers(9);
    let victim = builder.protocol(foo(blocking)).start().await.expect("starts");
    let link = Tcp.dial(victim.listen_addr().expect("listening")).await.expect("open");
    let mut peer = Hostile::over(link, &victim, SecretKey::random()).await.expect("handshake");
    peer.greet(&["foo"]).await;
    while victim.peer_count() == 0 {
        tokio::task::yield_now().await;
    }

    timeout(SECOND * 6, victim.stop()).await.expect("five seconds at most");

    assert_eq!(victim.peer_count(), 0);
    release.send(()).expect("the body is still there");
}

/// Decision 11: what was sent before the stop arrives before the reason.
#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_stop_arrives_before_the_reason() {
    let net = Net::new(1);
    let chatty = |_: Peer, mut messages: MsgChannel| async move {
        for n in 0..200_u64 {
            messages.send(1, &n).await?;
        }
        while messages.recv().await.is_ok() {}
        Ok(())
    };
    let victim = net.server("chatty").protocol(foo(chatty)).start().await.expect("starts");
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &victim, &["foo"]).await;

    victim.stop().await;

    for n in 0..200_u64 {
        let message = peer.next().await.expect("open");
        assert_eq!((message.code, message.decode::<u64>()), (FOO + 1, Ok(n)));
    }
    assert_eq!(peer.next().await.map(|last| last.code), Some(DISCONNECT));
    assert!(peer.next().await.is_none());
}

/// T-11 in simple form: peers come and go, are added, removed, banned and disconnected, while the
/// server stops at a random moment. Every `add` has its `drop`, no task is left, nothing hangs.
#[tokio::test(start_paused = true)]
async fn races_of_add_remove_and_stop_lose_no_event_and_no_task() {
    for seed in 0..150 {
        let net = Net::new(seed);
        net.set_jitter(Duration::from_millis(5));
        let baseline = tasks();
        let one = server(&net).await;
        let others = [server(&net).await, server(&net).await, server(&net).await];
        let mut logs = Vec::new();
        for server in others.iter().chain([&one]) {
            logs.push((server.id(), server.events()));
        }

        for step in 0..10_u64 {
            let other = &others[((seed * 7 + step * 5) % 3) as usize];
            match (seed + step) % 5 {
                0 | 1 => drop(one.add_peer(other.enode())),
                2 => drop(other.add_peer(one.enode())),
                3 => drop(one.remove_peer(other.id())),
                _ => {
                    if let Some(peer) = one.peer(other.id()) {
                        peer.disconnect(DisconnectReason::UselessPeer);
                    }
                }
            }
            pass(Duration::from_millis((seed * 3 + step * 11) % 17)).await;
        }
        // Two at once, and one of them twice.
        let stop = async { tokio::join!(one.stop(), others[0].stop(), one.stop()) };
        timeout(SECOND * 5, stop).await.expect("in time");
        for other in &others[1..] {
            other.stop().await;
        }

        for (id, mut log) in logs {
            let mut present = std::collections::BTreeSet::new();
            while let Some(event) = log.next().await {
                match event {
                    PeerEvent::Added { peer, .. } => assert!(present.insert(peer), "{seed} {id}"),
                    PeerEvent::Dropped { peer, .. } => {
                        assert!(present.remove(&peer), "{seed} {id}")
                    }
                    _ => {}
                }
            }
            assert!(present.is_empty(), "{seed} {id}: {present:?}");
        }
        settles_at(&net, baseline).await;
    }
}

/// T-11 on many threads: the same, with everything at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_on_many_threads_lose_no_event_and_do_not_hang() {
    for seed in 0..40 {
        let net = Net::new(seed);
        let servers = [server(&net).await, server(&net).await, server(&net).await];
        let logs: Vec<_> = servers.iter().map(Server::events).collect();

        let mut racers = Vec::new();
        for racer in 0..6_usize {
            let servers = servers.clone();
            racers.push(tokio::spawn(async move {
                let (one, other) = (&servers[racer % 3], &servers[(racer + 1 + racer / 3) % 3]);
                for step in 0..12 {
                    match (racer + step) % 4 {
                        0 | 1 => drop(one.add_peer(other.enode())),
                        2 => one
                            .peers()
                            .iter()
                            .for_each(|it| it.disconnect(DisconnectReason::Requested)),
                        _ => drop(one.remove_peer(other.id())),
                    }
                    for _ in 0..20 * step {
                        tokio::task::yield_now().await;
                    }
                }
                if racer < 3 {
                    one.stop().await;
                }
            }));
        }
        for racer in racers {
            timeout(SECOND * 20, racer).await.expect("does not hang").expect("does not panic");
        }

        for mut log in logs {
            let mut present = std::collections::BTreeSet::new();
            let read = async {
                while let Some(event) = log.next().await {
                    match event {
                        PeerEvent::Added { peer, .. } => assert!(present.insert(peer), "{seed}"),
                        PeerEvent::Dropped { peer, .. } => assert!(present.remove(&peer), "{seed}"),
                        _ => {}
                    }
                }
            };
            timeout(SECOND * 20, read).await.expect("ends");
            assert!(present.is_empty(), "{seed}: {present:?}");
        }
    }
}

/// L-06: dropping the last handle stops the server, and whoever waits for its events learns it.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_tasks_and_events() {
    let net = Net::new(1);
    let baseline = tasks();
    let victim = server(&net).await;
    let mut events = victim.events();
    let mut dials = victim.dial_events();
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &victim, &["foo"]).await;

    drop(victim);

    assert_eq!(peer.reason().await, Some(DisconnectReason::Quitting));
    assert!(matches!(events.next().await, Some(PeerEvent::Added { .. })));
    assert!(matches!(events.next().await, Some(PeerEvent::Dropped { .. })));
    assert_eq!(timeout(SECOND * 10, events.next()).await, Ok(None));
    assert!(timeout(SECOND * 10, dials.next()).await.expect("ends").is_none());
    settles_at(&net, baseline).await;
}

struct Witness(Arc<AtomicBool>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
