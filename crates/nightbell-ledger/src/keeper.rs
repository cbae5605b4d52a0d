//! The one thread that keeps the store in order: it makes runs of what the journal holds, merges runs, and drops what has
//! expired. Nobody waits for it, save a writer that is far ahead of it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nightbell_core::time::UnixMillis;

use crate::disk::Disk;
use crate::entry::{Frame, Space};
use crate::fault::{Fault, caught};
use crate::index::Frozen;
use crate::keys;
use crate::manifest::Manifest;
use crate::merge::{self, Merge};
use crate::run::{Builder, Run};
use crate::shared::WRITING;
use crate::store::Store;

/// How often what has expired is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The most records, or keys, that are dealt with before the writer's next table gets its turn.
const AT_ONCE_MAX: usize = 1024;

/// The most frozen tables that wait for the keeper; the writer waits with a further one.
pub(crate) const TABLES_WAITING_MAX: usize = 2;

/// Tells the time by which records expire.
pub(crate) type Clockwork = Box<dyn Fn() -> UnixMillis + Send>;

enum Work {
    /// Make runs of this table.
    Fold(Arc<Frozen>),
    /// Whatever else there is to do.
    Upkeep,
}

/// The thread's state.
pub(crate) struct Keeper<D> {
    store: Store,
    disk: D,
    clock: Clockwork,
    manifest: Manifest,
    merge: Option<Merge>,
    /// Runs that are out of use, by their numbers; one that still may be read is here itself.
    doomed: Vec<(u64, Option<Arc<Run>>)>,
    /// Whether the journal has parts that are in runs.
    journal_is_long: bool,
    sweep_at: Instant,
}

impl<D: Disk> Keeper<D> {
    pub(crate) fn new(store: Store, disk: D, clock: Clockwork, manifest: Manifest) -> Self {
        let doomed = manifest.doomed.iter().map(|number| (*number, None)).collect();
        let sweep_at = Instant::now();
        Self { store, disk, clock, manifest, merge: None, doomed, journal_is_long: true, sweep_at }
    }

    /// Works until the writer has ended, or the ledger fails.
    pub(crate) fn run(mut self, tables: &Receiver<Arc<Frozen>>) {
        let mut busy = true;
        while let Some(work) = self.next(tables, busy) {
            let done = caught(|| match work {
                Work::Fold(frozen) => self.fold(&frozen).map(|()| true),
                Work::Upkeep => self.turn(),
            });
            match done {
                Ok(more) => busy = more,
                Err(fault) => return self.store.shared.fail(WRITING, &fault),
            }
        }
    }

