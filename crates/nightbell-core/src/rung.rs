//! The retry ladder: queues whose messages come back after a fixed time.

use std::fmt;
use std::time::Duration;

/// A retry queue, by the seconds that a message stays in it: 1, 2, 4 … 512. One fixed time per queue, because RabbitMQ
/// expires messages only at a queue's head (<https://www.rabbitmq.com/docs/ttl#per-message-ttl-caveats>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rung(u32);

impl Rung {
    /// How many rungs there are.
    pub const COUNT: u32 = 10;

    /// All rungs, the shortest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..Self::COUNT).map(|power| Self(1 << power))
    }

    /// The longest rung that is not longer than `wait`; the shortest for anything under 2 s. What then is left of the
    /// wait is spent on shorter rungs, so that a message never comes back late, and the jitter of its delay is kept.
    #[must_use]
    pub fn within(wait: Duration) -> Self {
        Self::all().rev().find(|rung| rung.wait() <= wait).unwrap_or(Self(1))
    }

    /// The seconds that a message stays.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// The time that a message stays.
    #[must_use]
    pub fn wait(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wait_ms: u64, seconds: u32) {
        assert_eq!(Rung::within(Duration::from_millis(wait_ms)).seconds(), seconds);
    }

    #[test]
    fn a_wait_takes_the_longest_rung_that_fits() {
        check(0, 1);
        check(999, 1);
        check(1_000, 1);
        check(1_999, 1);
        check(2_000, 2);
        check(7_999, 4);
        check(480_000, 256);
        check(512_000, 512);
        check(86_400_000, 512);
    }
}
