//! Texts of a report, made fit for people.

use nightbell_core::event::When;
use nightbell_core::time::UnixMillis;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';

/// Removes what only a terminal understands: escape sequences and control characters, save for tabs and line
/// ends, which all become `\n`.
///
/// pytest writes characters that XML forbids as `#x1B`, so that is how the colours of its output arrive.
pub(crate) fn clean(text: &str) -> String {
    let restored;
    let mut rest = text;
    if text.contains("#x1B") {
        restored = text.replace("#x1B", "\u{1b}").replace("#x07", "\u{7}");
        rest = &restored;
    }
    let mut clean = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            ESCAPE => rest = after_escape(rest),
            '\u{9b}' => rest = after_control_sequence(rest),
            '\r' => {
                clean.push('\n');
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
            '\n' | '\t' => clean.push(first),
            _ if first.is_control() => {}
            _ => clean.push(first),
        }
    }
    clean
}

/// What follows an escape sequence whose escape character was taken.
fn after_escape(rest: &str) -> &str {
    let mut letters = rest.chars();
    match letters.next() {
        Some('[') => after_control_sequence(letters.as_str()),
        // A title or a link, ended by a bell or by another escape sequence; a line's end means that it is cut
        // off.
        Some(']') => match rest.find([BELL, ESCAPE, '\n']) {
            Some(at) if rest[at..].starts_with(BELL) => &rest[at + 1..],
            Some(at) => &rest[at..],
            None => "",
        },
        Some(other) if !other.is_control() => letters.as_str(),
        Some(_) | None => rest,
    }
}

/// What follows a control sequence whose introducer was taken: parameters and then one final character.
fn after_control_sequence(rest: &str) -> &str {
    let end = rest.find(|letter: char| !matches!(letter, ' '..='?')).unwrap_or(rest.len());
    let tail = &rest[end..];
    tail.strip_prefix(|letter: char| matches!(letter, '@'..='~')).unwrap_or(tail)
}

/// The first line that is not blank, at most `chars_max` characters of it.
pub(crate) fn first_line(text: &str, chars_max: usize) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(shortened(line, chars_max))
}

/// The first line that says something of the failure, and not only that there is one, or where.
pub(crate) fn telling_line(text: &str, chars_max: usize) -> Option<String> {
    // Of gotestsum, Jest, and Rust's panics, whose message is in the line after.
    let is_telling = |line: &&str| {
        !(line.is_empty()
            || *line == "Failed"
            || line.starts_with("=== RUN ")
            || line.starts_with("--- FAIL: ")
            || line.starts_with("● ")
            || (line.starts_with("thread '") && line.contains(" panicked at ")))
    };
    let line = text.lines().map(str::trim).find(is_telling)?;
    Some(shortened(line, chars_max))
}

/// At most `chars_max` characters, the last of them an ellipsis if there were more.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// A time with or without its zone; without one it is taken for UTC, as most reporters mean it.
pub(crate) fn time(text: &str) -> Option<When> {
    let text = text.trim();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(local).ok()
    })?;
    u64::try_from(time.as_millisecond()).ok().and_then(when)
}

/// A time of a result. What is before 2000 is a zero in disguise, as jest-junit writes it for a file that it can't load.
pub(crate) fn when(millis: u64) -> Option<When> {
    const YEAR_2000_MS: u64 = 946_684_800_000;
    (millis >= YEAR_2000_MS).then_some(When(UnixMillis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(clean(text), want, "{text:?}");
    }

    #[test]
    fn escape_sequences_are_removed() {
        check("\u{1b}[1m\u{1b}[31mE  assert\u{1b}[0m 1", "E  assert 1");
        check("#x1B[1m#x1B[31mE  assert#x1B[0m 1", "E  assert 1");
        check("\u{9b}31mred", "red");
        check("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ end", "link end");
        check("\u{1b}]0;title\nnext", "\nnext");
        check("\u{1b}(Bplain", "Bplain");
        check("cut \u{1b}", "cut ");
        check("cut \u{1b}[31", "cut ");
        check("cut \u{1b}[31\nnext", "cut \nnext");
    }

    #[test]
    fn control_characters_are_removed_and_line_ends_are_one() {
        check("a\u{0}\u{8}b\u{7f}c\u{85}d", "abcd");
        check("a\r\nb\rc\td\n", "a\nb\nc\td\n");
        check("größe 🎉", "größe 🎉");
    }

    #[test]
    fn a_line_is_the_first_that_says_something() {
        assert_eq!(first_line("\n  \n  one \ntwo", 10).as_deref(), Some("one"));
        assert_eq!(first_line(" \n ", 10), None);
        assert_eq!(first_line("äöüß", 3).as_deref(), Some("äö…"));
    }

    #[test]
    fn a_line_that_only_says_that_something_failed_is_passed_over() {
        let telling = |text| telling_line(text, 100);
        assert_eq!(
            telling("=== RUN   TestA\n    a_test.go:12: 90, want 80\n--- FAIL: TestA (0.00s)").as_deref(),
            Some("a_test.go:12: 90, want 80")
        );
        assert_eq!(telling("=== RUN   TestA\n--- FAIL: TestA (0.00s)\n"), None);
        assert_eq!(
            telling("thread 'a::b' (7) panicked at src/lib.rs:1:2:\nno order").as_deref(),
            Some("no order")
        );
        assert_eq!(
            telling("thread 'a::b' panicked at src/lib.rs:1:2:\nno order").as_deref(),
            Some("no order")
        );
        assert_eq!(
            telling("  ● Test suite failed to run\n\n    Cannot find it").as_deref(),
            Some("Cannot find it")
        );
        assert_eq!(telling("Failed"), None);
        assert_eq!(telling("Failed to pay").as_deref(), Some("Failed to pay"));
    }

    #[test]
    fn every_form_of_timestamp_is_read() {
        let millis = |text| time(text).map(|when| when.0.0);
        assert_eq!(millis("2017-12-29T14:36:31"), Some(1_514_558_191_000));
        assert_eq!(millis("2017-12-29T14:36:31.250123"), Some(1_514_558_191_250));
        assert_eq!(millis("2017-12-29 14:36:31"), Some(1_514_558_191_000));
        assert_eq!(millis("2017-12-29T16:36:31+02:00"), Some(1_514_558_191_000));
        assert_eq!(millis("2017-12-29T14:36:31.000Z"), Some(1_514_558_191_000));
        assert_eq!(millis("Fri Dec 29 2017"), None);
        assert_eq!(millis("1969-12-31T00:00:00"), None);
        assert_eq!(millis("1970-01-01T00:00:00"), None);
        assert_eq!(millis(""), None);
    }
}
