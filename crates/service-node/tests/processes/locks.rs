//! Two processes and one directory.

use super::{
    child::{Process, Role},
    common::node,
};

#[tokio::test]
async fn a_directory_of_another_process_is_left_alone_n_02() {
    let data = tempfile::tempdir().unwrap();
    let mut other = Process::start(Role::Runs, data.path());
    other.says("started").await;
    let node = node("foo").data_dir(data.path()).build().unwrap();

    let error = node.start().await.unwrap_err();

    let expected = format!("datadir already used by another process (pid {})", other.pid());
    assert_eq!(error.to_string(), expected);
    other.signal(rustix::process::Signal::KILL);
    other.status().await;
    node.start().await.unwrap();
    node.stop().await.unwrap();
}
