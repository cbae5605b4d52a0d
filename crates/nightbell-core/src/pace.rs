//! The pace: at most so many alerts in a time (`rate_limit`), evenly spaced.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::time::{Jump, UnixMillis, millis};

/// How many alerts in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

/// The time as the caller gave it last: core reads no clock.
#[derive(Debug, Clone)]
struct GivenClock(Cell<Nanos>);

impl Clock for GivenClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

/// Spaces alerts evenly: `4/min` is one every 15 seconds and no burst, because xMatters suppresses what exceeds four
/// a minute, whenever the minute begins (event flood control).
#[derive(Debug)]
pub struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, GivenClock, NoOpMiddleware<Nanos>>,
    began: UnixMillis,
}

impl Pace {
    /// A pace that begins now.
    #[must_use]
    pub fn new(rate: Rate, now: UnixMillis) -> Self {
        let spacing = (rate.per / rate.count.get()).max(Duration::from_millis(1));
        let quota = Quota::with_period(spacing).expect("the spacing is not zero");
        let limiter = RateLimiter::direct_with_clock(quota, GivenClock(Cell::new(Nanos::new(0))));
        Self { limiter, began: now }
    }

    /// The clock was set: the next alert stays as far away as it was.
    pub fn clock_set(&mut self, jump: Jump) {
        self.began = self.began.moved(jump);
    }

    /// Takes the right to send one alert now.
    ///
    /// # Errors
    /// The time at which the next one may go.
    pub fn take(&mut self, now: UnixMillis) -> Result<(), UnixMillis> {
        let clock = self.limiter.clock();
        // A clock set back does not go backwards here: the limiter wants a monotonic one.
        let since_begin = Nanos::from(now.since(self.began)).max(clock.0.get());
        clock.0.set(since_begin);
        self.limiter.check().map_err(|not_yet| {
            let wait = not_yet.wait_time_from(since_begin);
            // Rounded up, so that the wait is over when it ends.
            now.after(Duration::from_millis(millis(wait) + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn pace(count: u32, per_s: u64) -> Pace {
        Pace::new(Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(per_s) }, NOW)
    }

    #[test]
    fn four_a_minute_is_one_every_15_seconds() {
        let mut pace = pace(4, 60);
        let mut now = NOW;
        let mut sent = Vec::new();
        while sent.len() < 9 {
            match pace.take(now) {
                Ok(()) => sent.push(now.since(NOW).as_secs()),
                Err(next) => now = next,
            }
        }
        assert_eq!(sent, [0, 15, 30, 45, 60, 75, 90, 105, 120]);
    }

    #[test]
    fn a_pause_saves_up_no_burst() {
        let mut pace = pace(4, 60);
        let later = NOW.after(Duration::from_secs(3_600));
        assert!(pace.take(NOW).is_ok());
        assert!(pace.take(later).is_ok());
        assert!(pace.take(later).is_err());
    }

    #[test]
    fn a_clock_set_back_stops_nothing_for_ever() {
        let mut pace = pace(4, 60);
        assert!(pace.take(NOW.after(Duration::from_secs(100))).is_ok());
        let next = pace.take(NOW).unwrap_err();
        assert!(NOW.until(next) <= Duration::from_secs(16), "{next}");
    }
}
