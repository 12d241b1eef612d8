//! Doors into the base protocol's decoders for known-answer tests and fuzz targets.
//!
//! Thin functions over what the server itself uses, and no part of the public interface: they may
//! change at any time.

use bytes::Bytes;
use enode::PublicKey;

use crate::{
    Capability, DisconnectReason, FirstMessageError,
    base::{self, AwaitHello, Hello, HelloFault},
    capability::{self, Offer},
};

/// The fields of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloFields {
    /// Version of the base protocol.
    pub version: u64,
    /// The client's name.
    pub client: Bytes,
    /// What it offers.
    pub capabilities: Vec<Capability>,
    /// A port nobody uses.
    pub listen_port: u64,
    /// The node's public key, as it came.
    pub key: Bytes,
}

impl From<Hello> for HelloFields {
    fn from(hello: Hello) -> Self {
        let Hello { version, client, capabilities, listen_port, key } = hello;
        Self { version, client, capabilities, listen_port, key }
    }
}

/// The payload of a hello.
pub fn encode_hello(fields: HelloFields) -> Bytes {
    let HelloFields { version, client, capabilities, listen_port, key } = fields;
    Hello { version, client, capabilities, listen_port, key }.encode()
}

/// Reads a hello without judging the key in it.
///
/// # Errors
///
/// What is wrong with its bytes.
pub fn decode_hello(payload: &[u8]) -> Result<HelloFields, HelloFault> {
    Hello::decode(payload).map(Into::into)
}

/// Judges the first message of the node that the handshake has proven to hold `proven`.
///
/// # Errors
///
/// Why it is no acceptable hello.
pub fn first_message(
    proven: PublicKey,
    code: u64,
    payload: &[u8],
) -> Result<HelloFields, FirstMessageError> {
    AwaitHello::new(proven).on_message(code, payload).map(Into::into)
}

/// The payload of a disconnect.
pub fn encode_disconnect(reason: DisconnectReason) -> Bytes {
    base::encode_disconnect(reason)
}

/// The reason in what follows the code of a disconnect, where compression is on or not.
pub fn read_disconnect(body: &[u8], snappy: bool) -> DisconnectReason {
    base::read_disconnect(body, snappy)
}

/// What is sent to ask whether a peer lives, and as the answer: code and payload of each.
pub fn ping_and_pong() -> [(u64, Bytes); 2] {
    [base::PING, base::PONG].map(|code| (code, Bytes::from_static(base::EMPTY_LIST)))
}

/// What runs between a peer that offers `remote` and a server that offers `local`, each with the
/// number of its codes, and the first code of each on the wire. `None` when the codes do not fit.
pub fn match_capabilities(
    remote: &[Capability],
    local: &[(Capability, u64)],
) -> Option<Vec<(Capability, u64)>> {
    let offers = local.iter().cloned().map(|(capability, length)| Offer { capability, length });
    let offers: Vec<Offer> = offers.collect();
    let matches = capability::match_capabilities(remote, &offers)?;
    let named = matches.iter().map(|m| Some((offers.get(m.index)?.capability.clone(), m.offset)));
    named.collect()
}
