//! The executor: it performs what core says, as the worker does, and every step ends later or never.

use crate::bugs::Bug;
use crate::plan::SECOND;
use crate::world::{Happens, World};
use nightbell_core::alert::told_key;
use nightbell_core::dead::Reason;
use nightbell_core::event::Severity;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::limits::CLAIM_SLACK;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Ending, Input, Step, Tag};
use nightbell_core::ports::Destination;
use nightbell_core::record::{Change, Happening, Looked, RecordKey};
use nightbell_core::time::UnixMillis;
use std::time::Duration;

use crate::lane::{Copy, Hand, PUBLISH_TIME_OUT};

impl World {
    pub(crate) fn tell(&mut self, lane: usize, input: Input) {
        let now = UnixMillis(self.now);
        let steps = self.lanes[lane].owner.handle(input, now).unwrap_or_else(|unexpected| {
            self.wrong(format!("c{lane}: {unexpected}"));
            Vec::new()
        });
        let life = self.life;
        for step in steps {
            if self.is_struck() || self.life != life {
                return;
            }
            self.perform(lane, step);
        }
        self.check_bounds(lane);
        let late = self.chances.between(0, self.plan.tick_late_max + 1);
        let held = &mut self.lanes[lane];
        if let Some(at) = held.owner.wake_at().filter(|_| self.bug != Some(Bug::NoTicks)) {
            let at = at.0.max(self.now) + late;
            if held.wake.is_none_or(|wake| wake < self.now || at < wake) {
                held.wake = Some(at);
                self.at(at, Happens::Wake { life, lane });
            }
        }
    }

    /// One step further towards a crash; true: it has come.
    pub(crate) fn is_struck(&mut self) -> bool {
        if let Some((steps, _)) = &mut self.crash_in {
            *steps = steps.saturating_sub(1);
        }
        matches!(self.crash_in, Some((0, _)))
    }

    pub(crate) fn wake(&mut self, lane: usize) {
        if self.lanes[lane].wake == Some(self.now) {
            self.lanes[lane].wake = None;
            self.tell(lane, Input::Tick);
        }
    }

    pub(crate) fn perform(&mut self, lane: usize, step: Step) {
        self.say(|| format!("c{lane}: {}", shown(&step)));
        let life = self.life;
        match step {
            Step::Look { tag, event, alerts } => {
                self.lanes[lane].outstanding += 1;
                let wait = self.soon(20);
                self.after(wait, Happens::Look { life, lane, tag, event, alerts });
            }
            Step::Attempt { tag, .. } => self.attempt(lane, tag),
            Step::Record { tag, changes } => {
                self.lanes[lane].outstanding += 1;
                self.record(lane, tag, changes);
            }
            Step::Tell { .. } | Step::Skewed { .. } => {}
            Step::Note(changes) => self.after(1, Happens::Write { life, lane, tag: None, changes }),
            Step::Publish { tag, to, message } => self.publish(lane, tag, to, message),
            Step::Ack { tag, ending } => {
                if self.lanes[lane].settled_early.remove(&tag) {
                } else if self.bug == Some(Bug::HandBackInsteadOfAck) {
                    self.hand_back(lane, tag);
                } else {
                    self.ack(lane, tag, ending);
                    if self.bug == Some(Bug::SettledTwice) && self.chances.permille(100) {
                        self.ack(lane, tag, ending);
                    }
                }
            }
            Step::HandBack { tag } => self.hand_back(lane, tag),
            Step::Halt => {
                self.lanes[lane].halted = true;
                self.drop_session(lane, false);
            }
        }
    }

    pub(crate) fn look(&mut self, lane: usize, tag: Tag, event: Fingerprint, mut alerts: Vec<Fingerprint>) {
        if self.bug == Some(Bug::SeverityIgnored)
            && let Some(hand) = self.lanes[lane].hands.get(&tag)
            && let Some(key) = self.plan.events[hand.copy.event].alert_key
        {
            alerts = Severity::ALL.map(|severity| told_key(key, severity)).into();
        }
        let mut looked = (!self.store.failed).then(|| self.store.look(lane, event, &alerts, self.now));
        if looked.is_none() && self.bug == Some(Bug::FailedLookTakenForUnknown) {
            looked = Some(Looked::default());
        }
        self.answer(lane, Input::Looked { tag, looked });
    }

    pub(crate) fn attempt(&mut self, lane: usize, tag: Tag) {
        self.lanes[lane].outstanding += 1;
        self.lanes[lane].posting += 1;
        let Some(hand) = self.lanes[lane].hands.get_mut(&tag) else {
            return self.wrong(format!("c{lane}: {tag:?} is sent, and is not in hand"));
        };
        hand.sent = true;
        let hand = hand.clone();
        if let Err(wrong) = self.may_send(lane, &hand) {
            self.wrong(format!("c{lane}: event {}: {wrong}", hand.copy.event));
        }
        if self.bug == Some(Bug::MarkedBeforePost) {
            let (event, at) = (self.plan.events[hand.copy.event].name, UnixMillis(self.now));
            let happening = Happening::Delivered { event, replay: None, at, request_id: None };
            let keep = Duration::from_secs(86_400);
            let change = Change { key: RecordKey::Event(event), happening, keep };
            self.batches += 1;
            self.store.write(self.batches, lane, vec![change], self.now);
            self.store.flush(self.batches);
        }
        let (life, wait, sent) = (self.life, self.soon(150), self.now);
        let serial = hand.copy.serial;
        self.after(wait, Happens::Arrive { life, lane, tag, serial, sent });
    }

