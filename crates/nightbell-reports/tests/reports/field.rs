//! What the field found: reports of real tools that told nobody of a failing test. Each test bears the name of its kind.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use jiff::tz::TimeZone;
use nightbell_core::event::Status;
use nightbell_core::time::UnixMillis;
use nightbell_reports::{Input, Now, Repeats, ReportOptions, Source};

use crate::support::{Told, input, one, options, read};

/// 2026-11-27T12:00:00Z
const NOON: UnixMillis = UnixMillis(1_795_780_800_000);

#[track_caller]
fn check(report: impl AsRef<[u8]>, want: &[&str]) -> Told {
    let told = one(report);
    assert_eq!(told.lines(), want);
    assert!(!told.is_damaged());
    told
}

#[track_caller]
fn check_apart(told: &Told) {
    let ids = told.ids();
    let keys: Vec<_> = told.events.iter().map(|event| (&event.suite, &event.test)).collect();
    for at in 1..ids.len() {
        assert!(!ids[..at].contains(&ids[at]) && !keys[..at].contains(&keys[at]), "{:?}", told.lines());
    }
}

#[test]
fn r1_a_pass_of_the_same_name_hides_no_failure() {
    check(
        "<testsuite name='shop.PriceTest' failures='1'><testcase classname='shop.PriceTest' name='[1] EUR'/>\
         <testcase classname='shop.PriceTest' name='[2] USD'><failure message='USD rate missing'/></testcase>\
         <testcase classname='shop.PriceTest' name='[1] EUR'/><testcase classname='shop.PriceTest' name='[2] USD'/></testsuite>",
        &["shop.PriceTest: [2] USD #1: USD rate missing"],
    );
    check_apart(&check(
        "<testsuite name='shop.PriceTest'><testcase name='[1] EUR'><failure message='discount wrong'/></testcase>\
         <testcase name='[1] EUR'><failure message='tax wrong'/></testcase></testsuite>",
        &["shop.PriceTest: [1] EUR #1: discount wrong", "shop.PriceTest: [1] EUR #2: tax wrong"],
    ));
}

#[test]
fn r1_a_test_made_in_a_loop_rings_for_its_row() {
    let row = |inside: &str| {
        format!("<testcase classname='prices converts' name='prices converts'>{inside}</testcase>")
    };
    let failure =
        "<failure>Error: USD rate missing&#10;    at converts (/srv/shop/price.test.js:4:11)</failure>";
    check(
        format!(
            "<testsuites><testsuite name='prices' tests='3' failures='1'>{}{}{}</testsuite></testsuites>",
            row(""),
            row(failure),
            row("")
        ),
        &["prices: prices converts #2: Error: USD rate missing"],
    );
}

#[test]
fn r1_two_files_with_tests_of_one_name_are_two() {
    let case = |file: &str, inside: &str| {
        format!("<testcase name='loads the page' classname='test' file='/srv/{file}'>{inside}</testcase>")
    };
    let failure = "<failure type='testCodeFailure' message='status was 500'>500</failure>";
    let both = check(
        format!("<testsuites>{}{}</testsuites>", case("a.test.js", failure), case("b.test.js", failure)),
        &["srv/a.test.js: loads the page: status was 500", "srv/b.test.js: loads the page: status was 500"],
    );
    check_apart(&both);
    // By themselves they are called alike, so that shards give the same keys.
    let alone = one(format!("<testsuites>{}</testsuites>", case("b.test.js", failure)));
    assert_eq!(alone.lines(), ["srv/b.test.js: loads the page: status was 500"]);
    check(
        format!("<testsuites>{}{}</testsuites>", case("a.test.js", failure), case("b.test.js", "")),
        &["srv/a.test.js: loads the page: status was 500"],
    );
}

#[test]
fn r1_two_classes_with_tests_of_one_name_are_two() {
    let case = |class: &str| format!("<testcase classname='{class}' name='a b'><failure/></testcase>");
    check_apart(&one(format!("<testsuite name='s'>{}{}{}</testsuite>", case("a"), case("b"), case(""))));
    // In one suite by the user's word, they are told apart by what the report calls theirs.
    let options = ReportOptions { suite: Some("mine".into()), ..options() };
    let suites = "<testsuites><testsuite name='a'><testcase name='t'><failure/></testcase></testsuite>\
                  <testsuite name='b'><testcase name='t'><failure/></testcase></testsuite></testsuites>";
    let told = read(vec![input("r", suites)], Repeats::Declared, options);
    assert_eq!(told.lines(), ["mine: t (a): ", "mine: t (b): "]);
    check_apart(&told);
}

