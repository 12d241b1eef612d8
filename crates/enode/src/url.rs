//! Enode URLs: who a node is and where it is said to listen, in one line of text.
//!
//! ```text
//!   enode://c91e98…fa64@10.3.58.6:30303?discport=30301
//!   └scheme┘└ public ─┘ └ host ─┘ └tcp┘          └udp┘   left out when equal to tcp
//!             key, 128 hex digits
//!
//!   enode://c91e98…fa64        incomplete: known by name, to be found
//!   c91e98…fa64                the same
//! ```
//!
//! The host is an IPv4 address, an IPv6 address in brackets, or a DNS name, which is kept as it is
//! and resolved by whoever dials. What looks like a mistyped address (`127.0.0.256`) is refused
//! and never becomes a name. The path, the fragment and other query parameters are ignored; the
//! first `discport` counts, an empty one as if absent. Percent escapes are not decoded.
//!
//! A URL is a claim of its author: nothing in it is signed. See [`NodeRecord`](crate::NodeRecord)
//! for the signed form.
//!
//! Spec: ethereum/devp2p:enode.md, ethereum/go-ethereum:p2p/enode.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use crate::{NodeId, NodeRecord, PublicKey, RecordError};

/// A node's public key and the endpoint it is said to listen on: an enode URL.
///
/// Parsed with [`FromStr`], printed with `Display`. The node id is computed once, when the value
/// is made.
///
/// ```
/// use enode::{Enode, SecretKey};
///
/// let key = SecretKey::random();
/// let node = Enode::new(key.public_key(), "10.3.58.6".parse()?, 30303, 30301);
///
/// let url = node.to_string();
/// assert!(url.ends_with("@10.3.58.6:30303?discport=30301"));
/// assert_eq!(url.parse::<Enode>()?, node);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Enode {
    public_key: PublicKey,
    id: NodeId,
    host: Option<Host>,
    tcp_port: u16,
    udp_port: u16,
}

impl Enode {
    /// A node with an address. Port 0 means that it does not listen there.
    ///
    /// An IPv4 address in IPv6 clothing (`::ffff:1.2.3.4`) is stored as the IPv4 address it is.
    pub fn new(public_key: PublicKey, ip: IpAddr, tcp: u16, udp: u16) -> Self {
        Self::incomplete(public_key).with_ip(ip).with_ports(tcp, udp)
    }

    /// A node of which only the public key is known.
    pub fn incomplete(public_key: PublicKey) -> Self {
        Self { public_key, id: public_key.node_id(), host: None, tcp_port: 0, udp_port: 0 }
    }

    /// Parses either form a user may paste: an `enode://` URL or the `enr:` text of a record,
    /// whose signature is checked.
    ///
    /// Unlike [`FromStr`], takes no bare key. The endpoint of a record is its
    /// [preferred one](NodeRecord::tcp_endpoint).
    ///
    /// # Errors
    ///
    /// [`EnodeError::Prefix`] when the text has neither prefix, [`EnodeError::Record`] for a bad
    /// record, otherwise as [`from_str`](Self::from_str).
    pub fn parse_any(text: &str) -> Result<Self, EnodeError> {
        if text.starts_with(URL_PREFIX) {
            return text.parse();
        }
        if !text.starts_with(NodeRecord::TEXT_PREFIX) {
            return Err(EnodeError::Prefix);
        }
        let record: NodeRecord = text.parse()?;
        Ok(Self::from(&record))
    }

