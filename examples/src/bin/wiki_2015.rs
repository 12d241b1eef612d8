//! The protocol of the wiki page with which many learned devp2p in 2015: who hears "foo" says
//! "bar".
//!
//! ```text
//!   the one that dials                     the one that listens
//!        │── code 0: ["foo"]  c483666f6f ──▶│
//!        │◀─ code 0: ["bar"]  c483626172 ───│
//! ```
//!
//! `send_items` makes a message from several values, as a list; here the list has one item. The
//! program runs both nodes, or one of them, so that two terminals can talk to each other.

#![allow(clippy::print_stderr, reason = "a program that says what it hears, as chapters do")]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use enode::{Enode, SecretKey};
use p2p_server::{
    Capability, Message, MsgChannel, Peer, Protocol, ProtocolError, Server, protocol_fn,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Two nodes, one word each: whoever hears foo answers bar
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Flags {
    /// Check that foo was answered with bar; exit code 1 if not
    #[arg(long, conflicts_with_all = ["listen", "connect"])]
    check: bool,

    /// Be the node that answers, at this address, until Ctrl-C
    #[arg(long, value_name = "IP:PORT", conflicts_with = "connect")]
    listen: Option<SocketAddr>,

    /// Be the node that says foo, to this one
    #[arg(long, value_name = "ENODE")]
    connect: Option<Enode>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    match (flags.listen, flags.connect) {
        (Some(address), _) => answer(address).await,
        (None, Some(node)) => ask(node).await,
        (None, None) => both(flags.check).await,
    }
}

/// Both nodes in this process, over a real connection between them.
async fn both(check: bool) -> anyhow::Result<()> {
    let (heard_by_one, mut at_one) = mpsc::channel(UNREAD);
    let (heard_by_two, mut at_two) = mpsc::channel(UNREAD);
    let one = server("one", heard_by_one).start().await?;
    let two = server("two", heard_by_two).listen("127.0.0.1:0").start().await?;

    one.add_peer(two.enode())?;
    let question = next(&mut at_two).await?;
    let answer = next(&mut at_one).await?;
    one.stop().await;
    two.stop().await;

    if check {
        // A list (c4: four bytes of content) of one string (83: three bytes of text).
        ensure!(question.payload[..] == *b"\xc4\x83foo", "two heard {:02x?}", question.payload);
        ensure!(answer.payload[..] == *b"\xc4\x83bar", "one heard {:02x?}", answer.payload);
        eprintln!("check: foo was answered with bar");
    }
    Ok(())
}

/// The node that answers, alone in its process.
async fn answer(address: SocketAddr) -> anyhow::Result<()> {
    let (heard, mut words) = mpsc::channel(UNREAD);
    let server = server("two", heard).listen_on(address).start().await?;
    eprintln!("two listens; in another terminal:\n  wiki_2015 --connect {}", server.enode());
    loop {
        tokio::select! {
            _ = words.recv() => {} // was printed when it was heard
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                server.stop().await;
                return Ok(());
            }
        }
    }
}

/// The node that says foo, alone in its process.
async fn ask(node: Enode) -> anyhow::Result<()> {
    let (heard, mut words) = mpsc::channel(UNREAD);
    let server = server("one", heard).start().await?;
    server.add_peer(node)?;
    let answer = next(&mut words).await;
    server.stop().await;
    answer.map(drop)
}

/// A node that speaks the protocol and hands on what it hears.
fn server(node: &'static str, heard: mpsc::Sender<Message>) -> p2p_server::ServerBuilder {
    Server::builder(SecretKey::random())
        .name(format!("wiki/{node}"))
        .max_peers(10)
        .protocol(my_protocol(node, heard))
}

/// `MyProtocol`, version 1, with one message code: a list of texts.
fn my_protocol(node: &'static str, heard: mpsc::Sender<Message>) -> impl Protocol {
    protocol_fn(Capability::new("MyProtocol", 1), 1, move |peer, messages| {
        talk(node, peer, messages, heard.clone())
    })
}

// ANCHOR: talk
/// One conversation: whoever dialed says foo first, and hangs up when it has its answer.
async fn talk(
    node: &str,
    peer: Peer,
    mut messages: MsgChannel,
    heard: mpsc::Sender<Message>,
) -> Result<(), ProtocolError> {
    if !peer.inbound() {
        messages.send_items(0, &[&"foo"]).await?;
    }
    // The peer hangs up when it has heard enough: an end, not an error.
    while let Ok(message) = messages.recv().await {
        let words: Vec<String> = message.decode()?;
        eprintln!("{node} heard {words:?} from {peer}");
        // Nobody listens any more once the program is about to end.
        let _ = heard.send(message).await;
        if words == ["foo"] {
            messages.send_items(0, &[&"bar"]).await?;
        } else if !peer.inbound() {
            return Ok(());
        }
    }
    Ok(())
}
// ANCHOR_END: talk

/// The next message that a node has heard.
async fn next(heard: &mut mpsc::Receiver<Message>) -> anyhow::Result<Message> {
    let message = timeout(PATIENCE, heard.recv()).await.context("no word from the other node")?;
    message.context("the node has stopped")
}

// bound: messages heard and not read by `main` yet; then the conversation waits
const UNREAD: usize = 16;

/// How long a word may take.
const PATIENCE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  wiki_2015                              both nodes in one process
  wiki_2015 --listen 127.0.0.1:0         one node, and in another terminal
  wiki_2015 --connect enode://…          the other one";
