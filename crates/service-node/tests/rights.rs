//! N-07: a directory that cannot be written, or is none, is found when the node starts, and explained.
//!
//! Root may write everywhere, so each test gives its thread's rights away first; the threads that
//! the runtime starts from it have no more.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, thread};

use rustix::{
    process::{Uid, geteuid},
    thread::set_thread_res_uid,
};

use self::common::node;

/// What comes of starting a node as a user without rights.
fn started_without_rights(data: &Path) -> Result<(), String> {
    let data = data.to_owned();
    let start = move || {
        if geteuid().is_root() {
            let nobody = Uid::from_raw(65_534);
            set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let node = node("foo").data_dir(data).no_ipc().build().unwrap();
            node.start().await.map_err(|error| error.to_string())?;
            node.stop().await.map_err(|error| error.to_string())
        })
    };
    thread::spawn(start).join().unwrap()
}

fn with_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_may_not_be_written_is_found_at_the_start_n_07() {
    let data = tempfile::tempdir().unwrap();
    with_mode(data.path(), 0o555);

    let error = started_without_rights(data.path()).unwrap_err();

    let instance = data.path().join("foo");
    assert_eq!(
        error,
        format!(
            "cannot make the directory {}: Permission denied (os error 13); the node's user must be \
             able to write to the data directory",
            instance.display()
        )
    );
    with_mode(data.path(), 0o777);
    started_without_rights(data.path()).unwrap();
}

#[test]
fn a_lock_that_may_not_be_written_is_found_at_the_start_n_07() {
    let data = tempfile::tempdir().unwrap();
    with_mode(data.path(), 0o755);
    let instance = data.path().join("foo");
    fs::create_dir(&instance).unwrap();
    with_mode(&instance, 0o555);

    let error = started_without_rights(data.path()).unwrap_err();

    let expected =
        format!("cannot lock the data directory with {}: ", instance.join("LOCK").display());
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.ends_with("must be able to write to the data directory"), "{error}");
}

#[test]
fn a_key_that_may_not_be_read_is_found_and_left_alone_n_01() {
    let data = tempfile::tempdir().unwrap();
    with_mode(data.path(), 0o777);
    started_without_rights(data.path()).unwrap();
    let key = data.path().join("foo/nodekey");
    let content = fs::read(&key).unwrap();
    with_mode(&key, 0o000);

    let error = started_without_rights(data.path()).unwrap_err();

    let expected =
        format!("node key: {}: key file not accessible: Permission denied", key.display());
    assert!(error.starts_with(&expected), "{error}");
    with_mode(&key, 0o600);
    assert_eq!(fs::read(&key).unwrap(), content);
    started_without_rights(data.path()).unwrap();
}

#[test]
fn a_file_in_the_place_of_the_directory_is_found_at_the_start_n_07() {
    let data = tempfile::tempdir().unwrap();
    with_mode(data.path(), 0o777);
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();

    let error = started_without_rights(&file).unwrap_err();

    assert!(error.ends_with("; a file is where a directory should be"), "{error}");
}
