//! The wait before something is built again.

use std::time::Duration;

use crate::limits::{REBUILD_WAIT_MAX, REBUILD_WAIT_MIN};

/// Doubling waits with jitter, without end.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Begins at [`REBUILD_WAIT_MIN`].
    pub(crate) fn new() -> Self {
        Self { next: REBUILD_WAIT_MIN }
    }

    /// The next wait: between half and all of a value that doubles up to [`REBUILD_WAIT_MAX`].
    pub(crate) fn wait(&mut self) -> Duration {
        self.wait_with(rand::random_range(0.5..=1.0))
    }

    fn wait_with(&mut self, chance: f64) -> Duration {
        let wait = self.next.mul_f64(chance);
        self.next = (self.next * 2).min(REBUILD_WAIT_MAX);
        wait
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew_when_reset() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..8).map(|_| backoff.wait_with(1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.wait_with(0.5).as_millis(), 100);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1_000 {
            let wait = Backoff::new().wait();
            assert!((REBUILD_WAIT_MIN / 2..=REBUILD_WAIT_MIN).contains(&wait), "{wait:?}");
        }
    }
}
