//! What the process asks of the ledger, the destination and the outlet, and what comes of it.

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::journey;
use nightbell_core::limits::CLAIM_SLACK;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Destination, LedgerError, PublishError};
use nightbell_core::record::{Change, Happening, Looked, RecordKey};
use nightbell_core::time::millis;

use crate::bugs::Bug;
use crate::destination::{Reaction, misheard};
use crate::happens::{Committed, Happens, Reply, tell};
use crate::plan::{HOUR, SECOND, Weather};
use crate::world::{Copy, World};

/// How long a publish waits for its confirm.
const PUBLISH_TIME_OUT: u64 = 30 * SECOND;

/// How long a publish waits for a connection.
const NO_CONNECTION: u64 = 5 * SECOND;

fn failed() -> LedgerError {
    LedgerError("the disk is full".into())
}

/// The ledger.
impl World {
    pub(crate) fn look(
        &mut self,
        lane: usize,
        of: (Fingerprint, Vec<Fingerprint>),
        reply: Reply<Result<Looked, LedgerError>>,
    ) {
        self.say(|| format!("c{lane}: look"));
        self.lanes[lane].life.outstanding += 1;
        let (life, wait) = (self.life, self.soon(20));
        self.after(wait, Happens::Look { life, lane, of, reply });
    }

    pub(crate) fn looked(
        &mut self,
        lane: usize,
        (event, alerts): (Fingerprint, Vec<Fingerprint>),
        reply: Reply<Result<Looked, LedgerError>>,
    ) {
        self.lanes[lane].life.outstanding -= 1;
        let of = if self.bug == Some(Bug::LookOfAnotherConnector) { 0 } else { lane };
        let looked = match (self.store.failed, self.bug) {
            (true, Some(Bug::FailedLookToldAsUnknown)) => Ok(Looked::default()),
            (true, _) => Err(failed()),
            (false, _) => Ok(self.store.look(of, event, &alerts, self.now)),
        };
        tell(reply, looked);
    }

    pub(crate) fn commit(
        &mut self,
        lane: usize,
        changes: Vec<Change>,
        reply: Reply<Result<(), LedgerError>>,
    ) {
        self.say(|| format!("c{lane}: commit {:?}", changes.first().map(|change| &change.happening)));
        self.lanes[lane].life.outstanding += 1;
        for change in &changes {
            if let (RecordKey::Event(name), Happening::Claimed { until, .. }) =
                (change.key, &change.happening)
            {
                self.claimed(lane, name, until.0 - millis(CLAIM_SLACK));
            }
        }
        let (life, wait) = (self.life, self.soon(5));
        self.after(wait, Happens::Write { life, lane, changes, reply });
    }

    /// An event goes to a retry queue until then. One that is parked may go again when its retry is due, which is earlier.
    fn claimed(&mut self, lane: usize, name: Fingerprint, due: u64) {
        let event = self.plan.events.iter().position(|event| event.name == name);
        let state = &mut self.lanes[lane];
        if let Some(event) = event.filter(|event| std::mem::take(&mut state.life.seen[*event].sent)) {
            state.truth.cases[event].due = due;
        }
    }

    pub(crate) fn written(
        &mut self,
        lane: usize,
        mut changes: Vec<Change>,
        reply: Reply<Result<(), LedgerError>>,
    ) {
        let delivered = changes.iter().find_map(|change| match change.happening {
            Happening::Delivered { event, .. } => {
                self.plan.events.iter().position(|plotted| plotted.name == event)
            }
            Happening::Claimed { .. } | Happening::Died { .. } | Happening::Repeated { .. } => None,
        });
        if self.bug == Some(Bug::AlertKeyNotRecorded) && delivered.is_some() {
            changes.retain(|change| matches!(change.key, RecordKey::Event(_)));
        }
        self.batches += 1;
        if !self.store.failed {
            self.store.write(self.batches, lane, changes, self.now);
        }
        let slow = if self.chances.permille(20) { 2_000 } else { 30 };
        let mut at = (self.now + self.soon(slow)).max(self.flushed_at);
        let (life, number, mut reply) = (self.life, self.batches, Some(reply));
        if self.bug == Some(Bug::CommitBeforeFlush) {
            at += 2 * SECOND;
            self.answer_commit(lane, delivered, reply.take(), true);
        }
        self.flushed_at = at;
        self.at(at, Happens::Flush { life, lane, number, delivered, reply });
    }

