//! Performing what core said: each step becomes a future whose end is the next input.

use std::collections::HashMap;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Ending, Input, Judged, Step, Tag, View};
use nightbell_core::ports::{
    Alert, Clock as _, Destination, Dice as _, Ledger as _, Outlet as _, Sender as _, SettleError,
    Settler as _, Subscription,
};
use nightbell_core::record::Change;
use nightbell_core::time::UnixMillis;
use nightbell_trace::{AttemptSpan, DeliverySpan, QueueTracer, StepSpan};
use tokio::time::Instant;

use crate::crash::{self, After};
use crate::handle::Drained;
use crate::ports::{Ports, SharedPorts};
use crate::telemetry::{self, Attempted, Meters};

pub(crate) type SettlerOf<P> = <<P as Ports>::Subscription as Subscription>::Settler;

/// What is being done, and what is in hand.
pub(crate) struct Performer<P: Ports> {
    connector: Connector,
    meters: Meters,
    tracer: QueueTracer,
    ports: SharedPorts<P>,
    sender: P::Sender,
    /// The latest name of a delivery.
    tag: u64,
    unsettled: HashMap<Tag, Unsettled<P>>,
    /// Attempts that are not told yet.
    attempts: HashMap<Tag, Attempt>,
    /// Each ends with what the owner is to hear, if it is to hear of it.
    answers: FuturesUnordered<BoxFuture<'static, Option<Input>>>,
    /// What was settled since it was last asked to count.
    counts: Drained,
}

/// A delivery in hand: the right to settle it, and its span.
struct Unsettled<P: Ports> {
    settler: SettlerOf<P>,
    span: DeliverySpan,
}

/// An attempt on its way: who it is, when it began, and its span.
struct Attempt {
    told: Attempted,
    began: Instant,
    span: AttemptSpan,
}

impl<P: Ports> Performer<P> {
    pub(crate) fn new(connector: Connector, sender: P::Sender, ports: SharedPorts<P>) -> Self {
        Self {
            meters: Meters::new(&connector),
            tracer: ports.tracer.queue(&connector),
            connector,
            ports,
            sender,
            tag: 0,
            unsettled: HashMap::new(),
            attempts: HashMap::new(),
            answers: FuturesUnordered::new(),
            counts: Drained::default(),
        }
    }

    /// The next thing that came of a step; none if nothing is being done. Cancel-safe.
    pub(crate) async fn next_answer(&mut self) -> Option<Option<Input>> {
        self.answers.next().await
    }

    pub(crate) fn received(&mut self, mut message: Message, settler: SettlerOf<P>) -> Input {
        self.meters.received();
        crash::point(After::RECEIVED);
        self.tag += 1;
        let tag = Tag(self.tag);
        let span = self.tracer.received(&mut message);
        self.unsettled.insert(tag, Unsettled { settler, span });
        Input::Received { tag, message }
    }

    /// The subscription is gone, and all rights to settle with it.
    pub(crate) fn lost(&mut self) -> Input {
        self.unsettled.clear();
        Input::Lost
    }

    /// Sends by this sender from now on.
    pub(crate) fn send_by(&mut self, sender: P::Sender) {
        self.sender = sender;
    }

    pub(crate) fn count_anew(&mut self) {
        self.counts = Drained::default();
    }

    pub(crate) fn drained(self, uncertain: Vec<Fingerprint>) -> Drained {
        Drained { uncertain, ..self.counts }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.ports.clock.now()
    }

    pub(crate) fn say_view(&self, view: &View) {
        self.meters.viewed(view, self.now());
    }

    pub(crate) fn perform(&mut self, step: Step) {
        match step {
            Step::Look { tag, event, alerts } => {
                let look = self.ports.ledger.look(&self.connector, event, alerts, self.now());
                self.answer(async move {
                    let looked = look.await.ok();
                    crash::point(After::LOOKED);
                    Some(Input::Looked { tag, looked })
                });
            }
            Step::Attempt { tag, alert } => self.attempt(tag, alert),
            Step::Tell { tag, outcome, judged } => self.tell(tag, &outcome, judged),
            Step::Record { tag, changes } => self.record(tag, changes),
            Step::Skewed { project, skew } => self.meters.skewed(&project, skew, self.ports.clock.now()),
            Step::Note(changes) => {
                let commit = self.ports.ledger.commit(&self.connector, changes, self.now());
                // Nothing rests on it, and a ledger that fails says so to the next record too.
                self.answer(commit.map(|_| None));
            }
            Step::Publish { tag, to, message } => self.publish(tag, to, message),
            Step::Ack { tag, ending } => self.ack(tag, ending),
            Step::HandBack { tag } => self.hand_back(tag),
            Step::Halt => {
                telemetry::halted(&self.connector);
                self.unsettled.clear();
            }
        }
    }

