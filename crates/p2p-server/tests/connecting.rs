//! Two servers over real sockets: connecting, talking, parting.

use std::time::Duration;

use enode::SecretKey;
use p2p_server::{Capability, PeerEvent, PeerEvents, Protocol, Server, protocol_fn};
use tokio::time::timeout;

fn foobar() -> impl Protocol {
    protocol_fn(Capability::new("foo", 42), 1, |_peer, mut messages| async move {
        messages.send(0, &"foobar").await?;
        let reply = messages.recv().await?;
        assert_eq!(reply.decode::<String>()?, "foobar");
        Ok(())
    })
}

async fn server(protocol: Option<impl Protocol>) -> Server {
    let mut builder = Server::builder(SecretKey::random())
        .name("test/v1")
        .listen("127.0.0.1:0")
        .max_peers(1)
        .message_events(true);
    if let Some(protocol) = protocol {
        builder = builder.protocol(protocol);
    }
    builder.start().await.expect("starts on any free port")
}

async fn next(events: &mut PeerEvents) -> PeerEvent {
    timeout(Duration::from_secs(5), events.next()).await.expect("in time").expect("running")
}

#[tokio::test]
async fn both_sides_see_add_message_sent_message_received_drop_in_this_order() {
    let (one, two) = (server(Some(foobar())).await, server(Some(foobar())).await);
    let (mut at_one, mut at_two) = (one.events(), two.events());

    one.add_peer(two.enode()).expect("running");

    for (events, other) in [(&mut at_one, two.id()), (&mut at_two, one.id())] {
        assert!(matches!(next(events).await, PeerEvent::Added { peer, .. } if peer == other));
        assert!(matches!(next(events).await, PeerEvent::MessageSent(m) if m.size == 7));
        assert!(matches!(next(events).await, PeerEvent::MessageReceived(m) if m.size == 7));
        let dropped = next(events).await;
        let PeerEvent::Dropped { error, .. } = &dropped else { panic!("{dropped:?}") };
        assert!(["protocol returned", "client quitting"].contains(&error.as_str()), "{error}");
    }
    one.stop().await;
    two.stop().await;
}
