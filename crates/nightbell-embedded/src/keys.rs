//! The tables and their keys.

use nightbell_core::connector::Connector;
use redb::TableDefinition;

/// What waits: connector, `0x00`, place (8 bytes, big-endian); no connector for the dead letters. The value is an
/// [`crate::codec::Entry`]. It is small, so that all of it can be read when the queue is opened.
pub(crate) const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

/// The messages by number. One that several connectors get is stored once.
pub(crate) const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");

/// Facts about the file: [`FORMAT`], and for each connector whether its queue is [`in_use`].
pub(crate) const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// The format of the tables.
pub(crate) const FORMAT: &str = "format";

/// How the names of the facts begin that say which queues are consumed.
const IN_USE: &str = "in_use ";

/// The fact that a connector's queue is consumed: set from its first delivery until the file is closed, to the
/// prefetch, which is how many messages may be in hand. Still there at the next start, it says that the last one did
/// not end well.
pub(crate) fn in_use(connector: &Connector) -> String {
    format!("{IN_USE}{connector}")
}

/// The connector whose queue is consumed, by the name of the fact.
pub(crate) fn read_in_use(fact: &str) -> Option<Connector> {
    fact.strip_prefix(IN_USE)?.parse().ok()
}

/// Parts a connector's name, which never has it, from the place.
const END: u8 = 0;

/// The key of a place.
pub(crate) fn key(connector: Option<&Connector>, place: u64) -> Vec<u8> {
    let mut key = connector.map(|name| name.as_str().as_bytes().to_owned()).unwrap_or_default();
    key.push(END);
    key.extend(place.to_be_bytes());
    key
}

/// The place that a key names.
pub(crate) fn read(key: &[u8]) -> Option<(Option<Connector>, u64)> {
    let (name, place) = key.split_last_chunk()?;
    let name = name.strip_suffix(&[END])?;
    let name = if name.is_empty() { None } else { Some(str::from_utf8(name).ok()?.parse().ok()?) };
    Some((name, u64::from_be_bytes(*place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_sorts_by_place() {
        let sre: Connector = "sre".parse().unwrap();
        for connector in [None, Some(&sre)] {
            for place in [0, 1, 255, 256, u64::MAX] {
                assert_eq!(read(&key(connector, place)), Some((connector.cloned(), place)));
            }
            assert!(key(connector, 255) < key(connector, 256));
        }
        assert_eq!(key(Some(&sre), 258), *b"sre\0\0\0\0\0\0\0\x01\x02");
    }

    #[test]
    fn the_fact_of_a_queue_in_use_names_its_connector() {
        let sre: Connector = "sre".parse().unwrap();
        assert_eq!(read_in_use(&in_use(&sre)), Some(sre));
        assert_eq!(read_in_use(FORMAT), None);
    }

    #[test]
    fn other_bytes_are_no_key() {
        for bytes in [
            &b""[..],
            b"sre",
            b"sre\x01\0\0\0\0\0\0\0\x01",
            b"SRE\0\0\0\0\0\0\0\0\x01",
            b"\0\0\0\0\0\0\0\x01",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
