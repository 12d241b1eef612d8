//! A5: ask and answer, and hang up when nobody owes an answer any more.
//!
//! New here: a message with fields, a body that loops, and how it is told to end.
//! Run: `cargo run --bin a5_reply`

use alloy_rlp::{RlpDecodable, RlpEncodable};
use anyhow::{Context as _, bail, ensure};
use p2p_server::{
    Capability, MsgChannel, Peer, PeerEvent, PeerEvents, Protocol, ProtocolError, protocol_fn,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tutorial::{next_event, say, say_event, within};

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
/// What the program keeps of a node's protocol: a way to end it, and how it ended.
struct Control {
    done: CancellationToken,
    result: mpsc::Receiver<String>,
}

/// The protocol of one node. It shares nothing with that of the other.
fn foo(node: &'static str) -> (impl Protocol, Control) {
    let done = CancellationToken::new();
    let (returned, result) = mpsc::channel(1);
    let control = Control { done: done.clone(), result };
    let protocol = protocol_fn(Capability::new("foo", 42), 1, move |peer, messages| {
        let (done, returned) = (done.clone(), returned.clone());
        async move {
            let result = ping_pong(node, &peer, messages, &done).await;
            let text = result.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
            // An error here means that nobody wants to know any more.
            let _ = returned.send(text).await;
            result
        }
    });
    (protocol, control)
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
    let (protocol, mut at_one) = foo("one");
    let one = tutorial::server("one").protocol(protocol).message_events(true).start().await?;
    let (protocol, mut at_two) = foo("two");
    let two = tutorial::server("two").protocol(protocol).message_events(true).start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);

    let (mut events_one, mut events_two) = (one.events(), two.events());
    one.add_peer(two.enode())?;
    // ANCHOR_END: run

    // ANCHOR: hang_up
    // A ping and a pong out, a ping and a pong in: then a side owes nothing and is owed nothing.
    four_messages("one", &mut events_one).await?;
    four_messages("two", &mut events_two).await?;
    at_one.done.cancel();
    at_two.done.cancel();
    // ANCHOR_END: hang_up

    // ANCHOR: end
    goodbye("one", &mut at_one, &mut events_one).await?;
    goodbye("two", &mut at_two, &mut events_two).await?;
    // ANCHOR_END: end

    one.stop().await;
    two.stop().await;
    Ok(())
}

/// The result of a node's protocol, and the `drop` that follows from it.
async fn goodbye(node: &str, control: &mut Control, events: &mut PeerEvents) -> anyhow::Result<()> {
    let result = within("the protocol to return", control.result.recv()).await?;
    let result = result.context("the protocol is gone")?;
    say!(node, "protocol returned", result = result);
    ensure!(result == "ok", "the protocol of node {node} ended with: {result}");

    let last = next_event(events).await?;
    say_event(node, &last);
    ensure!(matches!(last, PeerEvent::Dropped { .. }), "a fifth message: {last:?}");
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
            other => bail!("the connection ended early: {other:?}"),
        }
    }
    Ok(())
}