#[test]
fn r1_what_a_format_declares_as_an_attempt_is_one() {
    check("<testsuite name='s'><testcase name='t'><flakyFailure message='m'/></testcase></testsuite>", &[]);
    check(
        "<testsuite name='s'><testcase name='t'><failure message='m'/><rerunFailure message='m'/></testcase></testsuite>",
        &["s: t: m"],
    );
    let twice =
        "<testsuite name='s'><testcase name='t'><failure/></testcase><testcase name='t'/></testsuite>";
    assert_eq!(read(vec![input("r", twice)], Repeats::AcrossFiles, options()).lines(), Vec::<String>::new());
}

#[test]
fn r2_cases_without_a_name_are_each_an_event() {
    check_apart(&check(
        "<testsuites><testsuite><testcase><failure message='one'/></testcase><testcase><failure message='two'/></testcase>\
         <testcase/></testsuite></testsuites>",
        &[": unnamed test #1: one", ": unnamed test #2: two"],
    ));
    check("<testsuite><testcase class='a.B'><error message='m'/></testcase></testsuite>", &[": a.B: m"]);
    check(
        "<testsuite><testcase file='./a/b.js'><error message='m'/></testcase></testsuite>",
        &["a/b.js: a/b.js: m"],
    );
    check(
        "<testsuite name='s'><testcase class='a.B' name='t'><error message='m'/></testcase></testsuite>",
        &["s: a.B.t: m"],
    );
}

#[test]
fn r3_a_suite_whose_set_up_died_is_an_event() {
    let told = check(
        "<testsuite name='shop.StartTest' tests='1' failures='0' errors='1' timestamp='2026-11-20T10:00:00'>\
         <error type='java.lang.NoClassDefFoundError' message='shop/Db'>cannot load shop/Db</error></testsuite>",
        &["shop.StartTest: shop.StartTest: shop/Db"],
    );
    assert_eq!(told.events[0].status, Status::Error);
    check(
        "<testsuites errors='1'><error message='runner crashed'/><testsuite name='a'><testcase name='ok'/></testsuite></testsuites>",
        &[": test suite: runner crashed"],
    );
}

#[test]
fn r4_what_is_counted_and_not_shown_is_an_event() {
    check(
        "<testsuites name='Shop API' tests='0'><testsuite name='get price' tests='0' failures='0' errors='1' time='0'>\
         <system-err><![CDATA[RequestError: connect ECONNREFUSED 127.0.0.1:9]]></system-err></testsuite></testsuites>",
        &["get price: get price: RequestError: connect ECONNREFUSED 127.0.0.1:9"],
    );
    let told = check(
        "<testsuites tests='4' failures='2' errors='1'><testsuite name='shop' tests='4' failures='2' errors='1'/></testsuites>",
        &["shop: shop: the suite counts 3 failures, of which its cases show 0"],
    );
    assert_eq!(told.events[0].status, Status::Error);
}

#[test]
fn r5_a_run_that_failed_and_whose_report_shows_no_failure_is_an_event() {
    let unexplained = |report: &str, status: Option<i32>| {
        let options = ReportOptions {
            exit_status: status.map(|status| status.to_string()),
            run_id: Some("7".into()),
            ..options()
        };
        let event = read(vec![input("r", report)], Repeats::Declared, options).unexplained?;
        assert_eq!(event.suite.as_deref(), Some("r"));
        Some((event.test, event.status, event.message.unwrap()))
    };
    let skipped = "<testsuites tests='1' failures='0' errors='0' name='AllTests'><testsuite name='Db' tests='1' skipped='1'>\
                   <testcase name='Reads' status='run' result='skipped' classname='Db'><skipped message='db_test.cc:3'/></testcase>\
                   </testsuite></testsuites>";
    let told = |what: &str| Some(("test run".to_owned(), Status::Error, what.to_owned()));
    assert_eq!(unexplained(skipped, Some(1)), told("the run failed with 1 and its report shows no failure"));
    assert_eq!(
        unexplained(skipped, Some(-6)),
        told("the run failed with -6 and its report shows no failure")
    );
    assert_eq!(unexplained("<html/>", Some(127)), told("the run failed with 127 and left no report"));
    assert_eq!(unexplained(skipped, Some(0)), None);
    assert_eq!(unexplained(skipped, None), None);
    let failing = skipped.replace("<skipped message='db_test.cc:3'/>", "<failure/>");
    assert_eq!(unexplained(&failing, Some(1)), None);
    assert_eq!(unexplained("<testsuite>", Some(1)), None);
    // A flaky test explains no failed run.
    let flaky = skipped.replace("<skipped message='db_test.cc:3'/>", "<flakyFailure/>");
    assert!(unexplained(&flaky, Some(1)).is_some());
}

