//! A node that stops and starts again, seen from the other one.

use anyhow::Result;
use serde_json::json;

use super::{
    Pair, Setting,
    pair::{our_side, their_node, their_side},
};
use crate::scenario::{Dialer, same};

/// The node that was dialed stops; its peer is told why. It starts again in the same data directory, is
/// the same node, and connects from its own side.
pub(super) async fn restart(setting: Setting) -> Result<String> {
    let mut pair = Pair::start(&setting).await?;
    let (id_one, id_two) = pair.connect(setting.dialer).await?;
    match setting.dialer {
        Dialer::We => {
            pair.their_node.ask(json!({ "cmd": "quit" }), "stopped").await?;
        }
        Dialer::They => pair.our_node.stop().await?,
    }
    let (one, _) = pair.by_dialer(setting.dialer);
    let dropped = one.expect_event("drop", &id_two).await?;
    same("why it left", &dropped["error"], &json!("client quitting"))?;
    let enode = one.node_info().await?["enode"].clone();

    match setting.dialer {
        Dialer::We => {
            pair.their_node = their_node(&setting.program, pair.their_folder.path()).await?;
            pair.them = their_side(&setting, &pair.their_node).await?;
        }
        Dialer::They => {
            pair.our_node.start().await?;
            pair.us = our_side(&setting, &pair.our_node).await?;
        }
    }
    let (one, two) = pair.by_dialer(setting.dialer);
    same("who it is", &two.node_info().await?["id"], &json!(id_two))?;
    two.add_peer(&enode).await?;
    two.expect_event("add", &id_one).await?;
    one.expect_event("add", &id_two).await?;
    Ok(String::new())
}
