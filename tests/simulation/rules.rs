//! The rules: what may be sent, and what may be acknowledged.

use crate::plan::{MINUTE, SECOND};
use crate::truth::End;
use crate::world::{Happens, World};
use nightbell_core::dead::Reason;
use nightbell_core::limits::OPEN_PER_SLOT_MAX;
use nightbell_core::owner::{Ending, Tag};
use nightbell_core::record::State;

use crate::lane::Hand;

impl World {
    /// The rules for a POST.
    pub(crate) fn may_send(&mut self, lane: usize, hand: &Hand) -> Result<(), String> {
        let (now, event) = (self.now, hand.copy.event);
        let name = self.plan.events[event].name;
        if !self.plan.wants(lane, event, hand.routing) || !self.plan.events[event].valid {
            return Err("a POST of what is not for this connector".into());
        }
        match self.store.durably(lane, name, now).map(|record| (&record.state, record.replay)) {
            Some((State::Delivered { .. }, _)) => return Err("a POST after its delivery was recorded".into()),
            Some((State::Dead { .. }, replay)) if hand.copy.replay <= replay.map(|at| at.0) => {
                return Err("a POST after its dead letter, without a replay".into());
            }
            Some((State::Dead { .. } | State::InFlight { .. }, _)) | None => {}
        }
        let max = self.slots_max;
        let sending = &mut self.lanes[lane];
        let case = &sending.truth.cases[event];
        if case.live == 1 && now < case.due && hand.copy.replay.is_none() {
            return Err(format!("a POST {} ms before its retry is due", case.due - now));
        }
        if sending.posting > max || sending.posting + sending.unrecorded > max * OPEN_PER_SLOT_MAX {
            return Err(format!("{} POSTs at a time, {} not recorded", sending.posting, sending.unrecorded));
        }
        sending.truth.manners.sends(now)
    }

    /// Takes a delivery out of hand, and out of the count of copies if the broker still waits for it.
    pub(crate) fn settle(&mut self, lane: usize, tag: Tag) -> Option<(Hand, bool)> {
        let Some(hand) = self.lanes[lane].hands.remove(&tag) else {
            self.wrong(format!("c{lane}: {tag:?} is settled twice, or was never delivered"));
            return None;
        };
        let queue = &mut self.lanes[lane];
        let there = hand.session == queue.session && queue.unacked.contains_key(&tag);
        let waited = self.now - hand.received;
        let failed = hand.publish_failed || queue.publishes_fail;
        let bound = if failed { 1020 * SECOND } else { 200 * SECOND };
        if there && waited > bound {
            self.wrong(format!("c{lane}: {tag:?} was in hand for {waited} ms"));
        }
        Some((hand, there))
    }

    pub(crate) fn ack(&mut self, lane: usize, tag: Tag, ending: Ending) {
        let Some((hand, there)) = self.settle(lane, tag) else { return };
        // Of a lost subscription: the broker has the message again, and the ack goes nowhere.
        if !there {
            return;
        }
        self.lanes[lane].truth.goes(&self.plan, hand.copy.event);
        if let Some(held) = self.lanes[lane].unacked.get_mut(&tag) {
            held.leaving = true;
        }
        if !self.may_be_acked(lane, &hand, ending) {
            let case = &self.lanes[lane].truth.cases[hand.copy.event];
            let wrong = format!("c{lane}: {tag:?} is acked as {ending:?}, and nothing keeps it: {case:?}");
            self.wrong(wrong);
        }
        if ending == Ending::Duplicate {
            // Of two copies, each with the due time of its own attempt, either may be the one that stays.
            self.lanes[lane].truth.cases[hand.copy.event].due = 0;
        }
        let end = match ending {
            Ending::Delivered { .. } => Some(End::Delivered),
            Ending::Duplicate => Some(End::Suppressed),
            Ending::Filtered => Some(End::Filtered),
            Ending::Dead(_) => Some(End::Dead),
            Ending::Retried | Ending::Parked => None,
        };
        if let Some(end) = end {
            self.lanes[lane].truth.ends(hand.copy.serial, end);
        }
        let (session, wait) = (hand.session, self.soon(20));
        self.after(wait, Happens::Settled { lane, session, tag, back: false });
    }

    /// Whether something durable keeps what this ack removes.
    pub(crate) fn may_be_acked(&self, lane: usize, hand: &Hand, ending: Ending) -> bool {
        let (truth, event) = (&self.lanes[lane].truth, hand.copy.event);
        let (case, plotted) = (&truth.cases[event], &self.plan.events[event]);
        let known = self.store.durably(lane, plotted.name, self.now).map(|record| &record.state);
        let age = self.now.saturating_sub(hand.copy.since);
        match ending {
            Ending::Filtered => !self.plan.wants(lane, event, hand.routing) && !hand.copy.is_put_back(),
            Ending::Delivered { .. } => case.accepted > 0 && matches!(known, Some(State::Delivered { .. })),
            Ending::Dead(reason) => {
                let right = match reason {
                    Reason::Invalid => !plotted.valid,
                    Reason::Refused => case.refused,
                    // Only after an attempt; a retry that would come too late is given up at once.
                    Reason::Expired => hand.sent && age + 1080 * SECOND >= self.plan.give_up,
                    Reason::Unrouted => {
                        !self.plan.wants(lane, event, hand.routing) && hand.copy.is_put_back()
                    }
                    Reason::DeliveryLimit => false,
                };
                let recorded = matches!(known, Some(State::Dead { .. } | State::Delivered { .. }));
                right && case.dead + case.live > 0 && (recorded || !plotted.valid)
            }
            Ending::Retried | Ending::Parked => {
                let claimed = known.is_some() || self.store.resets > 0;
                let in_time = ending == Ending::Parked || age < self.plan.give_up + 5 * MINUTE;
                claimed && in_time && case.live + case.dead > 0
            }
            Ending::Duplicate => truth.is_kept(&self.plan, event, hand.received),
        }
    }

    pub(crate) fn hand_back(&mut self, lane: usize, tag: Tag) {
        let Some((hand, there)) = self.settle(lane, tag) else { return };
        if there {
            let (session, wait) = (hand.session, self.soon(20));
            self.after(wait, Happens::Settled { lane, session, tag, back: true });
        }
    }

    pub(crate) fn check_bounds(&mut self, lane: usize) {
        let bounded = &self.lanes[lane];
        let (held, max) = (bounded.owner.view().held, self.plan.prefetch + bounded.carried);
        if held > max {
            self.wrong(format!("c{lane}: {held} in hand, and {max} are the most"));
        }
    }
}
