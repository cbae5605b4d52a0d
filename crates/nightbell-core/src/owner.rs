//! The owner: the state machine of one connector's queue. It is told what happened and says what to do.
//!
//! Its promises: every delivery is settled once, an ack follows only on a durable record or a confirmed copy, one event
//! is never attempted twice at the same time, and nothing waits in hand for ever. It holds no lock and does no I/O; the
//! worker performs its [`Step`]s and answers each [`Step::Look`], [`Step::Attempt`], [`Step::Record`] and
//! [`Step::Publish`] with one [`Input`].

mod clock;
mod compose;
mod gate;
mod held;
mod intake;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::KeyPart;
use crate::breaker::Breaker;
use crate::connector::Connector;
use crate::dead::Reason;
use crate::fingerprint::Fingerprint;
use crate::limits::{HANDED_BACK_AFTER, HELD_MAX};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::pace::Rate;
use crate::policy::{Chance, Policy};
use crate::ports::{Alert, Destination};
use crate::record::{Change, Looked};
use crate::routing::Routing;
use crate::time::{Jump, UnixMillis};

pub use self::settle::Judged;

use self::clock::Set;
use self::gate::Gate;
use self::held::{Held, Stage};

/// Names one delivery within one run of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// What an owner works by. A reload replaces it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connector.
    pub connector: Connector,
    /// Which events are whose.
    pub routing: Arc<Routing>,
    /// How long a delivered alert key suppresses repeats.
    pub window: Duration,
    /// How long a given event id is remembered.
    pub retention: Duration,
    /// What the alert key is computed from.
    pub by: Arc<[KeyPart]>,
    /// When to retry and when to give up.
    pub policy: Policy,
    /// The most attempts at one time.
    pub in_flight_max: usize,
    /// The most alerts in a time.
    pub rate: Option<Rate>,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The queue delivered a message.
    Received {
        /// Its name from now on; never used before.
        tag: Tag,
        /// The message.
        message: Message,
    },
    /// The ledger answered a [`Step::Look`]; none: it failed.
    Looked {
        /// Which.
        tag: Tag,
        /// The answer.
        looked: Option<Looked>,
    },
    /// An attempt ended.
    Attempted {
        /// Which.
        tag: Tag,
        /// How.
        outcome: Outcome,
        /// For the jitter of a retry.
        chance: Chance,
    },
    /// The ledger answered a [`Step::Record`].
    Recorded {
        /// Which.
        tag: Tag,
        /// Whether the record is durable.
        durable: bool,
    },
    /// The queue answered a [`Step::Publish`].
    Published {
        /// Which.
        tag: Tag,
        /// Whether the copy is confirmed.
        confirmed: bool,
    },
    /// The subscription is gone: every delivery that is not settled comes again.
    Lost,
    /// Time has passed.
    Tick,
    /// The clock was set; the time given with this is by the new one already.
    ClockSet(Jump),
    /// Begin nothing new and hand back what is not being attempted.
    Stop,
    /// The configuration was reloaded.
    Configured(Box<Settings>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask the ledger, and answer with [`Input::Looked`].
    Look {
        /// For which delivery.
        tag: Tag,
        /// The event.
        event: Fingerprint,
        /// The alert key at its severity and at higher ones.
        alerts: Vec<Fingerprint>,
    },
    /// Send the alert, and answer with [`Input::Attempted`].
    Attempt {
        /// For which delivery.
        tag: Tag,
        /// What to send.
        alert: Alert,
    },
    /// Make these changes durable, and answer with [`Input::Recorded`].
    Record {
        /// For which delivery.
        tag: Tag,
        /// What changes.
        changes: Vec<Change>,
    },
    /// Tell that the time stamp of an event of this project is not believed; nothing depends on it.
    Skewed {
        /// The project.
        project: String,
        /// How far the stamp is from the time at which the event was first seen.
        skew: Jump,
    },
    /// Make these changes some time soon; no answer is wanted, nothing rests on them.
    Note(Vec<Change>),
    /// Publish, and answer with [`Input::Published`].
    Publish {
        /// For which delivery.
        tag: Tag,
        /// Where.
        to: Destination,
        /// What.
        message: Message,
    },
    /// Acknowledge the delivery, if its subscription is still there, and count how it ended.
    Ack {
        /// Which.
        tag: Tag,
        /// How it ended.
        ending: Ending,
    },
    /// Put the delivery back into the queue.
    HandBack {
        /// Which.
        tag: Tag,
    },
    /// The ledger failed: leave the queue without acknowledging anything, so that a standby can take over.
    Halt,
}

