//! Records as the journal and the runs hold them: each behind its name, in frames of one format.

use std::fmt;

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::{KeyKind, RecordKey};
use nightbell_core::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// The kinds of records. They expire at different times, so they are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Space {
    /// By alert key.
    Alert,
    /// By event id.
    Event,
}

impl Space {
    /// The kind of keys that its records have.
    pub(crate) fn kind(self) -> KeyKind {
        match self {
            Self::Alert => KeyKind::Alert,
            Self::Event => KeyKind::Event,
        }
    }

    /// How it is written: part of every stored record's name, so it never changes.
    fn byte(self) -> u8 {
        match self {
            Self::Alert => b'a',
            Self::Event => b'e',
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        [Self::Alert, Self::Event].into_iter().find(|space| space.byte() == byte)
    }
}

/// A record's name. Its hash is spread evenly, so a part of it serves as the place in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) space: Space,
    hash: [u8; 16],
}

impl Id {
    /// The name of a connector's record. The way it is computed never changes.
    pub(crate) fn of(connector: &Connector, key: RecordKey) -> Self {
        let (space, fingerprint) = match key {
            RecordKey::Event(fingerprint) => (Space::Event, fingerprint),
            RecordKey::Alert(fingerprint) => (Space::Alert, fingerprint),
        };
        let hash = Fingerprint::of([connector.as_str().as_bytes(), &fingerprint.0]).0;
        Self { space, hash }
    }

    /// The two halves of the hash.
    pub(crate) fn halves(&self) -> (u64, u64) {
        let both = u128::from_be_bytes(self.hash);
        #[expect(clippy::cast_possible_truncation, reason = "each is half of it")]
        ((both >> 64) as u64, both as u64)
    }

    /// Its place among `parts` equal parts of all hashes. It grows with the hash.
    pub(crate) fn part(&self, parts: u32) -> u32 {
        let scaled = u128::from(self.halves().0) * u128::from(parts);
        u32::try_from(scaled >> 64).expect("a part of u32 parts is a u32")
    }
}

/// The space, and the hash in hexadecimal digits.
impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = match self.space {
            Space::Alert => "alert",
            Space::Event => "event",
        };
        write!(out, "{space} {}", Fingerprint(self.hash))
    }
}

/// What is stored under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Until when the entry must not be dropped: an earlier one of the same name may still be in an older run, and it
    /// would come to life again.
    pub(crate) hold: UnixMillis,
    /// The record, encoded.
    pub(crate) value: Box<[u8]>,
}

/// The bytes of a frame before its value: space, hash, hold, the value's length.
const HEAD_BYTES: usize = 1 + 16 + 8 + 2;

/// A record behind its name, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) id: Id,
    pub(crate) hold: UnixMillis,
    pub(crate) value: &'a [u8],
}

impl<'a> Frame<'a> {
    /// An entry under its name.
    pub(crate) fn of(id: &Id, entry: &'a Entry) -> Self {
        Self { id: *id, hold: entry.hold, value: &entry.value }
    }

    /// Appends it to a block.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.value.len()).expect("a record is far smaller than 64 KiB");
        out.reserve(HEAD_BYTES + self.value.len());
        out.push(self.id.space.byte());
        out.extend(self.id.hash);
        out.extend(self.hold.0.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(self.value);
    }

    /// The first frame of `bytes`, and what follows it; none at the end.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, Fault> {
        if bytes.is_empty() {
            return Ok(None);
        }
        Self::split(bytes).map(Some).ok_or_else(|| Fault::Damaged("a block of records is malformed".into()))
    }

    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (space, rest) = bytes.split_first()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (hold, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let id = Id { space: Space::of_byte(*space)?, hash: *hash };
        Some((Self { id, hold: UnixMillis(u64::from_be_bytes(*hold)), value }, rest))
    }

    /// The frame's entry by itself.
    pub(crate) fn to_entry(self) -> Entry {
        Entry { hold: self.hold, value: self.value.into() }
    }
}

/// All frames of `bytes`.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = Result<Frame<'_>, Fault>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || match Frame::first(rest?) {
        Ok(first) => {
            let (frame, after) = first?;
            rest = Some(after);
            Some(Ok(frame))
        }
        Err(fault) => {
            rest = None;
            Some(Err(fault))
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn id(number: u64) -> Id {
        Id::of(&"sre".parse().unwrap(), RecordKey::Event(Fingerprint::of([number.to_be_bytes().as_slice()])))
    }

    fn entry(hold: u64, value: &[u8]) -> Entry {
        Entry { hold: UnixMillis(hold), value: value.into() }
    }

    #[test]
    fn names_and_frames_never_change() {
        let id = Id::of(&"sre".parse().unwrap(), RecordKey::Alert(Fingerprint([1; 16])));
        let mut out = Vec::new();
        Frame::of(&id, &entry(0x0102, b"value")).write(&mut out);
        let hash = "ee7cb40b8ea88a1d87c6601902c0891a";
        assert_eq!(Fingerprint(id.hash).to_string(), hash);
        assert_eq!((out[0], &out[17..]), (b'a', b"\0\0\0\0\0\0\x01\x02\0\x05value".as_slice()));
    }

    #[test]
    fn connectors_and_spaces_keep_apart() {
        let one = Fingerprint([1; 16]);
        let of = |name: &str, key| Id::of(&name.parse().unwrap(), key);
        let ids = [
            of("a", RecordKey::Event(one)),
            of("a", RecordKey::Alert(one)),
            of("b", RecordKey::Event(one)),
            of("aa", RecordKey::Event(one)),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let written = [(id(1), entry(7, b"")), (id(2), entry(u64::MAX, b"two"))];
        let mut out = Vec::new();
        for (id, entry) in &written {
            Frame::of(id, entry).write(&mut out);
        }
        let read: Vec<_> =
            frames(&out).map(|frame| frame.unwrap()).map(|frame| (frame.id, frame.to_entry())).collect();
        assert_eq!(read, written);
    }

    #[test]
    fn a_block_that_is_cut_is_damage_and_no_block_is_nothing() {
        assert_eq!(frames(b"").count(), 0);
        let mut out = Vec::new();
        Frame::of(&id(1), &entry(1, b"abc")).write(&mut out);
        for end in 1..out.len() {
            assert!(matches!(frames(&out[..end]).next(), Some(Err(Fault::Damaged(_)))), "{end}");
        }
        out[0] = b'?';
        assert_eq!(frames(&out).filter(Result::is_err).count(), 1);
    }

    #[test]
    fn parts_are_in_the_order_of_names() {
        let mut ids: Vec<_> = (0..1_000).map(id).collect();
        ids.sort_unstable();
        for parts in [1, 7, u32::MAX] {
            let places: Vec<_> = ids.iter().map(|id| id.part(parts)).collect();
            assert!(places.is_sorted() && places.iter().all(|part| *part < parts));
        }
        let halves = ids.iter().filter(|id| id.part(2) == 0).count();
        assert!((400..600).contains(&halves), "{halves} of 1000 in the first half");
    }
}
