//! Histories of core's owners alone: each step is performed by the world's own requests, without a runtime, and every answer
//! is told when it comes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightbell_core::alert::told_key;
use nightbell_core::event::Severity;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Ending, Input, Owner, Step, Tag};
use nightbell_core::policy::Chance;
use nightbell_core::ports::{Alert, Destination};
use nightbell_core::record::{Change, Happening, RecordKey};
use nightbell_core::time::UnixMillis;
use nightbell_worker::Drained;

use crate::bugs::{Bug, Shows};
use crate::happens::{Happens, Reply};
use crate::plan::HOUR;
use crate::queue::{InHand, Inbox, Token, Told};
use crate::search::Simulation;
use crate::world::{Order, Went, World};

/// What an owner is to hear.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait at one time, and most are of the largest kind")]
enum Heard {
    Told(Told),
    Answer(Input),
    Attempted(Tag, Outcome),
    Left,
}

/// What was said to the owners of one process, and is not heard yet.
#[derive(Debug, Clone, Default)]
struct Ears(Arc<Mutex<VecDeque<(usize, Heard)>>>);

impl Ears {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(usize, Heard)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear<T: 'static>(&self, lane: usize, heard: impl FnOnce(T) -> Heard + Send + 'static) -> Reply<T> {
        let ears = self.clone();
        Reply::new(move |answer| ears.lock().push_back((lane, heard(answer))))
    }
}

/// A delivery that core has not settled.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) held: InHand,
    /// The right to settle it; none: its subscription was lost.
    token: Option<Token>,
    /// It was sent, and what follows is not decided yet.
    pub(crate) was_sent: bool,
}

#[derive(Debug)]
struct Driven {
    owner: Owner,
    unsettled: HashMap<Tag, Unsettled>,
    /// Settled by a planted bug; what core says later is not heard.
    settled_early: HashSet<Tag>,
    wake: Option<u64>,
    counts: Drained,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    AtWork,
    Stopping,
    Leaving,
    Ended,
}

pub(crate) struct Driver {
    pub(crate) world: World,
    owners: Vec<Driven>,
    /// Those of the process that lives; the next one has others.
    ears: Ears,
    tags: u64,
}

/// Lives through one history.
fn live(seed: u64, bug: Option<Bug>, traced: bool) -> Went {
    let world = World::new(seed, bug, traced);
    let mut driver = Driver { world, owners: Vec::new(), ears: Ears::default(), tags: 0 };
    driver.run();
    driver.world.went()
}

impl Driver {
    fn run(&mut self) {
        while !self.world.is_over() {
            if self.world.next_at().is_none() {
                return self.world.wrong("nothing is to happen any more, and something waits");
            }
            if self.world.wait_for_next().is_some() {
                self.world.happen();
            }
            self.obey();
            self.listen();
            self.end_what_is_drained();
        }
    }

    fn obey(&mut self) {
        for order in std::mem::take(&mut self.world.orders) {
            match order {
                Order::Spawn => self.spawn(),
                Order::Kill => self.owners.clear(),
                Order::Reload => {
                    for lane in 0..self.owners.len() {
                        let settings = Box::new(self.world.settings(lane));
                        self.tell(lane, Input::Configured(settings));
                    }
                }
                Order::Stop { grace } => self.stop(grace),
                Order::Wake { lane, at } => {
                    if self.owners.get(lane).is_some_and(|owner| owner.wake == Some(at)) {
                        self.owners[lane].wake = None;
                        self.tell(lane, Input::Tick);
                    }
                }
                Order::GraceOver => (0..self.owners.len()).for_each(|lane| self.leave(lane)),
            }
        }
    }

    fn spawn(&mut self) {
        self.ears = Ears::default();
        for lane in 0..self.world.lanes.len() {
            let ears = self.ears.clone();
            let inbox = Inbox::new(move |told| ears.lock().push_back((lane, Heard::Told(told))));
            let (settings, _) = self.world.connect(lane, inbox);
            self.owners.push(Driven {
                owner: Owner::new(settings, UnixMillis(self.world.now)),
                unsettled: HashMap::new(),
                settled_early: HashSet::new(),
                wake: None,
                counts: Drained::default(),
                stage: Stage::AtWork,
            });
        }
    }

