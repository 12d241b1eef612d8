//! `p2p_conversations.json`: what went over the wire between a plain client, whose secrets are
//! known, and running nodes.
//!
//! The client's side is ours here: its frames must come out of our encoders byte for byte, and the
//! node's frames must be read to the recorded messages. What the node did with what it read is
//! told by the file and not ours to repeat.

use bytes::BytesMut;
use enode::{PublicKey, SecretKey};
use p2p_server::vector_hooks::{
    HelloFields, decode_hello, encode_disconnect, encode_hello, read_disconnect,
};
use rlpx::{
    FrameError, Message, Role, Secrets,
    frame::{Ingress, MAX_SIZE},
    handshake::AckBody,
    snappy::{self, Scratch},
    stream::Writer,
};
use serde::Deserialize;
use tokio::io::{Sink, sink};

use super::{hex, load, texts};

#[test]
fn recorded_conversations_are_written_and_read_byte_for_byte() {
    for conversation in load::<File>("p2p_conversations.json").conversations {
        let mut replay = Replay::start(&conversation);
        for (index, event) in conversation.events.iter().enumerate() {
            let context = format!("{}, event {index}", conversation.name);
            match &*event.direction {
                "sent" => replay.send(event, &context),
                "received" => replay.receive(event, &context),
                other => panic!("{context}: {other}"),
            }
        }
    }
}

/// The client's side of a conversation.
struct Replay {
    writer: Writer<Sink>,
    reader: Ingress,
    /// What came and was not read yet.
    buffer: BytesMut,
    client: PublicKey,
    node: PublicKey,
    /// The hellos that have crossed: the client's, the node's.
    hellos: [Option<HelloFields>; 2],
}

impl Replay {
    fn start(case: &Conversation) -> Self {
        let key = |digits: &str| SecretKey::from_hex(digits).unwrap();
        let public_key = |digits: &str| PublicKey::from_bytes(&hex(digits)).unwrap();
        let client = key(&case.initiator_static_private_key);
        let (auth, ack) = (hex(&case.auth), hex(&case.ack));
        let nonce: [u8; 32] = hex(&case.initiator_nonce).try_into().unwrap();
        let ephemeral = key(&case.initiator_ephemeral_private_key);

        let answer = AckBody::open(&client, &ack).unwrap();
        assert_eq!(answer.nonce[..], hex(&case.responder_nonce), "{}", case.name);
        let recorded = public_key(&case.responder_ephemeral_public_key);
        assert_eq!(answer.ephemeral, recorded, "{}", case.name);
        let secrets =
            Secrets::from_packets(Role::Initiator, &client, &ephemeral, &nonce, &auth, &ack)
                .unwrap();
        assert_eq!(secrets.aes()[..], hex(&case.aes_secret), "{}", case.name);
        assert_eq!(secrets.mac()[..], hex(&case.mac_secret), "{}", case.name);

        let (egress, mut reader) = secrets.into_halves();
        reader.set_max_frame(MAX_SIZE);
        Self {
            writer: Writer::new(sink(), egress),
            reader,
            buffer: BytesMut::new(),
            client: client.public_key(),
            node: public_key(&case.responder_static_public_key),
            hellos: [None, None],
        }
    }

    fn send(&mut self, event: &Event, context: &str) {
        let message = event.message(context);
        self.writer.set_snappy(self.compressed());

        let before = self.writer.pending().len();
        self.writer.push(message.code, &message.payload, &mut Scratch::new()).unwrap();

        let (ours, recorded) = (&self.writer.pending()[before..], event.frame());
        // A write that failed has brought out the beginning of the frame.
        let written =
            if event.error.is_some() { recorded.len().min(ours.len()) } else { ours.len() };
        assert_eq!(ours[..written], recorded, "{context}: frame");
        self.understand(0, &message, context);
    }

    fn receive(&mut self, event: &Event, context: &str) {
        self.buffer.extend_from_slice(&event.frame());
        if event.payload.is_none() {
            // The connection has ended, between two frames or within one.
            let rest = self.reader.next(&mut self.buffer);
            assert!(event.end.is_some(), "{context}: neither message nor end");
            assert!(matches!(rest, Ok(None) | Err(FrameError::Terminated)), "{context}: {rest:?}");
            return;
        }
        let recorded = event.message(context);

        let frame = self.reader.next(&mut self.buffer).unwrap().expect(context);
        let got = frame.into_message(self.compressed(), snappy::MAX_MESSAGE).unwrap();

        assert_eq!(got.code, recorded.code, "{context}: code");
        assert_eq!(got.payload, recorded.payload, "{context}: payload");
        assert!(self.buffer.is_empty(), "{context}: bytes behind the frame");
        self.understand(1, &got, context);
        if let Some(decoded) = &event.decoded {
            decoded.check(&decode_hello(&got.payload).unwrap(), context);
        }
    }

    /// Whether payloads are compressed now. The node decides for both directions, by the version
    /// in the client's hello, and not before it has read that; until its own hello has come it
    /// may have refused the client unread.
    fn compressed(&self) -> bool {
        match &self.hellos {
            [Some(client), Some(_)] => client.version >= 5,
            _ => false,
        }
    }

    /// What the base protocol says must mean something to us too, and come out of our encoders.
    fn understand(&mut self, side: usize, message: &Message, context: &str) {
        match message.code {
            // A hello in the middle of a conversation is nothing and may look like anything.
            0 if self.hellos[side].is_none() => {
                let hello = decode_hello(&message.payload).unwrap();
                assert_eq!(encode_hello(hello.clone()), message.payload, "{context}");
                assert_eq!(hello.key[..], [self.client, self.node][side].to_bytes(), "{context}");
                self.hellos[side] = Some(hello);
            }
            1 => {
                let reason = read_disconnect(&message.payload, false);
                assert_eq!(encode_disconnect(reason), message.payload, "{context}");
            }
            _ => {}
        }
    }
}

#[derive(Deserialize)]
struct File {
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    name: String,
    auth: String,
    ack: String,
    initiator_static_private_key: String,
    initiator_ephemeral_private_key: String,
    initiator_nonce: String,
    responder_static_public_key: String,
    responder_ephemeral_public_key: String,
    responder_nonce: String,
    aes_secret: String,
    mac_secret: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    direction: String,
    code: Option<u64>,
    frame: Option<String>,
    payload: Option<String>,
    decoded: Option<Decoded>,
    /// The write failed.
    error: Option<String>,
    /// Reading has ended.
    end: Option<String>,
}

impl Event {
    fn message(&self, context: &str) -> Message {
        let payload = self.payload.as_deref().expect(context);
        Message::new(self.code.expect(context), hex(payload))
    }

    fn frame(&self) -> Vec<u8> {
        self.frame.as_deref().map(hex).unwrap_or_default()
    }
}

/// The file's own reading of a hello.
#[derive(Deserialize)]
struct Decoded {
    version: u64,
    name: String,
    caps: Vec<String>,
    listen_port: u64,
    id: String,
}

impl Decoded {
    fn check(&self, hello: &HelloFields, context: &str) {
        assert_eq!(hello.version, self.version, "{context}");
        assert_eq!(hello.client, self.name, "{context}");
        assert_eq!(texts(hello), self.caps, "{context}");
        assert_eq!(hello.listen_port, self.listen_port, "{context}");
        assert_eq!(hello.key[..], hex(&self.id), "{context}");
    }
}
