//! Bodies, byte by byte as the snapshots beside this file have them.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use insta::assert_snapshot;
use nightbell_core::event::{Event, Severity, Status, read_apifortress};
use nightbell_core::ports::Alert;
use nightbell_core::priority::{Priorities, Priority};
use nightbell_xmatters::{BODY_BYTES_MAX, DestinationSettings, Payload, TEXT_CHARS_MAX, Template, render};
use proptest::prelude::*;
use serde_json::Value;

use crate::common::{alert_of, destination};

const URL: &str = "https://acme.xmatters.com/api/integration/1/functions/6f2d/triggers";

const TEMPLATE: &str = r#"{
  "id": {{ alert_id }}, "key": {{ alert_key }}, "event": {{ event_id }}, "attempt": {{ attempt }},
  "title": {{ summary }}, "text": {{ message }}, "details": {{ details }}, "run": {{ run_id }},
  "where": [{{ project }}, {{ suite }}, {{ test }}, {{ environment }}], "when": {{ occurred_at }},
  "how": {{ status ~ "/" ~ severity ~ "/" ~ priority }}, "link": {{ report_url }},
  "to": {{ recipients | join(";") }}, "tags": {{ tags | tojson }},
  "labels": { {%- for name, text in labels | items %}{% if not loop.first %}, {% endif %}{{ name }}: {{ text }}{% endfor -%} }
}"#;

const FULL: &str = r#"{
    "project": "shop", "test": "buys a book", "id": "run-7/buys-a-book", "status": "error", "severity": "critical",
    "message": "expected 200, got 500", "details": "Traceback:\n  File \"a.py\", line 3",
    "suite": "checkout", "environment": "production", "run_id": "run-7",
    "occurred_at": "2026-11-21T03:00:00+0100", "report_path": "/runs/7?test=buys a book#log",
    "tags": ["smoke", "nightly"], "labels": {"team": "payments", "zürich": "☎"}, "dedup_key": "k"
}"#;

const API_FORTRESS: &str = r#"{
    "date": "2017-12-29T14:36:31+0000", "eventId": "5ba8fd8c-5a4c-4ea2-8b1f-6a3e5d9d3a10",
    "test": {"name": "book", "id": "123a"}, "companyName": "Example Inc", "companyId": 1,
    "projectName": "library", "projectId": 1, "eventType": "failure", "failuresCount": 1,
    "location": "Ashburn,Virginia", "tags": null, "value1": "book", "value2": "library",
    "criticalFailures": [{"action": "get", "expression": "get http://www.example.com", "status": "Generic Failure",
        "failureType": "MissingPropertyException", "extra": "Error parsing URL. Missing variable yay"}]
}"#;

fn settings(payload: Payload) -> DestinationSettings {
    DestinationSettings {
        payload,
        recipients: vec!["payments-primary".into(), "jdoe|work-phone".into()],
        report_base_url: Some("https://reports.example.com/".parse().unwrap()),
        ..destination(URL)
    }
}

fn template() -> Payload {
    static COMPILED: LazyLock<Template> =
        LazyLock::new(|| Template::compile(TEMPLATE, "alert.json").unwrap());
    Payload::Template(COMPILED.clone())
}

fn read(event: &str) -> Event {
    serde_json::from_str(event).unwrap()
}

fn long() -> Event {
    let long = |character: char| Some(character.to_string().repeat(TEXT_CHARS_MAX + 1));
    Event {
        message: long('m'),
        details: long('ä'),
        suite: long('s'),
        environment: long('🔔'),
        report_url: long('u').map(|rest| format!("https://r.example.com/{rest}")),
        tags: vec!["x".repeat(TEXT_CHARS_MAX), "y".into()],
        labels: [("team".to_owned(), "l".repeat(TEXT_CHARS_MAX + 1))].into(),
        id: long('i'),
        run_id: long('r'),
        ..Event::new("p".repeat(TEXT_CHARS_MAX + 1), "t".repeat(TEXT_CHARS_MAX + 1))
    }
}

fn odd() -> Event {
    let odd = || "\"quoted\" 'q' \\ / \u{0}\u{1f}\u{7f}\t\r\n\u{2028}</script>{{ x }}\u{feff}".to_owned();
    Event {
        message: Some(odd()),
        environment: Some(odd()),
        report_path: Some(odd()),
        tags: vec![odd(), ",".into()],
        labels: [(odd(), odd())].into(),
        id: Some(odd()),
        ..Event::new(odd(), odd())
    }
}

