//! The rules that hold at the ports of any process. They know nothing of what core said: only what reached a port.

use std::collections::BTreeSet;

use nightbell_core::limits::OPEN_PER_SLOT_MAX;
use nightbell_core::owner::View;
use nightbell_core::record::State;
use nightbell_worker::Drained;

use crate::plan::{MINUTE, SECOND};
use crate::queue::InHand;
use crate::truth::End;
use crate::world::{Copy, World};

/// The longest in hand: waiting for the gate, and what is done for it then.
const IN_HAND_MAX: u64 = 200 * SECOND;

/// The longest in hand while publishes are not confirmed.
const IN_HAND_UNCONFIRMED_MAX: u64 = 1_020 * SECOND;

impl World {
    /// The rules for a POST.
    pub(crate) fn may_send(&mut self, lane: usize, event: usize) -> Result<(), String> {
        let (now, max, state) = (self.now, self.slots_max, &mut self.lanes[lane]);
        let (plotted, own, case) = (&self.plan.events[event], &state.life, &state.truth.cases[event]);
        let seen = &own.seen[event];
        if !seen.wanted || !plotted.valid {
            return Err("a POST of what is not for this connector".into());
        }
        match self.store.durably(lane, plotted.name, now).map(|record| (&record.state, record.replay)) {
            Some((State::Delivered { .. }, _)) => return Err("a POST after its delivery was recorded".into()),
            Some((State::Dead { .. }, replay)) if seen.replay <= replay.map(|at| at.0) => {
                return Err("a POST after its dead letter, without a replay".into());
            }
            Some((State::Dead { .. } | State::InFlight { .. }, _)) | None => {}
        }
        if own.open.contains_key(&event) {
            return Err("a POST while another one of it is open".into());
        }
        if case.live == 1 && now < case.due && seen.replay.is_none() {
            return Err(format!("a POST {} ms before its retry is due", case.due - now));
        }
        if own.posting > max || own.posting + own.unrecorded > max * OPEN_PER_SLOT_MAX {
            return Err(format!("{} POSTs at a time, {} not recorded", own.posting, own.unrecorded));
        }
        state.truth.manners.sends(now)
    }

    pub(crate) fn check_wait(&mut self, lane: usize, held: &InHand) {
        let waited = self.now - held.received;
        let failed = self.lanes[lane].life.publishes_fail;
        if waited > if failed { IN_HAND_UNCONFIRMED_MAX } else { IN_HAND_MAX } {
            self.wrong(format!("c{lane}: message {} was in hand for {waited} ms", held.copy.serial));
        }
    }

    /// A delivery that the broker waits for is acked: something durable has to keep what goes with it.
    pub(crate) fn acked(&mut self, lane: usize, held: &InHand) {
        let (truth, event) = (&self.lanes[lane].truth, held.copy.event);
        let (case, plotted) = (&truth.cases[event], &self.plan.events[event]);
        // By the time of its lookup: what an event without an id has left is forgotten with the window.
        let known = self.store.durably(lane, plotted.name, held.received).map(|record| &record.state);
        let filtered = !self.plan.wants(lane, event, held.routing) && !held.copy.is_put_back();
        let delivered = case.accepted > 0 && matches!(known, Some(State::Delivered { .. }));
        let recorded = matches!(known, Some(State::Dead { .. } | State::Delivered { .. }));
        let dead = case.dead > 0 && (recorded || !plotted.valid);
        let kept = filtered
            || delivered
            || dead
            || case.live > 0
            || self.is_repeat(lane, held)
            || self.is_claimed_by_dead(lane, held);
        let shown = format!("{case:?}, {known:?}");
        let first = delivered && !self.is_delivered(lane, event);
        let end = if filtered { Some(End::Filtered) } else { first.then_some(End::Delivered) };
        self.ended(lane, &held.copy, end);
        if !kept {
            self.wrong(format!(
                "c{lane}: message {} is acked, and nothing keeps it: {shown}",
                held.copy.serial
            ));
        }
    }

