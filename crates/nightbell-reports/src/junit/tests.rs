//! What reports of several runners give, and what is said of those that are not sound.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Cursor;

use insta::assert_snapshot;
use nightbell_core::event::{self, Event, Severity, Status};
use nightbell_core::limits::EVENT_BYTES_MAX;
use proptest::prelude::*;

use super::{JunitError, Report, ReportOptions, Summary, open};
use crate::case::TEXT_BYTES_MAX;

fn options() -> ReportOptions {
    ReportOptions { project: "shop".into(), ..ReportOptions::default() }
}

fn read_with(report: impl AsRef<[u8]>, options: ReportOptions) -> Result<(Summary, Vec<Event>), JunitError> {
    let report = Report::read(Cursor::new(report.as_ref().to_vec()), "report.xml".into(), options)?;
    Ok((report.summary(), report.collect::<Result<_, _>>()?))
}

#[track_caller]
fn sound(report: impl AsRef<[u8]>) -> (Summary, Vec<Event>) {
    let (summary, events) = read_with(report, options()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.events, events.len());
    (summary, events)
}

#[track_caller]
fn wrong(report: impl AsRef<[u8]>) -> String {
    let error = read_with(report, options()).expect_err("it is not sound");
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
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
    let (_, events) = read_with(case("<error/>"), options.clone()).unwrap();
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
}

#[test]
fn a_message_of_several_lines_is_the_details_of_a_failure_without_text() {
    let details = |inside: &str| sound(case(inside)).1[0].details.clone();
    assert_eq!(details("<failure message='one&#10;two'/>").as_deref(), Some("one\ntwo"));
    assert_eq!(details("<failure message='one&#10;two'>text</failure>").as_deref(), Some("text"));
    assert_eq!(details("<failure message='one'/>"), None);
}

#[test]
fn a_test_is_named_by_class_and_name() {
    let name = |attributes: &str| {
        let report = format!("<testsuite><testcase {attributes}><failure/></testcase></testsuite>");
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
}

#[test]
fn of_a_repeated_case_the_last_result_counts() {
    let report = |results: &[&str]| {
        let cases =
            results.iter().map(|inside| format!("<testcase classname='c' name='t'>{inside}</testcase>"));
        sound(format!("<testsuite name='s'>{}</testsuite>", cases.collect::<String>()))
    };
    let (summary, events) = report(&["<failure message='first'/>", ""]);
    assert_eq!((summary.cases, summary.flaky, summary.repeated, events.len()), (1, 1, 1, 0));
    let (summary, events) = report(&["<failure message='first'/>", "<failure message='last'/>"]);
    assert_eq!((summary.failed, summary.repeated), (1, 1));
    assert_eq!(events[0].message.as_deref(), Some("last"));
    let (summary, _) = report(&["", "<failure/>"]);
    assert_eq!((summary.failed, summary.flaky), (1, 0));
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
        read_with(report, options).unwrap().1[0].id.clone().unwrap()
    };
    let monday = report("2026-11-16T03:00:00", "x");
    assert_eq!(id(&monday, None), id(&monday, None));
    assert_ne!(id(&monday, None), id(&report("2026-11-17T03:00:00", "x"), None));
    assert_ne!(id(&monday, None), id(&report("2026-11-16T03:00:00", "y"), None));
    assert_ne!(id(&monday, None), id(&monday, Some("1")));
    assert_ne!(id(&monday, Some("1")), id(&monday, Some("2")));
    assert_eq!(id(&monday, Some("1")), id(&report("2026-11-17T03:00:00", "y"), Some("1")));
    assert_eq!(id(&monday, Some("1")), "junit:96580dc769b2cd5c32644ce5d7794178");
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
}

