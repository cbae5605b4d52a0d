//! What the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Clock, Ledger, LedgerError};
use nightbell_core::record::{Change, Happening, Looked, Record, RecordKey};
use nightbell_core::time::UnixMillis;
use nightbell_ledger::{LedgerSettings, LedgerStore, OpenError, Opened};
use tempfile::TempDir;

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The longest that a test waits for a condition.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW.0)))
    }

    pub(crate) fn move_to(&self, time: UnixMillis) {
        self.0.store(time.0, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

/// A folder with a ledger in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("data").join("ledger")
    }

    pub(crate) fn try_open(&self) -> Result<(LedgerStore, Opened), OpenError> {
        open(&self.path(), Hand::new())
    }

    #[track_caller]
    pub(crate) fn open(&self) -> (LedgerStore, Opened) {
        self.try_open().unwrap()
    }
}

pub(crate) fn open(path: &Path, clock: Hand) -> Result<(LedgerStore, Opened), OpenError> {
    LedgerStore::open(&LedgerSettings { cache_bytes: 8 * 1024 * 1024, ..LedgerSettings::new(path) }, clock)
}

pub(crate) fn sre() -> Connector {
    "sre".parse().unwrap()
}

pub(crate) fn id(number: u64) -> Fingerprint {
    Fingerprint::of([number.to_be_bytes().as_slice()])
}

/// What a worker commits when an event was accepted: its record and its alert key's.
pub(crate) fn delivered(number: u64) -> Vec<Change> {
    let happening = Happening::Delivered {
        event: id(number),
        replay: None,
        at: NOW,
        request_id: Some(format!("r{number}")),
    };
    let change = |key| Change { key, happening: happening.clone(), keep: HOUR };
    vec![change(RecordKey::Event(id(number))), change(RecordKey::Alert(id(number)))]
}

pub(crate) async fn commit(ledger: &LedgerStore, number: u64) -> Result<(), LedgerError> {
    ledger.commit(&sre(), delivered(number), NOW).await
}

pub(crate) async fn look(ledger: &LedgerStore, number: u64) -> Looked {
    ledger.look(&sre(), id(number), vec![id(number)], NOW).await.unwrap()
}

/// What was found under the one alert key.
pub(crate) fn by_alert(looked: &Looked) -> Option<&Record> {
    looked.by_alert.first().map(|(_, record)| record)
}

pub(crate) async fn is_known(ledger: &LedgerStore, number: u64) -> bool {
    let looked = look(ledger, number).await;
    assert_eq!(looked.by_event.as_ref(), by_alert(&looked), "half a commit");
    looked.by_event.is_some()
}

/// Closes a ledger from within a runtime.
pub(crate) async fn close(ledger: LedgerStore) -> Result<(), LedgerError> {
    tokio::task::spawn_blocking(move || ledger.close()).await.unwrap()
}

/// Waits until the ledger has this many records.
pub(crate) async fn entries_become(ledger: &LedgerStore, entries: u64) {
    let become_so = async {
        while ledger.entries() != entries {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(WAIT_MAX, become_so).await;
    assert!(waited.is_ok(), "{} records, not {entries}", ledger.entries());
}
