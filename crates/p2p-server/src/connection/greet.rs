//! From the first byte to both hellos.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use enode::PublicKey;
use rlpx::{
    HandshakeError,
    frame::Frame,
    handshake::Randomness,
    snappy,
    stream::{self, Handshaken, Reader, Writer},
};
use tokio::time::{Instant, timeout_at};

use super::{AnyReader, AnyWriter, Connection, Failure, Origin, close_writing};
use crate::{
    DialStage, Direction, DisconnectReason, TapKind,
    base::{self, AwaitHello, FirstMessageError, Hello},
    reputation::Offence,
    session::{Linger, Running, TapOf},
    transport::Link,
};

/// A connection after handshake and hellos.
pub(super) struct Greeted {
    pub(super) key: PublicKey,
    pub(super) hello: Hello,
    pub(super) reader: Reader<AnyReader>,
    pub(super) writer: Writer<AnyWriter>,
    pub(super) protocols: Vec<Running>,
}

impl Connection {
    /// Handshake and hellos, within ten seconds in all (L-02).
    pub(super) async fn greet(&self, link: Link) -> Result<Greeted, Failure> {
        let began = Instant::now();
        let deadline = began + self.shared.config.handshake_timeout;
        let remote = link.remote.ip();
        let handshake = self.handshake(link, deadline.min(Instant::now() + HANDSHAKE));
        let handshaken = tokio::select! {
            biased;
            () = self.shared.intake.cancelled() => {
                return Err(Failure::given_up(DialStage::Handshake, "closed by this node"));
            }
            handshaken = handshake => handshaken?,
        };
        let greeted = timeout_at(deadline, self.exchange_hellos(handshaken, remote))
            .await
            .unwrap_or_else(|_| Err(timed_out(DialStage::Hello)))?;
        let direction = Direction::of_peer(self.inbound());
        self.shared.config.watch.tell(|observer| observer.handshake(direction, began.elapsed()));
        Ok(greeted)
    }

    async fn handshake(
        &self,
        link: Link,
        deadline: Instant,
    ) -> Result<Handshaken<AnyReader, AnyWriter>, Failure> {
        let key = &self.shared.config.key;
        let randomness = Randomness::generate(&mut *self.shared.rng());
        let handshake = async {
            match &self.origin {
                Origin::Accepted => stream::accept(link.reader, link.writer, key, randomness).await,
                Origin::Dialed(task) => {
                    let remote = task.node.public_key();
                    stream::connect(link.reader, link.writer, key, remote, randomness).await
                }
                #[cfg(feature = "test-utils")]
                Origin::Introduced(remote) => {
                    Ok(crate::test_utils::introduced(*remote, link.reader, link.writer))
                }
            }
        };
        let result = timeout_at(deadline, handshake).await.unwrap_or(Err(HandshakeError::Timeout));
        let handshaken = result.map_err(|error| {
            let bad = error.is_bad_packet();
            let silent = matches!(error, HandshakeError::Timeout | HandshakeError::UnexpectedEof);
            let failure = Failure::new(DialStage::Handshake, text_with_causes(&error));
            match (bad, silent) {
                (true, _) if self.inbound() => failure.offence(Offence::BadAuth),
                (true, _) => failure.offence(Offence::BadAck),
                // An address that we dialed and that says nothing has done nothing: anybody can
                // name it in a made-up node.
                (_, true) if self.inbound() => failure.offence(Offence::HandshakeTimeout),
                _ => failure,
            }
        })?;
        if self.inbound() {
            self.shared.core().pending.on_authenticated(self.conn.0);
        }
        self.show_packets(&handshaken);
        Ok(handshaken)
    }

    fn show_packets(&self, handshaken: &Handshaken<AnyReader, AnyWriter>) {
        if let Some(tap) = self.tap(handshaken.remote.node_id()) {
            let inbound = self.inbound();
            tap.show(!inbound, TapKind::Auth, handshaken.auth.clone());
            tap.show(inbound, TapKind::Ack, handshaken.ack.clone());
        }
    }

    async fn exchange_hellos(
        &self,
        handshaken: Handshaken<AnyReader, AnyWriter>,
        remote: IpAddr,
    ) -> Result<Greeted, Failure> {
        let Handshaken { remote: key, mut reader, mut writer, .. } = handshaken;
        let id = key.node_id();
        let tap = self.tap(id);
        let tap = tap.as_ref();
        reader.set_max_frame(MAX_FIRST_FRAME);
        reader.keep_wire(tap.is_some());
        if let Err(reason) = self.shared.check(id, self.inbound(), remote) {
            self.say_goodbye(&mut reader, &mut writer, tap, reason).await;
            return Err(Failure::said(DialStage::Admission, reason));
        }
        let offered = self.shared.offered();
        push(&mut writer, tap, base::HELLO, self.shared.hello(&offered));
        let first = tokio::select! {
            biased;
            () = self.shared.intake.cancelled() => Err(Refused::quitting()),
            first = self.first_message(&mut reader, &mut writer, key, tap) => first,
        };
        let hello = match first {
            Ok(hello) => hello,
            Err(refused) => {
                if let Some(reason) = refused.reason_to_send {
                    writer.set_snappy(refused.answer_is_compressed);
                    self.say_goodbye(&mut reader, &mut writer, tap, reason).await;
                }
                return Err(refused.failure);
            }
        };
        let compressed = hello.version >= base::SNAPPY_VERSION;
        reader.set_max_frame(snappy::MAX_MESSAGE);
        reader.set_snappy(compressed);
        writer.set_snappy(compressed);
        match self.shared.matching(&offered, &hello.capabilities) {
            Some(protocols) => Ok(Greeted { key, hello, reader, writer, protocols }),
            None => {
                let reason = DisconnectReason::UselessPeer;
                self.say_goodbye(&mut reader, &mut writer, tap, reason).await;
                Err(Failure::said(DialStage::Hello, reason))
            }
        }
    }

