//! Every metric of the worker, and the log lines that go with them. One function per fact emits both, so that they
//! can't drift apart.

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
use nightbell_core::owner::{Ending, Judged, View};
use nightbell_core::ports::{PublishError, SettleError};
use nightbell_core::sparing::Sparing;
use nightbell_core::time::{Jump, UnixMillis, millis};
use nightbell_core::trace::TraceParent;
use tracing::{debug, error, info, warn};

/// A certificate that ends sooner is warned of.
pub const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How often a time stamp that is not believed is told in the log.
const SKEW_SAID_EVERY: Duration = Duration::from_secs(600);

const DATA_DIR_FAILED: &str = "nightbell_data_dir_failed";

const CERTIFICATE_EXPIRY: &str = "nightbell_tls_certificate_expiry_timestamp_seconds";

/// Describes every metric, so that each has its help text and unit.
pub fn describe() {
    describe_alerts();
    describe_worker();
}

fn describe_alerts() {
    describe_counter!(
        "nightbell_events_received_total",
        "Messages that the connector's queue delivered, redeliveries included"
    );
    describe_counter!("nightbell_alerts_settled_total", "Deliveries that were settled, by how they ended");
    describe_counter!("nightbell_attempts_total", "POSTs to xMatters, by what they came to");
    describe_counter!(
        "nightbell_accepted_without_request_id_total",
        "POSTs that were answered with 2xx but without a requestId, as xMatters gives one: perhaps it was not xMatters"
    );
    describe_histogram!(
        "nightbell_attempt_duration_seconds",
        Unit::Seconds,
        "Time from the start of a POST to its outcome"
    );
    describe_histogram!(
        "nightbell_delivery_latency_seconds",
        Unit::Seconds,
        "Time from an event's publishing to its acceptance by xMatters"
    );
    describe_counter!(
        "nightbell_retries_scheduled_total",
        "Attempts that failed and were put into a retry queue"
    );
    describe_counter!("nightbell_dead_letters_total", "Alerts that became dead letters, by reason");
    describe_gauge!("nightbell_queue_oldest_seconds", Unit::Seconds, "Age of the oldest alert in hand");
    describe_gauge!("nightbell_in_flight", "POSTs that wait for their answer");
    describe_gauge!("nightbell_breaker_open", "1 while the connector's breaker is open");
    describe_gauge!(
        "nightbell_owner_stopped",
        "1 while the connector's owner stands still because the ledger failed; it settles nothing then"
    );
    describe_gauge!(
        CERTIFICATE_EXPIRY,
        Unit::Seconds,
        "When the first of the certificates that the destination shows expires, its issuers' among them, in seconds since \
         1970; 0 while none was seen"
    );
    describe_counter!(
        "nightbell_clock_skew_total",
        "Events whose time stamp is older than retry.give_up_after, or in the future, and is not believed"
    );
}

fn describe_worker() {
    describe_gauge!("nightbell_ledger_entries", "Records in the ledger");
    describe_histogram!(
        "nightbell_ledger_commit_duration_seconds",
        Unit::Seconds,
        "Time to make a group of records durable"
    );
    describe_counter!("nightbell_ledger_reset_total", "Ledgers that would not open and were begun anew");
    describe_gauge!(
        DATA_DIR_FAILED,
        "1 while the ledger or the embedded queue can't be written, mostly for want of space"
    );
    describe_gauge!(
        "nightbell_queue_unavailable",
        "1 while the connector's own queue can't be consumed: it is missing, forbidden or declared otherwise"
    );
    describe_gauge!(
        "nightbell_config_last_reload_successful",
        "1 if the configuration in use is the file's, 0 if its last reload failed"
    );
    describe_gauge!(
        "nightbell_tls_verification",
        "1 for the mode in which the connector checks certificates: anything but full lets others listen in"
    );
    describe_counter!(
        "nightbell_log_lines_dropped_total",
        "Log lines that were lost because standard error was not read fast enough"
    );
    describe_gauge!("nightbell_build_info", "1, labelled with the version");
}

