//! From the queue to the gate: read, route, admit.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::{Admission, admit};
use crate::alert::{alert_key, told_key};
use crate::connector::Connector;
use crate::dead::Reason;
use crate::event::{self, Severity};
use crate::fingerprint::Fingerprint;
use crate::journey::{Journey, SINCE};
use crate::limits::{DUE_HELD_MAX, STAMP_AHEAD_MAX};
use crate::message::{EventId, Message};
use crate::record::{Change, Happening, Looked, Record, RecordKey, State};
use crate::time::{Jump, UnixMillis};

use super::held::{Fate, Held, Stage};
use super::{Ending, Mode, Owner, Step, Tag};

impl Owner {
    pub(super) fn receive(&mut self, tag: Tag, message: Message, now: UnixMillis, steps: &mut Vec<Step>) {
        if self.mode != Mode::Running {
            steps.push(Step::HandBack { tag });
            return;
        }
        let was_seen = message.headers.contains_key(SINCE);
        let Some(mut held) = self.read(message, now) else {
            steps.push(Step::Ack { tag, ending: Ending::Filtered });
            return;
        };
        if let Some(first) = self.by_event.get(&held.event_id.fingerprint()) {
            let first = self.held.get_mut(first).expect("by_event names only what is held");
            first.joined_by(tag, &held.journey, held.message.arrival.died_at);
            return;
        }
        self.by_event.insert(held.event_id.fingerprint(), tag);
        self.tell_skew(&held, was_seen, steps);
        // Only now: a copy is recognised above by the due time that was written.
        held.journey.due = held.journey.due_by(now);
        let due = held.journey.due.filter(|_| matches!(held.fate, Fate::Deliver(_)));
        self.held.insert(tag, held);
        if due.is_some_and(|due| now.until(due) > DUE_HELD_MAX) {
            // It came back before its time: the longest rung that fitted was shorter than its delay.
            self.set_stage(tag, Stage::PublishingRetry { spent: false });
            self.publish_retry(tag, now, steps);
        } else {
            self.consider(tag, now, steps);
        }
    }

    /// Reads and routes a message; none: it is not for this connector.
    fn read(&self, message: Message, now: UnixMillis) -> Option<Held> {
        let mut journey = Journey::read(&message.headers);
        if let Some(other) = self.astray(&journey) {
            return Some(astray(message, journey, other, now));
        }
        let is_letter = journey.death.is_some();
        journey = journey.put_back(now).unwrap_or(journey);
        let seen = journey.since.map_or(now, |since| since.min(now));
        let accepted = self.accepted(&journey, &message, seen, now);
        journey.since = Some(seen);
        let is_put_back = is_letter || journey.addressed_to.as_ref() == Some(&self.settings.connector);
        let event = match &message.flaw {
            Some(flaw) => Err(flaw.clone()),
            None => event::read(&message.body).map_err(|bad| bad.to_string()),
        };
        let severity = event.as_ref().map_or_else(|_| Severity::default(), |event| event.severity);
        let (event_id, former_id, alert_key, fate) = match event {
            Err(detail) => {
                if !is_put_back && !self.settings.routing.keeps_invalid(&self.settings.connector) {
                    return None;
                }
                // Its message id may come again with a body that is put right, so the body tells them apart.
                let id = message.message_id.as_deref().unwrap_or_default();
                let name = Fingerprint::of([b"invalid".as_slice(), id.as_bytes(), &message.body]);
                let fate = Fate::Die { reason: Reason::Invalid, detail };
                (EventId::Hashed(name), name, name, fate)
            }
            Ok(event) => {
                let is_for = self.settings.routing.is_for(&self.settings.connector, &event);
                if !is_for && !is_put_back {
                    return None;
                }
                let own = event.id.as_deref();
                let event_id = EventId::of(Some(&event.project), own, &message);
                let former_id = EventId::of(None, own, &message).fingerprint();
                let alert_key = alert_key(&event, &self.settings.by);
                let fate = if is_for { Fate::Deliver(Arc::new(event.shortened())) } else { self.rerouted() };
                (event_id, former_id, alert_key, fate)
            }
        };
        Some(Held {
            former_id,
            severity,
            since: self.by_this_clock(seen, now),
            accepted: self.by_this_clock(accepted, now),
            ..Held::new(message, journey, event_id, alert_key, fate, now)
        })
    }

