//! N-07: too few files for the peers is found when the node starts, and explained.
//!
//! The limit is the process's, so this test is alone in its program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_node::StartFailure;

use self::common::node;

#[tokio::test]
async fn too_few_files_for_the_peers_are_found_at_the_start_n_07() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(113), maximum }).unwrap();
    let crowded = node("foo").max_peers(50).build().unwrap();

    let error = crowded.start().await.unwrap_err();

    assert!(matches!(error.cause, StartFailure::Descriptors { limit: 113, needed: 114, .. }));
    assert_eq!(
        error.to_string(),
        "the process may open 113 files, and 50 peers need 114: raise the limit (`ulimit -n 114`) or \
         lower max_peers"
    );
    // More than can be counted is too many, and no accident.
    let endless = node("foo").max_peers(usize::MAX).build().unwrap();
    let error = endless.start().await.unwrap_err();
    assert!(matches!(error.cause, StartFailure::Descriptors { needed: u64::MAX, .. }));
    let modest = node("foo").max_peers(49).build().unwrap();
    modest.start().await.unwrap();
    modest.stop().await.unwrap();
}
