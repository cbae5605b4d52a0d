//! What CTRF gives, and what is said of reports that are not sound.

use insta::assert_snapshot;
use nightbell_core::event::{self, Event, Status};
use nightbell_core::limits::EVENT_BYTES_MAX;
use proptest::prelude::*;

use crate::case::TEXT_BYTES_MAX;
use crate::names::NAME_CHARS_MAX;
use crate::{Format, ReportError, ReportOptions, Survey, testing};

/// What a report gives, and what is said of it.
fn read(report: impl AsRef<[u8]>) -> (Result<Survey, ReportError>, Vec<Event>) {
    let options = ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() };
    testing::read(report.as_ref(), Format::Ctrf, options)
}

/// A report of these tests.
fn report(tests: &str) -> String {
    format!(r#"{{"results":{{"tests":[{tests}]}}}}"#)
}

/// The event of a test of these fields, if it is to be one.
#[track_caller]
fn event_of(fields: &str) -> Option<Event> {
    let (held, events) = read(report(&format!(r#"{{"name":"t",{fields}}}"#)));
    assert_eq!((held.unwrap().damage, events.len() <= 1), (None, true));
    events.into_iter().next()
}

#[track_caller]
fn wrong(report: &str) -> String {
    let (held, events) = read(report);
    assert_eq!(events, []);
    held.expect_err("it is no report").to_string()
}

/// The tests that a damaged report tells of, and what is said of it.
#[track_caller]
fn damaged(report: &str) -> (Vec<String>, String) {
    let (held, mut events) = read(report);
    assert!(held.unwrap().damage.is_some(), "{report}");
    let last = events.pop().unwrap();
    (events.into_iter().map(|event| event.test).collect(), last.message.unwrap())
}

#[test]
fn how_a_test_ended() {
    let ended =
        |fields: &str| event_of(fields).map(|event| (event.status, event.tags.contains(&"flaky".to_owned())));
    let (failed, error, flaky) = ((Status::Failed, false), (Status::Error, false), (Status::Failed, true));
    assert_eq!(ended(r#""status":"failed""#), Some(failed));
    assert_eq!(ended(r#""status":"FAILED""#), Some(failed));
    assert_eq!(ended(r#""status":"failed","retries":2,"flaky":false"#), Some(failed));
    assert_eq!(ended(r#""status":"other","message":"crashed""#), Some(error));
    assert_eq!(ended(r#""status":"broken""#), Some(error));
    assert_eq!(ended(r#""status":"melted""#), Some(error));
    assert_eq!(ended(r#""message":"no status, and a message""#), Some(error));
    assert_eq!(ended(r#""status":"passed","flaky":true"#), Some(flaky));
    assert_eq!(ended(r#""status":"passed","retries":"1""#), Some(flaky));
    for fields in [
        r#""status":"passed""#,
        r#""status":"passed","retries":0,"flaky":null,"message":null"#,
        r#""status":"skipped","message":"later""#,
        r#""status":"pending""#,
        r#""status":"other""#,
        r#""status":null"#,
    ] {
        assert_eq!(ended(fields), None, "{fields}");
    }
}

#[test]
fn one_odd_entry_costs_no_other() {
    let (held, events) = read(report(
        r#"{"name":"a","status":"failed","start":"2026-11-20T10:00:00Z","suite":5,"tags":"x","message":["one","two"]},
           {"name":7,"status":"failed","name":"b","message":{"deep":1}},{"status":"failed","message":"no name"},
           {"name":"c","status":"failed","trace":5,"retries":"many","flaky":"no","filePath":null,"start":NaN}"#,
    ));
    assert_eq!(held.unwrap().damage, None);
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.test.as_str(), event.message.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(told, [("a", "one"), ("b", ""), ("unnamed test", "no name"), ("c", "5")]);
    let (tests, said) = damaged(&report("\n5,null,{},{\"name\":\"a\",\"status\":\"failed\"}"));
    assert_eq!(
        (tests, said.as_str()),
        (vec!["a".to_owned()], "report damaged at line 2: 1 case read: entry 1 of `tests` is no test")
    );
}

#[test]
fn tests_that_are_no_list_are_said() {
    let (tests, said) = damaged(r#"{"results":{"tests":{"0":{"name":"a","status":"failed"}}}}"#);
    assert_eq!(
        (tests.len(), said.as_str()),
        (0, "report damaged at line 1: 0 cases read: `tests` is no list")
    );
}

#[test]
fn what_the_summary_counts_and_the_tests_do_not_show_is_an_event() {
    let read = |failed: &str, tests: &str| {
        let (_, events) =
            read(format!(r#"{{"results":{{"tests":[{tests}],"summary":{{"failed":{failed}}}}}}}"#));
        events.into_iter().map(|event| event.message.unwrap_or_default()).collect::<Vec<_>>()
    };
    let one = r#"{"name":"a","status":"failed","message":"m"}"#;
    assert_eq!(read("1", one), ["m"]);
    assert_eq!(read("3", one), ["m", "the report counts 3 failed, of which it shows 1"]);
    assert_eq!(read("\"2\"", ""), ["the report counts 2 failed, of which it shows 0"]);
    for none in ["null", "-1", "{}", "0"] {
        assert!(read(none, "").is_empty());
    }
}

#[test]
fn the_fields_of_a_test_are_the_events() {
    let event = event_of(
        r#""status":"failed","message":"\u001b[31mone\u001b[0m\ntwo","trace":"at a.js:1","suite":["ui","pay & go"],
           "filePath":"a.js","start":795302942901,"tags":["slow"],"extra":{"deep":[[{}]]},"steps":[1,2]"#,
    )
    .unwrap();
    let want = Event {
        id: event.id.clone(),
        status: Status::Failed,
        message: Some("one".into()),
        details: Some("one\ntwo\nat a.js:1".into()),
        suite: Some("a.js > ui > pay & go".into()),
        occurred_at: event.occurred_at,
        tags: vec!["slow".into()],
        ..Event::new("shop", "t")
    };
    assert_eq!(event, want);
    assert_eq!(event.tags, ["slow"]);
}

#[test]
fn a_suite_is_a_text_or_several_and_else_the_file() {
    let suite = |fields: &str| event_of(&format!(r#""status":"failed",{fields}"#)).unwrap().suite;
    assert_eq!(suite(r#""suite":"a > b""#).as_deref(), Some("a > b"));
    assert_eq!(suite(r#""suite":[],"filePath":"a.js""#).as_deref(), Some("a.js"));
    assert_eq!(
        suite(r#""suite":["ui","pay"],"filePath":"/srv/web/a.js""#).as_deref(),
        Some("web/a.js > ui > pay")
    );
    assert_eq!(suite(r#""suite":null"#), None);
}

#[test]
fn a_flaky_test_tells_its_last_failed_attempt() {
    let event = event_of(
        r#""status":"passed","flaky":true,"retryAttempts":[{"attempt":1,"status":"failed","message":"first"},
           {"attempt":2,"status":"failed","message":"second","trace":"there"},{"attempt":3,"status":"passed"}]"#,
    )
    .unwrap();
    assert_eq!((event.message.as_deref(), event.details.as_deref()), (Some("second"), Some("there")));
    assert_eq!((event.status, event.tags.as_slice()), (Status::Failed, ["flaky".to_owned()].as_slice()));
}

#[test]
fn the_report_tells_its_run_wherever_it_stands() {
    let environment = r#""environment":{"testEnvironment":"staging","buildName":"shop","buildNumber":7,
        "buildUrl":"https://ci/7","branchName":"main","osPlatform":"linux"}"#;
    let tests = r#""tests":[{"name":"t","status":"failed"}]"#;
    for results in [format!("{environment},{tests}"), format!("{tests},{environment}")] {
        let report = format!(r#"{{"results":{{{results}}}}}"#);
        let event = &read(&report).1[0];
        let told =
            [&event.environment, &event.run_id, &event.report_url].map(|told| told.as_deref().unwrap());
        assert_eq!((told, event.labels["branch"].as_str()), (["staging", "shop 7", "https://ci/7"], "main"));
        let given =
            ReportOptions { project: "shop".into(), run_id: Some("mine".into()), ..ReportOptions::default() };
        assert_eq!(
            testing::read(report.as_bytes(), Format::Ctrf, given).1[0].run_id.as_deref(),
            Some("mine")
        );
    }
}

#[test]
fn the_same_report_gives_the_same_ids() {
    let now = r#""start":1795302942901"#;
    let id = |fields: &str| event_of(&format!(r#""status":"failed",{now},{fields}"#)).unwrap().id.unwrap();
    assert_eq!(id(r#""filePath":"a.js","extra":5"#), id(r#""extra":5,"filePath":"a.js""#));
    assert_ne!(id(r#""filePath":"a.js""#), id(r#""filePath":"b.js""#));
    assert_ne!(id(r#""browser":"chromium""#), id(r#""browser":"firefox""#));
    assert_ne!(id(r#""start":1795302942902"#), id(r#""start":1795302942903"#));
    assert_ne!(id(r#""message":"a""#), id(r#""message":"b""#));
}

#[test]
fn what_is_no_report_is_said_with_its_place() {
    assert_snapshot!(wrong(""), @"report:1: it is empty");
    assert_snapshot!(wrong(" \n "), @"report:2: it is empty");
    assert_snapshot!(wrong("<testsuites/>"), @"report:1: no CTRF report: not JSON: column 1: expected value; it is JUnit, and is read without this format's flag");
    assert_snapshot!(wrong("[]"), @"report:1: no CTRF report: it has no list of `tests` in its `results`; it is Cucumber JSON, and is read without this format's flag");
    assert_snapshot!(wrong("{}"), @"report:1: no CTRF report: it has no list of `tests` in its `results`");
    assert_snapshot!(wrong("{\"results\":\n{\"tool\":{}}}"), @"report:1: no CTRF report: it has no list of `tests` in its `results`");
    assert_snapshot!(wrong("{\n  \"results\": 1}"), @"report:2: no CTRF report: column 15: `results` is not what it is in CTRF");
}

#[test]
fn of_a_damaged_report_what_is_sound_is_read() {
    let test = |name: &str| format!(r#"{{"name":"{name}","status":"failed"}}"#);
    let sound = report(&test("a"));
    let said = |report: &str| {
        let (tests, said) = damaged(report);
        assert_eq!(tests.first().map(String::as_str), Some("a"), "{report}");
        said
    };
    assert_snapshot!(said(&format!("{sound}\n more")), @"report damaged at line 2: 1 case read: not JSON: column 5: trailing characters");
    assert_snapshot!(said(&format!("{sound}\n{}", report(&test("b")))), @"report damaged at line 2: 2 cases read: not JSON: column 1: trailing characters");
    assert_snapshot!(said(&sound.replace("]}}", ",\n")), @"report damaged at line 2: 1 case read: not JSON: column 1: EOF while parsing a value");
    assert_snapshot!(said(&sound.replace("]}}", ",\n{\"name\":")), @"report damaged at line 2: 1 case read: not JSON: column 8: EOF while parsing a value");
    assert_eq!(damaged(&format!("{sound}\n{}", report(&test("b")))).0, ["a", "b"]);
    let deep = sound.replace("]}}", &format!(",\n{}", "[".repeat(1_000_000)));
    assert_snapshot!(said(&deep), @"report damaged at line 2: 1 case read: it is nested deeper than 100");
}

#[test]
fn a_report_cut_anywhere_is_damaged_or_none() {
    let report = r#"{"results":{"tests":[{"name":"größe","status":"failed","suite":["a"],"start":1.5}]}}"#;
    assert_eq!(read(report).1.len(), 1);
    let whole = report.find("]}}").unwrap();
    for end in 0..report.len() {
        let (held, events) = read(&report.as_bytes()[..end]);
        if let Ok(held) = held {
            assert!(held.damage.is_some());
        }
        assert_eq!(events.iter().any(|event| event.test == "größe"), end >= whole, "{end}");
    }
}

#[test]
fn other_encodings_are_read() {
    let report = r#"{"results":{"tests":[{"name":"größe","status":"failed"}]}}"#;
    let name = |bytes: Vec<u8>| read(bytes).1[0].test.clone();
    let marked = [0xef, 0xbb, 0xbf].into_iter().chain(report.bytes());
    assert_eq!(name(marked.collect()), "größe");
    let wide = [0xff, 0xfe].into_iter().chain(report.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(name(wide.collect()), "größe");
    // A byte that is not of the encoding costs no alert.
    let latin = report.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap());
    assert_eq!(name(latin.collect()), "gr\u{fffd}\u{fffd}e");
}

#[test]
fn long_names_and_texts_are_cut() {
    let name = "n".repeat(10_000);
    let text = "\\\"\\n".repeat(TEXT_BYTES_MAX);
    let report = format!(
        r#"{{"results":{{"tests":[{{"name":"{name}\u0000\u001b[31m","status":"failed","message":"{text}","trace":"{text}","suite":["{name}","{name}"],"filePath":"{name}"}}]}}}}"#
    );
    let event = &read(&report).1[0];
    assert_eq!(
        (event.test.chars().count(), event.suite.as_ref().unwrap().chars().count()),
        (NAME_CHARS_MAX, NAME_CHARS_MAX)
    );
    let body = serde_json::to_vec(&event).unwrap();
    assert!(body.len() <= EVENT_BYTES_MAX && event::read(&body).is_ok(), "{}", body.len());
}

const WHOLE: &str = r#"{"results":{"tool":{"name":"t"},"summary":{"tests":2,"failed":1},"environment":{"buildNumber":"7"},
"tests":[{"name":"one","status":"failed","duration":3,"suite":["a","b"],"message":"m","trace":"t\u00e9","retries":1,
"flaky":false,"tags":["x"],"extra":{"a":[1,2]}},{"name":"two","status":"passed","duration":1}]}}"#;

#[test]
fn the_report_that_is_mutated_is_sound() {
    assert_eq!(read(WHOLE).0.unwrap().damage, None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        parts in proptest::collection::vec(
            r#"(\{"results":|\{"tests":\[|\{"name":"|","status":"failed"|\}|\]|,|"suite":\["a"\]|\\u[0-9a-f]{0,4}|"|[ -~é]{0,4})"#,
            0..12,
        )
    ) {
        drop(read(parts.concat()));
    }

    #[test]
    fn a_report_that_is_nearly_right_makes_nothing_panic(
        edits in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..9_usize, r#"([{}\[\]":,\\]|null|-1|1e999|"\\ud800"|\PC){0,3}"#),
            1..4,
        )
    ) {
        let mut report: Vec<char> = WHOLE.chars().collect();
        for (at, cut, text) in edits {
            let at = at.index(report.len() + 1);
            let end = (at + cut).min(report.len());
            report.splice(at..end, text.chars());
        }
        drop(read(report.into_iter().collect::<String>()));
    }
}
