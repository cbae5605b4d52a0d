//! The world of one history: simulated time, the process with its owners, and the faults that strike it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Input, Tag};
use nightbell_core::ports::Destination;
use nightbell_core::record::Change;

use crate::bugs::Bug;
use crate::chance::Chances;
use crate::lane::{Copy, Lane};
use crate::plan::{self, Fault, HOUR, MINUTE, Plan, SECOND, START, Weather};
use crate::store::Store;

/// What comes to pass at a certain time. With a `life`, only for the process of that life.
#[derive(Debug)]
pub(crate) enum Happens {
    Published(usize),
    Strike(usize),
    Deliver { lane: usize, session: u32 },
    Look { life: u32, lane: usize, tag: Tag, event: Fingerprint, alerts: Vec<Fingerprint> },
    Arrive { life: u32, lane: usize, tag: Tag, serial: usize, sent: u64 },
    LateAcceptance { lane: usize, serial: usize },
    Answer { life: u32, lane: usize, input: Box<Input> },
    Write { life: u32, lane: usize, tag: Option<Tag>, changes: Vec<Change> },
    Flush { life: u32, lane: usize, tag: Option<Tag>, number: u64, delivered: bool },
    Land { life: u32, lane: usize, tag: Tag, to: Destination, copy: Box<Copy> },
    Return { lane: usize, copy: Box<Copy> },
    Settled { lane: usize, session: u32, tag: Tag, back: bool },
    TimedOut { lane: usize, session: u32, tag: Tag },
    ToldLost { life: u32, lane: usize },
    Attach { life: u32, lane: usize },
    Wake { life: u32, lane: usize },
    StopEnds { life: u32 },
    Start { life: u32 },
    Restart { life: u32 },
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    number: u64,
    what: Happens,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Another end of the history than a quiet one.
const EVENTS_MAX: u64 = 3_000_000;

/// How long after the last fault everything has to be settled.
const QUIET_WITHIN: u64 = 3 * HOUR;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chances: Chances,
    pub(crate) bug: Option<Bug>,
    pub(crate) now: u64,
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) stopping: bool,
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
    pub(crate) tags: u64,
    /// A crash after so many further steps, and how long the process is down then.
    pub(crate) crash_in: Option<(u32, u64)>,
    down_for: u64,
    pub(crate) wrong: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
    heap: BinaryHeap<Reverse<Scheduled>>,
    numbers: u64,
    to_publish: usize,
    pub(crate) digest: u64,
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

/// Lives through one history.
pub(crate) fn live(seed: u64, bug: Option<Bug>, traced: bool) -> Went {
    let mut world = World::new(seed, bug, traced);
    world.run();
    let mut ended = [0; 4];
    let mut twice = 0;
    for lane in &world.lanes {
        match lane.truth.conserved() {
            Ok(counts) => (0..4).for_each(|end| ended[end] += counts[end]),
            Err(error) => drop(world.wrong.get_or_insert(error)),
        }
        twice += lane.truth.cases.iter().map(|case| case.accepted.saturating_sub(1)).sum::<u32>();
    }
    Went {
        wrong: world.wrong,
        trace: world.trace.unwrap_or_default(),
        digest: world.digest,
        ended,
        twice,
        days: (world.now - START) / (24 * HOUR),
    }
}

