//! What the real runners' reports give: each was written by the runner itself (`tests/data/README.md`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use insta::assert_snapshot;
use nightbell_core::event;
use nightbell_reports::{Format, Input, Repeats, ReportOptions, Run};

/// The summary and the events of a file among the test data, flaky tests included, for people to compare.
#[track_caller]
fn shown(file: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(file);
    let format = if file.ends_with(".json") { Format::Ctrf } else { Format::Junit };
    let options = ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() };
    let mut text = String::new();
    let run = Run::survey(vec![Input { path, format }], Repeats::InSuite, &options, |_, held| {
        let held = held.unwrap();
        writeln!(
            text,
            "{} cases, {} failed, {} errors, {} skipped, {} flaky, {} repeated",
            held.cases, held.failed, held.errors, held.skipped, held.flaky, held.repeated
        )
        .unwrap();
    });
    let mut events = 0;
    let wrong = run.events(|event| {
        // The worker reads what is published with the same function.
        let read = event::read(&serde_json::to_vec(&event).unwrap()).unwrap();
        let (status, suite) = (read.status.as_str(), read.suite.unwrap_or_default());
        let tags = read.tags.join(",");
        writeln!(text, "{status}: {suite}: {} {tags}", read.test).unwrap();
        writeln!(text, "  {}", read.message.unwrap_or_default()).unwrap();
        events += 1;
        ControlFlow::Continue(())
    });
    assert!(wrong.is_empty());
    assert_eq!(run.summary().events, events);
    text
}

