//! One event of `go test -json`, and how it is found in a line.

use std::borrow::Cow;

use serde::Deserialize;

use crate::json::{self, Tree};

const WORDS: [&str; 8] =
    ["Time", "Action", "Package", "Test", "Output", "OutputType", "ImportPath", "FailedBuild"];

/// What an event begins with that stands behind something else on its line.
const BEGINNINGS: [&str; 3] = ["{\"Time\":", "{\"Action\":", "{\"ImportPath\":"];

/// How often one line is searched for an event behind something that is none.
const TRIES_MAX: usize = 16;

/// An event. What it does not have is empty.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) time: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) package: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) test: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) output: Cow<'a, str>,
    /// Since Go 1.27: `frame`, `error` or `error-continue`.
    #[serde(borrow)]
    pub(super) output_type: Cow<'a, str>,
    /// Which package was built, of an event of the build.
    #[serde(borrow)]
    pub(super) import_path: Cow<'a, str>,
    /// The import path whose build failed, of a package that failed by it.
    #[serde(borrow)]
    pub(super) failed_build: Cow<'a, str>,
}

impl Event<'_> {
    fn of(tree: &Tree) -> Self {
        let [time, action, package, test, output, output_type, import_path, failed_build] =
            WORDS.map(|key| Cow::Owned(tree.get(key).text().unwrap_or_default()));
        Self { time, action, package, test, output, output_type, import_path, failed_build }
    }
}

/// Where on a line its first event begins; none: it has none.
pub(super) fn beginning(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    if line[indent..].starts_with('{') { Some(indent) } else { next_beginning(line) }
}

fn next_beginning(text: &str) -> Option<usize> {
    BEGINNINGS.iter().filter_map(|beginning| text.find(beginning)).min()
}

/// Gives each event of a line that begins with one. There may be several where two writers share a file.
///
/// # Errors
/// Not all of it is sound; why. What is sound was given.
pub(super) fn each(line: &str, take: &mut dyn FnMut(&Event<'_>)) -> Result<(), String> {
    let mut rest = line;
    let mut wrong = None;
    for _ in 0..TRIES_MAX {
        while let Some((event, after)) = plain(rest) {
            take(&event);
            rest = after.trim_start();
        }
        if rest.is_empty() {
            break;
        }
        match json::line(rest, &WORDS) {
            Ok(tree) if tree.is_object() => {
                take(&Event::of(&tree));
                break;
            }
            Ok(_) => wrong = wrong.or_else(|| Some("no object".to_owned())),
            Err(problem) => wrong = wrong.or(Some(problem)),
        }
        let Some(first) = rest.chars().next() else { break };
        let Some(at) = next_beginning(&rest[first.len_utf8()..]) else { break };
        rest = &rest[first.len_utf8() + at..];
    }
    wrong.map_or(Ok(()), Err)
}

/// An event as the tool writes it, all of whose values are texts, and what follows it. There are some millions of them in a
/// large report, of which [`json::line`] would read a tenth in the same time.
fn plain(text: &str) -> Option<(Event<'_>, &str)> {
    let mut events = serde_json::Deserializer::from_str(text).into_iter();
    let event = events.next().filter(|_| text.starts_with('{'))?.ok()?;
    Some((event, &text[events.byte_offset()..]))
}
