//! One delivery in hand: what is known of it, and its stage.

use std::sync::Arc;

use crate::alert::told_key;
use crate::dead::Reason;
use crate::event::{Event, Severity};
use crate::fingerprint::Fingerprint;
use crate::journey::{Death, Journey};
use crate::message::{EventId, Message};
use crate::time::UnixMillis;

use super::Tag;

/// What is known of a delivery in hand, whatever its stage.
#[derive(Debug)]
pub(super) struct InHand {
    pub(super) message: Message,
    pub(super) journey: Journey,
    pub(super) identity: Identity,
    /// When an owner first saw the alert, by the clock as it goes now. Its age counts from here.
    pub(super) since: UnixMillis,
    /// When the alert was accepted into the queue, as far as its stamp is believed. It decides nothing.
    pub(super) accepted: UnixMillis,
    /// When it came into this hand.
    pub(super) held_since: UnixMillis,
    /// Under which alert key the ledger has a claim for this very event, which its death or its suppression has to end.
    pub(super) claim_in_ledger: Option<Fingerprint>,
    pub(super) subscription: Subscription,
    /// Further deliveries of the same event; they are settled with this one.
    pub(super) twins: Vec<Tag>,
    /// Further deliveries of the same event that this one's end does not settle.
    pub(super) survivors: Vec<Tag>,
    /// Repeats that were suppressed because of this one.
    pub(super) repeats: u32,
    /// Publishes in a row that were not confirmed.
    pub(super) unconfirmed: u32,
    /// When it may be published again after one that was not confirmed.
    pub(super) publish_after: UnixMillis,
}

/// The names of a delivery's event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) event: EventId,
    /// The event's fingerprint in earlier versions, by which claims that they wrote are known.
    pub(super) former: Fingerprint,
    pub(super) alert_key: Fingerprint,
    pub(super) severity: Severity,
}

/// Whether the queue still waits for what becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscription {
    Kept,
    /// It was lost, and the event did not come again: another worker may have it by now.
    Lost,
}

/// What is to become of a delivery, if it is ours.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Deliver(Arc<Event>),
    Die(Death),
}

/// What is being done for a delivery. Each kind but the first waits for the answer to one step.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing that counts is on its way, so that it can be given back at any time.
    Idle(Idle),
    /// It was sent.
    Attempting(Arc<Event>),
    Recording(Recording),
    Publishing(Publishing),
}

#[derive(Debug)]
pub(super) enum Idle {
    /// The ledger was asked about it.
    Looking {
        fate: Fate,
        /// Deliveries of other events with the same alert key, until it is known whether this one is ours.
        followers: Vec<Tag>,
    },
    /// It waits for the lookup of another delivery with its alert key.
    Following(Fate),
    /// It is ours and waits for the gate, or for its time.
    Waiting(Arc<Event>),
    /// It waits until it can be published as a dead letter again.
    Unburied(Death),
}

/// What the ledger is to remember of it.
#[derive(Debug)]
pub(super) enum Recording {
    /// It was accepted.
    Delivery,
    /// It goes to a retry queue, to come back at that time.
    Claim { event: Arc<Event>, cause: Cause, until: UnixMillis },
    /// It is a dead letter.
    Death(Reason),
}

/// Where its copy goes.
#[derive(Debug)]
pub(super) enum Publishing {
    /// To a retry queue, with this due time, as it was written.
    Retry { event: Arc<Event>, cause: Cause, due: UnixMillis },
    /// To the dead letters.
    Dead(Death),
}

/// Why a delivery goes to a retry queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An attempt failed.
    Failed,
    /// It has waited too long in hand.
    Overdue,
    /// It came back before its time, and the ledger was not asked.
    Early,
}

impl Stage {
    /// Whether xMatters may have the alert without the ledger's knowing.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self, Self::Attempting(_) | Self::Recording(Recording::Delivery))
    }
}

impl Identity {
    /// What is known by one name alone, since it is no event, or none of this connector's.
    pub(super) fn of_no_event(name: Fingerprint) -> Self {
        let event = EventId::Hashed(name);
        Self { event, former: name, alert_key: name, severity: Severity::default() }
    }

    /// The event's fingerprint.
    pub(super) fn name(self) -> Fingerprint {
        self.event.fingerprint()
    }

    /// Both fingerprints of the event.
    pub(super) fn own(self) -> [Fingerprint; 2] {
        [self.name(), self.former]
    }

    /// The name under which it is told.
    pub(super) fn told_key(self) -> Fingerprint {
        told_key(self.alert_key, self.severity)
    }

    /// The names under which it, and what outranks it, is told: its own first.
    pub(super) fn told_keys(self) -> impl Iterator<Item = Fingerprint> {
        let from = Severity::ALL.into_iter().filter(move |severity| *severity >= self.severity);
        from.map(move |severity| told_key(self.alert_key, severity))
    }
}

impl InHand {
    /// One that has just come, accepted now as far as is known.
    pub(super) fn new(message: Message, journey: Journey, identity: Identity, now: UnixMillis) -> Self {
        Self {
            message,
            journey,
            identity,
            since: now,
            accepted: now,
            held_since: now,
            claim_in_ledger: None,
            subscription: Subscription::Kept,
            twins: Vec::new(),
            survivors: Vec::new(),
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

    /// Takes another delivery of the same event along. It may be the very copy that is being published, when the confirm
    /// comes later than the copy, or a later replay: then nothing else keeps the event, and it must outlive this one.
    pub(super) fn joined_by(&mut self, tag: Tag, stage: &Stage, other: &Self) {
        let is_copy = matches!(stage, Stage::Publishing(Publishing::Retry { due, .. }) if other.journey.due == Some(*due));
        // A letter may be of this one's own death, which its end does not undo; or this one may turn out to be settled.
        let died = other.message.arrival.died_at.is_some();
        if is_copy || died || other.journey.replay > self.journey.replay {
            self.survivors.push(tag);
        } else {
            self.subscription = Subscription::Kept;
            self.twins.push(tag);
        }
    }

    /// When it may be sent, if not now.
    pub(super) fn not_before(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.journey.due.filter(|due| now < *due)
    }

    /// How many deliveries it stands for.
    pub(super) fn count(&self) -> usize {
        1 + self.twins.len() + self.survivors.len()
    }

    /// Whether it may stand for its alert key: a replay goes round the window, and so claims no key. What may be a dead
    /// letter that was put back does not before the ledger has said whether it is.
    pub(super) fn stands_for_key(&self) -> bool {
        self.journey.replay.is_none() && self.message.arrival.died_at.is_none()
    }
}
