//! One owner's loop: wait, decide (core), perform.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::owner::{Input, Owner, Settings, Tag, View};
use nightbell_core::ports::{Clock, Dice, Incoming, Ledger, Outlet, Sender, Subscription};
use nightbell_core::time::UnixMillis;
use nightbell_trace::Tracer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::Watch;
use crate::crash::{self, After};
use crate::perform::{Answer, AttemptEnded, Hand, Performer};
use crate::telemetry::{DeliveryAttempted, Meters, clock_set};

/// What all owners share.
#[derive(Debug, Clone)]
pub struct Ports<O, L, C, D> {
    /// The way into the queues.
    pub outlet: O,
    /// The ledger.
    pub ledger: L,
    /// The clock.
    pub clock: C,
    /// Chance.
    pub dice: D,
    /// The way to make spans.
    pub tracer: Tracer,
}

/// What an owner can be told.
#[derive(Debug)]
pub enum Control<S> {
    /// Work by these settings and send by this sender from now on.
    Reload(Box<Settings>, S),
    /// Finish what is being attempted within `grace`, hand the rest back, and end.
    Stop {
        /// How long the attempts on their way may take.
        grace: Duration,
    },
}

/// An owner at work.
#[derive(Debug)]
pub struct OwnerHandle<S> {
    /// Its connector.
    pub connector: Connector,
    /// The way to tell it something.
    pub control: mpsc::Sender<Control<S>>,
    /// What it is doing, a second old at the most.
    pub view: watch::Receiver<View>,
    /// Its end, with what became of all that it held.
    pub ended: JoinHandle<Drained>,
}

/// What became of an owner's work when it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Deliveries settled since the stop.
    pub finished: usize,
    /// Deliveries handed back to the queue since the stop.
    pub returned: usize,
    /// Alerts whose attempt had no answer: they may have arrived, and are sent again with the same alert id.
    pub uncertain: Vec<Fingerprint>,
}

/// The most controls that wait for an owner.
const CONTROLS_MAX: usize = 8;

/// The most answers, or deliveries, that are taken in one go before all others get their turn.
const AT_ONCE_MAX: usize = 64;

/// The longest sleep: a time to wake up at may be days away once the clock was set back.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How often an owner says what it is doing.
const VIEW_EVERY: Duration = Duration::from_secs(1);

/// Starts an owner. It ends when it is told to stop; when its ledger failed, it stays, leaves its queue and does nothing.
pub fn spawn<Q, O, L, S, C, D>(
    settings: Settings,
    queue: Q,
    sender: S,
    ports: Ports<O, L, C, D>,
) -> OwnerHandle<S>
where
    Q: Subscription,
    O: Outlet,
    L: Ledger,
    S: Sender,
    C: Clock,
    D: Dice,
{
    let connector = settings.connector.clone();
    let (control, controls) = mpsc::channel(CONTROLS_MAX);
    let now = ports.clock.now();
    let (owner, watch) = (Owner::new(settings, now), Watch::new(now, Instant::now()));
    let (view, views) = watch::channel(owner.view());
    let performer = Performer {
        connector: connector.clone(),
        meters: Meters::new(&connector),
        tracer: ports.tracer.queue(&connector),
        ports,
        sender,
        hands: std::collections::HashMap::new(),
        answers: futures::stream::FuturesUnordered::new(),
        finished: 0,
        returned: 0,
    };
    let task = Task { owner, watch, queue, performer, controls, view, tags: 0, stop_at: None, halted: false };
    OwnerHandle { connector, control, view: views, ended: tokio::spawn(task.run()) }
}

struct Task<Q: Subscription, O, L, S, C, D> {
    owner: Owner,
    watch: Watch,
    queue: Q,
    performer: Performer<Q::Settler, O, L, S, C, D>,
    controls: mpsc::Receiver<Control<S>>,
    view: watch::Sender<View>,
    tags: u64,
    /// When the grace period ends, once it was told to stop.
    stop_at: Option<Instant>,
    halted: bool,
}

