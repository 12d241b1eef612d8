//! The subscription `peerEvents`: what happens to peers, as fast as a caller reads it.

mod common;

use common::{
    node::{Node, connect},
    soon,
    wire::Wire,
};
use p2p_server::test_utils::Net;
use rpc::Subscription;
use serde_json::{Value, json};

async fn subscribe(node: &Node) -> Subscription<Value> {
    let asked = node.client.subscribe("admin", ("peerEvents",));
    soon("the id", asked).await.expect("it is subscribed")
}

async fn next(events: &mut Subscription<Value>) -> Value {
    soon("an event", events.next()).await.expect("the server runs").expect("an event")
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_seen_coming_talking_and_going() {
    let net = Net::new(1);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let (mut of_one, mut of_two) = (subscribe(&one).await, subscribe(&two).await);

    connect(&net, &one, &two).await;
    one.say("foobar").await;

    let network = one.p2p.peer(two.p2p.id()).expect("a peer").network();
    let (local, remote) = (network.local_address, network.remote_address);
    let event = |kind: &str, peer: &Node, local, remote| json!({"type": kind, "peer": peer.id(), "local": local, "remote": remote});
    let with = |mut event: Value, members: Value| {
        let more = members.as_object().cloned().expect("members");
        event.as_object_mut().expect("an event").extend(more);
        event
    };
    let message = json!({"protocol": "foo", "msg_code": 0, "msg_size": 7});
    assert_eq!(next(&mut of_one).await, event("add", &two, local, remote));
    assert_eq!(next(&mut of_two).await, event("add", &one, remote, local));
    let sent = with(event("msgsend", &two, local, remote), message.clone());
    assert_eq!(next(&mut of_one).await, sent);
    let received = with(event("msgrecv", &one, remote, local), message);
    assert_eq!(next(&mut of_two).await, received);

    assert!(one.call::<bool>("admin_removePeer", (two.url(),)).await);

    let requested = json!({"error": "disconnect requested"});
    let dropped = with(event("drop", &two, local, remote), requested.clone());
    assert_eq!(next(&mut of_one).await, dropped);
    let dropped = with(event("drop", &one, remote, local), requested);
    assert_eq!(next(&mut of_two).await, dropped);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_has_its_members_in_the_order_of_go_ethereum() {
    let net = Net::new(2);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let mut events = subscribe(&one).await;

    connect(&net, &one, &two).await;

    let raw = soon("an event", events.next_raw()).await.expect("one").expect("an event");
    let start = format!(r#"{{"type":"add","peer":"{}","local":"10.0.0.1:"#, two.id());
    assert!(raw.get().starts_with(&start), "{raw}");
    assert!(raw.get().ends_with(r#"","remote":"10.0.0.2:30303"}"#), "{raw}");
    one.stop().await;
    two.stop().await;
}

/// Decision 9: whoever does not read loses message events, is told how many, and holds up nobody.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_told_what_he_missed_and_others_miss_nothing() {
    const MESSAGES: u64 = 8_000;
    let net = Net::new(3);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let mut quick = subscribe(&one).await;
    let mut lazy = lazy_subscriber(&one).await;

    connect(&net, &one, &two).await;
    assert_eq!(next(&mut quick).await["type"], "add");
    for _ in 0..MESSAGES {
        one.say("flood").await;
        assert_eq!(next(&mut quick).await["type"], "msgsend");
    }
    assert!(one.call::<bool>("admin_removePeer", (two.url(),)).await);
    assert_eq!(next(&mut quick).await["type"], "drop");

    let (mut seen, mut missed) = (0, 0);
    assert_eq!(lazy.next().await["type"], "add");
    loop {
        let event = lazy.next().await;
        match event["type"].as_str() {
            Some("msgsend") => seen += 1,
            Some("lagged") => {
                assert_eq!(event, json!({"type": "lagged", "missed": event["missed"]}));
                missed += event["missed"].as_u64().expect("a number");
            }
            Some("drop") => break,
            _ => panic!("unexpected: {event}"),
        }
    }
    assert_eq!(seen + missed, MESSAGES);
    assert!(seen >= 4_096 && missed > 1_000, "{seen} seen, {missed} missed");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_subscription_ends_with_the_server_after_the_last_event() {
    let net = Net::new(4);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let mut wire = lazy_subscriber(&one).await;
    connect(&net, &one, &two).await;

    one.p2p.stop().await;

    assert_eq!(wire.next().await["type"], "add");
    assert_eq!(wire.next().await["type"], "drop");
    common::expect_silence(&mut wire.0).await;
    let error = one.refused("admin_subscribe", ("peerEvents",)).await;
    assert_eq!(error, (-32_000, "node not started".to_owned()));
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_unsubscribes_hears_no_more() {
    let net = Net::new(5);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let mut wire = lazy_subscriber(&one).await;
    let subscription = wire.1.clone();

    wire.0.send(&call("admin_unsubscribe", &subscription)).await;
    assert_eq!(wire.answer().await["result"], json!(true));
    connect(&net, &one, &two).await;

    common::expect_silence(&mut wire.0).await;
    one.stop().await;
    two.stop().await;
}

/// A subscriber without a library, who reads when the test does; and the id of his subscription.
struct Lazy(Wire, String);

async fn lazy_subscriber(node: &Node) -> Lazy {
    let (theirs, ours) = tokio::io::duplex(1024);
    node.rpc.serve_stream(theirs);
    let mut lazy = Lazy(Wire::stream(ours), String::new());
    lazy.0.send(&call("admin_subscribe", "peerEvents")).await;
    lazy.1 = lazy.answer().await["result"].as_str().expect("an id").to_owned();
    lazy
}

impl Lazy {
    async fn answer(&mut self) -> Value {
        let line = soon("a message", self.0.receive()).await.expect("it is open");
        serde_json::from_str(&line).expect("JSON")
    }

    /// The next event.
    async fn next(&mut self) -> Value {
        let message = self.answer().await;
        assert_eq!(message["method"], "admin_subscription");
        assert_eq!(message["params"]["subscription"], json!(self.1));
        message["params"]["result"].clone()
    }
}

fn call(method: &str, param: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": [param]}).to_string()
}
