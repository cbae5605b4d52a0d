//! Performing what core said: each step becomes a future whose end is the next input.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::owner::{Ending, Input, Step, Tag};
use nightbell_core::policy::Chance;
use nightbell_core::ports::{Alert, Clock, Destination, Ledger, Outlet, Sender, Settler};
use nightbell_core::record::Change;

use crate::crash::{self, After};
use crate::owner::Ports;
use crate::telemetry::{self, DeliveryAttempted, Meters};

/// What is being done, and the rights to settle what is in hand.
pub(crate) struct Performer<T, O, L, S, C> {
    pub(crate) connector: Connector,
    pub(crate) meters: Arc<Meters>,
    pub(crate) ports: Ports<O, L, C>,
    pub(crate) sender: S,
    pub(crate) settlers: HashMap<Tag, T>,
    /// None: nothing to tell the owner.
    pub(crate) answers: FuturesUnordered<BoxFuture<'static, Option<Input>>>,
    pub(crate) finished: usize,
    pub(crate) returned: usize,
}

impl<T: Settler, O: Outlet, L: Ledger, S: Sender, C: Clock> Performer<T, O, L, S, C> {
    /// Performs one step; false: the owner has to stop.
    pub(crate) fn perform(&mut self, step: Step) -> bool {
        match step {
            Step::Look { tag, event, alert } => {
                let look = self.ports.ledger.look(&self.connector, event, alert, self.ports.clock.now());
                self.answer(async move {
                    let looked = look.await.ok();
                    crash::point(After::Looked);
                    Some(Input::Looked { tag, looked })
                });
            }
            Step::Attempt { tag, alert } => self.attempt(tag, alert),
            Step::Record { tag, changes } => self.record(tag, changes),
            Step::Note(changes) => {
                let commit = self.ports.ledger.commit(&self.connector, changes, self.ports.clock.now());
                // Nothing rests on it, and a ledger that fails says so to the next record too.
                self.answer(async move {
                    drop(commit.await);
                    None
                });
            }
            Step::Publish { tag, to, message } => self.publish(tag, to, message),
            Step::Ack { tag, ending } => self.ack(tag, ending),
            Step::HandBack { tag } => self.hand_back(tag),
            Step::Halt => {
                telemetry::halted(&self.connector);
                self.settlers.clear();
                return false;
            }
        }
        true
    }

    fn answer(&mut self, future: impl Future<Output = Option<Input>> + Send + 'static) {
        self.answers.push(Box::pin(future));
    }

    fn attempt(&mut self, tag: Tag, alert: Alert) {
        crash::point(After::Gated);
        let (meters, alert_id, attempt) = (Arc::clone(&self.meters), alert.alert_id, alert.attempt);
        let send = self.sender.send(alert);
        self.answer(async move {
            let start = tokio::time::Instant::now();
            let outcome = send.await;
            crash::point(After::Answered);
            let took = start.elapsed();
            meters.attempted(&DeliveryAttempted { alert_id, attempt, outcome: &outcome, took });
            Some(Input::Attempted { tag, outcome, chance: Chance::new(rand::random()) })
        });
    }

    fn record(&mut self, tag: Tag, changes: Vec<Change>) {
        let claims = changes.iter().any(Change::is_claim);
        let commit = self.ports.ledger.commit(&self.connector, changes, self.ports.clock.now());
        self.answer(async move {
            let durable = commit.await.is_ok();
            crash::point(if claims { After::Claimed } else { After::Recorded });
            Some(Input::Recorded { tag, durable })
        });
    }

    fn publish(&mut self, tag: Tag, to: Destination, message: Message) {
        let (connector, outlet) = (self.connector.clone(), self.ports.outlet.clone());
        self.answer(async move {
            let dead = to == Destination::Dead;
            let published = outlet.publish(to, message).await;
            if let Err(error) = &published {
                telemetry::not_published(&connector, error);
            }
            crash::point(if dead { After::DeadPublished } else { After::RetryPublished });
            Some(Input::Published { tag, confirmed: published.is_ok() })
        });
    }

    fn ack(&mut self, tag: Tag, ending: Ending) {
        self.meters.ended(ending, self.ports.clock.now());
        self.finished += 1;
        // It is gone when the subscription was lost: the delivery comes again, and the ledger knows it.
        let Some(settler) = self.settlers.remove(&tag) else { return };
        let connector = self.connector.clone();
        let mut ack = async move {
            if let Err(error) = settler.ack().await {
                telemetry::not_settled(&connector, error);
            }
            crash::point(After::Acked);
            None
        }
        .boxed();
        // Nearly always there is room for it at once, and one that is over needs nobody to wait for it.
        if (&mut ack).now_or_never().is_none() {
            self.answers.push(ack);
        }
    }

    fn hand_back(&mut self, tag: Tag) {
        self.returned += 1;
        let Some(settler) = self.settlers.remove(&tag) else { return };
        let connector = self.connector.clone();
        self.answer(async move {
            if let Err(error) = settler.hand_back().await {
                telemetry::not_settled(&connector, error);
            }
            None
        });
    }
}