impl<Q, O, L, S, C, D> Task<Q, O, L, S, C, D>
where
    Q: Subscription,
    O: Outlet,
    L: Ledger,
    S: Sender,
    C: Clock,
    D: Dice,
{
    async fn run(mut self) -> Drained {
        let mut views = tokio::time::interval(VIEW_EVERY);
        views.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_drained() {
            let wake = self.owner.wake_at().map(|at| self.now().until(at).min(SLEEP_MAX));
            let grace = self.stop_at.map(|at| at.saturating_duration_since(Instant::now()));
            let input = tokio::select! {
                Some(answer) = self.performer.answers.next() => {
                    self.take_answers(answer).await;
                    None
                }
                incoming = self.queue.next(), if self.is_consuming() => {
                    self.take_deliveries(incoming).await;
                    None
                }
                Some(control) = self.controls.recv() => self.obey(control),
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => Some(Input::Tick),
                () = tokio::time::sleep(grace.unwrap_or_default()), if grace.is_some() => break,
                _ = views.tick() => {
                    self.say_view();
                    None
                }
            };
            if let Some(input) = input {
                self.handle(input).await;
            }
        }
        let uncertain = self.owner.uncertain();
        self.queue.leave().await;
        self.say_view();
        Drained { finished: self.performer.finished, returned: self.performer.returned, uncertain }
    }

    /// Takes an answer and those that are there by now, without going round the whole select for each.
    async fn take_answers(&mut self, first: Answer) {
        let mut next = Some(first);
        let mut left = AT_ONCE_MAX;
        while let Some(answer) = next {
            let input = match answer {
                Answer::Nothing => None,
                Answer::Input(input) => Some(input),
                Answer::Attempted(ended) => Some(self.tell(ended)),
            };
            if let Some(input) = input {
                self.handle(input).await;
            }
            left -= 1;
            next = if left > 0 { self.performer.answers.next().now_or_never().flatten() } else { None };
        }
    }

    /// Takes what the queue says, and what more it says at once.
    async fn take_deliveries(&mut self, first: Incoming<Q::Settler>) {
        let mut next = Some(first);
        let mut left = AT_ONCE_MAX;
        while let Some(incoming) = next {
            let input = self.take(incoming);
            self.handle(input).await;
            left -= 1;
            let more = left > 0 && self.is_consuming();
            next = if more { self.queue.next().now_or_never() } else { None };
        }
    }

    async fn handle(&mut self, input: Input) {
        let now = self.now();
        let mut steps = Vec::new();
        if let Some(jump) = self.watch.look(now, Instant::now()) {
            clock_set(&self.performer.connector, jump);
            steps = self.owner.handle(Input::ClockSet(jump), now);
        }
        steps.extend(self.owner.handle(input, now));
        for step in steps {
            if !self.performer.perform(step) {
                self.halted = true;
                self.queue.leave().await;
                self.say_view();
            }
        }
    }

    /// Tells what an attempt came to, and what is going to follow.
    fn tell(&mut self, ended: AttemptEnded) -> Input {
        let AttemptEnded { tag, alert_id, event_id, attempt, trace, span, outcome, took } = ended;
        let (now, chance) = (self.now(), self.performer.ports.dice.roll());
        let judged = self.owner.judge(tag, &outcome, chance, now);
        let told = DeliveryAttempted {
            alert_id,
            event_id: &event_id,
            attempt,
            trace,
            outcome: &outcome,
            took,
            judged: judged.as_ref(),
            now,
        };
        self.performer.meters.attempted(&told);
        span.ended(&outcome);
        Input::Attempted { tag, outcome, chance }
    }

    fn take(&mut self, incoming: Incoming<Q::Settler>) -> Input {
        match incoming {
            Incoming::Lost => {
                self.performer.hands.clear();
                Input::Lost
            }
            Incoming::Delivery(mut message, settler) => {
                self.performer.meters.received();
                crash::point(After::Received);
                self.tags += 1;
                let tag = Tag(self.tags);
                let span = self.performer.tracer.received(&mut message);
                self.performer.hands.insert(tag, Hand { settler, span });
                Input::Received { tag, message }
            }
        }
    }

    fn obey(&mut self, control: Control<S>) -> Option<Input> {
        match control {
            Control::Reload(settings, sender) => {
                self.performer.sender = sender;
                Some(Input::Configured(settings))
            }
            Control::Stop { grace } => {
                self.stop_at = Some(Instant::now() + grace);
                (self.performer.finished, self.performer.returned) = (0, 0);
                Some(Input::Stop)
            }
        }
    }

    fn is_consuming(&self) -> bool {
        self.stop_at.is_none() && !self.halted
    }

    fn is_drained(&self) -> bool {
        self.stop_at.is_some() && self.owner.is_empty() && self.performer.answers.is_empty()
    }

    fn say_view(&self) {
        let view = self.owner.view();
        self.performer.meters.viewed(&view, self.now());
        self.view.send_replace(view);
    }

    fn now(&self) -> UnixMillis {
        self.performer.ports.clock.now()
    }
}