    /// This node at another address.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.host = Some(Host::Ip(ip.to_canonical()));
        self
    }

    /// This node behind a host name or a textual address.
    ///
    /// # Errors
    ///
    /// [`EnodeError::Host`] when the text is neither.
    pub fn with_host(mut self, host: &str) -> Result<Self, EnodeError> {
        self.host = Some(match host.parse::<IpAddr>() {
            Ok(ip) => Host::Ip(ip.to_canonical()),
            Err(_) => Host::Name(parse_name(host)?),
        });
        Ok(self)
    }

    /// This node with other ports. Port 0 means that it does not listen there.
    #[must_use]
    pub fn with_ports(mut self, tcp: u16, udp: u16) -> Self {
        self.tcp_port = tcp;
        self.udp_port = udp;
        self
    }

    /// The node's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where the node is, or `None` for an incomplete one.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The node's address, unless it has none or only a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Some(Host::Ip(ip)) => Some(ip),
            Some(Host::Name(_)) | None => None,
        }
    }

    /// The port for connections; 0 when the node takes none.
    pub fn tcp_port(&self) -> u16 {
        self.tcp_port
    }

    /// The port for discovery; 0 when the node takes no part in it.
    pub fn udp_port(&self) -> u16 {
        self.udp_port
    }

    /// Where to connect to: present if there is an address of one host and a TCP port.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.ip().and_then(|ip| endpoint(ip, self.tcp_port))
    }

    /// Where to send discovery packets: present if there is an address of one host and a UDP port.
    pub fn udp_addr(&self) -> Option<SocketAddr> {
        self.ip().and_then(|ip| endpoint(ip, self.udp_port))
    }

    /// Checks that the node can be reached by discovery, which is what go-ethereum asks of a boot
    /// node and of every node it stores.
    ///
    /// # Errors
    ///
    /// The first of the three things that is missing.
    pub fn validate_complete(&self) -> Result<(), IncompleteError> {
        let ip = self.ip().ok_or(IncompleteError::MissingIp)?;
        if ip.is_multicast() || ip.is_unspecified() {
            return Err(IncompleteError::InvalidIp);
        }
        if self.udp_port == 0 {
            return Err(IncompleteError::MissingUdpPort);
        }
        Ok(())
    }
}

impl FromStr for Enode {
    type Err = EnodeError;

    /// Parses an enode URL or a bare public key of 128 hex digits, case-insensitively but for
    /// host names.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_URL_LENGTH {
            return Err(EnodeError::TooLong { length: text.len() });
        }
        let digits = strip_scheme(text).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return parse_key(digits).map(Self::incomplete);
        }
        parse_complete(text)
    }
}

impl fmt::Display for Enode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URL_PREFIX}{}", const_hex::encode(self.public_key.to_bytes()))?;
        match &self.host {
            None => return Ok(()),
            Some(Host::Ip(ip)) => write!(f, "@{}", SocketAddr::new(*ip, self.tcp_port))?,
            Some(Host::Name(name)) => write!(f, "@{name}:{}", self.tcp_port)?,
        }
        if self.udp_port != self.tcp_port {
            write!(f, "?discport={}", self.udp_port)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Enode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enode({self})")
    }
}

impl From<&NodeRecord> for Enode {
    /// The node of a record at its preferred endpoint; without an address it is incomplete.
    fn from(record: &NodeRecord) -> Self {
        let node = Self::incomplete(*record.public_key());
        match record.ip() {
            Some(ip) => node.with_ip(ip).with_ports(record.tcp_port(), record.udp_port()),
            None => node,
        }
    }
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; never an IPv4 address in IPv6 clothing.
    Ip(IpAddr),
    /// A DNS name as it was written, to be resolved when the node is dialed.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Why a text names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnodeError {
    /// Longer than any URL needs to be.
    #[error("enode URL of {length} bytes is over the limit of {MAX_URL_LENGTH}")]
    TooLong {
        /// Length of the text, in bytes.
        length: usize,
    },
    /// Not an enode URL at all.
    #[error("invalid URL scheme, want \"enode\"")]
    Scheme,
    /// Neither an enode URL nor a node record.
    #[error("missing 'enr:' prefix for base64-encoded record")]
    Prefix,
    /// A control character, which no URL contains.
    #[error("invalid control character in URL")]
    ControlCharacter,
    /// No public key before the host.
    #[error("does not contain node ID")]
    MissingNodeId,
    /// A public key of another length.
    #[error("invalid public key (wrong length, want 128 hex chars)")]
    KeyLength,
    /// A character in the public key that is no hex digit.
    #[error("invalid public key (invalid hex digit {0:?})")]
    KeyDigit(char),
    /// A public key that is no point of the curve.
    #[error("invalid public key (invalid secp256k1 public key)")]
    KeyPoint,
    /// A host that is neither an address nor a name.
    #[error("invalid IP address or host name")]
    Host,
    /// A TCP port that is missing or no number up to 65535.
    #[error("invalid port")]
    Port,
    /// A UDP port that is no number up to 65535.
    #[error("invalid discport in query")]
    DiscoveryPort,
    /// A node record that cannot be accepted.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What a node lacks for being reached by discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncompleteError {
    /// No address, or only a name.
    #[error("missing IP address")]
    MissingIp,
    /// An address that is not one host's.
    #[error("invalid IP (multicast/unspecified)")]
    InvalidIp,
    /// UDP port 0.
    #[error("missing UDP port")]
    MissingUdpPort,
}

