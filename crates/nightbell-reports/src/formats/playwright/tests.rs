//! What Playwright's JSON gives.

use super::*;
use crate::case::OUTPUT_BYTES_MAX;
use crate::fault::Place;
use crate::names::TAGS_MAX;
use crate::testing::{self, counted, real};

fn read_all(bytes: &[u8]) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, bytes)
}

/// Every case that is no pass, as people see it.
fn shown(cases: &[Case]) -> Vec<String> {
    testing::shown(cases.iter().filter(|case| case.ending != Ending::Passed))
}

#[track_caller]
fn cases(text: &str) -> (Vec<Case>, Option<Place>) {
    read_all(text.as_bytes()).unwrap()
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    let (cases, damage) = cases(text);
    assert_eq!(shown(&cases), want, "{text}");
    assert_eq!(damage, None, "{text}");
}

#[track_caller]
fn check_real(report: &str, want: &[&str]) {
    let (cases, damage) = read_all(&real(report)).unwrap();
    assert_eq!(cases.iter().filter(|case| case.ending.is_bad()).count(), counted(report));
    assert_eq!((shown(&cases), damage), (want.iter().map(|line| (*line).to_owned()).collect(), None));
}

#[test]
fn a_real_report_shows_each_test_in_each_project() {
    let discount = "Failed: shop.spec.js > basket | gives a discount: \
                    Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90";
    let skipped = "Skipped: shop.spec.js > basket | ships to mars: ";
    let flaky = "Flaky: shop.spec.js > basket | pays the second time: \
                 Error: expect(received).toBe(expected) // Object.is equality: Expected: 1, Received: 0";
    let endless = "Error: shop.spec.js > basket | never ends: Test timeout of 200ms exceeded.";
    let divides = "Failed: shop.spec.js > basket | divides: RangeError: division by zero";
    let want = [discount, discount, divides, skipped, skipped, flaky, flaky, endless, endless];
    check_real("playwright/report.json", &want);
    let (cases, _) = read_all(&real("playwright/report.json")).unwrap();
    let of_project =
        |project: &str| cases.iter().filter(|case| case.variant.as_deref() == Some(project)).count();
    assert_eq!((of_project("desktop"), of_project("phone"), cases.len()), (5, 5, 10));
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let real = real("playwright/report.json");
    let sorted: serde_json::Value = serde_json::from_slice(&real).unwrap();
    let sorted = sorted.to_string();
    let specs = sorted.find("\"specs\":[{").unwrap();
    assert!(sorted[specs..].find("\"tests\"") < sorted[specs..].find("\"title\""), "the keys are sorted");
    let (want, _) = read_all(&real).unwrap();
    let (got, damage) = cases(&sorted);
    assert_eq!((shown(&got), damage), (shown(&want), None));
}

