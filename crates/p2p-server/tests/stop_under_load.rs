//! T-17: how long a server takes to stop that is full of peers who do not help.
//!
//! ```text
//!   50 living peers                  each is told "client quitting"
//!   50 connections in their set-up   without an auth, with half of one, without or with half a hello
//!   10 peers that do not read        their sockets are full, and the queues behind them
//!    1 dial that hangs
//! ```
//!
//! A handshake is a millisecond of arithmetic; eighty-five of them a thousand times would take two
//! minutes. The thousand runs leave out that and nothing else: their peers are introduced to the server,
//! and everything from the hello on is real. They share the cores, each thread with a clock of its own.

mod hostile;

use std::{iter::repeat_with, net::Ipv4Addr, sync::LazyLock, time::Duration};

use bytes::Bytes;
use enode::{Enode, SecretKey};
use futures_util::future::join_all;
use hostile::{
    EMPTY, FOO, Hostile, KeyPair, NEIGHBOUR, foo, hello_from, noise, open, pass, server, tasks,
};
use p2p_server::{
    DisconnectReason, Link, MsgChannel, Peer, PeerEvent, PeerEvents, ProtocolError, Server,
    ServerBuilder, Tcp, Transport as _, test_utils::Net,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const LIVING: usize = 50;
const STALLED: usize = 50;
const UNREAD: usize = 10;

#[tokio::test(start_paused = true)]
async fn stop_takes_two_seconds_whoever_resists() {
    for seed in 0..4 {
        let net = Net::new(seed);
        stop_in_memory(&net, &Door::Net(&net), seed).await;
    }
}

#[test]
fn stop_takes_two_seconds_in_a_thousand_runs() {
    let keys = repeat_with(SecretKey::random).map(|key| (key.clone(), key.public_key()));
    let keys: Vec<_> = keys.take(LIVING + UNREAD + STALLED).collect();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let run = &|seed: u64| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let net = Net::new(seed);
            // What fills a socket is to be encrypted first.
            net.set_buffer(8 << 10);
            stop_in_memory(&net, &Door::Introduction(&net, &keys), seed).await;
        });
    };
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || (first as u64..1_000).step_by(threads).for_each(run));
        }
    });
}

/// Four at a time, which stays below a system's usual limit of 1,024 open files.
#[tokio::test]
async fn stop_never_takes_five_seconds_on_real_sockets() {
    let mut times = Vec::new();
    while times.len() < 20 {
        let runs = (0..4.min(20 - times.len())).map(|_| stop_on_sockets());
        times.extend(join_all(runs).await);
    }

    times.sort();
    // The machine may be busy now and then, and not always.
    assert!(times[0] <= SECOND * 2, "{times:?}");
    assert!(times[19] < SECOND * 5, "{times:?}");
}

/// Fills a server of the network and stops it, at a moment that is different for each seed.
async fn stop_in_memory(net: &Net, door: &Door<'_>, seed: u64) {
    let baseline = tasks();
    let victim = victim(net.server("victim")).await;
    let events = victim.events();
    let gone = server(net).await;
    net.half_open(&victim, &gone);
    victim.add_peer(gone.enode()).expect("running");
    let crowd = Crowd::gather(door, &victim).await;
    net.set_jitter(Duration::from_millis(seed));
    pass(Duration::from_millis(100 + seed * 7 % 500)).await;
    assert_eq!(victim.peer_count(), LIVING + UNREAD);

    let start = Instant::now();
    victim.stop().await;

    assert!(start.elapsed() <= SECOND * 2, "seed {seed}: {:?}", start.elapsed());
    assert_eq!((victim.peer_count(), victim.held_bytes()), (0, 0));
    crowd.was_told().await;
    each_came_and_went(events).await;
    gone.stop().await;
    assert_eq!(tasks(), baseline, "seed {seed}");
}

/// The same on this machine's sockets; says how long the stop took.
async fn stop_on_sockets() -> Duration {
    let builder = Server::builder(SecretKey::random()).listen("127.0.0.1:0");
    let victim = victim(builder).await;
    let addr = victim.listen_addr().expect("listening");
    let events = victim.events();
    // Connections to it are taken by the system and nobody answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let at = silent.local_addr().expect("bound");
    let nobody = Enode::new(SecretKey::random().public_key(), at.ip(), at.port(), at.port());
    victim.add_peer(nobody).expect("running");
    let crowd = Crowd::gather(&Door::Sockets, &victim).await;
    let all = async {
        while victim.peer_count() < LIVING + UNREAD {
            tokio::task::yield_now().await;
        }
    };
    timeout(SECOND * 20, all).await.expect("connected");

    let start = Instant::now();
    victim.stop().await;
    let time = start.elapsed();

    assert!(Tcp.dial(addr).await.is_err(), "the port is closed");
    crowd.was_told().await;
    each_came_and_went(events).await;
    time
}

