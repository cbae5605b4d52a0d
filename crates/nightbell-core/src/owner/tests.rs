//! The owner in a small world: how single alerts end and how an owner ends here, random histories in [`world`].

mod clock;
mod large;
mod overrides;
mod paced;
mod repeats;
mod returned;
mod severities;
mod stamps;
mod told;
mod unconfirmed;
mod waits;
mod world;

use super::*;
use crate::dead::Reason;
use crate::event::Severity;
use crate::journey::Journey;
use crate::limits::CLAIM_SLACK;
use crate::message::EventId;
use crate::record::Happening;
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
    graded(id, test, Severity::default())
}

pub(super) fn graded(id: &str, test: &str, severity: Severity) -> Message {
    let severity = severity.as_str();
    let body = format!(r#"{{"project":"p","test":"{test}","id":"{id}","severity":"{severity}"}}"#);
    Message { body: body.into(), ..Message::default() }
}

fn with_journey(message: Message, journey: &Journey) -> Message {
    let mut message = message;
    journey.write(&mut message.headers);
    message
}

fn event_of(id: &str) -> Fingerprint {
    EventId::of(Some("p"), Some(id), &Message::default()).fingerprint()
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
        self.owner.handle(input, self.now).unwrap()
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

    /// Ends an attempt, and gives what follows after it is told.
    fn attempted(&mut self, tag: Tag, outcome: Outcome) -> Vec<Step> {
        self.judged(tag, outcome).1
    }

    /// The same, with what is told.
    fn judged(&mut self, tag: Tag, outcome: Outcome) -> (Option<Judged>, Vec<Step>) {
        let chance = Chance::new(MIDDLE);
        let mut steps = self.handle(Input::Attempted { tag, outcome: outcome.clone(), chance });
        let told = steps.remove(0);
        let Step::Tell { judged, .. } = told else { panic!("{told:?}") };
        assert_eq!(told, Step::Tell { tag, outcome, judged });
        (judged, steps)
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

#[test]
fn an_event_without_a_time_is_sent_with_that_of_its_acceptance() {
    let time = |own: &str, journey: &Journey| {
        let body = format!(r#"{{"project":"p","test":"t"{own}}}"#);
        let mut rig = Rig::new();
        rig.pass_time(5);
        let message = Message { body: body.into(), ..message("a", "t") };
        let (tag, _) = rig.receive(with_journey(message, journey));
        let steps = rig.looked(tag, Looked::default());
        let [Step::Attempt { alert, .. }] = &steps[..] else { panic!("{steps:?}") };
        alert.event.occurred_at.map(|when| when.0)
    };
    assert_eq!(time("", &Journey::default()), Some(UnixMillis(NOW.0 + 5_000)));
    let accepted_at = UnixMillis(NOW.0 - 7_000);
    let tried = Journey { since: Some(accepted_at), attempts: 1, ..Journey::default() };
    assert_eq!(time("", &tried), Some(accepted_at), "the same at each attempt");
    let own = r#","occurred_at":1514558191000"#;
    assert_eq!(time(own, &tried), Some(UnixMillis(1_514_558_191_000)));
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
fn an_alert_that_is_too_old_dies_expired_after_one_more_attempt() {
    let mut rig = Rig::new();
    let journey = Journey { since: Some(UnixMillis(NOW.0 - 86_400_000)), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(message("a", "a"), &journey));
    let steps = rig.looked(tag, Looked::default());
    assert!(matches!(steps[..], [Step::Attempt { .. }]), "{steps:?}");
    let steps = rig.attempted(tag, unavailable());
    let journey = check_publish(&steps, &Destination::Dead);
    assert_eq!((journey.death.unwrap().reason, journey.attempts), (Reason::Expired, 1));
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
fn what_may_be_another_workers_by_now_is_not_sent_again() {
    for outcome in [unavailable(), Outcome::Unauthorized { status: 401 }] {
        let mut rig = Rig::new();
        let tag = rig.attempt("a");
        assert_eq!(rig.handle(Input::Lost), []);
        assert_eq!(rig.attempted(tag, outcome), [Step::HandBack { tag }]);
        assert!(rig.owner.is_empty());
    }
    // Nor is it when its copy could not be published.
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.attempted(tag, unavailable());
    rig.recorded(tag);
    rig.handle(Input::Lost);
    assert_eq!(rig.handle(Input::Published { tag, confirmed: false }), [Step::HandBack { tag }]);
    assert!(rig.owner.is_empty());
}

#[test]
fn what_comes_again_to_the_same_worker_goes_on_where_it_was() {
    let mut rig = Rig::new();
    let tag = rig.attempt("a");
    rig.handle(Input::Lost);
    let (again, _) = rig.receive(message("a", "a"));
    assert!(matches!(rig.attempted(tag, unavailable())[..], [Step::Record { .. }]));
    rig.recorded(tag);
    let steps = rig.handle(Input::Published { tag, confirmed: true });
    assert_eq!(steps, [ack(tag, Ending::Retried), ack(again, Ending::Duplicate)]);
}

#[test]
fn a_retry_that_no_group_gives_to_its_connector_any_more_is_kept() {
    let mut rig = Rig::with(Settings { routing: Arc::new(Routing::default()), ..settings() });
    let connector = settings().connector;
    let put_back = Journey { attempts: 1, addressed_to: Some(connector.clone()), ..Journey::default() };
    let (tag, steps) = rig.receive(with_journey(message("a", "a"), &put_back));
    assert!(matches!(steps[..], [Step::Look { .. }]), "{steps:?}");
    let steps = rig.looked(tag, Looked::default());
    let death = check_publish(&steps, &Destination::Dead).death.unwrap();
    assert_eq!((death.reason, death.connector), (Reason::Unrouted, Some(connector)));
    // What every connector sees is another's affair.
    let another = Journey { addressed_to: Some("another".parse().unwrap()), ..put_back };
    let (tag, steps) = rig.receive(with_journey(message("b", "b"), &another));
    assert_eq!(steps, [ack(tag, Ending::Filtered)]);
}

#[test]
fn a_replay_that_can_not_be_read_is_kept_by_the_connector_that_it_was_put_back_for() {
    let routing = Routing {
        connectors: ["a-first".parse().unwrap(), settings().connector].into(),
        ..Routing::default()
    };
    let mut rig = Rig::with(Settings { routing: Arc::new(routing), ..settings() });
    let unreadable = Message { body: b"[]".as_slice().into(), ..message("a", "a") };
    let (tag, steps) = rig.receive(unreadable.clone());
    assert_eq!(steps, [ack(tag, Ending::Filtered)], "the first connector keeps it");
    let put_back =
        Journey { replay: Some(NOW), addressed_to: Some(settings().connector), ..Journey::default() };
    let (tag, _) = rig.receive(with_journey(unreadable, &put_back));
    let steps = rig.looked(tag, Looked::default());
    assert_eq!(check_publish(&steps, &Destination::Dead).death.unwrap().reason, Reason::Invalid);
}
