//! What TRX gives.

use insta::assert_snapshot;

use super::{CLASSES_BYTES_MAX, Classes, key, read};
use crate::case::{Case, Ending};
use crate::fault::{Place, Unfit};
use crate::testing;

fn read_all(report: impl AsRef<[u8]>) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, report.as_ref())
}

fn data(file: &str) -> Vec<u8> {
    testing::real(&format!("trx/{file}"))
}

/// What went wrong, a line each.
fn lines(cases: &[Case]) -> String {
    testing::shown(cases.iter().filter(|case| case.ending.is_bad())).join("\n")
}

#[track_caller]
fn cases(report: impl AsRef<[u8]>) -> (Vec<Case>, Option<Place>) {
    read_all(report).unwrap_or_else(|unfit| panic!("{unfit:?}"))
}

#[track_caller]
fn sound(report: impl AsRef<[u8]>) -> String {
    let (cases, damage) = cases(report);
    assert_eq!(damage, None);
    lines(&cases)
}

/// A report of these results, and what comes after them.
fn report(results: &str, rest: &str) -> String {
    format!(
        "<TestRun xmlns='http://microsoft.com/schemas/VisualStudio/TeamTest/2010'><Results>{results}</Results>{rest}</TestRun>"
    )
}

fn result(name: &str, outcome: &str, inside: &str) -> String {
    format!("<UnitTestResult testId='{name}' testName='{name}' outcome='{outcome}'>{inside}</UnitTestResult>")
}

fn says(message: &str) -> String {
    format!(
        "<Output><ErrorInfo><Message>{message}</Message><StackTrace>at x</StackTrace></ErrorInfo></Output>"
    )
}

fn inner(results: &[String]) -> String {
    format!("<InnerResults>{}</InnerResults>", results.concat())
}

fn summary(outcome: &str, counters: &str, infos: &[(&str, &str)]) -> String {
    let info = |(outcome, text): &(&str, &str)| {
        format!("<RunInfo outcome='{outcome}'><Text>{text}</Text></RunInfo>")
    };
    let infos = infos.iter().map(info).collect::<String>();
    format!(
        "<ResultSummary outcome='{outcome}'><Counters {counters}/><RunInfos>{infos}</RunInfos></ResultSummary>"
    )
}

#[track_caller]
fn check(outcome: &str, inside: &str, want: Ending) {
    let (cases, _) = cases(report(&result("t", outcome, inside), ""));
    assert_eq!(cases.iter().map(|case| case.ending).collect::<Vec<_>>(), [want], "{outcome}");
}

