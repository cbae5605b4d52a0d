//! Time as it passes for retries: a clock that is set back holds nothing longer, and one that is set forward, or a
//! machine that slept, holds nothing in vain.

use std::time::{Duration, Instant};

use nightbell_core::time::{UnixMillis, millis};

use crate::limits::CLOCK_SLACK;

/// A point in time since the queue was opened, in milliseconds. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// Passes with the monotonic clock, and jumps ahead with the wall clock.
#[derive(Debug)]
pub(crate) struct Timeline {
    began: Instant,
    /// Where the two clocks were last put side by side, with the moment of it.
    passed: Duration,
    wall: UnixMillis,
    moment: Moment,
}

impl Timeline {
    pub(crate) fn new(wall: UnixMillis) -> Self {
        Self { began: Instant::now(), passed: Duration::ZERO, wall, moment: Moment::default() }
    }

    /// The moment by both clocks.
    pub(crate) fn now(&mut self, wall: UnixMillis) -> Moment {
        self.at(self.began.elapsed(), wall)
    }

    /// `passed` is the time since the beginning by the monotonic clock.
    fn at(&mut self, passed: Duration, wall: UnixMillis) -> Moment {
        let steady = passed.saturating_sub(self.passed);
        let moment = self.moment.after(steady);
        let by_wall = self.wall.until(wall);
        let was_set_back = wall.after(CLOCK_SLACK) < self.wall.after(steady);
        if by_wall <= steady + CLOCK_SLACK && !was_set_back {
            return moment;
        }
        (self.passed, self.wall) = (passed, wall);
        self.moment = self.moment.after(by_wall.max(steady));
        self.moment
    }
}

/// What is left of a wait of `wait` that ends at `due`. A clock that was set back since can't make it longer.
pub(crate) fn left(due: UnixMillis, wait: Duration, now: UnixMillis) -> Duration {
    now.until(due).min(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WALL: UnixMillis = UnixMillis(1_800_000_000_000);

    /// Looks at the clocks after each step, given in milliseconds by the monotonic and the wall clock.
    #[track_caller]
    fn check(steps: &[(u64, i64)], want: u64) {
        let mut timeline = Timeline::new(WALL);
        let (mut passed, mut wall) = (0, WALL.0);
        let mut last = Moment::default();
        for (steady, by_wall) in steps {
            passed += steady;
            wall = wall.saturating_add_signed(*by_wall);
            let moment = timeline.at(Duration::from_millis(passed), UnixMillis(wall));
            assert!(last <= moment, "time went back");
            last = moment;
        }
        assert_eq!(last, Moment(want));
    }

    #[test]
    fn time_passes_with_both_clocks() {
        check(&[(10, 10), (500, 500)], 510);
        check(&[(1, 1); 5_000], 5_000);
        check(&[(1, 0), (1, 2), (0, 1), (1, 0)], 3);
    }

    #[test]
    fn a_clock_set_back_holds_nothing_longer() {
        check(&[(100, 100), (100, -3_600_000), (100, 100)], 300);
    }

    #[test]
    fn a_clock_set_forward_counts() {
        check(&[(100, 100), (100, 60_000), (100, 100)], 60_200);
    }

    #[test]
    fn a_drifting_clock_does_not_run_away() {
        check(&[(1_000, 1_001); 500], 500_000);
    }

    #[test]
    fn a_wait_is_never_longer_than_it_was() {
        let due = WALL.after(SECOND * 8);
        assert_eq!(left(due, SECOND * 8, WALL), SECOND * 8);
        assert_eq!(left(due, SECOND * 8, WALL.after(SECOND * 5)), SECOND * 3);
        assert_eq!(left(due, SECOND * 8, due), Duration::ZERO);
        assert_eq!(left(due, SECOND * 8, UnixMillis(0)), SECOND * 8);
    }
}
