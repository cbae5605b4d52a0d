//! A run: records that no longer change, in blocks by the order of their names, with a filter in memory.

use std::ops::Range;
use std::sync::Arc;

use nightbell_core::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Frame, Id, Space, frames};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::keys;

/// How many records a block has, about. sled keeps 8 to 16 values in a page and loads whole pages, so a block is small.
const BLOCK_RECORDS: u64 = 16;

/// The bytes of one stored piece of a filter.
const FILTER_PIECE_BYTES: usize = 2 * 1024;

/// What is known of a run; it is written to the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meta {
    /// Its number, by which its blocks are found.
    pub(crate) number: u64,
    /// What kind of records it has.
    pub(crate) space: Space,
    /// How often its records were merged.
    pub(crate) level: u32,
    /// Of two runs of a level the one of the higher age is the later one.
    pub(crate) age: u64,
    /// How many records it has.
    pub(crate) records: u64,
    /// How many blocks it has.
    pub(crate) blocks: u32,
    /// From when half of its records may be dropped, about.
    pub(crate) half_ends: u64,
    /// From when all may be dropped.
    pub(crate) ends: u64,
}

impl Meta {
    /// How many records a run made of this one will have, at most or nearly so.
    pub(crate) fn expected(&self, now: UnixMillis) -> u64 {
        if now.0 >= self.half_ends { self.records.div_ceil(2) } else { self.records }
    }
}

/// A run in use.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) meta: Meta,
    filter: Filter,
}

impl Run {
    /// Loads a run's filter. Since a merge makes room for as many records as the manifest counts, a count that the
    /// filter can't hold is damage.
    pub(crate) fn load(db: &sled::Db, meta: Meta) -> Result<Self, Fault> {
        let filter = Filter::of_pieces(db.range(keys::filters(meta.number)).values())?;
        if !filter.fits_blocks(meta.blocks) {
            return Err(Fault::Damaged(format!("a part of the filter of run {} is missing", meta.number)));
        }
        let (number, records, max) = (meta.number, meta.records, filter.names_max());
        if records > max {
            let problem =
                format!("run {number} counts {records} records, and its filter holds {max} at most");
            return Err(Fault::Damaged(problem));
        }
        Ok(Self { meta, filter })
    }

    /// Whether there may be a record of this name in it; if there is, this says so.
    pub(crate) fn may_hold(&self, id: &Id) -> bool {
        self.meta.space == id.space && self.filter.may_hold(id)
    }

    /// What it has under this name.
    pub(crate) fn read(&self, db: &sled::Db, id: &Id) -> Result<Option<Entry>, Fault> {
        let block = self.block(db, id.part(self.meta.blocks))?;
        for frame in frames(&block) {
            let frame = frame?;
            if frame.id == *id {
                return Ok(Some(frame.to_entry()));
            }
        }
        Ok(None)
    }

    fn block(&self, db: &sled::Db, block: u32) -> Result<sled::IVec, Fault> {
        let found = db.get(keys::block(self.meta.number, block))?;
        found.ok_or_else(|| Fault::Damaged(format!("block {block} of run {} is missing", self.meta.number)))
    }
}

/// A walk through a run by the order of names.
pub(crate) struct Walk {
    run: Arc<Run>,
    block: sled::IVec,
    /// The name of the record at which it stands, and where the record begins and ends.
    head: Option<(Id, Range<usize>)>,
    next_block: u32,
}

impl Walk {
    /// Stands at the run's first record.
    pub(crate) fn new(db: &sled::Db, run: Arc<Run>) -> Result<Self, Fault> {
        let mut walk = Self { run, block: sled::IVec::default(), head: None, next_block: 0 };
        walk.stand(db, 0)?;
        Ok(walk)
    }

    /// The name of the record at which it stands; none at the end.
    pub(crate) fn head(&self) -> Option<Id> {
        self.head.as_ref().map(|(id, _)| *id)
    }