    pub(crate) fn flushed(&mut self, lane: usize, number: u64, delivered: Option<usize>, reply: Committed) {
        if !self.store.failed {
            self.store.flush(number);
        }
        let durable = !self.store.failed || self.bug == Some(Bug::FailedCommitToldAsDurable);
        self.answer_commit(lane, delivered, reply, durable);
    }

    fn answer_commit(&mut self, lane: usize, delivered: Option<usize>, reply: Committed, durable: bool) {
        let Some(reply) = reply else { return };
        let own = &mut self.lanes[lane].life;
        own.outstanding -= 1;
        if let Some(event) = delivered.filter(|_| durable) {
            own.unrecorded = own.unrecorded.saturating_sub(1);
            own.open.remove(&event);
        }
        tell(reply, if durable { Ok(()) } else { Err(failed()) });
    }
}

/// The destination.
impl World {
    pub(crate) fn post(&mut self, lane: usize, alert: &Alert, reply: Reply<Outcome>) {
        let event = alert.event.message.as_deref().and_then(|number| number.parse::<usize>().ok());
        let Some(event) = event.filter(|event| *event < self.plan.events.len()) else {
            return self.wrong(format!("c{lane}: a POST of an event that nobody published"));
        };
        self.say(|| format!("c{lane}: POST of event {event}, attempt {}", alert.attempt));
        let own = &mut self.lanes[lane].life;
        own.outstanding += 1;
        own.posting += 1;
        own.seen[event].sent = true;
        if let Err(wrong) = self.may_send(lane, event) {
            self.wrong(format!("c{lane}: event {event}: {wrong}"));
        }
        self.lanes[lane].life.open.insert(event, alert.alert_id);
        let (life, wait, sent) = (self.life, self.soon(150), self.now);
        self.after(wait, Happens::Arrive { life, lane, event, sent, reply });
        if let Some((grace, down)) = self.stop_at_post.take() {
            self.after(1, Happens::Stop { life, grace, down });
        }
    }

    /// The POST is there: what xMatters makes of it, and what the sender hears.
    pub(crate) fn arrives(&mut self, life: u32, lane: usize, event: usize, sent: u64, reply: Reply<Outcome>) {
        let (weather, until) = self.lanes[lane].weather;
        let weather = if self.now < until { weather } else { Weather::Fine };
        let Reaction { outcome, accepts, accepts_late, at } =
            Reaction::of(weather, self.now, sent, &mut self.chances);
        if accepts_late {
            self.after(20 * SECOND, Happens::LateAcceptance { lane, event });
        }
        if matches!(outcome, Outcome::Refused { .. }) {
            self.lanes[lane].truth.cases[event].refused = true;
        }
        if accepts {
            let heard = matches!(outcome, Outcome::Accepted { .. }) && life == self.life;
            self.accepts(lane, event, heard);
        }
        if self.bug != Some(Bug::TimeOutNotTold) || outcome != Outcome::TimedOut {
            self.at(at, Happens::Heard { life, lane, event, outcome, reply });
        } else {
            // The receiver would hear of a sender that is gone.
            self.at(at + 1_000 * HOUR, Happens::Heard { life, lane, event, outcome, reply });
        }
    }

    pub(crate) fn accepts(&mut self, lane: usize, event: usize, heard: bool) {
        let unheard = if heard { "" } else { ", unheard" };
        self.say(|| format!("c{lane}: xMatters accepts event {event}{unheard}"));
        if let Err(wrong) = self.lanes[lane].truth.accepts(&self.plan, event, self.now, heard) {
            self.wrong(format!("c{lane}: {wrong}"));
        }
    }

    pub(crate) fn heard(&mut self, lane: usize, event: usize, outcome: Outcome, reply: Reply<Outcome>) {
        self.say(|| format!("c{lane}: event {event}: the answer is {outcome:?}"));
        let state = &mut self.lanes[lane];
        state.truth.manners.hears(&outcome, self.now);
        state.life.outstanding -= 1;
        state.life.posting -= 1;
        // It waits for a probe then, and not for a retry of its own.
        state.life.seen[event].sent &= !matches!(outcome, Outcome::Unauthorized { .. });
        let told = misheard(self.bug, outcome);
        if matches!(told, Outcome::Accepted { .. }) {
            state.life.unrecorded += 1;
        } else {
            state.life.open.remove(&event);
        }
        tell(reply, told);
    }
}

