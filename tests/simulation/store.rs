//! The simulated ledger: what is applied is seen by lookups at once, and survives a crash only when it was flushed.

use std::collections::{HashMap, VecDeque};

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::{Change, Looked, Record, RecordKey, State};
use nightbell_core::time::{UnixMillis, millis};

use crate::chance::Chances;

type Records = HashMap<(usize, RecordKey), (Record, u64)>;

#[derive(Debug)]
struct Batch {
    number: u64,
    lane: usize,
    changes: Vec<Change>,
    at: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    seen: Records,
    durable: Records,
    unflushed: VecDeque<Batch>,
    pub(crate) failed: bool,
    pub(crate) will_not_open: bool,
    pub(crate) resets: u32,
}

impl Store {
    pub(crate) fn look(&self, lane: usize, event: Fingerprint, alerts: &[Fingerprint], now: u64) -> Looked {
        let get = |key| {
            let known = self.seen.get(&(lane, key)).filter(|(_, until)| now < *until);
            known.map(|(record, _)| record.clone())
        };
        let by_alert = |alert: &Fingerprint| Some((*alert, get(RecordKey::Alert(*alert))?));
        Looked {
            by_event: get(RecordKey::Event(event)),
            by_alert: alerts.iter().filter_map(by_alert).collect(),
        }
    }

    /// What is remembered of an event beyond any crash.
    pub(crate) fn durably(&self, lane: usize, event: Fingerprint, now: u64) -> Option<&Record> {
        let known = self.durable.get(&(lane, RecordKey::Event(event)));
        known.filter(|(_, until)| now < *until).map(|(record, _)| record)
    }

    pub(crate) fn is_delivered(&self, lane: usize, event: Fingerprint, now: u64) -> bool {
        self.durably(lane, event, now).is_some_and(|record| matches!(record.state, State::Delivered { .. }))
    }

    pub(crate) fn write(&mut self, number: u64, lane: usize, changes: Vec<Change>, now: u64) {
        apply(&mut self.seen, lane, &changes, now);
        self.unflushed.push_back(Batch { number, lane, changes, at: now });
    }

    /// Flushes up to a batch, and those before it.
    pub(crate) fn flush(&mut self, number: u64) {
        while let Some(batch) = self.unflushed.pop_front_if(|batch| batch.number <= number) {
            apply(&mut self.durable, batch.lane, &batch.changes, batch.at);
        }
    }

    /// Some of what was not flushed may be on the disk all the same.
    pub(crate) fn crash(&mut self, chances: &mut Chances) {
        let kept = chances.index(self.unflushed.len() + 1);
        for batch in self.unflushed.drain(..).take(kept) {
            apply(&mut self.durable, batch.lane, &batch.changes, batch.at);
        }
        self.seen.clone_from(&self.durable);
    }

    /// Begins anew if it can't be opened.
    pub(crate) fn open(&mut self) {
        self.failed = false;
        if std::mem::take(&mut self.will_not_open) {
            self.seen.clear();
            self.durable.clear();
            self.resets += 1;
        }
    }
}

fn apply(records: &mut Records, lane: usize, changes: &[Change], now: u64) {
    for change in changes {
        let known = records.get(&(lane, change.key)).filter(|(_, until)| now < *until);
        let known = known.map(|(record, _)| record);
        if let Ok(after) = Record::apply(change.key.kind(), known, &change.happening) {
            let until = UnixMillis(now).0.saturating_add(millis(change.keep));
            records.insert((lane, change.key), (after, until));
        }
    }
}
