//! One run, written in each format, gives the same events: whoever changes the format of a report changes no alert.
//!
//! Suite `shop.Cart` has four tests: `adds up` passes, `discounts` and `charges` fail, `ships` is skipped.

use nightbell_core::event::Event;
use nightbell_reports::{Format, Input, Repeats, ReportOptions, Source};

use crate::support::{options, read};

const JUNIT: &str = r#"<testsuite name="shop.Cart" failures="2"><testcase name="adds up"/>
<testcase name="discounts"><failure message="90, want 80"/></testcase>
<testcase name="charges"><failure message="no answer"/></testcase><testcase name="ships"><skipped/></testcase></testsuite>"#;

const CTRF: &str = r#"{"results":{"summary":{"failed":2},"tests":[
{"name":"adds up","suite":["shop.Cart"],"status":"passed"},
{"name":"discounts","suite":["shop.Cart"],"status":"failed","message":"90, want 80"},
{"name":"charges","suite":["shop.Cart"],"status":"failed","message":"no answer"},
{"name":"ships","suite":["shop.Cart"],"status":"skipped"}]}}"#;

const TRX: &str = r#"<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"><Results>
<UnitTestResult testId="1" testName="adds up" outcome="Passed"/>
<UnitTestResult testId="2" testName="discounts" outcome="Failed"><Output><ErrorInfo><Message>90, want 80</Message></ErrorInfo></Output></UnitTestResult>
<UnitTestResult testId="3" testName="charges" outcome="Failed"><Output><ErrorInfo><Message>no answer</Message></ErrorInfo></Output></UnitTestResult>
<UnitTestResult testId="4" testName="ships" outcome="NotExecuted"/></Results><TestDefinitions>
<UnitTest id="1" name="adds up"><TestMethod className="shop.Cart" name="adds up"/></UnitTest>
<UnitTest id="2" name="discounts"><TestMethod className="shop.Cart" name="discounts"/></UnitTest>
<UnitTest id="3" name="charges"><TestMethod className="shop.Cart" name="charges"/></UnitTest>
<UnitTest id="4" name="ships"><TestMethod className="shop.Cart" name="ships"/></UnitTest></TestDefinitions>
<ResultSummary outcome="Failed"><Counters total="4" passed="1" failed="2" error="0"/></ResultSummary></TestRun>"#;

const NUNIT: &str = r#"<test-run total="4" passed="1" failed="2" skipped="1"><test-suite type="TestFixture" name="Cart" classname="shop.Cart" result="Failed" site="Child">
<failure><message>One or more child tests had errors</message></failure>
<test-case name="adds up" classname="shop.Cart" result="Passed"/>
<test-case name="discounts" classname="shop.Cart" result="Failed"><failure><message>90, want 80</message></failure></test-case>
<test-case name="charges" classname="shop.Cart" result="Failed"><failure><message>no answer</message></failure></test-case>
<test-case name="ships" classname="shop.Cart" result="Skipped"/></test-suite></test-run>"#;

const NUNIT_25: &str = r#"<test-results total="3" errors="0" failures="2" not-run="1"><test-suite type="Namespace" name="shop" result="Failure"><results>
<test-suite type="TestFixture" name="Cart" result="Failure"><results>
<test-case name="shop.Cart.adds up" executed="True" result="Success" success="True"/>
<test-case name="shop.Cart.discounts" executed="True" result="Failure" success="False"><failure><message>90, want 80</message></failure></test-case>
<test-case name="shop.Cart.charges" executed="True" result="Failure" success="False"><failure><message>no answer</message></failure></test-case>
<test-case name="shop.Cart.ships" executed="False" result="Ignored"/></results></test-suite></results></test-suite></test-results>"#;

const XUNIT: &str = r#"<assemblies><assembly name="shop.dll" total="4" passed="1" failed="2" skipped="1" errors="0"><collection name="c">
<test name="shop.Cart.adds up" type="shop.Cart" method="adds up" result="Pass"/>
<test name="shop.Cart.discounts" type="shop.Cart" method="discounts" result="Fail"><failure><message>90, want 80</message></failure></test>
<test name="shop.Cart.charges" type="shop.Cart" method="charges" result="Fail"><failure><message>no answer</message></failure></test>
<test name="shop.Cart.ships" type="shop.Cart" method="ships" result="Skip"/></collection></assembly></assemblies>"#;

const TESTNG: &str = r#"<testng-results failed="2" passed="1" skipped="1" total="4"><suite name="s"><test name="t"><class name="shop.Cart">
<test-method status="PASS" name="adds up"/>
<test-method status="FAIL" name="discounts"><exception class="E"><message>90, want 80</message></exception></test-method>
<test-method status="FAIL" name="charges"><exception class="E"><message>no answer</message></exception></test-method>
<test-method status="SKIP" name="ships"/></class></test></suite></testng-results>"#;

const GO_TEST: &str = r#"{"Action":"run","Package":"shop.Cart","Test":"adds up"}
{"Action":"pass","Package":"shop.Cart","Test":"adds up"}
{"Action":"run","Package":"shop.Cart","Test":"discounts"}
{"Action":"output","Package":"shop.Cart","Test":"discounts","Output":"90, want 80\n"}
{"Action":"fail","Package":"shop.Cart","Test":"discounts"}
{"Action":"run","Package":"shop.Cart","Test":"charges"}
{"Action":"output","Package":"shop.Cart","Test":"charges","Output":"no answer\n"}
{"Action":"fail","Package":"shop.Cart","Test":"charges"}
{"Action":"skip","Package":"shop.Cart","Test":"ships"}
{"Action":"output","Package":"shop.Cart","Output":"FAIL\n"}
{"Action":"fail","Package":"shop.Cart"}
"#;

