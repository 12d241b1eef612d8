//! What the tests of this crate share: hex, vector files, a pair of connected halves, and a plain
//! codec to hold ours against.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]

pub mod reference;

use enode::SecretKey;
use rlpx::{
    Role, Secrets,
    frame::{Egress, Ingress, MAX_SIZE},
    handshake::Randomness,
};

use self::reference::Reference;

/// Decodes hex digits.
pub fn hex(digits: &str) -> Vec<u8> {
    const_hex::decode(digits).unwrap()
}

/// Decodes hex digits of a known number.
pub fn array<const N: usize>(digits: &str) -> [u8; N] {
    hex(digits).try_into().unwrap()
}

/// The text of a file of known answers.
pub fn vectors(name: &str) -> String {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

/// Compares bytes and names the first that differs.
#[track_caller]
pub fn assert_bytes(got: &[u8], want: &[u8], what: &str) {
    if let Some(at) = got.iter().zip(want).position(|(a, b)| a != b) {
        panic!("{what}: byte {at} is {:02x}, not {:02x}", got[at], want[at]);
    }
    assert_eq!(got.len(), want.len(), "{what}: length");
}

/// A secret key made of one repeated byte.
pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

/// Reproducible randomness for one side of a handshake.
pub fn randomness(seed: u8) -> Randomness {
    Randomness {
        ephemeral: key(seed),
        nonce: [seed; 32],
        ecies_key: key(seed + 1),
        iv: [seed; 16],
        padding: 100 + usize::from(seed),
    }
}

/// The inputs of a made-up handshake, from which all ends of a connection can be derived.
pub struct Connection {
    shared: [u8; 32],
    nonces: [[u8; 32]; 2],
    packets: [&'static [u8]; 2],
}

impl Default for Connection {
    fn default() -> Self {
        Self { shared: [7; 32], nonces: [[1; 32], [2; 32]], packets: [b"auth", b"ack"] }
    }
}

impl Connection {
    /// One side's keys.
    pub fn secrets(&self, role: Role) -> Secrets {
        let [initiator, recipient] = &self.nonces;
        let [auth, ack] = self.packets;
        Secrets::derive(role, &self.shared, initiator, recipient, auth, ack)
    }

    /// The initiator's writing half.
    pub fn egress(&self) -> Egress {
        self.secrets(Role::Initiator).into_halves().0
    }

    /// The recipient's reading half, which takes frames of any size.
    pub fn ingress(&self) -> Ingress {
        let mut ingress = self.first_ingress();
        ingress.set_max_frame(MAX_SIZE);
        ingress
    }

    /// The recipient's reading half as it is before the hello.
    pub fn first_ingress(&self) -> Ingress {
        self.secrets(Role::Recipient).into_halves().1
    }

    /// The plain codec in the place of the initiator's writing half.
    pub fn reference(&self) -> Reference {
        let secrets = self.secrets(Role::Initiator);
        let seed: Vec<u8> = secrets.mac().iter().zip(&self.nonces[1]).map(|(a, b)| a ^ b).collect();
        Reference::new(secrets.aes(), secrets.mac(), &[&seed, self.packets[0]].concat())
    }
}
