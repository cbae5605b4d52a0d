//! Dead letters that somebody put back by other means than a replay.

use super::*;
use crate::journey::Death;
use crate::message::Arrival;
use crate::record::{Record, State};

const DIED: UnixMillis = UnixMillis(NOW.0 - 1_000);

fn dead(replay: Option<UnixMillis>, at: UnixMillis) -> Looked {
    let state = State::Dead { at, reason: Reason::Refused };
    let record = Record { event: event_of("a"), replay, state, repeats: 0, last_repeat: None };
    let told = Record {
        event: event_of("b"),
        replay: None,
        state: State::Delivered { at: NOW, request_id: None },
        repeats: 0,
        last_repeat: None,
    };
    Looked { by_event: Some(record), by_alert: vec![(event_of("t"), told)] }
}

fn letter_of(connector: &str, reason: Reason) -> Message {
    let connector = Some(connector.parse().unwrap());
    let death = Death { connector, reason, detail: "HTTP 400".into(), at: Some(DIED) };
    let since = Some(UnixMillis(1));
    with_journey(message("a", "a"), &Journey { attempts: 7, since, death: Some(death), ..Journey::default() })
}

fn arrived(arrival: Arrival) -> Message {
    Message { arrival, ..message("a", "a") }
}

#[test]
fn a_letter_in_its_own_queue_is_a_replay_and_begins_anew() {
    for reason in [Reason::Refused, Reason::Expired, Reason::DeliveryLimit] {
        let mut rig = Rig::new();
        let (tag, _) = rig.receive(letter_of("sre", reason));
        let steps = rig.looked(tag, dead(None, DIED));
        let [Step::Attempt { alert, .. }] = &steps[..] else { panic!("{reason}: {steps:?}") };
        assert_eq!(alert.attempt, 1);
        let steps = rig.attempted(tag, unavailable());
        let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
        let Happening::Claimed { replay, .. } = &changes[0].happening else { panic!("{changes:?}") };
        assert_eq!(*replay, Some(DIED));
        // The same copy once more, after it died again and its ack was not sent.
        let mut rig = Rig::new();
        let (tag, _) = rig.receive(letter_of("sre", reason));
        assert_eq!(rig.looked(tag, dead(Some(DIED), NOW)), [ack(tag, Ending::Duplicate)]);
    }
}

#[test]
fn a_letter_in_another_connectors_queue_stays_its_own_connectors_letter() {
    let mut rig = Rig::new();
    // The event itself is in hand here, too.
    rig.attempt("a");
    let (tag, _) = rig.receive(letter_of("web", Reason::Refused));
    let steps = rig.looked(tag, Looked::default());
    let [Step::Publish { to: Destination::Dead, message, .. }] = &steps[..] else { panic!("{steps:?}") };
    let death = Journey::read(&message.headers).death.unwrap();
    assert_eq!((death.connector, death.reason), (Some("web".parse().unwrap()), Reason::Refused));
    let steps = rig.published(tag, true);
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(changes.iter().all(|change| change.key != crate::record::RecordKey::Event(event_of("a"))));
}

#[test]
fn a_copy_without_our_headers_is_put_back_by_the_ledgers_record() {
    for arrival in [
        Arrival { is_first: true, died_at: None },
        Arrival { is_first: false, died_at: Some(DIED) },
        Arrival { is_first: true, died_at: Some(DIED) },
    ] {
        let mut rig = Rig::new();
        let (tag, _) = rig.receive(arrived(arrival));
        let steps = rig.looked(tag, dead(None, DIED));
        assert!(matches!(steps[..], [Step::Attempt { .. }]), "{arrival:?}: {steps:?}");
        // It dies again, and its letter and its record say the same time.
        let steps = rig.attempted(tag, Outcome::Refused { status: 400, body: String::new() });
        let [Step::Publish { message, .. }] = &steps[..] else { panic!("{steps:?}") };
        let died = Journey::read(&message.headers).death.unwrap().at.unwrap();
        rig.pass_time(3);
        let steps = rig.published(tag, true);
        let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
        let Happening::Died { at, replay, .. } = &changes[0].happening else { panic!("{changes:?}") };
        assert_eq!((*at, *replay), (died, Some(NOW)));
    }
}

#[test]
fn the_copy_that_died_is_acknowledged_when_its_ack_was_not_sent() {
    for died_at in [None, Some(UnixMillis(DIED.0 - 1))] {
        let mut rig = Rig::new();
        let (tag, _) = rig.receive(arrived(Arrival { is_first: false, died_at }));
        assert_eq!(rig.looked(tag, dead(None, DIED)), [ack(tag, Ending::Duplicate)]);
    }
}

#[test]
fn what_was_too_old_is_sent_when_it_is_put_back() {
    let mut rig = Rig::new();
    let old =
        Message { published_at: Some(UnixMillis(1)), ..arrived(Arrival { is_first: true, died_at: None }) };
    let (tag, _) = rig.receive(old);
    let steps = rig.looked(tag, dead(None, DIED));
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
}

#[test]
fn forged_marks_of_a_dead_letter_go_round_no_alert_in_hand() {
    let mut rig = Rig::new();
    let (first, _) = rig.receive(message("b", "a"));
    let steps = rig.looked(first, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
    let forged = Arrival { is_first: true, died_at: Some(NOW) };
    let (tag, _) = rig.receive(arrived(forged));
    assert_eq!(rig.looked(tag, Looked::default()), [ack(tag, Ending::Duplicate)]);
}

#[test]
fn a_letter_outlives_the_copy_that_died_and_is_looked_up_with_it() {
    let mut rig = Rig::new();
    let (copy, _) = rig.receive(message("a", "a"));
    let (letter, steps) = rig.receive(arrived(Arrival { is_first: true, died_at: Some(DIED) }));
    assert_eq!(steps, []);
    let steps = rig.looked(copy, dead(None, DIED));
    assert_eq!(steps, [ack(copy, Ending::Duplicate), Step::HandBack { tag: letter }]);
}
