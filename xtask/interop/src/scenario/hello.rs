//! Who each side says it is, and what happens when the two have nothing to say to each other.

use anyhow::Result;
use serde_json::json;

use super::{Dialer, LOOPBACK, same};
use crate::{
    bare::{Bare, Identity},
    foreign::ForeignPeer,
    ours::{OUR_NAME, Ours, Pair},
    program::{Implementation, Program},
};

/// Both sides report the other's name, capabilities and key.
pub(super) async fn hello(program: Program, dialer: Dialer) -> Result<String> {
    let pair = Pair::connect(&program, dialer, &["--name", "somebody else/v1"]).await?;

    same("their name, as we saw it", pair.link.name(), "somebody else/v1".into())?;
    same("their capabilities, as we saw them", pair.link.capabilities(), vec!["foo/42".into()])?;
    same("their id, as we saw it", json!(pair.link.id().to_string()), pair.their_id()?)?;
    same("our name, as they saw it", &pair.seen["name"], &json!(OUR_NAME))?;
    same("our capabilities, as they saw them", &pair.seen["caps"], &json!(["foo/42"]))?;
    same("our key, as they saw it", &pair.seen["key"], &json!(pair.ours.key().to_string()))?;
    Ok(String::new())
}

/// Without a shared capability each side hangs up with 0x03.
pub(super) async fn nothing_shared(program: Program, dialer: Dialer) -> Result<String> {
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    let mut bare = Bare::open(&mut theirs, dialer, &Identity::random().without_protocol()).await?;
    let reason = bare.expect_disconnect().await?;
    same("their reason", reason.code, USELESS_PEER)?;

    let arguments = ["--listen", LOOPBACK, "--no-protocol"];
    let mut theirs = ForeignPeer::start(&program, &arguments).await?;
    let mut ours = Ours::start().await?;
    ours.meet(&mut theirs, dialer).await?;
    match program.kind.implementation() {
        // A server without protocols of its own takes everybody, so it lives to read our reason.
        Implementation::Geth => {
            let reason = theirs.expect("drop").await?["reason"].clone();
            same("our reason, as they saw it", reason, json!(USELESS_PEER))?;
        }
        Implementation::Js => {
            theirs.expect("refused").await?;
        }
    }
    ours.expect_no_peer_so_far()?;
    Ok(String::new())
}

const USELESS_PEER: u8 = 0x03;
