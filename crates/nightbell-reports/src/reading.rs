//! Several reports that are read together.

use std::ops::ControlFlow;

use nightbell_core::event::Event;

use crate::case::Case;
use crate::compose::{Edition, Failing, Origin, ReportOptions, TakenNames};
use crate::detect::detect;
use crate::fault::{Fault, Place, ReportError, Unfit};
use crate::format::Format;
use crate::sink::Sink;
use crate::source::Source;
use crate::tally::{Repeats, Summary, Tally};

/// How many reports are named where none shows why a run failed.
const NAMES_MAX: usize = 3;

/// A report.
#[derive(Debug, Clone)]
pub struct Input {
    /// What it is called in messages.
    pub name: String,
    /// Its bytes.
    pub source: Source,
    /// Its form; none: its content tells.
    pub format: Option<Format>,
}

/// What a report holds by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Its form.
    pub format: Format,
    /// What was read of it.
    pub summary: Summary,
    /// Where it is damaged, if it is. What is sound in it was read.
    pub damage: Option<Place>,
}

/// Reads the reports of one run, and gives the events of what failed.
///
/// Each report is read twice. The first reading finds how many tests have one name, and which attempt of a test is its
/// last; the second gives the events one by one.
#[derive(Debug)]
pub struct Reading {
    repeats: Repeats,
    options: ReportOptions,
    taken: TakenNames,
    summary: Summary,
    /// What the first reports are called.
    names: Vec<String>,
    has_report: bool,
}

/// A report that was read once.
#[derive(Debug)]
struct Report {
    input: Input,
    format: Format,
    options: ReportOptions,
    edition: Edition,
    damage: Option<Place>,
    cases: usize,
    /// Its number, which tells its attempts from those of others.
    file: usize,
    /// Whether only what went wrong counts: the passes of a damaged report are no proof that a failure of another one is
    /// over.
    is_distrusted: bool,
}

/// What is told of each report.
pub type OnSurvey<'a> = &'a mut dyn FnMut(&str, Result<Survey, ReportError>);

impl Reading {
    /// A reading of reports to come.
    #[must_use]
    pub fn new(repeats: Repeats, options: ReportOptions) -> Self {
        let (taken, summary) = (TakenNames::default(), Summary::default());
        Self { repeats, options, taken, summary, names: Vec::new(), has_report: false }
    }

