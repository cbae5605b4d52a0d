//! A long report in each format: suites of a hundred tests, every hundredth of which fails with a stack.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use nightbell_reports::Format;

/// How many tests a suite has, of which the first fails.
const SUITE: usize = 100;

const MESSAGE: &str = "expected 90, got 80";
const STACK: &str = "at shop.Cart.discounts (cart.js:12:3)";

/// How many of so many cases fail.
pub(super) fn failing(cases: usize) -> usize {
    cases.div_ceil(SUITE)
}

/// Writes a report, and says how long it is in bytes.
pub(super) fn write(path: &Path, format: Format, cases: usize) -> Result<u64> {
    if format == Format::Allure {
        return allure(path, cases);
    }
    let mut file = BufWriter::new(File::create(path)?);
    let (head, tail) = ends(format, cases);
    write!(file, "{head}")?;
    for suite in 0..failing(cases) {
        let tests = suite * SUITE..cases.min((suite + 1) * SUITE);
        let (begin, end) = suite_of(format, suite, tests.len());
        let between = if suite > 0 && begin.starts_with(['{', '[']) { "," } else { "" };
        write!(file, "{between}{begin}")?;
        for test in tests {
            let is_first = test % SUITE == 0;
            let between = if is_first || !is_json(format) { "" } else { "," };
            // CTRF's tests are in no suite's list.
            let between = if format == Format::Ctrf && test > 0 { "," } else { between };
            writeln!(file, "{between}{}", case(format, suite, test, is_first))?;
        }
        write!(file, "{end}")?;
    }
    write!(file, "{tail}")?;
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}

fn is_json(format: Format) -> bool {
    matches!(format, Format::Ctrf | Format::Cucumber | Format::Playwright | Format::Jest)
}

