//! An observer that writes down what it is told.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use p2p_server::{
    Direction, DisconnectReason, MessageSeen, Observer, QueueKind, SetUpFailure, Side,
};

/// What was seen, a line each, and the bytes apart. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<State>);

#[derive(Debug, Default)]
struct State {
    lines: Mutex<Vec<String>>,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Seen {
    /// What was seen since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lines.lock().unwrap())
    }

    /// How many lines begin with this.
    pub fn count(&self, start: &str) -> usize {
        self.0.lines.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }

    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    fn note(&self, line: impl Into<String>) {
        self.0.lines.lock().unwrap().push(line.into());
    }
}

impl Observer for Seen {
    fn received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn message(&self, message: &MessageSeen<'_>) {
        let MessageSeen { direction, protocol, code, size, .. } = message;
        let code = code.map_or("-".to_owned(), |code| code.to_string());
        self.note(format!("message {} {protocol} {code} {size}", direction.label()));
    }

    fn dial_started(&self) {
        self.note("dial");
    }

    fn dial_failed(&self, reason: SetUpFailure) {
        self.note(format!("dial failed: {}", reason.label()));
    }

    fn accepted(&self) {
        self.note("accepted");
    }

    fn serve_failed(&self, reason: SetUpFailure) {
        self.note(format!("serve failed: {}", reason.label()));
    }

    fn handshake(&self, direction: Direction, took: Duration) {
        self.note(format!("handshake {} {took:?}", direction.label()));
    }

    fn peer_added(&self, direction: Direction) {
        self.note(format!("added {}", direction.label()));
    }

    fn peer_dropped(&self, direction: Direction, reason: Option<DisconnectReason>, by: Side) {
        let reason = reason.map_or("-", DisconnectReason::label);
        self.note(format!("dropped {} {reason} {}", direction.label(), by.label()));
    }

    fn queue_full(&self, queue: QueueKind) {
        self.note(format!("full {}", queue.label()));
    }
}