    /// The other connector that a dead letter belongs to, if somebody put it into this one's queue.
    fn astray(&self, journey: &Journey) -> Option<Connector> {
        let connector = journey.death.as_ref()?.replay_to()?;
        (*connector != self.settings.connector).then(|| connector.clone())
    }

    /// When a message was accepted into the queue: as its stamp says, unless that can't be. A replay begins anew.
    fn accepted(
        &self,
        journey: &Journey,
        message: &Message,
        seen: UnixMillis,
        now: UnixMillis,
    ) -> UnixMillis {
        let stamp = message.published_at.filter(|_| journey.replay.is_none()).unwrap_or(seen);
        if self.skew(stamp, seen).is_some() { seen } else { stamp.min(now) }
    }

    /// How far a stamp is from the time at which the message was first seen, if that is more than a queue or a good clock
    /// can account for.
    fn skew(&self, stamp: UnixMillis, seen: UnixMillis) -> Option<Jump> {
        let (behind, ahead) = (seen.since(stamp), seen.until(stamp));
        if ahead > STAMP_AHEAD_MAX {
            return Some(Jump::Forth(ahead));
        }
        (behind >= self.settings.policy.give_up_after).then_some(Jump::Back(behind))
    }

    /// Tells a stamp that is not believed, once: what has our header was seen before.
    fn tell_skew(&self, held: &Held, was_seen: bool, steps: &mut Vec<Step>) {
        let (Fate::Deliver(event), false) = (&held.fate, was_seen) else { return };
        let skew = held.message.published_at.and_then(|stamp| self.skew(stamp, held.held_since));
        steps.extend(skew.map(|skew| Step::Skewed { project: event.project.clone(), skew }));
    }

    /// It was put back for this connector, so no other has it, and the routing was changed since.
    fn rerouted(&self) -> Fate {
        let connector = &self.settings.connector;
        let detail =
            format!("it waited for connector `{connector}`, which no alert group gives it to any more");
        Fate::Die { reason: Reason::Unrouted, detail }
    }

