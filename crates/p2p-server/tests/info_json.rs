//! The JSON of node info, peer info and events, held against what a go-ethereum 1.9.2 node answered
//! over IPC: members, their order and their forms.
//!
//! The recorded session is acted out again, request by request, by two servers of ours with the
//! recorded keys and names. Ports, the text of the node record and the names' platform differ from
//! run to run and are put aside before texts are compared.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::{BarePeer, builder, builder_of, echo, foo, in_time, next, start, until_added};
use enode::{Enode, NodeId, NodeRecord, SecretKey};
use futures_util::future::BoxFuture;
use p2p_server::{
    Capability, MsgChannel, MsgSender, Peer, PeerEvents, PeerInfoState, Protocol, ProtocolError,
    Server,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::Notify;

#[tokio::test]
async fn replies_and_events_have_the_members_order_and_forms_of_the_recorded_ones() {
    let transcript = Transcript::load();
    let mut stage = Stage::set_up(&transcript).await;

    for section in &transcript.sections {
        let mut requests: Vec<Request> = Vec::new();
        for entry in &section.exchange {
            let Some(bytes) = &entry.bytes else { continue };
            if entry.direction == "client" {
                let request = serde_json::from_str::<Request>(bytes).unwrap_or_default();
                stage.act(&request).await;
                requests.push(request);
            } else if !bytes.starts_with('[') {
                let reply = serde_json::from_str::<Reply<'_>>(bytes).expect(bytes);
                let asked = requests.iter().rev().find(|request| request.is_answered_by(&reply));
                stage.compare(asked, &reply).await;
            }
        }
    }

    stage.node.stop().await;
    stage.other.stop().await;
}

/// A protocol that tells of peers only what it is given.
struct Tells(&'static str, PeerInfoState);

impl Protocol for Tells {
    fn capability(&self) -> Capability {
        Capability::new(self.0, 1)
    }

    fn length(&self) -> u64 {
        1
    }

    fn run(
        &self,
        _: Peer,
        mut messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin(async move {
            while messages.recv().await.is_ok() {}
            Ok(())
        })
    }

    fn peer_info(&self, _: NodeId) -> PeerInfoState {
        self.1.clone()
    }
}

#[tokio::test]
async fn an_inbound_peer_is_shown_with_its_source_address_and_what_each_protocol_tells() {
    let server = start(
        builder()
            .protocol(Tells("foo", PeerInfoState::Unsupported))
            .protocol(Tells("bar", PeerInfoState::Pending))
            .protocol(Tells("baz", PeerInfoState::Known(json!({ "b": 1, "a": [] }))))
            .protocol(Tells("not-shared", PeerInfoState::Pending)),
    )
    .await;
    let mut events = server.events();
    let offers = [("foo", 1), ("other", 7), ("baz", 1), ("bar", 1)];
    let peer = BarePeer::connect(&server, &offers).await;
    until_added(&mut events, peer.id()).await;

    let shown = serde_json::to_string(&server.peers_info()).unwrap();

    let (key, id) = (const_hex::encode(peer.key.public_key().to_bytes()), peer.id());
    let (near, far) = (peer.stream.peer_addr().unwrap(), peer.stream.local_addr().unwrap());
    assert_eq!(
        shown,
        format!(r#"[{{"enode":"enode://{key}@{far}","id":"{id}","name":"bare/v1","#,)
            + r#""caps":["bar/1","baz/1","foo/1","other/7"],"#
            + &format!(
                r#""network":{{"localAddress":"{near}","remoteAddress":"{far}","inbound":true,"#
            )
            + r#""trusted":false,"static":false},"#
            + r#""protocols":{"bar":"handshake","baz":{"a":[],"b":1},"foo":"unknown"}}]"#
    );
    let node: Value = serde_json::to_value(server.node_info()).unwrap();
    let protocols =
        json!({ "bar": "unknown", "baz": "unknown", "foo": "unknown", "not-shared": "unknown" });
    assert_eq!(node["protocols"], protocols);
    server.stop().await;
}

#[tokio::test]
async fn peers_are_listed_by_id() {
    let server = start(builder()).await;
    let mut events = server.events();
    let mut peers = Vec::new();
    for _ in 0..5 {
        let peer = BarePeer::connect(&server, &[]).await;
        until_added(&mut events, peer.id()).await;
        peers.push(peer);
    }

    let ids: Vec<String> = server.peers_info().into_iter().map(|info| info.id).collect();

    let mut sorted: Vec<String> = peers.iter().map(|peer| peer.id().to_string()).collect();
    sorted.sort();
    assert_eq!(ids, sorted);
    server.stop().await;
}

/// The two nodes of the recording.
struct Stage {
    node: Server,
    other: Server,
    events: PeerEvents,
    talk: Arc<Talk>,
}

impl Stage {
    async fn set_up(transcript: &Transcript) -> Self {
        let talk = Arc::new(Talk::default());
        let node = builder_of(transcript.node.key())
            .name(transcript.node.client())
            .message_events(true)
            .protocol(Arc::clone(&talk));
        let other = builder_of(transcript.second_node.key())
            .name(transcript.second_node.client())
            .protocol(foo(1, echo));
        let (node, other) = (start(node).await, start(other).await);
        let events = node.events();
        Self { node, other, events, talk }
    }

    /// Does what the request asks for, where it asks for something of ours.
    async fn act(&self, request: &Request) {
        match (request.method.as_str(), request.strings().as_slice()) {
            ("admin_addPeer", [url]) => {
                let Ok(enode) = url.parse::<Enode>() else { return };
                let SocketAddr::V4(addr) = self.other.listen_addr().unwrap() else { panic!() };
                let enode = enode.with_ip((*addr.ip()).into()).with_ports(addr.port(), addr.port());
                self.node.add_peer(enode).unwrap();
            }
            ("admin_removePeer", [url]) => {
                let id = url.parse::<Enode>().unwrap().id();
                in_time(self.node.remove_peer(id).unwrap()).await;
            }
            ("foo_send", [id, data]) => {
                let payload = Bytes::from(const_hex::decode(data).unwrap());
                let id = NodeId::new(const_hex::decode_to_array(id).unwrap());
                if self.node.peer(id).is_some() {
                    let sender = in_time(self.talk.sender(id)).await;
                    sender.send_raw(0, payload).await.unwrap();
                }
            }
            _ => {}
        }
    }

    /// Holds what we have to show against a reply, or an event that was told.
    async fn compare(&mut self, asked: Option<&Request>, reply: &Reply<'_>) {
        if reply.method.as_deref() == Some("admin_subscription") {
            let told = reply.params.as_ref().unwrap().result.get();
            assert_same(&next(&mut self.events).await, told);
            return;
        }
        let result = || reply.result.expect("a result").get();
        match asked.map(|request| request.method.as_str()) {
            Some("admin_nodeInfo") => {
                assert_same(&self.node.node_info(), result());
                check_record(result());
                check_record(&serde_json::to_string(&self.node.node_info()).unwrap());
            }
            Some("admin_peers") => assert_same(&self.node.peers_info(), result()),
            _ => {}
        }
    }
}

/// The recorded node's protocol: it tells of itself and its peers, and sends on request.
#[derive(Default)]
struct Talk {
    // bound: one for each connection of the test
    senders: Mutex<Vec<(NodeId, MsgSender)>>,
    joined: Notify,
}

impl Talk {
    /// The way to a connected peer, once its body runs.
    async fn sender(&self, id: NodeId) -> MsgSender {
        loop {
            let joined = self.joined.notified();
            let senders = self.senders.lock().unwrap().clone();
            if let Some((_, sender)) =
                senders.iter().find(|(to, sender)| *to == id && !sender.is_closed())
            {
                return sender.clone();
            }
            joined.await;
        }
    }
}

impl Protocol for Talk {
    fn capability(&self) -> Capability {
        Capability::new("foo", 42)
    }

    fn length(&self) -> u64 {
        1
    }

    fn run(
        &self,
        peer: Peer,
        mut messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        self.senders.lock().unwrap().push((peer.id(), messages.sender()));
        self.joined.notify_one();
        Box::pin(async move {
            while messages.recv().await.is_ok() {}
            Ok(())
        })
    }

    fn node_info(&self) -> Option<Value> {
        Some(json!({ "greeting": "hello" }))
    }

    fn peer_info(&self, _: NodeId) -> PeerInfoState {
        PeerInfoState::Known(json!({ "version": 42 }))
    }
}

/// Compares what `ours` serializes to with a recorded text, member by member in their order.
#[track_caller]
fn assert_same(ours: &impl Serialize, recorded: &str) {
    let ours = serde_json::to_string(ours).unwrap();

    assert_eq!(normalise(&ours), normalise(recorded));
}

/// The text without what differs from run to run: ports, the record, the platform in a name.
fn normalise(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some((start, end, put)) = ["127.0.0.1:", "\"listener\":", "\"enr\":\"", "\"name\":\""]
        .iter()
        .filter_map(|mark| Some((rest.find(mark)?, *mark)))
        .min()
        .map(|(at, mark)| {
            let start = at + mark.len();
            let value = &rest[start..];
            let end = match mark {
                "\"enr\":\"" | "\"name\":\"" => value.find('"').unwrap(),
                _ => value.find(|c: char| !c.is_ascii_digit()).unwrap(),
            };
            let put = match mark {
                "\"name\":\"" => value[..end].split('/').take(2).collect::<Vec<_>>().join("/"),
                "\"enr\":\"" => "ENR".into(),
                _ => "PORT".into(),
            };
            (start, start + end, put)
        })
    {
        out.push_str(&rest[..start]);
        out.push_str(&put);
        rest = &rest[end..];
    }
    out + rest
}

/// The record in a node's info is signed by the node and says the same as the other members.
fn check_record(info: &str) {
    let info: Value = serde_json::from_str(info).unwrap();
    let record: NodeRecord = info["enr"].as_str().unwrap().parse().unwrap();

    assert_eq!(record.node_id().to_string(), info["id"]);
    assert_eq!(record.ip().unwrap().to_string(), info["ip"]);
    assert_eq!(record.tcp_port(), info["ports"]["listener"]);
    assert_eq!(record.udp_port(), info["ports"]["discovery"]);
}

#[derive(Deserialize)]
struct Transcript {
    node: Actor,
    second_node: Actor,
    sections: Vec<Section>,
}

impl Transcript {
    fn load() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rpc_ipc_transcript.json");
        let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let About { node, second_node } = file.about;
        Self { node, second_node, sections: file.sections }
    }
}

#[derive(Deserialize)]
struct File {
    about: About,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct About {
    node: Actor,
    second_node: Actor,
}

#[derive(Deserialize)]
struct Actor {
    private_key: String,
    name: String,
    version: String,
}

impl Actor {
    fn key(&self) -> SecretKey {
        SecretKey::from_hex(&self.private_key).unwrap()
    }

    fn client(&self) -> String {
        format!("{}/v{}", self.name, self.version)
    }
}

#[derive(Deserialize)]
struct Section {
    exchange: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    direction: String,
    bytes: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Request {
    id: Value,
    method: String,
    params: Value,
}

impl Request {
    fn strings(&self) -> Vec<&str> {
        self.params.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn is_answered_by(&self, reply: &Reply<'_>) -> bool {
        !self.id.is_null() && reply.id.as_ref() == Some(&self.id)
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    id: Option<Value>,
    method: Option<String>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<Notification<'a>>,
}

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}
