//! What really happened, kept apart from what the core believes, and the rules that it is held against.

use nightbell_core::event::Severity;
use nightbell_core::outcome::{Outcome, OutcomeKind};

use crate::plan::{MINUTE, Plan, Plotted, SECOND};

/// Where the truth about an event's alert key at its severity is.
fn slot(event: &Plotted) -> usize {
    event.key * Severity::ALL.len() + event.severity as usize
}

/// A window counts from when the answer was heard.
const SLACK: u64 = MINUTE;

/// One event on one connector.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// Its copies in the connector's queue, in a rung and on the way; a delivery whose ack is sent is none.
    pub(crate) live: u32,
    /// Its dead letters.
    pub(crate) dead: u32,
    /// How often xMatters accepted it.
    pub(crate) accepted: u32,
    pub(crate) last_accepted: u64,
    /// The documented window is open: the next acceptance may be one more.
    pub(crate) excused: bool,
    pub(crate) refused: bool,
    /// Before then it must not be sent, as long as there is one copy.
    pub(crate) due: u64,
}

/// One alert key on one connector, at one severity.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyCase {
    pub(crate) live: u32,
    pub(crate) last_accepted: Option<u64>,
    /// The last acceptance may not be remembered, so the next one may be within its window.
    excused: bool,
    /// An operator's replay may go round the window at any time.
    replayed: bool,
}

/// How a published message ended on one connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    Suppressed,
    Filtered,
    Dead,
}

/// What the destination has told the owner, and what follows for sending. Loose on purpose: it holds the contract's
/// least waits, and not how core doubles them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    failures: u32,
    open_until: Option<u64>,
    probe_out: bool,
    paused_until: u64,
}

impl Manners {
    /// A POST is sent.
    pub(crate) fn sends(&mut self, now: u64) -> Result<(), String> {
        if now < self.paused_until {
            return Err("a POST before Retry-After was over".into());
        }
        let Some(until) = self.open_until else { return Ok(()) };
        if now < until || self.probe_out {
            return Err("a POST while the breaker is open that is no probe".into());
        }
        self.probe_out = true;
        Ok(())
    }

    pub(crate) fn hears(&mut self, outcome: &Outcome, now: u64) {
        if let Outcome::Throttled { retry_after: Some(wait) } = outcome {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.paused_until = self.paused_until.max(now + wait);
        }
        let failed = |wait| (Some(now + wait), false);
        (self.open_until, self.probe_out) = match (outcome.kind(), self.open_until) {
            (OutcomeKind::Accepted | OutcomeKind::Refused, _) => {
                self.failures = 0;
                (None, false)
            }
            (OutcomeKind::Throttled, Some(_)) => {
                self.failures = 0;
                (None, false)
            }
            (OutcomeKind::Throttled, None) => (None, false),
            (OutcomeKind::Unavailable | OutcomeKind::TimedOut, None) => {
                self.failures += 1;
                if self.failures >= 5 { failed(5 * SECOND) } else { (None, false) }
            }
            (OutcomeKind::Unauthorized, None) => failed(60 * SECOND),
            (OutcomeKind::Unauthorized, Some(_)) if self.probe_out => failed(60 * SECOND),
            (OutcomeKind::Unavailable | OutcomeKind::TimedOut, Some(_)) if self.probe_out => {
                failed(5 * SECOND)
            }
            (OutcomeKind::Unavailable | OutcomeKind::TimedOut | OutcomeKind::Unauthorized, until) => {
                (until, false)
            }
        };
    }
}

/// The truth about one connector.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) cases: Vec<Case>,
    pub(crate) keys: Vec<KeyCase>,
    /// By published message; none while it is queued, or was never taken.
    pub(crate) ends: Vec<Option<End>>,
    pub(crate) taken: Vec<bool>,
    pub(crate) manners: Manners,
}

impl Truth {
    pub(crate) fn of(plan: &Plan) -> Self {
        let keys = plan.events.iter().map(|event| slot(event) + 1).max().unwrap_or(1);
        Self {
            cases: vec![Case::default(); plan.events.len()],
            keys: vec![KeyCase::default(); keys],
            ends: vec![None; plan.publishes.len()],
            taken: vec![false; plan.publishes.len()],
            manners: Manners::default(),
        }
    }

    pub(crate) fn comes(&mut self, plan: &Plan, event: usize) {
        self.cases[event].live += 1;
        self.keys[slot(&plan.events[event])].live += 1;
    }

    pub(crate) fn goes(&mut self, plan: &Plan, event: usize) {
        self.cases[event].live -= 1;
        self.keys[slot(&plan.events[event])].live -= 1;
    }