/// The outlet.
impl World {
    pub(crate) fn publish(
        &mut self,
        lane: usize,
        to: Destination,
        mut message: Message,
        reply: Reply<Result<(), PublishError>>,
    ) {
        self.say(|| format!("c{lane}: publish to {to:?}"));
        self.lanes[lane].life.outstanding += 1;
        if self.bug == Some(Bug::DueDropped) {
            message.headers.remove(journey::DUE);
        }
        let Some(copy) = self.copy_of(message) else {
            return self.wrong(format!("c{lane}: a message is published that nobody knows"));
        };
        let claimed = self.store.durably(lane, self.plan.events[copy.event].name, self.now).is_some();
        if to != Destination::Dead && !claimed && self.store.resets == 0 {
            self.wrong(format!("c{lane}: event {} goes to a rung before its claim is durable", copy.event));
        }
        let (life, wait) = (self.life, self.soon(30));
        let dead = to == Destination::Dead;
        match self.bug {
            Some(Bug::DeadLetterNotPublished) if dead => {
                self.after(wait, Happens::Confirm { life, lane, result: Ok(()), reply });
            }
            Some(Bug::ConfirmNotWaitedFor) => {
                self.after(1, Happens::Confirm { life, lane, result: Ok(()), reply });
                let ignored = Reply::unheard();
                self.lanes[lane].life.outstanding += 1;
                self.after(wait + 1, Happens::Land { life, lane, to, copy: Box::new(copy), reply: ignored });
            }
            _ => self.after(wait, Happens::Land { life, lane, to, copy: Box::new(copy), reply }),
        }
    }

    /// The copy is at the broker, if it can be reached: taken or not, and said or not.
    pub(crate) fn lands(
        &mut self,
        life: u32,
        lane: usize,
        to: Destination,
        copy: Copy,
        reply: Reply<Result<(), PublishError>>,
    ) {
        let bad = self.now < self.confirms_bad_until;
        let silent = || Err(PublishError::Unavailable("no confirm came".into()));
        let (lands, mut result, mut wait) = match self.chances.between(0, 100) {
            _ if !self.is_broker_up() => (false, silent(), NO_CONNECTION),
            0..20 if bad && self.bug == Some(Bug::ReturnedTakenForConfirmed) => (false, Ok(()), 5),
            0..20 if bad => (false, Err(PublishError::Refused), 5),
            20..50 if bad => (true, silent(), PUBLISH_TIME_OUT),
            50..80 if bad => (true, Ok(()), self.chances.between(SECOND, 25 * SECOND)),
            0..3 => (true, Ok(()), self.chances.between(SECOND, 5 * SECOND)),
            _ => (true, Ok(()), self.soon(20)),
        };
        if self.bug == Some(Bug::UnconfirmedToldAsConfirmed) {
            result = Ok(());
        }
        if self.bug == Some(Bug::RetryWithoutConfirm) && to != Destination::Dead {
            (result, wait) = (Ok(()), 1);
        }
        if lands {
            match to {
                Destination::Dead => self.bury(lane, copy),
                Destination::Retry { rung, connector } => {
                    if connector.as_str() != format!("c{lane}") {
                        self.wrong(format!("c{lane}: a retry for {connector}"));
                    }
                    self.comes(lane, &copy);
                    let wait = rung.wait().as_secs() * SECOND;
                    self.after(wait, Happens::Return { lane, copy: Box::new(copy) });
                }
                Destination::Events { .. } | Destination::Requeue { .. } => {
                    self.wrong(format!("c{lane}: an owner publishes to {to:?}"));
                }
            }
        }
        self.after(wait, Happens::Confirm { life, lane, result, reply });
    }

    pub(crate) fn confirmed(
        &mut self,
        lane: usize,
        result: Result<(), PublishError>,
        reply: Reply<Result<(), PublishError>>,
    ) {
        self.say(|| format!("c{lane}: published: {result:?}"));
        let own = &mut self.lanes[lane].life;
        own.outstanding -= 1;
        own.publishes_fail |= result.is_err();
        tell(reply, result);
    }
}
