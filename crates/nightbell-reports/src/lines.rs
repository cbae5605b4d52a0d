//! The lines of a report, held one at a time.

use std::io::{BufRead as _, Read as _};

use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};
use crate::source::Source;

/// How much of one line is kept, in bytes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

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
        // A reading that fails ends the text, and is remembered by what reads.
        let read = self.from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
        if read.unwrap_or(0) == 0 {
            return None;
        }
        if self.line.pop_if(|last| *last == b'\n').is_none() {
            let _ = self.from.skip_until(b'\n');
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
        let bound = usize::try_from(LINE_BYTES_MAX).unwrap();
        let all = lines(&format!("{}\nnext", "ö".repeat(bound)));
        assert!(all[0].1.len() <= bound + 3);
        assert_eq!(all[1].1, "next");
    }
}
