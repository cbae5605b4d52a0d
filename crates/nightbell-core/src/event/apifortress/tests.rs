use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::read as read_any;
use super::*;
use crate::alert::{KeyPart, alert_key};
use crate::time::UnixMillis;

/// The sample of API Fortress' own documentation, without the fields of the service that it was made for.
fn sample() -> Value {
    json!({
        "date": "2017-12-29T14:36:31+0000",
        "eventId": "a8b5e8e5-0a4e-4e4c-9e36-5d6cf28d7d2e",
        "test": { "name": "book", "id": "123a" },
        "companyName": "Acme",
        "companyId": 1,
        "projectName": "shop",
        "projectId": 2,
        "eventType": "failure",
        "failuresCount": 1,
        "location": "Ashburn,Virginia",
        "criticalFailures": [{
            "action": "get",
            "expression": "get http://www.example.com",
            "status": "Generic Failure",
            "failureType": "MissingPropertyException",
            "extra": "Error parsing URL. Missing variable yay"
        }]
    })
}

/// The sample with some fields changed; `null` takes a field out.
fn with(changes: &Value) -> Value {
    let mut event = sample();
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn event(changes: &Value) -> Event {
    let body = with(changes).to_string();
    let event = read(body.as_bytes()).unwrap();
    assert_eq!(read_any(body.as_bytes()).as_ref(), Ok(&event), "it is recognised where any event is taken");
    event
}

#[track_caller]
fn check_fault(changes: &Value, want: &str) {
    let body = with(changes).to_string();
    let error = read(body.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with(want), "{error}");
    assert!(error.to_string().contains(" column ") || want.ends_with("empty"), "{error}");
    assert_eq!(read_any(body.as_bytes()), Err(error));
}

#[track_caller]
fn check_grade(changes: &Value, want: (Status, Severity)) {
    let event = event(changes);
    assert_eq!((event.status, event.severity), want, "{changes}");
}

#[test]
fn every_field_finds_its_place() {
    let labels = [
        ("company", "Acme"),
        ("company_id", "1"),
        ("project_id", "2"),
        ("test_id", "123a"),
        ("location", "Ashburn,Virginia"),
        ("event_type", "failure"),
    ];
    let want = Event {
        id: Some("a8b5e8e5-0a4e-4e4c-9e36-5d6cf28d7d2e".into()),
        severity: Severity::Critical,
        message: Some(
            "critical failure: get http://www.example.com: Generic Failure (MissingPropertyException)".into(),
        ),
        details: Some(
            "Critical failures:\n- get http://www.example.com: Generic Failure (MissingPropertyException)\n  \
             Error parsing URL. Missing variable yay"
                .into(),
        ),
        occurred_at: Some(When(UnixMillis(1_514_558_191_000))),
        report_path: Some("/app/web/events/details/a8b5e8e5-0a4e-4e4c-9e36-5d6cf28d7d2e?cid=1".into()),
        tags: vec!["nightly".into()],
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        dedup_key: Some("apifortress/1/shop/id/123a".into()),
        ..Event::new("shop", "book")
    };
    assert_eq!(event(&json!({ "tags": ["nightly"] })), want);
}

#[test]
fn only_what_names_it_is_needed() {
    let body =
        br#"{"eventId":"e","companyId":1,"test":{"name":"book"},"projectName":"shop","failuresCount":2}"#;
    let event = read_any(body).unwrap();
    assert_eq!(event.message.as_deref(), Some("2 failures"));
    assert_eq!((event.details, event.occurred_at), (None, None));
    assert_eq!(event.dedup_key.as_deref(), Some("apifortress/1/shop/name/book"));
    assert_eq!(event.labels.into_iter().collect::<Vec<_>>(), [("company_id".to_owned(), "1".to_owned())]);
}

#[test]
fn the_date_is_text_or_epoch_milliseconds() {
    let want = Some(When(UnixMillis(1_514_558_191_000)));
    for date in
        [json!("2017-12-29T14:36:31+0000"), json!("2017-12-29T14:36:31Z"), json!(1_514_558_191_000_u64)]
    {
        assert_eq!(event(&json!({ "date": date })).occurred_at, want);
    }
}

#[test]
fn a_number_may_have_a_decimal_point() {
    let body = br#"{"eventId":"e","companyId":12.0,"test":{"name":"t","id":-0.0},"projectName":"p","failuresCount":2.0}"#;
    let event = read(body).unwrap();
    assert_eq!((event.labels["company_id"].as_str(), event.labels["test_id"].as_str()), ("12", "0"));
    assert_eq!(event.message.as_deref(), Some("2 failures"));
}

#[test]
fn a_tag_sets_the_severity_before_all_else() {
    let tagged = |tags: &[&str]| event(&json!({ "tags": tags })).severity;
    assert_eq!(tagged(&["x", "critical", "info"]), Severity::Critical);
    assert_eq!(tagged(&["warning", "error"]), Severity::High);
    assert_eq!(tagged(&["info", "warning"]), Severity::Medium);
    assert_eq!(tagged(&["info"]), Severity::Low);
}

#[test]
fn without_such_a_tag_the_failures_do() {
    let none = json!([]);
    check_grade(&json!({ "tags": null }), (Status::Failed, Severity::Critical));
    check_grade(&json!({ "criticalFailures": none }), (Status::Failed, Severity::High));
    check_grade(&json!({ "criticalFailures": null, "failuresCount": 0 }), (Status::Failed, Severity::High));
    let passed = json!({ "criticalFailures": none, "failuresCount": 0, "eventType": "success" });
    check_grade(&passed, (Status::Passed, Severity::Minimal));
    let silent = json!({ "criticalFailures": null, "failuresCount": null, "eventType": null });
    check_grade(&silent, (Status::Passed, Severity::Minimal));
    check_grade(&json!({ "eventType": "success" }), (Status::Failed, Severity::Critical));
    let passed =
        json!({ "criticalFailures": none, "failuresCount": 0, "eventType": null, "tags": ["critical"] });
    check_grade(&passed, (Status::Passed, Severity::Critical));
}

#[test]
fn the_alert_key_is_of_company_project_test_id_and_environment_alone() {
    let key = |changes: &Value| alert_key(&event(changes), &[KeyPart::Project]);
    let base = key(&json!({}));
    let same = json!({
        "eventId": "other", "date": 1, "test": { "name": "renamed", "id": "123a" }, "tags": ["x"],
        "failuresCount": 9, "location": "Dublin", "criticalFailures": null, "projectId": null, "companyName": null
    });
    assert_eq!(key(&same), base);
    for other in [
        json!({ "companyId": 2 }),
        json!({ "projectName": "shop2" }),
        json!({ "test": { "name": "book", "id": "123b" } }),
        json!({ "test": { "name": "123a" } }),
        json!({ "environment": "staging" }),
        json!({ "projectName": "shop/id/123a", "test": { "name": "x", "id": "" } }),
    ] {
        assert_ne!(key(&other), base, "{other}");
    }
}

#[test]
fn the_link_holds_whatever_the_ids_are() {
    let path =
        |event_id: &str| event(&json!({ "eventId": event_id, "companyId": "a&b=c" })).report_path.unwrap();
    assert_eq!(path("../x?y#z"), "/app/web/events/details/..%2Fx%3Fy%23z?cid=a%26b%3Dc");
    assert_eq!(path("ä %"), "/app/web/events/details/%C3%A4%20%25?cid=a%26b%3Dc");
}

#[test]
fn several_critical_failures_are_all_in_the_details() {
    let failures = json!([
        { "expression": "get a", "status": 500, "failureType": null, "extra": "one\ntwo" },
        { "action": "assert", "expression": " ", "status": "no" },
        {}
    ]);
    let event = event(&json!({ "criticalFailures": failures }));
    assert_eq!(event.message.as_deref(), Some("critical failure: get a: 500 (and 2 more)"));
    let want = "Critical failures:\n- get a: 500\n  one\n  two\n- assert: no\n- unknown step";
    assert_eq!(event.details.as_deref(), Some(want));
}

#[test]
fn each_fault_names_field_and_position() {
    check_fault(&json!({ "test": { "id": "1" } }), "field `test`: missing field `name`");
    check_fault(
        &json!({ "test": { "name": 5 } }),
        "field `test.name`: invalid type: integer `5`, expected a string",
    );
    check_fault(
        &json!({ "companyId": 1.5 }),
        "field `companyId`: invalid value: floating point `1.5`, expected an id",
    );
    check_fault(&json!({ "companyId": -1 }), "field `companyId`: invalid type: integer `-1`, expected an id");
    check_fault(
        &json!({ "companyId": u64::MAX }),
        "field `companyId`: invalid value: integer `18446744073709551615`",
    );
    check_fault(&json!({ "companyId": null }), "field `companyId`: invalid type: null, expected an id");
    check_fault(&json!({ "date": "soon" }), "field `date`: invalid value: string \"soon\", expected a time");
    check_fault(
        &json!({ "failuresCount": -1 }),
        "field `failuresCount`: invalid value: `-1`, expected a whole",
    );
    check_fault(
        &json!({ "failuresCount": 0.5 }),
        "field `failuresCount`: invalid value: `0.5`, expected a whole",
    );
    check_fault(
        &json!({ "failuresCount": 1e300 }),
        "field `failuresCount`: invalid value: `1e+300`, expected a whole",
    );
    check_fault(&json!({ "failuresCount": "1" }), "field `failuresCount`: invalid type: string \"1\"");
    check_fault(&json!({ "tags": ["a", 2] }), "field `tags[1]`: invalid type: integer `2`");
    check_fault(&json!({ "criticalFailures": ["x"] }), "field `criticalFailures[0]`: invalid type: string");
    check_fault(
        &json!({ "criticalFailures": [[null]] }),
        "field `criticalFailures[0]`: invalid type: sequence",
    );
    check_fault(&json!({ "projectName": " " }), "field `projectName`: must not be empty");
    check_fault(&json!({ "test": { "name": "" } }), "field `test.name`: must not be empty");
    check_fault(&json!({ "companyId": " " }), "field `companyId`: must not be empty");
    check_fault(&json!({ "eventId": "" }), "field `eventId`: must not be empty");
    check_fault(&json!({ "eventId": null }), "field `eventId`: invalid type: null");
}

#[test]
fn one_field_of_theirs_is_enough_to_be_told_what_is_missing() {
    let error = read_any(br#"{"test":{"name":"t"},"projectName":"p"}"#).unwrap_err().to_string();
    assert_eq!(error, "field `.`: missing field `eventId` at line 1 column 39");
}

#[test]
fn what_has_nothing_of_theirs_is_told_what_ours_wants() {
    let error = read_any(br#"{"project":"p","test":{"name":"t"}}"#).unwrap_err().to_string();
    assert!(error.starts_with("field `test`: invalid type: map, expected a string"), "{error}");
    let error =
        read(br#"{"eventId":"e","companyId":1,"test":["t"],"projectName":"p"}"#).unwrap_err().to_string();
    assert!(error.starts_with("field `test`: invalid type: sequence, expected an object"), "{error}");
    let error = read(br#"{"project":"p","test":"t"}"#).unwrap_err().to_string();
    assert!(error.starts_with("field `test`: invalid type: string \"t\", expected an object"), "{error}");
}

/// Any JSON, with the names that both kinds of event know.
fn any_json() -> impl Strategy<Value = Value> {
    let names = proptest::sample::select(vec![
        "eventId",
        "companyId",
        "companyName",
        "projectName",
        "projectId",
        "test",
        "project",
        "name",
        "id",
        "date",
        "tags",
        "labels",
        "criticalFailures",
        "failuresCount",
        "expression",
        "extra",
        "status",
        "eventType",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 12, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = proptest::collection::vec((names.clone(), inner), 0..14).prop_map(|pairs| {
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
        });
        prop_oneof![list, map.prop_map(Value::from)]
    })
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(value in any_json()) {
        let body = value.to_string();
        drop((read(body.as_bytes()), read_any(body.as_bytes())));
    }

    #[test]
    fn no_field_of_theirs_that_is_off_makes_it_panic(value in any_json(), at in 0_usize..11) {
        let mut event = sample();
        let name = event.as_object().unwrap().keys().nth(at).unwrap().clone();
        event[name] = value;
        let body = event.to_string();
        if let Ok(event) = read(body.as_bytes()) {
            prop_assert!(!event.project.trim().is_empty() && !event.test.trim().is_empty());
            prop_assert!(event.dedup_key.as_ref().is_some_and(|key| key.starts_with("apifortress/")));
            prop_assert_eq!(read_any(&serde_json::to_vec(&event).unwrap()), Ok(event));
        }
    }

    #[test]
    fn an_event_of_theirs_that_is_nearly_right_is_read_or_refused_in_few_words(
        edits in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..6_usize, r#"([{}\[\]":,\\]|null|-1|1e999|"\\ud800"|\PC){0,3}"#),
            1..4,
        )
    ) {
        let mut body = sample().to_string().into_bytes();
        for (at, cut, text) in edits {
            let at = at.index(body.len() + 1);
            let end = (at + cut).min(body.len());
            body.splice(at..end, text.into_bytes());
        }
        match read(&body) {
            Ok(event) => prop_assert_eq!(read_any(&serde_json::to_vec(&event).unwrap()), Ok(event)),
            Err(error) => prop_assert!(error.to_string().len() < 1_000),
        }
    }

    #[test]
    fn an_event_of_ours_is_never_taken_for_one(
        extra in any_json(), project in "[a-z]{1,8}", test in "[a-z]{1,8}", at in 0_usize..11,
    ) {
        // Ours, with every field of theirs but `test`, one of them odd.
        let mut body = sample();
        let name = body.as_object().unwrap().keys().nth(at).unwrap().clone();
        body[name] = extra;
        body["project"] = project.clone().into();
        body["test"] = test.clone().into();
        // `tags` is a field of ours too.
        body["tags"] = Value::Null;
        prop_assert_eq!(read_any(body.to_string().as_bytes()), Ok(Event::new(project, test)));
    }
}
