//! One test case, and what a report can have wrong.

use super::text::{first_line, shortened};

/// How deep elements may be nested.
pub(super) const DEPTH_MAX: usize = 100;

/// The longest message, which is one line, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The longest problem that is told, in characters.
const PROBLEM_CHARS_MAX: usize = 200;

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
    #[error("it has more than {} test cases", super::CASES_MAX)]
    TooManyCases,
}

/// One result of one test case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) suite: Option<String>,
    pub(super) classname: Option<String>,
    pub(super) name: String,
    /// The case's own, else that of the suite around it.
    pub(super) timestamp: Option<String>,
    /// The line in which it ends.
    pub(super) line: u64,
    pub(super) ending: Ending,
}

/// How a test case ended.
#[derive(Debug)]
pub(super) enum Ending {
    Passed,
    /// Failed first, passed when it was run again.
    Flaky,
    Skipped,
    Failed(Failure),
    Error(Failure),
}

/// What a `<failure>` or `<error>` says.
#[derive(Debug, Default)]
pub(super) struct Failure {
    /// Its `message`, which may have several lines; else its `type`.
    pub(super) headline: String,
    /// Its content.
    pub(super) text: String,
    pub(super) has_message: bool,
}

impl Case {
    /// Class and name, unless the name begins with the class as it is.
    pub(super) fn test(&self) -> String {
        match self.classname.as_deref().filter(|class| !self.name.starts_with(class)) {
            _ if self.name.is_empty() => self.classname.clone().unwrap_or_else(|| "unnamed test".to_owned()),
            Some(class) => format!("{class}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Failure {
    /// One line that says what went wrong in the test of this name.
    pub(super) fn message(&self, name: &str) -> Option<String> {
        if self.has_message {
            return first_line(&self.headline, MESSAGE_CHARS_MAX);
        }
        // PHPUnit's text begins with a line that only repeats the test's name.
        let name_line = format!("::{name}");
        let rest = self.text.split_once('\n').filter(|(first, _)| first.contains(&name_line));
        rest.and_then(|(_, rest)| first_line(rest, MESSAGE_CHARS_MAX))
            .or_else(|| first_line(&self.text, MESSAGE_CHARS_MAX))
            .or_else(|| first_line(&self.headline, MESSAGE_CHARS_MAX))
    }

    /// The long text: the content, else a message of several lines.
    pub(super) fn details(&self) -> Option<String> {
        let text = self.text.trim();
        let text = if text.is_empty() { self.headline.trim() } else { text };
        (text.lines().count() > 1 || !self.text.trim().is_empty()).then(|| text.to_owned())
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
    pub(super) fn not_xml(problem: &str) -> Self {
        Self::NotXml { problem: shortened(problem, PROBLEM_CHARS_MAX) }
    }

    pub(super) fn entity(name: &str) -> Self {
        Self::Entity { name: shortened(name, PROBLEM_CHARS_MAX) }
    }
}
