//! Known answers, made by running go-ethereum 1.9.2 and golang/snappy.
//!
//! Every case of a file is walked, by its fields and never by its place. Where a case has a member
//! `ours`, that is what binds us; an `ours` that begins with "valid" means accepted.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::BytesMut;
use common::{array, assert_bytes, hex};
use enode::{PublicKey, SecretKey, keccak256};
use rlpx::{
    Message, Role, Secrets, ecies,
    frame::{Egress, Ingress, MAX_SIZE},
    handshake::{AckBody, AuthBody, Initiator, Randomness, Recipient},
    snappy::{self, Scratch},
    stream::{self, Reader},
};
use serde::Deserialize;

#[test]
fn shared_secrets_are_the_recorded_ones() {
    for case in handshake_file().ecdh {
        let secret = secret_key(&case.private_key).shared_secret(&public_key(&case.public_key));

        assert_bytes(&*secret, &hex(&case.shared_x), &case.public_key);
    }
}

#[test]
fn envelopes_are_sealed_and_opened_as_recorded() {
    for case in handshake_file().ecies {
        let (plain, sealed, mac) =
            (hex(&case.plaintext), hex(&case.ciphertext), hex(&case.shared_mac_data));
        let recipient = secret_key(&case.recipient_private_key);
        assert_eq!(recipient.public_key(), public_key(&case.recipient_public_key));

        let opened = ecies::decrypt(&recipient, &sealed, &mac);
        if case.decrypt_error.is_some() {
            assert!(opened.is_err(), "{}", case.ciphertext);
            continue;
        }
        assert_bytes(&opened.unwrap(), &plain, "plaintext");

        let mut out = BytesMut::new();
        let ephemeral = secret_key(&case.ephemeral_private_key);
        ecies::encrypt(
            &recipient.public_key(),
            &ephemeral,
            &array(&case.iv),
            &plain,
            &mac,
            &mut out,
        )
        .unwrap();
        assert_bytes(&out, &sealed, "ciphertext");
    }
}

#[test]
fn handshakes_come_out_byte_for_byte() {
    for case in handshake_file().handshakes {
        case.check_keys();
        match &*case.format {
            "eip8" => check_handshake(&case),
            "pre-eip8" => check_legacy_handshake(&case),
            other => panic!("{}: unknown format {other}", case.name),
        }
        for role in [Role::Initiator, Role::Recipient] {
            case.check_secrets(role, &case.derive(role));
        }
    }
}

fn check_handshake(case: &Handshake) {
    let [initiator, recipient] = [&case.initiator, &case.responder];

    let (auth, waiting) = Initiator::new(
        &initiator.key(),
        &public_key(&recipient.static_public_key),
        case.auth.randomness(initiator),
    );
    assert_bytes(&auth, &hex(&case.auth.packet), &format!("{}: auth", case.name));
    let (ack, theirs) =
        Recipient::new(&recipient.key()).on_auth(&auth, case.ack.randomness(recipient)).unwrap();
    assert_bytes(&ack, &hex(&case.ack.packet), &format!("{}: ack", case.name));
    let ours = waiting.on_ack(&ack).unwrap();

    assert_eq!(ours.remote, public_key(&recipient.static_public_key));
    assert_eq!(theirs.remote, public_key(&initiator.static_public_key));
    case.check_secrets(Role::Initiator, &ours.secrets);
    case.check_secrets(Role::Recipient, &theirs.secrets);
    for (role, side) in [(Role::Initiator, initiator), (Role::Recipient, recipient)] {
        let recorded = Secrets::from_packets(
            role,
            &side.key(),
            &side.ephemeral(),
            &array(&side.nonce),
            &auth,
            &ack,
        );
        case.check_secrets(role, &recorded.unwrap());
    }
    for (packet, reader) in [(&case.auth, recipient), (&case.ack, initiator)] {
        let wire = hex(&packet.packet);
        let (prefix, sealed) = wire.split_at(2);
        let plain = ecies::decrypt(&reader.key(), sealed, prefix).unwrap();
        let mut rest = &plain[..];
        let header = alloy_rlp::Header::decode(&mut rest).unwrap();
        packet.check_plaintext(&plain, plain.len() - rest.len() + header.payload_length);
    }
}

