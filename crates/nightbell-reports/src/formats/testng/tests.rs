//! What TestNG's own XML gives.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::{lasting, read, stamp};
use crate::case::{Case, Ending};
use crate::fault::{Place, Unfit};
use crate::tally::{Repeats, Tally};
use crate::testing;

fn read_all(report: impl AsRef<[u8]>) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, report.as_ref())
}

#[track_caller]
fn cases(report: impl AsRef<[u8]>) -> (Vec<Case>, Option<Place>) {
    read_all(report).unwrap_or_else(|unfit| panic!("{unfit:?}"))
}

/// What is told of these, a line each: how, where, what, and the line that is read out.
fn lines(cases: &[Case]) -> String {
    let mut tally = Tally::new(Repeats::Declared, false, None);
    assert!(cases.iter().all(|case| tally.remember(0, case).is_continue()));
    let mut lines = String::new();
    for (number, case) in cases.iter().enumerate() {
        let label = tally.label(0, case);
        if let Some(verdict) = tally.verdict(0, number, case, true) {
            let (suite, message) =
                (case.shown_suite().unwrap_or_default(), case.message().unwrap_or_default());
            writeln!(lines, "{verdict:?}: {suite} | {}{label}: {message}", case.shown_test()).unwrap();
        }
    }
    lines
}

#[track_caller]
fn told(report: impl AsRef<[u8]>) -> String {
    lines(&cases(report).0)
}

