//! What the handles and the threads share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nightbell_core::ports::LedgerError;
use nightbell_store::StoreHealth;

use crate::codec::Stored;
use crate::entry::Id;
use crate::fault::{self, Fault};
use crate::telemetry::{Entries, Failed, UnreadableRecord};

/// What fails in the threads that write, in the sticky failure's words.
pub(crate) const WRITING: &str = "failed to write the store";

/// The state that everybody may ask for without waiting.
#[derive(Debug)]
pub(crate) struct Shared {
    folder: PathBuf,
    health: StoreHealth,
    entries: AtomicU64,
    unreadable_seen: AtomicBool,
}

impl Shared {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            health: StoreHealth::default(),
            entries: AtomicU64::new(0),
            unreadable_seen: AtomicBool::new(false),
        }
    }

    /// The ledger's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sticky failure, if there was one.
    pub(crate) fn failure(&self) -> Result<(), LedgerError> {
        self.health.failure().map_err(LedgerError)
    }

    /// Why a request was not answered.
    pub(crate) fn why(&self) -> LedgerError {
        self.failure().err().unwrap_or_else(|| LedgerError("it was closed".into()))
    }

    /// The sticky failure, or a write that takes too long.
    pub(crate) fn health(&self) -> Result<(), LedgerError> {
        self.health.check().map_err(LedgerError)
    }

    /// Does a write, and counts its time.
    pub(crate) fn while_writing<T>(&self, write: impl FnOnce() -> T) -> T {
        self.health.while_writing(write)
    }

    /// The number of records.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Sets the number of records.
    pub(crate) fn set_entries(&self, entries: u64) {
        self.entries.store(entries, Ordering::Relaxed);
        Entries(entries).emit();
    }

    /// Makes a failure sticky, unless there was one before. A damaged store is noted in its folder, so that
    /// it is moved aside at the next start instead of failing in the same way again.
    pub(crate) fn fail(&self, doing: &str, fault: &Fault) {
        let problem = format!("{doing}: {fault}");
        let damaged = matches!(fault, Fault::Damaged(_));
        if !self.health.fail(&problem) {
            return;
        }
        Failed { problem: &problem, damaged }.emit();
        if damaged {
            fault::note(&self.folder, &problem);
        }
    }

    /// Makes all later calls fail, without it being a fault.
    pub(crate) fn closed(&self) {
        // A failure that came before says more.
        self.health.fail("it was closed");
    }

    /// Reads a record; none if it can't be read, which is logged. The first is loud, because a thousand more
    /// would only say the same.
    pub(crate) fn decode(&self, id: &Id, value: &[u8]) -> Option<Stored> {
        let decoded = Stored::decode(value);
        decoded
            .inspect_err(|why| {
                let first = !self.unreadable_seen.swap(true, Ordering::Relaxed);
                UnreadableRecord { id, why: *why, first }.emit();
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stays() {
        let shared = Shared::new(PathBuf::new());
        shared.fail("first", &Fault::Locked);
        shared.fail("second", &Fault::Locked);
        shared.closed();
        assert_eq!(shared.health(), Err(LedgerError("first: it is in use by another process".into())));
    }
}
