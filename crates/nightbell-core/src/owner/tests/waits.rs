//! What holds alerts back: slots, the breaker, pauses, and a queue that does not take what is published.

use super::*;
use crate::limits::{DUE_HELD_MAX, OPEN_PER_SLOT_MAX};

#[test]
fn no_more_attempts_are_made_at_a_time_than_there_are_slots() {
    let mut rig = Rig::new();
    let first = rig.attempt("a");
    rig.attempt("b");
    let (third, _) = rig.receive(message("c", "c"));
    assert_eq!(rig.looked(third, Looked::default()), []);
    let steps = rig.attempted(first, accepted());
    assert!(matches!(steps[1], Step::Attempt { tag, .. } if tag == third), "{steps:?}");
}

#[test]
fn no_more_alerts_are_unrecorded_than_a_crash_may_send_twice() {
    let mut rig = Rig::new();
    let open_max = settings().in_flight_max * OPEN_PER_SLOT_MAX;
    let open: Vec<Tag> =
        (0..open_max).map(|number| rig.attempt_and_accept(&format!("open {number}"))).collect();
    let (next, _) = rig.receive(message("next", "next"));
    assert_eq!(rig.looked(next, Looked::default()), []);
    let steps = rig.recorded(open[0]);
    assert!(matches!(steps[1], Step::Attempt { tag, .. } if tag == next), "{steps:?}");
}

#[test]
fn a_401_opens_the_breaker_and_spends_no_attempt() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    assert_eq!(rig.attempted(tag, Outcome::Unauthorized { status: 401 }), []);
    let (second, _) = rig.receive(message("b", "b"));
    assert_eq!(rig.looked(second, Looked::default()), []);
    let steps = rig.pass_time(60);
    let [Step::Attempt { tag: probe, alert }] = &steps[..] else { panic!("one probe: {steps:?}") };
    assert_eq!((*probe, alert.attempt), (tag, 1));
}

#[test]
fn retry_after_stops_the_whole_connector() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let wait = Duration::from_secs(30);
    rig.attempted(tag, Outcome::Throttled { retry_after: Some(wait) });
    let (other, _) = rig.receive(message("b", "b"));
    assert_eq!(rig.looked(other, Looked::default()), []);
    assert_eq!(rig.owner.view().paused_until, Some(NOW.after(wait)));
    assert_eq!(rig.pass_time(29), []);
    assert!(matches!(rig.pass_time(1)[..], [Step::Attempt { .. }]));
}

#[test]
fn retry_after_stops_the_connector_when_the_throttled_alert_itself_is_given_up() {
    let mut rig = Rig::new();
    let since = Journey { since: Some(UnixMillis(NOW.0 - 86_390_000)), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("a", "a"), &since));
    rig.looked(tag, Looked::default());
    let wait = Duration::from_secs(30);
    check_publish(&rig.attempted(tag, Outcome::Throttled { retry_after: Some(wait) }), &Destination::Dead);
    assert_eq!(rig.owner.view().paused_until, Some(NOW.after(wait)));
}

#[test]
fn nothing_waits_in_hand_longer_than_two_minutes() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Unauthorized { status: 401 });
    assert!(matches!(rig.pass_time(60)[..], [Step::Attempt { .. }]), "a probe");
    rig.attempted(tag, Outcome::Unauthorized { status: 401 });
    assert_eq!(rig.pass_time(59), []);
    let steps = rig.pass_time(1);
    assert!(matches!(steps[..], [Step::Record { .. }]), "{steps:?}");
    let journey = check_publish(&rig.recorded(tag), &rung(60));
    assert_eq!(journey.attempts, 0, "no attempt is spent");
    assert_eq!(rig.published(tag, true), [ack(tag, Ending::Parked)]);
}

#[test]
fn an_alert_that_comes_back_before_its_time_takes_a_shorter_rung() {
    let mut rig = Rig::new();
    let back = |seconds| Journey {
        attempts: 3,
        due: Some(NOW.after(Duration::from_secs(seconds))),
        ..Journey::default()
    };
    let (tag, steps) = rig.receive(with_journey(message("a", "a"), &back(100)));
    assert_eq!(check_publish(&steps, &rung(64)).attempts, 3);
    assert_eq!(rig.published(tag, true), [ack(tag, Ending::Parked)]);

    let (tag, _) = rig.receive(with_journey(message("b", "b"), &back(DUE_HELD_MAX.as_secs())));
    assert_eq!(rig.looked(tag, Looked::default()), []);
    assert_eq!(rig.owner.wake_at(), Some(NOW.after(Duration::from_secs(1))));
    let steps = rig.pass_time(10);
    assert!(matches!(&steps[..], [Step::Attempt { alert, .. }] if alert.attempt == 4), "{steps:?}");
}

#[test]
fn a_retry_that_the_queue_does_not_take_is_made_from_hand() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, unavailable());
    rig.recorded(tag);
    assert_eq!(rig.published(tag, false), []);
    let steps = rig.pass_time(1);
    assert!(matches!(&steps[..], [Step::Attempt { alert, .. }] if alert.attempt == 2), "{steps:?}");
}

#[test]
fn a_retry_that_was_never_confirmed_keeps_its_time_when_it_is_parked() {
    /// Until when the steps claim an event.
    fn claimed(steps: &[Step]) -> Option<UnixMillis> {
        let [Step::Record { changes, .. }] = steps else { return None };
        let Happening::Claimed { until, .. } = changes[0].happening else { return None };
        Some(until)
    }
    let mut rig = Rig::new();
    let worn = Journey { attempts: 20, since: Some(NOW), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("a", "a"), &worn));
    rig.looked(tag, Looked::default());
    let first = claimed(&rig.attempted(tag, unavailable())).unwrap();
    rig.recorded(tag);
    rig.published(tag, false);
    let parked = (0..150).find_map(|_| claimed(&rig.pass_time(1)));
    assert_eq!(parked, Some(first), "its backoff is longer than the two minutes in hand");
}

#[test]
fn a_dead_letter_that_the_queue_does_not_take_is_published_again_and_handed_back_at_last() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Refused { status: 400, body: String::new() });
    for wait in [2, 4, 8, 16, 30, 30] {
        assert_eq!(rig.published(tag, false), []);
        assert_eq!(rig.pass_time(wait - 1), []);
        check_publish(&rig.pass_time(1), &Destination::Dead);
    }
    rig.published(tag, false);
    // The republish is due as well by then, and takes the letter out of idleness; its failure gives it back.
    check_publish(&rig.pass_time(900), &Destination::Dead);
    assert_eq!(rig.published(tag, false), []);
    assert_eq!(rig.pass_time(1), [Step::HandBack { tag }]);
}