fn ends(format: Format, cases: usize) -> (String, &'static str) {
    let failed = failing(cases);
    match format {
        Format::Junit => ("<testsuites>".into(), "</testsuites>"),
        Format::Ctrf => (r#"{"reportFormat":"CTRF","results":{"tests":["#.into(), "]}}"),
        Format::Trx => ("<TestRun><Results>".into(), "</Results></TestRun>"),
        Format::Nunit => (format!("<test-run total='{cases}' failed='{failed}'>"), "</test-run>"),
        Format::Xunit => (format!("<assemblies><assembly failed='{failed}'>"), "</assembly></assemblies>"),
        Format::Testng => (
            format!("<testng-results failed='{failed}'><suite name='s'><test name='t'>"),
            "</test></suite></testng-results>",
        ),
        Format::GoTest | Format::Allure => (String::new(), ""),
        Format::Tap => (format!("TAP version 13\n1..{cases}\n"), ""),
        Format::Cucumber => ("[".into(), "]"),
        Format::Playwright => (r#"{"config":{},"suites":["#.into(), r#"],"errors":[]}"#),
        Format::Jest => (format!(r#"{{"numFailedTests":{failed},"testResults":["#), "]}"),
    }
}

fn suite_of(format: Format, suite: usize, tests: usize) -> (String, String) {
    match format {
        Format::Junit => (
            format!("<testsuite name='shop.Suite{suite}' tests='{tests}' failures='1'>"),
            "</testsuite>".into(),
        ),
        Format::Nunit => (
            format!("<test-suite type='TestFixture' name='Suite{suite}' classname='shop.Suite{suite}'>"),
            "</test-suite>".into(),
        ),
        Format::Xunit => ("<collection>".into(), "</collection>".into()),
        Format::Testng => (format!("<class name='shop.Suite{suite}'>"), "</class>".into()),
        Format::GoTest => {
            (String::new(), format!("{{\"Action\":\"fail\",\"Package\":\"shop/suite{suite}\"}}\n"))
        }
        Format::Cucumber => (format!(r#"{{"name":"suite {suite}","elements":["#), "]}".into()),
        Format::Playwright => (format!(r#"{{"title":"suite{suite}.spec.js","specs":["#), "]}".into()),
        Format::Jest => (
            r#"{"assertionResults":["#.into(),
            format!(r#"],"name":"/srv/suite{suite}.test.js","message":""}}"#),
        ),
        Format::Ctrf | Format::Trx | Format::Tap | Format::Allure => (String::new(), String::new()),
    }
}

fn case(format: Format, suite: usize, test: usize, fails: bool) -> String {
    match format {
        Format::Junit | Format::Trx | Format::Nunit | Format::Xunit | Format::Testng => {
            xml_case(format, suite, test, fails)
        }
        Format::GoTest | Format::Tap => line_case(format, suite, test, fails),
        Format::Ctrf | Format::Cucumber | Format::Allure | Format::Playwright | Format::Jest => {
            json_case(format, suite, test, fails)
        }
    }
}

/// As an element.
fn xml_case(format: Format, suite: usize, test: usize, fails: bool) -> String {
    let name = format!("does thing {test}");
    let pick = |failed: String, passed: String| if fails { failed } else { passed };
    match format {
        Format::Junit => {
            let tag = format!("<testcase classname='shop.Suite{suite}' name='{name}' time='0.1'");
            pick(
                format!("{tag}><failure message='{MESSAGE}'>{STACK}</failure></testcase>"),
                format!("{tag}/>"),
            )
        }
        Format::Trx => {
            let tag = format!("<UnitTestResult testName='shop.Suite{suite}.{name}' duration='00:00:00.1'");
            let error = format!(
                "<Output><ErrorInfo><Message>{MESSAGE}</Message><StackTrace>{STACK}</StackTrace></ErrorInfo></Output>"
            );
            pick(
                format!("{tag} outcome='Failed'>{error}</UnitTestResult>"),
                format!("{tag} outcome='Passed'/>"),
            )
        }
        Format::Nunit => {
            let tag = format!("<test-case name='{name}' classname='shop.Suite{suite}' duration='0.1'");
            let failure =
                format!("<failure><message>{MESSAGE}</message><stack-trace>{STACK}</stack-trace></failure>");
            pick(format!("{tag} result='Failed'>{failure}</test-case>"), format!("{tag} result='Passed'/>"))
        }
        Format::Xunit => {
            let tag = format!(
                "<test name='shop.Suite{suite}.{name}' type='shop.Suite{suite}' method='{name}' time='0.1'"
            );
            let failure =
                format!("<failure><message>{MESSAGE}</message><stack-trace>{STACK}</stack-trace></failure>");
            pick(format!("{tag} result='Fail'>{failure}</test>"), format!("{tag} result='Pass'/>"))
        }
        Format::Testng => {
            let tag = format!("<test-method name='{name}' duration-ms='1'");
            let exception = format!("<exception class='E'><message>{MESSAGE}</message></exception>");
            pick(format!("{tag} status='FAIL'>{exception}</test-method>"), format!("{tag} status='PASS'/>"))
        }
        Format::GoTest
        | Format::Tap
        | Format::Ctrf
        | Format::Cucumber
        | Format::Allure
        | Format::Playwright
        | Format::Jest => String::new(),
    }
}

/// As lines.
fn line_case(format: Format, suite: usize, test: usize, fails: bool) -> String {
    let name = format!("does thing {test}");
    let pick = |failed: String, passed: String| if fails { failed } else { passed };
    match format {
        Format::GoTest => {
            let event = |action: &str, more: &str| {
                format!(
                    r#"{{"Time":"2026-11-27T14:52:41.1Z","Action":"{action}","Package":"shop/suite{suite}","Test":"Test{test}"{more}}}"#
                )
            };
            let output = format!(r#","Output":"    cart_test.go:12: {MESSAGE}\n""#);
            let failed = [event("run", ""), event("output", &output), event("fail", "")].join("\n");
            pick(failed, [event("run", ""), event("pass", "")].join("\n"))
        }
        Format::Tap => {
            let number = test + 1;
            let block = format!("  ---\n  message: '{MESSAGE}'\n  stack: '{STACK}'\n  ...");
            pick(format!("not ok {number} - {name}\n{block}"), format!("ok {number} - {name}"))
        }
        Format::Junit
        | Format::Trx
        | Format::Nunit
        | Format::Xunit
        | Format::Testng
        | Format::Ctrf
        | Format::Cucumber
        | Format::Allure
        | Format::Playwright
        | Format::Jest => String::new(),
    }
}

/// As an object.
fn json_case(format: Format, suite: usize, test: usize, fails: bool) -> String {
    let name = format!("does thing {test}");
    let pick = |failed: String, passed: String| if fails { failed } else { passed };
    match format {
        Format::Ctrf => {
            let head = format!(r#"{{"name":"{name}","suite":["suite {suite}"],"duration":3,"#);
            pick(
                format!(r#"{head}"status":"failed","message":"{MESSAGE}","trace":"{STACK}"}}"#),
                format!(r#"{head}"status":"passed"}}"#),
            )
        }
        Format::Cucumber => {
            let head = format!(
                r#"{{"type":"scenario","name":"{name}","steps":[{{"keyword":"Given ","name":"a cart","result":"#
            );
            let failed = format!(r#"{head}{{"status":"failed","error_message":"{MESSAGE}\n{STACK}"}}}}]}}"#);
            pick(failed, format!(r#"{head}{{"status":"passed","duration":3}}}}]}}"#))
        }
        Format::Playwright => {
            let spec = |status: &str, result: &str| {
                let test =
                    format!(r#"{{"projectName":"","status":"{status}","results":[{{"retry":0,{result}}}]}}"#);
                format!(r#"{{"title":"{name}","tests":[{test}]}}"#)
            };
            let failed = format!(r#""status":"failed","error":{{"message":"{MESSAGE}","stack":"{STACK}"}}"#);
            pick(spec("unexpected", &failed), spec("expected", r#""status":"passed""#))
        }
        Format::Jest => {
            let head = format!(r#"{{"ancestorTitles":["suite {suite}"],"title":"{name}","duration":3,"#);
            pick(
                format!(r#"{head}"status":"failed","failureMessages":["{MESSAGE}\n{STACK}"]}}"#),
                format!(r#"{head}"status":"passed","failureMessages":[]}}"#),
            )
        }
        Format::Allure => {
            let head = format!(
                r#"{{"uuid":"{test}","name":"{name}","labels":[{{"name":"suite","value":"suite {suite}"}}],"#
            );
            let failed = format!(
                r#"{head}"status":"failed","statusDetails":{{"message":"{MESSAGE}","trace":"{STACK}"}}}}"#
            );
            pick(failed, format!(r#"{head}"status":"passed"}}"#))
        }
        Format::Junit
        | Format::Trx
        | Format::Nunit
        | Format::Xunit
        | Format::Testng
        | Format::GoTest
        | Format::Tap => String::new(),
    }
}

fn allure(folder: &Path, cases: usize) -> Result<u64> {
    std::fs::create_dir_all(folder)?;
    let mut bytes = 0;
    for test in 0..cases {
        let text = case(Format::Allure, test / SUITE, test, test % SUITE == 0);
        bytes += text.len() as u64;
        std::fs::write(folder.join(format!("{test}-result.json")), text)?;
    }
    Ok(bytes)
}
