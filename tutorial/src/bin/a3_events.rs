//! A3: get told when a peer comes and when it goes.
//!
//! New here: the event stream, and what is already true when an event arrives.
//! Run: `cargo run --bin a3_events`

use anyhow::{Context as _, bail, ensure};
use p2p_server::PeerEvent;
use tutorial::{peer_list, say, within};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    let one = tutorial::server("one").start().await?;
    let two = tutorial::server("two").start().await?;
    tutorial::say_started("one", &one);
    tutorial::say_started("two", &two);

    // ANCHOR: subscribe
    // First subscribe, then act: an event that happens before is not kept for later.
    let mut events = one.events();
    one.add_peer(two.enode())?;
    // ANCHOR_END: subscribe

    // ANCHOR: wait
    // Nothing else happens on node one, so the first event is the one that we want.
    let first = within("the first event", events.next()).await?.context("node one stopped")?;
    tutorial::say_event("one", &first);
    let PeerEvent::Added { peer, .. } = first else { bail!("the first event is no `add`") };
    ensure!(peer == two.id(), "somebody else connected");
    // ANCHOR_END: wait

    // ANCHOR: peers
    // Whoever holds the event finds the peer.
    let peers = one.peers();
    say!("one", "after add", "node one peers" = peer_list(&peers));
    ensure!(peers.len() == 1 && peers[0].id() == two.id(), "the event came before the peer");
    // ANCHOR_END: peers

    // ANCHOR: both
    // On node two the same may still be under way: one node's event says nothing of the other.
    tutorial::wait_for_peer_count(&two, 1).await?;
    // ANCHOR_END: both

    // ANCHOR: drop
    // Node two says goodbye to its peers. Every `add` has its `drop`, and that comes last.
    two.stop().await;
    let last = within("the last event", events.next()).await?.context("node one stopped")?;
    tutorial::say_event("one", &last);
    let PeerEvent::Dropped { peer, .. } = last else { bail!("the last event is no `drop`") };
    ensure!(peer == two.id() && one.peers().is_empty(), "gone, but not quite");
    // ANCHOR_END: drop

    // ANCHOR: end
    // A subscription ends with its server. Dropping the stream ends it earlier.
    one.stop().await;
    ensure!(within("the end", events.next()).await?.is_none(), "an event after the end");
    // ANCHOR_END: end
    Ok(())
}
