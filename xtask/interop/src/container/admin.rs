//! What the two nodes say of themselves and of each other.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    Pair, Setting,
    pair::{Side, text},
};
use crate::scenario::same;

/// What each says of the other is what the other says of itself.
pub(super) async fn agreement(setting: Setting) -> Result<String> {
    let mut pair = Pair::start(&setting).await?;
    pair.connect(setting.dialer).await?;
    let (one, two) = pair.by_dialer(setting.dialer);
    let (of_one, of_two) = (one.node_info().await?, two.node_info().await?);
    let (two_in_one, one_in_two) = (only_peer(one).await?, only_peer(two).await?);

    for info in [&of_one, &of_two] {
        same("the protocols of a node", &info["protocols"], &json!({ "fooping": "unknown" }))?;
    }
    for (peer, itself) in [(&two_in_one, &of_two), (&one_in_two, &of_one)] {
        for member in ["id", "name"] {
            same(&format!("{member} of a peer"), &peer[member], &itself[member])?;
        }
        same("what a peer offers", &peer["caps"], &json!(["fooping/666"]))?;
        same("what runs with a peer", &peer["protocols"], &json!({ "fooping": "unknown" }))?;
    }
    // Who was dialed is known by its enode; of who dialed, only where it came from.
    same("the enode of who was dialed", &two_in_one["enode"], &of_two["enode"])?;
    let connection = |peer: &Value, member: &str| peer["network"][member].clone();
    for (here, there) in [("localAddress", "remoteAddress"), ("remoteAddress", "localAddress")] {
        let (here, there) = (connection(&two_in_one, here), connection(&one_in_two, there));
        same("the two ends of the connection", here, there)?;
    }
    let listens = text(&of_two, "listenAddr")?;
    same("where it was dialed", connection(&two_in_one, "remoteAddress"), json!(listens))?;
    for (member, of_dialed, of_dialing) in
        [("inbound", false, true), ("static", true, false), ("trusted", false, false)]
    {
        let both = (connection(&two_in_one, member), connection(&one_in_two, member));
        same(member, both, (json!(of_dialed), json!(of_dialing)))?;
    }
    for (side, info) in [(one, of_one), (two, of_two)] {
        let version = side.driver.result("web3_clientVersion", json!([])).await?;
        same("web3_clientVersion", &version, &info["name"])?;
    }
    Ok(String::new())
}

/// What was added can be removed, and then is no peer any more.
pub(super) async fn removal(setting: Setting) -> Result<String> {
    let mut pair = Pair::start(&setting).await?;
    let (id_one, id_two) = pair.connect(setting.dialer).await?;
    let (one, two) = pair.by_dialer(setting.dialer);
    let enode = two.node_info().await?["enode"].clone();
    let removed = one.driver.result("admin_removePeer", json!([enode])).await?;
    same("admin_removePeer", removed, json!(true))?;
    one.expect_event("drop", &id_two).await?;
    let dropped = two.expect_event("drop", &id_one).await?;
    for side in [one, two] {
        let peers = side.driver.result("admin_peers", json!([])).await?;
        same(&format!("admin_peers of {}", side.name), peers, json!([]))?;
    }
    Ok(format!("told {}", dropped["error"]))
}

/// The one peer that a node has.
async fn only_peer(side: &mut Side) -> Result<Value> {
    let peers = side.driver.result_as("peers", "admin_peers").await?;
    same(&format!("how many peers {} has", side.name), peers.as_array().map(Vec::len), Some(1))?;
    peers.get(0).cloned().context("no peer")
}
