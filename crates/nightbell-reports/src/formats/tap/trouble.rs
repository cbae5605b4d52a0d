//! What is said of a result that failed: its YAML, and the comments and other lines around it.

use super::yaml::{Entry, entries};
use crate::case::{Failure, OUTPUT_BYTES_MAX, Output, Trouble, push_bounded};
use crate::telling::telling_line;
use crate::text::{clean, shortened};

/// The longest of two values that differ, in characters.
const VALUE_CHARS_MAX: usize = 200;

const MESSAGES: [&str; 3] = ["message", "error", "reason"];
const EXPECTED: [&str; 4] = ["expected", "expect", "wanted", "want"];
const ACTUAL: [&str; 4] = ["actual", "got", "found", "received"];

/// Keys of what is told where nothing else is.
const TEXTS: [&str; 6] = ["stack", "diag", "diagnostic", "data", "details", "dump"];

/// Keys whose values say nothing, or in each run something else.
const NOISE: [&str; 3] = ["duration_ms", "type", "severity"];

/// What is said of one result.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    /// What was printed before it.
    before: String,
    /// What is written behind its description.
    note: String,
    yaml: Option<String>,
    /// The comments after it.
    comments: String,
    /// They, and other lines between them.
    text: String,
}

impl Diagnosis {
    pub(super) fn new(before: String, note: &str) -> Self {
        Self { before, note: note.to_owned(), ..Self::default() }
    }

    /// Whether the lines that follow are part of it: those after the YAML are of what comes next.
    pub(super) fn is_open(&self) -> bool {
        self.yaml.is_none()
    }

    pub(super) fn comment(&mut self, text: &str) {
        push_line(&mut self.comments, text);
        push_line(&mut self.text, text);
    }

    pub(super) fn line(&mut self, text: &str) {
        push_line(&mut self.text, text);
    }

    pub(super) fn yaml(&mut self, block: String) {
        self.yaml = Some(block);
    }

    /// Whether it says more than that sub-tests failed.
    pub(super) fn is_own(&self, name: &str) -> bool {
        let entries = self.entries();
        if let Some(kind) = value(&entries, &["failuretype"]) {
            return kind != "subtestsFailed";
        }
        let counts = |text: &str| {
            let text = text.to_lowercase();
            text.contains("failed")
                && (text.contains("subtest") || text.contains("sub-test") || text.contains("tests failed"))
        };
        let said = MESSAGES.iter().filter_map(|key| value(&entries, &[key])).filter(|text| !counts(text));
        said.chain([self.comments.as_str()]).any(|text| telling_line(text, name).is_some())
    }

    pub(super) fn trouble(&self, name: &str) -> Trouble {
        let entries = self.entries();
        let told = MESSAGES
            .iter()
            .filter_map(|key| value(&entries, &[key]))
            .find(|text| telling_line(text, name).is_some());
        let message = told
            .map(str::to_owned)
            .or_else(|| difference(&entries))
            .or_else(|| Some(self.note.clone()).filter(|note| !note.is_empty()))
            .or_else(|| self.difference_in_text(name));
        let is_telling = message.is_some();
        let message = message.or_else(|| value(&entries, &MESSAGES).map(str::to_owned)).unwrap_or_default();
        let mut text = String::new();
        for entry in &entries {
            let is_shown = if is_telling {
                !NOISE.contains(&entry.key.as_str())
            } else {
                TEXTS.contains(&entry.key.as_str())
            };
            if is_shown && entry.value != message {
                push_line(&mut text, if is_telling { &entry.raw } else { &entry.value });
            }
        }
        push_bounded(&mut text, &self.text, 2 * OUTPUT_BYTES_MAX);
        let mut trouble = Trouble::of(Failure {
            kind: clean(value(&entries, &["name"]).unwrap_or_default()),
            ..Failure::new(&message, &text)
        });
        trouble.print(Output::Standard, &self.before);
        trouble
    }

    fn entries(&self) -> Vec<Entry> {
        self.yaml.as_deref().map(entries).unwrap_or_default()
    }

    /// Perl's `got:` and `expected:`, if no other line says more.
    fn difference_in_text(&self, name: &str) -> Option<String> {
        let is_first = telling_line(&self.text, name)?.starts_with("got:");
        let find = |key| self.text.lines().map(str::trim).find(|line| line.starts_with(key));
        let (expected, got) = (find("expected:")?, find("got:")?);
        is_first.then(|| [expected, got].map(|line| shortened(line, VALUE_CHARS_MAX)).join(", "))
    }
}

fn push_line(text: &mut String, line: &str) {
    push_bounded(text, line, OUTPUT_BYTES_MAX);
    push_bounded(text, "\n", OUTPUT_BYTES_MAX);
}

/// Appends a line to a text of which the end matters more than the beginning.
pub(super) fn push_latest(text: &mut String, line: &str) {
    text.push_str(&line[..line.floor_char_boundary(OUTPUT_BYTES_MAX / 2)]);
    text.push('\n');
    if text.len() > OUTPUT_BYTES_MAX {
        let least = text.ceil_char_boundary(text.len() - OUTPUT_BYTES_MAX / 2);
        let end = text[least..].find('\n').map_or(least, |at| least + at + 1);
        text.drain(..end);
    }
}

/// The first value that says something, of the first of these keys that has one.
fn value<'a>(entries: &'a [Entry], keys: &[&str]) -> Option<&'a str> {
    let of = |key: &&str| entries.iter().find(|entry| entry.key == *key && !entry.value.trim().is_empty());
    keys.iter().find_map(of).map(|entry| entry.value.as_str())
}

/// What was expected and what came instead.
fn difference(entries: &[Entry]) -> Option<String> {
    let shown = |keys: &[&str]| {
        let key = keys.iter().find(|key| value(entries, &[key]).is_some())?;
        let words: Vec<_> = value(entries, &[key])?.split_whitespace().take(VALUE_CHARS_MAX).collect();
        Some(format!("{key}: {}", shortened(&words.join(" "), VALUE_CHARS_MAX)))
    };
    let values: Vec<_> = [shown(&EXPECTED), shown(&ACTUAL)].into_iter().flatten().collect();
    (!values.is_empty()).then(|| values.join(", "))
}
