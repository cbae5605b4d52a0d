//! The spans, as the worker and the ways in end them.

use std::sync::Arc;

use nightbell_core::outcome::Outcome;
use nightbell_core::owner::Ending;
use nightbell_core::ports::{Alert, Destination};
use opentelemetry::trace::{Span as _, SpanKind, Status};

use crate::tracer::{CountedSpan, OfQueue};

/// One delivery, from its arrival until it is settled; none while traces are off. It ends when it is dropped.
pub struct DeliverySpan(pub(crate) Option<Box<(Arc<OfQueue>, CountedSpan)>>);

/// One POST.
pub struct AttemptSpan(Option<Box<CountedSpan>>);

/// One step of settling: an ack, or a publish.
pub struct StepSpan(Option<CountedSpan>);

/// One HTTP request that brings events. By default, nothing.
#[derive(Default)]
pub struct RequestSpan(pub(crate) Option<CountedSpan>);

impl DeliverySpan {
    /// Begins the span of an attempt, and puts the alert into its place.
    #[must_use]
    pub fn attempt(&self, alert: &mut Alert) -> AttemptSpan {
        let Some((of, delivery)) = self.0.as_deref() else { return AttemptSpan(None) };
        let attributes = || {
            [
                ("http.request.method", "POST".into()),
                ("http.request.resend_count", (i64::from(alert.attempt) - 1).into()),
                ("peer.service", "xmatters".into()),
                ("nightbell.alert_id", alert.alert_id.to_string().into()),
            ]
        };
        let span = of.pipeline.begin("POST".into(), SpanKind::Client, &delivery.context(), attributes);
        alert.trace = span.place();
        AttemptSpan(Some(Box::new(span)))
    }

    /// Begins the span of a copy's publishing.
    #[must_use]
    pub fn publishing(&self, to: &Destination) -> StepSpan {
        let Some((of, delivery)) = self.0.as_deref() else { return StepSpan(None) };
        let destination = match to {
            Destination::Events { .. } => format!("{}.events", of.pipeline.prefix),
            Destination::Retry { rung, .. } => format!("{}.retry.{}s", of.pipeline.prefix, rung.seconds()),
            Destination::Requeue { .. } => format!("{}.requeue", of.pipeline.prefix),
            Destination::Dead => format!("{}.dead", of.pipeline.prefix),
        };
        let name = format!("send {destination}");
        let attributes = || {
            [
                ("messaging.system", of.pipeline.system.clone().into()),
                ("messaging.destination.name", destination.into()),
                ("messaging.operation.name", "send".into()),
                ("messaging.operation.type", "send".into()),
            ]
        };
        StepSpan(Some(of.pipeline.begin(name, SpanKind::Producer, &delivery.context(), attributes)))
    }

    /// Begins the span of the ack, and says how the delivery ended.
    #[must_use]
    pub fn acking(&mut self, ending: Ending) -> StepSpan {
        let Some((of, delivery)) = self.0.as_deref_mut() else { return StepSpan(None) };
        let (result, reason) = match ending {
            Ending::Delivered { .. } => ("delivered", None),
            Ending::Duplicate => ("duplicate", None),
            Ending::Filtered => ("filtered", None),
            Ending::Dead(reason) => ("dead", Some(reason)),
            Ending::Retried => ("retried", None),
            Ending::Parked => ("parked", None),
        };
        delivery.set("nightbell.result", result);
        if let Some(reason) = reason {
            delivery.set("nightbell.reason", reason.as_str());
            delivery.set("error.type", reason.as_str());
            delivery.span.set_status(Status::error("it is a dead letter"));
        }
        Self::step(of, delivery, "ack")
    }

    /// Begins the span of handing the delivery back to the queue.
    #[must_use]
    pub fn handing_back(&self) -> StepSpan {
        let Some((of, delivery)) = self.0.as_deref() else { return StepSpan(None) };
        Self::step(of, delivery, "nack")
    }

    fn step(of: &OfQueue, delivery: &CountedSpan, name: &'static str) -> StepSpan {
        let attributes = || of.attributes(name, "settle");
        let name = format!("{name} {}", of.queue);
        StepSpan(Some(of.pipeline.begin(name, SpanKind::Client, &delivery.context(), attributes)))
    }
}

impl AttemptSpan {
    /// None: the delivery that it belongs to is not in hand any more.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Ends it.
    pub fn ended(self, outcome: &Outcome) {
        let Some(mut held) = self.0 else { return };
        let kind = outcome.kind().as_str();
        held.set("nightbell.outcome", kind);
        if let Some(status) = outcome.status() {
            held.set("http.response.status_code", i64::from(status));
        }
        if !matches!(outcome, Outcome::Accepted { .. }) {
            held.set("error.type", kind);
            held.span.set_status(Status::error(kind));
        }
    }
}

impl StepSpan {
    /// Ends it; an error that has no more to say than that it failed.
    pub fn ended(self, is_done: bool) {
        let Some(mut held) = self.0 else { return };
        if !is_done {
            held.set("error.type", "not_confirmed");
            held.span.set_status(Status::error("the queue did not confirm it"));
        }
    }
}

impl RequestSpan {
    /// Ends it with the answer's status.
    pub fn ended(self, status: u16) {
        let Some(mut held) = self.0 else { return };
        held.set("http.response.status_code", i64::from(status));
        if status >= 500 {
            held.set("error.type", status.to_string());
            held.span.set_status(Status::error("the events were not taken"));
        }
    }
}
