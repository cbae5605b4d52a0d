//! One turn of the owner: an input, and the steps that it leads to.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::limits::{HANDED_BACK_AFTER, HELD_MAX};
use crate::time::UnixMillis;

use super::in_hand::{Idle, InHand, Stage, Subscription};
use super::{Ending, Input, Mode, Owner, Step, TICK, Tag, Unexpected};

/// The owner while it handles one input.
///
/// Whoever takes a delivery out of hand puts it back at its next stage, or settles it; the compiler sees to it that a
/// stage has what it needs.
pub(super) struct Turn<'a> {
    pub(super) owner: &'a mut Owner,
    pub(super) now: UnixMillis,
    pub(super) steps: Vec<Step>,
}

impl Turn<'_> {
    pub(super) fn take(mut self, input: Input) -> Result<Vec<Step>, Unexpected> {
        match input {
            Input::Received { tag, message } => self.receive(tag, message),
            Input::Looked { tag, looked: Some(looked) } => self.looked(tag, &looked)?,
            Input::Looked { looked: None, .. } | Input::Recorded { durable: false, .. } => self.halt(),
            Input::Attempted { tag, outcome, chance } => self.attempted(tag, outcome, chance)?,
            Input::Recorded { tag, durable: true } => self.recorded(tag)?,
            Input::Published { tag, confirmed } => self.published(tag, confirmed)?,
            Input::Lost => self.lost(),
            Input::Tick => {}
            Input::ClockSet(jump) => self.owner.clock_set(jump, self.now),
            Input::Stop => self.stop(),
            Input::Configured(settings) => {
                self.owner.gate.configure(&settings);
                self.owner.settings = *settings;
            }
        }
        if self.owner.mode == Mode::Running {
            self.tick();
            self.pump();
        }
        Ok(self.steps)
    }

    pub(super) fn put(&mut self, tag: Tag, one: Box<InHand>, stage: Stage) {
        self.owner.in_hand.insert(tag, (one, stage));
    }

    /// Takes a delivery out of hand that waits for this answer.
    pub(super) fn answered<T>(
        &mut self,
        tag: Tag,
        answer: &'static str,
        fits: impl FnOnce(Stage) -> Result<T, Stage>,
    ) -> Result<(Box<InHand>, T), Unexpected> {
        let unexpected = Unexpected { tag, answer };
        let (one, stage) = self.owner.in_hand.remove(&tag).ok_or(unexpected)?;
        match fits(stage) {
            Ok(fitting) => Ok((one, fitting)),
            Err(stage) => {
                self.put(tag, one, stage);
                Err(unexpected)
            }
        }
    }

    /// Once a second: hands over counted repeats, parks what has waited too long, and gives back what can't be parked.
    fn tick(&mut self) {
        self.wake_delayed();
        if self.now < self.owner.ticked.after(TICK) && self.owner.ticked <= self.now {
            return;
        }
        self.owner.ticked = self.now;
        self.note_repeats();
        for tag in self.owner.idle(HELD_MAX, self.now) {
            let Some((one, stage)) = self.owner.in_hand.remove(&tag) else { continue };
            if self.now.since(one.held_since) >= HANDED_BACK_AFTER {
                self.hand_back(tag, one, Some(stage));
            } else if let Stage::Idle(Idle::Waiting(event)) = &stage
                && one.publish_after <= self.now
            {
                self.park(tag, one, Arc::clone(event));
            } else {
                self.put(tag, one, stage);
            }
        }
    }

    fn wake_delayed(&mut self) {
        while let Some((_, tag)) = self.owner.delayed.first().copied().filter(|(at, _)| *at <= self.now) {
            self.owner.delayed.pop_first();
            if self.owner.sendable(tag, self.now).is_some() {
                self.owner.ready.push_back(tag);
            }
            let Some((one, stage)) = self.owner.in_hand.remove(&tag) else { continue };
            if let Stage::Idle(Idle::Unburied(death)) = stage {
                self.publish_dead(tag, one, death);
            } else {
                self.put(tag, one, stage);
            }
        }
    }

    /// Sends what is ready, as far as the gate lets it pass.
    fn pump(&mut self) {
        while let Some(tag) = self.owner.ready.front().copied() {
            let event = self.owner.sendable(tag, self.now);
            if event.is_some() && !self.owner.gate.pass(self.now) {
                return;
            }
            self.owner.ready.pop_front();
            let Some(event) = event else { continue };
            let Some((one, _)) = self.owner.in_hand.remove(&tag) else { continue };
            self.steps.push(Step::Attempt { tag, alert: self.owner.alert(&one, &event) });
            self.put(tag, one, Stage::Attempting(event));
        }
    }

    /// Puts an alert of ours before the gate, at once or when it is due.
    pub(super) fn wait(&mut self, tag: Tag, one: Box<InHand>, event: Arc<Event>) {
        match one.not_before(self.now) {
            Some(due) => drop(self.owner.delayed.insert((due, tag))),
            None => self.owner.ready.push_back(tag),
        }
        self.put(tag, one, Stage::Idle(Idle::Waiting(event)));
    }

    /// Ends a delivery: it and its twins are acknowledged. Survivors come again, unless the event was delivered.
    pub(super) fn finish(&mut self, tag: Tag, one: Box<InHand>, ending: Ending) {
        self.owner.release(tag, &one);
        let again = |tag| Step::Ack { tag, ending: Ending::Duplicate };
        self.steps.push(Step::Ack { tag, ending });
        self.steps.extend(one.twins.into_iter().map(again));
        let is_delivered = matches!(ending, Ending::Delivered { .. });
        let outlive = |tag| if is_delivered { again(tag) } else { Step::HandBack { tag } };
        self.steps.extend(one.survivors.into_iter().map(outlive));
    }

    /// Puts a delivery back into the queue, with all that joined it, and with those that waited for its lookup.
    pub(super) fn hand_back(&mut self, tag: Tag, one: Box<InHand>, stage: Option<Stage>) {
        self.owner.release(tag, &one);
        let all = std::iter::once(tag).chain(one.twins).chain(one.survivors);
        self.steps.extend(all.map(|tag| Step::HandBack { tag }));
        let Some(Stage::Idle(Idle::Looking { followers, .. })) = stage else { return };
        for follower in followers {
            if let Some((one, stage)) = self.owner.in_hand.remove(&follower) {
                self.hand_back(follower, one, Some(stage));
            }
        }
    }

    fn halt(&mut self) {
        self.owner.mode = Mode::Halted;
        let Owner { in_hand, by_event, by_alert, ready, delayed, .. } = &mut *self.owner;
        in_hand.clear();
        by_event.clear();
        by_alert.clear();
        ready.clear();
        delayed.clear();
        self.steps.push(Step::Halt);
    }

    /// Deliveries that nothing is being done for come again; the others go on, and find nothing to settle at their end.
    fn lost(&mut self) {
        let Owner { in_hand, by_event, by_alert, ready, delayed, .. } = &mut *self.owner;
        in_hand.retain(|_, (_, stage)| !matches!(stage, Stage::Idle(_)));
        for (one, _) in in_hand.values_mut() {
            one.subscription = Subscription::Lost;
            one.twins.clear();
            one.survivors.clear();
        }
        by_event.retain(|_, tag| in_hand.contains_key(tag));
        by_alert.retain(|_, tag| in_hand.contains_key(tag));
        ready.clear();
        delayed.clear();
    }

    fn stop(&mut self) {
        self.owner.mode = Mode::Stopping;
        self.note_repeats();
        for tag in self.owner.idle(Duration::ZERO, self.now) {
            if let Some((one, stage)) = self.owner.in_hand.remove(&tag) {
                self.hand_back(tag, one, Some(stage));
            }
        }
    }
}

