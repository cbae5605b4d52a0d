//! From the queue to the gate: read, route, admit.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::{Admission, admit};
use crate::alert::{alert_key, told_key};
use crate::connector::Connector;
use crate::dead::Reason;
use crate::event::{self, Severity};
use crate::fingerprint::Fingerprint;
use crate::journey::{Death, Journey, SINCE};
use crate::limits::{DUE_HELD_MAX, STAMP_AHEAD_MAX};
use crate::message::{EventId, Message};
use crate::record::{Change, Looked, Record, RecordKey, State};
use crate::time::{Jump, UnixMillis};

use super::in_hand::{Cause, Fate, Identity, Idle, InHand, Stage};
use super::turn::Turn;
use super::{Ending, Mode, Owner, Settings, Step, Tag, Unexpected};

impl Turn<'_> {
    pub(super) fn receive(&mut self, tag: Tag, message: Message) {
        if self.owner.mode != Mode::Running {
            return self.steps.push(Step::HandBack { tag });
        }
        let Some((mut one, fate)) = self.owner.read(message, self.now) else {
            return self.steps.push(Step::Ack { tag, ending: Ending::Filtered });
        };
        if let Some(first) = self.owner.by_event.get(&one.identity.name()) {
            let (first, stage) = self.owner.in_hand.get_mut(first).expect("by_event names what is in hand");
            return first.joined_by(tag, stage, &one);
        }
        self.owner.by_event.insert(one.identity.name(), tag);
        // Only now: a copy is recognised above by the due time that was written.
        one.journey.due = one.journey.due_by(self.now);
        let Fate::Deliver(event) = fate else { return self.consider(tag, one, fate) };
        // What has our header was seen before, and told then.
        if !one.message.headers.contains_key(SINCE) {
            let skew = one.message.published_at.and_then(|stamp| self.owner.skew(stamp, self.now));
            self.steps.extend(skew.map(|skew| Step::Skewed { project: event.project.clone(), skew }));
        }
        match one.journey.due.filter(|due| self.now.until(*due) > DUE_HELD_MAX) {
            // It came back before its time: the longest rung that fitted was shorter than its delay.
            Some(due) => self.publish_retry(tag, one, event, Cause::Early, due),
            None => self.consider(tag, one, Fate::Deliver(event)),
        }
    }

    /// Asks the ledger, unless another delivery in hand already stands for the same alert key.
    pub(super) fn consider(&mut self, tag: Tag, one: Box<InHand>, fate: Fate) {
        let alerts: Vec<_> = one.identity.told_keys().collect();
        if matches!(fate, Fate::Deliver(_)) && one.stands_for_key() {
            if let Some(first) = alerts.iter().find_map(|alert| self.owner.by_alert.get(alert)) {
                return self.meet(tag, one, fate, *first);
            }
            self.owner.by_alert.insert(one.identity.told_key(), tag);
        }
        self.steps.push(Step::Look { tag, event: one.identity.name(), alerts });
        self.put(tag, one, Stage::Idle(Idle::Looking { fate, followers: Vec::new() }));
    }

    /// `tag` has the alert key of `first`, under another event, and no higher severity.
    fn meet(&mut self, tag: Tag, one: Box<InHand>, fate: Fate, first: Tag) {
        let (first, stage) = self.owner.in_hand.get_mut(&first).expect("by_alert names what is in hand");
        if let Stage::Idle(Idle::Looking { followers, .. }) = stage {
            followers.push(tag);
            return self.put(tag, one, Stage::Idle(Idle::Following(fate)));
        }
        // The first is ours and still unacknowledged, so the broker keeps it: the repeat rests on that.
        first.repeats = first.repeats.saturating_add(1);
        self.finish(tag, one, Ending::Duplicate);
    }

    pub(super) fn looked(&mut self, tag: Tag, looked: &Looked) -> Result<(), Unexpected> {
        // It is gone if the subscription was lost, or the owner told to stop, in the meantime.
        if !self.owner.in_hand.contains_key(&tag) {
            return Ok(());
        }
        let (mut one, (fate, followers)) = self.answered(tag, "a look's answer", |stage| {
            if let Stage::Idle(Idle::Looking { fate, followers }) = stage {
                Ok((fate, followers))
            } else {
                Err(stage)
            }
        })?;
        let own = one.identity.own();
        let is_own_claim =
            |last: &Record| own.contains(&last.event) && matches!(last.state, State::InFlight { .. });
        let claim = looked.by_alert.iter().find(|(_, record)| is_own_claim(record));
        one.claim_in_ledger = claim.map(|(key, _)| *key);
        self.admit(tag, one, fate, looked);
        for follower in followers {
            if let Some((one, stage)) = self.owner.in_hand.remove(&follower) {
                if let Stage::Idle(Idle::Following(fate)) = stage {
                    self.consider(follower, one, fate);
                } else {
                    self.put(follower, one, stage);
                }
            }
        }
        Ok(())
    }

    /// Goes on with what the ledger says.
    fn admit(&mut self, tag: Tag, mut one: Box<InHand>, fate: Fate, looked: &Looked) {
        let (own, replay, arrival) = (one.identity.own(), one.journey.replay, one.message.arrival);
        let admission = admit(own, replay, arrival, looked, self.owner.settings.window, self.now);
        if let Admission::PutBack(mark) = admission {
            one.begin_anew(mark, self.now);
            self.owner.give_way(tag, &one);
        } else if one.message.arrival.died_at.take().is_some() && admission != Admission::Settled {
            // It says that it is a dead letter, and it is none here: it counts as any other.
            if matches!(fate, Fate::Deliver(_)) && one.stands_for_key() {
                return self.consider(tag, one, fate);
            }
        }
        match (admission, fate) {
            (Admission::Settled, _) => self.finish(tag, one, Ending::Duplicate),
            (Admission::Repeat(told), Fate::Deliver(_)) => {
                let (times, latest) = self.owner.repeats.entry(told).or_insert((0, self.now));
                *times = times.saturating_add(1);
                *latest = self.now;
                self.suppress(tag, one);
            }
            (Admission::Ours | Admission::PutBack(_), Fate::Deliver(event)) => {
                self.outrank(&mut one);
                self.wait(tag, one, event);
            }
            (Admission::Ours | Admission::PutBack(_) | Admission::Repeat(_), Fate::Die(death)) => {
                self.publish_dead(tag, one, death);
            }
        }
    }

    /// An alert of ours stands for those of its alert key that are less severe, and not sent yet.
    fn outrank(&mut self, one: &mut InHand) {
        if !one.stands_for_key() {
            return;
        }
        let Identity { alert_key, severity, .. } = one.identity;
        for lower in Severity::ALL.into_iter().filter(|lower| *lower < severity) {
            let Some(other) = self.owner.by_alert.get(&told_key(alert_key, lower)).copied() else { continue };
            let Some((lesser, stage)) = self.owner.in_hand.remove(&other) else { continue };
            if matches!(stage, Stage::Idle(Idle::Waiting(_))) {
                one.repeats = one.repeats.saturating_add(1);
                self.suppress(other, lesser);
            } else {
                self.put(other, lesser, stage);
            }
        }
    }

    /// Another alert stands for this one: its claim on the alert key, if it has one, must not stand for others any more.
    fn suppress(&mut self, tag: Tag, one: Box<InHand>) {
        if let Some(claim) = one.claim_in_ledger {
            let happening = one.claimed(self.now);
            let change = Change { key: RecordKey::Alert(claim), happening, keep: Duration::ZERO };
            self.steps.push(Step::Note(vec![change]));
        }
        self.finish(tag, one, Ending::Duplicate);
    }
}

