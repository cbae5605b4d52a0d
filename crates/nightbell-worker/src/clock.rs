//! The machine's clock, and whether it was set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nightbell_core::ports::Clock;
use nightbell_core::time::{Jump, UnixMillis, millis};
use tokio::time::Instant;

/// The machine's clock; the one place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others are told to take")]
    fn now(&self) -> UnixMillis {
        UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

/// How far the clock may stray from the time that passed before it counts as set.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Tells a wall clock that was set from time that passed, by the monotonic clock beside it.
#[derive(Debug)]
pub(crate) struct Watch {
    wall: UnixMillis,
    steady: Instant,
}

impl Watch {
    pub(crate) fn new(wall: UnixMillis, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// How the wall clock was set since the last look; none if it went as the other one did.
    pub(crate) fn look(&mut self, wall: UnixMillis, steady: Instant) -> Option<Jump> {
        let expected = self.wall.after(steady.saturating_duration_since(self.steady));
        *self = Self { wall, steady };
        let (forth, back) = (wall.since(expected), expected.since(wall));
        if CLOCK_SLACK < forth {
            return Some(Jump::Forth(forth));
        }
        (CLOCK_SLACK < back).then_some(Jump::Back(back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: UnixMillis = UnixMillis(1_800_000_000_000);

    /// Looks after so many milliseconds by the monotonic and by the wall clock.
    #[track_caller]
    fn check(steady_ms: u64, wall_ms: i64, want: Option<Jump>) {
        let began = Instant::now();
        let mut watch = Watch::new(WALL, began);
        let wall = UnixMillis(WALL.0.saturating_add_signed(wall_ms));
        let later = began + Duration::from_millis(steady_ms);
        assert_eq!(watch.look(wall, later), want);
        assert_eq!(watch.look(wall, later), None, "once");
    }

    #[test]
    fn only_a_clock_that_was_set_has_jumped() {
        check(5_000, 5_000, None);
        check(5_000, 5_900, None);
        check(5_000, 4_100, None);
        check(5_000, 65_000, Some(Jump::Forth(Duration::from_secs(60))));
        check(5_000, -3_600_000, Some(Jump::Back(Duration::from_secs(3_605))));
    }

    #[test]
    fn a_drifting_clock_is_never_set() {
        let began = Instant::now();
        let mut watch = Watch::new(WALL, began);
        for minute in 1..10_000 {
            let wall = UnixMillis(WALL.0 + minute * 60_100);
            assert_eq!(watch.look(wall, began + Duration::from_secs(minute * 60)), None);
        }
    }
}
