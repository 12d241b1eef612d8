//! A peer that consists of RLPx and nothing else: it says exactly what a test has it say.
//!
//! ```text
//!   BarePeer ── hello, message, body, frame, bytes ──▶ server      five depths to lie at
//!            ◀── frame, message, disconnect, end ────
//! ```
//!
//! Its frames are written by the plain codec that rlpx's own tests hold ours against, so a server
//! under test does not only understand itself.

use std::{io, net::SocketAddr, time::Duration};

use alloy_rlp::{Encodable as _, Header};
use bytes::{BufMut as _, Bytes, BytesMut};
use enode::{Enode, NodeId, PublicKey, SecretKey};
use p2p_server::{DisconnectReason, Server};
use rlpx::{
    Message, Secrets,
    frame::{Frame, Ingress, MAX_SIZE},
    handshake::{AckBody, AuthBody, Initiator, Randomness, Recipient, packet_len},
    snappy::{self, MAX_MESSAGE, Scratch},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::reference::Reference;

/// Longer than anything in these tests takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const HELLO: u64 = 0;
pub const DISCONNECT: u64 = 1;
pub const PING: u64 = 2;
pub const PONG: u64 = 3;

/// One end of a connection whose handshake is done.
pub struct BarePeer {
    pub key: SecretKey,
    /// The server's key.
    pub remote: PublicKey,
    pub stream: TcpStream,
    /// Whether [`send`](Self::send) compresses and [`recv`](Self::recv) decompresses.
    pub snappy: bool,
    writer: Reference,
    reader: Ingress,
    buffer: BytesMut,
}

impl BarePeer {
    /// Dials a server under a new key and does the handshake, no more.
    pub async fn dial(server: &Server) -> Self {
        Self::dial_as(server, SecretKey::random()).await
    }

    /// The same under a given key.
    pub async fn dial_as(server: &Server, key: SecretKey) -> Self {
        let addr = server.listen_addr().expect("a server that listens");
        Self::handshake(tcp(addr).await, server.enode().public_key(), key).await.expect("handshake")
    }

    /// Dials a server and exchanges hellos: a peer that speaks these and compresses.
    pub async fn connect(server: &Server, capabilities: &[(&str, u64)]) -> Self {
        Self::connect_as(server, SecretKey::random(), capabilities).await
    }

    /// The same under a given key.
    pub async fn connect_as(server: &Server, key: SecretKey, capabilities: &[(&str, u64)]) -> Self {
        let mut peer = Self::dial_as(server, key).await;
        peer.exchange_hellos(capabilities).await;
        peer
    }

    /// The initiator's handshake over a connection that is open already.
    pub async fn handshake(
        mut stream: TcpStream,
        remote: &PublicKey,
        key: SecretKey,
    ) -> io::Result<Self> {
        let randomness = Randomness::generate(&mut rand::rng());
        let (auth, waiting) = Initiator::new(&key, remote, randomness);
        stream.write_all(&auth).await?;
        let ack = read_packet(&mut stream).await?;
        let nonce = AckBody::open(&key, &ack).map_err(io::Error::other)?.nonce;
        let established = waiting.on_ack(&ack).map_err(io::Error::other)?;
        Ok(Self::new(key, established.remote, stream, established.secrets, nonce, &auth))
    }

    /// Takes the next connection and does the recipient's handshake, no more.
    pub async fn accept(listener: &TcpListener, key: SecretKey) -> io::Result<Self> {
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("in time")?;
        stream.set_nodelay(true)?;
        let auth = read_packet(&mut stream).await?;
        let nonce = AuthBody::open(&key, &auth).map_err(io::Error::other)?.nonce;
        let randomness = Randomness::generate(&mut rand::rng());
        let (ack, established) =
            Recipient::new(&key).on_auth(&auth, randomness).map_err(io::Error::other)?;
        stream.write_all(&ack).await?;
        Ok(Self::new(key, established.remote, stream, established.secrets, nonce, &ack))
    }

    fn new(
        key: SecretKey,
        remote: PublicKey,
        stream: TcpStream,
        secrets: Secrets,
        their_nonce: [u8; 32],
        our_packet: &[u8],
    ) -> Self {
        let seed: Vec<u8> = secrets.mac().iter().zip(&their_nonce).map(|(a, b)| a ^ b).collect();
        let writer = Reference::new(secrets.aes(), secrets.mac(), &[&seed, our_packet].concat());
        let mut reader = secrets.into_halves().1;
        reader.set_max_frame(MAX_SIZE);
        Self { key, remote, stream, snappy: false, writer, reader, buffer: BytesMut::new() }
    }

    pub fn id(&self) -> NodeId {
        self.key.public_key().node_id()
    }

    /// Says a usual hello and reads the other; from then on both sides compress.
    pub async fn exchange_hellos(&mut self, capabilities: &[(&str, u64)]) -> Message {
        let hello = BareHello::new(&self.key, capabilities);
        self.send(HELLO, &hello.encode()).await;
        let theirs = self.recv().await.expect("a hello");
        assert_eq!(theirs.code, HELLO, "not a hello: {:02x?}", theirs.payload);
        self.snappy = true;
        theirs
    }

    /// Sends a message, compressed if compression is on.
    pub async fn send(&mut self, code: u64, payload: &[u8]) {
        let frame = self.seal(code, payload);
        self.send_bytes(&frame).await;
    }

    /// Sends a value, RLP-encoded, as a message.
    pub async fn send_value(&mut self, code: u64, value: impl alloy_rlp::Encodable) {
        self.send(code, &alloy_rlp::encode(value)).await;
    }

    /// Sends a code and what follows it as it stands, compressed or not.
    pub async fn send_body(&mut self, code: u64, body: &[u8]) {
        let frame = self.writer.message(code, body);
        self.send_bytes(&frame).await;
    }

    /// Sends a genuine frame with any content, code included, and any header data.
    pub async fn send_frame(&mut self, header_data: &[u8], content: &[u8]) {
        let frame = self.writer.frame(header_data, content);
        self.send_bytes(&frame).await;
    }

    /// Writes bytes that are no frame at all.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send_bytes(bytes).await.expect("the connection is open");
    }

    /// The same where the server may have closed already.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("in time")
    }

    /// The frame of a message, for sending in pieces, together or spoilt. Takes its place in the
    /// order of frames now.
    pub fn seal(&mut self, code: u64, payload: &[u8]) -> Vec<u8> {
        if !self.snappy {
            return self.writer.message(code, payload);
        }
        let mut scratch = Scratch::new();
        let body = snappy::compress(payload, &mut scratch).expect("fits");
        self.writer.message(code, body)
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn recv_frame(&mut self) -> io::Result<Option<Frame>> {
        timeout(PATIENCE, self.next_frame()).await.expect("in time")
    }

    async fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.reader.next(&mut self.buffer).expect("genuine frames") {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                assert!(self.buffer.is_empty(), "ended within a frame");
                return Ok(None);
            }
        }
    }

    /// The next message, pings and pongs included; `None` at the end of the connection.
    pub async fn recv(&mut self) -> Option<Message> {
        let frame = self.recv_frame().await.expect("the connection is open")?;
        Some(frame.into_message(self.snappy, MAX_MESSAGE).expect("compressed as agreed"))
    }

    /// The next message, which must have this code.
    pub async fn expect(&mut self, code: u64) -> Bytes {
        let message = self.recv().await.expect("a message and not the end");
        assert_eq!(message.code, code, "{:02x?}", message.payload);
        message.payload
    }

    /// Reads to a disconnect, over messages of protocols, and then to the end of the connection,
    /// which must be an orderly one, and hangs up too. The disconnect must be in the form that every
    /// client reads.
    pub async fn expect_disconnect(&mut self) -> DisconnectReason {
        loop {
            let message = self.recv().await.expect("a disconnect before the end");
            if message.code == DISCONNECT {
                let reasons = alloy_rlp::decode_exact::<Vec<u64>>(&message.payload);
                let [reason] = reasons.expect("a list")[..] else { panic!("{message:?}") };
                let reason = u8::try_from(reason).expect("a reason");
                self.expect_end().await;
                self.hang_up().await;
                return DisconnectReason::from_code(reason);
            }
            assert_ne!(message.code, HELLO, "a hello in the middle");
        }
    }

    /// The connection ends here, without another message.
    pub async fn expect_end(&mut self) {
        let frame = self.recv_frame().await.expect("an orderly end");
        assert!(frame.is_none(), "{frame:?}");
    }

    /// The connection ends here without another message; a reset is an end too.
    pub async fn expect_end_or_reset(&mut self) {
        if let Ok(Some(frame)) = self.recv_frame().await {
            panic!("{frame:?}");
        }
    }

    /// Closes our direction; the server waits a moment for this after its disconnect.
    pub async fn hang_up(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Says a disconnect in the usual form.
    pub async fn send_disconnect(&mut self, reason: DisconnectReason) {
        self.send(DISCONNECT, &disconnect(reason)).await;
    }
}

