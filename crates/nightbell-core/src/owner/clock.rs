//! What the owner does when the wall clock is set under it.
//!
//! Waits go on as if nothing had happened: all times in hand move with the clock, and a retry that comes back from the
//! queue has the rest of its wait with it. Ages go on as well: what was accepted before the clock was set forth counts as
//! that much younger, so that nothing expires by a wrong time, or by a right one after a wrong one.
//!
//! What is not done: a jump while no worker ran is not seen, so an alert that is too old by the new time expires after its
//! next attempt, and is kept for replay. A machine that slept has set its clock forth for all we know, so its alerts are tried longer. An
//! alert from before the clock was set back is as old as when it is first seen after. Ledger records forget by the clock
//! as it is.

use std::time::Duration;

use crate::time::{Jump, UnixMillis};

use super::Owner;
use super::in_hand::{Recording, Stage};

/// A clock that was set forth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// When, by the new time.
    at: UnixMillis,
    /// How far, all in all.
    by: Duration,
}

impl Owner {
    pub(super) fn clock_set(&mut self, jump: Jump, now: UnixMillis) {
        self.remember(jump, now);
        self.ticked = self.ticked.moved(jump);
        self.gate.clock_set(jump);
        self.delayed = self.delayed.iter().map(|(at, tag)| (at.moved(jump), *tag)).collect();
        for (one, stage) in self.in_hand.values_mut() {
            for time in [&mut one.since, &mut one.accepted, &mut one.held_since, &mut one.publish_after] {
                *time = time.moved(jump);
            }
            one.journey.due = one.journey.due.map(|due| due.moved(jump));
            if let Stage::Recording(Recording::Claim { until, .. }) = stage {
                *until = until.moved(jump);
            }
        }
    }

    fn remember(&mut self, jump: Jump, now: UnixMillis) {
        let before = self.set_forth.map_or(Duration::ZERO, |set| set.by);
        let set = match jump {
            Jump::Forth(by) => Set { at: now, by: before.saturating_add(by) },
            Jump::Back(by) => {
                let at = self.set_forth.map_or(now, |set| set.at).moved(jump);
                Set { at, by: before.saturating_sub(by) }
            }
        };
        self.set_forth = Some(set).filter(|set| !set.by.is_zero());
    }

    /// A time that was read from a message, as if the clock had always gone as it goes now.
    pub(super) fn by_this_clock(&self, since: UnixMillis, now: UnixMillis) -> UnixMillis {
        let set = self.set_forth.filter(|set| since < set.at);
        set.map_or(since, |set| since.after(set.by)).min(now)
    }
}
