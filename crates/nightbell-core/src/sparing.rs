//! What may happen at any rate is logged a few times a minute, and then by its number.

use std::time::Duration;

use crate::time::UnixMillis;

/// How often one thing is said in [`SAID_WITHIN`], unless it is told otherwise.
pub const SAID_MAX: u32 = 5;

/// See [`SAID_MAX`].
pub const SAID_WITHIN: Duration = Duration::from_secs(60);

/// Decides which of many lines about one thing are worth their place in a log.
#[derive(Debug, Clone)]
pub struct Sparing {
    most: u32,
    within: Duration,
    began: UnixMillis,
    said: u32,
    unsaid: u64,
}

impl Default for Sparing {
    fn default() -> Self {
        Self::new(SAID_MAX, SAID_WITHIN)
    }
}

impl Sparing {
    /// Says a thing `most` times `within` a while.
    #[must_use]
    pub fn new(most: u32, within: Duration) -> Self {
        Self { most, within, began: UnixMillis::default(), said: 0, unsaid: 0 }
    }

    /// Whether what happens at `now` is to be said, and if so, how often it happened since without being said.
    pub fn say(&mut self, now: UnixMillis) -> Option<u64> {
        // A clock that was set back begins anew too.
        if now < self.began || now.since(self.began) >= self.within {
            (self.began, self.said) = (now, 0);
        }
        if self.said == self.most {
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
    fn a_thing_may_be_said_more_seldom() {
        let mut sparing = Sparing::new(1, SAID_WITHIN * 10);
        assert_eq!([START, START.after(SAID_WITHIN)].map(|now| sparing.say(now)), [Some(0), None]);
        assert_eq!(sparing.say(START.after(SAID_WITHIN * 10)), Some(1));
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
