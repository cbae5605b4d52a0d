//! What scripts can tell from the exit code.

use crate::support::{FAILED, PASSED, Site, nowhere};

/// The flags, after those that every report needs.
fn with<'a>(url: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [&["--queue-url", url, "--project", "shop"], flags].concat()
}

#[track_caller]
fn check(files: &[(&str, &str)], flags: &[&str], code: i32, said: &str) {
    let url = nowhere();
    let ended = Site::new(files).publish(&with(&url, flags));
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn reports_without_failures_need_no_broker() {
    let url = nowhere();
    let site = Site::new(&[
        ("a.xml", PASSED),
        ("b.xml", "<testsuites/>"),
        ("c.json", r#"{"results":{"tests":[]}}"#),
    ]);
    let ended = site.publish(&with(&url, &["--junit", "*.xml", "--ctrf", "c.json"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "nothing to publish\n"), "{ended:?}");
    let ended = site.publish(&with(&url, &["--junit", "*.xml", "--json"]));
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        said,
        serde_json::json!({
            "published": 0,
            "events": [],
            "tests": { "cases": 1, "failed": 0, "errors": 0, "skipped": 0, "flaky": 0 },
            "error": null,
        })
    );
}

#[test]
fn what_is_not_there_is_66() {
    check(&[("a.xml", PASSED)], &["--junit", "a.xml", "none/*.xml"], 66, "nothing matches `none/*.xml`");
    check(&[("a.xml", PASSED)], &["--junit", "a.xml", "none.xml"], 66, "can't read `none.xml`: No such file");
    check(&[], &["--ctrf", "*.json"], 66, "nothing matches `*.json`");
}

#[test]
fn what_can_not_be_understood_is_65() {
    check(
        &[("a.xml", "\n<html>")],
        &["--junit", "a.xml"],
        65,
        "a.xml:2: no JUnit report: the first element is `html`",
    );
    check(
        &[("a.json", "{\n  \"results\": 1}")],
        &["--ctrf", "a.json"],
        65,
        "a.json:2: no CTRF report: column 15: ",
    );
    check(&[("a.xml", "")], &["--junit", "a.xml", "b*.xml"], 65, "2 inputs could not be read, see above");
}

#[test]
fn a_wrong_command_is_64() {
    let known = "{project}, {suite}, {test}, {run_id} and {environment}";
    check(&[("a.xml", FAILED)], &["--junit", "a.xml", "--report-url", "https://ci/{build}"], 64, known);
    check(
        &[("a.xml", FAILED)],
        &["--junit", "a.xml", "--report-url", "https://ci/{run_id}"],
        64,
        "needs --run-id ID",
    );
    check(
        &[("a.xml", FAILED)],
        &["--junit", "a.xml", "--report-url", "https://ci/{environment}"],
        64,
        "needs --environment",
    );
    check(&[("a.xml", FAILED)], &["--junit", "a.xml", "--label", "team"], 64, "KEY=VALUE");
    let ended = Site::new(&[]).publish(&["--queue-url", &nowhere(), "--junit", "a.xml"]);
    assert!(ended.code == Some(64) && ended.stderr.contains("reports need --project NAME"), "{ended:?}");
}

#[test]
fn a_broker_that_is_not_there_is_69() {
    check(
        &[("a.xml", FAILED)],
        &["--junit", "a.xml", "--timeout", "1s"],
        69,
        "0 events published, then the queue gave no confirm for 1s",
    );
}