/// A report with one test of these fields.
fn of(fields: &str) -> String {
    format!(r#"{{"suites":[{{"title":"a.spec.js","specs":[{{"title":"t","tests":[{{{fields}}}]}}]}}]}}"#)
}

fn results(statuses: &[&str]) -> String {
    let result = |status: &&str| {
        let errors = match *status {
            "passed" | "skipped" => String::new(),
            _ => format!(r#","errors":[{{"message":"{status} here"}}]"#),
        };
        format!(r#"{{"status":"{status}"{errors}}}"#)
    };
    format!(r#""results":[{}]"#, statuses.iter().map(result).collect::<Vec<_>>().join(","))
}

#[test]
fn how_a_test_ended() {
    let check = |status: &str, expected: &str, attempts: &[&str], want: Ending, message: &str| {
        let fields = format!(r#""expectedStatus":"{expected}",{},"status":"{status}""#, results(attempts));
        let (cases, damage) = cases(&of(&fields));
        let case = cases.first().unwrap();
        let got = (case.ending, case.message().unwrap_or_default());
        assert_eq!((got, damage, cases.len()), ((want, message.to_owned()), None, 1), "{fields}");
    };
    check("expected", "passed", &["passed"], Ending::Passed, "");
    check("skipped", "skipped", &["skipped"], Ending::Skipped, "");
    check("skipped", "passed", &[], Ending::Skipped, "");
    check("unexpected", "passed", &["failed", "failed"], Ending::Failed, "failed here");
    check("unexpected", "passed", &["failed", "timedOut"], Ending::Error, "timedOut here");
    check("unexpected", "passed", &["timedOut", "failed"], Ending::Failed, "failed here");
    check("unexpected", "passed", &[], Ending::Failed, "");
    check("flaky", "passed", &["failed", "timedOut", "passed"], Ending::Flaky, "timedOut here");
    // `test.fail()`.
    check("expected", "failed", &["failed"], Ending::Passed, "");
    check("unexpected", "failed", &["passed"], Ending::Failed, "Expected to fail, but passed.");
    // Stopped by another failure, or after it had failed itself.
    check("skipped", "passed", &["interrupted"], Ending::Error, "interrupted here");
    for odd in ["", "whatever"] {
        check(odd, "passed", &["failed", "passed"], Ending::Flaky, "failed here");
        check(odd, "passed", &["passed", "failed"], Ending::Failed, "failed here");
        check(odd, "failed", &["failed"], Ending::Passed, "");
        check(odd, "passed", &["exploded"], Ending::Error, "exploded here");
    }
    check("", "passed", &[], Ending::Skipped, "");
    check("whatever", "passed", &[], Ending::Error, "");
    let stopped = r#""results":[{"status":"interrupted","errors":[]}],"status":"skipped""#;
    assert_eq!(cases(&of(stopped)).0[0].ending, Ending::Skipped);
}

#[test]
fn an_attempt_tells_its_errors_and_what_was_printed() {
    let (cases, _) = cases(&of(concat!(
        r#""projectName":"phone","status":"unexpected","results":[{"status":"failed","startTime":"2026-11-27T14:54:48.167Z","#,
        r#""error":{"message":"\u001b[31mError: one\u001b[39m","stack":"Error: one\n    at a.js:1"},"#,
        r#""errors":[{"message":"Error: one\n\n> 1 | source\n    at a.js:1"},{"message":"two"}],"#,
        r#""stdout":[{"text":"a\n"},{"buffer":"AA=="},{"text":"b\n"}],"stderr":[{"text":"c"}]}]"#,
    )));
    let case = &cases[0];
    let want = [
        Failure {
            message: "Error: one".into(),
            text: "Error: one\n\n> 1 | source\n    at a.js:1".into(),
            kind: String::new(),
        },
        Failure { message: "two".into(), ..Failure::default() },
    ];
    assert_eq!(case.trouble.failures, want);
    assert_eq!(case.trouble.outputs, ["a\nb\n", "c"]);
    assert_eq!(
        (case.variant.as_deref(), &case.stamp),
        (Some("phone"), &Stamp::read("2026-11-27T14:54:48.167Z"))
    );
}

#[test]
fn an_error_stands_in_whatever_place() {
    let message = |result: &str| {
        let report = of(&format!(r#""status":"unexpected","results":[{{"status":"failed",{result}}}]"#));
        cases(&report).0[0].message().unwrap_or_default()
    };
    assert_eq!(message(r#""error":{"message":"one"},"errors":[]"#), "one");
    assert_eq!(message(r#""error":{"value":"'thrown'"}"#), "'thrown'");
    assert_eq!(message(r#""error":"one","errors":null"#), "one");
    assert_eq!(message(r#""errors":"one""#), "one");
    assert_eq!(message(r#""errors":["one"]"#), "one");
    assert_eq!(message(r#""errors":[{}],"stdout":"Error: refused""#), "Error: refused");
    assert_eq!(message(r#""errors":7"#), "7");
}

#[test]
fn suites_are_a_path_and_tags_are_kept() {
    let spec =
        r#"{"title":"t","tags":["slow","ui"],"ok":false,"tests":[{"status":"unexpected","results":[]}]}"#;
    let nested = |spec: &str| {
        format!(
            r#"{{"suites":[{{"title":"a.spec.js","file":"a.spec.js","specs":[],"suites":[{{"title":"b","specs":[],
               "suites":[{{"title":"c","specs":[{spec}]}}]}},{{"title":"d","specs":[{spec}]}}]}}]}}"#
        )
    };
    let (cases, _) = cases(&nested(spec));
    let paths: Vec<_> = cases.iter().map(|case| case.suite.as_deref().unwrap()).collect();
    assert_eq!(paths, ["a.spec.js > b > c", "a.spec.js > d"]);
    assert_eq!(
        (cases[0].tags.as_slice(), &cases[0].file),
        (["slow".to_owned(), "ui".to_owned()].as_slice(), &None)
    );
    check(
        r#"{"suites":[{"title":"","file":"e2e/a.spec.js","specs":[{"title":"t","tests":[{"status":"unexpected"}]}]}]}"#,
        &["Failed: e2e/a.spec.js | t: "],
    );
}

#[test]
fn an_error_of_no_test_is_a_result() {
    check(
        r#"{"suites":[],"errors":[{"message":"Error: no module\n","stack":"at a","location":{"file":"/srv/shop/a.spec.js","line":1}},
            {"message":"Timed out waiting 60s for the test suite to run"}],"stats":{"unexpected":0}}"#,
        &[
            "Error: shop/a.spec.js | shop/a.spec.js: Error: no module",
            "Error:  | test run: Timed out waiting 60s for the test suite to run",
        ],
    );
}

#[test]
fn what_is_counted_and_not_shown_is_a_result() {
    let failing = of(r#""status":"unexpected","results":[]"#);
    let with = |stats: &str| failing.replacen('{', &format!(r#"{{"stats":{{{stats}}},"#), 1);
    let test = "Failed: a.spec.js | t: ";
    check(&with(r#""unexpected":1,"flaky":3"#), &[test]);
    check(
        &with(r#""unexpected":3"#),
        &[test, "Error:  | test run: the report counts 3 failed, of which it shows 1"],
    );
    check(
        r#"{"stats":{"unexpected":2}}"#,
        &["Error:  | test run: the report counts 2 failed, of which it shows 0"],
    );
    let spec = r#"{"suites":[{"title":"a.spec.js","specs":[{"title":"t","ok":false,"tests":[]}]}],"stats":{"unexpected":1}}"#;
    check(spec, &["Error: a.spec.js | t: the report says that it failed, and shows no result that did"]);
}

#[test]
fn an_odd_entry_costs_no_other() {
    let test = r#"{"status":"unexpected","results":[null,{"status":7,"stdout":[5,{}]}]}"#;
    let (cases, damage) = cases(&format!(
        "{{\"suites\":[5,null,{{}},\n{{\"title\":7,\"suites\":null,\"specs\":[3,{{\"title\":[\"t\"],\"tags\":\"x\",\"tests\":[[],{test}]}}]}}],\"errors\":{{}}}}"
    ));
    assert_eq!(shown(&cases), ["Skipped: 7 | t: ", "Error: 7 | t: 5"]);
    assert_eq!(
        damage.unwrap().to_string(),
        "line 1: no Playwright JSON report: `suites` is not what it is in Playwright's"
    );
}

#[test]
fn reports_one_after_the_other_are_all_read() {
    let one = |unexpected: u32| {
        of(r#""status":"unexpected""#).replacen(
            '{',
            &format!(r#"{{"stats":{{"unexpected":{unexpected}}},"#),
            1,
        )
    };
    let (cases, damage) = cases(&format!("{}\n{}", one(1), one(2)));
    let test = "Failed: a.spec.js | t: ";
    assert_eq!(
        shown(&cases),
        [test, test, "Error:  | test run: the report counts 2 failed, of which it shows 1"]
    );
    assert_eq!(damage.unwrap().line, 2);
}

#[test]
fn what_is_no_report_is_refused() {
    for foreign in ["[]", "{}", "7", "{\"suites\":7}", "{\"config\":{}", "<a/>", "{\"results\":[]}"] {
        assert!(
            matches!(read_all(foreign.as_bytes()), Err(Unfit::Foreign(place)) if place.fault != Fault::Empty),
            "{foreign}"
        );
    }
    assert!(matches!(read_all(b""), Err(Unfit::Foreign(Place { fault: Fault::Empty, .. }))));
}

#[test]
fn a_cut_report_gives_what_was_whole() {
    let test = |title: &str| {
        let results = results(&["failed"]);
        format!(r#"{{"title":"{title}","tests":[{{"projectName":"p",{results},"status":"unexpected"}}]}}"#)
    };
    let report = format!(
        r#"{{"suites":[{{"title":"a.spec.js","specs":[{},{}]}}],"errors":[{{"message":"m"}}],"stats":{{"unexpected":2}}}}"#,
        test("one"),
        test("two")
    );
    let ends = ["one", "two"].map(|title| report.find(&test(title)).unwrap() + test(title).len());
    let failed = r#""status":"failed""#;
    // What failed is told even if it is not known how it went on.
    let begins = ends.map(|end| report[..end].rfind(failed).unwrap() + failed.len());
    for cut in 0..report.len() {
        let Ok((cases, damage)) = read_all(&report.as_bytes()[..cut]) else {
            assert!(cut < ends[0], "{cut}");
            continue;
        };
        let titles: Vec<_> =
            cases.iter().filter(|case| case.suite.is_some()).map(|case| case.name.as_str()).collect();
        let begun = begins.iter().filter(|begin| **begin <= cut).count();
        assert_eq!(titles, ["one", "two"][..begun], "{cut}");
        assert!(cases.iter().all(|case| case.ending.is_bad()) && damage.is_some(), "{cut}");
    }
}

#[test]
fn hostile_input_is_bounded() {
    let deep = format!(r#"{{"suites":[{}"#, r#"{"suites":["#.repeat(100_000));
    assert_eq!(cases(&deep).1.unwrap().fault, Fault::TooDeep);
    let long = "x".repeat(300_000);
    let errors = vec![format!(r#"{{"message":"{long}"}}"#); 5].join(",");
    let printed = vec![r#"{"text":"line\n"}"#; 50_000].join(",");
    let tags = vec![format!("\"{}\"", &long[..3_000]); 1_000].join(",");
    // The status stands after more than is kept.
    let (cases, damage) = cases(&format!(
        r#"{{"suites":[{{"title":"{long}","specs":[{{"title":"{long}","tags":[{tags}],"tests":[{{"results":[{{"status":"failed",
           "errors":[{errors}],"stdout":[{printed}]}}],"projectName":"{long}","status":"unexpected"}}]}}]}}],"stats":{{"unexpected":-1e308}}}}"#
    ));
    assert_eq!((cases.len(), damage), (1, None));
    let case = &cases[0];
    assert_eq!(case.ending, Ending::Failed);
    assert!(
        [&case.name, case.suite.as_deref().unwrap(), case.variant.as_deref().unwrap()]
            .iter()
            .all(|name| name.len() < 5_000)
    );
    assert!(case.tags.len() == TAGS_MAX && case.tags.iter().all(|tag| tag.len() < 1_000));
    let kept: usize =
        case.trouble.failures.iter().map(|failure| failure.message.len() + failure.text.len()).sum();
    assert!(kept <= crate::case::TEXT_BYTES_MAX && case.trouble.outputs[0].len() <= OUTPUT_BYTES_MAX);
}
