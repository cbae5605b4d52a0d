//! The simulated queue of one connector, as its subscription sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::journey;
use nightbell_core::message::{HeaderValue, Message};
use nightbell_core::ports::SettleError;

use crate::bugs::Bug;
use crate::happens::{Happens, Reply, tell};
use crate::plan::{Plan, SECOND, Weather};
use crate::truth::Truth;
use crate::world::{Copy, World};

/// Names a delivery to its queue.
#[derive(Debug, Clone, std::marker::Copy)]
pub(crate) struct Token {
    pub(crate) life: u32,
    pub(crate) lane: usize,
    pub(crate) session: u32,
    pub(crate) number: u64,
}

/// What a subscription is told.
#[derive(Debug)]
pub(crate) enum Told {
    Delivery(Box<Message>, Token),
    Lost,
}

/// Where a subscription hears it.
pub(crate) struct Inbox(Box<dyn Fn(Told) + Send>);

impl Inbox {
    pub(crate) fn new(hear: impl Fn(Told) + Send + 'static) -> Self {
        Self(Box::new(hear))
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an inbox")
    }
}

/// A delivery that is not settled.
#[derive(Debug, Clone)]
pub(crate) struct InHand {
    pub(crate) copy: Copy,
    pub(crate) received: u64,
    /// By which routing the owner has read it.
    pub(crate) routing: usize,
    /// Its ack is on its way.
    leaving: bool,
}

/// What one life of the process has seen of an event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) wanted: bool,
    pub(crate) replay: Option<u64>,
    /// It was sent, and what follows is not decided yet.
    pub(crate) sent: bool,
}

/// What is known of an owner since its process began.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) inbox: Option<Inbox>,
    /// The owner gave its subscription up.
    pub(crate) has_left: bool,
    pub(crate) seen: Vec<Seen>,
    /// Rights to settle that the owner keeps.
    pub(crate) rights: usize,
    /// Requests to ports that are not answered.
    pub(crate) outstanding: usize,
    pub(crate) posting: usize,
    pub(crate) unrecorded: usize,
    /// Events that were sent, and not answered or not recorded.
    pub(crate) open: BTreeMap<usize, Fingerprint>,
    /// The same when the owner left.
    pub(crate) open_at_end: BTreeSet<Fingerprint>,
    /// As many deliveries may be in hand beyond the prefetch: what something was being done for at a loss.
    pub(crate) carried: usize,
    pub(crate) was_lost: bool,
    pub(crate) publishes_fail: bool,
    /// Settled since the stop.
    pub(crate) acks: usize,
    pub(crate) backs: usize,
    /// When the grace period ends.
    pub(crate) stop_at: Option<u64>,
    pub(crate) left_at: u64,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) truth: Truth,
    ready: VecDeque<Copy>,
    unacked: BTreeMap<u64, InHand>,
    /// Copies of each message.
    pub(crate) copies: Vec<u32>,
    /// Goes up with each subscription that ends.
    pub(crate) session: u32,
    attached: bool,
    delivering: bool,
    pub(crate) weather: (Weather, u64),
    pub(crate) life: Life,
}

/// No history has faults enough for more.
const RETURNS_MAX: u32 = 30;

impl Lane {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            truth: Truth::of(plan),
            ready: VecDeque::new(),
            unacked: BTreeMap::new(),
            copies: vec![0; plan.publishes.len()],
            session: 0,
            attached: false,
            delivering: false,
            weather: (Weather::Fine, 0),
            life: Life::default(),
        }
    }

    pub(crate) fn begin(&mut self, plan: &Plan) {
        self.life = Life { seen: vec![Seen::default(); plan.events.len()], ..Life::default() };
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.ready.is_empty()
            && self.unacked.is_empty()
            && self.life.outstanding == 0
            && self.truth.cases.iter().all(|case| case.live == 0)
    }

    /// Whether the owner has nothing to do, as far as the world knows.
    pub(crate) fn is_idle(&self) -> bool {
        self.unacked.is_empty() && self.life.outstanding == 0
    }
}

const SERIAL: &str = "simulated-serial";
const SINCE: &str = "simulated-since";
const REPLAY: &str = "simulated-replay";

/// Writes the truth about a message into headers that are none of the worker's business.
pub(crate) fn marked(mut message: Message, serial: usize, since: u64, replay: Option<u64>) -> Message {
    let mut set = |name: &str, number: u64| {
        let number = i64::try_from(number).expect("a time");
        message.headers.insert(name.to_owned(), HeaderValue::Number(number));
    };
    set(SERIAL, serial as u64);
    set(SINCE, since);
    if let Some(at) = replay {
        set(REPLAY, at);
    }
    message
}

