//! A market for work: moochers submit data, workers look for a number that makes its hash end in zeros.
//!
//! ```text
//!   moocher                                   worker
//!      │◀──────────── skills ─────────────────▶│   what I can do; difficulty 0: I only submit
//!      │── request: data, difficulty ─────────▶│   ▸ busy, too hard: a status
//!      │                                       │   mines, on a thread of its own, for so long at most
//!      │◀── result: nonce, hash ───────────────│   ▸ gave up: a status
//!      │── status: thanks ────────────────────▶│
//! ```
//!
//! Every node can be both. From the bottom up:
//!
//! * [`work`]: the rule, and mining
//! * [`messages`]: the protocol `demo`, version 1
//! * [`worker`], [`moocher`]: the two roles; neither knows of the other, or of what carries messages
//! * [`market`]: both roles as one body, over whatever channel it is given
//! * [`service`]: that body in a node, with the namespace `demo`
//!
//! Source: nolash/ethereum-samples:p2p/protocol-complex, without its defects: a result is checked against
//! its difficulty, nobody waits with a lock in hand, a job that is given up or whose peer has gone makes
//! room and stops its thread, and everything that can fill up says what happens when it is full.

pub mod market;
pub mod messages;
pub mod moocher;
pub mod service;
pub mod work;
pub mod worker;

pub use self::{
    market::Market,
    moocher::{Outcome, Proof, SubmitError},
    worker::Limits,
};
