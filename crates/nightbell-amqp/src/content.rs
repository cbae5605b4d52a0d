//! What a publisher may put around a message, made fit for lapin, which reads it on threads of its own.
//!
//! RabbitMQ passes on short strings that are not UTF-8, over which lapin ends the connection, and tables nested so deep
//! that reading them, and dropping them, overflows any thread's stack. Neither may reach it. Nothing here recurses.

use std::borrow::Cow;
use std::cmp::Reverse;

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::journey;

use crate::limits::{BODY_BYTES_MAX, HEADERS_MAX, NESTING_MAX, SHORT_BYTES_MAX, X_DEATH_BYTES_MAX};
use crate::message::{FLAW, LEFT_OUT, MESSAGE_ID, PUBLISHED_AT, ROUTING_KEY, is_brokers_own};

/// The broker's record of the times it dead-lettered a message: the one header with an inner table that is read.
pub(crate) const X_DEATH: &str = "x-death";

/// The bytes that all properties but the headers take at most.
pub(crate) const OTHERS_BYTES_MAX: usize = 4 * 1024;

/// The class of messages.
const BASIC: u16 = 60;
const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;

const CONTENT_TYPE: u16 = 1 << 15;
const HEADERS: u16 = 1 << 13;
const CLUSTER_ID: u16 = 1 << 2;

/// The form of a property of a message, in the order of their flags.
#[derive(Clone, Copy)]
enum Form {
    Short,
    Table,
    Bytes(usize),
}

const PROPERTIES: [Form; 14] = [
    Form::Short,    // content type
    Form::Short,    // content encoding
    Form::Table,    // headers
    Form::Bytes(1), // delivery mode
    Form::Bytes(1), // priority
    Form::Short,    // correlation id
    Form::Short,    // reply to
    Form::Short,    // expiration
    Form::Short,    // message id
    Form::Bytes(8), // timestamp
    Form::Short,    // type
    Form::Short,    // user id
    Form::Short,    // app id
    Form::Short,    // cluster id
];

/// How long a body is that is not read, by the payload of its content header; none: it is read.
pub(crate) fn unread_body(payload: &[u8]) -> Option<u64> {
    let size = payload.get(4..12)?.try_into().map(u64::from_be_bytes).ok()?;
    (size > BODY_BYTES_MAX).then_some(size)
}

/// The payload of a content header, with every text UTF-8, no inner table but [`X_DEATH`], and headers within
/// [`HEADERS_MAX`] and `room` bytes.
pub(crate) fn header(payload: &[u8], room: usize) -> Vec<u8> {
    let Some((fixed, properties)) = payload.split_at_checked(12) else { return payload.to_vec() };
    let mut reader = Reader(properties);
    let unread = unread_body(payload);
    let fixed = if unread.is_some() { [&fixed[..4], &[0; 8]].concat() } else { fixed.to_vec() };
    let flaw =
        unread.map(|size| format!("its body has {size} bytes; the most that is read is {BODY_BYTES_MAX}"));
    let mut properties = read_properties(&mut reader, room, flaw.as_deref()).unwrap_or_else(|| {
        let mut table = Table::default();
        table.text(FLAW, "its properties can't be read");
        vec![(HEADERS, table.finished())]
    });
    if flaw.is_some() && !properties.iter().any(|(flag, _)| *flag == HEADERS) {
        properties.push((HEADERS, headers(b"", room, flaw.as_deref())));
        properties.sort_unstable_by_key(|(flag, _)| Reverse(*flag));
    }
    let flags = properties.iter().fold(0_u16, |flags, (flag, _)| flags | flag);
    let mut whole = [&fixed[..], &flags.to_be_bytes()].concat();
    properties.iter().for_each(|(_, bytes)| whole.extend_from_slice(bytes));
    whole
}

