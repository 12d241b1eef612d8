//! Node ids, enodes and records in files and JSON: as the strings they print as.
//!
//! ```text
//!   "enode://c91e98…fa64@10.3.58.6:30303"   "enr:-Iu4QF-App4…"   "c62b22…bbdc"
//!   └ Enode, which also reads ┘             └ NodeRecord ─┘      └ NodeId ┘
//!     records and bare keys
//! ```
//!
//! Only with the feature `serde`.

use std::{borrow::Cow, fmt::Display};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{Enode, NodeId, NodeRecord};

impl Serialize for Enode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Enode {
    /// Reads whatever names a node: an enode URL, a bare public key, or a node record, whose
    /// signature is checked.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, |text| {
            let record = text.starts_with(NodeRecord::TEXT_PREFIX);
            if record { Self::parse_any(text) } else { text.parse() }
        })
    }
}

impl Serialize for NodeRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeRecord {
    /// Reads the text form and checks the signature.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, str::parse)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, str::parse)
    }
}

fn parse<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).map_err(Error::custom)
}
