//! What reports of several runners give, and what is said of those that are not sound.

use std::fmt::Write as _;

use insta::assert_snapshot;
use nightbell_core::event::{self, Event, Severity, Status};
use nightbell_core::limits::EVENT_BYTES_MAX;
use proptest::prelude::*;

use crate::case::TEXT_BYTES_MAX;
use crate::names::NAME_CHARS_MAX;
use crate::{Format, ReportError, ReportOptions, Summary, Survey, testing};

fn options() -> ReportOptions {
    ReportOptions { project: "shop".into(), ..ReportOptions::default() }
}

/// What a report gives, and what is said of it.
fn read_with(report: impl AsRef<[u8]>, options: ReportOptions) -> (Result<Survey, ReportError>, Vec<Event>) {
    testing::read(report.as_ref(), Format::Junit, options)
}

#[track_caller]
fn sound(report: impl AsRef<[u8]>) -> (Summary, Vec<Event>) {
    sound_with(report, options())
}

#[track_caller]
fn sound_with(report: impl AsRef<[u8]>, options: ReportOptions) -> (Summary, Vec<Event>) {
    let (held, events) = read_with(report, options);
    let held = held.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((held.damage, held.summary.events), (None, events.len()));
    (held.summary, events)
}

#[track_caller]
fn wrong(report: impl AsRef<[u8]>) -> String {
    let (held, events) = read_with(report, options());
    assert_eq!(events, []);
    held.expect_err("it is no report").to_string()
}

/// The tests that a damaged report tells of, and the message of the event that says so.
#[track_caller]
fn damaged(report: impl AsRef<[u8]>) -> (Vec<String>, String) {
    let (held, mut events) = read_with(report, options());
    assert!(held.unwrap().damage.is_some());
    let last = events.pop().unwrap();
    assert_eq!((last.test.as_str(), last.status), ("report report", Status::Error));
    (events.into_iter().map(|event| event.test).collect(), last.message.unwrap())
}