    /// Asks the ledger, unless another delivery in hand already stands for the same alert key.
    pub(super) fn consider(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag) else { return };
        let (event, alerts) = (held.event_id.fingerprint(), held.told_keys().collect::<Vec<_>>());
        if held.claims_alert_key() {
            match alerts.iter().find_map(|alert| self.by_alert.get(alert)).copied() {
                Some(first) => return self.meet(tag, first, now, steps),
                None => drop(self.by_alert.insert(held.told_key(), tag)),
            }
        }
        self.set_stage(tag, Stage::Looking);
        steps.push(Step::Look { tag, event, alerts });
    }

    /// `tag` has the alert key of `first`, under another event, and no higher severity.
    fn meet(&mut self, tag: Tag, first: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let held = self.held.get_mut(&first).expect("by_alert names only what is held");
        if matches!(held.stage, Stage::Looking) {
            held.followers.push(tag);
            self.set_stage(tag, Stage::Following);
            return;
        }
        // The first is ours and still unacknowledged, so the broker keeps it: the repeat rests on that.
        held.repeats = held.repeats.saturating_add(1);
        self.finish(tag, Ending::Duplicate, now, steps);
    }

    pub(super) fn looked(&mut self, tag: Tag, looked: &Looked, now: UnixMillis, steps: &mut Vec<Step>) {
        // It is gone if the subscription was lost, or the owner told to stop, in the meantime.
        let Some(held) = self.held.get_mut(&tag).filter(|held| matches!(held.stage, Stage::Looking)) else {
            return;
        };
        let followers = std::mem::take(&mut held.followers);
        let own = held.own();
        let is_own_claim =
            |last: &Record| own.contains(&last.event) && matches!(last.state, State::InFlight { .. });
        let claim = looked.by_alert.iter().find(|(_, record)| is_own_claim(record));
        held.claim_in_ledger = claim.map(|(key, _)| *key);
        let (arrival, replay) = (held.message.arrival, held.journey.replay);
        let admission = admit(own, replay, arrival, looked, self.settings.window, now);
        if let Admission::PutBack(mark) = admission {
            held.begin_anew(mark, now);
            if self.by_alert.get(&held.told_key()) == Some(&tag) {
                self.by_alert.remove(&held.told_key());
            }
        } else if arrival.died_at.is_some() {
            // It says that it is a dead letter, and it is none here: it counts as any other.
            held.message.arrival.died_at = None;
            if held.claims_alert_key() && admission != Admission::Settled {
                return self.consider(tag, now, steps);
            }
        }
        match (admission, &held.fate) {
            (Admission::Settled, _) => self.finish(tag, Ending::Duplicate, now, steps),
            (Admission::Repeat(told), Fate::Deliver(_)) => {
                let (times, latest) = self.repeats.entry(told).or_insert((0, now));
                *times = times.saturating_add(1);
                *latest = now;
                self.suppress(tag, now, steps);
            }
            (Admission::Ours | Admission::PutBack(_), Fate::Deliver(_)) => {
                held.admitted = true;
                let due = held.journey.due.filter(|due| now < *due);
                self.wait(tag, due);
                self.outrank(tag, now, steps);
            }
            (Admission::Ours | Admission::PutBack(_) | Admission::Repeat(_), Fate::Die { .. }) => {
                self.publish_dead(tag, now, steps);
            }
        }
        followers.into_iter().for_each(|follower| self.consider(follower, now, steps));
    }

    /// An alert of ours stands for those of its alert key that are less severe, and not sent yet.
    fn outrank(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag).filter(|held| held.claims_alert_key()) else { return };
        let (key, severity) = (held.alert_key, held.severity);
        for lower in Severity::ALL.into_iter().filter(|lower| *lower < severity) {
            let Some(other) = self.by_alert.get(&told_key(key, lower)).copied() else { continue };
            if self.held.get(&other).is_some_and(|held| held.stage == Stage::Waiting) {
                let held = self.held.get_mut(&tag).expect("it is in hand");
                held.repeats = held.repeats.saturating_add(1);
                self.suppress(other, now, steps);
            }
        }
    }

    /// Another alert stands for this one: its claim on the alert key, if it has one, must not stand for others any more.
    fn suppress(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag) else { return };
        if let Some(claim) = held.claim_in_ledger {
            let (event, replay) = (held.event_id.fingerprint(), held.journey.replay);
            let happening = Happening::Claimed { event, replay, until: now };
            let change = Change { key: RecordKey::Alert(claim), happening, keep: Duration::ZERO };
            steps.push(Step::Note(vec![change]));
        }
        self.finish(tag, Ending::Duplicate, now, steps);
    }

    /// Puts an alert of ours before the gate, at once or when it is due.
    pub(super) fn wait(&mut self, tag: Tag, due: Option<UnixMillis>) {
        self.set_stage(tag, Stage::Waiting);
        match due {
            Some(due) => drop(self.delayed.insert((due, tag))),
            None => self.ready.push_back(tag),
        }
    }
}

/// Another connector's dead letter: it becomes one again, under a name of its own, so that nothing that is known of the
/// event here has to do with it.
fn astray(message: Message, mut journey: Journey, connector: Connector, now: UnixMillis) -> Held {
    let put_back = journey.put_back(now);
    journey.replay = put_back.and_then(|put_back| put_back.replay);
    let (reason, detail) =
        journey.death.take().map_or((Reason::Unrouted, String::new()), |death| (death.reason, death.detail));
    let id = message.message_id.as_deref().unwrap_or_default();
    let name =
        Fingerprint::of([b"astray".as_slice(), connector.as_str().as_bytes(), id.as_bytes(), &message.body]);
    let held = Held::new(message, journey, EventId::Hashed(name), name, Fate::Die { reason, detail }, now);
    Held { astray: Some(connector), ..held }
}
