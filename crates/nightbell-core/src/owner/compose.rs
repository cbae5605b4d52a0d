//! What the owner sends, records and publishes for a delivery.

use std::sync::Arc;
use std::time::Duration;

use crate::alert::alert_id;
use crate::event::{Event, When};
use crate::fingerprint::Fingerprint;
use crate::journey::{Death, Journey};
use crate::message::EventId;
use crate::ports::{Alert, Destination};
use crate::record::{Change, Happening, RecordKey};
use crate::rung::Rung;
use crate::time::UnixMillis;
use crate::trace::TraceParent;

use super::in_hand::{Cause, InHand, Publishing, Recording, Stage};
use super::turn::Turn;
use super::{Owner, Step, Tag};

impl Owner {
    /// The alert to send; its number is that of the attempt about to be made.
    pub(super) fn alert(&self, one: &InHand, event: &Arc<Event>) -> Alert {
        let own_id = event.id.as_ref().or(one.message.message_id.as_ref()).filter(|id| !id.is_empty());
        Alert {
            alert_id: self.alert_id(one),
            alert_key: one.identity.alert_key,
            event_id: own_id.cloned().unwrap_or_else(|| one.identity.name().to_string()),
            event: dated(event, one.journey.since.unwrap_or(one.since)),
            attempt: one.journey.attempts.saturating_add(1),
            // Asked anew for each attempt: after a reload the new overrides hold for what waits in hand, too.
            overrides: self.settings.routing.overrides(&self.settings.connector, event),
            trace: TraceParent::of(&one.message.headers),
        }
    }

    pub(super) fn alert_id(&self, one: &InHand) -> Fingerprint {
        alert_id(&self.settings.connector, one.identity.event)
    }

    /// How long what became of an event is remembered.
    pub(super) fn kept(&self, one: &InHand) -> Duration {
        match one.identity.event {
            EventId::Given(_) => self.settings.retention,
            EventId::Hashed(_) => self.settings.window,
        }
    }
}

impl InHand {
    /// It is claimed for a retry queue until then.
    pub(super) fn claimed(&self, until: UnixMillis) -> Happening {
        Happening::Claimed { event: self.identity.name(), replay: self.journey.replay, until }
    }
}

impl Turn<'_> {
    /// Records what has happened under the delivery's event and, if that stands for it, under its alert key, with the
    /// repeats that were counted meanwhile. Each is kept for a time of its own.
    pub(super) fn record(
        &mut self,
        tag: Tag,
        mut one: Box<InHand>,
        recording: Recording,
        happening: Happening,
        [keep_event, keep]: [Duration; 2],
    ) {
        let told = one.identity.told_key();
        let stands = self.owner.by_alert.get(&told) == Some(&tag);
        let ends_claim = one.claim_in_ledger == Some(told) && matches!(happening, Happening::Died { .. });
        let event = RecordKey::Event(one.identity.name());
        let mut changes = vec![Change { key: event, happening: happening.clone(), keep: keep_event }];
        if stands || ends_claim || matches!(happening, Happening::Delivered { .. }) {
            let key = RecordKey::Alert(told);
            changes.push(Change { key, happening, keep });
            let times = std::mem::take(&mut one.repeats);
            if times > 0 {
                changes.push(Change {
                    key,
                    happening: Happening::Repeated { at: one.held_since, times },
                    keep,
                });
            }
        }
        self.steps.push(Step::Record { tag, changes });
        self.put(tag, one, Stage::Recording(recording));
    }

    /// Hands over the repeats of delivered alert keys that were counted since the last time.
    pub(super) fn note_repeats(&mut self) {
        let mut repeats: Vec<_> = self.owner.repeats.drain().collect();
        repeats.sort_unstable();
        let keep = self.owner.settings.window;
        let change = |(alert, (times, at))| Change {
            key: RecordKey::Alert(alert),
            happening: Happening::Repeated { at, times },
            keep,
        };
        let changes: Vec<_> = repeats.into_iter().map(change).collect();
        self.steps.extend((!changes.is_empty()).then_some(Step::Note(changes)));
    }

    /// Publishes a copy to the longest rung that brings it back in time.
    pub(super) fn publish_retry(
        &mut self,
        tag: Tag,
        one: Box<InHand>,
        event: Arc<Event>,
        cause: Cause,
        due: UnixMillis,
    ) {
        let (wait, connector) = (self.now.until(due), self.owner.settings.connector.clone());
        let rung = Rung::within(wait);
        let journey = Journey {
            due: Some(due),
            left: Some(wait.saturating_sub(rung.wait())),
            addressed_to: Some(connector.clone()),
            ..one.journey.clone()
        };
        let to = Destination::Retry { rung, connector };
        self.publish(tag, one, to, journey, Publishing::Retry { event, cause, due });
    }

    /// Publishes a copy to the dead letters.
    pub(super) fn publish_dead(&mut self, tag: Tag, one: Box<InHand>, death: Death) {
        let death = Death { at: Some(self.now), ..death };
        let journey = Journey { due: None, left: None, death: Some(death.clone()), ..one.journey.clone() };
        self.publish(tag, one, Destination::Dead, journey, Publishing::Dead(death));
    }

    /// Publishes the message with this journey, the body untouched.
    fn publish(
        &mut self,
        tag: Tag,
        one: Box<InHand>,
        to: Destination,
        journey: Journey,
        publishing: Publishing,
    ) {
        // By the clock as it was read then; one that was set back since would make it a time to come.
        let since = journey.since.min(Some(one.since));
        let mut message = one.message.clone();
        Journey { since, ..journey }.write(&mut message.headers);
        self.steps.push(Step::Publish { tag, to, message });
        self.put(tag, one, Stage::Publishing(publishing));
    }
}

/// The event with a time, because flows read one: if nobody says when it occurred, that of its acceptance.
fn dated(event: &Arc<Event>, accepted_at: UnixMillis) -> Arc<Event> {
    match event.occurred_at {
        Some(_) => Arc::clone(event),
        None => Arc::new(Event { occurred_at: Some(When(accepted_at)), ..(**event).clone() }),
    }
}