    pub(crate) fn answer(&mut self, lane: usize, input: Input) {
        let input = match input {
            Input::Attempted { tag, outcome, chance } => {
                self.heard(lane, &outcome);
                self.lanes[lane].posting -= 1;
                let outcome = self.misheard(outcome);
                if matches!(outcome, Outcome::Accepted { .. }) {
                    self.lanes[lane].unrecorded += 1;
                }
                if let (Outcome::Unauthorized { .. }, Some(hand)) =
                    (&outcome, self.lanes[lane].hands.get_mut(&tag))
                {
                    // It waits for a probe, and not for a retry of its own.
                    hand.sent = false;
                }
                Input::Attempted { tag, outcome, chance }
            }
            Input::Published { tag, confirmed } => {
                if !confirmed && self.bug == Some(Bug::PublishTimeOutForgotten) {
                    return;
                }
                if !confirmed {
                    self.lanes[lane].publishes_fail = true;
                    if let Some(hand) = self.lanes[lane].hands.get_mut(&tag) {
                        hand.publish_failed = true;
                    }
                }
                self.say(|| format!("c{lane}: {tag:?} published: {confirmed}"));
                Input::Published { tag, confirmed }
            }
            same @ (Input::Received { .. }
            | Input::Looked { .. }
            | Input::Recorded { .. }
            | Input::Lost
            | Input::Tick
            | Input::ClockSet(_)
            | Input::Stop
            | Input::Configured(_)) => same,
        };
        self.lanes[lane].outstanding -= 1;
        self.tell(lane, input);
        self.end_if_drained();
    }

    pub(crate) fn record(&mut self, lane: usize, tag: Tag, changes: Vec<Change>) {
        let delivered = is_delivered(&changes);
        for change in &changes {
            if let (RecordKey::Event(_), Happening::Claimed { until, .. }) = (change.key, &change.happening) {
                let due = until.0 - u64::try_from(CLAIM_SLACK.as_millis()).expect("minutes");
                // One that is parked may go again when its retry is due, which is earlier.
                let hand = self.lanes[lane].hands.get_mut(&tag).filter(|hand| hand.sent);
                if let Some(hand) = hand {
                    hand.sent = false;
                    let event = hand.copy.event;
                    self.lanes[lane].truth.cases[event].due = due;
                }
            }
        }
        if delivered && self.bug == Some(Bug::AckBeforeRecord) {
            self.ack(lane, tag, Ending::Delivered { since: UnixMillis(self.now) });
            self.lanes[lane].settled_early.insert(tag);
        }
        let (life, wait) = (self.life, self.soon(5));
        if self.bug == Some(Bug::ClaimNotWritten) && changes.iter().any(Change::is_claim) {
            let input = Box::new(Input::Recorded { tag, durable: true });
            return self.after(wait, Happens::Answer { life, lane, input });
        }
        self.after(wait, Happens::Write { life, lane, tag: Some(tag), changes });
    }

    pub(crate) fn write(&mut self, lane: usize, tag: Option<Tag>, mut changes: Vec<Change>) {
        let delivered = is_delivered(&changes);
        if self.bug == Some(Bug::AlertKeyNotRecorded) && delivered {
            changes.retain(|change| matches!(change.key, RecordKey::Event(_)));
        }
        self.batches += 1;
        if !self.store.failed {
            self.store.write(self.batches, lane, changes, self.now);
        }
        let slow = if self.chances.permille(20) { 2_000 } else { 30 };
        let flushed = (self.now + self.soon(slow)).max(self.flushed_at);
        self.flushed_at = flushed;
        let (life, number) = (self.life, self.batches);
        if self.bug == Some(Bug::FlushSkipped) {
            self.at(flushed + 2_000, Happens::Flush { life, lane, tag: None, number, delivered: false });
            return self.recorded(lane, tag, delivered, !self.store.failed);
        }
        self.at(flushed, Happens::Flush { life, lane, tag, number, delivered });
    }

    pub(crate) fn flush(&mut self, lane: usize, tag: Option<Tag>, number: u64, delivered: bool) {
        if !self.store.failed {
            self.store.flush(number);
        }
        if self.is_struck() {
            return;
        }
        let durable = !self.store.failed || self.bug == Some(Bug::FailedLedgerTakenForDurable);
        self.recorded(lane, tag, delivered, durable);
    }