/// Each property's flag and its bytes; none if they are not what AMQP allows, which RabbitMQ lets nobody publish.
fn read_properties(reader: &mut Reader<'_>, room: usize, flaw: Option<&str>) -> Option<Vec<(u16, Vec<u8>)>> {
    let flags = reader.u16()?;
    if flags & (CLUSTER_ID - 1) != 0 {
        return None;
    }
    let mut properties = Vec::new();
    for (number, form) in PROPERTIES.into_iter().enumerate() {
        let flag = CONTENT_TYPE >> number;
        if flags & flag == 0 {
            continue;
        }
        let bytes = match form {
            Form::Short => short(&legible(reader.short()?)),
            Form::Bytes(count) => reader.take(count)?.to_vec(),
            Form::Table => headers(reader.long()?, room, flaw),
        };
        properties.push((flag, bytes));
    }
    reader.0.is_empty().then_some(properties)
}

/// A headers table: the broker's and our own headers first, then the publisher's in their order, as far as there is room.
fn headers(table: &[u8], room: usize, flaw: Option<&str>) -> Vec<u8> {
    let mut sifted = Sifted { room, flaw: flaw.map(str::to_owned), ..Sifted::default() };
    let entries = entries(table).unwrap_or_else(|| {
        sifted.flaw = Some("its headers can't be read".to_owned());
        Vec::new()
    });
    let (first, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| is_first(&entry.name));
    first.iter().for_each(|entry| sifted.take(entry, FIRST_MAX));
    // Besides ours, so that those that are published again with ours added are all read again.
    let most = sifted.table.count + HEADERS_MAX;
    others.iter().for_each(|entry| sifted.take(entry, most));
    let Sifted { mut table, left_out, flaw, .. } = sifted;
    if left_out > 0 {
        table.add(LEFT_OUT, &[b"l".as_slice(), &left_out.to_be_bytes()].concat());
    }
    if let Some(flaw) = flaw {
        table.text(FLAW, &flaw);
    }
    table.finished()
}

/// What is taken of a table.
#[derive(Default)]
struct Sifted {
    table: Table,
    room: usize,
    left_out: i64,
    flaw: Option<String>,
}

impl Sifted {
    fn take(&mut self, Entry { name, value }: &Entry<'_>, most: usize) {
        let is_unread = is_brokers_own(name) && name != X_DEATH;
        if is_unread || [FLAW, LEFT_OUT].contains(&&**name) {
            return;
        }
        if matches!(value[0], b'A' | b'F') {
            match nesting(value) {
                Nesting::TooDeep => {
                    let name = journey::cut(name, 64);
                    self.flaw =
                        Some(format!("its header `{name}` is nested deeper than {NESTING_MAX} levels"));
                    return;
                }
                Nesting::Sound if name == X_DEATH && value.len() <= X_DEATH_BYTES_MAX => {}
                // No other header with an inner table is ever read.
                Nesting::Sound | Nesting::Odd => return,
            }
        }
        let size = self.table.bytes.len() + 1 + name.len() + value.len();
        if self.table.count < most && size <= self.room {
            self.table.add(name, value);
        } else {
            self.left_out += 1;
        }
    }
}

/// The headers that come before all others, and how many of them are read if names come again.
const FIRST: [&str; 6] = [X_DEATH, "traceparent", "tracestate", MESSAGE_ID, PUBLISHED_AT, ROUTING_KEY];
const FIRST_MAX: usize = 32;

fn is_first(name: &str) -> bool {
    FIRST.contains(&name) || journey::ALL.contains(&name)
}

/// One header: its value with the byte that says its type.
struct Entry<'a> {
    name: Cow<'a, str>,
    value: &'a [u8],
}

/// The entries of a table, none of them looked into; none if they are not what AMQP allows.
fn entries(table: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut reader = Reader(table);
    let mut entries = Vec::new();
    while !reader.0.is_empty() {
        let name = legible(reader.short()?);
        let before = reader.0;
        reader.value()?;
        entries.push(Entry { name, value: &before[..before.len() - reader.0.len()] });
    }
    Some(entries)
}

