//! The world of one history: simulated time, the queues, and the orders that it has for the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::journey::Journey;
use nightbell_core::message::Message;
use nightbell_core::owner::Settings;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bugs::Bug;
use crate::chance::Chances;
use crate::happens::Happens;
use crate::plan::{HOUR, Plan, START};
use crate::queue::{Inbox, Lane, Token};
use crate::store::Store;

/// A message in a queue, with the truth about it that nobody else sees.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) serial: usize,
    pub(crate) event: usize,
    /// When this journey began: when it was replayed, or first seen by an owner.
    pub(crate) since: u64,
    pub(crate) replay: Option<u64>,
    /// How often it was given back to the queue.
    pub(crate) returns: u32,
    pub(crate) message: Message,
}

impl Copy {
    /// Whether it was put back for one connector, so that no other has it.
    pub(crate) fn is_put_back(&self) -> bool {
        Journey::read(&self.message.headers).addressed_to.is_some()
    }
}

/// What is to be done to the process, by whoever drives it.
#[derive(Debug)]
pub(crate) enum Order {
    Spawn,
    Kill,
    Stop {
        grace: u64,
    },
    Reload,
    /// An owner that does not wake up by itself wanted to be woken now.
    Wake {
        lane: usize,
        at: u64,
    },
    /// The grace period that nobody else waits for is over.
    GraceOver,
}

/// How a history went.
#[derive(Debug)]
pub(crate) struct Went {
    pub(crate) wrong: Option<String>,
    pub(crate) trace: Vec<String>,
    /// The same for the same history.
    pub(crate) digest: u64,
    /// Delivered, suppressed, filtered, dead.
    pub(crate) ended: [usize; 4],
    /// Acceptances beyond the first of an event, all in the documented window.
    pub(crate) twice: u32,
    pub(crate) days: u64,
}

/// How long after the last fault everything has to be settled.
const QUIET_WITHIN: u64 = 3 * HOUR;

