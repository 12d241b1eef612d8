//! The data directory: what is in it, whose it is, and what survives.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use enode::{Enode, SecretKey};
use p2p_server::PeerEvent;
use rpc::{AuthConfig, Client};
use service_node::{DirectoryError, Service, ServiceContext, StartFailure};

use self::common::{node, within};

#[tokio::test]
async fn a_node_makes_its_files_where_go_ethereum_has_them() {
    let data = tempfile::tempdir().unwrap();
    let node = node("foo").data_dir(data.path()).build().unwrap();
    assert!(!data.path().join("foo").exists(), "building touches nothing");

    node.start().await.unwrap();

    let instance = data.path().join("foo");
    assert_eq!(node.data_dir(), Some(data.path()));
    assert_eq!(node.instance_dir(), Some(&*instance));
    let key = fs::read_to_string(instance.join("nodekey")).unwrap();
    assert_eq!(SecretKey::from_hex(&key).unwrap().node_id(), node.server().unwrap().id());
    let pid = fs::read_to_string(instance.join("LOCK")).unwrap();
    assert_eq!(pid.trim(), std::process::id().to_string());
    let socket = node.ipc_path().unwrap();
    assert_eq!(socket, data.path().join("foo.ipc"));
    let client = Client::connect(&socket).await.unwrap();
    let datadir: PathBuf = client.call("admin_datadir", ()).await.unwrap();
    assert_eq!(datadir, data.path());

    node.stop().await.unwrap();

    assert!(!socket.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_node_makes_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    let home = data.path().join("home");
    let node = node("foo")
        .data_dir(&home)
        .auth(|secret| AuthConfig::new("127.0.0.1:0", secret))
        .service(|context| context.database_dir("chain").map(Database))
        .build()
        .unwrap();
    node.start().await.unwrap();

    let instance = home.join("foo");
    for (path, mode) in [
        (home.clone(), 0o700),
        (instance.clone(), 0o700),
        (instance.join("chain"), 0o700),
        (instance.join("nodekey"), 0o600),
        (instance.join("jwtsecret"), 0o600),
        (instance.join("LOCK"), 0o600),
        (home.join("foo.ipc"), 0o600),
    ] {
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_has_the_same_id_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let node = node("foo").data_dir(data.path()).build().unwrap();
        node.start().await.unwrap();
        ids.push(node.server().unwrap().id());
        node.stop().await.unwrap();
    }

    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_malformed_key_is_never_replaced_n_01() {
    let data = tempfile::tempdir().unwrap();
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    let file = instance.join("nodekey");
    for (content, says) in [
        ("", "key file too short, want 64 hex characters"),
        (&"zz".repeat(32), "invalid key in key file: "),
        (&format!("{}x", "ab".repeat(32)), "invalid character 'x' at end of key file"),
    ] {
        fs::write(&file, content).unwrap();
        let node = node("foo").data_dir(data.path()).build().unwrap();

        let error = node.start().await.unwrap_err();

        assert!(matches!(error.cause, StartFailure::NodeKey(_)));
        let expected = format!("node key: {}: {says}", file.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_key_that_is_given_counts_and_is_not_saved() {
    let data = tempfile::tempdir().unwrap();
    let key = SecretKey::random();
    let node = node("foo").data_dir(data.path()).key(key.clone()).build().unwrap();

    node.start().await.unwrap();

    assert_eq!(node.server().unwrap().id(), key.node_id());
    assert!(!data.path().join("foo/nodekey").exists());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_has_one_node_at_a_time_n_02() {
    let data = tempfile::tempdir().unwrap();
    let first = node("foo").data_dir(data.path()).build().unwrap();
    let second = node("foo").data_dir(data.path()).build().unwrap();
    first.start().await.unwrap();

    let error = second.start().await.unwrap_err();

    let expected = format!("datadir already used by another process (pid {})", std::process::id());
    assert_eq!(error.to_string(), expected);
    assert!(first.is_running());
    first.stop().await.unwrap();
    second.start().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_a_dead_process_left_behind_is_no_obstacle_n_02() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("foo")).unwrap();
    fs::write(data.path().join("foo/LOCK"), "4711\nand more that nobody wrote").unwrap();
    let node = node("foo").data_dir(data.path()).build().unwrap();

    node.start().await.unwrap();

    let pid = fs::read_to_string(data.path().join("foo/LOCK")).unwrap();
    assert_eq!(pid.trim(), std::process::id().to_string());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_frees_the_directory() {
    let data = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = port.local_addr().unwrap().to_string();
    let broken = node("foo").data_dir(data.path()).listen(&taken).build().unwrap();

    let error = broken.start().await.unwrap_err().to_string();

    assert!(error.starts_with(&format!("p2p: cannot listen on {taken}: ")), "{error}");
    let node = node("foo").data_dir(data.path()).build().unwrap();
    node.start().await.unwrap();
    node.stop().await.unwrap();
}

/// A service with files.
struct Database(PathBuf);

impl Service for Database {}

#[tokio::test]
async fn databases_of_a_node_without_a_directory_are_gone_with_it() {
    let node = node("foo").service(|context| context.database_dir("chain").map(Database));
    let node = node.build().unwrap();
    node.start().await.unwrap();
    let path = node.service::<Database>().unwrap().0.clone();
    assert!(path.is_dir() && path.ends_with("chain"));

    node.stop().await.unwrap();

    assert!(!path.exists());
}

#[tokio::test]
async fn a_service_takes_no_file_of_the_nodes_own() {
    let data = tempfile::tempdir().unwrap();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&refused);
    let node = node("foo")
        .data_dir(data.path())
        .service(move |context: &ServiceContext| {
            for name in ["nodekey", "LOCK", "lock", "nodes", "a/b", "..", "", ".hidden"] {
                let error = context.database_dir(name).unwrap_err();
                assert!(matches!(error, DirectoryError::Name { .. }), "{name}");
                noted.lock().unwrap().push(name);
            }
            let file = context.resolve_path("notes.txt");
            assert_eq!(file, Some(data_file(context)));
            Database(PathBuf::new())
        })
        .build()
        .unwrap();

    node.start().await.unwrap();

    assert_eq!(refused.lock().unwrap().len(), 8);
    node.stop().await.unwrap();
}

fn data_file(context: &ServiceContext) -> PathBuf {
    context.data_dir().unwrap().join(context.name()).join("notes.txt")
}

#[tokio::test]
async fn nodes_in_the_lists_are_dialed_and_admitted() {
    let data = tempfile::tempdir().unwrap();
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    let other = node("bar").max_peers(5).build().unwrap();
    other.start().await.unwrap();
    let peer = other.server().unwrap();
    let list = serde_json::json!([peer.enode().to_string(), "", "enode://nonsense"]);
    fs::write(instance.join("static-nodes.json"), list.to_string()).unwrap();
    fs::write(instance.join("trusted-nodes.json"), "no list").unwrap();
    let mut events = peer.events();
    let node = node("foo").data_dir(data.path()).build().unwrap();

    node.start().await.unwrap();

    let added = within(events.next()).await.unwrap();
    let id = node.server().unwrap().id();
    assert!(matches!(added, PeerEvent::Added { peer, .. } if peer == id));
    node.stop().await.unwrap();
    fs::write(instance.join("trusted-nodes.json"), list.to_string()).unwrap();
    node.start().await.unwrap();
    assert!(node.server().unwrap().dial_status(peer.id()).unwrap().trusted);
    node.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn peers_that_were_dialed_are_come_back_to_d_09() {
    let data = tempfile::tempdir().unwrap();
    let other = node("bar").max_peers(5).build().unwrap();
    other.start().await.unwrap();
    let peer = other.server().unwrap();
    let mut events = peer.events();
    let node = || node("foo").data_dir(data.path()).build().unwrap();
    let first = node();
    first.start().await.unwrap();
    first.server().unwrap().add_peer(peer.enode()).unwrap();
    within(events.next()).await.unwrap();
    first.stop().await.unwrap();
    let anchors = fs::read(data.path().join("foo/anchors.json")).unwrap();
    let anchors: Vec<String> = serde_json::from_slice(&anchors).unwrap();
    assert_eq!(anchors, [peer.enode().to_string()]);
    assert!(matches!(within(events.next()).await.unwrap(), PeerEvent::Dropped { .. }));

    let second = node();
    second.start().await.unwrap();

    assert!(matches!(within(events.next()).await.unwrap(), PeerEvent::Added { .. }));
    second.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn unreadable_anchors_are_set_aside_n_04() {
    let data = tempfile::tempdir().unwrap();
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    fs::write(instance.join("anchors.json"), "\u{0}\u{0}").unwrap();
    let node = node("foo").data_dir(data.path()).build().unwrap();

    node.start().await.unwrap();
    node.stop().await.unwrap();

    assert!(!instance.join("anchors.json").exists());
    let aside = names(&instance).into_iter().find(|name| name.starts_with("anchors.json.bad-"));
    assert_eq!(fs::read(instance.join(aside.unwrap())).unwrap(), b"\0\0");
}

#[tokio::test]
async fn a_node_that_had_no_peers_keeps_its_anchors() {
    let data = tempfile::tempdir().unwrap();
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    let key = SecretKey::random().public_key();
    let gone = Enode::new(key, Ipv4Addr::LOCALHOST.into(), 1, 1).to_string();
    let list = serde_json::json!([gone]).to_string();
    fs::write(instance.join("anchors.json"), &list).unwrap();
    let node = node("foo").data_dir(data.path()).build().unwrap();

    node.start().await.unwrap();
    node.stop().await.unwrap();

    assert_eq!(fs::read_to_string(instance.join("anchors.json")).unwrap(), list);
}

#[tokio::test]
async fn a_socket_is_where_its_path_says() {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = data.path().join("elsewhere/foo.ipc");
    let plain = node("one").data_dir(data.path()).ipc(".demo.ipc").build().unwrap();
    let path = node("two").data_dir(data.path()).ipc(&elsewhere).build().unwrap();
    let none = node("three").data_dir(data.path()).no_ipc().build().unwrap();
    let nowhere = node("four").build().unwrap();
    for node in [&plain, &path, &none, &nowhere] {
        node.start().await.unwrap();
    }

    assert_eq!(plain.ipc_path(), Some(data.path().join(".demo.ipc")));
    assert_eq!(path.ipc_path(), Some(elsewhere));
    assert_eq!((none.ipc_path(), nowhere.ipc_path()), (None, None));
    for node in [plain, path, none, nowhere] {
        node.stop().await.unwrap();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
