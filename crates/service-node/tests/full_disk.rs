//! N-07: a disk without room is found when the node starts, and explained.
//!
//! `/dev/full` refuses every byte as a full disk does, whoever writes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{fs, os::unix::fs::symlink};

use self::common::node;

#[tokio::test]
async fn a_full_disk_is_found_at_the_start_n_07() {
    let data = tempfile::tempdir().unwrap();
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    symlink("/dev/full", instance.join("LOCK")).unwrap();
    let node = node("foo").data_dir(data.path()).build().unwrap();

    let error = node.start().await.unwrap_err().to_string();

    let lock = instance.join("LOCK");
    assert_eq!(
        error,
        format!(
            "cannot lock the data directory with {}: No space left on device (os error 28); make \
             room, or use a data directory on another disk",
            lock.display()
        )
    );
    assert!(!instance.join("nodekey").exists());
    fs::remove_file(lock).unwrap();
    node.start().await.unwrap();
    node.stop().await.unwrap();
}