    /// Reads reports. `heard` is told what each holds by itself, or why nothing of it could be used; `each` takes the
    /// events, in order, until it wants no more.
    pub fn read(
        &mut self,
        inputs: Vec<Input>,
        heard: OnSurvey<'_>,
        each: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let names =
            inputs.iter().take(NAMES_MAX.saturating_sub(self.names.len())).map(|input| input.name.clone());
        self.names.extend(names);
        if self.repeats == Repeats::AcrossFiles {
            return self.read_together(inputs, heard, each);
        }
        for (file, input) in inputs.into_iter().enumerate() {
            if let Some((report, mut tally, _)) = self.survey(file, input, heard) {
                let held = self.whole(&tally, [&report]);
                self.summary += held;
                if held.events > 0 {
                    self.events(&report, &mut tally, 0, heard, each)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// What the reports hold together.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The event of a run that failed although no report shows a failure, if the options tell of such an end. To be asked
    /// after all reports were read.
    #[must_use]
    pub fn unexplained(&self) -> Option<Event> {
        let Summary { failed, errors, damaged, .. } = self.summary;
        if failed + errors + damaged > 0 {
            None
        } else {
            self.options.unexplained(&self.names, self.has_report)
        }
    }

    fn read_together(
        &mut self,
        inputs: Vec<Input>,
        heard: OnSurvey<'_>,
        each: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let surveyed: Vec<_> = inputs
            .into_iter()
            .enumerate()
            .filter_map(|(file, input)| self.survey(file, input, heard))
            .map(|(report, _, hosts_differ)| (report, hosts_differ))
            .collect();
        let hosts_differ = surveyed.iter().any(|(_, hosts_differ)| *hosts_differ);
        let mut reports: Vec<_> = surveyed.into_iter().map(|(report, _)| report).collect();
        let mut tally = Tally::new(self.repeats, hosts_differ, self.options.suite.clone());
        let mut firsts = Vec::new();
        for report in &mut reports {
            report.is_distrusted = report.damage.is_some();
            firsts.push(tally.results());
            // What could be read once is not told again; if it can't be any more, its events are not either.
            let file = report.file;
            if report.each(heard, &mut |case| tally.remember(file, &case)).is_break() {
                report.damage.get_or_insert(Place { line: 1, fault: Fault::TooManyCases });
            }
        }
        self.summary += self.whole(&tally, &reports);
        for (report, first) in reports.iter().zip(firsts) {
            self.events(report, &mut tally, first, heard, each)?;
        }
        ControlFlow::Continue(())
    }

    fn whole<'a>(&self, tally: &Tally, reports: impl IntoIterator<Item = &'a Report>) -> Summary {
        let mut summary = tally.summary(self.options.flaky);
        summary.damaged = reports.into_iter().filter(|report| report.damage.is_some()).count();
        summary.events += summary.damaged;
        summary
    }

    /// Reads a report for the first time. Gives it with what is remembered of it, and whether it names several hosts.
    fn survey(&mut self, file: usize, input: Input, heard: OnSurvey<'_>) -> Option<(Report, Tally, bool)> {
        match self.survey_one(file, input.clone()) {
            Ok((report, tally, hosts_differ)) => {
                self.has_report = true;
                let summary = self.whole(&tally, [&report]);
                let held = Survey { format: report.format, summary, damage: report.damage.clone() };
                heard(&report.input.name, Ok(held));
                Some((report, tally, hosts_differ))
            }
            Err(unfit) => {
                heard(&input.name, Err(unfit.of(&input.name)));
                None
            }
        }
    }

    fn survey_one(&self, file: usize, input: Input) -> Result<(Report, Tally, bool), Unfit> {
        let format = input.format.map_or_else(|| detect(&input.source), Ok)?;
        let edition = input.source.identity().unwrap_or_else(|| format!("at {}", self.options.now.at.0));
        let mut tally = Tally::new(Repeats::Declared, false, self.options.suite.clone());
        let (mut first, mut hosts_differ) = (None, false);
        let mut take = |case: Case| {
            if let Some(host) = &case.host {
                hosts_differ |= first.get_or_insert_with(|| host.clone()) != host;
            }
            tally.remember(file, &case)
        };
        let mut sink = Sink::new(&mut take);
        sink.read(format.reader(), &input.source).map_err(|unfit| unfit.or_of_another(&input))?;
        let is_full = sink.is_stopped();
        let (origin, damage): (Origin, _) = sink.into_parts();
        let report = Report {
            input,
            format,
            options: self.options.clone().within(origin),
            edition: Edition(edition),
            damage: if is_full { Some(Place { line: 1, fault: Fault::TooManyCases }) } else { damage },
            cases: tally.results(),
            file,
            is_distrusted: false,
        };
        Ok((report, tally, hosts_differ))
    }

    /// Reads a report once more, and gives its events.
    fn events(
        &mut self,
        report: &Report,
        tally: &mut Tally,
        first: usize,
        heard: OnSurvey<'_>,
        each: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (taken, mut number) = (&mut self.taken, first);
        report.each(heard, &mut |case| {
            let label = tally.label(report.file, &case);
            let verdict = tally.verdict(report.file, number, &case, report.options.flaky);
            number += 1;
            let Some(verdict) = verdict else { return ControlFlow::Continue(()) };
            let suite = tally.suite(&case);
            let (edition, name) = (&report.edition, report.input.name.as_str());
            let failing = Failing { case: &case, verdict, suite, label, edition, report: name };
            each(taken.event(&report.options, &failing))
        })?;
        match &report.damage {
            Some(place) => {
                each(report.options.damaged(&report.input.name, place, report.cases, &report.edition))
            }
            None => ControlFlow::Continue(()),
        }
    }
}

impl Unfit {
    /// The same, with the form that the content tells, where a flag had told another one.
    fn or_of_another(self, input: &Input) -> Self {
        match (self, input.format.and_then(|_| detect(&input.source).ok())) {
            (Self::Foreign(Place { line, fault: Fault::Foreign { format, problem } }), Some(told))
                if told != format =>
            {
                let problem = format!("{problem}; it is {told}, and is read without this format's flag");
                Self::Foreign(Place { line, fault: Fault::Foreign { format, problem } })
            }
            (unfit, _) => unfit,
        }
    }
}

impl Report {
    /// Gives each result once more, until no more is wanted. That it can't be read again is heard.
    fn each(&self, heard: OnSurvey<'_>, each: &mut dyn FnMut(Case) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut trusted = |case: Case| {
            let counts = !self.is_distrusted || case.ending.is_bad();
            if counts { each(case) } else { ControlFlow::Continue(()) }
        };
        let mut sink = Sink::new(&mut trusted);
        if let Err(unfit) = sink.read(self.format.reader(), &self.input.source) {
            heard(&self.input.name, Err(unfit.of(&self.input.name)));
        }
        if sink.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
