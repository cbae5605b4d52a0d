//! What `nightbell route` says of an event.

use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;
use nightbell_core::event::{Event, Severity, Status};
use serde_json::json;

use super::*;

/// Answers every `${NAME}`, and has one template.
struct Planted;

impl crate::config::Lookup for Planted {
    fn variable(&self, name: &str) -> Result<String, std::env::VarError> {
        let url = "https://acme.xmatters.com/api/integration/1/functions/planted/triggers";
        Ok(if name.ends_with("URL") { url } else { "planted-secret-value" }.to_owned())
    }

    fn file(&self, _: &Path) -> std::io::Result<String> {
        Ok(r#"{"id": {{ alert_id }}, "to": {{ recipients }}, "how": {{ priority }}}"#.into())
    }
}

const CONFIG: &str = r#"
default_connectors = ["form"]

[[connectors]]
name = "form"
trigger_url = "${XM_URL}"
username = "svc"
password = "${XM_PASSWORD}"
recipients = ["primary"]

[[connectors]]
name = "elastic"
trigger_url = "${XM_URL}?apiKey=planted-secret-value"
auth = "url"
recipients = []
payload = "elastic"

[[connectors]]
name = "fortress"
trigger_url = "${XM_URL}"
username = "svc"
password = "${XM_PASSWORD}"
recipients = ["primary", "jdoe|phone"]
payload = "apifortress"

[[connectors]]
name = "own"
trigger_url = "${XM_URL}"
username = "svc"
password = "${XM_PASSWORD}"
recipients = ["primary"]
payload = "template"
template = "own.j2"

[[alert_groups]]
name = "night"
projects = ["pay-*", "shop"]
connectors = ["form", "own"]
severity_at_least = "high"
tags = ["nightly", "weekly"]
labels = { team = "core" }
recipients = ["night-shift"]
priority = "low"

[[alert_groups]]
name = "all"
connectors = ["elastic", "form", "fortress"]
"#;

fn decision_about(event: Event) -> Decision {
    let config = Config::parse(CONFIG, Path::new("nightbell.toml"), &Planted).unwrap();
    let decision = decide(&config, &config.routing, event, Bytes::from_static(b"{}"));
    for group in &decision.alert_groups {
        let all_hold = group.conditions.iter().all(|condition| condition.holds);
        assert_eq!(group.wants, all_hold, "the reasons agree with the decision: {group:?}");
    }
    decision
}

fn full() -> Event {
    Event {
        id: Some("e-1".into()),
        tags: vec!["nightly".into()],
        labels: BTreeMap::from([("team".to_owned(), "core".to_owned())]),
        message: Some("planted-secret-value in a message".into()),
        ..Event::new("pay-eu", "pays")
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most are the snapshot")]
fn a_decision_has_its_reasons_its_overrides_and_masked_bodies_of_every_payload() {
    let said = text(&decision_about(full()));
    assert!(!said.contains("planted") && !said.contains("/functions/"), "{said}");
    assert_snapshot!(said, @r#"
    event      pay-eu / pays
    status     failed, severity high
    alert key  405fa9f0d0e385b976605e83f73e5873
    group      night: wants it
               yes project: `pay-eu` fits pay-*
               yes severity: high is at least high
               yes status: failed is one of failed, error
               yes tags: the event has nightly; one of nightly, weekly is wanted
               yes labels: `team` is `core`; `core` is wanted
    group      all: wants it
               yes project: every project is wanted
               yes status: failed is one of failed, error
    defaults   not used: an alert group wants the event
    connector  form: gets it
               the alert group `night` sends it here
    connector  elastic: gets it
               the alert group `all` sends it here
    connector  fortress: gets it
               the alert group `all` sends it here
    connector  own: gets it
               the alert group `night` sends it here

    post to    form, payload form
    alert id   54d88cd64bf335095c7230f07a69b3e3
    overrides  recipients [night-shift], priority LOW
    {
      "priority": "LOW",
      "properties": {
        "alert_id": "54d88cd64bf335095c7230f07a69b3e3",
        "attempt": 1,
        "event_id": "e-1",
        "message": "*** in a message",
        "project": "pay-eu",
        "severity": "high",
        "status": "failed",
        "summary": "pay-eu: pays failed",
        "tags": "nightly",
        "team": "core",
        "test": "pays"
      },
      "recipients": [
        "night-shift"
      ]
    }

    post to    elastic, payload elastic
    alert id   03f2ee10737d6d7deace6bb04a0d672a
    overrides  none
    {
      "alertActionGroupName": "Failed",
      "ruleName": "pay-eu / pays",
      "severity": "high",
      "signalId": "405fa9f0d0e385b976605e83f73e5873",
      "spaceId": "pay-eu",
      "tags": "nightly"
    }

    post to    fortress, payload apifortress
    alert id   c733fa0dd1c7f2146bfcda809a4bd54d
    overrides  none
    {
      "Message": "This is an automated notification caused by the failure of the test 'pays'",
      "Recipients": "primary,jdoe|phone",
      "Summary": "Test failure detected in *pay-eu*",
      "alert_id": "c733fa0dd1c7f2146bfcda809a4bd54d"
    }

    post to    own, payload template
    alert id   2543906ec7632bf88a0f6f0e316b0ca5
    overrides  recipients [night-shift], priority LOW
    {
      "how": "LOW",
      "id": "2543906ec7632bf88a0f6f0e316b0ca5",
      "to": [
        "night-shift"
      ]
    }
    "#);
}

#[test]
fn every_condition_that_does_not_hold_is_said() {
    let event = Event {
        project: "other\u{1b}[31m".into(),
        status: Status::Passed,
        severity: Severity::Low,
        tags: Vec::new(),
        labels: BTreeMap::from([("team".to_owned(), "edge".to_owned())]),
        ..full()
    };
    assert_snapshot!(text(&decision_about(event)), @r"
    event      other [31m / pays
    status     passed, severity low
    alert key  a18ed56cfa165f5516e39d14e9f65c50
    group      night: does not want it
               no project: `other [31m` fits none of pay-*, shop
               no severity: low is below high
               no status: passed is none of failed, error
               no tags: the event has none; one of nightly, weekly is wanted
               no labels: `team` is `edge`; `core` is wanted
    group      all: does not want it
               yes project: every project is wanted
               no status: passed is none of failed, error
    defaults   not used: they take failed and error only
    connector  form: does not get it
               neither an alert group that wants the event nor default_connectors send it here
    connector  elastic: does not get it
               neither an alert group that wants the event nor default_connectors send it here
    connector  fortress: does not get it
               neither an alert group that wants the event nor default_connectors send it here
    connector  own: does not get it
               neither an alert group that wants the event nor default_connectors send it here
    result     it goes nowhere: it would be acknowledged and counted as filtered
    ");
}

#[test]
fn what_no_group_wants_goes_to_the_default_connectors() {
    let alone = CONFIG.split("[[alert_groups]]\nname = \"all\"").next().unwrap();
    let config = Config::parse(alone, Path::new("nightbell.toml"), &Planted).unwrap();
    let decision = decide(&config, &config.routing, Event::new("else", "t"), Bytes::from_static(b"{}"));
    let gets: Vec<_> = decision.connectors.iter().filter(|one| one.goes).map(|one| &*one.name).collect();
    assert_eq!(gets, ["form"]);
    assert_eq!(decision.default_connectors, "used: no alert group wants the event");
}

#[test]
fn scripts_get_the_same() {
    let shown = serde_json::to_value(decision_about(full())).unwrap();
    assert!(!shown.to_string().contains("planted"), "{shown}");
    assert_eq!(shown["alert_groups"][0]["wants"], json!(true));
    let condition = &shown["alert_groups"][0]["conditions"][1];
    assert_eq!(condition, &json!({ "on": "severity", "holds": true, "reason": "high is at least high" }));
    let own = &shown["connectors"][3];
    assert_eq!((&own["name"], &own["goes"]), (&json!("own"), &json!(true)));
    assert_eq!(own["post"]["recipients"], json!(["night-shift"]));
    assert_eq!(own["post"]["priority"], json!("LOW"));
    assert_eq!(own["post"]["body"]["to"], json!(["night-shift"]));
    assert_eq!(own["post"]["body"]["how"], json!("LOW"));
    assert_eq!(shown["connectors"][1]["post"]["priority"], json!(null));
}
