//! The owner in a small world: tables of single paths here, random histories in [`world`].

mod clock;
mod overrides;
mod paced;
mod told;
mod world;

use super::*;
use crate::dead::Reason;
use crate::journey::Journey;
use crate::limits::{CLAIM_SLACK, DUE_HELD_MAX, OPEN_PER_SLOT_MAX, WAIT_MAX};
use crate::message::EventId;
use crate::record::{Happening, Record, RecordKey, State};
use crate::rung::Rung;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const MIDDLE: f64 = 0.5;

pub(super) fn settings() -> Settings {
    let sre: Connector = "sre".parse().unwrap();
    let routing = Routing {
        groups: Vec::new(),
        default_connectors: [sre.clone()].into(),
        connectors: [sre.clone()].into(),
    };
    Settings {
        connector: sre,
        routing: Arc::new(routing),
        window: Duration::from_secs(3_600),
        retention: Duration::from_secs(7 * 86_400),
        by: [KeyPart::Project, KeyPart::Test].into(),
        policy: Policy {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(480),
            give_up_after: Duration::from_secs(86_400),
        },
        in_flight_max: 2,
        rate: None,
    }
}

pub(super) fn message(id: &str, test: &str) -> Message {
    let body = format!(r#"{{"project":"p","test":"{test}","id":"{id}"}}"#);
    Message { body: body.into(), ..Message::default() }
}

fn with_journey(message: Message, journey: &Journey) -> Message {
    let mut message = message;
    journey.write(&mut message.headers);
    message
}

fn event_of(id: &str) -> Fingerprint {
    EventId::of(Some(id), &Message::default()).fingerprint()
}

/// An owner at a time of its own.
struct Rig {
    owner: Owner,
    now: UnixMillis,
    tags: u64,
}

impl Rig {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        Self { owner: Owner::new(settings, NOW), now: NOW, tags: 0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Step> {
        self.owner.handle(input, self.now)
    }

    fn pass_time(&mut self, seconds: u64) -> Vec<Step> {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.handle(Input::Tick)
    }

    fn receive(&mut self, message: Message) -> (Tag, Vec<Step>) {
        self.tags += 1;
        let tag = Tag(self.tags);
        (tag, self.handle(Input::Received { tag, message }))
    }

    fn looked(&mut self, tag: Tag, looked: Looked) -> Vec<Step> {
        self.handle(Input::Looked { tag, looked: Some(looked) })
    }

    fn attempted(&mut self, tag: Tag, outcome: Outcome) -> Vec<Step> {
        self.handle(Input::Attempted { tag, outcome, chance: Chance::new(MIDDLE) })
    }

    fn recorded(&mut self, tag: Tag) -> Vec<Step> {
        self.handle(Input::Recorded { tag, durable: true })
    }

    fn published(&mut self, tag: Tag, confirmed: bool) -> Vec<Step> {
        self.handle(Input::Published { tag, confirmed })
    }

    /// Brings an unknown event to its first attempt.
    fn attempt(&mut self, id: &str) -> Tag {
        let (tag, steps) = self.receive(message(id, id));
        assert!(matches!(steps[..], [Step::Look { .. }]), "{steps:?}");
        let steps = self.looked(tag, Looked::default());
        assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
        tag
    }
}

impl Rig {
    /// Brings an unknown event to its acceptance, and answers no record.
    fn attempt_and_accept(&mut self, id: &str) -> Tag {
        let tag = self.attempt(id);
        self.attempted(tag, accepted());
        tag
    }
}

fn accepted() -> Outcome {
    Outcome::Accepted { request_id: Some("r".into()) }
}

fn unavailable() -> Outcome {
    Outcome::Unavailable { detail: "HTTP 503".into(), retry_after: None }
}

fn ack(tag: Tag, ending: Ending) -> Step {
    Step::Ack { tag, ending }
}

#[track_caller]
fn check_publish(steps: &[Step], want: &Destination) -> Journey {
    match steps {
        [Step::Publish { to, message, .. }] if to == want => Journey::read(&message.headers),
        _ => panic!("{steps:?}"),
    }
}

fn rung(seconds: u64) -> Destination {
    let rung = Rung::within(Duration::from_secs(seconds));
    Destination::Retry { rung, connector: "sre".parse().unwrap() }
}

#[test]
fn an_accepted_alert_is_recorded_and_only_then_acknowledged() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let steps = rig.attempted(tag, accepted());
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(changes.iter().all(|change| matches!(change.happening, Happening::Delivered { .. })));
    assert_eq!(changes.iter().map(|change| change.keep.as_secs()).collect::<Vec<_>>(), [604_800, 3_600]);
    assert_eq!(rig.recorded(tag), [ack(tag, Ending::Delivered { since: NOW })]);
    assert!(rig.owner.is_empty());
}

#[test]
fn a_failed_attempt_is_claimed_published_and_only_then_acknowledged() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let steps = rig.attempted(tag, unavailable());
    let [Step::Record { changes, .. }] = &steps[..] else { panic!("{steps:?}") };
    let until = NOW.after(Duration::from_secs(1) + CLAIM_SLACK);
    let claim = Happening::Claimed { event: event_of("a"), replay: None, until };
    assert!(changes.iter().all(|change| change.happening == claim), "{changes:?}");
    let journey = check_publish(&rig.recorded(tag), &rung(1));
    assert_eq!((journey.attempts, journey.since, journey.history.len()), (1, Some(NOW), 1));
    assert_eq!(rig.published(tag, true), [ack(tag, Ending::Retried)]);
}