enum Nesting {
    Sound,
    TooDeep,
    /// A name in it is not UTF-8, or it is not what AMQP allows.
    Odd,
}

/// Looks through a table or an array with its type byte.
fn nesting(value: &[u8]) -> Nesting {
    let mut found = Nesting::Sound;
    let mut open = vec![(false, Reader(value))];
    while let Some((is_table, reader)) = open.last_mut() {
        if reader.0.is_empty() {
            open.pop();
            continue;
        }
        if *is_table && reader.short().is_none_or(|name| std::str::from_utf8(name).is_err()) {
            found = Nesting::Odd;
        }
        let kind = reader.0.first().copied();
        let Some(inner) = reader.value() else { return Nesting::Odd };
        match kind {
            Some(b'F') => open.push((true, Reader(inner))),
            Some(b'A') => open.push((false, Reader(inner))),
            Some(_) | None => {}
        }
        if open.len() > NESTING_MAX + 1 {
            return Nesting::TooDeep;
        }
    }
    found
}

/// The payload of a method, with the texts that come from a publisher made UTF-8; none: it may pass as it is.
pub(crate) fn method(payload: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(payload);
    if reader.u16()? != BASIC {
        return None;
    }
    // Between them are bytes that are no text: a delivery tag and a flag.
    let texts_and_gaps: [usize; 3] = match reader.u16()? {
        DELIVER => [4, 9, 0],
        GET_OK => [4 + 9, 0, usize::MAX],
        RETURN => [4 + 2, 0, 0],
        _ => return None,
    };
    let mut reader = Reader(payload);
    let (mut whole, mut is_changed) = (Vec::with_capacity(payload.len()), false);
    for gap in texts_and_gaps.into_iter().filter(|gap| *gap != usize::MAX) {
        whole.extend_from_slice(reader.take(gap)?);
        let bytes = reader.short()?;
        let text = legible(bytes);
        is_changed |= text.as_bytes() != bytes;
        whole.extend(short(&text));
    }
    whole.extend_from_slice(reader.0);
    is_changed.then_some(whole)
}

/// The most bytes of a frame that the broker proposes, if this is where it does so.
pub(crate) fn frame_max(payload: &[u8]) -> Option<u32> {
    let mut reader = Reader(payload);
    let is_tune = (reader.u16()?, reader.u16()?) == (10, 30);
    reader.u16()?;
    reader.u32().filter(|most| is_tune && *most > 0)
}

/// A short string as text. What is not UTF-8 is read as Latin-1, so that two that differ stay apart; where that makes it
/// too long, by a name made of its bytes.
fn legible(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let text: String = bytes.iter().copied().map(char::from).collect();
    if text.len() <= SHORT_BYTES_MAX {
        return Cow::Owned(text);
    }
    let name = Fingerprint::of([bytes]).to_string();
    let end = text.floor_char_boundary(SHORT_BYTES_MAX - 1 - name.len());
    Cow::Owned(format!("{}~{name}", &text[..end]))
}

fn short(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[length], &text.as_bytes()[..usize::from(length)]].concat()
}

/// A table that is being written.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    count: usize,
}

impl Table {
    fn add(&mut self, name: &str, value: &[u8]) {
        self.bytes.extend(short(name));
        self.bytes.extend_from_slice(value);
        self.count += 1;
    }

    fn text(&mut self, name: &str, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.add(name, &[b"S", &length[..], text.as_bytes()].concat());
    }

    fn finished(self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&length[..], &self.bytes].concat()
    }
}

/// Bytes that are read from their start.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A value after its type, without the length that goes before it; of the types that RabbitMQ and lapin know.
    fn value(&mut self) -> Option<&'a [u8]> {
        let length = match self.u8()? {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'S' | b'x' | b'A' | b'F' => return self.long(),
            _ => return None,
        };
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