fn data(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../../tests/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A report of one class with these methods.
fn report(methods: &str) -> String {
    let class = format!("<class name='a.B'>{methods}</class>");
    format!("<testng-results><suite name='s'><test name='t'>{class}</test></suite></testng-results>")
}

fn method(name: &str, attributes: &str, inside: &str) -> String {
    format!("<test-method name='{name}' {attributes}>{inside}</test-method>")
}

fn exception(message: &str) -> String {
    format!(
        "<exception class='E'><message>\n<![CDATA[{message}]]>\n</message><full-stacktrace><![CDATA[at x]]></full-stacktrace></exception>"
    )
}

fn parameters(values: &[&str]) -> String {
    let each = |value: &&str| format!("<param index='0'><value>\n <![CDATA[{value}]]>\n</value></param>");
    format!("<params>{}</params>", values.iter().map(each).collect::<String>())
}

#[track_caller]
fn check(attributes: &str, inside: &str, want: Option<Ending>) {
    let (cases, _) = cases(report(&method("m", attributes, inside)));
    assert_eq!(cases.first().map(|case| case.ending), want, "{attributes}");
}

#[test]
fn the_report_of_testng_itself_gives_each_failure_once() {
    let file = "testng/testng-results.xml";
    let (all, damage) = cases(data(file));
    assert_eq!((all.len(), damage), (16, None));
    let counts = data("counts.tsv");
    let failing = counts.lines().find_map(|line| line.strip_prefix(file)?.trim().split('\t').next()).unwrap();
    assert_eq!(all.iter().filter(|case| case.ending.is_bad()).count().to_string(), failing);
    assert_snapshot!(lines(&all), @r"
    Failed: com.example.shop.ShopTest | divides: / by zero
    Failed: com.example.shop.ShopTest | converts[USD]: USD rate missing expected [false] but found [true]
    Failed: com.example.shop.ShopTest | givesADiscount: the discount is <wrong> & more expected [80] but found [90]
    Failed: com.example.shop.ShopTest | neverPays #2: expected [accepted] but found [declined]
    Error: com.example.shop.DatabaseTest | connect: the database does not answer
    Failed: com.example.shop.StockTest | addsUp: expected [4] but found [3]
    ");
}

#[test]
fn how_a_method_ended() {
    check("status='PASS'", "", Some(Ending::Passed));
    check("status='SKIP'", &exception("m"), Some(Ending::Skipped));
    check("status='FAIL'", "", Some(Ending::Failed));
    check("status='fail'", "", Some(Ending::Failed));
    check("status='SUCCESS_PERCENTAGE_FAILURE'", "", Some(Ending::Flaky));
    check("status='EXPLODED'", "", Some(Ending::Error));
    check("", &exception("m"), Some(Ending::Error));
    check("", "", Some(Ending::Skipped));
    check("status='SKIP' retried='true'", &exception("m"), Some(Ending::Failed));
}

#[test]
fn what_only_configures_is_a_case_if_it_failed() {
    check("status='PASS' is-config='true'", "", None);
    check("status='SKIP' is-config='true'", "", None);
    check("status='FAIL' is-config='true'", "", Some(Ending::Error));
}

#[test]
fn a_test_is_named_by_its_class_its_name_and_its_parameters() {
    let name = |inside: &str| told(report(&method("m", "status='FAIL'", inside)));
    assert_eq!(name(""), "Failed: a.B | m: \n");
    assert_eq!(name(&parameters(&["USD"])), "Failed: a.B | m[USD]: \n");
    assert_eq!(name(&parameters(&["USD", "3"])), "Failed: a.B | m[USD, 3]: \n");
    assert_eq!(name(&parameters(&["a.Order@1b2c3d4"])), "Failed: a.B | m[a.Order]: \n");
    assert_eq!(
        name("<params><param index='0'><value is-null='true'/></param></params>"),
        "Failed: a.B | m[null]: \n"
    );
    let split = "<testng-results><suite><test><class name='B' package='a'><test-method signature='m(int)[pri:0]' status='FAIL'/>";
    assert_eq!(told(split), "Failed: a.B | m: \n");
    assert_eq!(
        told("<testng-results><test-method status='FAIL'/></testng-results>"),
        "Failed:  | unnamed test: \n"
    );
}

#[test]
fn a_row_that_passes_hides_no_row_that_fails() {
    let row = |value: &str, status: &str| method("m", &format!("status='{status}'"), &parameters(&[value]));
    let rows = [row("EUR", "PASS"), row("USD", "FAIL"), row("GBP", "PASS")].concat();
    assert_eq!(told(report(&rows)), "Failed: a.B | m[USD]: \n");
    let alike = [method("m", "status='FAIL'", ""), method("m", "status='PASS'", "")].concat();
    assert_eq!(told(report(&alike)), "Failed: a.B | m #1: \n");
}

#[test]
fn one_class_in_two_tests_is_told_apart() {
    let test = |name: &str, status: &str| {
        let class = format!("<class name='a.B'>{}</class>", method("m", &format!("status='{status}'"), ""));
        format!("<test name='{name}'>{class}</test>")
    };
    let both = [test("chrome", "PASS"), test("firefox", "FAIL")].concat();
    let both = format!("<testng-results><suite name='s'>{both}</suite></testng-results>");
    assert_eq!(told(both), "Failed: a.B | m (s > firefox): \n");
}

#[test]
fn a_test_that_was_retried_counts_by_its_last_result() {
    let attempt = method("m", "status='SKIP' retried='true'", &exception("asleep"));
    let passed = method("m", "status='PASS'", "");
    let failed = method("m", "status='FAIL'", &exception("declined"));
    let told = |methods: &[&str]| told(report(&methods.concat()));
    assert_eq!(told(&[&attempt, &passed]), "Flaky: a.B | m: asleep\n");
    assert_eq!(told(&[&attempt, &attempt, &failed]), "Failed: a.B | m: declined\n");
    // In whatever order the report has them.
    assert_eq!(told(&[&passed, &attempt]), "Flaky: a.B | m: asleep\n");
    assert_eq!(told(&[&failed, &attempt]), "Failed: a.B | m: declined\n");
    // Where the result is missing it is not known that it passed.
    assert_eq!(told(&[&attempt]), "Failed: a.B | m: asleep\n");
    // A run that passed does not hide another one that failed.
    for runs in [[&attempt, &passed, &failed], [&attempt, &failed, &passed], [&passed, &attempt, &failed]] {
        let told = told(&runs.map(String::as_str));
        assert_eq!(told.matches("Failed").count(), 1, "{told}");
    }
}

#[test]
fn what_is_counted_and_not_shown_is_one_case() {
    let whole = |counts: &str, methods: &str| {
        told(report(methods).replace("<testng-results>", &format!("<testng-results {counts}>")))
    };
    let failed = method("m", "status='FAIL'", "");
    assert_eq!(whole("failed='1'", &failed), "Failed: a.B | m: \n");
    let missing = "Error:  | test run: the report counts 2 failed, of which it shows 1\n";
    assert_eq!(whole("failed='2'", &failed), format!("Failed: a.B | m: \n{missing}"));
    // A method that configures is not counted.
    assert_eq!(whole("failed='1'", &method("m", "status='FAIL' is-config='true'", "")).lines().count(), 2);
    assert_eq!(whole("failed='99999999999999999999'", &failed).lines().count(), 1);
    assert_eq!(whole("failed='1000000000'", "").lines().count(), 1);
    let elsewhere = "<testng-results failed='1'><suite url='s/testng-results.xml'/></testng-results>";
    assert_eq!(told(elsewhere), "Error:  | test run: the report counts 1 failed, of which it shows 0\n");
}

#[test]
fn what_an_exception_says_is_kept() {
    let output = "<reporter-output><line><![CDATA[said]]></line></reporter-output>";
    let (cases, _) = cases(report(&method("m", "status='FAIL'", &format!("{}{output}", exception("<m>")))));
    let told = &cases[0].trouble;
    assert_eq!((told.failures[0].message.as_str(), told.failures[0].text.as_str()), ("<m>", "at x"));
    assert_eq!((told.failures[0].kind.as_str(), told.outputs[0].as_str()), ("E", "said"));
}

#[test]
fn what_is_another_in_each_run_is_no_part_of_a_name() {
    assert_eq!(lasting("a.Order@1b2c3d4"), "a.Order");
    assert_eq!(lasting("[La.Order;@1b2c3d4, x"), "[La.Order;, x");
    assert_eq!(lasting("B.m()[pri:0, instance:a.B@3dd4520b]"), "B.m()[pri:0, instance:a.B]");
    for same in ["me@example.com", "me@1234567.de", "a@b", "@1234567", "a@@", "", "x@cafebabe", "x@123456789"]
    {
        assert_eq!(lasting(same), same);
    }
}

#[test]
fn a_time_is_of_the_machines_zone_whatever_it_ends_in() {
    let exact = |text: &str| stamp(text).exact().map(str::to_owned);
    assert_eq!(exact("2026-11-27T14:51:49Z").as_deref(), Some("2026-11-27T14:51:49"));
    assert_eq!(exact("2026-11-27T14:51:49 CET").as_deref(), Some("2026-11-27T14:51:49"));
    assert_eq!(exact("2026-11-27T14:51:49 UTC").as_deref(), Some("2026-11-27T14:51:49Z"));
    assert_eq!(exact("2026-11-27T14:51:49 GMT+01:00").as_deref(), Some("2026-11-27T14:51:49+01:00"));
    assert_eq!(exact("yesterday"), None);
}

#[test]
fn a_method_that_is_cut_off_hides_no_later_one() {
    let cut = "<testng-results><suite><test><class name='a.B'><test-method name='one' status='FAIL'><exception><message>m";
    let (all, damage) = cases(format!("{cut}{}", report(&method("two", "status='FAIL'", ""))));
    assert!(damage.is_some());
    assert_eq!(lines(&all), "Failed: a.B | one: m\nFailed: a.B | two: \n");
}

#[test]
fn a_report_cut_anywhere_gives_what_was_shown_before() {
    let whole = report(
        &[
            method("a", "status='FAIL'", &exception("m")),
            method("b", "status='SKIP' retried='true'", &exception("m")),
            method("b", "status='FAIL'", &parameters(&["ö"])),
            method("c", "status='PASS'", ""),
        ]
        .concat(),
    );
    for end in 0..whole.len() {
        let Ok((some, damage)) = read_all(&whole.as_bytes()[..end]) else { continue };
        let closed = whole[..whole.floor_char_boundary(end)].matches("</test-method>").count();
        assert!(some.len() >= closed, "{end}");
        assert!(damage.is_some(), "{end}");
    }
    assert_eq!(cases(&whole).0.len(), 4);
}

#[test]
fn hostile_reports_are_bounded() {
    assert!(cases("<testng-results>".repeat(1_000)).1.is_some());
    let long = "n".repeat(3_000_000);
    let many = parameters(&vec![long.as_str(); 100]);
    let (all, _) = cases(report(&method(&long, "status='FAIL'", &format!("{many}{}", exception(&long)))));
    assert!(
        all[0].name.len() < 5_000 && all[0].trouble.failures[0].message.len() <= crate::case::TEXT_BYTES_MAX
    );
    let (all, _) = cases(report(&method("m", "status='FAIL'", &exception("m").repeat(10_000))));
    assert_eq!((all.len(), all[0].trouble.failures.len()), (1, 20));
}

#[test]
fn what_is_no_such_report_is_refused() {
    for foreign in ["", " ", "<testsuites/>", "{}"] {
        assert!(read_all(foreign).is_err(), "{foreign}");
    }
}
