//! Typed messages: an enum instead of codes, a handler instead of a loop around `match`.
//!
//! ```text
//!   enum Foo { Ping(Ping) = 0, Pong(Pong) = 1 }      message_set!: the code beside the variant
//!        │
//!      Spec<Foo>  name, version, largest message
//!        │
//!   TypedChannel<Foo>  send(Ping { … })  ──▶  code 0, RLP     what is not of the protocol never
//!                      recv() → Foo      ◀──  code 1, RLP     reaches the body: the peer is dropped
//! ```
//!
//! A code that is not listed, a message over the size limit and one that does not decode drop the peer
//! with "subprotocol error", 0x10. (A code beyond the protocol's length is the base layer's, 0x02.) So
//! a body reads values that mean something, and nothing else.
//!
//! A variant holds one type that can be written as RLP and read back: a struct with the derives of
//! `alloy-rlp`, as below, or a plain `String` or `u64`.
//!
//! A [`TypedChannel`] is a [`MsgChannel`](crate::MsgChannel) with a type: the same body runs over a
//! connection, over [`TypedChannel::pair`] in a test, and over whatever else carries messages.
//!
//! ```
//! use p2p_server::{Protocol, message_set, protocols::{Next, Spec}};
//!
//! /// How much.
//! #[derive(Debug, PartialEq, alloy_rlp::RlpEncodable, alloy_rlp::RlpDecodable)]
//! struct Amount {
//!     v: u64,
//! }
//!
//! message_set! {
//!     /// Everything the protocol can say.
//!     #[derive(Debug, PartialEq)]
//!     enum Foo {
//!         Amount(Amount) = 0,
//!     }
//! }
//!
//! /// Sends 42, and waits for it.
//! fn fooping() -> impl Protocol {
//!     Spec::<Foo>::new("fooping", 42).max_message_size(1024).protocol(|_peer, mut foo| async move {
//!         foo.send(Amount { v: 42 }).await?;
//!         foo.handle(|message| async move {
//!             match message {
//!                 Foo::Amount(Amount { v: 42 }) => Ok(Next::Stop),
//!                 Foo::Amount(_) => Ok(Next::Continue),
//!             }
//!         })
//!         .await
//!     })
//! }
//!
//! assert_eq!(fooping().length(), 1);
//! ```
//!
//! Spec: ethersphere/swarm:p2p/protocols/protocol.go, with handlers in the order of the messages.

mod channel;
mod message_set;
mod spec;

#[doc(hidden)]
pub use self::message_set::{decode as __decode, encode as __encode, length_of};
#[doc(hidden)]
pub use bytes::Bytes as __Bytes;

pub use self::{
    channel::{Handler, HandshakeError, Next, TypedChannel, TypedReceiver, TypedSender},
    message_set::{MessageSet, MessageSetError},
    spec::Spec,
};