    fn stop(&mut self, grace: u64) {
        let life = self.world.life;
        self.world.after(grace, Happens::Ordered { life, order: Order::GraceOver });
        for lane in 0..self.owners.len() {
            if self.world.finishing {
                self.check_memory(lane);
            }
            (self.owners[lane].stage, self.owners[lane].counts) = (Stage::Stopping, Drained::default());
            self.tell(lane, Input::Stop);
        }
    }

    /// An owner that is told to stop and has nothing to do leaves its queue, and ends when it has left.
    fn end_what_is_drained(&mut self) {
        for lane in 0..self.owners.len() {
            let is_idle = self.owners[lane].owner.is_empty() && self.world.lanes[lane].life.outstanding == 0;
            if is_idle && self.owners[lane].stage == Stage::Stopping {
                self.leave(lane);
            }
        }
        if !self.owners.is_empty() && self.owners.iter().all(|owner| owner.stage == Stage::Ended) {
            self.owners.clear();
            self.world.stopped();
        }
    }

    fn leave(&mut self, lane: usize) {
        let leaving = &mut self.owners[lane];
        if leaving.stage == Stage::Stopping && self.world.is_alive() {
            (leaving.stage, leaving.counts.uncertain) = (Stage::Leaving, leaving.owner.uncertain());
            self.world.leaves(lane, self.ears.hear(lane, |()| Heard::Left));
        }
    }

    /// Tells the owners what they are to hear, in order.
    fn listen(&mut self) {
        loop {
            let next = self.ears.lock().pop_front();
            let Some((lane, heard)) = next else { return };
            // An owner that leaves hears nothing more, nor does one whose process is about to be killed.
            let hears = |owner: &Driven| matches!(owner.stage, Stage::AtWork | Stage::Stopping);
            let is_deaf = !self.owners.get(lane).is_some_and(hears);
            if !self.world.is_alive() || is_deaf && !matches!(heard, Heard::Left) {
                continue;
            }
            match heard {
                Heard::Left => {
                    self.owners[lane].stage = Stage::Ended;
                    let counts = self.owners[lane].counts.clone();
                    self.world.drained(lane, &counts);
                }
                // A worker that stops takes nothing more from its queue.
                Heard::Told(Told::Delivery(message, token)) => {
                    if self.owners[lane].stage == Stage::AtWork {
                        self.receive(lane, *message, token);
                    }
                }
                Heard::Told(Told::Lost) => self.lose(lane),
                Heard::Attempted(tag, outcome) => {
                    let chance = Chance::new(self.world.chances.unit());
                    if let (Outcome::Unauthorized { .. }, Some(sent)) =
                        (&outcome, self.owners[lane].unsettled.get_mut(&tag))
                    {
                        // It waits for a probe, and is not given up without another attempt.
                        sent.was_sent = false;
                    }
                    self.tell(lane, Input::Attempted { tag, outcome, chance });
                }
                Heard::Answer(Input::Published { confirmed: false, .. })
                    if self.world.bug == Some(Bug::PublishTimeOutForgotten) => {}
                Heard::Answer(input) => self.tell(lane, input),
            }
        }
    }

    fn receive(&mut self, lane: usize, message: Message, token: Token) {
        // It may be lost as soon as it came.
        let Some(held) = self.world.in_hand(token).cloned() else { return self.world.dropped(token, false) };
        self.tags += 1;
        let tag = Tag(self.tags);
        self.owners[lane].unsettled.insert(tag, Unsettled { held, token: Some(token), was_sent: false });
        self.tell(lane, Input::Received { tag, message });
    }

    fn lose(&mut self, lane: usize) {
        self.drop_rights(lane);
        self.tell(lane, Input::Lost);
        self.check_lost(lane);
    }

    fn drop_rights(&mut self, lane: usize) {
        for unsettled in self.owners[lane].unsettled.values_mut() {
            if let Some(token) = unsettled.token.take() {
                self.world.dropped(token, false);
            }
        }
    }

