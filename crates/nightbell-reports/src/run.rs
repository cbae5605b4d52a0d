//! Several reports that are read together.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nightbell_core::event::Event;

use crate::case::{Case, Each};
use crate::compose::{self, Origin, ReportOptions};
use crate::fault::{ReportError, Unfit};
use crate::tally::{Repeats, Summary, Tally};
use crate::{ctrf, junit};

/// The most hosts of one file that are told apart.
const HOSTS_MAX: usize = 1_000;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JUnit XML.
    Junit,
    /// CTRF JSON.
    Ctrf,
}

/// A report's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// Its form.
    pub format: Format,
}

/// Reports that were found sound, read together as one run.
#[derive(Debug)]
pub struct Run {
    reports: Vec<Report>,
    /// One of each report, or one of them all.
    tallies: Vec<Tally>,
    flaky: bool,
}

/// A sound report.
#[derive(Debug)]
struct Report {
    input: Input,
    options: ReportOptions,
    /// Its number, which tells its cases from those of others.
    file: u32,
    /// The place of its tally.
    tally: usize,
    /// The number of its first result there.
    first: u32,
}

impl Run {
    /// Reads each report, once, or twice with [`Repeats::AcrossFiles`]. `heard` is told what each holds by itself, or
    /// why it is left out.
    pub fn survey(
        inputs: Vec<Input>,
        repeats: Repeats,
        options: &ReportOptions,
        mut heard: impl FnMut(&Path, Result<Summary, ReportError>),
    ) -> Self {
        let (mut reports, mut tallies, mut hosts_differ) = (Vec::new(), Vec::new(), false);
        for (file, input) in (0..).zip(inputs) {
            let (mut alone, mut hosts) = (Tally::new(Repeats::InSuite, false), BTreeSet::new());
            let checked = read(&input, &mut |case| {
                hosts.extend(case.host.clone().filter(|_| hosts.len() < HOSTS_MAX));
                alone.remember(file, &case).map(ControlFlow::Continue)
            });
            let origin = match checked {
                Ok(origin) => origin,
                Err(error) => {
                    heard(&input.path, Err(error));
                    continue;
                }
            };
            heard(&input.path, Ok(alone.summary(options.flaky)));
            hosts_differ |= hosts.len() > 1;
            let options = options.clone().within(origin);
            reports.push(Report { input, options, file, tally: tallies.len(), first: 0 });
            match repeats {
                Repeats::InSuite => tallies.push(alone),
                Repeats::AcrossFiles => {}
            }
        }
        if repeats == Repeats::AcrossFiles {
            tallies = vec![join(&mut reports, hosts_differ, heard)];
        }
        Self { reports, tallies, flaky: options.flaky }
    }

    /// What the reports hold together.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for tally in &self.tallies {
            sum += tally.summary(self.flaky);
        }
        sum
    }

    /// Reads the reports once more and gives their events, in order, until `each` wants no more. Returns what was found
    /// wrong with those that changed in the meantime.
    pub fn events(&self, mut each: impl FnMut(Event) -> ControlFlow<()>) -> Vec<ReportError> {
        let mut wrong = Vec::new();
        for report in &self.reports {
            let mut flow = ControlFlow::Continue(());
            let mut number = report.first;
            let read = read(&report.input, &mut |case| {
                if let Some(event) = self.event(report, number, &case) {
                    flow = each(event);
                }
                number += 1;
                Ok(flow)
            });
            wrong.extend(read.err());
            if flow.is_break() {
                break;
            }
        }
        wrong
    }

    fn event(&self, report: &Report, number: u32, case: &Case) -> Option<Event> {
        let verdict = self.tallies.get(report.tally)?.verdict(report.file, number, case, self.flaky)?;
        let kind = match report.input.format {
            Format::Junit => junit::KIND,
            Format::Ctrf => ctrf::KIND,
        };
        Some(compose::event(kind, &report.options, case, case.failure()?, verdict))
    }
}

/// Remembers the results of all reports together; a report with which that fails is left out.
fn join(
    reports: &mut Vec<Report>,
    hosts_differ: bool,
    mut heard: impl FnMut(&Path, Result<Summary, ReportError>),
) -> Tally {
    loop {
        let mut tally = Tally::new(Repeats::AcrossFiles, hosts_differ);
        let failed = reports.iter_mut().enumerate().find_map(|(at, report)| {
            (report.tally, report.first) = (0, tally.results());
            let file = report.file;
            let read =
                read(&report.input, &mut |case| tally.remember(file, &case).map(ControlFlow::Continue));
            read.err().map(|error| (at, error))
        });
        let Some((at, error)) = failed else { return tally };
        heard(&reports.remove(at).input.path, Err(error));
    }
}

fn read(input: &Input, each: Each<'_>) -> Result<Origin, ReportError> {
    let opened = File::open(&input.path).map_err(Unfit::from).and_then(|file| {
        let file = BufReader::new(file);
        match input.format {
            Format::Junit => junit::each_case(file, each),
            Format::Ctrf => ctrf::each_case(file, each),
        }
    });
    opened.map_err(|unfit| unfit.of(&input.path.display().to_string()))
}