/// Today's reader refuses the older form; its envelopes and keys are today's.
fn check_legacy_handshake(case: &Handshake) {
    let [initiator, recipient] = [&case.initiator, &case.responder];

    for (packet, writer, reader, body) in
        [(&case.auth, initiator, recipient, 194), (&case.ack, recipient, initiator, 97)]
    {
        let wire = hex(&packet.packet);
        let plain = ecies::decrypt(&reader.key(), &wire, &[]).unwrap();
        packet.check_plaintext(&plain, body);
        let Randomness { ecies_key, iv, .. } = packet.randomness(writer);
        let mut out = BytesMut::new();
        ecies::encrypt(&reader.key().public_key(), &ecies_key, &iv, &plain, &[], &mut out).unwrap();
        assert_bytes(&out, &wire, &format!("{}: packet", case.name));
    }
    let auth = hex(&case.auth.packet);
    let answer = Recipient::new(&recipient.key()).on_auth(&auth, case.ack.randomness(recipient));
    assert!(answer.is_err(), "{}: accepted by today's reader", case.name);

    #[cfg(feature = "legacy")]
    {
        use rlpx::handshake::legacy::{open_ack, open_auth};

        let auth = open_auth(&recipient.key(), &auth).unwrap();
        assert_eq!(auth.public_key, public_key(&initiator.static_public_key));
        assert_eq!(auth.nonce, array(&initiator.nonce));
        let ephemeral = auth.ephemeral(&recipient.key()).unwrap();
        assert_eq!(ephemeral, public_key(&initiator.ephemeral_public_key));
        let ack = open_ack(&initiator.key(), &hex(&case.ack.packet)).unwrap();
        assert_eq!(ack.ephemeral, public_key(&recipient.ephemeral_public_key));
        assert_eq!(ack.nonce, array(&recipient.nonce));
    }
}

#[tokio::test]
async fn malformed_handshake_packets_are_refused_without_a_byte() {
    for case in handshake_file().invalid {
        let (packet, key) = (hex(&case.packet), secret_key(&case.private_key));
        let mut written = Vec::new();

        let (failed, expected) = match &*case.role {
            "responder reads auth" => {
                let randomness = common::randomness(1);
                let result = stream::accept(&*packet, &mut written, &key, randomness).await;
                (result.err(), 0)
            }
            "initiator reads ack" => {
                let (remote, randomness) = (common::key(9).public_key(), common::randomness(1));
                let (auth, _) = Initiator::new(&key, &remote, common::randomness(1));
                let result =
                    stream::connect(&*packet, &mut written, &key, &remote, randomness).await;
                (result.err(), auth.len())
            }
            other => panic!("{}: unknown role {other}", case.name),
        };

        let accepted = accepted(case.error.as_ref(), case.ours.as_ref());
        assert_eq!(failed.is_none(), accepted, "{}: {failed:?}", case.name);
        if failed.is_some() {
            assert_eq!(written.len(), expected, "{}: answered", case.name);
        }
    }
}