impl World {
    /// The truth about a message that the worker publishes.
    pub(crate) fn copy_of(&self, message: Message) -> Option<Copy> {
        let number = |name| match message.headers.get(name) {
            Some(HeaderValue::Number(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let serial = usize::try_from(number(SERIAL)?).ok()?;
        let (since, replay) = (number(SINCE)?, number(REPLAY));
        let event = self.plan.publishes.get(serial)?.1;
        (message.body == self.plan.events[event].body).then_some(Copy {
            serial,
            event,
            since,
            replay,
            returns: 0,
            message,
        })
    }

    pub(crate) fn comes(&mut self, lane: usize, copy: &Copy) {
        self.lanes[lane].truth.comes(&self.plan, copy.event);
        self.lanes[lane].copies[copy.serial] += 1;
    }

    fn goes(&mut self, lane: usize, copy: &Copy) {
        self.lanes[lane].truth.goes(&self.plan, copy.event);
        self.lanes[lane].copies[copy.serial] -= 1;
    }

    /// Something keeps this message as a dead letter from now on.
    pub(crate) fn bury(&mut self, lane: usize, copy: Copy) {
        self.say(|| format!("c{lane}: message {} is a dead letter", copy.serial));
        self.lanes[lane].truth.is_buried(copy.serial, copy.event);
        self.dead.push((lane, copy));
    }

    pub(crate) fn enqueue(&mut self, lane: usize, copy: Copy) {
        self.lanes[lane].ready.push_back(copy);
        self.deliver(lane);
    }

    fn deliver(&mut self, lane: usize) {
        let prefetch = if self.bug == Some(Bug::PrefetchIgnored) { usize::MAX } else { self.plan.prefetch };
        let (up, state) = (self.up && self.is_broker_up(), &mut self.lanes[lane]);
        let room = state.unacked.len() < prefetch && !state.ready.is_empty();
        if up && room && state.attached && !state.delivering {
            state.delivering = true;
            let (session, wait) = (state.session, self.soon(15));
            self.after(wait, Happens::Deliver { lane, session });
        }
    }

    pub(crate) fn delivered(&mut self, lane: usize, session: u32) {
        let (now, routing) = (self.now, self.routing);
        let state = &mut self.lanes[lane];
        if state.session != session || !state.attached {
            return;
        }
        state.delivering = false;
        let Some(mut copy) = state.ready.pop_front() else { return };
        if !copy.message.headers.contains_key(journey::SINCE) {
            copy.since = now;
            copy.message = marked(copy.message, copy.serial, now, copy.replay);
        }
        self.numbers += 1;
        let number = self.numbers;
        let seen = &mut state.life.seen[copy.event];
        seen.wanted |= self.plan.wants(lane, copy.event, routing);
        seen.replay = seen.replay.max(copy.replay);
        let message = self.misread(copy.message.clone());
        self.say(|| format!("c{lane}: message {} (event {}) is delivered", copy.serial, copy.event));
        let state = &mut self.lanes[lane];
        state.unacked.insert(number, InHand { copy, received: now, routing, leaving: false });
        state.life.rights += 1;
        if let Some(Inbox(hear)) = &state.life.inbox {
            hear(Told::Delivery(Box::new(message), Token { life: self.life, lane, session, number }));
        }
        if let Some(wait) = self.plan.consumer_timeout {
            self.after(wait, Happens::TimedOut { lane, session, number });
        }
        self.deliver(lane);
    }

    /// A message as the process reads it, where a bug is planted.
    fn misread(&self, mut message: Message) -> Message {
        if self.bug == Some(Bug::DueIgnored) {
            message.headers.remove(journey::DUE);
        }
        if self.bug == Some(Bug::ReroutedRetryFiltered) {
            message.headers.remove(journey::CONNECTOR);
        }
        if let (Some(Bug::StampDecides), Some(stamp)) = (self.bug, message.published_at) {
            let stamp = HeaderValue::Number(i64::try_from(stamp.0).expect("a time"));
            message.headers.entry(journey::SINCE.to_owned()).or_insert(stamp);
        }
        message
    }

    /// What the broker keeps of a delivery that is not settled.
    pub(crate) fn in_hand(&self, token: Token) -> Option<&InHand> {
        let state = &self.lanes[token.lane];
        state.unacked.get(&token.number).filter(|_| state.session == token.session)
    }

    pub(crate) fn consumer_timed_out(&mut self, lane: usize, session: u32, number: u64) {
        let state = &self.lanes[lane];
        if state.session == session && state.unacked.get(&number).is_some_and(|held| !held.leaving) {
            self.say(|| format!("c{lane}: the consumer time-out strikes"));
            self.lose(lane);
        }
    }

    /// The subscription ends: all that is not settled goes back to the front, in order.
    pub(crate) fn drop_session(&mut self, lane: usize, acks_land: bool) {
        let state = &mut self.lanes[lane];
        state.session += 1;
        (state.attached, state.delivering) = (false, false);
        let mut back = Vec::new();
        for held in std::mem::take(&mut state.unacked).into_values() {
            if held.leaving && (acks_land || self.chances.permille(500)) {
                continue;
            }
            if held.leaving {
                self.comes(lane, &held.copy);
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
        self.goes(lane, &copy);
        if self.bug != Some(Bug::TwinsOfLimitDropped) {
            self.bury(lane, copy);
        }
        None
    }

    pub(crate) fn lose(&mut self, lane: usize) {
        if !self.up || !self.lanes[lane].attached {
            return;
        }
        self.say(|| format!("c{lane}: the subscription is lost"));
        self.drop_session(lane, false);
        let (life, wait) = (self.life, self.soon(1_000));
        let later = if self.bug == Some(Bug::LostToldLate) { 10 * SECOND } else { 0 };
        self.after(wait + later, Happens::ToldLost { life, lane });
        if later > 0 {
            self.after(wait, Happens::Attach { life, lane });
        }
    }

    pub(crate) fn tell_lost(&mut self, lane: usize) {
        let (life, wait) = (self.life, self.soon(5_000));
        let state = &mut self.lanes[lane];
        state.life.carried = state.life.outstanding;
        state.life.was_lost = true;
        state.truth.cases.iter_mut().for_each(|case| case.due = 0);
        if let Some(Inbox(hear)) = state.life.inbox.as_ref().filter(|_| self.bug != Some(Bug::LostNotTold)) {
            hear(Told::Lost);
        }
        self.after(wait, Happens::Attach { life, lane });
    }

    pub(crate) fn attach(&mut self, lane: usize) {
        if !self.is_broker_up() {
            let life = self.life;
            return self.after(2 * SECOND, Happens::Attach { life, lane });
        }
        self.lanes[lane].attached = !self.lanes[lane].life.has_left;
        self.deliver(lane);
    }

    /// An answer of the worker to a delivery, sent and on its way.
    pub(crate) fn settles(&mut self, token: Token, back: bool, reply: Reply<Result<(), SettleError>>) {
        let Token { lane, session, number, .. } = token;
        self.say(|| format!("c{lane}: {} {number}", if back { "hand back" } else { "ack" }));
        let life = &mut self.lanes[lane].life;
        *(if back { &mut life.backs } else { &mut life.acks }) += 1;
        let back = match self.bug {
            Some(Bug::AckForHandBack) => false,
            Some(Bug::HandBackForAck) => true,
            _ => back,
        };
        // Of a lost subscription: the broker has the message again, and the answer goes nowhere.
        let Some(held) = self.in_hand(token).cloned() else {
            let said = if self.chances.permille(500) { Ok(()) } else { Err(SettleError::Gone) };
            return tell(reply, said);
        };
        self.check_wait(lane, &held);
        if !back {
            self.goes(lane, &held.copy);
            self.acked(lane, &held);
            self.lanes[lane].unacked.entry(number).and_modify(|held| held.leaving = true);
        }
        let (life, wait) = (self.life, self.soon(20));
        match self.chances.between(0, 1_000) {
            _ if self.bug == Some(Bug::AckNotSent) && !back => tell(reply, Ok(())),
            0..3 => self.after(10 * SECOND, Happens::Stuck { life, lane, session, reply }),
            3..40 => {
                let slow = self.soon(3_000);
                self.after(wait + slow, Happens::Settled { lane, session, number, back });
                self.after(wait + slow, Happens::Taken { reply });
            }
            _ => {
                self.after(wait, Happens::Settled { lane, session, number, back });
                tell(reply, Ok(()));
            }
        }
    }

    pub(crate) fn stuck(&mut self, lane: usize, session: u32, reply: Reply<Result<(), SettleError>>) {
        tell(reply, Err(SettleError::TimedOut));
        if self.lanes[lane].session == session {
            self.lose(lane);
        }
    }

    pub(crate) fn settled(&mut self, lane: usize, session: u32, number: u64, back: bool) {
        if self.lanes[lane].session != session {
            return;
        }
        let Some(held) = self.lanes[lane].unacked.remove(&number) else { return };
        if back && let Some(copy) = self.given_back(lane, held.copy) {
            self.lanes[lane].ready.push_front(copy);
        }
        self.deliver(lane);
    }

    /// The owner gives its subscription up.
    pub(crate) fn leaves(&mut self, lane: usize, reply: Reply<()>) {
        self.say(|| format!("c{lane}: leave"));
        let now = self.now;
        let own = &mut self.lanes[lane].life;
        if !own.has_left {
            own.open_at_end = own.open.values().copied().collect();
            (own.has_left, own.left_at) = (true, now);
        }
        let (life, wait) = (self.life, self.chances.pick(&[1, 50, 5 * SECOND]));
        self.after(wait, Happens::Left { life, lane, reply });
    }

    pub(crate) fn left(&mut self, lane: usize, reply: Reply<()>) {
        if self.lanes[lane].attached {
            self.drop_session(lane, true);
        }
        tell(reply, ());
    }

    pub(crate) fn return_from_rung(&mut self, lane: usize, copy: Copy) {
        if !self.is_broker_up() {
            return self.after(5 * SECOND, Happens::Return { lane, copy: Box::new(copy) });
        }
        if self.bug == Some(Bug::RungLosesMessages) && self.chances.permille(200) {
            return self.goes(lane, &copy);
        }
        if self.chances.permille(20) {
            // Dead-lettering at least once repeats a message now and then.
            self.comes(lane, &copy);
            self.enqueue(lane, copy.clone());
        }
        self.enqueue(lane, copy);
    }
}
