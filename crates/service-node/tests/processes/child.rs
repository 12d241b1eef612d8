//! The program that the other tests start and do things to.
//!
//! ```text
//!   parent ──▶ NODE_ROLE=stops NODE_DATA=… this program --exact child::program
//!          ◀── lines: "id …", "started", "stopped" …
//! ```

use std::{
    io::{self, Write as _},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use service_node::{BoxError, Node, RunError, Service};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::common::within;

/// What a child does with its node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Runs it until a signal comes.
    Runs,
    /// The same, with a service that never stops.
    Hangs,
    /// The same, with a service that blocks its thread when it is dropped or stopped.
    Blocks,
    /// Starts and stops it for ever.
    Cycles,
}

impl Role {
    const ALL: [Self; 4] = [Self::Runs, Self::Hangs, Self::Blocks, Self::Cycles];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// The child itself; as a test of the parent it has nothing to do.
#[test]
fn program() {
    let Ok(role) = std::env::var("NODE_ROLE") else { return };
    let role = Role::ALL.into_iter().find(|known| known.name() == role).unwrap();
    let data = std::env::var_os("NODE_DATA").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let result = runtime.block_on(live(role, data.as_ref()));
    runtime.shutdown_background();
    match result {
        Ok(()) => say("ended well"),
        Err(error) => say(&format!("ended: {error}")),
    }
    std::process::exit(0);
}

async fn live(role: Role, data: &Path) -> Result<(), RunError> {
    let node = Node::builder().name("foo").data_dir(data).listen("127.0.0.1:0");
    let node = node.service(move |_| Stops(role)).build().unwrap();
    if !matches!(role, Role::Cycles) {
        let said = async {
            node.started().await;
            say("started");
        };
        return tokio::join!(node.run_until_signal(), said).0;
    }
    loop {
        node.start().await?;
        say(&format!("id {}", node.server().unwrap().id()));
        node.stop().await?;
        say("stopped");
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A service that stops, or not.
struct Stops(Role);

impl Service for Stops {
    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        say("stopping");
        match self.0 {
            Role::Runs | Role::Cycles => Ok(()),
            Role::Hangs => std::future::pending().await,
            Role::Blocks => loop {
                std::thread::park();
            },
        }
    }
}

/// A child as its parent sees it.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(role: Role, data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::program", "--nocapture"])
            .env("NODE_ROLE", role.name())
            .env("NODE_DATA", data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until the child says this; other lines are passed over.
    pub(crate) async fn says(&mut self, wanted: &str) {
        within(async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.ends_with(wanted) {
                    return;
                }
            }
            panic!("the child ended without saying {wanted:?}");
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn status(&mut self) -> std::process::ExitStatus {
        within(self.child.wait()).await.unwrap()
    }

    /// Lets it run for this long, then kills it as `kill -9` does; gives what it said.
    pub(crate) async fn killed_after(mut self, time: Duration) -> Vec<String> {
        // It may have ended with an error, which shows in what it said.
        if tokio::time::timeout(time, self.child.wait()).await.is_err() {
            within(self.child.kill()).await.unwrap();
        }
        let mut said = Vec::new();
        while let Some(line) = within(self.lines.next_line()).await.unwrap() {
            said.push(line);
        }
        said
    }
}