impl Owner {
    /// Reads and routes a message; none: it is not for this connector.
    fn read(&self, message: Message, now: UnixMillis) -> Option<(Box<InHand>, Fate)> {
        let mut journey = Journey::read(&message.headers);
        let anew = journey.put_back(now);
        let is_elsewhere = |to: &Connector| *to != self.settings.connector;
        if let Some(death) = journey.death.take_if(|death| death.replay_to().is_some_and(is_elsewhere)) {
            journey.replay = anew.and_then(|anew| anew.replay);
            return Some(astray(message, journey, death, now));
        }
        let is_put_back = anew.is_some() || journey.addressed_to.as_ref() == Some(&self.settings.connector);
        journey = anew.unwrap_or(journey);
        let (identity, fate) = self.identify(&message, is_put_back)?;
        let seen = journey.since.map_or(now, |since| since.min(now));
        // As its stamp says, unless that can't be. A replay begins anew.
        let stamp = message.published_at.filter(|_| journey.replay.is_none()).unwrap_or(seen);
        let accepted = if self.skew(stamp, seen).is_some() { seen } else { stamp.min(now) };
        journey.since = Some(seen);
        let [since, accepted] = [seen, accepted].map(|time| self.by_this_clock(time, now));
        let one = InHand { since, accepted, ..InHand::new(message, journey, identity, now) };
        Some((Box::new(one), fate))
    }