#[test]
fn published_packets_are_read() {
    let published = handshake_file().published_eip8;
    let initiator = secret_key(&published.initiator_static_private_key);
    let recipient = secret_key(&published.responder_static_private_key);

    for case in &published.auth_packets {
        let (packet, expect) = (hex(&case.packet), &case.expect);
        let Some(auth) = case.open(AuthBody::open(&recipient, &packet), || {
            #[cfg(feature = "legacy")]
            return rlpx::handshake::legacy::open_auth(&recipient, &packet).ok();
            #[cfg(not(feature = "legacy"))]
            None
        }) else {
            continue;
        };
        assert_bytes(&auth.signature, &hex(expect.signature.as_ref().unwrap()), &case.name);
        let initiator_key = expect.initiator_public_key.as_ref().unwrap();
        assert_eq!(auth.public_key, public_key(initiator_key), "{}", case.name);
        assert_eq!((auth.nonce, auth.version), (array(&expect.nonce), expect.version));
        let ephemeral = secret_key(&published.initiator_ephemeral_private_key).public_key();
        assert_eq!(auth.ephemeral(&recipient).unwrap(), ephemeral, "{}", case.name);
        case.check_extra(&recipient, 4);
    }
    for case in &published.ack_packets {
        let (packet, expect) = (hex(&case.packet), &case.expect);
        let Some(ack) = case.open(AckBody::open(&initiator, &packet), || {
            #[cfg(feature = "legacy")]
            return rlpx::handshake::legacy::open_ack(&initiator, &packet).ok();
            #[cfg(not(feature = "legacy"))]
            None
        }) else {
            continue;
        };
        let ephemeral = expect.responder_ephemeral_public_key.as_ref().unwrap();
        assert_eq!(ack.ephemeral, public_key(ephemeral), "{}", case.name);
        assert_eq!((ack.nonce, ack.version), (array(&expect.nonce), expect.version));
        case.check_extra(&initiator, 3);
    }
}

#[test]
fn published_secrets_are_derived_from_the_packets() {
    let published = handshake_file().published_eip8;
    let packet = |packets: &[Published], name: &str| {
        hex(&packets.iter().find(|case| case.name == name).unwrap().packet)
    };
    let (auth, ack) =
        (packet(&published.auth_packets, "Auth2"), packet(&published.ack_packets, "Ack2"));
    let expect = &published.derivation;

    for (role, key, ephemeral, nonce) in [
        (
            Role::Recipient,
            &published.responder_static_private_key,
            &published.responder_ephemeral_private_key,
            &published.responder_nonce,
        ),
        (
            Role::Initiator,
            &published.initiator_static_private_key,
            &published.initiator_ephemeral_private_key,
            &published.initiator_nonce,
        ),
    ] {
        let (key, ephemeral) = (secret_key(key), secret_key(ephemeral));
        let secrets =
            Secrets::from_packets(role, &key, &ephemeral, &array(nonce), &auth, &ack).unwrap();

        assert_bytes(secrets.aes(), &hex(&expect.aes_secret), "aes");
        assert_bytes(secrets.mac(), &hex(&expect.mac_secret), "mac");
        if role == Role::Recipient {
            assert_bytes(&secrets.egress_digest(), &hex(&expect.egress_mac_digest), "egress");
            assert_bytes(&secrets.ingress_digest(b""), &hex(&expect.ingress_mac_digest), "ingress");
            assert_bytes(
                &secrets.ingress_digest(b"foo"),
                &hex(&expect.ingress_mac_digest_after_writing_ascii_foo),
                "ingress after foo",
            );
        }
    }
}

#[test]
fn frame_sequences_are_written_and_read_as_recorded() {
    let (frames, handshakes) = (frames_file(), handshake_file().handshakes);
    for sequence in &frames.sequences {
        let handshake = handshakes.iter().find(|case| case.name == sequence.handshake).unwrap();
        let (writer, reader) = match &*sequence.direction {
            "initiator to responder" => (Role::Initiator, Role::Recipient),
            "responder to initiator" => (Role::Recipient, Role::Initiator),
            other => panic!("{}: unknown direction {other}", sequence.name),
        };
        let (egress, _) = handshake.derive(writer).into_halves();
        let (_, mut ingress) = handshake.derive(reader).into_halves();
        ingress.set_max_frame(MAX_SIZE);
        let mut ends = Ends { egress, ingress, snappy: sequence.snappy };
        for message in &sequence.messages {
            let name = format!("{}, message {}", sequence.name, message.index);
            match accepted(message.error.as_ref(), message.ours.as_ref()) {
                true => ends.check_frame(message, &name),
                false => ends.check_refusal(message, &name),
            }
        }
    }
}

