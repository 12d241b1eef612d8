//! What a server offers is what was named, and nothing else.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    node::Node,
    soon,
    wire::{Transport, Wire},
};
use p2p_server::test_utils::Net;
use rpc::{Client, HttpConfig, Module, Modules, Server, WsConfig, admin::AdminApi, code, web3};
use serde_json::{Value, json};

/// Everything that there is, written out once more.
const ADMIN: [&str; 12] = [
    "addPeer",
    "addTrustedPeer",
    "banPeer",
    "bans",
    "datadir",
    "dialStatus",
    "nodeInfo",
    "peerStats",
    "peers",
    "removePeer",
    "removeTrustedPeer",
    "unban",
];
const NET: [&str; 2] = ["listening", "peerCount"];
const WEB3: [&str; 2] = ["clientVersion", "sha3"];

/// What others offer, what a server object can do, and names that look like something.
const NOT_THERE: [&str; 36] = [
    // of go-ethereum's admin
    "admin_startHTTP",
    "admin_stopHTTP",
    "admin_startWS",
    "admin_stopWS",
    "admin_startRPC",
    "admin_stopRPC",
    "admin_exportChain",
    "admin_importChain",
    "admin_sleep",
    "admin_sleepBlocks",
    // of the object behind
    "admin_stop",
    "admin_start",
    "admin_server",
    "admin_builder",
    "admin_events",
    "admin_dialEvents",
    "admin_localNode",
    "admin_setRecordEntry",
    "admin_self",
    "admin_subscribeEvents",
    "admin_peerCount",
    "admin_setupConn",
    "admin_heldBytes",
    // of other namespaces
    "net_version",
    "net_peers",
    "debug_discoveryV4Table",
    "eth_accounts",
    "personal_listAccounts",
    "rpc_stop",
    "rpc_discover",
    // and not in another writing
    "admin_AddPeer",
    "admin_add_peer",
    "ADMIN_addPeer",
    "admin_peerEvents",
    "admin_",
    "addPeer",
];

