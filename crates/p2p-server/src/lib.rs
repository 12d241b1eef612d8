//! A devp2p server: peers, the base protocol, dialing, and subprotocols of your own.
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
mod panic_counter;
mod peer;
mod peer_set;
mod pending;
mod ping_limit;
mod protocol;
mod queue;
mod reason;
mod reputation;
mod server;
mod session;
mod tap;
mod tasks;
mod throttle;
mod transport;
#[doc(hidden)]
pub mod vector_hooks;

pub use rlpx::Message;

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
    peer::{Peer, PeerStats},
    protocol::{PeerInfoState, Protocol, ProtocolError, protocol_fn},
    reason::DisconnectReason,
    reputation::{BanTarget, BanTargetError},
    server::Server,
    tap::{TapEvent, TapKind},
    transport::{Link, Listener, Tcp, Transport},
};
