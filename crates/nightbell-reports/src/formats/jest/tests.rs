//! What Jest's and Vitest's JSON gives.

use super::*;
use crate::case::{Failure, TEXT_BYTES_MAX};
use crate::fault::Place;
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

/// A report of one file with these tests.
fn of(tests: &str) -> String {
    format!(r#"{{"testResults":[{{"assertionResults":[{tests}],"name":"/srv/shop/pay.test.js"}}]}}"#)
}

#[track_caller]
fn check_real(report: &str, want: &[&str]) {
    let (cases, damage) = read_all(&real(report)).unwrap();
    assert_eq!(cases.iter().filter(|case| case.ending.is_bad()).count(), counted(report));
    assert_eq!((shown(&cases), damage), (want.iter().map(|line| (*line).to_owned()).collect(), None));
}

#[test]
fn a_real_report_shows_tests_and_a_file_that_does_not_load() {
    check_real(
        "jest/report.json",
        &[
            "Failed: shop/shop.test.js > basket | gives a discount: \
         Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90",
            "Failed: shop/shop.test.js > basket | divides: RangeError: division by zero",
            "Skipped: shop/shop.test.js > basket | ships to mars: ",
            "Flaky: shop/shop.test.js > basket | pays the second time: it passed when it was invoked 2 times",
            "Error: shop/broken.test.js | shop/broken.test.js: \
         Cannot find module './is-not-there' from 'broken.test.js'",
        ],
    );
}

#[test]
fn a_real_report_shows_each_result_of_a_loop() {
    check_real(
        "jest-loop/report.json",
        &[
            "Failed: shop/rates.test.js | converts: Error: USD rate missing",
            "Failed: shop/rates.test.js > database | stores the order: Error: the database does not answer",
            "Failed: shop/rates.test.js > database | finds the order: Error: the database does not answer",
            "Failed: shop/stock.test.js | converts: Error: GBP is out of stock",
        ],
    );
}

#[test]
fn how_a_test_ended() {
    let ending = |fields: &str| cases(&of(&format!(r#"{{"title":"t",{fields}}}"#))).0[0].ending;
    for (fields, want) in [
        (r#""status":"passed""#, Ending::Passed),
        (r#""status":"passed","failureMessages":[],"invocations":1"#, Ending::Passed),
        (r#""status":"focused""#, Ending::Passed),
        (r#""status":"passed","invocations":2"#, Ending::Flaky),
        (r#""status":"passed","failureMessages":["first"]"#, Ending::Flaky),
        (r#""status":"failed""#, Ending::Failed),
        (r#""status":"FAILED","invocations":2"#, Ending::Failed),
        (r#""status":"skipped","failureMessages":null"#, Ending::Skipped),
        (r#""status":"pending""#, Ending::Skipped),
        (r#""status":"pending","failureMessages":["it crashed"]"#, Ending::Error),
        (r#""status":"todo""#, Ending::Skipped),
        (r#""status":"disabled""#, Ending::Skipped),
        (r#""status":null"#, Ending::Skipped),
        (r#""status":null,"failureMessages":"why""#, Ending::Error),
        (r#""status":"exploded""#, Ending::Error),
        (r#""status":7"#, Ending::Error),
    ] {
        assert_eq!(ending(fields), want, "{fields}");
    }
}

#[test]
fn texts_are_kept_of_what_went_wrong_only() {
    let (cases, _) = cases(&of(concat!(
        r#"{"title":"a","status":"failed","failureMessages":["\u001b[31mone\u001b[0m\n    at a.js:1","two"]},"#,
        r#"{"title":"b","status":"passed","invocations":2,"retryReasons":["slow"]},"#,
        r#"{"title":"c","status":"passed","invocations":1,"retryReasons":["slow"]}"#,
    )));
    assert_eq!(
        cases[0].trouble.failures[0],
        Failure { text: "one\n    at a.js:1".into(), ..Failure::default() }
    );
    assert_eq!(cases[0].trouble.failures[1].text, "two");
    assert_eq!(cases[1].message().as_deref(), Some("slow"));
    assert!(cases[2].trouble.is_empty());
}

#[test]
fn a_test_is_named_by_its_titles_and_its_file_wherever_the_name_stands() {
    let test = r#"{"status":"failed","ancestorTitles":["","a","b"],"title":"t","failureMessages":["m"]}"#;
    let want = "Failed: shop/pay.test.js > a > b | t: m";
    check(&of(test), &[want]);
    check(
        &format!(r#"{{"testResults":[{{"name":"/srv/shop/pay.test.js","assertionResults":[{test}]}}]}}"#),
        &[want],
    );
    check(
        &of(r#"{"status":"failed","fullName":"a t","failureMessages":["m"]}"#),
        &["Failed: shop/pay.test.js | a t: m"],
    );
    check(r#"{"testResults":[{"assertionResults":[{"status":"failed","title":"t"}]}]}"#, &["Failed:  | t: "]);
}

#[test]
fn each_file_has_its_own_name() {
    let file = |name: &str| format!(r#"{{"assertionResults":[{{"title":"t","status":"failed"}}]{name}}}"#);
    let files = [file(r#","name":"a.js""#), file(""), file(r#","name":"c.js""#)].join(",");
    check(
        &format!(r#"{{"testResults":[{files}]}}"#),
        &["Failed: a.js | t: ", "Failed:  | t: ", "Failed: c.js | t: "],
    );
}

#[test]
fn a_file_with_more_tests_than_may_wait_has_its_name_too() {
    let test = |number: usize| format!(r#"{{"title":"t{number}","status":"passed"}}"#);
    let tests = |from: usize| (from..from + 5_000).map(test).collect::<Vec<_>>().join(",");
    let file =
        |name: &str, from: usize| format!(r#"{{"assertionResults":[{}],"name":"{name}"}}"#, tests(from));
    let report = format!(r#"{{"testResults":[{},{}]}}"#, file("a.js", 0), file("b.js", 5_000));
    let (cases, damage) = cases(&report);
    assert_eq!((cases.len(), damage), (10_000, None));
    for (number, case) in cases.iter().enumerate() {
        let file = if number < 5_000 { "a.js" } else { "b.js" };
        assert_eq!((case.name.as_str(), case.file.as_deref()), (format!("t{number}").as_str(), Some(file)));
    }
}

#[test]
fn a_file_that_failed_and_shows_no_failed_test_is_a_result() {
    let file = |fields: &str| format!(r#"{{"testResults":[{{"name":"/srv/shop/a.js",{fields}}}]}}"#);
    let error = |message: &str| format!("Error: shop/a.js | shop/a.js: {message}");
    check(&file(r#""status":"failed","message":"no module","assertionResults":[]"#), &[&error("no module")]);
    check(&file(r#""status":"failed","assertionResults":[{"title":"t","status":"passed"}]"#), &[&error("")]);
    // As older Vitest wrote it.
    check(&file(r#""assertionResults":[],"status":"passed","message":"no module""#), &[&error("no module")]);
    check(&file(r#""status":"passed","message":"","assertionResults":[]"#), &[]);
    check(&file(r#""status":"pending","assertionResults":[]"#), &[]);
    // Its message only repeats what its tests say.
    let failing = r#""assertionResults":[{"title":"t","status":"failed","failureMessages":["m"]}]"#;
    check(
        &file(&format!(r#"{failing},"status":"failed","message":"● t › m""#)),
        &["Failed: shop/a.js | t: m"],
    );
}

#[test]
fn what_jest_gives_its_own_reporters_is_read() {
    check(
        r#"{"numFailedTests":1,"numRuntimeErrorTestSuites":2,"testResults":[
            {"testFilePath":"/srv/shop/a.js","failureMessage":"● t","testExecError":null,
             "testResults":[{"title":"t","ancestorTitles":["s"],"status":"failed","failureMessages":["m"]}]},
            {"testFilePath":"/srv/shop/b.js","failureMessage":null,"testExecError":{"message":"no module"},"testResults":[]},
            {"testFilePath":"/srv/shop/c.js","testExecError":{"message":"","stack":"afterAll broke"},
             "testResults":[{"title":"t","status":"failed","failureMessages":["m"]}]}]}"#,
        &[
            "Failed: shop/a.js > s | t: m",
            "Error: shop/b.js | shop/b.js: no module",
            "Failed: shop/c.js | t: m",
            "Error: shop/c.js | shop/c.js: afterAll broke",
        ],
    );
}

#[test]
fn what_is_counted_and_not_shown_is_a_result() {
    let failing = r#"{"ancestorTitles":["s"],"title":"t","status":"failed","failureMessages":["m"]}"#;
    let report = |head: &str, tests: &str, tail: &str| {
        format!(r#"{{{head}"testResults":[{{"name":"a.js","assertionResults":[{tests}]}}]{tail}}}"#)
    };
    let test = "Failed: a.js > s | t: m";
    let sum = |what: &str| format!("Error:  | test run: {what}");
    check(&report(r#""numFailedTests":1,"numFailedTestSuites":1,"success":false,"#, failing, ""), &[test]);
    // A file and a suite in it.
    check(&report("", failing, r#","numFailedTestSuites":2"#), &[test]);
    let more = sum("the report counts 3 failed suites, of which it shows 2");
    check(&report(r#""numFailedTestSuites":3,"#, failing, ""), &[test, &more]);
    let more = sum("the report counts 2 failed tests, of which it shows 1");
    check(&report("", failing, r#","numFailedTests":2,"numFailedTestSuites":9"#), &[test, &more]);
    let more = sum("the report counts 1 file that failed to run, of which it shows 0");
    check(&report(r#""numRuntimeErrorTestSuites":1,"#, failing, ""), &[test, &more]);
    let nothing = sum("the report says that the run failed, and shows no failure");
    check(&report(r#""success":false,"#, "", ""), &[&nothing]);
    check(r#"{"numFailedTests":1}"#, &[&sum("the report counts 1 failed test, of which it shows 0")]);
    check(r#"{"numFailedTests":0,"success":true,"testResults":[]}"#, &[]);
}

#[test]
fn a_set_up_of_which_vitest_says_only_that_a_suite_failed_is_a_result() {
    // Vitest 4: three of the four are files, the fourth is `database`, whose `beforeAll` threw.
    check(
        r#"{"numTotalTestSuites":4,"numFailedTestSuites":4,"numFailedTests":2,"success":false,"testResults":[
            {"assertionResults":[],"status":"failed","message":"Cannot find module","name":"/srv/shop/broken.test.js"},
            {"assertionResults":[
                {"ancestorTitles":[],"status":"failed","title":"converts","failureMessages":["Error: USD rate missing"]},
                {"ancestorTitles":["database"],"status":"skipped","title":"stores the order","failureMessages":[]}],
             "status":"failed","message":"","name":"/srv/shop/rates.test.js"},
            {"assertionResults":[
                {"ancestorTitles":[],"status":"failed","title":"converts","failureMessages":["Error: GBP is out of stock"]}],
             "status":"failed","message":"","name":"/srv/shop/stock.test.js"}]}"#,
        &[
            "Error: shop/broken.test.js | shop/broken.test.js: Cannot find module",
            "Failed: shop/rates.test.js | converts: Error: USD rate missing",
            "Skipped: shop/rates.test.js > database | stores the order: ",
            "Failed: shop/stock.test.js | converts: Error: GBP is out of stock",
            "Error:  | test run: the report counts 4 failed suites, of which it shows 3",
        ],
    );
}

#[test]
fn a_test_has_its_own_time_or_the_runs() {
    let started = |test: &str, want: &str| {
        let report =
            format!(r#"{{"startTime":1795791123806,"testResults":[{{"assertionResults":[{test}]}}]}}"#);
        assert_eq!(cases(&report).0[0].stamp, Stamp::read(want), "{test}");
    };
    started(r#"{"title":"t","startAt":1795791124024}"#, "1795791124024");
    started(r#"{"title":"t","startAt":null}"#, "1795791123806");
    started(r#"{"title":"t"}"#, "1795791123806");
}

#[test]
fn an_odd_entry_costs_no_other() {
    let (cases, damage) = cases(&format!(
        "{{\"testResults\":[7,null,{{\"assertionResults\":\"none\"}},{{\"assertionResults\":null}},\n{{\"name\":[\"x\"],\
         \"assertionResults\":[null,{{}},[],{{\"title\":{{}},\"status\":[]}},{}]}}]}}",
        r#"{"title":5,"status":"failed","ancestorTitles":"s","failureMessages":{}}"#
    ));
    assert_eq!(shown(&cases), ["Failed: x > s | 5: "]);
    assert_eq!(
        damage.unwrap().to_string(),
        "line 1: no Jest JSON report: `testResults` is not what it is in Jest's"
    );
}

#[test]
fn reports_one_after_the_other_are_all_read() {
    let one = |name: &str| {
        format!(
            r#"{{"numFailedTests":2,"testResults":[{{"assertionResults":[{{"title":"t","status":"failed"}}],"name":"{name}"}}]}}"#
        )
    };
    let (cases, damage) = cases(&format!("{}\n{}", one("a.js"), one("b.js")));
    let sum = "Error:  | test run: the report counts 2 failed tests, of which it shows 1";
    assert_eq!(shown(&cases), ["Failed: a.js | t: ", sum, "Failed: b.js | t: ", sum]);
    assert_eq!(damage.unwrap().line, 2);
}

#[test]
fn what_is_no_report_is_refused() {
    for foreign in [
        "[]",
        "{}",
        "7",
        "[{\"testResults\":[]}]",
        "{\"testResults\":",
        "<a/>",
        "not json",
        "{\"results\":[]}",
    ] {
        assert!(
            matches!(read_all(foreign.as_bytes()), Err(Unfit::Foreign(place)) if place.fault != Fault::Empty),
            "{foreign}"
        );
    }
    assert!(matches!(read_all(b" \n"), Err(Unfit::Foreign(Place { fault: Fault::Empty, .. }))));
}

#[test]
fn a_cut_report_gives_what_was_whole() {
    let test = |title: &str| format!(r#"{{"title":"{title}","status":"failed","failureMessages":["m"]}}"#);
    let report = format!(
        r#"{{"numFailedTests":2,"testResults":[{{"assertionResults":[{},{}],"name":"a.js","status":"failed"}}]}}"#,
        test("one"),
        test("two")
    );
    let ends = ["one", "two"].map(|title| report.find(&test(title)).unwrap() + test(title).len());
    for cut in 0..report.len() {
        let Ok((cases, damage)) = read_all(&report.as_bytes()[..cut]) else {
            assert!(cut < ends[0], "{cut}");
            continue;
        };
        let titles: Vec<_> =
            cases.iter().map(|case| case.name.as_str()).filter(|name| *name != "test run").collect();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(titles, ["one", "two"][..whole], "{cut}");
        assert!(damage.is_some(), "{cut}");
    }
}

#[test]
fn hostile_input_is_bounded() {
    let deep = format!(r#"{{"testResults":[{{"assertionResults":[{}"#, "[".repeat(100_000));
    assert_eq!(cases(&deep).1.unwrap().fault, Fault::TooDeep);
    let long = "x".repeat(300_000);
    let titles = vec![format!("{:?}", &long[..5_000]); 1_000].join(",");
    let messages = vec![format!("{long:?}"); 10].join(",");
    let (cases, damage) = cases(&of(&format!(
        r#"{{"title":"{long}","status":"failed","ancestorTitles":[{titles}],"failureMessages":[{messages}]}}"#
    )));
    assert_eq!((cases.len(), damage), (1, None));
    assert!(cases[0].name.len() < 5_000 && cases[0].suite.as_deref().unwrap().len() < 5_000);
    assert!(
        cases[0].trouble.failures.iter().map(|failure| failure.text.len()).sum::<usize>() <= TEXT_BYTES_MAX
    );
    let counts = r#"{"numFailedTests":1e300,"numFailedTestSuites":-5,"numRuntimeErrorTestSuites":"NaN","success":"no"}"#;
    let (cases, _) = self::cases(counts);
    assert_eq!(cases.len(), 1);
}
