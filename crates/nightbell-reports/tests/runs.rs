//! Several reports read together: shards, matrices, and attempts of one run.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::ops::ControlFlow;
use std::path::Path;

use nightbell_core::event::Event;
use nightbell_reports::{Format, Input, Repeats, ReportOptions, Run, Summary};

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

/// What these reports give together, and what was said of each.
struct Told {
    events: Vec<Event>,
    summary: Summary,
    heard: Vec<Result<Summary, String>>,
}

impl Told {
    /// The events, as `test: message`.
    fn lines(&self) -> Vec<String> {
        let line =
            |event: &Event| format!("{}: {}", event.test, event.message.as_deref().unwrap_or_default());
        self.events.iter().map(line).collect()
    }
}

fn read(reports: &[String], repeats: Repeats, flaky: bool) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let inputs = reports.iter().enumerate().map(|(at, report)| {
        let format = if report.starts_with('{') { Format::Ctrf } else { Format::Junit };
        let path = folder.path().join(at.to_string());
        std::fs::write(&path, report).unwrap();
        Input { path, format }
    });
    let options = ReportOptions { project: "shop".into(), flaky, ..ReportOptions::default() };
    let mut heard = Vec::new();
    let root = format!("{}/", folder.path().display());
    let run = Run::survey(inputs.collect(), repeats, &options, |_: &Path, held| {
        heard.push(held.map_err(|error| error.to_string().replace(&root, "")));
    });
    let mut events = Vec::new();
    let wrong = run.events(|event| {
        events.push(event);
        ControlFlow::Continue(())
    });
    assert!(wrong.is_empty());
    assert_eq!(run.summary().events, events.len());
    Told { events, summary: run.summary(), heard }
}

fn alone(reports: &[String]) -> Vec<String> {
    read(reports, Repeats::InSuite, false).lines()
}

fn attempts(reports: &[String]) -> Vec<String> {
    read(reports, Repeats::AcrossFiles, false).lines()
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
    assert_eq!((told.lines(), told.summary.flaky), (vec!["t: x".to_owned()], 1));
    assert_eq!(told.events[0].tags, ["flaky"]);
}

#[test]
fn the_same_holds_for_two_suites_of_one_file() {
    let merged = format!(
        "<testsuites>{}{}</testsuites>",
        suite("a", 3, &failed("t", "x")),
        suite("a", 4, &passed("t"))
    );
    assert_eq!(alone(std::slice::from_ref(&merged)), ["t: x"]);
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
    assert_eq!(attempts(&[both.clone(), suite("firefox", 4, &passed("t"))]), ["t: c"]);
    assert_eq!(alone(&[both]), ["t: c", "t: f"]);
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
fn a_broken_report_counts_for_nothing_and_costs_no_other() {
    // It says that the test passed, and then ends too early.
    let broken = suite("a", 9, &passed("t")).replace("</testsuite>", "");
    let reports = [suite("a", 3, &failed("t", "x")), broken];
    for repeats in [Repeats::InSuite, Repeats::AcrossFiles] {
        let told = read(&reports, repeats, false);
        assert_eq!(told.lines(), ["t: x"]);
        assert!(told.heard[0].is_ok());
        assert_eq!(told.heard[1].as_ref().unwrap_err(), "1:1: it ends before `</testsuite>`");
    }
}

#[test]
fn a_reader_that_wants_no_more_gets_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    std::fs::write(&path, suite("a", 3, &[failed("t", "x"), failed("u", "y")].concat())).unwrap();
    let options = ReportOptions { project: "shop".into(), ..ReportOptions::default() };
    let input = Input { path, format: Format::Junit };
    let run =
        Run::survey(vec![input.clone(), input], Repeats::InSuite, &options, |_, held| assert!(held.is_ok()));
    let mut count = 0;
    let wrong = run.events(|_| {
        count += 1;
        ControlFlow::Break(())
    });
    assert_eq!((count, wrong.len()), (1, 0));
}
