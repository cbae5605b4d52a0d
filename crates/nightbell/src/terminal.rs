//! Text made fit for a terminal. All that people read goes through here: what is printed, error texts, log lines.
//!
//! Names, messages and answers come from outside, and a terminal obeys what it is sent. So nothing reaches one that moves
//! its cursor, hides, reorders or breaks lines: controls (C0 and C1), overrides and isolates of direction, characters
//! without a width, separators of lines and paragraphs, and tags become [`MARK`], which shows that there was something.
//!
//! Joined words stay whole: a joiner (U+200C, U+200D) is kept between two characters beyond Latin, as Persian, Indic
//! scripts and emoji of several people need it, and so is one variation selector (U+FE0E, U+FE0F) behind such a character
//! or behind what makes a keycap. Arabic and Hebrew are written as they are; marks of direction are not kept, nor are the
//! tags of the flags of England, Scotland and Wales.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Stands for a character that a terminal must not get.
pub const MARK: char = '\u{fffd}';

/// The text, fit for a terminal. Line ends and tabs stay, since texts of our own have several lines.
#[must_use]
pub fn fit(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    replaced(text, |out, _| out.push(MARK))
}

/// A JSON text with the same meaning, whose strings hold no such character but by its escape.
#[must_use]
pub fn fit_json(json: &str) -> Cow<'_, str> {
    if is_plain(json.as_bytes()) {
        return Cow::Borrowed(json);
    }
    replaced(json, |out, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a String takes all text");
        }
    })
}

/// A line that may have colours: a terminal gets those, and nothing else that begins with an escape.
#[must_use]
pub fn fit_coloured(line: &str) -> Cow<'_, str> {
    if is_plain(line.as_bytes()) {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split('\u{1b}');
    let mut out = fit(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let codes = part.strip_prefix('[').and_then(|part| part.split_once('m'));
        let is_colour = |codes: &str| codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';');
        match codes.filter(|(codes, _)| is_colour(codes)) {
            Some((codes, rest)) => {
                write!(out, "\u{1b}[{codes}m{}", fit(rest)).expect("a String takes all text");
            }
            None => {
                out.push(MARK);
                out.push_str(&fit(part));
            }
        }
    }
    Cow::Owned(out)
}

/// Most lines are of this kind, and are not looked at a second time.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
}

fn replaced(text: &str, mut replace: impl FnMut(&mut String, char)) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let stays = match kind(character) {
            Kind::Plain => true,
            Kind::Joiner => before.is_some_and(joins) && characters.peek().copied().is_some_and(joins),
            Kind::Selector => before.is_some_and(|before| joins(before) || is_keycap(before)),
            Kind::Harmful => false,
        };
        if stays {
            out.push(character);
        } else {
            replace(&mut out, character);
        }
        before = Some(character);
    }
    Cow::Owned(out)
}

/// What a character does to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// It joins or parts its neighbours, where their script does such a thing.
    Joiner,
    /// It chooses how the character before looks.
    Selector,
    Harmful,
}

fn kind(character: char) -> Kind {
    match character {
        '\n' | '\t' => Kind::Plain,
        '\u{200c}' | '\u{200d}' => Kind::Joiner,
        '\u{fe0e}' | '\u{fe0f}' => Kind::Selector,
        control if control.is_control() => Kind::Harmful,
        // Without a width, or a space that is none: soft hyphen, grapheme joiner, marks of direction, fillers, Mongolian
        // and Khmer marks, zero-width spaces, separators, overrides, isolates, invisible operators, BOM, annotations.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => Kind::Harmful,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => Kind::Harmful,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => {
            Kind::Harmful
        }
        '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{13430}'..='\u{1345f}' => Kind::Harmful,
        // Shorthand and musical controls; tags and the selectors beyond sixteen.
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => Kind::Harmful,
        _ => Kind::Plain,
    }
}

/// Whether a joiner or a selector beside it can mean something: letters beyond Latin, Greek and Cyrillic, and emoji.
fn joins(character: char) -> bool {
    match kind(character) {
        Kind::Plain => character >= '\u{590}' || matches!(character, '©' | '®'),
        // A selector may stand before a joiner: a heart on fire.
        Kind::Selector => true,
        Kind::Joiner | Kind::Harmful => false,
    }
}

