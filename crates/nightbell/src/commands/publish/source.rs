//! What is read: reports, or lines on standard input. It runs on a thread of its own.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nightbell_reports::{Format, Input, Repeats, ReportError, ReportOptions, Run, Summary};

use super::inputs::inputs;
use crate::exit::{Code, Failure};
use crate::feed::Item;
use crate::ndjson::Events;
use crate::output::{count, one_line};

/// The longest name of a file that is shown, in characters.
const NAME_CHARS_MAX: usize = 300;

/// What a reading thread does with each event; false: the publishing has stopped.
pub(super) type Send<'a> = &'a mut dyn FnMut(Item) -> bool;

/// The reports that are to be published.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    pub(super) given: Vec<(PathBuf, Format)>,
    pub(super) repeats: Repeats,
    pub(super) options: ReportOptions,
    /// Whether what goes wrong is told by the caller alone, in one line.
    pub(super) is_terse: bool,
}

/// What came of reading.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What the reports hold, if there were any.
    pub(super) summary: Option<Summary>,
    wrong: usize,
    first: Option<anyhow::Error>,
    /// Something was there, and can't be understood.
    is_faulty: bool,
    is_terse: bool,
}

impl Outcome {
    /// Fails if some input could not be read, whatever became of the others.
    pub(super) fn verdict(self) -> Result<(), Failure> {
        let Some(first) = self.first else { return Ok(()) };
        let code = if self.is_faulty { Code::Data } else { Code::NoInput };
        if !self.is_terse {
            return Err(Failure::new(
                code,
                format!("{} could not be read, see above", count(self.wrong, "input")),
            ));
        }
        let others = if self.wrong > 1 { format!(" (and {} more)", self.wrong - 1) } else { String::new() };
        Err(Failure::new(code, format!("{first:#}{others}")))
    }

    fn wrong(&mut self, error: anyhow::Error, is_faulty: bool) {
        if !self.is_terse {
            say(&format!("nightbell: {error:#}"));
        }
        self.wrong += 1;
        self.is_faulty |= is_faulty;
        self.first.get_or_insert(error);
    }

    fn wrong_report(&mut self, error: ReportError) {
        let is_missing = matches!(&error, ReportError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound);
        self.wrong(error.into(), !is_missing);
    }

    /// Tells what a report holds.
    fn heard(&mut self, path: &Path, held: Result<Summary, ReportError>) {
        match held {
            Ok(Summary { cases, failed, errors, skipped, flaky, .. }) => say(&format!(
                "{}: {}, {failed} failed, {errors} with errors, {skipped} skipped, {flaky} flaky",
                one_line(&path.display().to_string(), NAME_CHARS_MAX),
                count(cases, "test"),
            )),
            Err(error) => self.wrong_report(error),
        }
    }
}

/// Reads events from standard input, one a line.
pub(super) fn read_lines(is_terse: bool, send: Send<'_>) -> Outcome {
    let mut outcome = Outcome { is_terse, ..Outcome::default() };
    for line in Events::new(io::stdin().lock()) {
        match line {
            Ok(line) => {
                if !send(Item::of(&line.event, line.body.into())) {
                    break;
                }
            }
            Err(error) => outcome.wrong(error.into(), true),
        }
    }
    outcome
}

/// Reads reports: one by one, unless they are attempts of one run.
pub(super) fn read_reports(reports: &Reports, send: Send<'_>) -> Outcome {
    let mut outcome = Outcome { is_terse: reports.is_terse, ..Outcome::default() };
    let (inputs, bad) = inputs(&reports.given);
    for bad in bad {
        outcome.wrong(bad.into(), false);
    }
    let mut sum = Summary::default();
    let runs: Vec<Vec<Input>> = match reports.repeats {
        Repeats::InSuite => inputs.into_iter().map(|input| vec![input]).collect(),
        Repeats::AcrossFiles => vec![inputs],
    };
    for inputs in runs {
        let run =
            Run::survey(inputs, reports.repeats, &reports.options, |path, held| outcome.heard(path, held));
        sum += run.summary();
        let mut stopped = false;
        let changed = run.events(|event| {
            let body = serde_json::to_vec(&event).expect("an event is plain data");
            stopped = !send(Item::of(&event, body.into()));
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        changed.into_iter().for_each(|error| outcome.wrong_report(error));
        if stopped {
            break;
        }
    }
    outcome.summary = Some(sum);
    outcome
}

/// Writes a line on standard error, or does not: what can't be told must not end the publishing.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
