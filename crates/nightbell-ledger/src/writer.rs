//! The one thread that writes: gathers what waits, makes it durable, wakes the waiters, and sweeps in
//! between.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nightbell_core::time::UnixMillis;
use tokio::sync::OwnedSemaphorePermit;

use crate::disk::Disk;
use crate::fault::{Fault, caught};
use crate::group::{Group, KeyedChange};
use crate::keys;
use crate::lane::{Answer, Sent};
use crate::shared::Shared;
use crate::sweep::sweep;
use crate::telemetry::Committed;

/// The most commits that wait for the writer or are in its hands; further ones wait without blocking.
pub(crate) const COMMITS_WAITING_MAX: usize = 1024;

/// The most commits of one group.
const GROUP_COMMITS_MAX: usize = 256;

/// A group is closed once it has this many changes, because sled writes a batch best within one of its 512
/// KiB segments. One commit is never divided.
const GROUP_CHANGES_MAX: usize = 512;

/// How long a small group waits for more to join. What it delays has been sent already, and one flush for many commits is
/// what makes them cheap.
const GROUP_WAIT: Duration = Duration::from_millis(3);

/// A group of so many commits waits for no more.
const GROUP_COMMITS_ENOUGH: usize = 64;

/// How often what has expired is looked for, idle or under load.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What failed, in the sticky failure's words.
const WRITING: &str = "failed to write the store";

/// A request to the writer.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) changes: Vec<KeyedChange>,
    pub(crate) now: UnixMillis,
    pub(crate) answer: Answer<()>,
}

/// The thread's state.
pub(crate) struct Writer<D> {
    db: sled::Db,
    disk: D,
    shared: Arc<Shared>,
    clock: Box<dyn Fn() -> UnixMillis + Send>,
    sweep_at: Instant,
}

/// The commits that become durable together.
#[derive(Default)]
struct Gathered {
    changes: Vec<(KeyedChange, UnixMillis)>,
    waiters: Vec<(Answer<()>, OwnedSemaphorePermit)>,
    closing: bool,
}

impl<D: Disk> Writer<D> {
    pub(crate) fn new(
        db: sled::Db,
        disk: D,
        shared: Arc<Shared>,
        clock: Box<dyn Fn() -> UnixMillis + Send>,
    ) -> Self {
        Self { db, disk, shared, clock, sweep_at: Instant::now() }
    }

    /// Works until it is closed, all senders are gone, or a write fails.
    pub(crate) fn run(mut self, requests: &Receiver<Sent<Commit>>) {
        while self.turn(requests).is_continue() {}
        // Sweeps are not waited for; what they removed should not come back. sled syncs again when it is
        // dropped.
        if self.shared.failure().is_ok()
            && let Err(fault) = self.disk.sync(&self.db)
        {
            self.shared.fail(WRITING, &fault);
        }
    }

    /// One group of commits, or the time for a sweep, or both.
    fn turn(&mut self, requests: &Receiver<Sent<Commit>>) -> ControlFlow<()> {
        let until_sweep = self.sweep_at.saturating_duration_since(Instant::now());
        match requests.recv_timeout(until_sweep) {
            Ok(first) => self.commit(Gathered::gather(first, requests))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        }
        if Instant::now() < self.sweep_at {
            return ControlFlow::Continue(());
        }
        match self.sweep() {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => {
                self.shared.fail(WRITING, &fault);
                ControlFlow::Break(())
            }
        }
    }

    fn commit(&mut self, gathered: Gathered) -> ControlFlow<()> {
        let Gathered { changes, waiters, closing } = gathered;
        let began = Instant::now();
        self.shared.write_begins();
        // A panic must not drop the waiters before the failure is sticky.
        let written = caught(|| self.write(changes));
        self.shared.write_ended();
        let commits = waiters.len();
        let answer = written.or_else(|fault| {
            self.shared.fail(WRITING, &fault);
            self.shared.failure()
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

    fn write(&mut self, changes: Vec<(KeyedChange, UnixMillis)>) -> Result<(), Fault> {
        let mut group = Group::new(&self.db, &self.shared);
        for (change, now) in changes {
            group.apply(change, now)?;
        }
        let Some((batch, entries)) = group.into_batch(self.shared.entries())? else { return Ok(()) };
        self.db.apply_batch(batch)?;
        self.shared.set_entries(entries);
        self.disk.sync(&self.db)
    }

    /// Removes some of what has expired. Nobody waits for it: the next sync makes it durable, and a crash
    /// before only brings back what will be swept again.
    fn sweep(&mut self) -> Result<(), Fault> {
        let swept = sweep(&self.db, &self.shared, (self.clock)())?;
        let is_full = swept.is_full();
        if swept.entries > 0 {
            let mut batch = swept.batch;
            let entries = self.shared.entries().saturating_sub(swept.records);
            batch.insert(keys::ENTRIES, &entries.to_be_bytes());
            self.db.apply_batch(batch)?;
            self.shared.set_entries(entries);
        }
        // A full sweep has left something behind: it goes on after the commits that wait by now.
        let wait = if is_full { Duration::ZERO } else { SWEEP_EVERY };
        self.sweep_at = Instant::now() + wait;
        Ok(())
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
