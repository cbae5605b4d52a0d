//! The journal: every group of changes as it was committed, until a run has it.

use crate::entry::{Entry, Frame, Id, frames};
use crate::fault::Fault;
use crate::index::Table;
use crate::keys;

/// A part of the journal is closed once it has this many bytes. sled keeps 16 values in a page, and big pages cost memory and, from
/// a quarter of a segment on, a file of their own.
const PART_BYTES: usize = 3 * 1024;

/// Nothing that is counted from 0 comes to this number, however long a store is in use; what seems to is damaged.
pub(crate) const NUMBER_MAX: u64 = u64::MAX / 2;

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
            let number =
                number.ok_or_else(|| Fault::Damaged("a part of the journal has no number".into()))?;
            if number != next {
                let problem = format!("part {next} of its journal is missing; the next one is {number}");
                return Err(Fault::Damaged(problem));
            }
            next = number.saturating_add(1);
            for frame in frames(&value) {
                let frame = frame?;
                table.insert(frame.id, frame.to_entry());
            }
        }
        if next > NUMBER_MAX {
            return Err(Fault::Damaged(format!("its journal has come to number {next}")));
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

    /// The number of the next part.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The last part that was written.
    pub(crate) fn last(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Loads from part `from` on a journal that has one part.
    fn load(part: u64, from: u64) -> Result<Journal, Fault> {
        let folder = TempDir::new().unwrap();
        let db = sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap();
        db.insert(keys::journal(part), b"").unwrap();
        Journal::load(&db, from).map(|(journal, _)| journal)
    }

    #[test]
    fn the_next_part_follows_the_last_one() {
        assert_eq!(load(3, 3).unwrap(), Journal { next: 4 });
        assert_eq!(load(2, 3).unwrap(), Journal { next: 3 });
    }

    #[test]
    fn a_missing_part_is_damage() {
        assert!(matches!(load(4, 3), Err(Fault::Damaged(problem)) if problem.starts_with("part 3 ")));
    }

    #[test]
    fn numbers_that_no_journal_comes_to_are_damage() {
        for (part, from) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (0, u64::MAX)] {
            assert!(matches!(load(part, from), Err(Fault::Damaged(_))), "part {part} from {from}");
        }
    }
}
