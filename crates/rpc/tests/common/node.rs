//! Nodes in memory that can be asked over RPC.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use p2p_server::{Capability, MsgSender, Protocol, protocol_fn, test_utils::Net};
use rpc::{Client, RpcError, Server, admin::AdminApi};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::soon;

/// A p2p server with an RPC server over it, and a caller in process.
pub struct Node {
    pub p2p: p2p_server::Server,
    pub rpc: Server,
    pub client: Client,
    talk: Talk,
}

/// What sends to the peer that came last.
type Talk = Arc<Mutex<Option<MsgSender>>>;

impl Node {
    /// A node of the network with message events and the capability `foo/42`, which says what
    /// [`Self::say`] is told to and listens to everything.
    pub async fn start(net: &Net, name: &str) -> Self {
        let talk = Talk::default();
        let builder = net.server(name).message_events(true).protocol(listener(&talk));
        let p2p = builder.start().await.expect("it starts");
        let builder = Server::builder().modules(AdminApi::new(p2p.clone()));
        let rpc = builder.start().await.expect("it starts");
        Self { client: rpc.attach(), p2p, rpc, talk }
    }

    /// Calls a method and gives its result.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> T {
        let result = soon(method, self.client.call(method, params)).await;
        result.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method and gives its result as it was written.
    pub async fn call_raw(&self, method: &str, params: impl Serialize) -> String {
        let result = soon(method, self.client.call_raw(method, params)).await;
        result.unwrap_or_else(|error| panic!("{method}: {error}")).get().to_owned()
    }

    /// Calls a method that must fail and gives code and text.
    pub async fn refused(&self, method: &str, params: impl Serialize) -> (i64, String) {
        let result = soon(method, self.client.call::<Value>(method, params)).await;
        let error = result.expect_err(method);
        let error: &RpcError = error.rpc_error().expect("an answer of the server");
        (error.code(), error.message().to_owned())
    }

    /// Sends a message to the peer that came last.
    pub async fn say(&self, text: &str) {
        let sender = self.talk.lock().expect("no test panics with it").clone();
        sender.expect("somebody came").send(0, text).await.expect("it is open");
    }

    /// The URL of the node.
    pub fn url(&self) -> String {
        self.p2p.enode().to_string()
    }

    /// The id of the node, 64 digits.
    pub fn id(&self) -> String {
        self.p2p.id().to_string()
    }

    pub async fn stop(&self) {
        self.rpc.stop().await;
        self.p2p.stop().await;
    }
}

/// Makes the two peers by a call to `one`.
pub async fn connect(net: &Net, one: &Node, two: &Node) {
    assert!(one.call::<bool>("admin_addPeer", (two.url(),)).await);
    wait_until(net, "both are peers", || {
        one.p2p.peer(two.p2p.id()).is_some() && two.p2p.peer(one.p2p.id()).is_some()
    })
    .await;
}

pub async fn wait_until(net: &Net, what: &str, condition: impl FnMut() -> bool) {
    net.drive_until(Duration::from_secs(60), what, condition).await.expect(what);
}

fn listener(talk: &Talk) -> impl Protocol + use<> {
    let talk = Arc::clone(talk);
    protocol_fn(Capability::new("foo", 42), 1, move |_peer, mut messages| {
        let sender = messages.sender();
        *talk.lock().expect("no test panics with it") = Some(sender);
        async move {
            while messages.recv().await.is_ok() {}
            Ok(())
        }
    })
}
