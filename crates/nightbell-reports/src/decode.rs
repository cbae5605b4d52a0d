//! A report's bytes as UTF-8, whatever encoding they are in.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a report its XML declaration ends, in bytes.
const DECLARATION_BYTES_MAX: u64 = 1024;

/// How many bytes are held, before and after they are decoded.
const CHUNK_BYTES: usize = 16 * 1024;

/// Decodes a report. A byte that its encoding does not have becomes U+FFFD: one broken byte in a log must not
/// cost the alerts of the whole report. Neither does a reading that fails midway: it ends the text, and is told by
/// [`Decoded::broken`].
pub(crate) struct Decoded {
    from: BufReader<io::Take<Box<dyn Read>>>,
    decoder: Decoder,
    /// What was decoded; a chunk of it always ends with a whole character.
    decoded: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    broken: Option<io::Error>,
}

impl Decoded {
    /// Reads `from` in the encoding that its byte order mark, its first bytes or its XML declaration tell; else as UTF-8.
    pub(crate) fn new(mut from: Box<dyn Read>) -> io::Result<Self> {
        let mut head = Vec::new();
        from.by_ref().take(DECLARATION_BYTES_MAX).read_to_end(&mut head)?;
        let decoder = encoding(&head).new_decoder_with_bom_removal();
        let whole: Box<dyn Read> = Box::new(io::Cursor::new(head).chain(from));
        Ok(Self {
            from: BufReader::with_capacity(CHUNK_BYTES, whole.take(crate::source::REPORT_BYTES_MAX)),
            decoder,
            decoded: vec![0; CHUNK_BYTES].into(),
            start: 0,
            end: 0,
            ended: false,
            broken: None,
        })
    }

    /// Why the text ended before the report did, if so.
    pub(crate) fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    fn decode(&mut self) {
        let is_at_bound = self.from.get_ref().limit() == 0;
        let raw = match self.from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => {
                self.broken = Some(error);
                &[]
            }
            Ok(raw) => raw,
        };
        let is_last = raw.is_empty();
        if is_last && is_at_bound {
            self.broken = Some(io::Error::other("it is longer than 4 GiB"));
        }
        let (result, read, written, _) = self.decoder.decode_to_utf8(raw, &mut self.decoded, is_last);
        self.from.consume(read);
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
