//! What can be wrong with a report.

use std::io;

use crate::text::shortened;

/// How deep elements, or arrays and objects, may be nested.
pub(crate) const DEPTH_MAX: usize = 100;

/// The longest problem that is told, in characters.
const PROBLEM_CHARS_MAX: usize = 200;

/// A fault, and the line where it is, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) fault: Fault,
}

/// Why a report whose name is not at hand can't be used.
#[derive(Debug)]
pub(crate) enum Unfit {
    Unreadable(io::Error),
    Faulty(Place),
}

/// Why a report can't be used. No event of it was given before, unless the file changed while it was read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It can't be read, is in an unknown encoding, or is no plain file, which can be read twice.
    #[error("can't read `{file}`")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no sound report.
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

/// What can be wrong with a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no content.
    #[error("it is empty")]
    Empty,
    /// It can't be read to its end, or not as text.
    #[error("it can't be read: {problem}")]
    Unreadable {
        /// Why.
        problem: String,
    },
    /// It is no XML, or no sound one.
    #[error("not XML: {problem}")]
    NotXml {
        /// Why.
        problem: String,
    },
    /// It is no JSON, or no sound one.
    #[error("not JSON: column {column}: {problem}")]
    NotJson {
        /// The column, from 1, in bytes.
        column: u64,
        /// Why.
        problem: String,
    },
    /// It is JSON of another kind.
    #[error("no CTRF report: column {column}: {problem}")]
    NotCtrf {
        /// The column, from 1, in bytes.
        column: u64,
        /// What is not as CTRF has it.
        problem: String,
    },
    /// It ends too early.
    #[error("it ends before `</{element}>`")]
    Truncated {
        /// The innermost element that is still open.
        element: String,
    },
    /// It names an entity that XML does not define.
    #[error("the entity `&{name};` is not known; a report defines none of its own")]
    Entity {
        /// The entity.
        name: String,
    },
    /// It is XML of another kind.
    #[error("no JUnit report: the first element is `{root}`, not `testsuites` or `testsuite`")]
    Root {
        /// The first element.
        root: String,
    },
    /// Its elements are nested too deeply.
    #[error("elements are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// It has too many test cases.
    #[error("it has more than {} test cases", crate::junit::CASES_MAX)]
    TooManyCases,
}

impl ReportError {
    pub(crate) fn unreadable(file: &str, source: io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), source }
    }

    pub(crate) fn faulty(file: &str, place: Place) -> Self {
        Self::Faulty { file: file.to_owned(), line: place.line, fault: place.fault }
    }
}

impl Unfit {
    pub(crate) fn of(self, file: &str) -> ReportError {
        match self {
            Self::Unreadable(source) => ReportError::unreadable(file, source),
            Self::Faulty(place) => ReportError::faulty(file, place),
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
        Self::Faulty(place)
    }
}

impl From<quick_xml::Error> for Fault {
    fn from(error: quick_xml::Error) -> Self {
        use quick_xml::Error;
        use quick_xml::escape::EscapeError;

        match error {
            Error::Io(error) => Self::Unreadable { problem: error.to_string() },
            Error::Encoding(error) => Self::Unreadable { problem: error.to_string() },
            Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => Self::entity(&name),
            Error::Escape(error) => Self::not_xml(&error.to_string()),
            Error::Syntax(error) => Self::not_xml(&error.to_string()),
            Error::IllFormed(error) => Self::not_xml(&error.to_string()),
            Error::InvalidAttr(error) => Self::not_xml(&error.to_string()),
            Error::Namespace(error) => Self::not_xml(&error.to_string()),
        }
    }
}

impl Fault {
    pub(crate) fn not_xml(problem: &str) -> Self {
        Self::NotXml { problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn entity(name: &str) -> Self {
        Self::Entity { name: shortened(name, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn not_json(column: u64, problem: &str) -> Self {
        Self::NotJson { column, problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(crate) fn not_ctrf(column: u64, problem: &str) -> Self {
        Self::NotCtrf { column, problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }
}
