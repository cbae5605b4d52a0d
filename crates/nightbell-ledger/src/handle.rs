//! The handle that everybody holds, and the life of the threads behind it.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Clock, Ledger, LedgerError};
use nightbell_core::record::{Change, Looked, RecordKey};
use nightbell_core::time::UnixMillis;
use nightbell_store::{StoreThread, TimedOut};

use crate::disk::{DatabaseFile, Disk};
use crate::entry::Id;
use crate::fault::Fault;
use crate::group::NamedChange;
use crate::index::Index;
use crate::keeper::{Clockwork, Keeper, TABLES_WAITING_MAX};
use crate::lane::Lane;
use crate::open::{self, LedgerSettings, Loaded, OpenError, Opened, Ready};
use crate::place::{self, Lock};
use crate::reader::{self, LOOKS_WAITING_MAX, Look, Names};
use crate::shared::Shared;
use crate::store::Store;
use crate::telemetry::{self, CloseTimedOut};
use crate::writer::{COMMITS_WAITING_MAX, Commit, Writer};

/// How long closing waits for the threads. The writer may have a full queue before it, on a slow disk.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

/// The ledger on sled. Clones are handles of the same store.
///
/// A request waits as long as the disk takes, because a write that has begun can't be called off;
/// [`LedgerStore::health`] says when it takes too long.
///
/// When the last handle is dropped, the ledger is closed as by [`LedgerStore::close`], and the dropping
/// thread waits for it. Close it before where that matters.
#[derive(Debug, Clone)]
pub struct LedgerStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Lane<Commit>,
    reader: Lane<Look>,
    index: Arc<Index>,
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    /// Each holds the lock until its end.
    all: [StoreThread; 3],
    lock: Arc<Lock>,
}

impl LedgerStore {
    /// Opens the ledger, or begins one; a damaged one is moved aside to `NAME.broken-UNIX_MILLIS` beside it
    /// and a new one begun. `clock` tells the time by which records are swept.
    ///
    /// It blocks while sled reads what it has: call it before the runtime starts or from `spawn_blocking`.
    ///
    /// # Errors
    /// [`OpenError`]: the ledger is in use, or the system does not let us open or write it. It was left as it
    /// was.
    pub fn open<C: Clock>(settings: &LedgerSettings, clock: C) -> Result<(Self, Opened), OpenError> {
        telemetry::describe();
        let (ready, opened) = open::open(settings, clock.now())?;
        let Ready { loaded, file, lock } = ready;
        let shared = Arc::new(Shared::new(settings.path.clone()));
        let start = |file: DatabaseFile| {
            let disks = (file.clone(), file);
            Self::start(loaded, disks, lock, shared, Box::new(move || clock.now()))
        };
        let ledger =
            start(file).map_err(|source| OpenError::io("start a thread for", &settings.path, source))?;
        Ok((ledger, opened))
    }

    pub(crate) fn start(
        loaded: Loaded,
        (writing, keeping): (impl Disk, impl Disk),
        lock: Lock,
        shared: Arc<Shared>,
        clock: Clockwork,
    ) -> io::Result<Self> {
        let Loaded { db, manifest, journal, journalled, index } = loaded;
        let lock = Arc::new(lock);
        let (writer, commits) = Lane::new(COMMITS_WAITING_MAX);
        let (reader, looks) = Lane::new(LOOKS_WAITING_MAX);
        let (freezing, tables) = sync_channel(TABLES_WAITING_MAX);
        let store = Store { db, index: Arc::new(index), shared: Arc::clone(&shared) };
        store.count();
        let index = Arc::clone(&store.index);
        let writing = Writer::new(store.clone(), writing, journal, journalled, freezing);
        let keeping = Keeper::new(store.clone(), keeping, clock, manifest);
        let all = [
            spawn("ledger-writer", &shared, &lock, commits, |commits| writing.run(commits))?,
            spawn("ledger-keeper", &shared, &lock, tables, |tables| keeping.run(tables))?,
            spawn("ledger-reader", &shared, &lock, looks, move |looks| reader::run(&store, looks))?,
        ];
        let threads = Mutex::new(Some(Threads { all, lock }));
        Ok(Self { inner: Arc::new(Inner { writer, reader, index, shared, threads }) })
    }