const TAP: &str = "TAP version 14
# Subtest: shop.Cart
    ok 1 - adds up
    not ok 2 - discounts
      ---
      message: '90, want 80'
      ...
    not ok 3 - charges
      ---
      message: no answer
      ...
    ok 4 - ships # SKIP later
    1..4
not ok 1 - shop.Cart
1..1
";

const CUCUMBER: &str = r#"[{"name":"shop.Cart","elements":[
{"type":"scenario","name":"adds up","steps":[{"name":"a","result":{"status":"passed"}}]},
{"type":"scenario","name":"discounts","steps":[{"name":"a","result":{"status":"failed","error_message":"90, want 80"}}]},
{"type":"scenario","name":"charges","steps":[{"name":"a","result":{"status":"failed","error_message":"no answer"}}]},
{"type":"scenario","name":"ships","steps":[{"name":"a","result":{"status":"skipped"}}]}]}]"#;

const ALLURE: [&str; 4] = [
    r#"{"uuid":"1","name":"adds up","status":"passed","labels":[{"name":"suite","value":"shop.Cart"}]}"#,
    r#"{"uuid":"2","name":"discounts","status":"failed","statusDetails":{"message":"90, want 80"},"labels":[{"name":"suite","value":"shop.Cart"}]}"#,
    r#"{"uuid":"3","name":"charges","status":"failed","statusDetails":{"message":"no answer"},"labels":[{"name":"suite","value":"shop.Cart"}]}"#,
    r#"{"uuid":"4","name":"ships","status":"skipped","labels":[{"name":"suite","value":"shop.Cart"}]}"#,
];

const PLAYWRIGHT: &str = r#"{"config":{},"suites":[{"title":"shop.Cart","specs":[
{"title":"adds up","tests":[{"status":"expected","results":[{"status":"passed"}]}]},
{"title":"discounts","tests":[{"status":"unexpected","results":[{"status":"failed","error":{"message":"90, want 80"}}]}]},
{"title":"charges","tests":[{"status":"unexpected","results":[{"status":"failed","error":{"message":"no answer"}}]}]},
{"title":"ships","tests":[{"status":"skipped","results":[]}]}]}],"errors":[],"stats":{"unexpected":2}}"#;

const JEST: &str = r#"{"numFailedTests":2,"testResults":[{"assertionResults":[
{"ancestorTitles":["shop.Cart"],"title":"adds up","status":"passed"},
{"ancestorTitles":["shop.Cart"],"title":"discounts","status":"failed","failureMessages":["90, want 80"]},
{"ancestorTitles":["shop.Cart"],"title":"charges","status":"failed","failureMessages":["no answer"]},
{"ancestorTitles":["shop.Cart"],"title":"ships","status":"pending"}],"status":"failed","message":""}]}"#;

fn events(source: Source, format: Format) -> Vec<Event> {
    let options = ReportOptions { run_id: Some("7".into()), ..options() };
    let input = Input { name: "report".into(), source, format: None };
    let told = read(vec![input], Repeats::Declared, options);
    assert!(!told.is_damaged(), "{format}: {:?}", told.heard);
    assert_eq!(told.format(), format);
    assert_eq!(
        (told.summary.cases, told.summary.failed, told.summary.skipped),
        (4, 2, 1),
        "{format}: {:?}",
        told.lines()
    );
    told.events
}

#[test]
fn the_same_run_gives_the_same_events_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (number, result) in ALLURE.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}-result.json")), result).unwrap();
    }
    let memory = |text: &str| Source::memory(text.as_bytes().into());
    let want = events(memory(JUNIT), Format::Junit);
    let told: Vec<_> = want
        .iter()
        .map(|event| {
            (event.suite.as_deref().unwrap(), event.test.as_str(), event.message.as_deref().unwrap())
        })
        .collect();
    assert_eq!(told, [("shop.Cart", "discounts", "90, want 80"), ("shop.Cart", "charges", "no answer")]);
    let written = [
        (Format::Ctrf, memory(CTRF)),
        (Format::Trx, memory(TRX)),
        (Format::Nunit, memory(NUNIT)),
        (Format::Nunit, memory(NUNIT_25)),
        (Format::Xunit, memory(XUNIT)),
        (Format::Testng, memory(TESTNG)),
        (Format::GoTest, memory(GO_TEST)),
        (Format::Tap, memory(TAP)),
        (Format::Cucumber, memory(CUCUMBER)),
        (Format::Allure, Source::file(folder.path().to_owned())),
        (Format::Playwright, memory(PLAYWRIGHT)),
        (Format::Jest, memory(JEST)),
    ];
    for (format, source) in written {
        let mut events = events(source, format);
        for event in &mut events {
            // How much a format says besides is its own: a stack, or the assembly, which goes into ids.
            event.details = None;
            event.id.clone_from(&want.iter().find(|want| want.test == event.test).unwrap().id);
        }
        assert_eq!(events, want, "{format}");
    }
}
