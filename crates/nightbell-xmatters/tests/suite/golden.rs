//! Bodies, compared byte by byte with the files in `tests/golden`.

use nightbell_core::event::{Event, Severity};
use nightbell_core::ports::Alert;
use nightbell_xmatters::{DestinationSettings, TEXT_CHARS_MAX, render};
use proptest::prelude::*;
use serde_json::Value;

use crate::common::{alert_of, destination};

const URL: &str = "https://acme.xmatters.com/api/integration/1/functions/6f2d/triggers";

#[track_caller]
fn check(event: &str, settings: &DestinationSettings, golden: &str) {
    let event = serde_json::from_str(event).unwrap();
    let body = String::from_utf8(render(&alert_of(event), settings)).unwrap();
    assert_eq!(body, golden.trim_end());
}

fn with_recipients() -> DestinationSettings {
    DestinationSettings {
        recipients: vec!["payments-primary".into(), "jdoe|work-phone".into()],
        report_base_url: Some("https://reports.example.com/".into()),
        ..destination(URL)
    }
}

const FULL: &str = r#"{
    "project": "shop", "test": "buys a book", "id": "run-7/buys-a-book", "status": "error", "severity": "critical",
    "message": "expected 200, got 500", "details": "Traceback:\n  File \"a.py\", line 3\n\tassert ok\u0001",
    "suite": "checkout", "environment": "production", "run_id": "run-7",
    "occurred_at": "2026-11-21T03:00:00+0100", "report_path": "/runs/7?test=buys a book#log",
    "tags": ["smoke", "nightly"], "labels": {"team": "payments", "zürich": "☎"}, "dedup_key": "k"
}"#;

#[test]
fn a_full_event_is_rendered() {
    check(FULL, &with_recipients(), include_str!("../golden/full.json"));
}

#[test]
fn absent_fields_are_left_out() {
    let minimal = r#"{"project": "shop", "test": "buys a book"}"#;
    check(minimal, &destination(URL), include_str!("../golden/minimal.json"));
}

#[test]
fn labels_do_not_take_the_place_of_properties() {
    let event = r#"{"project": "shop", "test": "buys a book", "severity": "medium", "status": "passed",
        "report_url": "https://ci.example.com/7", "report_path": "not/used",
        "labels": {"summary": "s", "label_summary": "ls", "tags": "t", "priority": "p"}}"#;
    check(event, &with_recipients(), include_str!("../golden/labels.json"));
}

fn properties(alert: &Alert) -> serde_json::Map<String, Value> {
    let body: Value = serde_json::from_slice(&render(alert, &with_recipients())).unwrap();
    body["properties"].as_object().unwrap().clone()
}

#[test]
fn every_text_is_cut_to_what_xmatters_takes() {
    let long = || "ä".repeat(TEXT_CHARS_MAX + 1);
    let event = Event {
        message: Some(long()),
        details: Some(long()),
        suite: Some(long()),
        environment: Some(long()),
        report_url: Some(long()),
        tags: vec![long(), long()],
        labels: [("team".to_owned(), long())].into(),
        id: Some(long()),
        ..Event::new(long(), long())
    };
    let properties = properties(&alert_of(event));
    let cut: Vec<_> = properties
        .iter()
        .filter(|(_, value)| value.as_str().is_some_and(|text| text.ends_with('…')))
        .collect();
    assert_eq!(cut.len(), 10, "{:?}", properties.keys());
    for (name, text) in cut {
        assert_eq!(text.as_str().unwrap().chars().count(), TEXT_CHARS_MAX, "{name}");
    }
}

#[test]
fn the_attempts_of_an_alert_differ_in_their_number_only() {
    let first = alert_of(serde_json::from_str(FULL).unwrap());
    let second = Alert { attempt: 2, ..first.clone() };
    let (mut one, two) = (properties(&first), properties(&second));
    assert_eq!(one.insert("attempt".into(), 2.into()), Some(1.into()));
    assert_eq!(one, two);
}

fn severities() -> impl Strategy<Value = Severity> {
    proptest::sample::select(vec![
        Severity::Minimal,
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ])
}

proptest! {
    #[test]
    fn any_event_becomes_json_with_every_label(
        texts in prop::array::uniform4(".{0,30}"),
        labels in prop::collection::btree_map("(label_){0,2}(summary|test|tags|[a-z]{1,3}|\\PC)", ".{0,9}", 0..9),
        severity in severities(),
    ) {
        let [project, test, message, path] = texts;
        let event = Event {
            message: Some(message),
            report_path: Some(path),
            labels: labels.clone(),
            severity,
            ..Event::new(project, test)
        };
        let properties = properties(&alert_of(event));
        // Ten of our own: a name that was used twice would be missing here.
        prop_assert_eq!(properties.len(), 10 + labels.len());
        let shows = |name: &str, text: &str| {
            properties.iter().any(|(property, value)| property.ends_with(name) && value == text)
        };
        let all_show = labels.iter().all(|(name, text)| shows(name, text));
        prop_assert!(all_show, "{:?}", properties);
    }
}
