//! What several tests need.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use p2p_server::Server;
use service_node::{BoxError, Node, NodeBuilder, Service};
use tokio::{sync::Notify, time::timeout};

/// A node on any free port, with no directory.
pub fn node(name: &str) -> NodeBuilder {
    Node::builder().name(name).listen("127.0.0.1:0")
}

/// Waits, but not for ever.
pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("waited in vain")
}

/// What services did, in order.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A service that notes what happens to it; `ID` makes as many types as a test needs.
pub struct Noting<const ID: u8> {
    pub diary: Diary,
    pub fails: Fails,
    /// Told when a start or stop that never ends has begun.
    pub hangs: Arc<Notify>,
}

/// What goes wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fails {
    Never,
    InStart,
    InStop,
    InStartByPanic,
    InStopByPanic,
    NeverStarts,
    NeverStops,
}

impl<const ID: u8> Noting<ID> {
    pub fn new(diary: &Diary, fails: Fails) -> Self {
        diary.note(format!("built {ID}"));
        Self { diary: diary.clone(), fails, hangs: Arc::default() }
    }
}

impl<const ID: u8> Service for Noting<ID> {
    async fn start(self: &Arc<Self>, _server: Server) -> Result<(), BoxError> {
        match self.fails {
            Fails::InStart => return Err("no luck".into()),
            Fails::InStartByPanic => panic!("startled"),
            Fails::NeverStarts => {
                self.hangs.notify_one();
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        self.diary.note(format!("started {ID}"));
        Ok(())
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        self.diary.note(format!("stopped {ID}"));
        match self.fails {
            Fails::InStop => Err("stuck".into()),
            Fails::InStopByPanic => panic!("startled"),
            Fails::NeverStops => {
                self.hangs.notify_one();
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }
}