impl World {
    fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        let plan = Plan::of(seed);
        let slots = plan.slots;
        let lanes = (0..plan.lanes).map(|lane| Lane::new(&plan, lane, slots, bug)).collect();
        let mut world = Self {
            chances: Chances::new(seed ^ 0xdead_beef),
            bug,
            now: START,
            life: 1,
            up: true,
            stopping: false,
            broker_until: 0,
            confirms_bad_until: 0,
            routing: 0,
            slots,
            slots_max: slots,
            lanes,
            dead: Vec::new(),
            store: Store::default(),
            batches: 0,
            flushed_at: 0,
            tags: 0,
            crash_in: None,
            down_for: 0,
            wrong: None,
            trace: traced.then(Vec::new),
            heap: BinaryHeap::new(),
            numbers: 0,
            to_publish: plan.publishes.len(),
            digest: seed,
            plan,
        };
        for number in 0..world.plan.publishes.len() {
            world.at(world.plan.publishes[number].0, Happens::Published(number));
        }
        for number in 0..world.plan.faults.len() {
            world.at(world.plan.faults[number].0, Happens::Strike(number));
        }
        world
    }

    pub(crate) fn at(&mut self, at: u64, what: Happens) {
        self.numbers += 1;
        self.heap.push(Reverse(Scheduled { at, number: self.numbers, what }));
    }

    pub(crate) fn after(&mut self, wait: u64, what: Happens) {
        self.at(self.now + wait, what);
    }

    pub(crate) fn soon(&mut self, max: u64) -> u64 {
        self.chances.between(1, max)
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

    fn run(&mut self) {
        while self.wrong.is_none() && !self.is_quiet() {
            let Some(Reverse(next)) = self.heap.pop() else {
                if self.to_publish == 0 && self.lanes.iter().all(Lane::is_quiet) {
                    break;
                }
                return self.wrong("nothing is to happen any more, and something waits");
            };
            self.now = next.at;
            self.digest = (self.digest ^ next.at).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
            if self.now > self.plan.faults_end + QUIET_WITHIN || self.numbers > EVENTS_MAX {
                return self.wrong("something waits for ever");
            }
            self.happen(next.what);
            if let Some((0, down)) = self.crash_in {
                self.crash(down);
            }
        }
        if self.wrong.is_none() {
            self.check_memory();
        }
    }

    fn is_quiet(&self) -> bool {
        self.to_publish == 0
            && self.now > self.plan.faults_end
            && self.up
            && self.lanes.iter().all(Lane::is_quiet)
    }

    /// What the owners keep when there is nothing to do.
    fn check_memory(&mut self) {
        for number in 0..self.lanes.len() {
            let later = self.now + HOUR;
            self.now = later;
            self.tell(number, Input::Tick);
            let shown = format!("{:?}", self.lanes[number].owner);
            for part in
                ["in_hand: {}", "by_event: {}", "by_alert: {}", "ready: []", "delayed: {}", "repeats: {}"]
            {
                if !shown.contains(part) {
                    self.wrong(format!("an idle owner keeps something: no `{part}` in {shown}"));
                }
            }
        }
    }

    fn happen(&mut self, what: Happens) {
        let life = self.life;
        let up = self.up;
        match what {
            Happens::Published(serial) => self.take_event(serial),
            Happens::Strike(fault) => self.strike(self.plan.faults[fault].1),
            Happens::Deliver { lane, session } => self.delivered(lane, session),
            Happens::Arrive { life: then, lane, tag, serial, sent } => {
                // The request of a process that is gone may arrive, or not.
                if then == life || self.chances.permille(500) {
                    self.arrive(then, lane, tag, serial, sent);
                }
            }
            Happens::LateAcceptance { lane, serial } => self.accept(lane, serial, false),
            Happens::Land { life: then, lane, tag, to, copy } => {
                if then == life || self.chances.permille(500) {
                    self.land(then, lane, tag, to, *copy);
                }
            }
            Happens::Return { lane, copy } => self.return_from_rung(lane, *copy),
            Happens::Settled { lane, session, tag, back } => self.settled(lane, session, tag, back),
            Happens::TimedOut { lane, session, tag } => {
                let held = &self.lanes[lane];
                if held.session == session && held.unacked.get(&tag).is_some_and(|held| !held.leaving) {
                    self.say(|| format!("c{lane}: the consumer time-out strikes for {tag:?}"));
                    self.lose(lane);
                }
            }
            Happens::Start { life: then } if then == life => self.start(),
            Happens::Look { life: then, lane, tag, event, alerts } if then == life && up => {
                self.look(lane, tag, event, alerts);
            }
            Happens::Answer { life: then, lane, input } if then == life && up => self.answer(lane, *input),
            Happens::Write { life: then, lane, tag, changes } if then == life && up => {
                self.write(lane, tag, changes);
            }
            Happens::Flush { life: then, lane, tag, number, delivered } if then == life && up => {
                self.flush(lane, tag, number, delivered);
            }
            Happens::ToldLost { life: then, lane } if then == life && up => self.tell_lost(lane),
            Happens::Attach { life: then, lane } if then == life && up => self.attach(lane),
            Happens::Wake { life: then, lane } if then == life && up => self.wake(lane),
            Happens::StopEnds { life: then } if then == life && up => self.end_life(self.down_for, false),
            Happens::Restart { life: then } if then == life && up => self.crash(SECOND),
            Happens::Look { .. }
            | Happens::Answer { .. }
            | Happens::Write { .. }
            | Happens::Flush { .. }
            | Happens::ToldLost { .. }
            | Happens::Attach { .. }
            | Happens::Wake { .. }
            | Happens::StopEnds { .. }
            | Happens::Start { .. }
            | Happens::Restart { .. } => {}
        }
    }

    /// A producer publishes until the broker confirms; the exchange gives a copy to every connector's queue.
    fn take_event(&mut self, serial: usize) {
        if !self.is_broker_up() {
            return self.after(5 * SECOND, Happens::Published(serial));
        }
        self.to_publish -= 1;
        let (_, event, age) = self.plan.publishes[serial];
        let since = self.now - age;
        let message = plan::published(&self.plan.events[event], since);
        self.say(|| format!("message {serial} is published: event {event}"));
        for lane in 0..self.lanes.len() {
            let copy = Copy { serial, event, since, replay: None, returns: 0, message: message.clone() };
            self.lanes[lane].truth.taken[serial] = true;
            self.lanes[lane].truth.comes(&self.plan, event);
            self.enqueue(lane, copy);
        }
    }

    fn strike(&mut self, fault: Fault) {
        self.say(|| format!("{fault:?}"));
        match fault {
            Fault::Crash { down } => self.crash(down),
            Fault::CrashAtStep { steps, down } => self.crash_in = Some((steps + 1, down)),
            Fault::Stop { grace, down } => self.stop(grace, down),
            Fault::LedgerFails => {
                self.store.failed = true;
                let life = self.life;
                self.after(10 * MINUTE, Happens::Restart { life });
            }
            Fault::LedgerWillNotOpen => {
                self.store.will_not_open = true;
                self.crash(SECOND);
            }
            Fault::ChannelLost { lane } => self.lose(lane),
            Fault::BrokerDown { time } => {
                self.broker_until = self.now + time;
                (0..self.lanes.len()).for_each(|lane| self.lose(lane));
            }
            Fault::ConfirmsBad { time } => self.confirms_bad_until = self.now + time,
            Fault::Weather { lane, weather, time } => self.lanes[lane].weather = (weather, self.now + time),
            Fault::Reload { slots, routing } => self.reload(slots, routing),
            Fault::Replay { share } => self.replay(share),
        }
    }

    fn reload(&mut self, slots: usize, routing: usize) {
        (self.slots, self.routing, self.slots_max) = (slots, routing, self.slots_max.max(slots));
        for lane in 0..self.lanes.len() {
            if self.up {
                let settings = self.plan.settings(lane, slots, routing, self.bug);
                self.tell(lane, Input::Configured(Box::new(settings)));
            }
        }
    }

    fn stop(&mut self, grace: u64, down: u64) {
        if !self.up || self.stopping {
            return;
        }
        self.stopping = true;
        self.down_for = down;
        let life = self.life;
        self.after(grace, Happens::StopEnds { life });
        (0..self.lanes.len()).for_each(|lane| self.tell(lane, Input::Stop));
        self.end_if_drained();
    }

    pub(crate) fn end_if_drained(&mut self) {
        let drained = |lane: &Lane| lane.owner.is_empty() && lane.outstanding == 0;
        if self.up && self.stopping && self.lanes.iter().all(drained) {
            self.end_life(self.down_for, true);
        }
    }

    pub(crate) fn crash(&mut self, down: u64) {
        self.crash_in = None;
        if self.up {
            self.say(|| "the process crashes".into());
            self.end_life(down, false);
        }
    }

    fn end_life(&mut self, down: u64, drained: bool) {
        (self.up, self.stopping) = (false, false);
        self.life += 1;
        self.store.crash(&mut self.chances);
        for lane in 0..self.lanes.len() {
            self.drop_session(lane, drained);
            let (now, store, events) = (self.now, &self.store, &self.plan.events);
            let is_recorded = |event: usize| store.is_delivered(lane, events[event].name, now);
            self.lanes[lane].truth.process_ended(&self.plan, is_recorded);
        }
        let life = self.life;
        self.after(down, Happens::Start { life });
    }

    fn start(&mut self) {
        let resets = self.store.resets;
        self.store.open();
        let reset = self.store.resets > resets;
        self.up = true;
        (self.flushed_at, self.slots_max) = (self.now, self.slots);
        self.say(|| format!("the process starts{}", if reset { " with a new ledger" } else { "" }));
        for lane in 0..self.lanes.len() {
            let settings = self.plan.settings(lane, self.slots, self.routing, self.bug);
            let fresh = &mut self.lanes[lane];
            fresh.begin(settings, self.now);
            if reset {
                fresh.truth.ledger_reset();
            }
            let (life, wait) = (self.life, self.soon(500));
            self.after(wait, Happens::Attach { life, lane });
        }
    }

    /// An operator replays dead letters: a copy first, and the letter goes when the copy is confirmed.
    fn replay(&mut self, share: u64) {
        if !self.is_broker_up() {
            return;
        }
        for (lane, mut letter) in std::mem::take(&mut self.dead) {
            let bad = self.now < self.confirms_bad_until;
            let Some(confirmed) = replay_of(&mut self.chances, bad, share) else {
                self.dead.push((lane, letter));
                continue;
            };
            let truth = &mut self.lanes[lane].truth;
            truth.comes(&self.plan, letter.event);
            truth.goes_round(&self.plan, letter.event);
            if confirmed {
                truth.is_replayed(letter.serial, letter.event);
            } else {
                self.dead.push((lane, letter.clone()));
            }
            self.say(|| format!("c{lane}: message {} is replayed", letter.serial));
            replayed(&mut letter, self.now, self.bug);
            self.enqueue(lane, letter);
        }
    }

    pub(crate) fn weather(&self, lane: usize) -> Weather {
        let (weather, until) = self.lanes[lane].weather;
        if self.now < until { weather } else { Weather::Fine }
    }

    /// Something keeps this message as a dead letter from now on.
    pub(crate) fn bury(&mut self, lane: usize, copy: Copy) {
        self.say(|| format!("c{lane}: message {} is a dead letter", copy.serial));
        self.lanes[lane].truth.is_buried(copy.serial, copy.event);
        self.dead.push((lane, copy));
    }

    pub(crate) fn heard(&mut self, lane: usize, outcome: &Outcome) {
        let now = self.now;
        self.say(|| format!("c{lane}: hears {outcome:?}"));
        self.lanes[lane].truth.manners.hears(outcome, now);
    }
}

/// What comes of replaying a letter, where confirms are bad or not: none if it is not taken; else whether the copy was
/// confirmed.
pub(crate) fn replay_of(chances: &mut Chances, bad: bool, share: u64) -> Option<bool> {
    let lands = !bad || chances.permille(700);
    let confirmed = !bad || chances.permille(400);
    (chances.permille(share) && lands).then_some(confirmed)
}

/// As an operator's command makes it of a dead letter.
pub(crate) fn replayed(letter: &mut Copy, now: u64, bug: Option<Bug>) {
    use nightbell_core::journey::{Death, Journey};
    use nightbell_core::time::UnixMillis;
    let before = Journey::read(&letter.message.headers);
    let journey = Journey {
        since: if bug == Some(Bug::ReplayKeepsFirstAge) { before.since } else { Some(UnixMillis(now)) },
        replay: (bug != Some(Bug::ReplayWithoutMark)).then_some(UnixMillis(now)),
        addressed_to: before.death.as_ref().and_then(Death::replay_to).cloned(),
        history: before.history,
        ..Journey::default()
    };
    let message: &mut Message = &mut letter.message;
    journey.write(&mut message.headers);
    (letter.since, letter.replay, letter.returns) = (now, Some(now), 0);
}
