//! Random histories: an owner in a world that delivers, loses, confirms or not, and answers in any order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::super::*;
use super::{graded, settings};
use crate::alert::{alert_key, told_key};
use crate::event::{self, Severity};
use crate::journey::Journey;
use crate::message::EventId;
use crate::record::{Record, RecordKey, State};

/// What the owner asked for and has no answer to yet.
#[derive(Debug, Clone)]
enum Pending {
    Look(Tag, Fingerprint, Vec<Fingerprint>),
    Attempt(Tag, String),
    Record(Tag, Vec<Change>),
    Publish(Tag, Destination, Box<Message>),
}

#[derive(Debug)]
struct World {
    owner: Owner,
    now: UnixMillis,
    tags: u64,
    queue: Vec<Message>,
    /// Deliveries that are not settled, with their messages.
    unacked: BTreeMap<Tag, Message>,
    settled: BTreeSet<Tag>,
    pending: Vec<Pending>,
    rungs: Vec<(UnixMillis, Message)>,
    dead: Vec<Message>,
    ledger: HashMap<RecordKey, Record>,
    accepted: BTreeMap<String, u32>,
    published: Vec<String>,
}

impl World {
    fn new() -> Self {
        let now = UnixMillis(1_700_000_000_000);
        Self {
            owner: Owner::new(settings(), now),
            now,
            tags: 0,
            queue: Vec::new(),
            unacked: BTreeMap::new(),
            settled: BTreeSet::new(),
            pending: Vec::new(),
            rungs: Vec::new(),
            dead: Vec::new(),
            ledger: HashMap::new(),
            accepted: BTreeMap::new(),
            published: Vec::new(),
        }
    }

    fn tell(&mut self, input: Input) {
        for step in self.owner.handle(input, self.now).unwrap() {
            match step {
                Step::Look { tag, event, alerts } => self.pending.push(Pending::Look(tag, event, alerts)),
                Step::Attempt { tag, alert } => {
                    self.pending.push(Pending::Attempt(tag, alert.event_id));
                    let attempting =
                        self.pending.iter().filter(|p| matches!(p, Pending::Attempt(..))).count();
                    assert!(attempting <= settings().in_flight_max, "more attempts than slots");
                }
                Step::Record { tag, changes } => self.pending.push(Pending::Record(tag, changes)),
                Step::Tell { .. } => {}
                Step::Skewed { .. } => panic!("no message has a stamp"),
                Step::Note(changes) => self.apply(&changes),
                Step::Publish { tag, to, message } => {
                    self.pending.push(Pending::Publish(tag, to, Box::new(message)));
                }
                Step::Ack { tag, ending } => {
                    self.check_ack(tag, ending);
                    self.settle(tag);
                }
                Step::HandBack { tag } => {
                    let message = self.unacked.get(&tag).cloned();
                    self.settle(tag);
                    self.queue.extend(message);
                }
                Step::Halt => panic!("no ledger failed here"),
            }
        }
    }

    /// A settled delivery is settled once; one of a lost subscription has come again and is none of ours.
    fn settle(&mut self, tag: Tag) {
        assert!(self.settled.insert(tag), "{tag:?} was settled twice");
        self.unacked.remove(&tag);
    }

