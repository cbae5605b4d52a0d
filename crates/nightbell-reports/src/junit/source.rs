//! The bytes of a report on their way to the XML parser: their lines counted, their lengths bounded.
//!
//! The parser holds whatever it reads next as a whole, be it a log of a gigabyte. So this reader leaves out
//! the rest of a text that grows beyond `TEXT_BYTES_MAX` by up to one buffer, and refuses a tag that grows too long.

use std::io::{self, BufRead, Read};

use crate::case::TEXT_BYTES_MAX;

/// The longest tag, with its attributes, in bytes.
const TAG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A report's bytes, which all are UTF-8, and come in chunks of whole characters.
#[derive(Debug)]
pub(super) struct Source<R> {
    from: R,
    line: u64,
    /// The line in which the current item began.
    item_line: u64,
    /// How much of the current item reached the parser.
    passed: usize,
    /// Its first bytes, which tell what it is.
    head: Vec<u8>,
    /// Its last two bytes so far.
    tail: [u8; 2],
    /// The end of an item that was cut, not taken yet.
    ending: &'static [u8],
}

/// What an item is, by its first bytes, and so how it may be cut.
enum Item {
    /// Text up to the next markup or reference.
    Text,
    /// What ends in `fence`, as often as `ending` has it, and `>`.
    Fenced { fence: u8, ending: &'static [u8] },
    /// What must be whole: a tag, a reference, a document type.
    Whole,
}

impl<R> Source<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, line: 1, item_line: 1, passed: 0, head: Vec::new(), tail: [0; 2], ending: &[] }
    }
}

impl<R: BufRead> Source<R> {
    /// The parser begins a new item.
    pub(super) fn begin_item(&mut self) {
        (self.item_line, self.passed, self.tail) = (self.line, 0, [0; 2]);
        self.head.clear();
    }

    /// The line in which the current item began, from 1.
    pub(super) fn item_line(&self) -> u64 {
        self.item_line
    }

    fn item(&self) -> Item {
        match self.head.as_slice() {
            head if head.starts_with(b"<![CDATA[") => Item::Fenced { fence: b']', ending: b"]]>" },
            head if head.starts_with(b"<!--") => Item::Fenced { fence: b'-', ending: b"-->" },
            head if head.starts_with(b"<?") => Item::Fenced { fence: b'?', ending: b"?>" },
            [b'<' | b'&', ..] => Item::Whole,
            _ => Item::Text,
        }
    }

    /// Leaves out the rest of the current item, or refuses it.
    fn cut(&mut self) -> io::Result<()> {
        match self.item() {
            Item::Whole if self.passed < TAG_BYTES_MAX => Ok(()),
            Item::Whole => Err(invalid(format!("a tag is longer than {TAG_BYTES_MAX} bytes"))),
            Item::Text => self.skip_until(|byte| matches!(byte, b'<' | b'&')).map(|_| ()),
            Item::Fenced { fence, ending } => {
                let posts = ending.len() - 1;
                let mut run = self.tail.iter().rev().take_while(|byte| **byte == fence).count();
                let found = self.skip_until(|byte| {
                    let ends = byte == b'>' && run >= posts;
                    run = if byte == fence { run + 1 } else { 0 };
                    ends
                })?;
                if found {
                    self.from.consume(1);
                    self.ending = ending;
                }
                Ok(())
            }
        }
    }

    /// Skips what comes before the first byte of which `is_end` holds; says whether there is one.
    fn skip_until(&mut self, mut is_end: impl FnMut(u8) -> bool) -> io::Result<bool> {
        loop {
            let chunk = match self.from.fill_buf() {
                Ok([]) => return Ok(false),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = chunk.iter().position(|byte| is_end(*byte));
            let skipped = end.unwrap_or(chunk.len());
            self.line += newlines(&chunk[..skipped]);
            self.from.consume(skipped);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ending.is_empty() && self.passed >= TEXT_BYTES_MAX {
            self.cut()?;
        }
        if self.ending.is_empty() { self.from.fill_buf() } else { Ok(self.ending) }
    }

    fn consume(&mut self, count: usize) {
        if !self.ending.is_empty() {
            self.ending = &self.ending[count..];
            return;
        }
        // What is consumed was filled before, so this reads nothing.
        let taken = self.from.fill_buf().unwrap_or_default();
        let taken = &taken[..count.min(taken.len())];
        self.line += newlines(taken);
        self.passed += count;
        let missing = b"<![CDATA[".len().saturating_sub(self.head.len());
        self.head.extend(taken.iter().take(missing));
        for byte in &taken[taken.len().saturating_sub(2)..] {
            self.tail = [self.tail[1], *byte];
        }
        self.from.consume(count);
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut chunk = self.fill_buf()?;
        let count = chunk.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn invalid(problem: String) -> io::Error {
    io::Error::other(problem)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    /// How many bytes each item of a document has, read through a buffer of this size.
    fn lengths(document: &str, buffer_bytes: usize) -> Vec<usize> {
        let from = BufReader::with_capacity(buffer_bytes, document.as_bytes());
        let mut xml = Reader::from_reader(Source::new(from));
        let mut lengths = Vec::new();
        loop {
            let mut buffer = Vec::new();
            xml.get_mut().begin_item();
            if xml.read_event_into(&mut buffer).unwrap() == Event::Eof {
                return lengths;
            }
            lengths.push(buffer.len());
        }
    }

    #[test]
    fn no_more_of_a_text_than_its_bound_and_a_buffer_is_passed() {
        let long = "x]-? ".repeat(1_000_000);
        for item in
            [long.clone(), format!("<![CDATA[{long}]]>"), format!("<!--{long}-->"), format!("<?p {long}?>")]
        {
            let lengths = lengths(&format!("<a>{item}</a>"), 1024);
            assert_eq!((lengths[0], lengths[2], lengths.len()), (3, 4, 3));
            assert!((TEXT_BYTES_MAX..TEXT_BYTES_MAX + 1024 + 3).contains(&lengths[1]), "{lengths:?}");
        }
    }

    #[test]
    fn an_ending_is_found_wherever_the_cut_falls() {
        for shift in 0..16 {
            let filling = "x".repeat(TEXT_BYTES_MAX - shift);
            for item in [
                format!("<![CDATA[{filling}]]>"),
                format!("<![CDATA[{filling}]]]]>"),
                format!("<![CDATA[{filling}]] ]>]]>"),
                format!("<!--{filling}-->"),
                format!("<?p {filling}?>"),
            ] {
                let lengths = lengths(&format!("<a>{item}<b/>{item}</a>"), 7);
                assert_eq!((lengths.len(), lengths[2]), (5, 4), "{shift} {}", &item[..9]);
            }
        }
    }
}
