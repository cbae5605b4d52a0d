//! The pace: at most so many alerts in a time (`rate_limit`), evenly spaced.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::time::{Jump, UnixMillis};

/// How many alerts in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no rate; one is a number by s, min or h, like 4/min")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (count, unit) = text.split_once('/').ok_or(BadRate)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "min" => 60,
            "h" => 3_600,
            _ => return Err(BadRate),
        };
        let count = count.trim().parse().map_err(|_| BadRate)?;
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

impl Rate {
    /// What lies between an answer and the next alert, at the least: an even share of the time and 2 %, for what two
    /// requests of the same kind differ by on their way.
    fn gap(self) -> Duration {
        let share = (self.per / self.count.get()).max(Duration::from_millis(1));
        share + (share / 50).max(Duration::from_millis(1))
    }
}

/// Spaces alerts evenly, because xMatters suppresses what exceeds four a minute, whenever the minute begins (event flood
/// control). It counts what arrives, and an alert arrives at any time between its sending and its answer: so one is on its
/// way at a time, and the next waits from the answer of the last.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    is_sending: bool,
    /// None: nothing was sent yet.
    next: Option<UnixMillis>,
}

impl Pace {
    /// A pace that begins now.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { gap: rate.gap(), is_sending: false, next: None }
    }

    /// The clock was set: the next alert stays as far away as it was.
    pub fn clock_set(&mut self, jump: Jump) {
        self.next = self.next.map(|next| next.moved(jump));
    }

    /// Takes the right to send one alert now. Its end must be told to [`Pace::answered`].
    ///
    /// # Errors
    /// The time at which the next one may go; none: one is on its way, and its end decides.
    pub fn take(&mut self, now: UnixMillis) -> Result<(), Option<UnixMillis>> {
        if self.is_sending {
            return Err(None);
        }
        // A clock that was set back must not stop it for longer than a gap.
        self.next = self.next.map(|next| next.min(now.after(self.gap)));
        if let Some(next) = self.next.filter(|next| now < *next) {
            return Err(Some(next));
        }
        self.is_sending = true;
        Ok(())
    }

    /// The alert that was on its way was answered, or given up.
    pub fn answered(&mut self, now: UnixMillis) {
        self.is_sending = false;
        self.next = Some(now.after(self.gap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn pace(count: u32, per_s: u64) -> Pace {
        Pace::new(Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(per_s) })
    }

    /// When each of nine alerts is sent and answered, in milliseconds, if the answers take so long.
    fn run(pace: &mut Pace, answers_ms: [u64; 9]) -> Vec<(u64, u64)> {
        let mut now = NOW;
        let mut seen = Vec::new();
        for answer in answers_ms {
            while let Err(next) = pace.take(now) {
                now = next.expect("none is on its way");
            }
            let sent = now;
            assert_eq!(pace.take(now), Err(None), "one at a time");
            now = now.after(Duration::from_millis(answer));
            pace.answered(now);
            seen.push((sent.0 - NOW.0, now.0 - NOW.0));
        }
        seen
    }

    #[test]
    fn a_rate_is_a_number_by_a_unit_of_time() {
        for (text, count, seconds) in [("4/min", 4, 60), ("1/s", 1, 1), (" 200 / h ", 200, 3_600)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count.get(), rate.per.as_secs()), (count, seconds), "{text}");
        }
        for bad in ["", "4", "0/min", "-1/s", "4/m", "4/min/s", "none", "4.5/h", "99999999999/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(BadRate), "{bad}");
        }
    }

    #[test]
    fn four_a_minute_is_one_every_15_seconds_and_a_little() {
        let sent: Vec<_> = run(&mut pace(4, 60), [0; 9]).into_iter().map(|(sent, _)| sent).collect();
        assert_eq!(sent, [0, 15_300, 30_600, 45_900, 61_200, 76_500, 91_800, 107_100, 122_400]);
    }

    #[test]
    fn never_more_than_four_arrive_in_a_minute_however_slow_an_answer_is() {
        // Each arrives at the worst time between its sending and its answer: the first late, the fifth early.
        for answers in [[14_000, 10, 10, 10, 10, 10, 10, 10, 10], [10, 15_000, 10, 15_000, 10, 9, 8, 7, 6]] {
            let seen = run(&mut pace(4, 60), answers);
            for five in seen.windows(5) {
                assert!(five[4].0 - five[0].1 > 60_000, "{answers:?}: {five:?}");
            }
        }
    }

    #[test]
    fn a_pause_saves_up_no_burst() {
        let mut pace = pace(4, 60);
        let later = NOW.after(Duration::from_secs(3_600));
        assert_eq!(pace.take(NOW), Ok(()));
        pace.answered(NOW);
        assert_eq!(pace.take(later), Ok(()));
        pace.answered(later);
        assert!(pace.take(later).is_err());
    }

    #[test]
    fn a_clock_set_back_stops_nothing_for_ever() {
        let mut pace = pace(4, 60);
        let before = NOW.after(Duration::from_secs(100));
        assert_eq!(pace.take(before), Ok(()));
        pace.answered(before);
        let next = pace.take(NOW).unwrap_err().unwrap();
        assert!(NOW.until(next) <= Duration::from_secs(16), "{next}");
    }

    #[test]
    fn a_clock_that_is_known_to_be_set_changes_no_wait() {
        let mut pace = pace(4, 60);
        assert_eq!(pace.take(NOW), Ok(()));
        pace.answered(NOW);
        let hour = Duration::from_secs(3_600);
        pace.clock_set(Jump::Forth(hour));
        let later = NOW.after(hour);
        assert_eq!(pace.take(later), Err(Some(later.after(Duration::from_millis(15_300)))));
    }
}
