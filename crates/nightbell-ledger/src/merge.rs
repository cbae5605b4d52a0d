//! Several runs become one, or one is written anew without what has expired.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::time::UnixMillis;

use crate::entry::Space;
use crate::fault::Fault;
use crate::run::{Builder, Run, Walk};

/// So many runs of a level are merged into one of the next. A name is looked for in each, and each record is written
/// once per level.
pub(crate) const MERGED_AT_ONCE: usize = 16;

/// Which runs are to be merged, the latest first, and what comes of them.
#[derive(Debug)]
pub(crate) struct Plan {
    runs: Vec<Arc<Run>>,
    space: Space,
    level: u32,
    age: u64,
}

/// What is to be merged next: a level that is full, else a run of which half may be dropped. The runs are in the index's
/// order.
pub(crate) fn plan(runs: &[Arc<Run>], now: UnixMillis) -> Option<Plan> {
    let mut levels: BTreeMap<(Space, u32), Vec<Arc<Run>>> = BTreeMap::new();
    for run in runs {
        levels.entry((run.meta.space, run.meta.level)).or_default().push(Arc::clone(run));
    }
    let full = levels.into_iter().find(|(_, runs)| runs.len() >= MERGED_AT_ONCE);
    if let Some(((space, level), runs)) = full {
        let age = runs.iter().map(|run| run.meta.age).max().unwrap_or_default();
        return Some(Plan { runs, space, level: level + 1, age });
    }
    let half = runs.iter().find(|run| now.0 >= run.meta.half_ends)?;
    let (space, level, age) = (half.meta.space, half.meta.level, half.meta.age);
    Some(Plan { runs: vec![Arc::clone(half)], space, level, age })
}

/// A merge under way.
pub(crate) struct Merge {
    plan: Plan,
    walks: Vec<Walk>,
    builder: Builder,
}

impl Merge {
    pub(crate) fn begin(db: &sled::Db, plan: Plan, number: u64, now: UnixMillis) -> Result<Self, Fault> {
        let expected = plan.runs.iter().map(|run| run.meta.expected(now)).sum();
        let builder = Builder::new(number, plan.space, expected);
        let walks = plan.runs.iter().map(|run| Walk::new(db, Arc::clone(run))).collect::<Result<_, _>>()?;
        Ok(Self { plan, walks, builder })
    }

    /// Goes on by so many records; false: there are no more.
    pub(crate) fn step(&mut self, db: &sled::Db, now: UnixMillis, records: usize) -> Result<bool, Fault> {
        for _ in 0..records {
            let Some(id) = self.walks.iter().filter_map(Walk::head).min() else { return Ok(false) };
            // The latest run comes first, and its record is the one that counts.
            let mut latest = true;
            for walk in self.walks.iter_mut().filter(|walk| walk.head() == Some(id)) {
                if latest
                    && let Some(record) = walk.record()?
                    && now < record.hold
                {
                    self.builder.push(db, &record)?;
                }
                latest = false;
                walk.advance(db)?;
            }
        }
        Ok(true)
    }

    /// The number of the run that is being made.
    pub(crate) fn number(&self) -> u64 {
        self.builder.number()
    }

    /// Ends it: the runs that were merged, and the one made of them, if anything was left.
    pub(crate) fn finish(self, db: &sled::Db) -> Result<(Vec<Arc<Run>>, Option<Run>), Fault> {
        let made = self.builder.finish(db, self.plan.level, self.plan.age)?;
        Ok((self.plan.runs, made))
    }
}
