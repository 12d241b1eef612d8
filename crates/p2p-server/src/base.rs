//! The `p2p` base protocol: hello, disconnect, ping and pong.
//!
//! ```text
//!          our hello sent            their hello accepted
//!   start ────────────────▶ AwaitHello ───────────────────▶ KeepAlive ──▶ closed
//!                               │ disconnect, anything else     ▲│  disconnect, silence, ping flood
//!                               ▼                               └┘
//!                             closed                         ping, pong
//! ```
//!
//! Codes 0x00 to 0x0f belong to it. Hello is never compressed; everything after it is, when the
//! peer's version is at least 5. What real peers send beside the published form is noted where it is
//! handled.
//!
//! Spec: ethereum/devp2p:rlpx.md, "p2p Capability".

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::time::{Duration, Instant};

use alloy_rlp::{Encodable as _, Header};
use bytes::{BufMut as _, Bytes, BytesMut};
use enode::{
    PublicKey,
    rlp::{self, ListReader},
};

use crate::{
    Capability, DisconnectReason,
    capability::name_is_valid,
    ping_limit::{PingFlood, PingLimit},
};

/// What a node says of itself before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Version of the base protocol: compression is on from 5.
    pub(crate) version: u64,
    /// The client's name: text by convention, any bytes in fact.
    pub(crate) client: Bytes,
    /// What it speaks, in the order it was sent, entries nobody could match left out.
    pub(crate) capabilities: Vec<Capability>,
    /// A port nobody uses; go-ethereum sends 0.
    pub(crate) listen_port: u64,
    /// The node's public key, `x ‖ y`, as it came.
    pub(crate) key: Bytes,
}

impl Hello {
    /// Our own hello: version 5, capabilities sorted, port 0.
    pub(crate) fn ours(client: &str, mut capabilities: Vec<Capability>, key: &PublicKey) -> Self {
        capabilities.sort();
        Self {
            version: VERSION,
            client: Bytes::copy_from_slice(client.as_bytes()),
            capabilities,
            listen_port: 0,
            key: Bytes::copy_from_slice(&key.to_bytes()),
        }
    }

    /// The payload: `[version, client, [[name, version], …], port, key]`.
    pub(crate) fn encode(&self) -> Bytes {
        let mut capabilities = BytesMut::new();
        for capability in &self.capabilities {
            let (name, version) = (capability.name().as_bytes(), capability.version());
            let payload_length = name.length().saturating_add(version.length());
            Header { list: true, payload_length }.encode(&mut capabilities);
            name.encode(&mut capabilities);
            version.encode(&mut capabilities);
        }
        let mut body = BytesMut::new();
        self.version.encode(&mut body);
        self.client.encode(&mut body);
        Header { list: true, payload_length: capabilities.len() }.encode(&mut body);
        body.put_slice(&capabilities);
        self.listen_port.encode(&mut body);
        self.key.encode(&mut body);

        let mut out = BytesMut::new();
        Header { list: true, payload_length: body.len() }.encode(&mut out);
        out.put_slice(&body);
        out.freeze()
    }

    /// Reads a hello; fields after the fifth are a newer peer's and are skipped.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, HelloFault> {
        let mut input = payload;
        let mut fields = ListReader::open(&mut input)?;
        let version = fields.next()?;
        let client = Bytes::copy_from_slice(fields.next_bytes()?);
        let capabilities = decode_capabilities(fields.next_list()?)?;
        let listen_port = fields.next()?;
        let key = Bytes::copy_from_slice(fields.next_bytes()?);
        fields.skip_rest()?;
        Ok(Self { version, client, capabilities, listen_port, key })
    }
}

/// The version in a hello whose other fields may be anything.
fn peek_version(mut payload: &[u8]) -> Option<u64> {
    ListReader::open(&mut payload).ok()?.next().ok()
}

fn decode_capabilities(mut list: ListReader<'_>) -> Result<Vec<Capability>, HelloFault> {
    let mut capabilities = Vec::new();
    let mut entries = 0_usize;
    while !list.is_empty() {
        entries = entries.saturating_add(1);
        if entries > MAX_CAPABILITIES {
            return Err(HelloFault::TooManyCapabilities);
        }
        let mut entry = list.next_list()?;
        let name = entry.next_bytes()?;
        let version = entry.next_item()?.integer()?;
        entry.finish()?;
        if name.len() > MAX_WIRE_NAME {
            return Err(HelloFault::NameTooLong { size: name.len() });
        }
        // Entries that nobody could offer are passed over, not a reason to hang up (L-10).
        let version = version
            .iter()
            .try_fold(0_u32, |sum, &digit| sum.checked_mul(256)?.checked_add(u32::from(digit)));
        if let (true, Some(version), Ok(name)) =
            (name_is_valid(name), version, std::str::from_utf8(name))
        {
            capabilities.push(Capability::new(name, version));
        }
    }
    Ok(capabilities)
}