    fn tell(&mut self, lane: usize, input: Input) {
        let now = UnixMillis(self.world.now);
        match self.owners[lane].owner.handle(input, now) {
            Err(unexpected) => self.world.wrong(format!("c{lane}: {unexpected}")),
            Ok(steps) => {
                for step in steps {
                    if matches!(step, Step::Tell { .. } | Step::Skewed { .. }) {
                        continue;
                    }
                    if self.world.is_struck() {
                        return;
                    }
                    self.perform(lane, step);
                }
            }
        }
        let view = self.owners[lane].owner.view();
        self.world.check_view(lane, &view);
        self.wake_later(lane);
    }

    fn wake_later(&mut self, lane: usize) {
        let (life, now) = (self.world.life, self.world.now);
        let late = self.world.chances.between(0, self.world.plan.tick_late_max + 1);
        let sleeper = &mut self.owners[lane];
        let Some(at) = sleeper.owner.wake_at().filter(|_| self.world.bug != Some(Bug::NoTicks)) else {
            return;
        };
        let at = at.0.max(now) + late;
        if sleeper.wake.is_none_or(|wake| wake < now || at < wake) {
            sleeper.wake = Some(at);
            self.world.at(at, Happens::Ordered { life, order: Order::Wake { lane, at } });
        }
    }

    fn perform(&mut self, lane: usize, step: Step) {
        let ears = self.ears.clone();
        match step {
            Step::Look { tag, event, mut alerts } => {
                if self.world.bug == Some(Bug::SeverityIgnored) {
                    alerts = self.at_every_severity(lane, tag).unwrap_or(alerts);
                }
                let looked =
                    move |looked: Result<_, _>| Heard::Answer(Input::Looked { tag, looked: looked.ok() });
                self.world.look(lane, (event, alerts), ears.hear(lane, looked));
            }
            Step::Attempt { tag, alert } => self.attempt(lane, tag, &alert),
            Step::Tell { .. } | Step::Skewed { .. } => {}
            Step::Record { tag, changes } => self.record(lane, tag, changes),
            Step::Note(changes) => self.world.commit(lane, changes, Reply::unheard()),
            Step::Publish { tag, to, message } => self.publish(lane, tag, to, message),
            Step::Ack { tag, ending } => {
                self.owners[lane].counts.finished += 1;
                if self.owners[lane].settled_early.remove(&tag) {
                    return;
                }
                self.ack(lane, tag, ending);
                if self.world.bug == Some(Bug::SettledTwice) && self.world.chances.permille(100) {
                    self.ack(lane, tag, ending);
                }
            }
            Step::HandBack { tag } => {
                self.owners[lane].counts.returned += 1;
                if !self.owners[lane].settled_early.remove(&tag) {
                    self.settle(lane, tag, true);
                }
            }
            Step::Halt => {
                self.world.leaves(lane, Reply::unheard());
                self.drop_rights(lane);
            }
        }
    }

    /// The names of a delivery's alert key at all severities.
    fn at_every_severity(&self, lane: usize, tag: Tag) -> Option<Vec<Fingerprint>> {
        let event = self.owners[lane].unsettled.get(&tag)?.held.copy.event;
        let key = self.world.plan.events[event].alert_key?;
        Some(Severity::ALL.map(|severity| told_key(key, severity)).into())
    }

    fn attempt(&mut self, lane: usize, tag: Tag, alert: &Alert) {
        let Some(sent) = self.owners[lane].unsettled.get_mut(&tag) else {
            return self.world.wrong(format!("c{lane}: {tag:?} is sent, and is not in hand"));
        };
        sent.was_sent = true;
        let held = sent.held.clone();
        if let Err(wrong) = self.may_send(lane, &held) {
            self.world.wrong(format!("c{lane}: event {}: {wrong}", held.copy.event));
        }
        let attempted = move |outcome| Heard::Attempted(tag, outcome);
        self.world.post(lane, alert, self.ears.hear(lane, attempted));
        if self.world.bug == Some(Bug::MarkedBeforePost) {
            let (event, at) = (self.world.plan.events[held.copy.event].name, UnixMillis(self.world.now));
            let happening = Happening::Delivered { event, replay: None, at, request_id: None };
            let change =
                Change { key: RecordKey::Event(event), happening, keep: Duration::from_millis(24 * HOUR) };
            self.world.batches += 1;
            let (number, now) = (self.world.batches, self.world.now);
            self.world.store.write(number, lane, vec![change], now);
            self.world.store.flush(number);
        }
    }

