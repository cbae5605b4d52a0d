//! Points in time as milliseconds since the Unix epoch.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The point `wait` later; the end of time if it would lie beyond.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    /// The time that has passed since `earlier`; zero if `earlier` is later, as it is when a clock was set back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The point's new name after the clock was set.
    #[must_use]
    pub fn moved(self, jump: Jump) -> Self {
        match jump {
            Jump::Forth(by) => self.after(by),
            Jump::Back(by) => Self(self.0.saturating_sub(millis(by))),
        }
    }

    /// The time until `later`; zero if it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// How a wall clock was set: how far it moved beside the time that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// To a later time.
    Forth(Duration),
    /// To an earlier time.
    Back(Duration),
}

/// Whole milliseconds of `duration`, as many as fit.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with milliseconds; the bare number where the calendar ends.
impl fmt::Display for UnixMillis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            Some(time) => write!(out, "{time:.3}"),
            None => write!(out, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_gives_no_negative_time() {
        assert_eq!(UnixMillis(1).since(UnixMillis(5)), Duration::ZERO);
        assert_eq!(UnixMillis(5).until(UnixMillis(1)), Duration::ZERO);
    }

    #[test]
    fn time_is_shown_as_rfc_3339() {
        assert_eq!(UnixMillis(1_514_558_191_000).to_string(), "2017-12-29T14:36:31.000Z");
        assert_eq!(UnixMillis(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
