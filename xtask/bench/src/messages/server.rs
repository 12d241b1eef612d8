//! The whole server: what a protocol sends on one node arrives in the protocol on the other.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use enode::SecretKey;
use p2p_server::{Capability, MsgChannel, MsgReceiver, MsgSender, Protocol, Server, protocol_fn};
use tokio::{sync::mpsc, time::timeout};

use super::{Batch, SET_UP};

/// Two connected servers and the ends of their one protocol. An end is away while it is at work.
pub(super) struct Servers {
    ends: [Option<(MsgSender, MsgReceiver)>; 2],
    /// They run as long as somebody holds them.
    _servers: [Server; 2],
}

impl Servers {
    /// Starts both and has one dial the other.
    pub(super) async fn connect() -> Result<Self> {
        let (one, one_end) = start("one").await?;
        let (two, two_end) = start("two").await?;
        one.add_peer(two.enode())?;
        let ends = [end(one_end).await?, end(two_end).await?];
        Ok(Self { ends: ends.map(Some), _servers: [one, two] })
    }

    /// Sends a batch from the first end to the second, or from each to the other.
    pub(super) async fn run(&mut self, batch: &Batch, both_ways: bool) -> Result<()> {
        let [Some(one), Some(two)] = self.ends.each_mut().map(Option::take) else {
            anyhow::bail!("an earlier run failed");
        };
        let count = batch.count;
        let sent_by_two = if both_ways { count } else { 0 };
        let payload = &batch.payload;
        let there = tokio::spawn(send(one.0.clone(), payload.clone(), count));
        let back = tokio::spawn(send(two.0.clone(), payload.clone(), sent_by_two));
        let arrive = tokio::spawn(receive(two.1, count));
        let return_ = tokio::spawn(receive(one.1, sent_by_two));
        let (there, back, arrive, return_) = tokio::try_join!(there, back, arrive, return_)?;
        there?;
        back?;
        self.ends = [Some((one.0, return_?)), Some((two.0, arrive?))];
        Ok(())
    }
}

async fn start(name: &str) -> Result<(Server, mpsc::Receiver<MsgChannel>)> {
    // bound: the one peer's channel
    let (give, take) = mpsc::channel(1);
    let server = Server::builder(SecretKey::random())
        .name(name)
        .listen("127.0.0.1:0")
        .max_peers(1)
        .protocol(lending(give))
        .start()
        .await?;
    Ok((server, take))
}

/// A protocol that gives its channel away and leaves the connection to whoever has it.
fn lending(give: mpsc::Sender<MsgChannel>) -> impl Protocol {
    protocol_fn(Capability::new("bench", 1), 1, move |peer, messages| {
        let give = give.clone();
        async move {
            if give.send(messages).await.is_ok() {
                peer.on_disconnect().await;
            }
            Ok(())
        }
    })
}

async fn end(mut take: mpsc::Receiver<MsgChannel>) -> Result<(MsgSender, MsgReceiver)> {
    let channel = timeout(SET_UP, take.recv()).await.context("connecting")?;
    Ok(channel.context("the server has stopped")?.split())
}

async fn send(sender: MsgSender, payload: Bytes, count: usize) -> Result<()> {
    for _ in 0..count {
        sender.send_raw(0, payload.clone()).await?;
    }
    Ok(sender.flush().await?)
}

async fn receive(mut receiver: MsgReceiver, count: usize) -> Result<MsgReceiver> {
    for _ in 0..count {
        let message = receiver.recv().await?;
        ensure!(message.code == 0, "code {}", message.code);
    }
    Ok(receiver)
}
