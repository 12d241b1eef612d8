//! Our side: a p2p-server with foo/42, whose conversations the scenarios hold themselves.
//!
//! ```text
//!   Server ── foo/42 body ── every message ──▶ Link, held by the scenario
//!      │           ▲                            │ dropping it ends the body
//!      │           └────────── sends ───────────┘
//!      └─── events ──▶ added, dropped with an error; dials that failed
//! ```

use std::time::Duration;

use alloy_rlp::Decodable as _;
use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use enode::{Enode, NodeId, PublicKey, SecretKey};
use p2p_server::{
    Capability, DialEvents, DialOutcome, DisconnectReason, Message, MsgChannel, MsgSender, Peer,
    PeerEvent, PeerEvents, Protocol, Server, protocol_fn,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{foo, foreign::ForeignPeer, program::Program, scenario::Dialer};

/// What our Hello says.
pub(crate) const OUR_NAME: &str = "interop-ours/v1";

/// A server of ours, listening on loopback.
pub(crate) struct Ours {
    server: Server,
    key: PublicKey,
    events: PeerEvents,
    dials: DialEvents,
    links: mpsc::Receiver<Link>,
}

impl Ours {
    /// Starts one with a fresh key.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) async fn start() -> Result<Self> {
        // bound: connections of one scenario; a body waits until its predecessor was taken.
        let (sender, links) = mpsc::channel(4);
        let secret = SecretKey::random();
        let key = secret.public_key();
        let server = Server::builder(secret)
            .name(OUR_NAME)
            .listen(LOOPBACK)
            .max_peers(10)
            .protocol(hand_over(sender))
            .start()
            .await?;
        let (events, dials) = (server.events(), server.dial_events());
        Ok(Self { server, key, events, dials, links })
    }

    /// Its public key.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its enode URL.
    pub(crate) fn enode(&self) -> String {
        self.server.enode().to_string()
    }

    /// Adds a static peer.
    ///
    /// # Errors
    ///
    /// When the URL is not one, or the server refuses it.
    pub(crate) fn dial(&self, enode: &str) -> Result<()> {
        self.server.add_peer(enode.parse::<Enode>()?)?;
        Ok(())
    }

    /// One of the two dials the other.
    ///
    /// # Errors
    ///
    /// When the dialer refuses to try.
    pub(crate) async fn meet(&self, theirs: &mut ForeignPeer, dialer: Dialer) -> Result<()> {
        match dialer {
            Dialer::We => self.dial(theirs.enode()?),
            Dialer::They => theirs.dial(&self.enode()).await,
        }
    }

    /// Starts the Go peer's bare connection with this server at its other end.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) async fn meet_raw(
        &self,
        program: &Program,
        dialer: Dialer,
        arguments: &[&str],
    ) -> Result<ForeignPeer> {
        let enode = self.enode();
        let place = match dialer {
            Dialer::We => ["--raw", "--listen", LOOPBACK],
            Dialer::They => ["--raw", "--dial", &enode],
        };
        let theirs = ForeignPeer::start(program, &[&place, arguments].concat()).await?;
        if dialer == Dialer::We {
            self.dial(theirs.enode()?)?;
        }
        Ok(theirs)
    }

    /// The next conversation that began.
    ///
    /// # Errors
    ///
    /// When none begins in time.
    pub(crate) async fn expect_link(&mut self) -> Result<Link> {
        let link = timeout(WAIT, self.links.recv()).await;
        link.context("our server began no conversation in time")?.context("our server is gone")
    }

    /// The error with which the next peer was dropped.
    ///
    /// # Errors
    ///
    /// When none is dropped in time.
    pub(crate) async fn expect_dropped(&mut self) -> Result<String> {
        let dropped = async {
            while let Some(event) = self.events.next().await {
                if let PeerEvent::Dropped { error, .. } = event {
                    return Ok(error);
                }
            }
            Err(anyhow!("our server's events ended"))
        };
        timeout(WAIT, dropped).await.context("our server dropped no peer in time")?
    }

    /// Where and why the dial to this node failed.
    ///
    /// # Errors
    ///
    /// When it did not fail in time.
    pub(crate) async fn expect_dial_failure(&mut self, id: &NodeId) -> Result<String> {
        let failed = async {
            while let Some(event) = self.dials.next().await {
                if let (DialOutcome::Failed { error, .. }, true) =
                    (event.outcome, event.node == *id)
                {
                    return Ok(format!("{}: {error}", event.stage));
                }
            }
            Err(anyhow!("our server's dial events ended"))
        };
        timeout(WAIT, failed).await.context("our dial did not fail in time")?
    }

    /// Fails if a peer was ever added.
    ///
    /// # Errors
    ///
    /// When one was.
    pub(crate) fn expect_no_peer_so_far(&mut self) -> Result<()> {
        while let Some(event) = self.events.try_next() {
            if let PeerEvent::Added { peer, .. } = event {
                bail!("our server added {peer}, which it should have refused");
            }
        }
        Ok(())
    }

    /// Fails if a peer has been dropped.
    ///
    /// # Errors
    ///
    /// When one was.
    pub(crate) fn expect_no_drop_so_far(&mut self) -> Result<()> {
        while let Some(event) = self.events.try_next() {
            if let PeerEvent::Dropped { peer, error, .. } = event {
                bail!("our server dropped {peer}: {error}");
            }
        }
        Ok(())
    }
}

