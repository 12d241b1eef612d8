//! The scheduler from outside: what it wants dialed, when, and what it says about it. Time and chance
//! are arguments, so whole hours pass in microseconds and the same seed dials the same nodes.

mod any_order;
mod candidates;
mod rules;
mod slots;
mod statics;
mod told;

use std::{collections::BTreeSet, sync::LazyLock};

use enode::SecretKey;
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

// The bench: a scheduler, its clock and its chance.

struct Bench {
    dial: DialScheduler,
    now: Instant,
    rng: StdRng,
}

impl Bench {
    fn new(max_dialed: usize) -> Self {
        Self::with(DialConfig::new(OWN.id(), max_dialed))
    }

    fn with(config: DialConfig) -> Self {
        Self {
            dial: DialScheduler::new(config),
            now: Instant::now(),
            rng: StdRng::seed_from_u64(7),
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.now += secs(seconds);
    }

    fn poll(&mut self) -> Option<DialTask> {
        self.dial.poll(self.now, &mut self.rng)
    }

    fn poll_all(&mut self) -> Vec<NodeId> {
        std::iter::from_fn(|| self.poll()).map(|task| task.node.id()).collect()
    }

    fn add_static(&mut self, node: &Enode) {
        self.dial.add_static(node.clone(), self.now).unwrap();
    }

    fn offer(&mut self, node: &Enode) -> Result<(), CheckError> {
        self.dial.add_candidate(node.clone(), self.now)
    }

    fn succeed(&mut self, node: &Enode) {
        self.dial.on_done(&node.id(), Ok(()), self.now, &mut self.rng);
        self.dial.on_peer_added(&node.id(), true, self.now);
    }

    fn fail(&mut self, node: &Enode) {
        let failure = DialFailure::new(DialStage::Connect, &"connection refused");
        self.dial.on_done(&node.id(), Err(failure), self.now, &mut self.rng);
    }

    fn fail_with(&mut self, node: &Enode, reason: DisconnectReason) {
        let failure = DialFailure::disconnected(DialStage::Hello, reason);
        self.dial.on_done(&node.id(), Err(failure), self.now, &mut self.rng);
    }

    fn drop_peer(&mut self, node: &Enode, reason: DisconnectReason) {
        self.dial.on_peer_removed(&node.id(), Some(reason), self.now, &mut self.rng);
    }

    fn status(&self, node: &Enode) -> DialStatus {
        self.dial.status(&node.id(), self.now).unwrap()
    }

    /// Seconds until the scheduler wants to be called again.
    fn wait(&self) -> f64 {
        self.dial.deadline().unwrap().saturating_duration_since(self.now).as_secs_f64()
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(number: u8) -> enode::PublicKey {
    SecretKey::from_bytes(&[number; 32]).unwrap().public_key()
}

/// A node on loopback.
fn node(number: u8) -> Enode {
    node_at(number, "127.0.0.1", 30303)
}

fn node_at(number: u8, ip: &str, tcp: u16) -> Enode {
    Enode::new(key(number), ip.parse().unwrap(), tcp, tcp)
}

static OWN: LazyLock<Enode> = LazyLock::new(|| node(200));
