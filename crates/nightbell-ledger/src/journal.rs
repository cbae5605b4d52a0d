//! The journal: every group of changes as it was committed, until a run has it.

use crate::entry::{Entry, Frame, Id, frames};
use crate::fault::Fault;
use crate::index::Table;
use crate::keys;

/// A part of the journal is closed once it has this many bytes. sled keeps 16 values in a page, and big pages cost memory and, from
/// a quarter of a segment on, a file of their own.
const PART_BYTES: usize = 3 * 1024;

/// Where the next part goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Journal {
    next: u64,
}

impl Journal {
    /// Reads the journal from this part on into a table.
    pub(crate) fn load(db: &sled::Db, from: u64) -> Result<(Self, Table), Fault> {
        let (mut next, mut table) = (from, Table::default());
        for part in db.range(keys::journals(from..=u64::MAX)) {
            let (key, value) = part?;
            let number = keys::journal_number(&key);
            next = number.ok_or_else(|| Fault::Damaged("a part of the journal has no number".into()))? + 1;
            for frame in frames(&value) {
                let frame = frame?;
                table.insert(frame.id, frame.to_entry());
            }
        }
        Ok((Self { next }, table))
    }

    /// The batch that writes these entries, all or none.
    pub(crate) fn batch(&mut self, entries: &[(Id, Entry)]) -> sled::Batch {
        let mut batch = sled::Batch::default();
        let mut part = Vec::new();
        for (id, entry) in entries {
            Frame::of(id, entry).write(&mut part);
            if part.len() >= PART_BYTES {
                self.close(&mut batch, &mut part);
            }
        }
        if !part.is_empty() {
            self.close(&mut batch, &mut part);
        }
        batch
    }

    fn close(&mut self, batch: &mut sled::Batch, part: &mut Vec<u8>) {
        batch.insert(keys::journal(self.next).as_slice(), part.as_slice());
        part.clear();
        self.next += 1;
    }

    /// The last part that was written.
    pub(crate) fn last(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }
}
