//! What the handles and the threads share.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nightbell_core::ports::LedgerError;
use nightbell_core::time::millis;

use crate::codec::Stored;
use crate::entry::Id;
use crate::fault::{self, Fault};
use crate::telemetry::{Entries, Failed, UnreadableRecord};

/// How long a write may be under way before the ledger counts as unwell.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// What fails in the threads that write, in the sticky failure's words.
pub(crate) const WRITING: &str = "failed to write the store";

/// The state that everybody may ask for without waiting.
#[derive(Debug)]
pub(crate) struct Shared {
    folder: PathBuf,
    failed: OnceLock<LedgerError>,
    entries: AtomicU64,
    unreadable_seen: AtomicBool,
    started: Instant,
    /// When the write under way began, in milliseconds since `started` and one more; 0 when there is none.
    writing_since: AtomicU64,
}

impl Shared {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            failed: OnceLock::new(),
            entries: AtomicU64::new(0),
            unreadable_seen: AtomicBool::new(false),
            started: Instant::now(),
            writing_since: AtomicU64::new(0),
        }
    }

    /// The ledger's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sticky failure, if there was one.
    pub(crate) fn failure(&self) -> Result<(), LedgerError> {
        self.failed.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Why a request was not answered.
    pub(crate) fn why(&self) -> LedgerError {
        self.failed.get().cloned().unwrap_or_else(|| LedgerError("it was closed".into()))
    }

    /// The sticky failure, or a write that takes too long.
    pub(crate) fn health(&self) -> Result<(), LedgerError> {
        self.failure()?;
        self.stalled(self.started.elapsed())
    }

    fn stalled(&self, elapsed: Duration) -> Result<(), LedgerError> {
        let Some(since) = self.writing_since.load(Ordering::Relaxed).checked_sub(1) else { return Ok(()) };
        let took = elapsed.saturating_sub(Duration::from_millis(since));
        if took < STALLED_AFTER {
            return Ok(());
        }
        Err(LedgerError(format!("a write has been under way for {} s", took.as_secs()).into()))
    }

    /// Marks that a write begins.
    pub(crate) fn write_begins(&self) {
        self.writing_since.store(millis(self.started.elapsed()).saturating_add(1), Ordering::Relaxed);
    }

    /// Marks that a write has ended.
    pub(crate) fn write_ended(&self) {
        self.writing_since.store(0, Ordering::Relaxed);
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
        if self.failed.set(LedgerError(problem.as_str().into())).is_err() {
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
        let _failed_before = self.failed.set(LedgerError("it was closed".into()));
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
    fn a_write_that_takes_too_long_shows_in_health_and_passes() {
        let shared = Shared::new(PathBuf::new());
        shared.write_begins();
        assert_eq!(shared.health(), Ok(()));
        assert!(shared.stalled(STALLED_AFTER * 2).is_err());
        shared.write_ended();
        assert_eq!(shared.stalled(STALLED_AFTER * 2), Ok(()));
    }

    #[test]
    fn the_first_failure_stays() {
        let shared = Shared::new(PathBuf::new());
        shared.fail("first", &Fault::Locked);
        shared.fail("second", &Fault::Locked);
        shared.closed();
        assert_eq!(shared.health(), Err(LedgerError("first: it is in use by another process".into())));
    }
}
