//! What an alert group wants otherwise than the connector's settings reaches every attempt.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::{Rig, message, settings, unavailable, with_journey};
use crate::journey::Journey;
use crate::ports::Overrides;
use crate::priority::Priority;
use crate::routing::{AlertGroup, default_statuses};

/// The settings, with a group that sends everything to these recipients.
fn sending_to(recipient: &str) -> Settings {
    let settings = settings();
    let group = AlertGroup {
        name: "g".into(),
        projects: Vec::new(),
        severity_at_least: None,
        statuses: default_statuses(),
        tags: BTreeSet::new(),
        labels: BTreeMap::new(),
        connectors: [settings.connector.clone()].into(),
        recipients: Some([recipient.to_owned()].into()),
        priority: Some(Priority::Low),
    };
    let routing = Routing { groups: vec![group], ..(*settings.routing).clone() };
    Settings { routing: Arc::new(routing), ..settings }
}

fn overrides_to(recipient: &str) -> Overrides {
    Overrides { recipients: Some([recipient.to_owned()].into()), priority: Some(Priority::Low) }
}

#[track_caller]
fn check(steps: &[Step], attempt: u32, want: &Overrides) {
    match steps {
        [Step::Attempt { alert, .. }] => assert_eq!((alert.attempt, &alert.overrides), (attempt, want)),
        _ => panic!("{steps:?}"),
    }
}

#[test]
fn a_live_alert_a_retry_and_a_replay_have_the_overrides() {
    let replayed = Journey { replay: Some(UnixMillis(1)), ..Journey::default() };
    let retried = Journey { attempts: 3, ..Journey::default() };
    for (journey, attempt) in [(Journey::default(), 1), (retried, 4), (replayed, 1)] {
        let mut rig = Rig::with(sending_to("night"));
        let (tag, _) = rig.receive(with_journey(message("a", "a"), &journey));
        check(&rig.looked(tag, Looked::default()), attempt, &overrides_to("night"));
    }
}

#[test]
fn a_retry_from_the_hand_asks_anew_what_is_overridden() {
    let mut rig = Rig::with(sending_to("night"));
    let tag = rig.attempt("a");
    rig.attempted(tag, unavailable());
    rig.recorded(tag);
    rig.published(tag, false);
    rig.handle(Input::Configured(Box::new(sending_to("day"))));
    check(&rig.pass_time(60), 2, &overrides_to("day"));
}

#[test]
fn the_default_connectors_override_nothing() {
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(message("a", "a"));
    check(&rig.looked(tag, Looked::default()), 1, &Overrides::default());
}