/// Touches every series that belongs to no connector, so that each is there from the start.
pub fn begin(version: &'static str) {
    counter!("nightbell_ledger_reset_total").increment(0);
    log_line_dropped(0);
    gauge!("nightbell_ledger_entries").set(0.0);
    gauge!(DATA_DIR_FAILED).set(0.0);
    // Naming a histogram is enough for it to be shown, empty.
    let _ = histogram!("nightbell_ledger_commit_duration_seconds");
    gauge!("nightbell_build_info", "version" => version).set(1.0);
    config_reloaded(true);
}

/// Touches every series of a connector, so that each is there from the start.
pub fn begin_connector(connector: &Connector) {
    Meters::new(connector).begin();
}

/// The ledger or the embedded queue has failed, mostly for want of space; nothing is acknowledged until it was opened anew.
pub fn data_dir_failed(problem: &str) {
    gauge!(DATA_DIR_FAILED).set(1.0);
    error!(
        problem,
        "data_dir can't be written: nothing is delivered or acknowledged. Free the disk or replace it; the worker takes up by \
         itself when it can write again"
    );
}

/// Still the same.
pub fn data_dir_still_failed(problem: &str) {
    debug!(problem, "data_dir still can't be written");
}

/// The ledger and the embedded queue work again.
pub fn data_dir_works() {
    gauge!(DATA_DIR_FAILED).set(0.0);
    warn!("data_dir can be written again: the worker takes up where it was");
}

/// Whether the last reload of the configuration succeeded.
pub fn config_reloaded(successful: bool) {
    gauge!("nightbell_config_last_reload_successful").set(if successful { 1.0 } else { 0.0 });
}

/// So many log lines were lost, because standard error was not read fast enough.
pub fn log_line_dropped(lines: u64) {
    counter!("nightbell_log_lines_dropped_total").increment(lines);
}

/// How a connector checks certificates, one of `modes`; `warning` says what is wrong with that.
pub fn tls_verification(
    connector: &Connector,
    mode: &'static str,
    modes: impl IntoIterator<Item = &'static str>,
    warning: Option<&'static str>,
) {
    for one in modes {
        let name = connector.as_str().to_owned();
        let holds = if one == mode { 1.0 } else { 0.0 };
        gauge!("nightbell_tls_verification", "connector" => name, "mode" => one).set(holds);
    }
    if let Some(warning) = warning {
        warn!(%connector, verification = mode, "tls.verification is not full: {warning}");
    }
}

/// When the first of the certificates of a connector's destination expires, and whose it is.
pub fn certificate_expiry(connector: &Connector, until: UnixMillis, subject: &str, now: UnixMillis) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "whole seconds are exact until long after all certificates"
    )]
    let seconds = (until.0 / 1_000) as f64;
    gauge!(CERTIFICATE_EXPIRY, "connector" => connector.as_str().to_owned()).set(seconds);
    if until < now.after(CERTIFICATE_LEFT_MIN) {
        warn!(%connector, subject, %until, "a certificate of the destination, or one that it is issued by, ends soon");
    }
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

/// One attempt, as its wide line and its metrics tell it.
pub(crate) struct DeliveryAttempted<'a> {
    pub(crate) alert_id: Fingerprint,
    pub(crate) event_id: &'a str,
    pub(crate) attempt: u32,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) outcome: &'a Outcome,
    pub(crate) took: Duration,
    /// What follows; none if the owner has let go of the alert.
    pub(crate) judged: Option<&'a Judged>,
    pub(crate) now: UnixMillis,
}

