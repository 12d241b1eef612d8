//! T-26: killed at any moment, a node starts again as the same node.

use std::{collections::BTreeSet, path::Path, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    child::{Process, Role},
    common::{node, within},
};

/// A thousand kills, in four directories at once.
#[tokio::test]
async fn a_node_that_is_killed_starts_again_as_the_same_t_26() {
    let seed = 26;
    within(async { tokio::join!(kills(seed), kills(seed + 1), kills(seed + 2), kills(seed + 3)) })
        .await;
}

async fn kills(seed: u64) {
    let data = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    // bound: two lines for each start of a child
    let mut said = BTreeSet::new();
    for _ in 0..KILLS {
        let moment = Duration::from_micros(rng.random_range(0..LATEST));
        let lines = Process::start(Role::Cycles, data.path()).killed_after(moment).await;
        said.extend(
            lines.into_iter().filter(|line| line.contains("id ") || line.contains("ended")),
        );
    }
    let node = node("foo").data_dir(data.path()).build().unwrap();
    node.start().await.unwrap();
    let id = format!("id {}", node.server().unwrap().id());
    node.stop().await.unwrap();
    // Every child that came far enough was this node; none ended because of what another had left.
    assert!(!said.is_empty(), "every child was killed too early");
    for line in said {
        assert!(line.ends_with(&id), "seed {seed}: {line}, and not {id}");
    }
    assert_tidy(data.path());
}

/// Keys that were never put in place may be left; nothing else is.
fn assert_tidy(data: &Path) {
    let known = ["LOCK", "nodekey"];
    for entry in std::fs::read_dir(data.join("foo")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&&*name) || name.starts_with(".nodekey."), "left behind: {name}");
    }
}

/// In each of four directories.
const KILLS: usize = 250;
/// A child is up after some 5 ms, and goes on starting and stopping.
const LATEST: u64 = 40_000;
