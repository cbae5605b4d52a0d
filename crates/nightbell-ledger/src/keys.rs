//! The keys of the one tree.

use std::ops::RangeInclusive;

/// Where the store's format is written, as one byte.
pub(crate) const FORMAT: &[u8] = b"mformat";

/// Where it is written what the store consists of.
pub(crate) const MANIFEST: &[u8] = b"mmanifest";

const JOURNAL: u8 = b'j';
const BLOCK: u8 = b'b';
const FILTER: u8 = b'f';

/// The key of a part of the journal.
pub(crate) fn journal(number: u64) -> [u8; 9] {
    with_number(JOURNAL, number)
}

/// The keys of these parts of the journal.
pub(crate) fn journals(numbers: RangeInclusive<u64>) -> RangeInclusive<[u8; 9]> {
    journal(*numbers.start())..=journal(*numbers.end())
}

/// The number of a part of the journal; none if its key is malformed.
pub(crate) fn journal_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(&[JOURNAL])?;
    number.try_into().ok().map(u64::from_be_bytes)
}

/// The key of a run's block.
pub(crate) fn block(run: u64, block: u32) -> [u8; 13] {
    with_part(BLOCK, run, block)
}

/// The keys of all blocks of a run.
pub(crate) fn blocks(run: u64) -> RangeInclusive<[u8; 13]> {
    block(run, 0)..=block(run, u32::MAX)
}

/// The key of a piece of a run's filter.
pub(crate) fn filter(run: u64, piece: u32) -> [u8; 13] {
    with_part(FILTER, run, piece)
}

/// The keys of all pieces of a run's filter.
pub(crate) fn filters(run: u64) -> RangeInclusive<[u8; 13]> {
    filter(run, 0)..=filter(run, u32::MAX)
}

fn with_number(kind: u8, number: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn with_part(kind: u8, run: u64, part: u32) -> [u8; 13] {
    let mut key = [kind; 13];
    key[1..9].copy_from_slice(&run.to_be_bytes());
    key[9..].copy_from_slice(&part.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_never_change() {
        assert_eq!(&journal(0x0102), b"j\0\0\0\0\0\0\x01\x02");
        assert_eq!(&block(1, 2), b"b\0\0\0\0\0\0\0\x01\0\0\0\x02");
        assert_eq!(&filter(1, 2), b"f\0\0\0\0\0\0\0\x01\0\0\0\x02");
    }

    #[test]
    fn a_journals_number_is_read_from_its_key() {
        assert_eq!(journal_number(&journal(7)), Some(7));
        assert_eq!(journal_number(b"j1234567"), None);
        assert_eq!(journal_number(&block(1, 2)), None);
    }

    #[test]
    fn a_run_has_its_own_keys_only() {
        assert!(blocks(7).contains(&block(7, u32::MAX)) && blocks(7).contains(&block(7, 0)));
        assert!(!blocks(7).contains(&block(8, 0)) && !blocks(7).contains(&block(6, u32::MAX)));
        assert!(filters(7).contains(&filter(7, 3)) && !filters(7).contains(&block(7, 3)));
        assert!(journals(2..=3).contains(&journal(3)) && !journals(2..=3).contains(&journal(4)));
    }
}
