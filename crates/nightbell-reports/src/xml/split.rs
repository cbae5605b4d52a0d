//! The bytes of a report, parted into tags and texts: their lines counted, their lengths bounded.

use std::io::Read as _;

use memchr::{memchr, memchr_iter, memchr2};

use super::attributes::closes;
use crate::case::TEXT_BYTES_MAX;
use crate::decode::Decoded;

/// How much of one attribute's value is kept, in bytes.
const VALUE_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// How much of one tag is kept, in bytes.
const TAG_BYTES_MAX: usize = 1024 * 1024;

/// How far ahead is looked to tell markup from text, in bytes.
const AHEAD_BYTES: usize = 64;

const WINDOW_BYTES: usize = 64 * 1024;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Text,
    /// A tag that begins an element, and ends it too if it `is_empty`.
    Tag {
        is_empty: bool,
    },
    /// A tag that ends an element; the item is its name.
    End,
    Eof,
}

/// A report, piece by piece.
pub(super) struct Split {
    from: Decoded,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    line: u64,
    item_line: u64,
    /// The current piece.
    item: String,
    raw: Vec<u8>,
    /// The item is CDATA, in which `&` is a character like others.
    is_literal: bool,
    /// By which elements a broken tag is known to be over.
    structure: &'static [&'static str],
    problem: Option<&'static str>,
}

