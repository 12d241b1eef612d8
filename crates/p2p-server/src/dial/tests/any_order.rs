//! Whatever happens in whatever order, the rules hold.

use super::*;

/// One thing that can happen to a scheduler.
#[derive(Debug, Clone)]
enum Step {
    AddStatic(usize),
    RemoveStatic(usize),
    Offer(usize),
    Advance(u64),
    Succeed(usize),
    Fail(usize, DisconnectReason),
    DropPeer(usize, DisconnectReason),
    InboundPeer(usize),
    PendingInbound(usize, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = 0..NODES.len();
    let reason = || (0..=0x10_u8).prop_map(DisconnectReason::from_code);
    prop_oneof![
        3 => node.clone().prop_map(Step::AddStatic),
        1 => node.clone().prop_map(Step::RemoveStatic),
        4 => node.clone().prop_map(Step::Offer),
        3 => (0..90_u64).prop_map(Step::Advance),
        1 => (90..1200_u64).prop_map(Step::Advance),
        4 => node.clone().prop_map(Step::Succeed),
        4 => (node.clone(), reason()).prop_map(|(node, reason)| Step::Fail(node, reason)),
        4 => (node.clone(), reason()).prop_map(|(node, reason)| Step::DropPeer(node, reason)),
        1 => node.clone().prop_map(Step::InboundPeer),
        2 => (node, any::<bool>()).prop_map(|(node, present)| Step::PendingInbound(node, present)),
    ]
}

/// Number 0 is our own node.
static NODES: LazyLock<Vec<Enode>> = LazyLock::new(|| {
    (0..12_u8)
        .map(|number| match number {
            // Some share a public network, some are neighbours.
            1..=5 => node_at(number + 1, "8.8.8.8", 30303),
            _ => node_at(number + 1, "127.0.0.1", 30303),
        })
        .collect()
});

/// What must be true, kept apart from how the scheduler works.
struct Model {
    bench: Bench,
    max_dialed: usize,
    max_active: usize,
    statics: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// Peers, and whether we dialed them.
    peers: BTreeMap<usize, bool>,
    pending: BTreeMap<usize, usize>,
    started: BTreeMap<usize, Instant>,
}

impl Model {
    fn new(max_dialed: usize, max_active: usize, seed: u64) -> Self {
        let config = DialConfig::new(NODES[0].id(), max_dialed);
        let mut bench = Bench::with(DialConfig { max_active, max_candidates: 4, ..config });
        bench.rng = StdRng::seed_from_u64(seed);
        Self {
            bench,
            max_dialed,
            max_active,
            statics: BTreeSet::new(),
            running: BTreeSet::new(),
            peers: BTreeMap::new(),
            pending: BTreeMap::new(),
            started: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let bench = &mut self.bench;
        match *step {
            Step::AddStatic(0) => {
                assert!(bench.dial.add_static(NODES[0].clone(), bench.now).is_err());
            }
            Step::AddStatic(node) => {
                bench.add_static(&NODES[node]);
                self.statics.insert(node);
            }
            Step::RemoveStatic(node) => {
                let removed = bench.dial.remove_static(&NODES[node].id(), bench.now);
                assert_eq!(removed, self.statics.remove(&node));
            }
            Step::Offer(node) => {
                let _ = bench.offer(&NODES[node]);
            }
            Step::Advance(seconds) => bench.advance(seconds),
            Step::Succeed(node) => {
                if self.running.remove(&node) {
                    bench.succeed(&NODES[node]);
                    self.peers.insert(node, true);
                }
            }
            Step::Fail(node, reason) => {
                self.running.remove(&node);
                bench.fail_with(&NODES[node], reason);
            }
            Step::DropPeer(node, reason) => {
                self.peers.remove(&node);
                bench.drop_peer(&NODES[node], reason);
            }
            Step::InboundPeer(node) => {
                if node != 0 && !self.peers.contains_key(&node) {
                    bench.dial.on_peer_added(&NODES[node].id(), false, bench.now);
                    self.peers.insert(node, false);
                }
            }
            Step::PendingInbound(node, present) => self.set_pending(node, present),
        }
        self.poll();
        self.check_snapshot();
    }

    fn set_pending(&mut self, node: usize, present: bool) {
        let count = self.pending.entry(node).or_default();
        if !present && *count == 0 {
            return;
        }
        *count = if present { *count + 1 } else { *count - 1 };
        self.bench.dial.on_pending_inbound(&NODES[node].id(), present);
    }

    fn poll(&mut self) {
        while let Some(task) = self.bench.poll() {
            let node = NODES.iter().position(|node| *node == task.node).unwrap();
            let now = self.bench.now;

            assert_ne!(node, 0, "dialed itself");
            assert!(!self.peers.contains_key(&node), "dialed a peer");
            assert_eq!(self.pending.get(&node).copied().unwrap_or(0), 0, "dialed a guest");
            assert!(self.running.insert(node), "dialed twice at a time");
            assert!(self.running.len() <= self.slots(), "more attempts than slots");
            assert_eq!(task.is_static, self.statics.contains(&node));
            if let Some(before) = self.started.insert(node, now) {
                assert!(now - before >= secs(35), "dialed again after {:?}", now - before);
            }
        }
    }

    fn slots(&self) -> usize {
        let dialed = self.peers.values().filter(|dialed| **dialed).count();
        (2 * self.max_dialed.saturating_sub(dialed)).min(self.max_active)
    }

    fn check_snapshot(&mut self) {
        let now = self.bench.now;
        let dial = &self.bench.dial;
        if let Some(deadline) = dial.deadline() {
            assert!(deadline > now, "a deadline that has passed and yielded nothing");
            assert!(deadline - now <= secs(600), "a pause of {:?}", deadline - now);
        }
        assert!(dial.wants_candidates() <= self.slots().saturating_sub(self.running.len()));
        assert!(dial.candidates.len() <= 4);
        for (number, node) in NODES.iter().enumerate() {
            let Some(status) = dial.status(&node.id(), now) else {
                assert!(!self.statics.contains(&number) && !self.running.contains(&number));
                continue;
            };
            assert_eq!(status.dialing, self.running.contains(&number));
            assert_eq!(status.connected, self.peers.contains_key(&number));
            assert_eq!(status.is_static, self.statics.contains(&number));
            assert!(status.next.is_none_or(|next| next >= now && next - now <= secs(600)));
        }
        let told = self.bench.dial.take_events();
        assert!(told.iter().all(|event| event.next_in.is_none_or(|wait| wait <= secs(600))));
    }

    /// Everything ends and every attempt fails from now on: each static node has its turn.
    fn check_progress(mut self) {
        for node in 0..NODES.len() {
            self.step(&Step::Fail(node, DisconnectReason::Requested));
            self.step(&Step::DropPeer(node, DisconnectReason::Requested));
            while self.pending.get(&node).is_some_and(|count| *count > 0) {
                self.step(&Step::PendingInbound(node, false));
            }
        }
        let mut waiting = self.statics.clone();
        let from = self.bench.now;
        while !waiting.is_empty() {
            for node in std::mem::take(&mut self.running) {
                waiting.remove(&node);
                self.bench.fail(&NODES[node]);
            }
            self.poll();
            if self.running.is_empty() && !waiting.is_empty() {
                self.bench.now = self.bench.dial.deadline().expect("a static node is waiting");
                self.poll();
                assert!(!self.running.is_empty(), "a deadline passed and yielded nothing");
            }
        }
        // Everyone's longest pause; an attempt takes no time here.
        assert!(self.bench.now - from <= secs(600));
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold_and_static_nodes_have_their_turn(
        max_dialed in 1..5_usize,
        max_active in 1..6_usize,
        seed in any::<u64>(),
        steps in prop::collection::vec(any_step(), 0..200),
    ) {
        let mut model = Model::new(max_dialed, max_active, seed);

        for step in &steps {
            model.step(step);
        }

        model.check_progress();
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_attempts(
        seed in any::<u64>(),
        steps in prop::collection::vec(any_step(), 0..100),
    ) {
        let run = || {
            let mut model = Model::new(3, 5, seed);
            let begin = model.bench.now;
            let mut started = Vec::new();
            for step in &steps {
                model.step(step);
                let started_now = model.started.iter().map(|(node, at)| (*node, *at - begin));
                started.push(started_now.collect::<Vec<_>>());
            }
            started
        };

        prop_assert_eq!(run(), run());
    }
}