    /// xMatters accepts an event. More than once is right only in the documented window.
    pub(crate) fn accepts(&mut self, plan: &Plan, event: usize, now: u64, heard: bool) -> Result<(), String> {
        let plotted = &plan.events[event];
        let case = &mut self.cases[event];
        case.excused |=
            plotted.hashed && case.accepted > 0 && now + MINUTE >= case.last_accepted + plan.window;
        let again = case.accepted > 0 && !case.excused && heard;
        case.accepted += 1;
        case.last_accepted = now;
        case.excused = !heard;
        let key = &mut self.keys[slot(plotted)];
        let is_within = key.last_accepted.is_some_and(|at| now < at + plan.window);
        let too_soon = is_within && !key.excused && !key.replayed && heard;
        key.last_accepted = Some(now);
        key.excused = !heard;
        if again {
            Err(format!("event {event} was accepted again, outside the documented window"))
        } else if too_soon {
            Err(format!("event {event} was accepted within the window of its alert key"))
        } else {
            Ok(())
        }
    }

    /// The process is gone, and with it what the owner knew and what was not recorded.
    pub(crate) fn process_ended(&mut self, plan: &Plan, is_recorded: impl Fn(usize) -> bool) {
        for (event, case) in self.cases.iter_mut().enumerate() {
            case.due = 0;
            let is_forgotten = case.accepted > 0 && !is_recorded(event);
            case.excused |= is_forgotten;
            self.keys[slot(&plan.events[event])].excused |= is_forgotten;
        }
        self.manners = Manners::default();
    }

    /// The ledger begins anew and knows of no acceptance.
    pub(crate) fn ledger_reset(&mut self) {
        self.cases.iter_mut().for_each(|case| case.excused |= case.accepted > 0);
        self.keys.iter_mut().for_each(|key| key.excused = true);
    }

    /// Something keeps a message as a dead letter from now on.
    pub(crate) fn is_buried(&mut self, serial: usize, event: usize) {
        self.cases[event].dead += 1;
        self.ends(serial, End::Dead);
    }

    /// A copy of a dead letter goes round the window.
    pub(crate) fn goes_round(&mut self, plan: &Plan, event: usize) {
        self.keys[slot(&plan.events[event])].replayed = true;
    }

    /// A dead letter went when its copy was confirmed.
    pub(crate) fn is_replayed(&mut self, serial: usize, event: usize) {
        self.cases[event].dead -= 1;
        self.ends[serial] = None;
    }

    pub(crate) fn ends(&mut self, serial: usize, end: End) {
        let known = self.ends[serial];
        if known.is_none() || matches!(end, End::Delivered | End::Dead) && known != Some(End::Delivered) {
            self.ends[serial] = Some(end);
        }
    }

    /// Whether something keeps an event, or what it repeats, now that one of its copies is gone.
    pub(crate) fn is_kept(&self, plan: &Plan, event: usize, received: u64) -> bool {
        let (case, plotted) = (&self.cases[event], &plan.events[event]);
        let own =
            case.accepted > 0 && (!plotted.hashed || received <= case.last_accepted + plan.window + SLACK);
        // Only what is as severe, or more so, stands for it.
        let stands = |at: usize| {
            let (key, own) = (self.keys.get(at), if at == slot(plotted) { case.live } else { 0 });
            let is_within = |at| received <= at + plan.window + SLACK;
            key.is_some_and(|key| key.live > own || key.last_accepted.is_some_and(is_within))
        };
        let others = plotted.valid && (slot(plotted)..(plotted.key + 1) * Severity::ALL.len()).any(stands);
        own || case.live > 0 || case.dead > 0 || others
    }

    /// accepted = delivered + suppressed + filtered + dead, and queued = 0.
    pub(crate) fn conserved(&self) -> Result<[usize; 4], String> {
        let mut counts = [0; 4];
        for (serial, end) in self.ends.iter().enumerate() {
            match (self.taken[serial], end) {
                (true, Some(End::Delivered)) => counts[0] += 1,
                (true, Some(End::Suppressed)) => counts[1] += 1,
                (true, Some(End::Filtered)) => counts[2] += 1,
                (true, Some(End::Dead)) => counts[3] += 1,
                (true, None) => return Err(format!("message {serial} came to no end")),
                (false, _) => return Err(format!("message {serial} was never taken")),
            }
        }
        match self.cases.iter().position(|case| case.live > 0) {
            Some(event) => Err(format!("event {event} is still queued")),
            None => Ok(counts),
        }
    }
}
