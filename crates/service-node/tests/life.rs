//! Starting and stopping, in every order and from everywhere.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use enode::Enode;
use p2p_server::{PeerEvent, Server};
use service_node::{
    BoxError, Node, NotStarted, Service, ServiceLookupError, StartFailure, StopError,
};
use tokio::sync::{Notify, watch::Sender};

use self::common::{Diary, Fails, Noting, node, within};

#[tokio::test]
async fn a_node_that_runs_is_not_started_again() {
    let node = node("foo").build().unwrap();
    node.start().await.unwrap();

    let error = node.start().await.unwrap_err();

    assert!(matches!(error.cause, StartFailure::AlreadyRunning));
    assert_eq!(error.to_string(), "node already running");
    assert!(node.is_running());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_does_not_run_is_not_stopped() {
    let node = node("foo").build().unwrap();

    let error = node.stop().await.unwrap_err();

    assert!(matches!(error, StopError::NotStarted(NotStarted)));
    assert_eq!(error.to_string(), "node not started");
    node.start().await.unwrap();
    node.stop().await.unwrap();
    assert_eq!(node.stop().await.unwrap_err().to_string(), "node not started");
}

#[tokio::test]
async fn a_stopped_node_has_nothing_to_offer() {
    let diary = Diary::default();
    let node =
        node("foo").service(move |_| Noting::<1>::new(&diary, Fails::Never)).build().unwrap();
    node.start().await.unwrap();
    assert!(node.attach().is_ok() && node.server().is_ok());
    assert!(node.service::<Noting<1>>().is_ok());
    let unknown = node.service::<Noting<2>>().err().unwrap();
    assert_eq!(unknown.to_string(), "unknown service: Noting<2>");

    node.stop().await.unwrap();

    assert_eq!(node.attach().err().unwrap().to_string(), "node not started");
    assert!(node.server().is_err());
    assert!(matches!(node.service::<Noting<1>>(), Err(ServiceLookupError::NotStarted(_))));
}

#[tokio::test]
async fn a_node_starts_again_with_its_services_built_anew() {
    let diary = Diary::default();
    let noting = diary.clone();
    let node =
        node("foo").service(move |_| Noting::<1>::new(&noting, Fails::Never)).build().unwrap();

    node.start().await.unwrap();
    let id = node.server().unwrap().id();
    node.restart().await.unwrap();

    assert_eq!(node.server().unwrap().id(), id);
    node.stop().await.unwrap();
    let once = ["built 1", "started 1", "stopped 1"];
    assert_eq!(diary.lines(), [once, once].concat());
    assert_eq!(node.restart().await.unwrap_err().to_string(), "node not started");
}

#[tokio::test]
async fn a_stop_during_a_start_undoes_it() {
    let (diary, waits) = (Diary::default(), Arc::new(Notify::new()));
    let (noting, hangs) = (diary.clone(), Arc::clone(&waits));
    let again = diary.clone();
    let node = node("foo")
        .service(move |_| Noting::<1>::new(&noting, Fails::Never))
        .service(move |_| Noting::<2> {
            hangs: Arc::clone(&hangs),
            ..Noting::new(&again, Fails::NeverStarts)
        })
        .build()
        .unwrap();
    let starting = tokio::spawn({
        let node = node.clone();
        async move { node.start().await }
    });
    within(waits.notified()).await;

    within(node.stop()).await.unwrap();

    let error = within(starting).await.unwrap().unwrap_err();
    assert!(matches!(error.cause, StartFailure::Stopped), "{error}");
    assert_eq!(diary.lines(), ["built 1", "built 2", "started 1", "stopped 1"]);
    assert!(!node.is_running());
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_any_more_is_undone() {
    let (diary, waits) = (Diary::default(), Arc::new(Notify::new()));
    let (noting, hangs) = (diary.clone(), Arc::clone(&waits));
    let node = node("foo")
        .service(move |_| Noting::<1> {
            hangs: Arc::clone(&hangs),
            ..Noting::new(&noting, Fails::NeverStarts)
        })
        .build()
        .unwrap();

    tokio::select! {
        _ = node.start() => panic!("it cannot have started"),
        () = waits.notified() => {}
    }

    within(node.stopped()).await;
    assert_eq!(node.stop().await.unwrap_err().to_string(), "node not started");
}

#[tokio::test]
async fn a_second_stop_waits_for_the_first() {
    let node = node("foo").build().unwrap();
    node.start().await.unwrap();

    let (one, two) = within(async { tokio::join!(node.stop(), node.stop()) }).await;

    assert!(one.is_ok() && two.is_ok());
    assert!(!node.is_running());
    node.start().await.unwrap();
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_goes_on_when_nobody_waits_for_it() {
    let node = node("foo").build().unwrap();
    node.start().await.unwrap();

    {
        let mut stop = std::pin::pin!(node.stop());
        assert!(futures_util::poll!(&mut stop).is_pending());
    }

    within(node.stopped()).await;
    node.start().await.unwrap();
    node.stop().await.unwrap();
}

#[tokio::test]
async fn an_abort_lets_go_of_a_service_that_does_not_stop() {
    let diary = Diary::default();
    let noting = diary.clone();
    let node =
        node("foo").service(move |_| Noting::<1>::new(&noting, Fails::NeverStops)).build().unwrap();
    node.start().await.unwrap();
    let hangs = Arc::clone(&node.service::<Noting<1>>().unwrap().hangs);
    let stopping = tokio::spawn({
        let node = node.clone();
        async move { node.stop().await }
    });
    within(hangs.notified()).await;

    within(node.abort()).await;

    let error = within(stopping).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "service Noting<1>: not stopped: aborted");
    node.start().await.unwrap();
    within(node.abort()).await;
    assert!(!node.is_running());
}

#[tokio::test]
async fn a_node_without_handles_is_shut_down() {
    let diary = Diary::default();
    let other = node("bar").build().unwrap();
    other.start().await.unwrap();
    let peer = other.server().unwrap();
    let mut events = peer.events();
    let node =
        node("foo").service(move |_| Noting::<1>::new(&diary, Fails::Never)).build().unwrap();
    node.start().await.unwrap();
    node.server().unwrap().add_peer(peer.enode()).unwrap();
    let added = within(events.next()).await.unwrap();
    assert!(matches!(added, PeerEvent::Added { .. }));

    drop(node);

    let dropped = within(events.next()).await.unwrap();
    assert!(matches!(dropped, PeerEvent::Dropped { .. }), "{dropped:?}");
    other.stop().await.unwrap();
}

/// Tells the node's address, and starts when it may.
struct Gate {
    address: Sender<Option<Enode>>,
    open: Arc<Notify>,
}

impl Service for Gate {
    async fn start(self: &Arc<Self>, server: Server) -> Result<(), BoxError> {
        self.address.send_replace(Some(server.enode()));
        self.open.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn nobody_is_let_in_before_every_service_has_started() {
    let (address, open) = (Sender::new(None), Arc::new(Notify::new()));
    let gate = (address.clone(), Arc::clone(&open));
    let slow = node("foo")
        .service(move |_| Gate { address: gate.0.clone(), open: Arc::clone(&gate.1) })
        .build()
        .unwrap();
    let (other, third) = (node("bar").build().unwrap(), node("baz").build().unwrap());
    other.start().await.unwrap();
    third.start().await.unwrap();
    let server = other.server().unwrap();
    let mut events = server.events();
    let starting = tokio::spawn({
        let slow = slow.clone();
        async move { slow.start().await }
    });
    let mut told = address.subscribe();
    let addr = within(told.wait_for(Option::is_some)).await.unwrap().clone().unwrap();
    let id = addr.id();

    server.add_peer(addr).unwrap();
    within(async {
        while !server.dial_status(id).is_some_and(|status| status.dialing) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A connection that begins later and is up shows that there was time for the first.
    server.add_peer(third.server().unwrap().enode()).unwrap();
    let first = within(events.next()).await.unwrap();
    assert_eq!(first.peer(), Some(third.server().unwrap().id()));
    assert!(server.peer(id).is_none());

    open.notify_one();

    assert_eq!(within(events.next()).await.unwrap().peer(), Some(id));
    within(starting).await.unwrap().unwrap();
    for node in [slow, other, third] {
        node.stop().await.unwrap();
    }
}

/// Counts the peers there are when it is stopped.
#[derive(Default)]
struct Counting {
    server: OnceLock<Server>,
    peers: Arc<OnceLock<usize>>,
}

impl Service for Counting {
    async fn start(self: &Arc<Self>, server: Server) -> Result<(), BoxError> {
        self.server.set(server).map_err(|_| "started twice".into())
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        let peers = self.server.get().map_or(0, Server::peer_count);
        self.peers.set(peers).map_err(|_| "stopped twice".into())
    }
}

#[tokio::test]
async fn a_service_stops_while_its_peers_are_still_there() {
    let peers = Arc::new(OnceLock::new());
    let counted = Arc::clone(&peers);
    let node = node("foo")
        .service(move |_| Counting { peers: Arc::clone(&counted), ..Counting::default() })
        .build()
        .unwrap();
    let other = common::node("bar").build().unwrap();
    node.start().await.unwrap();
    other.start().await.unwrap();
    let server = node.server().unwrap();
    let mut events = server.events();
    server.add_peer(other.server().unwrap().enode()).unwrap();
    within(events.next()).await.unwrap();

    node.stop().await.unwrap();

    assert_eq!(peers.get(), Some(&1));
    assert_eq!(server.peer_count(), 0);
    other.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_stop_is_let_go_after_the_timeout() {
    let diary = Diary::default();
    let node = node("foo")
        .service(move |_| Noting::<1>::new(&diary, Fails::NeverStops))
        .stop_timeout(Duration::from_secs(7))
        .build()
        .unwrap();
    node.start().await.unwrap();

    let error = node.stop().await.unwrap_err();

    assert_eq!(error.to_string(), "service Noting<1>: not stopped: still stopping after 7s");
    assert!(!node.is_running());
}

#[tokio::test]
async fn nodes_in_one_process_have_nothing_in_common() {
    let data = tempfile::tempdir().unwrap();
    let nodes = ["one", "two"].map(|name| node(name).data_dir(data.path()).build().unwrap());
    for node in &nodes {
        node.start().await.unwrap();
    }

    let [one, two] = &nodes;
    assert_ne!(one.server().unwrap().id(), two.server().unwrap().id());
    assert_ne!(one.ipc_path(), two.ipc_path());
    one.stop().await.unwrap();
    let client = two.attach().unwrap();
    assert_eq!(client.call::<String>("net_peerCount", ()).await.unwrap(), "0x0");
    two.stop().await.unwrap();
}

#[tokio::test]
async fn names_that_cannot_be_a_directory_are_refused() {
    for name in ["", "a/b", "a\\b", "keystore", "geth.ipc", ".", ".."] {
        let error = Node::builder().name(name).build().unwrap_err();

        assert!(error.to_string().starts_with("name: "), "{name:?}: {error}");
    }
}
