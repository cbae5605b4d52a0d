//! One owner's loop: wait, decide (core), perform.

use std::time::Duration;

use futures::FutureExt as _;
use nightbell_core::owner::{Input, Owner, Settings, Step, View};
use nightbell_core::ports::{Clock as _, Incoming, Subscription as _};
use nightbell_core::time::UnixMillis;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::Watch;
use crate::handle::{Control, Drained, OwnerHandle};
use crate::perform::{Performer, SettlerOf};
use crate::ports::{Ports, SharedPorts};
use crate::telemetry;

/// The most controls that wait for an owner.
const CONTROLS_MAX: usize = 8;

/// The most answers, or deliveries, that are taken in one go before all others get their turn.
const AT_ONCE_MAX: usize = 64;

/// The longest sleep: a time to wake up at may be days away once the clock was set back.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How often an owner says what it is doing.
const VIEW_EVERY: Duration = Duration::from_secs(1);

/// Starts an owner. It ends when it is told to stop; when its ledger failed, it stays, leaves its queue and does nothing.
pub fn spawn<P: Ports>(
    settings: Settings,
    queue: P::Subscription,
    sender: P::Sender,
    ports: SharedPorts<P>,
) -> OwnerHandle<P::Sender> {
    let connector = settings.connector.clone();
    let (control, controls) = mpsc::channel(CONTROLS_MAX);
    let now = ports.clock.now();
    let (owner, watch) = (Owner::new(settings, now), Watch::new(now, Instant::now()));
    let (view, views) = watch::channel(owner.view());
    let performer = Performer::new(connector.clone(), sender, ports);
    let task = Task { owner, watch, queue, performer, controls, view, stop_at: None };
    OwnerHandle { connector, control, view: views, ended: tokio::spawn(task.run()) }
}

struct Task<P: Ports> {
    owner: Owner,
    watch: Watch,
    queue: P::Subscription,
    performer: Performer<P>,
    controls: mpsc::Receiver<Control<P::Sender>>,
    view: watch::Sender<View>,
    /// When the grace period ends, once it was told to stop.
    stop_at: Option<Instant>,
}

impl<P: Ports> Task<P> {
    async fn run(mut self) -> Drained {
        let mut views = tokio::time::interval(VIEW_EVERY);
        views.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_drained() {
            let wake = self.owner.wake_at().map(|at| self.now().until(at).min(SLEEP_MAX));
            let grace = self.stop_at.map(|at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                Some(answer) = self.performer.next_answer() => self.take_answers(answer).await,
                incoming = self.queue.next(), if self.is_consuming() => self.take_deliveries(incoming).await,
                Some(control) = self.controls.recv() => self.obey(control).await,
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {
                    self.handle(Input::Tick).await;
                }
                () = tokio::time::sleep(grace.unwrap_or_default()), if grace.is_some() => break,
                _ = views.tick() => self.say_view(),
            }
        }
        let uncertain = self.owner.uncertain();
        self.queue.leave().await;
        self.say_view();
        self.performer.drained(uncertain)
    }

    /// Takes an answer and those that are there by now, without going round the whole select for each.
    async fn take_answers(&mut self, first: Option<Input>) {
        let mut next = Some(first);
        let mut left = AT_ONCE_MAX;
        while let Some(answer) = next {
            if let Some(input) = answer {
                self.handle(input).await;
            }
            left -= 1;
            next = if left > 0 { self.performer.next_answer().now_or_never().flatten() } else { None };
        }
    }

    /// Takes what the queue says, and what more it says at once.
    async fn take_deliveries(&mut self, first: Incoming<SettlerOf<P>>) {
        let mut next = Some(first);
        let mut left = AT_ONCE_MAX;
        while let Some(incoming) = next {
            let input = match incoming {
                Incoming::Lost => self.performer.lost(),
                Incoming::Delivery(message, settler) => self.performer.received(message, settler),
            };
            self.handle(input).await;
            left -= 1;
            let more = left > 0 && self.is_consuming();
            next = if more { self.queue.next().now_or_never() } else { None };
        }
    }

    async fn handle(&mut self, input: Input) {
        let now = self.now();
        if let Some(jump) = self.watch.look(now, Instant::now()) {
            telemetry::clock_set(self.performer.connector(), jump);
            self.decide(Input::ClockSet(jump), now).await;
        }
        self.decide(input, now).await;
    }

    /// Asks core what follows, and does it.
    async fn decide(&mut self, input: Input, now: UnixMillis) {
        let steps = self.owner.handle(input, now).unwrap_or_else(|unexpected| {
            telemetry::unexpected(self.performer.connector(), unexpected);
            Vec::new()
        });
        for step in steps {
            let halts = matches!(step, Step::Halt);
            self.performer.perform(step);
            if halts {
                self.queue.leave().await;
                self.say_view();
            }
        }
    }

    async fn obey(&mut self, control: Control<P::Sender>) {
        let input = match control {
            Control::Reload(settings, sender) => {
                self.performer.send_by(sender);
                Input::Configured(settings)
            }
            Control::Stop { grace } => {
                self.stop_at = Some(Instant::now() + grace);
                self.performer.count_anew();
                Input::Stop
            }
        };
        self.handle(input).await;
    }

    fn is_consuming(&self) -> bool {
        self.stop_at.is_none() && !self.owner.is_halted()
    }

    fn is_drained(&self) -> bool {
        self.stop_at.is_some() && self.owner.is_empty() && self.performer.is_idle()
    }

    fn say_view(&self) {
        let view = self.owner.view();
        self.performer.say_view(&view);
        self.view.send_replace(view);
    }

    fn now(&self) -> UnixMillis {
        self.performer.now()
    }
}