    /// What event a message brings, and what is to become of it; none: it is not for this connector.
    fn identify(&self, message: &Message, is_put_back: bool) -> Option<(Identity, Fate)> {
        let Settings { connector, routing, by, .. } = &self.settings;
        let event = match &message.flaw {
            Some(flaw) => Err(flaw.clone()),
            None => event::read(&message.body).map_err(|bad| bad.to_string()),
        };
        match event {
            Err(_) if !is_put_back && !routing.keeps_invalid(connector) => None,
            Err(detail) => {
                // Its message id may come again with a body that is put right, so the body tells them apart.
                let id = message.message_id.as_deref().unwrap_or_default();
                let name = Fingerprint::of([b"invalid".as_slice(), id.as_bytes(), &message.body]);
                Some((Identity::of_no_event(name), Fate::Die(self.death(Reason::Invalid, detail))))
            }
            Ok(event) => {
                let is_for = routing.is_for(connector, &event);
                let own = event.id.as_deref();
                let identity = || Identity {
                    event: EventId::of(Some(&event.project), own, message),
                    former: EventId::of(None, own, message).fingerprint(),
                    alert_key: alert_key(&event, by),
                    severity: event.severity,
                };
                let identity = (is_for || is_put_back).then(identity)?;
                let fate = if is_for { Fate::Deliver(Arc::new(event.shortened())) } else { self.rerouted() };
                Some((identity, fate))
            }
        }
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

    /// It was put back for this connector, so no other has it, and the routing was changed since.
    fn rerouted(&self) -> Fate {
        let connector = &self.settings.connector;
        let detail =
            format!("it waited for connector `{connector}`, which no alert group gives it to any more");
        Fate::Die(self.death(Reason::Unrouted, detail))
    }

    /// A death that is to come.
    pub(super) fn death(&self, reason: Reason, detail: String) -> Death {
        Death { connector: Some(self.settings.connector.clone()), reason, detail, at: None }
    }
}

/// Another connector's dead letter, put into this one's queue by mistake: it becomes one again, under a name of its own,
/// so that nothing that is known of the event here has to do with it.
fn astray(message: Message, journey: Journey, death: Death, now: UnixMillis) -> (Box<InHand>, Fate) {
    let connector = death.connector.as_ref().map_or("", Connector::as_str);
    let id = message.message_id.as_deref().unwrap_or_default();
    let name = [b"astray".as_slice(), connector.as_bytes(), id.as_bytes(), &message.body];
    let identity = Identity::of_no_event(Fingerprint::of(name));
    (Box::new(InHand::new(message, journey, identity, now)), Fate::Die(death))
}
