//! The encrypted transport of devp2p: handshake, frames, compression.
//!
//! Layer 1 of the tower. Below it stands [`enode`], which knows keys; above it `p2p-server`, which
//! knows peers. This crate turns a stream of bytes between two key holders into a stream of
//! messages that nobody else can read, forge, reorder or cut short unnoticed. It knows nothing of
//! hello messages, capabilities or peers.
//!
//! ```text
//!  initiator                                             recipient
//!     │  auth: who I am, sealed to your key   [handshake]    │   knows the recipient's
//!     ├─────────────────────────────────────────────────────▶│   public key beforehand
//!     │  ack: my half of the secret                          │
//!     │◀─────────────────────────────────────────────────────┤
//!     │             both derive the same keys   [secrets]    │
//!     │                                                      │
//!     │  frame: header, mac, body, mac            [frame]    │   body = code ‖ payload,
//!     │◀────────────────────────────────────────────────────▶│   the payload compressed
//!     │                                          [snappy]    │   once both said hello
//! ```
//!
//! The protocol is written twice over. The **core** takes bytes and randomness and returns bytes;
//! it has no socket, no clock and no task, so a test can drive it byte by byte. The **driver**,
//! [`stream`], moves the core's bytes through anything that is `AsyncRead` and `AsyncWrite`.
//!
//! Core modules (no I/O): `ecies`, `error`, `frame`, `handshake`, `keccak`, `mac`, `message`,
//! `secrets`, `snappy`. Only `stream` and what is below it imports tokio.
//!
//! # Example
//!
//! Two ends of an in-memory pipe shake hands and exchange a message.
//!
//! ```
//! use enode::SecretKey;
//! use futures_util::{SinkExt as _, StreamExt as _};
//! use rlpx::{Message, RlpxStream};
//! use tokio::time::{Duration, Instant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (alice, bob) = (SecretKey::random(), SecretKey::random());
//! let (near, far) = tokio::io::duplex(4096);
//! let deadline = Instant::now() + Duration::from_secs(5);
//!
//! let bobs_key = bob.public_key();
//! let (dialed, accepted) = tokio::join!(
//!     RlpxStream::connect(near, &alice, &bobs_key, deadline),
//!     RlpxStream::accept(far, &bob, deadline),
//! );
//! let (mut dialed, mut accepted) = (dialed?, accepted?);
//! assert_eq!(accepted.remote(), alice.public_key());
//!
//! dialed.send(Message::new(0x10, "foobar")).await?;
//! let message = accepted.next().await.ok_or("closed")??;
//! assert_eq!((message.code, &message.payload[..]), (0x10, &b"foobar"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! | what | limit |
//! |---|---|
//! | handshake packet | 113 to 2,048 bytes after its two size bytes |
//! | frame before the hello is done | 2,057 bytes, until [`set_max_frame`](stream::Reader::set_max_frame) |
//! | frame | 16,777,215 bytes of code and (compressed) payload |
//! | decompressed payload | 16,777,215 bytes, or less where the caller says so |
//!
//! # What the protocol cannot give
//!
//! Both directions of a connection use the same key stream, and one key protects all frames: a
//! passive observer who knows what one side says learns what the other side says at the same place
//! in the stream. That is a property of the wire format, so do not rely on RLPx alone for
//! messages whose secrecy matters.
//!
//! # Features
//!
//! * `legacy` adds `handshake::legacy`, the reader of the handshake's form before EIP-8. Nothing
//!   in this crate offers it to a remote node; it is for old recordings.
//!
//! Spec: ethereum/devp2p:rlpx.md, EIP-8, EIP-706.

pub mod ecies;
mod error;
pub mod frame;
pub mod handshake;
mod keccak;
mod mac;
mod message;
mod secrets;
pub mod snappy;
pub mod stream;

pub use error::{EciesError, FrameError, HandshakeError};
pub use message::{DecodeError, Message};
pub use secrets::{Role, Secrets};
pub use stream::RlpxStream;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