/// We sent our hello and wait for theirs.
#[derive(Debug)]
pub(crate) struct AwaitHello {
    proven: PublicKey,
}

impl AwaitHello {
    /// `proven` is the key the handshake belongs to.
    pub(crate) fn new(proven: PublicKey) -> Self {
        Self { proven }
    }

    /// Judges the first message, uncompressed as it always is. The order of the checks is the wire's:
    /// size, disconnect, code, form, identity.
    pub(crate) fn on_message(self, code: u64, payload: &[u8]) -> Result<Hello, FirstMessageError> {
        if payload.len() > MAX_FIRST_MESSAGE {
            return Err(FirstMessageError::TooBig);
        }
        if code == DISCONNECT {
            return Err(FirstMessageError::Disconnected(decode_disconnect(payload)));
        }
        if code != HELLO {
            return Err(FirstMessageError::NotHello { code });
        }
        let compressed = peek_version(payload).is_some_and(|version| version >= SNAPPY_VERSION);
        let hello = Hello::decode(payload).map_err(|cause| FirstMessageError::Malformed {
            size: payload.len(),
            cause,
            compressed,
        })?;
        if hello.key.len() != 64 || hello.key.iter().all(|byte| *byte == 0) {
            return Err(FirstMessageError::InvalidIdentity { compressed });
        }
        // The proven key passed every check of a public key, so being equal to it is one.
        if hello.key != self.proven.to_bytes()[..] {
            return Err(FirstMessageError::UnexpectedIdentity { compressed });
        }
        Ok(hello)
    }
}

/// Why the first message was no acceptable hello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FirstMessageError {
    /// More than 2,048 bytes.
    #[error("message too big")]
    TooBig,
    /// The peer hung up instead.
    #[error("{0}")]
    Disconnected(DisconnectReason),
    /// Some other message.
    #[error("expected handshake, got {code:x}")]
    NotHello {
        /// Its code on the wire.
        code: u64,
    },
    /// The payload is no hello.
    #[error("invalid message: (code 0) (size {size}) {cause}")]
    Malformed {
        /// Size of the payload, in bytes.
        size: usize,
        /// What is wrong with it.
        cause: HelloFault,
        /// Whether the peer compresses what follows its hello, and expects us to.
        compressed: bool,
    },
    /// The node key is zero or not 64 bytes.
    #[error("invalid node identity")]
    InvalidIdentity {
        /// Whether the peer compresses what follows its hello, and expects us to.
        compressed: bool,
    },
    /// The node key is not the one of the handshake.
    #[error("unexpected identity")]
    UnexpectedIdentity {
        /// Whether the peer compresses what follows its hello, and expects us to.
        compressed: bool,
    },
}

impl FirstMessageError {
    /// What to tell the peer; nothing when it hung up itself or cannot be trusted to listen.
    pub(crate) fn disconnect_reason(&self) -> Option<DisconnectReason> {
        match self {
            Self::TooBig | Self::Disconnected(_) => None,
            Self::NotHello { .. } | Self::Malformed { .. } => Some(DisconnectReason::ProtocolError),
            Self::InvalidIdentity { .. } => Some(DisconnectReason::InvalidIdentity),
            Self::UnexpectedIdentity { .. } => Some(DisconnectReason::UnexpectedIdentity),
        }
    }

    /// Whether our answer must be compressed: both hellos have been read then, even though theirs
    /// is refused. A go-ethereum that was told so uncompressed would not understand it.
    pub(crate) fn answer_is_compressed(&self) -> bool {
        match self {
            Self::Malformed { compressed, .. }
            | Self::InvalidIdentity { compressed }
            | Self::UnexpectedIdentity { compressed } => *compressed,
            Self::TooBig | Self::Disconnected(_) | Self::NotHello { .. } => false,
        }
    }
}

/// What is wrong with the bytes of a hello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloFault {
    /// It is not the list it should be.
    #[error("rlp: {0}")]
    Rlp(#[from] rlp::Error),
    /// Over 128 capabilities.
    #[error("more than 128 capabilities")]
    TooManyCapabilities,
    /// A capability name over 256 bytes.
    #[error("capability name of {size} bytes is over the limit of 256")]
    NameTooLong {
        /// Its length, in bytes.
        size: usize,
    },
}

