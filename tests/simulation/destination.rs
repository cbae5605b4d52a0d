//! The simulated xMatters: what comes of a POST, and what the sender hears of it.

use crate::bugs::Bug;
use crate::chance::Chances;
use crate::plan::{SECOND, Weather};
use crate::world::{Happens, World};
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Input, Tag};
use nightbell_core::policy::Chance;
use std::time::Duration;

use crate::lane::TIME_OUT;

/// What xMatters makes of a POST that is there.
#[derive(Debug)]
pub(crate) struct Reaction {
    /// What the sender hears.
    pub(crate) outcome: Outcome,
    pub(crate) accepts: bool,
    /// It accepts the alert (once more) when nobody listens any longer.
    pub(crate) accepts_late: bool,
    /// When the sender hears it.
    pub(crate) at: u64,
}

impl Reaction {
    pub(crate) fn of(weather: Weather, now: u64, sent: u64, chances: &mut Chances) -> Self {
        let kind = match (weather, chances.between(0, 100)) {
            (Weather::Fine, 0) => Weather::Mixed,
            (Weather::Mixed, 0..20) => Weather::Unavailable,
            (Weather::Mixed, 20..30) => Weather::Hanging,
            (Weather::Mixed, 30..35) => Weather::Unauthorized,
            (Weather::Mixed, 35..45) => Weather::Flood,
            (Weather::Mixed, 45..60) => Weather::Refusing,
            (Weather::Mixed, 60..70) => Weather::CutAfterAcceptance,
            (Weather::Mixed | Weather::Fine, _) => Weather::Fine,
            (other, _) => other,
        };
        let accepts_late = kind == Weather::Hanging && chances.permille(200);
        let (outcome, accepts, wait) = Self::drawn(kind, chances);
        if outcome == Outcome::TimedOut || now + wait > sent + TIME_OUT {
            return Self { outcome: Outcome::TimedOut, accepts, accepts_late, at: sent + TIME_OUT };
        }
        Self { outcome, accepts, accepts_late, at: now + wait }
    }

    /// The outcome, whether it is accepted now, and how long the answer takes.
    fn drawn(kind: Weather, chances: &mut Chances) -> (Outcome, bool, u64) {
        let quick = chances.between(1, 200);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let down = |retry_after| Outcome::Unavailable { detail: String::new(), retry_after };
        let accepted = Outcome::Accepted { request_id: None };
        match kind {
            Weather::Fine | Weather::Mixed => (accepted, true, quick),
            Weather::Slow => (accepted, true, chances.between(SECOND, 25 * SECOND)),
            Weather::Unavailable => {
                let retry_after = if chances.permille(200) { seconds(90) } else { None };
                (down(retry_after), false, quick)
            }
            Weather::CutAfterAcceptance => (down(None), true, quick),
            Weather::Hanging => (Outcome::TimedOut, chances.permille(300), 0),
            Weather::Unauthorized => (Outcome::Unauthorized { status: 401 }, false, quick),
            Weather::Flood => {
                let retry_after = chances.pick(&[None, seconds(1), seconds(60), seconds(600)]);
                (Outcome::Throttled { retry_after }, false, quick)
            }
            Weather::Refusing => (Outcome::Refused { status: 400, body: String::new() }, false, quick),
        }
    }
}

impl World {
    /// The POST is there: what xMatters makes of it, and what the sender hears.
    pub(crate) fn arrive(&mut self, then: u32, lane: usize, tag: Tag, serial: usize, sent: u64) {
        let weather = self.weather(lane);
        let Reaction { outcome, accepts, accepts_late, at } =
            Reaction::of(weather, self.now, sent, &mut self.chances);
        if accepts_late {
            self.after(20 * SECOND, Happens::LateAcceptance { lane, serial });
        }
        let heard = matches!(outcome, Outcome::Accepted { .. }) && then == self.life;
        if accepts {
            self.accept(lane, serial, heard);
        }
        if matches!(outcome, Outcome::Refused { .. }) {
            let event = self.plan.publishes[serial].1;
            self.lanes[lane].truth.cases[event].refused = true;
        }
        let chance = Chance::new(self.chances.unit());
        let input = Box::new(Input::Attempted { tag, outcome, chance });
        self.at(at, Happens::Answer { life: then, lane, input });
    }

    /// xMatters accepts an event. More than once is right only in the documented window.
    pub(crate) fn accept(&mut self, lane: usize, serial: usize, heard: bool) {
        let event = self.plan.publishes[serial].1;
        self.say(|| {
            format!("c{lane}: xMatters accepts event {event}{}", if heard { "" } else { ", unheard" })
        });
        if let Err(wrong) = self.lanes[lane].truth.accepts(&self.plan, event, self.now, heard) {
            self.wrong(format!("c{lane}: {wrong}"));
        }
    }

    pub(crate) fn misheard(&self, outcome: Outcome) -> Outcome {
        let accepted = Outcome::Accepted { request_id: None };
        match (self.bug, outcome) {
            (Some(Bug::UnauthorizedSpendsAttempts), Outcome::Unauthorized { .. }) => {
                Outcome::Unavailable { detail: String::new(), retry_after: None }
            }
            (Some(Bug::RetryAfterDropped), Outcome::Throttled { .. }) => {
                Outcome::Throttled { retry_after: None }
            }
            (Some(Bug::TimeOutTakenForAccepted), Outcome::TimedOut) => accepted,
            (Some(Bug::RefusedTakenForAccepted), Outcome::Refused { .. }) => accepted,
            (_, outcome) => outcome,
        }
    }
}
