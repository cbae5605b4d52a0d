//! The lines of a report, held one at a time.

use std::io::BufRead as _;

use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};
use crate::source::Source;

/// How much of one line is kept, in bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A report's lines.
pub(crate) struct Lines {
    from: Decoded,
    number: u64,
    line: Vec<u8>,
    text: String,
}

impl Lines {
    pub(crate) fn open(source: &Source) -> Result<Self, Unfit> {
        let from = Decoded::new(source.open()?)?;
        Ok(Self { from, number: 0, line: Vec::new(), text: String::new() })
    }

    /// The number of the current line, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end; the rest of a long one is left out.
    pub(crate) fn next(&mut self) -> Option<&str> {
        self.line.clear();
        let mut has_begun = false;
        loop {
            // A reading that fails ends the text, and is remembered by what reads.
            let chunk = self.from.fill_buf().unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            has_begun = true;
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !has_begun {
            return None;
        }
        self.number += 1;
        self.text.clear();
        self.text.push_str(&String::from_utf8_lossy(&self.line));
        Some(self.text.strip_suffix('\r').unwrap_or(&self.text))
    }

    /// Where reading failed, if it did.
    pub(crate) fn broken(&self) -> Option<Place> {
        let problem = self.from.broken()?.to_string();
        Some(Place { line: self.number, fault: Fault::Unreadable { problem } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, String)> {
        let mut lines = Lines::open(&Source::memory(text.as_bytes().into())).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().map(str::to_owned) {
            all.push((lines.number(), line));
        }
        all
    }

    #[test]
    fn every_line_is_given_with_its_number() {
        let want = |all: &[&str]| (1..).zip(all.iter().map(|line| (*line).to_owned())).collect::<Vec<_>>();
        assert_eq!(lines(""), []);
        assert_eq!(lines("a"), want(&["a"]));
        assert_eq!(lines("a\r\n\nö\n"), want(&["a", "", "ö"]));
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_read() {
        let all = lines(&format!("{}\nnext", "ö".repeat(LINE_BYTES_MAX)));
        assert!(all[0].1.len() <= LINE_BYTES_MAX + 3);
        assert_eq!(all[1].1, "next");
    }
}
