//! Signed node records (ENR): what a node says of itself, and cannot be made to say.
//!
//! A record is a list of key/value pairs with a sequence number, signed by the node's key. It
//! travels through strangers, so nothing of it is believed before the signature was checked:
//!
//! ```text
//!   bytes, "enr:…" ──decode──▶ UnverifiedRecord ──verify──▶ NodeRecord ──edit──▶ RecordBuilder
//!                                                               ▲                  │ change
//!                                                               └───────sign───────┘
//!
//!   [signature, seq, "id", "v4", "ip", 7f000001, "secp256k1", 02e9…, "tcp", 765f, …]
//!    └ 64 bytes r‖s over keccak-256 of the list of what follows; keys ascend, none twice
//! ```
//!
//! [`NodeRecord`] is the only form the rest of the program takes. Limits: 300 bytes encoded, so at
//! most some hundred entries; values are kept as the bytes they came as and decoded when asked for.
//! Only the identity scheme `v4` is known; a record of another one has no valid signature for us.
//!
//! Spec: EIP-778, ethereum/devp2p:enr.md.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod entry;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use alloy_rlp::{BufMut, Header};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

pub use self::entry::Entry;
use crate::{
    NodeId, PublicKey, SecretKey, keccak256,
    rlp::{self, Decodable, Encodable, ListReader},
    url::endpoint,
};

/// A node record whose signature is valid.
///
/// Cheap to clone. Prints as its text form (`enr:…`) and parses from it.
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use enode::{NodeRecord, RecordBuilder, SecretKey, record::entry};
///
/// let key = SecretKey::random();
/// let record = RecordBuilder::new()
///     .seq(7)
///     .entry(&entry::Ip(Ipv4Addr::LOCALHOST))
///     .entry(&entry::Tcp(30303))
///     .sign(&key)?;
///
/// let text = record.to_string();
/// let received: NodeRecord = text.parse()?;
/// assert_eq!(received.node_id(), key.node_id());
/// assert_eq!(received.tcp_endpoint(), "127.0.0.1:30303".parse().ok());
/// # Ok::<(), enode::RecordError>(())
/// ```
#[derive(Clone)]
pub struct NodeRecord {
    encoded: Bytes,
    signature: Bytes,
    /// The key/value pairs, encoded one after the other.
    entries: Bytes,
    seq: u64,
    public_key: PublicKey,
    node_id: NodeId,
    endpoint: Endpoint,
}

impl NodeRecord {
    /// How the text form begins.
    pub const TEXT_PREFIX: &'static str = "enr:";

    /// The largest encoded record, in bytes (EIP-778).
    pub const MAX_SIZE: usize = 300;

    /// Decodes a record and checks its signature.
    ///
    /// # Errors
    ///
    /// As [`UnverifiedRecord::decode_exact`] and [`UnverifiedRecord::verify`].
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, RecordError> {
        UnverifiedRecord::decode_exact(bytes)?.verify()
    }

    /// The record as RLP, signature included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// The 64 bytes `r ‖ s` of the signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The sequence number: of two records of a node the one with the greater number is newer.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The key that signed the record.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The id of the node that signed the record.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// A typed entry, or `None` when it is missing or does not decode.
    ///
    /// A malformed entry reads as absent because the record as a whole is still good: its other
    /// entries are as its signer wrote them.
    pub fn entry<E: Entry>(&self) -> Option<E> {
        find_entry(&self.entries)
    }

    /// The RLP of the value under `key`.
    pub fn raw(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        find_raw(&self.entries, key.as_ref())
    }

    /// All keys and the RLP of their values, in ascending order of keys.
    pub fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.entries }
    }

    /// The preferred address: of a valid IPv4 and a valid IPv6 address the more global one, IPv4
    /// when they are equally so. Multicast addresses are not valid.
    pub fn ip(&self) -> Option<IpAddr> {
        self.endpoint.ip
    }

    /// The port for connections at [`ip`](Self::ip); 0 when there is none.
    pub fn tcp_port(&self) -> u16 {
        self.endpoint.tcp
    }

    /// The port for discovery at [`ip`](Self::ip); 0 when there is none.
    pub fn udp_port(&self) -> u16 {
        self.endpoint.udp
    }

    /// Where to connect to: present if the preferred address is that of one host and has a port.
    pub fn tcp_endpoint(&self) -> Option<SocketAddr> {
        self.ip().and_then(|ip| endpoint(ip, self.tcp_port()))
    }

    /// Where to send discovery packets: present if the preferred address is that of one host and
    /// has a port.
    pub fn udp_endpoint(&self) -> Option<SocketAddr> {
        self.ip().and_then(|ip| endpoint(ip, self.udp_port()))
    }

    /// Starts the next version of this record: the same entries, the sequence number one higher
    /// (once, however many changes follow), no signature.
    pub fn edit(&self) -> RecordBuilder {
        let entries = self
            .entries()
            .map(|(key, value)| (self.encoded.slice_ref(key), self.encoded.slice_ref(value)));
        RecordBuilder { seq: self.seq.checked_add(1), entries: entries.collect() }
    }
}

