//! What comes again: repeats, copies and replays, and the claims and records that tell them apart.

use super::*;
use crate::record::{Record, RecordKey, State};

#[test]
fn a_settled_event_is_acknowledged_and_not_sent() {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(message("a", "a"));
    let state = State::Delivered { at: NOW, request_id: None };
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    let looked = Looked { by_event: Some(record), by_alert: Vec::new() };
    assert_eq!(rig.looked(tag, looked), [ack(tag, Ending::Duplicate)]);
}

#[test]
fn a_repeat_of_a_delivered_alert_is_acknowledged_and_counted_within_a_second() {
    let mut rig = Rig::new();
    let state = State::Delivered { at: NOW, request_id: None };
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    for id in ["b", "c"] {
        let (tag, _) = rig.receive(message(id, "same"));
        let looked = Looked { by_event: None, by_alert: vec![(Fingerprint([9; 16]), record.clone())] };
        assert_eq!(rig.looked(tag, looked), [ack(tag, Ending::Duplicate)]);
    }
    let steps = rig.pass_time(1);
    let [Step::Note(changes)] = &steps[..] else { panic!("{steps:?}") };
    assert!(matches!(changes[..], [Change { happening: Happening::Repeated { times: 2, .. }, .. }]));
}

#[test]
fn a_repeat_of_an_alert_in_hand_is_counted_on_its_record() {
    let mut rig = Rig::new();
    let (first, _) = rig.receive(message("a", "same"));
    let (follower, steps) = rig.receive(message("b", "same"));
    assert_eq!(steps, [], "a follower waits for what the ledger says of the first");
    let steps = rig.looked(first, Looked::default());
    assert!(steps.contains(&ack(follower, Ending::Duplicate)), "{steps:?}");
    let (later, steps) = rig.receive(message("c", "same"));
    assert_eq!(steps, [ack(later, Ending::Duplicate)]);
    let steps = rig.attempted(first, accepted());
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(matches!(changes[2].happening, Happening::Repeated { times: 2, .. }), "{changes:?}");
}

#[test]
fn a_follower_goes_ahead_when_the_first_was_settled_before() {
    let mut rig = Rig::new();
    let (first, _) = rig.receive(message("a", "same"));
    let (follower, _) = rig.receive(message("b", "same"));
    let state = State::Dead { at: NOW, reason: Reason::Refused };
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    let steps = rig.looked(first, Looked { by_event: Some(record), by_alert: Vec::new() });
    assert_eq!(steps[0], ack(first, Ending::Duplicate));
    assert!(matches!(steps[1], Step::Look { tag, .. } if tag == follower), "{steps:?}");
}

#[test]
fn two_copies_of_one_event_make_one_attempt_and_are_settled_together() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let (twin, steps) = rig.receive(message("a", "a"));
    assert_eq!(steps, []);
    rig.attempted(tag, accepted());
    let steps = rig.recorded(tag);
    assert_eq!(steps, [ack(tag, Ending::Delivered { since: NOW }), ack(twin, Ending::Duplicate)]);
}

#[test]
fn a_retry_whose_copy_came_back_before_its_confirm_is_not_lost() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, unavailable());
    let steps = rig.recorded(tag);
    let [Step::Publish { message: copy, .. }] = &steps[..] else { panic!("{steps:?}") };
    rig.pass_time(1);
    let (back, steps) = rig.receive(copy.clone());
    assert_eq!(steps, [], "one attempt at a time");
    assert_eq!(rig.published(tag, true), [ack(tag, Ending::Retried), Step::HandBack { tag: back }]);
}

#[test]
fn an_alert_that_dies_after_a_retry_ends_its_claim_on_the_alert_key() {
    let mut rig = Rig::new();
    let (first, _) = rig.receive(message("a", "a"));
    let steps = rig.looked(first, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
    let refused = Outcome::Refused { status: 400, body: String::new() };
    rig.attempted(first, refused);
    let steps = rig.published(first, true);
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(matches!(changes[..], [_, Change { key: RecordKey::Alert(_), .. }]), "{changes:?}");
}

#[test]
fn a_replay_that_comes_before_its_dead_letter_is_recorded_is_not_lost() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Refused { status: 400, body: String::new() });
    rig.published(tag, true);
    let replay = Journey { replay: Some(NOW), ..Journey::default() };
    let (again, _) = rig.receive(with_journey(message("a", "a"), &replay));
    let steps = rig.recorded(tag);
    assert_eq!(steps, [ack(tag, Ending::Dead(Reason::Refused)), Step::HandBack { tag: again }]);
}

#[test]
fn a_replay_is_sent_beside_an_alert_with_the_same_key() {
    let mut rig = Rig::new();
    let (first, _) = rig.receive(message("a", "same"));
    rig.looked(first, Looked::default());
    let replay = Journey { replay: Some(NOW), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("b", "same"), &replay));
    let steps = rig.looked(tag, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
}

#[test]
fn the_claim_of_a_replay_leaves_the_alert_key_alone() {
    let mut rig = Rig::new();
    let replay = Journey { replay: Some(NOW), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("b", "b"), &replay));
    rig.looked(tag, Looked::default());
    let steps = rig.attempted(tag, unavailable());
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(matches!(changes[..], [Change { key: RecordKey::Event(_), .. }]), "{changes:?}");
}
