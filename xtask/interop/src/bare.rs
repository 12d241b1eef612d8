//! One RLPx connection of ours without a server above it.
//!
//! A server never says what these scenarios need said: a Hello with another's key, a Disconnect in a
//! form of 2022, a Ping at will. Handshake and frames are those of the `rlpx` crate; what goes into
//! the frames is written here by hand.
//!
//! ```text
//!   scenario ─▶ Hello, Ping, Disconnect ─▶ rlpx::stream ─▶ TCP ─▶ foreign server
//! ```

use std::{fmt, time::Duration};

use alloy_rlp::{Decodable as _, RlpEncodable};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use enode::{Enode, PublicKey, SecretKey};
use rlpx::{
    frame::{Frame, MAX_SIZE},
    handshake::Randomness,
    snappy::{self, Scratch},
    stream::{Reader, Writer, accept, connect},
};
use tokio::{
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::{foo, foreign::ForeignPeer, scenario::Dialer};

/// Code of a Ping.
pub(crate) const PING: u64 = 0x02;
/// Code of a Pong.
pub(crate) const PONG: u64 = 0x03;

/// Who the connection is, and who its Hello says it is.
#[derive(Debug)]
pub(crate) struct Identity {
    key: SecretKey,
    claimed: PublicKey,
    capabilities: Vec<WireCapability>,
}

impl Identity {
    /// A fresh key, a truthful Hello, and foo/42.
    pub(crate) fn random() -> Self {
        let key = SecretKey::random();
        let claimed = key.public_key();
        let capability = WireCapability { name: foo::NAME.into(), version: foo::VERSION };
        Self { key, claimed, capabilities: vec![capability] }
    }

    /// The Hello claims this key instead.
    pub(crate) fn claiming(self, claimed: PublicKey) -> Self {
        Self { claimed, ..self }
    }

    /// The Hello offers nothing.
    pub(crate) fn without_protocol(self) -> Self {
        Self { capabilities: Vec::new(), ..self }
    }
}

/// The ways to write a Disconnect that are, or were, in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list of one reason: today's.
    List,
    /// The reason alone: go-ethereum 1.10.17 to 1.14.12.
    Bare,
    /// The list, not compressed although everything else is: when it crosses the switch-over.
    PlainList,
    /// The reason alone, not compressed: ethereumjs, always.
    PlainBare,
}

impl Form {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::List, Self::Bare, Self::PlainList, Self::PlainBare];

    /// As the Go program calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Bare => "bare",
            Self::PlainList => "list-plain",
            Self::PlainBare => "bare-plain",
        }
    }

    /// Whether it goes uncompressed.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::PlainList | Self::PlainBare)
    }

    fn is_list(self) -> bool {
        matches!(self, Self::List | Self::PlainList)
    }

    fn encode(self, reason: u8) -> Vec<u8> {
        // A list of numbers wider than a byte: a list of bytes would become a byte string.
        let list = vec![u16::from(reason)];
        if self.is_list() { alloy_rlp::encode(list) } else { alloy_rlp::encode(reason) }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the form {}", self.name())
    }
}

/// A Disconnect as it came.
#[derive(Debug)]
pub(crate) struct Disconnect {
    /// The reason's number.
    pub(crate) code: u8,
    /// How it was written.
    pub(crate) form: Form,
}

/// The connection.
pub(crate) struct Bare {
    reader: Reader<OwnedReadHalf>,
    writer: Writer<OwnedWriteHalf>,
    scratch: Scratch,
    /// A Disconnect that came instead of their Hello.
    refused: Option<Disconnect>,
}

impl Bare {
    /// Connects in the direction wanted and exchanges Hellos.
    ///
    /// # Errors
    ///
    /// When there is no connection or no handshake in time, or their first message is neither a
    /// Hello nor a Disconnect.
    pub(crate) async fn open(
        theirs: &mut ForeignPeer,
        dialer: Dialer,
        identity: &Identity,
    ) -> Result<Self> {
        let opened = timeout(WAIT, async {
            let mut bare = match dialer {
                Dialer::We => Self::dial(theirs.enode()?, &identity.key).await?,
                Dialer::They => Self::be_dialed(theirs, &identity.key).await?,
            };
            bare.say_hello(identity).await?;
            anyhow::Ok(bare)
        });
        opened.await.context("no bare connection in time")?
    }

    async fn dial(enode: &str, key: &SecretKey) -> Result<Self> {
        let enode: Enode = enode.parse()?;
        let address = enode.tcp_addr().context("an enode URL without an address")?;
        let (reader, writer) = nodelay(TcpStream::connect(address).await?)?.into_split();
        let remote = enode.public_key();
        let done = connect(reader, writer, key, remote, random()).await.context("handshake")?;
        Ok(Self::new(done.reader, done.writer))
    }

