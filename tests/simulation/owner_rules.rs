//! What only those can be held to who know what core said: which delivery it meant, and how it ended.

use std::time::Duration;

use nightbell_core::dead::Reason;
use nightbell_core::owner::{Ending, Input};
use nightbell_core::record::State;
use nightbell_core::time::UnixMillis;

use crate::owner::{Driver, Unsettled};
use crate::plan::{HOUR, MINUTE, SECOND};
use crate::queue::InHand;

impl Driver {
    /// The rules for the POST of one delivery.
    pub(crate) fn may_send(&self, lane: usize, held: &InHand) -> Result<(), String> {
        let (world, event) = (&self.world, held.copy.event);
        if !world.plan.wants(lane, event, held.routing) || !world.plan.events[event].valid {
            return Err("a POST of what is not for this connector".into());
        }
        let known = world.store.durably(lane, world.plan.events[event].name, world.now);
        match known.map(|record| (&record.state, record.replay)) {
            Some((State::Delivered { .. }, _)) => Err("a POST after its delivery was recorded".into()),
            Some((State::Dead { .. }, replay)) if held.copy.replay <= replay.map(|at| at.0) => {
                Err("a POST after its dead letter, without a replay".into())
            }
            Some((State::Dead { .. } | State::InFlight { .. }, _)) | None => Ok(()),
        }
    }

    /// Whether something durable keeps what this ack removes, as it is said to.
    pub(crate) fn may_be_acked(&self, lane: usize, acked: &Unsettled, ending: Ending) -> bool {
        let (world, held, event) = (&self.world, &acked.held, acked.held.copy.event);
        let truth = &world.lanes[lane].truth;
        let (case, plotted) = (&truth.cases[event], &world.plan.events[event]);
        let is_wanted = world.plan.wants(lane, event, held.routing);
        let known = world.store.durably(lane, plotted.name, world.now).map(|record| &record.state);
        let age = world.now.saturating_sub(held.copy.since);
        match ending {
            Ending::Filtered => !is_wanted && !held.copy.is_put_back(),
            Ending::Delivered { .. } => case.accepted > 0 && matches!(known, Some(State::Delivered { .. })),
            Ending::Dead(reason) => {
                let right = match reason {
                    Reason::Invalid => !plotted.valid,
                    Reason::Refused => case.refused,
                    // Only after an attempt; a retry that would come too late is given up at once.
                    Reason::Expired => acked.was_sent && age + 1_080 * SECOND >= world.plan.give_up,
                    Reason::Unrouted => !is_wanted && held.copy.is_put_back(),
                    Reason::DeliveryLimit => false,
                };
                let recorded = matches!(known, Some(State::Dead { .. } | State::Delivered { .. }));
                right && case.dead + case.live > 0 && (recorded || !plotted.valid)
            }
            Ending::Retried | Ending::Parked => {
                let claimed = known.is_some() || world.store.resets > 0;
                let in_time = ending == Ending::Parked || age < world.plan.give_up + 5 * MINUTE;
                claimed && in_time && case.live + case.dead > 0
            }
            Ending::Duplicate => {
                truth.is_kept(&world.plan, event, held.received) || world.is_claimed_by_dead(lane, held)
            }
        }
    }

    /// A lost subscription leaves nothing in hand but what something is being done for.
    pub(crate) fn check_lost(&mut self, lane: usize) {
        let (held, busy) = (self.owner(lane).view().held, self.world.lanes[lane].life.outstanding);
        if held > busy {
            self.world
                .wrong(format!("c{lane}: {held} in hand after a lost subscription, {busy} of them busy"));
        }
        self.world.lanes[lane].life.carried = held;
    }

    /// What an owner keeps when there is nothing to do.
    pub(crate) fn check_memory(&mut self, lane: usize) {
        let later = UnixMillis(self.world.now).after(Duration::from_millis(HOUR));
        let ticked = self.owner(lane).handle(Input::Tick, later);
        let shown = format!("{:?}", self.owner(lane));
        let parts =
            ["in_hand: {}", "by_event: {}", "by_alert: {}", "ready: []", "delayed: {}", "repeats: {}"];
        let kept = parts.into_iter().find(|part| !shown.contains(part));
        if let (Ok(_), Some(part)) = (ticked, kept) {
            self.world.wrong(format!("an idle owner keeps something: no `{part}` in {shown}"));
        }
    }
}
