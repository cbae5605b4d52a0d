//! What needs a look inside: a disk that waits, fails or panics, and the store's own keys.

mod model;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Clock, Ledger};
use nightbell_core::record::{Change, Happening, Looked, RecordKey};
use nightbell_core::time::UnixMillis;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::entry::{Entry, Id};
use crate::fault::Fault;
use crate::journal::Journal;
use crate::open::{Loaded, begin};
use crate::place::Lock;
use crate::shared::Shared;
use crate::{LedgerSettings, LedgerStore, Opened};

const NOW: UnixMillis = UnixMillis(1_000_000);
const KEEP: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Fixed(UnixMillis);

impl Clock for Fixed {
    fn now(&self) -> UnixMillis {
        self.0
    }
}

fn sre() -> Connector {
    "sre".parse().unwrap()
}

fn id(number: u64) -> Fingerprint {
    Fingerprint::of([number.to_be_bytes().as_slice()])
}

fn delivered(number: u64) -> Vec<Change> {
    let event = id(number);
    let happening = Happening::Delivered { event, replay: None, at: NOW, request_id: None };
    vec![Change { key: RecordKey::Event(event), happening, keep: KEEP }]
}

async fn look(ledger: &LedgerStore, number: u64) -> Looked {
    ledger.look(&sre(), id(number), vec![id(number)], NOW).await.unwrap()
}

/// A ledger on a disk of the test's making, and what it begins with.
fn start_with(folder: &Path, disk: impl Disk, entries: &[(Id, Entry)]) -> (LedgerStore, sled::Db) {
    let path = folder.join("ledger");
    let db = sled::Config::new().path(&path).open().unwrap();
    begin(&db, &mut NoDisk).unwrap();
    let (mut journal, _) = Journal::load(&db, 0).unwrap();
    db.apply_batch(journal.batch(entries)).unwrap();
    let shared = Arc::new(Shared::new(path.clone()));
    let lock = Lock::take(&path).unwrap();
    let loaded = Loaded::load(db.clone()).unwrap();
    let ledger = LedgerStore::start(loaded, (disk, NoDisk), lock, shared, Box::new(|| NOW)).unwrap();
    (ledger, db)
}

fn start(folder: &Path, disk: impl Disk) -> (LedgerStore, sled::Db) {
    start_with(folder, disk, &[])
}

/// Says when a sync begins, and lets it end when it is told to.
struct Gated {
    begun: Sender<()>,
    go: Receiver<()>,
}

impl Disk for Gated {
    fn sync(&mut self, _: &sled::Db) -> Result<(), Fault> {
        // Once the test has dropped its ends, the gate is open.
        let _test_ended = self.begun.send(());
        let _test_ended = self.go.recv();
        Ok(())
    }
}

fn gated() -> (Gated, Receiver<()>, Sender<()>) {
    let (begun, begins) = channel();
    let (go, gone) = channel();
    (Gated { begun, go: gone }, begins, go)
}

#[tokio::test]
async fn commits_that_wait_share_one_sync() {
    let folder = TempDir::new().unwrap();
    let (disk, begins, go) = gated();
    let (ledger, _) = start(folder.path(), disk);
    let first = tokio::spawn(ledger.commit(&sre(), delivered(0), NOW));
    while ledger.commits_waiting() < 1 {
        tokio::task::yield_now().await;
    }
    let begins = tokio::task::spawn_blocking(move || begins.recv().map(|()| begins)).await.unwrap().unwrap();

    let commits: Vec<_> =
        (1..=200).map(|number| tokio::spawn(ledger.commit(&sre(), delivered(number), NOW))).collect();
    while ledger.commits_waiting() < 201 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished(), "a commit was reported before it was durable");
    go.send(()).unwrap();
    go.send(()).unwrap();
    for commit in std::iter::once(first).chain(commits) {
        commit.await.unwrap().unwrap();
    }
    assert_eq!(begins.try_iter().count(), 1, "200 commits and one sync");
    assert_eq!(ledger.entries(), 201);
    drop(go);
    tokio::task::spawn_blocking(move || ledger.close()).await.unwrap().unwrap();
}

#[tokio::test]
async fn closing_finishes_what_was_sent_and_refuses_what_comes_later() {
    let folder = TempDir::new().unwrap();
    let (disk, begins, go) = gated();
    let (ledger, _) = start(folder.path(), disk);
    let sent = [tokio::spawn(ledger.commit(&sre(), delivered(1), NOW))];
    while ledger.commits_waiting() < 1 {
        tokio::task::yield_now().await;
    }
    let closer = ledger.clone();
    let closing = tokio::task::spawn_blocking(move || closer.close());
    drop((begins, go));
    for commit in sent {
        assert_eq!(commit.await.unwrap(), Ok(()));
    }
    assert_eq!(closing.await.unwrap(), Ok(()));
    let refused = ledger.commit(&sre(), delivered(2), NOW).await.unwrap_err();
    assert_eq!(refused.to_string(), "the ledger failed: it was closed");
    assert_eq!(ledger.look(&sre(), id(1), vec![id(1)], NOW).await.unwrap_err(), refused);
    assert_eq!(ledger.health(), Err(refused));
}

