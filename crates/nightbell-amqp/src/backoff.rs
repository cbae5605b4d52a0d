//! The wait before something is built again.

use std::time::Duration;

use crate::limits::{REBUILD_WAIT_MAX, REBUILD_WAIT_MIN, STANDING_WAIT_MAX};
use crate::outage::Gravity;

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

    /// The wait after a failure: between half and all of a value that doubles up to [`REBUILD_WAIT_MAX`], because a broker
    /// that is back should not wait for us, or to [`STANDING_WAIT_MAX`] while an operator must act.
    pub(crate) fn wait(&mut self, gravity: Gravity) -> Duration {
        self.wait_with(gravity, rand::random_range(0.5..=1.0))
    }

    fn wait_with(&mut self, gravity: Gravity, chance: f64) -> Duration {
        let longest = match gravity {
            Gravity::Passing => REBUILD_WAIT_MAX,
            Gravity::Standing => STANDING_WAIT_MAX,
        };
        let wait = self.next.min(longest);
        self.next = (wait * 2).min(longest);
        wait.mul_f64(chance)
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest waits after failures of these gravities, in milliseconds.
    fn waits(backoff: &mut Backoff, failures: &[Gravity]) -> Vec<u128> {
        failures.iter().map(|gravity| backoff.wait_with(*gravity, 1.0).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew_when_reset() {
        let mut backoff = Backoff::new();
        let standing = waits(&mut backoff, &[Gravity::Standing; 8]);
        assert_eq!(standing, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.wait_with(Gravity::Passing, 0.5).as_millis(), 100);
    }

    #[test]
    fn a_broker_that_is_back_after_long_waits_no_longer_than_a_second() {
        let mut backoff = Backoff::new();
        assert_eq!(waits(&mut backoff, &[Gravity::Passing; 5]), [200, 400, 800, 1_000, 1_000]);
        // What an operator has put right is a passing failure from then on.
        let change = [Gravity::Standing, Gravity::Standing, Gravity::Standing, Gravity::Passing];
        assert_eq!(waits(&mut backoff, &change), [1_000, 2_000, 4_000, 1_000]);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1_000 {
            let wait = Backoff::new().wait(Gravity::Passing);
            assert!((REBUILD_WAIT_MIN / 2..=REBUILD_WAIT_MIN).contains(&wait), "{wait:?}");
        }
    }
}
