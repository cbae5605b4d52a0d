//! The simulated xMatters: what comes of a POST, and what the sender hears of it.

use std::time::Duration;

use nightbell_core::outcome::Outcome;

use crate::bugs::Bug;
use crate::chance::Chances;
use crate::plan::{SECOND, Weather};

/// The longest that a sender waits for an answer.
const TIME_OUT: u64 = 15 * SECOND;

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

/// What the sender tells of an outcome where a bug is planted.
pub(crate) fn misheard(bug: Option<Bug>, outcome: Outcome) -> Outcome {
    match (bug, outcome) {
        (Some(Bug::TimeOutToldAsAccepted), Outcome::TimedOut)
        | (Some(Bug::RefusedToldAsAccepted), Outcome::Refused { .. }) => {
            Outcome::Accepted { request_id: None }
        }
        (Some(Bug::RetryAfterDropped), Outcome::Throttled { .. }) => Outcome::Throttled { retry_after: None },
        (Some(Bug::UnauthorizedToldAsUnavailable), Outcome::Unauthorized { .. }) => {
            Outcome::Unavailable { detail: String::new(), retry_after: None }
        }
        (_, outcome) => outcome,
    }
}
