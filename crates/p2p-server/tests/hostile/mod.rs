//! A peer that does what no honest one does: stalls, floods, lies, and stops in the middle of a word.
//!
//! ```text
//!   Hostile ── over any Link: the in-memory network on a paused clock, or a real socket
//!     │ frame, message    bytes of a genuine frame, to be sent whole, in part, or never
//!     │ write, send       as far as the server takes them
//!     └ next, reason      what the server says
//! ```

#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, missing_debug_implementations, reason = "a test may fail")]

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use alloy_rlp::{Encodable as _, Header};
use bytes::{BufMut as _, Bytes, BytesMut};
use enode::{NodeId, PublicKey, SecretKey};
use p2p_server::{
    Capability, DisconnectReason, Link, MsgChannel, Peer, PeerEvent, PeerEvents, Protocol,
    ProtocolError, Server, Transport as _, protocol_fn,
    test_utils::{Net, introduced_keys},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rlpx::{
    Message, Role,
    frame::{Egress, Ingress, MAX_SIZE},
    handshake::{Initiator, Randomness, packet_len},
    snappy::{self, Scratch},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    runtime::Handle,
    task::yield_now,
    time::{Instant, timeout},
};

pub const HELLO: u64 = 0;
pub const DISCONNECT: u64 = 1;
pub const PING: u64 = 2;
pub const PONG: u64 = 3;
/// The first code of the only protocol.
pub const FOO: u64 = 16;
/// The payload of pings and pongs.
pub const EMPTY: &[u8] = &[0xc0];

/// A host of a private network, whose misbehaviour is counted and never refused.
pub const NEIGHBOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 1));
/// A host of the Internet.
pub const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 216, 34));

/// A key and its public key.
pub type KeyPair = (SecretKey, PublicKey);

/// One end of a connection whose handshake is done.
pub struct Hostile {
    pub key: SecretKey,
    /// The same; it takes a while to find.
    pub public: PublicKey,
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    egress: Egress,
    ingress: Ingress,
    buffer: BytesMut,
    /// Whether both sides compress by now.
    pub snappy: bool,
}

impl Hostile {
    /// Shakes hands over an open connection.
    pub async fn over(link: Link, server: &Server, key: SecretKey) -> io::Result<Self> {
        let Link { mut reader, mut writer, .. } = link;
        let randomness = Randomness::generate(&mut rand::rng());
        let enode = server.enode();
        let (auth, waiting) = Initiator::new(&key, enode.public_key(), randomness);
        writer.write_all(&auth).await?;
        let ack = read_packet(&mut reader).await?;
        let established = waiting.on_ack(&ack).map_err(io::Error::other)?;
        let (egress, mut ingress) = established.secrets.into_halves();
        ingress.set_max_frame(MAX_SIZE);
        let buffer = BytesMut::new();
        let public = key.public_key();
        Ok(Self { key, public, reader, writer, egress, ingress, buffer, snappy: false })
    }

    /// One that needs no handshake: its end of a connection that the server was introduced to.
    pub fn introduced(net: &Net, from: IpAddr, server: &Server, key: &KeyPair) -> Self {
        let (key, public) = key.clone();
        let link = net.introduce(from, server, public).expect("the server listens");
        let (egress, mut ingress) = introduced_keys(Role::Initiator).into_halves();
        ingress.set_max_frame(MAX_SIZE);
        let Link { reader, writer, .. } = link;
        let buffer = BytesMut::new();
        Self { key, public, reader, writer, egress, ingress, buffer, snappy: false }
    }

    /// Dials under a new key and shakes hands, no more.
    pub async fn dial(net: &Net, from: IpAddr, server: &Server) -> Self {
        let link = open(net, from, server).await;
        Self::over(link, server, SecretKey::random()).await.expect("handshake")
    }

