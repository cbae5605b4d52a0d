//! The faults that strike the process, and its lives from start to end.

use nightbell_core::journey::{Death, Journey};
use nightbell_core::time::UnixMillis;
use nightbell_worker::Drained;

use crate::bugs::Bug;
use crate::chance::Chances;
use crate::happens::Happens;
use crate::plan::{self, Fault, MINUTE, SECOND};
use crate::queue::marked;
use crate::world::{Copy, Order, World};

/// The longest that a stop takes beyond its grace: a farewell to the broker.
const FAREWELL_MAX: u64 = 10 * SECOND;

impl World {
    /// A producer publishes until the broker confirms; the exchange gives a copy to every connector's queue.
    pub(crate) fn take_event(&mut self, serial: usize) {
        if !self.is_broker_up() {
            return self.after(5 * SECOND, Happens::Published(serial));
        }
        self.to_publish -= 1;
        let (_, event, age) = self.plan.publishes[serial];
        let since = self.now - age;
        let message = marked(plan::published(&self.plan.events[event], since), serial, since, None);
        self.say(|| format!("message {serial} is published: event {event}"));
        for lane in 0..self.lanes.len() {
            let copy = Copy { serial, event, since, replay: None, returns: 0, message: message.clone() };
            self.lanes[lane].truth.taken[serial] = true;
            self.comes(lane, &copy);
            self.enqueue(lane, copy);
        }
    }

    pub(crate) fn strike(&mut self, fault: Fault) {
        self.say(|| format!("{fault:?}"));
        match fault {
            Fault::Crash { down } => self.crash(down),
            Fault::CrashAtStep { steps, down } => self.crash_in = self.up.then_some((steps + 1, down)),
            Fault::Stop { grace, down } => {
                if self.chances.permille(600) {
                    self.stop_at_post = Some((self.chances.pick(&[40, 200, grace]), down));
                } else {
                    self.stop(grace, down);
                }
            }
            Fault::LedgerFails => {
                self.store.failed = true;
                let life = self.life;
                self.after(10 * MINUTE, Happens::Crash { life, down: SECOND });
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
            Fault::Reload { slots, routing } => {
                (self.slots, self.routing, self.slots_max) = (slots, routing, self.slots_max.max(slots));
                if self.up && !self.stopping {
                    self.orders.push(Order::Reload);
                }
            }
            Fault::Replay { share } => self.replay(share),
        }
    }

    pub(crate) fn stop(&mut self, grace: u64, down: u64) {
        if !self.up || self.stopping {
            return;
        }
        (self.stopping, self.down_for) = (true, down);
        for state in &mut self.lanes {
            (state.life.acks, state.life.backs, state.life.stop_at) = (0, 0, Some(self.now + grace));
        }
        self.orders.push(Order::Stop { grace });
        let life = self.life;
        self.after(grace + FAREWELL_MAX, Happens::StopOver { life });
    }

    pub(crate) fn crash(&mut self, down: u64) {
        if self.up {
            self.say(|| "the process crashes".into());
            self.orders.push(Order::Kill);
            self.end_life(down, false);
        }
    }

    /// All owners came to their end.
    pub(crate) fn stopped(&mut self) {
        self.say(|| "the process has stopped".into());
        self.end_life(self.down_for, true);
    }

    /// An owner's end, as it tells it.
    pub(crate) fn drained(&mut self, lane: usize, drained: &Drained) {
        self.say(|| format!("c{lane}: {drained:?}"));
        if let Err(wrong) = self.check_drained(lane, drained) {
            self.wrong(format!("c{lane}: {wrong}"));
        }
    }

    fn end_life(&mut self, down: u64, drained: bool) {
        (self.up, self.stopping, self.crash_in, self.stop_at_post) = (false, false, None, None);
        self.life += 1;
        self.store.crash(&mut self.chances);
        for lane in 0..self.lanes.len() {
            if self.bug != Some(Bug::OldSubscriptionKept) || drained {
                self.drop_session(lane, drained);
            }
            let (now, store, events) = (self.now, &self.store, &self.plan.events);
            let is_recorded = |event: usize| store.is_delivered(lane, events[event].name, now);
            self.lanes[lane].truth.process_ended(&self.plan, is_recorded);
        }
        let life = self.life;
        self.after(down, Happens::Start { life });
    }

    pub(crate) fn start(&mut self) {
        let resets = self.store.resets;
        self.store.open();
        let reset = self.store.resets > resets;
        self.up = true;
        (self.flushed_at, self.slots_max) = (self.now, self.slots);
        self.say(|| format!("the process starts{}", if reset { " with a new ledger" } else { "" }));
        for lane in 0..self.lanes.len() {
            let state = &mut self.lanes[lane];
            state.begin(&self.plan);
            if reset {
                state.truth.ledger_reset();
            }
            let (life, wait) = (self.life, self.soon(500));
            self.after(wait, Happens::Attach { life, lane });
        }
        self.orders.push(Order::Spawn);
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
            self.comes(lane, &letter);
            self.lanes[lane].truth.goes_round(&self.plan, letter.event);
            if confirmed {
                self.lanes[lane].truth.is_replayed(letter.serial, letter.event);
            } else {
                self.dead.push((lane, letter.clone()));
            }
            self.say(|| format!("c{lane}: message {} is replayed", letter.serial));
            replayed(&mut letter, self.now, self.bug);
            letter.message = marked(letter.message, letter.serial, letter.since, letter.replay);
            self.enqueue(lane, letter);
        }
    }
}

/// What comes of replaying a letter, where confirms are bad or not: none if it is not taken; else whether the copy was
/// confirmed.
fn replay_of(chances: &mut Chances, bad: bool, share: u64) -> Option<bool> {
    let lands = !bad || chances.permille(700);
    let confirmed = !bad || chances.permille(400);
    (chances.permille(share) && lands).then_some(confirmed)
}

/// As an operator's command makes it of a dead letter.
fn replayed(letter: &mut Copy, now: u64, bug: Option<Bug>) {
    let before = Journey::read(&letter.message.headers);
    let journey = Journey {
        since: if bug == Some(Bug::ReplayKeepsFirstAge) { before.since } else { Some(UnixMillis(now)) },
        replay: (bug != Some(Bug::ReplayWithoutMark)).then_some(UnixMillis(now)),
        addressed_to: before.death.as_ref().and_then(Death::replay_to).cloned(),
        history: before.history,
        ..Journey::default()
    };
    journey.write(&mut letter.message.headers);
    (letter.since, letter.replay, letter.returns) = (now, Some(now), 0);
}