/// foo/42 as a body that passes every message on and sends what the scenario wants sent.
fn hand_over(links: mpsc::Sender<Link>) -> impl Protocol {
    let capability = Capability::new(foo::NAME, foo::VERSION);
    protocol_fn(capability, foo::LENGTH, move |peer, messages| {
        let links = links.clone();
        async move {
            // bound: a few messages; when it is full the connection's own queue fills.
            let (inbox, received) = mpsc::channel(4);
            let link = Link { peer, sender: messages.sender(), received };
            if links.send(link).await.is_ok() {
                pass_on(messages, inbox).await;
            }
            Ok(())
        }
    })
}

/// Until the connection ends or the scenario has dropped its end.
async fn pass_on(mut messages: MsgChannel, inbox: mpsc::Sender<Message>) {
    loop {
        let message = tokio::select! {
            () = inbox.closed() => return,
            message = messages.recv() => message,
        };
        let Ok(message) = message else { return };
        if inbox.send(message).await.is_err() {
            return;
        }
    }
}

/// One conversation of foo/42.
pub(crate) struct Link {
    peer: Peer,
    sender: MsgSender,
    received: mpsc::Receiver<Message>,
}

impl Link {
    /// The peer's id.
    pub(crate) fn id(&self) -> NodeId {
        self.peer.id()
    }

    /// What the peer's Hello calls itself.
    pub(crate) fn name(&self) -> String {
        self.peer.full_name()
    }

    /// What the peer's Hello offers.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        self.peer.capabilities().iter().map(ToString::to_string).collect()
    }

    /// Hangs up.
    pub(crate) fn disconnect(&self, reason: DisconnectReason) {
        self.peer.disconnect(reason);
    }

    /// Sends content as an RLP byte string.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub(crate) async fn send(&self, code: u64, content: &Bytes) -> Result<()> {
        Ok(self.sender.send(code, content).await?)
    }

    /// Another handle for sending.
    pub(crate) fn sender(&self) -> MsgSender {
        self.sender.clone()
    }

    /// The next message's code and content.
    ///
    /// # Errors
    ///
    /// When none comes in time, or it is not an RLP byte string.
    pub(crate) async fn receive(&mut self) -> Result<(u64, Bytes)> {
        let message = timeout(WAIT, self.received.recv()).await.context("no message in time")?;
        let message = message.context("the connection ended before the message")?;
        Ok((message.code, Bytes::decode(&mut &message.payload[..])?))
    }
}

/// Our server and a foreign peer with a conversation between them.
pub(crate) struct Pair {
    /// Our server.
    pub(crate) ours: Ours,
    /// The foreign one.
    pub(crate) theirs: ForeignPeer,
    /// The conversation.
    pub(crate) link: Link,
    /// What they said about us when we connected.
    pub(crate) seen: Value,
}

impl Pair {
    /// Starts both and connects them.
    ///
    /// # Errors
    ///
    /// When one does not start, or they do not become peers in time.
    pub(crate) async fn connect(
        program: &Program,
        dialer: Dialer,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut ours = Ours::start().await?;
        let arguments = [&["--listen", LOOPBACK], arguments].concat();
        let mut theirs = ForeignPeer::start(program, &arguments).await?;
        ours.meet(&mut theirs, dialer).await?;
        let link = ours.expect_link().await?;
        let seen = theirs.expect("peer").await?;
        Ok(Self { ours, theirs, link, seen })
    }

    /// The id of the foreign peer as it prints it in its enode URL.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub(crate) fn their_id(&self) -> Result<Value> {
        let enode: Enode = self.theirs.enode()?.parse()?;
        Ok(json!(enode.id().to_string()))
    }
}

/// The same address with another key.
///
/// # Errors
///
/// When the URL is not one.
pub(crate) fn with_key(enode: &str, key: &PublicKey) -> Result<String> {
    let (_, address) = enode.split_once('@').context("an enode URL without an address")?;
    Ok(format!("enode://{key}@{address}"))
}

const LOOPBACK: &str = "127.0.0.1:0";
/// Enough for a loaded machine.
const WAIT: Duration = Duration::from_secs(15);
