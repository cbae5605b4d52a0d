//! The gate: whether the owner may send now.

use crate::breaker::{Breaker, Passage};
use crate::limits::OPEN_PER_SLOT_MAX;
use crate::outcome::Outcome;
use crate::pace::{Pace, Rate};
use crate::time::{Jump, UnixMillis};

use super::Settings;

/// Breaker, pause, slots and pace of one connector.
#[derive(Debug)]
pub(super) struct Gate {
    breaker: Breaker,
    paused_until: Option<UnixMillis>,
    attempting: usize,
    /// Accepted alerts whose record is not durable yet: a crash now would send them again.
    unrecorded: usize,
    in_flight_max: usize,
    rate: Option<Rate>,
    pace: Option<Pace>,
    /// When the pace lets the next one go, if it held one back.
    paced_until: Option<UnixMillis>,
}

impl Gate {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            breaker: Breaker::default(),
            paused_until: None,
            attempting: 0,
            unrecorded: 0,
            in_flight_max: settings.in_flight_max,
            rate: settings.rate,
            pace: settings.rate.map(Pace::new),
            paced_until: None,
        }
    }

    /// Takes over new settings. Breaker and pause stay, and so does a pace that did not change.
    pub(super) fn configure(&mut self, settings: &Settings) {
        self.in_flight_max = settings.in_flight_max;
        if self.rate != settings.rate {
            self.rate = settings.rate;
            self.pace = settings.rate.map(Pace::new);
            self.paced_until = None;
        }
    }

    /// The clock was set: all that was waited for stays as far away as it was.
    pub(super) fn clock_set(&mut self, jump: Jump) {
        self.breaker.clock_set(jump);
        self.paused_until = self.paused_until.map(|until| until.moved(jump));
        self.paced_until = self.paced_until.map(|until| until.moved(jump));
        if let Some(pace) = &mut self.pace {
            pace.clock_set(jump);
        }
    }

    /// Takes the right to make one attempt now, if there is one. Its end must be told to [`Gate::ended`].
    pub(super) fn pass(&mut self, now: UnixMillis) -> bool {
        self.paused_until = self.paused_until.filter(|until| now < *until);
        self.paced_until = self.paced_until.filter(|until| now < *until);
        if self.is_full() || self.paused_until.is_some() || self.paced_until.is_some() {
            return false;
        }
        let passage = self.breaker.passage(now);
        match passage {
            Passage::ClosedUntil(_) | Passage::ProbeOut => return false,
            Passage::Free | Passage::Probe => {}
        }
        if let Some(Err(until)) = self.pace.as_mut().map(|pace| pace.take(now)) {
            self.paced_until = until;
            return false;
        }
        if passage == Passage::Probe {
            self.breaker.probe_sent();
        }
        self.attempting += 1;
        true
    }

    /// Takes note of an attempt's end. An accepted one must be told to [`Gate::recorded`] too.
    pub(super) fn ended(&mut self, outcome: &Outcome, now: UnixMillis) {
        self.attempting = self.attempting.saturating_sub(1);
        self.unrecorded += usize::from(matches!(outcome, Outcome::Accepted { .. }));
        self.breaker.heard(outcome.kind(), now);
        if let Some(pace) = &mut self.pace {
            pace.answered(now);
        }
    }

    /// An accepted alert's record is durable.
    pub(super) fn recorded(&mut self) {
        self.unrecorded = self.unrecorded.saturating_sub(1);
    }

    /// Whether another attempt would exceed the slots, or what a crash may send twice.
    pub(super) fn is_full(&self) -> bool {
        let open_max = self.in_flight_max.saturating_mul(OPEN_PER_SLOT_MAX);
        self.attempting >= self.in_flight_max || self.attempting + self.unrecorded >= open_max
    }

    /// xMatters asked for a pause: the whole connector waits.
    pub(super) fn pause(&mut self, until: UnixMillis) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// When it will open by itself; none while it is open, or waits for an attempt to end.
    pub(super) fn opens_at(&self) -> Option<UnixMillis> {
        let breaker = match self.breaker {
            Breaker::Open { until, probing: false, .. } => Some(until),
            Breaker::Open { .. } | Breaker::Closed { .. } => None,
        };
        [breaker, self.paused_until, self.paced_until].into_iter().flatten().max()
    }

    pub(super) fn attempting(&self) -> usize {
        self.attempting
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.breaker
    }

    pub(super) fn paused_until(&self) -> Option<UnixMillis> {
        self.paused_until
    }
}
