//! Forgetting what has expired, by the expiry index alone.

use nightbell_core::time::UnixMillis;

use crate::keys;
use crate::shared::Shared;

/// The most entries of the expiry index that one sweep deals with, so that commits don't wait long behind it.
pub(crate) const SWEEP_ENTRIES_MAX: usize = 512;

/// What a sweep found.
pub(crate) struct Swept {
    /// What is to be removed.
    pub(crate) batch: sled::Batch,
    /// The number of entries of the index that were dealt with.
    pub(crate) seen: usize,
    /// The number of records that are removed.
    pub(crate) records: u64,
}

/// Walks the index from its front up to `now`. Record and index entry go together; an entry that is stale, because its
/// record lives longer or was removed, goes alone.
pub(crate) fn sweep(db: &sled::Db, shared: &Shared, now: UnixMillis) -> Result<Swept, sled::Error> {
    let mut swept = Swept { batch: sled::Batch::default(), seen: 0, records: 0 };
    for found in db.range(keys::expired(now)).keys().take(SWEEP_ENTRIES_MAX) {
        let entry = found?;
        swept.seen += 1;
        if let Some((expires, key)) = keys::read_expiry(&entry)
            && is_due(db, shared, expires, key)?
        {
            swept.batch.remove(key);
            swept.records += 1;
        }
        swept.batch.remove(entry);
    }
    Ok(swept)
}

/// Whether the record under `key` is there and is to be removed by this entry of the index. One that can't be read goes
/// with the first entry that names it.
fn is_due(db: &sled::Db, shared: &Shared, expires: UnixMillis, key: &[u8]) -> Result<bool, sled::Error> {
    let value = db.get(key)?;
    Ok(value.is_some_and(|value| shared.decode(key, &value).is_none_or(|stored| stored.expires == expires)))
}
