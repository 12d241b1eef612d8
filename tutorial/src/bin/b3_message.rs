//! B3: make a node say something, and watch what becomes of it, from outside.
//!
//! New here: a method that reaches a protocol, and a subscription.
//! Run: `cargo run --bin b3_message`

use std::sync::Arc;

use alloy_rlp::{RlpDecodable, RlpEncodable};
use anyhow::{Context as _, ensure};
use p2p_server::{
    Capability, MsgChannel, Peer, PeerEvent, PeerEvents, Protocol, ProtocolError, Server,
    protocol_fn,
};
use rpc::{Client, Module, Subscription, code};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::SetOnce;
use tutorial::{next_event, refused, say, say_event, within};

// ANCHOR: message
/// The only message of `foo/42`, at code 0.
#[derive(RlpEncodable, RlpDecodable, Serialize)]
struct FooMsg {
    content: String,
}
// ANCHOR_END: message

// ANCHOR: words
/// What the protocol of a node shares with the program around it. Each can be set once.
#[derive(Clone, Default)]
struct Words {
    to_say: Arc<SetOnce<String>>,
    heard: Arc<SetOnce<String>>,
}

/// The method `foo_sendMsg`. It gives an order; the protocol carries it out.
async fn send_msg(words: Words, content: String) -> Result<(), &'static str> {
    words.to_say.set(content).map_err(|_| "Already sent")
}

/// The subscription `peerEvents`: the stream of A3, for whoever asks.
async fn peer_events(server: Server) -> rpc::Result<PeerEvents> {
    Ok(server.events())
}
// ANCHOR_END: words

// ANCHOR: body
/// Says what it is told to, and listens, until the connection ends.
async fn talk(
    node: &str,
    peer: Peer,
    mut messages: MsgChannel,
    words: Words,
) -> Result<(), ProtocolError> {
    let mut sent = false;
    loop {
        tokio::select! {
            content = words.to_say.wait(), if !sent => {
                sent = true;
                let msg = FooMsg { content: content.clone() };
                say!(node, "sending message", peer = peer.to_string(), msg = msg);
                messages.send(0, &msg).await?;
            }
            message = messages.recv() => {
                let msg: FooMsg = message?.decode()?;
                say!(node, "received message", peer = peer.to_string(), msg = msg);
                let _ = words.heard.set(msg.content); // the first word counts
            }
        }
    }
}

/// The protocol `foo/42` of a node; both sides run the same body.
fn protocol(node: &'static str, words: &Words) -> impl Protocol {
    let words = words.clone();
    protocol_fn(Capability::new("foo", 42), 1, move |peer, messages| {
        talk(node, peer, messages, words.clone())
    })
}
// ANCHOR_END: body

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    let (words_one, words_two) = (Words::default(), Words::default());
    let one = tutorial::server("one").protocol(protocol("one", &words_one)).message_events(true);
    let two = tutorial::server("two").protocol(protocol("two", &words_two)).message_events(true);
    let (one, two) = (one.start().await?, two.start().await?);
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);

    // ANCHOR: rpc
    // The door is node one's. Node two has none, and knows nothing of RPC.
    let module = Module::new("foo").method_of(&words_one, "sendMsg", send_msg);
    let module = module.subscription_of(&one, "peerEvents", peer_events);
    let folder = tempfile::tempdir()?;
    let socket = tutorial::socket_in(folder.path());
    let rpc = tutorial::rpc_server(&socket).module(module).start().await?;
    let client = Client::connect(&socket).await?;
    // ANCHOR_END: rpc

    // ANCHOR: subscribe
    // First subscribe, then act, here as anywhere.
    let subscribe = client.subscribe("foo", ("peerEvents",));
    let mut at_one: Subscription<Value> = within("a subscription", subscribe).await??;
    let mut at_two = two.events();
    one.add_peer(two.enode())?;
    ensure!(next(&mut at_one).await?["type"] == "add", "something before the `add`");
    let added = next_event(&mut at_two).await?;
    say_event("two", &added);
    ensure!(matches!(added, PeerEvent::Added { .. }), "something before the `add`");
    // ANCHOR_END: subscribe

    // ANCHOR: send
    let call = client.call("foo_sendMsg", ("foobar",));
    let reply: Value = within("an answer", call).await??;
    say!("RPC return value", reply = reply);
    ensure!(reply.is_null(), "an order has no result");
    // ANCHOR_END: send

    // ANCHOR: watch
    // What node one did, through RPC. What node two got, at node two.
    let sent = next(&mut at_one).await?;
    ensure!(sent["type"] == "msgsend" && sent["msg_size"] == 8, "not sent: {sent}");
    let received = next_event(&mut at_two).await?;
    say_event("two", &received);
    ensure!(matches!(received, PeerEvent::MessageReceived(_)), "not received: {received:?}");
    let heard = within("node two to hear it", words_two.heard.wait()).await?;
    ensure!(heard == "foobar", "node two heard {heard}");
    // ANCHOR_END: watch

    // ANCHOR: again
    let error = refused(&client, "foo_sendMsg", ("foobar",)).await?;
    ensure!(error.code() == code::SERVER && error.message() == "Already sent", "sent twice");
    within("the end of the subscription", at_one.unsubscribe()).await??;
    // ANCHOR_END: again

    rpc.stop().await;
    one.stop().await;
    two.stop().await;
    Ok(())
}

// ANCHOR: next
/// The next event of node one, as it came through RPC.
async fn next(events: &mut Subscription<Value>) -> anyhow::Result<Value> {
    let event = within("a notification", events.next()).await?.context("the server stopped")??;
    tutorial::say_notification("one", &event);
    Ok(event)
}
// ANCHOR_END: next
