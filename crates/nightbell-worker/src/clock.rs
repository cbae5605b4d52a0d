//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use nightbell_core::ports::Clock;
use nightbell_core::time::{UnixMillis, millis};

/// The machine's clock; the one place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others are told to take")]
    fn now(&self) -> UnixMillis {
        UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}
