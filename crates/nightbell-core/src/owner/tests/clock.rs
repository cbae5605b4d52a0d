//! A wall clock that is set, back and forth, while alerts wait.

use super::*;
use crate::limits::WAIT_MAX;
use crate::time::Jump;

const DAY: Duration = Duration::from_secs(86_400);

impl Rig {
    /// Sets the clock, and tells the owner so as a worker does.
    fn set_clock(&mut self, jump: Jump) -> Vec<Step> {
        self.now = self.now.moved(jump);
        self.handle(Input::ClockSet(jump))
    }
}

/// The one message that is published.
#[track_caller]
fn published(steps: &[Step]) -> Message {
    let [Step::Publish { message, .. }] = steps else { panic!("{steps:?}") };
    message.clone()
}

#[track_caller]
fn check_attempt(steps: &[Step]) {
    assert!(matches!(steps, [Step::Attempt { .. }]), "{steps:?}");
}

/// Lets an alert fail often enough for a delay of this many seconds, and gives its copy.
fn failed(rig: &mut Rig, id: &str, delay_s: u32) -> Message {
    let worn = Journey { attempts: delay_s.ilog2(), since: Some(rig.now), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message(id, id), &worn));
    check_attempt(&rig.looked(tag, Looked::default()));
    rig.attempted(tag, unavailable());
    let copy = published(&rig.recorded(tag));
    rig.published(tag, true);
    copy
}

#[test]
fn a_clock_set_back_delays_no_retry() {
    let mut rig = Rig::new();
    let copy = failed(&mut rig, "a", 8);
    rig.set_clock(Jump::Back(DAY * 3));
    rig.pass_time(8);
    let (tag, steps) = rig.receive(copy);
    assert!(matches!(steps[..], [Step::Look { .. }]), "{steps:?}");
    check_attempt(&rig.looked(tag, Looked::default()));
}

#[test]
fn what_is_left_of_a_delay_after_its_rung_stays_as_long_when_the_clock_is_set_back() {
    let mut rig = Rig::new();
    let settings =
        Settings { policy: Policy { max: Duration::from_secs(100), ..settings().policy }, ..settings() };
    rig.handle(Input::Configured(Box::new(settings)));
    let copy = failed(&mut rig, "a", 128);
    rig.set_clock(Jump::Back(DAY * 3));
    let (_, steps) = rig.receive(copy);
    let due = check_publish(&steps, &rung(32)).due;
    assert_eq!(due, Some(rig.now.after(Duration::from_secs(36))), "64 of its 100 seconds are over");
}

#[test]
fn a_due_time_without_a_rest_is_believed_as_far_as_anything_ever_waits() {
    let mut rig = Rig::new();
    let forged = Journey { due: Some(NOW.after(DAY)), ..Journey::default() };
    let (_, steps) = rig.receive(with_journey(message("a", "a"), &forged));
    assert_eq!(check_publish(&steps, &rung(512)).due, Some(NOW.after(WAIT_MAX)));
}

#[test]
fn a_clock_set_back_delays_nothing_in_hand() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, unavailable());
    rig.recorded(tag);
    assert_eq!(rig.published(tag, false), []);
    assert_eq!(rig.set_clock(Jump::Back(DAY)), []);
    check_attempt(&rig.pass_time(1));

    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Unauthorized { status: 401 });
    assert_eq!(rig.set_clock(Jump::Back(DAY)), []);
    assert_eq!(rig.pass_time(59), []);
    check_attempt(&rig.pass_time(1));
}

#[test]
fn a_clock_set_forth_hurries_nothing_in_hand() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Unauthorized { status: 401 });
    assert_eq!(rig.set_clock(Jump::Forth(DAY)), [], "neither sent, nor parked, nor handed back");
    assert_eq!(rig.pass_time(59), []);
    check_attempt(&rig.pass_time(1));
}

#[test]
fn a_copy_that_comes_back_before_its_confirm_is_known_after_a_jump() {
    for jump in [Jump::Back(DAY), Jump::Forth(DAY)] {
        let mut rig = Rig::new();
        let tag = rig.attempt("a");
        rig.attempted(tag, unavailable());
        let copy = published(&rig.recorded(tag));
        assert_eq!(rig.set_clock(jump), []);
        let (back, _) = rig.receive(copy);
        assert_eq!(rig.published(tag, true), [ack(tag, Ending::Retried), Step::HandBack { tag: back }]);
    }
}

#[test]
fn a_clock_set_forth_expires_nothing_that_was_accepted_before() {
    let mut rig = Rig::new();
    let copy = failed(&mut rig, "a", 8);
    let held = rig.attempt("b");
    rig.set_clock(Jump::Forth(DAY * 30));
    let steps = rig.attempted(held, unavailable());
    assert!(matches!(steps[..], [Step::Record { .. }]), "it is claimed for a retry: {steps:?}");
    let (tag, _) = rig.receive(copy);
    check_attempt(&rig.looked(tag, Looked::default()));
    rig.attempted(tag, unavailable());
    let copy = published(&rig.recorded(tag));
    rig.published(tag, true);

    rig.pass_time(86_400);
    let (tag, _) = rig.receive(copy);
    check_attempt(&rig.looked(tag, Looked::default()));
    let steps = rig.attempted(tag, unavailable());
    assert_eq!(check_publish(&steps, &Destination::Dead).death.unwrap().reason, Reason::Expired);
}

#[test]
fn a_clock_set_forth_and_back_again_lets_alerts_expire_in_their_time() {
    let mut rig = Rig::new();
    let copy = failed(&mut rig, "a", 8);
    rig.set_clock(Jump::Forth(DAY * 30));
    rig.set_clock(Jump::Back(DAY * 30));
    rig.pass_time(86_400);
    let (tag, _) = rig.receive(copy);
    check_attempt(&rig.looked(tag, Looked::default()));
    let steps = rig.attempted(tag, unavailable());
    assert_eq!(check_publish(&steps, &Destination::Dead).death.unwrap().reason, Reason::Expired);
}
