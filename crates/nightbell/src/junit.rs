//! JUnit XML reports: each test case that failed in the end is an event.
//!
//! A report is read twice. The first reading finds what is wrong with it before anything is published, and
//! which result of a repeated case is its last; the second gives the events one by one, so that no more than
//! one test case is held.
//!
//! What counts: a `<failure>` or `<error>` in a test case. What does not: `<skipped>`; `<flakyFailure>` and
//! `<flakyError>` (Surefire: passed when it was run again); `<rerunFailure>` and `<rerunError>`, which only
//! accompany a failure. Of several cases with the same suite, class and name, the last one counts.

mod case;
mod cases;
mod decode;
mod source;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;

use nightbell_core::event::{Event, Severity, Status};
use nightbell_core::fingerprint::Fingerprint;

use self::case::{Case, Ending, Failure};
use self::cases::Cases;

pub use self::case::Fault;

/// The most test cases in one report: the first reading remembers a fingerprint of each.
pub const CASES_MAX: usize = 1_000_000;

/// What a report does not say of itself.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// The project; must not be empty.
    pub project: String,
    /// Where the tests ran.
    pub environment: Option<String>,
    /// The run. With it, an event's id depends on run and test alone; without it, on the suite's timestamp
    /// and the failure's text as well.
    pub run_id: Option<String>,
    /// How grave a failure is.
    pub severity: Severity,
    /// Labels of every event.
    pub labels: BTreeMap<String, String>,
    /// Tags of every event.
    pub tags: Vec<String>,
    /// A link to the whole report.
    pub report_url: Option<String>,
    /// The suite, instead of what the report calls it.
    pub suite: Option<String>,
}

/// What a report holds. Of a repeated case only the last result is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many test cases.
    pub cases: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many of them could not run to their end.
    pub errors: usize,
    /// How many were skipped.
    pub skipped: usize,
    /// How many failed first and passed in the end.
    pub flaky: usize,
    /// How many results were set aside for a later one of the same case.
    pub repeated: usize,
    /// How many events the report gives: `failed` and `errors`.
    pub events: usize,
}

/// Why a report can't be used. No event of it was given before, unless the file changed while it was read.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// It can't be read, is in an unknown encoding, or is no plain file, which can be read twice.
    #[error("can't read `{file}`")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no sound JUnit report.
    #[error("{file}:{line}: {fault}")]
    Faulty {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// A report that was found sound. As an iterator it gives the events of the cases that failed in the end, in
/// the report's order.
#[derive(Debug)]
pub struct Report<R> {
    cases: Cases<R>,
    ordinal: usize,
    seen: HashMap<Fingerprint, Seen>,
    summary: Summary,
    file: String,
    options: ReportOptions,
}

/// What the first reading remembers of a case.
#[derive(Debug)]
struct Seen {
    /// The number of its last result in the report.
    last: usize,
    kind: Kind,
    failed_before: bool,
}

/// How a case ended, without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Flaky,
    Skipped,
    Failed,
    Error,
}

/// Opens the report at `path` and finds whether it is sound.
///
/// # Errors
/// [`JunitError`]: it can't be read, or is no sound JUnit report.
pub fn open(path: &Path, options: ReportOptions) -> Result<Report<BufReader<File>>, JunitError> {
    let file = path.display().to_string();
    match File::open(path) {
        Ok(open) => Report::read(BufReader::new(open), file, options),
        Err(source) => Err(JunitError::Unreadable { file, source }),
    }
}

impl<R: BufRead + Seek> Report<R> {
    /// Reads a report once, from its beginning, and finds whether it is sound. `file` is named in errors.
    ///
    /// # Errors
    /// [`JunitError`]: it can't be read, or is no sound JUnit report.
    pub fn read(mut from: R, file: String, options: ReportOptions) -> Result<Self, JunitError> {
        let mut seen = HashMap::new();
        let mut ordinal = 0;
        let first = Cases::new(&mut from).map_err(|source| unreadable(&file, source))?;
        for case in first {
            let case = case.map_err(|(line, fault)| faulty(&file, line, fault))?;
            remember(&mut seen, ordinal, &case);
            ordinal += 1;
            if ordinal > CASES_MAX {
                return Err(faulty(&file, case.line, Fault::TooManyCases));
            }
        }
        let cases = Cases::new(from).map_err(|source| unreadable(&file, source))?;
        let summary = summarize(&seen, ordinal);
        Ok(Self { cases, ordinal: 0, seen, summary, file, options })
    }