impl Owner {
    /// What nothing is being done for, and is in hand for so long.
    fn idle(&self, at_least: Duration, now: UnixMillis) -> Vec<Tag> {
        let is_idle = |one: &InHand, stage: &Stage| {
            matches!(stage, Stage::Idle(_)) && now.since(one.held_since) >= at_least
        };
        let mut idle: Vec<Tag> = self
            .in_hand
            .iter()
            .filter(|(_, (one, stage))| is_idle(one, stage))
            .map(|(tag, _)| *tag)
            .collect();
        idle.sort_unstable();
        idle
    }

    /// The event, if it may be sent when the gate lets it pass. One that was put off anew may not, wherever it stood before.
    fn sendable(&self, tag: Tag, now: UnixMillis) -> Option<Arc<Event>> {
        let (one, Stage::Idle(Idle::Waiting(event))) = self.in_hand.get(&tag)? else { return None };
        one.not_before(now).is_none().then(|| Arc::clone(event))
    }

    /// Forgets a delivery that is out of hand.
    fn release(&mut self, tag: Tag, one: &InHand) {
        self.by_event.remove(&one.identity.name());
        self.give_way(tag, one);
    }

    /// A delivery does not stand for its alert key any more, if it did.
    pub(super) fn give_way(&mut self, tag: Tag, one: &InHand) {
        let told = one.identity.told_key();
        if self.by_alert.get(&told) == Some(&tag) {
            self.by_alert.remove(&told);
        }
    }
}
