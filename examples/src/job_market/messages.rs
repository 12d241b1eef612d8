//! The protocol `demo`, version 1: four messages.

use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use bytes::Bytes;
use p2p_server::{message_set, protocols::Spec};

use super::work::{Hash, Nonce};

/// What a request is called by both sides.
pub type Id = [u8; 8];

/// What a node can do; sent at the beginning and whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Skills {
    /// The hardest request it takes, in bits; 0 is none at all.
    pub difficulty: u8,
    /// The most data it takes, in bytes.
    pub max_size: u16,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Status {
    /// Which request.
    pub id: Id,
    /// What became of it.
    pub code: Code,
}

/// Please hash.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Request {
    /// Chosen by whoever asks.
    pub id: Id,
    /// What is to be hashed.
    pub data: Bytes,
    /// How many bits are to be zero.
    pub difficulty: u8,
}

/// Done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Solution {
    /// Which request.
    pub id: Id,
    /// The number that was found.
    pub nonce: Nonce,
    /// The hash of data and number.
    pub hash: Hash,
}

message_set! {
    /// Everything the protocol can say.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Demo {
        /// What I can do.
        Skills(Skills) = 0,
        /// What became of your request, or thanks for your result.
        Status(Status) = 1,
        /// Please hash.
        Request(Request) = 2,
        /// Done.
        Solution(Solution) = 3,
    }
}

/// What the protocol is called: `demo/1`, with messages of 2,048 bytes at most.
pub fn spec() -> Spec<Demo> {
    Spec::new("demo", 1).max_message_size(2048)
}

/// The kinds of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// From a moocher: the result was right.
    Thanks = 0,
    /// From a worker: it has as many jobs as it takes.
    Busy = 1,
    /// From a worker: "are you kidding".
    TooHard = 2,
    /// From a worker: it tried for as long as it tries.
    GaveUp = 3,
}

impl Encodable for Code {
    fn encode(&self, out: &mut dyn BufMut) {
        (*self as u8).encode(out);
    }

    fn length(&self) -> usize {
        (*self as u8).length()
    }
}

impl Decodable for Code {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Ok(match u8::decode(buf)? {
            0 => Self::Thanks,
            1 => Self::Busy,
            2 => Self::TooHard,
            3 => Self::GaveUp,
            _ => return Err(alloy_rlp::Error::Custom("no such status")),
        })
    }
}

#[cfg(test)]
mod tests {
    use p2p_server::protocols::MessageSet as _;

    use super::*;

    #[test]
    fn the_messages_have_the_form_of_the_original() {
        let id = *b"12345678";
        let skills = Demo::from(Skills { difficulty: 24, max_size: 1024 });
        let status = Demo::from(Status { id, code: Code::TooHard });

        assert_eq!((Demo::LENGTH, skills.code(), status.code()), (4, 0, 1));
        assert_eq!(const_hex::encode(skills.encode()), "c418820400");
        assert_eq!(const_hex::encode(status.encode()), "ca88313233343536373802");
    }

    #[test]
    fn a_status_that_does_not_exist_does_not_decode() {
        let payload = const_hex::decode("ca88313233343536373804").unwrap();

        assert!(Demo::decode(1, &payload).is_err());
    }
}
