//! D1: say what the messages are, and let nobody send anything else.
//!
//! New here: messages as an enum instead of codes, a handler, and peers that break the rules.
//! Run: `cargo run --bin d1_protocols`

use alloy_rlp::{RlpDecodable, RlpEncodable};
use anyhow::{Context as _, bail, ensure};
use p2p_server::protocols::{Next, Spec, TypedChannel};
use p2p_server::{
    DisconnectReason, Peer, PeerEvent, PeerEvents, Protocol, ProtocolError, Server, message_set,
    protocol_fn,
};
use tokio::sync::mpsc;
use tutorial::{next_event, say, say_event, within};

// ANCHOR: messages
/// A number.
#[derive(RlpEncodable, RlpDecodable)]
struct FooMsg {
    v: u64,
}

message_set! {
    /// Everything that `fooping/42` can say, each with its code.
    enum Foo {
        Msg(FooMsg) = 0,
    }
}

/// What it is called, and how large a message may be, in bytes.
fn spec() -> Spec<Foo> {
    Spec::new("fooping", 42).max_message_size(1024)
}
// ANCHOR_END: messages

// ANCHOR: body
/// Says 42, and takes what the peer says, one message after the other, until it leaves.
async fn talk(
    node: &str,
    peer: Peer,
    mut messages: TypedChannel<Foo>,
    heard: mpsc::Sender<u64>,
) -> Result<(), ProtocolError> {
    let (shown, heard) = (&peer.to_string(), &heard);
    say!(node, "sending message", peer = shown, V = 42);
    messages.send(FooMsg { v: 42 }).await?;

    messages
        .handle(|message| async move {
            let Foo::Msg(FooMsg { v }) = message;
            say!(node, "received message", peer = shown, V = v);
            let _ = heard.send(v).await; // whether or not the program wants to know
            Ok(Next::Continue)
        })
        .await
}
// ANCHOR_END: body

// ANCHOR: node
/// A running node, what its server tells, and what its handler was told.
struct Node {
    name: &'static str,
    server: Server,
    events: PeerEvents,
    heard: mpsc::Receiver<u64>,
}

impl Node {
    async fn start(name: &'static str) -> anyhow::Result<Self> {
        let (tell, heard) = mpsc::channel(1);
        let fooping =
            spec().protocol(move |peer, messages| talk(name, peer, messages, tell.clone()));
        let server = tutorial::server(name).protocol(fooping).message_events(true).start().await?;
        tutorial::say_started(name, &server);
        Ok(Self { name, events: server.events(), server, heard })
    }

    /// Waits for the peer's 42: first for the event, then for the handler.
    async fn is_greeted(&mut self) -> anyhow::Result<()> {
        loop {
            let event = next_event(&mut self.events).await?;
            say_event(self.name, &event);
            match event {
                PeerEvent::MessageReceived(_) => break,
                PeerEvent::Dropped { error, .. } => bail!("the connection ended early: {error}"),
                _ => {} // add, msgsend
            }
        }
        let number = within("the handler", self.heard.recv()).await?.context("no handler")?;
        ensure!(number == 42, "the peer says {number}");
        Ok(())
    }
}
// ANCHOR_END: node

// ANCHOR: misdeeds
/// Something that no peer may do, and what it is told for it.
struct Misdeed {
    node: &'static str,
    what: &'static str,
    code: u64,
    payload: Vec<u8>,
    reason: DisconnectReason,
}

/// One for each rule.
fn misdeeds() -> [Misdeed; 3] {
    [
        Misdeed {
            node: "three",
            what: "a code beyond the length",
            code: 1,
            payload: alloy_rlp::encode(FooMsg { v: 42 }),
            reason: DisconnectReason::ProtocolError,
        },
        Misdeed {
            node: "four",
            what: "a message too large",
            code: 0,
            payload: alloy_rlp::encode([0_u8; 1022]), // 1,025 bytes, as three more say the length
            reason: DisconnectReason::SubprotocolError,
        },
        Misdeed {
            node: "five",
            what: "a message of another kind",
            code: 0,
            payload: alloy_rlp::encode("foobar"),
            reason: DisconnectReason::SubprotocolError,
        },
    ]
}

/// Claims to speak `fooping/42`, with a code more than it has. Hears the 42, breaks a rule, and waits
/// for what comes of it.
fn impostor(code: u64, payload: Vec<u8>) -> impl Protocol {
    protocol_fn(spec().capability().clone(), 2, move |_, mut messages| {
        let payload = payload.clone();
        async move {
            messages.recv().await?;
            messages.send_raw(code, payload.into()).await?;
            messages.recv().await.map(drop).map_err(ProtocolError::from)
        }
    })
}
// ANCHOR_END: misdeeds

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: talk
    let (mut one, mut two) = (Node::start("one").await?, Node::start("two").await?);
    one.server.add_peer(two.server.enode())?;
    one.is_greeted().await?;
    two.is_greeted().await?;
    one.server.stop().await;
    until_drop("two", &mut two.events).await?;
    // ANCHOR_END: talk

    // ANCHOR: break
    for misdeed in misdeeds() {
        refuse(misdeed, &mut two).await?;
    }
    // ANCHOR_END: break

    two.server.stop().await;
    Ok(())
}

// ANCHOR: refuse
/// Sends somebody who breaks a rule to node two, which must see to it.
async fn refuse(misdeed: Misdeed, two: &mut Node) -> anyhow::Result<()> {
    let Misdeed { node, what, code, payload, reason } = misdeed;
    let server = tutorial::server(node).protocol(impostor(code, payload)).start().await?;
    tutorial::say_started(node, &server);
    let mut events = server.events();
    server.add_peer(two.server.enode())?;

    // Node two knows exactly what was wrong. The other side is told a reason, and no more; its
    // event has the reason's text.
    let error = until_drop("two", &mut two.events).await?;
    let text = until_drop(node, &mut events).await?;
    let told = (0..=16).map(DisconnectReason::from_code).find(|told| told.to_string() == text);
    let told = told.with_context(|| format!("node {node} was dropped without a reason: {text}"))?;
    let code = told.code();
    say!(node, "misbehaving peer dropped", did = what, reason = code, text = text, error = error);
    ensure!(told == reason, "dropped, but for another reason");
    ensure!(two.heard.try_recv().is_err(), "the handler has seen it");
    server.stop().await;
    Ok(())
}

/// Why the peer of a node has gone, after everything that came before.
async fn until_drop(node: &str, events: &mut PeerEvents) -> anyhow::Result<String> {
    loop {
        let event = next_event(events).await?;
        say_event(node, &event);
        if let PeerEvent::Dropped { error, .. } = event {
            return Ok(error);
        }
    }
}
// ANCHOR_END: refuse