/// One event of every kind.
fn cases() -> Vec<(&'static str, Event)> {
    let mut cases = vec![
        ("minimal", read(r#"{"project": "shop", "test": "buys a book"}"#)),
        ("full", read(FULL)),
        ("API Fortress, failure", read_apifortress(API_FORTRESS.as_bytes()).unwrap()),
        (
            "API Fortress, success",
            read_apifortress(
                br#"{"eventId": "a/b c", "companyId": "x&y", "projectName": "library", "test": {"name": "book"}}"#,
            )
            .unwrap(),
        ),
        ("passed", Event { status: Status::Passed, ..Event::new("shop", "buys a book") }),
        (
            "labels that collide",
            read(
                r#"{"project": "shop", "test": "buys a book", "report_url": "https://ci.example.com/7",
                "report_path": "not/used", "labels": {"summary": "s", "label_summary": "ls", "tags": "t",
                "priority": "p", "labels_left_out": "0", "company": "Shop & Co"}}"#,
            ),
        ),
        ("long texts, runs of one character in short", long()),
        ("control characters and quotes", odd()),
    ];
    for severity in SEVERITIES {
        cases.push((severity.as_str(), Event { severity, ..Event::new("shop", "buys a book") }));
    }
    cases
}

const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Minimal];

fn golden(payload: Payload) -> String {
    let settings = settings(payload);
    let mut golden = String::new();
    for (name, event) in cases() {
        let body = String::from_utf8(render(&alert_of(event), &settings)).unwrap();
        serde_json::from_str::<Value>(&body).unwrap();
        writeln!(golden, "# {name}\n{}", folded(&body)).unwrap();
    }
    golden
}

/// The text with each run of more than 50 equal characters as `a×51`.
fn folded(text: &str) -> String {
    let mut folded = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let run = rest.chars().take_while(|next| *next == character).count();
        let (run_text, after) = rest.split_at(run * character.len_utf8());
        if run > 50 {
            write!(folded, "{character}×{run}").unwrap();
        } else {
            folded.push_str(run_text);
        }
        rest = after;
    }
    folded
}

#[test]
fn form() {
    assert_snapshot!(golden(Payload::Form));
}

#[test]
fn elastic() {
    assert_snapshot!(golden(Payload::Elastic));
}

#[test]
fn apifortress() {
    assert_snapshot!(golden(Payload::ApiFortress));
}

#[test]
fn templates() {
    assert_snapshot!(golden(template()));
}

#[test]
fn without_recipients_and_base_absent_fields_are_left_out() {
    let alert = alert_of(read(FULL));
    let bodies = [Payload::Form, Payload::Elastic, Payload::ApiFortress, template()].map(|payload| {
        let settings = DestinationSettings { payload, ..destination(URL) };
        String::from_utf8(render(&alert, &settings)).unwrap()
    });
    assert_snapshot!(bodies.join("\n"));
}

#[test]
fn an_alert_groups_overrides_are_heard() {
    let mut alert = alert_of(Event::new("shop", "buys a book"));
    alert.overrides.recipients = Some(Arc::from(["night-shift".to_owned()]));
    alert.overrides.priority = Some(Priority::Low);
    let bodies = [Payload::Form, Payload::Elastic, Payload::ApiFortress, template()].map(|payload| {
        let body = String::from_utf8(render(&alert, &settings(payload))).unwrap();
        (body.contains("night-shift"), body.contains("payments-primary"), body.contains("LOW"))
    });
    assert_eq!(
        bodies,
        [(true, false, true), (false, false, false), (true, false, false), (true, false, true)]
    );
}

#[test]
fn the_map_of_priorities_is_heard() {
    let priorities = Priorities::default().with(Severity::Medium, Priority::High);
    let settings = DestinationSettings { priorities, ..settings(Payload::Form) };
    let alert = alert_of(Event { severity: Severity::Medium, ..Event::new("shop", "buys a book") });
    let body: Value = serde_json::from_slice(&render(&alert, &settings)).unwrap();
    assert_eq!(body["priority"], "HIGH");
}

fn properties(alert: &Alert) -> serde_json::Map<String, Value> {
    let body: Value = serde_json::from_slice(&render(alert, &settings(Payload::Form))).unwrap();
    body["properties"].as_object().unwrap().clone()
}

