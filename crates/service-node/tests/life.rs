//! Starting and stopping, in every order and from everywhere.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{sync::Arc, time::Duration};

use p2p_server::PeerEvent;
use service_node::{Node, NotStarted, ServiceLookupError, StartFailure, StopError};
use tokio::sync::Notify;

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