#[test]
fn a_broken_byte_costs_no_alert() {
    let report =
        b"<testsuite name='a\xffb'><testcase><failure/><system-out>\xc3(</system-out></testcase></testsuite>";
    assert_eq!(sound(report).1[0].suite.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn what_is_no_report_is_said_with_its_line() {
    assert_snapshot!(wrong(""), @"report.xml:1: it is empty");
    assert_snapshot!(wrong("<?xml version='1.0'?>\n"), @"report.xml:2: it is empty");
    assert_snapshot!(wrong("\n{\"project\":\"p\"}"), @"report.xml:1: not XML: text outside of all elements");
    assert_snapshot!(wrong("\n<assemblies>"), @"report.xml:2: no JUnit report: the first element is `assemblies`, not `testsuites` or `testsuite`");
    assert_snapshot!(wrong("<testsuites/>\n<testsuites/>"), @"report.xml:2: not XML: a second root element");
    assert_snapshot!(wrong("<testsuites/>\nmore"), @"report.xml:1: not XML: text outside of all elements");
    assert_snapshot!(wrong("<testsuites>\n<testsuite>\n\n"), @"report.xml:4: it ends before `</testsuite>`");
    assert_snapshot!(wrong("<testsuites>\n<testsuite"), @"report.xml:2: not XML: tag not closed: `>` not found before end of input");
    assert_snapshot!(wrong("<testsuite>\n<testcase>\n</testsuite>"), @"report.xml:3: not XML: expected `</testcase>`, but `</testsuite>` was found");
    assert_snapshot!(wrong("<testsuite>\n<testcase name='a' name='b'/></testsuite>"), @"report.xml:2: not XML: position 18: duplicated attribute, previous declaration at position 9");
    assert_snapshot!(wrong("<testsuite>\n<testcase name=a/></testsuite>"), @r#"report.xml:2: not XML: position 14: attribute value must be enclosed in `"` or `'`"#);
    assert_snapshot!(wrong("<testsuite>\n<testcase name='&nbsp;'/></testsuite>"), @"report.xml:2: the entity `&nbsp;` is not known; a report defines none of its own");
    assert_snapshot!(wrong("<testsuite>\n<testcase name='&#x110000;'/></testsuite>"), @"report.xml:2: not XML: invalid character reference: `1114112` is not a valid codepoint");
    assert_snapshot!(wrong(case("<failure>\na &nbsp; b</failure>")), @"report.xml:2: the entity `&nbsp;` is not known; a report defines none of its own");
    assert_snapshot!(wrong(case("<failure>\na & b</failure>")), @"report.xml:2: not XML: entity or character reference not closed: `;` not found before end of input");
    assert_snapshot!(wrong(case("<failure>\n<![CDATA[ ]] > </failure>")), @"report.xml:2: not XML: CDATA not closed: `]]>` not found before end of input");
    assert_snapshot!(wrong("<?xml version='1.0' encoding='klingon'?><testsuite/>"), @"can't read `report.xml`: its encoding `klingon` is not known; write it in UTF-8");
    assert_snapshot!(wrong("<testsuite>".repeat(101)), @"report.xml:1: elements are nested deeper than 100");
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("none.xml"), options()).unwrap_err();
    assert!(
        matches!(error, JunitError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    assert!(matches!(open(folder.path(), options()), Err(JunitError::Unreadable { .. })));
}

#[test]
fn an_entity_bomb_does_not_go_off() {
    let mut entities = String::from("<!ENTITY a0 'lol'>");
    for level in 1..20 {
        let inner = format!("&a{};", level - 1).repeat(10);
        write!(entities, "<!ENTITY a{level} '{inner}'>").unwrap();
    }
    let report = format!("<!DOCTYPE testsuite [{entities}]>\n{}", case("<failure>&a19;</failure>"));
    assert_eq!(
        wrong(report),
        "report.xml:2: the entity `&a19;` is not known; a report defines none of its own"
    );
}

#[test]
fn no_entity_of_a_document_type_is_known_wherever_it_stands() {
    let declared = "<!DOCTYPE testsuite [<!ENTITY own 'x'><!ENTITY file SYSTEM 'file:///etc/passwd'>]>\n";
    for inside in ["<failure message='&own;'/>", "<failure message='&file;'/>", "<failure>&file;</failure>"] {
        let said = wrong(format!("{declared}{}", case(inside)));
        assert!(
            said.starts_with("report.xml:2: the entity `&") && said.ends_with("defines none of its own"),
            "{said}"
        );
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
    assert_eq!((suite.chars().count(), message.chars().count()), (2_000, 1_000));
    assert!(event.test.chars().count() <= 2 * 2_000 + 1);
    for text in [&suite, &message, &event.test] {
        assert!(!text.contains(char::is_control));
    }
}

#[test]
fn a_report_cut_anywhere_is_refused() {
    let report = "<?xml version='1.0'?><testsuite name='größe'><testcase name='t'><failure message='&lt;'>a<![CDATA[b]]></failure></testcase></testsuite>";
    assert_eq!(sound(report).1.len(), 1);
    for end in 0..report.len() {
        assert!(wrong(&report.as_bytes()[..end]).starts_with("report.xml:1: "), "{end}");
    }
}

#[test]
fn a_flaky_test_is_an_event_only_if_that_is_asked_for() {
    let flaky = "<flakyFailure message='asleep' type='T'>text<stackTrace> at a</stackTrace><system-out>noise</system-out></flakyFailure>";
    for report in [case(flaky), "<testsuite name='s'><testcase classname='c' name='t'><failure message='asleep'>text at a</failure></testcase><testcase classname='c' name='t'/></testsuite>".to_owned()] {
        assert_eq!(sound(&report).1, []);
        let (summary, events) = read_with(&report, ReportOptions { flaky: true, ..options() }).unwrap();
        assert_eq!((summary.flaky, summary.events), (1, 1));
        assert_eq!((events[0].status, events[0].tags.as_slice()), (Status::Failed, ["flaky".to_owned()].as_slice()));
        assert_eq!((events[0].message.as_deref(), events[0].details.as_deref()), (Some("asleep"), Some("text at a")));
    }
    let failed =
        read_with(case("<failure/>"), ReportOptions { run_id: Some("1".into()), ..options() }).unwrap().1;
    let flaky = read_with(case(flaky), ReportOptions { run_id: Some("1".into()), flaky: true, ..options() })
        .unwrap()
        .1;
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
        read_with(case("<failure/>"), options).unwrap().1[0].report_url.clone().unwrap()
    };
    assert_eq!(link("https://ci/{project}/{suite}#{test}"), "https://ci/shop/s#c.t");
    assert_eq!(link("https://ci/{run_id}"), "https://ci");
}

#[test]
fn a_long_tag_is_refused() {
    let said = wrong(format!("\n{}", case(&format!("<failure message='{}'/>", "x".repeat(5 << 20)))));
    assert_eq!(said, "report.xml:2: it can't be read: a tag is longer than 4194304 bytes");
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
    assert!(wrong(report).starts_with("report.xml:300002: not XML: "));
}

const WHOLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><testsuites name="all"><testsuite name="a" tests="3"
 timestamp="2026-11-21T10:00:00" hostname="h"><properties><property name="p" value="v"/></properties>
<testcase classname="c" name="one" file="f.py" line="3" time="0.1"><failure message="m &lt;1&gt;" type="T">text
<![CDATA[ more ]]></failure><system-out>out</system-out></testcase><testcase name="two"><error message="e"/></testcase>
<testcase name="three"><skipped/></testcase><testcase name="four"/></testsuite></testsuites>"#;

#[test]
fn the_report_that_is_mutated_is_sound() {
    assert_eq!(read_with(WHOLE.as_bytes(), options()).unwrap().1.len(), 2);
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
        if let Ok((summary, events)) = read_with(parts.concat(), options()) {
            prop_assert_eq!(summary.events, events.len());
        }
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
        if let Ok((summary, events)) = read_with(report, options()) {
            prop_assert_eq!(summary.events, events.len());
            for event in &events {
                prop_assert!(event::read(&serde_json::to_vec(event).unwrap()).is_ok());
            }
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
