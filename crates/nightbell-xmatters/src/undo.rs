//! A text as its reader could undo it: without escapes, without base64, without white space, and in one case; each byte
//! knows its place in the original.

use std::ops::Range;
use std::sync::LazyLock;

/// What stands in a text between the parts of something that was broken up: white space, controls, and what has no width.
pub(crate) fn is_gap(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A byte, and the place in the original that it was made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    byte: u8,
    from: usize,
    to: usize,
}

/// The bytes of a text without its gaps; those of one character have its place.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(text.len());
    for (from, character) in text.char_indices().filter(|(_, character)| !is_gap(*character)) {
        let to = from + character.len_utf8();
        pieces.extend(text[from..to].bytes().map(|byte| Piece { byte, from, to }));
    }
    pieces
}

/// Undoes one layer of escapes; none if there are none.
pub(crate) fn unescaped(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let bytes = bytes(pieces);
    let mut undone: Vec<Piece> = Vec::with_capacity(pieces.len());
    let (mut at, mut is_changed) = (0, false);
    while let Some(piece) = pieces.get(at) {
        match escape(&bytes[at..]) {
            Some((len, meant)) => {
                let (from, to) = (piece.from, pieces[at + len - 1].to);
                // What means nothing belongs to what is before it.
                if let Some(last) = undone.last_mut().filter(|_| meant.is_empty()) {
                    last.to = to;
                }
                undone.extend(meant.into_iter().map(|byte| Piece { byte, from, to }));
                (at, is_changed) = (at + len, true);
            }
            None => {
                undone.push(*piece);
                at += 1;
            }
        }
    }
    is_changed.then(|| without_gaps(undone))
}

/// The base64 texts within, in the standard's and in the URL's alphabet, decoded from each of the four places where one
/// can begin; each with whether it goes on to the end of the text.
pub(crate) fn decoded(pieces: &[Piece]) -> Vec<(Vec<Piece>, bool)> {
    const RUN_MIN: usize = 6;

    let mut all = Vec::new();
    let mut begin = 0;
    for run in pieces.split(|piece| sextet(piece.byte).is_none()) {
        let ends = begin + run.len() == pieces.len();
        begin += run.len() + 1;
        for start in (0..4).filter(|start| run.len() >= RUN_MIN + start) {
            let groups = run[start..].chunks(4);
            all.push((without_gaps(groups.flat_map(group).collect()), ends));
        }
    }
    all
}

