//! A devp2p server: it finds and keeps peers, and runs subprotocols of your own with them.
//!
//! Layer 3 of the tower. It knows nothing of any chain, and nothing of how nodes are discovered.
//!
//! ```text
//!            your protocol          your protocol
//!                 ▲ MsgChannel           ▲            messages, codes from zero
//!   ──────────────┼──────────────────────┼──────────
//!   3  p2p-server │   Peer, PeerEvent    │            who is connected, who is dialed
//!            ┌────┴──────────────────────┴────┐
//!            │ session: reader, writer, base  │       one for each peer
//!            └────────────────┬───────────────┘
//!   ──────────────────────────┼──────────────────────
//!   1  rlpx                   ▼                       frames no third party can read or forge
//!   0  enode                                          keys, ids, URLs, records
//! ```
//!
//! Two servers, one protocol: everything it takes to write a devp2p protocol of one's own.
//!
//! ```
//! use enode::SecretKey;
//! use p2p_server::{Capability, PeerEvent, Protocol, Server, protocol_fn};
//!
//! /// Each side says hello, prints what the other said, and hangs up.
//! fn greeting() -> impl Protocol {
//!     protocol_fn(Capability::new("greet", 1), 1, |peer, mut messages| async move {
//!         messages.send(0, &"hello").await?;
//!         let reply = messages.recv().await?.decode::<String>()?;
//!         println!("{peer} says {reply}");
//!         Ok(())
//!     })
//! }
//!
//! async fn server() -> Result<Server, p2p_server::StartError> {
//!     let builder = Server::builder(SecretKey::random()).listen("127.0.0.1:0").max_peers(5);
//!     builder.protocol(greeting()).start().await
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (one, two) = (server().await?, server().await?);
//!     let mut events = one.events();
//!
//!     one.add_peer(two.enode())?;
//!
//!     assert!(matches!(events.next().await, Some(PeerEvent::Added { peer, .. }) if peer == two.id()));
//!     assert!(matches!(events.next().await, Some(PeerEvent::Dropped { .. })));
//!     one.stop().await;
//!     two.stop().await;
//!     Ok(())
//! }
//! ```
//!
//! Messages of one's own types instead of codes and payloads: [`protocols`].
//!
//! # A server's life
//!
//! ```text
//!   Server::builder(key) ─▶ settings ─▶ start().await ─▶ running ─▶ stop().await ─▶ stopped
//!                                        │  │ error        │         2 s, 5 s at most    ▲
//!                                        │  ▼              │ suspend()                 │ stop()
//!                                        │  nothing left   └▶ nobody is let in any more ┘
//!                                        │  behind
//!                                        bind().await ─▶ has its address ─▶ open() ─▶ running
//! ```
//!
//! Two more ways end it: [`Server::shut_down`] does not wait, and [`Server::abort`] takes no time and tells
//! nobody. A protocol may hold a handle of its own server; the server lets go of its protocols at the end.
//!
//! # What it promises upward
//!
//! * One `Added` and one `Dropped` for each peer, in this order, around everything its protocols do;
//!   neither is ever lost. Whoever holds an `Added` finds the peer in [`Server::peers`].
//! * A message counts as sent when the connection's bounded queue has taken it; a protocol still
//!   reads what came before the end, then the end.
//! * Nothing a peer sends makes the process panic, grow without bound, or block another peer. A
//!   protocol that panics ends its peer only.
//! * A slow protocol slows its own connection only. One ordered stream allows no more: when its
//!   queue is full, nothing more is read from that peer, pings included, for at most 30 s.
//! * [`Server::stop`] leaves no task.
//!
//! # Limits
//!
//! | what | limit | then |
//! |---|---|---|
//! | first message | 2,048 bytes | closed, score |
//! | message | 16,777,215 bytes, or the protocol's own limit | `0x02` |
//! | a protocol's queue, each way | 256 messages or 1 MiB, one more always admitted | the sender waits |
//! | a peer's messages in memory | 33 MiB | its socket is not read |
//! | all messages in memory | 256 MiB ([`ServerBuilder::message_budget`]) | large frames in turn, then small ones only |
//! | handshake, handshake and hello | 5 s, 10 s | closed |
//! | silence | 30 s | `0x0b` |
//! | inbound handshakes at a time | 50 ([`ServerBuilder::max_pending`]) | the oldest silent one is closed |
//! | unread message events | 4,096 a subscriber | [`PeerEvent::Lagged`] |
//! | unread `Added` and `Dropped` | 65,536 a subscriber | [`PeerEvent::Overrun`], end |
//! | static nodes, trusted nodes | 1,024 each | an error |
//!
//! # Not here
//!
//! Discovery (any stream of nodes will do: [`ServerBuilder::candidates`]), port mapping (the trait
//! [`Nat`] is, with "none" and a fixed address), and the pre-EIP-8 handshake.
//!
//! The two directions of a connection share one key stream; that is the protocol's known weakness
//! and cannot be mended here. Do not rely on it to hide messages whose plaintext can be guessed.
//!
//! # Modules
//!
//! Core modules (no I/O): `address`, `base`, `capability`, `dial`, `info`, `net_restrict`,
//! `panic_counter`, `peer_set`, `pending`, `ping_limit`, `reason`, `reputation`, `throttle`.
//! They take time and randomness as arguments. The others drive them.
//!
//! # Features
//!
//! * `test-utils` (off by default): `test_utils::Net`, any number of servers in memory on a
//!   paused clock.

mod address;
mod base;
mod budget;
mod builder;
mod capability;
mod channel;
mod connection;
mod dial;
mod dial_events;
mod dialer;
mod error;
mod event;
mod info;
mod listen;
mod local_node;
mod nat;
mod net_restrict;
mod observer;
mod panic_counter;
mod peer;
mod peer_set;
mod pending;
mod ping_limit;
mod protocol;
pub mod protocols;
mod queue;
mod reason;
mod reputation;
mod server;
mod session;
mod shared;
mod tap;
mod tasks;
#[cfg(feature = "test-utils")]
pub mod test_utils;
mod throttle;
mod transport;
#[doc(hidden)]
pub mod vector_hooks;

pub use rlpx::{DecodeError, Message};

pub use crate::{
    base::{FirstMessageError, HelloFault},
    builder::ServerBuilder,
    capability::Capability,
    channel::{
        ChannelClosed, ExpectError, MsgChannel, MsgReceiver, MsgSender, SendError, decode_items,
    },
    dial::{DialEvent, DialOutcome, DialStage, DialStatus, LastDial},
    dial_events::DialEvents,
    error::{AddPeerError, StartError, Stopped},
    event::{MessageEvent, PeerEvent, PeerEvents},
    info::{NetworkInfo, NodeInfo, PeerInfo, Ports},
    nat::{ExternalIp, Nat, NatError, NoNat, parse_nat},
    net_restrict::{Cidr, CidrError, NetList},
    observer::{Direction, MessageSeen, Observer, QueueKind, SetUpFailure, Side},
    peer::{Peer, PeerStats},
    protocol::{PeerInfoState, Protocol, ProtocolError, protocol_fn},
    reason::DisconnectReason,
    reputation::{BanTarget, BanTargetError},
    server::{BoundServer, Server},
    tap::{TapEvent, TapKind},
    transport::{Link, Listener, Tcp, Transport},
};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
