//! From an attempt's outcome to the ack: record, publish, then settle.

use std::time::Duration;

use crate::limits::{CLAIM_SLACK, REPUBLISH_WAIT_MAX};
use crate::outcome::{Outcome, Verdict};
use crate::policy::Chance;
use crate::record::Happening;
use crate::time::UnixMillis;

use super::gate::pause_of;
use super::held::{Fate, Held, Stage};
use super::{Ending, Mode, Owner, Step, Tag};

/// The least time for which an alert is parked: shorter, and a closed gate would see it come and go.
const PARKED_MIN: Duration = Duration::from_secs(32);

/// What an attempt's end is going to mean for a delivery in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What follows.
    pub verdict: Verdict,
    /// When the alert was accepted into the queue, as far as known.
    pub since: UnixMillis,
}

impl Owner {
    /// What [`Input::Attempted`](super::Input::Attempted) with the same arguments is going to mean, so that it can be
    /// told; none if the delivery is not in hand any more. Nothing changes.
    #[must_use]
    pub fn judge(&self, tag: Tag, outcome: &Outcome, chance: Chance, now: UnixMillis) -> Option<Judged> {
        let held = self.held.get(&tag)?;
        let attempts = held.journey.attempts.saturating_add(1);
        let verdict = self.settings.policy.decide(outcome, attempts, held.since, now, chance);
        Some(Judged { verdict, since: held.accepted })
    }

    pub(super) fn attempted(
        &mut self,
        tag: Tag,
        outcome: &Outcome,
        chance: Chance,
        now: UnixMillis,
        steps: &mut Vec<Step>,
    ) {
        self.gate.ended(outcome, now);
        let Some(Judged { verdict, .. }) = self.judge(tag, outcome, chance, now) else { return };
        self.pause(&verdict, outcome, now);
        let Some(held) = self.held.get_mut(&tag) else { return };
        if held.is_orphan && verdict != Verdict::Done {
            return self.hand_back(tag, steps);
        }
        if verdict != Verdict::Wait {
            held.journey.attempts = held.journey.attempts.saturating_add(1);
        }
        held.journey.remember(outcome, now);
        match (verdict, outcome) {
            (Verdict::Done, Outcome::Accepted { request_id }) => {
                let happening = Happening::Delivered {
                    event: held.event_id.fingerprint(),
                    replay: held.journey.replay,
                    at: now,
                    request_id: request_id.clone(),
                };
                held.stage = Stage::RecordingDelivery;
                let keep = self.kept(tag);
                let changes = self.changes(tag, &happening, keep, self.settings.window);
                steps.push(Step::Record { tag, changes });
            }
            (Verdict::RetryAt(due), _) => {
                held.journey.due = Some(due);
                self.claim(tag, due, true, steps, now);
            }
            (Verdict::Done | Verdict::Wait, _) if self.mode == Mode::Stopping => {
                self.hand_back(tag, steps);
            }
            (Verdict::Done | Verdict::Wait, _) => {
                self.set_stage(tag, Stage::Waiting);
                // Another one is the next probe: what is answered so may be this alert's own fault.
                self.ready.push_back(tag);
            }
            (Verdict::DeadLetter(reason), _) => {
                held.fate = Fate::Die { reason, detail: outcome.detail() };
                self.publish_dead(tag, now, steps);
            }
        }
    }

    /// Keeps to xMatters' wish, which holds for the others too if this one is given up or gone.
    fn pause(&mut self, verdict: &Verdict, outcome: &Outcome, now: UnixMillis) {
        let due = match verdict {
            Verdict::RetryAt(due) => *due,
            Verdict::DeadLetter(_) => now,
            Verdict::Done | Verdict::Wait => return,
        };
        if let Some(until) = pause_of(outcome, due, now) {
            self.gate.pause(until);
        }
    }