/// How often the clock may be read within one millisecond.
const READS_MAX: u32 = 20_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chances: Chances,
    pub(crate) bug: Option<Bug>,
    began: Instant,
    pub(crate) now: u64,
    reads: (u64, u32),
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) stopping: bool,
    pub(crate) finishing: bool,
    pub(crate) broker_until: u64,
    pub(crate) confirms_bad_until: u64,
    pub(crate) routing: usize,
    pub(crate) slots: usize,
    pub(crate) slots_max: usize,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) dead: Vec<(usize, Copy)>,
    pub(crate) store: Store,
    pub(crate) batches: u64,
    pub(crate) flushed_at: u64,
    pub(crate) numbers: u64,
    /// A crash after so many further calls of a port, and how long the process is down then.
    pub(crate) crash_in: Option<(u32, u64)>,
    pub(crate) down_for: u64,
    /// A stop when the next POST is on its way.
    pub(crate) stop_at_post: Option<(u64, u64)>,
    pub(crate) orders: Vec<Order>,
    pub(crate) wrong: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
    /// One at a time: the worker rests between any two.
    pub(crate) to_come: BTreeMap<u64, Happens>,
    pub(crate) sooner: Arc<Notify>,
    pub(crate) to_publish: usize,
    pub(crate) digest: u64,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        let plan = Plan::of(seed);
        let (slots, to_publish) = (plan.slots, plan.publishes.len());
        let mut world = Self {
            chances: Chances::new(seed ^ 0xbeef_cafe),
            bug,
            began: Instant::now(),
            now: START,
            reads: (0, 0),
            life: 0,
            up: false,
            stopping: false,
            finishing: false,
            broker_until: 0,
            confirms_bad_until: 0,
            routing: 0,
            slots,
            slots_max: slots,
            lanes: (0..plan.lanes).map(|_| Lane::new(&plan)).collect(),
            dead: Vec::new(),
            store: Store::default(),
            batches: 0,
            flushed_at: 0,
            numbers: 0,
            crash_in: None,
            down_for: 0,
            stop_at_post: None,
            orders: Vec::new(),
            wrong: None,
            trace: traced.then(Vec::new),
            to_come: BTreeMap::new(),
            sooner: Arc::new(Notify::new()),
            to_publish,
            digest: seed,
            plan,
        };
        world.at(START, Happens::Start { life: 0 });
        world.at(world.plan.faults_end + 1, Happens::Calm);
        for number in 0..to_publish {
            world.at(world.plan.publishes[number].0, Happens::Published(number));
        }
        for number in 0..world.plan.faults.len() {
            world.at(world.plan.faults[number].0, Happens::Strike(number));
        }
        world
    }

    /// Reads the runtime's paused clock.
    pub(crate) fn read_clock(&mut self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).expect("days");
        self.now = START + passed;
    }

    /// Counts a look at the clock: a loop that never rests looks at it again and again.
    pub(crate) fn count_read(&mut self) {
        let (at, count) = self.reads;
        self.reads = if at == self.now { (at, count + 1) } else { (self.now, 1) };
        if self.reads.1 > READS_MAX {
            self.wrong("the worker never rests");
            panic!("it would go on for ever");
        }
    }

    pub(crate) fn at(&mut self, at: u64, what: Happens) {
        let mut at = at;
        while self.to_come.contains_key(&at) {
            at += 1;
        }
        if self.next_at().is_none_or(|next| at < next) {
            self.sooner.notify_one();
        }
        self.to_come.insert(at, what);
    }

    pub(crate) fn after(&mut self, wait: u64, what: Happens) {
        self.at(self.now + wait.max(1), what);
    }

    pub(crate) fn soon(&mut self, max: u64) -> u64 {
        self.chances.between(1, max)
    }

    /// How long it is until the next thing is due; none: something waits for ever.
    pub(crate) fn wait_for_next(&mut self) -> Option<u64> {
        // The owners may have something to do by themselves, later.
        let end = self.plan.faults_end + QUIET_WITHIN;
        let next = self.next_at().map_or(end, |at| at.min(end));
        if self.now >= end {
            self.wrong("something waits for ever");
        }
        (self.now < end).then(|| next.saturating_sub(self.now))
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.to_come.keys().next().copied()
    }

    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.say(|| format!("WRONG: {what}"));
        self.wrong.get_or_insert(what);
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let (seconds, ms) = ((self.now - START) / 1000, (self.now - START) % 1000);
            trace.push(format!("{seconds:>7}.{ms:03} {}", line()));
        }
    }

    pub(crate) fn mark(&mut self, what: u64) {
        self.digest = (self.digest ^ self.now ^ (what << 48)).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    /// One step further towards a crash; true: it has come, and nothing that the process does counts any more.
    pub(crate) fn is_struck(&mut self) -> bool {
        let Some((steps, down)) = &mut self.crash_in else { return false };
        if *steps == 1 {
            let (life, down) = (self.life, *down);
            self.crash_in = Some((0, down));
            self.after(1, Happens::Crash { life, down });
            return true;
        }
        *steps = steps.saturating_sub(1);
        *steps == 0
    }

    pub(crate) fn is_broker_up(&self) -> bool {
        self.now >= self.broker_until
    }

    /// Whether what the process does still counts.
    pub(crate) fn is_alive(&self) -> bool {
        self.up && self.crash_in.is_none_or(|(steps, _)| steps > 0)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.wrong.is_some() || self.finishing && !self.up
    }

    /// Whether the owners have nothing to do, as far as the world knows.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    pub(crate) fn settings(&self, lane: usize) -> Settings {
        self.plan.settings(lane, self.slots, self.routing, self.bug)
    }

    /// A new subscription's end in the world, with the settings of its owner; true: its `next` dawdles.
    pub(crate) fn connect(&mut self, lane: usize, inbox: Inbox) -> (Settings, bool) {
        self.lanes[lane].life.inbox = Some(inbox);
        (self.settings(lane), self.bug == Some(Bug::NextNotCancelSafe))
    }

    /// The right to settle a delivery is gone. Unused it may go only for what comes again.
    pub(crate) fn dropped(&mut self, token: Token, is_settled: bool) {
        let state = &mut self.lanes[token.lane];
        state.life.rights -= usize::from(token.life == self.life && self.up);
        let comes_again = is_settled
            || token.life != self.life
            || token.session != state.session
            || state.life.has_left
            || self.store.failed;
        if !comes_again {
            self.wrong(format!("c{}: delivery {} is dropped, and not settled", token.lane, token.number));
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.to_publish == 0
            && self.now > self.plan.faults_end
            && self.up
            && !self.stopping
            && self.lanes.iter().all(Lane::is_quiet)
    }

    pub(crate) fn went(&mut self) -> Went {
        let (mut ended, mut twice) = ([0; 4], 0);
        for lane in 0..self.lanes.len() {
            let truth = &self.lanes[lane].truth;
            twice += truth.cases.iter().map(|case| case.accepted.saturating_sub(1)).sum::<u32>();
            match truth.conserved() {
                Ok(counts) => (0..4).for_each(|end| ended[end] += counts[end]),
                Err(error) => self.wrong(error),
            }
        }
        Went {
            wrong: self.wrong.take(),
            trace: self.trace.take().unwrap_or_default(),
            digest: self.digest,
            ended,
            twice,
            days: (self.now - START) / (24 * HOUR),
        }
    }
}