    /// Something else keeps the event when its delivery is acknowledged.
    fn check_ack(&self, tag: Tag, ending: Ending) {
        // Of a lost subscription: the broker has the message again, and the ack goes nowhere.
        let Some(message) = self.unacked.get(&tag) else { return };
        let event = event::read(&message.body).unwrap();
        let own = EventId::of(Some(&event.project), event.id.as_deref(), message).fingerprint();
        let event_key = RecordKey::Event(own);
        let alert_key = alert_key(&event, &settings().by);
        let state = |key| self.ledger.get(&key).map(|record| &record.state);
        let told = |stands: &dyn Fn(RecordKey) -> bool| {
            let higher = Severity::ALL.into_iter().filter(|severity| *severity >= event.severity);
            higher.map(|severity| RecordKey::Alert(told_key(alert_key, severity))).any(stands)
        };
        let delivered = |key| matches!(state(key), Some(State::Delivered { .. }));
        let copied = self.rungs.iter().any(|(_, copy)| copy.body == message.body);
        let buried = self.dead.iter().any(|letter| letter.body == message.body);
        let same_alert = |other: &Message| {
            let other = event::read(&other.body).unwrap();
            other.test == event.test && other.severity >= event.severity
        };
        let elsewhere = || {
            let others = self.unacked.iter().filter(|(other, _)| **other != tag).map(|(_, held)| held);
            others.chain(&self.queue).any(same_alert)
        };
        let kept = match ending {
            Ending::Delivered { .. } => delivered(event_key),
            Ending::Dead(_) => {
                (buried || elsewhere()) && matches!(state(event_key), Some(State::Dead { .. }))
            }
            Ending::Retried | Ending::Parked => copied,
            Ending::Duplicate => {
                delivered(event_key)
                    || told(&|key| delivered(key) || matches!(state(key), Some(State::InFlight { .. })))
                    || copied
                    || buried
                    || elsewhere()
            }
            Ending::Filtered => false,
        };
        assert!(kept, "{tag:?} was acknowledged as {ending:?}, and nothing keeps it");
    }

    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let (kind, known) = (change.key.kind(), self.ledger.get(&change.key));
            if let Ok(after) = Record::apply(kind, known, &change.happening) {
                self.ledger.insert(change.key, after);
            }
        }
    }

    fn publish(&mut self, id: u8) {
        let id = format!("{}", id % 6);
        // Two events share an alert key, and one of the pair may be worse than the other.
        let number = id.parse::<u8>().unwrap();
        let severity = if number % 4 == 3 { Severity::Critical } else { Severity::default() };
        self.queue.push(graded(&id, &format!("t{}", number / 2), severity));
        self.published.push(id);
    }

    fn deliver(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let message = self.queue.remove(0);
        self.tags += 1;
        let tag = Tag(self.tags);
        self.unacked.insert(tag, message.clone());
        self.tell(Input::Received { tag, message });
    }

    /// An operator moves a dead letter by the queue's own tools: into the owner's queue as it is, or as a publisher's
    /// message. (One without any headers is known by its first delivery alone: if a worker ends with that in hand, nobody can
    /// tell it from the copy that died.)
    fn put_back(&mut self, x: u8) {
        if self.dead.is_empty() {
            return;
        }
        let mut letter = self.dead.remove(usize::from(x) % self.dead.len());
        let died_at = Journey::read(&letter.headers).death.and_then(|death| death.at);
        letter.arrival.is_first = true;
        if !x.is_multiple_of(3) {
            letter.headers.clear();
        }
        letter.arrival.died_at = died_at;
        self.queue.push(letter);
    }

    fn lose(&mut self) {
        let unacked = std::mem::take(&mut self.unacked);
        let again = |mut message: Message| {
            message.arrival.is_first = false;
            message
        };
        self.queue.extend(unacked.into_values().map(again));
        self.tell(Input::Lost);
    }

    fn answer(&mut self, which: usize, how: u8) {
        if self.pending.is_empty() {
            return;
        }
        match self.pending.remove(which % self.pending.len()) {
            Pending::Look(tag, event, alerts) => {
                let get = |key| self.ledger.get(&key).cloned();
                let by_alert = alerts
                    .iter()
                    .filter_map(|alert| Some((*alert, get(RecordKey::Alert(*alert))?)))
                    .collect();
                let looked = Looked { by_event: get(RecordKey::Event(event)), by_alert };
                self.tell(Input::Looked { tag, looked: Some(looked) });
            }
            Pending::Attempt(tag, id) => {
                let outcome = match how % 8 {
                    0 => Outcome::Unavailable { detail: String::new(), retry_after: None },
                    1 => Outcome::TimedOut,
                    2 => Outcome::Throttled { retry_after: Some(Duration::from_secs(u64::from(how))) },
                    3 => Outcome::Unauthorized { status: 401 },
                    4 => Outcome::Refused { status: 400, body: String::new() },
                    _ => Outcome::Accepted { request_id: None },
                };
                if matches!(outcome, Outcome::Accepted { .. }) {
                    *self.accepted.entry(id).or_default() += 1;
                }
                let chance = Chance::new(f64::from(how) / 256.0);
                self.tell(Input::Attempted { tag, outcome, chance });
            }
            Pending::Record(tag, changes) => {
                self.apply(&changes);
                self.tell(Input::Recorded { tag, durable: true });
            }
            Pending::Publish(tag, to, message) => {
                // A publish that is not confirmed may have arrived all the same.
                let (arrived, confirmed) = (!how.is_multiple_of(4), how % 4 > 1);
                if arrived {
                    match to {
                        Destination::Retry { rung, .. } => {
                            self.rungs.push((self.now.after(rung.wait()), *message));
                        }
                        Destination::Dead => self.dead.push(*message),
                        Destination::Events { .. } | Destination::Requeue { .. } => panic!("{to:?}"),
                    }
                }
                self.tell(Input::Published { tag, confirmed });
            }
        }
    }

    fn pass_time(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
        let now = self.now;
        let (back, rungs) = self.rungs.drain(..).partition(|(at, _)| *at <= now);
        self.rungs = rungs;
        let back: Vec<_> = back;
        self.queue.extend(back.into_iter().map(|(_, message)| message));
        self.tell(Input::Tick);
    }

    fn act(&mut self, op: u8, x: u8) {
        match op % 11 {
            10 => self.put_back(x),
            0 | 1 => self.publish(x),
            2..=4 => self.deliver(),
            5..=7 => self.answer(usize::from(x), x / 3),
            8 => self.pass_time(Duration::from_millis(u64::from(x) * 100)),
            _ if x < 40 => self.lose(),
            _ => self.pass_time(Duration::from_secs(u64::from(x))),
        }
    }

    /// Lets everything come to its end in a world that works.
    fn settle_down(&mut self) {
        for _ in 0..20_000 {
            if self.queue.is_empty()
                && self.rungs.is_empty()
                && self.pending.is_empty()
                && self.unacked.is_empty()
            {
                return;
            }
            while !self.queue.is_empty() {
                self.deliver();
            }
            while !self.pending.is_empty() {
                self.answer(0, 15);
            }
            self.pass_time(Duration::from_secs(5));
        }
        panic!("something waits for ever: {self:#?}");
    }

    fn check(&self) {
        for (id, count) in &self.accepted {
            assert_eq!(*count, 1, "event {id} was accepted {count} times");
        }
        let mut ended: BTreeSet<String> = self.accepted.keys().cloned().collect();
        ended.extend(self.dead.iter().filter_map(|letter| event::read(&letter.body).ok()?.id));
        for id in &self.published {
            let neighbour = (id.parse::<u8>().unwrap() ^ 1).to_string();
            let kept = ended.contains(id) || ended.contains(&neighbour);
            assert!(kept, "event {id} was lost");
        }
        assert!(self.owner.is_empty(), "{:?}", self.owner);
        assert_eq!(self.owner.view().attempting, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Invariants 2, 3 and 6: nothing is lost, nothing is delivered twice, every delivery is settled once, nothing
    /// waits for ever.
    #[test]
    fn every_delivery_is_settled_exactly_once(ops in proptest::collection::vec(any::<(u8, u8)>(), 0..200)) {
        let mut world = World::new();
        for (op, x) in ops {
            world.act(op, x);
        }
        world.settle_down();
        world.check();
    }

    /// Invariant 2: at every ack, something durable keeps the event.
    #[test]
    fn no_ack_leaves_before_its_record_or_copy(ops in proptest::collection::vec(any::<(u8, u8)>(), 0..200)) {
        let mut world = World::new();
        for (op, x) in ops {
            world.act(op, x);
        }
    }

    /// Invariant 1: core reads no clock and draws no randomness.
    #[test]
    fn same_inputs_give_the_same_verdicts(ops in proptest::collection::vec(any::<(u8, u8)>(), 0..100)) {
        let mut worlds = [World::new(), World::new()];
        for (op, x) in ops {
            worlds.iter_mut().for_each(|world| world.act(op, x));
            let [one, other] = &worlds;
            prop_assert_eq!(format!("{:?}", one.pending), format!("{:?}", other.pending));
        }
    }
}
