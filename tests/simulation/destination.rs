//! The simulated xMatters: what comes of a POST, and what the sender hears of it.

use crate::bugs::Bug;
use crate::plan::{MINUTE, SECOND, Weather};
use crate::world::{Happens, World};
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::{Input, Tag};
use nightbell_core::policy::Chance;
use std::time::Duration;

use crate::lane::TIME_OUT;

impl World {
    /// The POST is there: what xMatters makes of it, and what the sender hears.
    pub(crate) fn arrive(&mut self, then: u32, lane: usize, tag: Tag, serial: usize, sent: u64) {
        let draw = self.chances.between(0, 100);
        let kind = match (self.weather(lane), draw) {
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
        let (outcome, accepts, wait) = self.answer_of(kind, lane, serial);
        let timed_out = outcome == Outcome::TimedOut || self.now + wait > sent + TIME_OUT;
        let outcome = if timed_out { Outcome::TimedOut } else { outcome };
        let heard = matches!(outcome, Outcome::Accepted { .. }) && then == self.life;
        if accepts {
            self.accept(lane, serial, heard);
        }
        if matches!(outcome, Outcome::Refused { .. }) {
            let event = self.plan.publishes[serial].1;
            self.lanes[lane].truth.cases[event].refused = true;
        }
        let at = if timed_out { sent + TIME_OUT } else { self.now + wait };
        let chance = Chance::new(self.chances.unit());
        let input = Box::new(Input::Attempted { tag, outcome, chance });
        self.at(at, Happens::Answer { life: then, lane, input });
    }

    /// The outcome, whether it is accepted now, and when the answer comes.
    pub(crate) fn answer_of(&mut self, kind: Weather, lane: usize, serial: usize) -> (Outcome, bool, u64) {
        let quick = self.soon(200);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let down = |retry_after| Outcome::Unavailable { detail: String::new(), retry_after };
        match kind {
            Weather::Fine | Weather::Mixed => (Outcome::Accepted { request_id: None }, true, quick),
            Weather::Slow => {
                (Outcome::Accepted { request_id: None }, true, self.chances.between(SECOND, 25 * SECOND))
            }
            Weather::Unavailable => {
                let retry_after = if self.chances.permille(200) { seconds(90) } else { None };
                (down(retry_after), false, quick)
            }
            Weather::CutAfterAcceptance => (down(None), true, quick),
            Weather::Hanging => {
                if self.chances.permille(200) {
                    self.after(20 * SECOND, Happens::LateAcceptance { lane, serial });
                }
                (Outcome::TimedOut, self.chances.permille(300), 0)
            }
            Weather::Unauthorized => (Outcome::Unauthorized { status: 401 }, false, quick),
            Weather::Flood => {
                let retry_after = self.chances.pick(&[None, seconds(1), seconds(60), seconds(600)]);
                (Outcome::Throttled { retry_after }, false, quick)
            }
            Weather::Refusing => (Outcome::Refused { status: 400, body: String::new() }, false, quick),
        }
    }

    /// xMatters accepts an event. More than once is right only in the documented window.
    pub(crate) fn accept(&mut self, lane: usize, serial: usize, heard: bool) {
        let event = self.plan.publishes[serial].1;
        let (now, window) = (self.now, self.plan.window);
        let plotted = &self.plan.events[event];
        let (hashed, key) = (plotted.hashed, plotted.key);
        self.say(|| {
            format!("c{lane}: xMatters accepts event {event}{}", if heard { "" } else { ", unheard" })
        });
        let truth = &mut self.lanes[lane].truth;
        let case = &mut truth.cases[event];
        case.excused |= hashed && case.accepted > 0 && now + MINUTE >= case.last_accepted + window;
        let again = case.accepted > 0 && !case.excused && heard;
        case.accepted += 1;
        case.last_accepted = now;
        case.excused = !heard;
        truth.keys[key].last_accepted = Some(now);
        if again {
            self.wrong(format!("c{lane}: event {event} was accepted again, outside the documented window"));
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