impl Meters {
    pub(crate) fn new(connector: &Connector) -> Self {
        let name = || connector.as_str().to_owned();
        let settled = |result: &'static str| counter!("nightbell_alerts_settled_total", "connector" => name(), "result" => result);
        Self {
            connector: connector.clone(),
            received: counter!("nightbell_events_received_total", "connector" => name()),
            retried: counter!("nightbell_retries_scheduled_total", "connector" => name()),
            delivered: settled("delivered"),
            duplicate: settled("duplicate"),
            filtered: settled("filtered"),
            dead: settled("dead"),
            attempts: OutcomeKind::ALL.map(|outcome| {
                counter!("nightbell_attempts_total", "connector" => name(), "outcome" => outcome.as_str())
            }),
            without_id: counter!("nightbell_accepted_without_request_id_total", "connector" => name()),
            is_without_id: false,
            died: Reason::ALL.map(|reason| {
                counter!("nightbell_dead_letters_total", "connector" => name(), "reason" => reason.as_str())
            }),
            attempt_duration: histogram!("nightbell_attempt_duration_seconds", "connector" => name()),
            delivery_latency: histogram!("nightbell_delivery_latency_seconds", "connector" => name()),
            queue_oldest: gauge!("nightbell_queue_oldest_seconds", "connector" => name()),
            in_flight: gauge!("nightbell_in_flight", "connector" => name()),
            breaker_open: gauge!("nightbell_breaker_open", "connector" => name()),
            stopped: gauge!("nightbell_owner_stopped", "connector" => name()),
            deaths_said: Default::default(),
            skewed: counter!("nightbell_clock_skew_total", "connector" => name()),
            skew_said: Sparing::new(1, SKEW_SAID_EVERY),
        }
    }

    /// Naming a counter or a histogram is not enough for a counter to be shown.
    fn begin(&self) {
        let single = [
            &self.received,
            &self.retried,
            &self.delivered,
            &self.duplicate,
            &self.filtered,
            &self.dead,
            &self.without_id,
            &self.skewed,
        ];
        single.into_iter().chain(&self.attempts).chain(&self.died).for_each(|counter| counter.increment(0));
        [&self.queue_oldest, &self.in_flight, &self.breaker_open, &self.stopped]
            .into_iter()
            .for_each(|gauge| gauge.set(0.0));
        for name in ["nightbell_queue_depth", "nightbell_queue_unavailable", CERTIFICATE_EXPIRY] {
            gauge!(name, "connector" => self.connector.as_str().to_owned()).set(0.0);
        }
    }

    pub(crate) fn received(&self) {
        self.received.increment(1);
    }

    pub(crate) fn attempted(&mut self, attempted: &DeliveryAttempted<'_>) {
        let kind = attempted.outcome.kind();
        self.attempts[kind as usize].increment(1);
        self.attempt_duration.record(attempted.took.as_secs_f64());
        self.say_attempted(kind, attempted);
        if let Outcome::Accepted { request_id } = attempted.outcome {
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
    fn say_attempted(&self, kind: OutcomeKind, attempted: &DeliveryAttempted<'_>) {
        let DeliveryAttempted { alert_id, event_id, attempt, trace, outcome, took, judged, now } = attempted;
        let event_id = &event_id[..event_id.floor_char_boundary(EVENT_ID_SHOWN_BYTES_MAX)];
        let request_id = match outcome {
            Outcome::Accepted { request_id } => request_id.as_deref(),
            Outcome::Throttled { .. }
            | Outcome::Unavailable { .. }
            | Outcome::TimedOut
            | Outcome::Unauthorized { .. }
            | Outcome::Refused { .. } => None,
        };
        let (verdict, reason, retry_in) = match judged.map(|judged| &judged.verdict) {
            None => (None, None, None),
            Some(Verdict::Done) => (Some("done"), None, None),
            Some(Verdict::RetryAt(at)) => (Some("retry"), None, Some(now.until(*at))),
            Some(Verdict::Wait) => (Some("wait"), None, None),
            Some(Verdict::DeadLetter(reason)) => (Some("dead_letter"), Some(reason.as_str()), None),
        };
        let latency_ms = judged.map(|judged| millis(now.since(judged.since)));
        let (took_ms, retry_in_ms) = (millis(*took), retry_in.map(millis));
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