/// One failing case around `inside`.
fn case(inside: &str) -> String {
    format!(r#"<testsuite name="s"><testcase classname="c" name="t">{inside}</testcase></testsuite>"#)
}

#[test]
fn the_details_are_the_text_without_its_colours() {
    let report =
        case("<failure message='m'>line &lt;1&gt;\r\n#x1B[31mE  red#x1B[0m<![CDATA[ <b>&amp;]]>\n</failure>");
    assert_eq!(sound(report).1[0].details.as_deref(), Some("line <1>\nE  red <b>&amp;"));
}

#[test]
fn the_options_reach_every_event() {
    let options = ReportOptions {
        environment: Some("staging".into()),
        run_id: Some("run-7".into()),
        severity: Severity::Critical,
        labels: [("team".to_owned(), "shop".to_owned())].into(),
        tags: vec!["nightly".into()],
        report_url: Some("https://reports.example.com/7".into()),
        suite: Some("checkout".into()),
        ..options()
    };
    let (_, events) = sound_with(case("<error/>"), options.clone());
    let want = Event {
        id: events[0].id.clone(),
        status: Status::Error,
        severity: Severity::Critical,
        suite: options.suite,
        environment: options.environment,
        run_id: options.run_id,
        report_url: options.report_url,
        tags: options.tags,
        labels: options.labels,
        ..Event::new("shop", "c.t")
    };
    assert_eq!(events, [want]);
}

#[test]
fn the_message_is_one_line_of_what_there_is() {
    let message = |inside: &str| sound(case(inside)).1[0].message.clone();
    assert_eq!(message("<failure message='one&#10;two' type='T'>text</failure>").as_deref(), Some("one"));
    assert_eq!(message("<failure message='one\ntwo'/>").as_deref(), Some("one"));
    assert_eq!(message("<failure message=' ' type='T'>\n\n  text\nmore</failure>").as_deref(), Some("text"));
    assert_eq!(message("<failure type='T'/>").as_deref(), Some("T"));
    assert_eq!(message("<failure/>"), None);
    assert_eq!(message("<failure/><system-out>\n--\nsaid</system-out>").as_deref(), Some("said"));
    assert_eq!(message("<system-err>said</system-err><failure message='Failed'/>").as_deref(), Some("said"));
}

#[test]
fn a_message_of_several_lines_is_in_the_details() {
    let details = |inside: &str| sound(case(inside)).1[0].details.clone();
    assert_eq!(details("<failure message='one&#10;two'/>").as_deref(), Some("one\ntwo"));
    assert_eq!(details("<failure message='one&#10;two'>text</failure>").as_deref(), Some("one\ntwo\ntext"));
    assert_eq!(details("<failure message='one'/>"), None);
}

#[test]
fn a_test_is_named_by_class_and_name() {
    let name = |attributes: &str| {
        let report = format!("<testsuite name='s'><testcase {attributes}><failure/></testcase></testsuite>");
        sound(report).1[0].test.clone()
    };
    assert_eq!(name("classname='a.B' name='c'"), "a.B.c");
    assert_eq!(name("classname='a.B' name='a.B.c'"), "a.B.c");
    assert_eq!(name("classname='' name='c'"), "c");
    // As mocha-junit-reporter has it.
    assert_eq!(name("classname='adds up' name='basket adds up'"), "basket adds up");
    assert_eq!(name("classname='a' name='data'"), "a.data");
    assert_eq!(name("name=' c&#10;d '"), "c d");
    assert_eq!(name("classname='a.B' name=''"), "a.B");
    assert_eq!(name(""), "unnamed test");
}

#[test]
fn how_a_case_ended() {
    let ended = |inside: &str| {
        let (summary, events) = sound(case(inside));
        let Summary { failed, errors, skipped, flaky, .. } = summary;
        (failed, errors, skipped, flaky, events.len())
    };
    assert_eq!(ended(""), (0, 0, 0, 0, 0));
    assert_eq!(ended("<failure/>"), (1, 0, 0, 0, 1));
    assert_eq!(ended("<error/>"), (0, 1, 0, 0, 1));
    assert_eq!(ended("<skipped/>"), (0, 0, 1, 0, 0));
    assert_eq!(ended("<flakyFailure><stackTrace/></flakyFailure><flakyError/>"), (0, 0, 0, 1, 0));
    assert_eq!(ended("<failure/><rerunFailure/><rerunError/>"), (1, 0, 0, 0, 1));
    assert_eq!(ended("<failure/><error/><failure/>"), (1, 0, 0, 0, 1));
    assert_eq!(ended("<skipped/><failure/>"), (1, 0, 0, 0, 1));
    assert_eq!(ended("<system-out><failure/></system-out>"), (0, 0, 0, 0, 0));
    assert_eq!(ended("<flakyFailure/><failure/>"), (1, 0, 0, 0, 1));
    assert_eq!(ended("<skipped type='todo'/><failure/>"), (0, 0, 1, 0, 0));
    assert_eq!(ended("<skipped message='tagged with !mayfail'/><failure/>"), (0, 0, 1, 0, 0));
}

#[test]
fn results_of_one_name_are_tests_of_their_own() {
    let report = |results: &[&str]| {
        let cases =
            results.iter().map(|inside| format!("<testcase classname='c' name='t'>{inside}</testcase>"));
        sound(format!("<testsuite name='s'>{}</testsuite>", cases.collect::<String>()))
    };
    let tests = |events: &[Event]| events.iter().map(|event| event.test.clone()).collect::<Vec<_>>();
    let (summary, events) = report(&["<failure message='first'/>", ""]);
    assert_eq!((summary.cases, summary.flaky, tests(&events)), (2, 0, vec!["c.t #1".to_owned()]));
    let (summary, events) = report(&["", "<failure message='one'/>", "<failure message='two'/>"]);
    assert_eq!((summary.failed, summary.repeated), (2, 0));
    assert_eq!(tests(&events), ["c.t #2", "c.t #3"]);
    assert_ne!(events[0].id, events[1].id);
}

#[test]
fn cases_with_a_number_of_their_attempt_are_attempts() {
    let report = |attribute: &str, results: &[&str]| {
        let cases = results.iter().enumerate().map(|(number, inside)| {
            format!("<testcase classname='c' name='t' {attribute}='{number}'>{inside}</testcase>")
        });
        sound(format!("<testsuite name='s'>{}</testsuite>", cases.collect::<String>()))
    };
    for attribute in ["retry", "attempt"] {
        let (summary, events) = report(attribute, &["<failure message='first'/>", ""]);
        assert_eq!((summary.cases, summary.flaky, summary.repeated, events.len()), (1, 1, 1, 0));
        let (_, events) = report(attribute, &["<failure message='first'/>", "<failure message='last'/>"]);
        assert_eq!(
            (events.len(), events[0].message.as_deref(), events[0].test.as_str()),
            (1, Some("last"), "c.t")
        );
    }
}

#[test]
fn cases_of_one_name_and_one_number_of_attempt_are_two_tests() {
    let case = |number: u32, inside: &str| format!("<testcase name='t' retry='{number}'>{inside}</testcase>");
    let rows =
        [case(0, "<failure message='a'/>"), case(0, ""), case(0, "<failure message='b'/>"), case(1, "")];
    let (summary, events) = sound(format!("<testsuite name='s'>{}</testsuite>", rows.concat()));
    let told: Vec<_> =
        events.iter().map(|event| (event.test.as_str(), event.message.as_deref().unwrap())).collect();
    assert_eq!((summary.cases, told), (3, vec![("t #3", "b")]));
}

#[test]
fn two_files_of_one_name_that_do_not_load_are_two_although_each_says_so_twice() {
    let case = |inside: &str| {
        format!("<testcase classname='Test suite failed to run' name='a.js'>{inside}</testcase>")
    };
    let suite = format!("<testsuite name='a.js'>{}{}</testsuite>", case("<error/>"), case("<failure/>"));
    assert_eq!(sound(format!("<testsuites>{suite}{suite}</testsuites>")).1.len(), 2);
    assert_eq!(sound(suite).1.len(), 1);
}

#[test]
fn cases_of_one_name_in_two_suites_are_two() {
    let suite =
        |name: &str| format!("<testsuite name='{name}'><testcase name='t'><failure/></testcase></testsuite>");
    let (_, events) = sound(format!("<testsuites>{}{}</testsuites>", suite("a"), suite("b")));
    assert_eq!(events.len(), 2);
    assert_ne!(events[0].id, events[1].id);
}

#[test]
fn the_same_report_gives_the_same_ids_and_a_new_run_gives_others() {
    let report = |time: &str, text: &str| {
        format!(
            "<testsuite name='s' timestamp='{time}'><testcase name='t'><failure>{text}</failure></testcase></testsuite>"
        )
    };
    let id = |report: &str, run: Option<&str>| {
        let options = ReportOptions { run_id: run.map(str::to_owned), ..options() };
        sound_with(report, options).1[0].id.clone().unwrap()
    };
    let monday = report("2026-11-16T03:00:00", "x");
    assert_eq!(id(&monday, None), id(&monday, None));
    assert_ne!(id(&monday, None), id(&report("2026-11-17T03:00:00", "x"), None));
    assert_ne!(id(&monday, None), id(&report("2026-11-16T03:00:00", "y"), None));
    assert_ne!(id(&monday, None), id(&monday, Some("1")));
    assert_ne!(id(&monday, Some("1")), id(&monday, Some("2")));
    assert_eq!(id(&monday, Some("1")), id(&report("2026-11-17T03:00:00", "y"), Some("1")));
    assert_eq!(id(&monday, Some("1")), "report:508f9ca8f91c6acf8d7da194417e8f28");
}

#[test]
fn a_report_without_failures_gives_no_events() {
    assert_eq!(sound("<testsuites/>"), (Summary::default(), vec![]));
    assert_eq!(sound("<?xml version='1.0'?>\n<testsuite><testcase name='t'/></testsuite>\n").0.cases, 1);
}

#[test]
fn namespaces_are_tolerated() {
    let report =
        "<testsuite xmlns='urn:x'><j:testcase xmlns:j='urn:x' name='t'><j:failure/></j:testcase></testsuite>";
    assert_eq!(sound(report).1.len(), 1);
}

#[test]
fn other_encodings_are_read() {
    let report = "<?xml version='1.0' encoding='ENCODING'?><testsuite name='größe'><testcase name='t'><failure/></testcase></testsuite>";
    let suite = |bytes: Vec<u8>| sound(bytes).1[0].suite.clone().unwrap();
    let latin = report.replace("ENCODING", "ISO-8859-1");
    assert_eq!(
        suite(latin.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()),
        "größe"
    );
    let wide = report.replace("ENCODING", "UTF-16");
    let little = [0xff, 0xfe].into_iter().chain(wide.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(suite(little.collect()), "größe");
    let big = wide.encode_utf16().flat_map(u16::to_be_bytes);
    assert_eq!(suite(big.collect()), "größe");
    let marked = [0xef, 0xbb, 0xbf].into_iter().chain(report.replace("ENCODING", "utf-8").into_bytes());
    assert_eq!(suite(marked.collect()), "größe");
    let japanese = b"<?xml version='1.0' encoding='Shift_JIS'?><testsuite name='\x93\x8c\x8b\x9e'><testcase><failure/></testcase></testsuite>";
    assert_eq!(suite(japanese.to_vec()), "東京");
    // What is declared as UTF-16 but reads as ASCII is not UTF-16.
    assert_eq!(suite(wide.into_bytes()), "größe");
    for label in ["None", "klingon", "cp850"] {
        assert_eq!(suite(report.replace("ENCODING", label).into_bytes()), "größe");
    }
}

#[test]
fn a_broken_byte_costs_no_alert() {
    let report =
        b"<testsuite name='a\xffb'><testcase><failure/><system-out>\xc3(</system-out></testcase></testsuite>";
    assert_eq!(sound(report).1[0].suite.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn what_is_no_report_is_said_with_its_line() {
    assert_snapshot!(wrong(""), @"report:1: it is empty");
    assert_snapshot!(wrong("<?xml version='1.0'?>\n"), @"report:2: it is empty");
    assert_snapshot!(wrong("\n{\"project\":\"p\"}"), @"report:1: no JUnit report: not XML: text outside of all elements");
    assert_snapshot!(wrong("\n<assemblies>"), @"report:2: no JUnit report: the first element is `assemblies`, not `testsuites` or `testsuite`; it is xUnit, and is read without this format's flag");
}

const ONE: &str = "<testsuite name='a'><testcase name='x'><failure message='one'/></testcase></testsuite>";
const TWO: &str = "<testsuite name='b'>\n<testcase name='y'><failure message='two'/></testcase></testsuite>";

#[track_caller]
fn check_damaged(report: &str, want: &[&str], said: &str) {
    let (tests, message) = damaged(report);
    let said = format!("report damaged at line {said}");
    assert_eq!((tests, message), (want.iter().map(|test| (*test).to_owned()).collect(), said), "{report}");
}

#[test]
fn of_a_report_with_something_around_it_what_is_sound_is_read() {
    check_damaged(&format!("{ONE}\n{TWO}"), &["x", "y"], "2: 2 cases read: not XML: a second root element");
    check_damaged(&format!("{ONE}\nmore"), &["x"], "1: 1 case read: not XML: text outside of all elements");
    check_damaged(
        &format!("npm WARN\n{ONE}"),
        &["x"],
        "1: 1 case read: not XML: text outside of all elements",
    );
    let deep = format!("<testsuite>{}</testsuite>{TWO}", "<testsuite>".repeat(101));
    check_damaged(&deep, &[], "1: 0 cases read: it is nested deeper than 100");
}

#[test]
fn of_a_report_with_wrong_tags_what_is_sound_is_read() {
    let check = |from: &str, to: &str, want: &str, said: &str| {
        check_damaged(&ONE.replace(from, to), &[want], &format!("1: {said}"));
    };
    check("'x'", "'Tom & Jerry'", "Tom & Jerry", "1 case read: not XML: a `&` that begins no reference");
    check("'one'", "'a<b'", "x", "1 case read: not XML: a `<` within a value is not escaped");
    check("'one'", "\"got \"5\" here\"", "x", "1 case read: not XML: a quote within a value is not escaped");
    check("'x'", "x", "x", "1 case read: not XML: an attribute is not of the form name=\"value\"");
    let markup = "2 cases read: not XML: a tag is not closed before the next one";
    check("'one'", "'got <testcase> here'", "x", markup);
}

#[test]
fn of_a_report_that_breaks_off_what_is_sound_is_read() {
    let check = |from: &str, to: &str, want: &[&str], said: &str| {
        check_damaged(&TWO.replace(from, to), want, &format!("2: {said}"));
    };
    let mismatch = "1 case read: not XML: expected `</testcase>`, but `</testsuite>` was found";
    check("</testcase>", "", &["y"], mismatch);
    let cut = "not XML: a tag is not closed: `>` not found";
    let within = "</testcase><testcase name='z'><failure message='th";
    check("</testcase></testsuite>", within, &["y", "z"], &format!("2 cases read: {cut}"));
    check("</testsuite>", "<testcase name='rea", &["y"], &format!("1 case read: {cut}"));
    check("</testsuite>", "<testcase name='z'>", &["y"], "1 case read: it ends before `</testcase>`");
    let fence = "1 case read: not XML: CDATA not closed: `]]>` not found";
    check("<failure message='two'/>", "<failure><![CDATA[ ]] > ", &["y"], fence);
}

#[test]
fn a_failure_that_is_not_closed_swallows_no_test() {
    let report =
        "<testsuite name='a'><failure message='m'>\n<testcase name='x'><failure/></testcase></testsuite>";
    assert_eq!(damaged(report).0, ["x", "a"]);
    let report = "<testsuite name='a'><system-err>\n<testcase name='x'><failure/></testcase></testsuite>";
    assert_eq!(damaged(report).0, ["x"]);
}

#[test]
fn absurd_counts_and_depths_are_bounded() {
    let report = "<testsuite name='a' failures='18446744073709551615' errors='1'/>";
    assert_eq!(sound(report).1.len(), 1);
    assert!(read_with("<testsuites>".repeat(100_000), options()).0.is_ok());
}

#[test]
fn what_xml_forbids_and_everybody_writes_is_no_damage() {
    for report in [
        "<testsuite name='s'><testcase name='a' name='b'><failure/></testcase></testsuite>",
        "<testsuite name='s'><testcase name='a'><failure message='&#0;&nbsp;\u{1}'/></testcase></testsuite>",
    ] {
        assert_eq!(sound(report).1[0].test, "a", "{report}");
    }
}

#[test]
fn a_suite_that_failed_by_itself_is_an_event() {
    let told = |report: &str| {
        let (_, events) = sound(report);
        let told = |event: Event| {
            format!(
                "{}|{}|{}",
                event.suite.unwrap_or_default(),
                event.test,
                event.message.unwrap_or_default()
            )
        };
        events.into_iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(
        told("<testsuite name='a' errors='1'><error message='no database'/></testsuite>"),
        ["a|a|no database"]
    );
    assert_eq!(
        told("<testsuites errors='1'><error message='crashed'/><testsuite name='a'/></testsuites>"),
        ["|test suite|crashed"]
    );
    assert_eq!(
        told(
            "<testsuite name='a'><testsuite name='b'><failure>one</failure><error>two</error></testsuite></testsuite>"
        ),
        ["a > b|b|one"]
    );
}

#[test]
fn what_a_suite_counts_and_does_not_show_is_an_event() {
    let told = |report: &str| {
        let (_, events) = sound(report);
        events
            .into_iter()
            .map(|event| format!("{}|{}", event.test, event.message.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let failing = "<testcase name='t'><failure message='m'/></testcase>";
    assert_eq!(
        told(
            "<testsuites><testsuite name='a' errors='1'><system-err>\nRequestError: refused</system-err></testsuite></testsuites>"
        ),
        ["a|RequestError: refused"]
    );
    assert_eq!(
        told(
            "<testsuites failures='2' errors='1'><testsuite name='a' failures='2' errors='1'/></testsuites>"
        ),
        ["a|the suite counts 3 failures, of which its cases show 0"]
    );
    assert_eq!(
        told(&format!("<testsuite name='a' failures='2'>{failing}</testsuite>")),
        ["t|m", "a|the suite counts 2 failures, of which its cases show 1"]
    );
    // Whoever counts elements, and whoever counts cases, is right.
    let twice = "<testcase name='t'><failure message='m'/><failure/></testcase>";
    for count in ["0", "1", "2", "none", "-1"] {
        assert_eq!(
            told(&format!("<testsuite name='a' failures='{count}'>{twice}</testsuite>")),
            ["t|m"],
            "{count}"
        );
    }
    // An outer suite counts the inner ones, or does not.
    for count in 0..2 {
        let report = format!(
            "<testsuites failures='{count}'><testsuite name='a' failures='1'>{failing}</testsuite></testsuites>"
        );
        assert_eq!(told(&report), ["t|m"]);
    }
}

#[test]
fn a_case_that_says_in_a_word_that_it_failed_failed() {
    let ended = |attribute: &str| {
        let (summary, _) = sound(format!("<testsuite name='s'><testcase name='t' {attribute}/></testsuite>"));
        (summary.failed, summary.errors)
    };
    for failed in ["status='failed'", "status='FAIL'", "result='failure'", "status='run' result='failed'"] {
        assert_eq!(ended(failed), (1, 0), "{failed}");
    }
    for error in ["status='error'", "result='timed-out'", "status='broken'"] {
        assert_eq!(ended(error), (0, 1), "{error}");
    }
    for none in ["status='run' result='completed'", "status='passed'", "status=''", "status='42'"] {
        assert_eq!(ended(none), (0, 0), "{none}");
    }
}

#[test]
fn an_entity_bomb_does_not_go_off() {
    let mut entities = String::from("<!ENTITY a0 'lol'>");
    for level in 1..20 {
        let inner = format!("&a{};", level - 1).repeat(10);
        write!(entities, "<!ENTITY a{level} '{inner}'>").unwrap();
    }
    let report = format!("<!DOCTYPE testsuite [{entities}]>\n{}", case("<failure>&a19;</failure>"));
    assert_eq!(sound(report).1[0].message.as_deref(), Some("&a19;"));
}

#[test]
fn no_entity_of_a_document_type_is_known_wherever_it_stands() {
    let declared = "<!DOCTYPE testsuite [<!ENTITY own 'x'><!ENTITY file SYSTEM 'file:///etc/passwd'>]>\n";
    for (inside, want) in [
        ("<failure message='&own;'/>", "&own;"),
        ("<failure message='&file;'/>", "&file;"),
        ("<failure>&file;</failure>", "&file;"),
    ] {
        assert_eq!(sound(format!("{declared}{}", case(inside))).1[0].message.as_deref(), Some(want));
    }
    assert_eq!(
        sound(format!("{declared}{}", case("<failure message='&lt;&#x41;&apos;'/>"))).1[0].message.as_deref(),
        Some("<A'")
    );
}

#[test]
fn long_texts_are_cut_and_what_follows_is_read() {
    let long = "größe ]]- ".repeat(200_000);
    for inside in [
        format!("<failure message='m'>{}</failure>", long.replace("]]", "&gt;")),
        format!("<failure message='m'><![CDATA[{long}]]]]></failure>"),
        format!("<failure message='m'/><system-out>{long}</system-out>"),
        format!("<failure message='m'/><system-out><![CDATA[{long}]]]></system-out>"),
        format!("<failure message='m'/><!--{}-->", long.replace("]]-", "- -")),
        format!("<failure message='m'/><?note {long}?>"),
    ] {
        let report =
            format!("<testsuites>{}\n{}</testsuites>", case(&inside), case("").replace("\"t\"", "\"u\""));
        let report = report.replace(
            "</testsuites>",
            "<testsuite><testcase name='v'><failure/></testcase></testsuite></testsuites>",
        );
        let (_, events) = sound(&report);
        assert_eq!(events.len(), 2, "{}", inside.chars().take(60).collect::<String>());
        assert!(events[0].details.as_ref().is_none_or(|text| text.len() <= TEXT_BYTES_MAX));
    }
}

#[test]
fn long_names_are_cut_and_control_characters_are_left_out() {
    let long = format!("{}&#10;&#x1b;[31m\u{7}\u{0}", "n".repeat(10_000));
    let (_, events) = sound(format!(
        "<testsuite name='{long}'><testcase classname='{long}' name='x{long}'><failure message='{long}'/></testcase></testsuite>"
    ));
    let event = event::read(&serde_json::to_vec(&events[0]).unwrap()).unwrap();
    let (suite, message) = (event.suite.unwrap(), event.message.unwrap());
    assert_eq!((suite.chars().count(), message.chars().count()), (NAME_CHARS_MAX, 1_000));
    assert!(event.test.chars().count() <= NAME_CHARS_MAX);
    for text in [&suite, &message, &event.test] {
        assert!(!text.contains(char::is_control));
    }
}

#[test]
fn a_report_cut_anywhere_is_damaged_or_empty() {
    let report = "<?xml version='1.0'?><testsuite name='größe'><testcase name='t'><failure message='&lt;'>a<![CDATA[b]]></failure></testcase></testsuite>";
    assert_eq!(sound(report).1.len(), 1);
    let failure = report.find("message").unwrap();
    for end in 0..report.len() {
        let (held, events) = read_with(&report.as_bytes()[..end], options());
        match held {
            Ok(held) => assert!(held.damage.is_some(), "{end}"),
            Err(error) => assert!(error.to_string().starts_with("report:1: ") && end < 60, "{end} {error}"),
        }
        let tells_of_it = events.iter().any(|event| event.test == "t");
        assert_eq!(tells_of_it, end >= failure, "{end}");
    }
}

#[test]
fn a_flaky_test_is_an_event_only_if_that_is_asked_for() {
    let flaky = "<flakyFailure message='asleep' type='T'>text<stackTrace> at a</stackTrace><system-out>noise</system-out></flakyFailure>";
    let declared = "<testsuite name='s'><testcase classname='c' name='t' flaky='true'><failure message='asleep'>text at a</failure></testcase></testsuite>";
    for report in [case(flaky), declared.to_owned()] {
        assert_eq!(sound(&report).1, []);
        let (summary, events) = sound_with(&report, ReportOptions { flaky: true, ..options() });
        assert_eq!((summary.flaky, summary.events), (1, 1));
        assert_eq!(
            (events[0].status, events[0].tags.as_slice()),
            (Status::Failed, ["flaky".to_owned()].as_slice())
        );
        assert_eq!(
            (events[0].message.as_deref(), events[0].details.as_deref()),
            (Some("asleep"), Some("text at a"))
        );
    }
    let with_run = ReportOptions { run_id: Some("1".into()), flaky: true, ..options() };
    let failed = sound_with(case("<failure/>"), with_run.clone()).1;
    let flaky = sound_with(case(flaky), with_run).1;
    assert_ne!(failed[0].id, flaky[0].id);
}

#[test]
fn a_link_is_filled_for_each_event() {
    let link = |link: &str| {
        let options = ReportOptions {
            link: Some(link.parse().unwrap()),
            report_url: Some("https://ci".into()),
            ..options()
        };
        sound_with(case("<failure/>"), options).1[0].report_url.clone().unwrap()
    };
    assert_eq!(link("https://ci/{project}/{suite}#{test}"), "https://ci/shop/s#c.t");
    assert_eq!(link("https://ci/{run_id}"), "https://ci");
}

#[test]
fn a_long_value_is_cut_and_what_follows_is_read() {
    let report = case(&format!("<failure message='{}' type='T'>text</failure>", "x ".repeat(5 << 20)));
    let (_, events) =
        sound(report.replace("</testsuite>", "<testcase name='u'><error/></testcase></testsuite>"));
    assert_eq!((events.len(), events[0].details.as_deref()), (2, Some("text")));
}

#[test]
fn an_event_is_never_too_long() {
    let text = "\"\\\n".repeat(TEXT_BYTES_MAX);
    let message = text.replace('"', "&quot;");
    let (_, events) = sound(case(&format!("<failure message='{message}'>{message}</failure>")));
    let body = serde_json::to_vec(&events[0]).unwrap();
    assert!(body.len() <= EVENT_BYTES_MAX && event::read(&body).is_ok(), "{}", body.len());
}

#[test]
fn lines_are_counted_through_what_was_cut() {
    let report = format!("<testsuite><system-out>{}</system-out>\n<a></b>", "x\n".repeat(300_000));
    assert!(damaged(report).1.starts_with("report damaged at line 300002: 0 cases read: not XML: "));
}

const WHOLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><testsuites name="all"><testsuite name="a" tests="3"
 timestamp="2026-11-21T10:00:00" hostname="h"><properties><property name="p" value="v"/></properties>
<testcase classname="c" name="one" file="f.py" line="3" time="0.1"><failure message="m &lt;1&gt;" type="T">text
<![CDATA[ more ]]></failure><system-out>out</system-out></testcase><testcase name="two"><error message="e"/></testcase>
<testcase name="three"><skipped/></testcase><testcase name="four"/></testsuite></testsuites>"#;

#[test]
fn the_report_that_is_mutated_is_sound() {
    assert_eq!(sound(WHOLE).1.len(), 2);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(read_with(bytes, options()));
    }

    #[test]
    fn no_xml_like_text_makes_it_panic(
        parts in proptest::collection::vec(
            r#"(<testsuites>|<testsuite name="a">|<testcase name='b'>|<failure message="&lt;">|<error/>|<skipped/>|</testcase>|</testsuite>|</testsuites>|</failure>|<!\[CDATA\[|\]\]>|<!--|-->|<\?xml version="1.0" encoding="[A-Za-z0-9-]{0,9}"\?>|&#[0-9x]{0,3};|[ -~é]{0,4})"#,
            0..12,
        )
    ) {
        let (held, events) = read_with(parts.concat(), options());
        prop_assert_eq!(held.map_or(0, |held| held.summary.events), events.len());
    }

    #[test]
    fn a_report_that_is_nearly_right_is_read_or_refused(
        edits in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..9_usize, r#"([<>&;"'/=!-]|]]>|<failure>|</testcase>|&#x0;|\PC){0,3}"#),
            1..4,
        )
    ) {
        let mut report = WHOLE.as_bytes().to_vec();
        for (at, cut, text) in edits {
            let at = at.index(report.len() + 1);
            let end = (at + cut).min(report.len());
            report.splice(at..end, text.into_bytes());
        }
        let (held, events) = read_with(report, options());
        prop_assert_eq!(held.map_or(0, |held| held.summary.events), events.len());
        for event in &events {
            prop_assert!(event::read(&serde_json::to_vec(event).unwrap()).is_ok());
        }
    }

    #[test]
    fn whatever_a_failure_says_is_an_event(message in any::<String>(), text in any::<String>()) {
        let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
        let inside = format!("<failure message=\"{}\">{}</failure>", escape(&message), escape(&text));
        let (_, events) = sound(case(&inside));
        prop_assert!(event::read(&serde_json::to_vec(&events[0]).unwrap()).is_ok());
    }
}