/// The ids of a report in a file that was written at this second.
fn ids_of_file(report: &str, second: u64) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.xml");
    ids_of_path(&path, report, second)
}

fn ids_of_path(path: &std::path::Path, report: &str, second: u64) -> Vec<String> {
    std::fs::write(path, report).unwrap();
    let written = UNIX_EPOCH + Duration::from_secs(second);
    File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    let input = Input { name: "r".into(), source: Source::file(path.to_owned()), format: None };
    read(vec![input], Repeats::Declared, options()).ids().into_iter().map(str::to_owned).collect()
}

#[test]
fn r6_without_a_time_and_a_run_the_ids_are_of_this_report() {
    let report = "<testsuites><testcase name='loads the page' classname='test'><failure message='status was 500'/></testcase></testsuites>";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.xml");
    let monday = ids_of_path(&path, report, 1_000_000_000);
    assert_eq!(ids_of_path(&path, report, 1_000_000_000), monday);
    assert_ne!(ids_of_path(&path, report, 1_000_086_400), monday);
    assert_ne!(ids_of_file(report, 1_000_000_000), monday);
    // A date alone does not tell one run of a day from the next.
    let dated = report.replace("<testcase ", "<testcase timestamp='2026-11-20' ");
    assert_ne!(ids_of_path(&path, &dated, 1_000_000_000), ids_of_path(&path, &dated, 1_000_000_060));
    // What comes through a pipe is of now.
    let at = |now| ReportOptions { now: Now { at: UnixMillis(now), zone: TimeZone::UTC }, ..options() };
    let piped = |now| read(vec![input("r", report)], Repeats::Declared, at(now)).ids()[0].to_owned();
    assert_ne!(piped(1), piped(2));
}

#[test]
fn r7_of_a_damaged_report_what_is_sound_is_published() {
    let told = |report: &str| {
        let told = one(report);
        assert!(told.is_damaged());
        let last = told.events.last().unwrap();
        assert_eq!((last.test.as_str(), last.status), ("report report", Status::Error));
        told.lines()
    };
    let cut = "<testsuites><testsuite name='shop' tests='900' timestamp='2026-11-20T10:00:00'>\n\
               <testcase classname='shop' name='refunds'><failure message='500'/></testcase>\n\
               <testcase classname='shop' name='pays'><failure message='timeout'/></testcase>\n\
               <testcase classname='shop' name='rea";
    assert_eq!(
        told(cut),
        [
            "shop: refunds: 500",
            "shop: pays: timeout",
            ": report report: report damaged at line 4: 2 cases read: not XML: a tag is not closed: `>` not found",
        ]
    );
    let suite = |name: &str| {
        format!(
            "<testsuite name='{name}'><testcase name='x'><failure message='one'/></testcase></testsuite>\n"
        )
    };
    assert_eq!(
        told(&[suite("a"), "<?xml version='1.0'?>".to_owned(), suite("b")].concat())[..2],
        ["a: x: one", "b: x: one"]
    );
    assert_eq!(told(&(suite("a") + "npm ERR! code 1\n"))[0], "a: x: one");
    assert_eq!(told(&suite("Tom & Jerry"))[0], "Tom & Jerry: x: one");
    for cut in ["[{\"uri\":\"a.feature\",\"elements\":[", "{\"suites\":[],\"config\":{},\"errors\":["] {
        assert!(one(cut).is_damaged(), "{cut}");
    }
}