/// Both ends of a sequence.
struct Ends {
    egress: Egress,
    ingress: Ingress,
    snappy: bool,
}

impl Ends {
    fn check_frame(&mut self, message: &FrameCase, name: &str) {
        let payload = message.payload(name);
        let mut scratch = Scratch::new();
        let own = match self.snappy {
            true => snappy::compress(&payload, &mut scratch).unwrap(),
            false => &payload,
        };
        let recorded = message.frame.as_ref().map(|digits| hex(digits));

        let mut wire = BytesMut::new();
        let body = match (&recorded, message.same_compression(own)) {
            (_, true) => {
                self.egress.frame(message.code, own, &mut wire).unwrap();
                self.read(wire.clone(), message, &payload, name)
            }
            // Another encoder's choice of elements: take it from the frame to stay in step.
            (Some(recorded), false) => {
                let body = self.read(BytesMut::from(&recorded[..]), message, &payload, name);
                self.egress.frame(message.code, &body, &mut wire).unwrap();
                body
            }
            (None, false) => panic!("{name}: neither recorded nor reproducible"),
        };

        assert!(message.same_compression(&body), "{name}: compressed payload");
        let digest: [u8; 32] = array(message.egress_mac_digest_after.as_ref().unwrap());
        message.check_wire(&wire, recorded.as_deref(), name);
        assert_bytes(&self.egress.mac_digest(), &digest, &format!("{name}: egress digest"));
        assert_bytes(&self.ingress.mac_digest(), &digest, &format!("{name}: ingress digest"));
    }

    /// Reads a frame and returns its body as it was on the wire.
    fn read(
        &mut self,
        mut wire: BytesMut,
        message: &FrameCase,
        payload: &[u8],
        name: &str,
    ) -> BytesMut {
        let frame = self.ingress.next(&mut wire).unwrap().expect(name);
        assert!(wire.is_empty(), "{name}: bytes left");
        assert_eq!((frame.code, frame.size), (message.code, message.frame_len.unwrap()), "{name}");
        let body = frame.body.clone();
        let got = frame.into_message(self.snappy, snappy::MAX_MESSAGE).unwrap();
        assert_bytes(&got.payload, payload, &format!("{name}: payload"));
        body
    }

    fn check_refusal(&mut self, message: &FrameCase, name: &str) {
        let payload = message.payload(name);
        let before = self.egress.mac_digest();
        let (mut out, mut scratch) = (BytesMut::from("before"), Scratch::new());

        let result = match self.snappy {
            true => snappy::compress(&payload, &mut scratch)
                .and_then(|body| self.egress.frame(message.code, body, &mut out)),
            false => self.egress.frame(message.code, &payload, &mut out),
        };

        assert!(result.is_err(), "{name}: accepted");
        assert_bytes(&out, b"before", &format!("{name}: output"));
        assert_bytes(&self.egress.mac_digest(), &before, &format!("{name}: egress digest"));
    }
}

#[tokio::test]
async fn malformed_frames_are_refused() {
    let (frames, handshakes) = (frames_file(), handshake_file().handshakes);
    for case in frames.invalid {
        let handshake = handshakes.iter().find(|other| other.name == case.handshake).unwrap();
        let (_, ingress) = handshake.derive(Role::Recipient).into_halves();
        let wire = hex(&case.wire);
        let mut reader = Reader::new(&*wire, ingress);
        reader.set_max_frame(MAX_SIZE);
        reader.set_snappy(case.snappy);

        let result = reader.read().await;

        // The end of the connection between two frames is no error of ours, but no message either.
        if accepted(case.error.as_ref(), case.ours.as_ref()) {
            let message = Message::new(case.code.unwrap(), hex(&case.payload.unwrap()));
            assert_eq!(result.unwrap(), Some(message), "{}", case.name);
        } else {
            assert!(!matches!(result, Ok(Some(_))), "{}: accepted", case.name);
        }
    }
}