    /// Writes our hello and reads the first message at the same time. What was read counts before a
    /// failed write, so that a peer's reason is reported and not the broken pipe that follows it.
    async fn first_message(
        &self,
        reader: &mut Reader<AnyReader>,
        writer: &mut Writer<AnyWriter>,
        key: PublicKey,
        tap: Option<&TapOf>,
    ) -> Result<Hello, Refused> {
        let mut written = false;
        let mut write_error = None;
        let frame = {
            let read = read_frame(reader);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    biased;
                    frame = &mut read => break frame?,
                    result = writer.flush(), if !written => {
                        written = true;
                        write_error = result.err();
                    }
                }
            }
        };
        if let Some(tap) = tap {
            let payload = Bytes::copy_from_slice(&frame.body);
            tap.frame(false, frame.code, payload, frame.wire.unwrap_or_default());
        }
        let hello = AwaitHello::new(key).on_message(frame.code, &frame.body)?;
        if !written {
            write_error = writer.flush().await.err();
        }
        match write_error {
            Some(error) => Err(Failure::new(DialStage::Hello, error).into()),
            None => Ok(hello),
        }
    }

    /// Sends a disconnect, uncompressed as long as compression was not agreed on, and gives the
    /// other side a moment to read it.
    pub(super) async fn say_goodbye(
        &self,
        reader: &mut Reader<AnyReader>,
        writer: &mut Writer<AnyWriter>,
        tap: Option<&TapOf>,
        reason: DisconnectReason,
    ) {
        push(writer, tap, base::DISCONNECT, base::encode_disconnect(reason));
        close_writing(writer, Instant::now() + GOODBYE).await;
        Linger::wait(reader, GOODBYE).await;
    }
}

/// Reads one whole frame.
async fn read_frame(reader: &mut Reader<AnyReader>) -> Result<Frame, Refused> {
    loop {
        match reader.try_frame() {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(error) => {
                let offence = Offence::BadFirstFrame;
                let text = text_with_causes(&error);
                return Err(Failure::new(DialStage::Hello, text).offence(offence).into());
            }
        }
        match reader.fill().await {
            Ok(0) => {
                let failure = Failure::new(DialStage::Hello, "EOF");
                return Err(failure.into());
            }
            Ok(_) => {}
            Err(error) => return Err(Failure::new(DialStage::Hello, error).into()),
        }
    }
}

/// Puts one uncompressed message of the base protocol into the writer's buffer.
fn push(writer: &mut Writer<AnyWriter>, tap: Option<&TapOf>, code: u64, payload: Bytes) {
    let before = writer.pending().len();
    let mut scratch = snappy::Scratch::new();
    // Hello and disconnect are far below every limit of a frame.
    if writer.push(code, &payload, &mut scratch).is_ok()
        && let Some(tap) = tap
    {
        let wire = writer.pending().get(before..).unwrap_or_default();
        tap.frame(true, code, payload, Bytes::copy_from_slice(wire));
    }
}

/// Why the first message did not do, and what to say about it.
struct Refused {
    failure: Failure,
    reason_to_send: Option<DisconnectReason>,
    answer_is_compressed: bool,
}

impl Refused {
    /// The server lets nobody in any more.
    fn quitting() -> Self {
        let reason = DisconnectReason::Quitting;
        let failure = Failure::said(DialStage::Hello, reason);
        Self { failure, reason_to_send: Some(reason), answer_is_compressed: false }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, reason_to_send: None, answer_is_compressed: false }
    }
}

impl From<FirstMessageError> for Refused {
    fn from(error: FirstMessageError) -> Self {
        let reason_to_send = error.disconnect_reason();
        let mut failure = Failure::new(DialStage::Hello, &error);
        failure.offence = match &error {
            FirstMessageError::Disconnected(_) => None,
            FirstMessageError::TooBig => Some(Offence::BadFirstFrame),
            FirstMessageError::UnexpectedIdentity { .. } => Some(Offence::UnexpectedIdentity),
            FirstMessageError::NotHello { .. }
            | FirstMessageError::Malformed { .. }
            | FirstMessageError::InvalidIdentity { .. } => Some(Offence::BadHello),
        };
        failure.reason = match &error {
            FirstMessageError::Disconnected(reason) => Some(*reason),
            _ => reason_to_send,
        };
        Self { failure, reason_to_send, answer_is_compressed: error.answer_is_compressed() }
    }
}

fn timed_out(stage: DialStage) -> Failure {
    Failure::new(stage, "timeout").offence(Offence::HandshakeTimeout)
}

/// An error's text with those of its causes: `undecryptable packet: invalid message`.
fn text_with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Auth and ack together, a part of the whole (L-02).
///
/// Source: ethereum/go-ethereum:p2p/transport.go, `handshakeTimeout`.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a disconnect during set-up may take, and the other side to close after it.
const GOODBYE: Duration = Duration::from_secs(1);
/// The largest first frame: 2,048 bytes of payload and the longest code (M-01).
const MAX_FIRST_FRAME: usize = base::MAX_FIRST_MESSAGE + 9;
