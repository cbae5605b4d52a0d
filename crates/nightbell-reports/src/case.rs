//! One result of one test case, as any format tells it.

use std::ops::ControlFlow;

use nightbell_core::event::When;

use crate::fault::Fault;
use crate::text::{first_line, shortened, telling_line};

/// The longest message, which is one line, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The longest name of a suite, class or test, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 2_000;

/// How much of one text is kept, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// One result of one test case.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) suite: Option<String>,
    pub(crate) classname: Option<String>,
    pub(crate) name: String,
    /// What else tells this case from others of its name: its file, its browser.
    pub(crate) variant: Option<String>,
    /// The number of the suite's element in the file. A result repeats another one only within one element.
    pub(crate) element: u32,
    /// What the suite says of where it ran: a machine's name, or with Playwright the project's.
    pub(crate) host: Option<String>,
    /// The time as the report has it, which is part of ids.
    pub(crate) timestamp: Option<String>,
    pub(crate) occurred_at: Option<When>,
    pub(crate) tags: Vec<String>,
    /// The line in which it ends.
    pub(crate) line: u64,
    pub(crate) ending: Ending,
}

/// What takes each result: whether it wants more, or what is wrong with there being another one.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Case) -> Result<ControlFlow<()>, Fault>;

/// How a test case ended.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    #[default]
    Passed,
    /// Failed first, as it says, and passed when it was run again.
    Flaky(Failure),
    Skipped,
    Failed(Failure),
    Error(Failure),
}

/// What a failure says of itself.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// Its message, which may have several lines; else its type.
    pub(crate) headline: String,
    /// Its long text.
    pub(crate) text: String,
    pub(crate) has_message: bool,
}

impl Case {
    /// Class and name; the name alone if the class is its beginning or its last words.
    pub(crate) fn test(&self) -> String {
        let has = |class: &str| {
            self.name.strip_suffix(class).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
                || self.name.starts_with(class)
        };
        match self.classname.as_deref().filter(|class| !has(class)) {
            _ if self.name.is_empty() => self.classname.clone().unwrap_or_else(|| "unnamed test".to_owned()),
            Some(class) => format!("{class}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// What went wrong, if anything did.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match &self.ending {
            Ending::Flaky(failure) | Ending::Failed(failure) | Ending::Error(failure) => Some(failure),
            Ending::Passed | Ending::Skipped => None,
        }
    }
}

impl Failure {
    /// One line that says what went wrong in the test of this name.
    pub(crate) fn message(&self, name: &str) -> Option<String> {
        let headline = || first_line(&self.headline, MESSAGE_CHARS_MAX);
        if self.has_message {
            return telling_line(&self.headline, MESSAGE_CHARS_MAX)
                .or_else(|| telling_line(&self.text, MESSAGE_CHARS_MAX))
                .or_else(headline);
        }
        // PHPUnit's text begins with a line that only repeats the test's name.
        let name_line = format!("::{name}");
        let rest = self.text.split_once('\n').filter(|(first, _)| first.contains(&name_line));
        rest.and_then(|(_, rest)| telling_line(rest, MESSAGE_CHARS_MAX))
            .or_else(|| telling_line(&self.text, MESSAGE_CHARS_MAX))
            .or_else(|| first_line(&self.text, MESSAGE_CHARS_MAX))
            .or_else(headline)
    }

    /// The long text: the content, else a message of several lines.
    pub(crate) fn details(&self) -> Option<String> {
        let text = self.text.trim();
        let text = if text.is_empty() { self.headline.trim() } else { text };
        (text.lines().count() > 1 || !self.text.trim().is_empty()).then(|| text.to_owned())
    }
}

/// A name on one line.
pub(crate) fn tidy(name: &str) -> String {
    let name = crate::text::clean(name).replace(['\n', '\t'], " ");
    shortened(name.trim(), NAME_CHARS_MAX)
}

/// Appends as much as keeps the text within its bound.
pub(crate) fn push_bounded(text: &mut String, more: &str) {
    let room = TEXT_BYTES_MAX.saturating_sub(text.len());
    text.push_str(&more[..more.floor_char_boundary(room)]);
}
