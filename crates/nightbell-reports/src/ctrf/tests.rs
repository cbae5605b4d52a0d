//! What CTRF gives, and what is said of reports that are not sound.

use std::io::Cursor;
use std::ops::ControlFlow;

use insta::assert_snapshot;
use nightbell_core::event::{self, Event, Status};
use nightbell_core::limits::EVENT_BYTES_MAX;
use proptest::prelude::*;

use super::{KIND, each_case};
use crate::case::{Case, TEXT_BYTES_MAX};
use crate::compose::{self, Origin, ReportOptions};
use crate::fault::Unfit;
use crate::tally::Verdict;

fn options() -> ReportOptions {
    ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() }
}

fn read(report: &str) -> Result<(Vec<Case>, Origin), Unfit> {
    let mut cases = Vec::new();
    let origin = each_case(Cursor::new(report), &mut |case| {
        cases.push(case);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((cases, origin))
}

/// The only result of a report with one test of these fields, as an event if it is to be one.
#[track_caller]
fn event_of(fields: &str) -> Option<(Event, Verdict)> {
    let report = format!(r#"{{"results":{{"tests":[{{"name":"t",{fields}}}]}}}}"#);
    let (cases, origin) = read(&report).unwrap();
    let mut tally = crate::tally::Tally::default();
    tally.remember(0, &cases[0]).unwrap();
    let verdict = tally.verdict(0, 0, &cases[0], true)?;
    let failure = cases[0].failure().unwrap();
    Some((compose::event(KIND, &options().within(origin), &cases[0], failure, verdict), verdict))
}

#[track_caller]
fn wrong(report: &str) -> String {
    read(report).expect_err("it is not sound").of("ctrf.json").to_string()
}

#[test]
fn how_a_test_ended() {
    let verdict = |fields: &str| event_of(fields).map(|(_, verdict)| verdict);
    assert_eq!(verdict(r#""status":"failed""#), Some(Verdict::Failed));
    assert_eq!(verdict(r#""status":"failed","retries":2,"flaky":false"#), Some(Verdict::Failed));
    assert_eq!(verdict(r#""status":"other","message":"crashed""#), Some(Verdict::Error));
    assert_eq!(verdict(r#""status":"passed","flaky":true"#), Some(Verdict::Flaky));
    assert_eq!(verdict(r#""status":"passed","retries":1"#), Some(Verdict::Flaky));
    for fields in [
        r#""status":"passed""#,
        r#""status":"passed","retries":0,"flaky":null,"message":null"#,
        r#""status":"skipped","message":"later""#,
        r#""status":"pending""#,
        r#""status":"other""#,
    ] {
        assert_eq!(verdict(fields), None, "{fields}");
    }
}

#[test]
fn the_fields_of_a_test_are_the_events() {
    let (event, _) = event_of(
        r#""status":"failed","message":"\u001b[31mone\u001b[0m\ntwo","trace":"at a.js:1","suite":["ui","pay & go"],
           "filePath":"a.js","start":1795302942901,"tags":["slow"],"extra":{"deep":[[{}]]},"steps":[1,2]"#,
    )
    .unwrap();
    let want = Event {
        id: event.id.clone(),
        status: Status::Failed,
        message: Some("one".into()),
        details: Some("at a.js:1".into()),
        suite: Some("ui > pay & go".into()),
        occurred_at: event.occurred_at,
        tags: vec!["slow".into()],
        ..Event::new("shop", "t")
    };
    assert_eq!(event, want);
    assert_eq!(event.occurred_at.unwrap().0.0, 1_795_302_942_901);
}

#[test]
fn a_suite_is_a_text_or_several_and_else_the_file() {
    let suite = |fields: &str| event_of(&format!(r#""status":"failed",{fields}"#)).unwrap().0.suite;
    assert_eq!(suite(r#""suite":"a > b""#).as_deref(), Some("a > b"));
    assert_eq!(suite(r#""suite":[],"filePath":"a.js""#).as_deref(), Some("a.js"));
    assert_eq!(suite(r#""suite":null"#), None);
}

#[test]
fn a_start_in_seconds_is_understood_and_nonsense_left_out() {
    let start = |start: &str| {
        let (event, _) = event_of(&format!(r#""status":"failed","start":{start}"#)).unwrap();
        event.occurred_at.map(|when| when.0.0)
    };
    assert_eq!(start("1795302991"), Some(1_795_302_991_000));
    assert_eq!(start("1795302991000"), Some(1_795_302_991_000));
    for nonsense in ["0", "-5", "1e300", "12"] {
        assert_eq!(start(nonsense), None, "{nonsense}");
    }
}

#[test]
fn a_flaky_test_tells_its_last_failed_attempt() {
    let (event, _) = event_of(
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
    let want = Origin {
        environment: Some("staging".into()),
        run_id: Some("shop 7".into()),
        report_url: Some("https://ci/7".into()),
        branch: Some("main".into()),
    };
    for results in [format!("{environment},{tests}"), format!("{tests},{environment}")] {
        assert_eq!(read(&format!(r#"{{"results":{{{results}}}}}"#)).unwrap().1, want);
    }
    let given = ReportOptions { run_id: Some("mine".into()), ..options() };
    let within = given.within(want);
    assert_eq!((within.run_id.as_deref(), within.environment.as_deref()), (Some("mine"), Some("staging")));
    assert_eq!(within.labels["branch"], "main");
}

#[test]
fn the_same_report_gives_the_same_ids() {
    let id = |fields: &str| event_of(&format!(r#""status":"failed",{fields}"#)).unwrap().0.id.unwrap();
    assert_eq!(id(r#""filePath":"a.js","start":5"#), id(r#""start":5,"filePath":"a.js""#));
    assert_ne!(id(r#""filePath":"a.js""#), id(r#""filePath":"b.js""#));
    assert_ne!(id(r#""browser":"chromium""#), id(r#""browser":"firefox""#));
    assert_ne!(id(r#""start":5"#), id(r#""start":6"#));
    assert_ne!(id(r#""message":"a""#), id(r#""message":"b""#));
}

#[test]
fn what_is_no_report_is_said_with_its_place() {
    assert_snapshot!(wrong(""), @"ctrf.json:1: it is empty");
    assert_snapshot!(wrong(" \n "), @"ctrf.json:2: it is empty");
    assert_snapshot!(wrong("<testsuites/>"), @"ctrf.json:1: not JSON: column 1: expected value");
    assert_snapshot!(wrong("[]"), @"ctrf.json:1: no CTRF report: column 1: invalid type: sequence, expected a report, which is a JSON object");
    assert_snapshot!(wrong("{}"), @"ctrf.json:1: no CTRF report: column 2: missing field `results`");
    assert_snapshot!(wrong("{\"results\":\n{\"tool\":{}}}"), @"ctrf.json:2: no CTRF report: column 12: missing field `tests`");
    assert_snapshot!(wrong("{\"results\":{\"tests\":[\n  {\"name\":\"t\"}]}}"), @"ctrf.json:2: no CTRF report: column 17: missing field `status`");
    assert_snapshot!(wrong("{\"results\":{\"tests\":[\n  {\"name\":\"t\",\"status\":\"broken\"}]}}"), @"ctrf.json:2: no CTRF report: column 35: unknown variant `broken`, expected one of `passed`, `failed`, `skipped`, `pending`, `other`");
    assert_snapshot!(wrong("{\"results\":{\"tests\":[\n  {\"name\":1,\"status\":\"failed\"}]}}"), @"ctrf.json:2: no CTRF report: column 13: invalid type: integer `1`, expected a string");
    assert_snapshot!(wrong("{\"results\":{\"tests\":[]}}\n more"), @"ctrf.json:2: not JSON: column 2: trailing characters");
    assert_snapshot!(wrong("{\"results\":{\"tests\":[\n{\"name\":\"a\nb\"}]}}"), @r"ctrf.json:3: not JSON: column 1: control character (\u0000-\u001F) found while parsing a string");
    assert_snapshot!(wrong(&"[".repeat(200)), @"ctrf.json:1: no CTRF report: column 1: invalid type: sequence, expected a report, which is a JSON object");
    assert_snapshot!(wrong(&format!("{{\"x\":\n{}", "[".repeat(1_000_000))), @"ctrf.json:2: elements are nested deeper than 100");
}

#[test]
fn a_report_cut_anywhere_is_refused() {
    let report = r#"{"results":{"tests":[{"name":"größe","status":"failed","suite":["a"],"start":1.5}]}}"#;
    assert_eq!(read(report).unwrap().0.len(), 1);
    for end in (0..report.len()).filter(|end| report.is_char_boundary(*end)) {
        let said = wrong(&report[..end]);
        assert!(said.contains("not JSON: ") || end == 0, "{end}: {said}");
    }
}

#[test]
fn other_encodings_are_read() {
    let report = r#"{"results":{"tests":[{"name":"größe","status":"failed"}]}}"#;
    let name = |bytes: Vec<u8>| {
        let mut name = String::new();
        let read = each_case(Cursor::new(bytes), &mut |case| {
            name = case.name;
            Ok(ControlFlow::Continue(()))
        });
        read.map(|_| name).unwrap()
    };
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
    let (cases, origin) = read(&report).unwrap();
    let failure = cases[0].failure().unwrap();
    let event = compose::event(KIND, &options().within(origin), &cases[0], failure, Verdict::Failed);
    assert_eq!((event.test.chars().count(), event.suite.as_ref().unwrap().chars().count()), (2_000, 2_000));
    let body = serde_json::to_vec(&event).unwrap();
    assert!(body.len() <= EVENT_BYTES_MAX && event::read(&body).is_ok(), "{}", body.len());
}

#[test]
fn what_the_taker_refuses_is_the_reports_fault_and_stopping_is_none() {
    let report = "{\"results\":{\"tests\":[\n{\"name\":\"a\",\"status\":\"failed\"},\n{\"name\":\"b\",\"status\":\"failed\"}]}}";
    let mut taken = 0;
    let refused = each_case(Cursor::new(report), &mut |_| {
        taken += 1;
        if taken == 2 { Err(crate::Fault::TooManyCases) } else { Ok(ControlFlow::Continue(())) }
    });
    assert_eq!(
        refused.unwrap_err().of("ctrf.json").to_string(),
        "ctrf.json:3: it has more than 1000000 test cases"
    );
    let mut taken = 0;
    let stopped = each_case(Cursor::new(report), &mut |_| {
        taken += 1;
        Ok(ControlFlow::Break(()))
    });
    assert_eq!((stopped.is_ok(), taken), (true, 1));
}

const WHOLE: &str = r#"{"results":{"tool":{"name":"t"},"summary":{"tests":2,"failed":1},"environment":{"buildNumber":"7"},
"tests":[{"name":"one","status":"failed","duration":3,"suite":["a","b"],"message":"m","trace":"t\u00e9","retries":1,
"flaky":false,"tags":["x"],"extra":{"a":[1,2]}},{"name":"two","status":"passed","duration":1}]}}"#;

#[test]
fn the_report_that_is_mutated_is_sound() {
    assert!(!format!("{:?}", read(WHOLE)).starts_with("Err"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        parts in proptest::collection::vec(
            r#"(\{"results":|\{"tests":\[|\{"name":"|","status":"failed"|\}|\]|,|"suite":\["a"\]|\\u[0-9a-f]{0,4}|"|[ -~é]{0,4})"#,
            0..12,
        )
    ) {
        drop(read(&parts.concat()));
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
        drop(read(&report.into_iter().collect::<String>()));
    }
}
