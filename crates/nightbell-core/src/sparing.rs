//! What may happen at any rate is logged a few times a minute, and then by its number.

use std::time::Duration;

use crate::time::UnixMillis;

/// How often one thing is said in [`SAID_WITHIN`].
pub const SAID_MAX: u32 = 5;

/// See [`SAID_MAX`].
pub const SAID_WITHIN: Duration = Duration::from_secs(60);

/// Decides which of many lines about one thing are worth their place in a log.
#[derive(Debug, Clone, Default)]
pub struct Sparing {
    began: UnixMillis,
    said: u32,
    unsaid: u64,
}

impl Sparing {
    /// Whether what happens at `now` is to be said, and if so, how often it happened since without being said.
    pub fn say(&mut self, now: UnixMillis) -> Option<u64> {
        // A clock that was set back begins anew too.
        if now < self.began || now.since(self.began) >= SAID_WITHIN {
            (self.began, self.said) = (now, 0);
        }
        if self.said == SAID_MAX {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn a_few_are_said_and_the_others_counted_with_the_first_of_the_next_minute() {
        let mut sparing = Sparing::default();
        let said = |sparing: &mut Sparing, now| (0..100).filter_map(|_| sparing.say(now)).collect::<Vec<_>>();
        assert_eq!(said(&mut sparing, START), [0; 5]);
        assert_eq!(sparing.say(START.after(SAID_WITHIN / 2)), None);
        assert_eq!(said(&mut sparing, START.after(SAID_WITHIN)), [96, 0, 0, 0, 0]);
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nothing() {
        let mut sparing = Sparing::default();
        for _ in 0..6 {
            sparing.say(START);
        }
        assert_eq!(sparing.say(UnixMillis(0)), Some(1));
    }
}
