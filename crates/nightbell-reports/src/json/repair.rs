//! JSON on its way to the parser, with long strings cut, and what writers are known to get wrong put right: characters
//! that should be escaped, escapes that are none, half surrogate pairs, `NaN` and `Infinity`.
//!
//! The parser holds each string as a whole, and a byte for each open bracket of what it skips. So this reader leaves
//! out the rest of a string that grows too long, and refuses what is nested too deeply.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::rc::Rc;

use crate::case::TEXT_BYTES_MAX;
use crate::fault::DEPTH_MAX;

const CHUNK_BYTES: usize = 16 * 1024;

/// The longest word outside of strings that is known.
const WORD_BYTES_MAX: usize = "-Infinity".len();

/// Where the reader is: shared, since the parser has the reader.
#[derive(Debug, Clone, Default)]
pub(super) struct Whereabouts(Rc<Cell<Position>>);

/// The place of the byte that was read last, and what is known of the text so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: u64,
    /// From 1, in bytes.
    pub(super) column: u64,
    pub(super) is_too_deep: bool,
    /// Nothing but white space was read.
    pub(super) is_blank: bool,
}

/// The bytes of a JSON text, which all are UTF-8.
#[derive(Debug)]
pub(super) struct Repair<R> {
    from: R,
    chunk: Box<[u8]>,
    start: usize,
    end: usize,
    depth: usize,
    at: Position,
    shared: Whereabouts,
    bytes_max: usize,
    place: Within,
    /// What the parser gets next.
    out: VecDeque<u8>,
}

/// What the next byte is part of.
#[derive(Debug)]
enum Within {
    Nothing,
    /// A word, which is a value or part of a number.
    Word(Vec<u8>),
    Text(Text),
}

/// An open string.
#[derive(Debug, Default)]
struct Text {
    bytes: usize,
    is_cut: bool,
    escape: Escape,
    /// The first half of a surrogate pair, whose second half may follow.
    half: Option<u16>,
}

#[derive(Debug, Default)]
enum Escape {
    #[default]
    None,
    Begun,
    Unicode(Vec<u8>),
}

impl Default for Position {
    fn default() -> Self {
        Self { line: 1, column: 0, is_too_deep: false, is_blank: true }
    }
}

impl Whereabouts {
    pub(super) fn get(&self) -> Position {
        let at = self.0.get();
        Position { column: at.column.max(1), ..at }
    }
}

impl<R: Read> Repair<R> {
    pub(super) fn new(from: R) -> Self {
        Self::with_bound(from, TEXT_BYTES_MAX)
    }

    fn with_bound(from: R, bytes_max: usize) -> Self {
        Self {
            from,
            chunk: vec![0; CHUNK_BYTES].into(),
            start: 0,
            end: 0,
            depth: 0,
            at: Position::default(),
            shared: Whereabouts::default(),
            bytes_max,
            place: Within::Nothing,
            out: VecDeque::new(),
        }
    }

    pub(super) fn whereabouts(&self) -> Whereabouts {
        self.shared.clone()
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        if self.start == self.end {
            (self.start, self.end) = (0, self.from.read(&mut self.chunk)?);
            if self.end == 0 {
                return Ok(None);
            }
        }
        let byte = self.chunk[self.start];
        self.start += 1;
        Ok(Some(byte))
    }

    /// Takes a byte that is what it is, as most are. False: it was not taken.
    fn is_plain(&mut self, byte: u8) -> bool {
        let is_plain = match &mut self.place {
            Within::Text(Text { bytes, is_cut: false, escape: Escape::None, half: None })
                if *bytes < self.bytes_max =>
            {
                let is_plain = matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
                *bytes += usize::from(is_plain);
                is_plain
            }
            Within::Nothing => matches!(byte, b' ' | b',' | b':' | b'.' | b'0'..=b'9'),
            Within::Text(_) | Within::Word(_) => false,
        };
        if is_plain {
            self.at.column += 1;
            self.at.is_blank &= byte == b' ';
        }
        is_plain
    }

