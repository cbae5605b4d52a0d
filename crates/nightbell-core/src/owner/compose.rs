//! What the owner sends, records and publishes for a delivery.

use std::sync::Arc;
use std::time::Duration;

use crate::alert::alert_id;
use crate::event::{Event, When};
use crate::fingerprint::Fingerprint;
use crate::journey::Death;
use crate::message::{EventId, Message};
use crate::ports::{Alert, Destination};
use crate::record::{Change, Happening, RecordKey};
use crate::rung::Rung;
use crate::time::UnixMillis;
use crate::trace::TraceParent;

use super::held::{Fate, Held, Stage};
use super::{Owner, Step, Tag};

impl Owner {
    /// The alert to send; its number is that of the attempt about to be made.
    pub(super) fn alert(&self, tag: Tag) -> Option<Alert> {
        let held = self.held.get(&tag)?;
        let Fate::Deliver(event) = &held.fate else { return None };
        let own_id = event.id.as_ref().or(held.message.message_id.as_ref()).filter(|id| !id.is_empty());
        Some(Alert {
            alert_id: self.alert_id(held),
            alert_key: held.alert_key,
            event_id: own_id.cloned().unwrap_or_else(|| held.event_id.fingerprint().to_string()),
            event: dated(event, held.journey.since.unwrap_or(held.since)),
            attempt: held.journey.attempts.saturating_add(1),
            // Asked anew for each attempt: after a reload the new overrides hold for what waits in hand, too.
            overrides: self.settings.routing.overrides(&self.settings.connector, event),
            trace: TraceParent::of(&held.message.headers),
        })
    }

    pub(super) fn alert_id(&self, held: &Held) -> Fingerprint {
        alert_id(&self.settings.connector, held.event_id)
    }

    /// How long what became of an event is remembered.
    pub(super) fn kept(&self, tag: Tag) -> Duration {
        match self.held.get(&tag).map(|held| held.event_id) {
            Some(EventId::Given(_)) => self.settings.retention,
            Some(EventId::Hashed(_)) | None => self.settings.window,
        }
    }

    /// The changes to both records of a delivery, and the repeats counted on it meanwhile.
    pub(super) fn changes(
        &mut self,
        tag: Tag,
        happening: &Happening,
        keep_event: Duration,
        keep_alert: Duration,
    ) -> Vec<Change> {
        let Some(held) = self.held.get_mut(&tag) else { return Vec::new() };
        let event = RecordKey::Event(held.event_id.fingerprint());
        let told = held.told_key();
        let alert = RecordKey::Alert(told);
        let mut changes = vec![Change { key: event, happening: happening.clone(), keep: keep_event }];
        let delivered = matches!(happening, Happening::Delivered { .. });
        let stands = self.by_alert.get(&told) == Some(&tag);
        let ends_claim = held.claim_in_ledger == Some(told) && matches!(happening, Happening::Died { .. });
        if delivered || stands || ends_claim {
            changes.push(Change { key: alert, happening: happening.clone(), keep: keep_alert });
            let times = std::mem::take(&mut held.repeats);
            if times > 0 {
                let happening = Happening::Repeated { at: held.held_since, times };
                changes.push(Change { key: alert, happening, keep: keep_alert });
            }
        }
        changes
    }

    /// Hands over the repeats of delivered alert keys that were counted since the last time.
    pub(super) fn note_repeats(&mut self, steps: &mut Vec<Step>) {
        if self.repeats.is_empty() {
            return;
        }
        let mut repeats: Vec<_> = self.repeats.drain().collect();
        repeats.sort_unstable();
        let keep = self.settings.window;
        let change = |(alert, (times, at))| Change {
            key: RecordKey::Alert(alert),
            happening: Happening::Repeated { at, times },
            keep,
        };
        steps.push(Step::Note(repeats.into_iter().map(change).collect()));
    }

    /// Publishes a copy to the longest rung that brings it back in time.
    pub(super) fn publish_retry(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get_mut(&tag) else { return };
        let wait = held.journey.due.map_or(Duration::ZERO, |due| now.until(due));
        let rung = Rung::within(wait);
        held.copy_due = held.journey.due;
        held.journey.addressed_to = Some(self.settings.connector.clone());
        held.journey.left = Some(wait.saturating_sub(rung.wait()));
        let to = Destination::Retry { rung, connector: self.settings.connector.clone() };
        let message = copy(held);
        steps.push(Step::Publish { tag, to, message });
    }

    /// Publishes a copy to the dead letters.
    pub(super) fn publish_dead(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get_mut(&tag) else { return };
        let Fate::Die { reason, detail } = &held.fate else { return };
        held.stage = Stage::PublishingDead;
        (held.journey.due, held.journey.left) = (None, None);
        held.journey.death = Some(Death {
            connector: held.astray.clone().or_else(|| Some(self.settings.connector.clone())),
            reason: *reason,
            detail: detail.clone(),
            at: Some(now),
        });
        let message = copy(held);
        steps.push(Step::Publish { tag, to: Destination::Dead, message });
    }
}

/// The event with a time, because flows read one: if nobody says when it occurred, that of its acceptance.
fn dated(event: &Arc<Event>, accepted_at: UnixMillis) -> Arc<Event> {
    match event.occurred_at {
        Some(_) => Arc::clone(event),
        None => Arc::new(Event { occurred_at: Some(When(accepted_at)), ..(**event).clone() }),
    }
}

/// The message with its journey so far, the body untouched.
fn copy(held: &mut Held) -> Message {
    // By the clock as it was read then; one that was set back since would make it a time to come.
    held.journey.since = held.journey.since.min(Some(held.since));
    let mut message = held.message.clone();
    held.journey.write(&mut message.headers);
    message
}