/// The payload of a disconnect: a list with the reason.
pub(crate) fn encode_disconnect(reason: DisconnectReason) -> Bytes {
    let mut out = BytesMut::new();
    let code = reason.code();
    Header { list: true, payload_length: code.length() }.encode(&mut out);
    code.encode(&mut out);
    out.freeze()
}

/// Reads the payload of a disconnect in each of the forms that are alive.
///
/// Current peers send a list. go-ethereum 1.10.17 to 1.14.12 sent the bare number, with 0 as the
/// byte 00, and ethereumjs still does. At most the first 100 bytes are looked at.
///
/// Source: ethereum/go-ethereum:p2p/peer.go, `decodeDisconnectMessage`.
pub(crate) fn decode_disconnect(payload: &[u8]) -> DisconnectReason {
    let payload = payload.get(..MAX_DISCONNECT).unwrap_or(payload);
    if payload == [0] {
        return DisconnectReason::Requested;
    }
    let number = match rlp::split(payload) {
        Ok((item, _)) => match item.list() {
            Ok(mut list) => list.next::<u64>(),
            Err(_) => rlp::decode_exact::<u64>(payload),
        },
        Err(error) => Err(error),
    };
    match number.ok().and_then(|number| u8::try_from(number).ok()) {
        Some(code) => DisconnectReason::from_code(code),
        None => DisconnectReason::Invalid,
    }
}

/// Reads a disconnect that may or may not be compressed.
///
/// One sent before the peer switched compression on can arrive after we did, and ethereumjs never
/// compresses it. So the decompressed form counts when it makes sense, the raw one otherwise.
pub(crate) fn read_disconnect(body: &[u8], snappy: bool) -> DisconnectReason {
    if snappy
        && let Ok(payload) = rlpx::snappy::decompress(body, MAX_DISCONNECT)
        && let reason = decode_disconnect(&payload)
        && reason != DisconnectReason::Invalid
    {
        return reason;
    }
    decode_disconnect(body)
}

/// The living connection: when to ping, and what pings and pongs mean.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    next_ping: Instant,
    asked: Option<Instant>,
    round_trip: Option<Duration>,
    limit: PingLimit,
}

impl KeepAlive {
    /// Starts with the first ping due after one interval.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            next_ping: later(now, PING_INTERVAL),
            asked: None,
            round_trip: None,
            limit: PingLimit::new(now),
        }
    }

    /// When [`on_timeout`](Self::on_timeout) must be called.
    pub(crate) fn deadline(&self) -> Instant {
        self.next_ping
    }

    /// A ping is due: the caller sends it. Never more often than once an interval.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.next_ping = later(now, PING_INTERVAL);
        self.asked.get_or_insert(now);
    }

    /// The peer pinged: the caller answers with one pong.
    pub(crate) fn on_ping(&mut self, now: Instant) -> Result<(), PingFlood> {
        self.limit.on_ping(now)
    }

    /// The peer answered; returns the round-trip time if we had asked.
    pub(crate) fn on_pong(&mut self, now: Instant) -> Option<Duration> {
        let asked = self.asked.take()?;
        self.round_trip = Some(now.saturating_duration_since(asked));
        self.round_trip
    }
}

fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now)
}

/// The version of the base protocol we speak. Some peers accept exactly this one.
pub(crate) const VERSION: u64 = 5;
/// The peer's version from which payloads are compressed.
pub(crate) const SNAPPY_VERSION: u64 = 5;
/// Code of the hello message.
pub(crate) const HELLO: u64 = 0x00;
/// Code of the disconnect message.
pub(crate) const DISCONNECT: u64 = 0x01;
/// Code of the ping message; its payload is an empty list.
pub(crate) const PING: u64 = 0x02;
/// Code of the pong message; its payload is an empty list.
pub(crate) const PONG: u64 = 0x03;
/// The payload of pings and pongs.
pub(crate) const EMPTY_LIST: &[u8] = &[0xc0];
/// The largest first message, in bytes of payload.
///
/// Source: ethereum/go-ethereum:p2p/peer.go, `baseProtocolMaxMsgSize`.
pub(crate) const MAX_FIRST_MESSAGE: usize = 2_048;
/// How much of a disconnect is read, in bytes.
const MAX_DISCONNECT: usize = 100;
/// How many capabilities a hello may list (L-10).
pub(crate) const MAX_CAPABILITIES: usize = 128;
/// The longest capability name that is not a breach, in bytes (L-10).
const MAX_WIRE_NAME: usize = 256;
/// Source: ethereum/go-ethereum:p2p/peer.go, `pingInterval`.
const PING_INTERVAL: Duration = Duration::from_secs(15);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state their inputs")]
mod tests {
    use enode::SecretKey;