/// Up to three bytes of up to four characters.
fn group(group: &[Piece]) -> impl Iterator<Item = Piece> + use<> {
    let bits = group.iter().fold(0, |bits, piece| bits << 6 | u32::from(sextet(piece.byte).unwrap_or(0)));
    let [_, bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
    let places: Vec<_> = group.windows(2).map(|two| (two[0].from, two[1].to)).collect();
    places.into_iter().zip(bytes).map(|((from, to), byte)| Piece { byte, from, to })
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// A text in one case, and the place of each of its bytes in the original.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) text: String,
    places: Vec<(usize, usize)>,
}

impl Folded {
    /// The place in the original of a part of the text.
    pub(crate) fn place(&self, part: Range<usize>) -> Range<usize> {
        let places = &self.places[part];
        let from = places.iter().map(|(from, _)| *from).min().unwrap_or_default();
        from..places.iter().map(|(_, to)| *to).max().unwrap_or_default()
    }
}

/// One case for all letters, and one of the two alphabets of base64.
pub(crate) fn folded(pieces: &[Piece]) -> Folded {
    let mut folded =
        Folded { text: String::with_capacity(pieces.len()), places: Vec::with_capacity(pieces.len()) };
    let mut push = |character: char, at: usize, len: usize| {
        let before = folded.text.len();
        match character {
            '-' => folded.text.push('+'),
            '_' => folded.text.push('/'),
            other => folded.text.extend(other.to_uppercase().flat_map(char::to_lowercase)),
        }
        let place = (pieces[at].from, pieces[at + len - 1].to);
        folded.places.resize(folded.places.len() + folded.text.len() - before, place);
    };
    for (character, place) in characters(&bytes(pieces)) {
        push(character, place.start, place.len());
    }
    folded
}

/// The characters of some bytes and their places; where there is none, one stands that says so.
fn characters(bytes: &[u8]) -> impl Iterator<Item = (char, Range<usize>)> {
    let with_len = |character: char| (character, character.len_utf8());
    let all = bytes.utf8_chunks().flat_map(move |chunk| {
        let invalid = Some(chunk.invalid().len()).filter(|len| *len > 0);
        let invalid = invalid.map(|len| (char::REPLACEMENT_CHARACTER, len));
        chunk.valid().chars().map(with_len).chain(invalid)
    });
    all.scan(0, |at, (character, len)| {
        *at += len;
        Some((character, *at - len..*at))
    })
}

fn bytes(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().map(|piece| piece.byte).collect()
}

fn without_gaps(pieces: Vec<Piece>) -> Vec<Piece> {
    let bytes = bytes(&pieces);
    let kept = characters(&bytes).filter(|(character, _)| !is_gap(*character));
    kept.flat_map(|(_, place)| &pieces[place]).copied().collect()
}

/// The escape that begins here: how long it is, and what it means. One that breaks off at the end of the text means
/// nothing.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let is_cut = |rest: &[u8], digits: usize| rest.len() < digits && rest.iter().all(u8::is_ascii_hexdigit);
    let byte = |digits: [u8; 2]| u8::try_from(number(&digits, 16)?).ok();
    match text {
        [b'%', high, low, ..] => Some((3, vec![byte([*high, *low])?])),
        [b'%', rest @ ..] => is_cut(rest, 2).then(|| (text.len(), Vec::new())),
        [b'\\', b'u' | b'U', rest @ ..] if is_cut(rest, 4) => Some((text.len(), Vec::new())),
        [b'\\', b'u' | b'U', ..] => unit(text),
        [b'\\', b'x' | b'X', high, low, ..] => Some((4, vec![byte([*high, *low])?])),
        [b'\\', b'b' | b'f' | b'n' | b'r' | b't' | b'B' | b'F' | b'N' | b'R' | b'T', ..] => {
            Some((2, Vec::new()))
        }
        [b'\\', other @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((2, vec![*other])),
        [b'\\'] => Some((1, Vec::new())),
        [b'&', rest @ ..] => entity(rest).map(|(len, meant)| (len + 1, meant)),
        _ => None,
    }
}

/// `\uXXXX`, or two of them that are one character (RFC 8259 7).
fn unit(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let one = |text: &[u8]| match text {
        [b'\\', b'u' | b'U', digits @ ..] => number(digits.get(..4)?, 16),
        _ => None,
    };
    let first = one(text)?;
    let second = one(&text[6..])
        .filter(|_| (0xd800..0xdc00).contains(&first))
        .filter(|unit| (0xdc00..0xe000).contains(unit));
    let (len, code) = match second {
        Some(second) => (12, 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
        None => (6, first),
    };
    Some((len, utf8(code)))
}

/// A character reference of HTML, without the `&`; its semicolon may be missing.
fn entity(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (begin, radix) = match text {
        [b'#', b'x' | b'X', ..] => (2, 16),
        [b'#', ..] => (1, 10),
        _ => return named(text),
    };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let len = text[begin..].iter().take(DIGITS_MAX).take_while(is_digit).count();
    let end = begin + len;
    match text.get(end) {
        None => Some((end, Vec::new())),
        Some(_) if len == 0 => None,
        Some(next) => Some((end + usize::from(*next == b';'), utf8(number(&text[begin..end], radix)?))),
    }
}

/// How many digits of a character reference are read; the last character has seven.
const DIGITS_MAX: usize = 9;

/// Names of HTML for what stands in passwords and URLs, in lower case, each with the character that it means; those without
/// one mean white space.
const WRITTEN_NAMES: &str = r#"amp& lt< gt> quot" apos' nbsp excl! num# dollar$ percnt% lpar( rpar) ast* midast* plus+
    comma, period. sol/ colon: semi; equals= quest? commat@ lsqb[ lbrack[ bsol\ rsqb] rbrack] hat^ lowbar_ underbar_
    grave` diacriticalgrave` lcub{ lbrace{ verbar| vert| verticalline| rcub} rbrace} hyphen- dash- tilde~ newline tab
    minus-"#;

/// How many of them, the first ones, stand without a semicolon too, and then what follows them may be letters.
const BARE_NAMES: usize = 4;

/// The names, each with what it means.
static NAMES: LazyLock<Vec<(&[u8], &[u8])>> = LazyLock::new(|| {
    let end = |name: &str| name.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(name.len());
    let split = |name: &'static str| name.as_bytes().split_at(end(name));
    let meaning =
        |(name, meant): (_, &'static [u8])| (name, if meant.is_empty() { b" ".as_slice() } else { meant });
    WRITTEN_NAMES.split_whitespace().map(split).map(meaning).collect()
});

fn named(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    const NAME_MAX: usize = 16;
    let len = text.iter().take(NAME_MAX).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_whole = text.get(len) == Some(&b';');
    let name = text[..len].to_ascii_lowercase();
    let fits = |(own, _): &&(&[u8], &[u8])| if is_whole { *own == name } else { name.starts_with(own) };
    let known = if is_whole { NAMES.as_slice() } else { &NAMES[..BARE_NAMES] };
    if let Some((own, meant)) = known.iter().find(fits) {
        return Some((own.len() + usize::from(is_whole), meant.to_vec()));
    }
    let is_cut = len == text.len() && NAMES.iter().any(|(own, _)| own.starts_with(&name));
    is_cut.then(|| (len, Vec::new()))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text =
        str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    u32::from_str_radix(text, radix).ok()
}

fn utf8(code: u32) -> Vec<u8> {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let all = pieces(text);
        let undone = folded(&unescaped(&all).unwrap_or(all)).text;
        assert_eq!(undone, want, "{text}");
    }

    #[test]
    fn one_layer_of_escapes_is_undone() {
        check("a%3d%3Db%253D", "a==b%3d");
        check("%C3%a9%zz", "é%zz");
        check(r#"\u003d\/\"\\n\ud83d\uDD14"#, "=/\"\\n🔔");
        check("&amp;lt;&LT;&#61;&#x3D;&#x3d &equals;&ampb", "&lt;<====&b");
        check("R&D!", "r&d!");
    }

    #[test]
    fn an_escape_that_breaks_off_at_the_end_means_nothing() {
        for cut in ["%", "%3", "\\", "\\u", "\\u003", "&", "&#", "&#x3", "&#6", "&eq"] {
            check(&format!("ab{cut}"), "ab");
        }
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        for before in ["", "x", "xy", "xyz", "Basic\n", "?q="] {
            for encoded in ["c2VjcmV0P3NlY3JldD4", "c2VjcmV0P3NlY3JldD4=", "c2VjcmV0\r\nP3NlY3JldD4="] {
                let text = format!("{before}{encoded}");
                let found = decoded(&pieces(&text)).into_iter().map(|(pieces, _)| folded(&pieces));
                let place = found
                    .filter_map(|folded| {
                        Some(folded.place(folded.text.find("secret?secret>")?..folded.text.len()))
                    })
                    .next();
                assert_eq!(place.unwrap().start, before.len(), "{text}");
            }
        }
    }
}