    /// How a message ended on this connector, now that one of its copies is gone; none if another one lives on.
    fn ended(&mut self, lane: usize, copy: &Copy, end: Option<End>) {
        let lives = self.lanes[lane].copies[copy.serial] > 0;
        if let Some(end) = end.or((!lives).then_some(End::Suppressed)) {
            self.lanes[lane].truth.ends(copy.serial, end);
        }
    }

    /// Whether one of the messages of an event counts as delivered.
    fn is_delivered(&self, lane: usize, event: usize) -> bool {
        let mut ends = self.plan.publishes.iter().zip(&self.lanes[lane].truth.ends);
        ends.any(|((_, of, _), end)| *of == event && *end == Some(End::Delivered))
    }

    /// Whether another event of its alert key stands for it.
    fn is_repeat(&self, lane: usize, held: &InHand) -> bool {
        let truth = &self.lanes[lane].truth;
        let plotted = &self.plan.events[held.copy.event];
        let stands = |other: usize| {
            let case = &truth.cases[other];
            if self.plan.events[other].severity < plotted.severity {
                return false;
            }
            let until = case.last_accepted + self.plan.window + MINUTE;
            case.live > 0 || case.accepted > 0 && held.received <= until
        };
        plotted.valid
            && (0..self.plan.events.len()).any(|other| {
                other != held.copy.event && self.plan.events[other].key == plotted.key && stands(other)
            })
    }

    /// Whether another event of its alert key has claimed that, and the broker made it a dead letter meanwhile, for it came back
    /// too often. No owner hears of that before the claim is over, so until then the dead letter stands for both.
    pub(crate) fn is_claimed_by_dead(&self, lane: usize, held: &InHand) -> bool {
        let (plan, own) = (&self.plan.events, held.copy.event);
        let claims = |event: usize| {
            let record = self.store.durably(lane, plan[event].name, held.received);
            matches!(record.map(|record| &record.state), Some(State::InFlight { .. }))
        };
        (0..plan.len()).any(|other| {
            let stands = plan[other].key == plan[own].key && plan[other].severity >= plan[own].severity;
            other != own && stands && self.lanes[lane].truth.cases[other].dead > 0 && claims(other)
        })
    }

    /// What an owner says of its end agrees with what its ports saw.
    pub(crate) fn check_drained(&self, lane: usize, drained: &Drained) -> Result<(), String> {
        let own = &self.lanes[lane].life;
        if self.store.failed {
            return Ok(());
        }
        let uncertain: BTreeSet<_> = drained.uncertain.iter().copied().collect();
        if uncertain != own.open_at_end {
            return Err(format!("it says {uncertain:?} are uncertain, and {:?} are", own.open_at_end));
        }
        let in_time = own.stop_at.is_some_and(|at| own.left_at < at);
        if in_time && !uncertain.is_empty() {
            return Err("it stopped before the grace was over, and left an attempt".into());
        }
        // Of what was in hand at a loss it settles what the broker does not see.
        let exact = in_time && !own.was_lost;
        let says = [drained.finished, drained.returned];
        let saw = [own.acks, own.backs];
        let agree = (0..2).all(|at| if exact { says[at] == saw[at] } else { says[at] >= saw[at] });
        if agree { Ok(()) } else { Err(format!("it says {says:?} were settled, and the queue saw {saw:?}")) }
    }

    /// An owner that has settled everything keeps no right to settle.
    pub(crate) fn check_rights(&mut self) {
        for lane in 0..self.lanes.len() {
            let rights = self.lanes[lane].life.rights;
            if rights > 0 {
                self.wrong(format!("c{lane}: {rights} rights to settle are kept for nothing"));
            }
        }
    }

    pub(crate) fn check_view(&mut self, lane: usize, view: &View) {
        let max = self.plan.prefetch + self.lanes[lane].life.carried;
        if view.held > max {
            self.wrong(format!("c{lane}: {} in hand, and {max} are the most", view.held));
        }
        if view.attempting > self.slots_max {
            self.wrong(format!("c{lane}: {} attempts, and {} are the most", view.attempting, self.slots_max));
        }
        if view.halted && !self.lanes[lane].life.has_left {
            self.wrong(format!("c{lane}: halted, and its queue is not left to a standby"));
        }
        if view.halted && !self.store.failed {
            self.wrong(format!("c{lane}: halted, and the ledger is well"));
        }
    }
}
