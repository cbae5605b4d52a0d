//! One event of `go test -json`, and how it is found in a line.

use std::borrow::Cow;

use crate::json::{self, Tree};

const VOCABULARY: &[&str] =
    &["Time", "Action", "Package", "Test", "Output", "OutputType", "ImportPath", "FailedBuild"];

/// What an event begins with that stands behind something else on its line.
const BEGINNINGS: [&str; 3] = ["{\"Time\":", "{\"Action\":", "{\"ImportPath\":"];

/// How often one line is searched for an event behind something that is none.
const TRIES_MAX: usize = 16;

/// An event. What it does not have is empty.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Event<'a> {
    pub(super) time: Cow<'a, str>,
    pub(super) action: Cow<'a, str>,
    pub(super) package: Cow<'a, str>,
    pub(super) test: Cow<'a, str>,
    pub(super) output: Cow<'a, str>,
    /// Since Go 1.27: `frame`, `error` or `error-continue`.
    pub(super) output_type: Cow<'a, str>,
    /// Which package was built, of an event of the build.
    pub(super) import_path: Cow<'a, str>,
    /// The import path whose build failed, of a package that failed by it.
    pub(super) failed_build: Cow<'a, str>,
}

impl<'a> Event<'a> {
    fn of(tree: &Tree) -> Self {
        let mut event = Self::default();
        for key in VOCABULARY {
            if let (Some(field), Some(text)) = (event.field(key), tree.get(key).text()) {
                *field = Cow::Owned(text);
            }
        }
        event
    }

    fn field(&mut self, key: &str) -> Option<&mut Cow<'a, str>> {
        match key {
            "Time" => Some(&mut self.time),
            "Action" => Some(&mut self.action),
            "Package" => Some(&mut self.package),
            "Test" => Some(&mut self.test),
            "Output" => Some(&mut self.output),
            "OutputType" => Some(&mut self.output_type),
            "ImportPath" => Some(&mut self.import_path),
            "FailedBuild" => Some(&mut self.failed_build),
            _ => None,
        }
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
        match json::line(rest, VOCABULARY) {
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

/// An event as the tool writes it, all of whose values are texts, numbers or words, and what follows it. There are some
/// millions of them in a large report, of which [`json::line`] would read a tenth in the same time.
fn plain(text: &str) -> Option<(Event<'_>, &str)> {
    let mut event = Event::default();
    let mut rest = text.strip_prefix('{')?.trim_start();
    if let Some(after) = rest.strip_prefix('}') {
        return Some((event, after));
    }
    loop {
        let (key, after) = string(rest)?;
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let after = match event.field(&key) {
            Some(field) => {
                let (value, after) = string(after)?;
                *field = value;
                after
            }
            None => passed_over(after)?,
        };
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Some((event, after.strip_prefix('}')?)),
        }
    }
}

/// What follows a value that nobody wants and that holds no others.
fn passed_over(text: &str) -> Option<&str> {
    if text.starts_with('"') {
        return string(text).map(|(_, after)| after);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let after = text.trim_start_matches(is_part);
    (after.len() < text.len()).then_some(after)
}

/// A string at the beginning of a text, and what follows it. None: there is none, or only half of a character.
fn string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let mut end = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::with_capacity(text.len().min(end + 64));
    let mut start = 0;
    while !text[end..].starts_with('"') {
        value.push_str(&text[start..end]);
        let (letter, bytes) = escaped(&text[end + 1..])?;
        value.push(letter);
        start = end + 1 + bytes;
        end = start + memchr::memchr2(b'"', b'\\', &text.as_bytes()[start..])?;
    }
    value.push_str(&text[start..end]);
    Some((Cow::Owned(value), &text[end + 1..]))
}

/// What stands behind a backslash, and how long it is.
fn escaped(text: &str) -> Option<(char, usize)> {
    let letter = match *text.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        mark @ (b'"' | b'\\' | b'/') => char::from(mark),
        b'u' => {
            let unit = u32::from_str_radix(text.get(1..5)?, 16).ok()?;
            return Some((char::from_u32(unit)?, 5));
        }
        _ => return None,
    };
    Some((letter, 1))
}