    pub(crate) fn recorded(&mut self, lane: usize, tag: Option<Tag>, delivered: bool, durable: bool) {
        if delivered {
            self.lanes[lane].unrecorded = self.lanes[lane].unrecorded.saturating_sub(1);
        }
        if let Some(tag) = tag {
            self.answer(lane, Input::Recorded { tag, durable });
        }
    }

    pub(crate) fn publish(&mut self, lane: usize, tag: Tag, to: Destination, message: Message) {
        self.lanes[lane].outstanding += 1;
        let Some(hand) = self.lanes[lane].hands.get(&tag) else {
            return self.wrong(format!("c{lane}: {tag:?} is published, and is not in hand"));
        };
        let (life, received) = (self.life, hand.received);
        let copy = Box::new(Copy { returns: 0, message, ..hand.copy.clone() });
        let dead = to == Destination::Dead;
        let early = match self.bug {
            Some(Bug::AckBeforeConfirm) if !dead => Some(Ending::Retried),
            Some(Bug::DeadAckedBeforeConfirm) if dead => Some(Ending::Dead(Reason::Refused)),
            _ => None,
        };
        if let Some(ending) = early {
            self.ack(lane, tag, ending);
            self.lanes[lane].settled_early.insert(tag);
            self.lanes[lane].hands.insert(
                tag,
                Hand {
                    copy: (*copy).clone(),
                    session: 0,
                    received,
                    routing: 0,
                    publish_failed: true,
                    sent: false,
                },
            );
        }
        if dead && self.bug == Some(Bug::DeadLetterNotPublished) {
            let input = Box::new(Input::Published { tag, confirmed: true });
            return self.after(1, Happens::Answer { life, lane, input });
        }
        let wait = self.soon(30);
        self.after(wait, Happens::Land { life, lane, tag, to, copy });
    }

    /// The copy is at the broker, if it can be reached: taken or not, and said or not.
    pub(crate) fn land(&mut self, then: u32, lane: usize, tag: Tag, to: Destination, copy: Copy) {
        let dead = to == Destination::Dead;
        let bad = self.now < self.confirms_bad_until;
        let (mut lands, mut confirmed, mut wait) = match self.chances.between(0, 100) {
            0..20 if bad => (false, self.bug == Some(Bug::ReturnedTakenForConfirmed), 5),
            20..50 if bad => (true, false, PUBLISH_TIME_OUT),
            50..80 if bad => (true, true, self.chances.between(SECOND, 25 * SECOND)),
            0..3 => (true, true, self.chances.between(SECOND, 5 * SECOND)),
            _ => (true, true, self.soon(20)),
        };
        if !self.is_broker_up() {
            (lands, confirmed, wait) = (false, false, PUBLISH_TIME_OUT);
        }
        if self.bug == Some(Bug::RetryWithoutConfirm) && !dead {
            (confirmed, wait) = (true, 1);
        }
        if lands {
            match to {
                Destination::Dead => self.bury(lane, copy),
                Destination::Retry { rung, .. } => {
                    self.lanes[lane].truth.comes(&self.plan, copy.event);
                    self.after(
                        rung.wait().as_secs() * SECOND,
                        Happens::Return { lane, copy: Box::new(copy) },
                    );
                }
                Destination::Events { .. } | Destination::Requeue { .. } => {
                    self.wrong(format!("c{lane}: an owner publishes to {to:?}"));
                }
            }
        }
        let input = Box::new(Input::Published { tag, confirmed });
        self.after(wait, Happens::Answer { life: then, lane, input });
    }
}

fn is_delivered(changes: &[Change]) -> bool {
    changes.iter().any(|change| matches!(change.happening, Happening::Delivered { .. }))
}

fn shown(step: &Step) -> String {
    match step {
        Step::Look { tag, .. } => format!("look {tag:?}"),
        Step::Attempt { tag, alert } => format!("attempt {tag:?}, number {}", alert.attempt),
        Step::Record { tag, changes } => {
            let happening = changes.first().map(|change| &change.happening);
            match happening {
                Some(Happening::Claimed { .. }) => format!("record {tag:?}: claimed"),
                Some(Happening::Delivered { .. }) => format!("record {tag:?}: delivered"),
                Some(Happening::Died { .. }) => format!("record {tag:?}: died"),
                Some(Happening::Repeated { .. }) | None => format!("record {tag:?}"),
            }
        }
        Step::Tell { tag, judged, .. } => format!("tell {tag:?}: {judged:?}"),
        Step::Skewed { skew, .. } => format!("a stamp is not believed: {skew:?}"),
        Step::Note(changes) => format!("note {} changes", changes.len()),
        Step::Publish { tag, to, .. } => match to {
            Destination::Retry { rung, .. } => format!("publish {tag:?} to rung {rung}"),
            other @ (Destination::Events { .. } | Destination::Requeue { .. } | Destination::Dead) => {
                format!("publish {tag:?} to {other:?}")
            }
        },
        Step::Ack { tag, ending } => format!("ack {tag:?}: {ending:?}"),
        Step::HandBack { tag } => format!("hand back {tag:?}"),
        Step::Halt => "halt".into(),
    }
}
