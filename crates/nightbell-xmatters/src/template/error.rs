//! What can be wrong with a template.

use std::fmt;

use minijinja::ErrorKind;

use super::context::NAMES;
use super::growth::Growth;
use super::sample::Sample;
use super::{STEPS_MAX, TEMPLATE_BYTES_MAX};
use crate::body::BODY_BYTES_MAX;

/// How much of a result is shown before and after the place where it is no JSON, in characters.
const NEAR_CHARS_MAX: usize = 30;

/// Why a template can't be used: what is wrong with it, and where.
#[derive(Debug, thiserror::Error)]
#[error("the template `{name}` {problem}")]
pub struct TemplateError {
    name: String,
    problem: String,
}

impl TemplateError {
    fn new(name: &str, problem: String) -> Self {
        Self { name: name.to_owned(), problem }
    }

    pub(super) fn too_long(name: &str) -> Self {
        Self::new(name, format!("is longer than {TEMPLATE_BYTES_MAX} bytes"))
    }

    /// It is not in the language of Jinja.
    pub(super) fn syntax(name: &str, error: &minijinja::Error) -> Self {
        let line = error.line().unwrap_or(1);
        Self::new(name, format!("can't be read: {} (line {line})", problem(error)))
    }

    /// It asks for something that no event has. The parser tells unknown names without their place, so the line is that of
    /// the first word that is the same.
    pub(super) fn unknown_name(name: &str, variable: &str, source: &str) -> Self {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let has = |line: &str| line.split(|character| !is_part(character)).any(|word| word == variable);
        let line = source.lines().position(has).map_or(1, |at| at + 1);
        let known = NAMES.join(", ");
        Self::new(name, format!("uses `{variable}`, which is not known (line {line}); it can use {known}"))
    }

    /// It could take more memory than a template may.
    pub(super) fn growth(name: &str, Growth { line, problem }: &Growth) -> Self {
        Self::new(name, format!("could take too much memory: {problem} (line {line})"))
    }

    /// It can't be rendered for one of the samples.
    pub(super) fn of_sample(name: &str, sample: &Sample, fault: &Unrendered) -> Self {
        Self::new(name, format!("fails for {sample}: {fault}"))
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
pub(super) enum Unrendered {
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

impl fmt::Display for Unrendered {
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