/// A hello, right or wrong.
#[derive(Debug, Clone)]
pub struct BareHello {
    pub version: u64,
    pub client: Vec<u8>,
    pub capabilities: Vec<(Vec<u8>, u64)>,
    pub listen_port: u64,
    pub id: Vec<u8>,
    /// RLP that follows the fifth field.
    pub extra: Vec<u8>,
}

impl BareHello {
    /// What a right peer says.
    pub fn new(key: &SecretKey, capabilities: &[(&str, u64)]) -> Self {
        let capabilities = capabilities.iter().map(|(name, v)| (name.as_bytes().to_vec(), *v));
        Self {
            version: 5,
            client: b"bare/v1".to_vec(),
            capabilities: capabilities.collect(),
            listen_port: 0,
            id: key.public_key().to_bytes().to_vec(),
            extra: Vec::new(),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut capabilities = Vec::new();
        for (name, version) in &self.capabilities {
            let mut pair = Vec::new();
            name[..].encode(&mut pair);
            version.encode(&mut pair);
            capabilities.extend(list(&pair));
        }
        let mut fields = Vec::new();
        self.version.encode(&mut fields);
        self.client[..].encode(&mut fields);
        fields.extend(list(&capabilities));
        self.listen_port.encode(&mut fields);
        self.id[..].encode(&mut fields);
        fields.extend(&self.extra);
        list(&fields)
    }
}

/// An RLP list of what is encoded already.
pub fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { list: true, payload_length: items.len() }.encode(&mut out);
    out.put_slice(items);
    out
}

/// The payload of a disconnect in its usual form.
pub fn disconnect(reason: DisconnectReason) -> Vec<u8> {
    list(&alloy_rlp::encode(reason.code()))
}

/// A TCP connection.
pub async fn tcp(addr: SocketAddr) -> TcpStream {
    let stream = timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("open");
    stream.set_nodelay(true).expect("a living socket");
    stream
}

/// A listener on a free port, and the URL under which the holder of `key` is dialed there.
pub async fn listener(key: &SecretKey) -> (TcpListener, Enode) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, Enode::new(key.public_key(), addr.ip(), addr.port(), 0))
}

async fn read_packet(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).await?;
    let mut packet = vec![0; packet_len(prefix).map_err(io::Error::other)?];
    packet[..2].copy_from_slice(&prefix);
    stream.read_exact(&mut packet[2..]).await?;
    Ok(packet)
}
