//! Hanging up: the reason one side gives is the reason the other side reports.

use anyhow::{Result, bail};
use p2p_server::DisconnectReason;
use serde_json::json;

use super::{Dialer, LOOPBACK, same};
use crate::{
    bare::{Bare, Form, Identity},
    foreign::ForeignPeer,
    ours::{Ours, Pair},
    program::{Implementation, Kind, Program},
};

/// Our server hangs up; they report our reason.
pub(super) async fn by_us(program: Program, dialer: Dialer) -> Result<String> {
    let mut pair = Pair::connect(&program, dialer, &[]).await?;
    pair.link.disconnect(REASON);
    let drop = pair.theirs.expect("drop").await?;
    same("our reason, as they saw it", &drop["reason"], &json!(REASON.code()))?;
    pair.ours.expect_dropped().await?;
    Ok(format!("{REASON}"))
}

/// They hang up; our server reports their reason.
pub(super) async fn by_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut pair = Pair::connect(&program, dialer, &[]).await?;
    pair.theirs.command(json!({ "cmd": "disconnect", "reason": REASON.code() })).await?;
    same("their reason, as we saw it", pair.ours.expect_dropped().await?, REASON.to_string())?;
    Ok(match program.kind.implementation() {
        Implementation::Geth => format!("{REASON}"),
        Implementation::Js => format!("{REASON}; sent bare and uncompressed"),
    })
}

/// Each way to write a Disconnect that was ever in use, from us to them.
pub(super) async fn forms_to_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    for form in Form::ALL {
        let mut bare = Bare::open(&mut theirs, dialer, &Identity::random()).await?;
        theirs.expect("peer").await?;
        bare.send_disconnect(REASON.code(), form).await?;
        let drop = theirs.expect("drop").await?;
        // go-ethereum decompresses whatever comes after Hello, a Disconnect too, and so loses the
        // reason of an uncompressed one. That is its own doing, and ours never sends it.
        let expected = if program.kind == Kind::Geth && form.is_plain() {
            json!(null)
        } else {
            json!(REASON.code())
        };
        same(&format!("reason in {form}, as they saw it"), &drop["reason"], &expected)?;
    }
    Ok(match program.kind.implementation() {
        Implementation::Geth => "understands the compressed forms only".into(),
        Implementation::Js => String::new(),
    })
}

/// Each way to write a Disconnect, from go-ethereum's own codec to our server.
pub(super) async fn forms_from_them(program: Program, dialer: Dialer) -> Result<String> {
    for form in Form::ALL {
        let mut ours = Ours::start().await?;
        let mut theirs = ours.meet_raw(&program, dialer, &[]).await?;
        theirs.expect("hello").await?;
        let link = ours.expect_link().await?;
        let command = json!({ "cmd": "disconnect", "reason": REASON.code(), "form": form.name() });
        theirs.command(command).await?;
        let got = ours.expect_dropped().await?;
        if got != REASON.to_string() {
            bail!("a disconnect in {form}: expected {REASON:?}, got {got:?}");
        }
        drop(link);
    }
    Ok(String::new())
}

/// One that neither side would think of by itself here.
const REASON: DisconnectReason = DisconnectReason::TooManyPeers;
