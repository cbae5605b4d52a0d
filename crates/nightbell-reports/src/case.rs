//! One result of one test, as any format tells it.

use std::sync::Arc;

use crate::text::clean;
use crate::time::Stamp;

/// How much of all texts of one case is kept, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// How much of what a test printed is kept, in bytes.
pub(crate) const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// The most failures of one case that are kept apart.
const FAILURES_MAX: usize = 20;

/// One result of one test; or of a suite, where that failed by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// The path of suites around it.
    pub(crate) suite: Option<Arc<str>>,
    pub(crate) class: Option<String>,
    pub(crate) name: String,
    /// The source file, as the report has it.
    pub(crate) file: Option<Arc<str>>,
    /// What else tells this case from others of its name: its browser, its device.
    pub(crate) variant: Option<String>,
    /// What the suite says of where it ran: a machine's name, or with Playwright the project's.
    pub(crate) host: Option<Arc<str>>,
    /// Which attempt of a test it is, where the format itself says so.
    pub(crate) attempt: Option<Attempt>,
    pub(crate) stamp: Stamp,
    pub(crate) tags: Vec<String>,
    pub(crate) ending: Ending,
    /// What went wrong, if anything did.
    pub(crate) trouble: Trouble,
}

/// Results with one `of` are attempts of one test, the last of which counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) of: String,
    /// Grows from one attempt to the next.
    pub(crate) number: u64,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ending {
    #[default]
    Passed,
    /// Failed first, as it says, and passed when it was run again.
    Flaky,
    Skipped,
    Failed,
    Error,
}

/// What a case says of what went wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) failures: Vec<Failure>,
    /// What the test printed: standard output, then standard error.
    pub(crate) outputs: [String; 2],
}

/// Where something was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Standard,
    Error,
}

/// One failure or error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its message, which may have several lines.
    pub(crate) message: String,
    /// Its long text.
    pub(crate) text: String,
    /// Its type, such as an exception's name.
    pub(crate) kind: String,
}

impl Case {
    /// What went wrong outside of all tests, or in a suite as a whole.
    pub(crate) fn error(name: impl Into<String>, trouble: Trouble) -> Self {
        Self { name: name.into(), ending: Ending::Error, trouble, ..Self::default() }
    }

    /// Another one in the same place: of the same suite, file and host, made at the same time.
    pub(crate) fn beside(&self) -> Self {
        Self {
            suite: self.suite.clone(),
            file: self.file.clone(),
            variant: self.variant.clone(),
            host: self.host.clone(),
            stamp: self.stamp.clone(),
            ..Self::default()
        }
    }

    /// What a report counts as failed and does not show.
    pub(crate) fn uncovered(counted: u64, shown: u64) -> Self {
        let what = format!("the report counts {counted} failed, of which it shows {shown}");
        Self::error("test run", Trouble::remark(what))
    }
}

impl Ending {
    /// Whether somebody has to hear of it.
    pub(crate) fn is_bad(self) -> bool {
        match self {
            Self::Failed | Self::Error => true,
            Self::Passed | Self::Flaky | Self::Skipped => false,
        }
    }

    /// Whether nothing went wrong, be it only at first.
    pub(crate) fn is_silent(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }

    /// The ending that a word tells, in whatever case and spelling; none: it tells none.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let word: String =
            word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match word.as_str() {
            "passed" | "pass" | "success" | "successful" | "succeeded" | "ok" | "expected" => {
                Some(Self::Passed)
            }
            "failed" | "fail" | "failure" | "failing" | "notok" | "ko" | "unexpected" => Some(Self::Failed),
            "error" | "errored" | "errors" | "broken" | "aborted" | "crashed" | "crash" | "timeout"
            | "timedout" | "interrupted" | "invalid" | "undefined" | "ambiguous" => Some(Self::Error),
            "skipped" | "skip" | "ignored" | "pending" | "todo" | "disabled" | "notrun" | "notexecuted"
            | "inconclusive" | "suppressed" | "blocked" | "deselected" => Some(Self::Skipped),
            "flaky" | "flaked" => Some(Self::Flaky),
            _ => None,
        }
    }
}

impl Trouble {
    pub(crate) fn of(failure: Failure) -> Self {
        Self { failures: vec![failure], ..Self::default() }
    }

    /// What the reader itself has to say, which counts only where the report says nothing better.
    pub(crate) fn remark(kind: String) -> Self {
        Self::of(Failure { kind, ..Failure::default() })
    }

    /// Adds such a remark.
    pub(crate) fn note(&mut self, kind: String) {
        self.push(Failure { kind, ..Failure::default() });
    }

    /// What the report says in one text.
    pub(crate) fn said(message: &str) -> Self {
        let mut trouble = Self::default();
        trouble.add(message, "");
        trouble
    }

    /// Adds a failure within the bounds.
    pub(crate) fn push(&mut self, failure: Failure) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    /// Adds all failures of another one, within the bounds.
    pub(crate) fn extend(&mut self, other: Self) {
        other.failures.into_iter().for_each(|failure| self.push(failure));
    }

    /// Adds what a test says of one failure, as far as there is room for it.
    pub(crate) fn add(&mut self, message: &str, text: &str) {
        let within = self.room() / 2;
        let [message, text] = [message, text].map(|text| &text[..text.floor_char_boundary(within)]);
        let failure = Failure::new(message, text);
        if !failure.is_empty() {
            self.push(failure);
        }
    }

    /// Adds to what was printed, within the bounds.
    pub(crate) fn print(&mut self, to: Output, text: &str) {
        push_bounded(&mut self.outputs[to as usize], &clean(text), OUTPUT_BYTES_MAX);
    }

    /// How much more text may be kept, in bytes.
    pub(crate) fn room(&self) -> usize {
        let used = |failure: &Failure| failure.message.len() + failure.text.len();
        TEXT_BYTES_MAX.saturating_sub(self.failures.iter().map(used).sum())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.failures.iter().all(Failure::is_empty) && self.outputs.iter().all(String::is_empty)
    }
}

impl Failure {
    /// A failure of a message and a long text, within their bounds.
    pub(crate) fn new(message: &str, text: &str) -> Self {
        let mut new = Self::default();
        push_bounded(&mut new.message, &clean(message), TEXT_BYTES_MAX / 2);
        push_bounded(&mut new.text, &clean(text), TEXT_BYTES_MAX / 2);
        new
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.message.trim().is_empty() && self.text.trim().is_empty() && self.kind.trim().is_empty()
    }
}

/// Appends as much as keeps the text within its bound.
pub(crate) fn push_bounded(text: &mut String, more: &str, bytes_max: usize) {
    let room = bytes_max.saturating_sub(text.len());
    text.push_str(&more[..more.floor_char_boundary(room)]);
}
