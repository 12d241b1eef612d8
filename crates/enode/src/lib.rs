//! Who a node is: keys, node ids, enode URLs and signed node records.
//!
//! Layer 0 of the tower. No I/O but the key file, no async, no clock.

mod id;
mod key;
pub mod record;
pub mod rlp;
mod url;

pub use id::{NodeId, NodeIdError, log_distance};
pub use key::{KeyError, PublicKey, SecretKey, SignatureError, keccak256};
pub use record::{NodeRecord, RecordBuilder, RecordError, UnverifiedRecord};
pub use url::{Enode, EnodeError, Host, IncompleteError};
