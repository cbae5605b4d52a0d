//! From an attempt's outcome to the ack: record, publish, then settle.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::journey::Death;
use crate::limits::{CLAIM_SLACK, REPUBLISH_WAIT_MAX};
use crate::outcome::{Outcome, Verdict};
use crate::policy::{Chance, believed};
use crate::record::Happening;
use crate::time::UnixMillis;

use super::in_hand::{Cause, Fate, Idle, InHand, Publishing, Recording, Stage, Subscription};
use super::turn::Turn;
use super::{Ending, Judged, Mode, Step, Tag, Unexpected};

/// The least time for which an alert is parked: shorter, and a closed gate would see it come and go.
const PARKED_MIN: Duration = Duration::from_secs(32);

impl Turn<'_> {
    pub(super) fn attempted(&mut self, tag: Tag, outcome: Outcome, chance: Chance) -> Result<(), Unexpected> {
        let (one, event) = self.answered(tag, "an attempt's end", |stage| {
            if let Stage::Attempting(event) = stage { Ok(event) } else { Err(stage) }
        })?;
        let attempts = one.journey.attempts.saturating_add(1);
        let verdict = self.owner.settings.policy.decide(&outcome, attempts, one.since, self.now, chance);
        let judged = Judged { verdict, since: one.accepted };
        self.owner.gate.ended(&outcome, self.now);
        self.pause(verdict, &outcome);
        self.follow(tag, one, event, verdict, &outcome);
        self.steps.insert(0, Step::Tell { tag, outcome, judged: Some(judged) });
        Ok(())
    }

    /// Does what follows an attempt.
    fn follow(
        &mut self,
        tag: Tag,
        mut one: Box<InHand>,
        event: Arc<Event>,
        verdict: Verdict,
        outcome: &Outcome,
    ) {
        if one.subscription == Subscription::Lost && verdict != Verdict::Done {
            return self.hand_back(tag, one, None);
        }
        if verdict != Verdict::Wait {
            one.journey.attempts = one.journey.attempts.saturating_add(1);
        }
        one.journey.remember(outcome, self.now);
        match verdict {
            Verdict::Done => {
                let happening = Happening::Delivered {
                    event: one.identity.name(),
                    replay: one.journey.replay,
                    at: self.now,
                    request_id: outcome.request_id().map(str::to_owned),
                };
                let keep = [self.owner.kept(&one), self.owner.settings.window];
                self.record(tag, one, Recording::Delivery, happening, keep);
            }
            Verdict::RetryAt(due) => {
                one.journey.due = Some(due);
                self.claim(tag, one, event, Cause::Failed, due);
            }
            Verdict::Wait if self.owner.mode == Mode::Stopping => self.hand_back(tag, one, None),
            // Another one is the next probe: what is answered so may be this alert's own fault.
            Verdict::Wait => self.wait(tag, one, event),
            Verdict::DeadLetter(reason) => {
                let death = self.owner.death(reason, outcome.detail());
                self.publish_dead(tag, one, death);
            }
        }
    }

    /// Keeps to xMatters' wish, which holds for the others too if this one is given up or gone: the whole connector waits
    /// as long as it says, else as long as this alert's retry.
    fn pause(&mut self, verdict: Verdict, outcome: &Outcome) {
        let Outcome::Throttled { retry_after } = outcome else { return };
        let retry_at = match verdict {
            Verdict::RetryAt(due) => due,
            Verdict::DeadLetter(_) | Verdict::Done | Verdict::Wait => self.now,
        };
        let asked = retry_after.map(|hint| self.now.after(believed(Some(hint))));
        self.owner.gate.pause(asked.unwrap_or(retry_at));
    }

    pub(super) fn recorded(&mut self, tag: Tag) -> Result<(), Unexpected> {
        let (one, recording) = self.answered(tag, "a record's answer", |stage| {
            if let Stage::Recording(recording) = stage { Ok(recording) } else { Err(stage) }
        })?;
        match recording {
            Recording::Delivery => {
                self.owner.gate.recorded();
                let since = one.accepted;
                self.finish(tag, one, Ending::Delivered { since });
            }
            Recording::Claim { event, cause, until } => self.publish_retry(tag, one, event, cause, until),
            Recording::Death(reason) => self.finish(tag, one, Ending::Dead(reason)),
        }
        Ok(())
    }

    pub(super) fn published(&mut self, tag: Tag, confirmed: bool) -> Result<(), Unexpected> {
        let (one, publishing) = self.answered(tag, "a publish's answer", |stage| {
            if let Stage::Publishing(publishing) = stage { Ok(publishing) } else { Err(stage) }
        })?;
        match publishing {
            publishing if !confirmed => self.not_published(tag, one, publishing),
            Publishing::Retry { cause: Cause::Failed, .. } => self.finish(tag, one, Ending::Retried),
            Publishing::Retry { cause: Cause::Overdue | Cause::Early, .. } => {
                self.finish(tag, one, Ending::Parked);
            }
            Publishing::Dead(Death { reason, at, .. }) => {
                let (event, replay) = (one.identity.name(), one.journey.replay);
                // As the letter says it, so that it can be told from one of another death.
                let at = at.unwrap_or(self.now);
                let keep = [self.owner.kept(&one); 2];
                let happening = Happening::Died { event, replay, at, reason };
                self.record(tag, one, Recording::Death(reason), happening, keep);
            }
        }
        Ok(())
    }

    /// The queue did not take a copy, so the delivery stays in hand: a retry is made from here when it is due, and a
    /// dead letter is published again later.
    fn not_published(&mut self, tag: Tag, mut one: Box<InHand>, publishing: Publishing) {
        if self.owner.mode == Mode::Stopping || one.subscription == Subscription::Lost {
            return self.hand_back(tag, one, None);
        }
        one.unconfirmed = one.unconfirmed.saturating_add(1);
        let wait = Duration::from_secs(1 << one.unconfirmed.min(5)).min(REPUBLISH_WAIT_MAX);
        one.publish_after = self.now.after(wait);
        match publishing {
            Publishing::Retry { event, cause: Cause::Early, .. } => {
                self.consider(tag, one, Fate::Deliver(event));
            }
            Publishing::Retry { event, cause: Cause::Failed | Cause::Overdue, .. } => {
                self.wait(tag, one, event);
            }
            Publishing::Dead(death) => {
                self.owner.delayed.insert((one.publish_after, tag));
                self.put(tag, one, Stage::Idle(Idle::Unburied(death)));
            }
        }
    }

    /// Parks an alert that has waited too long in a retry queue, without spending an attempt.
    pub(super) fn park(&mut self, tag: Tag, one: Box<InHand>, event: Arc<Event>) {
        let opens = self.owner.gate.opens_at().map_or(Duration::ZERO, |at| self.now.until(at));
        let parked = self.now.after(opens.max(PARKED_MIN));
        // A retry whose publish was never confirmed still waits for its own time.
        let until = one.journey.due.map_or(parked, |due| due.max(parked));
        self.claim(tag, one, event, Cause::Overdue, until);
    }

    /// Records that the alert goes to a retry queue until then, and then publishes it there.
    fn claim(&mut self, tag: Tag, one: Box<InHand>, event: Arc<Event>, cause: Cause, until: UnixMillis) {
        let end = until.after(CLAIM_SLACK);
        let (happening, keep) = (one.claimed(end), [self.now.until(end); 2]);
        self.record(tag, one, Recording::Claim { event, cause, until }, happening, keep);
    }
}