/// The endpoint of these two, if it can be that of one host.
pub(crate) fn endpoint(ip: IpAddr, port: u16) -> Option<SocketAddr> {
    let reachable = !ip.is_unspecified() && !ip.is_multicast() && port != 0;
    reachable.then(|| SocketAddr::new(ip, port))
}

/// Parses a URL that is more than a key.
fn parse_complete(text: &str) -> Result<Enode, EnodeError> {
    if text.chars().any(char::is_control) {
        return Err(EnodeError::ControlCharacter);
    }
    let url = text.split_once('#').map_or(text, |(url, _fragment)| url);
    let (scheme, rest) = url.split_once(':').ok_or(EnodeError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("enode") {
        return Err(EnodeError::Scheme);
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_prefix("//").ok_or(EnodeError::MissingNodeId)?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _path)| authority);
    let (key, address) = authority.rsplit_once('@').ok_or(EnodeError::MissingNodeId)?;

    let public_key = parse_key(key)?;
    let (host, tcp_port) = parse_address(address)?;
    let udp_port = parse_discovery_port(query)?.unwrap_or(tcp_port);
    let node = Enode { host: Some(host), ..Enode::incomplete(public_key) };
    Ok(node.with_ports(tcp_port, udp_port))
}

/// What follows `enode://` in any case of letters.
fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked(URL_PREFIX.len())?;
    scheme.eq_ignore_ascii_case(URL_PREFIX).then_some(rest)
}

fn parse_key(digits: &str) -> Result<PublicKey, EnodeError> {
    if let Some(bad) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(EnodeError::KeyDigit(bad));
    }
    let mut bytes = [0; 64];
    const_hex::decode_to_slice(digits, &mut bytes).map_err(|_| EnodeError::KeyLength)?;
    PublicKey::from_bytes(&bytes).map_err(|_| EnodeError::KeyPoint)
}

/// Parses `host:port`, an IPv6 host in brackets.
fn parse_address(address: &str) -> Result<(Host, u16), EnodeError> {
    if let Some(bracketed) = address.strip_prefix('[') {
        let (ip, tail) = bracketed.rsplit_once(']').ok_or(EnodeError::Host)?;
        let port = tail.strip_prefix(':').and_then(parse_port).ok_or(EnodeError::Port)?;
        // Refuses zones (`fe80::1%eth0`) too: they mean nothing on another machine.
        let ip = ip.parse::<IpAddr>().map_err(|_| EnodeError::Host)?;
        return Ok((Host::Ip(ip.to_canonical()), port));
    }
    let (host, port) = address.rsplit_once(':').ok_or(EnodeError::Port)?;
    let host = match host.parse::<Ipv4Addr>() {
        Ok(ip) => Host::Ip(ip.into()),
        Err(_) => Host::Name(parse_name(host)?),
    };
    Ok((host, parse_port(port).ok_or(EnodeError::Port)?))
}

