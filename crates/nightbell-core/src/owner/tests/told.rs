//! What is told of an attempt before and after it.

use crate::outcome::Verdict;
use crate::owner::Judged;
use crate::trace;

use super::*;

#[test]
fn what_is_judged_is_what_happens() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let due = NOW.after(Duration::from_secs(1));
    let judge = |rig: &Rig| rig.owner.judge(tag, &unavailable(), Chance::new(0.5), NOW);
    assert_eq!(judge(&rig), Some(Judged { verdict: Verdict::RetryAt(due), since: NOW }));
    rig.attempted(tag, unavailable());
    assert_eq!(check_publish(&rig.recorded(tag), &rung(1)).due, Some(due));
    rig.published(tag, true);
    assert_eq!(judge(&rig), None, "it is not in hand any more");
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
