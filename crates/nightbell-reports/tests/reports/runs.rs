//! Several reports read together: shards, matrices, and attempts of one run.

use std::ops::ControlFlow;

use nightbell_reports::{Reading, Repeats, ReportOptions};

use crate::support::{Told, input, options, read as read_inputs};

/// A suite of one host at one hour.
fn suite(host: &str, hour: u32, cases: &str) -> String {
    format!(
        "<testsuite name='s' hostname='{host}' timestamp='2026-11-21T{hour:02}:00:00'>{cases}</testsuite>"
    )
}

fn passed(test: &str) -> String {
    format!("<testcase name='{test}'/>")
}

fn skipped(test: &str) -> String {
    format!("<testcase name='{test}'><skipped/></testcase>")
}

fn failed(test: &str, message: &str) -> String {
    format!("<testcase name='{test}'><failure message='{message}'/></testcase>")
}

fn read(reports: &[String], repeats: Repeats, flaky: bool) -> Told {
    let inputs = reports.iter().enumerate().map(|(at, report)| input(&at.to_string(), report));
    read_inputs(inputs.collect(), repeats, ReportOptions { flaky, ..options() })
}

/// The events, as `test: message`.
fn lines(told: &Told) -> Vec<String> {
    told.lines().iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

fn alone(reports: &[String]) -> Vec<String> {
    lines(&read(reports, Repeats::Declared, false))
}

fn attempts(reports: &[String]) -> Vec<String> {
    lines(&read(reports, Repeats::AcrossFiles, false))
}

#[test]
fn shards_give_the_failures_of_all() {
    let shards =
        [suite("a", 3, &failed("t", "x")), suite("b", 3, &failed("u", "y")), suite("c", 3, &passed("v"))];
    assert_eq!(alone(&shards), ["t: x", "u: y"]);
    assert_eq!(attempts(&shards), ["t: x", "u: y"]);
}

#[test]
fn a_pass_elsewhere_hides_no_failure_unless_it_is_a_later_attempt() {
    let reports = [suite("a", 3, &failed("t", "x")), suite("b", 4, &passed("t"))];
    assert_eq!(alone(&reports), ["t: x"]);
    assert!(attempts(&reports).is_empty());
    let told = read(&reports, Repeats::AcrossFiles, true);
    assert_eq!((lines(&told), told.summary.flaky), (vec!["t: x".to_owned()], 1));
    assert_eq!(told.events[0].tags, ["flaky"]);
}

#[test]
fn the_same_holds_for_two_suites_of_one_file() {
    let merged = format!(
        "<testsuites>{}{}</testsuites>",
        suite("a", 3, &failed("t", "x")),
        suite("a", 4, &passed("t"))
    );
    assert_eq!(alone(std::slice::from_ref(&merged)), ["t #1: x"]);
    assert!(attempts(&[merged]).is_empty());
}

#[test]
fn the_later_attempt_counts_in_whatever_order_the_files_are_given() {
    let (first, second) = (suite("a", 3, &failed("t", "x")), suite("a", 4, &failed("t", "y")));
    assert_eq!(attempts(&[first.clone(), second.clone()]), ["t: y"]);
    assert_eq!(attempts(&[second, first]), ["t: y"]);
    let timeless = |case: &str| format!("<testsuite name='s'>{case}</testsuite>");
    assert_eq!(attempts(&[timeless(&failed("t", "x")), timeless(&failed("t", "y"))]), ["t: y"]);
}

#[test]
fn a_test_that_was_not_run_again_has_not_passed() {
    let reports = [suite("a", 3, &failed("t", "x")), suite("a", 4, &skipped("t"))];
    assert_eq!(attempts(&reports), ["t: x"]);
    assert_eq!(attempts(&[suite("a", 3, &failed("t", "x")), suite("a", 4, "")]), ["t: x"]);
}

#[test]
fn two_browsers_in_one_file_stay_two_and_each_has_its_attempts() {
    let both = format!(
        "<testsuites>{}{}</testsuites>",
        suite("chromium", 3, &failed("t", "c")),
        suite("firefox", 3, &failed("t", "f"))
    );
    assert_eq!(attempts(&[both.clone(), suite("firefox", 4, &passed("t"))]), ["t (chromium): c"]);
    assert_eq!(alone(&[both]), ["t (chromium): c", "t (firefox): f"]);
}

#[test]
fn ctrf_attempts_are_known_by_their_start() {
    let report = |status: &str, start: u64| {
        format!(r#"{{"results":{{"tests":[{{"name":"t","status":"{status}","start":{start}}}]}}}}"#)
    };
    let (first, second) = (report("failed", 1_795_302_942_901), report("passed", 1_795_302_942_902));
    assert_eq!(alone(&[first.clone(), second.clone()]).len(), 1);
    assert!(attempts(&[second.clone(), first.clone()]).is_empty());
    assert_eq!(read(&[first, second], Repeats::AcrossFiles, false).summary.flaky, 1);
}

#[test]
fn the_passes_of_a_damaged_report_prove_nothing_and_its_failures_count() {
    let whole = suite("a", 9, &[passed("t"), failed("u", "y")].concat());
    let damaged = whole.replace("</testsuite>", "");
    let told = read(&[suite("a", 3, &failed("t", "x")), damaged], Repeats::AcrossFiles, false);
    assert_eq!(
        lines(&told),
        ["t: x", "u: y", "report 1: report damaged at line 1: 2 cases read: it ends before `</testsuite>`"]
    );
    assert!(told.is_damaged());
}

#[test]
fn what_is_no_report_costs_no_other() {
    let reports = [suite("a", 3, &failed("t", "x")), "<html/>".to_owned()];
    for repeats in [Repeats::Declared, Repeats::AcrossFiles] {
        let told = read(&reports, repeats, false);
        assert_eq!(lines(&told), ["t: x"]);
        assert!(told.heard[0].is_ok() && told.heard[1].is_err());
    }
}

#[test]
fn of_two_files_with_one_test_that_fails_in_both_each_is_told() {
    let reports = [
        suite("a", 3, &failed("t", "x")),
        suite("b", 3, &failed("t", "y")),
        suite("c", 3, &failed("t", "y")),
    ];
    let told = read(&reports, Repeats::Declared, false);
    assert_eq!(lines(&told), ["t: x", "t (1): y", "t (2): y"]);
    let ids: std::collections::HashSet<_> = told.ids().into_iter().collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(read(&reports, Repeats::Declared, false).ids(), told.ids());
}

#[test]
fn a_reader_that_wants_no_more_gets_no_more() {
    let report = || input("a.xml", suite("a", 3, &[failed("t", "x"), failed("u", "y")].concat()));
    let mut count = 0;
    let mut reading = Reading::new(Repeats::Declared, options());
    let flow = reading.read(vec![report(), report()], &mut |_, held| assert!(held.is_ok()), &mut |_| {
        count += 1;
        ControlFlow::Break(())
    });
    assert_eq!((count, flow.is_break()), (1, true));
}
