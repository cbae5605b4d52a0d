//! What the real runners' reports give: each was written by the runner itself (`tests/data/README.md`).

use std::fmt::Write as _;

use insta::assert_snapshot;
use nightbell_reports::{Repeats, ReportOptions};

use crate::support::{data, options, real};

/// The summary and the events of a file among the test data, flaky tests included, for people to compare.
#[track_caller]
fn shown(file: &str) -> String {
    let told = real(file, Repeats::Declared, ReportOptions { flaky: true, ..options() });
    let mut text = String::new();
    let held = told.summary;
    writeln!(
        text,
        "{}: {} cases, {} failed, {} errors, {} skipped, {} flaky, {} repeated",
        told.format(),
        held.cases,
        held.failed,
        held.errors,
        held.skipped,
        held.flaky,
        held.repeated
    )
    .unwrap();
    for event in &told.events {
        let (status, suite) = (event.status.as_str(), event.suite.as_deref().unwrap_or_default());
        let line = format!("{status}: {suite}: {} {}", event.test, event.tags.join(","));
        let message = format!("  {}", event.message.as_deref().unwrap_or_default());
        writeln!(text, "{}\n{}", line.trim_end(), message.trim_end()).unwrap();
    }
    text
}

/// Each report of a real tool, with the number of failing results by an independent count (`tests/data/README.md`), gives
/// one event for each; and so again, with the same ids.
#[test]
fn each_real_report_gives_one_event_for_each_failing_test() {
    /// Its runner does not declare that these are attempts, so that the user has to.
    const RERUNS: [&str; 1] = ["gotestsum/report.xml"];

    let counts = std::fs::read_to_string(data("counts.tsv")).unwrap();
    let mut wrong = String::new();
    for line in counts.lines().skip(1) {
        let (report, rest) = line.split_once('\t').unwrap();
        let failing: usize = rest.split('\t').next().unwrap().parse().unwrap();
        let repeats = if RERUNS.contains(&report) { Repeats::AcrossFiles } else { Repeats::Declared };
        let read = || real(report, repeats, options());
        let told = read();
        if told.events.len() != failing || told.is_damaged() {
            writeln!(
                wrong,
                "{report}: {failing} fail, {} events\n  {}",
                told.events.len(),
                told.lines().join("\n  ")
            )
            .unwrap();
        }
        assert_eq!(told.ids(), read().ids(), "{report}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn pytest() {
    assert_snapshot!(shown("pytest/report.xml"), @r#"
    JUnit: 7 cases, 3 failed, 1 errors, 1 skipped, 0 flaky, 0 repeated
    failed: pytest: test_shop.test_gives_a_discount
      AssertionError: a discount of <20> & nothing else
    error: pytest: test_shop.test_stores_the_order
      failed on setup with "ConnectionError: the database does not answer"
    failed: pytest: test_shop.test_divides
      ZeroDivisionError: division by zero
    failed: pytest: test_shop.test_knows_currency[USD]
      AssertionError: assert 'USD' == 'EUR'
    "#);
}

#[test]
fn pytest_xdist_tells_the_same_as_pytest() {
    let sorted = |file| {
        let mut lines: Vec<_> = shown(file).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted("pytest/xdist.xml"), sorted("pytest/report.xml"));
}

#[test]
fn pytest_ctrf() {
    assert_snapshot!(shown("pytest/ctrf.json"), @r"
    CTRF: 7 cases, 4 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: test_shop.py: test_shop.py::test_gives_a_discount
      AssertionError: a discount of <20> & nothing else
    failed: test_shop.py: test_shop.py::test_stores_the_order
      ConnectionError: the database does not answer
    failed: test_shop.py: test_shop.py::test_divides
      ZeroDivisionError: division by zero
    failed: test_shop.py: test_shop.py::test_knows_currency[USD]
      AssertionError: assert 'USD' == 'EUR'
    ");
}

#[test]
fn pytest_rerunfailures() {
    assert_snapshot!(shown("pytest-retried/report.xml"), @r"
    JUnit: 5 cases, 1 failed, 0 errors, 0 skipped, 0 flaky, 0 repeated
    failed: pytest: test_retried.test_never_pays #2
      AssertionError: assert 'declined' == 'accepted'
    ");
}

#[test]
fn pytest_rerunfailures_ctrf() {
    assert_snapshot!(shown("pytest-retried/ctrf.json"), @r"
    CTRF: 3 cases, 1 failed, 0 errors, 0 skipped, 1 flaky, 0 repeated
    failed: test_retried.py: test_retried.py::test_pays_the_second_time flaky
      Failed: the gateway was asleep
    failed: test_retried.py: test_retried.py::test_never_pays
      AssertionError: assert 'declined' == 'accepted'
    ");
}

#[test]
fn unittest() {
    assert_snapshot!(shown("unittest/report.xml"), @r"
    JUnit: 5 cases, 3 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: pytest: test_shop.Shop.test_divides
      ZeroDivisionError: division by zero
    failed: pytest: test_shop.Shop.test_gives_a_discount
      AssertionError: 90 != 80 : the discount is wrong
    failed: pytest: test_shop.Shop.test_knows_currencies
      AssertionError: 'USD' != 'EUR'
    ");
}

#[test]
fn jest() {
    assert_snapshot!(shown("jest/report.xml"), @r"
    JUnit: 6 cases, 2 failed, 1 errors, 1 skipped, 0 flaky, 1 repeated
    failed: basket: basket gives a discount
      Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90
    failed: basket: basket divides
      RangeError: division by zero
    error: broken.test.js: Test suite failed to run.broken.test.js
      Cannot find module './is-not-there' from 'broken.test.js'
    ");
}

#[test]
fn vitest() {
    assert_snapshot!(shown("vitest/report.xml"), @r"
    JUnit: 5 cases, 2 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: shop.test.js: basket > gives a discount
      expected 90 to be 80 // Object.is equality
    failed: shop.test.js: basket > divides
      division by zero
    ");
}

#[test]
fn playwright() {
    assert_snapshot!(shown("playwright/report.xml"), @r"
    JUnit: 12 cases, 2 failed, 3 errors, 2 skipped, 0 flaky, 0 repeated
    failed: shop.spec.js: basket › gives a discount (desktop)
      expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90
    error: shop.spec.js: basket › divides (desktop)
      division by zero
    error: shop.spec.js: basket › never ends (desktop)
      Test timeout of 200ms exceeded.
    failed: shop.spec.js: basket › gives a discount (phone)
      expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90
    error: shop.spec.js: basket › never ends (phone)
      Test timeout of 200ms exceeded.
    ");
}

#[test]
fn playwright_ctrf() {
    assert_snapshot!(shown("playwright/ctrf.json"), @r"
    CTRF: 12 cases, 5 failed, 0 errors, 2 skipped, 2 flaky, 0 repeated
    failed: desktop > shop.spec.js > basket: gives a discount
      Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90
    failed: desktop > shop.spec.js > basket: divides
      RangeError: division by zero
    failed: desktop > shop.spec.js > basket: pays the second time flaky
      Error: expect(received).toBe(expected) // Object.is equality: Expected: 1, Received: 0
    failed: desktop > shop.spec.js > basket: never ends
      Test timeout of 200ms exceeded.
    failed: phone > shop.spec.js > basket: gives a discount
      Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90
    failed: phone > shop.spec.js > basket: pays the second time flaky
      Error: expect(received).toBe(expected) // Object.is equality: Expected: 1, Received: 0
    failed: phone > shop.spec.js > basket: never ends
      Test timeout of 200ms exceeded.
    ");
}

#[test]
fn mocha() {
    assert_snapshot!(shown("mocha/report.xml"), @r#"
    JUnit: 6 cases, 3 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: shop/shop.test.js > basket: basket gives a discount
      Expected values to be strictly equal: 90 !== 80
    failed: shop/shop.test.js > basket: basket divides
      division by zero
    failed: shop/shop.test.js > database: database "before all" hook for "stores the order"
      the database does not answer
    "#);
}

#[test]
fn nextest() {
    assert_snapshot!(shown("nextest/report.xml"), @r#"
    JUnit: 5 cases, 3 failed, 0 errors, 0 skipped, 1 flaky, 0 repeated
    failed: shop: tests::crashes
      process aborted with signal 6 (SIGABRT)
    failed: shop: tests::gives_a_discount
      assertion `left == right` failed: the discount is wrong
    failed: shop: tests::stores_the_order
      Error: "the database does not answer"
    failed: shop: tests::pays_the_second_time flaky
      the gateway was asleep
    "#);
}

#[test]
fn gotestsum() {
    assert_snapshot!(shown("gotestsum/report.xml"), @r"
    JUnit: 10 cases, 7 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: example.com/shop: TestGivesADiscount #1
      shop_test.go:12: price is 90, want 80
    failed: example.com/shop: TestDivides/by_nothing #1
      shop_test.go:20: no order
    failed: example.com/shop: TestDivides #1
      Failed
    failed: example.com/shop: TestPaysTheSecondTime #1
      shop_test.go:32: the gateway was asleep
    failed: example.com/shop: TestGivesADiscount #2
      shop_test.go:12: price is 90, want 80
    failed: example.com/shop: TestDivides/by_nothing #2
      shop_test.go:20: no order
    failed: example.com/shop: TestDivides #2
      Failed
    ");
}

#[test]
fn gotestsum_with_a_panic() {
    assert_snapshot!(shown("gotestsum/panic.xml"), @r"
    JUnit: 1 cases, 1 failed, 0 errors, 0 skipped, 0 flaky, 0 repeated
    failed: example.com/shop/panic: TestPanics
      panic: runtime error: invalid memory address or nil pointer dereference [recovered]
    ");
}

#[test]
fn surefire() {
    assert_snapshot!(shown("surefire/report.xml"), @r"
    JUnit: 5 cases, 1 failed, 1 errors, 1 skipped, 1 flaky, 0 repeated
    failed: com.example.shop.ShopTest: paysTheSecondTime flaky
      the gateway was asleep expected:<2> but was:<1>
    error: com.example.shop.ShopTest: divides
      / by zero
    failed: com.example.shop.ShopTest: givesADiscount
      the discount is wrong expected:<80> but was:<90>
    ");
}

#[test]
fn phpunit() {
    assert_snapshot!(shown("phpunit/report.xml"), @r#"
    JUnit: 6 cases, 2 failed, 1 errors, 1 skipped, 0 flaky, 0 repeated
    failed: ShopTest: testGivesADiscount
      the discount is wrong
    error: ShopTest: testDivides
      DivisionByZeroError: Division by zero
    failed: ShopTest > ShopTest::testKnowsCurrency: ShopTest.testKnowsCurrency with data set "dollar"
      Failed asserting that two strings are identical.
    "#);
}