impl PartialEq for NodeRecord {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for NodeRecord {}

impl std::hash::Hash for NodeRecord {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.encoded.hash(state);
    }
}

impl fmt::Display for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::TEXT_PREFIX, BASE64.encode(&self.encoded))
    }
}

impl fmt::Debug for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRecord")
            .field("node_id", &self.node_id)
            .field("seq", &self.seq)
            .field("ip", &self.endpoint.ip)
            .field("tcp", &self.endpoint.tcp)
            .field("udp", &self.endpoint.udp)
            .finish_non_exhaustive()
    }
}

impl FromStr for NodeRecord {
    type Err = RecordError;

    /// Parses the text form and checks the signature.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<UnverifiedRecord>()?.verify()
    }
}

impl Encodable for NodeRecord {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_slice(&self.encoded);
    }

    fn length(&self) -> usize {
        self.encoded.len()
    }
}

/// A record that has the right form; who wrote it is not known yet.
///
/// Offers nothing but [`verify`](Self::verify) and what is needed to decide whether that is worth
/// the signature check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedRecord {
    encoded: Bytes,
    signature: Bytes,
    /// What is signed, without its list header: the sequence number and the pairs.
    content: Bytes,
    entries: Bytes,
    seq: u64,
}

impl UnverifiedRecord {
    /// Decodes a record that must be the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooBig`] over 300 bytes, [`RecordError::Rlp`] when it is no canonical list
    /// or bytes follow it, and for pairs that are incomplete, unsorted or have the same key.
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, RecordError> {
        let (_, rest) = rlp::split(bytes)?;
        if !rest.is_empty() {
            return Err(rlp::Error::UnexpectedLength.into());
        }
        if bytes.len() > NodeRecord::MAX_SIZE {
            return Err(RecordError::TooBig);
        }
        let encoded = Bytes::copy_from_slice(bytes);
        let mut fields = ListReader::exact(&encoded)?;
        let signature = fields.next_optional_bytes()?.ok_or(RecordError::TooFewElements)?;
        let signature = encoded.slice_ref(signature);
        let content = encoded.slice_ref(fields.rest());
        let seq = fields.next_optional()?.ok_or(RecordError::TooFewElements)?;
        let entries = encoded.slice_ref(fields.rest());
        check_pairs(fields)?;
        Ok(Self { signature, content, entries, seq, encoded })
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`RecordError::Signature`] when the scheme is unknown, the signature is not 64 bytes, has a
    /// high `s` or is not that of the record's key; [`RecordError::MissingKey`] and
    /// [`RecordError::PublicKey`] when there is no such key.
    pub fn verify(self) -> Result<NodeRecord, RecordError> {
        if find_entry(&self.entries) != Some(entry::Id::V4) {
            return Err(RecordError::Signature);
        }
        let key = find_raw(&self.entries, entry::Secp256k1::KEY.as_bytes());
        let key = key.ok_or(RecordError::MissingKey { key: entry::Secp256k1::KEY })?;
        let entry::Secp256k1(public_key) =
            rlp::decode_exact(key).map_err(|_| RecordError::PublicKey)?;
        let signature = <&[u8; 64]>::try_from(&*self.signature);
        let signature = signature.map_err(|_| RecordError::Signature)?;
        let hash = keccak256(list_of(&self.content));
        public_key.verify(&hash, signature).map_err(|_| RecordError::Signature)?;
        Ok(self.signed_by(public_key))
    }

    /// The sequence number it claims, to drop old records before the cost of a signature check.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The record, once its signature is known to be that of `public_key`.
    fn signed_by(self, public_key: PublicKey) -> NodeRecord {
        NodeRecord {
            endpoint: Endpoint::preferred(&self.entries),
            node_id: public_key.node_id(),
            public_key,
            seq: self.seq,
            signature: self.signature,
            entries: self.entries,
            encoded: self.encoded,
        }
    }
}