/// Checks a DNS name: labels of letters, digits, hyphens and underscores, a final dot if you like.
fn parse_name(name: &str) -> Result<String, EnodeError> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let last = labels.rsplit('.').next().unwrap_or(labels);
    let valid = labels.len() <= MAX_NAME_LENGTH
        && labels.split('.').all(is_label)
        && !looks_like_number(last);
    if valid { Ok(name.to_owned()) } else { Err(EnodeError::Host) }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL_LENGTH).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a name that ends in this label is meant as an address: `127.0.0.256`, `127.1`, `0x7f`.
///
/// No top-level domain is a number, so such a text is a typing error, and a resolver that takes
/// the old short forms would connect us to a surprising place.
fn looks_like_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => label.bytes().all(|digit| digit.is_ascii_digit()),
    }
}

/// The first `discport` of a query, `None` when it is absent or empty.
fn parse_discovery_port(query: &str) -> Result<Option<u16>, EnodeError> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match pairs.find(|(key, _)| *key == "discport") {
        None | Some((_, "")) => Ok(None),
        Some((_, port)) => parse_port(port).map(Some).ok_or(EnodeError::DiscoveryPort),
    }
}

/// A port in decimal digits, without the sign that Rust's own parser admits.
fn parse_port(digits: &str) -> Option<u16> {
    let decimal = digits.bytes().all(|digit| digit.is_ascii_digit());
    if decimal { digits.parse().ok() } else { None }
}

/// How every enode URL that we print begins.
const URL_PREFIX: &str = "enode://";

/// The longest text, in bytes, that is looked at: a key, a name of any length and both ports take
/// less than 450; the rest is room for parameters of others.
const MAX_URL_LENGTH: usize = 2048;

/// The longest DNS name, in characters, without the final dot (RFC 1035, 2.3.4).
const MAX_NAME_LENGTH: usize = 253;

/// The longest label of a DNS name, in characters (RFC 1035, 2.3.4).
const MAX_LABEL_LENGTH: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_address_never_becomes_a_name() {
        for host in [
            "127.0.0.256",
            "127.0.0.01",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "1.2.3.4.",
            "1.2.3.4.5",
            "host.123",
            "0x",
        ] {
            assert_eq!(parse_name(host), Err(EnodeError::Host), "{host}");
        }
    }

    #[test]
    fn names_are_kept_as_written() {
        for host in ["localhost", "valid.", "Boot-1.Example.ORG", "a_b.c", "4.example", "1e"] {
            assert_eq!(parse_name(host), Ok(host.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_resolved_is_no_name() {
        let long_label = "a".repeat(MAX_LABEL_LENGTH + 1);
        let long_name = ["abcdefg."; 32].concat() + "ab";
        for host in
            ["", ".", "a..b", ".a", "-a", "a-", "a b", "ä", "a%2e", "::1", "[::1]", "a..", "a/"]
                .into_iter()
                .chain([&*long_label, &*long_name])
        {
            assert_eq!(parse_name(host), Err(EnodeError::Host), "{host}");
        }
    }

    #[test]
    fn a_port_is_nothing_but_digits() {
        assert_eq!(parse_port("0"), Some(0));
        assert_eq!(parse_port("65535"), Some(65535));
        assert_eq!(parse_port("00030303"), Some(30303));
        for port in ["", "+1", "-1", "65536", "1_0", "0x10", " 1", "1 ", "١"] {
            assert_eq!(parse_port(port), None, "{port}");
        }
    }

    #[test]
    fn the_first_discport_decides() {
        assert_eq!(parse_discovery_port(""), Ok(None));
        assert_eq!(parse_discovery_port("discport"), Ok(None));
        assert_eq!(parse_discovery_port("discport=&discport=5"), Ok(None));
        assert_eq!(parse_discovery_port("a=1&discport=0&discport=x"), Ok(Some(0)));
        assert_eq!(parse_discovery_port("discport=5=5"), Err(EnodeError::DiscoveryPort));
    }
}