impl Split {
    pub(super) fn new(from: Decoded, structure: &'static [&'static str]) -> Self {
        Self {
            from,
            window: vec![0; WINDOW_BYTES].into(),
            start: 0,
            end: 0,
            line: 1,
            item_line: 1,
            item: String::new(),
            raw: Vec::new(),
            is_literal: false,
            structure,
            problem: None,
        }
    }

    /// The line in which the current item began, from 1.
    pub(super) fn item_line(&self) -> u64 {
        self.item_line
    }

    pub(super) fn item(&self) -> &str {
        &self.item
    }

    pub(super) fn is_literal(&self) -> bool {
        self.is_literal
    }

    /// What is wrong with the current item.
    pub(super) fn take_problem(&mut self) -> Option<&'static str> {
        self.problem.take()
    }

    /// Why it could not be read to its end, if so.
    pub(super) fn broken(&self) -> Option<String> {
        self.from.broken().map(ToString::to_string)
    }

    /// Reads the next piece. Comments, instructions and document types are none.
    pub(super) fn next(&mut self) -> Piece {
        loop {
            self.raw.clear();
            self.is_literal = false;
            self.item_line = self.line;
            let piece = match self.ahead(AHEAD_BYTES) {
                [] => Some(Piece::Eof),
                [b'<', rest @ ..] => match rest {
                    [b'!', b'-', b'-', ..] => self.skip_fenced(4, b"-->"),
                    [b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] => Some(self.cdata()),
                    [b'!', b'A'..=b'Z' | b'a'..=b'z', ..] => self.skip_document_type(),
                    [b'?', ..] => self.skip_fenced(2, b"?>"),
                    [b'/' | b'_' | b':' | b'A'..=b'Z' | b'a'..=b'z' | 0x80.., ..] => self.tag(),
                    _ => Some(self.text()),
                },
                _ => Some(self.text()),
            };
            if let Some(piece) = piece {
                self.settle();
                return piece;
            }
        }
    }

    /// Makes the item of the bytes that were kept, in which a cut may have left half a character.
    fn settle(&mut self) {
        self.item.clear();
        self.item.push_str(&String::from_utf8_lossy(&self.raw));
    }

    /// What can be seen of the next bytes: as many as are wanted, unless fewer are left.
    fn ahead(&mut self, wanted: usize) -> &[u8] {
        while self.end - self.start < wanted {
            if self.start > 0 {
                self.window.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            // A reading that fails ends the text, and is remembered by what reads.
            match self.from.read(&mut self.window[self.end..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => self.end += count,
            }
        }
        &self.window[self.start..self.end]
    }

    /// Takes so many of the next bytes, and keeps them while fewer than `bytes_max` are kept.
    fn take(&mut self, count: usize, bytes_max: usize) {
        let taken = &self.window[self.start..self.start + count];
        self.line += memchr_iter(b'\n', taken).count() as u64;
        let room = bytes_max.saturating_sub(self.raw.len()).min(count);
        self.raw.extend_from_slice(&taken[..room]);
        self.start += count;
    }

    fn text(&mut self) -> Piece {
        // The first byte is text even if it is a `<`, which then begins no markup.
        let mut from = 1;
        if self.ahead(1).first() == Some(&b'<') {
            self.problem = Some("a `<` that begins no tag");
        }
        loop {
            let ahead = self.ahead(1);
            if ahead.is_empty() {
                return Piece::Text;
            }
            let found = memchr(b'<', &ahead[from.min(ahead.len())..]).map(|at| at + from);
            let count = found.unwrap_or(ahead.len());
            self.take(count, TEXT_BYTES_MAX);
            from = 0;
            if found.is_some() {
                return Piece::Text;
            }
        }
    }

    fn cdata(&mut self) -> Piece {
        self.take(b"<![CDATA[".len(), 0);
        self.is_literal = true;
        if !self.take_until(b"]]>", TEXT_BYTES_MAX) {
            self.problem = Some("CDATA not closed: `]]>` not found");
        }
        Piece::Text
    }

    fn skip_fenced(&mut self, begin: usize, fence: &[u8]) -> Option<Piece> {
        self.take(begin, 0);
        if !self.take_until(fence, 0) {
            self.problem = Some("a comment or an instruction is not closed");
        }
        None
    }

    /// Takes what comes before the fence, and the fence; says whether there is one.
    fn take_until(&mut self, fence: &[u8], bytes_max: usize) -> bool {
        loop {
            let ahead = self.ahead(fence.len());
            if ahead.len() < fence.len() {
                let count = ahead.len();
                self.take(count, bytes_max);
                return false;
            }
            match memchr::memmem::find(ahead, fence) {
                Some(at) => {
                    self.take(at, bytes_max);
                    self.take(fence.len(), 0);
                    return true;
                }
                None => {
                    let count = ahead.len() - fence.len() + 1;
                    self.take(count, bytes_max);
                }
            }
        }
    }

    fn skip_document_type(&mut self) -> Option<Piece> {
        let (mut depth, mut quote) = (0_u32, None);
        loop {
            let Some(byte) = self.ahead(1).first().copied() else {
                self.problem = Some("a document type is not closed");
                return None;
            };
            self.take(1, 0);
            match (quote, byte) {
                (Some(open), byte) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'[') => depth += 1,
                (None, b']') => depth = depth.saturating_sub(1),
                (None, b'>') if depth == 0 => return None,
                (None, _) => {}
            }
        }
    }

    fn tag(&mut self) -> Option<Piece> {
        self.take(1, 0);
        let is_end = self.ahead(1).first() == Some(&b'/');
        if is_end {
            self.take(1, 0);
        }
        if !self.take_tag() {
            // Of a broken tag only what is in an element is worth keeping: it may be a failure.
            return self.broken_tag(is_end);
        }
        if is_end {
            return Some(Piece::End);
        }
        let is_empty = self.raw.trim_ascii_end().last() == Some(&b'/');
        if is_empty && self.raw.last() != Some(&b'/') {
            self.problem = Some("`/` and `>` are apart");
        }
        Some(Piece::Tag { is_empty })
    }

    fn broken_tag(&mut self, is_end: bool) -> Option<Piece> {
        let name = self.raw.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        let is_structure = self.structure.iter().any(|known| known.as_bytes() == name);
        let is_whole_name = name.len() < self.raw.len();
        (!is_end && !is_structure && is_whole_name).then_some(Piece::Tag { is_empty: true })
    }

    /// Takes a tag to its end; false: it has none before the next markup or the end of all.
    fn take_tag(&mut self) -> bool {
        let (mut quote, mut room, mut last) = (None, VALUE_BYTES_MAX, 0);
        let structure = self.structure;
        loop {
            let ahead = self.ahead(AHEAD_BYTES);
            let Some(byte) = ahead.first().copied() else {
                self.problem = Some("a tag is not closed: `>` not found");
                return false;
            };
            let plain = plain_bytes(ahead, quote);
            if plain > 0 {
                let word = ahead[..plain].iter().rev().find(|byte| !byte.is_ascii_whitespace());
                last = word.copied().unwrap_or(last);
                let kept = if quote.is_some() { self.raw.len() + room } else { TAG_BYTES_MAX };
                room = room.saturating_sub(plain);
                self.take(plain, kept.min(TAG_BYTES_MAX));
                continue;
            }
            match (quote, byte) {
                (None, b'>') => {
                    self.take(1, 0);
                    return true;
                }
                (None, b'"' | b'\'') if last == b'=' => (quote, room) = (Some(byte), VALUE_BYTES_MAX),
                (Some(open), _) if byte == open && closes(&ahead[1..]) => {
                    quote = None;
                    if ahead.get(1).is_some_and(u8::is_ascii_alphanumeric) {
                        self.problem = Some("two attributes are not apart");
                    }
                }
                (Some(open), _) if byte == open => {
                    self.problem = Some("a quote within a value is not escaped");
                }
                (_, b'<') if is_markup(ahead, quote.is_some(), structure) => {
                    self.problem = Some("a tag is not closed before the next one");
                    return false;
                }
                (Some(_), b'<') => self.problem = Some("a `<` within a value is not escaped"),
                (None | Some(_), _) => {}
            }
            last = byte;
            self.take(1, TAG_BYTES_MAX);
        }
    }
}

/// How many of these bytes of a tag neither end it nor begin or end a value.
fn plain_bytes(ahead: &[u8], quote: Option<u8>) -> usize {
    let found = match quote {
        Some(quote) => memchr2(quote, b'<', ahead),
        None => ahead.iter().position(|byte| matches!(byte, b'>' | b'"' | b'\'' | b'<')),
    };
    found.unwrap_or(ahead.len())
}

/// Whether a `<` inside a tag begins another one. Within a value it is believed of a format's own structure only.
fn is_markup(ahead: &[u8], is_in_value: bool, structure: &[&str]) -> bool {
    let rest = &ahead[1..];
    let name = rest.strip_prefix(b"/").unwrap_or(rest);
    let end =
        name.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(name.len());
    let is_structure = structure.iter().any(|known| known.as_bytes() == &name[..end])
        && name.get(end).is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'));
    is_structure
        || (!is_in_value && matches!(rest.first(), Some(b'/' | b'!' | b'?' | b'A'..=b'Z' | b'a'..=b'z')))
}
