//! A report's bytes as UTF-8, whatever encoding they are in.

use std::io::{self, BufRead, Read, Seek};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::Reader;
use quick_xml::events::Event;

/// How far into a report its XML declaration ends, in bytes.
const DECLARATION_BYTES_MAX: u64 = 1024;

/// How many decoded bytes are held.
const DECODED_BYTES: usize = 8 * 1024;

/// Decodes a report. A byte that its encoding does not have becomes U+FFFD: one broken byte in a log must not
/// cost the alerts of the whole report.
#[derive(Debug)]
pub(crate) struct Decoded<R> {
    from: R,
    decoder: Decoder,
    /// What was decoded; a chunk of it always ends with a whole character.
    decoded: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: BufRead + Seek> Decoded<R> {
    /// Reads `from` from its beginning, in the encoding that its byte order mark, its first bytes or its XML
    /// declaration tell; else as UTF-8.
    pub(crate) fn new(mut from: R) -> io::Result<Self> {
        from.rewind()?;
        let mut head = Vec::new();
        from.by_ref().take(DECLARATION_BYTES_MAX).read_to_end(&mut head)?;
        from.rewind()?;
        let decoder = encoding(&head)?.new_decoder_with_bom_removal();
        Ok(Self { from, decoder, decoded: vec![0; DECODED_BYTES].into(), start: 0, end: 0, ended: false })
    }
}

impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && !self.ended {
            let chunk = self.from.fill_buf()?;
            let is_last = chunk.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(chunk, &mut self.decoded, is_last);
            self.from.consume(read);
            (self.start, self.end) = (0, written);
            self.ended = is_last && result == CoderResult::InputEmpty;
        }
        Ok(&self.decoded[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// The encoding of a report that begins like this.
fn encoding(head: &[u8]) -> io::Result<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return Ok(encoding);
    }
    match head {
        [b'<', 0, ..] => return Ok(UTF_16LE),
        [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let mut buffer = Vec::new();
    let Ok(Event::Decl(declaration)) = Reader::from_reader(head).read_event_into(&mut buffer) else {
        return Ok(UTF_8);
    };
    let Some(Ok(label)) = declaration.encoding() else { return Ok(UTF_8) };
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding.is_ascii_compatible() => Ok(encoding),
        // What could be read as ASCII is not in UTF-16, whatever it says.
        Some(_) => Ok(UTF_8),
        None => {
            let label: String = label.chars().take(40).collect();
            Err(io::Error::other(format!("its encoding `{label}` is not known; write it in UTF-8")))
        }
    }
}