    /// The number of records, those included that have expired, or were replaced, and are not merged away yet.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.inner.shared.entries()
    }

    /// Whether the ledger has not failed for good: one that has must be closed and opened anew.
    ///
    /// # Errors
    /// [`LedgerError`]: it has, or was closed.
    pub fn failure(&self) -> Result<(), LedgerError> {
        self.inner.shared.failure()
    }

    /// Whether the ledger is well. It does not wait for anything.
    ///
    /// # Errors
    /// [`LedgerError`]: it has failed for good, or was closed, or a write has been under way for half a
    /// minute.
    pub fn health(&self) -> Result<(), LedgerError> {
        self.inner.shared.health()
    }

    /// The number of commits that are not answered yet.
    #[cfg(test)]
    pub(crate) fn commits_waiting(&self) -> usize {
        COMMITS_WAITING_MAX - self.inner.writer.places_free()
    }

    /// Finishes the requests sent before, makes everything durable and lets go of the store. Later requests
    /// fail; closing again does nothing. It blocks, for half a minute or so at most: call it from
    /// `spawn_blocking` or after the runtime's end.
    ///
    /// # Errors
    /// [`LedgerError`]: the ledger had failed, or did not end in time.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.inner.close()
    }
}

impl Ledger for LedgerStore {
    fn look(
        &self,
        connector: &Connector,
        event: Fingerprint,
        alerts: Vec<Fingerprint>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Looked, LedgerError>> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        let event = Id::of(connector, RecordKey::Event(event));
        let alert = |alert| (alert, Id::of(connector, RecordKey::Alert(alert)));
        let names = Names { event, alerts: alerts.into_iter().map(alert).collect() };
        async move {
            inner.shared.failure()?;
            if let Some(looked) = names.look_in_memory(&inner.index, &inner.shared, now) {
                return Ok(looked);
            }
            inner.reader.ask(&inner.shared, |answer| Look { names, now, answer }).await
        }
    }

    fn commit(
        &self,
        connector: &Connector,
        changes: Vec<Change>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        let named = |Change { key, happening, keep }| {
            let id = Id::of(connector, key);
            NamedChange { id, happening, keep }
        };
        let changes = changes.into_iter().map(named).collect();
        async move { inner.writer.ask(&inner.shared, |answer| Commit { changes, now, answer }).await }
    }
}

impl Inner {
    fn close(&self) -> Result<(), LedgerError> {
        // A second closer waits here for the first.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Threads { all, lock }) = threads.take() else { return Ok(()) };
        self.writer.close();
        self.reader.close();
        let until = Instant::now() + CLOSE_WAIT_MAX;
        let mut joined =
            all.into_iter().map(|thread| thread.join(until.saturating_duration_since(Instant::now())));
        match joined.try_for_each(|ended| ended) {
            Ok(()) => place::wait_until_released(self.shared.folder()),
            Err(TimedOut) => {
                CloseTimedOut(CLOSE_WAIT_MAX).emit();
                let late = io::Error::from(io::ErrorKind::TimedOut);
                self.shared.fail("failed to close", &Fault::System(late));
            }
        }
        drop(lock);
        let failure = self.shared.failure();
        self.shared.closed();
        failure
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever wants to know how it went closes it before.
        let _failure = self.close();
    }
}

/// Starts a thread that works on what it is sent. If it panics, that becomes the sticky failure.
fn spawn<T: Send + 'static>(
    name: &'static str,
    shared: &Arc<Shared>,
    lock: &Arc<Lock>,
    requests: Receiver<T>,
    work: impl FnOnce(&Receiver<T>) + Send + 'static,
) -> io::Result<StoreThread> {
    let shared = Arc::clone(shared);
    let panicked = move |problem: &str| {
        shared.fail(&format!("a panic in {name}"), &Fault::Damaged(problem.to_owned()));
    };
    StoreThread::spawn(name, (requests, Arc::clone(lock)), |(requests, _lock)| work(requests), panicked)
}
