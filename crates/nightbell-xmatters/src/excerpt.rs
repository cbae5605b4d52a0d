//! The start of an answer's body, fit for a person, a log and a header.

use crate::secrets::{DECODED_BYTES_MAX, Secrets};
use crate::text::cut_to;

/// The longest excerpt, in characters.
pub const EXCERPT_CHARS_MAX: usize = 500;

/// The start of a body: in one line, without HTML tags, control characters and secrets.
pub(crate) fn excerpt(body: &[u8], secrets: &Secrets) -> String {
    // Masked before anything is taken away, so that what is left cannot be half a secret.
    let text = secrets.mask(&String::from_utf8_lossy(body));
    let folded = fold(&without_tags(&text));
    // And again: taking away could have put two halves together, and the start of a long body is searched more deeply.
    let start = &folded[..folded.floor_char_boundary(DECODED_BYTES_MAX)];
    cut_to(&secrets.mask(start), EXCERPT_CHARS_MAX).into_owned()
}

/// Takes HTML tags away, roughly, with what scripts and styles contain. A `<` before anything but a letter, `/`, `!` or
/// `?` stands for itself.
fn without_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        kept.push_str(before);
        if !from.starts_with(|first: char| first.is_ascii_alphabetic() || "/!?".contains(first)) {
            kept.push('<');
            rest = from;
            continue;
        }
        kept.push(' ');
        let body = ["script", "style"].into_iter().find(|name| starts_with_word(from, name));
        let from = body.map_or(from, |name| from_end_tag(from, name));
        rest = from.split_once('>').map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The text from the end tag of an element on; empty if there is none.
fn from_end_tag<'t>(text: &'t str, name: &str) -> &'t str {
    let ends = text.match_indices("</").map(|(at, _)| &text[at + 2..]);
    ends.into_iter().find(|end| starts_with_word(end, name)).unwrap_or_default()
}

/// One line: every run of white space and control characters becomes one space.
fn fold(text: &str) -> String {
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let mut line = String::with_capacity(text.len());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::with_password;
    use proptest::prelude::*;

    fn secrets() -> Secrets {
        Secrets::of(&with_password("https://a.example/x", "u", "hunter2"))
    }

    #[track_caller]
    fn check(body: &str, want: &str) {
        assert_eq!(excerpt(body.as_bytes(), &secrets()), want, "{body}");
    }

    #[test]
    fn a_json_error_stays_readable() {
        check("{\"code\":400,\r\n  \"reason\": \"1 < 2\"}", "{\"code\":400, \"reason\": \"1 < 2\"}");
        check("", "");
    }

    #[test]
    fn a_page_of_html_becomes_its_words() {
        let page = "<!DOCTYPE html><html><head><style>a { b: c }</style><SCRIPT>x < y</SCRIPT>\n</head>\
                    <body><h1>502 Bad Gateway</h1><hr>\tnginx</body></html>";
        check(page, "502 Bad Gateway nginx");
        check("a <b", "a");
        check("<style>a", "");
    }

    #[test]
    fn control_characters_become_spaces() {
        check("a\u{0}\u{1b}[31mb\u{85}\u{7f}c", "a [31mb c");
        assert_eq!(excerpt(b"a\xff\xfeb", &secrets()), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn it_is_cut_after_secrets_are_masked() {
        let long = excerpt("é".repeat(600).as_bytes(), &secrets());
        assert_eq!(long.chars().count(), EXCERPT_CHARS_MAX);
        assert!(long.ends_with('…'));
        let across = format!("{}hunter2 and more", "x".repeat(EXCERPT_CHARS_MAX - 4));
        let cut = excerpt(across.as_bytes(), &secrets());
        assert!(cut.ends_with("x***…"), "{cut}");
    }

    #[test]
    fn secrets_do_not_show_however_they_are_broken_up() {
        check("password hunter2 is wrong", "password *** is wrong");
        check("<p>hunter2</p>", "***");
        check("<p>hunt<b>er2", "***");
        check("it ends with hunte", "it ends with ***");
    }

    proptest! {
        #[test]
        fn it_is_always_short_clean_and_without_secrets(body in "(<[a-z/]{0,3}|hunter2|\\PC|[\\x00-\\x20>]){0,200}") {
            let shown = excerpt(body.as_bytes(), &secrets());
            prop_assert!(shown.chars().count() <= EXCERPT_CHARS_MAX);
            prop_assert!(!shown.contains("hunter2"), "{}", shown);
            prop_assert!(!shown.contains(char::is_control), "{:?}", shown);
        }
    }
}
