//! What everybody may ask about a store without waiting for its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a write may be under way before the store counts as unwell.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// The first failure of a store, which stays, and since when it is writing.
#[derive(Debug)]
pub struct StoreHealth {
    failed: OnceLock<Arc<str>>,
    started: Instant,
    /// When the write under way began, in milliseconds since `started` and one more; 0 when there is none.
    writing_since: AtomicU64,
}

impl Default for StoreHealth {
    fn default() -> Self {
        Self { failed: OnceLock::new(), started: Instant::now(), writing_since: AtomicU64::new(0) }
    }
}

impl StoreHealth {
    /// Makes a failure sticky, unless there was one before. True: it is the first.
    pub fn fail(&self, problem: &str) -> bool {
        self.failed.set(problem.into()).is_ok()
    }

    /// Whether nothing has failed for good.
    ///
    /// # Errors
    /// The sticky failure.
    pub fn failure(&self) -> Result<(), Arc<str>> {
        self.failed.get().map_or(Ok(()), |failure| Err(Arc::clone(failure)))
    }

    /// Whether nothing has failed for good, and no write takes too long.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), Arc<str>> {
        self.failure()?;
        self.stalled(self.started.elapsed())
    }

    fn stalled(&self, elapsed: Duration) -> Result<(), Arc<str>> {
        let Some(since) = self.writing_since.load(Ordering::Relaxed).checked_sub(1) else { return Ok(()) };
        let took = elapsed.saturating_sub(Duration::from_millis(since));
        if took < STALLED_AFTER {
            return Ok(());
        }
        Err(format!("a write has been under way for {} s", took.as_secs()).into())
    }

    /// Does a write, and counts its time. A write that panics counts as over, for the panic will be a failure.
    pub fn while_writing<T>(&self, write: impl FnOnce() -> T) -> T {
        let _clock = self.write_begins();
        write()
    }

    fn write_begins(&self) -> WriteClock<'_> {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.writing_since.store(since.saturating_add(1), Ordering::Relaxed);
        WriteClock(&self.writing_since)
    }
}

/// Runs while a write is under way.
struct WriteClock<'a>(&'a AtomicU64);

impl Drop for WriteClock<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_too_long_shows_and_passes() {
        let health = StoreHealth::default();
        health.while_writing(|| {
            assert_eq!(health.check(), Ok(()));
            assert_eq!(
                health.stalled(STALLED_AFTER * 2).unwrap_err().as_ref(),
                "a write has been under way for 60 s"
            );
        });
        assert_eq!(health.stalled(STALLED_AFTER * 2), Ok(()));
    }

    #[test]
    fn the_first_failure_stays() {
        let health = StoreHealth::default();
        assert_eq!([health.fail("the disk is full"), health.fail("second")], [true, false]);
        assert_eq!(health.check(), Err("the disk is full".into()));
    }
}
