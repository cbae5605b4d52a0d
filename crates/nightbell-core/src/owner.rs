//! The owner: the state machine of one connector's queue. It is told what happened and says what to do.
//!
//! Its promises: every delivery is settled once, an ack follows only on a durable record or a confirmed copy, one event
//! is never attempted twice at the same time, and nothing waits in hand for ever. It holds no lock and does no I/O; the
//! worker performs its [`Step`]s and answers each [`Step::Look`], [`Step::Attempt`], [`Step::Record`] and
//! [`Step::Publish`] with one [`Input`].

mod clock;
mod compose;
mod gate;
mod in_hand;
mod intake;
mod settle;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::KeyPart;
use crate::breaker::Breaker;
use crate::connector::Connector;
use crate::dead::Reason;
use crate::fingerprint::Fingerprint;
use crate::message::Message;
use crate::outcome::{Outcome, Verdict};
use crate::pace::Rate;
use crate::policy::{Chance, Policy};
use crate::ports::{Alert, Destination};
use crate::record::{Change, Looked};
use crate::routing::Routing;
use crate::time::{Jump, UnixMillis};

use self::clock::Set;
use self::gate::Gate;
use self::in_hand::{InHand, Stage};
use self::turn::Turn;

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
        /// The delivery that it was asked about.
        tag: Tag,
        /// What it remembers.
        looked: Option<Looked>,
    },
    /// An attempt ended.
    Attempted {
        /// The delivery whose alert was sent.
        tag: Tag,
        /// What it came to.
        outcome: Outcome,
        /// For the jitter of a retry.
        chance: Chance,
    },
    /// The ledger answered a [`Step::Record`].
    Recorded {
        /// The delivery that the record is about.
        tag: Tag,
        /// Whether the record is durable.
        durable: bool,
    },
    /// The queue answered a [`Step::Publish`].
    Published {
        /// The delivery that the copy is of.
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
    /// Tell what an attempt came to; nothing depends on it.
    Tell {
        /// For which delivery.
        tag: Tag,
        /// What it came to.
        outcome: Outcome,
        /// What follows; none: the owner has halted, and has let go of the alert.
        judged: Option<Judged>,
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
        /// Where to.
        to: Destination,
        /// The copy.
        message: Message,
    },
    /// Acknowledge the delivery, if its subscription is still there, and count how it ended.
    Ack {
        /// The delivery.
        tag: Tag,
        /// How it ended.
        ending: Ending,
    },
    /// Put the delivery back into the queue.
    HandBack {
        /// The delivery.
        tag: Tag,
    },
    /// The ledger failed: leave the queue without acknowledging anything, so that a standby can take over.
    Halt,
}

/// What an attempt's end means for its alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What follows.
    pub verdict: Verdict,
    /// When the alert was accepted into the queue, as far as known.
    pub since: UnixMillis,
}

/// An answer to a step that the owner did not take, or that was answered before. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{answer} came for delivery {}, which waits for none", tag.0)]
pub struct Unexpected {
    /// The delivery that was named.
    pub tag: Tag,
    /// What came for it.
    pub answer: &'static str,
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
    /// All deliveries in hand, each at its stage; but not those that joined another one of the same event. Boxed, since they
    /// are taken out and put back at every stage.
    in_hand: HashMap<Tag, (Box<InHand>, Stage)>,
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
            in_hand: HashMap::new(),
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
    ///
    /// # Errors
    /// [`Unexpected`]: it is an answer that fits nothing that is being done.
    pub fn handle(&mut self, input: Input, now: UnixMillis) -> Result<Vec<Step>, Unexpected> {
        if self.mode == Mode::Halted {
            let Input::Attempted { tag, outcome, .. } = input else { return Ok(Vec::new()) };
            return Ok(vec![Step::Tell { tag, outcome, judged: None }]);
        }
        Turn { owner: self, now, steps: Vec::new() }.take(input)
    }

    /// When [`Input::Tick`] is wanted next; none while nothing waits.
    #[must_use]
    pub fn wake_at(&self) -> Option<UnixMillis> {
        if self.mode != Mode::Running {
            return None;
        }
        let waiting = !self.in_hand.is_empty() || !self.repeats.is_empty();
        let tick = waiting.then(|| self.ticked.after(TICK));
        let due = self.delayed.first().map(|(at, _)| *at);
        let gate = self.gate.opens_at().filter(|_| !self.ready.is_empty() && !self.gate.is_full());
        [tick, due, gate].into_iter().flatten().min()
    }

    /// What it is doing.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            held: self.in_hand.values().map(|(one, _)| one.count()).sum(),
            attempting: self.gate.attempting(),
            breaker: self.gate.breaker(),
            paused_until: self.gate.paused_until(),
            oldest_since: self.in_hand.values().map(|(one, _)| one.accepted).min(),
            halted: self.is_halted(),
        }
    }

    /// Whether the ledger failed.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.mode == Mode::Halted
    }

    /// Whether nothing is in hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_hand.is_empty()
    }

    /// The alerts whose attempt is not settled in the ledger: if the worker ends now, they may be sent twice.
    #[must_use]
    pub fn uncertain(&self) -> Vec<Fingerprint> {
        let uncertain = self.in_hand.values().filter(|(_, stage)| stage.is_uncertain());
        uncertain.map(|(one, _)| self.alert_id(one)).collect()
    }
}
