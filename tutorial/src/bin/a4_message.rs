//! A4: define a protocol, send one message each way.
//!
//! New here: a protocol made from a closure, its messages, and the events they cause.
//! Run: `cargo run --bin a4_message`

use anyhow::ensure;
use p2p_server::{Capability, PeerEvent, PeerEvents, Protocol, ProtocolError, protocol_fn};
use serde_json::json;
use tutorial::{next_event, say, say_event};

// ANCHOR: protocol
/// The protocol `foo/42`. It has one kind of message, so its length is 1.
fn foo(node: &'static str) -> impl Protocol {
    let capability = Capability::new("foo", 42);
    // The body: runs once for each peer that speaks foo/42, too, and both sides run the same one.
    protocol_fn(capability, 1, move |peer, mut messages| async move {
        say!(node, "sending message", peer = peer.to_string(), msg = "foobar");
        messages.send(0, &"foobar").await?;

        let message = messages.recv().await?;
        let text: String = message.decode()?;
        let shown = json!({"code": message.code, "size": message.payload.len(), "text": text});
        say!(node, "received message", peer = peer.to_string(), msg = shown);
        if text != "foobar" {
            return Err(ProtocolError::other("the peer says something else"));
        }

        // Returning hangs up, also for every other protocol on this connection.
        Ok(())
    })
}
// ANCHOR_END: protocol

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: servers
    // Both sides offer the protocol. Events for each message are off unless asked for.
    let one = tutorial::server("one").protocol(foo("one")).message_events(true).start().await?;
    let two = tutorial::server("two").protocol(foo("two")).message_events(true).start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);
    // ANCHOR_END: servers

    // ANCHOR: run
    // Nobody calls the protocol: it starts by itself as soon as the two are peers.
    let (mut at_one, mut at_two) = (one.events(), two.events());
    one.add_peer(two.enode())?;
    let of_one = until_drop("one", &mut at_one).await?;
    let of_two = until_drop("two", &mut at_two).await?;
    // ANCHOR_END: run

    // ANCHOR: order
    // Between nodes there is no order. At each node there is exactly this one.
    for events in [&of_one, &of_two] {
        let in_order = matches!(
            &events[..],
            [
                PeerEvent::Added { .. },
                PeerEvent::MessageSent(sent),
                PeerEvent::MessageReceived(received),
                PeerEvent::Dropped { .. },
            ] if sent.size == 7 && received.size == 7
        );
        ensure!(in_order, "events out of order: {events:?}");
    }
    // Whoever was first hung up of its own accord.
    let returned = of_one.iter().chain(&of_two).any(|event| match event {
        PeerEvent::Dropped { error, .. } => error == "protocol returned",
        _ => false,
    });
    ensure!(returned, "both say that the other hung up");
    // ANCHOR_END: order

    one.stop().await;
    two.stop().await;
    Ok(())
}

// ANCHOR: events
/// All events of a node until its peer has gone.
async fn until_drop(node: &str, events: &mut PeerEvents) -> anyhow::Result<Vec<PeerEvent>> {
    let mut seen = Vec::new();
    loop {
        let event = next_event(events).await?;
        say_event(node, &event);
        seen.push(event);
        if matches!(seen.last(), Some(PeerEvent::Dropped { .. })) {
            return Ok(seen);
        }
    }
}
// ANCHOR_END: events