fn is_keycap(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '#' | '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(fit(text), want, "{text:?}");
    }

    #[test]
    fn what_drives_a_terminal_is_marked() {
        check("a\u{1b}[31mb\u{7}\r\0\u{7f}", "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        check("a\u{9b}31m\u{85}\u{90}", "a\u{fffd}31m\u{fffd}\u{fffd}");
        check("pay\u{200b}ments \u{feff}x\u{ad}y", "pay\u{fffd}ments \u{fffd}x\u{fffd}y");
        check("a\u{2028}b\u{2029}c", "a\u{fffd}b\u{fffd}c");
        for override_ in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain(['\u{200e}', '\u{200f}', '\u{61c}'])
        {
            check(&format!("a{override_}b"), "a\u{fffd}b");
        }
        check("\u{e0041}\u{e0001}\u{e0100}\u{fe00}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn words_of_all_scripts_stay_whole() {
        for text in [
            "grün, naïve, Ελληνικά, Кириллица, 日本語, 한국어",
            "مرحبا بالعالم",
            "שלום עולם",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👩\u{200d}💻 ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3} ✔\u{fe0f}",
            "lines\n\tand tabs",
            "e\u{301}",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_joiner_that_joins_nothing_is_marked() {
        check("pay\u{200d}ments", "pay\u{fffd}ments");
        check("\u{200d}a", "\u{fffd}a");
        check("👩\u{200d}\u{200d}💻", "👩\u{fffd}\u{fffd}💻");
        check("a\u{fe0f}", "a\u{fffd}");
    }

    #[test]
    fn colours_pass_and_no_other_escape() {
        assert_eq!(fit_coloured("\u{1b}[2m12:00\u{1b}[0m grün"), "\u{1b}[2m12:00\u{1b}[0m grün");
        assert_eq!(fit_coloured("\u{1b}]0;x\u{7}\u{1b}[2J"), "\u{fffd}]0;x\u{fffd}\u{fffd}[2J");
    }

    /// Each a character that a terminal must not get, or one that may stand beside it.
    fn hostile() -> impl Strategy<Value = String> {
        let harmful = prop_oneof![
            any::<char>(),
            (0_u32..0xa0).prop_filter_map("a character", char::from_u32),
            (0x200b_u32..0x2070).prop_filter_map("a character", char::from_u32),
            (0xe0000_u32..0xe0200).prop_filter_map("a character", char::from_u32),
            prop::sample::select(vec!['\u{feff}', '\u{fe0f}', '\u{1b}', '[', 'm', '"', '\\', '👩', 'ב', 'a']),
        ];
        proptest::collection::vec(harmful, 0..40).prop_map(String::from_iter)
    }

    /// Said another way than above: by Unicode's own lists of what is invisible.
    fn is_fit(text: &str) -> bool {
        let is_hidden = |character: char| {
            character != '\n' && character != '\t' && character.is_control()
                || matches!(u32::from(character), 0x200b | 0x200e..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xad | 0x61c | 0xe0000..=0xe01ef)
        };
        !text.contains(is_hidden)
    }

    proptest! {
        #[test]
        fn no_text_drives_a_terminal(text in hostile()) {
            let fitted = fit(&text);
            prop_assert!(is_fit(&fitted), "{fitted:?}");
            prop_assert_eq!(fitted.chars().count(), text.chars().count());
            prop_assert_eq!(fit(&fitted), fitted.clone(), "once is enough");
            let coloured = fit_coloured(&text).replace('\u{1b}', "");
            prop_assert!(is_fit(&coloured), "{coloured:?}");
        }

        #[test]
        fn json_means_the_same_and_drives_nothing(text in hostile()) {
            let json = serde_json::to_string(&text).unwrap();
            let fitted = fit_json(&json);
            prop_assert!(is_fit(&fitted), "{fitted:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&fitted).unwrap(), text);
        }
    }
}
