//! Texts of a length that xMatters takes.

use std::borrow::Cow;

use nightbell_core::limits::TEXT_BYTES_HELD_MAX;

/// The longest text of a property, in characters: what the properties of xMatters' own workflows take.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// What is held of an event's long texts is enough to see that they must be cut, whatever their characters are.
const _: () = assert!((TEXT_CHARS_MAX + 1) * char::MAX.len_utf8() <= TEXT_BYTES_HELD_MAX);

const MARK: char = '…';

/// At most [`TEXT_CHARS_MAX`] characters of `text`, with a mark where it was cut.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, TEXT_CHARS_MAX)
}

/// At most `chars_max` characters of `text`, the mark of a cut among them.
pub(crate) fn cut_to(text: &str, chars_max: usize) -> Cow<'_, str> {
    let kept = start(text, chars_max);
    if kept.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut characters = kept.chars();
    characters.next_back();
    let mut cut = String::with_capacity(kept.len() + MARK.len_utf8());
    cut.push_str(characters.as_str());
    cut.push(MARK);
    Cow::Owned(cut)
}

/// The first `chars` characters of `text`, or all of it.
pub(crate) fn start(text: &str, chars: usize) -> &str {
    // A text of so few bytes has no more characters, and most texts are short.
    if text.len() <= chars {
        return text;
    }
    let (mut at, mut left) = (0, chars);
    // Counting by blocks is several times as fast as decoding.
    for block in text.as_bytes().chunks(BLOCK_BYTES) {
        let begun = block.iter().filter(|byte| begins_character(**byte)).count();
        if begun > left {
            break;
        }
        (at, left) = (at + block.len(), left - begun);
    }
    for (end, byte) in text.bytes().enumerate().skip(at) {
        match (begins_character(byte), left) {
            (true, 0) => return &text[..end],
            (true, _) => left -= 1,
            (false, _) => {}
        }
    }
    text
}

const BLOCK_BYTES: usize = 64;

/// All other bytes of UTF-8 go on with a character.
fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
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
        fn the_start_of_a_text_is_that_of_its_characters(text in "[a-cäß☎🔔]{0,200}", chars in 0usize..220) {
            let want: String = text.chars().take(chars).collect();
            prop_assert_eq!(start(&text, chars), want);
        }

        #[test]
        fn a_cut_text_is_short_enough(text in ".{0,20}", chars_max in 1usize..20) {
            let kept = cut_to(&text, chars_max);
            prop_assert!(kept.chars().count() <= chars_max);
            prop_assert_eq!(kept == text, text.chars().count() <= chars_max);
        }
    }
}