    /// The record at which it stands; none at the end.
    pub(crate) fn record(&self) -> Result<Option<Frame<'_>>, Fault> {
        let Some((_, place)) = &self.head else { return Ok(None) };
        Ok(Frame::first(&self.block[place.clone()])?.map(|(frame, _)| frame))
    }

    /// Goes to the next record.
    pub(crate) fn advance(&mut self, db: &sled::Db) -> Result<(), Fault> {
        let Some((_, place)) = &self.head else { return Ok(()) };
        self.stand(db, place.end)
    }

    /// Stands at the record that begins here, or at the first one of the next block that has any.
    fn stand(&mut self, db: &sled::Db, mut at: usize) -> Result<(), Fault> {
        loop {
            if let Some((frame, rest)) = Frame::first(&self.block[at..])? {
                self.head = Some((frame.id, at..self.block.len() - rest.len()));
                return Ok(());
            }
            if self.next_block == self.run.meta.blocks {
                self.head = None;
                return Ok(());
            }
            self.block = self.run.block(db, self.next_block)?;
            self.next_block += 1;
            at = 0;
        }
    }
}

/// Writes a run, record by record in the order of their names.
pub(crate) struct Builder {
    number: u64,
    space: Space,
    blocks: u32,
    /// The block being filled, and its number.
    block: Vec<u8>,
    at: u32,
    filter: Filter,
    records: u64,
    ends: Sample,
}

impl Builder {
    /// A run that will have about so many records.
    pub(crate) fn new(number: u64, space: Space, expected: u64) -> Self {
        let blocks = u32::try_from(expected.div_ceil(BLOCK_RECORDS).max(1)).unwrap_or(u32::MAX);
        let filter = Filter::for_names(expected);
        Self { number, space, blocks, block: Vec::new(), at: 0, filter, records: 0, ends: Sample::default() }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, db: &sled::Db, record: &Frame<'_>) -> Result<(), Fault> {
        self.go_to(db, record.id.part(self.blocks))?;
        record.write(&mut self.block);
        self.filter.insert(&record.id);
        self.ends.add(record.hold.0);
        self.records += 1;
        Ok(())
    }

    /// Writes the blocks before this one.
    fn go_to(&mut self, db: &sled::Db, block: u32) -> Result<(), Fault> {
        while self.at < block {
            db.insert(keys::block(self.number, self.at), self.block.as_slice())?;
            self.block.clear();
            self.at += 1;
        }
        Ok(())
    }

    /// Writes what is left; none if there was no record.
    pub(crate) fn finish(mut self, db: &sled::Db, level: u32, age: u64) -> Result<Option<Run>, Fault> {
        if self.records == 0 {
            return Ok(None);
        }
        self.go_to(db, self.blocks)?;
        for (piece, number) in self.filter.pieces(FILTER_PIECE_BYTES).zip(0..) {
            db.insert(keys::filter(self.number, number), piece)?;
        }
        let Self { number, space, blocks, records, .. } = self;
        let (half_ends, ends) = self.ends.half_and_last();
        let meta = Meta { number, space, level, age, records, blocks, half_ends, ends };
        Ok(Some(Run { meta, filter: self.filter }))
    }
}

/// The most times that a sample keeps.
const SAMPLE_MAX: usize = 2048;

/// Times, some of them: enough to tell the middle one.
#[derive(Default)]
struct Sample {
    kept: Vec<u64>,
    last: u64,
    seen: u64,
    /// One in `2^thinned` is kept.
    thinned: u32,
}

