//! What a test alert is, and that nothing else is touched.

use serde_json::{Value, json};

use crate::support::{Site, check, fake};

#[tokio::test(flavor = "multi_thread")]
async fn one_marked_alert_goes_straight_to_xmatters() {
    let fake = fake(None).await;
    let site = Site::new(&fake.trigger_url(), "");
    let ended = site.test();
    check(&ended, 0, &["payments at 127.0.0.1:", "accepted after ", "the requestId"]);
    let [request] = &fake.requests()[..] else { panic!("{:?}", fake.requests()) };
    assert!(ended.stdout.contains(request.request_id.as_deref().unwrap()), "{ended:?}");
    assert!(ended.stdout.contains(request.alert_id.as_deref().unwrap()), "{ended:?}");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["priority"], &body["recipients"]), (&json!("LOW"), &json!(["primary"])));
    assert!(
        body["properties"]["summary"].as_str().unwrap().starts_with("TEST ALERT, please ignore"),
        "{body}"
    );
    assert!(body["properties"]["message"].as_str().unwrap().contains("This is a TEST"), "{body}");
    assert!(!site.path("nightbell-data").exists(), "neither queue nor ledger is touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tests_are_two_alerts() {
    let fake = fake(None).await;
    let site = Site::new(&fake.trigger_url(), "");
    check(&site.test(), 0, &[]);
    check(&site.test(), 0, &[]);
    assert_eq!((fake.summary().alerts, fake.repeats()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_severity_is_ours_to_choose_and_the_priorities_hold() {
    let fake = fake(None).await;
    let site = Site::new(&fake.trigger_url(), "priorities = { minimal = \"medium\" }");
    check(&site.connectors(&["test", "payments", "--severity", "critical"]), 0, &["severity critical"]);
    check(&site.connectors(&["test", "payments", "--severity", "minimal"]), 0, &["severity minimal"]);
    let priorities: Vec<_> =
        fake.requests().iter().map(|request| request.priority.clone().unwrap()).collect();
    assert_eq!(priorities, ["HIGH", "MEDIUM"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_one_document() {
    let fake = fake(None).await;
    let ended = Site::new(&fake.trigger_url(), "").connectors(&["test", "payments", "--json"]);
    check(&ended, 0, &[]);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&answer["connector"], &answer["outcome"]), (&json!("payments"), &json!("accepted")));
    assert_eq!(answer["request_id"].as_str(), fake.requests()[0].request_id.as_deref());
    assert!(answer["took_ms"].is_u64(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_request_and_sends_none() {
    let fake = fake(None).await;
    let site = Site::new(&fake.trigger_url(), "payload = \"elastic\"");
    let flags = ["test", "payments", "--dry-run", "--severity", "high"];
    let words = ["nothing was sent", "POST 127.0.0.1:", "\"severity\": \"high\"", "\"signalId\""];
    check(&site.connectors(&flags), 0, &words);
    let ended = site.connectors(&[&flags[..], &["--json"]].concat());
    let request: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&request["method"], &request["payload"]), (&json!("POST"), &json!("elastic")));
    assert_eq!(fake.summary().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_body_is_masked_in_a_dry_run() {
    let template = "{\"id\": {{ alert_id }}, \"key\": \"corr3ct-horse-battery\"}";
    let site = Site::new("http://127.0.0.1:1/x", "payload = \"template\"\ntemplate = \"own.j2\"");
    site.write("own.j2", template);
    check(&site.connectors(&["test", "payments", "--dry-run"]), 0, &["\"key\": \"***\""]);
}

#[test]
fn the_connectors_are_listed_without_their_secrets() {
    let site = Site::new(
        "https://acme.xmatters.com/api/integration/1/functions/x/triggers",
        "payload = \"apifortress\"",
    );
    check(
        &site.connectors(&["list"]),
        0,
        &["payments", "acme.xmatters.com", "basic", "apifortress", "primary", "full"],
    );
    let listed: Value = serde_json::from_str(&site.connectors(&["list", "--json"]).stdout).unwrap();
    let want = json!([{
        "name": "payments", "host": "acme.xmatters.com", "auth": "basic", "payload": "apifortress",
        "recipients": ["primary"], "tls": "full",
    }]);
    assert_eq!(listed, want);
}

#[test]
fn a_connector_that_is_not_there_is_a_wrong_command_line() {
    let ended = Site::new("http://127.0.0.1:1/x", "").connectors(&["test", "paymnets"]);
    check(&ended, 64, &[]);
    assert!(
        ended.stderr.contains("there is no connector `paymnets`; the configuration has `payments`"),
        "{ended:?}"
    );
}