    /// What to do next; none once the writer has ended.
    fn next(&self, tables: &Receiver<Arc<Frozen>>, busy: bool) -> Option<Work> {
        let wait =
            if busy { Duration::ZERO } else { self.sweep_at.saturating_duration_since(Instant::now()) };
        match tables.recv_timeout(wait) {
            Ok(frozen) => Some(Work::Fold(frozen)),
            Err(RecvTimeoutError::Timeout) => Some(Work::Upkeep),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Makes runs of a frozen table.
    pub(crate) fn fold(&mut self, frozen: &Frozen) -> Result<(), Fault> {
        let now = self.now();
        let mut living: Vec<_> = frozen.table.entries.iter().filter(|(_, entry)| now < entry.hold).collect();
        living.sort_unstable_by_key(|(id, _)| **id);
        let spaces = living.chunk_by(|(one, _), (other, _)| one.space == other.space);
        let spaces: Vec<_> = spaces.map(|records| (self.manifest.begin_run(), records)).collect();
        self.manifest.save(&self.store.db)?;
        let mut made = Vec::new();
        for (number, records) in spaces {
            let space = records.first().map_or(Space::Event, |(id, _)| id.space);
            let mut builder = Builder::new(number, space, records.len() as u64);
            for (id, entry) in records {
                builder.push(&self.store.db, &Frame::of(id, entry))?;
            }
            made.extend(builder.finish(&self.store.db, 0, number)?);
        }
        self.disk.sync(&self.store.db)?;
        for run in &made {
            self.manifest.use_run(run.meta.clone());
        }
        self.manifest.journal_from = frozen.through.saturating_add(1);
        self.settle()?;
        self.store.index.thaw(made.into_iter());
        self.journal_is_long = true;
        self.store.count();
        Ok(())
    }

    /// One piece of what is to be done besides; false: nothing is.
    pub(crate) fn turn(&mut self) -> Result<bool, Fault> {
        let now = self.now();
        if Instant::now() >= self.sweep_at {
            self.sweep_at = Instant::now() + SWEEP_EVERY;
            self.store.index.trim(now);
            self.store.count();
        }
        Ok(self.go_on_merging(now)? || self.clear()? || self.drop_expired(now)? || self.begin_merging(now)?)
    }

    fn go_on_merging(&mut self, now: UnixMillis) -> Result<bool, Fault> {
        let Some(merge) = &mut self.merge else { return Ok(false) };
        if merge.step(&self.store.db, now, AT_ONCE_MAX)? {
            return Ok(true);
        }
        let Some(merge) = self.merge.take() else { return Ok(false) };
        let number = merge.number();
        let (merged, made) = merge.finish(&self.store.db)?;
        self.disk.sync(&self.store.db)?;
        self.manifest.doom(merged.iter().map(|run| run.meta.number));
        match &made {
            Some(made) => self.manifest.use_run(made.meta.clone()),
            None => self.doomed.push((number, None)),
        }
        self.settle()?;
        self.retire(merged, made);
        Ok(true)
    }

    /// Runs of which all records have expired go.
    fn drop_expired(&mut self, now: UnixMillis) -> Result<bool, Fault> {
        let runs = self.store.index.runs();
        let expired: Vec<_> = runs.iter().filter(|run| now.0 >= run.meta.ends).cloned().collect();
        if expired.is_empty() {
            return Ok(false);
        }
        self.manifest.doom(expired.iter().map(|run| run.meta.number));
        self.settle()?;
        self.retire(expired, None);
        Ok(true)
    }

    fn begin_merging(&mut self, now: UnixMillis) -> Result<bool, Fault> {
        let Some(plan) = merge::plan(&self.store.index.runs(), now) else { return Ok(false) };
        let number = self.manifest.begin_run();
        self.manifest.save(&self.store.db)?;
        self.merge = Some(Merge::begin(&self.store.db, plan, number, now)?);
        Ok(true)
    }

    /// Makes the manifest durable.
    fn settle(&mut self) -> Result<(), Fault> {
        self.manifest.save(&self.store.db)?;
        self.disk.sync(&self.store.db)
    }

    fn retire(&mut self, merged: Vec<Arc<Run>>, made: Option<Run>) {
        self.store.index.replace(&merged, made);
        self.doomed.extend(merged.into_iter().map(|run| (run.meta.number, Some(run))));
        self.store.count();
    }

    /// Removes some of what is not needed any more.
    fn clear(&mut self) -> Result<bool, Fault> {
        if self.journal_is_long {
            let last = self.manifest.journal_from.checked_sub(1);
            self.journal_is_long = last.map_or(Ok(false), |last| self.remove(keys::journals(0..=last)))?;
            return Ok(true);
        }
        // A reader that found the run in the index may be about to read it.
        let free = |run: &Option<Arc<Run>>| run.as_ref().is_none_or(|run| Arc::strong_count(run) == 1);
        let Some(at) = self.doomed.iter().position(|(_, run)| free(run)) else { return Ok(false) };
        let number = self.doomed[at].0;
        if !self.remove(keys::blocks(number))? && !self.remove(keys::filters(number))? {
            self.doomed.swap_remove(at);
            self.manifest.forget(number);
            self.manifest.save(&self.store.db)?;
        }
        Ok(true)
    }

    /// Removes the first of these keys; false: there are none.
    fn remove<K: AsRef<[u8]>>(&self, range: RangeInclusive<K>) -> Result<bool, Fault> {
        let mut found = false;
        for key in self.store.db.range(range).keys().take(AT_ONCE_MAX) {
            self.store.db.remove(key?)?;
            found = true;
        }
        Ok(found)
    }

    fn now(&self) -> UnixMillis {
        (self.clock)()
    }
}
