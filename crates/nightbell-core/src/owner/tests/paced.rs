//! A connector's rate, the pause that a 429 asks for, and its slots.

use std::num::NonZeroU32;

use super::super::*;
use super::{Rig, accepted, message, settings};

fn four_a_minute() -> Settings {
    let rate = Rate { count: NonZeroU32::new(4).unwrap(), per: Duration::from_secs(60) };
    Settings { rate: Some(rate), in_flight_max: 100, ..settings() }
}

fn attempts(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step, Step::Attempt { .. })).count()
}

fn attempted(steps: &[Step]) -> Option<Tag> {
    steps.iter().find_map(|step| if let Step::Attempt { tag, .. } = step { Some(*tag) } else { None })
}

#[test]
fn a_backlog_leaves_at_the_rate_one_at_a_time_and_the_rate_counts_from_the_answer() {
    let mut rig = Rig::with(four_a_minute());
    let (mut sent, mut on_its_way) = (0, None);
    for id in ["a", "b", "c", "d", "e"] {
        let (tag, _) = rig.receive(message(id, id));
        let steps = rig.looked(tag, Looked::default());
        sent += attempts(&steps);
        on_its_way = on_its_way.or(attempted(&steps));
    }
    assert_eq!(sent, 1, "slots are free, but the rate is not");
    assert_eq!(attempts(&rig.pass_time(14)), 0);
    assert_eq!(attempts(&rig.pass_time(6)), 0, "the first has no answer yet");
    for (wait, want) in [(15, 0), (1, 1)] {
        if let Some(tag) = on_its_way.take() {
            rig.attempted(tag, accepted());
        }
        let steps = rig.pass_time(wait);
        assert_eq!(attempts(&steps), want, "after {wait} s more");
        on_its_way = attempted(&steps);
    }
    rig.attempted(on_its_way.expect("the second is on its way"), accepted());
    assert_eq!(rig.owner.wake_at().map(|at| rig.now.until(at) <= Duration::from_secs(16)), Some(true));
}

#[test]
fn a_429_without_a_hint_stops_the_connector_as_long_as_its_retry_waits() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let steps = rig.attempted(tag, Outcome::Throttled { retry_after: None });
    assert!(matches!(steps[..], [Step::Record { .. }]), "{steps:?}");
    let until = rig.owner.view().paused_until.expect("the whole connector waits");
    let (other, _) = rig.receive(message("b", "b"));
    assert_eq!(attempts(&rig.looked(other, Looked::default())), 0);
    rig.now = until;
    assert_eq!(attempts(&rig.handle(Input::Tick)), 1);
    rig.attempted(other, accepted());
    assert_eq!(rig.owner.view().paused_until, None);
}

#[test]
fn nobody_is_woken_up_for_a_gate_that_is_full() {
    let mut rig = Rig::new();
    let first = rig.attempt("a");
    rig.attempt("b");
    rig.attempted(first, Outcome::Unauthorized { status: 401 });
    let settings = Settings { in_flight_max: 1, ..settings() };
    rig.handle(Input::Configured(Box::new(settings)));
    assert_eq!(rig.pass_time(61), [], "the breaker would take a probe, and the one slot is taken");
    assert_eq!(rig.owner.wake_at(), Some(rig.now.after(TICK)));
}
