//! What is told at one severity suppresses the same and lower ones, never a higher one.

use super::*;
use crate::alert::{alert_key, told_key};
use crate::event::Event;
use crate::record::{Record, RecordKey, State};

const MINIMAL: Severity = Severity::Minimal;
const CRITICAL: Severity = Severity::Critical;

/// The ledger's name for what was told of the test `same` at this severity.
fn told(severity: Severity) -> Fingerprint {
    told_key(alert_key(&Event::new("p", "same"), &settings().by), severity)
}

/// What the ledger says when an alert of event `a` and this severity stands so.
fn told_at(severity: Severity, state: State) -> Looked {
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    Looked { by_event: None, by_alert: vec![(told(severity), record)] }
}

fn is_sent(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Attempt { .. }))
}

#[test]
fn a_look_asks_for_the_own_severity_and_for_higher_ones() {
    for (severity, asked) in [(MINIMAL, 5), (Severity::High, 2), (CRITICAL, 1)] {
        let (_, steps) = Rig::new().receive(graded("b", "same", severity));
        let [Step::Look { alerts, .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!((alerts[0], alerts.len()), (told(severity), asked));
        assert_eq!(alerts.last(), Some(&told(CRITICAL)));
    }
}

#[test]
fn a_minimal_failure_in_flight_does_not_suppress_a_critical_one() {
    let mut rig = Rig::new();
    let (minimal, _) = rig.receive(graded("a", "same", MINIMAL));
    assert!(is_sent(&rig.looked(minimal, Looked::default())));
    let (critical, _) = rig.receive(graded("b", "same", CRITICAL));
    assert!(is_sent(&rig.looked(critical, Looked::default())));
    let (again, steps) = rig.receive(graded("c", "same", MINIMAL));
    assert_eq!(steps, [ack(again, Ending::Duplicate)]);
    let (again, steps) = rig.receive(graded("d", "same", CRITICAL));
    assert_eq!(steps, [ack(again, Ending::Duplicate)]);
}

#[test]
fn a_minimal_failure_that_waits_to_be_sent_gives_way_to_a_critical_one() {
    let mut rig = Rig::new();
    for id in ["x", "y"] {
        rig.attempt(id);
    }
    let (minimal, _) = rig.receive(graded("a", "same", MINIMAL));
    assert_eq!(rig.looked(minimal, Looked::default()), [], "the slots are taken");
    let (critical, _) = rig.receive(graded("b", "same", CRITICAL));
    assert_eq!(rig.looked(critical, Looked::default()), [ack(minimal, Ending::Duplicate)]);
}

#[test]
fn what_a_critical_failure_stands_for_ends_its_claim_on_the_alert_key() {
    let mut rig = Rig::new();
    for id in ["x", "y"] {
        rig.attempt(id);
    }
    let (minimal, _) = rig.receive(graded("a", "same", MINIMAL));
    rig.looked(minimal, told_at(MINIMAL, State::InFlight { until: NOW.after(CLAIM_SLACK) }));
    let (critical, _) = rig.receive(graded("b", "same", CRITICAL));
    let steps = rig.looked(critical, Looked::default());
    let [Step::Note(changes), Step::Ack { .. }] = &steps[..] else { panic!("{steps:?}") };
    let [Change { key, happening: Happening::Claimed { until, .. }, .. }] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((*key, *until), (RecordKey::Alert(told(MINIMAL)), NOW));
}

#[test]
fn a_delivery_is_recorded_under_its_severity_and_repeats_of_it_too() {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(graded("a", "same", CRITICAL));
    rig.looked(tag, Looked::default());
    let steps = rig.attempted(tag, accepted());
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(changes[1].key, RecordKey::Alert(told(CRITICAL)));
    rig.recorded(tag);
    let (tag, _) = rig.receive(graded("b", "same", MINIMAL));
    let delivered = State::Delivered { at: NOW, request_id: None };
    assert_eq!(rig.looked(tag, told_at(CRITICAL, delivered)), [ack(tag, Ending::Duplicate)]);
    let steps = rig.pass_time(1);
    let [Step::Note(changes)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(changes[0].key, RecordKey::Alert(told(CRITICAL)));
}

#[test]
fn two_projects_with_the_same_ids_and_keys_never_interfere() {
    let of = |project: &str| {
        let body = format!(r#"{{"project":"{project}","test":"t","id":"1","dedup_key":"k"}}"#);
        Message { body: body.into(), ..Message::default() }
    };
    let mut rig = Rig::new();
    let mut sent = Vec::new();
    for project in ["shop", "bank"] {
        let (tag, steps) = rig.receive(of(project));
        let [Step::Look { event, alerts, .. }] = &steps[..] else { panic!("{steps:?}") };
        let names = (*event, alerts.clone());
        let steps = rig.looked(tag, Looked::default());
        let [Step::Attempt { alert, .. }] = &steps[..] else { panic!("{steps:?}") };
        sent.push((names, alert.alert_id, alert.alert_key));
    }
    let ((shop, shop_alert, shop_key), (bank, bank_alert, bank_key)) = (&sent[0], &sent[1]);
    assert!(shop.0 != bank.0 && shop.1.iter().all(|name| !bank.1.contains(name)));
    assert!(shop_alert != bank_alert && shop_key != bank_key);
}

#[test]
fn a_retry_that_an_earlier_version_claimed_is_sent() {
    let former = EventId::of(None, Some("a"), &Message::default()).fingerprint();
    for severity in Severity::ALL {
        let mut rig = Rig::new();
        let (tag, _) = rig.receive(graded("a", "same", severity));
        let state = State::InFlight { until: NOW.after(CLAIM_SLACK) };
        let claim = Record { event: former, replay: None, state, repeats: 0, last_repeat: None };
        let looked = Looked { by_event: None, by_alert: vec![(told(Severity::High), claim)] };
        assert!(is_sent(&rig.looked(tag, looked)), "{severity:?}");
    }
}
