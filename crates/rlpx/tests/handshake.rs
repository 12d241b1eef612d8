//! How two sides agree on keys, and what happens when one of them does not play along.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::Duration;

use alloy_rlp::Header;
use bytes::BytesMut;
use common::{key, randomness};
use enode::{KeyError, PublicKey, SecretKey, SignatureError};
use rand::{SeedableRng as _, rngs::StdRng};
use rlpx::{
    EciesError, HandshakeError, RlpxStream, ecies,
    frame::MAX_SIZE,
    handshake::{AuthBody, Established, Initiator, Randomness, Recipient, packet_len},
    snappy::Scratch,
    stream,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    time::Instant,
};

#[test]
fn both_sides_derive_the_same_keys() {
    let (ours, theirs) = shake_hands(randomness(1), randomness(5));

    assert_eq!(ours.remote, recipient().public_key());
    assert_eq!(theirs.remote, initiator().public_key());
    assert_eq!(ours.secrets.aes(), theirs.secrets.aes());
    assert_eq!(ours.secrets.mac(), theirs.secrets.mac());
    assert_eq!(ours.secrets.egress_digest(), theirs.secrets.ingress_digest(b""));
    assert_eq!(ours.secrets.ingress_digest(b""), theirs.secrets.egress_digest());
}

#[test]
fn every_random_part_changes_the_connection() {
    let (plain, _) = shake_hands(randomness(1), randomness(5));
    let changes: [fn(&mut Randomness); 5] = [
        |it| it.ephemeral = key(77),
        |it| it.nonce = [77; 32],
        |it| it.ecies_key = key(77),
        |it| it.iv = [77; 16],
        |it| it.padding += 1,
    ];

    for change in changes {
        for side in 0..2 {
            let mut parts = [randomness(1), randomness(5)];
            change(&mut parts[side]);
            let [one, two] = parts;
            let (changed, _) = shake_hands(one, two);

            let digests =
                |it: &Established| (it.secrets.egress_digest(), it.secrets.ingress_digest(b""));
            assert_ne!(digests(&changed), digests(&plain));
        }
    }
}

#[test]
fn drawn_randomness_keeps_packets_within_what_old_readers_take() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut paddings = [false; 200];
    for _ in 0..2000 {
        paddings[Randomness::generate(&mut rng).padding] = true;
    }
    assert!(paddings[..100].iter().all(|seen| !seen), "padding below 100");
    assert!(paddings[100..].iter().all(|seen| *seen), "all of 100 to 199 occur");

    for padding in [100, 199] {
        let sized = |seed| Randomness { padding, ..randomness(seed) };
        let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), sized(1));
        let (ack, _) = Recipient::new(&recipient()).on_auth(&auth, sized(5)).unwrap();

        assert_eq!((auth.len(), ack.len()), (284 + padding, 217 + padding));
    }
}

#[test]
fn any_padding_is_accepted_and_what_does_not_fit_is_left_out() {
    for padding in [0, 1, 299, 1000, 100_000, usize::MAX] {
        let sized = |seed| Randomness { padding, ..randomness(seed) };
        let (auth, waiting) = Initiator::new(&initiator(), &recipient().public_key(), sized(1));
        let (ack, _) = Recipient::new(&recipient()).on_auth(&auth, sized(5)).unwrap();

        assert!(auth.len() <= 2050 && ack.len() <= 2050);
        assert!(waiting.on_ack(&ack).is_ok());
    }
}

#[test]
fn packet_length_is_checked_from_its_first_two_bytes() {
    for size in 0..=u16::MAX {
        let result = packet_len(size.to_be_bytes());

        let size = usize::from(size);
        match size {
            0..113 => assert!(
                matches!(result, Err(HandshakeError::TooSmall { size: s, least: 113 }) if s == size)
            ),
            113..=2048 => assert_eq!(result.unwrap(), size + 2),
            _ => assert!(
                matches!(result, Err(HandshakeError::TooBig { size: s, limit: 2048 }) if s == size)
            ),
        }
    }
}

