//! One connector: its queue, and its owner performed as the worker performs it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use nightbell_core::journey::{self, Journey};
use nightbell_core::message::{HeaderValue, Message};
use nightbell_core::owner::{Input, Owner, Settings, Tag};
use nightbell_core::time::UnixMillis;

use crate::bugs::Bug;
use crate::plan::{Plan, SECOND, START, Weather};
use crate::truth::Truth;
use crate::world::{Happens, World};

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

#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) copy: Copy,
    /// Its ack is on its way.
    pub(crate) leaving: bool,
}

/// What the executor knows of a delivery that is not settled.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(crate) copy: Copy,
    pub(crate) session: u32,
    pub(crate) received: u64,
    pub(crate) routing: usize,
    pub(crate) publish_failed: bool,
    /// It was sent, and what follows is not decided yet.
    pub(crate) sent: bool,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) owner: Owner,
    pub(crate) truth: Truth,
    pub(crate) ready: VecDeque<Copy>,
    pub(crate) unacked: BTreeMap<Tag, Unacked>,
    /// Goes up with each subscription that ends.
    pub(crate) session: u32,
    pub(crate) attached: bool,
    pub(crate) delivering: bool,
    pub(crate) halted: bool,
    pub(crate) hands: HashMap<Tag, Hand>,
    /// Settled by a planted bug; what core says later is not heard.
    pub(crate) settled_early: HashSet<Tag>,
    pub(crate) outstanding: usize,
    pub(crate) posting: usize,
    pub(crate) unrecorded: usize,
    pub(crate) carried: usize,
    pub(crate) publishes_fail: bool,
    pub(crate) wake: Option<u64>,
    pub(crate) weather: (Weather, u64),
}

pub(crate) const TIME_OUT: u64 = 15 * SECOND;
/// No history has faults enough for more.
const RETURNS_MAX: u32 = 30;
pub(crate) const PUBLISH_TIME_OUT: u64 = 30 * SECOND;

impl Lane {
    pub(crate) fn new(plan: &Plan, lane: usize, slots: usize, bug: Option<Bug>) -> Self {
        Self {
            owner: Owner::new(plan.settings(lane, slots, 0, bug), UnixMillis(START)),
            truth: Truth::of(plan),
            ready: VecDeque::new(),
            unacked: BTreeMap::new(),
            session: 1,
            attached: true,
            delivering: false,
            halted: false,
            hands: HashMap::new(),
            settled_early: HashSet::new(),
            outstanding: 0,
            posting: 0,
            unrecorded: 0,
            carried: 0,
            publishes_fail: false,
            wake: None,
            weather: (Weather::Fine, 0),
        }
    }

    pub(crate) fn begin(&mut self, settings: Settings, now: u64) {
        self.owner = Owner::new(settings, UnixMillis(now));
        self.hands.clear();
        self.settled_early.clear();
        (self.outstanding, self.posting, self.unrecorded, self.carried) = (0, 0, 0, 0);
        (self.halted, self.publishes_fail, self.wake) = (false, false, None);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.ready.is_empty()
            && self.unacked.is_empty()
            && self.outstanding == 0
            && self.owner.is_empty()
            && self.truth.cases.iter().all(|case| case.live == 0)
    }
}

/// The queue's side.
impl World {
    pub(crate) fn is_broker_up(&self) -> bool {
        self.now >= self.broker_until
    }

    pub(crate) fn enqueue(&mut self, lane: usize, copy: Copy) {
        self.lanes[lane].ready.push_back(copy);
        self.deliver(lane);
    }

    pub(crate) fn deliver(&mut self, lane: usize) {
        let prefetch = if self.bug == Some(Bug::PrefetchIgnored) { usize::MAX } else { self.plan.prefetch };
        let taking = self.up && !self.stopping && self.is_broker_up();
        let queue = &mut self.lanes[lane];
        let room = queue.unacked.len() < prefetch && !queue.ready.is_empty();
        if taking && room && queue.attached && !queue.halted && !queue.delivering {
            queue.delivering = true;
            let (session, wait) = (queue.session, self.soon(15));
            self.after(wait, Happens::Deliver { lane, session });
        }
    }