#[test]
fn r8_characters_and_encodings_that_nobody_knows_cost_nothing() {
    let report = |inside: &str| {
        format!(
            "<testsuite name='a'><testcase name='b'><failure message='got {inside} byte'/></testcase><testcase name='c'><failure message='x'/></testcase></testsuite>"
        )
    };
    check(report("&#0;"), &["a: b: got \u{fffd} byte", "a: c: x"]);
    check(report("&#55357;&#56832;"), &["a: b: got \u{fffd}\u{fffd} byte", "a: c: x"]);
    let head = |label: &str| format!("<?xml version=\"1.0\" encoding=\"{label}\"?>");
    check(head("None") + &report("größe"), &["a: b: got größe byte", "a: c: x"]);
    let cp850 = [head("cp850").as_bytes(), &report("gr?e").replace('?', "\u{1}").into_bytes()].concat();
    let cp850: Vec<u8> = cp850.into_iter().map(|byte| if byte == 1 { 0x94 } else { byte }).collect();
    check(cp850, &["a: b: got gr\u{fffd}e byte", "a: c: x"]);
}

#[test]
fn r9_the_whole_path_of_suites_is_the_suite() {
    let outer = |name: &str| {
        format!(
            "<testsuite name='{name}'><testsuite name='signed out'><testcase name='says 401' classname='test'><failure message='not 401'/></testcase></testsuite></testsuite>"
        )
    };
    check_apart(&check(
        format!("<testsuites>{}{}</testsuites>", outer("GET /orders"), outer("POST /orders")),
        &["GET /orders > signed out: says 401: not 401", "POST /orders > signed out: says 401: not 401"],
    ));
    let long = |middle: &str| format!("{}{middle}{}", "a ".repeat(600), " z".repeat(600));
    let told = one(format!("<testsuites>{}{}</testsuites>", outer(&long("x")), outer(&long("y"))));
    check_apart(&told);
    let suite = told.events[0].suite.as_deref().unwrap();
    assert!(
        suite.chars().count() <= 1_000 && suite.starts_with("a a") && suite.ends_with(" > signed out"),
        "{suite}"
    );
}

#[test]
fn r10_the_message_is_the_first_line_that_says_something() {
    let message = |case: &str| {
        let told = one(format!("<testsuite name='s'>{case}</testsuite>"));
        (
            told.events[0].message.clone().unwrap_or_default(),
            told.events[0].details.clone().unwrap_or_default(),
        )
    };
    let (said, details) = message(
        "<testcase name='price' status='fail'><failure message='Failed'/><properties/><system-out>expected 90 got 80</system-out></testcase>",
    );
    assert_eq!(said, "expected 90 got 80");
    assert!(details.contains("expected 90 got 80"));
    let (said, details) = message(
        "<testcase name='p'><failure/><system-out>expected 90 got 80</system-out><system-err>trace</system-err></testcase>",
    );
    assert_eq!(said, "expected 90 got 80");
    assert!(details.contains("trace"));
    let (said, details) = message(
        "<testcase name='Refunds' file='cart_test.cc'><failure message='cart_test.cc:4&#x0A;Expected equality of these values:&#x0A;  90&#x0A;  80&#x0A;the discount is wrong' type=''>\
         <![CDATA[cart_test.cc:4\nExpected equality of these values:\n  90\n  80\nthe discount is wrong]]></failure>\
         <failure message='cart_test.cc:5&#x0A;Value of: paid' type=''><![CDATA[cart_test.cc:5\nValue of: paid]]></failure></testcase>",
    );
    assert_eq!(said, "Expected equality of these values: 90 · 80 · the discount is wrong");
    assert!(details.contains("Value of: paid"));
    let (said, _) = message(
        "<testcase name='signs in'><failure/><error message='element (#user) still not visible after 5000ms'/><system-err>Error: element</system-err></testcase>",
    );
    assert_eq!(said, "element (#user) still not visible after 5000ms");
    assert_eq!(
        message("<testcase name='b'><failure>--------\nexpected 90\n</failure></testcase>").0,
        "expected 90"
    );
    let (said, details) = message(
        "<testcase name='b'><failure message='assert broke'>one</failure><error message='teardown broke'>two</error></testcase>",
    );
    assert_eq!(said, "assert broke");
    assert_eq!(details, "assert broke\none\n\nteardown broke\ntwo");
}