#[test]
fn packets_longer_or_shorter_than_their_prefix_are_refused() {
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));

    for wrong in [&auth[..0], &auth[..1], &auth[..auth.len() - 1], &[&auth[..], &[0]].concat()] {
        let result = Recipient::new(&recipient()).on_auth(wrong, randomness(5));

        assert!(matches!(result, Err(HandshakeError::Length { .. })), "{result:?}");
    }
}

#[test]
fn later_versions_and_their_extra_elements_are_accepted() {
    let mut body = AuthFields::honest();
    body.version = 56;
    body.extra = vec![0x01, 0x02, 0xc2, 0x04, 0x05];
    assert!(body.send().is_ok());

    let mut body = AckFields::honest();
    body.version = u64::MAX;
    body.extra = vec![0x06, 0xc2, 0x07, 0x08, 0x81, 0xfa];
    assert!(body.send().is_ok());
}

#[test]
fn bodies_with_missing_or_wrong_fields_are_refused() {
    let honest = AuthFields::honest().fields();
    for missing in 0..honest.len() {
        let mut fields = honest.clone();
        fields.truncate(missing);
        assert_rlp(send_auth(&list(&fields)));
    }
    for (field, len) in [(0, 64), (0, 66), (1, 63), (1, 65), (2, 31), (2, 33)] {
        let mut fields = honest.clone();
        fields[field] = alloy_rlp::encode(&vec![1_u8; len][..]);
        assert_rlp(send_auth(&list(&fields)));
    }
    // No list; a list longer than the packet; a length written the long way round.
    let body = list(&honest);
    assert_rlp(send_auth(&[0x80]));
    assert_rlp(send_auth(&[&[0xb8], &body[1..]].concat()));
    assert_rlp(send_auth(&body[..body.len() - 1]));
    assert_rlp(send_auth(&[&[0xf9, 0x00], &body[1..]].concat()));

    let honest = AckFields::honest().fields();
    for missing in 0..honest.len() {
        let mut fields = honest.clone();
        fields.truncate(missing);
        assert_rlp(send_ack(&list(&fields)));
    }
}

