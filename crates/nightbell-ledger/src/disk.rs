//! Making what was applied durable.

use std::fs::File;
use std::io;

use crate::fault::Fault;

/// The step that makes all applied batches durable. It is a trait only so that tests can count it and make it
/// fail.
pub(crate) trait Disk: Send + 'static {
    /// Returns once everything applied to `db` so far is on the disk.
    fn sync(&mut self, db: &sled::Db) -> Result<(), Fault>;
}

/// The database file, opened a second time beside sled's own handle.
#[derive(Debug)]
pub(crate) struct DatabaseFile(pub(crate) File);

impl DatabaseFile {
    /// The same file for another thread.
    pub(crate) fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Disk for DatabaseFile {
    fn sync(&mut self, db: &sled::Db) -> Result<(), Fault> {
        db.flush()?;
        // On Linux sled's flush ends with `sync_file_range`, which syncs neither metadata nor the disk's own
        // cache. A sync is per file, so it does not matter through which handle the bytes were written.
        self.0.sync_data().map_err(Fault::System)
    }
}