fn accepted(error: Option<&String>, ours: Option<&String>) -> bool {
    match ours {
        Some(ours) => ours.starts_with("valid"),
        None => error.is_none(),
    }
}

fn secret_key(digits: &str) -> SecretKey {
    SecretKey::from_bytes(&array(digits)).unwrap()
}

fn public_key(digits: &str) -> PublicKey {
    PublicKey::from_bytes(&hex(digits)).unwrap()
}

fn handshake_file() -> HandshakeFile {
    serde_json::from_str(&common::vectors("rlpx_handshake.json")).unwrap()
}

fn frames_file() -> FramesFile {
    serde_json::from_str(&common::vectors("rlpx_frames.json")).unwrap()
}

#[derive(Deserialize)]
struct HandshakeFile {
    ecdh: Vec<Ecdh>,
    ecies: Vec<Ecies>,
    handshakes: Vec<Handshake>,
    invalid: Vec<InvalidPacket>,
    published_eip8: PublishedFile,
}

#[derive(Deserialize)]
struct Ecdh {
    private_key: String,
    public_key: String,
    shared_x: String,
}

#[derive(Deserialize)]
struct Ecies {
    ciphertext: String,
    decrypt_error: Option<String>,
    ephemeral_private_key: String,
    iv: String,
    plaintext: String,
    recipient_private_key: String,
    recipient_public_key: String,
    shared_mac_data: String,
}

#[derive(Deserialize)]
struct Handshake {
    name: String,
    format: String,
    initiator: Side,
    responder: Side,
    auth: Packet,
    ack: Packet,
    static_shared_secret: String,
    ephemeral_shared_secret: String,
    shared_secret: String,
    aes_secret: String,
    mac_secret: String,
    initiator_egress_mac_digest: String,
    initiator_ingress_mac_digest: String,
    responder_egress_mac_digest: String,
    responder_ingress_mac_digest: String,
}

impl Handshake {
    /// The values that the rest is derived from.
    fn check_keys(&self) {
        let [initiator, recipient] = [&self.initiator, &self.responder];
        for side in [initiator, recipient] {
            assert_eq!(side.key().public_key(), public_key(&side.static_public_key));
            assert_eq!(side.ephemeral().public_key(), public_key(&side.ephemeral_public_key));
        }
        for (ours, theirs) in [(initiator, recipient), (recipient, initiator)] {
            let secret = ours.key().shared_secret(&theirs.key().public_key());
            assert_bytes(&*secret, &hex(&self.static_shared_secret), &self.name);
            let secret = ours.ephemeral().shared_secret(&theirs.ephemeral().public_key());
            assert_bytes(&*secret, &hex(&self.ephemeral_shared_secret), &self.name);
        }
        let nonces = keccak256([hex(&recipient.nonce), hex(&initiator.nonce)].concat());
        let shared = keccak256([hex(&self.ephemeral_shared_secret), nonces.to_vec()].concat());
        assert_bytes(&shared, &hex(&self.shared_secret), &self.name);
    }

    fn derive(&self, role: Role) -> Secrets {
        Secrets::derive(
            role,
            &array(&self.ephemeral_shared_secret),
            &array(&self.initiator.nonce),
            &array(&self.responder.nonce),
            &hex(&self.auth.packet),
            &hex(&self.ack.packet),
        )
    }

    fn check_secrets(&self, role: Role, secrets: &Secrets) {
        let (egress, ingress) = match role {
            Role::Initiator => {
                (&self.initiator_egress_mac_digest, &self.initiator_ingress_mac_digest)
            }
            Role::Recipient => {
                (&self.responder_egress_mac_digest, &self.responder_ingress_mac_digest)
            }
        };
        assert_bytes(secrets.aes(), &hex(&self.aes_secret), &format!("{}: aes", self.name));
        assert_bytes(secrets.mac(), &hex(&self.mac_secret), &format!("{}: mac", self.name));
        assert_bytes(&secrets.egress_digest(), &hex(egress), &format!("{}: egress", self.name));
        let digest = secrets.ingress_digest(b"");
        assert_bytes(&digest, &hex(ingress), &format!("{}: ingress", self.name));
    }
}