    use super::*;

    fn key() -> PublicKey {
        SecretKey::from_bytes(&[7; 32]).unwrap().public_key()
    }

    fn first(code: u64, payload: &[u8]) -> Result<Hello, FirstMessageError> {
        AwaitHello::new(key()).on_message(code, payload)
    }

    #[test]
    fn our_hello_is_read_back_with_capabilities_sorted() {
        let capabilities = vec![Capability::new("foo", 42), Capability::new("bar", 1)];
        let hello = Hello::ours("tutorial/v1", capabilities, &key());

        let got = first(HELLO, &hello.encode()).unwrap();

        assert_eq!(got, hello);
        assert_eq!(got.capabilities, [Capability::new("bar", 1), Capability::new("foo", 42)]);
    }

    #[test]
    fn the_reason_is_found_in_every_living_form() {
        for (payload, reason) in [
            (&[0xc1, 0x04][..], DisconnectReason::TooManyPeers),
            (&[0x04], DisconnectReason::TooManyPeers),
            (&[0x00], DisconnectReason::Requested),
            (&[0x80], DisconnectReason::Requested),
            (&[0xc1, 0x80], DisconnectReason::Requested),
            (&[0xc2, 0x08, 0x01], DisconnectReason::Quitting),
            (&[0x81, 0xc8], DisconnectReason::Unknown(0xc8)),
            (&[0xc0], DisconnectReason::Invalid),
            (&[], DisconnectReason::Invalid),
            (&[0x82, 0x01, 0x00], DisconnectReason::Invalid),
            (&[0xc1, 0xc0], DisconnectReason::Invalid),
        ] {
            assert_eq!(decode_disconnect(payload), reason, "{payload:02x?}");
        }
    }

    #[test]
    fn a_disconnect_is_understood_compressed_or_not() {
        for reason in [0, 4, 8, 0x10] {
            let reason = DisconnectReason::from_code(reason);
            let list = encode_disconnect(reason);
            let bare = [reason.code()];

            assert_eq!(read_disconnect(&list, true), reason, "raw list");
            assert_eq!(read_disconnect(&bare, true), reason, "raw byte");
            let compressed = [&[0x02, 0x04][..], &list].concat();
            assert_eq!(read_disconnect(&compressed, true), reason, "compressed list");
        }
    }

    #[test]
    fn capabilities_nobody_could_offer_are_ignored() {
        let names = ["foo", "", "a b", "a-name-of-more-than-32-bytes-is-too-long"];
        let capabilities = names.map(|name| Capability::new(name, 42)).to_vec();

        let got = first(HELLO, &Hello::ours("x", capabilities, &key()).encode()).unwrap();

        assert_eq!(got.capabilities, [Capability::new("foo", 42)]);
    }

    #[test]
    fn a_flood_of_capabilities_or_a_giant_name_is_a_breach() {
        let many = vec![Capability::new("a", 1); 129];
        let long = vec![Capability::new("x".repeat(257), 1)];

        for capabilities in [many, long] {
            let error = first(HELLO, &Hello::ours("x", capabilities, &key()).encode()).unwrap_err();

            assert_eq!(error.disconnect_reason(), Some(DisconnectReason::ProtocolError), "{error}");
        }
    }

    #[test]
    fn a_wrong_key_is_told_apart_from_no_key() {
        let other = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let mut none = Hello::ours("x", vec![], &key());
        none.key = Bytes::from_static(&[0; 64]);

        let unexpected = first(HELLO, &Hello::ours("x", vec![], &other).encode()).unwrap_err();
        let invalid = first(HELLO, &none.encode()).unwrap_err();

        assert_eq!(unexpected, FirstMessageError::UnexpectedIdentity { compressed: true });
        assert_eq!(unexpected.disconnect_reason(), Some(DisconnectReason::UnexpectedIdentity));
        assert_eq!(invalid, FirstMessageError::InvalidIdentity { compressed: true });
        assert_eq!(invalid.disconnect_reason(), Some(DisconnectReason::InvalidIdentity));
    }

    #[test]
    fn the_round_trip_is_measured_from_the_first_unanswered_ping() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(start);
        assert_eq!(alive.on_pong(start), None);

        let due = alive.deadline();
        alive.on_timeout(due);

        assert_eq!(alive.on_pong(due + Duration::from_millis(30)), Some(Duration::from_millis(30)));
        assert_eq!(alive.deadline(), due + Duration::from_secs(15));
    }
}