    /// The same and hellos too: a peer that offers these, and compresses.
    pub async fn connect(net: &Net, from: IpAddr, server: &Server, offers: &[&str]) -> Self {
        let mut peer = Self::dial(net, from, server).await;
        peer.become_peer(server, offers).await;
        peer
    }

    /// Exchanges hellos and waits until the server, which is in this process, has read ours.
    pub async fn become_peer(&mut self, server: &Server, offers: &[&str]) {
        self.greet(offers).await;
        let id = self.id();
        // It needs a moment, which takes no time in memory.
        for _ in 0..100 {
            if server.peer(id).is_some() {
                break;
            }
            yield_now().await;
        }
    }

    /// Exchanges hellos over an open connection.
    pub async fn greet(&mut self, offers: &[&str]) {
        let hello = hello_from(&self.public, offers);
        self.send(HELLO, &hello).await.expect("open");
        let answer = self.next().await.expect("a hello");
        assert_eq!(answer.code, HELLO, "{:02x?}", answer.payload);
        self.snappy = true;
    }

    pub fn id(&self) -> NodeId {
        self.public.node_id()
    }

    /// The frame of a message, compressed if compression is on.
    pub fn message(&mut self, code: u64, payload: &[u8]) -> Vec<u8> {
        if !self.snappy {
            return self.frame(code, payload);
        }
        let mut scratch = Scratch::new();
        let body = snappy::compress(payload, &mut scratch).expect("fits").to_vec();
        self.frame(code, &body)
    }

    /// A genuine frame with this body as it stands.
    pub fn frame(&mut self, code: u64, body: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.egress.frame(code, body, &mut out).expect("fits");
        out.to_vec()
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub async fn send(&mut self, code: u64, payload: &[u8]) -> io::Result<()> {
        let frame = self.message(code, payload);
        self.write(&frame).await
    }

    /// Writes as much as is taken at once; returns how many bytes those were.
    pub async fn write_what_fits(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match timeout(Duration::from_millis(1), self.writer.write(&bytes[written..])).await {
                Ok(Ok(some)) if some > 0 => written += some,
                _ => break,
            }
        }
        written
    }

    /// The next message, pings and pongs included; `None` at the end, orderly or not.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.ingress.next(&mut self.buffer).expect("genuine frames") {
                // A disconnect may come before the server knows that we compress.
                let (code, body) = (frame.code, frame.body.clone().freeze());
                let message = frame.into_message(self.snappy, snappy::MAX_MESSAGE);
                // From the server's hello on it may compress, also an answer that refuses ours.
                self.snappy |= code == HELLO;
                return Some(message.unwrap_or_else(|_| Message::new(code, body)));
            }
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(read) if read > 0 => {}
                _ => return None,
            }
        }
    }

    /// Reads to the end; returns the reason that was said on the way, if one was.
    pub async fn reason(&mut self) -> Option<DisconnectReason> {
        let mut reason = None;
        while let Some(message) = self.next().await {
            if message.code == DISCONNECT {
                // Compressed or not, as both hellos had been read or not.
                let list = snappy::decompress(&message.payload, 100).unwrap_or(message.payload);
                let codes: Vec<u8> = alloy_rlp::decode_exact(list).expect("a list with the reason");
                reason = codes.first().map(|code| DisconnectReason::from_code(*code));
            }
        }
        reason
    }

    /// Gives back what reading large messages has grown.
    pub fn forget_buffer(&mut self) {
        self.buffer = BytesMut::from(&self.buffer[..]);
    }

    /// Answers pings and passes over everything else until the end or the time is over; says
    /// whether the end came.
    pub async fn behave(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while let Ok(message) = tokio::time::timeout_at(deadline, self.next()).await {
            match message.map(|message| message.code) {
                None | Some(DISCONNECT) => return true,
                Some(PING) => drop(self.send(PONG, EMPTY).await),
                Some(_) => {}
            }
        }
        false
    }
}

/// A connection to the server's listener over which nothing was said yet.
pub async fn open(net: &Net, from: IpAddr, server: &Server) -> Link {
    try_open(net, from, server).await.expect("the server listens")
}

