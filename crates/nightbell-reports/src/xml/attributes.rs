//! The attributes of a tag, and what their values and other texts stand for.

use std::borrow::Cow;
use std::ops::Range;

/// The most attributes of one tag that are read.
const ATTRIBUTES_MAX: usize = 200;

/// The longest reference, in bytes, with its `&` and `;`.
const REFERENCE_BYTES_MAX: usize = 64;

/// Where a tag has its name and its attributes.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    name: Range<usize>,
    /// Names and values.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Attributes {
    /// Finds them, and says whether all are written as XML wants it. `tag` has neither `<` nor `>` around it.
    pub(super) fn read(&mut self, tag: &str) -> bool {
        let bytes = tag.as_bytes();
        self.places.clear();
        let mut at = until(bytes, 0, is_end_of_name);
        self.name = 0..at;
        let mut is_sound = bytes.get(at) != Some(&b'=') && bytes[..at].iter().all(|byte| is_in_name(*byte));
        while self.places.len() < ATTRIBUTES_MAX {
            let from = until(bytes, at, |byte| !byte.is_ascii_whitespace() && byte != b'/');
            let to = until(bytes, from, is_end_of_name);
            let slashes = bytes[at..from].iter().filter(|byte| **byte == b'/').count();
            is_sound &= slashes <= usize::from(from == bytes.len());
            if from == bytes.len() {
                break;
            }
            let equals = until(bytes, to, |byte| !byte.is_ascii_whitespace());
            if bytes.get(equals) != Some(&b'=') {
                // A word without a value, or what is no word at all.
                is_sound = false;
                at = to.max(from + 1);
                continue;
            }
            let begin = until(bytes, equals + 1, |byte| !byte.is_ascii_whitespace());
            let value = match bytes.get(begin) {
                Some(quote @ (b'"' | b'\'')) => begin + 1..end_of_value(bytes, begin + 1, *quote),
                Some(_) | None => {
                    is_sound = false;
                    begin..until(bytes, begin, |byte| byte.is_ascii_whitespace())
                }
            };
            at = (value.end + 1).min(bytes.len());
            is_sound &= from < to && bytes[from..to].iter().all(|byte| is_in_name(*byte));
            self.places.push((from..to, value));
        }
        is_sound
    }

    pub(super) fn name<'a>(&self, tag: &'a str) -> &'a str {
        tag.get(self.name.clone()).unwrap_or_default()
    }

    /// The first value of this name, references unresolved.
    pub(super) fn get<'a>(&self, tag: &'a str, name: &str) -> Option<&'a str> {
        let (_, value) = self.places.iter().find(|(place, _)| tag.get(place.clone()) == Some(name))?;
        tag.get(value.clone())
    }
}

fn until(bytes: &[u8], from: usize, is_end: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |at| from + at)
}

fn is_end_of_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'=' | b'/')
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | 0x80..)
}

fn end_of_value(bytes: &[u8], mut from: usize, quote: u8) -> usize {
    loop {
        let at = until(bytes, from, |byte| byte == quote);
        if at == bytes.len() || closes(&bytes[at + 1..]) {
            return at;
        }
        from = at + 1;
    }
}

/// Whether a quote that is followed by this ends a value, and is none that somebody forgot to escape.
pub(super) fn closes(rest: &[u8]) -> bool {
    match rest.first() {
        None | Some(b'/' | b'>' | b'?') => true,
        Some(byte) if byte.is_ascii_whitespace() => true,
        Some(_) => {
            let name =
                until(rest, 0, |byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b':'));
            name > 0 && rest.get(name) == Some(&b'=') && matches!(rest.get(name + 1), Some(b'"' | b'\''))
        }
    }
}

/// Whether each `&` begins a reference.
pub(super) fn has_sound_references(raw: &str) -> bool {
    memchr::memchr_iter(b'&', raw.as_bytes()).all(|at| reference(&raw[at + 1..]).is_some())
}

/// A text with its references resolved. A character that XML does not have becomes U+FFFD; a name that nobody knows stays
/// as it is, since a document type is not read, and so does what is no reference.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(after) = rest.strip_prefix('&') {
        let (resolved, length) = reference(after).unwrap_or((None, 0));
        match resolved {
            Some(letter) => text.push(letter),
            None => text.push_str(&rest[..=length]),
        }
        rest = &after[length..];
        let next = rest.find('&').unwrap_or(rest.len());
        text.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(text)
}

/// What a reference stands for, if that is known, and its length without the `&`. None: it is no reference.
fn reference(after: &str) -> Option<(Option<char>, usize)> {
    let window = &after.as_bytes()[..after.len().min(REFERENCE_BYTES_MAX)];
    let end = window.iter().position(|byte| *byte == b';')?;
    let name = &after[..end];
    let known = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#') {
            Some(number) => Some(character(number)?),
            None if name.starts_with(|c: char| c.is_alphabetic())
                && name.chars().all(char::is_alphanumeric) =>
            {
                None
            }
            None => return None,
        },
    };
    Some((known, end + 1))
}

fn character(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok();
    Some(code.filter(|code| *code != 0).and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, want: &[(&str, &str)]) {
        let mut attributes = Attributes::default();
        attributes.read(tag);
        assert_eq!(attributes.name(tag), "t", "{tag}");
        for (name, value) in want {
            assert_eq!(attributes.get(tag, name), Some(*value), "{tag}");
        }
        assert_eq!(attributes.places.len(), want.len(), "{tag}");
    }

    #[test]
    fn attributes_are_found_however_they_are_written() {
        check("t", &[]);
        check("t/", &[]);
        check("t a='1' b=\"2\"", &[("a", "1"), ("b", "2")]);
        check("t a = '1'\n\tb='2'/", &[("a", "1"), ("b", "2")]);
        check("t a='it is \"so\"' b='x>y'", &[("a", "it is \"so\""), ("b", "x>y")]);
        check("t a=1 b=2", &[("a", "1"), ("b", "2")]);
        check("t checked a='1'", &[("a", "1")]);
        check("t a=''", &[("a", "")]);
        check("t a='1'b='2'", &[("a", "1"), ("b", "2")]);
    }

    #[test]
    fn a_quote_that_nobody_escaped_is_part_of_its_value() {
        check("t a=\"got \"5\" \" b='2'", &[("a", "got \"5"), ("b", "2")]);
        check("t a='it's' b='2'", &[("a", "it's"), ("b", "2")]);
        check("t a='open", &[("a", "open")]);
    }

    #[track_caller]
    fn check_text(raw: &str, want: &str, is_sound: bool) {
        assert_eq!((unescape(raw).as_ref(), has_sound_references(raw)), (want, is_sound), "{raw}");
    }

    #[test]
    fn references_are_resolved() {
        check_text("plain", "plain", true);
        check_text("&lt;&#65;&#x41;&apos;&amp;lt;", "<AA'&lt;", true);
        check_text("a&#10;b", "a\nb", true);
    }

    #[test]
    fn what_no_character_is_becomes_a_mark() {
        check_text("got &#0; byte", "got \u{fffd} byte", true);
        check_text("&#55357;&#56832;", "\u{fffd}\u{fffd}", true);
        check_text("&#x110000;&#99999999999;", "\u{fffd}\u{fffd}", true);
    }

    #[test]
    fn what_is_no_reference_stays_as_it_is() {
        check_text("Tom & Jerry", "Tom & Jerry", false);
        check_text("a&b", "a&b", false);
        check_text("&", "&", false);
        check_text("&;&#;&#x;", "&;&#;&#x;", false);
        check_text("&nbsp;&a19;", "&nbsp;&a19;", true);
    }
}
