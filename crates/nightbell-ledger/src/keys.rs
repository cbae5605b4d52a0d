//! The keys of the one tree.

use std::ops::Range;

use nightbell_core::connector::Connector;
use nightbell_core::record::RecordKey;
use nightbell_core::time::UnixMillis;

/// Where the store's format is written, as one byte.
pub(crate) const FORMAT: &[u8] = b"mformat";

/// Where the number of records is written, as 8 bytes, big-endian.
pub(crate) const ENTRIES: &[u8] = b"mentries";

const EVENT: u8 = b'e';
const ALERT: u8 = b'a';
const EXPIRY: u8 = b'x';

/// The key of a record. A connector's name has no zero byte, so no two keys run together.
pub(crate) fn record(connector: &Connector, key: RecordKey) -> Vec<u8> {
    let (space, fingerprint) = match key {
        RecordKey::Event(fingerprint) => (EVENT, fingerprint),
        RecordKey::Alert(fingerprint) => (ALERT, fingerprint),
    };
    let name = connector.as_str().as_bytes();
    [&[space], name, &[0], fingerprint.0.as_slice()].concat()
}

/// How finely the expiry index tells times apart. Records that expire within one step of a group share an entry.
const EXPIRY_STEP_MS: u64 = 1_000;

/// The end of the step in which a record expires: the time from which the index may name it.
pub(crate) fn expiry_step(expires: UnixMillis) -> UnixMillis {
    UnixMillis(expires.0.checked_next_multiple_of(EXPIRY_STEP_MS).unwrap_or(u64::MAX))
}

/// The key of an entry of the expiry index; `id` keeps entries of one step apart.
pub(crate) fn expiry(step: UnixMillis, id: u64) -> Vec<u8> {
    [&[EXPIRY], step.0.to_be_bytes().as_slice(), &id.to_be_bytes()].concat()
}

/// The keys of all entries that name what has expired at `now`, what expired first in front.
pub(crate) fn expired(now: UnixMillis) -> Range<Vec<u8>> {
    let end = match now.0.checked_add(1) {
        Some(next) => expiry(UnixMillis(next), 0),
        None => vec![EXPIRY + 1],
    };
    vec![EXPIRY]..end
}

/// The step of an entry of the expiry index; none if its key is malformed.
pub(crate) fn read_expiry(key: &[u8]) -> Option<UnixMillis> {
    let (step, id) = key.strip_prefix(&[EXPIRY])?.split_first_chunk()?;
    (id.len() == 8).then(|| UnixMillis(u64::from_be_bytes(*step)))
}

/// The value of an entry of the expiry index: records' keys, each behind its length.
pub(crate) fn list(keys: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for key in keys {
        list.push(u8::try_from(key.len()).expect("a record's key has 50 bytes at the most"));
        list.extend(key);
    }
    list
}

/// The keys in a list, as far as it is whole.
pub(crate) fn listed(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first()?;
        let (key, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(key)
    })
}

#[cfg(test)]
mod tests {
    use nightbell_core::fingerprint::Fingerprint;

    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 16]);

    fn name(name: &str) -> Connector {
        name.parse().unwrap()
    }

    #[test]
    fn the_keys_never_change() {
        let key = record(&name("sre"), RecordKey::Event(ONE));
        assert_eq!(key, b"esre\0\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
        assert_eq!(expiry(UnixMillis(0x0102), 3), b"x\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03");
        assert_eq!(list(&[b"ab".to_vec(), b"c".to_vec()]), b"\x02ab\x01c");
    }

    #[test]
    fn connectors_and_kinds_keep_apart() {
        let keys = [
            record(&name("a"), RecordKey::Event(ONE)),
            record(&name("a"), RecordKey::Alert(ONE)),
            record(&name("b"), RecordKey::Event(ONE)),
            record(&name("aa"), RecordKey::Event(ONE)),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(key));
        }
    }

    #[track_caller]
    fn check_expired(expires: u64, now: u64, want: bool) {
        let range = expired(UnixMillis(now));
        assert_eq!(range.contains(&expiry(UnixMillis(expires), 7)), want, "{expires} at {now}");
    }

    #[test]
    fn what_has_expired_is_in_the_range_and_nothing_else() {
        check_expired(9, 10, true);
        check_expired(10, 10, true);
        check_expired(11, 10, false);
        check_expired(256, 255, false);
        check_expired(u64::MAX, u64::MAX - 1, false);
        check_expired(u64::MAX, u64::MAX, true);
    }

    #[test]
    fn an_expiry_key_is_taken_apart() {
        assert_eq!(read_expiry(&expiry(UnixMillis(7), 9)), Some(UnixMillis(7)));
        assert_eq!(read_expiry(b"x1234567"), None);
        assert_eq!(read_expiry(b"e1234567890123456"), None);
    }

    #[test]
    fn a_step_ends_with_a_whole_second() {
        assert_eq!([0, 1, 1_000, 1_001].map(|ms| expiry_step(UnixMillis(ms)).0), [0, 1_000, 1_000, 2_000]);
        assert_eq!(expiry_step(UnixMillis(u64::MAX)), UnixMillis(u64::MAX));
    }

    #[test]
    fn a_list_is_read_as_far_as_it_is_whole() {
        let keys = [b"ab".to_vec(), b"c".to_vec()];
        assert_eq!(listed(&list(&keys)).collect::<Vec<_>>(), keys);
        assert_eq!(listed(b"\x02ab\x09c").collect::<Vec<_>>(), [b"ab"]);
        assert_eq!(listed(b"").count(), 0);
    }
}
