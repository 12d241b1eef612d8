//! A deliberately plain frame writer: the specification word for word, four squeezes and all.
//!
//! Tests use it to write frames that ours would never write, and as the oracle for those that it
//! does; the bench uses it as the yardstick.

use aes::Aes256;
use cipher::{BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _};
use sha3::{Digest as _, Keccak256};

/// One direction of a connection, writing.
pub struct Reference {
    cipher: ctr::Ctr128BE<Aes256>,
    key: Aes256,
    mac: Keccak256,
}

impl Reference {
    /// Starts with the two secrets and all that the tag state was fed before.
    pub fn new(aes: &[u8; 32], mac: &[u8; 32], seed: &[u8]) -> Self {
        Self {
            cipher: ctr::Ctr128BE::new(aes.into(), &[0; 16].into()),
            key: Aes256::new(mac.into()),
            mac: Keccak256::new_with_prefix(seed),
        }
    }

    /// The frame of a code and a payload.
    pub fn message(&mut self, code: u64, payload: &[u8]) -> Vec<u8> {
        self.frame(&[0xc2, 0x80, 0x80], &[&alloy_rlp::encode(code), payload].concat())
    }

    /// A frame with any header data and any body, code included.
    pub fn frame(&mut self, header_data: &[u8], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut header = [&size[1..], header_data].concat();
        header.resize(16, 0);
        self.cipher.apply_keystream(&mut header);
        let mut out = header.clone();
        out.extend(self.tag(&header));

        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(16), 0);
        self.cipher.apply_keystream(&mut body);
        self.mac.update(&body);
        let seed = self.digest();
        out.extend(&body);
        out.extend(self.tag(&seed));
        out
    }

    fn tag(&mut self, mask: &[u8]) -> [u8; 16] {
        let mut block = self.digest().into();
        self.key.encrypt_block(&mut block);
        let mixed: Vec<u8> = block.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        self.mac.update(&mixed);
        self.digest()
    }

    fn digest(&self) -> [u8; 16] {
        let digest = self.mac.clone().finalize();
        std::array::from_fn(|i| digest[i])
    }
}
