//! Admission: is an alert ours to send, or was it dealt with before?

use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::limits::{CLAIM_SLACK, REPLAY_MAX, WAIT_MAX};
use crate::record::{Looked, Record, State};
use crate::time::UnixMillis;

/// What the ledger's records say of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is ours to send.
    Ours,
    /// This very event was settled before.
    Settled,
    /// Its alert key was delivered within the window, or is in flight under another event: by the record of this name.
    Repeat(Fingerprint),
}

/// Decides admission. `own` are the event's fingerprint and the one that it had in earlier versions; the alert keys that
/// were looked for are those of its own severity and of higher ones.
///
/// An operator's replay goes round the window, once per replay: it passes a dead letter of an earlier journey and
/// another event's alert key, but never the delivery of its own event.
///
/// A record from a time to come was written before the clock was set back. It suppresses others no longer than it would
/// have: a delivery within `window` to either side of `now`, a claim that could have been made by now. Beyond that the next
/// event is sent, because a second page for one failure is better than none for the next.
#[must_use]
pub fn admit(
    own: [Fingerprint; 2],
    replay: Option<UnixMillis>,
    looked: &Looked,
    window: Duration,
    now: UnixMillis,
) -> Admission {
    if let Some(known) = &looked.by_event {
        match known.state {
            State::Delivered { .. } => return Admission::Settled,
            // `None` is less than any replay: a copy from an earlier journey stays settled. No replay can be later than a
            // mark at the end of time, which only a forger writes; it counts for none, so that the next one is not lost.
            State::Dead { .. } if replay <= known.replay.filter(|mark| *mark < REPLAY_MAX) => {
                return Admission::Settled;
            }
            State::Dead { .. } | State::InFlight { .. } => {}
        }
    }
    if replay.is_some() {
        return Admission::Ours;
    }
    let stands = |record: &Record| match record.state {
        State::Delivered { at, .. } => now.since(at).max(now.until(at)) < window,
        State::InFlight { until } => !own.contains(&record.event) && holds(until, now),
        State::Dead { .. } => false,
    };
    let told = looked.by_alert.iter().find(|(_, record)| stands(record));
    told.map_or(Admission::Ours, |(key, _)| Admission::Repeat(*key))
}

/// Whether a claim holds until then.
fn holds(until: UnixMillis, now: UnixMillis) -> bool {
    now < until && now.until(until) <= WAIT_MAX + CLAIM_SLACK
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::Reason;

    const A: Fingerprint = Fingerprint([1; 16]);
    const B: Fingerprint = Fingerprint([2; 16]);
    const BEFORE: Fingerprint = Fingerprint([3; 16]);
    const KEY: Fingerprint = Fingerprint([4; 16]);
    const NOW: UnixMillis = UnixMillis(10_000_000);
    const WINDOW: Duration = Duration::from_secs(60);

    fn record(event: Fingerprint, replay: Option<u64>, state: State) -> Option<Record> {
        Some(Record { event, replay: replay.map(UnixMillis), state, repeats: 0, last_repeat: None })
    }

    fn delivered(ago_s: u64) -> State {
        State::Delivered { at: UnixMillis(NOW.0 - ago_s * 1000), request_id: None }
    }

    const DEAD: State = State::Dead { at: NOW, reason: Reason::Refused };
    const WAITING: State = State::InFlight { until: UnixMillis(NOW.0 + 1) };
    const LOST: State = State::InFlight { until: NOW };

    #[track_caller]
    fn check(by_event: Option<Record>, by_alert: Option<Record>, replay: Option<u64>, want: Admission) {
        let by_alert = by_alert.map(|record| (KEY, record)).into_iter().collect();
        let looked = Looked { by_event, by_alert };
        assert_eq!(admit([A, BEFORE], replay.map(UnixMillis), &looked, WINDOW, NOW), want);
    }

    #[test]
    fn the_unknown_is_ours() {
        check(None, None, None, Admission::Ours);
    }

    #[test]
    fn a_settled_event_stays_settled() {
        check(record(A, None, delivered(9_000)), None, None, Admission::Settled);
        check(record(A, None, DEAD), None, None, Admission::Settled);
    }

    #[test]
    fn an_alert_key_delivered_within_the_window_is_a_repeat() {
        check(None, record(B, None, delivered(59)), None, Admission::Repeat(KEY));
        check(None, record(B, None, delivered(60)), None, Admission::Ours);
    }

    #[test]
    fn an_alert_key_in_flight_under_another_event_is_a_repeat_until_its_claim_ends() {
        check(None, record(B, None, WAITING), None, Admission::Repeat(KEY));
        check(None, record(B, None, LOST), None, Admission::Ours);
        check(record(A, None, WAITING), record(A, None, WAITING), None, Admission::Ours);
    }

    #[test]
    fn a_record_from_before_the_clock_was_set_back_suppresses_no_longer() {
        let at = |ahead_s: u64| UnixMillis(NOW.0 + ahead_s * 1_000);
        let delivered = |ahead_s| State::Delivered { at: at(ahead_s), request_id: None };
        check(None, record(B, None, delivered(59)), None, Admission::Repeat(KEY));
        check(None, record(B, None, delivered(60)), None, Admission::Ours);
        let claimed = |ahead_s| State::InFlight { until: at(ahead_s) };
        check(None, record(B, None, claimed(4_500)), None, Admission::Repeat(KEY));
        check(None, record(B, None, claimed(4_501)), None, Admission::Ours);
        check(record(A, None, delivered(86_400)), None, None, Admission::Settled);
    }

    #[test]
    fn a_claim_of_an_earlier_version_is_the_events_own() {
        check(None, record(BEFORE, None, WAITING), None, Admission::Ours);
    }

    #[test]
    fn a_dead_alert_suppresses_no_other() {
        check(None, record(B, None, DEAD), None, Admission::Ours);
    }

    #[test]
    fn a_replay_goes_round_the_window_once() {
        check(record(A, None, DEAD), record(B, None, delivered(1)), Some(5), Admission::Ours);
        check(record(A, None, DEAD), record(B, None, WAITING), Some(5), Admission::Ours);
        check(record(A, Some(5), DEAD), None, Some(5), Admission::Settled);
        check(record(A, Some(5), DEAD), None, Some(6), Admission::Ours);
        check(record(A, Some(5), DEAD), None, Some(4), Admission::Settled);
        check(record(A, Some(5), DEAD), None, None, Admission::Settled);
    }

    #[test]
    fn a_mark_at_the_end_of_time_stops_no_replay() {
        for end in [REPLAY_MAX.0, i64::MAX.unsigned_abs()] {
            check(record(A, Some(end), DEAD), None, Some(5), Admission::Ours);
            check(record(A, Some(end), DEAD), None, Some(REPLAY_MAX.0), Admission::Ours);
            check(record(A, Some(end), DEAD), None, None, Admission::Settled);
        }
    }

    #[test]
    fn a_replay_never_repeats_a_delivery_of_its_own_event() {
        check(record(A, None, delivered(9_000)), None, Some(5), Admission::Settled);
    }
}
