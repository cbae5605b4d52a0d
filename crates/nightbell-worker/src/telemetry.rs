//! Every metric of the owners, and the log lines that go with them. One function per fact emits both, so that they can't
//! drift apart.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::limits::EVENT_ID_SHOWN_BYTES_MAX;
use nightbell_core::outcome::{Outcome, OutcomeKind, Verdict};
use nightbell_core::owner::{Ending, Judged, Unexpected, View};
use nightbell_core::ports::{Alert, PublishError, SettleError};
use nightbell_core::sparing::Sparing;
use nightbell_core::time::{Jump, UnixMillis, millis};
use nightbell_core::trace::TraceParent;
use tracing::{debug, error, info, warn};

/// How often a time stamp that is not believed is told in the log.
const SKEW_SAID_EVERY: Duration = Duration::from_secs(600);

const COUNTERS: [(&str, &str); 7] = [
    (
        "nightbell_events_received_total",
        "Messages that the connector's queue delivered, redeliveries included",
    ),
    ("nightbell_alerts_settled_total", "Deliveries that were settled, by how they ended"),
    ("nightbell_attempts_total", "POSTs to xMatters, by what they came to"),
    (
        "nightbell_accepted_without_request_id_total",
        "POSTs that were answered with 2xx but without a requestId, as xMatters gives one: perhaps it was not xMatters",
    ),
    ("nightbell_retries_scheduled_total", "Attempts that failed and were put into a retry queue"),
    ("nightbell_dead_letters_total", "Alerts that became dead letters, by reason"),
    (
        "nightbell_clock_skew_total",
        "Events whose time stamp is older than retry.give_up_after, or in the future, and is not believed",
    ),
];

const GAUGES: [(&str, &str); 3] = [
    ("nightbell_in_flight", "POSTs that wait for their answer"),
    ("nightbell_breaker_open", "1 while the connector's breaker is open"),
    (
        "nightbell_owner_stopped",
        "1 while the connector's owner stands still because the ledger failed; it settles nothing then",
    ),
];

const HISTOGRAMS: [(&str, &str); 2] = [
    ("nightbell_attempt_duration_seconds", "Time from the start of a POST to its outcome"),
    ("nightbell_delivery_latency_seconds", "Time from an event's publishing to its acceptance by xMatters"),
];

/// Describes every metric of the owners, so that each has its help text and unit.
pub fn describe() {
    COUNTERS.into_iter().for_each(|(name, help)| describe_counter!(name, help));
    GAUGES.into_iter().for_each(|(name, help)| describe_gauge!(name, help));
    HISTOGRAMS.into_iter().for_each(|(name, help)| describe_histogram!(name, Unit::Seconds, help));
    describe_gauge!("nightbell_queue_oldest_seconds", Unit::Seconds, "Age of the oldest alert in hand");
}

/// The series of one connector, looked up once.
pub(crate) struct Meters {
    connector: Connector,
    received: Counter,
    retried: Counter,
    delivered: Counter,
    duplicate: Counter,
    filtered: Counter,
    dead: Counter,
    attempts: [Counter; OutcomeKind::ALL.len()],
    without_id: Counter,
    /// Whether the last acceptance had no `requestId`.
    is_without_id: bool,
    died: [Counter; Reason::ALL.len()],
    attempt_duration: Histogram,
    delivery_latency: Histogram,
    queue_oldest: Gauge,
    in_flight: Gauge,
    breaker_open: Gauge,
    stopped: Gauge,
    /// Whoever publishes decides how many die, so that a line for each would bury all others.
    deaths_said: [Sparing; Reason::ALL.len()],
    skewed: Counter,
    skew_said: Sparing,
}

/// Which attempt a wide line tells of.
pub(crate) struct Attempted {
    alert_id: Fingerprint,
    event_id: String,
    attempt: u32,
    trace: Option<TraceParent>,
}

impl Attempted {
    pub(crate) fn of(alert: &Alert) -> Self {
        let Alert { alert_id, attempt, trace, .. } = *alert;
        Self { alert_id, event_id: alert.event_id.clone(), attempt, trace }
    }
}

