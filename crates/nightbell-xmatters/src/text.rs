//! Texts of a length that xMatters takes.

use std::borrow::Cow;

/// The longest text of a property, in characters: what the properties of xMatters' own workflows take.
pub const TEXT_CHARS_MAX: usize = 2_000;

const MARK: char = '…';

/// At most [`TEXT_CHARS_MAX`] characters of `text`, with a mark where it was cut.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, TEXT_CHARS_MAX)
}

/// At most `chars_max` characters of `text`, the mark of a cut among them.
pub(crate) fn cut_to(text: &str, chars_max: usize) -> Cow<'_, str> {
    // A text of so few bytes has no more characters, and most texts are short.
    if text.len() <= chars_max || start(text, chars_max).len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut kept = start(text, chars_max.saturating_sub(1)).to_owned();
    kept.push(MARK);
    Cow::Owned(kept)
}

/// The first `chars` characters of `text`, or all of it.
pub(crate) fn start(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(cut_to(text, 3), want, "{text}");
    }

    #[test]
    fn a_text_is_cut_on_a_character_with_a_mark() {
        check("", "");
        check("abc", "abc");
        check("äöü", "äöü");
        check("abcd", "ab…");
        check("äöüß", "äö…");
        check("🔔🔔🔔🔔", "🔔🔔…");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_short_enough(text in ".{0,20}", chars_max in 1usize..20) {
            let kept = cut_to(&text, chars_max);
            prop_assert!(kept.chars().count() <= chars_max);
            prop_assert_eq!(kept == text, text.chars().count() <= chars_max);
        }
    }
}
