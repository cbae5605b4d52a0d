//! One configuration text while it is read: its problems, and the effective values.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::{ConfigError, Problem};
use super::substitute::{Lookup, read_file, substitute};

/// How much of a value is quoted in a problem, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// Where something stands, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The byte in the text.
    pub(super) at: usize,
    /// The key, like `connectors[0].timeout`.
    pub(super) key: String,
}

/// A value with its place, for checks against other values.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The text, what is wrong with it, and what it comes to.
pub(super) struct Document<'d> {
    text: &'d str,
    file: &'d Path,
    lookup: &'d dyn Lookup,
    problems: Vec<Problem>,
    sections: Vec<Section>,
}

/// A table of the effective configuration.
struct Section {
    header: String,
    lines: Vec<String>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str, file: &'d Path, lookup: &'d dyn Lookup) -> Self {
        Self { text, file, lookup, problems: Vec::new(), sections: Vec::new() }
    }

    pub(super) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        let (line, column) = self.position(place.at);
        let (file, key) = (self.file.to_owned(), place.key.clone());
        self.problems.push(Problem { file, line, column, key, message: message.into() });
    }

    /// Takes over a complaint of the TOML parser. Its message holds none of the text, which its `Display`
    /// would quote.
    pub(super) fn syntax_error(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let place = Place { at, key: String::new() };
        self.problem(&place, format!("not TOML: {}", error.message()));
    }

    pub(super) fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn into_error(mut self) -> ConfigError {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        ConfigError::Invalid { problems: self.problems }
    }

    /// Reads a text by `parse`, whose error is what follows the quoted value in a problem: `is no duration;
    /// write …`. Gives the text as well, with all its `${…}` replaced.
    pub(super) fn text<T>(
        &mut self,
        place: &Place,
        value: &Spanned<DeValue<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<(T, String)> {
        let DeValue::String(raw) = value.get_ref() else {
            let complaint = self.not_a_text(value, |text| parse(text).err());
            self.problem(place, complaint);
            return None;
        };
        let text = self.substituted(place, raw)?;
        match parse(&text) {
            Ok(read) => Some((read, text)),
            Err(complaint) => {
                self.problem(place, format!("{} {complaint}", quoted(raw)));
                None
            }
        }
    }

    /// Reads a secret by `parse`, whose error is what follows `the value` in a problem. The value is quoted
    /// nowhere.
    pub(super) fn secret<T>(
        &mut self,
        place: &Place,
        value: &Spanned<DeValue<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<(T, String)> {
        let DeValue::String(raw) = value.get_ref() else {
            self.problem(place, format!("the value is {}; write a text in quotes", kind(value.get_ref())));
            return None;
        };
        let text = self.substituted(place, raw)?;
        match parse(&text) {
            Ok(read) => Some((read, text)),
            Err(complaint) => {
                self.problem(place, format!("the value {complaint}"));
                None
            }
        }
    }

    /// Begins a table of the effective configuration; they are shown in the order in which they begin.
    pub(super) fn begin_section(&mut self, header: String) -> usize {
        self.sections.push(Section { header, lines: Vec::new() });
        self.sections.len() - 1
    }

    /// Takes the last table back out and gives its lines.
    pub(super) fn end_section(&mut self) -> Vec<String> {
        self.sections.pop().map(|section| section.lines).unwrap_or_default()
    }

    /// Shows a line in a table that [`Self::begin_section`] began.
    pub(super) fn show(&mut self, section: usize, line: String) {
        self.sections[section].lines.push(line);
    }

    /// The effective configuration as TOML.
    pub(super) fn masked(&self) -> String {
        let show = |section: &Section| {
            let header = Some(&section.header).filter(|header| !header.is_empty());
            header.into_iter().chain(&section.lines).map(|line| format!("{line}\n")).collect::<String>()
        };
        self.sections.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    /// The content of a file that a key names. The error says what is wrong, and then what would be right.
    pub(super) fn file(&self, path: &str) -> Result<String, String> {
        read_file(path, self.folder(), self.lookup)
    }

    fn folder(&self) -> &'d Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn substituted(&mut self, place: &Place, raw: &str) -> Option<String> {
        match substitute(raw, self.folder(), self.lookup) {
            Ok(text) => Some(text),
            Err(complaints) => {
                complaints.into_iter().for_each(|complaint| self.problem(place, complaint));
                None
            }
        }
    }

    /// What is wrong with a value that is no text. A bare number or word is judged as the text it might be,
    /// since its quotes are then not all that is wrong.
    fn not_a_text(&self, value: &Spanned<DeValue<'_>>, judge: impl Fn(&str) -> Option<String>) -> String {
        let kind = kind(value.get_ref());
        match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let bare = self.text.get(value.span()).unwrap_or_default();
                match judge(bare) {
                    Some(complaint) => format!("{bare} {complaint}"),
                    None => format!("{bare} is {kind}; write it in quotes: \"{bare}\""),
                }
            }
            DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => {
                format!("the value is {kind}; write a text in quotes")
            }
        }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The value as it stands in the file, unless it is a URL, which may hold a secret. So may what a `${…}`
/// stands for, so that is not shown either.
fn quoted(raw: &str) -> String {
    if raw.contains("://") {
        return "the value".to_owned();
    }
    let mut shown: String = raw.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < raw.len() {
        shown.push('…');
    }
    if raw.contains("${") { format!("the value of {shown:?}") } else { format!("{shown:?}") }
}

/// What a value is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a yes or no",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
