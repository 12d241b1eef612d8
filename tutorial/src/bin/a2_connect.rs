//! A2: connect two servers.
//!
//! New here: `add_peer`, the two directions of a connection, and being turned away.
//! Run: `cargo run --bin a2_connect`

use anyhow::{Context as _, bail, ensure};
use p2p_server::{DialOutcome, DisconnectReason, PeerEvents};
use tutorial::{peer_list, say, within};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();
    connect().await?;
    refuse().await
}

/// Node one dials node two, and each becomes the other's peer.
async fn connect() -> anyhow::Result<()> {
    // ANCHOR: servers
    // Two servers as in A1, with room for one peer each. Node one does not even listen.
    let one = tutorial::server("one").start().await?;
    let two = tutorial::server("two").start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);
    // ANCHOR_END: servers

    // ANCHOR: add
    // This asks for a connection and returns at once. There is none yet.
    one.add_peer(two.enode())?;
    // ANCHOR_END: add

    // ANCHOR: wait
    // Each side finds out for itself, so both are waited for.
    tutorial::wait_for_peer_count(&one, 1).await?;
    tutorial::wait_for_peer_count(&two, 1).await?;
    // ANCHOR_END: wait

    // ANCHOR: peers
    let (of_one, of_two) = (one.peers(), two.peers());
    say!("after add", "node one peers" = peer_list(&of_one), "node two peers" = peer_list(&of_two),);
    // ANCHOR_END: peers

    // ANCHOR: prove
    // Exactly the other one, seen from both ends.
    let ([two_at_one], [one_at_two]) = (&of_one[..], &of_two[..]) else {
        bail!("more or fewer than one peer each");
    };
    ensure!(two_at_one.id() == two.id() && one_at_two.id() == one.id(), "strangers");
    ensure!(Some(two_at_one.remote_addr()) == two.listen_addr(), "two is somewhere else");
    ensure!(!two_at_one.inbound() && two_at_one.is_static(), "one has dialed and keeps two");
    ensure!(one_at_two.inbound() && !one_at_two.is_static(), "two was dialed and keeps nobody");
    // ANCHOR_END: prove

    one.stop().await;
    two.stop().await;
    Ok(())
}

/// The same with a node two that has no room: it hangs up and says why.
async fn refuse() -> anyhow::Result<()> {
    // ANCHOR: full
    let one = tutorial::server("one").start().await?;
    let two = tutorial::server("two").max_peers(0).start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);
    // ANCHOR_END: full

    // ANCHOR: refusal
    // What becomes of a dial is told by a stream of its own: no peer, no peer event.
    let mut dials = one.dial_events();
    let (mut at_one, mut at_two) = (one.events(), two.events());
    one.add_peer(two.enode())?;
    let reason = loop {
        let dial = within("the end of the dial", dials.next()).await?;
        match dial.context("node one stopped")?.outcome {
            DialOutcome::Failed { reason: Some(reason), .. } => break reason,
            DialOutcome::Failed { error, .. } => bail!("refused without a reason: {error}"),
            DialOutcome::Connected => bail!("a node without room took a peer"),
            _ => {} // planned, started
        }
    };
    // ANCHOR_END: refusal

    // ANCHOR: nothing
    let (of_one, of_two) = (one.peers(), two.peers());
    one.stop().await;
    two.stop().await;
    // The events of a stopped server come to an end, so this is all there ever was.
    let events = unread(&mut at_one).await? + unread(&mut at_two).await?;
    say!(
        "connection refused",
        reason = reason.code(),
        text = reason.to_string(),
        "peers one" = peer_list(&of_one),
        "peers two" = peer_list(&of_two),
        events = events,
    );
    ensure!(reason == DisconnectReason::TooManyPeers, "refused, but for another reason");
    ensure!(of_one.is_empty() && of_two.is_empty() && events == 0, "it left a trace");
    // ANCHOR_END: nothing
    Ok(())
}

/// How many events are left in a stream that ends.
async fn unread(events: &mut PeerEvents) -> anyhow::Result<usize> {
    let mut count = 0;
    while within("the end of the events", events.next()).await?.is_some() {
        count += 1;
    }
    Ok(count)
}
