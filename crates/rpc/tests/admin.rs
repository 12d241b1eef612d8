//! The methods of `admin`, `net` and `web3`, over real connections between nodes in memory.

mod common;

use std::time::{Duration, SystemTime};

use common::node::{Node, connect, wait_until};
use p2p_server::{DisconnectReason, PeerEvent, test_utils::Net};
use rpc::{Server, admin::AdminApi};
use serde_json::{Value, json};

const SERVER: i64 = -32_000;
const PARAMS: i64 = -32_602;

#[tokio::test(start_paused = true)]
async fn a_node_tells_of_itself() {
    let net = Net::new(1);
    let node = Node::start(&net, "one/v1").await;

    let info = serde_json::to_string(&node.p2p.node_info()).expect("plain data");
    assert_eq!(node.call_raw("admin_nodeInfo", ()).await, info);
    assert_eq!(node.call::<Value>("admin_peers", ()).await, json!([]));
    assert_eq!(node.call_raw("net_listening", ()).await, "true");
    assert_eq!(node.call_raw("net_peerCount", ()).await, r#""0x0""#);
    assert_eq!(node.call_raw("web3_clientVersion", ()).await, r#""one/v1""#);
    let hash = r#""0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8""#;
    assert_eq!(node.call_raw("web3_sha3", ("0x68656c6c6f",)).await, hash);
    assert_eq!(node.refused("web3_sha3", ("68656c6c6f",)).await.0, PARAMS);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_data_directory_is_absolute_and_empty_where_there_is_none() {
    let net = Net::new(1);
    let node = Node::start(&net, "one").await;
    let datadir = async |api: AdminApi| -> String {
        let server = Server::builder().module(api.admin()).start().await.expect("it starts");
        server.attach().call("admin_datadir", ()).await.expect("a path")
    };
    let api = AdminApi::new(node.p2p.clone());
    let folder = tempfile::tempdir().expect("a folder");

    assert_eq!(datadir(api.clone()).await, "");
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    assert_eq!(datadir(api.clone().datadir(folder.path())).await, path);
    let relative = datadir(api.datadir("some/where")).await;
    assert!(relative.ends_with("some/where") && std::path::Path::new(&relative).is_absolute());
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_added_listed_and_gone_when_its_removal_is_answered() {
    let net = Net::new(2);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);

    connect(&net, &one, &two).await;

    for (node, other, is_static) in [(&one, &two, true), (&two, &one, false)] {
        let peers = serde_json::to_string(&node.p2p.peers_info()).expect("plain data");
        assert_eq!(node.call_raw("admin_peers", ()).await, peers);
        assert_eq!(node.call_raw("net_peerCount", ()).await, r#""0x1""#);
        let peers: Value = node.call("admin_peers", ()).await;
        assert_eq!(peers[0]["id"], other.id());
        assert_eq!(peers[0]["network"]["static"], is_static);
        assert_eq!(peers[0]["network"]["inbound"], !is_static);
    }

    // A batch runs in its order: what comes second sees what the first did.
    let batch = one.client.batch().call("admin_removePeer", (two.url(),)).call("admin_peers", ());
    let answers = batch.send().await.expect("answers");
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert_eq!(answers.iter().map(|answer| answer.get()).collect::<Vec<_>>(), ["true", "[]"]);
    assert!(!one.p2p.dial_status(two.p2p.id()).expect("it was dialed").is_static);
    // Nobody is there to be removed any more, which is no error.
    assert!(one.call::<bool>("admin_removePeer", (two.url(),)).await);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_trusted_peer_is_marked_and_may_be_named_by_its_record() {
    let net = Net::new(3);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let record = two.p2p.record().expect("a record").to_string();
    let trusted = async || -> Value {
        let peers: Value = one.call("admin_peers", ()).await;
        peers[0]["network"]["trusted"].clone()
    };

    assert!(one.call::<bool>("admin_addTrustedPeer", (&record,)).await);
    assert_eq!(one.call::<Value>("admin_peers", ()).await, json!([]), "trust alone dials nobody");
    assert!(one.call::<bool>("admin_addPeer", (&record,)).await);
    wait_until(&net, "it is a peer", || one.p2p.peer_count() == 1).await;

    assert_eq!(trusted().await, true);
    assert!(one.call::<bool>("admin_removeTrustedPeer", (two.url(),)).await);
    assert_eq!(trusted().await, false);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_names_no_node_is_refused_by_every_method() {
    let net = Net::new(4);
    let node = Node::start(&net, "one").await;
    let invalid = |cause: &str| (SERVER, format!("invalid enode: {cause}"));
    let missing = |n| (PARAMS, format!("missing value for required argument {n}"));

    for method in ["addPeer", "removePeer", "addTrustedPeer", "removeTrustedPeer"] {
        let method = format!("admin_{method}");
        let no_id = node.refused(&method, ("enode://zz",)).await;
        assert_eq!(no_id, invalid("does not contain node ID"), "{method}");
        let an_id = node.refused(&method, (node.id(),)).await;
        assert_eq!(an_id, invalid("missing 'enr:' prefix for base64-encoded record"), "{method}");
        assert_eq!(node.refused(&method, ()).await, missing(0), "{method}");
        assert_eq!(node.refused(&method, (5,)).await.0, PARAMS, "{method}");
    }
    for method in ["admin_dialStatus", "admin_peerStats", "admin_unban"] {
        let no_id = node.refused(method, ("enode://zz",)).await;
        assert_eq!(no_id, invalid("does not contain node ID"), "{method}");
        let (code, text) = node.refused(method, ("abcd",)).await;
        assert_eq!(code, PARAMS, "{method}");
        assert!(text.starts_with("invalid argument 0: "), "{method}: {text}");
        assert_eq!(node.refused(method, ()).await, missing(0), "{method}");
    }
    assert_eq!(node.refused("admin_addPeer", (node.url(),)).await, (SERVER, "is self".to_owned()));
    let many = (PARAMS, "too many arguments, want at most 0".to_owned());
    assert_eq!(node.refused("admin_peers", (1,)).await, many);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_dial_says_what_came_of_it() {
    let net = Net::new(5);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let status = async |who: &str| masked(&one.call_raw("admin_dialStatus", (who,)).await);
    assert_eq!(status(&two.id()).await, "null", "nothing is known");

    // Nobody listens there.
    let nowhere = two.p2p.enode().with_ip([10, 9, 9, 9].into()).to_string();
    assert!(one.call::<bool>("admin_addPeer", (&nowhere,)).await);
    wait_until(&net, "it was dialed", || {
        one.p2p.dial_status(two.p2p.id()).is_some_and(|status| status.last.is_some())
    })
    .await;

    let expected = format!(
        concat!(
            r#"{{"id":"{}","static":true,"trusted":false,"connected":false,"dialing":false,"#,
            r#""attempts":1,"last":{{"time":"[TIME]","stage":"connect","error":"connection refused"}},"#,
            r#""next":"[TIME]"}}"#
        ),
        two.id()
    );
    for who in [two.id(), format!("0x{}", two.id()), two.url(), nowhere] {
        assert_eq!(status(&who).await, expected, "{who}");
    }
    let answer: Value = one.call("admin_dialStatus", (two.id(),)).await;
    let (last, next) = (unix(&answer["last"]["time"]), unix(&answer["next"]));
    assert!((20..50).contains(&(next - last)), "{last}, {next}");
    assert!(last <= now() + 1 && next > now(), "{last}, {next}, {}", now());

    // With the right address it is connected on the next attempt.
    let mut events = one.p2p.events();
    assert!(one.call::<bool>("admin_addTrustedPeer", (two.url(),)).await);
    assert!(one.call::<bool>("admin_addPeer", (two.url(),)).await);
    let added = events.next().await;
    assert!(matches!(added, Some(PeerEvent::Added { .. })), "{added:?}");

    let expected = format!(
        concat!(
            r#"{{"id":"{}","static":true,"trusted":true,"connected":true,"dialing":false,"#,
            r#""attempts":2,"last":{{"time":"[TIME]","stage":"session","error":null}},"next":null}}"#
        ),
        two.id()
    );
    assert_eq!(status(&two.id()).await, expected);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_traffic_of_a_peer_is_counted() {
    let net = Net::new(6);
    net.set_latency(Duration::from_millis(20));
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let not_found = (SERVER, "peer not found".to_owned());
    assert_eq!(one.refused("admin_peerStats", (two.id(),)).await, not_found);

    connect(&net, &one, &two).await;
    let stats: Value = one.call("admin_peerStats", (two.id(),)).await;
    assert_eq!(stats["messages"], json!({"foo/42": {"in": 0, "out": 0}}));
    assert_eq!(stats["rttMillis"], Value::Null, "no ping was answered yet");
    for _ in 0..3 {
        one.say("foobar").await;
    }
    wait_until(&net, "a ping was answered", || {
        let peer = one.p2p.peer(two.p2p.id()).expect("a peer");
        peer.stats().round_trip.is_some()
    })
    .await;

    let stats = one.call_raw("admin_peerStats", (two.url(),)).await;
    let parsed: Value = serde_json::from_str(&stats).expect("JSON");
    let number = |name: &str| parsed[name].as_u64().unwrap_or_else(|| panic!("{name} in {stats}"));
    let expected = format!(
        concat!(
            r#"{{"id":"{}","ingressBytes":{},"egressBytes":{},"#,
            r#""messages":{{"foo/42":{{"in":0,"out":3}}}},"#,
            r#""queued":0,"rttMillis":40,"connectedSeconds":{}}}"#
        ),
        two.id(),
        number("ingressBytes"),
        number("egressBytes"),
        number("connectedSeconds")
    );
    assert_eq!(stats, expected);
    assert!(number("egressBytes") > number("ingressBytes"), "{stats}");
    assert!((14..60).contains(&number("connectedSeconds")), "{stats}");
    let of_two: Value = two.call("admin_peerStats", (one.id(),)).await;
    assert_eq!(of_two["messages"], json!({"foo/42": {"in": 3, "out": 0}}));
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_banned_node_is_sent_away_and_kept_out() {
    let net = Net::new(7);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    connect(&net, &one, &two).await;
    let mut events = two.p2p.events();

    assert!(one.call::<bool>("admin_banPeer", (two.id(), 3_600)).await);

    let dropped = common::soon("the end", events.next()).await;
    let requested = DisconnectReason::Requested.to_string();
    assert!(
        matches!(&dropped, Some(PeerEvent::Dropped { error, .. }) if *error == requested),
        "{dropped:?}"
    );
    let bans = one.call_raw("admin_bans", ()).await;
    let expected = format!(r#"[{{"target":"{}","until":"[TIME]"}}]"#, two.id());
    assert_eq!(masked(&bans), expected);
    let bans: Value = serde_json::from_str(&bans).expect("JSON");
    assert!(unix(&bans[0]["until"]).abs_diff(now() + 3_600) < 60, "{bans}");

    // It comes back, and is not let in.
    assert!(two.call::<bool>("admin_addPeer", (one.url(),)).await);
    wait_until(&net, "it tried", || {
        let status = two.p2p.dial_status(one.p2p.id());
        status.is_some_and(|status| status.last.is_some_and(|last| last.error.is_some()))
    })
    .await;
    assert_eq!((one.p2p.peer_count(), two.p2p.peer_count()), (0, 0));

    assert!(one.call::<bool>("admin_unban", (format!("0x{}", two.id()),)).await);
    assert!(!one.call::<bool>("admin_unban", (two.id(),)).await, "it is lifted already");
    assert_eq!(one.call_raw("admin_bans", ()).await, "[]");
    wait_until(&net, "it is back", || one.p2p.peer_count() == 1).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_network_is_banned_and_its_members_leave() {
    let net = Net::new(8);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    connect(&net, &one, &two).await;

    assert!(one.call::<bool>("admin_banPeer", ("10.0.0.0/30", u64::MAX)).await);
    assert!(one.call::<bool>("admin_banPeer", ("192.0.2.1", 60)).await);
    assert!(one.call::<bool>("admin_banPeer", (two.url(), 60)).await);

    wait_until(&net, "it left", || one.p2p.peer_count() == 0).await;
    let bans: Value = one.call("admin_bans", ()).await;
    let targets: Vec<_> = bans.as_array().expect("a list").iter().map(|b| &b["target"]).collect();
    assert_eq!(targets, [&json!(two.id()), &json!("10.0.0.0/30"), &json!("192.0.2.1")]);
    let for_ever = bans[1]["until"].as_str().expect("a time");
    assert!(for_ever > "2100", "{for_ever}");
    assert!(one.call::<bool>("admin_unban", ("10.0.0.2/30",)).await, "the same network");

    let least = (PARAMS, "invalid argument 1: a ban lasts at least a second".to_owned());
    assert_eq!(one.refused("admin_banPeer", ("10.0.0.1", 0)).await, least);
    for seconds in [json!(-1), json!(1.5), json!("60")] {
        assert_eq!(
            one.refused("admin_banPeer", ("10.0.0.1", &seconds)).await.0,
            PARAMS,
            "{seconds}"
        );
    }
    assert_eq!(one.refused("admin_banPeer", ("10.0.0.0/33", 60)).await.0, PARAMS);
    let missing = (PARAMS, "missing value for required argument 1".to_owned());
    assert_eq!(one.refused("admin_banPeer", ("10.0.0.1",)).await, missing);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_is_not_started() {
    let net = Net::new(9);
    let node = Node::start(&net, "one").await;
    let (url, id) = (node.url(), node.id());

    node.p2p.stop().await;

    for (method, params) in [
        ("nodeInfo", json!([])),
        ("peers", json!([])),
        ("addPeer", json!([url])),
        ("removePeer", json!([url])),
        ("addTrustedPeer", json!([url])),
        ("removeTrustedPeer", json!([url])),
        ("subscribe", json!(["peerEvents"])),
        ("dialStatus", json!([id])),
        ("peerStats", json!([id])),
        ("banPeer", json!([id, 60])),
        ("unban", json!([id])),
        ("bans", json!([])),
    ] {
        let error = node.refused(&format!("admin_{method}"), params).await;
        assert_eq!(error, (SERVER, "node not started".to_owned()), "{method}");
    }
    assert_eq!(node.call_raw("admin_datadir", ()).await, r#""""#);
    assert_eq!(node.call_raw("net_listening", ()).await, "false");
    assert_eq!(node.call_raw("net_peerCount", ()).await, r#""0x0""#);
    assert_eq!(node.call_raw("web3_clientVersion", ()).await, r#""one""#);
    node.stop().await;
}

/// The text with each time in its right form replaced.
fn masked(json: &str) -> String {
    let is_time = |text: &str| {
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        shape == "0000-00-00T00:00:00.000Z"
    };
    let parts = json.split('"').map(|part| if is_time(part) { "[TIME]" } else { part });
    parts.collect::<Vec<_>>().join("\"")
}

/// A time in seconds since 1970, by counting days.
fn unix(time: &Value) -> i64 {
    let text = time.as_str().expect("a time");
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a number");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let whole_years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let month = usize::try_from(month).expect("a month");
    let leap_day = i64::from(month > 2 && is_leap(year));
    let days = whole_years + days_before[month - 1] + leap_day + day - 1;
    days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a time")
}
