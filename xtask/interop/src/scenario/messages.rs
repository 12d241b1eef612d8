//! Content through both codecs: 1 B, 1 KiB, 100 KiB and 1 MiB, compared byte by byte on both sides.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{Dialer, same};
use crate::{
    foo::{DATA, ECHO, SIZES, pattern, sizes_argument},
    foreign::ForeignPeer,
    ours::Pair,
    program::Program,
};

/// We send, they compare and echo, we compare.
pub(super) async fn to_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut pair = Pair::connect(&program, dialer, &["--echo"]).await?;
    for size in SIZES {
        pair.link.send(DATA, &pattern(size)).await?;
        let (code, content) = pair.link.receive().await?;
        same("code of their echo", code, ECHO)?;
        if content != pattern(size) {
            bail!("their echo of {size} bytes has other content ({} bytes)", content.len());
        }
        check_message(&pair.theirs.expect("message").await?, size, DATA)?;
    }
    Ok(String::new())
}

/// They send, we compare and echo, they compare.
pub(super) async fn from_them(program: Program, dialer: Dialer) -> Result<String> {
    let mut pair = Pair::connect(&program, dialer, &["--send", &sizes_argument()]).await?;
    for size in SIZES {
        let (code, content) = pair.link.receive().await?;
        same("code of their message", code, DATA)?;
        if content != pattern(size) {
            bail!("their message of {size} bytes has other content ({} bytes)", content.len());
        }
        pair.link.send(ECHO, &content).await?;
        check_echo(&mut pair.theirs, size).await?;
    }
    Ok(String::new())
}

/// Everything at once: both send all sizes and echo what they get.
pub(super) async fn both_ways(program: Program, dialer: Dialer) -> Result<String> {
    let arguments = ["--echo", "--send", &sizes_argument()];
    let mut pair = Pair::connect(&program, dialer, &arguments).await?;
    let sender = pair.link.sender();
    // A task of its own: a side that reads only when it is not writing can wait for the other
    // for ever.
    let sending = tokio::spawn(async move {
        for size in SIZES {
            sender.send(DATA, &pattern(size)).await?;
        }
        anyhow::Ok(())
    });
    let (mut data, mut echoes) = (Vec::new(), Vec::new());
    while data.len() + echoes.len() < 2 * SIZES.len() {
        let (code, content) = pair.link.receive().await?;
        if content != pattern(content.len()) {
            bail!("a message of {} bytes and code {code} has other content", content.len());
        }
        if code == DATA {
            data.push(content.len());
            pair.link.send(ECHO, &content).await?;
        } else {
            echoes.push(content.len());
        }
    }
    sending.await??;
    same("sizes of their messages", data.as_slice(), &SIZES)?;
    same("sizes of their echoes", echoes.as_slice(), &SIZES)?;
    for size in SIZES {
        check_echo(&mut pair.theirs, size).await?;
    }
    Ok(String::new())
}

/// What they say about a message of ours.
fn check_message(event: &Value, size: usize, code: u64) -> Result<()> {
    same("code, as they saw it", &event["code"], &json!(code))?;
    same("size, as they saw it", &event["size"], &json!(size))?;
    same("content, as they compared it", &event["ok"], &json!(true))
}

/// What they say about our echo of a message of theirs.
async fn check_echo(theirs: &mut ForeignPeer, size: usize) -> Result<()> {
    let event = theirs.expect("echoed").await?;
    same("size of our echo, as they saw it", &event["size"], &json!(size))?;
    same("our echo, as they compared it", &event["ok"], &json!(true))
}
