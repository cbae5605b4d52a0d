//! Alerting must never break a build.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Ended, FAILED, PASSED, Site, nowhere};

/// Far more than the time-out, and far less than a broken one.
const SLACK: Duration = Duration::from_secs(8);

/// Ended well, in time, with one warning that says this.
#[track_caller]
fn passed(ended: &Ended, said: &str) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warnings: Vec<_> = ended.stderr.lines().filter(|line| !line.contains(" test")).collect();
    assert_eq!(warnings.len(), 1, "{ended:?}");
    assert!(warnings[0].starts_with("nightbell: warning: ") && warnings[0].contains(said), "{ended:?}");
    assert!(warnings[0].ends_with("; --fail-open lets this pass"), "{ended:?}");
    assert!(ended.took < SLACK, "{ended:?}");
}

#[track_caller]
fn check(files: &[(&str, &str)], flags: &[&str], said: &str) {
    let url = nowhere();
    let fixed = ["--fail-open", "--timeout", "1s", "--queue-url", &url, "--project", "shop"];
    passed(&Site::new(files).publish(&[&fixed, flags].concat()), said);
}

#[test]
fn a_broker_that_is_not_there_passes() {
    check(&[("a.xml", FAILED)], &["--junit", "a.xml"], "0 events published, then the queue gave no confirm");
    check(&[], &["--test", "t"], "0 events published, then the queue gave no confirm");
}

#[test]
fn a_broker_that_says_nothing_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://guest:guest@{}/%2f", listener.local_addr().unwrap());
    let flags = ["--fail-open", "--timeout", "1s", "--queue-url", &url, "--project", "p", "--test", "t"];
    passed(&Site::new(&[]).publish(&flags), "0 events published, then the queue gave no confirm");
}

#[test]
fn bad_inputs_pass() {
    check(&[("a.xml", PASSED)], &["--junit", "none/*.xml", "a.xml"], "nothing matches `none/*.xml`");
    check(
        &[("a.xml", "<html/>"), ("b.xml", "")],
        &["--junit", "?.xml"],
        "a.xml:1: no JUnit report: the first element is `html`, not `testsuites` or `testsuite` (and 1 more)",
    );
    check(&[("a.json", "[]")], &["--ctrf", "a.json"], "a.json:1: no CTRF report");
}

#[test]
fn a_wrong_command_passes() {
    check(&[], &["--no-such-flag"], "unexpected argument '--no-such-flag' found");
    check(&[], &["--report-url", "{build}"], "the placeholder `{build}` is not known");
    check(&[], &["--log", "=nonsense=", "--junit", "a.xml"], "can't read `a.xml`");
}

#[test]
fn a_bad_configuration_passes() {
    let site = Site::new(&[("nightbell.toml", "queue = 1"), ("a.xml", FAILED)]);
    let flags = ["--fail-open", "--project", "shop", "--junit", "a.xml"];
    passed(&site.publish(&flags), "nightbell.toml");
}

#[test]
fn a_report_that_is_never_written_passes() {
    let site = Site::new(&[]);
    assert!(Command::new("mkfifo").arg(site.path("a.xml")).status().unwrap().success());
    let url = nowhere();
    let flags = ["--fail-open", "--timeout", "1s", "--queue-url", &url, "--project", "p", "--junit", "a.xml"];
    passed(&site.publish(&flags), "publishing was not done within 1s");
}

#[test]
fn a_standard_input_that_never_ends_passes() {
    let mut writer = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
    let url = nowhere();
    let flags = ["--fail-open", "--timeout", "1s", "--queue-url", &url];
    let ended = Site::new(&[]).publish_from(writer.stdout.take().unwrap(), &flags);
    writer.kill().unwrap();
    writer.wait().unwrap();
    passed(&ended, "publishing was not done within 1s");
}

#[test]
fn reports_without_failures_give_no_warning() {
    let url = nowhere();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(PASSED.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let ended =
        Site::new(&[]).publish(&["--fail-open", "--queue-url", &url, "--project", "p", "--junit", path]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "nothing to publish\n"), "{ended:?}");
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
}
