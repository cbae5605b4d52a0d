//! Performing what core said: each step becomes a future whose end is the next input.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Ending, Input, Step, Tag};
use nightbell_core::ports::{Alert, Clock, Destination, Dice, Ledger, Outlet, Sender, Settler};
use nightbell_core::record::Change;
use nightbell_core::trace::TraceParent;
use nightbell_trace::{AttemptSpan, DeliverySpan, QueueTracer};

use crate::crash::{self, After};
use crate::owner::Ports;
use crate::telemetry::{self, Meters};

/// What is being done, and what is in hand.
pub(crate) struct Performer<T, O, L, S, C, D> {
    pub(crate) connector: Connector,
    pub(crate) meters: Meters,
    pub(crate) tracer: QueueTracer,
    pub(crate) ports: Ports<O, L, C, D>,
    pub(crate) sender: S,
    pub(crate) hands: HashMap<Tag, Hand<T>>,
    pub(crate) answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    pub(crate) finished: usize,
    pub(crate) returned: usize,
}

/// A delivery in hand: the right to settle it, and its span.
pub(crate) struct Hand<T> {
    pub(crate) settler: T,
    pub(crate) span: DeliverySpan,
}

/// What came of something that was done.
pub(crate) enum Answer {
    /// Nothing to tell the owner.
    Nothing,
    /// The owner's next input.
    Input(Input),
    /// An attempt ended; the owner is to hear of it.
    Attempted(AttemptEnded),
}

/// An attempt's end.
pub(crate) struct AttemptEnded {
    pub(crate) tag: Tag,
    pub(crate) alert_id: Fingerprint,
    pub(crate) event_id: String,
    pub(crate) attempt: u32,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) span: AttemptSpan,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl<T: Settler, O: Outlet, L: Ledger, S: Sender, C: Clock, D: Dice> Performer<T, O, L, S, C, D> {
    /// Performs one step; false: the owner has to stop.
    pub(crate) fn perform(&mut self, step: Step) -> bool {
        match step {
            Step::Look { tag, event, alerts } => {
                let look = self.ports.ledger.look(&self.connector, event, alerts, self.ports.clock.now());
                self.answer(async move {
                    let looked = look.await.ok();
                    crash::point(After::Looked);
                    Answer::Input(Input::Looked { tag, looked })
                });
            }
            Step::Attempt { tag, alert } => self.attempt(tag, alert),
            Step::Record { tag, changes } => self.record(tag, changes),
            Step::Skewed { project, skew } => self.meters.skewed(&project, skew, self.ports.clock.now()),
            Step::Note(changes) => {
                let commit = self.ports.ledger.commit(&self.connector, changes, self.ports.clock.now());
                // Nothing rests on it, and a ledger that fails says so to the next record too.
                self.answer(async move {
                    drop(commit.await);
                    Answer::Nothing
                });
            }
            Step::Publish { tag, to, message } => self.publish(tag, to, message),
            Step::Ack { tag, ending } => self.ack(tag, ending),
            Step::HandBack { tag } => self.hand_back(tag),
            Step::Halt => {
                telemetry::halted(&self.connector);
                self.hands.clear();
                return false;
            }
        }
        true
    }

    fn answer(&mut self, future: impl Future<Output = Answer> + Send + 'static) {
        self.answers.push(Box::pin(future));
    }

    fn attempt(&mut self, tag: Tag, mut alert: Alert) {
        crash::point(After::Gated);
        // Its delivery may be lost meanwhile; it is sent all the same, in the trace that the message came in.
        let hand = self.hands.get(&tag);
        let span = hand.map_or_else(AttemptSpan::none, |hand| hand.span.attempt(&mut alert));
        let (alert_id, attempt, trace) = (alert.alert_id, alert.attempt, alert.trace);
        let event_id = alert.event_id.clone();
        let send = self.sender.send(alert);
        self.answer(async move {
            let start = tokio::time::Instant::now();
            let outcome = send.await;
            crash::point(After::Answered);
            let took = start.elapsed();
            Answer::Attempted(AttemptEnded { tag, alert_id, event_id, attempt, trace, span, outcome, took })
        });
    }

    fn record(&mut self, tag: Tag, changes: Vec<Change>) {
        let claims = changes.iter().any(Change::is_claim);
        let commit = self.ports.ledger.commit(&self.connector, changes, self.ports.clock.now());
        self.answer(async move {
            let durable = commit.await.is_ok();
            crash::point(if claims { After::Claimed } else { After::Recorded });
            Answer::Input(Input::Recorded { tag, durable })
        });
    }

    fn publish(&mut self, tag: Tag, to: Destination, message: Message) {
        let (connector, outlet) = (self.connector.clone(), self.ports.outlet.clone());
        let span = self.hands.get(&tag).map(|hand| hand.span.publishing(&to));
        self.answer(async move {
            let dead = to == Destination::Dead;
            let published = outlet.publish(to, message).await;
            if let Err(error) = &published {
                telemetry::not_published(&connector, error);
            }
            if let Some(span) = span {
                span.ended(published.is_ok());
            }
            crash::point(if dead { After::DeadPublished } else { After::RetryPublished });
            Answer::Input(Input::Published { tag, confirmed: published.is_ok() })
        });
    }

    fn ack(&mut self, tag: Tag, ending: Ending) {
        self.meters.ended(ending, self.ports.clock.now());
        self.finished += 1;
        // It is gone when the subscription was lost: the delivery comes again, and the ledger knows it.
        let Some(Hand { settler, mut span }) = self.hands.remove(&tag) else { return };
        let connector = self.connector.clone();
        let mut ack = async move {
            let step = span.acking(ending);
            let acked = settler.ack().await;
            if let Err(error) = acked {
                telemetry::not_settled(&connector, error);
            }
            step.ended(acked.is_ok());
            crash::point(After::Acked);
            Answer::Nothing
        }
        .boxed();
        // Nearly always there is room for it at once, and one that is over needs nobody to wait for it.
        if (&mut ack).now_or_never().is_none() {
            self.answers.push(ack);
        }
    }

    fn hand_back(&mut self, tag: Tag) {
        self.returned += 1;
        let Some(Hand { settler, span }) = self.hands.remove(&tag) else { return };
        let connector = self.connector.clone();
        self.answer(async move {
            let step = span.handing_back();
            let returned = settler.hand_back().await;
            if let Err(error) = returned {
                telemetry::not_settled(&connector, error);
            }
            step.ended(returned.is_ok());
            Answer::Nothing
        });
    }
}