    async fn be_dialed(theirs: &mut ForeignPeer, key: &SecretKey) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        theirs.dial(&format!("enode://{}@{address}", key.public_key())).await?;
        let (socket, _) = listener.accept().await?;
        let (reader, writer) = nodelay(socket)?.into_split();
        let done = accept(reader, writer, key, random()).await.context("handshake")?;
        Ok(Self::new(done.reader, done.writer))
    }

    fn new(reader: Reader<OwnedReadHalf>, writer: Writer<OwnedWriteHalf>) -> Self {
        Self { reader, writer, scratch: Scratch::new(), refused: None }
    }

    async fn say_hello(&mut self, identity: &Identity) -> Result<()> {
        let hello = WireHello {
            version: BASE_VERSION,
            client: "interop-bare".into(),
            capabilities: identity.capabilities.clone(),
            port: 0,
            key: Bytes::copy_from_slice(&identity.claimed.to_bytes()),
        };
        self.send(HELLO, &alloy_rlp::encode(hello)).await?;
        let first = self.next().await?;
        match first.code {
            HELLO => {}
            DISCONNECT => self.refused = Some(read_disconnect(&first.body)?),
            code => bail!("their first message has code {code:#x}"),
        }
        self.reader.set_max_frame(MAX_SIZE);
        self.writer.set_snappy(true);
        Ok(())
    }

    /// Sends a message of the base protocol whose payload is an empty list.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub(crate) async fn send_empty(&mut self, code: u64) -> Result<()> {
        self.send(code, EMPTY_LIST).await
    }

    /// Sends a Disconnect in one of its forms and closes our direction, as a server does: ethereumjs
    /// answers by closing its own and reports the end when both are closed.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub(crate) async fn send_disconnect(&mut self, reason: u8, form: Form) -> Result<()> {
        self.writer.set_snappy(!form.is_plain());
        self.send(DISCONNECT, &form.encode(reason)).await?;
        Ok(self.writer.shutdown().await?)
    }

    /// Waits for a message with this code and an empty list in it, passing over others.
    ///
    /// # Errors
    ///
    /// When it does not come in time, or they hang up.
    pub(crate) async fn expect(&mut self, code: u64, wait: Duration) -> Result<()> {
        let came = timeout(wait, async {
            loop {
                let frame = self.next().await?;
                if frame.code == code {
                    let payload = snappy::decompress(&frame.body, snappy::MAX_MESSAGE)?;
                    ensure!(payload == EMPTY_LIST, "code {code:#x} carries {payload:02x?}");
                    return Ok(());
                }
                ensure!(
                    frame.code != DISCONNECT,
                    "they hung up: {:?}",
                    read_disconnect(&frame.body)
                );
            }
        });
        came.await.with_context(|| format!("no message with code {code:#x} in time"))?
    }

    /// Waits until they hang up, and says how.
    ///
    /// # Errors
    ///
    /// When they do not in time, or give no reason.
    pub(crate) async fn expect_disconnect(&mut self) -> Result<Disconnect> {
        if let Some(refused) = self.refused.take() {
            return Ok(refused);
        }
        let hung_up = timeout(WAIT, async {
            loop {
                let frame = self.next().await?;
                if frame.code == DISCONNECT {
                    return read_disconnect(&frame.body);
                }
            }
        });
        hung_up.await.context("they did not hang up in time")?
    }

    async fn send(&mut self, code: u64, payload: &[u8]) -> Result<()> {
        self.writer.push(code, payload, &mut self.scratch)?;
        Ok(self.writer.flush().await?)
    }

    /// The next frame, its payload still compressed: a Disconnect may not be.
    async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.reader.try_frame()? {
                return Ok(frame);
            }
            ensure!(self.reader.fill().await? > 0, "they closed the connection without a reason");
        }
    }
}

/// Our Hello, as it goes on the wire.
#[derive(Debug, RlpEncodable)]
struct WireHello {
    version: u64,
    client: String,
    capabilities: Vec<WireCapability>,
    port: u64,
    key: Bytes,
}

#[derive(Debug, Clone, RlpEncodable)]
struct WireCapability {
    name: String,
    version: u32,
}

/// Reads a Disconnect, compressed or not, list or not.
fn read_disconnect(body: &[u8]) -> Result<Disconnect> {
    let compressed = snappy::decompress(body, snappy::MAX_MESSAGE).ok();
    if let Some((code, list)) = compressed.as_deref().and_then(read_reason) {
        let form = if list { Form::List } else { Form::Bare };
        return Ok(Disconnect { code, form });
    }
    let Some((code, list)) = read_reason(body) else {
        bail!("a disconnect without a reason: {body:02x?}")
    };
    let form = if list { Form::PlainList } else { Form::PlainBare };
    Ok(Disconnect { code, form })
}

/// The reason, and whether it stands in a list.
fn read_reason(payload: &[u8]) -> Option<(u8, bool)> {
    if let Ok(list) = Vec::<u16>::decode(&mut &*payload) {
        return list.first().and_then(|code| Some((u8::try_from(*code).ok()?, true)));
    }
    u8::decode(&mut &*payload).ok().map(|code| (code, false))
}

fn nodelay(socket: TcpStream) -> Result<TcpStream> {
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn random() -> Randomness {
    Randomness::generate(&mut rand::rng())
}

const HELLO: u64 = 0x00;
const DISCONNECT: u64 = 0x01;
const BASE_VERSION: u64 = 5;
const EMPTY_LIST: &[u8] = &[0xc0];
/// Above the five seconds after which go-ethereum gives up a handshake.
const WAIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_a_list_and_the_bare_reason_a_byte() {
        assert_eq!(Form::List.encode(8), [0xc1, 0x08]);
        assert_eq!(Form::Bare.encode(8), [0x08]);
    }

    #[test]
    fn every_form_of_a_disconnect_is_read_back() {
        for form in Form::ALL {
            let plain = form.encode(8);
            let mut scratch = Scratch::new();
            let body = match form.is_plain() {
                true => plain,
                false => snappy::compress(&plain, &mut scratch).unwrap().to_vec(),
            };

            let read = read_disconnect(&body).unwrap();

            assert_eq!((read.code, read.form), (8, form));
        }
    }
}
