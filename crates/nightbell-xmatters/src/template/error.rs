//! What can be wrong with a template.

use std::fmt;

use minijinja::ErrorKind;

use super::context::NAMES;
use super::growth::Growth;
use super::sample::Sample;
use super::{STEPS_MAX, TEMPLATE_BYTES_MAX};
use crate::render::BODY_BYTES_MAX;

/// How much of a result is shown before and after the place where it is no JSON, in characters.
const NEAR_CHARS_MAX: usize = 30;

/// Why a template can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is longer than [`TEMPLATE_BYTES_MAX`].
    #[error("the template `{name}` is longer than {TEMPLATE_BYTES_MAX} bytes")]
    TooLong {
        /// The file's name.
        name: String,
    },
    /// It is not in the language of Jinja.
    #[error("the template `{name}` can't be read: {problem} (line {line})")]
    Syntax {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// It asks for something that no event has.
    #[error(
        "the template `{name}` uses `{variable}`, which is not known (line {line}); it can use {}",
        NAMES.join(", ")
    )]
    UnknownName {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The name that is not known.
        variable: String,
    },
    /// It could take more memory than a template may.
    #[error("the template `{name}` could take too much memory: {problem} (line {line})")]
    Growth {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What could grow.
        problem: &'static str,
    },
    /// It can't be rendered for one of the samples.
    #[error("the template `{name}` fails for {sample}: {problem}")]
    Sample {
        /// The file's name.
        name: String,
        /// Which event it was.
        sample: String,
        /// What went wrong, and where.
        problem: String,
    },
}

impl TemplateError {
    pub(super) fn syntax(name: &str, error: &minijinja::Error) -> Self {
        Self::Syntax { name: name.into(), line: error.line().unwrap_or(1), problem: problem(error) }
    }

    /// The parser tells unknown names without their place, so the line is that of the first word that is the same.
    pub(super) fn unknown_name(name: &str, variable: String, source: &str) -> Self {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let has = |line: &str| line.split(|character| !is_part(character)).any(|word| word == variable);
        let line = source.lines().position(has).map_or(1, |at| at + 1);
        Self::UnknownName { name: name.into(), line, variable }
    }

    pub(super) fn growth(name: &str, growth: &Growth) -> Self {
        Self::Growth { name: name.into(), line: growth.line, problem: growth.problem }
    }

    pub(super) fn of_sample(name: &str, sample: &Sample, fault: &Fault) -> Self {
        Self::Sample { name: name.into(), sample: sample.to_string(), problem: fault.to_string() }
    }
}

/// What the template engine says, without the place, which it does not always know.
pub(super) fn problem(error: &minijinja::Error) -> String {
    let kind = error.kind();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let hint = if kind == ErrorKind::UndefinedError {
        "; for what can be missing, add `| default(none)`"
    } else {
        ""
    };
    format!("{kind}{detail}{hint}")
}

/// Why one event could not be rendered.
#[derive(Debug)]
pub(super) enum Fault {
    /// A step of the template failed.
    Step { line: Option<usize>, problem: String },
    /// It took more steps than it may.
    Endless { line: Option<usize> },
    /// It printed more than it may.
    TooBig,
    /// It printed a single value.
    Scalar,
    /// A flow could not know one alert from another.
    NoAlertId,
    /// It printed no JSON.
    NotJson(NotJson),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |line: &Option<usize>| line.map(|line| format!(" (line {line})")).unwrap_or_default();
        match self {
            Self::Step { line, problem } => write!(out, "{problem}{}", at(line)),
            Self::Endless { line } => write!(out, "it takes more than {STEPS_MAX} steps{}", at(line)),
            Self::TooBig => write!(out, "the result is longer than {BODY_BYTES_MAX} bytes"),
            Self::Scalar => write!(out, "the result is neither a JSON object nor an array"),
            Self::NoAlertId => {
                write!(
                    out,
                    "the result lacks the `alert_id`, by which flows know that two requests are one alert"
                )
            }
            Self::NotJson(not_json) => not_json.fmt(out),
        }
    }
}

/// A result that is no JSON.
#[derive(Debug)]
pub(super) struct NotJson {
    /// The result around the place, with a mark at it.
    near: String,
    /// Whether a text was printed between quotes.
    is_quoted_twice: bool,
    source: serde_json::Error,
}

impl NotJson {
    pub(super) fn of(body: &str, source: serde_json::Error) -> Self {
        let line = body.lines().nth(source.line().saturating_sub(1)).unwrap_or_default();
        // The parser counts bytes, and stands behind the byte that it does not like, if there is one.
        let behind = if source.is_eof() { 0 } else { 1 };
        let at = line.floor_char_boundary(source.column().saturating_sub(behind));
        let (before, after) = line.split_at(at);
        let skipped = before.chars().count().saturating_sub(NEAR_CHARS_MAX);
        let before: String = before.chars().skip(skipped).collect();
        let after: String = after.chars().take(NEAR_CHARS_MAX).collect();
        let is_quoted_twice = before.ends_with("\"\"") && !source.is_eof();
        Self { near: format!("{before} ⟶ {after}"), is_quoted_twice, source }
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the result is not JSON: {}, at the arrow in `{}`", self.source, self.near)?;
        if self.is_quoted_twice {
            out.write_str("; a text is printed with its quotes, so there must be none around {{ … }}")?;
        }
        Ok(())
    }
}
