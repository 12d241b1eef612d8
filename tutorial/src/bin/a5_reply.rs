//! A5: ask and answer, and hang up when nobody owes an answer any more.
//!
//! New here: a message with fields, a body that loops, and how it is told to end.
//! Run: `cargo run --bin a5_reply`

use alloy_rlp::{RlpDecodable, RlpEncodable};
use anyhow::ensure;
use p2p_server::{
    Capability, MsgChannel, Peer, PeerEvent, PeerEvents, Protocol, ProtocolError, protocol_fn,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tutorial::{next_event, say, say_event};

// ANCHOR: message
/// The only message of `foo/42`, at code 0: a ping, or the pong that answers it.
#[derive(RlpEncodable, RlpDecodable)]
struct FooPingMsg {
    pong: bool,
    created: Time,
}

/// Takes the place of Go's `time.Time`, of which nothing travels: an empty list.
#[derive(RlpEncodable, RlpDecodable)]
struct Time {}
// ANCHOR_END: message

// ANCHOR: protocol
/// The protocol of one node, which ends its conversations when `done` says so.
fn foo(node: &'static str, done: CancellationToken) -> impl Protocol {
    protocol_fn(Capability::new("foo", 42), 1, move |peer, messages| {
        let done = done.clone();
        async move {
            let result = ping_pong(node, &peer, messages, &done).await;
            let said = result.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
            say!(node, "protocol returned", result = said);
            result
        }
    })
}
// ANCHOR_END: protocol

// ANCHOR: body
/// Sends a ping, and answers whatever comes until told that it is enough.
async fn ping_pong(
    node: &str,
    peer: &Peer,
    mut messages: MsgChannel,
    done: &CancellationToken,
) -> Result<(), ProtocolError> {
    let shown = peer.to_string();
    say!(node, "sending ping", peer = shown);
    let sent = Instant::now();
    messages.send(0, &FooPingMsg { pong: false, created: Time {} }).await?;

    let mut answered = false;
    loop {
        let message = tokio::select! {
            () = done.cancelled() => return Ok(()),
            message = messages.recv() => message,
        };
        match message {
            // The other side was told earlier. That is fine if it owes us nothing.
            Err(_) if answered => return Ok(()),
            message => {
                if message?.decode::<FooPingMsg>()?.pong {
                    answered = true;
                    let rtt = format!("{:?}", sent.elapsed());
                    say!(node, "received pong", peer = shown, rtt = rtt);
                } else {
                    say!(node, "received ping", peer = shown);
                    messages.send(0, &FooPingMsg { pong: true, created: Time {} }).await?;
                    say!(node, "sent pong", peer = shown);
                }
            }
        }
    }
}
// ANCHOR_END: body

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: run
    // One token a node: the two share nothing, they could run in different places.
    let (one_done, two_done) = (CancellationToken::new(), CancellationToken::new());
    let one = tutorial::server("one").protocol(foo("one", one_done.clone())).message_events(true);
    let two = tutorial::server("two").protocol(foo("two", two_done.clone())).message_events(true);
    let (one, two) = (one.start().await?, two.start().await?);
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);

    let (mut at_one, mut at_two) = (one.events(), two.events());
    one.add_peer(two.enode())?;
    // ANCHOR_END: run

    // ANCHOR: hang_up
    // A ping and a pong out, a ping and a pong in: then a side owes nothing and is owed nothing.
    four_messages("one", &mut at_one).await?;
    four_messages("two", &mut at_two).await?;
    one_done.cancel();
    two_done.cancel();
    // ANCHOR_END: hang_up

    // ANCHOR: end
    for (node, events) in [("one", &mut at_one), ("two", &mut at_two)] {
        let last = next_event(events).await?;
        say_event(node, &last);
        ensure!(matches!(last, PeerEvent::Dropped { .. }), "a fifth message: {last:?}");
    }
    // ANCHOR_END: end

    one.stop().await;
    two.stop().await;
    Ok(())
}

/// The `add` of a node's peer and the four message events that follow.
async fn four_messages(node: &str, events: &mut PeerEvents) -> anyhow::Result<()> {
    let (mut sent, mut received) = (0, 0);
    while (sent, received) != (2, 2) {
        let event = next_event(events).await?;
        say_event(node, &event);
        match event {
            PeerEvent::MessageSent(_) => sent += 1,
            PeerEvent::MessageReceived(_) => received += 1,
            PeerEvent::Added { .. } => ensure!((sent, received) == (0, 0), "a late `add`"),
            other => anyhow::bail!("the connection ended early: {other:?}"),
        }
    }
    Ok(())
}