/// The same where the server may have too much to do.
pub async fn try_open(net: &Net, from: IpAddr, server: &Server) -> io::Result<Link> {
    net.transport(from).dial(address(server)).await
}

pub fn address(server: &Server) -> SocketAddr {
    server.listen_addr().expect("a server that listens")
}

/// What a right peer says first.
pub fn hello(key: &SecretKey, offers: &[&str]) -> Bytes {
    hello_from(&key.public_key(), offers)
}

/// The same where the public key is known.
pub fn hello_from(key: &PublicKey, offers: &[&str]) -> Bytes {
    let offers: Vec<_> = offers.iter().map(|name| (name.as_bytes().to_vec(), 42)).collect();
    encode_hello(key, b"hostile/v1", &offers)
}

/// A hello with any name and offers.
pub fn hello_of(key: &SecretKey, client: &[u8], offers: &[(Vec<u8>, u64)]) -> Bytes {
    encode_hello(&key.public_key(), client, offers)
}

fn encode_hello(key: &PublicKey, client: &[u8], offers: &[(Vec<u8>, u64)]) -> Bytes {
    let mut capabilities = Vec::new();
    for (name, version) in offers {
        let mut pair = Vec::new();
        name[..].encode(&mut pair);
        version.encode(&mut pair);
        capabilities.extend(list(&pair));
    }
    let mut fields = Vec::new();
    5_u64.encode(&mut fields);
    client.encode(&mut fields);
    fields.extend(list(&capabilities));
    0_u64.encode(&mut fields);
    key.to_bytes()[..].encode(&mut fields);
    list(&fields).into()
}

/// An RLP list of what is encoded already.
pub fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { list: true, payload_length: items.len() }.encode(&mut out);
    out.put_slice(items);
    out
}

/// The protocol `foo/42` with four codes and this body.
pub fn foo<F, R>(body: F) -> impl Protocol
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    protocol_fn(Capability::new("foo", 42), 4, body)
}

/// A body that reads until the connection ends.
pub async fn idle(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    while messages.recv().await.is_ok() {}
    Ok(())
}

/// A body that takes no message and leaves when the connection ends.
pub async fn deaf(_: Peer, messages: MsgChannel) -> Result<(), ProtocolError> {
    while !messages.sender().is_closed() {
        pass(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// A server of the network with the protocol `foo/42` that reads everything.
pub async fn server(net: &Net) -> Server {
    net.server("victim").protocol(foo(idle)).start().await.expect("starts")
}

/// Bytes that do not compress.
pub fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(size as u64).fill(&mut bytes[..]);
    bytes
}

/// Lets this much time pass. On the paused clock this takes none.
pub async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

/// The next event about a peer's coming or going.
pub async fn next_event(events: &mut PeerEvents) -> PeerEvent {
    timeout(Duration::from_secs(600), events.next()).await.expect("in time").expect("running")
}

/// Passes over events until `id` is gone, and returns why.
pub async fn dropped(events: &mut PeerEvents, id: NodeId) -> String {
    loop {
        if let PeerEvent::Dropped { peer, error, .. } = next_event(events).await
            && peer == id
        {
            return error;
        }
    }
}

/// How many tasks this runtime has. Each test has a runtime of its own.
pub fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until there are this many tasks again.
pub async fn settles_at(net: &Net, baseline: usize) {
    let settled =
        net.drive_until(Duration::from_secs(60), "tasks at baseline", || tasks() == baseline);
    settled.await.unwrap_or_else(|error| panic!("{error}: {} instead of {baseline}", tasks()));
}

async fn read_packet<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 2];
    reader.read_exact(&mut prefix).await?;
    let mut packet = vec![0; packet_len(prefix).map_err(io::Error::other)?];
    packet[..2].copy_from_slice(&prefix);
    reader.read_exact(&mut packet[2..]).await?;
    Ok(packet)
}
