//! Who a node is: keys, node ids, enode URLs and signed node records.
//!
//! Layer 0 of the tower: everything above identifies nodes with these types.
//!
//! ```text
//!   1  rlpx        proves that the other end holds the secret key of a PublicKey
//!   2  discovery   exchanges NodeRecords and measures log_distance
//!   3  p2p-server  dials Enodes, calls its peers by NodeId
//!  ──────────────────────────────────────────────────────────────────────────────
//!   0  enode
//!
//!      SecretKey ──public_key──▶ PublicKey ──node_id──▶ NodeId
//!          │                         │ + host and ports
//!          │ sign                    ▼
//!          │                       Enode       enode://c91e98…@10.3.58.6:30303
//!          ▼                         ▲
//!      NodeRecord ───preferred endpoint        enr:-Iu4QF-App4…
//! ```
//!
//! ```
//! use std::net::Ipv4Addr;
//!
//! use enode::{Enode, NodeRecord, RecordBuilder, SecretKey, record::entry};
//!
//! let key = SecretKey::random();
//!
//! // What a user passes on: a key and where it listens.
//! let node = Enode::new(key.public_key(), Ipv4Addr::LOCALHOST.into(), 30303, 30303);
//! let url = node.to_string();
//! assert_eq!(url.parse::<Enode>()?.id(), key.node_id());
//!
//! // What nodes pass on: the same, signed and numbered.
//! let record = RecordBuilder::new()
//!     .entry(&entry::Ip(Ipv4Addr::LOCALHOST))
//!     .entry(&entry::Tcp(30303))
//!     .entry(&entry::Udp(30303))
//!     .sign(&key)?;
//! let received: NodeRecord = record.to_string().parse()?;
//! assert_eq!(Enode::from(&received), node);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises upward
//!
//! * Whoever holds a [`PublicKey`] holds a point of the curve: it has one constructor, and that
//!   checks. Whoever holds a [`NodeRecord`] holds one whose signature is valid.
//! * A [`SecretKey`] is wiped on drop and never printed; its file is never replaced.
//! * No input makes a parser panic, recurse, or allocate by a length that the input claims.
//! * Accepts and refuses what go-ethereum does. Deliberate differences: DNS names stay names,
//!   percent escapes in URLs are not decoded, and a malformed key file is an error instead of a new
//!   identity.
//!
//! It needs nothing from below.
//!
//! # Limits
//!
//! | what | limit |
//! |---|---|
//! | encoded record | 300 bytes |
//! | enode URL | 2048 bytes |
//! | text of a record | 1024 characters after `enr:` |
//! | identity schemes | `v4` only |
//! | host names | ASCII; resolved by the caller |
//!
//! # Modules
//!
//! Core modules (no I/O): `id`, [`record`], [`rlp`], `serde_text`, `url`. `key` is one as well, but
//! for what draws on the system: [`SecretKey::random`] on its random source, and
//! [`load`](SecretKey::load), [`save`](SecretKey::save) and
//! [`load_or_create`](SecretKey::load_or_create), all in `key/file`, on a file.
//!
//! # Features
//!
//! * `serde` (off by default): [`Enode`], [`NodeRecord`] and [`NodeId`] as strings.

mod id;
mod key;
pub mod record;
pub mod rlp;
#[cfg(feature = "serde")]
mod serde_text;
mod url;

pub use id::{NodeId, NodeIdError, log_distance};
pub use key::{KeyError, KeyFileError, PublicKey, SecretKey, SignatureError, keccak256};
pub use record::{NodeRecord, RecordBuilder, RecordError, UnverifiedRecord};
pub use url::{Enode, EnodeError, Host, IncompleteError};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
