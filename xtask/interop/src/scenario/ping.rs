//! Keep-alive: each side's Ping is answered, and theirs comes by itself.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{Dialer, LOOPBACK};
use crate::{
    bare::{Bare, Identity, PING, PONG},
    foreign::ForeignPeer,
    ours::{Ours, Pair},
    program::{Implementation, Program},
};

/// We send a Ping over a bare connection, which is the one that shows the Pong.
pub(super) async fn our_ping(program: Program, dialer: Dialer) -> Result<String> {
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    let mut bare = Bare::open(&mut theirs, dialer, &Identity::random()).await?;
    bare.send_empty(PING).await?;
    bare.expect(PONG, ANSWER).await?;
    Ok(String::new())
}

/// They send a Ping to our server and see its Pong.
pub(super) async fn their_ping(program: Program, dialer: Dialer) -> Result<String> {
    match program.kind.implementation() {
        // Its server pings on its own clock only; the bare connection does when told to.
        Implementation::Geth => {
            let ours = Ours::start().await?;
            let mut theirs = ours.meet_raw(&program, dialer, &[]).await?;
            theirs.expect("hello").await?;
            theirs.command(json!({ "cmd": "ping" })).await?;
            theirs.expect("pong").await?;
        }
        Implementation::Js => {
            let mut pair = Pair::connect(&program, dialer, &[]).await?;
            pair.theirs.command(json!({ "cmd": "ping" })).await?;
            pair.theirs.expect("pong").await?;
        }
    }
    Ok(String::new())
}

/// A connection on which nothing happens: our timer sends a Ping, and they are still there after.
pub(super) async fn our_timer(program: Program, dialer: Dialer) -> Result<String> {
    let mut ours = Ours::start().await?;
    let mut theirs = match program.kind.implementation() {
        // Its server tells nobody of pings.
        Implementation::Geth => ours.meet_raw(&program, dialer, &[]).await?,
        Implementation::Js => {
            let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
            ours.meet(&mut theirs, dialer).await?;
            theirs
        }
    };
    let _link = ours.expect_link().await?;
    theirs.expect_within(&["ping"], OUR_INTERVAL + ANSWER).await?;
    ours.expect_no_drop_so_far()?;
    Ok(String::new())
}

/// A connection on which nothing happens: their timer sends a Ping.
pub(super) async fn their_timer(program: Program, dialer: Dialer) -> Result<String> {
    let mut theirs = ForeignPeer::start(&program, &["--listen", LOOPBACK]).await?;
    let mut bare = Bare::open(&mut theirs, dialer, &Identity::random()).await?;
    let start = Instant::now();
    bare.expect(PING, THEIR_INTERVAL + ANSWER).await?;
    let waited = start.elapsed();
    bare.send_empty(PONG).await?;
    // Still there: a Pong nobody wanted would have ended it.
    bare.send_empty(PING).await?;
    bare.expect(PONG, ANSWER).await?;
    Ok(format!("after {:.0} s", waited.as_secs_f64()))
}

const OUR_INTERVAL: Duration = Duration::from_secs(15);
const THEIR_INTERVAL: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(10);
