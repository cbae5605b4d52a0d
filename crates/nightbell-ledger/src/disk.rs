//! Making what was applied durable.

use std::io;
use std::sync::Arc;

use nightbell_store::{FileInPlace, Misplaced};

use crate::fault::Fault;
use crate::witness::Witness;

/// The step that makes all applied batches durable. It is a trait only so that tests can count it and make it
/// fail.
pub(crate) trait Disk: Send + 'static {
    /// Returns once everything applied to `db` so far is on the disk.
    fn sync(&mut self, db: &sled::Db) -> Result<(), Fault>;

    /// Says that the parts of the journal before this one are durable, for the next start. Without it less damage is
    /// noticed, so an error is none here.
    fn witness(&mut self, _next: u64) {}
}

/// The database file, opened a second time beside sled's own handle, and the witness. Clones are for other threads.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseFile {
    pub(crate) file: Arc<FileInPlace>,
    pub(crate) witness: Arc<Witness>,
}

impl DatabaseFile {
    /// Whether the file is still where the next process looks for it: what is written to one that was removed or moved away
    /// is not durable.
    fn check(&self) -> io::Result<()> {
        self.file.check().map_err(|misplaced| match misplaced {
            Misplaced::Gone | Misplaced::Replaced => {
                io::Error::other("the ledger was removed or moved away while it was in use")
            }
            Misplaced::Unknown(error) => error,
        })
    }
}

impl Disk for DatabaseFile {
    fn sync(&mut self, db: &sled::Db) -> Result<(), Fault> {
        db.flush()?;
        // On Linux sled's flush ends with `sync_file_range`, which syncs neither metadata nor the disk's own
        // cache. A sync is per file, so it does not matter through which handle the bytes were written.
        self.file.file().sync_data().and_then(|()| self.check()).map_err(Fault::System)
    }

    fn witness(&mut self, next: u64) {
        if let Err(error) = self.witness.write(next) {
            tracing::debug!(%error, "the ledger's witness could not be written");
        }
    }
}