#[tokio::test(start_paused = true)]
async fn the_three_namespaces_offer_what_their_tables_say() {
    let net = Net::new(1);
    let node = Node::start(&net, "one").await;
    let modules = AdminApi::new(node.p2p.clone()).modules();
    let methods = |module: &Module| -> BTreeSet<String> {
        module.method_names().map(str::to_owned).collect()
    };

    let offered: BTreeMap<_, _> =
        modules.iter().map(|module| (module.namespace(), methods(module))).collect();

    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = [("admin", of(&ADMIN)), ("net", of(&NET)), ("web3", of(&WEB3))];
    assert_eq!(offered, BTreeMap::from(expected));
    for module in &modules {
        let subscriptions: Vec<_> = module.subscription_names().collect();
        let expected: &[&str] = if module.namespace() == "admin" { &["peerEvents"] } else { &[] };
        assert_eq!(subscriptions, expected, "{module:?}");
        assert!(!module.is_authenticated(), "{module:?}");
    }
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_lists_its_namespaces_and_answers_in_no_other() {
    let net = Net::new(2);
    let node = Node::start(&net, "one").await;

    assert_eq!(modules(&node.client).await, ["admin", "net", "rpc", "web3"]);
    for method in NOT_THERE {
        check_absent(&node.client, method).await;
    }
    for (namespace, names) in [("admin", &ADMIN[..]), ("net", &NET), ("web3", &WEB3)] {
        for name in names {
            let method = format!("{namespace}_{name}");
            // Too many arguments for anything: whatever is there says so and does nothing.
            let error = refused(&node.client, &method, json!([1, 2, 3, 4, 5])).await;
            assert_eq!(error.0, code::INVALID_PARAMS, "{method}: {}", error.1);
        }
    }
    assert!(node.p2p.is_running());
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_registered_is_not_there() {
    let net = Net::new(3);
    let node = Node::start(&net, "one").await;
    let api = AdminApi::new(node.p2p.clone());
    let number = Module::new("foo").method("number", || async { rpc::Result::Ok(7) });

    for (registered, listed) in [
        (Vec::new(), &["rpc"][..]),
        (vec![api.net()], &["net", "rpc"]),
        (vec![web3("name")], &["rpc", "web3"]),
        (vec![number, api.web3()], &["foo", "rpc", "web3"]),
    ] {
        let server = Server::builder().modules(registered).start().await.expect("it starts");
        let client = server.attach();

        assert_eq!(modules(&client).await, listed);
        for (namespace, names) in [("admin", &ADMIN[..]), ("net", &NET), ("web3", &WEB3)] {
            for name in names.iter().filter(|_| !listed.contains(&namespace)) {
                check_absent(&client, &format!("{namespace}_{name}")).await;
            }
        }
        let (code, text) = refused(&client, "admin_subscribe", json!(["peerEvents"])).await;
        assert_eq!(code, code::METHOD_NOT_FOUND);
        assert_eq!(text, r#"no "peerEvents" subscription in admin namespace"#);
        server.stop().await;
    }
    node.stop().await;
}

#[tokio::test]
async fn over_http_and_websocket_admin_is_offered_where_it_was_listed() {
    let node = p2p_server::Server::builder(enode::SecretKey::random()).start().await;
    let node = node.expect("it starts");
    for (modules, expected) in [
        (None, json!({"net": "1.0", "rpc": "1.0", "web3": "1.0"})),
        (Some(Modules::only(["admin"])), json!({"admin": "1.0", "rpc": "1.0"})),
        (Some(Modules::only::<&str>([])), json!({"rpc": "1.0"})),
    ] {
        let mut http = HttpConfig::new("127.0.0.1:0");
        let mut ws = WsConfig::with_http();
        if let Some(modules) = modules {
            (http, ws) = (http.modules(modules.clone()), ws.modules(modules));
        }
        let builder = Server::builder().modules(AdminApi::new(node.clone())).http(http).ws(ws);
        let server = builder.start().await.expect("it starts");

        for transport in [Transport::Http, Transport::Ws] {
            let mut wire = Wire::open(&server, transport).await;
            assert_eq!(ask(&mut wire, "rpc_modules").await["result"], expected);
            let answer = ask(&mut wire, "admin_bans").await;
            if expected["admin"].is_null() {
                assert_eq!(answer["error"]["code"], code::METHOD_NOT_FOUND, "{transport:?}");
            } else {
                assert_eq!(answer["result"], json!([]), "{transport:?}");
            }
        }
        server.stop().await;
    }
    node.stop().await;
}

async fn ask(wire: &mut Wire, method: &str) -> Value {
    wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string()).await;
    let answer = soon("an answer", wire.receive()).await.expect("it is open");
    serde_json::from_str(&answer).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn a_subscription_of_another_name_is_not_there() {
    let net = Net::new(4);
    let node = Node::start(&net, "one").await;

    for name in ["nope", "events", "dialEvents", "peers", "PeerEvents", "peer_events", ""] {
        let (code, text) = refused(&node.client, "admin_subscribe", json!([name])).await;
        assert_eq!(code, code::METHOD_NOT_FOUND, "{name}");
        assert_eq!(text, format!("no {name:?} subscription in admin namespace"));
    }
    node.stop().await;
}

async fn modules(client: &Client) -> Vec<String> {
    let listed: BTreeMap<String, String> =
        client.call("rpc_modules", ()).await.expect("it is always there");
    assert!(listed.values().all(|version| version == "1.0"), "{listed:?}");
    listed.into_keys().collect()
}

async fn check_absent(client: &Client, method: &str) {
    let (code, text) = refused(client, method, json!([])).await;
    assert_eq!(code, code::METHOD_NOT_FOUND, "{method}: {text}");
    assert_eq!(text, format!("the method {method} does not exist/is not available"));
}

async fn refused(client: &Client, method: &str, params: Value) -> (i64, String) {
    let error = client.call_raw(method, params).await.expect_err(method);
    let error = error.rpc_error().expect("an answer of the server");
    (error.code(), error.message().to_owned())
}