/// How a delivery ended for this owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// xMatters has accepted the alert.
    Delivered {
        /// When the event was accepted into the queue, as far as known.
        since: UnixMillis,
    },
    /// It repeats what was settled, delivered or taken on before.
    Duplicate,
    /// It is not for this connector.
    Filtered,
    /// It is a dead letter now.
    Dead(Reason),
    /// A copy waits in a retry queue, after an attempt.
    Retried,
    /// A copy waits in a retry queue, and no attempt was spent.
    Parked,
}

/// What an owner is doing, for status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Deliveries in hand.
    pub held: usize,
    /// Attempts on their way.
    pub attempting: usize,
    /// The breaker.
    pub breaker: Breaker,
    /// Until when xMatters asked the connector to wait, if it did.
    pub paused_until: Option<UnixMillis>,
    /// When the oldest alert in hand was accepted into the queue.
    pub oldest_since: Option<UnixMillis>,
    /// Whether the ledger failed.
    pub halted: bool,
}

/// The state machine of one connector's queue.
#[derive(Debug)]
pub struct Owner {
    settings: Settings,
    gate: Gate,
    /// All deliveries in hand, but twins.
    held: HashMap<Tag, Held>,
    /// The one delivery in hand of each event.
    by_event: HashMap<Fingerprint, Tag>,
    /// The one delivery in hand that may be sent under each alert key and severity.
    by_alert: HashMap<Fingerprint, Tag>,
    /// Those that may be sent as soon as the gate opens, in order.
    ready: VecDeque<Tag>,
    /// Those that may go on at a certain time.
    delayed: BTreeSet<(UnixMillis, Tag)>,
    /// Repeats of delivered alert keys that are not yet in the ledger: how many, and the latest.
    repeats: HashMap<Fingerprint, (u32, UnixMillis)>,
    ticked: UnixMillis,
    /// How far the clock was set forth, and when.
    set_forth: Option<Set>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Stopping,
    Halted,
}

/// How often an owner wants [`Input::Tick`] while it holds anything.
const TICK: Duration = Duration::from_secs(1);

impl Owner {
    /// An owner that holds nothing.
    #[must_use]
    pub fn new(settings: Settings, now: UnixMillis) -> Self {
        Self {
            gate: Gate::new(&settings),
            settings,
            held: HashMap::new(),
            by_event: HashMap::new(),
            by_alert: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            repeats: HashMap::new(),
            ticked: now,
            set_forth: None,
            mode: Mode::Running,
        }
    }

