//! JSON on its way to the parser, with long strings cut.
//!
//! The parser holds each string as a whole, and a byte for each open bracket of what it skips. So this reader leaves
//! out the rest of a string that grows too long, and refuses what is nested too deeply.

use std::io::{self, Read};

use crate::case::TEXT_BYTES_MAX;
use crate::fault::DEPTH_MAX;

const CHUNK_BYTES: usize = 8 * 1024;

/// The bytes of a JSON text, which all are UTF-8.
#[derive(Debug)]
pub(super) struct Cut<R> {
    from: R,
    chunk: Box<[u8]>,
    start: usize,
    end: usize,
    line: u64,
    column: u64,
    depth: usize,
    is_too_deep: bool,
    is_blank: bool,
    string_bytes_max: usize,
    /// The string that is open.
    string: Option<Text>,
}

/// An open string.
#[derive(Debug, Default)]
struct Text {
    bytes: usize,
    is_cut: bool,
    escape: Escape,
    /// The last escape was the first half of a surrogate pair.
    is_half: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Unicode {
        digits_left: u8,
        unit: u32,
    },
}

impl<R> Cut<R> {
    pub(super) fn new(from: R) -> Self {
        Self::with_bound(from, TEXT_BYTES_MAX)
    }

    fn with_bound(from: R, string_bytes_max: usize) -> Self {
        Self {
            from,
            chunk: vec![0; CHUNK_BYTES].into(),
            start: 0,
            end: 0,
            line: 1,
            column: 0,
            depth: 0,
            is_too_deep: false,
            is_blank: true,
            string_bytes_max,
            string: None,
        }
    }

    /// The line of the byte that was read last, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Its column, from 1, in bytes.
    pub(super) fn column(&self) -> u64 {
        self.column.max(1)
    }

    pub(super) fn is_too_deep(&self) -> bool {
        self.is_too_deep
    }

    /// Nothing but white space was read.
    pub(super) fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// Takes a byte; says whether the parser gets it.
    fn passes(&mut self, byte: u8) -> io::Result<bool> {
        match byte {
            b'\n' => (self.line, self.column) = (self.line + 1, 0),
            _ => self.column += 1,
        }
        self.is_blank &= byte.is_ascii_whitespace();
        if let Some(string) = &mut self.string {
            let passes = string.takes(byte, self.string_bytes_max);
            if passes.is_none() {
                self.string = None;
            }
            return Ok(passes.unwrap_or(true));
        }
        match byte {
            b'"' => self.string = Some(Text::default()),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.is_too_deep = self.depth > DEPTH_MAX;
        if self.is_too_deep { Err(io::Error::other("nested too deeply")) } else { Ok(true) }
    }
}

impl Text {
    /// Whether the parser gets this byte; none: it ends the string.
    fn takes(&mut self, byte: u8, bytes_max: usize) -> Option<bool> {
        if byte == b'"' && self.escape == Escape::None {
            return None;
        }
        // Neither a character nor an escape nor a pair of them is cut in two.
        let is_boundary =
            self.escape == Escape::None && !self.is_half && !matches!(byte, 0b1000_0000..=0b1011_1111);
        self.is_cut |= is_boundary && self.bytes >= bytes_max;
        self.bytes += 1;
        self.step(byte);
        Some(!self.is_cut)
    }

    fn step(&mut self, byte: u8) {
        const FIRST_HALVES: std::ops::Range<u32> = 0xd800..0xdc00;

        self.escape = match self.escape {
            Escape::None if byte == b'\\' => Escape::Begun,
            Escape::Begun if byte == b'u' => Escape::Unicode { digits_left: 4, unit: 0 },
            Escape::None | Escape::Begun => {
                self.is_half = false;
                Escape::None
            }
            Escape::Unicode { digits_left, unit } => {
                let unit = unit << 4 | char::from(byte).to_digit(16).unwrap_or(0);
                if digits_left > 1 {
                    Escape::Unicode { digits_left: digits_left - 1, unit }
                } else {
                    self.is_half = !self.is_half && FIRST_HALVES.contains(&unit);
                    Escape::None
                }
            }
        }
    }
}

impl<R: Read> Read for Cut<R> {
    /// Gives one byte at a time, which is how the parser asks, so that a fault's place is exact.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.first_mut() else { return Ok(0) };
        loop {
            if self.start == self.end {
                (self.start, self.end) = (0, self.from.read(&mut self.chunk)?);
                if self.end == 0 {
                    return Ok(0);
                }
            }
            let byte = self.chunk[self.start];
            self.start += 1;
            if self.passes(byte)? {
                *first = byte;
                return Ok(1);
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
        serde_json::from_reader(Cut::with_bound(json.as_bytes(), BOUND)).unwrap()
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
        let text = "größe \\\" \\\\ [[{{ \\u007d 😀";
        assert_eq!(
            strings(&format!("[\"{text}\"]")),
            [serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap()]
        );
    }

    #[test]
    fn brackets_are_counted_outside_of_strings_only() {
        let nested = |depth: usize| {
            let json = format!("{}\"[[[\"{}", "[".repeat(depth), "]".repeat(depth));
            let mut cut = Cut::new(json.as_bytes());
            let read = io::copy(&mut cut, &mut io::sink());
            (read.is_ok(), cut.is_too_deep())
        };
        assert_eq!(nested(DEPTH_MAX), (true, false));
        assert_eq!(nested(DEPTH_MAX + 1), (false, true));
    }
}