    /// What the report holds.
    pub fn summary(&self) -> Summary {
        self.summary
    }
}

impl<R: BufRead + Seek> Iterator for Report<R> {
    type Item = Result<Event, JunitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let case = match self.cases.next()? {
                Ok(case) => case,
                Err((line, fault)) => return Some(Err(faulty(&self.file, line, fault))),
            };
            let ordinal = self.ordinal;
            self.ordinal += 1;
            let is_last = self.seen.get(&identity(&case)).is_some_and(|seen| seen.last == ordinal);
            if !is_last {
                continue;
            }
            match &case.ending {
                Ending::Failed(failure) => return Some(Ok(self.event(&case, Status::Failed, failure))),
                Ending::Error(failure) => return Some(Ok(self.event(&case, Status::Error, failure))),
                Ending::Passed | Ending::Flaky | Ending::Skipped => {}
            }
        }
    }
}

impl<R> Report<R> {
    fn event(&self, case: &Case, status: Status, failure: &Failure) -> Event {
        let options = self.options.clone();
        Event {
            id: Some(self.id(case, failure)),
            status,
            severity: options.severity,
            message: failure.message(&case.name),
            details: failure.details(),
            suite: options.suite.or_else(|| case.suite.clone()),
            environment: options.environment,
            run_id: options.run_id,
            occurred_at: case.timestamp.as_deref().and_then(text::time),
            report_url: options.report_url,
            tags: options.tags,
            labels: options.labels,
            ..Event::new(options.project, case.test())
        }
    }

    /// The same for the same report and run, so that publishing twice does no harm; another for a new run.
    fn id(&self, case: &Case, failure: &Failure) -> String {
        let options = &self.options;
        let mut parts = vec![
            options.project.as_str(),
            options.suite.as_deref().unwrap_or_default(),
            case.suite.as_deref().unwrap_or_default(),
            case.classname.as_deref().unwrap_or_default(),
            &case.name,
            options.environment.as_deref().unwrap_or_default(),
        ];
        match &options.run_id {
            Some(run) => parts.extend(["run", run]),
            None => {
                let time = case.timestamp.as_deref().unwrap_or_default();
                parts.extend(["report", time, &failure.headline, &failure.text]);
            }
        }
        format!("junit:{}", Fingerprint::of(parts.into_iter().map(str::as_bytes)))
    }
}

fn unreadable(file: &str, source: io::Error) -> JunitError {
    JunitError::Unreadable { file: file.to_owned(), source }
}

fn faulty(file: &str, line: u64, fault: Fault) -> JunitError {
    JunitError::Faulty { file: file.to_owned(), line, fault }
}

/// What makes two results those of one case.
fn identity(case: &Case) -> Fingerprint {
    let parts = [case.suite.as_deref(), case.classname.as_deref(), Some(case.name.as_str())];
    Fingerprint::of(parts.map(|part| part.unwrap_or_default().as_bytes()))
}

fn remember(seen: &mut HashMap<Fingerprint, Seen>, ordinal: usize, case: &Case) {
    let kind = match &case.ending {
        Ending::Passed => Kind::Passed,
        Ending::Flaky => Kind::Flaky,
        Ending::Skipped => Kind::Skipped,
        Ending::Failed(_) => Kind::Failed,
        Ending::Error(_) => Kind::Error,
    };
    let key = identity(case);
    let before = seen.get(&key);
    let failed_before = before
        .is_some_and(|before| before.failed_before || matches!(before.kind, Kind::Failed | Kind::Error));
    seen.insert(key, Seen { last: ordinal, kind, failed_before });
}

fn summarize(seen: &HashMap<Fingerprint, Seen>, results: usize) -> Summary {
    let mut summary = Summary { cases: seen.len(), repeated: results - seen.len(), ..Summary::default() };
    for case in seen.values() {
        match case.kind {
            Kind::Passed if case.failed_before => summary.flaky += 1,
            Kind::Passed => {}
            Kind::Flaky => summary.flaky += 1,
            Kind::Skipped => summary.skipped += 1,
            Kind::Failed => summary.failed += 1,
            Kind::Error => summary.errors += 1,
        }
    }
    summary.events = summary.failed + summary.errors;
    summary
}
