//! What the handles and the writer share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nightbell_core::ports::{Depths, QueueState};
use nightbell_core::time::millis;

use crate::limits::STALLED_AFTER;
use crate::telemetry::{Failed, Gauges};

/// The state that everybody may ask for without waiting.
pub(crate) struct Shared {
    failed: OnceLock<String>,
    depths: Mutex<Depths>,
    gauges: Gauges,
    started: Instant,
    /// When the write under way began, in milliseconds since `started` and one more; 0 when there is none.
    writing_since: AtomicU64,
}

impl Shared {
    pub(crate) fn new(depths: Depths) -> Self {
        Self {
            failed: OnceLock::new(),
            gauges: Gauges::new(&depths),
            depths: Mutex::new(depths),
            started: Instant::now(),
            writing_since: AtomicU64::new(0),
        }
    }

    /// The sticky failure, if there was one.
    pub(crate) fn failure(&self) -> Result<(), String> {
        self.failed.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Why there was no answer.
    pub(crate) fn why(&self) -> String {
        self.failed.get().cloned().unwrap_or_else(|| "the queue has ended".to_owned())
    }

    pub(crate) fn state(&self) -> QueueState {
        let state = self.failure().and_then(|()| self.stalled(self.started.elapsed()));
        QueueState { consuming: state.clone(), publishing: state }
    }

    fn stalled(&self, elapsed: Duration) -> Result<(), String> {
        let Some(since) = self.writing_since.load(Ordering::Relaxed).checked_sub(1) else { return Ok(()) };
        let took = elapsed.saturating_sub(Duration::from_millis(since));
        if took < STALLED_AFTER {
            return Ok(());
        }
        Err(format!("a write has been under way for {} s", took.as_secs()))
    }

    pub(crate) fn write_begins(&self) {
        self.writing_since.store(millis(self.started.elapsed()).saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn write_ended(&self) {
        self.writing_since.store(0, Ordering::Relaxed);
    }

    pub(crate) fn depths(&self) -> Depths {
        self.depths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_depths(&self, depths: Depths) {
        let mut known = self.depths.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != depths {
            self.gauges.depths(&depths);
            *known = depths;
        }
    }

    /// Makes a failure sticky, unless there was one before.
    pub(crate) fn fail(&self, problem: String) {
        if let Ok(()) = self.failed.set(problem) {
            self.gauges.disconnected();
            Failed(&self.why()).emit();
        }
    }

    /// Makes all later calls fail, without it being a fault.
    pub(crate) fn closed(&self) {
        self.gauges.disconnected();
        // A failure that came before says more.
        let _failed_before = self.failed.set("the queue was closed".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_too_long_shows_and_passes() {
        let shared = Shared::new(Depths::default());
        shared.write_begins();
        assert_eq!(shared.state().publishing, Ok(()));
        assert!(shared.stalled(STALLED_AFTER * 2).is_err());
        shared.write_ended();
        assert_eq!(shared.stalled(STALLED_AFTER * 2), Ok(()));
    }

    #[test]
    fn the_first_failure_stays() {
        let shared = Shared::new(Depths::default());
        shared.fail("the disk is full".to_owned());
        shared.fail("second".to_owned());
        shared.closed();
        let failure = Err("the disk is full".to_owned());
        assert_eq!(shared.state(), QueueState { consuming: failure.clone(), publishing: failure });
    }
}
