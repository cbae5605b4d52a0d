//! What is read: reports, or lines on standard input. It runs on a thread of its own.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use nightbell_reports::{Format, Reading, Repeats, ReportError, ReportOptions, Summary, Survey};

use super::inputs::inputs;
use crate::exit::{Code, Failure};
use crate::feed::Item;
use crate::ndjson::Events;
use crate::output::{complain, count, one_line};

/// How many files are named that are no reports.
const PASSED_OVER_MAX: usize = 5;

/// The longest name of a file that is shown, in characters.
const NAME_CHARS_MAX: usize = 300;

/// What a reading thread does with each event; false: the publishing has stopped.
pub(super) type Send<'a> = &'a mut dyn FnMut(Item) -> bool;

/// The reports that are to be published.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    /// Files, folders and patterns, and their format if it is told.
    pub(super) given: Vec<(PathBuf, Option<Format>)>,
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
    /// How many of them were read as far as they are sound.
    damaged: usize,
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
            let how = match self.wrong {
                wrong if self.damaged < wrong => "could not be read",
                1 => "is damaged and read as far as possible",
                _ => "are damaged and read as far as possible",
            };
            return Err(Failure::new(code, format!("{} {how}, see above", count(self.wrong, "input"))));
        }
        let others = if self.wrong > 1 { format!(" (and {} more)", self.wrong - 1) } else { String::new() };
        Err(Failure::new(code, format!("{first:#}{others}")))
    }

    fn wrong(&mut self, error: anyhow::Error, is_faulty: bool) {
        if !self.is_terse {
            complain(&format!("nightbell: {error:#}"));
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
    fn heard(&mut self, name: &str, held: Result<Survey, ReportError>) {
        let Survey { format, summary, damage } = match held {
            Ok(held) => held,
            Err(error) => return self.wrong_report(error),
        };
        let name = one_line(name, NAME_CHARS_MAX);
        let Summary { cases, failed, errors, skipped, flaky, .. } = summary;
        complain(&format!(
            "{name}: {}, {failed} failed, {errors} with errors, {skipped} skipped, {flaky} flaky ({format})",
            count(cases, "test"),
        ));
        if let Some(place) = damage {
            self.damaged += 1;
            self.wrong(
                anyhow::anyhow!("{name}: damaged at {place}; what is sound was read, and an event says so"),
                true,
            );
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

/// Reads reports, and last what they leave unsaid of a run that failed.
pub(super) fn read_reports(reports: &Reports, send: Send<'_>) -> Outcome {
    let mut outcome = Outcome { is_terse: reports.is_terse, ..Outcome::default() };
    let found = inputs(&reports.given);
    if let Some(text) = passed_over(&found.passed_over) {
        complain(&text);
    }
    for wrong in found.wrong {
        outcome.wrong(wrong.into(), false);
    }
    let mut reading = Reading::new(reports.repeats, reports.options.clone());
    let mut publish = |event| {
        let body = serde_json::to_vec(&event).expect("an event is plain data");
        if send(Item::of(&event, body.into())) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let flow = reading.read(found.inputs, &mut |name, held| outcome.heard(name, held), &mut publish);
    if flow.is_continue()
        && let Some(event) = reading.unexplained()
    {
        // Whoever hears of the end has heard all.
        let _ = publish(event);
    }
    outcome.summary = Some(reading.summary());
    outcome
}

/// Says of the files of folders that are no reports how many there are, and what the first are called.
fn passed_over(names: &[String]) -> Option<String> {
    let shown = names.iter().take(PASSED_OVER_MAX).map(|name| one_line(name, NAME_CHARS_MAX));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(PASSED_OVER_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("passed over, since no report: {shown}{more}"))
}