#[derive(Deserialize)]
struct Side {
    static_private_key: String,
    static_public_key: String,
    ephemeral_private_key: String,
    ephemeral_public_key: String,
    nonce: String,
}

impl Side {
    fn key(&self) -> SecretKey {
        secret_key(&self.static_private_key)
    }

    fn ephemeral(&self) -> SecretKey {
        secret_key(&self.ephemeral_private_key)
    }
}

#[derive(Deserialize)]
struct Packet {
    packet: String,
    plaintext: String,
    padding_len: usize,
    ecies_private_key: String,
    ecies_iv: String,
}

impl Packet {
    fn randomness(&self, side: &Side) -> Randomness {
        Randomness {
            ephemeral: side.ephemeral(),
            nonce: array(&side.nonce),
            ecies_key: secret_key(&self.ecies_private_key),
            iv: array(&self.ecies_iv),
            padding: self.padding_len,
        }
    }

    /// `body` is how much of `plain` comes before the padding, in bytes.
    fn check_plaintext(&self, plain: &[u8], body: usize) {
        assert_bytes(plain, &hex(&self.plaintext), "plaintext");
        assert_eq!(plain.len(), body + self.padding_len, "padding");
        assert!(plain[body..].iter().all(|byte| *byte == 0), "padding is zeros");
    }
}

#[derive(Deserialize)]
struct InvalidPacket {
    name: String,
    role: String,
    packet: String,
    private_key: String,
    error: Option<String>,
    ours: Option<String>,
}

#[derive(Deserialize)]
struct PublishedFile {
    auth_packets: Vec<Published>,
    ack_packets: Vec<Published>,
    #[serde(rename = "derivation_for_Auth2_Ack2_responder_side")]
    derivation: Derivation,
    initiator_static_private_key: String,
    initiator_ephemeral_private_key: String,
    initiator_nonce: String,
    responder_static_private_key: String,
    responder_ephemeral_private_key: String,
    responder_nonce: String,
}

#[derive(Deserialize)]
struct Published {
    name: String,
    format: String,
    packet: String,
    expect: Expected,
}

impl Published {
    /// The body by today's reader, or by the older one, which today's must not stand in for.
    fn open<T, E: std::fmt::Debug>(
        &self,
        today: Result<T, E>,
        legacy: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        match &*self.format {
            "eip8" => Some(today.expect(&self.name)),
            "pre-eip8" => {
                assert!(today.is_err(), "{}: accepted by today's reader", self.name);
                let body = legacy();
                assert_eq!(body.is_some(), cfg!(feature = "legacy"), "{}", self.name);
                body
            }
            other => panic!("{}: unknown format {other}", self.name),
        }
    }

    /// The elements behind the `known` first ones, which our readers ignore.
    fn check_extra(&self, reader: &SecretKey, known: usize) {
        if self.format != "eip8" {
            return assert!(self.expect.extra_list_elements_rlp.is_empty(), "{}", self.name);
        }
        let wire = hex(&self.packet);
        let (prefix, sealed) = wire.split_at(2);
        let plain = ecies::decrypt(reader, sealed, prefix).unwrap();
        let mut content = alloy_rlp::Header::decode_bytes(&mut &plain[..], true).unwrap();
        let mut elements = Vec::new();
        while !content.is_empty() {
            let before = content;
            let header = alloy_rlp::Header::decode(&mut content).unwrap();
            content = &content[header.payload_length..];
            elements.push(const_hex::encode(&before[..before.len() - content.len()]));
        }
        assert_eq!(elements[known..], self.expect.extra_list_elements_rlp, "{}", self.name);
    }
}

