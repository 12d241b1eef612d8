//! Our node and theirs, each with the other side's client on it.

use std::path::Path;

use anyhow::{Context as _, Result};
use rpc::{HttpConfig, Modules, WsConfig};
use serde_json::{Value, json};
use service_node::Node;
use tempfile::TempDir;
use tutorial::foo::FooService;

use super::{Setting, driver::Driver};
use crate::{
    foreign::ForeignPeer,
    program::Program,
    scenario::{Dialer, same},
    transport::Transport,
};

/// A node, as whoever drives it sees it.
pub(super) struct Side {
    /// For what is said when something fails.
    pub(super) name: &'static str,
    /// What makes the calls.
    pub(super) driver: Driver,
    /// What hears of events, where calls go over HTTP, which carries none.
    watcher: Option<Driver>,
}

impl Side {
    /// The next peer event, which is of this type and about this peer.
    ///
    /// # Errors
    ///
    /// When it is another.
    pub(super) async fn expect_event(&mut self, kind: &str, peer: &str) -> Result<Value> {
        let event = self.next_event().await?;
        let (name, what) = (self.name, format!("type and peer of {event}"));
        same(&what, (&event["type"], &event["peer"]), (&json!(kind), &json!(peer)))
            .with_context(|| format!("an event of {name}"))?;
        Ok(event)
    }

    /// The next peer event.
    ///
    /// # Errors
    ///
    /// When none comes in time.
    pub(super) async fn next_event(&mut self) -> Result<Value> {
        let event = self.watcher().next_event().await;
        event.with_context(|| format!("waiting for an event of {}", self.name))
    }

    /// What the node says of itself.
    ///
    /// # Errors
    ///
    /// When it says nothing.
    pub(super) async fn node_info(&mut self) -> Result<Value> {
        self.driver.result_as("nodeInfo", "admin_nodeInfo").await
    }

    /// Has it connect to another node.
    ///
    /// # Errors
    ///
    /// When it will not.
    pub(super) async fn add_peer(&mut self, enode: &Value) -> Result<()> {
        let added = self.driver.result("admin_addPeer", json!([enode])).await?;
        same("admin_addPeer", added, json!(true))
    }

    fn watcher(&mut self) -> &mut Driver {
        self.watcher.as_mut().unwrap_or(&mut self.driver)
    }
}

/// The two nodes.
pub(super) struct Pair {
    /// Their client on our node.
    pub(super) us: Side,
    /// Our client on their node.
    pub(super) them: Side,
    pub(super) our_node: Node,
    pub(super) their_node: ForeignPeer,
    pub(super) their_folder: TempDir,
    _our_folder: TempDir,
}

impl Pair {
    /// Starts both, with all clients connected and subscribed.
    ///
    /// # Errors
    ///
    /// When one of them does not start or connect.
    pub(super) async fn start(setting: &Setting) -> Result<Self> {
        let (our_folder, their_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let our_node = our_node(our_folder.path())?;
        our_node.start().await?;
        let their_node = their_node(&setting.program, their_folder.path()).await?;
        let us = our_side(setting, &our_node).await?;
        let them = their_side(setting, &their_node).await?;
        Ok(Self { us, them, our_node, their_node, their_folder, _our_folder: our_folder })
    }

    /// The side that dials, and the other one.
    pub(super) fn by_dialer(&mut self, dialer: Dialer) -> (&mut Side, &mut Side) {
        match dialer {
            Dialer::We => (&mut self.us, &mut self.them),
            Dialer::They => (&mut self.them, &mut self.us),
        }
    }

    /// Connects them, and gives the ids of the dialing node and of the other.
    ///
    /// # Errors
    ///
    /// When they do not become peers of each other.
    pub(super) async fn connect(&mut self, dialer: Dialer) -> Result<(String, String)> {
        let (one, two) = self.by_dialer(dialer);
        let (of_one, of_two) = (one.node_info().await?, two.node_info().await?);
        let (id_one, id_two) = (text(&of_one, "id")?, text(&of_two, "id")?);
        one.add_peer(&of_two["enode"]).await?;
        one.expect_event("add", &id_two).await?;
        two.expect_event("add", &id_one).await?;
        Ok((id_one, id_two))
    }
}

/// A member that is a text.
///
/// # Errors
///
/// When it is none.
pub(super) fn text(object: &Value, member: &str) -> Result<String> {
    let value = object[member].as_str();
    Ok(value.with_context(|| format!("no {member} in {object}"))?.to_owned())
}

/// Our node with the tutorial's service, on ports that are free.
fn our_node(folder: &Path) -> Result<Node> {
    let namespaces = || Modules::only(["admin", "foo", "web3"]);
    let node = Node::builder()
        .name("interop-node")
        .version("1")
        .data_dir(folder)
        .listen("127.0.0.1:0")
        .max_peers(10)
        .message_events(true)
        .http(HttpConfig::new("127.0.0.1:0").modules(namespaces()))
        .ws(WsConfig::new("127.0.0.1:0").modules(namespaces()))
        .service(|_| FooService::default());
    Ok(node.build()?)
}

/// Their node with the service in Go.
///
/// # Errors
///
/// When it does not start.
pub(super) async fn their_node(program: &Program, folder: &Path) -> Result<ForeignPeer> {
    let folder = folder.to_str().context("a folder that is no text")?;
    ForeignPeer::start(program, &["-datadir", folder]).await
}

/// Their client, or clients, on our node.
///
/// # Errors
///
/// When one does not connect.
pub(super) async fn our_side(setting: &Setting, node: &Node) -> Result<Side> {
    let url = |over| -> Result<String> {
        Ok(match over {
            Transport::Ipc => {
                let path = node.ipc_path().context("our node has no socket")?;
                path.to_str().context("a folder that is no text")?.to_owned()
            }
            Transport::Http => format!("http://{}", node.http_addr().context("no HTTP")?),
            Transport::Ws => format!("ws://{}", node.ws_addr().context("no WebSocket")?),
        })
    };
    let (over, program) = (setting.over, &setting.program);
    let mut side = Side {
        name: "our node",
        driver: Driver::theirs(program, &url(over)?).await?,
        watcher: match over.is_both_ways() {
            true => None,
            false => Some(Driver::theirs(program, &url(Transport::Ws)?).await?),
        },
    };
    side.watcher().watch_peers().await?;
    Ok(side)
}

/// Our client, or clients, on their node.
///
/// # Errors
///
/// When one does not connect.
pub(super) async fn their_side(setting: &Setting, node: &ForeignPeer) -> Result<Side> {
    let over = setting.over;
    let mut side = Side {
        name: "their node",
        driver: Driver::ours(node.started(over.name())?).await?,
        watcher: match over.is_both_ways() {
            true => None,
            false => Some(Driver::ours(node.started(Transport::Ws.name())?).await?),
        },
    };
    side.watcher().watch_peers().await?;
    Ok(side)
}