#[test]
fn every_text_is_cut_to_what_xmatters_takes() {
    let properties = properties(&alert_of(long()));
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
    let first = alert_of(read(FULL));
    let second = Alert { attempt: 2, ..first.clone() };
    let (mut one, two) = (properties(&first), properties(&second));
    assert_eq!(one.insert("attempt".into(), 2.into()), Some(1.into()));
    assert_eq!(one, two);
    for payload in [Payload::Elastic, Payload::ApiFortress] {
        let settings = settings(payload);
        assert_eq!(render(&first, &settings), render(&second, &settings));
    }
}

#[test]
fn the_largest_event_stays_within_the_bound() {
    // Nothing takes more room than a control character: six bytes for one.
    let long = || "\u{1}".repeat(100_000);
    let labels = (0..3_000).map(|number| (format!("\u{1}{number}"), "\u{1}".repeat(number)));
    let event = Event {
        message: Some(long()),
        details: Some(long()),
        suite: Some(long()),
        environment: Some(long()),
        report_url: Some(long()),
        tags: vec![long(), long()],
        labels: labels.collect(),
        id: Some(long()),
        run_id: Some(long()),
        ..Event::new(long(), long())
    };
    let alert = alert_of(event);
    for payload in [Payload::Form, Payload::Elastic, Payload::ApiFortress, template()] {
        let body = render(&alert, &settings(payload.clone()));
        assert!(body.len() <= BODY_BYTES_MAX, "{payload:?} {}", body.len());
        serde_json::from_slice::<Value>(&body).unwrap();
    }
}

/// Where a payload carries what stays the same.
fn identity(payload: &Payload, body: &Value) -> String {
    let found = match payload {
        Payload::Form => &body["properties"]["alert_id"],
        Payload::Elastic => &body["signalId"],
        Payload::ApiFortress => &body["alert_id"],
        Payload::Template(_) => &body["id"],
    };
    found.as_str().unwrap_or_default().to_owned()
}

proptest! {
    #[test]
    fn any_event_becomes_json_within_the_bound(
        texts in prop::array::uniform5(prop::option::of("(?s).{0,30}")),
        names in prop::array::uniform2("(?s).{0,30}"),
        tags in prop::collection::vec("(?s).{0,9}", 0..5),
        labels in prop::collection::btree_map("(?s).{0,9}", "(?s).{0,9}", 0..9),
        severity in prop::sample::select(SEVERITIES.to_vec()),
        status in prop::sample::select(vec![Status::Failed, Status::Error, Status::Passed]),
    ) {
        let [message, details, environment, path, id] = texts;
        let [project, test] = names;
        let event = Event {
            message, details, environment, report_path: path, id, tags, labels, severity, status,
            ..Event::new(project, test)
        };
        let alert = alert_of(event);
        for payload in [Payload::Form, Payload::Elastic, Payload::ApiFortress, template()] {
            let body = render(&alert, &settings(payload.clone()));
            prop_assert!(body.len() <= BODY_BYTES_MAX);
            let read: Value = serde_json::from_slice(&body).unwrap();
            let want = if matches!(payload, Payload::Elastic) { alert.alert_key } else { alert.alert_id };
            prop_assert_eq!(identity(&payload, &read), want.to_string());
            if matches!(payload, Payload::Elastic) {
                let keys = read.as_object().unwrap();
                prop_assert!(keys.values().all(Value::is_string));
                prop_assert!(!keys["alertActionGroupName"].as_str().unwrap().is_empty());
            }
        }
    }

    #[test]
    fn every_label_is_shown(
        labels in prop::collection::btree_map("(label_){0,2}(summary|test|tags|[a-z]{1,3}|\\PC)", ".{0,9}", 0..9),
    ) {
        let alert = alert_of(Event { labels: labels.clone(), ..Event::new("p", "t") });
        let properties = properties(&alert);
        // Nine of our own: a name that was used twice would be missing here.
        prop_assert_eq!(properties.len(), 9 + labels.len());
        let shows = |name: &str, text: &str| {
            properties.iter().any(|(property, value)| property.ends_with(name) && value == text)
        };
        let all_show = labels.iter().all(|(name, text)| shows(name, text));
        prop_assert!(all_show, "{:?}", properties);
    }
}
