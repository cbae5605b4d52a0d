//! What is known in memory: the latest records, and of the runs whether they may have one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nightbell_core::time::UnixMillis;

use crate::entry::{Entry, Id};
use crate::fault::Fault;
use crate::run::Run;

/// Records that stand in the journal and in no run yet.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: HashMap<Id, Entry>,
    /// The earliest time at which one of them may be dropped.
    drops_from: Option<UnixMillis>,
}

impl Table {
    pub(crate) fn insert(&mut self, id: Id, entry: Entry) {
        let earliest = self.drops_from.map_or(entry.hold, |at| at.min(entry.hold));
        self.drops_from = Some(earliest);
        self.entries.insert(id, entry);
    }

    /// Drops what has expired, if there may be any.
    fn trim(&mut self, now: UnixMillis) {
        if self.drops_from.is_none_or(|at| now < at) {
            return;
        }
        self.entries.retain(|_, entry| now < entry.hold);
        self.drops_from = self.entries.values().map(|entry| entry.hold).min();
    }
}

/// A table that changes no more and becomes a run.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) table: Table,
    /// The last part of the journal that it stands for.
    pub(crate) through: u64,
}

/// The runs in use: per space and level the latest first, and lower levels, whose records are later, before higher ones.
pub(crate) type Runs = Arc<[Arc<Run>]>;

/// Where a name was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// In memory.
    Here(Entry),
    /// Nowhere.
    Nowhere,
    /// One of these runs may have it.
    Perhaps(Runs),
}

impl Found {
    /// What is stored under the name, read from the runs if it must be.
    pub(crate) fn read(self, db: &sled::Db, id: &Id) -> Result<Option<Entry>, Fault> {
        let runs = match self {
            Self::Here(entry) => return Ok(Some(entry)),
            Self::Nowhere => return Ok(None),
            Self::Perhaps(runs) => runs,
        };
        for run in runs.iter().filter(|run| run.may_hold(id)) {
            if let Some(entry) = run.read(db, id)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

#[derive(Debug, Default)]
struct Parts {
    active: Table,
    frozen: VecDeque<Arc<Frozen>>,
    runs: Runs,
}

/// The index. Its lock is held for the time of a few look-ups in memory, never while anything is read or written.
#[derive(Debug, Default)]
pub(crate) struct Index(RwLock<Parts>);

impl Index {
    pub(crate) fn new(active: Table, runs: Vec<Arc<Run>>) -> Self {
        Self(RwLock::new(Parts { active, frozen: VecDeque::new(), runs: in_order(runs) }))
    }

    /// Where a name is, by what memory tells.
    pub(crate) fn find(&self, id: &Id) -> Found {
        let parts = self.parts();
        let later = parts.frozen.iter().rev().map(|frozen| &frozen.table);
        let mut tables = std::iter::once(&parts.active).chain(later);
        if let Some(entry) = tables.find_map(|table| table.entries.get(id)) {
            return Found::Here(entry.clone());
        }
        if parts.runs.iter().any(|run| run.may_hold(id)) {
            Found::Perhaps(Arc::clone(&parts.runs))
        } else {
            Found::Nowhere
        }
    }

    /// Puts in what is durable by now.
    pub(crate) fn insert(&self, entries: Vec<(Id, Entry)>) {
        let mut parts = self.parts_mut();
        for (id, entry) in entries {
            parts.active.insert(id, entry);
        }
    }

    /// Drops the latest records that have expired.
    pub(crate) fn trim(&self, now: UnixMillis) {
        self.parts_mut().active.trim(now);
    }

    /// Freezes the latest records and begins anew.
    pub(crate) fn freeze(&self, through: u64) -> Arc<Frozen> {
        let mut parts = self.parts_mut();
        let frozen = Arc::new(Frozen { table: std::mem::take(&mut parts.active), through });
        parts.frozen.push_back(Arc::clone(&frozen));
        frozen
    }

    /// The runs made of the earliest frozen table take its place.
    pub(crate) fn thaw(&self, made: impl Iterator<Item = Run>) {
        let mut parts = self.parts_mut();
        let runs = parts.runs.iter().cloned().chain(made.map(Arc::new)).collect();
        parts.runs = in_order(runs);
        parts.frozen.pop_front();
    }

    /// A run takes the place of those that were merged into it.
    pub(crate) fn replace(&self, merged: &[Arc<Run>], made: Option<Run>) {
        let mut parts = self.parts_mut();
        let is_merged = |run: &Arc<Run>| merged.iter().any(|merged| Arc::ptr_eq(merged, run));
        let kept = parts.runs.iter().filter(|run| !is_merged(run)).cloned();
        let runs = kept.chain(made.map(Arc::new)).collect();
        parts.runs = in_order(runs);
    }

    /// The runs in use.
    pub(crate) fn runs(&self) -> Runs {
        Arc::clone(&self.parts().runs)
    }

    /// The number of records. One that is in several places counts in each until they are merged.
    pub(crate) fn records(&self) -> u64 {
        let parts = self.parts();
        let frozen = parts.frozen.iter().map(|frozen| frozen.table.entries.len());
        let in_memory: usize = frozen.sum::<usize>() + parts.active.entries.len();
        in_memory as u64 + parts.runs.iter().map(|run| run.meta.records).sum::<u64>()
    }

    fn parts(&self) -> RwLockReadGuard<'_, Parts> {
        // Nothing that is done under the lock can be left half done.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts_mut(&self) -> RwLockWriteGuard<'_, Parts> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_order(mut runs: Vec<Arc<Run>>) -> Runs {
    runs.sort_by_key(|run| (run.meta.space, run.meta.level, std::cmp::Reverse(run.meta.age)));
    runs.into()
}