    /// Takes what happened and says what to do, in order.
    pub fn handle(&mut self, input: Input, now: UnixMillis) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.mode == Mode::Halted {
            return steps;
        }
        match input {
            Input::Received { tag, message } => self.receive(tag, message, now, &mut steps),
            Input::Looked { tag, looked: Some(looked) } => self.looked(tag, &looked, now, &mut steps),
            Input::Looked { looked: None, .. } | Input::Recorded { durable: false, .. } => {
                self.halt(&mut steps);
            }
            Input::Attempted { tag, outcome, chance } => {
                self.attempted(tag, &outcome, chance, now, &mut steps);
            }
            Input::Recorded { tag, durable: true } => self.recorded(tag, now, &mut steps),
            Input::Published { tag, confirmed: true } => self.published(tag, now, &mut steps),
            Input::Published { tag, confirmed: false } => self.not_published(tag, now, &mut steps),
            Input::Lost => self.lost(),
            Input::Tick => {}
            Input::ClockSet(jump) => self.clock_set(jump, now),
            Input::Stop => self.stop(&mut steps),
            Input::Configured(settings) => {
                self.gate.configure(&settings);
                self.settings = *settings;
            }
        }
        if self.mode == Mode::Running {
            self.tick(now, &mut steps);
            self.pump(now, &mut steps);
        }
        steps
    }

    /// When [`Input::Tick`] is wanted next; none while nothing waits.
    #[must_use]
    pub fn wake_at(&self) -> Option<UnixMillis> {
        if self.mode != Mode::Running {
            return None;
        }
        let waiting = !self.held.is_empty() || !self.repeats.is_empty();
        let tick = waiting.then(|| self.ticked.after(TICK));
        let due = self.delayed.first().map(|(at, _)| *at);
        let gate = self.gate.opens_at().filter(|_| !self.ready.is_empty() && !self.gate.is_full());
        [tick, due, gate].into_iter().flatten().min()
    }

    /// What it is doing.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            held: self.held.values().map(|held| 1 + held.twins.len() + held.survivors.len()).sum(),
            attempting: self.gate.attempting(),
            breaker: self.gate.breaker(),
            paused_until: self.gate.paused_until(),
            oldest_since: self.held.values().map(|held| held.accepted).min(),
            halted: self.mode == Mode::Halted,
        }
    }

    /// Whether nothing is in hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The alerts whose attempt is not settled in the ledger: if the worker ends now, they may be sent twice.
    #[must_use]
    pub fn uncertain(&self) -> Vec<Fingerprint> {
        let attempting = |held: &&Held| matches!(held.stage, Stage::Attempting | Stage::RecordingDelivery);
        self.held.values().filter(attempting).map(|held| self.alert_id(held)).collect()
    }

    /// Once a second: hands over counted repeats, parks what has waited too long, and gives back what can't be parked.
    fn tick(&mut self, now: UnixMillis, steps: &mut Vec<Step>) {
        self.wake_delayed(now, steps);
        if now < self.ticked.after(TICK) && self.ticked <= now {
            return;
        }
        self.ticked = now;
        self.note_repeats(steps);
        let overdue = |held: &Held, bound| held.is_idle() && now.since(held.held_since) >= bound;
        let mut over: Vec<Tag> =
            self.held.iter().filter(|(_, held)| overdue(held, HELD_MAX)).map(|(tag, _)| *tag).collect();
        over.sort_unstable();
        for tag in over {
            let Some(held) = self.held.get(&tag) else { continue };
            if overdue(held, HANDED_BACK_AFTER) {
                self.hand_back(tag, steps);
            } else if held.may_be_parked(now) {
                self.park(tag, now, steps);
            }
        }
    }

    fn wake_delayed(&mut self, now: UnixMillis, steps: &mut Vec<Step>) {
        while let Some((at, tag)) = self.delayed.first().copied().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, tag));
            let Some(held) = self.held.get(&tag) else { continue };
            match held.stage {
                Stage::Waiting if held.is_due(now) => self.ready.push_back(tag),
                Stage::DeadLetterAt => self.publish_dead(tag, now, steps),
                Stage::Waiting
                | Stage::Looking
                | Stage::Following
                | Stage::Attempting
                | Stage::RecordingDelivery
                | Stage::Claiming { .. }
                | Stage::PublishingRetry { .. }
                | Stage::PublishingDead
                | Stage::RecordingDeath => {}
            }
        }
    }

    /// Sends what is ready, as far as the gate lets it pass.
    fn pump(&mut self, now: UnixMillis, steps: &mut Vec<Step>) {
        while let Some(tag) = self.ready.front().copied() {
            let waits = self.held.get(&tag).is_some_and(|held| held.is_due(now));
            if waits && !self.gate.pass(now) {
                return;
            }
            self.ready.pop_front();
            if let Some(alert) = self.alert(tag).filter(|_| waits) {
                self.set_stage(tag, Stage::Attempting);
                steps.push(Step::Attempt { tag, alert });
            }
        }
    }

    fn halt(&mut self, steps: &mut Vec<Step>) {
        self.mode = Mode::Halted;
        self.forget_all();
        steps.push(Step::Halt);
    }

    /// Deliveries that nothing is being done for come again; the others go on, and find nothing to settle at their end.
    fn lost(&mut self) {
        self.held.retain(|_, held| !held.is_idle());
        for held in self.held.values_mut() {
            held.is_orphan = true;
            held.twins.clear();
            held.survivors.clear();
            held.followers.clear();
        }
        let held = &self.held;
        self.by_event.retain(|_, tag| held.contains_key(tag));
        self.by_alert.retain(|_, tag| held.contains_key(tag));
        self.ready.clear();
        self.delayed.clear();
    }

    fn stop(&mut self, steps: &mut Vec<Step>) {
        self.mode = Mode::Stopping;
        self.note_repeats(steps);
        let mut idle: Vec<Tag> =
            self.held.iter().filter(|(_, held)| held.is_idle()).map(|(tag, _)| *tag).collect();
        idle.sort_unstable();
        idle.into_iter().for_each(|tag| self.hand_back(tag, steps));
    }

    fn forget_all(&mut self) {
        self.held.clear();
        self.by_event.clear();
        self.by_alert.clear();
        self.ready.clear();
        self.delayed.clear();
    }

    fn set_stage(&mut self, tag: Tag, stage: Stage) {
        if let Some(held) = self.held.get_mut(&tag) {
            held.stage = stage;
        }
    }
}