/// Fails, or panics, from the sync after this many on.
struct Failing {
    good: u32,
    panics: bool,
}

impl Disk for Failing {
    fn sync(&mut self, _: &sled::Db) -> Result<(), Fault> {
        if let Some(fewer) = self.good.checked_sub(1) {
            self.good = fewer;
            return Ok(());
        }
        assert!(!self.panics, "page 7 is gone");
        Err(Fault::System(io::Error::from(io::ErrorKind::StorageFull)))
    }
}

#[tokio::test]
async fn a_failed_sync_is_sticky() {
    let folder = TempDir::new().unwrap();
    let (ledger, _) = start(folder.path(), Failing { good: 1, panics: false });
    ledger.commit(&sre(), delivered(1), NOW).await.unwrap();
    assert_eq!(ledger.health(), Ok(()));
    assert!(look(&ledger, 1).await.by_event.is_some());

    let failure = ledger.commit(&sre(), delivered(2), NOW).await.unwrap_err();
    assert!(failure.to_string().starts_with("the ledger failed: failed to write the store: "), "{failure}");
    assert_eq!(ledger.health(), Err(failure.clone()));
    assert_eq!(ledger.commit(&sre(), delivered(3), NOW).await, Err(failure.clone()));
    assert_eq!(ledger.look(&sre(), id(1), vec![id(1)], NOW).await, Err(failure.clone()));
    assert_eq!(tokio::task::spawn_blocking(move || ledger.close()).await.unwrap(), Err(failure));
}

#[tokio::test]
async fn a_full_disk_leads_to_no_reset() {
    let folder = TempDir::new().unwrap();
    let (ledger, db) = start(folder.path(), Failing { good: 0, panics: false });
    ledger.commit(&sre(), delivered(1), NOW).await.unwrap_err();
    drop(db);
    drop(ledger);
    assert!(!folder.path().join("ledger").join("damaged").exists());
}

#[tokio::test]
async fn a_panic_of_the_writer_is_an_error_and_leads_to_a_reset() {
    let folder = TempDir::new().unwrap();
    let (ledger, db) = start(folder.path(), Failing { good: 0, panics: true });
    let commits: Vec<_> =
        (0..50).map(|number| tokio::spawn(ledger.commit(&sre(), delivered(number), NOW))).collect();
    for commit in commits {
        commit.await.unwrap().unwrap_err();
    }
    let failure = ledger.look(&sre(), id(1), vec![id(1)], NOW).await.unwrap_err();
    assert_eq!(failure.to_string(), "the ledger failed: failed to write the store: a panic: page 7 is gone");
    assert_eq!(ledger.health(), Err(failure));
    drop(db);
    drop(ledger);

    let (_ledger, opened) =
        LedgerStore::open(&LedgerSettings::new(folder.path().join("ledger")), Fixed(NOW)).unwrap();
    let Opened::Reset { moved_to, problem } = opened else { panic!("{opened:?}") };
    assert_eq!(problem, "failed to write the store: a panic: page 7 is gone");
    assert!(moved_to.ends_with("ledger.broken-1000000"));
}

/// Makes nothing durable.
struct NoDisk;

impl Disk for NoDisk {
    fn sync(&mut self, _: &sled::Db) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test]
async fn a_record_that_cant_be_read_counts_as_forgotten() {
    let folder = TempDir::new().unwrap();
    let name = Id::of(&sre(), RecordKey::Event(id(1)));
    let value = b"\x09 from a later version".as_slice().into();
    let entry = Entry { hold: UnixMillis(u64::MAX), value };
    let (ledger, db) = start_with(folder.path(), NoDisk, &[(name, entry)]);
    assert_eq!(look(&ledger, 1).await, Looked::default());
    ledger.commit(&sre(), delivered(1), NOW).await.unwrap();
    assert!(look(&ledger, 1).await.by_event.is_some());
    assert_eq!(ledger.health(), Ok(()));
    drop(db);
}

/// Remembers which thread asked for the time.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Option<String>>>>);

impl Clock for Asked {
    fn now(&self) -> UnixMillis {
        self.0.lock().unwrap().push(std::thread::current().name().map(str::to_owned));
        NOW
    }
}

#[test]
fn an_idle_ledger_sweeps_by_the_clock() {
    let folder = TempDir::new().unwrap();
    let asked = Asked::default();
    let settings = LedgerSettings::new(folder.path().join("ledger"));
    let (ledger, _) = LedgerStore::open(&settings, asked.clone()).unwrap();
    let sweeps =
        || asked.0.lock().unwrap().iter().filter(|name| name.as_deref() == Some("ledger-keeper")).count();
    let began = std::time::Instant::now();
    while sweeps() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "no second sweep");
        std::thread::yield_now();
    }
    ledger.close().unwrap();
}
