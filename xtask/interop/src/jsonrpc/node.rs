//! Our side as a server: a p2p server with a peer to connect to, and the rpc server above it.
//!
//! ```text
//!   rpc::Server   test, admin, net, web3   over a socket, and HTTP and WebSocket on one port
//!      │          vault                    over the socket, and on a port that wants a token
//!   p2p Server ◀──── foo/42 ────▶ Friend
//! ```

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use enode::SecretKey;
use p2p_server::{Capability, PeerEvent, PeerEvents, Protocol, Server, protocol_fn};
use rpc::{AuthConfig, HttpConfig, JwtSecret, Modules, WsConfig, admin::AdminApi};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Transport,
    service::{Sight, service, vault},
};
use crate::{foo, scenario::same};

/// What our node calls itself.
pub(super) const OUR_NAME: &str = "interop-node/v1";

/// A node of ours.
pub(super) struct Node {
    p2p: Server,
    rpc: rpc::Server,
    /// Port 0 only before the first start, so that clients find it again.
    address: SocketAddr,
    secret: JwtSecret,
    tell: mpsc::Sender<Sight>,
    sights: mpsc::Receiver<Sight>,
    folder: TempDir,
}

impl Node {
    /// Starts one with a fresh key, on ports that are free.
    ///
    /// # Errors
    ///
    /// When one of its servers does not start.
    pub(super) async fn start() -> Result<Self> {
        let p2p = p2p_server(OUR_NAME).await?;
        let folder = tempfile::tempdir()?;
        // bound: what the handlers of one scenario tell; more would be an error of theirs.
        let (tell, sights) = mpsc::channel(16);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let secret = JwtSecret::from_bytes(&[7; 32]);
        let socket = folder.path().join(SOCKET);
        let rpc = serve(&p2p, &tell, socket, address, &secret).await?;
        let address = rpc.http_addr().context("our server has no port for HTTP")?;
        Ok(Self { p2p, rpc, address, secret, tell, sights, folder })
    }

    /// Stops the rpc server, and waits until it has stopped.
    pub(super) async fn stop(&self) {
        self.rpc.stop().await;
    }

    /// Starts an rpc server again, on the same socket and port.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) async fn start_again(&mut self) -> Result<()> {
        let path = self.folder.path().join(SOCKET);
        self.rpc = serve(&self.p2p, &self.tell, path, self.address, &self.secret).await?;
        Ok(())
    }

    /// Where it is to be found.
    ///
    /// # Errors
    ///
    /// When the path of the socket is no text.
    pub(super) fn url(&self, over: Transport) -> Result<String> {
        Ok(match over {
            Transport::Ipc => {
                let path = self.folder.path().join(SOCKET);
                path.to_str().context("a folder that is no text")?.to_owned()
            }
            Transport::Http => format!("http://{}", self.address),
            Transport::Ws => format!("ws://{}", self.address),
        })
    }

    /// Where it is to be found by those who have a token.
    ///
    /// # Errors
    ///
    /// When there is no such port.
    pub(super) fn authenticated_url(&self, over: Transport) -> Result<String> {
        let address = self.rpc.auth_addr().context("our server has no port for tokens")?;
        Ok(format!("{over}://{address}"))
    }

    /// A token that was issued so many seconds from now, or before now.
    ///
    /// # Errors
    ///
    /// When the clock is before 1970.
    pub(super) fn token(&self, from_now: i64) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(self.secret.token(now.saturating_add_signed(from_now)))
    }

    /// The p2p server below.
    pub(super) fn p2p(&self) -> &Server {
        &self.p2p
    }

    /// The next thing that a handler saw is this.
    ///
    /// # Errors
    ///
    /// When it is another, or none in time.
    pub(super) async fn expect_sight(&mut self, expected: Sight) -> Result<()> {
        let Ok(sight) = timeout(WAIT, self.sights.recv()).await else {
            bail!("expected {expected:?} of our handlers, nothing came in time");
        };
        same("what our handlers saw", sight, Some(expected))
    }
}

/// Another p2p server, connected to the node's.
pub(super) struct Friend {
    server: Server,
    events: PeerEvents,
}

impl Friend {
    /// Starts one and has the node dial it.
    ///
    /// # Errors
    ///
    /// When it does not start, or the two do not become peers in time.
    pub(super) async fn of(node: &Node) -> Result<Self> {
        let server = p2p_server("interop-friend/v1").await?;
        let events = node.p2p.events();
        node.p2p.add_peer(server.enode())?;
        let mut friend = Self { server, events };
        let added = friend.expect_event().await?;
        same("the node's new peer", added.peer(), Some(friend.server.id()))?;
        Ok(friend)
    }

    /// The next thing that happened to the node's peers.
    ///
    /// # Errors
    ///
    /// When nothing does in time.
    pub(super) async fn expect_event(&mut self) -> Result<PeerEvent> {
        let event = timeout(WAIT, self.events.next()).await;
        event.context("no peer came or went in time")?.context("the node's events ended")
    }

    /// Goes away.
    pub(super) async fn leave(&self) {
        self.server.stop().await;
    }
}

async fn serve(
    p2p: &Server,
    tell: &mpsc::Sender<Sight>,
    path: PathBuf,
    address: SocketAddr,
    secret: &JwtSecret,
) -> Result<rpc::Server> {
    let server = rpc::Server::builder()
        .module(service(tell.clone()))
        .module(vault())
        .modules(AdminApi::new(p2p.clone()))
        .ipc(path)
        .http(HttpConfig::new(address.to_string()).modules(Modules::all()))
        .ws(WsConfig::with_http().modules(Modules::all()))
        .auth(AuthConfig::new("127.0.0.1:0", secret.clone()));
    Ok(server.start().await?)
}

async fn p2p_server(name: &str) -> Result<Server> {
    let server = Server::builder(SecretKey::random()).name(name).listen("127.0.0.1:0");
    Ok(server.max_peers(10).protocol(quiet()).start().await?)
}

/// foo/42 as a body that listens and says nothing.
fn quiet() -> impl Protocol {
    let capability = Capability::new(foo::NAME, foo::VERSION);
    protocol_fn(capability, foo::LENGTH, |_, mut messages| async move {
        while messages.recv().await.is_ok() {}
        Ok(())
    })
}

const SOCKET: &str = "rpc.ipc";
/// Enough for a loaded machine.
const WAIT: Duration = Duration::from_secs(15);
