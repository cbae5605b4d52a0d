//! From the first format, which had one sled entry for each record, to this one.

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::RecordKey;
use sled::IVec;

use crate::codec::Stored;
use crate::disk::Disk;
use crate::entry::{Entry, Id};
use crate::fault::Fault;
use crate::journal::Journal;
use crate::keys;
use crate::manifest::Manifest;

/// The first format.
pub(crate) const FORMAT: u8 = 1;

/// Where it had the number of records.
const ENTRIES: &[u8] = b"mentries";

/// Where it had the index of what expires when.
const EXPIRY: &[u8] = b"x";

/// How many records move in one step.
const AT_ONCE_MAX: usize = 512;

/// Moves every record to the journal, some at a time, so that a crash leaves each in one place or the other; the new format is
/// written last.
pub(crate) fn migrate(db: &sled::Db, disk: &mut impl Disk, format: u8) -> Result<(), Fault> {
    let (mut journal, _) = Journal::load(db, 0)?;
    for space in [b"a", b"e"] {
        while move_some(db, &mut journal, space)? {}
    }
    while remove_some(db)? {}
    disk.sync(db)?;
    let mut batch = sled::Batch::default();
    batch.insert(keys::MANIFEST, Manifest::default().encode());
    batch.insert(keys::FORMAT, &[format]);
    batch.remove(ENTRIES);
    db.apply_batch(batch)?;
    disk.sync(db)
}

fn move_some(db: &sled::Db, journal: &mut Journal, space: &[u8]) -> Result<bool, Fault> {
    let some: Vec<_> = db.scan_prefix(space).take(AT_ONCE_MAX).collect::<Result<_, _>>()?;
    let entries: Vec<_> = some.iter().filter_map(|(key, value)| entry(key, value)).collect();
    let mut batch = journal.batch(&entries);
    for (key, _) in &some {
        batch.remove(key);
    }
    db.apply_batch(batch)?;
    Ok(!some.is_empty())
}

/// A record by its new name; none if it can't be read, which counts as forgotten.
fn entry(key: &[u8], value: &IVec) -> Option<(Id, Entry)> {
    let (space, rest) = key.split_first()?;
    let (rest, fingerprint) = rest.split_last_chunk()?;
    let name = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
    let connector: Connector = name.parse().ok()?;
    let fingerprint = Fingerprint(*fingerprint);
    let key = if *space == b'a' { RecordKey::Alert(fingerprint) } else { RecordKey::Event(fingerprint) };
    let hold = Stored::decode(value).ok()?.expires;
    Some((Id::of(&connector, key), Entry { hold, value: value.as_ref().into() }))
}

fn remove_some(db: &sled::Db) -> Result<bool, Fault> {
    let some: Vec<_> = db.scan_prefix(EXPIRY).keys().take(AT_ONCE_MAX).collect::<Result<_, _>>()?;
    for key in &some {
        db.remove(key)?;
    }
    Ok(!some.is_empty())
}
