//! What is told of an attempt before and after it.

use crate::outcome::Verdict;
use crate::trace;

use super::*;

#[test]
fn what_is_judged_is_what_happens() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let due = NOW.after(Duration::from_secs(1));
    let (judged, _) = rig.judged(tag, unavailable());
    assert_eq!(judged, Some(Judged { verdict: Verdict::RetryAt(due), since: NOW }));
    assert_eq!(check_publish(&rig.recorded(tag), &rung(1)).due, Some(due));
    rig.published(tag, true);
}

#[test]
fn an_attempt_that_ends_after_the_ledger_failed_is_told_without_a_verdict() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    assert_eq!(rig.handle(Input::Looked { tag, looked: None }), [Step::Halt]);
    assert_eq!(rig.judged(tag, accepted()), (None, Vec::new()));
}

#[test]
fn an_answer_that_fits_no_stage_changes_nothing() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    for input in [
        Input::Looked { tag, looked: Some(Looked::default()) },
        Input::Recorded { tag, durable: true },
        Input::Published { tag, confirmed: true },
        Input::Attempted { tag: Tag(99), outcome: accepted(), chance: Chance::new(MIDDLE) },
    ] {
        let error = rig.owner.handle(input, NOW).unwrap_err();
        assert!(error.to_string().contains(&error.tag.0.to_string()), "{error}");
    }
    assert_eq!(rig.owner.view().attempting, 1);
    rig.attempted(tag, accepted());
    assert_eq!(rig.recorded(tag), [ack(tag, Ending::Delivered { since: NOW })]);
}

#[test]
fn an_alert_is_in_the_trace_of_its_message() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut rig = Rig::new();
    let traced = Message { headers: trace::headers(Some(parent), None), ..message("a", "a") };
    let (tag, _) = rig.receive(traced);
    let steps = rig.looked(tag, Looked::default());
    let [Step::Attempt { alert, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(alert.trace, parent.parse().ok());
    rig.attempted(tag, unavailable());
    let steps = rig.recorded(tag);
    let [Step::Publish { message, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(message.headers.contains_key(trace::TRACEPARENT), "its copy too");
}
