//! A node that is not who it should be is refused: by the handshake, or by the Hello.

use anyhow::Result;
use enode::SecretKey;
use serde_json::json;

use super::{Dialer, LOOPBACK, same};
use crate::{
    bare::{Bare, Identity},
    foreign::ForeignPeer,
    ours::{Ours, with_key},
    program::{Implementation, Kind, Program},
};

/// The address is right and the key is not: the handshake fails, and neither side has a peer.
pub(super) async fn wrong_key_dialed(program: Program, dialer: Dialer) -> Result<String> {
    let mut ours = Ours::start().await?;
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    let nobody = SecretKey::random().public_key();
    let remark = match dialer {
        Dialer::We => {
            ours.dial(&with_key(theirs.enode()?, &nobody)?)?;
            let error = ours.expect_dial_failure(&nobody.node_id()).await?;
            // ethereumjs tells of the error at once and keeps the socket open for ever.
            theirs.expect_any(&["refused", "error"]).await?;
            format!("our dial: {error}")
        }
        Dialer::They => {
            theirs.dial(&with_key(&ours.enode(), &nobody)?).await?;
            theirs.expect("refused").await?;
            String::new()
        }
    };
    theirs.expect_none_so_far("peer")?;
    ours.expect_no_peer_so_far()?;
    Ok(remark)
}

/// Our Hello claims a key that the handshake did not prove.
pub(super) async fn wrong_hello_to_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    let claimed = SecretKey::random().public_key();
    let mut bare = Bare::open(&mut theirs, dialer, &Identity::random().claiming(claimed)).await?;
    if program.kind == Kind::Js && dialer == Dialer::We {
        // It compares only where it knew the key beforehand, and believes the Hello of everyone
        // who dials it.
        let peer = theirs.expect("peer").await?;
        same("the key they believe", &peer["key"], &json!(claimed.to_string()))?;
        return Ok("accepted: ethereumjs does not check who dials it".into());
    }
    let expected = match program.kind.implementation() {
        Implementation::Geth => UNEXPECTED_IDENTITY,
        Implementation::Js => INVALID_IDENTITY,
    };
    let disconnect = bare.expect_disconnect().await?;
    same("their reason", disconnect.code, expected)?;
    theirs.expect_none_so_far("peer")?;
    Ok(format!("refused with {expected:#04x} in {}", disconnect.form))
}

/// Their Hello claims a key that the handshake did not prove: our server says 0x09.
pub(super) async fn wrong_hello_from_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut ours = Ours::start().await?;
    let claimed = const_hex::encode(*SecretKey::random().to_bytes());
    let arguments = ["--hello-key", &claimed];
    let mut theirs = match program.kind.implementation() {
        Implementation::Geth => ours.meet_raw(&program, dialer, &arguments).await?,
        Implementation::Js => {
            let arguments = [&["--listen", LOOPBACK], arguments.as_slice()].concat();
            let mut theirs = ForeignPeer::start(&program, &arguments).await?;
            ours.meet(&mut theirs, dialer).await?;
            theirs
        }
    };
    let reason = theirs.expect("disconnect").await?["reason"].clone();
    same("our reason, as they saw it", reason, json!(UNEXPECTED_IDENTITY))?;
    ours.expect_no_peer_so_far()?;
    Ok(String::new())
}

const INVALID_IDENTITY: u8 = 0x07;
const UNEXPECTED_IDENTITY: u8 = 0x09;
