//! What tests of several formats ask.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nightbell_core::event::Event;

use crate::case::Case;
use crate::fault::{Place, Unfit};
use crate::sink::{Read, Sink};
use crate::{Format, Input, Reading, Repeats, ReportError, ReportOptions, Source, Survey};

/// What a report gives, and what is said of it.
pub(crate) fn read(
    report: &[u8],
    format: Format,
    options: ReportOptions,
) -> (Result<Survey, ReportError>, Vec<Event>) {
    let input = Input { name: "report".into(), source: Source::memory(report.into()), format: Some(format) };
    let (mut heard, mut events) = (None, Vec::new());
    let mut each = |event| {
        events.push(event);
        ControlFlow::Continue(())
    };
    let mut reading = Reading::new(Repeats::Declared, options);
    let flow = reading.read(vec![input], &mut |_, held| heard = Some(held), &mut each);
    assert!(flow.is_continue());
    (heard.unwrap(), events)
}

/// The results that a format's reader finds in a source, and where that is damaged.
pub(crate) fn read_source(read: Read, source: &Source) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    let mut cases = Vec::new();
    let mut each = |case| {
        cases.push(case);
        ControlFlow::Continue(())
    };
    let mut sink = Sink::new(&mut each);
    sink.read(read, source)?;
    let (_, damage) = sink.into_parts();
    Ok((cases, damage))
}

/// The same of a text.
pub(crate) fn read_text(read: Read, text: &[u8]) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    read_source(read, &Source::memory(text.into()))
}

/// These cases as people see them: how, where, what, and the line that is read out.
pub(crate) fn shown<'c>(cases: impl IntoIterator<Item = &'c Case>) -> Vec<String> {
    let shown = |case: &Case| {
        let (suite, message) = (case.shown_suite().unwrap_or_default(), case.message().unwrap_or_default());
        format!("{:?}: {suite} | {}: {message}", case.ending, case.shown_test())
    };
    cases.into_iter().map(shown).collect()
}

/// A file of the test data.
pub(crate) fn real_path(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(file)
}

pub(crate) fn real(file: &str) -> Vec<u8> {
    std::fs::read(real_path(file)).unwrap()
}

/// How many results of a real report failed, by an independent count.
pub(crate) fn counted(report: &str) -> usize {
    let table = String::from_utf8(real("counts.tsv")).unwrap();
    let row = table.lines().find_map(|line| line.strip_prefix(report)?.strip_prefix('\t')).unwrap();
    row.split('\t').next().unwrap().parse().unwrap()
}
