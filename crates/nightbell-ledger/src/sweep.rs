//! Forgetting what has expired, by the expiry index alone.

use std::collections::HashSet;

use nightbell_core::time::UnixMillis;

use crate::keys;
use crate::shared::Shared;

/// The number of records at which a sweep stops, so that commits don't wait long behind it; the last entry of the index
/// may exceed it.
pub(crate) const SWEEP_RECORDS_MAX: usize = 512;

/// What a sweep found.
pub(crate) struct Swept {
    /// What is to be removed.
    pub(crate) batch: sled::Batch,
    /// The number of entries of the index that were dealt with.
    pub(crate) entries: usize,
    /// The number of records that those name.
    pub(crate) named: usize,
    /// The number of records that are removed.
    pub(crate) records: u64,
}

impl Swept {
    /// Whether it stopped before the end.
    pub(crate) fn is_full(&self) -> bool {
        self.named >= SWEEP_RECORDS_MAX
    }
}

/// Walks the index from its front up to `now`. Records go with the entry that names them; a name that is stale, because
/// its record lives longer or was removed, is passed over.
pub(crate) fn sweep(db: &sled::Db, shared: &Shared, now: UnixMillis) -> Result<Swept, sled::Error> {
    let mut swept = Swept { batch: sled::Batch::default(), entries: 0, named: 0, records: 0 };
    let mut removed = HashSet::new();
    for found in db.range(keys::expired(now)) {
        let (entry, list) = found?;
        swept.entries += 1;
        let step = keys::read_expiry(&entry).unwrap_or_default();
        for key in keys::listed(&list) {
            swept.named += 1;
            if is_due(db, shared, step, key)? && removed.insert(key.to_vec()) {
                swept.batch.remove(key);
                swept.records += 1;
            }
        }
        swept.batch.remove(entry);
        if swept.is_full() {
            break;
        }
    }
    Ok(swept)
}

/// Whether the record under `key` is there and has expired by the end of `step`. One that can't be read goes with the
/// first entry that names it.
fn is_due(db: &sled::Db, shared: &Shared, step: UnixMillis, key: &[u8]) -> Result<bool, sled::Error> {
    let value = db.get(key)?;
    Ok(value.is_some_and(|value| shared.decode(key, &value).is_none_or(|stored| stored.expires <= step)))
}