async fn victim(builder: ServerBuilder) -> Server {
    let builder = builder.max_peers(200).max_pending(STALLED + 10).protocol(foo(talkative));
    builder.start().await.expect("starts")
}

/// How one gets to a server.
enum Door<'a> {
    /// Through memory.
    Net(&'a Net),
    /// The same without a handshake, and with a key for each guest.
    Introduction(&'a Net, &'a [KeyPair]),
    /// Over the system's sockets.
    Sockets,
}

impl Door<'_> {
    /// A connection on which nothing was said.
    async fn knock(&self, server: &Server) -> Link {
        match self {
            Self::Net(net) | Self::Introduction(net, _) => open(net, NEIGHBOUR, server).await,
            Self::Sockets => {
                Tcp.dial(server.listen_addr().expect("listening")).await.expect("open")
            }
        }
    }

    /// A connection with its handshake done, of a guest with this number.
    async fn enter(&self, server: &Server, number: usize) -> Hostile {
        match self {
            Self::Introduction(net, keys) => {
                Hostile::introduced(net, NEIGHBOUR, server, &keys[number])
            }
            _ => {
                let link = self.knock(server).await;
                Hostile::over(link, server, SecretKey::random()).await.expect("handshake")
            }
        }
    }

    /// A peer.
    async fn join(&self, server: &Server, number: usize) -> Hostile {
        let mut peer = self.enter(server, number).await;
        peer.become_peer(server, &["foo"]).await;
        peer
    }
}

/// All that keep a server busy. Connections stay open until this is dropped.
struct Crowd {
    /// They read to the end, and remember the reason.
    living: Vec<JoinHandle<Option<DisconnectReason>>>,
    _unread: Vec<Hostile>,
    _stalled: (Vec<Link>, Vec<Hostile>),
}

impl Crowd {
    async fn gather(door: &Door<'_>, server: &Server) -> Self {
        let (mut living, mut unread) = (Vec::new(), Vec::new());
        for number in 0..LIVING {
            let mut peer = door.join(server, number).await;
            living.push(tokio::spawn(async move { peer.reason().await }));
        }
        for number in LIVING..LIVING + UNREAD {
            let mut peer = door.join(server, number).await;
            // It asks for a flood and does not read it.
            peer.send(FOO, EMPTY).await.expect("open");
            unread.push(peer);
        }
        Self { living, _unread: unread, _stalled: stalled(door, server).await }
    }

    /// Each living peer learned why.
    async fn was_told(self) {
        for peer in self.living {
            assert_eq!(peer.await.expect("ends"), Some(DisconnectReason::Quitting));
        }
    }
}

/// Connections that wait: for an auth, for half of one, for a hello, for half of one.
async fn stalled(door: &Door<'_>, server: &Server) -> (Vec<Link>, Vec<Hostile>) {
    let (mut links, mut peers) = (Vec::new(), Vec::new());
    let auth = [&[0x01, 0x80, 0x04][..], &[7; STALLED]].concat();
    for number in 0..STALLED {
        if number % 2 == 0 {
            let mut link = door.knock(server).await;
            link.writer.write_all(&auth[..number]).await.expect("open");
            links.push(link);
        } else {
            let mut peer = door.enter(server, LIVING + UNREAD + number).await;
            let hello = hello_from(&peer.public, &["foo"]);
            let hello = peer.message(0, &hello);
            peer.write(&hello[..number - 1]).await.expect("open");
            peers.push(peer);
        }
    }
    (links, peers)
}

/// Answers each message with a flood.
async fn talkative(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    static FLOOD: LazyLock<Bytes> = LazyLock::new(|| noise(50_000).into());
    while messages.recv().await.is_ok() {
        for _ in 0..200 {
            messages.send_raw(1, FLOOD.clone()).await?;
        }
    }
    Ok(())
}

/// Reads to the end of the events.
async fn each_came_and_went(mut events: PeerEvents) {
    let (mut added, mut dropped) = (0, 0);
    while let Some(event) = events.next().await {
        added += usize::from(matches!(event, PeerEvent::Added { .. }));
        dropped += usize::from(matches!(event, PeerEvent::Dropped { .. }));
    }
    assert_eq!((added, dropped), (LIVING + UNREAD, LIVING + UNREAD), "each came and went once");
}
