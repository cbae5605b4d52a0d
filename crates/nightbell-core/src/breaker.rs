//! The breaker: stops sending to a destination that fails, and finds out with single probes when it is back.

use std::time::Duration;

use crate::outcome::OutcomeKind;
use crate::time::{Jump, UnixMillis};

/// Failures in a row after which the breaker opens.
pub const FAILURES_MAX: u32 = 5;

/// Waits before the first and before the later probes of a destination that is down.
const DOWN: Probes = Probes { first: Duration::from_secs(5), max: Duration::from_secs(60) };

/// The same for a misconfigured one: xMatters locks a user out after repeated bad logins.
const MISCONFIGURED: Probes = Probes { first: Duration::from_secs(60), max: Duration::from_secs(900) };

#[derive(Debug)]
struct Probes {
    first: Duration,
    max: Duration,
}

/// One connector's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// All may pass.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// None may pass before `until`; then one, as a probe.
    Open {
        /// When the next probe may go.
        until: UnixMillis,
        /// The wait that ends then.
        wait: Duration,
        /// Whether a probe is on its way.
        probing: bool,
    },
}

/// What the breaker says of sending now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Send as many as you like.
    Free,
    /// Send exactly one, and say [`Breaker::probe_sent`].
    Probe,
    /// Send none before then.
    ClosedUntil(UnixMillis),
    /// Send none before the probe's answer.
    ProbeOut,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether an alert may be sent now.
    #[must_use]
    pub fn passage(&self, now: UnixMillis) -> Passage {
        match *self {
            Self::Closed { .. } => Passage::Free,
            Self::Open { probing: true, .. } => Passage::ProbeOut,
            Self::Open { until, .. } if now < until => Passage::ClosedUntil(until),
            Self::Open { .. } => Passage::Probe,
        }
    }

    /// Notes that the one probe is on its way.
    pub fn probe_sent(&mut self) {
        if let Self::Open { probing, .. } = self {
            *probing = true;
        }
    }

    /// The clock was set: the next probe stays as far away as it was.
    pub fn clock_set(&mut self, jump: Jump) {
        if let Self::Open { until, .. } = self {
            *until = until.moved(jump);
        }
    }

    /// Takes note of an attempt's outcome. Any answer that shows a working destination closes the breaker, a refusal
    /// of this one alert too; throttling says nothing about failures, but it ends a probe.
    pub fn heard(&mut self, outcome: OutcomeKind, now: UnixMillis) {
        *self = match outcome {
            OutcomeKind::Accepted | OutcomeKind::Refused => Self::default(),
            OutcomeKind::Throttled => match *self {
                Self::Open { .. } => Self::default(),
                Self::Closed { failures } => Self::Closed { failures },
            },
            OutcomeKind::Unavailable | OutcomeKind::TimedOut => self.failed(&DOWN, now),
            OutcomeKind::Unauthorized => match *self {
                Self::Open { .. } => self.failed(&MISCONFIGURED, now),
                Self::Closed { .. } => Self::open(MISCONFIGURED.first, now),
            },
        };
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    fn open(wait: Duration, now: UnixMillis) -> Self {
        Self::Open { until: now.after(wait), wait, probing: false }
    }

    fn failed(self, probes: &Probes, now: UnixMillis) -> Self {
        match self {
            Self::Closed { failures } if failures + 1 < FAILURES_MAX => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::open(probes.first, now),
            Self::Open { wait, probing: true, .. } => {
                Self::open((wait * 2).clamp(probes.first, probes.max), now)
            }
            // An attempt that was on its way when the breaker opened is no probe and lengthens no wait.
            Self::Open { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn after(seconds: u64) -> UnixMillis {
        NOW.after(Duration::from_secs(seconds))
    }

    fn opened(outcome: OutcomeKind, times: u32) -> Breaker {
        let mut breaker = Breaker::default();
        (0..times).for_each(|_| breaker.heard(outcome, NOW));
        breaker
    }

    /// Sends probes whenever allowed, all ending in `outcome`, and returns the seconds between them.
    fn waits_of_probes(mut breaker: Breaker, outcome: OutcomeKind, count: usize) -> Vec<u64> {
        let mut now = NOW;
        let probe = |_| {
            let Passage::ClosedUntil(until) = breaker.passage(now) else { panic!("{breaker:?}") };
            let wait = now.until(until).as_secs();
            now = until;
            assert_eq!(breaker.passage(now), Passage::Probe);
            breaker.probe_sent();
            assert_eq!(breaker.passage(now), Passage::ProbeOut);
            breaker.heard(outcome, now);
            wait
        };
        (0..count).map(probe).collect()
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        assert_eq!(opened(OutcomeKind::Unavailable, 4).passage(NOW), Passage::Free);
        assert_eq!(opened(OutcomeKind::Unavailable, 5).passage(NOW), Passage::ClosedUntil(after(5)));
        assert_eq!(opened(OutcomeKind::TimedOut, 5).passage(NOW), Passage::ClosedUntil(after(5)));
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew_and_throttling_does_not() {
        for (between, open) in
            [(OutcomeKind::Accepted, false), (OutcomeKind::Refused, false), (OutcomeKind::Throttled, true)]
        {
            let mut breaker = opened(OutcomeKind::Unavailable, 4);
            breaker.heard(between, NOW);
            breaker.heard(OutcomeKind::Unavailable, NOW);
            assert_eq!(breaker.is_open(), open, "{between:?}");
        }
    }

    #[test]
    fn probes_of_a_destination_that_is_down_go_from_5_to_60_seconds() {
        let breaker = opened(OutcomeKind::Unavailable, 5);
        assert_eq!(waits_of_probes(breaker, OutcomeKind::TimedOut, 6), [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn one_401_opens_it_and_probes_go_from_1_to_15_minutes() {
        let breaker = opened(OutcomeKind::Unauthorized, 1);
        assert_eq!(waits_of_probes(breaker, OutcomeKind::Unauthorized, 6), [60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn one_success_of_a_probe_closes_it() {
        for answer in [OutcomeKind::Accepted, OutcomeKind::Refused, OutcomeKind::Throttled] {
            let mut breaker = opened(OutcomeKind::Unavailable, 5);
            breaker.probe_sent();
            breaker.heard(answer, NOW);
            assert_eq!(breaker.passage(NOW), Passage::Free, "{answer:?}");
        }
    }

    #[test]
    fn late_failures_of_earlier_attempts_lengthen_no_wait() {
        let mut breaker = opened(OutcomeKind::Unavailable, 5);
        breaker.heard(OutcomeKind::Unavailable, after(3));
        assert_eq!(breaker.passage(after(3)), Passage::ClosedUntil(after(5)));
    }

    #[test]
    fn a_401_while_open_for_failures_waits_as_a_misconfigured_one() {
        let mut breaker = opened(OutcomeKind::Unavailable, 5);
        breaker.probe_sent();
        breaker.heard(OutcomeKind::Unauthorized, NOW);
        assert_eq!(breaker.passage(NOW), Passage::ClosedUntil(after(60)));
    }
}
