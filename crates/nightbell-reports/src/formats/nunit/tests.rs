//! What NUnit's XML gives, in its versions.

use insta::assert_snapshot;

use super::read;
use crate::case::{Case, Ending};
use crate::fault::{Place, Unfit};
use crate::testing;

fn read_all(report: impl AsRef<[u8]>) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, report.as_ref())
}

fn data(file: &str) -> Vec<u8> {
    testing::real(&format!("nunit/{file}"))
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

/// A suite of NUnit 3 with its failure.
fn suite(attributes: &str, message: &str, inside: &str) -> String {
    let failure = format!("<failure><message><![CDATA[{message}]]></message></failure>");
    let failure = if message.is_empty() { "" } else { &failure };
    format!(
        "<test-suite type='TestFixture' name='B' fullname='a.B' {attributes}>{failure}{inside}</test-suite>"
    )
}

fn run(inside: &str) -> String {
    format!("<test-run>{inside}</test-run>")
}

const FAILED: &str = "<test-case name='c' classname='a.B' result='Failed'/>";
const CHILD: &str = "One or more child tests had errors";

#[track_caller]
fn check(case: &str, want: Ending) {
    let (cases, _) = cases(run(case));
    assert_eq!(cases.iter().map(|case| case.ending).collect::<Vec<_>>(), [want], "{case}");
}

#[test]
fn a_report_of_nunit_3_gives_each_failure_once() {
    let (all, damage) = cases(data("nunit3.xml"));
    assert_eq!((all.len(), damage), (10, None));
    assert_snapshot!(lines(&all), @r#"
    Error: Shop.Tests.DatabaseTests | StoresTheOrder: OneTimeSetUp: System.TimeoutException : the database does not answer
    Error: Shop.Tests.DatabaseTests | DatabaseTests: OneTimeSetUp: System.TimeoutException : the database does not answer
    Failed: Shop.Tests.ShopTests | Converts("USD"): the rate of USD is missing
    Error: Shop.Tests.ShopTests | Divides: System.DivideByZeroException : Attempted to divide by zero.
    Failed: Shop.Tests.ShopTests | GivesADiscount: the discount is <wrong> & more
    Failed: Shop.Tests.StockTests | AddsUp: Expected: 4, But was:  3
    "#);
    let discount = all.iter().find(|case| case.name == "GivesADiscount").unwrap();
    assert!(discount.details().unwrap().contains("asked for the price"));
    assert_eq!(discount.stamp.exact(), Some("2026-11-27 14:51:49Z"));
}

#[test]
fn a_report_of_nunit_2_gives_each_failure_once() {
    let (all, damage) = cases(data("nunit25.xml"));
    assert_eq!((all.len(), damage), (11, None));
    assert_snapshot!(lines(&all), @r#"
    Failed: Shop.Tests.DatabaseTests | StoresTheOrder: TestFixtureSetUp failed in DatabaseTests
    Error: Shop.Tests.DatabaseTests | DatabaseTests: SetUp : System.TimeoutException : the database does not answer
    Failed: Shop.Tests.ShopTests | Converts("USD"): the rate of USD is missing
    Error: Shop.Tests.ShopTests | Divides: System.DivideByZeroException : Attempted to divide by zero.
    Failed: Shop.Tests.ShopTests | GivesADiscount: Expected: 80, But was:  90
    Error: Shop.Tests.ShopTests | WrapsAsAGift: No arguments were provided
    Failed: Shop.Tests.StockTests | AddsUp: Expected: 4, But was:  3
    "#);
    assert_eq!(all[0].stamp.exact(), Some("2026-11-27T14:51:49"));
}

#[test]
fn how_a_test_of_nunit_3_ended() {
    check("<test-case name='c' result='Passed'/>", Ending::Passed);
    check("<test-case name='c' result='Failed'/>", Ending::Failed);
    check("<test-case name='c' result='Failed' label='Error'/>", Ending::Error);
    check("<test-case name='c' result='Failed' label='Cancelled'/>", Ending::Error);
    check("<test-case name='c' result='Failed' label='Invalid' runstate='NotRunnable'/>", Ending::Error);
    check("<test-case name='c' result='Failed' site='SetUp'/>", Ending::Error);
    check("<test-case name='c' result='Failed' site='Parent'/>", Ending::Error);
    check(
        "<test-case name='c' result='Skipped' label='Ignored'><reason><message>m</message></reason></test-case>",
        Ending::Skipped,
    );
    check("<test-case name='c' result='Skipped' label='Explicit'/>", Ending::Skipped);
    check("<test-case name='c' result='Skipped' label='Invalid'/>", Ending::Error);
    check(
        "<test-case name='c' result='Inconclusive'><reason><message>m</message></reason></test-case>",
        Ending::Skipped,
    );
    check(
        "<test-case name='c' result='Warning'><failure><message>m</message></failure></test-case>",
        Ending::Passed,
    );
    check("<test-case name='c' result='Failed(Child)'/>", Ending::Failed);
    check("<test-case name='c' result='Skipped:Ignored'/>", Ending::Skipped);
    check("<test-case name='c' result='Exploded'/>", Ending::Error);
    check("<test-case name='c'><failure><message>m</message></failure></test-case>", Ending::Failed);
    check(
        "<test-case name='c' result='Passed'><failure><message>m</message></failure></test-case>",
        Ending::Failed,
    );
    check("<test-case/>", Ending::Skipped);
}

#[test]
fn how_a_test_of_nunit_2_ended() {
    for (attributes, want) in [
        ("executed='True' result='Success' success='True'", Ending::Passed),
        ("executed='True' result='Failure' success='False'", Ending::Failed),
        ("executed='True' result='Error' success='False'", Ending::Error),
        ("executed='True' result='Cancelled' success='False'", Ending::Error),
        ("executed='True' result='Inconclusive' success='False'", Ending::Skipped),
        ("executed='False' result='Ignored'", Ending::Skipped),
        ("executed='False' result='NotRunnable'", Ending::Error),
        ("executed='False' result='Invalid'", Ending::Error),
        ("executed='True' success='True'", Ending::Passed),
        ("executed='True' success='False'", Ending::Failed),
        ("executed='False'", Ending::Skipped),
    ] {
        check(&format!("<test-case name='a.B.c' {attributes}/>"), want);
    }
}

#[test]
fn a_suite_that_failed_by_what_is_in_it_is_no_case() {
    assert_eq!(sound(run(&suite("result='Failed' site='Child'", CHILD, FAILED))), "Failed: a.B | c: ");
    assert_eq!(sound(run(&suite("result='Failed'", CHILD, FAILED))), "Failed: a.B | c: ");
    assert_eq!(
        sound(run(&suite("result='Failure' success='False'", "Child test failed", FAILED))),
        "Failed: a.B | c: "
    );
    assert_eq!(
        sound(run(&suite("result='Failed' site='Parent'", "OneTimeSetUp: m", FAILED))),
        "Failed: a.B | c: "
    );
    assert_eq!(
        sound(run(&suite("result='Warning' site='Child'", "One or more child tests had warnings", ""))),
        ""
    );
}

#[test]
fn a_suite_that_failed_by_itself_is_a_case() {
    let inside = |attributes: &str| sound(run(&suite(attributes, "OneTimeSetUp: m", FAILED)));
    let both = "Failed: a.B | c: \nError: a.B | B: OneTimeSetUp: m";
    assert_eq!(inside("result='Failed' label='Error' site='SetUp'"), both);
    assert_eq!(inside("result='Failed' label='Error' site='TearDown'"), both);
    assert_eq!(inside("result='Failed' label='Invalid' runstate='NotRunnable'"), both);
    assert_eq!(inside("result='Failed'"), both);
    let reason = "<reason><message>no suitable constructor</message></reason>";
    assert_eq!(
        sound(run(&suite("executed='False' result='NotRunnable'", "", reason))),
        "Error: a.B | B: no suitable constructor"
    );
    let assembly = "<test-suite type='Assembly' name='b.dll' fullname='/s/b.dll' runstate='NotRunnable' result='Failed' label='Invalid'>
        <failure><message>File not found</message></failure></test-suite>";
    assert_eq!(sound(run(assembly)), "Error:  | b.dll: File not found");
}

#[test]
fn a_suite_that_failed_and_shows_no_failure_is_a_case() {
    let passed = "<test-case name='c' classname='a.B' result='Passed'/>";
    assert_eq!(
        sound(run(&suite("result='Failed' site='Child'", CHILD, passed))),
        format!("Error: a.B | B: {CHILD}")
    );
    assert_eq!(
        sound(run(&suite("result='Failed'", "", ""))),
        "Error: a.B | B: it failed, and shows no test that did"
    );
    assert_eq!(
        sound("<test-run result='Failed'/>"),
        "Error:  | test run: it failed, and shows no test that did"
    );
    // The suites around it say nothing more.
    let outer =
        format!("<test-suite name='o' result='Failed'>{}</test-suite>", suite("result='Failed'", "", ""));
    assert_eq!(sound(format!("<test-run result='Failed'>{outer}</test-run>")).lines().count(), 1);
}

#[test]
fn what_is_counted_and_not_shown_is_one_case() {
    let missing =
        |counted: &str, shown: u64| format!("it counts {counted} failed, of which it shows {shown}");
    let whole = |inside: &str| sound(format!("<test-run failed='2' result='Failed'>{inside}</test-run>"));
    assert_eq!(whole(&FAILED.repeat(2)).lines().count(), 2);
    assert_eq!(whole(FAILED), format!("Failed: a.B | c: \nError:  | test run: {}", missing("2", 1)));
    // What is missing in a suite is not missed once more around it.
    assert_eq!(whole(&suite("failed='2' result='Failed' site='Child'", "", "")).lines().count(), 1);
    let old = |counts: &str| sound(format!("<test-results {counts}>{FAILED}</test-results>"));
    assert_eq!(old("errors='0' failures='1' not-run='5'"), "Failed: a.B | c: ");
    assert_eq!(
        old("errors='1' failures='1' invalid='1'").lines().last().unwrap(),
        format!("Error:  | test run: {}", missing("3", 1))
    );
    assert_eq!(old("failures='1000000000'").lines().count(), 2);
    assert_eq!(old("errors='18446744073709551615' failures='18446744073709551615'").lines().count(), 2);
    assert_eq!(old("failures='-1' errors='many'"), "Failed: a.B | c: ");
}

#[track_caller]
fn named(around: &str, attributes: &str, want: &str) {
    let case = format!("<test-case {attributes} result='Failed'/>");
    let report = if around.is_empty() { case } else { format!("<test-suite {around}>{case}</test-suite>") };
    let line = sound(run(&report));
    assert_eq!(
        line.strip_prefix("Failed: ").and_then(|line| line.strip_suffix(": ")),
        Some(want),
        "{attributes}"
    );
}

#[test]
fn a_test_of_nunit_3_is_named_by_its_class_and_its_own_name() {
    named("", "name='c(1.5)' fullname='a.B.c(1.5)' classname='a.B'", "a.B | c(1.5)");
    named("", "name='c' fullname='a.B.c'", "a.B | c");
    named("", "name='c' classname='a.B'", "a.B | c");
    named("", "name='reads well' fullname='a.B.reads well' classname='a.B'", "a.B | reads well");
    named("", "methodname='c' classname='a.B'", "a.B | c");
    // A fixture with arguments.
    named("", "name='c' fullname='a.B(\"x\").c' classname='a.B'", "a.B(\"x\") | c");
    named("", "name='c' fullname='a.B&lt;Int32&gt;.c' classname='a.B`1'", "a.B<Int32> | c");
    // As xUnit.net writes it: the row stands in the full name alone.
    named("", "name='c' fullname='a.B.c(x: 1)' methodname='c' classname='a.B'", "a.B | c(x: 1)");
    named("", "name='c' fullname='reads well' methodname='c' classname='a.B'", "a.B | reads well");
    named("type='TestFixture' name='B' fullname='a.B'", "name='c'", "a.B | c");
    named("", "", " | unnamed test");
}

#[test]
fn a_test_of_nunit_2_is_named_by_its_full_name() {
    named("", "name='a.B.c(\"x.y\")'", "a.B | c(\"x.y\")");
    named("type='TestFixture' name='B(\"1.5\")'", "name='a.B(\"1.5\").c(2.5)'", "a.B(\"1.5\") | c(2.5)");
    named("type='TestFixture' name='B'", "name='c'", "B | c");
    // Others write this format too.
    named("name='a page'", "name='loads e.g. fast'", "a page | loads e.g. fast");
    named("name='a page'", "name='loads'", "a page | loads");
    let nested = "<test-results><test-suite type='Assembly' name='C:\\s\\b.dll'><results><test-suite type='Namespace' name='a'>
        <results><test-suite type='TestFixture' name='B' result='Error'><failure><message>m</message></failure></test-suite></results>
        </test-suite></results></test-suite></test-results>";
    assert_eq!(sound(nested), "Error: a.B | B: m");
}

#[test]
fn what_a_failure_says_is_kept() {
    let texts = "<failure><message>m</message><stack-trace>s</stack-trace></failure><output>out</output>";
    let (all, _) = cases(run(&format!("<test-case name='c' result='Failed'>{texts}</test-case>")));
    let told = &all[0].trouble;
    assert_eq!((told.failures[0].message.as_str(), told.failures[0].text.as_str()), ("m", "s"));
    assert_eq!(told.outputs[0], "out");
    // Of several assertions the first is read out.
    let several =
        "<failure><message>Multiple failures or warnings in test:\n  1) one\n  2) two\n</message></failure>";
    assert_eq!(
        sound(run(&format!("<test-case name='c' result='Failed'>{several}</test-case>"))),
        "Failed:  | c: one"
    );
    let only = "<assertions><assertion result='Warning'><message>old</message></assertion>
        <assertion result='Failed'><message>one</message></assertion></assertions>";
    assert_eq!(
        sound(run(&format!("<test-case name='c' result='Failed'>{only}</test-case>"))),
        "Failed:  | c: one"
    );
    let reason = "<reason><message>no arguments</message></reason>";
    assert_eq!(
        sound(run(&format!("<test-case name='c' result='NotRunnable'>{reason}</test-case>"))),
        "Error:  | c: no arguments"
    );
}

#[test]
fn a_failure_of_a_suite_that_is_cut_off_hides_no_test_after_it() {
    let cut =
        "<test-run><test-suite name='B' type='TestFixture' result='Failed' site='SetUp'><failure><message>m";
    let (all, damage) = cases(format!("{cut}{}", run(FAILED)));
    assert!(damage.is_some());
    assert_eq!(lines(&all), "Failed: a.B | c: \nError: B | B: m");
}

#[test]
fn a_report_cut_anywhere_gives_what_was_shown_before() {
    let case =
        |name: &str, inside: &str| format!("<test-case name='{name}' result='Failed'>{inside}</test-case>");
    let inner =
        suite("result='Failed' site='SetUp'", "ö", &case("a", "<failure><message>m</message></failure>"));
    let whole = format!("<test-run failed='2'>{inner}{}</test-run>", case("b", "<output>o</output>"));
    for end in 0..whole.len() {
        let Ok((some, damage)) = read_all(&whole.as_bytes()[..end]) else { continue };
        let before = &whole[..whole.floor_char_boundary(end)];
        let closed = before.matches("</test-case>").count() + before.matches("</test-suite>").count();
        assert!(some.iter().filter(|case| case.ending.is_bad()).count() >= closed, "{end}");
        assert!(damage.is_some(), "{end}");
    }
    assert_eq!(cases(&whole).0.len(), 3);
}

#[test]
fn hostile_reports_are_bounded() {
    assert!(
        cases(format!("<test-run>{}", "<test-suite name='a' type='Namespace'>".repeat(1_000))).1.is_some()
    );
    let long = "n".repeat(3_000_000);
    let (all, _) = cases(run(&suite(
        &format!("result='Failed' site='SetUp' classname='{long}'"),
        &long,
        &format!(
            "<test-case name='{long}' fullname='{long}.{long}' result='Failed'><output>{long}</output></test-case>"
        ),
    )));
    assert!(
        all.iter().all(
            |case| case.name.len() < 5_000 && case.class.as_ref().is_none_or(|class| class.len() < 5_000)
        )
    );
    assert!(all.iter().all(|case| case.trouble.outputs[0].len() <= crate::case::OUTPUT_BYTES_MAX));
    let many = "<failure><message>m</message></failure><assertions><assertion result='Failed'/></assertions>"
        .repeat(10_000);
    let (all, _) = cases(run(&format!("<test-case name='c' result='Failed'>{many}</test-case>")));
    assert_eq!((all.len(), all[0].trouble.failures.len()), (1, 20));
}

#[test]
fn what_is_no_such_report_is_refused() {
    for foreign in ["", " ", "<testsuites/>", "{}"] {
        assert!(read_all(foreign).is_err(), "{foreign}");
    }
}
