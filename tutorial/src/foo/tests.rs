//! The foo service by itself: who can be pinged, who has left, and what is counted.

use std::time::Duration;

use alloy_rlp::{Decodable as _, encode};
use p2p_server::MsgChannel;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const PEER: NodeId = NodeId::new([7; 32]);

#[test]
fn a_ping_and_a_pong_have_the_bytes_of_the_original() {
    assert_eq!(encode(message(false)), [0xc2, 0x80, 0xc0]);
    assert_eq!(encode(message(true)), [0xc2, 0x01, 0xc0]);
    assert_eq!(FooPingMsg::decode(&mut [0xc2, 0x01, 0xc0].as_slice()), Ok(message(true)));
}

#[tokio::test(start_paused = true)]
async fn a_ping_reaches_the_peer_and_its_pong_is_counted() {
    let (service, mut peer, _body) = connected().await;

    ping(service.clone(), PEER).await.unwrap();

    assert_eq!(peer.recv().await.unwrap(), Foo::Ping(message(false)));
    peer.send(message(true)).await.unwrap();
    assert_eq!(answered(&mut peer).await, Foo::Ping(message(true)));
    assert_eq!(pong_count(service).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn increment_counts_a_pong_that_never_came() {
    let service = Arc::new(FooService::default());

    increment(service.clone()).await.unwrap();

    assert_eq!(pong_count(service).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_a_body_that_has_not_started() {
    let service = Arc::new(FooService::default());
    let sent = tokio::spawn(ping(service.clone(), PEER));
    tokio::time::advance(Duration::from_millis(1_900)).await;
    assert!(!sent.is_finished());

    let (mut peer, _body) = join(&service);

    sent.await.unwrap().unwrap();
    assert_eq!(peer.recv().await.unwrap(), Foo::Ping(message(false)));
}

#[tokio::test(start_paused = true)]
async fn a_ping_to_a_stranger_is_refused_after_two_seconds() {
    let service = Arc::new(FooService::default());
    let start = Instant::now();

    assert_eq!(ping(service, PEER).await, Err("unknown peer"));

    // The clock of tokio is finer than its timer.
    assert_eq!(start.elapsed().as_millis() / 10, 200);
}

#[tokio::test(start_paused = true)]
async fn quit_ends_the_body_and_is_no_error_when_the_peer_has_just_left() {
    let (service, _peer, body) = connected().await;

    assert_eq!(quit(service.clone(), PEER).await, Ok(()));

    body.await.unwrap().unwrap();
    assert_eq!(quit(service.clone(), PEER).await, Ok(()));
    assert_eq!(ping(service, PEER).await, Err("unknown peer"));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_cannot_be_hung_up_on() {
    let service = Arc::new(FooService::default());

    assert_eq!(quit(service, PEER).await, Err("unknown peer"));
}

#[tokio::test(start_paused = true)]
async fn of_those_who_left_the_last_sixty_four_are_known() {
    let service = Arc::new(FooService::default());
    for number in 0..=64 {
        let (peer, body) = join_as(&service, NodeId::new([number; 32]));
        drop(peer);
        body.await.unwrap().unwrap();
    }

    assert_eq!(quit(service.clone(), NodeId::new([0; 32])).await, Err("unknown peer"));
    assert_eq!(quit(service, NodeId::new([1; 32])).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_body_ends_well_when_the_peer_hangs_up_and_badly_when_it_talks_nonsense() {
    let (service, peer, body) = connected().await;
    drop(peer);
    body.await.unwrap().unwrap();

    let (plain, channel) = MsgChannel::pair();
    let body = talk(&service, PEER, spec().over(channel));
    plain.send_raw(0, vec![0xc1, 0x80].into()).await.unwrap();
    assert!(matches!(body.await.unwrap(), Err(ProtocolError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn stop_ends_every_body_before_it_returns() {
    let (service, _peer, body) = connected().await;
    let (_other, other_body) = join_as(&service, NodeId::new([8; 32]));
    tokio::task::yield_now().await;

    service.stop().await.unwrap();

    assert_eq!(quit(service.clone(), PEER).await, Ok(()), "it has not left");
    assert!(body.await.unwrap().is_ok() && other_body.await.unwrap().is_ok());
}

/// A service, its peer, and the body between the two, which has started.
async fn connected() -> (Arc<FooService>, TypedChannel<Foo>, JoinHandle<Result<(), ProtocolError>>)
{
    let service = Arc::new(FooService::default());
    let (peer, body) = join(&service);
    // All other tasks of this thread run before this one goes on.
    tokio::task::yield_now().await;
    (service, peer, body)
}

fn join(service: &Arc<FooService>) -> (TypedChannel<Foo>, JoinHandle<Result<(), ProtocolError>>) {
    join_as(service, PEER)
}

fn join_as(
    service: &Arc<FooService>,
    id: NodeId,
) -> (TypedChannel<Foo>, JoinHandle<Result<(), ProtocolError>>) {
    let (peer, ours) = TypedChannel::pair(&spec());
    (peer, talk(service, id, ours))
}

fn talk(
    service: &Arc<FooService>,
    id: NodeId,
    messages: TypedChannel<Foo>,
) -> JoinHandle<Result<(), ProtocolError>> {
    let service = Arc::clone(service);
    tokio::spawn(async move { service.talk(id, messages).await })
}

/// What a ping of the peer is answered with. When the answer is there, all before it was read.
async fn answered(peer: &mut TypedChannel<Foo>) -> Foo {
    peer.send(message(false)).await.unwrap();
    peer.recv().await.unwrap()
}

fn message(pong: bool) -> FooPingMsg {
    FooPingMsg { pong, created: Time {} }
}