    /// Takes a byte, and puts out what the parser gets for it.
    fn take(&mut self, byte: u8) -> io::Result<()> {
        match byte {
            b'\n' => (self.at.line, self.at.column) = (self.at.line + 1, 0),
            _ => self.at.column += 1,
        }
        self.at.is_blank &= byte.is_ascii_whitespace();
        if let Within::Text(text) = &mut self.place {
            if text.take(byte, self.bytes_max, &mut self.out) {
                self.place = Within::Nothing;
            }
        } else {
            self.take_outside(byte);
        }
        self.at.is_too_deep = self.depth > DEPTH_MAX;
        self.shared.0.set(self.at);
        if self.at.is_too_deep { Err(io::Error::other("nested too deeply")) } else { Ok(()) }
    }

    fn take_outside(&mut self, byte: u8) {
        if byte.is_ascii_alphabetic() || byte == b'-' {
            if let Within::Word(word) = &mut self.place
                && word.len() < WORD_BYTES_MAX
            {
                word.push(byte);
                return;
            }
            self.end_word();
            self.place = Within::Word(vec![byte]);
            return;
        }
        self.end_word();
        match byte {
            b'"' => self.place = Within::Text(Text::default()),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.out.push_back(byte);
    }

    fn end_word(&mut self) {
        if let Within::Word(word) = mem::replace(&mut self.place, Within::Nothing) {
            match word.as_slice() {
                b"NaN" | b"Infinity" | b"-Infinity" => self.out.extend(b"null"),
                _ => self.out.extend(word),
            }
        }
    }
}

impl Text {
    /// Takes a byte; says whether it ends the string.
    fn take(&mut self, byte: u8, bytes_max: usize, out: &mut VecDeque<u8>) -> bool {
        match mem::take(&mut self.escape) {
            Escape::None => match byte {
                b'"' => {
                    self.put(b"", bytes_max, out);
                    out.push_back(byte);
                    return true;
                }
                b'\\' => self.escape = Escape::Begun,
                0..0x20 => self.put(format!("\\u{byte:04x}").as_bytes(), bytes_max, out),
                _ => self.put(&[byte], bytes_max, out),
            },
            Escape::Begun => match byte {
                b'u' => self.escape = Escape::Unicode(Vec::with_capacity(4)),
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                    self.put(&[b'\\', byte], bytes_max, out);
                }
                _ => {
                    self.put(b"\\\\", bytes_max, out);
                    return self.take(byte, bytes_max, out);
                }
            },
            Escape::Unicode(mut digits) => {
                if !byte.is_ascii_hexdigit() {
                    self.put(&[b"\\\\u", digits.as_slice()].concat(), bytes_max, out);
                    return self.take(byte, bytes_max, out);
                }
                digits.push(byte);
                if digits.len() < 4 {
                    self.escape = Escape::Unicode(digits);
                } else {
                    let unit =
                        std::str::from_utf8(&digits).ok().and_then(|hex| u16::from_str_radix(hex, 16).ok());
                    self.put_unit(unit.unwrap_or(0xfffd), bytes_max, out);
                }
            }
        }
        false
    }

    /// Puts out a UTF-16 unit; half a pair alone becomes U+FFFD.
    fn put_unit(&mut self, unit: u16, bytes_max: usize, out: &mut VecDeque<u8>) {
        match (self.half, unit) {
            (Some(half), 0xdc00..0xe000) => {
                self.half = None;
                self.put(format!("\\u{half:04x}\\u{unit:04x}").as_bytes(), bytes_max, out);
            }
            (_, 0xd800..0xdc00) => {
                self.put(b"", bytes_max, out);
                self.half = Some(unit);
            }
            (None, 0xdc00..0xe000) => self.put(b"\\ufffd", bytes_max, out),
            (_, _) => self.put(format!("\\u{unit:04x}").as_bytes(), bytes_max, out),
        }
    }

    /// Puts out what stands for one character, or a byte of one, unless the string is too long for another.
    fn put(&mut self, bytes: &[u8], bytes_max: usize, out: &mut VecDeque<u8>) {
        if self.half.take().is_some() {
            self.put(b"\\ufffd", bytes_max, out);
        }
        let is_within_character = matches!(bytes, [0b1000_0000..=0b1011_1111]);
        self.is_cut |= !is_within_character && self.bytes >= bytes_max;
        self.bytes += bytes.len();
        if !self.is_cut {
            out.extend(bytes);
        }
    }
}

