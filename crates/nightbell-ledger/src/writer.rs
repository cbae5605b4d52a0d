//! The one thread that writes: gathers what waits, makes it durable in the journal, wakes the waiters.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use nightbell_core::time::UnixMillis;
use tokio::sync::OwnedSemaphorePermit;

use crate::disk::Disk;
use crate::fault::{Fault, caught};
use crate::group::{Group, NamedChange};
use crate::index::Frozen;
use crate::journal::Journal;
use crate::lane::{Answer, Sent};
use crate::shared::WRITING;
use crate::store::Store;
use crate::telemetry::Committed;

/// The most commits that wait for the writer or are in its hands; further ones wait without blocking.
pub(crate) const COMMITS_WAITING_MAX: usize = 1024;

/// The most commits of one group.
const GROUP_COMMITS_MAX: usize = 256;

/// A group is closed once it has this many changes, because sled writes a batch best within one of its segments. One commit
/// is never divided.
const GROUP_CHANGES_MAX: usize = 512;

/// How long a small group waits for more to join. What it delays has been sent already, and one flush for many commits is
/// what makes them cheap.
const GROUP_WAIT: Duration = Duration::from_millis(3);

/// A group of so many commits waits for no more.
const GROUP_COMMITS_ENOUGH: usize = 64;

/// Once so many records were journalled, they become a run. It bounds the memory that they take, about 200 bytes each, of which
/// there can be four times as many when the keeper is behind.
pub(crate) const FOLD_RECORDS: usize = 8 * 1024;

/// A request to the writer.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) changes: Vec<NamedChange>,
    pub(crate) now: UnixMillis,
    pub(crate) answer: Answer<()>,
}

/// The thread's state.
pub(crate) struct Writer<D> {
    store: Store,
    disk: D,
    journal: Journal,
    /// How many records were journalled since the last table was frozen.
    journalled: usize,
    keeper: SyncSender<Arc<Frozen>>,
}

/// The commits that become durable together.
#[derive(Default)]
struct Gathered {
    changes: Vec<(NamedChange, UnixMillis)>,
    waiters: Vec<(Answer<()>, OwnedSemaphorePermit)>,
    closing: bool,
}

impl<D: Disk> Writer<D> {
    pub(crate) fn new(
        store: Store,
        disk: D,
        journal: Journal,
        journalled: usize,
        keeper: SyncSender<Arc<Frozen>>,
    ) -> Self {
        Self { store, disk, journal, journalled, keeper }
    }

    /// Works until it is closed, all senders are gone, or a write fails.
    pub(crate) fn run(mut self, requests: &Receiver<Sent<Commit>>) {
        while let Ok(first) = requests.recv() {
            if self.commit(Gathered::gather(first, requests)).is_break() {
                return;
            }
        }
    }

    fn commit(&mut self, gathered: Gathered) -> ControlFlow<()> {
        let Gathered { changes, waiters, closing } = gathered;
        let began = Instant::now();
        let shared = Arc::clone(&self.store.shared);
        // A panic must not drop the waiters before the failure is sticky.
        let written = shared.while_writing(|| caught(|| self.write(changes)));
        let commits = waiters.len();
        let answer = written.or_else(|fault| {
            shared.fail(WRITING, &fault);
            shared.failure()
        });
        if answer.is_ok() && commits > 0 {
            Committed { commits, took: began.elapsed() }.emit();
        }
        for (waiter, _place) in waiters {
            // Whoever no longer waits does not need to know.
            let _gone = waiter.send(answer.clone());
        }
        if closing || answer.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn write(&mut self, changes: Vec<(NamedChange, UnixMillis)>) -> Result<(), Fault> {
        let mut group = Group::new(&self.store);
        for (change, now) in changes {
            group.apply(change, now)?;
        }
        let entries = group.into_entries();
        if entries.is_empty() {
            return Ok(());
        }
        self.store.db.apply_batch(self.journal.batch(&entries))?;
        self.disk.sync(&self.store.db)?;
        self.disk.witness(self.journal.next());
        self.journalled += entries.len();
        self.store.index.insert(entries);
        self.store.count();
        if self.journalled >= FOLD_RECORDS {
            self.fold();
        }
        Ok(())
    }

    /// Hands what was journalled to the keeper; waits for it when it is far behind.
    fn fold(&mut self) {
        let Some(through) = self.journal.last() else { return };
        self.journalled = 0;
        // A keeper that has ended has made the failure sticky; the journal has the records.
        let _ended = self.keeper.send(self.store.index.freeze(through));
    }
}

impl Gathered {
    /// The first request and those that follow it closely.
    fn gather(first: Sent<Commit>, requests: &Receiver<Sent<Commit>>) -> Self {
        let mut gathered = Self::default();
        let wait_until = Instant::now() + GROUP_WAIT;
        let mut next = Some(first);
        while let Some(sent) = next {
            match sent {
                Sent::Close => gathered.closing = true,
                Sent::Request(Commit { changes, now, answer }, place) => {
                    gathered.changes.extend(changes.into_iter().map(|change| (change, now)));
                    gathered.waiters.push((answer, place));
                }
            }
            next = if gathered.is_full() {
                None
            } else if gathered.waiters.len() >= GROUP_COMMITS_ENOUGH {
                requests.try_recv().ok()
            } else {
                requests.recv_timeout(wait_until.saturating_duration_since(Instant::now())).ok()
            };
        }
        gathered
    }

    fn is_full(&self) -> bool {
        self.closing || self.waiters.len() >= GROUP_COMMITS_MAX || self.changes.len() >= GROUP_CHANGES_MAX
    }
}
