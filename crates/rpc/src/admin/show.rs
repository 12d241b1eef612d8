//! What go-ethereum has no form for: dials, traffic and bans as JSON.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use p2p_server::{DialStatus, LastDial, PeerStats, Server};
use serde::Serialize;

use super::{argument, time::rfc3339};
use crate::{Result, RpcError};

/// The answer of `admin_dialStatus`.
#[derive(Debug, Serialize)]
pub(super) struct Dial {
    id: String,
    #[serde(rename = "static")]
    is_static: bool,
    trusted: bool,
    connected: bool,
    dialing: bool,
    attempts: u32,
    last: Option<Last>,
    next: Option<String>,
}

/// How the last attempt, or the connection it led to, has ended; without an error it is up.
#[derive(Debug, Serialize)]
struct Last {
    time: String,
    stage: String,
    error: Option<String>,
}

/// The answer of `admin_peerStats`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traffic {
    id: String,
    ingress_bytes: u64,
    egress_bytes: u64,
    // bound: the protocols that run with the peer
    messages: BTreeMap<String, Messages>,
    queued: usize,
    rtt_millis: Option<u64>,
    connected_seconds: u64,
}

#[derive(Debug, Default, Serialize)]
struct Messages {
    r#in: u64,
    out: u64,
}

/// An element of the answer of `admin_bans`.
#[derive(Debug, Serialize)]
pub(super) struct Ban {
    target: String,
    until: String,
}

/// What is known about dialing a node.
pub(super) fn dial_status(server: &Server, text: &str) -> Result<Option<Dial>> {
    let status = server.dial_status(argument::id(text)?);
    Ok(status.map(|status| Dial::new(status, &Clock::now())))
}

/// What went over the connection with a peer.
pub(super) fn peer_stats(server: &Server, text: &str) -> Result<Traffic> {
    let peer = server.peer(argument::id(text)?);
    let peer = peer.ok_or_else(|| RpcError::other("peer not found"))?;
    // Protocols over which nothing has gone yet are named all the same.
    let silent =
        peer.running().iter().map(|capability| (capability.to_string(), Messages::default()));
    Ok(Traffic::new(peer.id().to_string(), peer.stats(), silent.collect()))
}

/// The bans in force.
pub(super) fn bans(server: &Server) -> Vec<Ban> {
    let clock = Clock::now();
    let bans = server.bans().into_iter();
    bans.map(|(target, left)| Ban { target: target.to_string(), until: clock.after(left) })
        .collect()
}

impl Dial {
    fn new(status: DialStatus, clock: &Clock) -> Self {
        let last = |last: LastDial| Last {
            time: clock.at(last.at),
            stage: last.stage.to_string(),
            error: last.error,
        };
        Self {
            id: status.node.to_string(),
            is_static: status.is_static,
            trusted: status.trusted,
            connected: status.connected,
            dialing: status.dialing,
            attempts: status.attempts,
            last: status.last.map(last),
            next: status.next.map(|next| clock.at(next)),
        }
    }
}

impl Traffic {
    /// The codes of a protocol are added up.
    fn new(id: String, stats: PeerStats, mut messages: BTreeMap<String, Messages>) -> Self {
        for ((capability, _code), (received, sent)) in stats.messages {
            let sum = messages.entry(capability.to_string()).or_default();
            sum.r#in = sum.r#in.saturating_add(received);
            sum.out = sum.out.saturating_add(sent);
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            id,
            ingress_bytes: stats.ingress_bytes,
            egress_bytes: stats.egress_bytes,
            messages,
            queued: stats.queued,
            rtt_millis: stats.round_trip.map(millis),
            connected_seconds: stats.connected.as_secs(),
        }
    }
}

/// The same moment on two clocks: the one the server counts with, and the one on the wall.
struct Clock {
    instant: Instant,
    /// Since the beginning of 1970.
    wall: Duration,
}

impl Clock {
    fn now() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { instant: tokio::time::Instant::now().into_std(), wall }
    }

    /// When it is, or was, `instant`.
    fn at(&self, instant: Instant) -> String {
        let ago = self.instant.saturating_duration_since(instant);
        if ago.is_zero() {
            return self.after(instant.saturating_duration_since(self.instant));
        }
        rfc3339(self.wall.saturating_sub(ago))
    }

    /// When so much time will have passed.
    fn after(&self, time: Duration) -> String {
        rfc3339(self.wall.saturating_add(time))
    }
}

#[cfg(test)]
mod tests {
    use p2p_server::Capability;

    use super::*;

    #[test]
    fn a_moment_is_told_by_the_clock_on_the_wall() {
        let instant = Instant::now() + Duration::from_secs(60);
        let clock = Clock { instant, wall: Duration::from_secs(1_709_164_800) };

        assert_eq!(clock.at(instant), "2024-02-29T00:00:00.000Z");
        assert_eq!(clock.at(instant - Duration::from_millis(1)), "2024-02-28T23:59:59.999Z");
        assert_eq!(clock.at(instant + Duration::from_secs(61)), "2024-02-29T00:01:01.000Z");
        assert_eq!(clock.after(Duration::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_codes_of_a_protocol_are_added_up() {
        let foo = |code| (Capability::new("foo", 42), code);
        let mut stats = PeerStats::default();
        stats.messages = BTreeMap::from([(foo(0), (1, 2)), (foo(7), (10, 20))]);
        stats.round_trip = Some(Duration::from_micros(2_900));
        stats.connected = Duration::from_millis(1_999);
        let silent = BTreeMap::from([("bar/1".to_owned(), Messages::default())]);

        let traffic = Traffic::new("ab".to_owned(), stats, silent);

        let expected = concat!(
            r#"{"id":"ab","ingressBytes":0,"egressBytes":0,"#,
            r#""messages":{"bar/1":{"in":0,"out":0},"foo/42":{"in":11,"out":22}},"#,
            r#""queued":0,"rttMillis":2,"connectedSeconds":1}"#
        );
        assert_eq!(serde_json::to_string(&traffic).expect("plain data"), expected);
    }
}
