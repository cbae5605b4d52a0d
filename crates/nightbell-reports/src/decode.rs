//! A report's bytes as UTF-8, whatever encoding they are in.

use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a report its XML declaration ends, in bytes.
const DECLARATION_BYTES_MAX: usize = 1024;

/// How many bytes are held, before and after they are decoded.
const CHUNK_BYTES: usize = 16 * 1024;

/// Decodes a report. A byte that its encoding does not have becomes U+FFFD: one broken byte in a log must not
/// cost the alerts of the whole report. Neither does a reading that fails midway: it ends the text, and is told by
/// [`Decoded::broken`].
pub(crate) struct Decoded {
    from: Box<dyn Read>,
    raw: Box<[u8]>,
    raw_start: usize,
    raw_end: usize,
    raw_ended: bool,
    decoder: Decoder,
    /// What was decoded; a chunk of it always ends with a whole character.
    decoded: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    left: u64,
    broken: Option<io::Error>,
}

impl Decoded {
    /// Reads `from` in the encoding that its byte order mark, its first bytes or its XML declaration tell; else as UTF-8.
    pub(crate) fn new(from: Box<dyn Read>) -> io::Result<Self> {
        let mut new = Self {
            from,
            raw: vec![0; CHUNK_BYTES].into(),
            raw_start: 0,
            raw_end: 0,
            raw_ended: false,
            decoder: UTF_8.new_decoder(),
            decoded: vec![0; CHUNK_BYTES].into(),
            start: 0,
            end: 0,
            ended: false,
            left: crate::source::REPORT_BYTES_MAX,
            broken: None,
        };
        while new.raw_end < DECLARATION_BYTES_MAX && !new.raw_ended {
            new.fill_raw()?;
        }
        new.decoder = encoding(&new.raw[..new.raw_end]).new_decoder_with_bom_removal();
        Ok(new)
    }

    /// Why the text ended before the report did, if so.
    pub(crate) fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    fn fill_raw(&mut self) -> io::Result<()> {
        if self.raw_start == self.raw_end {
            (self.raw_start, self.raw_end) = (0, 0);
        }
        let room = self.raw.len() - self.raw_end;
        let room = room.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Err(io::Error::other("it is longer than 4 GiB"));
        }
        loop {
            match self.from.read(&mut self.raw[self.raw_end..self.raw_end + room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.raw_end += count;
                    self.left -= count as u64;
                    self.raw_ended = count == 0;
                    return Ok(());
                }
            }
        }
    }

    fn decode(&mut self) {
        if self.raw_start == self.raw_end
            && !self.raw_ended
            && let Err(error) = self.fill_raw()
        {
            self.broken = Some(error);
            self.raw_ended = true;
        }
        let raw = &self.raw[self.raw_start..self.raw_end];
        let is_last = self.raw_ended;
        let (result, read, written, _) = self.decoder.decode_to_utf8(raw, &mut self.decoded, is_last);
        self.raw_start += read;
        (self.start, self.end) = (0, written);
        self.ended = is_last && result == CoderResult::InputEmpty;
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && !self.ended {
            self.decode();
        }
        Ok(&self.decoded[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }
}

impl Read for Decoded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// The encoding of a report that begins like this. A label that nobody knows is passed over.
fn encoding(head: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    match head {
        [b'<' | b'{' | b'[', 0, ..] => return UTF_16LE,
        [0, b'<' | b'{' | b'[', ..] => return UTF_16BE,
        _ => {}
    }
    match label(head).and_then(Encoding::for_label) {
        // What could be read as ASCII is not in UTF-16, whatever it says.
        Some(encoding) if encoding.is_ascii_compatible() => encoding,
        Some(_) | None => UTF_8,
    }
}

/// What the XML declaration calls the encoding.
fn label(head: &[u8]) -> Option<&[u8]> {
    let head = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = head.iter().position(|byte| *byte == b'>')?;
    let name = b"encoding";
    let at = head[..end].windows(name.len()).position(|window| window == name)? + name.len();
    let value = head[at..end].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    value.split(|byte| byte == quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: Vec<u8>, want: &str) {
        let mut text = String::new();
        Decoded::new(Box::new(io::Cursor::new(bytes))).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, want);
    }

    const TEXT: &str = "<?xml version='1.0' encoding='LABEL'?><a>größe</a>";

    #[test]
    fn the_label_is_believed_if_it_is_known_and_can_be_right() {
        let latin = TEXT.replace("LABEL", "ISO-8859-1");
        check(latin.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect(), &latin);
        for label in ["utf-8", "None", "klingon", "", "cp850", "UTF-16"] {
            let text = TEXT.replace("LABEL", label);
            check(text.clone().into_bytes(), &text);
        }
    }

    #[test]
    fn bytes_go_before_labels() {
        let text = TEXT.replace("LABEL", "UTF-16");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(little.clone(), &text);
        check([vec![0xff, 0xfe], little].concat(), &text);
        check(text.encode_utf16().flat_map(u16::to_be_bytes).collect(), &text);
        let json = "[\"größe\"]";
        check(json.encode_utf16().flat_map(u16::to_le_bytes).collect(), json);
        let marked = TEXT.replace("LABEL", "latin1");
        check([b"\xef\xbb\xbf", marked.as_bytes()].concat(), &marked);
    }

    #[test]
    fn a_byte_that_the_encoding_does_not_have_is_marked() {
        check(b"a\xffb\xc3(".to_vec(), "a\u{fffd}b\u{fffd}(");
        check(b"<?xml encoding='cp850'?>gr\x94\xe1e".to_vec(), "<?xml encoding='cp850'?>gr\u{fffd}\u{fffd}e");
    }

    #[test]
    fn a_reading_that_fails_midway_ends_the_text_and_is_told() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("the disk is gone"));
                }
                into[..4].copy_from_slice(b"text");
                Ok(4)
            }
        }
        let long = io::repeat(b'x').take(2_000).chain(Broken(false));
        let mut decoded = Decoded::new(Box::new(long)).unwrap();
        let mut text = String::new();
        decoded.read_to_string(&mut text).unwrap();
        assert_eq!((text.len(), decoded.broken().unwrap().to_string().as_str()), (2_004, "the disk is gone"));
        assert!(Decoded::new(Box::new(Broken(true))).is_err());
    }
}