impl FromStr for UnverifiedRecord {
    type Err = RecordError;

    /// Parses `enr:` and unpadded URL-safe base64. Line breaks are skipped, as go-ethereum does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix(NodeRecord::TEXT_PREFIX).ok_or(RecordError::Prefix)?;
        if text.len() > MAX_TEXT_LENGTH {
            return Err(RecordError::TooBig);
        }
        let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let bytes = BASE64.decode(digits).map_err(|_| RecordError::Base64)?;
        Self::decode_exact(&bytes)
    }
}

impl Decodable for UnverifiedRecord {
    /// Takes a record off the front of `buf`, as inside a larger message.
    fn decode(buf: &mut &[u8]) -> Result<Self, rlp::Error> {
        let (item, rest) = rlp::split(buf)?;
        let record = Self::decode_exact(item.encoded).map_err(|error| match error {
            RecordError::Rlp(error) => error,
            _ => rlp::Error::Custom("malformed node record"),
        })?;
        *buf = rest;
        Ok(record)
    }
}

/// A record in the making: entries and a sequence number, not signed yet.
///
/// Made from nothing with [`new`](Self::new), or from a signed record with [`NodeRecord::edit`],
/// which counts the sequence number up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBuilder {
    /// `None` when the record it was made from had the last number there is.
    seq: Option<u64>,
    // bound: filled by our own side; signing refuses a record over 300 bytes
    entries: BTreeMap<Bytes, Bytes>,
}

impl RecordBuilder {
    /// An empty record with sequence number 0.
    pub fn new() -> Self {
        // bound: see the field
        Self { seq: Some(0), entries: BTreeMap::new() }
    }

    /// Sets the sequence number.
    #[must_use]
    pub fn seq(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    /// Sets an entry, in place of the one under its key.
    #[must_use]
    pub fn entry<E: Entry>(mut self, entry: &E) -> Self {
        self.entries.insert(Bytes::from_static(E::KEY.as_bytes()), alloy_rlp::encode(entry).into());
        self
    }

    /// Sets a value that is already encoded.
    ///
    /// # Errors
    ///
    /// [`RecordError::Rlp`] when it is not exactly one RLP value.
    pub fn raw(mut self, key: impl AsRef<[u8]>, value: &[u8]) -> Result<Self, RecordError> {
        let (_, rest) = rlp::split(value)?;
        if !rest.is_empty() {
            return Err(rlp::Error::UnexpectedLength.into());
        }
        let key = Bytes::copy_from_slice(key.as_ref());
        self.entries.insert(key, Bytes::copy_from_slice(value));
        Ok(self)
    }

    /// Removes the entry under `key`, if there is one.
    #[must_use]
    pub fn remove(mut self, key: impl AsRef<[u8]>) -> Self {
        self.entries.remove(key.as_ref());
        self
    }

    /// The sequence number that the signed record will have; `None` when there is none left.
    pub fn next_seq(&self) -> Option<u64> {
        self.seq
    }

    /// Signs the record; the entries `id` and `secp256k1` are written over.
    ///
    /// The same content and key give the same bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooBig`] when the record is over 300 bytes,
    /// [`RecordError::SequenceExhausted`] when the record it was made from had the last number.
    pub fn sign(self, key: &SecretKey) -> Result<NodeRecord, RecordError> {
        let public_key = key.public_key();
        let signed = self.entry(&entry::Id::V4).entry(&entry::Secp256k1(public_key));
        let seq = signed.seq.ok_or(RecordError::SequenceExhausted)?;

        let mut content = Vec::new();
        seq.encode(&mut content);
        for (name, value) in &signed.entries {
            name.encode(&mut content);
            content.extend_from_slice(value);
        }
        let mut fields = Vec::new();
        key.sign(&keccak256(list_of(&content))).encode(&mut fields);
        fields.extend_from_slice(&content);
        let record = UnverifiedRecord::decode_exact(&list_of(&fields))?;
        Ok(record.signed_by(public_key))
    }
}

impl Default for RecordBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// The pairs of a record: keys in ascending order, each with the RLP of its value.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The pairs were checked when the record was made, so none of these ends early.
        let (key, rest) = rlp::split(self.rest).ok()?;
        let (value, rest) = rlp::split_raw(rest).ok()?;
        self.rest = rest;
        Some((key.payload, value.encoded))
    }
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The text does not begin with `enr:`.
    #[error("missing 'enr:' prefix for base64-encoded record")]
    Prefix,
    /// The text is not unpadded URL-safe base64.
    #[error("illegal base64 data in record")]
    Base64,
    /// Over the limit of EIP-778.
    #[error("record bigger than 300 bytes")]
    TooBig,
    /// Not even a signature and a sequence number.
    #[error("record contains less than two list elements")]
    TooFewElements,
    /// A key without a value.
    #[error("record contains incomplete k/v pair")]
    IncompletePair,
    /// A key occurs twice.
    #[error("record contains duplicate key")]
    DuplicateKey,
    /// A key comes after a greater one.
    #[error("record key/value pairs are not sorted by key")]
    NotSorted,
    /// An entry is missing that the identity scheme needs.
    #[error("missing ENR key {key:?}")]
    MissingKey {
        /// Name of the entry.
        key: &'static str,
    },
    /// The public key is not 33 bytes or no point of the curve.
    #[error("invalid public key")]
    PublicKey,
    /// The signature is not that of the record's key, or the identity scheme is unknown.
    #[error("invalid signature on node record")]
    Signature,
    /// A record with sequence number 2⁶⁴ - 1 was changed: it has no successor.
    #[error("no sequence number left")]
    SequenceExhausted,
    /// The encoding is not canonical RLP.
    #[error("malformed record")]
    Rlp(#[from] rlp::Error),
}