impl Meters {
    /// Every series is there from the start: naming it is not enough for a counter or a gauge to be shown.
    pub(crate) fn new(connector: &Connector) -> Self {
        let name = || connector.as_str().to_owned();
        let shown = |counter: Counter| {
            counter.increment(0);
            counter
        };
        let plain = |of: &'static str| shown(counter!(of, "connector" => name()));
        let settled = |result: &'static str| {
            shown(counter!("nightbell_alerts_settled_total", "connector" => name(), "result" => result))
        };
        let attempts = |outcome: OutcomeKind| {
            shown(counter!("nightbell_attempts_total", "connector" => name(), "outcome" => outcome.as_str()))
        };
        let died = |reason: Reason| {
            shown(
                counter!("nightbell_dead_letters_total", "connector" => name(), "reason" => reason.as_str()),
            )
        };
        let level = |of: &'static str| {
            let gauge = gauge!(of, "connector" => name());
            gauge.set(0.0);
            gauge
        };
        Self {
            connector: connector.clone(),
            received: plain("nightbell_events_received_total"),
            retried: plain("nightbell_retries_scheduled_total"),
            delivered: settled("delivered"),
            duplicate: settled("duplicate"),
            filtered: settled("filtered"),
            dead: settled("dead"),
            attempts: OutcomeKind::ALL.map(attempts),
            without_id: plain("nightbell_accepted_without_request_id_total"),
            is_without_id: false,
            died: Reason::ALL.map(died),
            attempt_duration: histogram!("nightbell_attempt_duration_seconds", "connector" => name()),
            delivery_latency: histogram!("nightbell_delivery_latency_seconds", "connector" => name()),
            queue_oldest: level("nightbell_queue_oldest_seconds"),
            in_flight: level("nightbell_in_flight"),
            breaker_open: level("nightbell_breaker_open"),
            stopped: level("nightbell_owner_stopped"),
            deaths_said: Default::default(),
            skewed: plain("nightbell_clock_skew_total"),
            skew_said: Sparing::new(1, SKEW_SAID_EVERY),
        }
    }

    pub(crate) fn received(&self) {
        self.received.increment(1);
    }

    /// An attempt's end; nothing is judged if the owner has let go of the alert.
    pub(crate) fn attempted(
        &mut self,
        which: &Attempted,
        outcome: &Outcome,
        took: Duration,
        judged: Option<Judged>,
        now: UnixMillis,
    ) {
        self.attempts[outcome.kind() as usize].increment(1);
        self.attempt_duration.record(took.as_secs_f64());
        self.say_attempted(which, outcome, took, judged, now);
        if let Outcome::Accepted { request_id } = outcome {
            self.accepted(request_id.is_some());
        }
    }

    /// Warns when acceptances begin to lack the `requestId`, and again only after one that had it.
    fn accepted(&mut self, has_request_id: bool) {
        let was_without = std::mem::replace(&mut self.is_without_id, !has_request_id);
        if has_request_id {
            return;
        }
        self.without_id.increment(1);
        if !was_without {
            warn!(
                connector = %self.connector,
                "an alert was taken, but the answer has no requestId, as xMatters gives one: see that `trigger_url` is \
                 that of an HTTP trigger, and that no proxy or login page answers in its place; it counts as delivered"
            );
        }
    }

    /// The wide line. Its fields are borrowed, since there is one for each attempt.
    fn say_attempted(
        &self,
        which: &Attempted,
        outcome: &Outcome,
        took: Duration,
        judged: Option<Judged>,
        now: UnixMillis,
    ) {
        let Attempted { alert_id, event_id, attempt, trace } = which;
        let event_id = &event_id[..event_id.floor_char_boundary(EVENT_ID_SHOWN_BYTES_MAX)];
        let (kind, request_id) = (outcome.kind(), outcome.request_id());
        let (verdict, reason, retry_in) = match judged.map(|judged| judged.verdict) {
            None => (None, None, None),
            Some(Verdict::Done) => (Some("done"), None, None),
            Some(Verdict::RetryAt(at)) => (Some("retry"), None, Some(now.until(at))),
            Some(Verdict::Wait) => (Some("wait"), None, None),
            Some(Verdict::DeadLetter(reason)) => (Some("dead_letter"), Some(reason.as_str()), None),
        };
        let latency_ms = judged.map(|judged| millis(now.since(judged.since)));
        let (took_ms, retry_in_ms) = (millis(took), retry_in.map(millis));
        let trace_id = trace.map(|trace| tracing::field::display(trace.trace_id()));
        let detail = (kind != OutcomeKind::Accepted).then(|| outcome.detail());
        macro_rules! line {
            ($level:ident, $message:literal) => {
                $level!(
                    connector = self.connector.as_str(), %alert_id, event_id, attempt, outcome = kind.as_str(),
                    status = outcome.status(), took_ms, verdict, reason, retry_in_ms, latency_ms, request_id, trace_id,
                    detail, $message
                )
            };
        }
        match kind {
            OutcomeKind::Accepted => {
                line!(info, "delivery attempted");
            }
            OutcomeKind::Throttled
            | OutcomeKind::Unavailable
            | OutcomeKind::TimedOut
            | OutcomeKind::Refused => {
                line!(warn, "delivery attempted");
            }
            OutcomeKind::Unauthorized => {
                line!(
                    error,
                    "delivery attempted: xMatters does not accept this connector's credentials or trigger; its alerts \
                     wait until that is put right"
                );
            }
        }
    }

    pub(crate) fn ended(&mut self, ending: Ending, now: UnixMillis) {
        match ending {
            Ending::Delivered { since } => {
                self.delivered.increment(1);
                self.delivery_latency.record(now.since(since).as_secs_f64());
            }
            Ending::Duplicate => self.duplicate.increment(1),
            Ending::Filtered => self.filtered.increment(1),
            Ending::Dead(reason) => {
                self.dead.increment(1);
                self.died[reason as usize].increment(1);
                if let Some(unsaid) = self.deaths_said[reason as usize].say(now) {
                    let unsaid = (unsaid > 0).then_some(unsaid);
                    warn!(connector = %self.connector, %reason, unsaid, "an alert became a dead letter");
                }
            }
            Ending::Retried => self.retried.increment(1),
            Ending::Parked => debug!(connector = %self.connector, "an alert was parked"),
        }
    }

    /// A time stamp is not believed. Each is counted, and one in a while is told.
    pub(crate) fn skewed(&mut self, project: &str, skew: Jump, now: UnixMillis) {
        self.skewed.increment(1);
        if self.skew_said.say(now).is_none() {
            return;
        }
        let project = &project[..project.floor_char_boundary(EVENT_ID_SHOWN_BYTES_MAX)];
        let connector = self.connector.as_str();
        match skew {
            Jump::Back(by) => warn!(
                connector,
                project,
                behind_seconds = by.as_secs(),
                "the time stamp of an event is older than retry.give_up_after: its publisher's clock is slow, or it waited \
                 that long in the queue; its age counts from now"
            ),
            Jump::Forth(by) => warn!(
                connector,
                project,
                ahead_seconds = by.as_secs(),
                "the time stamp of an event lies in the future: its publisher's clock is fast; its age counts from now"
            ),
        }
    }

    pub(crate) fn viewed(&self, view: &View, now: UnixMillis) {
        self.queue_oldest.set(view.oldest_since.map_or(0.0, |since| now.since(since).as_secs_f64()));
        #[expect(clippy::cast_precision_loss, reason = "a few hundred at the most")]
        self.in_flight.set(view.attempting as f64);
        self.breaker_open.set(if view.breaker.is_open() { 1.0 } else { 0.0 });
        self.stopped.set(if view.halted { 1.0 } else { 0.0 });
    }
}

pub(crate) fn not_published(connector: &Connector, error: &PublishError) {
    warn!(%connector, %error, "a copy was not confirmed; the alert stays in hand");
}

pub(crate) fn not_settled(connector: &Connector, error: SettleError) {
    debug!(%connector, %error, "a delivery was not settled; it comes again, and the ledger knows it");
}

pub(crate) fn clock_set(connector: &Connector, jump: Jump) {
    let (seconds, direction) = match jump {
        Jump::Forth(by) => (by.as_secs(), "forth"),
        Jump::Back(by) => (by.as_secs(), "back"),
    };
    warn!(%connector, seconds, direction, "the clock was set; waits and ages go on as before");
}

pub(crate) fn unexpected(connector: &Connector, error: Unexpected) {
    error!(%connector, %error, "the owner was answered what it had not asked; nothing has changed by it");
}

pub(crate) fn halted(connector: &Connector) {
    error!(
        %connector,
        "the ledger failed: the owner stops without acknowledging anything, until data_dir can be written again; free the \
         disk or replace it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_at_its_own_place() {
        assert!(OutcomeKind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
    }
}
