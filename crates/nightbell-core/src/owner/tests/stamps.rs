//! A publisher's clock decides nothing: no alert is given up without an attempt, whatever its stamp says.

use super::*;
use crate::time::Jump;

const DAY: Duration = Duration::from_secs(86_400);

fn stamped(at: UnixMillis) -> Message {
    Message { published_at: Some(at), ..message("a", "a") }
}

fn before(wait: Duration) -> UnixMillis {
    UnixMillis(NOW.0.saturating_sub(u64::try_from(wait.as_millis()).unwrap()))
}

/// Receives a message with this stamp, and gives what is told of it.
#[track_caller]
fn check(stamp: UnixMillis, told: Option<Jump>) -> (Rig, Tag) {
    let mut rig = Rig::new();
    let (tag, steps) = rig.receive(stamped(stamp));
    let skew = steps.iter().find_map(|step| {
        let Step::Skewed { project, skew } = step else { return None };
        Some((project.as_str(), *skew))
    });
    assert_eq!(skew, told.map(|skew| ("p", skew)), "{stamp}");
    let steps = rig.looked(tag, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{stamp}: {steps:?}");
    (rig, tag)
}

#[test]
fn a_publisher_with_a_slow_or_a_fast_clock_is_told_and_its_event_is_sent() {
    let hour = DAY / 24;
    for back in [hour * 25, DAY * 2, DAY * 365 * 50] {
        check(before(back), Some(Jump::Back(back)));
    }
    check(UnixMillis(0), Some(Jump::Back(Duration::from_millis(NOW.0))));
    check(NOW.after(DAY), Some(Jump::Forth(DAY)));
    check(NOW.after(Duration::from_secs(59)), None);
    check(before(hour * 23), None);
}

#[test]
fn an_events_age_counts_from_when_it_was_first_seen() {
    for stamp in [UnixMillis(0), before(DAY * 2), before(DAY - Duration::from_secs(1)), NOW.after(DAY * 900)]
    {
        let (mut rig, tag) = check_quietly(stamp);
        let steps = rig.attempted(tag, unavailable());
        assert!(matches!(steps[..], [Step::Record { .. }]), "{stamp}: it is claimed for a retry: {steps:?}");
        let copy = check_publish(&rig.recorded(tag), &rung(1));
        assert_eq!(copy.since, Some(NOW), "{stamp}");
    }
}

fn check_quietly(stamp: UnixMillis) -> (Rig, Tag) {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(stamped(stamp));
    rig.looked(tag, Looked::default());
    (rig, tag)
}

#[test]
fn what_returns_from_a_retry_queue_after_days_gets_its_attempt_and_is_not_told_again() {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(stamped(UnixMillis(0)));
    rig.looked(tag, Looked::default());
    rig.attempted(tag, unavailable());
    let steps = rig.recorded(tag);
    let [Step::Publish { message: copy, .. }] = &steps[..] else { panic!("{steps:?}") };
    let copy = copy.clone();
    rig.published(tag, true);
    rig.pass_time(2 * 86_400);
    let (tag, steps) = rig.receive(copy);
    assert!(matches!(steps[..], [Step::Look { .. }]), "{steps:?}");
    let steps = rig.looked(tag, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
    let steps = rig.attempted(tag, unavailable());
    assert_eq!(check_publish(&steps, &Destination::Dead).death.unwrap().reason, Reason::Expired);
}

#[test]
fn latency_counts_from_a_stamp_that_is_believed() {
    let hour = DAY / 24;
    for (stamp, since) in [(before(hour), before(hour)), (UnixMillis(0), NOW), (NOW.after(DAY), NOW)] {
        let (mut rig, tag) = check_quietly(stamp);
        rig.attempted(tag, accepted());
        assert_eq!(rig.recorded(tag), [ack(tag, Ending::Delivered { since })]);
    }
}
