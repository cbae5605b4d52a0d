//! A report of 200 MB is read in a few megabytes. Alone in its program, because what is measured is the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;

use nightbell_reports::{Format, Input, Reading, Repeats, ReportOptions, Source, Summary};
use tempfile::NamedTempFile;

const REPORT_BYTES: u64 = 200 << 20;

/// How much the peak of the process may grow, in KiB: far more than is needed, and far less than any part of a report
/// that is held by mistake.
const GROWTH_KIB_MAX: u64 = 16 << 10;

/// A head, the same block again and again, and a tail.
fn long(head: &str, block: &str, tail: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut to = BufWriter::new(&file);
    to.write_all(head.as_bytes()).unwrap();
    for _ in 0..REPORT_BYTES.div_ceil(block.len() as u64) {
        to.write_all(block.as_bytes()).unwrap();
    }
    to.write_all(tail.as_bytes()).unwrap();
    drop(to);
    file
}

/// What a report holds, and how many events it gave.
fn read(file: &NamedTempFile, format: Format) -> (Summary, usize) {
    let options = ReportOptions { project: "shop".into(), ..ReportOptions::default() };
    let input =
        Input { name: "report".into(), source: Source::file(file.path().into()), format: Some(format) };
    let (mut reading, mut events) = (Reading::new(Repeats::Declared, options), 0);
    let flow = reading.read(vec![input], &mut |_, held| assert_eq!(held.unwrap().damage, None), &mut |_| {
        events += 1;
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    (reading.summary(), events)
}

/// The most memory that this process ever held, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn reports_of_200_mb_are_read_in_little_memory() {
    let before = peak_kib();

    // Many tests that fail, each with a log.
    let log = "2026-11-21T03:00:00Z the gateway does not answer &lt;503&gt;\n".repeat(300);
    let case = format!(
        "<testcase name='t'><failure message='m'>{log}</failure><system-out>{log}</system-out></testcase>\n"
    );
    let (summary, events) = read(&long("<testsuite name='s'>", &case, "</testsuite>"), Format::Junit);
    assert_eq!((summary.cases, summary.failed), (events, events));
    assert!(events > 4_000);

    // One log that is nearly all of it.
    let one = long(
        "<testsuite name='s'><testcase name='t'><failure><![CDATA[",
        &"]] > ".repeat(10_000),
        "]]></failure></testcase></testsuite>",
    );
    assert_eq!(read(&one, Format::Junit).1, 1);

    // The same in JSON.
    let json = long(
        r#"{"results":{"extra":"","tests":[{"name":"t","status":"failed","trace":""#,
        &r"line\n\u00e9".repeat(1_000),
        r#""}]}}"#,
    );
    assert_eq!(read(&json, Format::Ctrf).1, 1);

    let grown = peak_kib() - before;
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
}
