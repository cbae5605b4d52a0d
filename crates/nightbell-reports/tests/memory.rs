//! A report of 200 MB is read in a few megabytes. Alone in its program, because what is measured is the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{self};
use std::io::{BufRead, Read, Seek, SeekFrom};

use nightbell_reports::junit::Report;
use nightbell_reports::{Format, Input, Repeats, ReportOptions, Run};

const REPORT_BYTES: u64 = 200 << 20;

/// How much the peak of the process may grow, in KiB: far more than is needed, and far less than any part of a report
/// that is held by mistake.
const GROWTH_KIB_MAX: u64 = 16 << 10;

/// A head, the same block again and again, and a tail, made as they are read.
struct Endless {
    head: Vec<u8>,
    block: Vec<u8>,
    tail: Vec<u8>,
    blocks: u64,
    at: u64,
}

impl Endless {
    fn new(head: &str, block: &str, tail: &str) -> Self {
        let blocks = REPORT_BYTES.div_ceil(block.len() as u64);
        Self { head: head.into(), block: block.into(), tail: tail.into(), blocks, at: 0 }
    }

    fn rest(&self) -> &[u8] {
        let (head, block) = (self.head.len() as u64, self.block.len() as u64);
        if self.at < head {
            return &self.head[usize::try_from(self.at).unwrap()..];
        }
        let inside = self.at - head;
        if inside < self.blocks * block {
            return &self.block[usize::try_from(inside % block).unwrap()..];
        }
        let inside = usize::try_from(inside - self.blocks * block).unwrap();
        &self.tail[inside.min(self.tail.len())..]
    }
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.rest().read(into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        assert_eq!(to, SeekFrom::Start(0), "a report is only read from its beginning");
        self.at = 0;
        Ok(0)
    }
}

/// The most memory that this process ever held, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn options() -> ReportOptions {
    ReportOptions { project: "shop".into(), ..ReportOptions::default() }
}

#[test]
fn reports_of_200_mb_are_read_in_little_memory() {
    let before = peak_kib();

    // Many tests that fail, each with a log.
    let log = "2026-11-21T03:00:00Z the gateway does not answer &lt;503&gt;\n".repeat(300);
    let case = format!(
        "<testcase name='t'><failure message='m'>{log}</failure><system-out>{log}</system-out></testcase>\n"
    );
    let many = Endless::new("<testsuite name='s'>", &case, "</testsuite>");
    let report = Report::read(many, "many.xml".into(), options()).unwrap();
    assert_eq!((report.summary().cases, report.summary().failed), (1, 1));
    assert_eq!(report.map(Result::unwrap).count(), 1);

    // One log that is nearly all of it.
    let one = Endless::new(
        "<testsuite name='s'><testcase name='t'><failure><![CDATA[",
        &"]] > ".repeat(10_000),
        "]]></failure></testcase></testsuite>",
    );
    let events: Vec<_> =
        Report::read(one, "one.xml".into(), options()).unwrap().map(Result::unwrap).collect();
    assert_eq!(events.len(), 1);

    // The same in JSON, from a file.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut json = Endless::new(
        r#"{"results":{"extra":"","tests":[{"name":"t","status":"failed","trace":""#,
        &r"line\n\u00e9".repeat(1_000),
        r#""}]}}"#,
    );
    io::copy(&mut json, &mut file).unwrap();
    let input = Input { path: file.path().into(), format: Format::Ctrf };
    let run = Run::survey(vec![input], Repeats::InSuite, &options(), |_, held| assert!(held.is_ok()));
    assert_eq!(run.summary().events, 1);

    let grown = peak_kib() - before;
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
}
