//! A deliberately plain frame codec, the yardstick: the specification word for word, with the
//! crates that anybody would take and without a trick.
//!
//! Every tag takes two digests, each by cloning the hasher and finishing the clone, so a frame
//! takes four squeezes. Nothing is allocated or copied that would not have to be, so that what is
//! measured is the method and not carelessness.
//!
//! Spec: ethereum/devp2p:rlpx.md, "Framing".

use aes::Aes256;
use cipher::{BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _};
use sha3::{Digest as _, Keccak256};

/// One direction of a connection; writes or reads.
pub(crate) struct PlainCodec {
    cipher: ctr::Ctr128BE<Aes256>,
    key: Aes256,
    mac: Keccak256,
}

impl PlainCodec {
    /// Starts with the two secrets and all that the tag state was fed before.
    pub(crate) fn new(aes: &[u8; 32], mac: &[u8; 32], seed: &[u8]) -> Self {
        Self {
            cipher: ctr::Ctr128BE::new(aes.into(), &[0; 16].into()),
            key: Aes256::new(mac.into()),
            mac: Keccak256::new_with_prefix(seed),
        }
    }

    /// Appends a frame; `code` is below 128, so it is one byte on the wire.
    pub(crate) fn write(&mut self, code: u8, payload: &[u8], out: &mut Vec<u8>) {
        let size = payload.len() + 1;
        let mut header = [0; 16];
        header[..3].copy_from_slice(&size.to_be_bytes()[size_of::<usize>() - 3..]);
        header[3..6].copy_from_slice(&[0xc2, 0x80, 0x80]);
        self.cipher.apply_keystream(&mut header);
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.tag(&header));

        let start = out.len();
        out.push(code);
        out.extend_from_slice(payload);
        out.resize(start + size.next_multiple_of(16), 0);
        self.cipher.apply_keystream(&mut out[start..]);
        self.mac.update(&out[start..]);
        let tag = self.body_tag();
        out.extend_from_slice(&tag);
    }

    /// Takes a frame off the front of `wire`: its code, its payload, and what is behind it. `None`
    /// when it is not complete or not genuine.
    pub(crate) fn read<'a>(&mut self, wire: &'a mut [u8]) -> Option<(u8, &'a [u8], &'a mut [u8])> {
        let (header, rest) = wire.split_first_chunk_mut::<32>()?;
        let (header, header_tag) = header.split_first_chunk_mut::<16>()?;
        if self.tag(header) != *header_tag {
            return None;
        }
        self.cipher.apply_keystream(header);
        let size =
            usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let (body, rest) = rest.split_at_mut_checked(size.next_multiple_of(16))?;
        let (tag, rest) = rest.split_first_chunk_mut::<16>()?;
        self.mac.update(&*body);
        if self.body_tag() != *tag {
            return None;
        }
        self.cipher.apply_keystream(body);
        let (code, payload) = body.get(..size)?.split_first()?;
        Some((*code, payload, rest))
    }

    fn body_tag(&mut self) -> [u8; 16] {
        let seed = self.digest();
        self.tag(&seed)
    }

    fn tag(&mut self, mask: &[u8; 16]) -> [u8; 16] {
        let mut block = self.digest().into();
        self.key.encrypt_block(&mut block);
        let mixed: [u8; 16] = std::array::from_fn(|i| block[i] ^ mask[i]);
        self.mac.update(mixed);
        self.digest()
    }

    fn digest(&self) -> [u8; 16] {
        let digest = self.mac.clone().finalize();
        std::array::from_fn(|i| digest[i])
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rlpx::frame::MAX_SIZE;

    use crate::codec::{ours, plain};

    #[test]
    fn both_codecs_write_the_same_bytes_and_read_each_others() {
        let (mut egress, mut ingress) = ours();
        let (mut writer, mut reader) = (plain(), plain());
        ingress.set_max_frame(MAX_SIZE);
        for size in [0, 1, 14, 15, 16, 17, 64, 1024, 40_000] {
            let payload = vec![7; size];
            let (mut by_us, mut by_plain) = (BytesMut::new(), Vec::new());

            egress.frame(16, &payload, &mut by_us).unwrap();
            writer.write(16, &payload, &mut by_plain);

            assert!(by_us == by_plain, "{size} bytes");
            let (code, read, rest) = reader.read(&mut by_plain).unwrap();
            assert!((code, read, rest.len()) == (16, &payload[..], 0), "{size} bytes");
            let frame = ingress.next(&mut by_us).unwrap().unwrap();
            assert!(frame.code == 16 && frame.body == payload, "{size} bytes");
        }
    }

    #[test]
    fn the_plain_reader_refuses_a_changed_frame() {
        for flipped in [0, 20, 40, 70] {
            let mut wire = Vec::new();
            plain().write(16, &[7; 20], &mut wire);
            wire[flipped] ^= 1;

            assert!(plain().read(&mut wire).is_none(), "byte {flipped}");
        }
    }
}
