//! The two nodes of the recorded conversations: one is talked to, the other echoes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use enode::{NodeId, SecretKey};
use futures_util::future::{BoxFuture, FutureExt as _};
use p2p_server::{
    Capability, MsgChannel, MsgSender, Peer, PeerInfoState, Protocol, ProtocolError, protocol_fn,
};
use rpc::{Bytes, Context, Module, Notifier, RpcError, admin::AdminApi};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::service;

/// What the file says of a node.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    private_key: String,
    name: String,
    version: String,
    p2p_port: u16,
}

/// Two running nodes, and what the first of them offers to callers.
pub(crate) struct Nodes {
    pub(crate) first: p2p_server::Server,
    pub(crate) second: p2p_server::Server,
    /// Where the file has the nodes, and where they are.
    places: [(String, String); 2],
    pub(crate) modules: Vec<Module>,
}

impl Nodes {
    pub(crate) async fn start(first: &Described, second: &Described) -> Self {
        let described = [first, second];
        let capability = Foo::default();
        let first = first.builder().message_events(true).protocol(capability.clone());
        let first = first.start().await.expect("the first node starts");
        let second = second.builder().protocol(echo()).start().await.expect("the second starts");
        let place = |described: &Described, server: &p2p_server::Server| {
            let listen = server.listen_addr().expect("it listens").to_string();
            (format!("127.0.0.1:{}", described.p2p_port), listen)
        };
        let places = [place(described[0], &first), place(described[1], &second)];
        let api = AdminApi::new(first.clone());
        let debug = Module::new("debug").allow_empty();
        let modules = vec![api.admin(), api.web3(), debug, service::foo(), capability.module()];
        Self { first, second, places, modules }
    }

    /// The text with our addresses in place of the file's.
    pub(crate) fn placed(&self, text: &str) -> String {
        let replace = |text: String, (theirs, ours): &(String, String)| text.replace(theirs, ours);
        self.places.iter().fold(text.to_owned(), replace)
    }

    pub(crate) async fn stop(&self) {
        self.first.stop().await;
        self.second.stop().await;
    }
}

impl Described {
    fn builder(&self) -> p2p_server::ServerBuilder {
        let mut key = [0; 32];
        const_hex::decode_to_slice(&self.private_key, &mut key).expect("a key in hexadecimal");
        p2p_server::Server::builder(SecretKey::from_bytes(&key).expect("a valid key"))
            .name(format!("{}/v{}/test", self.name, self.version))
            .listen("127.0.0.1:0")
            .max_peers(10)
    }
}

/// The capability `foo` of the first node: sends what callers want to send, and shows them what comes.
#[derive(Clone, Default)]
struct Foo(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    // bound: the peers of a test
    senders: BTreeMap<NodeId, MsgSender>,
    // bound: the subscriptions of a test
    listeners: Vec<Notifier<Received>>,
}

#[derive(Serialize)]
struct Received {
    peer: String,
    code: u64,
    payload: Bytes,
}

impl Foo {
    fn module(&self) -> Module {
        let (send, received) = (self.clone(), self.clone());
        Module::new("foo")
            .method("send", move |peer: String, data: Bytes| {
                let sender = send.sender(&peer);
                async move {
                    let sent = sender?.send_raw(0, data.0.into()).await;
                    sent.map_err(RpcError::other)
                }
            })
            .subscription("received", move |context: Context| {
                let (notifier, notifications) = context.notifier();
                received.state().listeners.push(notifier);
                std::future::ready(rpc::Result::Ok(notifications))
            })
    }

    fn sender(&self, peer: &str) -> rpc::Result<MsgSender> {
        let peer: NodeId = peer.parse().map_err(RpcError::other)?;
        let sender = self.state().senders.get(&peer).cloned();
        sender.ok_or_else(|| RpcError::other("no such peer"))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Protocol for Foo {
    fn capability(&self) -> Capability {
        Capability::new("foo", 42)
    }

    fn length(&self) -> u64 {
        1
    }

    fn node_info(&self) -> Option<Value> {
        Some(json!({"greeting": "hello"}))
    }

    fn peer_info(&self, _peer: NodeId) -> PeerInfoState {
        PeerInfoState::Known(json!({"version": 42}))
    }

    fn run(
        &self,
        peer: Peer,
        mut messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        let own = self.clone();
        own.state().senders.insert(peer.id(), messages.sender());
        async move {
            while let Ok(message) = messages.recv().await {
                let received = || Received {
                    peer: peer.id().to_string(),
                    code: message.code,
                    payload: Bytes(message.payload.to_vec()),
                };
                own.state().listeners.retain(|listener| listener.send(&received()).is_ok());
            }
            own.state().senders.remove(&peer.id());
            Ok(())
        }
        .boxed()
    }
}

/// The capability `foo` of the second node.
fn echo() -> impl Protocol {
    protocol_fn(Capability::new("foo", 42), 1, |_peer, mut messages| async move {
        loop {
            let message = messages.recv().await?;
            messages.send_raw(message.code, message.payload).await?;
        }
    })
}