#[test]
fn bad_public_keys_are_refused_in_auth_ack_and_envelope() {
    for (what, bad) in bad_points() {
        let mut auth = AuthFields::honest();
        auth.public_key = bad;
        let result = auth.send();
        assert!(matches!(result, Err(HandshakeError::PublicKey(KeyError::Point))), "{what}");

        let mut ack = AckFields::honest();
        ack.ephemeral = bad;
        let result = ack.send();
        assert!(matches!(result, Err(HandshakeError::PublicKey(KeyError::Point))), "{what}");

        let (packet, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
        let mut packet = packet.to_vec();
        packet[3..67].copy_from_slice(&bad);
        let result = Recipient::new(&recipient()).on_auth(&packet, randomness(5));
        let refused = EciesError::PublicKey(KeyError::Point);
        assert!(matches!(result, Err(HandshakeError::Ecies(e)) if e == refused), "{what}");
    }
}

#[test]
fn envelope_key_must_be_uncompressed() {
    let (packet, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    for first in (0..=u8::MAX).filter(|byte| *byte != 0x04) {
        let mut packet = packet.to_vec();
        packet[2] = first;

        let result = Recipient::new(&recipient()).on_auth(&packet, randomness(5));

        let refused = matches!(result, Err(HandshakeError::Ecies(EciesError::PublicKey(_))));
        assert!(refused, "{first:02x}");
    }
}

#[test]
fn signatures_that_lead_to_no_ephemeral_key_are_refused() {
    let order: [u8; 32] = common::array(GROUP_ORDER);
    let honest = AuthFields::honest().signature;
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut signature = honest;
        signature[range].copy_from_slice(bytes);
        signature
    };
    let no_point = unused_x(&honest);

    for (what, signature) in [
        ("r is zero", with(0..32, &[0; 32])),
        ("s is zero", with(32..64, &[0; 32])),
        ("r is the order", with(0..32, &order)),
        ("s is the order", with(32..64, &order)),
        ("r is over the order", with(0..32, &[0xff; 32])),
        ("s is over the order", with(32..64, &[0xff; 32])),
        ("v is 4", with(64..65, &[4])),
        ("v is 27", with(64..65, &[27])),
        ("v is 255", with(64..65, &[255])),
        ("r + n is over the field", with(64..65, &[honest[64] | 2])),
        ("r is no point's x", with(0..32, &no_point)),
        ("all zero", [0; 65]),
    ] {
        let mut auth = AuthFields::honest();
        auth.signature = signature;

        let result = auth.send();

        let refused = matches!(
            result,
            Err(HandshakeError::Signature(SignatureError::Malformed | SignatureError::NoKey))
        );
        assert!(refused, "{what}: {result:?}");
    }
}

#[test]
fn envelopes_shorter_than_their_parts_are_refused_at_every_length() {
    let mut sealed = BytesMut::new();
    let to = recipient().public_key();
    ecies::encrypt(&to, &key(3), &[9; 16], &[0x42; 400], b"12", &mut sealed).unwrap();

    for len in 0..=400 {
        let result = ecies::decrypt(&recipient(), &sealed[..len], b"12");
        match len {
            0..114 => assert_eq!(result, Err(EciesError::TooShort { got: len, least: 114 })),
            _ => assert_eq!(result, Err(EciesError::Mac)),
        }

        let zeros = ecies::decrypt(&recipient(), &vec![0; len], b"12");
        match len {
            0..114 => assert_eq!(zeros, Err(EciesError::TooShort { got: len, least: 114 })),
            _ => assert_eq!(zeros, Err(EciesError::PublicKey(KeyError::Point))),
        }
    }
}

#[test]
fn envelopes_of_every_length_open_for_their_recipient_only() {
    for len in 1..=400 {
        let plain = vec![0x42; len];
        let mut sealed = BytesMut::new();
        let to = recipient().public_key();
        ecies::encrypt(&to, &key(3), &[9; 16], &plain, b"12", &mut sealed).unwrap();

        assert_eq!(sealed.len(), len + ecies::OVERHEAD);
        assert_eq!(*ecies::decrypt(&recipient(), &sealed, b"12").unwrap(), plain);
        assert_eq!(ecies::decrypt(&initiator(), &sealed, b"12"), Err(EciesError::Mac));
        assert_eq!(ecies::decrypt(&recipient(), &sealed, b"13"), Err(EciesError::Mac));
    }
}

#[test]
fn an_empty_envelope_is_neither_made_nor_opened() {
    let mut out = BytesMut::new();
    let to = recipient().public_key();

    let result = ecies::encrypt(&to, &key(3), &[9; 16], b"", b"", &mut out);

    assert_eq!((result, out.len()), (Err(EciesError::Empty), 0));
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let (ours, _) = shake_hands(randomness(1), randomness(5));
    let (_, waiting) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    let secrets = [
        format!("{:?}", ours.secrets.aes()),
        format!("{:?}", ours.secrets.mac()),
        format!("{:?}", randomness(1).nonce),
        format!("{:?}", initiator().to_bytes()),
        "31313131".to_owned(),
    ];

    let shown =
        format!("{ours:?} {waiting:?} {:?} {:?}", randomness(1), Recipient::new(&initiator()));

    for secret in secrets {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

#[tokio::test]
async fn a_caller_with_another_key_in_mind_is_refused_without_a_byte() {
    let (near, far) = duplex(4096);
    let (mut reader, mut writer) = tokio::io::split(near);
    let wrong = key(0x77).public_key();
    let (auth, _) = Initiator::new(&initiator(), &wrong, randomness(1));
    writer.write_all(&auth).await.unwrap();

    let result = RlpxStream::accept(far, &recipient(), in_seconds(5)).await;

    assert!(matches!(result, Err(HandshakeError::Ecies(EciesError::Mac))));
    assert!(result.unwrap_err().is_bad_packet());
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_size_over_the_limit_is_refused_before_the_body_comes() {
    let (mut near, far) = duplex(4096);
    near.write_all(&2049_u16.to_be_bytes()).await.unwrap();

    let result = RlpxStream::accept(far, &recipient(), in_seconds(5)).await;

    let refused = matches!(result, Err(HandshakeError::TooBig { size: 2049, limit: 2048 }));
    assert!(refused, "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let (_near, far) = duplex(4096);
    let start = Instant::now();

    let result = RlpxStream::accept(far, &recipient(), in_seconds(5)).await;

    assert!(matches!(result, Err(HandshakeError::Timeout)));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_trickle_in_do_not_extend_the_deadline() {
    let (mut near, far) = duplex(4096);
    let start = Instant::now();
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    let trickle = tokio::spawn(async move {
        for byte in auth {
            if near.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    });

    let result = RlpxStream::accept(far, &recipient(), in_seconds(5)).await;

    assert!(matches!(result, Err(HandshakeError::Timeout)), "{result:?}");
    assert!(start.elapsed() <= Duration::from_secs(6), "{:?}", start.elapsed());
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dialed_node_that_does_not_answer_times_out() {
    let (near, _far) = duplex(4096);
    let start = Instant::now();

    let result =
        RlpxStream::connect(near, &initiator(), &recipient().public_key(), in_seconds(5)).await;

    assert!(matches!(result, Err(HandshakeError::Timeout)));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_connection_closed_in_the_middle_is_told_apart_from_a_bad_packet() {
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    for len in 0..auth.len() {
        let mut written = Vec::new();

        let result = stream::accept(&auth[..len], &mut written, &recipient(), randomness(5)).await;

        let error = result.unwrap_err();
        assert!(matches!(error, HandshakeError::UnexpectedEof) && !error.is_bad_packet());
        assert!(written.is_empty());
    }
}

#[tokio::test]
async fn bytes_behind_a_handshake_packet_belong_to_the_first_frame() {
    // The recipient writes its first frame right behind the ack, in one piece.
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    let mut wire = Vec::new();
    let mut theirs = stream::accept(&*auth, &mut wire, &recipient(), randomness(5)).await.unwrap();
    theirs.writer.push(16, b"early", &mut Scratch::new()).unwrap();
    theirs.writer.flush().await.unwrap();

    let to = recipient().public_key();
    let mut ours =
        stream::connect(&*wire, tokio::io::sink(), &initiator(), &to, randomness(1)).await.unwrap();

    ours.reader.set_max_frame(MAX_SIZE);
    let message = ours.reader.read().await.unwrap().unwrap();
    assert_eq!((message.code, &message.payload[..]), (16, &b"early"[..]));
    assert_eq!(ours.auth, auth);
    assert_eq!(ours.ack, wire[..ours.ack.len()]);
}

fn initiator() -> SecretKey {
    key(0x31)
}

fn recipient() -> SecretKey {
    key(0x32)
}

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn shake_hands(one: Randomness, two: Randomness) -> (Established, Established) {
    let (auth, waiting) = Initiator::new(&initiator(), &recipient().public_key(), one);
    let (ack, theirs) = Recipient::new(&recipient()).on_auth(&auth, two).unwrap();
    (waiting.on_ack(&ack).unwrap(), theirs)
}

/// The fields of an auth, to be tampered with.
struct AuthFields {
    signature: [u8; 65],
    public_key: [u8; 64],
    nonce: [u8; 32],
    version: u64,
    extra: Vec<u8>,
}

impl AuthFields {
    fn honest() -> Self {
        let (packet, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
        let AuthBody { signature, public_key, nonce, version, .. } =
            AuthBody::open(&recipient(), &packet).unwrap();
        Self { signature, public_key: public_key.to_bytes(), nonce, version, extra: Vec::new() }
    }

    fn fields(&self) -> Vec<Vec<u8>> {
        vec![
            alloy_rlp::encode(self.signature),
            alloy_rlp::encode(self.public_key),
            alloy_rlp::encode(self.nonce),
            alloy_rlp::encode(self.version),
        ]
    }

    fn send(&self) -> Result<Established, HandshakeError> {
        send_auth(&list(&[self.fields(), vec![self.extra.clone()]].concat()))
    }
}

/// The fields of an ack, to be tampered with.
struct AckFields {
    ephemeral: [u8; 64],
    nonce: [u8; 32],
    version: u64,
    extra: Vec<u8>,
}

impl AckFields {
    fn honest() -> Self {
        let ephemeral = key(5).public_key().to_bytes();
        Self { ephemeral, nonce: [5; 32], version: 4, extra: Vec::new() }
    }

    fn fields(&self) -> Vec<Vec<u8>> {
        vec![
            alloy_rlp::encode(self.ephemeral),
            alloy_rlp::encode(self.nonce),
            alloy_rlp::encode(self.version),
        ]
    }

    fn send(&self) -> Result<Established, HandshakeError> {
        send_ack(&list(&[self.fields(), vec![self.extra.clone()]].concat()))
    }
}

fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let content = fields.concat();
    let mut out = Vec::new();
    Header { list: true, payload_length: content.len() }.encode(&mut out);
    [out, content].concat()
}

fn send_auth(body: &[u8]) -> Result<Established, HandshakeError> {
    let packet = seal(&recipient().public_key(), body);
    Recipient::new(&recipient()).on_auth(&packet, randomness(5)).map(|(_, theirs)| theirs)
}

fn send_ack(body: &[u8]) -> Result<Established, HandshakeError> {
    let (_, waiting) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    waiting.on_ack(&seal(&initiator().public_key(), body))
}

fn seal(to: &PublicKey, body: &[u8]) -> BytesMut {
    let size = u16::try_from(body.len() + ecies::OVERHEAD).unwrap().to_be_bytes();
    let mut packet = BytesMut::from(&size[..]);
    ecies::encrypt(to, &key(3), &[9; 16], body, &size, &mut packet).unwrap();
    packet
}

#[track_caller]
fn assert_rlp(result: Result<Established, HandshakeError>) {
    assert!(matches!(result, Err(HandshakeError::Rlp(_))), "{result:?}");
}

/// What looks like a public key and is none.
fn bad_points() -> Vec<(&'static str, [u8; 64])> {
    let good = key(0x55).public_key().to_bytes();
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut point = good;
        point[range].copy_from_slice(bytes);
        point
    };
    let prime: [u8; 32] = common::array(FIELD_PRIME);
    let off_by_one: Vec<u8> = [&good[32..63], &[good[63] ^ 1]].concat();
    vec![
        ("infinity", [0; 64]),
        ("x is the prime", with(0..32, &prime)),
        ("y is the prime", with(32..64, &prime)),
        ("x is over the prime", with(0..32, &[0xff; 32])),
        ("y is over the prime", with(32..64, &[0xff; 32])),
        ("off the curve", with(32..64, &off_by_one)),
        ("on another curve", {
            // y² = x³ + 8: (1, 3).
            let mut point = [0; 64];
            (point[31], point[63]) = (1, 3);
            point
        }),
        ("x and y exchanged", {
            let mut point = [0; 64];
            point[..32].copy_from_slice(&good[32..]);
            point[32..].copy_from_slice(&good[..32]);
            point
        }),
    ]
}

/// An `r` that is in range and no x coordinate, near that of `signature`.
fn unused_x(signature: &[u8; 65]) -> [u8; 32] {
    let mut x: [u8; 32] = signature[..32].try_into().unwrap();
    loop {
        x[31] = x[31].wrapping_add(1);
        let compressed = [&[0x02], &x[..]].concat();
        if PublicKey::from_bytes(&compressed).is_err() {
            return x;
        }
    }
}

const FIELD_PRIME: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
const GROUP_ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
