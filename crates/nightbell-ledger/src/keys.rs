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

/// The key that says when a record expires.
pub(crate) fn expiry(expires: UnixMillis, record: &[u8]) -> Vec<u8> {
    [&[EXPIRY], expires.0.to_be_bytes().as_slice(), record].concat()
}

/// The keys of all records that have expired at `now`, those that expired first in front.
pub(crate) fn expired(now: UnixMillis) -> Range<Vec<u8>> {
    let end = match now.0.checked_add(1) {
        Some(next) => expiry(UnixMillis(next), &[]),
        None => vec![EXPIRY + 1],
    };
    vec![EXPIRY]..end
}

/// Takes a key of the expiry index apart, into the time and the record's key; none if it is malformed.
pub(crate) fn read_expiry(key: &[u8]) -> Option<(UnixMillis, &[u8])> {
    let (time, record) = key.strip_prefix(&[EXPIRY])?.split_first_chunk()?;
    Some((UnixMillis(u64::from_be_bytes(*time)), record))
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
        assert_eq!(expiry(UnixMillis(0x0102), b"k"), b"x\0\0\0\0\0\0\x01\x02k");
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
        assert_eq!(range.contains(&expiry(UnixMillis(expires), b"e\0")), want, "{expires} at {now}");
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
        assert_eq!(
            read_expiry(&expiry(UnixMillis(7), b"record")),
            Some((UnixMillis(7), b"record".as_slice()))
        );
        assert_eq!(read_expiry(b"x1234567"), None);
        assert_eq!(read_expiry(b"e12345678"), None);
    }
}
