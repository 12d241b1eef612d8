//! Capabilities and how two nodes agree on them.
//!
//! Each hello lists what its sender speaks, as pairs of a name and a version. Both sides run the
//! same calculation over both lists and so arrive, without a further message, at the same protocols
//! and the same place for each in the space of message codes:
//!
//! ```text
//!   shared        length     codes on the wire
//!   (base)          16        0 … 15
//!   aaa/1            1       16
//!   bbb/1            3       17 … 19
//!   ccc/7            2       20 … 21         22 and up: nobody's, a breach
//! ```
//!
//! Of several shared versions of a name only the highest runs. The order is alphabetical by name,
//! not the order of registration. Nothing on the wire says a protocol's length: both sides must
//! know it.
//!
//! Spec: ethereum/devp2p:rlpx.md, "Capability Messaging".

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A protocol's name and version, as announced in the hello: `foo/42`.
///
/// Ordered by name, bytewise, then by version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    name: Arc<str>,
    version: u32,
}

impl Capability {
    /// Names a protocol. [`start`](crate::ServerBuilder::start) refuses a name that is empty, longer
    /// than 32 bytes or not printable ASCII.
    pub fn new(name: impl Into<Arc<str>>, version: u32) -> Self {
        Self { name: name.into(), version }
    }

    /// The protocol's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The protocol's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the name is one that can be offered and matched.
    pub(crate) fn is_valid(&self) -> bool {
        name_is_valid(self.name.as_bytes())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A name may have a slash in it.
        let parts = text.rsplit_once('/').and_then(|(name, version)| {
            (!name.is_empty()).then_some((name, version.parse().ok()?))
        });
        let (name, version) = parts
            .ok_or_else(|| D::Error::custom(format!("expected NAME/VERSION, got {text:?}")))?;
        Ok(Self::new(name, version))
    }
}

/// Whether a capability name from the wire can be matched at all: 1 to 32 bytes of printable ASCII.
///
/// The published text says eight bytes; swarm's `bzz-retrieve` has twelve and lives (L-10).
pub(crate) fn name_is_valid(name: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// A protocol of ours as the matching sees it.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) capability: Capability,
    /// How many message codes it uses.
    pub(crate) length: u64,
}

/// A protocol both sides speak, and where its codes lie on this connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// Position of our protocol in the list of offers.
    pub(crate) index: usize,
    /// Its first message code on the wire.
    pub(crate) offset: u64,
}

/// Finds what both sides speak: the highest shared version of each name, offsets compact from 16 in
/// alphabetical order.
///
/// Returns `None` when the lengths do not fit the space of codes, which only a configuration of ours
/// can cause.
pub(crate) fn match_capabilities(remote: &[Capability], offers: &[Offer]) -> Option<Vec<Match>> {
    let mut remote: Vec<&Capability> = remote.iter().collect();
    remote.sort();

    let mut shared: Vec<Match> = Vec::new();
    let mut offset = BASE_LENGTH;
    for capability in remote {
        let Some(index) = offers.iter().position(|offer| offer.capability == *capability) else {
            continue;
        };
        let offer = offers.get(index)?;
        // A lower version of the same name, matched just before, gives its place back.
        if let Some(last) = shared.last()
            && offers.get(last.index)?.capability.name() == capability.name()
        {
            offset = last.offset;
            shared.pop();
        }
        shared.push(Match { index, offset });
        offset = offset.checked_add(offer.length)?;
    }
    Some(shared)
}

/// Codes below this belong to the base protocol.
///
/// Source: ethereum/go-ethereum:p2p/peer.go, `baseProtocolLength`.
pub(crate) const BASE_LENGTH: u64 = 16;

/// The longest capability name we offer or match, in bytes.
const MAX_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(list: &[(&str, u32, u64)]) -> Vec<Offer> {
        list.iter()
            .map(|&(name, version, length)| Offer {
                capability: Capability::new(name, version),
                length,
            })
            .collect()
    }

    fn matched(remote: &[(&str, u32)], list: &[(&str, u32, u64)]) -> Vec<(String, u64)> {
        let remote: Vec<_> = remote.iter().map(|&(n, v)| Capability::new(n, v)).collect();
        let offers = offers(list);
        let matches = match_capabilities(&remote, &offers).expect("lengths fit");
        matches.iter().map(|m| (offers[m.index].capability.to_string(), m.offset)).collect()
    }

    #[test]
    fn a_capability_is_read_from_the_text_it_is_written_as() {
        for (name, version) in [("foo", 42), ("a/b", 0)] {
            let capability = Capability::new(name, version);
            let text = serde_json::to_string(&capability).expect("plain data");

            assert_eq!(
                serde_json::from_str::<Capability>(&text).expect("its own form"),
                capability
            );
        }
        for text in ["\"foo\"", "\"/42\"", "\"foo/\"", "\"foo/-1\"", "\"foo/4294967296\"", "42"] {
            assert!(serde_json::from_str::<Capability>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn codes_are_laid_out_alphabetically_whatever_the_order_of_registration() {
        let remote = [("ccc", 7), ("aaa", 1), ("bbb", 1)];
        let ours = [("bbb", 1, 3), ("ccc", 7, 2), ("aaa", 1, 1)];

        let got = matched(&remote, &ours);

        assert_eq!(got, [("aaa/1".into(), 16), ("bbb/1".into(), 17), ("ccc/7".into(), 20)]);
    }

    #[test]
    fn only_the_highest_shared_version_of_a_name_runs() {
        let remote = [("foo", 1), ("foo", 2), ("foo", 3), ("a", 0)];
        let ours = [("foo", 1, 1), ("foo", 2, 2), ("foo", 3, 3), ("a", 0, 5)];

        let got = matched(&remote, &ours);

        assert_eq!(got, [("a/0".into(), 16), ("foo/3".into(), 21)]);
    }

    #[test]
    fn a_repeated_entry_counts_once() {
        let got = matched(&[("foo", 1), ("foo", 1)], &[("foo", 1, 4), ("goo", 1, 1)]);

        assert_eq!(got, [("foo/1".into(), 16)]);
    }

    #[test]
    fn lengths_that_overflow_the_code_space_are_noticed() {
        let remote = [Capability::new("a", 1), Capability::new("b", 1)];

        assert!(match_capabilities(&remote, &offers(&[("a", 1, u64::MAX), ("b", 1, 1)])).is_none());
    }
}