    fn answer(&mut self, future: impl Future<Output = Option<Input>> + Send + 'static) {
        self.answers.push(Box::pin(future));
    }

    fn attempt(&mut self, tag: Tag, mut alert: Alert) {
        crash::point(After::GATED);
        // Its delivery may be lost meanwhile; it is sent all the same, in the trace that the message came in.
        let delivery = self.unsettled.get(&tag);
        let span = delivery.map_or_else(AttemptSpan::none, |delivery| delivery.span.attempt(&mut alert));
        let told = Attempted::of(&alert);
        self.attempts.insert(tag, Attempt { told, began: Instant::now(), span });
        let (send, dice) = (self.sender.send(alert), self.ports.dice.clone());
        self.answer(async move {
            let outcome = send.await;
            crash::point(After::ANSWERED);
            Some(Input::Attempted { tag, outcome, chance: dice.roll() })
        });
    }

    fn tell(&mut self, tag: Tag, outcome: &Outcome, judged: Option<Judged>) {
        let Some(Attempt { told, began, span }) = self.attempts.remove(&tag) else { return };
        self.meters.attempted(&told, outcome, began.elapsed(), judged, self.ports.clock.now());
        span.ended(outcome);
    }

    fn record(&mut self, tag: Tag, changes: Vec<Change>) {
        let claims = changes.iter().any(Change::is_claim);
        let commit = self.ports.ledger.commit(&self.connector, changes, self.now());
        self.answer(async move {
            let durable = commit.await.is_ok();
            crash::point(if claims { After::CLAIMED } else { After::RECORDED });
            Some(Input::Recorded { tag, durable })
        });
    }

    fn publish(&mut self, tag: Tag, to: Destination, message: Message) {
        let (connector, outlet) = (self.connector.clone(), self.ports.outlet.clone());
        let span = self.unsettled.get(&tag).map(|delivery| delivery.span.publishing(&to));
        self.answer(async move {
            let point = if to == Destination::Dead { After::DEAD_PUBLISHED } else { After::RETRY_PUBLISHED };
            let published = outlet.publish(to, message).await;
            if let Err(error) = &published {
                telemetry::not_published(&connector, error);
            }
            let confirmed = published.is_ok();
            if let Some(span) = span {
                span.ended(confirmed);
            }
            crash::point(point);
            Some(Input::Published { tag, confirmed })
        });
    }

    fn ack(&mut self, tag: Tag, ending: Ending) {
        self.meters.ended(ending, self.ports.clock.now());
        self.counts.finished += 1;
        // It is gone when the subscription was lost: the delivery comes again, and the ledger knows it.
        let Some(Unsettled { settler, mut span }) = self.unsettled.remove(&tag) else { return };
        let connector = self.connector.clone();
        let mut ack = async move {
            let step = span.acking(ending);
            settled(&connector, step, settler.ack().await);
            crash::point(After::ACKED);
            None
        }
        .boxed();
        // Nearly always there is room for it at once, and one that is over needs nobody to wait for it.
        if (&mut ack).now_or_never().is_none() {
            self.answers.push(ack);
        }
    }

    fn hand_back(&mut self, tag: Tag) {
        self.counts.returned += 1;
        let Some(Unsettled { settler, span }) = self.unsettled.remove(&tag) else { return };
        let connector = self.connector.clone();
        self.answer(async move {
            let step = span.handing_back();
            settled(&connector, step, settler.hand_back().await);
            None
        });
    }
}

fn settled(connector: &Connector, step: StepSpan, result: Result<(), SettleError>) {
    if let Err(error) = result {
        telemetry::not_settled(connector, error);
    }
    step.ended(result.is_ok());
}
