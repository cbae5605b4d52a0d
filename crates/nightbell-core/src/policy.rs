//! The retry policy: what follows an attempt, and when.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;

use crate::dead::Reason;
use crate::limits::RETRY_AFTER_MAX;
use crate::outcome::{Outcome, Verdict};
use crate::time::{UnixMillis, millis};

/// When to try again, and when to give up (`[retry]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The delay after the first attempt, before jitter.
    pub initial: Duration,
    /// The longest delay, jitter included; a longer `Retry-After` still holds.
    pub max: Duration,
    /// The age at which an alert is given up. By age and not by count, because an outage of an hour must not use up an
    /// alert's chances.
    pub give_up_after: Duration,
}

/// A random number from 0 (inclusive) to 1 (exclusive), drawn by the caller.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    /// Takes a number into the range: what is not a number counts as 0.
    #[must_use]
    pub fn new(number: f64) -> Self {
        if number.is_nan() { Self(0.0) } else { Self(number.clamp(0.0, 1.0 - f64::EPSILON)) }
    }
}

/// How far jitter moves a delay, as a part of it, to either side.
const JITTER: f64 = 0.5;

impl Policy {
    /// Decides what follows one attempt. Pure and total: no alert is left unsettled.
    ///
    /// `attempts` counts this one; `since` is when the alert was accepted.
    #[must_use]
    pub fn decide(
        &self,
        outcome: &Outcome,
        attempts: u32,
        since: UnixMillis,
        now: UnixMillis,
        chance: Chance,
    ) -> Verdict {
        let hint = match outcome {
            Outcome::Accepted { .. } => return Verdict::Done,
            Outcome::Unauthorized { .. } => return Verdict::Wait,
            Outcome::Refused { .. } => return Verdict::DeadLetter(Reason::Refused),
            Outcome::Throttled { retry_after } | Outcome::Unavailable { retry_after, .. } => *retry_after,
            Outcome::TimedOut => None,
        };
        let retry_at = now.after(self.delay(attempts, chance).max(believed(hint)));
        if self.is_given_up(since, retry_at) {
            return Verdict::DeadLetter(Reason::Expired);
        }
        Verdict::RetryAt(retry_at)
    }

    /// Whether an alert accepted at `since` is too old at `now`.
    #[must_use]
    pub fn is_given_up(&self, since: UnixMillis, now: UnixMillis) -> bool {
        now.since(since) >= self.give_up_after
    }

    /// The delay after the attempt of this number: exponential, doubled, jittered by half to either side, and only then
    /// capped, so that jitter never exceeds `max`.
    #[must_use]
    pub fn delay(&self, attempts: u32, chance: Chance) -> Duration {
        // The crate would add jitter after its cap, from a generator of its own: both are done here instead.
        let mut backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.initial)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(self.max)
            .with_max_elapsed_time(None)
            .build();
        let mut base = self.initial;
        for _ in 0..attempts.max(1) {
            base = backoff.next_backoff().unwrap_or(self.max);
            if base >= self.max {
                break;
            }
        }
        // Whole milliseconds: the crate may be off by a nanosecond.
        let base = Duration::from_millis(millis(base));
        base.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.0).min(self.max)
    }
}

/// A `Retry-After` as far as it is believed.
#[must_use]
pub fn believed(hint: Option<Duration>) -> Duration {
    hint.unwrap_or_default().min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const POLICY: Policy =
        Policy { initial: SECOND, max: Duration::from_secs(480), give_up_after: Duration::from_secs(86_400) };
    const NOW: UnixMillis = UnixMillis(1_000_000_000);
    const MIDDLE: Chance = Chance(0.5);

    fn unavailable(retry_after_s: Option<u64>) -> Outcome {
        Outcome::Unavailable { detail: String::new(), retry_after: retry_after_s.map(Duration::from_secs) }
    }

    #[track_caller]
    fn check(outcome: Outcome, attempts: u32, want: Verdict) {
        assert_eq!(POLICY.decide(&outcome, attempts, NOW, NOW, MIDDLE), want);
    }

    #[test]
    fn each_outcome_has_its_verdict() {
        let wait = |seconds| Verdict::RetryAt(NOW.after(Duration::from_secs(seconds)));
        check(Outcome::Accepted { request_id: None }, 1, Verdict::Done);
        check(unavailable(None), 1, wait(1));
        check(Outcome::TimedOut, 1, wait(1));
        check(Outcome::Throttled { retry_after: None }, 1, wait(1));
        check(Outcome::Unauthorized { status: 401 }, 1, Verdict::Wait);
        let refused = Outcome::Refused { status: 400, body: String::new() };
        check(refused, 1, Verdict::DeadLetter(Reason::Refused));
    }

    #[test]
    fn the_delay_doubles_up_to_its_cap() {
        let wait = |attempts| POLICY.delay(attempts, MIDDLE).as_secs();
        assert_eq!([1, 2, 3, 4, 9, 10, 11, 4_000_000_000].map(wait), [1, 2, 4, 8, 256, 480, 480, 480]);
    }

    #[test]
    fn jitter_stays_under_the_cap() {
        assert_eq!(POLICY.delay(1, Chance(0.0)), SECOND / 2);
        assert_eq!(POLICY.delay(11, Chance::new(1.0)), POLICY.max);
        assert_eq!(POLICY.delay(11, Chance(0.0)), POLICY.max / 2);
    }

    #[test]
    fn a_retry_is_never_sooner_than_retry_after_and_that_is_clamped() {
        let wait = |seconds| Verdict::RetryAt(NOW.after(Duration::from_secs(seconds)));
        check(unavailable(Some(30)), 1, wait(30));
        check(Outcome::Throttled { retry_after: Some(SECOND / 4) }, 3, wait(4));
        check(Outcome::Throttled { retry_after: Some(SECOND * 999_999) }, 1, wait(3_600));
    }

    #[test]
    fn an_alert_is_given_up_by_age_and_not_by_count() {
        check(unavailable(None), u32::MAX, Verdict::RetryAt(NOW.after(POLICY.max)));
        let since = UnixMillis(NOW.0 - 86_400_000 + 1_001);
        let decide = |since| POLICY.decide(&unavailable(None), 1, since, NOW, MIDDLE);
        assert_eq!(decide(since), Verdict::RetryAt(NOW.after(SECOND)));
        assert_eq!(decide(UnixMillis(since.0 - 1)), Verdict::DeadLetter(Reason::Expired));
    }

    proptest! {
        #[test]
        fn every_delay_is_bounded_and_repeatable(
            attempts in any::<u32>(), chance in -1.0..2.0, initial_s in 1_u64..100, max_s in 100_u64..3_600,
        ) {
            let policy = Policy {
                initial: Duration::from_secs(initial_s),
                max: Duration::from_secs(max_s),
                ..POLICY
            };
            let delay = policy.delay(attempts, Chance::new(chance));
            prop_assert!(delay >= policy.initial / 2 && delay <= policy.max);
            prop_assert_eq!(delay, policy.delay(attempts, Chance::new(chance)));
        }
    }
}