#[test]
fn a_refused_alert_is_published_as_dead_recorded_and_only_then_acknowledged() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let steps = rig.attempted(tag, Outcome::Refused { status: 400, body: "bad".into() });
    let death = check_publish(&steps, &Destination::Dead).death.unwrap();
    assert_eq!((death.reason, death.detail.as_str()), (Reason::Refused, "HTTP 400: bad"));
    let steps = rig.published(tag, true);
    assert!(matches!(&steps[..], [Step::Record { .. }]), "{steps:?}");
    assert_eq!(rig.recorded(tag), [ack(tag, Ending::Dead(Reason::Refused))]);
}

#[test]
fn an_invalid_message_is_kept_by_the_first_connector_and_acknowledged_by_the_others() {
    let bad = Message { body: "{".into(), ..Message::default() };
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(bad.clone());
    let journey = check_publish(&rig.looked(tag, Looked::default()), &Destination::Dead);
    assert_eq!(journey.death.unwrap().reason, Reason::Invalid);

    let mut routing = (*settings().routing).clone();
    routing.connectors.insert("aaa".parse().unwrap());
    let mut other = Rig::with(Settings { routing: Arc::new(routing), ..settings() });
    let (tag, steps) = other.receive(bad);
    assert_eq!(steps, [ack(tag, Ending::Filtered)]);
}

#[test]
fn an_invalid_message_put_right_under_the_same_id_is_another_event() {
    let named = |body: &str| Message {
        body: body.to_owned().into(),
        message_id: Some("m".into()),
        ..Message::default()
    };
    let mut rig = Rig::new();
    let fingerprint = |steps: &[Step]| match steps {
        [Step::Look { event, .. }] => *event,
        _ => panic!("{steps:?}"),
    };
    let bad = fingerprint(&rig.receive(named("{")).1);
    let good = fingerprint(&rig.receive(named(r#"{"project":"p","test":"t"}"#)).1);
    assert_ne!(bad, good);
}

#[test]
fn what_is_not_for_this_connector_is_acknowledged() {
    let mut rig = Rig::with(Settings { routing: Arc::new(Routing::default()), ..settings() });
    let (tag, steps) = rig.receive(message("a", "a"));
    assert_eq!(steps, [ack(tag, Ending::Filtered)]);
}

#[test]
fn an_alert_that_is_too_old_dies_expired() {
    let mut rig = Rig::new();
    let journey = Journey { since: Some(UnixMillis(NOW.0 - 86_400_000)), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("a", "a"), &journey));
    let steps = rig.looked(tag, Looked::default());
    assert_eq!(check_publish(&steps, &Destination::Dead).death.unwrap().reason, Reason::Expired);
}

#[test]
fn a_settled_event_is_acknowledged_and_not_sent() {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(message("a", "a"));
    let state = State::Delivered { at: NOW, request_id: None };
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    let looked = Looked { by_event: Some(record), by_alert: None };
    assert_eq!(rig.looked(tag, looked), [ack(tag, Ending::Duplicate)]);
}

#[test]
fn a_repeat_of_a_delivered_alert_is_acknowledged_and_counted_within_a_second() {
    let mut rig = Rig::new();
    let state = State::Delivered { at: NOW, request_id: None };
    let record = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    for id in ["b", "c"] {
        let (tag, _) = rig.receive(message(id, "same"));
        let looked = Looked { by_event: None, by_alert: Some(record.clone()) };
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
    let steps = rig.looked(first, Looked { by_event: Some(record), by_alert: None });
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
fn an_alert_that_expires_in_a_retry_queue_ends_its_claim_on_the_alert_key() {
    let mut rig = Rig::new();
    let late = Journey { since: Some(UnixMillis(NOW.0 - 86_400_000)), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("a", "a"), &late));
    let state = State::InFlight { until: NOW.after(CLAIM_SLACK) };
    let claim = Record { event: event_of("a"), replay: None, state, repeats: 0, last_repeat: None };
    rig.looked(tag, Looked { by_event: Some(claim.clone()), by_alert: Some(claim) });
    let steps = rig.published(tag, true);
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

#[test]
fn a_failed_ledger_stops_the_owner_without_an_ack() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, accepted());
    assert_eq!(rig.handle(Input::Recorded { tag, durable: false }), [Step::Halt]);
    assert_eq!(rig.receive(message("b", "b")).1, []);
    assert!(rig.owner.view().halted);
}

#[test]
fn stopping_finishes_what_is_attempted_and_hands_the_rest_back() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    let (idle, _) = rig.receive(message("b", "same"));
    let (follower, _) = rig.receive(message("c", "same"));
    assert_eq!(rig.handle(Input::Stop), [Step::HandBack { tag: idle }, Step::HandBack { tag: follower }]);
    assert_eq!(rig.owner.uncertain().len(), 1);
    let (late, steps) = rig.receive(message("d", "d"));
    assert_eq!(steps, [Step::HandBack { tag: late }]);
    rig.attempted(tag, accepted());
    rig.recorded(tag);
    assert!(rig.owner.is_empty());
}

#[test]
fn a_lost_subscription_drops_what_waits_and_finishes_what_was_sent() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.receive(message("b", "b"));
    assert_eq!(rig.handle(Input::Lost), []);
    let (again, steps) = rig.receive(message("a", "a"));
    assert_eq!(steps, [], "it is still being sent");
    rig.attempted(tag, accepted());
    let steps = rig.recorded(tag);
    assert_eq!(steps, [ack(tag, Ending::Delivered { since: NOW }), ack(again, Ending::Duplicate)]);
    assert!(matches!(rig.receive(message("b", "b")).1[..], [Step::Look { .. }]));
}

#[test]
fn a_reload_changes_the_slots_and_keeps_the_breaker() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, Outcome::Unauthorized { status: 403 });
    rig.handle(Input::Configured(Box::new(Settings { in_flight_max: 7, ..settings() })));
    assert!(rig.owner.view().breaker.is_open());
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