#[test]
fn r11_a_status_without_an_element_is_a_failure() {
    check(
        "<testsuite name='a' failures='1' tests='1'><testcase name='b' status='failed'/></testsuite>",
        &["a: b: "],
    );
    check(
        "<testsuite name='a'><testcase name='b' result='Error'/><testcase name='c' status='passed'/></testsuite>",
        &["a: b: "],
    );
}

#[test]
fn r12_the_time_in_a_suites_name_makes_no_new_test() {
    for time in ["-20261120100000", "-20261121100000", " 2026-11-20T10:00:00Z", ""] {
        check(
            format!(
                "<testsuite name='test_a.T{time}'><testcase classname='test_a.T{time}' name='test_rows'><failure message='m'/></testcase></testsuite>"
            ),
            &["test_a.T: test_rows: m"],
        );
    }
}

#[test]
fn r13_a_time_without_a_zone_is_of_this_machine_and_believed_if_it_can_be() {
    let when = |time: &str, hours: i8| {
        let report = format!(
            "<testsuite name='a' timestamp='{time}'><testcase name='b'><failure/></testcase></testsuite>"
        );
        let now = Now { at: NOON, zone: TimeZone::fixed(jiff::tz::offset(hours)) };
        let told = read(vec![input("r", report)], Repeats::Declared, ReportOptions { now, ..options() });
        told.events[0].occurred_at.map(|when| when.0.0)
    };
    assert_eq!(when("2026-11-27T04:00:00", -8), Some(NOON.0));
    assert_eq!(when("2026-11-27T11:00:00", 0), Some(NOON.0 - 3_600_000));
    assert_eq!(when("2026-11-27T13:00:00", 0), None);
    assert_eq!(when("2026-11-26T11:59:59", 0), None);
    assert_eq!(when("2026-11-27T13:00:00+01:00", 0), Some(NOON.0));
    assert_eq!(when("2026-11-28T13:00:00+01:00", 0), None);
}

#[test]
fn r14_one_odd_entry_costs_no_other() {
    let report = |tests: &str| {
        format!(r#"{{"reportFormat":"CTRF","results":{{"tool":{{"name":"t"}},"tests":[{tests}]}}}}"#)
    };
    check(report(r#"{"name":"pays","status":"FAILED","duration":1}"#), &[": pays: "]);
    check(
        report(r#"{"name":"refunds","status":"failed","message":"x"},{"name":"pays","status":"broken"}"#),
        &[": refunds: x", ": pays: "],
    );
    check(
        report(r#"{"name":"pays","status":"failed","start":"2026-11-20T10:00:00Z","message":"y"}"#),
        &[": pays: y"],
    );
    let told = one(report(r#"null,{"name":"pays","status":"failed","message":"y"}"#));
    assert_eq!(told.lines()[0], ": pays: y");
    assert!(told.is_damaged());
}

#[test]
fn r15_what_is_packed_or_of_a_foreign_form_is_known() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(b"<testsuite name='s'><testcase name='t'><failure message='m'/></testcase></testsuite>")
        .unwrap();
    check(packed.finish().unwrap(), &["s: t: m"]);
    let said = |text: &str| one(text).heard[0].as_ref().unwrap_err().to_string();
    assert!(said("<robot/>").contains("robot --xunit"));
    assert!(said("<Catch2TestRun/>").contains("-r junit"));
    assert!(said("<nonsense/>").contains("`nonsense`; JUnit, CTRF, TRX"));
    assert!(said(r#"{"stats":{},"passes":[],"failures":[]}"#).contains("Mocha"));
    let event = r#"{"project":"p","test":"t"}"#;
    assert!(
        said(event).contains("standard input")
            && said(&format!("{event}\n{event}")).contains("standard input")
    );
    assert!(said("nothing of the kind").contains("a text of another kind"));
    assert_eq!(said(""), "report:1: it is empty");
    // A program that speaks of reports is none.
    assert!(said("// Copyright <HOLDER>\nwrite('<testsuite>')").contains("another kind"));
}

#[test]
fn r16_a_threshold_that_only_says_failed_is_told_by_its_name() {
    check(
        "<testsuites tests='1' failures='1'><testsuite name='k6 thresholds' tests='1' failures='1'>\
         <testcase name='http_req_duration - p(95)&lt;500'><failure message='failed' /></testcase></testsuite></testsuites>",
        &["k6 thresholds: http_req_duration - p(95)<500: failed"],
    );
}
