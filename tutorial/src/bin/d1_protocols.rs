//! D1: say what you mean: messages with types, instead of codes and bytes.
//!
//! New here: a set of messages, a handler, and what becomes of peers that say something else.
//! Run: `cargo run --bin d1_protocols`

use alloy_rlp::{RlpDecodable, RlpEncodable};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use p2p_server::protocols::{Next, Spec};
use p2p_server::{
    Capability, DisconnectReason, PeerEvent, PeerEvents, Protocol, Server, message_set, protocol_fn,
};
use tutorial::{next_event, say, say_event};

// ANCHOR: messages
/// A number.
#[derive(Debug, RlpEncodable, RlpDecodable)]
struct FooMsg {
    v: u64,
}

message_set! {
    /// Everything that `fooping/42` can say, each with its code.
    #[derive(Debug)]
    enum Foo {
        Msg(FooMsg) = 0,
    }
}
// ANCHOR_END: messages

// ANCHOR: protocol
/// The protocol `fooping/42`: sends 42, and hangs up when it has got a message.
fn fooping(node: &'static str) -> impl Protocol {
    Spec::<Foo>::new("fooping", 42).max_message_size(1024).protocol(move |peer, mut messages| {
        async move {
            say!(node, "sending message", peer = peer.to_string(), V = 42);
            messages.send(FooMsg { v: 42 }).await?;
            // The handler gets messages that mean something, one after the other, and nothing else.
            let peer = &peer;
            messages
                .handle(|message| async move {
                    let Foo::Msg(FooMsg { v }) = message;
                    say!(node, "received message", peer = peer.to_string(), V = v);
                    Ok(Next::Stop)
                })
                .await
        }
    })
}
// ANCHOR_END: protocol

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: run
    let one = tutorial::server("one").protocol(fooping("one")).message_events(true).start().await?;
    let two = tutorial::server("two").protocol(fooping("two")).message_events(true).start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);
    let (mut at_one, mut at_two) = (one.events(), two.events());
    one.add_peer(two.enode())?;
    until_drop("one", &mut at_one).await?;
    until_drop("two", &mut at_two).await?;
    one.stop().await;
    // ANCHOR_END: run

    // ANCHOR: misbehave
    // Peers that claim to speak fooping/42, and do not.
    for (sends, code, payload, expected) in [
        ("a code beyond the length", 1, vec![0xc1, 42], DisconnectReason::ProtocolError),
        ("2,000 bytes", 0, vec![0; 2_000], DisconnectReason::SubprotocolError),
        ("bytes that are no list", 0, vec![42], DisconnectReason::SubprotocolError),
    ] {
        let reason = misbehave(&two, code, payload.into()).await?;
        say!(
            "two",
            "dropped a peer",
            sends = sends,
            reason = reason.code(),
            text = reason.to_string()
        );
        ensure!(reason == expected, "{sends}: dropped for another reason");
    }
    // ANCHOR_END: misbehave

    two.stop().await;
    Ok(())
}

// ANCHOR: events
/// Says everything that happens at a node until its peer has gone.
async fn until_drop(node: &str, events: &mut PeerEvents) -> anyhow::Result<()> {
    loop {
        let event = next_event(events).await?;
        say_event(node, &event);
        if matches!(event, PeerEvent::Dropped { .. }) {
            return Ok(());
        }
    }
}
// ANCHOR_END: events

// ANCHOR: rogue
/// Connects to a server, sends it one message of the old kind, and gives the reason it hangs up with.
async fn misbehave(server: &Server, code: u64, payload: Bytes) -> anyhow::Result<DisconnectReason> {
    // Two codes instead of one: how many there are is not said on the wire.
    let rogue = protocol_fn(Capability::new("fooping", 42), 2, move |_peer, mut messages| {
        let payload = payload.clone();
        async move {
            // The other side has begun, and said its number.
            messages.recv().await?;
            messages.send_raw(code, payload).await?;
            while messages.recv().await.is_ok() {}
            Ok(())
        }
    });
    let rogue = tutorial::server("one").protocol(rogue).start().await?;
    let mut events = rogue.events();
    rogue.add_peer(server.enode())?;
    loop {
        if let PeerEvent::Dropped { error, .. } = next_event(&mut events).await? {
            rogue.stop().await;
            // The event has the reason in words.
            let mut reasons = (0..=0x10).map(DisconnectReason::from_code);
            let reason = reasons.find(|reason| reason.to_string() == error);
            return reason.with_context(|| format!("no reason of the peer's: {error}"));
        }
    }
}
// ANCHOR_END: rogue
