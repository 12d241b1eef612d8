//! C4: everything at once: calls that make a service ping, and events that tell what came of it.
//!
//! New here: a service with a protocol and an API, in `src/foo.rs`, on two nodes.
//! Run: `cargo run --bin c4_full`

use anyhow::{Context as _, ensure};
use enode::{NodeId, SecretKey};
use rpc::{Client, Subscription};
use serde_json::Value;
use service_node::Node;
use tutorial::foo::FooService;
use tutorial::{peer_of, refused, say, say_json_event, say_node, within};

// ANCHOR: side
/// A node, seen through RPC only.
struct Side {
    name: &'static str,
    client: Client,
    events: Subscription<Value>,
    sent: usize,
    received: usize,
}

/// A node with the foo service, and a client that has subscribed to what happens there.
async fn start(name: &'static str) -> anyhow::Result<(Node, Side)> {
    let node =
        tutorial::node(name).message_events(true).service(|_| FooService::default()).build()?;
    node.start().await?;
    say_node(&node)?;
    let client = node.attach()?;
    let events = within("a subscription", client.subscribe("admin", ("peerEvents",))).await??;
    Ok((node, Side { name, client, events, sent: 0, received: 0 }))
}
// ANCHOR_END: side

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    let (node_one, mut one) = start("one").await?;
    let (node_two, mut two) = start("two").await?;
    say!("servicenode #1 before ping", pongcount = one.pong_count().await?);
    say!("servicenode #2 before ping", pongcount = two.pong_count().await?);
    // ANCHOR_END: start

    // ANCHOR: connect
    let enode = node_two.server()?.enode();
    let added: bool = within("an answer", one.client.call("admin_addPeer", (enode,))).await??;
    ensure!(added, "not added");
    let peer_of_one = peer_of(&one.next("add").await?)?;
    let peer_of_two = peer_of(&two.next("add").await?)?;
    // ANCHOR_END: connect

    // ANCHOR: ping
    one.ping(peer_of_one, 4).await?;
    two.ping(peer_of_two, 2).await?;
    // Each side gets the other's pings, and the pongs for its own.
    one.until_messages(6).await?;
    two.until_messages(6).await?;
    // ANCHOR_END: ping

    // ANCHOR: quit
    one.call("foo_quit", peer_of_one).await?;
    // It has gone by now, or is about to.
    two.call("foo_quit", peer_of_two).await?;
    one.next("drop").await?;
    two.next("drop").await?;
    // ANCHOR_END: quit

    // ANCHOR: count
    let (of_one, of_two) = (one.pong_count().await?, two.pong_count().await?);
    say!("servicenode #1 after ping", pongcount = of_one);
    say!("servicenode #2 after ping", pongcount = of_two);
    ensure!((of_one, of_two) == (4, 2), "pongs were lost");
    ensure!((one.sent, two.sent) == (6, 6), "messages were lost");

    let nobody = SecretKey::random().node_id();
    let error = refused(&one.client, "foo_quit", (nobody,)).await?;
    ensure!(error.code() == -32_000 && error.message() == "unknown peer", "refused otherwise");
    // ANCHOR_END: count

    node_one.stop().await?;
    node_two.stop().await?;
    Ok(())
}

impl Side {
    // ANCHOR: calls
    async fn pong_count(&self) -> anyhow::Result<u64> {
        Ok(within("an answer", self.client.call("foo_pongCount", ())).await??)
    }

    /// A call about a peer that has no result.
    async fn call(&self, method: &str, peer: NodeId) -> anyhow::Result<()> {
        let result: Value = within("an answer", self.client.call(method, (peer,))).await??;
        ensure!(result.is_null(), "{method} gave {result}");
        Ok(())
    }

    async fn ping(&self, peer: NodeId, times: u64) -> anyhow::Result<()> {
        for count in 1..=times {
            self.call("foo_ping", peer).await?;
            say!(self.name, "sent ping", count = count, peer = peer.to_string());
        }
        Ok(())
    }
    // ANCHOR_END: calls

    // ANCHOR: events
    /// The next event, which must be of this type.
    async fn next(&mut self, kind: &str) -> anyhow::Result<Value> {
        let event = self.any().await?;
        ensure!(event["type"] == kind, "node {}: no {kind} but {event}", self.name);
        Ok(event)
    }

    /// Reads events until so many messages went each way.
    async fn until_messages(&mut self, count: usize) -> anyhow::Result<()> {
        while self.sent < count || self.received < count {
            let event = self.any().await?;
            match event["type"].as_str() {
                Some("msgsend") => self.sent += 1,
                Some("msgrecv") => self.received += 1,
                _ => anyhow::bail!("node {}: no message but {event}", self.name),
            }
        }
        Ok(())
    }

    async fn any(&mut self) -> anyhow::Result<Value> {
        let event = within("an event", self.events.next()).await?;
        let event = event.context("the subscription ended")??;
        say_json_event(self.name, &event);
        Ok(event)
    }
    // ANCHOR_END: events
}