impl Sample {
    fn add(&mut self, time: u64) {
        self.last = self.last.max(time);
        if self.seen.trailing_zeros() >= self.thinned {
            self.kept.push(time);
        }
        self.seen += 1;
        if self.kept.len() >= SAMPLE_MAX {
            self.thinned += 1;
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    }

    fn half_and_last(&mut self) -> (u64, u64) {
        let middle = self.kept.len() / 2;
        let half = if self.kept.is_empty() { self.last } else { *self.kept.select_nth_unstable(middle).1 };
        (half, self.last)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::entry::tests::id;

    fn db(folder: &TempDir) -> sled::Db {
        sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap()
    }

    fn build(db: &sled::Db, names: impl Iterator<Item = u64>, expected: u64) -> Option<Run> {
        let mut ids: Vec<_> = names.map(|number| (id(number), number)).collect();
        ids.sort_unstable();
        let mut builder = Builder::new(3, Space::Event, expected);
        for (id, number) in ids {
            let entry = Entry { hold: UnixMillis(number), value: number.to_string().as_bytes().into() };
            builder.push(db, &Frame::of(&id, &entry)).unwrap();
        }
        builder.finish(db, 1, 9).unwrap()
    }

    #[test]
    fn a_run_has_what_was_written_and_nothing_else() {
        let folder = TempDir::new().unwrap();
        let db = db(&folder);
        // What was expected is only a guess, and may be far off.
        for expected in [64, 100, 5_000] {
            let built = build(&db, 0..1_000, expected).unwrap();
            let run = Run::load(&db, built.meta).unwrap();
            for number in 0..1_000 {
                let found = run.read(&db, &id(number)).unwrap().unwrap();
                assert!(run.may_hold(&id(number)) && found.hold.0 == number);
            }
            assert_eq!(run.read(&db, &id(1_000)).unwrap(), None);
            assert_eq!((run.meta.records, run.meta.ends), (1_000, 999));
            assert!((400..600).contains(&run.meta.half_ends), "{}", run.meta.half_ends);
            db.clear().unwrap();
        }
    }

    #[test]
    fn a_walk_meets_every_record_by_the_order_of_names() {
        let folder = TempDir::new().unwrap();
        let db = db(&folder);
        let run = Arc::new(build(&db, 0..500, 5_000).unwrap());
        let mut walk = Walk::new(&db, run).unwrap();
        let mut met = Vec::new();
        while let Some(head) = walk.head() {
            assert_eq!(walk.record().unwrap().map(|record| record.id), Some(head));
            met.push(head);
            walk.advance(&db).unwrap();
        }
        walk.advance(&db).unwrap();
        assert_eq!(walk.record().unwrap(), None);
        assert!(met.is_sorted());
        assert_eq!(met.len(), 500);
    }

    #[test]
    fn a_run_of_nothing_is_none() {
        let folder = TempDir::new().unwrap();
        assert!(build(&db(&folder), 0..0, 10).is_none());
    }

    #[test]
    fn a_filter_that_is_too_short_is_damage() {
        let folder = TempDir::new().unwrap();
        let db = db(&folder);
        for expected in [0, 1, 16, 17, 32, 33, 5_000] {
            let run = build(&db, 0..1, expected).unwrap();
            assert!(Run::load(&db, run.meta).is_ok(), "{expected}");
            db.clear().unwrap();
        }
        let run = build(&db, 0..1, 5_000).unwrap();
        let pieces: Vec<_> = db.range(keys::filters(3)).keys().map(Result::unwrap).collect();
        assert!(pieces.len() > 2);
        for piece in pieces {
            let value = db.remove(&piece).unwrap().unwrap();
            assert!(matches!(Run::load(&db, run.meta.clone()), Err(Fault::Damaged(_))), "{piece:?}");
            db.insert(piece, value).unwrap();
        }
    }

    #[test]
    fn a_missing_block_is_damage() {
        let folder = TempDir::new().unwrap();
        let db = db(&folder);
        let run = build(&db, 0..1, 1).unwrap();
        db.remove(keys::block(3, 0)).unwrap();
        assert!(matches!(run.read(&db, &id(0)), Err(Fault::Damaged(_))));
    }

    #[test]
    fn more_records_than_a_filter_can_hold_are_damage() {
        let folder = TempDir::new().unwrap();
        let db = db(&folder);
        let built = build(&db, 0..100, 100).unwrap();
        let load = |records| Run::load(&db, Meta { records, ..built.meta.clone() });
        let max = built.filter.names_max();
        assert!(load(max).is_ok());
        for records in [max + 1, u64::MAX] {
            assert!(matches!(load(records), Err(Fault::Damaged(_))), "{records}");
        }
    }

    #[test]
    fn a_sample_of_many_keeps_few_and_tells_the_middle() {
        let mut sample = Sample::default();
        (0..100_000).for_each(|time| sample.add(time));
        assert!(sample.kept.len() < SAMPLE_MAX);
        let (half, last) = sample.half_and_last();
        assert!((45_000..55_000).contains(&half) && last == 99_999, "{half}");
    }
}