#[test]
fn a_report_of_mstest_gives_each_failure_once() {
    let (all, damage) = cases(data("report.trx"));
    assert_eq!((all.len(), damage), (11, None));
    assert_snapshot!(lines(&all), @r#"
    Failed: Shop.Tests.ShopTests | GivesADiscount: Assert.AreEqual failed. Expected:<80>. Actual:<90>. the discount is <wrong> & more
    Failed: Shop.Tests.ShopTests | Divides: Test method Shop.Tests.ShopTests.Divides threw exception: System.DivideByZeroException: Attempted to divide by zero.
    Failed: Shop.Tests.ShopTests | Converts ("USD"): Assert.IsTrue failed. the rate of USD is missing
    Error: Shop.Tests.ShopTests | KeepsTheReceipt: the receipt could not be attached: disk full
    Failed: Shop.Tests.DatabaseTests | StoresTheOrder: Class Initialization method Shop.Tests.DatabaseTests.Connect threw exception. System.TimeoutException: the database does not answer.
    Failed: Shop.Tests.StockTests | AddsUp: Assert.AreEqual failed. Expected:<4>. Actual:<3>.
    "#);
    let discount = all.iter().find(|case| case.name == "GivesADiscount").unwrap();
    assert_snapshot!(discount.details().unwrap(), @r"
    at Shop.Tests.ShopTests.GivesADiscount() in /srv/shop/ShopTests.cs:line 21

    standard output:
    asked for the price
    ");
    assert_eq!(discount.stamp.exact(), Some("2026-11-27T14:51:49.2000000+00:00"));
}

#[test]
fn a_report_of_xunit_tells_no_failure_twice() {
    let (all, damage) = cases(data("xunit.trx"));
    assert_eq!((all.len(), damage), (6, None));
    assert_snapshot!(lines(&all), @r#"
    Failed: Shop.Tests.ShopTests | GivesADiscount: Assert.Equal() Failure: Values differ: Expected: 80, Actual:   90
    Failed: Shop.Tests.ShopTests | Converts(currency: "USD"): the rate of USD is missing
    Error:  | test run: [xUnit.net 00:00:00.44] [Test Class Cleanup Failure (Shop.Tests.DatabaseTests)]: System.InvalidOperationException: the connection was never opened
    "#);
}

#[test]
fn a_run_that_crashed_is_a_case() {
    let (all, damage) = cases(data("crash.trx"));
    assert_eq!((all.len(), damage), (2, None));
    assert_snapshot!(lines(&all), @r"Error:  | test run: The active test run was aborted. Reason: Test host process crashed : Stack overflow.");
}

#[test]
fn how_a_result_ended() {
    for passed in ["Passed", "passed", "PassedButRunAborted", "Warning", "Completed"] {
        check(passed, "", Ending::Passed);
    }
    for skipped in ["NotExecuted", "Inconclusive", "Pending"] {
        check(skipped, &says("later"), Ending::Skipped);
    }
    check("NotRunnable", "", Ending::Skipped);
    check("NotRunnable", &says("it has a parameter"), Ending::Error);
    check("Failed", "", Ending::Failed);
    for error in ["Error", "Timeout", "Aborted", "Disconnected", "InProgress", "Exploded", "", " "] {
        check(error, "", Ending::Error);
    }
}

#[test]
fn a_result_without_an_outcome_is_an_error() {
    assert_eq!(sound(report("<UnitTestResult testName='t'/>", "")), "Error:  | t: ");
    assert_eq!(sound(report("<UnitTestResult/>", "")), "Error:  | unnamed test: ");
}

#[test]
fn every_kind_of_result_is_read() {
    for kind in [
        "TestResult",
        "TestResultAggregation",
        "ManualTestResult",
        "WebTestResult",
        "GenericTestResult",
        "NewTestResult",
    ] {
        assert_eq!(
            sound(report(&format!("<{kind} testName='t' outcome='Failed'/>"), "")),
            "Failed:  | t: ",
            "{kind}"
        );
    }
}

fn definitions(tests: &[(&str, &str)]) -> String {
    let test = |(id, class): &(&str, &str)| {
        format!(
            "<UnitTest id='{id}'><Execution id='e'/><TestMethod className='{class}' name='m'/></UnitTest>"
        )
    };
    format!("<TestDefinitions>{}</TestDefinitions>", tests.iter().map(test).collect::<String>())
}

#[test]
fn a_test_is_named_by_the_class_of_its_definition() {
    let named = |name: &str, class: &str| {
        let id = format!("<UnitTestResult testId='ID-1' testName='{name}' outcome='Failed'/>");
        sound(report(&id, &definitions(&[("id-1", class)])))
    };
    assert_eq!(named("c", "a.B"), "Failed: a.B | c: ");
    assert_eq!(named("a.B.c(x: 1.5)", "a.B"), "Failed: a.B | c(x: 1.5): ");
    assert_eq!(named("c", "a.B, b, Version=1.0.0.0, Culture=neutral"), "Failed: a.B | c: ");
    assert_eq!(named("reads well", "a.B"), "Failed: a.B | reads well: ");
    assert_eq!(named("c", "a.B(1, 2.5)"), "Failed: a.B(1, 2.5) | c: ");
    assert_eq!(named("reads well", "a.B.c(1, 2"), "Failed: a.B | reads well: ");
    assert_eq!(named("a.B.c", ""), "Failed:  | a.B.c: ");
    // Visual Studio wrote the definitions before the results.
    let before = format!(
        "<TestRun>{}<Results>{}</Results></TestRun>",
        definitions(&[("t", "a.B")]),
        result("t", "Failed", "")
    );
    assert_eq!(sound(before), "Failed: a.B | t: ");
}

#[test]
fn what_a_result_says_is_kept() {
    let output = "<Output><StdOut>out</StdOut><StdErr>err</StdErr><DebugTrace>trace</DebugTrace><ErrorInfo><Message> m </Message>
        <StackTrace>  at x</StackTrace></ErrorInfo><TextMessages><Message>one</Message><Message>two</Message></TextMessages></Output>";
    let (all, _) =
        cases(report(&[result("t", "Failed", output), result("u", "Passed", output)].concat(), ""));
    let told = &all[0].trouble;
    assert_eq!((told.failures[0].message.as_str(), told.failures[0].text.as_str()), ("m", "at x"));
    assert_eq!(told.outputs, ["out\ntrace\none\ntwo\n".to_owned(), "err\n".to_owned()]);
    assert!(all[1].trouble.is_empty());
}

#[test]
fn the_sum_of_inner_results_is_no_case_unless_it_says_more() {
    let (one, two) = (result("1", "Passed", ""), result("2", "Failed", &says("m")));
    let sum = |outcome: &str, message: &str, rows: &[String]| {
        let own = if message.is_empty() { String::new() } else { says(message) };
        sound(report(&result("t", outcome, &format!("{own}{}", inner(rows))), ""))
    };
    assert_eq!(sum("Failed", "", &[one.clone(), two.clone()]), "Failed:  | 2: m");
    assert_eq!(sum("Failed", "m", &[one.clone(), two.clone()]), "Failed:  | 2: m");
    assert_eq!(sum("Passed", "", &[one.clone(), two.clone()]), "Failed:  | 2: m");
    assert_eq!(
        sum("Failed", "the clean-up failed", &[one.clone(), two.clone()]),
        "Failed:  | 2: m\nError:  | t: the clean-up failed"
    );
    assert_eq!(sum("Failed", "", std::slice::from_ref(&one)), "Error:  | t: ");
    assert_eq!(sum("Failed", "no data", &[]), "Failed:  | t: no data");
    // Sums of sums.
    let nested = result("u", "Failed", &inner(&[two]));
    assert_eq!(sum("Failed", "", &[nested]), "Failed:  | 2: m");
    // A sum that passed is no case either.
    let (all, _) = cases(report(&result("t", "Passed", &inner(&[one])), ""));
    assert_eq!(all.len(), 1);
}

#[test]
fn rows_of_one_name_are_told_apart() {
    let row = |number: u32| {
        format!(
            "<UnitTestResult testName='t' outcome='Failed' dataRowInfo='{number}' resultType='DataDrivenDataRow'/>"
        )
    };
    let (all, _) = cases(report(&result("t", "Failed", &inner(&[row(0), row(1)])), ""));
    let variants: Vec<_> = all.iter().map(Case::variant).collect();
    assert_eq!(variants, ["row 0", "row 1"]);
}

#[test]
fn what_is_counted_and_not_shown_is_one_case() {
    let (passed, failed) = (result("1", "Passed", ""), result("2", "Failed", ""));
    let sum = result("t", "Failed", &inner(&[passed, failed.clone(), failed.clone()]));
    let missing = |results: &str, counters: &str| {
        sound(report(results, &summary("Failed", counters, &[]))).contains("test run")
    };
    assert!(!missing(&failed, "failed='1'"));
    assert!(missing(&failed, "failed='2'"));
    assert!(missing(&failed, "failed='1' error='1'"));
    assert!(missing(&failed, "timeout='1' aborted='1'"));
    // Whether sums count, or rows, or both.
    for counted in 1..=3 {
        assert!(!missing(&sum, &format!("failed='{counted}'")), "{counted}");
    }
    assert!(missing(&sum, "failed='4'"));
    assert!(missing(&failed, "failed='1000000000'"));
    assert!(missing(&failed, "failed='18446744073709551615' error='18446744073709551615'"));
    assert!(!missing(&failed, "failed='-1' error='many'"));
    let told = sound(report(&failed, &summary("Failed", "failed='2'", &[])));
    assert_eq!(
        told.lines().last(),
        Some("Error:  | test run: the report counts 2 failed, of which it shows 1")
    );
}

#[test]
fn what_went_wrong_with_the_run_is_one_case() {
    let (passed, failed) = (result("1", "Passed", ""), result("2", "Failed", ""));
    let run = |results: &str, outcome: &str, infos: &[(&str, &str)]| {
        sound(report(results, &summary(outcome, "", infos)))
    };
    assert_eq!(run(&passed, "Completed", &[]), "");
    assert_eq!(run(&passed, "Completed", &[("Warning", "old")]), "");
    assert_eq!(run(&passed, "Failed", &[("Error", "crashed")]), "Error:  | test run: crashed");
    assert_eq!(
        run(&failed, "Failed", &[("Error", "crashed"), ("Error", "again")]),
        "Failed:  | 2: \nError:  | test run: crashed"
    );
    assert_eq!(run(&passed, "Failed", &[("Error", "")]), "Error:  | test run: the run had an error");
    // A run that says only that it failed.
    assert_eq!(run(&failed, "Failed", &[]), "Failed:  | 2: ");
    assert_eq!(
        run(&passed, "Failed", &[]),
        "Error:  | test run: the run ended as Failed, and shows no result that did"
    );
    assert_eq!(run(&failed, "Aborted", &[]).lines().count(), 2);
    assert_eq!(run(&result("3", "Aborted", ""), "Aborted", &[]).lines().count(), 1);
    // Visual Studio wrote the summary before the results.
    let before =
        format!("<TestRun>{}<Results>{failed}</Results></TestRun>", summary("Failed", "failed='1'", &[]));
    assert_eq!(sound(before), "Failed:  | 2: ");
}

#[test]
fn a_run_that_repeats_which_tests_failed_says_nothing_new() {
    let echo = ("Error", "[xUnit.net 00:00:00.74]     a.B.c [FAIL]");
    let run = |results: &str, infos: &[(&str, &str)]| sound(report(results, &summary("Failed", "", infos)));
    assert_eq!(run(&result("c", "Failed", ""), &[echo]), "Failed:  | c: ");
    assert_eq!(run(&result("c", "Failed", ""), &[echo, echo]).lines().count(), 2);
    assert_eq!(
        run(&result("c", "Passed", ""), &[echo]),
        "Error:  | test run: [xUnit.net 00:00:00.74]     a.B.c [FAIL]"
    );
}

#[test]
fn the_names_of_classes_are_bounded() {
    let mut classes = Classes::default();
    let long = "n".repeat(900);
    for number in 0..20_000 {
        classes.insert(number, &format!("{long}{number}"));
    }
    assert!(classes.bytes <= CLASSES_BYTES_MAX && classes.of.len() == classes.names.len());
    let mut classes = Classes::default();
    for number in 0..20_000 {
        classes.insert(number, &long);
    }
    assert_eq!((classes.of.len(), classes.names.len(), classes.bytes), (20_000, 1, 900));
}

#[test]
fn an_id_is_the_same_in_every_spelling() {
    let guid = key("59152ccf-42df-5108-af72-263ad7fc73b8");
    assert_eq!(guid, 0x5915_2ccf_42df_5108_af72_263a_d7fc_73b8);
    for same in [
        "59152CCF-42DF-5108-AF72-263AD7FC73B8",
        "{59152ccf-42df-5108-af72-263ad7fc73b8}",
        "59152ccf42df5108af72263ad7fc73b8",
    ] {
        assert_eq!(key(same), guid);
    }
    assert_eq!(key("Test 1"), key(" test 1"));
    assert_ne!(key("test 1"), key("test 2"));
    assert_ne!(key("1"), key("{1}"));
}

#[test]
fn a_result_that_is_cut_off_hides_no_later_one() {
    let cut =
        "<TestRun><Results><UnitTestResult testName='one' outcome='Failed'><Output><ErrorInfo><Message>m";
    let (all, damage) = cases(format!("{cut}{}", report(&result("two", "Failed", ""), "")));
    assert!(damage.is_some());
    assert_eq!(lines(&all), "Failed:  | two: \nFailed:  | one: m");
    // One that is not closed is no sum of those after it.
    let (all, _) = cases(format!(
        "<TestRun><Results><UnitTestResult testName='one' outcome='Failed'>{}",
        result("two", "Failed", "")
    ));
    assert_eq!(lines(&all), "Failed:  | two: \nFailed:  | one: ");
}

#[test]
fn a_report_cut_anywhere_gives_what_was_shown_before() {
    let rows = inner(&[result("ö", "Failed", &says("m")), result("b", "Passed", "")]);
    let results = [result("a", "Failed", &says("m")), result("t", "Failed", &rows)].concat();
    let whole = report(
        &results,
        &format!("{}{}", definitions(&[("a", "a.B")]), summary("Failed", "failed='3'", &[("Error", "e")])),
    );
    for end in 0..whole.len() {
        let Ok((some, damage)) = read_all(&whole.as_bytes()[..end]) else { continue };
        let closed = whole[..whole.floor_char_boundary(end)].matches("</ErrorInfo>").count();
        assert!(some.iter().filter(|case| case.ending.is_bad()).count() >= closed, "{end}");
        assert!(damage.is_some(), "{end}");
    }
    assert_eq!(lines(&cases(&whole).0), "Failed: a.B | a: m\nFailed:  | ö: m\nError:  | test run: e");
}

#[test]
fn hostile_reports_are_bounded() {
    let deep = "<UnitTestResult outcome='Failed'><InnerResults>".repeat(1_000);
    let (all, damage) = cases(report(&deep, ""));
    assert!(damage.is_some() && all.len() < 60);
    let long = "n".repeat(3_000_000);
    let (all, _) = cases(report(&result(&long, "Failed", &says(&long)), &definitions(&[(&long, &long)])));
    assert!(
        all[0].name.len() < 5_000 && all[0].trouble.failures[0].message.len() <= crate::case::TEXT_BYTES_MAX
    );
    let (all, _) = cases(report(
        &result("t", "Failed", &says("m").repeat(10_000)),
        &summary("Failed", "", &[("Error", "e"); 10_000]),
    ));
    assert_eq!(all.iter().map(|case| case.trouble.failures.len()).collect::<Vec<_>>(), [20, 20]);
}

#[test]
fn what_is_no_such_report_is_refused() {
    for foreign in ["", " ", "<testsuites/>", "{}"] {
        assert!(read_all(foreign).is_err(), "{foreign}");
    }
}
