//! The readers of what is stored, as functions of bytes, for fuzz targets and properties. Each panics if what was read
//! would not be written the same. It is no part of what the ledger offers.

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::RecordKey;

use crate::codec::Stored;
use crate::entry::{Id, frames};
use crate::filter::Filter;
use crate::keys;
use crate::manifest::Manifest;

/// Reads a record.
///
/// # Panics
/// It was read, and would be written otherwise.
pub fn record(bytes: &[u8]) {
    if let Ok(stored) = Stored::decode(bytes) {
        assert_eq!(stored.encode(), bytes);
    }
}

/// Reads a part of the journal or a block of a run, as far as it is sound, and the records in it.
///
/// # Panics
/// The sound part would be written otherwise.
pub fn block(bytes: &[u8]) {
    let mut written = Vec::new();
    for frame in frames(bytes).map_while(Result::ok) {
        frame.write(&mut written);
        record(frame.value);
    }
    assert!(bytes.starts_with(&written));
}

/// Reads a manifest.
///
/// # Panics
/// What would be written would be read otherwise.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        let again = serde_json::from_slice::<Manifest>(&manifest.encode());
        assert_eq!(again.ok(), Some(manifest));
    }
}

/// Reads a filter from pieces of so many bytes, and looks for a name in it.
///
/// # Panics
/// It was read, and would be written otherwise.
pub fn filter(bytes: &[u8], piece: u16, connector: &Connector) {
    let pieces = bytes.chunks(usize::from(piece.max(1))).map(Ok);
    if let Ok(filter) = Filter::of_pieces(pieces) {
        let id = Id::of(connector, RecordKey::Event(Fingerprint::of([bytes])));
        let _perhaps = filter.may_hold(&id);
        assert_eq!(filter.pieces(usize::from(piece)).collect::<Vec<_>>().concat(), bytes);
    }
}

/// Reads the key of a part of the journal.
///
/// # Panics
/// It was read, and would be written otherwise.
pub fn key(bytes: &[u8]) {
    if let Some(number) = keys::journal_number(bytes) {
        assert_eq!(keys::journal(number), bytes);
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::UnixMillis;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::entry::{Entry, Frame, Space};
    use crate::run::Meta;

    fn sre() -> Connector {
        "sre".parse().unwrap()
    }

    prop_compose! {
        fn any_entry()(
            is_alert in any::<bool>(),
            fingerprint in any::<[u8; 16]>(),
            hold in any::<u64>(),
            value in vec(any::<u8>(), 0..80),
        ) -> (Id, Entry) {
            let fingerprint = Fingerprint(fingerprint);
            let key = if is_alert { RecordKey::Alert(fingerprint) } else { RecordKey::Event(fingerprint) };
            (Id::of(&sre(), key), Entry { hold: UnixMillis(hold), value: value.into() })
        }
    }

    prop_compose! {
        fn any_meta()(
            numbers in any::<[u64; 5]>(),
            is_alert in any::<bool>(),
            level in any::<u32>(),
            blocks in any::<u32>(),
        ) -> Meta {
            let [number, age, records, half_ends, ends] = numbers;
            let space = if is_alert { Space::Alert } else { Space::Event };
            Meta { number, space, level, age, records, blocks, half_ends, ends }
        }
    }

    prop_compose! {
        fn any_manifest()(
            journal_from in any::<u64>(),
            next_run in any::<u64>(),
            runs in vec(any_meta(), 0..4),
            doomed in vec(any::<u64>(), 0..4),
        ) -> Manifest {
            Manifest { journal_from, next_run, runs, doomed }
        }
    }

    fn written(entries: &[(Id, Entry)]) -> Vec<u8> {
        let mut out = Vec::new();
        entries.iter().for_each(|(id, entry)| Frame::of(id, entry).write(&mut out));
        out
    }

    /// Some bytes replaced by others: what is nearly right reaches further than what is random.
    fn edited(mut bytes: Vec<u8>, edits: Vec<(Index, usize, Vec<u8>)>) -> Vec<u8> {
        for (at, cut, insert) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, insert);
        }
        bytes
    }

    fn any_edits() -> impl Strategy<Value = Vec<(Index, usize, Vec<u8>)>> {
        vec((any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4)), 1..4)
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_it_was_written(entries in vec(any_entry(), 0..6)) {
            let bytes = written(&entries);
            let read: Vec<_> = frames(&bytes).map(|frame| frame.unwrap()).map(|frame| (frame.id, frame.to_entry())).collect();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn a_block_cut_short_gives_what_is_whole_and_then_the_damage(entries in vec(any_entry(), 1..6), at in any::<Index>()) {
            let bytes = written(&entries);
            let (mut ends, mut end) = (vec![0], 0);
            for entry in &entries {
                end += written(std::slice::from_ref(entry)).len();
                ends.push(end);
            }
            let at = at.index(bytes.len());
            let whole = ends.iter().filter(|end| (1..=at).contains(*end)).count();
            let read: Vec<_> = frames(&bytes[..at]).collect();
            prop_assert_eq!(read.iter().filter(|frame| frame.is_ok()).count(), whole);
            prop_assert_eq!(read.iter().any(Result::is_err), !ends.contains(&at));
        }

        #[test]
        fn a_block_that_is_nearly_right_is_read_or_refused(entries in vec(any_entry(), 0..6), edits in any_edits()) {
            block(&edited(written(&entries), edits));
        }

        #[test]
        fn a_manifest_is_read_as_it_was_written(written in any_manifest()) {
            prop_assert_eq!(serde_json::from_slice::<Manifest>(&written.encode()).unwrap(), written);
        }

        #[test]
        fn a_manifest_that_is_nearly_right_is_read_or_refused(
            written in any_manifest(),
            edits in vec((any::<Index>(), 0..9_usize, r#"([{}\[\]":,]|null|-1|1e999|18446744073709551616|"doomed"|\PC){0,3}"#), 1..4),
        ) {
            let edits = edits.into_iter().map(|(at, cut, text)| (at, cut, text.into_bytes())).collect();
            manifest(&edited(written.encode(), edits));
        }

        #[test]
        fn a_filter_knows_its_names_whatever_pieces_it_was_stored_in(
            entries in vec(any_entry(), 0..60),
            expected in 0..200_u64,
            piece in 0..600_usize,
        ) {
            let mut stored = Filter::for_names(expected);
            entries.iter().for_each(|(id, _)| stored.insert(id));
            let pieces: Vec<_> = stored.pieces(piece).collect();
            let read = Filter::of_pieces(pieces.iter().map(Ok)).unwrap();
            prop_assert!(entries.iter().all(|(id, _)| read.may_hold(id)));
            prop_assert_eq!(read, stored);
        }

        #[test]
        fn any_bytes_are_a_filter_or_refused(bytes in vec(any::<u8>(), 0..300), lines in 0..6_usize, piece in any::<u16>()) {
            filter(&bytes, piece, &sre());
            filter(&vec![0xff; lines * 64], piece / 64 * 64, &sre());
        }

        #[test]
        fn a_key_that_is_nearly_right_is_read_or_is_none(number in any::<u64>(), edits in any_edits()) {
            key(&keys::journal(number));
            key(&edited(keys::journal(number).to_vec(), edits));
        }
    }
}
