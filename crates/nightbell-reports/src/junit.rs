//! JUnit XML reports.
//!
//! What counts: a `<failure>` or `<error>` in a test case. What does not: `<skipped>`; `<flakyFailure>` and
//! `<flakyError>` (Surefire, nextest: passed when it was run again); `<rerunFailure>` and `<rerunError>`, which only
//! accompany a failure. Of several cases with the same class and name in one suite element, the last one counts, unless
//! it only says that the case was skipped.

mod cases;
mod source;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use nightbell_core::event::Event;

use crate::case::Each;
use crate::compose::{self, Origin};
use crate::fault::{Place, Unfit};
use crate::tally::{Repeats, Tally};

use self::cases::Cases;

pub use crate::compose::ReportOptions;
pub use crate::fault::{Fault, ReportError as JunitError};
pub use crate::tally::Summary;

/// The most results in the reports that are read together: the first reading remembers under 100 bytes of each.
pub const CASES_MAX: usize = 1_000_000;

/// What the ids of its events begin with.
pub(crate) const KIND: &str = "junit";

/// A report that was found sound. As an iterator it gives the events of the cases that failed in the end, in
/// the report's order.
#[derive(Debug)]
pub struct Report<R> {
    cases: Cases<R>,
    number: u32,
    tally: Tally,
    file: String,
    options: ReportOptions,
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

/// Gives each result of a report, read from its beginning, until `each` wants no more.
pub(crate) fn each_case(from: impl BufRead + Seek, each: Each<'_>) -> Result<Origin, Unfit> {
    for case in Cases::new(from)? {
        let case = case?;
        let line = case.line;
        if each(case).map_err(|fault| Place { line, fault })?.is_break() {
            break;
        }
    }
    Ok(Origin::default())
}

impl<R: BufRead + Seek> Report<R> {
    /// Reads a report once, from its beginning, and finds whether it is sound. `file` is named in errors.
    ///
    /// # Errors
    /// [`JunitError`]: it can't be read, or is no sound JUnit report.
    pub fn read(mut from: R, file: String, options: ReportOptions) -> Result<Self, JunitError> {
        let mut tally = Tally::new(Repeats::InSuite, false);
        let first = Cases::new(&mut from).map_err(|source| JunitError::unreadable(&file, source))?;
        for case in first {
            let case = case.map_err(|place| JunitError::faulty(&file, place))?;
            let line = case.line;
            tally.remember(0, &case).map_err(|fault| JunitError::Faulty {
                file: file.clone(),
                line,
                fault,
            })?;
        }
        let cases = Cases::new(from).map_err(|source| JunitError::unreadable(&file, source))?;
        Ok(Self { cases, number: 0, tally, file, options })
    }

    /// What the report holds.
    pub fn summary(&self) -> Summary {
        self.tally.summary(self.options.flaky)
    }
}

impl<R: BufRead + Seek> Iterator for Report<R> {
    type Item = Result<Event, JunitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let case = match self.cases.next()? {
                Ok(case) => case,
                Err(place) => return Some(Err(JunitError::faulty(&self.file, place))),
            };
            let number = self.number;
            self.number += 1;
            let verdict = self.tally.verdict(0, number, &case, self.options.flaky);
            if let (Some(verdict), Some(failure)) = (verdict, case.failure()) {
                return Some(Ok(compose::event(KIND, &self.options, &case, failure, verdict)));
            }
        }
    }
}
