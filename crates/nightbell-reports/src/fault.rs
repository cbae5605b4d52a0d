//! What can be wrong with a report.

use std::io;

use crate::format::Format;
use crate::text::shortened;

/// How deep elements, or arrays and objects, may be nested.
pub(crate) const DEPTH_MAX: usize = 100;

/// The longest problem that is told, in characters.
const PROBLEM_CHARS_MAX: usize = 200;

/// A fault, and the line where it is, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// Why nothing of a report could be used.
#[derive(Debug)]
pub(crate) enum Unfit {
    Unreadable(io::Error),
    Foreign(Place),
}

/// Why nothing of a report could be used: no event was given of it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It can't be read.
    #[error("can't read `{file}`")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no report of its format, or of none that is known.
    #[error("{file}:{line}: {fault}")]
    Foreign {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What it is instead.
        fault: Fault,
    },
}

/// What can be wrong with a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no content.
    #[error("it is empty")]
    Empty,
    /// It can't be read to its end.
    #[error("it can't be read on: {problem}")]
    Unreadable {
        /// Why.
        problem: String,
    },
    /// It is no sound XML.
    #[error("not XML: {problem}")]
    NotXml {
        /// Why.
        problem: String,
    },
    /// It is no sound JSON.
    #[error("not JSON: column {column}: {problem}")]
    NotJson {
        /// The column, from 1, in bytes.
        column: u64,
        /// Why.
        problem: String,
    },
    /// It ends too early.
    #[error("it ends before {missing}")]
    Truncated {
        /// What should have come.
        missing: String,
    },
    /// It is no report of the format that was asked for.
    #[error("no {format} report: {problem}")]
    Foreign {
        /// The format.
        format: Format,
        /// What it is instead.
        problem: String,
    },
    /// It is no report of any format that is known.
    #[error("no report that is known: {problem}")]
    Unknown {
        /// What it is, and what would be right.
        problem: String,
    },
    /// An entry of it says nothing that could be read.
    #[error("{problem}")]
    Odd {
        /// Which, and what is odd about it.
        problem: String,
    },
    /// It is nested too deeply.
    #[error("it is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// It has too many test cases.
    #[error("it has more than {} test cases; the rest was not read", crate::tally::CASES_MAX)]
    TooManyCases,
}

impl Place {
    pub(crate) fn new(line: u64, fault: Fault) -> Self {
        Self { line, fault }
    }
}

impl Unfit {
    pub(crate) fn of(self, file: &str) -> ReportError {
        let file = file.to_owned();
        match self {
            Self::Unreadable(source) => ReportError::Unreadable { file, source },
            Self::Foreign(Place { line, fault }) => ReportError::Foreign { file, line, fault },
        }
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Place> for Unfit {
    fn from(place: Place) -> Self {
        Self::Foreign(place)
    }
}

impl Fault {
    pub(crate) fn not_xml(problem: &str) -> Self {
        Self::NotXml { problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn not_json(column: u64, problem: &str) -> Self {
        Self::NotJson { column, problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn foreign(format: Format, problem: &str) -> Self {
        Self::Foreign { format, problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn odd(problem: &str) -> Self {
        Self::Odd { problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn ends_before(missing: &str) -> Self {
        Self::Truncated { missing: shortened(missing, PROBLEM_CHARS_MAX) }
    }
}
