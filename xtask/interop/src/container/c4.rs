//! Chapter C4 between the two nodes, and the service while it has no peer.

use anyhow::{Context as _, Result};
use rpc::code;
use serde_json::{Value, json};

use super::{Pair, Setting, pair::Side};
use crate::{jsonrpc::Answer, scenario::same};

/// The four methods, where nobody is there to be pinged. The dialing side is asked about the other.
pub(super) async fn alone(setting: Setting) -> Result<String> {
    let mut pair = Pair::start(&setting).await?;
    let (one, two) = pair.by_dialer(setting.dialer);
    let stranger = two.node_info().await?["id"].clone();
    expect_pongs(one, 0).await?;
    one.driver.expect("foo_increment", json!([]), Answer::Result(Value::Null)).await?;
    expect_pongs(one, 1).await?;
    expect_unknown(one, &stranger).await?;
    let too_short = json!(["0x1234"]);
    for method in ["foo_ping", "foo_quit"] {
        let answer = one.driver.call(method, too_short.clone()).await?;
        let refused = matches!(answer, Answer::Error(code, ..) if code == code::INVALID_PARAMS);
        same(&format!("{method} of half an id is refused: {answer:?}"), refused, true)?;
    }
    Ok(String::new())
}

/// The whole chapter: the dialing node pings four times, the other twice.
pub(super) async fn together(setting: Setting) -> Result<String> {
    let mut pair = Pair::start(&setting).await?;
    for side in [&mut pair.us, &mut pair.them] {
        expect_pongs(side, 0).await?;
    }
    let (id_one, id_two) = pair.connect(setting.dialer).await?;
    let (one, two) = pair.by_dialer(setting.dialer);
    tokio::try_join!(ping(one, &id_two, 4), ping(two, &id_one, 2))?;

    // Whoever is told first hangs up. With the other there is nothing left to do, and no error.
    for (side, peer) in [(&mut *one, &id_two), (&mut *two, &id_one)] {
        side.driver.expect("foo_quit", json!([peer]), Answer::Result(Value::Null)).await?;
        side.expect_event("drop", peer).await?;
    }
    expect_pongs(one, 4).await?;
    expect_pongs(two, 2).await?;
    for side in [one, two] {
        expect_unknown(side, &json!("66".repeat(32))).await?;
    }
    Ok(String::new())
}

/// Has a peer pinged so many times, and waits until the pings of both sides and their pongs are through.
async fn ping(side: &mut Side, peer: &str, pings: usize) -> Result<()> {
    for _ in 0..pings {
        // Both forms of an id are one peer.
        let params = json!([format!("0x{peer}")]);
        side.driver.expect("foo_ping", params, Answer::Result(Value::Null)).await?;
    }
    // Four pings and two, and a pong for each: six messages out, six in.
    let (mut sent, mut received) = (0, 0);
    while (sent, received) != (6, 6) {
        let event = side.next_event().await?;
        match event["type"].as_str() {
            Some("msgsend") => sent += 1,
            Some("msgrecv") => received += 1,
            _ => same("an event", &event, &json!("a message"))?,
        }
        let of = |member: &str| event[member].clone();
        let message = (of("peer"), of("protocol"), of("msg_code"), of("msg_size"));
        let expected = (json!(peer), json!("fooping"), json!(0), json!(3));
        same(&format!("a message of {}", side.name), message, expected)?;
    }
    Ok(())
}

async fn expect_pongs(side: &mut Side, count: u64) -> Result<()> {
    let pongs = side.driver.expect("foo_pongCount", json!([]), Answer::Result(json!(count))).await;
    pongs.with_context(|| format!("asking {}", side.name))
}

/// The node refuses to do anything with somebody it does not know.
async fn expect_unknown(side: &mut Side, stranger: &Value) -> Result<()> {
    for method in ["foo_ping", "foo_quit"] {
        let unknown = Answer::error(code::SERVER, "unknown peer");
        let refused = side.driver.expect(method, json!([stranger]), unknown).await;
        refused.with_context(|| format!("asking {}", side.name))?;
    }
    Ok(())
}
