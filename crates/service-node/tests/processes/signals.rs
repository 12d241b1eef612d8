//! N-06: the first signal asks, the second insists, the third ends the process.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use super::child::{Process, Role};

#[tokio::test]
async fn the_first_signal_stops_the_node_n_06() {
    for signal in [Signal::INT, Signal::TERM] {
        let data = tempfile::tempdir().unwrap();
        let mut process = Process::start(Role::Runs, data.path());
        process.says("started").await;

        process.signal(signal);

        process.says("stopping").await;
        process.says("ended well").await;
        assert!(process.status().await.success());
        assert!(!data.path().join("foo.ipc").exists());
    }
}

#[tokio::test]
async fn the_second_signal_waits_for_nothing_n_06() {
    let data = tempfile::tempdir().unwrap();
    let mut process = Process::start(Role::Hangs, data.path());
    process.says("started").await;
    process.signal(Signal::INT);
    process.says("stopping").await;

    process.signal(Signal::TERM);

    process.says("ended: aborted by a second signal").await;
    assert!(process.status().await.success());
}

#[tokio::test]
async fn the_third_signal_ends_the_process_n_06() {
    let data = tempfile::tempdir().unwrap();
    let mut process = Process::start(Role::Blocks, data.path());
    process.says("started").await;
    process.signal(Signal::INT);
    process.says("stopping").await;

    // Two of one kind could arrive as one.
    process.signal(Signal::TERM);
    process.signal(Signal::INT);

    let status = process.status().await;
    assert_eq!(status.code(), Some(130), "ended by {:?}", status.signal());
}
