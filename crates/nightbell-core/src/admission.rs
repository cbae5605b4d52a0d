//! Admission: is an alert ours to send, or was it dealt with before?

use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::limits::{CLAIM_SLACK, REPLAY_MAX, WAIT_MAX};
use crate::message::Arrival;
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
    /// It is a dead letter here that somebody put back by other means than a replay. It is ours, as a replay with this mark.
    PutBack(UnixMillis),
}

/// Decides admission. `own` are the event's fingerprint and the one that it had in earlier versions; the alert keys that
/// were looked for are those of its own severity and of higher ones.
///
/// A copy of a dead letter is put back if it was never delivered before, or if the record is of its own death: one of a later
/// death has dealt with it. Only the copy that died comes again without either, when its ack was not sent. So whatever a
/// publisher writes into a message, no more than the dead letters of its own event are tried again.
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
    arrival: Arrival,
    looked: &Looked,
    window: Duration,
    now: UnixMillis,
) -> Admission {
    if let Some(known) = &looked.by_event {
        match known.state {
            State::Delivered { .. } => return Admission::Settled,
            // `None` is less than any replay: a copy from an earlier journey stays settled. No replay can be later than a
            // mark at the end of time, which only a forger writes; it counts for none, so that the next one is not lost.
            State::Dead { at, .. } if replay <= known.replay.filter(|mark| *mark < REPLAY_MAX) => {
                return if arrival.is_first || arrival.died_at.is_some_and(|died| died >= at) {
                    let later = known.replay.map(|mark| mark.after(Duration::from_millis(1)));
                    Admission::PutBack(later.max(Some(now)).unwrap_or(now).min(REPLAY_MAX))
                } else {
                    Admission::Settled
                };
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
        check_arrival(Arrival::default(), by_event, by_alert, replay, want);
    }

    #[track_caller]
    fn check_arrival(
        arrival: Arrival,
        by_event: Option<Record>,
        by_alert: Option<Record>,
        replay: Option<u64>,
        want: Admission,
    ) {
        let by_alert = by_alert.map(|record| (KEY, record)).into_iter().collect();
        let looked = Looked { by_event, by_alert };
        assert_eq!(admit([A, BEFORE], replay.map(UnixMillis), arrival, &looked, WINDOW, NOW), want);
    }

    #[test]
    fn a_dead_letter_that_is_put_back_is_ours_once() {
        let first = Arrival { is_first: true, died_at: None };
        let died = |at: u64| Arrival { is_first: false, died_at: Some(UnixMillis(at)) };
        let State::Dead { at: UnixMillis(at), .. } = DEAD else { panic!("it is dead") };
        for (arrival, want) in [
            (first, Admission::PutBack(NOW)),
            (died(at), Admission::PutBack(NOW)),
            (died(at + 1), Admission::PutBack(NOW)),
            (died(at - 1), Admission::Settled),
            (Arrival::default(), Admission::Settled),
        ] {
            check_arrival(arrival, record(A, None, DEAD), record(B, None, delivered(1)), None, want);
        }
        // By a clock that is behind the one that gave the last mark.
        let later = Admission::PutBack(UnixMillis(NOW.0 + 8));
        check_arrival(first, record(A, Some(NOW.0 + 7), DEAD), None, None, later);
    }

    #[test]
    fn what_a_publisher_writes_goes_round_no_window_but_that_of_its_own_dead_letter() {
        for arrival in [
            Arrival { is_first: true, died_at: Some(UnixMillis(u64::MAX)) },
            Arrival { is_first: false, died_at: Some(NOW) },
        ] {
            check_arrival(arrival, None, record(B, None, delivered(1)), None, Admission::Repeat(KEY));
            check_arrival(arrival, None, record(B, None, WAITING), None, Admission::Repeat(KEY));
            check_arrival(arrival, record(A, None, delivered(9_000)), None, None, Admission::Settled);
        }
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