impl<R: Read> Read for Repair<R> {
    /// Gives one byte at a time, which is how the parser asks, so that a fault's place is exact.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.first_mut() else { return Ok(0) };
        loop {
            if let Some(byte) = self.out.pop_front() {
                *first = byte;
                return Ok(1);
            }
            match self.next_byte()? {
                Some(byte) if self.is_plain(byte) => {
                    *first = byte;
                    return Ok(1);
                }
                Some(byte) => self.take(byte)?,
                None => {
                    self.shared.0.set(self.at);
                    self.end_word();
                    if self.out.is_empty() {
                        return Ok(0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: usize = 100;

    /// The strings of a JSON array, as they come through.
    fn strings(json: &str) -> Vec<String> {
        serde_json::from_reader(Repair::with_bound(json.as_bytes(), BOUND)).unwrap()
    }

    #[test]
    fn a_long_string_is_cut_and_what_follows_is_read() {
        for unit in
            ["x", "ö", "\\n", "\\\\", "\\\"", "\\u00f6", "\\ud83d\\ude00", "😀", "x\\ud83d\\ude00\\\\"]
        {
            for shift in 0..13 {
                let long = format!("{}{}", "-".repeat(shift), unit.repeat(BOUND + 20));
                let read = strings(&format!(r#"["{long}", "next"]"#));
                assert_eq!(read[1], "next");
                assert!(read[0].len() <= BOUND + 12, "{unit} {shift} {}", read[0].len());
                let whole: String = serde_json::from_str(&format!("\"{long}\"")).unwrap();
                assert!(whole.starts_with(&read[0]) && whole != read[0], "{unit} {shift}");
            }
        }
    }

    #[test]
    fn a_string_that_fits_comes_through_whole() {
        let text = "größe \\\" \\\\ [[{{ \\u007d 😀 \\ud83d\\ude00";
        assert_eq!(
            strings(&format!("[\"{text}\"]")),
            [serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap()]
        );
    }

    #[test]
    fn what_a_string_may_not_have_is_put_right() {
        assert_eq!(strings("[\"a\nb\tc\u{1}\"]"), ["a\nb\tc\u{1}"]);
        assert_eq!(strings(r#"["C:\path\x", "\u12", "\u", "\uq"]"#), ["C:\\path\\x", "\\u12", "\\u", "\\uq"]);
        assert_eq!(
            strings(r#"["\ud83d", "\ude00", "\ud83dx", "\ud83d\n", "\ud83d\ud83d\ude00"]"#),
            ["\u{fffd}", "\u{fffd}", "\u{fffd}x", "\u{fffd}\n", "\u{fffd}😀"]
        );
    }

    #[test]
    fn numbers_that_json_does_not_have_are_null() {
        let read = |json: &str| -> serde_json::Value {
            serde_json::from_reader(Repair::new(json.as_bytes())).unwrap()
        };
        assert_eq!(
            read("[NaN, Infinity, -Infinity, -1, 1e5, -2.5E-3, true, false, null]"),
            serde_json::json!([null, null, null, -1, 1e5, -2.5e-3, true, false, null])
        );
        assert_eq!(read("NaN"), serde_json::Value::Null);
        assert!(
            serde_json::from_reader::<_, serde_json::Value>(Repair::new("[undefinedundefined]".as_bytes()))
                .is_err()
        );
    }

    #[test]
    fn brackets_are_counted_outside_of_strings_only() {
        let nested = |depth: usize| {
            let json = format!("{}\"[[[\"{}", "[".repeat(depth), "]".repeat(depth));
            let mut repair = Repair::new(json.as_bytes());
            let read = io::copy(&mut repair, &mut io::sink());
            (read.is_ok(), repair.whereabouts().get().is_too_deep)
        };
        assert_eq!(nested(DEPTH_MAX), (true, false));
        assert_eq!(nested(DEPTH_MAX + 1), (false, true));
    }
}
