//! One delivery in hand.

use std::sync::Arc;

use crate::alert::told_key;
use crate::connector::Connector;
use crate::dead::Reason;
use crate::event::{Event, Severity};
use crate::fingerprint::Fingerprint;
use crate::journey::Journey;
use crate::message::{EventId, Message};
use crate::time::UnixMillis;

use super::Tag;

/// A delivery in hand, and all that is known of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) message: Message,
    pub(super) journey: Journey,
    pub(super) event_id: EventId,
    /// The event's fingerprint in earlier versions, by which claims that they wrote are known.
    pub(super) former_id: Fingerprint,
    pub(super) alert_key: Fingerprint,
    /// The other connector whose dead letter it is, put into this one's queue by mistake.
    pub(super) astray: Option<Connector>,
    pub(super) severity: Severity,
    /// When an owner first saw the alert, by the clock as it goes now. Its age counts from here.
    pub(super) since: UnixMillis,
    /// When the alert was accepted into the queue, as far as its stamp is believed. It decides nothing.
    pub(super) accepted: UnixMillis,
    /// When it came into this hand.
    pub(super) held_since: UnixMillis,
    pub(super) fate: Fate,
    pub(super) stage: Stage,
    /// The due time that its copy in a retry queue has, as it was written.
    pub(super) copy_due: Option<UnixMillis>,
    /// When it was to be tried again before it was parked. If the queue does not take it, that holds again.
    pub(super) due_before: Option<UnixMillis>,
    /// Whether the ledger was asked, and it is ours.
    pub(super) admitted: bool,
    /// Under which alert key the ledger has a claim for this very event, which its death or its suppression has to end.
    pub(super) claim_in_ledger: Option<Fingerprint>,
    /// Whether its subscription was lost, and it did not come again: another worker may have it by now.
    pub(super) is_orphan: bool,
    /// Further deliveries of the same event; they are settled with this one.
    pub(super) twins: Vec<Tag>,
    /// Further deliveries of the same event that this one's end does not settle.
    pub(super) survivors: Vec<Tag>,
    /// Deliveries of other events with the same alert key, until it is known whether this one is ours.
    pub(super) followers: Vec<Tag>,
    /// Repeats that were suppressed because of this one.
    pub(super) repeats: u32,
    /// Publishes in a row that were not confirmed.
    pub(super) unconfirmed: u32,
    /// When it may be published again after one that was not confirmed.
    pub(super) publish_after: UnixMillis,
}

/// What is to become of a delivery, if it is ours.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Deliver(Arc<Event>),
    Die { reason: Reason, detail: String },
}

/// What is being done for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The ledger was asked about it.
    Looking,
    /// It waits for the lookup of another delivery with its alert key.
    Following,
    /// It is ours and waits for the gate, or for its time.
    Waiting,
    /// It was sent.
    Attempting,
    /// It was accepted, and that is being recorded.
    RecordingDelivery,
    /// It goes to a retry queue, and that is being recorded.
    Claiming { spent: bool },
    /// It is being published to a retry queue.
    PublishingRetry { spent: bool },
    /// It waits until it can be published as a dead letter again.
    DeadLetterAt,
    /// It is being published as a dead letter.
    PublishingDead,
    /// It is a dead letter, and that is being recorded.
    RecordingDeath,
}

impl Held {
    /// One that has just come, accepted now as far as is known.
    pub(super) fn new(
        message: Message,
        journey: Journey,
        event_id: EventId,
        alert_key: Fingerprint,
        fate: Fate,
        now: UnixMillis,
    ) -> Self {
        Self {
            message,
            journey,
            former_id: event_id.fingerprint(),
            event_id,
            alert_key,
            severity: Severity::default(),
            astray: None,
            since: now,
            accepted: now,
            held_since: now,
            fate,
            stage: Stage::Looking,
            copy_due: None,
            due_before: None,
            admitted: false,
            claim_in_ledger: None,
            is_orphan: false,
            twins: Vec::new(),
            survivors: Vec::new(),
            followers: Vec::new(),
            repeats: 0,
            unconfirmed: 0,
            publish_after: now,
        }
    }

    /// It is a dead letter that was put back: it begins anew.
    pub(super) fn begin_anew(&mut self, mark: UnixMillis, now: UnixMillis) {
        self.journey = self.journey.anew(mark, now);
        (self.since, self.accepted) = (now, now);
    }

    /// Whether nothing is on its way for it, so that it can be given back at any time.
    pub(super) fn is_idle(&self) -> bool {
        match self.stage {
            Stage::Looking | Stage::Following | Stage::Waiting | Stage::DeadLetterAt => true,
            Stage::Attempting
            | Stage::RecordingDelivery
            | Stage::Claiming { .. }
            | Stage::PublishingRetry { .. }
            | Stage::PublishingDead
            | Stage::RecordingDeath => false,
        }
    }

    /// Takes another delivery of the same event along. It may be the very copy that is being published, when the confirm
    /// comes later than the copy, or a later replay: then nothing else keeps the event, and it must outlive this one.
    pub(super) fn joined_by(&mut self, tag: Tag, journey: &Journey, died_at: Option<UnixMillis>) {
        let publishing = matches!(self.stage, Stage::PublishingRetry { .. });
        let is_copy = publishing && journey.due.is_some() && journey.due == self.copy_due;
        // A letter may be of this one's own death, which its end does not undo; or this one may turn out to be settled.
        let survives = is_copy || died_at.is_some() || journey.replay > self.journey.replay;
        self.is_orphan &= survives;
        if survives { &mut self.survivors } else { &mut self.twins }.push(tag);
    }

    /// Whether it may be sent if the gate lets it pass. One that was put off anew is not, wherever it stood before.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        matches!(self.stage, Stage::Waiting) && self.journey.due.is_none_or(|due| due <= now)
    }

    pub(super) fn may_be_parked(&self, now: UnixMillis) -> bool {
        matches!(self.stage, Stage::Waiting) && self.publish_after <= now
    }

    /// The names under which it, and what outranks it, is told: its own first.
    pub(super) fn told_keys(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        let (key, least) = (self.alert_key, self.severity);
        let from = Severity::ALL.into_iter().filter(move |severity| *severity >= least);
        from.map(move |severity| told_key(key, severity))
    }

    /// The name under which it is told.
    pub(super) fn told_key(&self) -> Fingerprint {
        told_key(self.alert_key, self.severity)
    }

    /// Both fingerprints of its event.
    pub(super) fn own(&self) -> [Fingerprint; 2] {
        [self.event_id.fingerprint(), self.former_id]
    }

    /// Whether it stands for its alert key: a replay goes round the window, and so claims no key. What may be a dead letter
    /// that was put back does not before the ledger has said whether it is.
    pub(super) fn claims_alert_key(&self) -> bool {
        let may_be_put_back = self.message.arrival.died_at.is_some();
        matches!(self.fate, Fate::Deliver(_)) && self.journey.replay.is_none() && !may_be_put_back
    }
}