#[derive(Deserialize)]
struct Expected {
    signature: Option<String>,
    initiator_public_key: Option<String>,
    responder_ephemeral_public_key: Option<String>,
    nonce: String,
    version: u64,
    extra_list_elements_rlp: Vec<String>,
}

#[derive(Deserialize)]
struct Derivation {
    aes_secret: String,
    mac_secret: String,
    egress_mac_digest: String,
    ingress_mac_digest: String,
    ingress_mac_digest_after_writing_ascii_foo: String,
}

#[derive(Deserialize)]
struct FramesFile {
    sequences: Vec<Sequence>,
    invalid: Vec<InvalidFrame>,
}

#[derive(Deserialize)]
struct Sequence {
    name: String,
    handshake: String,
    direction: String,
    snappy: bool,
    messages: Vec<FrameCase>,
}

#[derive(Deserialize)]
struct FrameCase {
    index: usize,
    code: u64,
    payload: Option<String>,
    payload_gen: PayloadGen,
    payload_len: usize,
    payload_keccak256: Option<String>,
    compressed_len: Option<usize>,
    compressed_keccak256: Option<String>,
    frame: Option<String>,
    frame_first_64: Option<String>,
    frame_last_48: Option<String>,
    frame_len: Option<usize>,
    frame_keccak256: Option<String>,
    egress_mac_digest_after: Option<String>,
    error: Option<String>,
    ours: Option<String>,
}

impl FrameCase {
    fn payload(&self, name: &str) -> Vec<u8> {
        let payload = self.payload_gen.make(self.payload_len);
        if let Some(recorded) = &self.payload {
            assert_bytes(&payload, &hex(recorded), &format!("{name}: payload"));
        }
        if let Some(hash) = &self.payload_keccak256 {
            assert_bytes(&keccak256(&payload), &hex(hash), &format!("{name}: payload's hash"));
        }
        payload
    }

    /// Whether our body is the recorded one; without compression it has to be.
    fn same_compression(&self, own: &[u8]) -> bool {
        match (self.compressed_len, &self.compressed_keccak256) {
            (Some(len), Some(hash)) => own.len() == len && keccak256(own) == array(hash),
            _ => true,
        }
    }

    fn check_wire(&self, wire: &[u8], recorded: Option<&[u8]>, name: &str) {
        if let Some(recorded) = recorded {
            assert_bytes(wire, recorded, &format!("{name}: frame"));
        }
        if let Some(first) = &self.frame_first_64 {
            assert_bytes(&wire[..64], &hex(first), &format!("{name}: first 64"));
        }
        if let Some(last) = &self.frame_last_48 {
            assert_bytes(&wire[wire.len() - 48..], &hex(last), &format!("{name}: last 48"));
        }
        assert_eq!(Some(wire.len()), self.frame_len, "{name}: frame's length");
        let hash = self.frame_keccak256.as_ref().unwrap();
        assert_bytes(&keccak256(wire), &hex(hash), &format!("{name}: frame's hash"));
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum PayloadGen {
    KeccakCounter { seed_ascii: String },
    Repeat { unit_ascii: String },
    Zero,
}

impl PayloadGen {
    fn make(&self, len: usize) -> Vec<u8> {
        match self {
            Self::KeccakCounter { seed_ascii } => (0_u64..)
                .flat_map(|n| keccak256([seed_ascii.as_bytes(), &n.to_be_bytes()].concat()))
                .take(len)
                .collect(),
            Self::Repeat { unit_ascii } => unit_ascii.bytes().cycle().take(len).collect(),
            Self::Zero => vec![0; len],
        }
    }
}

#[derive(Deserialize)]
struct InvalidFrame {
    name: String,
    handshake: String,
    snappy: bool,
    wire: String,
    code: Option<u64>,
    payload: Option<String>,
    error: Option<String>,
    ours: Option<String>,
}
