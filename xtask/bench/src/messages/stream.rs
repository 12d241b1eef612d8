//! The `rlpx` crate alone: a reader and a writer at each end, and no queue between.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use enode::SecretKey;
use rlpx::{
    frame::MAX_SIZE,
    handshake::Randomness,
    snappy::Scratch,
    stream::{self, Handshaken, Reader, Writer},
};
use tokio::{
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{Batch, SET_UP};

/// Two ends of one connection. An end is away while it is at work.
pub(super) struct Streams([Option<End>; 2]);

struct End {
    reader: Reader<OwnedReadHalf>,
    writer: Writer<OwnedWriteHalf>,
    scratch: Scratch,
}

impl Streams {
    /// Connects over loopback and shakes hands.
    pub(super) async fn connect() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (alice, bob) = (SecretKey::random(), SecretKey::random());
        let bobs_key = bob.public_key();
        let dial = async {
            let (reader, writer) = halves(TcpStream::connect(listener.local_addr()?).await?)?;
            let randomness = Randomness::generate(&mut rand::rng());
            anyhow::Ok(stream::connect(reader, writer, &alice, &bobs_key, randomness).await?)
        };
        let accept = async {
            let (reader, writer) = halves(listener.accept().await?.0)?;
            let randomness = Randomness::generate(&mut rand::rng());
            anyhow::Ok(stream::accept(reader, writer, &bob, randomness).await?)
        };
        let both = async { tokio::try_join!(dial, accept) };
        let (dialed, accepted) = timeout(SET_UP, both).await.context("handshake")??;
        Ok(Self([Some(End::new(dialed)), Some(End::new(accepted))]))
    }

    /// Sends a batch from the first end to the second, or from each to the other.
    pub(super) async fn run(&mut self, batch: &Batch, both_ways: bool) -> Result<()> {
        let [Some(one), Some(two)] = self.0.each_mut().map(Option::take) else {
            anyhow::bail!("an earlier run failed");
        };
        let count = batch.count;
        let sent_by_two = if both_ways { count } else { 0 };
        let payload = &batch.payload;
        let there = tokio::spawn(send(one.writer, one.scratch, payload.clone(), count));
        let back = tokio::spawn(send(two.writer, two.scratch, payload.clone(), sent_by_two));
        let arrive = tokio::spawn(receive(two.reader, count));
        let return_ = tokio::spawn(receive(one.reader, sent_by_two));
        let (there, back, arrive, return_) = tokio::try_join!(there, back, arrive, return_)?;
        let ((one_writer, one_scratch), (two_writer, two_scratch)) = (there?, back?);
        let end = |reader, writer, scratch| Some(End { reader, writer, scratch });
        self.0 = [end(return_?, one_writer, one_scratch), end(arrive?, two_writer, two_scratch)];
        Ok(())
    }
}

impl End {
    fn new(handshaken: Handshaken<OwnedReadHalf, OwnedWriteHalf>) -> Self {
        let Handshaken { mut reader, mut writer, .. } = handshaken;
        reader.set_max_frame(MAX_SIZE);
        reader.set_snappy(true);
        writer.set_snappy(true);
        Self { reader, writer, scratch: Scratch::new() }
    }
}

/// Encodes until a batch is full, writes it out, and so on.
async fn send(
    mut writer: Writer<OwnedWriteHalf>,
    mut scratch: Scratch,
    payload: Bytes,
    count: usize,
) -> Result<(Writer<OwnedWriteHalf>, Scratch)> {
    for _ in 0..count {
        writer.push(CODE, &payload, &mut scratch)?;
        if writer.pending().len() >= BATCH {
            writer.flush().await?;
        }
    }
    writer.flush().await?;
    Ok((writer, scratch))
}

async fn receive(mut reader: Reader<OwnedReadHalf>, count: usize) -> Result<Reader<OwnedReadHalf>> {
    for _ in 0..count {
        let message = reader.read().await?.context("the connection has ended")?;
        ensure!(message.code == CODE, "code {}", message.code);
    }
    Ok(reader)
}

fn halves(stream: TcpStream) -> Result<(OwnedReadHalf, OwnedWriteHalf)> {
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

const CODE: u64 = 16;

/// How many encoded bytes are gathered for a write, as the server does.
const BATCH: usize = 64 * 1024;
