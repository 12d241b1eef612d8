//! C4: pings by order, from the call to the peer and back.
//!
//! New here: a service with a protocol, one object behind both; a node that is driven by RPC alone.
//! Run: `cargo run --bin c4_full`

use anyhow::{Context as _, ensure};
use enode::NodeId;
use rpc::{Client, Subscription, code};
use serde_json::Value;
use tutorial::foo::FooService;
use tutorial::{refused, say, say_event, say_started, within};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    let (one, two) = (tutorial::node("one").no_listen(), tutorial::node("two"));
    let one = one.message_events(true).service(|_| FooService::default()).build()?;
    let two = two.message_events(true).service(|_| FooService::default()).build()?;
    within("the start", one.start()).await??;
    within("the start", two.start()).await??;
    say_started("one", &one.server()?);
    say_started("two", &two.server()?);
    // ANCHOR_END: start

    // ANCHOR: before
    // From here on the nodes are told and asked by RPC, and by nothing else.
    let (at_one, at_two) = (one.attach()?, two.attach()?);
    let (pongs_one, pongs_two) = (pong_count(&at_one).await?, pong_count(&at_two).await?);
    say!("one", "servicenode #1 before ping", pongcount = pongs_one);
    say!("two", "servicenode #2 before ping", pongcount = pongs_two);
    ensure!((pongs_one, pongs_two) == (0, 0), "pongs before there was a ping");
    // ANCHOR_END: before

    // ANCHOR: connect
    let mut events_one = subscribe(&at_one).await?;
    let mut events_two = subscribe(&at_two).await?;
    let enode = two.server()?.node_info().enode;
    let added: bool = within("an answer", at_one.call("admin_addPeer", (enode,))).await??;
    ensure!(added, "nobody will be called");
    // ANCHOR_END: connect

    // ANCHOR: ping
    // Both at a time: as soon as a node has its peer, it is told to ping it.
    let (peer_of_one, peer_of_two) = tokio::try_join!(
        ping("one", &at_one, &mut events_one, 4),
        ping("two", &at_two, &mut events_two, 2),
    )?;
    // ANCHOR_END: ping

    // ANCHOR: quit
    // Whoever is told first hangs up. With the other there is nothing left to do, and no error.
    let () = within("an answer", at_one.call("foo_quit", (peer_of_one,))).await??;
    let () = within("an answer", at_two.call("foo_quit", (peer_of_two,))).await??;
    for (node, events) in [("one", &mut events_one), ("two", &mut events_two)] {
        ensure!(
            next(node, events).await?["type"] == "drop",
            "node {node} got one message too many"
        );
    }
    // ANCHOR_END: quit

    // ANCHOR: after
    let (pongs_one, pongs_two) = (pong_count(&at_one).await?, pong_count(&at_two).await?);
    say!("one", "servicenode #1 after ping", pongcount = pongs_one);
    say!("two", "servicenode #2 after ping", pongcount = pongs_two);
    ensure!((pongs_one, pongs_two) == (4, 2), "as many pongs as pings, on each side");
    let error = refused(&at_one, "foo_quit", (NodeId::new([0x66; 32]),)).await?;
    ensure!(
        error.code() == code::SERVER && error.message() == "unknown peer",
        "it knows everybody"
    );
    // ANCHOR_END: after

    within("the stop", one.stop()).await??;
    within("the stop", two.stop()).await??;
    Ok(())
}

// ANCHOR: drive
/// Waits for the node's peer, has it pinged so many times, and waits for the messages of both nodes'
/// pings. Gives the peer's id.
async fn ping(
    node: &str,
    client: &Client,
    events: &mut Subscription<Value>,
    pings: usize,
) -> anyhow::Result<String> {
    let added = next(node, events).await?;
    ensure!(added["type"] == "add", "something before the `add`");
    let peer = added["peer"].as_str().context("an event without a peer")?.to_owned();
    for count in 1..=pings {
        let () = within("an answer", client.call("foo_ping", (&peer,))).await??;
        say!(node, "sent ping", count = count);
    }
    // Four pings and two, and a pong for each: six messages out, six in.
    let (mut sent, mut received) = (0, 0);
    while (sent, received) != (6, 6) {
        match next(node, events).await?["type"].as_str() {
            Some("msgsend") => sent += 1,
            Some("msgrecv") => received += 1,
            other => anyhow::bail!("the connection ended early: {other:?}"),
        }
    }
    Ok(peer)
}
// ANCHOR_END: drive

async fn pong_count(client: &Client) -> anyhow::Result<u64> {
    Ok(within("an answer", client.call("foo_pongCount", ())).await??)
}

/// The peer events of a node.
async fn subscribe(client: &Client) -> anyhow::Result<Subscription<Value>> {
    let subscribe = client.subscribe("admin", ("peerEvents",));
    Ok(within("a subscription", subscribe).await??)
}

/// The next of them.
async fn next(node: &str, events: &mut Subscription<Value>) -> anyhow::Result<Value> {
    let event = within("a peer event", events.next()).await?.context("the node stopped")??;
    say_event(node, &event);
    Ok(event)
}