    pub(super) fn recorded(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag) else { return };
        match held.stage {
            Stage::RecordingDelivery => {
                let since = held.accepted;
                self.gate.recorded();
                self.finish(tag, Ending::Delivered { since }, now, steps);
            }
            Stage::Claiming { spent } => {
                self.set_stage(tag, Stage::PublishingRetry { spent });
                self.publish_retry(tag, now, steps);
            }
            Stage::RecordingDeath => {
                let Fate::Die { reason, .. } = held.fate else { return };
                self.finish(tag, Ending::Dead(reason), now, steps);
            }
            Stage::Looking
            | Stage::Following
            | Stage::Waiting
            | Stage::Attempting
            | Stage::PublishingRetry { .. }
            | Stage::DeadLetterAt
            | Stage::PublishingDead => {}
        }
    }

    pub(super) fn published(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.held.get(&tag) else { return };
        match held.stage {
            Stage::PublishingRetry { spent } => {
                let ending = if spent { Ending::Retried } else { Ending::Parked };
                self.finish(tag, ending, now, steps);
            }
            Stage::PublishingDead => {
                let Fate::Die { reason, .. } = held.fate else { return };
                // As the letter says it, so that it can be told from one of another death.
                let at = held.journey.death.as_ref().and_then(|death| death.at).unwrap_or(now);
                let (event, replay) = (held.event_id.fingerprint(), held.journey.replay);
                let happening = Happening::Died { event, replay, at, reason };
                self.set_stage(tag, Stage::RecordingDeath);
                let keep = self.kept(tag);
                let changes = self.changes(tag, &happening, keep, keep);
                steps.push(Step::Record { tag, changes });
            }
            Stage::Looking
            | Stage::Following
            | Stage::Waiting
            | Stage::Attempting
            | Stage::RecordingDelivery
            | Stage::Claiming { .. }
            | Stage::DeadLetterAt
            | Stage::RecordingDeath => {}
        }
    }

    /// The queue did not take a copy, so the delivery stays in hand: a retry is made from here when it is due, and a
    /// dead letter is published again later.
    pub(super) fn not_published(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        if self.mode == Mode::Stopping {
            return self.hand_back(tag, steps);
        }
        let Some(held) = self.held.get_mut(&tag) else { return };
        if held.is_orphan {
            return self.hand_back(tag, steps);
        }
        if held.admitted && held.stage == (Stage::PublishingRetry { spent: false }) {
            held.journey.due = held.due_before;
        }
        held.unconfirmed = held.unconfirmed.saturating_add(1);
        let wait = Duration::from_secs(1 << held.unconfirmed.min(5)).min(REPUBLISH_WAIT_MAX);
        held.publish_after = now.after(wait);
        let due = held.journey.due.filter(|due| now < *due);
        match held.stage {
            Stage::PublishingRetry { .. } if held.admitted => self.wait(tag, due),
            Stage::PublishingRetry { .. } => self.consider(tag, now, steps),
            Stage::PublishingDead => {
                held.stage = Stage::DeadLetterAt;
                self.delayed.insert((held.publish_after, tag));
            }
            Stage::Looking
            | Stage::Following
            | Stage::Waiting
            | Stage::Attempting
            | Stage::RecordingDelivery
            | Stage::Claiming { .. }
            | Stage::DeadLetterAt
            | Stage::RecordingDeath => {}
        }
    }

    /// Parks an alert that has waited too long in a retry queue, without spending an attempt.
    pub(super) fn park(&mut self, tag: Tag, now: UnixMillis, steps: &mut Vec<Step>) {
        let opens = self.gate.opens_at().map_or(Duration::ZERO, |at| now.until(at));
        let parked = now.after(opens.max(PARKED_MIN));
        let Some(held) = self.held.get_mut(&tag) else { return };
        // A retry whose publish was never confirmed still waits for its own time.
        let due = held.journey.due;
        held.due_before = due;
        self.claim(tag, due.map_or(parked, |due| due.max(parked)), false, steps, now);
    }

    /// Records that the alert goes to a retry queue until `due`, and then publishes it there.
    fn claim(&mut self, tag: Tag, due: UnixMillis, spent: bool, steps: &mut Vec<Step>, now: UnixMillis) {
        let Some(held) = self.held.get_mut(&tag) else { return };
        held.journey.due = Some(due);
        held.stage = Stage::Claiming { spent };
        let until = due.after(CLAIM_SLACK);
        let happening =
            Happening::Claimed { event: held.event_id.fingerprint(), replay: held.journey.replay, until };
        let keep = now.until(until);
        let changes = self.changes(tag, &happening, keep, keep);
        steps.push(Step::Record { tag, changes });
    }

    /// Ends a delivery: it and its twins are acknowledged, and what followed it is considered anew. Survivors come again,
    /// unless the event was delivered.
    pub(super) fn finish(&mut self, tag: Tag, ending: Ending, now: UnixMillis, steps: &mut Vec<Step>) {
        let Some(held) = self.forget(tag) else { return };
        steps.push(Step::Ack { tag, ending });
        let twins = held.twins.into_iter();
        steps.extend(twins.map(|tag| Step::Ack { tag, ending: Ending::Duplicate }));
        let delivered = matches!(ending, Ending::Delivered { .. });
        let outlive = |tag| {
            if delivered { Step::Ack { tag, ending: Ending::Duplicate } } else { Step::HandBack { tag } }
        };
        steps.extend(held.survivors.into_iter().map(outlive));
        held.followers.into_iter().for_each(|follower| self.consider(follower, now, steps));
    }

    /// Puts a delivery and its twins back into the queue.
    pub(super) fn hand_back(&mut self, tag: Tag, steps: &mut Vec<Step>) {
        let Some(held) = self.forget(tag) else { return };
        let all = std::iter::once(tag).chain(held.twins).chain(held.survivors);
        steps.extend(all.map(|tag| Step::HandBack { tag }));
        held.followers.into_iter().for_each(|follower| self.hand_back(follower, steps));
    }

    fn forget(&mut self, tag: Tag) -> Option<Held> {
        let held = self.held.remove(&tag)?;
        self.by_event.remove(&held.event_id.fingerprint());
        let told = held.told_key();
        if self.by_alert.get(&told) == Some(&tag) {
            self.by_alert.remove(&told);
        }
        Some(held)
    }
}
