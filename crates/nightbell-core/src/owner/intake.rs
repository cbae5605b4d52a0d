//! From the queue to the gate: read, route, age, admit.

use std::sync::Arc;

use crate::admission::{Admission, admit};
use crate::alert::alert_key;
use crate::dead::Reason;
use crate::event;
use crate::fingerprint::Fingerprint;
use crate::journey::Journey;
use crate::limits::DUE_HELD_MAX;
use crate::message::{EventId, Message};
use crate::record::{Looked, Record, State};
use crate::time::UnixMillis;

use super::held::{Fate, Held, Stage};
use super::{Ending, Mode, Owner, Step, Tag};

impl Owner {
    pub(super) fn receive(&mut self, tag: Tag, message: Message, now: UnixMillis, steps: &mut Vec<Step>) {
        if self.mode != Mode::Running {
            steps.push(Step::HandBack { tag });
            return;
        }
        let Some(mut held) = self.read(message, now) else {
            steps.push(Step::Ack { tag, ending: Ending::Filtered });
            return;
        };
        if let Some(first) = self.by_event.get(&held.event_id.fingerprint()) {
            let first = self.held.get_mut(first).expect("by_event names only what is held");
            first.joined_by(tag, &held.journey);
            return;
        }
        self.by_event.insert(held.event_id.fingerprint(), tag);
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
        let accepted = journey.since.or(message.published_at).map_or(now, |since| since.min(now));
        journey.since = Some(accepted);
        let since = self.accepted_at(accepted, now);
        let is_put_back = journey.addressed_to.as_ref() == Some(&self.settings.connector);
        let (event_id, alert_key, fate) = match event::read(&message.body) {
            Err(bad) => {
                if !is_put_back && !self.settings.routing.keeps_invalid(&self.settings.connector) {
                    return None;
                }
                // Its message id may come again with a body that is put right, so the body tells them apart.
                let id = message.message_id.as_deref().unwrap_or_default();
                let name = Fingerprint::of([b"invalid".as_slice(), id.as_bytes(), &message.body]);
                (EventId::Hashed(name), name, Fate::Die { reason: Reason::Invalid, detail: bad.to_string() })
            }
            Ok(event) => {
                let is_for = self.settings.routing.is_for(&self.settings.connector, &event);
                if !is_for && !is_put_back {
                    return None;
                }
                let event_id = EventId::of(event.id.as_deref(), &message);
                let alert_key = alert_key(&event, &self.settings.by);
                let fate = if is_for {
                    self.fate_by_age(Arc::new(event.shortened()), since, now)
                } else {
                    self.rerouted()
                };
                (event_id, alert_key, fate)
            }
        };
        Some(Held {
            message,
            journey,
            event_id,
            alert_key,
            since,
            held_since: now,
            fate,
            stage: Stage::Looking,
            copy_due: None,
            due_before: None,
            admitted: false,
            claims_in_ledger: false,
            is_orphan: false,
            twins: Vec::new(),
            survivors: Vec::new(),
            followers: Vec::new(),
            repeats: 0,
            unconfirmed: 0,
            publish_after: now,
        })
    }

    /// It was put back for this connector, so no other has it, and the routing was changed since.
    fn rerouted(&self) -> Fate {
        let connector = &self.settings.connector;
        let detail =
            format!("it waited for connector `{connector}`, which no alert group gives it to any more");
        Fate::Die { reason: Reason::Unrouted, detail }
    }

    fn fate_by_age(&self, event: Arc<event::Event>, since: UnixMillis, now: UnixMillis) -> Fate {
        if !self.settings.policy.is_given_up(since, now) {
            return Fate::Deliver(event);
        }
        let limit = self.settings.policy.give_up_after.as_secs();
        let detail = format!("accepted at {since}, given up at {now}; retry.give_up_after is {limit} s");
        Fate::Die { reason: Reason::Expired, detail }
    }

    /// Asks the ledger, unless another delivery in hand already stands for the same alert key.
    pub(super) fn consider(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag) else { return };
        let (event, alert) = (held.event_id.fingerprint(), held.alert_key);
        if held.claims_alert_key() {
            match self.by_alert.get(&alert).copied() {
                Some(first) => return self.meet(tag, first, now, steps),
                None => drop(self.by_alert.insert(alert, tag)),
            }
        }
        self.set_stage(tag, Stage::Looking);
        steps.push(Step::Look { tag, event, alert });
    }

    /// `tag` has the alert key of `first`, under another event.
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
        let own = held.event_id.fingerprint();
        let is_own_claim = |last: &Record| last.event == own && matches!(last.state, State::InFlight { .. });
        held.claims_in_ledger = looked.by_alert.as_ref().is_some_and(is_own_claim);
        let admission =
            admit(held.event_id.fingerprint(), held.journey.replay, looked, self.settings.window, now);
        match (admission, &held.fate) {
            (Admission::Settled, _) => self.finish(tag, Ending::Duplicate, now, steps),
            (Admission::Repeat, Fate::Deliver(_)) => {
                let alert_key = held.alert_key;
                let (times, latest) = self.repeats.entry(alert_key).or_insert((0, now));
                *times = times.saturating_add(1);
                *latest = now;
                self.finish(tag, Ending::Duplicate, now, steps);
            }
            (Admission::Ours, Fate::Deliver(_)) => {
                held.admitted = true;
                let due = held.journey.due.filter(|due| now < *due);
                self.wait(tag, due);
            }
            (Admission::Ours | Admission::Repeat, Fate::Die { .. }) => self.publish_dead(tag, now, steps),
        }
        followers.into_iter().for_each(|follower| self.consider(follower, now, steps));
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