/// The address a record's entries amount to.
#[derive(Debug, Clone, Copy, Default)]
struct Endpoint {
    ip: Option<IpAddr>,
    tcp: u16,
    udp: u16,
}

impl Endpoint {
    fn preferred(entries: &[u8]) -> Self {
        let unicast = |ip: &IpAddr| !ip.is_multicast();
        let ip4 = find_entry(entries).map(|entry::Ip(ip)| IpAddr::from(ip)).filter(unicast);
        let ip6 = find_entry(entries).map(|entry::Ip6(ip)| IpAddr::from(ip).to_canonical());
        let ip = match (ip4, ip6.filter(unicast)) {
            (Some(four), Some(six)) if locality(six) > locality(four) => six,
            (Some(ip), _) | (None, Some(ip)) => ip,
            (None, None) => return Self::default(),
        };
        let mut tcp = find_entry(entries).map(|entry::Tcp(port)| port);
        let mut udp = find_entry(entries).map(|entry::Udp(port)| port);
        if ip.is_ipv6() {
            tcp = find_entry(entries).map(|entry::Tcp6(port)| port).or(tcp);
            udp = find_entry(entries).map(|entry::Udp6(port)| port).or(udp);
        }
        Self { ip: Some(ip), tcp: tcp.unwrap_or(0), udp: udp.unwrap_or(0) }
    }
}

/// How far an address is known: nowhere, this machine, this link, this site, everywhere.
fn locality(ip: IpAddr) -> u8 {
    let (link_local, private) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.is_private()),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.is_unique_local()),
    };
    match () {
        () if ip.is_unspecified() => 0,
        () if ip.is_loopback() => 1,
        () if link_local => 2,
        () if private => 3,
        () => 4,
    }
}

/// Checks that pairs are complete and their keys ascend.
fn check_pairs(mut fields: ListReader<'_>) -> Result<(), RecordError> {
    let mut previous: Option<&[u8]> = None;
    while !fields.is_empty() {
        let key = fields.next_bytes()?;
        if fields.is_empty() {
            return Err(RecordError::IncompletePair);
        }
        fields.next_raw()?;
        match previous {
            Some(previous) if key == previous => return Err(RecordError::DuplicateKey),
            Some(previous) if key < previous => return Err(RecordError::NotSorted),
            Some(_) | None => previous = Some(key),
        }
    }
    Ok(())
}

fn find_raw<'a>(entries: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    Entries { rest: entries }.find(|(candidate, _)| *candidate == key).map(|(_, value)| value)
}

fn find_entry<E: Entry>(entries: &[u8]) -> Option<E> {
    find_raw(entries, E::KEY.as_bytes()).and_then(|value| rlp::decode_exact(value).ok())
}

/// The RLP list of fields that are encoded already.
fn list_of(fields: &[u8]) -> Vec<u8> {
    let header = Header { list: true, payload_length: fields.len() };
    let mut list = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut list);
    list.extend_from_slice(fields);
    list
}

/// URL-safe base64 without padding. Bits beyond the last byte are not looked at, as in Go.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The longest text after `enr:`, in bytes, that is decoded: the 400 digits of the largest record
/// and room for line breaks.
const MAX_TEXT_LENGTH: usize = 1024;
