//! What xUnit.net's XML gives, in its versions.

use insta::assert_snapshot;

use super::read;
use crate::case::{Case, Ending};
use crate::fault::{Place, Unfit};
use crate::testing;

fn read_all(report: impl AsRef<[u8]>) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, report.as_ref())
}

fn data(file: &str) -> Vec<u8> {
    testing::real(&format!("xunit/{file}"))
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

/// A report of one class with these tests.
fn report(tests: &str) -> String {
    format!(
        "<assemblies><assembly name='/srv/a.dll'><collection name='c'>{tests}</collection></assembly></assemblies>"
    )
}

#[track_caller]
fn check(test: &str, want: Option<Ending>) {
    let (cases, _) = cases(report(test));
    assert_eq!(cases.first().map(|case| case.ending), want, "{test}");
}

#[test]
fn a_report_of_version_2_gives_each_failure_once() {
    let (all, damage) = cases(data("xunit2.xml"));
    assert_eq!((all.len(), damage), (10, None));
    assert_snapshot!(lines(&all), @r#"
    Error: Shop.Tests.DatabaseTests | Shop.Tests.DatabaseTests: System.InvalidOperationException : the connection was never opened
    Failed: Shop.Tests.ShopTests | GivesADiscount: Assert.Equal() Failure: Values differ: Expected: 80, Actual:   90
    Failed: Shop.Tests.ShopTests | Divides: System.DivideByZeroException : Attempted to divide by zero.
    Failed: Shop.Tests.ShopTests | Converts(currency: "USD"): the rate of USD is missing
    Failed: Shop.Tests.DatabaseTests | StoresTheOrder: System.AggregateException : One or more errors occurred. (Class fixture type 'Shop.Tests.Database' threw in its constructor)
    Failed: Shop.Tests.StockTests | AddsUp: Assert.Equal() Failure: Values differ: Expected: 4, Actual:   3
    "#);
}

#[test]
fn a_report_of_xunit_3_has_files_and_times() {
    let (all, damage) = cases(data("xunit3.xml"));
    assert_eq!((all.len(), damage), (4, None));
    assert_snapshot!(lines(&all), @r"
    Error:  | Shop.Tests.dll: System.IO.IOException : the log could not be closed
    Failed: Shop.Tests.ShopTests | GivesADiscount: Assert.Equal() Failure: Values differ: Expected: 80, Actual:   90
    ");
    assert_eq!(all[2].file.as_deref(), Some("/srv/shop/ShopTests.cs"));
    assert_eq!(all[2].stamp.exact(), Some("2026-11-27T14:51:49.1230000+00:00"));
    assert_eq!(all[3].ending, Ending::Skipped);
}

#[test]
fn a_report_of_version_1_has_classes() {
    let (all, damage) = cases(data("xunit1.xml"));
    assert_eq!((all.len(), damage), (4, None));
    assert_snapshot!(lines(&all), @r"
    Failed: Shop.Tests.ShopTests | GivesADiscount: Assert.Equal() Failure: Expected: 80, Actual:   90
    Error: Shop.Tests.DatabaseTests | Shop.Tests.DatabaseTests: System.TimeoutException : the database does not answer
    ");
    assert_eq!(all[0].stamp.exact(), Some("2026-11-27T14:51:49"));
}

#[test]
fn how_a_test_ended() {
    check("<test name='t' result='Pass'/>", Some(Ending::Passed));
    check("<test name='t' result='Skip'><reason>r</reason></test>", Some(Ending::Skipped));
    check("<test name='t' result='NotRun'/>", Some(Ending::Skipped));
    check("<test name='t' result='Fail'/>", Some(Ending::Failed));
    check("<test name='t' result='FAIL'/>", Some(Ending::Failed));
    check("<test name='t' result='Exploded'/>", Some(Ending::Error));
    check("<test name='t'><failure/></test>", Some(Ending::Failed));
    check("<test name='t' result='Pass'><failure/></test>", Some(Ending::Failed));
    check("<test name='t'/>", Some(Ending::Skipped));
    check("<test/>", Some(Ending::Skipped));
}

#[test]
fn a_test_is_named_by_its_class_and_its_own_name() {
    let name = |attributes: &str| sound(report(&format!("<test {attributes} result='Fail'/>")));
    assert_eq!(name("name='a.B.c(x: 1)' type='a.B' method='c'"), "Failed: a.B | c(x: 1): ");
    assert_eq!(name("name='reads well' type='a.B' method='c'"), "Failed: a.B | reads well: ");
    assert_eq!(name("type='a.B' method='c'"), "Failed: a.B | c: ");
    assert_eq!(name("name='a.B.c'"), "Failed:  | a.B.c: ");
    assert_eq!(name(""), "Failed:  | unnamed test: ");
}

#[test]
fn what_a_failure_says_is_kept_and_what_a_pass_printed_is_not() {
    let failure =
        "<failure exception-type='E'><message> m&lt;1&gt; </message><stack-trace>s</stack-trace></failure>";
    let (cases, _) = cases(report(&format!(
        "<test name='a' result='Fail'>{failure}<output>out</output></test><test name='b' result='Pass'><output>out</output></test>"
    )));
    let told = &cases[0].trouble;
    assert_eq!((told.failures[0].message.as_str(), told.failures[0].text.as_str()), ("m<1>", "s"));
    assert_eq!((told.failures[0].kind.as_str(), told.outputs[0].as_str()), ("E", "out"));
    assert!(cases[1].trouble.is_empty());
}

#[test]
fn what_is_counted_and_not_shown_is_one_case() {
    let whole =
        |counts: &str, tests: &str| sound(format!("<assembly name='/a/b.dll' {counts}>{tests}</assembly>"));
    let failed = "<collection failed='1'><test name='t' result='Fail'/></collection>";
    assert_eq!(whole("failed='1'", failed), "Failed:  | t: ");
    assert_eq!(
        whole("failed='3'", failed),
        "Failed:  | t: \nError:  | b.dll: it counts 3 failed, of which it shows 1"
    );
    assert_eq!(whole("errors='1'", ""), "Error:  | b.dll: it counts 1 failed, of which it shows 0");
    assert_eq!(whole("failed='1000000000' errors='-1'", "").lines().count(), 1);
    assert_eq!(whole("failed='18446744073709551615' errors='18446744073709551615'", "").lines().count(), 1);
    assert_eq!(whole("failed='many'", ""), "");
    // What is missing in a collection is not missed once more in its assembly.
    assert_eq!(whole("failed='2'", "<collection name='c' failed='2'/>").lines().count(), 1);
}

#[test]
fn two_assemblies_with_the_same_tests_are_told_apart() {
    let assembly = |path: &str| format!("<assembly name='{path}'><test name='t' result='Fail'/></assembly>");
    let (cases, _) = cases(format!(
        "<assemblies>{}{}</assemblies>",
        assembly("/s/net8/a.dll"),
        assembly(r"C:\s\net9\a.dll")
    ));
    let variants: Vec<_> = cases.iter().map(Case::variant).collect();
    assert_eq!(variants, ["net8/a.dll", "net9/a.dll"]);
}

#[test]
fn an_error_that_is_cut_off_hides_no_test_after_it() {
    let cut = "<assemblies><assembly><errors><error type='fatal'><failure><message>m";
    let whole = report("<test name='t' result='Fail'/>");
    let (all, damage) = cases(format!("{cut}{whole}"));
    assert!(damage.is_some());
    assert_eq!(lines(&all), "Error:  | test run: m\nFailed:  | t: ");
    let (all, _) = cases(format!("<assembly><class name='a.B'><failure><message>m{whole}"));
    assert_eq!(lines(&all), "Failed:  | t: \nError: a.B | a.B: m");
}

#[test]
fn a_report_cut_anywhere_gives_what_was_shown_before() {
    let whole = String::from_utf8(data("xunit2.xml")).unwrap();
    let all = cases(&whole).0;
    let mut before = 0;
    for end in 0..whole.len() {
        let Ok((some, damage)) = read_all(&whole.as_bytes()[..end]) else { continue };
        let bad = some.iter().filter(|case| case.ending.is_bad()).count();
        let closed = whole[..whole.floor_char_boundary(end)].matches("</failure>").count();
        assert!(bad >= closed, "{end}: {bad} of {closed}");
        assert!(damage.is_some() || end + 2 > whole.len(), "{end}");
        before = before.max(bad);
    }
    assert_eq!(before, all.iter().filter(|case| case.ending.is_bad()).count());
}

#[test]
fn hostile_reports_are_bounded() {
    let deep = "<assembly>".repeat(1_000);
    assert!(cases(&deep).1.is_some());
    let long = "n".repeat(3_000_000);
    let (all, _) =
        cases(report(&format!("<test name='{long}' type='{long}' result='Fail'><failure><message>{long}")));
    assert!(
        all[0].name.len() < 5_000 && all[0].trouble.failures[0].message.len() <= crate::case::TEXT_BYTES_MAX
    );
    let many = "<failure><message>m</message></failure>".repeat(10_000);
    let (all, _) = cases(report(&format!("<test name='t' result='Fail'>{many}</test>")));
    assert_eq!((all.len(), all[0].trouble.failures.len()), (1, 20));
}

#[test]
fn what_is_no_such_report_is_refused() {
    for foreign in ["", " ", "<testsuites/>", "{}"] {
        assert!(read_all(foreign).is_err(), "{foreign}");
    }
}