    fn record(&mut self, lane: usize, tag: Tag, changes: Vec<Change>) {
        let is_delivered = |change: &Change| matches!(change.happening, Happening::Delivered { .. });
        if self.world.bug == Some(Bug::AckBeforeRecord) && changes.iter().any(is_delivered) {
            self.ack_early(lane, tag, Ending::Delivered { since: UnixMillis(self.world.now) });
        }
        if changes.iter().any(Change::is_claim)
            && let Some(claimed) = self.owners[lane].unsettled.get_mut(&tag)
        {
            claimed.was_sent = false;
        }
        let recorded = move |durable: bool| Heard::Answer(Input::Recorded { tag, durable });
        if self.world.bug == Some(Bug::ClaimNotWritten) && changes.iter().any(Change::is_claim) {
            return self.ears.lock().push_back((lane, recorded(true)));
        }
        let committed = move |result: Result<_, _>| recorded(result.is_ok());
        self.world.commit(lane, changes, self.ears.hear(lane, committed));
    }

    fn publish(&mut self, lane: usize, tag: Tag, to: Destination, message: Message) {
        use nightbell_core::dead::Reason;
        match (self.world.bug, to == Destination::Dead) {
            (Some(Bug::AckBeforeConfirm), false) => self.ack_early(lane, tag, Ending::Retried),
            (Some(Bug::DeadAckedBeforeConfirm), true) => {
                self.ack_early(lane, tag, Ending::Dead(Reason::Refused));
            }
            _ => {}
        }
        let published =
            move |result: Result<_, _>| Heard::Answer(Input::Published { tag, confirmed: result.is_ok() });
        self.world.publish(lane, to, message, self.ears.hear(lane, published));
    }

    fn ack_early(&mut self, lane: usize, tag: Tag, ending: Ending) {
        if self.owners[lane].unsettled.contains_key(&tag) {
            self.ack(lane, tag, ending);
            self.owners[lane].settled_early.insert(tag);
        }
    }

    fn ack(&mut self, lane: usize, tag: Tag, ending: Ending) {
        self.world.say(|| format!("c{lane}: {tag:?} ends: {ending:?}"));
        let Some(acked) = self.settle(lane, tag, false) else { return };
        if ending == Ending::Duplicate {
            // Of two copies, each with the due time of its own attempt, either may be the one that stays.
            self.world.lanes[lane].truth.cases[acked.held.copy.event].due = 0;
        }
        if !self.may_be_acked(lane, &acked, ending) {
            let case = &self.world.lanes[lane].truth.cases[acked.held.copy.event];
            let wrong = format!("c{lane}: {tag:?} is acked as {ending:?}, and nothing keeps it: {case:?}");
            self.world.wrong(wrong);
        }
    }

    /// Settles a delivery, once; none: the broker does not wait for it.
    fn settle(&mut self, lane: usize, tag: Tag, back: bool) -> Option<Unsettled> {
        let Some(mut settled) = self.owners[lane].unsettled.remove(&tag) else {
            self.world.wrong(format!("c{lane}: {tag:?} is settled twice, or was never delivered"));
            return None;
        };
        let token = settled.token.take()?;
        let is_waited_for = self.world.in_hand(token).is_some();
        self.world.settles(token, back, Reply::unheard());
        self.world.dropped(token, true);
        is_waited_for.then_some(settled)
    }

    pub(crate) fn owner(&mut self, lane: usize) -> &mut Owner {
        &mut self.owners[lane].owner
    }
}

const OWNER: Simulation = Simulation {
    live,
    shows: Shows::Owner,
    histories: 20_000,
    count: "NIGHTBELL_HISTORIES",
    seed: "NIGHTBELL_SEED",
    histories_per_bug_max: 6_000,
};

#[test]
fn every_history_keeps_the_promise() {
    OWNER.every_history_keeps_the_promise();
}

#[test]
fn a_seed_gives_the_same_history_again() {
    OWNER.a_seed_gives_the_same_history_again(50);
}

#[test]
fn every_planted_bug_is_found() {
    OWNER.every_planted_bug_is_found();
}
