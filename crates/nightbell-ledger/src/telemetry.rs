//! One struct per fact; each writes its log line and its metric, so that the two can't drift apart.

use std::io;
use std::path::Path;
use std::time::Duration;

use metrics::Unit;
use nightbell_store::Unreadable;

use crate::entry::Id;

const COMMIT_DURATION: &str = "nightbell_ledger_commit_duration_seconds";
const ENTRIES: &str = "nightbell_ledger_entries";
const RESET: &str = "nightbell_ledger_reset_total";

/// Describes the ledger's metrics and makes them present at 0.
pub(crate) fn describe() {
    metrics::describe_histogram!(
        COMMIT_DURATION,
        Unit::Seconds,
        "Time that one group of ledger changes took to become durable."
    );
    metrics::describe_gauge!(ENTRIES, "Records in the ledger.");
    metrics::describe_counter!(RESET, "Ledgers that were damaged and have been moved aside.");
    metrics::counter!(RESET).increment(0);
    metrics::gauge!(ENTRIES).set(0);
    // Registers the series without adding to it.
    drop(metrics::histogram!(COMMIT_DURATION));
}

/// The number of records changed.
pub(crate) struct Entries(pub(crate) u64);

impl Entries {
    pub(crate) fn emit(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; 2^53 records don't fit on a disk"
        )]
        metrics::gauge!(ENTRIES).set(self.0 as f64);
    }
}

/// A group of commits is durable.
pub(crate) struct Committed {
    pub(crate) commits: usize,
    pub(crate) took: Duration,
}

impl Committed {
    pub(crate) fn emit(&self) {
        metrics::histogram!(COMMIT_DURATION).record(self.took);
        tracing::trace!(commits = self.commits, took = ?self.took, "a group of commits is durable");
    }
}

/// A damaged store was moved aside and a new one begun.
pub(crate) struct Reset<'a> {
    pub(crate) moved_to: &'a Path,
    pub(crate) problem: &'a str,
}

impl Reset<'_> {
    pub(crate) fn emit(&self) {
        metrics::counter!(RESET).increment(1);
        tracing::error!(
            moved_to = %self.moved_to.display(),
            problem = self.problem,
            "the ledger was damaged and a new one begun; what was settled before may be sent again"
        );
    }
}

/// Damaged stores of earlier starts are kept beside the ledger.
pub(crate) struct BrokenKept<'a> {
    pub(crate) count: usize,
    pub(crate) latest: &'a Path,
}

impl BrokenKept<'_> {
    pub(crate) fn emit(&self) {
        tracing::warn!(
            count = self.count,
            latest = %self.latest.display(),
            "damaged ledgers are kept beside the ledger; remove them when nobody will look into them"
        );
    }
}

/// The ledger failed for good.
pub(crate) struct Failed<'a> {
    pub(crate) problem: &'a str,
    pub(crate) damaged: bool,
}

impl Failed<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(
            problem = self.problem,
            damaged = self.damaged,
            "the ledger failed; nothing more is acknowledged until it is opened anew"
        );
    }
}

/// A damage could not be written down.
pub(crate) struct NoteFailed<'a> {
    pub(crate) error: &'a io::Error,
}

impl NoteFailed<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(error = %self.error, "the ledger's damage could not be noted in its folder");
    }
}

/// The witness can't be read. The store may be sound, so it is not thrown away for that.
pub(crate) struct WitnessUnreadable<'a> {
    pub(crate) folder: &'a Path,
}

impl WitnessUnreadable<'_> {
    pub(crate) fn emit(&self) {
        tracing::warn!(
            folder = %self.folder.display(),
            "the file `witness` of the ledger can't be read and is written anew; whether records are missing at the end is \
             not known"
        );
    }
}

/// A record can't be read and counts as forgotten.
pub(crate) struct UnreadableRecord<'a> {
    pub(crate) id: &'a Id,
    pub(crate) why: Unreadable,
    /// Whether it is the first that was found.
    pub(crate) first: bool,
}

impl UnreadableRecord<'_> {
    pub(crate) fn emit(&self) {
        let (record, why) = (self.id, self.why);
        if self.first {
            tracing::warn!(%record, %why, "a record of the ledger can't be read and counts as forgotten");
        } else {
            tracing::debug!(%record, %why, "one more record of the ledger can't be read");
        }
    }
}

/// The threads did not end in time.
pub(crate) struct CloseTimedOut(pub(crate) Duration);

impl CloseTimedOut {
    pub(crate) fn emit(&self) {
        tracing::error!(waited = ?self.0, "the ledger did not close in time");
    }
}
