//! What is remembered about nodes that were dialed.
//!
//! A record outlives the attempt: it says when the node may be dialed again, and answers the
//! question what went wrong. Static nodes keep theirs with them; the records of all others are
//! here, in a bounded table.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use enode::NodeId;

use super::status::LastDial;

/// Records of nodes that are not static.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    // bound: MAX_RECORDS, then the record whose node may be dialed again first is forgotten
    records: BTreeMap<NodeId, Record>,
    /// The same records, by when their nodes may be dialed again.
    // bound: one for each entry of `records`
    by_end: BTreeSet<(Instant, NodeId)>,
}

impl Ledger {
    /// What is known about the node.
    pub(super) fn record(&self, id: &NodeId) -> Option<&Record> {
        self.records.get(id)
    }

    /// Takes the node's record out.
    pub(super) fn remove(&mut self, id: &NodeId) -> Option<Record> {
        let record = self.records.remove(id)?;
        self.by_end.remove(&(record.not_before, *id));
        Some(record)
    }

    /// Puts a record in, in place of an older one.
    pub(super) fn insert(&mut self, id: NodeId, record: Record) {
        self.remove(&id);
        self.by_end.insert((record.not_before, id));
        self.records.insert(id, record);
        if self.records.len() > MAX_RECORDS
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.records.remove(&first);
        }
    }
}

/// What is remembered about one node.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// How many attempts were started.
    pub(super) attempts: u32,
    /// How many of them in a row led to no lasting connection.
    pub(super) failures: u32,
    /// When the last one was started.
    pub(super) started: Option<Instant>,
    /// The node is not dialed before this.
    pub(super) not_before: Instant,
    /// How the last one ended.
    pub(super) last: Option<LastDial>,
    /// The address that was dialed, where it was known beforehand.
    pub(super) ip: Option<IpAddr>,
}

impl Record {
    /// The record of a node that was never dialed and may be from `now` on.
    pub(super) const fn new(now: Instant) -> Self {
        Self { attempts: 0, failures: 0, started: None, not_before: now, last: None, ip: None }
    }

    /// Forgets failures and reasons: only the history since the last attempt still counts.
    pub(super) fn forgive(&mut self, history: Duration, now: Instant) {
        self.failures = 0;
        self.not_before = self.started.map_or(now, |started| started + history);
    }
}

/// A little over ten minutes of a crawl at ten new nodes a second, about 2 MiB.
const MAX_RECORDS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        NodeId::new(bytes)
    }

    #[test]
    fn a_full_ledger_forgets_the_node_that_waits_least() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for number in 0..MAX_RECORDS {
            let mut record = Record::new(now + Duration::from_secs(10));
            if number == 77 {
                record.not_before = now;
            }
            ledger.insert(id(number), record);
        }

        ledger.insert(id(MAX_RECORDS), Record::new(now + Duration::from_secs(5)));

        assert!(ledger.record(&id(77)).is_none());
        assert!(ledger.record(&id(MAX_RECORDS)).is_some());
        assert_eq!(ledger.records.len(), MAX_RECORDS);
        assert_eq!(ledger.by_end.len(), MAX_RECORDS);
    }

    #[test]
    fn a_record_can_be_replaced_and_removed() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        ledger.insert(id(1), Record::new(now));
        ledger.insert(id(1), Record { attempts: 2, ..Record::new(now + Duration::from_secs(1)) });

        let record = ledger.remove(&id(1)).unwrap();

        assert_eq!(record.attempts, 2);
        assert!(ledger.remove(&id(1)).is_none());
        assert!(ledger.by_end.is_empty());
    }
}