#[test]
fn pytest() {
    assert_snapshot!(shown("pytest/report.xml"), @r#"
    7 cases, 3 failed, 1 errors, 1 skipped, 0 flaky, 0 repeated
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
    7 cases, 4 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
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
    3 cases, 1 failed, 0 errors, 0 skipped, 0 flaky, 2 repeated
    failed: pytest: test_retried.test_never_pays 
      AssertionError: assert 'declined' == 'accepted'
    ");
}

#[test]
fn pytest_rerunfailures_ctrf() {
    assert_snapshot!(shown("pytest-retried/ctrf.json"), @r"
    3 cases, 1 failed, 0 errors, 0 skipped, 1 flaky, 0 repeated
    failed: test_retried.py: test_retried.py::test_pays_the_second_time flaky
      Failed: the gateway was asleep
    failed: test_retried.py: test_retried.py::test_never_pays 
      AssertionError: assert 'declined' == 'accepted'
    ");
}

#[test]
fn unittest() {
    assert_snapshot!(shown("unittest/report.xml"), @r"
    5 cases, 3 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
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
    6 cases, 2 failed, 1 errors, 1 skipped, 0 flaky, 1 repeated
    failed: basket: basket gives a discount 
      Error: expect(received).toBe(expected) // Object.is equality
    failed: basket: basket divides 
      RangeError: division by zero
    error: broken.test.js: Test suite failed to run.broken.test.js 
      Cannot find module './is-not-there' from 'broken.test.js'
    ");
}

#[test]
fn vitest() {
    assert_snapshot!(shown("vitest/report.xml"), @r"
    5 cases, 2 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: shop.test.js: shop.test.js.basket > gives a discount 
      expected 90 to be 80 // Object.is equality
    failed: shop.test.js: shop.test.js.basket > divides 
      division by zero
    ");
}

#[test]
fn playwright() {
    assert_snapshot!(shown("playwright/report.xml"), @r"
    12 cases, 2 failed, 3 errors, 2 skipped, 0 flaky, 0 repeated
    failed: shop.spec.js: shop.spec.js.basket › gives a discount 
      expect(received).toBe(expected) // Object.is equality
    error: shop.spec.js: shop.spec.js.basket › divides 
      division by zero
    error: shop.spec.js: shop.spec.js.basket › never ends 
      Test timeout of 200ms exceeded.
    failed: shop.spec.js: shop.spec.js.basket › gives a discount 
      expect(received).toBe(expected) // Object.is equality
    error: shop.spec.js: shop.spec.js.basket › never ends 
      Test timeout of 200ms exceeded.
    ");
}

#[test]
fn playwright_ctrf() {
    assert_snapshot!(shown("playwright/ctrf.json"), @r"
    12 cases, 5 failed, 0 errors, 2 skipped, 2 flaky, 0 repeated
    failed: desktop > shop.spec.js > basket: gives a discount 
      Error: expect(received).toBe(expected) // Object.is equality
    failed: desktop > shop.spec.js > basket: divides 
      RangeError: division by zero
    failed: desktop > shop.spec.js > basket: pays the second time flaky
      Error: expect(received).toBe(expected) // Object.is equality
    failed: desktop > shop.spec.js > basket: never ends 
      Test timeout of 200ms exceeded.
    failed: phone > shop.spec.js > basket: gives a discount 
      Error: expect(received).toBe(expected) // Object.is equality
    failed: phone > shop.spec.js > basket: pays the second time flaky
      Error: expect(received).toBe(expected) // Object.is equality
    failed: phone > shop.spec.js > basket: never ends 
      Test timeout of 200ms exceeded.
    ");
}

#[test]
fn mocha() {
    assert_snapshot!(shown("mocha/report.xml"), @r#"
    6 cases, 3 failed, 0 errors, 1 skipped, 0 flaky, 0 repeated
    failed: basket: basket gives a discount 
      Expected values to be strictly equal:
    failed: basket: basket divides 
      division by zero
    failed: database: database "before all" hook for "stores the order" 
      the database does not answer
    "#);
}

#[test]
fn nextest() {
    assert_snapshot!(shown("nextest/report.xml"), @r#"
    5 cases, 3 failed, 0 errors, 0 skipped, 1 flaky, 0 repeated
    failed: shop: shop.tests::crashes 
      process aborted with signal 6 (SIGABRT)
    failed: shop: shop.tests::gives_a_discount 
      assertion `left == right` failed: the discount is wrong
    failed: shop: shop.tests::stores_the_order 
      Error: "the database does not answer"
    failed: shop: shop.tests::pays_the_second_time flaky
      the gateway was asleep
    "#);
}

#[test]
fn gotestsum() {
    assert_snapshot!(shown("gotestsum/report.xml"), @r"
    6 cases, 3 failed, 0 errors, 1 skipped, 1 flaky, 4 repeated
    failed: example.com/shop: example.com/shop.TestPaysTheSecondTime flaky
      shop_test.go:32: the gateway was asleep
    failed: example.com/shop: example.com/shop.TestGivesADiscount 
      shop_test.go:12: price is 90, want 80
    failed: example.com/shop: example.com/shop.TestDivides/by_nothing 
      shop_test.go:20: no order
    failed: example.com/shop: example.com/shop.TestDivides 
      Failed
    ");
}

#[test]
fn gotestsum_with_a_panic() {
    assert_snapshot!(shown("gotestsum/panic.xml"), @r"
    1 cases, 1 failed, 0 errors, 0 skipped, 0 flaky, 0 repeated
    failed: example.com/shop/panic: example.com/shop/panic.TestPanics 
      panic: runtime error: invalid memory address or nil pointer dereference [recovered]
    ");
}

#[test]
fn surefire() {
    assert_snapshot!(shown("surefire/report.xml"), @r"
    5 cases, 1 failed, 1 errors, 1 skipped, 1 flaky, 0 repeated
    failed: com.example.shop.ShopTest: com.example.shop.ShopTest.paysTheSecondTime flaky
      the gateway was asleep expected:<2> but was:<1>
    error: com.example.shop.ShopTest: com.example.shop.ShopTest.divides 
      / by zero
    failed: com.example.shop.ShopTest: com.example.shop.ShopTest.givesADiscount 
      the discount is wrong expected:<80> but was:<90>
    ");
}

#[test]
fn phpunit() {
    assert_snapshot!(shown("phpunit/report.xml"), @r#"
    6 cases, 2 failed, 1 errors, 1 skipped, 0 flaky, 0 repeated
    failed: ShopTest: ShopTest.testGivesADiscount 
      the discount is wrong
    error: ShopTest: ShopTest.testDivides 
      DivisionByZeroError: Division by zero
    failed: ShopTest::testKnowsCurrency: ShopTest.testKnowsCurrency with data set "dollar" 
      Failed asserting that two strings are identical.
    "#);
}
