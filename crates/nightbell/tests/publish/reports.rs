//! Reports of any form, from wherever they come, into the embedded queue; and what is said where nothing would be.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Ended, FAILED, PASSED, Site};

/// A queue in a file, so that what is published is confirmed.
const CONFIGURATION: &str = r#"
data_dir = "data"
default_connectors = ["sre"]
[[connectors]]
name = "sre"
trigger_url = "https://acme.xmatters.com/api/integration/1/functions/x/triggers"
username = "u"
password = "p"
recipients = ["r"]
"#;

const TAP: &str = "TAP version 13\n1..2\nok 1 - adds up\nnot ok 2 - t\n";

fn site(files: &[(&str, &str)]) -> Site {
    Site::new(&[&[("nightbell.toml", CONFIGURATION)], files].concat())
}

/// What these flags publish, and how the program ends.
fn publish(site: &Site, flags: &[&str]) -> (Vec<String>, Ended) {
    publish_from(site, Stdio::null(), flags)
}

fn publish_from(site: &Site, stdin: impl Into<Stdio>, flags: &[&str]) -> (Vec<String>, Ended) {
    let ended = site.publish_from(stdin, &[&["--json", "--project", "shop"], flags].concat());
    let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let tests =
        said["events"].as_array().unwrap().iter().map(|event| event["test"].as_str().unwrap().to_owned());
    (tests.collect(), ended)
}

#[track_caller]
fn check(files: &[(&str, &str)], flags: &[&str], want: &[&str], code: i32) -> Ended {
    let (mut tests, ended) = publish(&site(files), flags);
    tests.sort();
    assert_eq!(
        (tests.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ended.code),
        (want, Some(code)),
        "{ended:?}"
    );
    ended
}

#[test]
fn r5_a_run_that_failed_without_a_failure_in_its_report_is_published() {
    check(&[("a.xml", PASSED)], &["--exit-status", "1", "a.xml"], &["test run"], 0);
    check(&[("a.xml", PASSED)], &["--exit-status", "0", "a.xml"], &[], 0);
    check(&[("a.xml", PASSED)], &["--exit-status", "", "a.xml"], &[], 0);
    check(&[("a.xml", FAILED)], &["--exit-status", "1", "a.xml"], &["c.t"], 0);
    check(&[], &["--exit-status=-11"], &["test run"], 0);
    check(&[], &["--exit-status", "2", "reports/*.xml"], &["test run"], 66);
    check(&[], &["--fail-open", "--exit-status", "2", "report.xml"], &["test run"], 0);
    check(&[("a.xml", "")], &["--exit-status", "2", "a.xml"], &["test run"], 65);
    // Whatever a system calls it, it is no success.
    check(&[("a.xml", PASSED)], &["--fail-open", "--exit-status", "3221225477", "a.xml"], &["test run"], 0);
    check(&[("a.xml", PASSED)], &["--exit-status", "timed out", "a.xml"], &["test run"], 0);
    check(&[("a.xml", PASSED)], &["--exit-status", " 00 ", "a.xml"], &[], 0);
}

#[test]
fn r7_a_damaged_report_is_published_as_far_as_it_is_sound_and_the_code_says_so() {
    let cut = FAILED.replace("</testsuite>", "\n<testcase name=\"rea");
    let files = [("a.xml", cut.as_str()), ("b.xml", PASSED)];
    let ended = check(&files, &["*.xml"], &["c.t", "report a.xml"], 65);
    assert!(ended.stderr.contains("a.xml: damaged at line 2: not XML: a tag is not closed"), "{ended:?}");
    assert!(ended.stderr.contains("1 input is damaged and read as far as possible, see above"), "{ended:?}");
    check(&files, &["--fail-open", "*.xml"], &["c.t", "report a.xml"], 0);
}

#[test]
fn r15_reports_come_from_files_folders_lists_and_patterns() {
    let files = [("a.xml", FAILED), ("b.tap", TAP), ("c.md", "# Notes")];
    check(&files, &["a.xml", "b.tap"], &["c.t", "t"], 0);
    check(&files, &["a.xml,b.tap"], &["c.t", "t"], 0);
    check(&files, &["{a,b}.{xml,tap}"], &["c.t", "t"], 66);
    check(&files, &["[ab].*"], &["c.t", "t"], 0);
    let ended = check(&files, &["."], &["c.t", "t"], 0);
    assert!(
        ended.stderr.contains("passed over, since no report: ") && ended.stderr.contains("c.md"),
        "{ended:?}"
    );
}

#[test]
fn r15_reports_come_through_pipes_and_packed() {
    let site = site(&[("a.xml", FAILED), ("b.tap", TAP)]);
    let open = |name: &str| std::fs::File::open(site.path(name)).unwrap();
    for flags in [["-"], ["/dev/stdin"]] {
        let (tests, ended) = publish_from(&site, open("b.tap"), &flags);
        assert_eq!((tests.as_slice(), ended.code), (["t".to_owned()].as_slice(), Some(0)), "{ended:?}");
    }
    let (tests, _) = publish_from(&site, open("a.xml"), &["--junit", "-"]);
    assert_eq!(tests, ["c.t"]);
    let packed = Command::new("gzip").arg("--keep").arg(site.path("a.xml")).status().unwrap();
    assert!(packed.success());
    assert_eq!(publish(&site, &["a.xml.gz"]).0, ["c.t"]);

    // As a shell makes it of `<(…)`.
    let mut shell = Command::new("bash");
    let program = env!("CARGO_BIN_EXE_nightbell");
    shell.current_dir(site.path("."));
    shell.args(["-c", &format!("{program} publish --project shop <(cat a.xml) | cat")]);
    let ended = shell.env_remove("NIGHTBELL_QUEUE_URL").env_remove("NIGHTBELL_CONFIG").output().unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "published 1 event\n");
}

#[test]
fn r15_a_foreign_form_is_named_with_its_cure() {
    let ended = check(&[("output.xml", "<robot/>")], &["output.xml"], &[], 65);
    assert!(
        ended.stderr.contains("output.xml:1: no report that is known: the first element is `robot`"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("robot --xunit"), "{ended:?}");
    let ended = check(&[("a.txt", "prose")], &["a.txt"], &[], 65);
    assert!(ended.stderr.contains("JUnit, CTRF, TRX, NUnit, xUnit, TestNG"), "{ended:?}");
    // A flag goes before what the content says.
    let ended = check(&[("b.tap", TAP)], &["--junit", "b.tap"], &[], 65);
    assert!(ended.stderr.contains("b.tap:1: no JUnit report: "), "{ended:?}");
    assert!(ended.stderr.contains("; it is TAP, and is read without this format's flag"), "{ended:?}");
}

#[test]
fn publishing_the_same_file_twice_gives_the_same_ids() {
    let site = site(&[("a.xml", FAILED), ("b.tap", TAP)]);
    let ids = || {
        let ended = site.publish(&["--json", "--project", "shop", "a.xml", "b.tap"]);
        let said: Value = serde_json::from_str(&ended.stdout).unwrap();
        let mut ids: Vec<_> =
            said["events"].as_array().unwrap().iter().map(|event| event["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(), ids());
    assert_eq!(ids().len(), 2);
    let mut again = std::fs::File::create(site.path("a.xml")).unwrap();
    again.write_all(FAILED.as_bytes()).unwrap();
    again
        .set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000))
        .unwrap();
    let first = ids();
    std::fs::write(site.path("a.xml"), FAILED).unwrap();
    assert_ne!(ids(), first);
}
