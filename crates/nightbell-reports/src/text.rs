//! Texts of a report, made fit for people.

/// Names in a report, without quotes.
macro_rules! words {
    ($($word:tt)*) => { &[$(stringify!($word)),*] };
}
pub(crate) use words;

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

/// So many of something: `1 test`, `2 tests`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// At most `chars_max` characters, the last of them an ellipsis if there were more.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
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
}