    pub(crate) fn delivered(&mut self, lane: usize, session: u32) {
        let queue = &mut self.lanes[lane];
        if queue.session != session || !queue.attached || self.stopping {
            return;
        }
        queue.delivering = false;
        let Some(mut copy) = queue.ready.pop_front() else { return };
        if !copy.message.headers.contains_key(journey::SINCE) {
            copy.since = self.now;
        }
        self.tags += 1;
        let tag = Tag(self.tags);
        queue.unacked.insert(tag, Unacked { copy: copy.clone(), leaving: false });
        let mut message = copy.message.clone();
        if self.bug == Some(Bug::DueIgnored) {
            message.headers.remove(journey::DUE);
        }
        if let (Some(Bug::StampDecides), Some(stamp)) = (self.bug, message.published_at) {
            let stamp = HeaderValue::Number(i64::try_from(stamp.0).expect("a time"));
            message.headers.entry(journey::SINCE.to_owned()).or_insert(stamp);
        }
        if self.bug == Some(Bug::ReroutedRetryFiltered) {
            message.headers.remove(journey::CONNECTOR);
        }
        let (received, routing) = (self.now, self.routing);
        self.say(|| {
            format!("c{lane}: message {} (event {}) is delivered as {tag:?}", copy.serial, copy.event)
        });
        let hand = Hand { copy, session, received, routing, publish_failed: false, sent: false };
        self.lanes[lane].hands.insert(tag, hand);
        if let Some(wait) = self.plan.consumer_timeout {
            self.after(wait, Happens::TimedOut { lane, session, tag });
        }
        self.tell(lane, Input::Received { tag, message });
        self.deliver(lane);
    }

    /// The subscription ends: all that is not settled goes back to the front, in order.
    pub(crate) fn drop_session(&mut self, lane: usize, acks_land: bool) {
        let queue = &mut self.lanes[lane];
        queue.session += 1;
        (queue.attached, queue.delivering) = (false, false);
        let all = std::mem::take(&mut queue.unacked);
        let mut back = Vec::new();
        for (_, held) in all {
            if held.leaving && (acks_land || self.chances.permille(500)) {
                continue;
            }
            if held.leaving {
                self.lanes[lane].truth.comes(&self.plan, held.copy.event);
            }
            back.extend(self.given_back(lane, held.copy));
        }
        for copy in back.into_iter().rev() {
            self.lanes[lane].ready.push_front(copy);
        }
    }

    /// A message that goes back into the queue; none: that was once too often, and it is a dead letter.
    fn given_back(&mut self, lane: usize, mut copy: Copy) -> Option<Copy> {
        copy.returns += 1;
        if copy.returns > RETURNS_MAX {
            self.wrong(format!("c{lane}: message {} is given back again and again", copy.serial));
        }
        if copy.returns <= self.plan.delivery_limit {
            return Some(copy);
        }
        self.lanes[lane].truth.goes(&self.plan, copy.event);
        if self.bug != Some(Bug::TwinsOfLimitDropped) {
            self.bury(lane, copy);
        }
        None
    }

    pub(crate) fn lose(&mut self, lane: usize) {
        if !self.up || !self.lanes[lane].attached {
            return;
        }
        self.drop_session(lane, false);
        let (life, wait) = (self.life, self.soon(1_000));
        self.after(wait, Happens::ToldLost { life, lane });
    }

    pub(crate) fn tell_lost(&mut self, lane: usize) {
        if self.bug != Some(Bug::LostNotTold) {
            self.tell(lane, Input::Lost);
        }
        // A lost subscription leaves nothing in hand but what something is being done for.
        let (held, busy) = (self.lanes[lane].owner.view().held, self.lanes[lane].outstanding);
        if held > busy {
            self.wrong(format!("c{lane}: {held} in hand after a lost subscription, {busy} of them busy"));
        }
        self.lanes[lane].carried = held;
        self.lanes[lane].truth.cases.iter_mut().for_each(|case| case.due = 0);
        let (life, wait) = (self.life, self.soon(5_000));
        self.after(wait, Happens::Attach { life, lane });
    }

    pub(crate) fn attach(&mut self, lane: usize) {
        if !self.is_broker_up() {
            let life = self.life;
            return self.after(2 * SECOND, Happens::Attach { life, lane });
        }
        let halted = self.lanes[lane].halted;
        self.lanes[lane].attached = !halted;
        self.deliver(lane);
    }

    pub(crate) fn settled(&mut self, lane: usize, session: u32, tag: Tag, back: bool) {
        if self.lanes[lane].session != session {
            return;
        }
        let Some(held) = self.lanes[lane].unacked.remove(&tag) else { return };
        if back && let Some(copy) = self.given_back(lane, held.copy) {
            self.lanes[lane].ready.push_front(copy);
        }
        self.deliver(lane);
    }

    pub(crate) fn return_from_rung(&mut self, lane: usize, copy: Copy) {
        if !self.is_broker_up() {
            return self.after(5 * SECOND, Happens::Return { lane, copy: Box::new(copy) });
        }
        if self.bug == Some(Bug::RungLosesMessages) && self.chances.permille(200) {
            return self.lanes[lane].truth.goes(&self.plan, copy.event);
        }
        if self.chances.permille(20) {
            // Dead-lettering at least once repeats a message now and then.
            self.lanes[lane].truth.comes(&self.plan, copy.event);
            self.enqueue(lane, copy.clone());
        }
        self.enqueue(lane, copy);
    }
}
